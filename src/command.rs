//! Commands of `tidegate` that speak with a running process.

pub mod generate;
pub mod sign;
pub mod stats;
pub mod tier;

use clap::Args;
use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tidegate::{
    admin::{Ask, Fleet, Order, Outcome, read_token},
    config,
    domain::count_of,
    tier::Report,
};

/// What came of a command.
pub type Done = Result<(), Box<dyn std::error::Error>>;

/// Which running Tidegate to speak with.
#[derive(Args)]
pub struct Whom {
    /// The admin address of the running Tidegate; http://127.0.0.1:9090 where nothing says another
    #[arg(long, value_name = "URL")]
    admin: Option<http::Uri>,
    /// The token of admin.token_file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// The same, or the configuration that says so.
#[derive(Args)]
pub struct Running {
    /// The configuration of the running Tidegate, for its admin address and token
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    whom: Whom,
}

/// What to purge, how, and where.
#[derive(Args)]
#[command(group(clap::ArgGroup::new("target").required(true).args(["url", "prefix", "tag", "all"])))]
pub struct Purge {
    /// All variants of this URL
    #[arg(long)]
    url: Option<String>,
    /// Everything whose URL begins so; http and https are the same
    #[arg(long, value_name = "URL")]
    prefix: Option<String>,
    /// Everything that the origin gave this tag, in Surrogate-Key or Cache-Tag
    #[arg(long)]
    tag: Option<String>,
    /// Everything
    #[arg(long)]
    all: bool,
    /// Make objects stale instead of removing them
    #[arg(long)]
    soft: bool,
    /// Only say what would be purged
    #[arg(long)]
    dry_run: bool,
    /// Erase it from the tier of --config as well, for good, and say what was erased: everything
    /// there that was purged, by now or earlier
    #[arg(long, requires = "config", conflicts_with_all = ["soft", "dry_run"])]
    erase: bool,
    #[command(flatten)]
    running: Running,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A URL to explain, and whom to ask.
#[derive(Args)]
pub struct Explain {
    /// The URL, as clients ask for it
    url: String,
    /// Ask this configuration instead of a running Tidegate
    #[arg(long, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
    #[command(flatten)]
    whom: Whom,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shows what a URL gets.
pub fn run_explain(asked: Explain) -> Done {
    let explained = match asked.config {
        // Whether its secrets can be read here does not matter for this.
        Some(file) => {
            let unreadable = |e| format!("{}: {e}", file.display());
            let text = std::fs::read_to_string(&file).map_err(unreadable)?;
            config::parse(&text)?.configured().explain(&asked.url)?
        }
        None => wait_for(async {
            let ask = asked.whom.at(None, None).await?;
            Ok(ask.explanation(&asked.url).await?)
        })?,
    };
    print(asked.json, &explained)
}

/// A URL to inspect, and whom to ask.
#[derive(Args)]
pub struct Inspect {
    /// The URL, as clients ask for it
    url: String,
    #[command(flatten)]
    running: Running,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shows what is stored under a URL.
pub fn run_inspect(asked: Inspect) -> Done {
    let inspected = wait_for(async {
        let ask = asked.running.ask().await?;
        Ok(ask.inspection(&asked.url).await?)
    })?;
    print(asked.json, &inspected)
}

/// Purges, and says what was found.
pub fn run_purge(asked: Purge) -> Done {
    if let Some(config) = asked.running.config.as_ref().filter(|_| asked.erase)
        && config::load(config)?.tier.is_none()
    {
        let why = "has no section tier that --erase could erase from; nothing was purged";
        return Err(format!("{} {why}", config.display()).into());
    }
    let order = Order {
        url: asked.url,
        prefix: asked.prefix,
        tag: asked.tag,
        all: asked.all,
        soft: asked.soft,
        dry_run: asked.dry_run,
    };
    let outcome = wait_for(async {
        let ask = asked.running.ask().await?;
        Ok(with_patience("purging", ask.purge(&order)).await?)
    })?;
    if !asked.json {
        say(&format!("{}\n", told(&outcome)))?;
    }
    let erased = match asked.running.config.filter(|_| asked.erase) {
        None => Ok(None),
        Some(_) if !outcome.fleet.is_some_and(|fleet| fleet.told) => Err(
            "nothing was erased from the tier: the running Tidegate has none, or can't tell it of the purge"
                .into(),
        ),
        Some(config) => tier::erase_purged(&config).map(Some),
    };
    let report = erased.as_ref().ok().and_then(Option::as_ref);
    match (asked.json, report) {
        // One document, whatever has come of it.
        (true, erased) => {
            let all = All { outcome, erased };
            say(&format!("{}\n", serde_json::to_string(&all)?))?;
        }
        (false, Some(report)) => say(&tier::erased(report))?,
        (false, None) => {}
    }
    erased.map(|_| ())
}

/// What a purge has found here, and in the tier where it was to be erased there.
#[derive(serde::Serialize)]
struct All<'a> {
    #[serde(flatten)]
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    erased: Option<&'a Report>,
}

/// Waits; where somebody looks on, it is said now and then that this goes on.
async fn with_patience<T>(doing: &str, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(TELL_EVERY, &mut work).await {
            Ok(done) => return done,
            Err(_) if std::io::stderr().is_terminal() => {
                eprintln!("still {doing}, for {}s …", began.elapsed().as_secs());
            }
            Err(_) => {}
        }
    }
}

const TELL_EVERY: Duration = Duration::from_secs(3);

impl Running {
    /// Whom to ask: what was said, else the configuration's address, else the usual one.
    async fn ask(&self) -> Result<Ask, Box<dyn std::error::Error>> {
        let configured = match &self.config {
            Some(file) => config::load(file)?.admin,
            None => None,
        };
        if self.config.is_some() && configured.is_none() && self.whom.admin.is_none() {
            return Err("this configuration has no admin section: nobody can be asked".into());
        }
        let (address, token_file) = configured.map_or((None, None), |admin| {
            (Some(admin.address), admin.token_file)
        });
        self.whom.at(address, token_file).await
    }
}

impl Whom {
    async fn at(
        &self,
        configured: Option<SocketAddr>,
        token_file: Option<PathBuf>,
    ) -> Result<Ask, Box<dyn std::error::Error>> {
        let token_file = self.token_file.as_ref().or(token_file.as_ref());
        let token = token_file.map(|file| token(file)).transpose()?;
        let address = match (&self.admin, configured) {
            (None, Some(address)) => address,
            (Some(admin), _) => address_of(admin).await?,
            (None, None) => address_of(&http::Uri::from_static(ADMIN)).await?,
        };
        Ok(Ask::new(address, token))
    }
}

fn wait_for<T>(
    asking: impl Future<Output = Result<T, Box<dyn std::error::Error>>>,
) -> Result<T, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(asking)
}

fn print<T: serde::Serialize + std::fmt::Display>(json: bool, value: &T) -> Done {
    match json {
        true => say(&format!("{}\n", serde_json::to_string_pretty(value)?)),
        false => say(&value.to_string()),
    }
}

fn say(text: &str) -> Done {
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads may have read enough.
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// Where a running process is asked if nothing else is said.
const ADMIN: &str = "http://127.0.0.1:9090";

fn token(file: &Path) -> Result<String, String> {
    read_token(file).map_err(|why| format!("the token file {} {why}", file.display()))
}

fn told(outcome: &Outcome) -> String {
    let done = match (outcome.dry_run, outcome.soft) {
        (true, _) => "would be purged",
        (false, true) => "made stale",
        (false, false) => "purged",
    };
    let objects = count_of(outcome.objects, "object");
    let fleet = match outcome.fleet {
        None => String::new(),
        Some(Fleet {
            last_purge: Some(number),
            ..
        }) => format!("; the fleet is told, as of purge {number}"),
        Some(_) => {
            "; the fleet is not told yet: the tier can't be written to, which is tried again"
                .to_owned()
        }
    };
    format!("{objects} {done}, {} bytes on disk{fleet}", outcome.bytes)
}

/// The address that an admin URL stands for.
async fn address_of(admin: &http::Uri) -> Result<SocketAddr, Box<dyn std::error::Error>> {
    let wrong = || format!("{admin} is not an admin address such as {ADMIN}");
    if let Some(scheme) = admin.scheme_str().filter(|scheme| *scheme != "http") {
        let expected = format!("expected http://, as in {ADMIN}: the admin address has no TLS");
        return Err(format!("{admin} begins with {scheme}://; {expected}").into());
    }
    let authority = admin.authority().ok_or_else(wrong)?;
    let place = (
        authority.host().trim_matches(['[', ']']),
        authority.port_u16().unwrap_or(80),
    );
    let mut found = tokio::net::lookup_host(place).await?;
    Ok(found.next().ok_or_else(wrong)?)
}
