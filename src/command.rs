//! Commands of `tidegate` that speak with a running process.

pub mod generate;
pub mod sign;

use clap::Args;
use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tidegate::{
    admin::{Order, Outcome, explanation, inspection, purge, read_token},
    config,
};

/// What came of a command.
pub type Done = Result<(), Box<dyn std::error::Error>>;

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
    /// The token of admin.token_file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The configuration of the running Tidegate, for its admin address and token
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The admin address of the running Tidegate
    #[arg(long, value_name = "URL")]
    admin: Option<http::Uri>,
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
    /// The admin address of a running Tidegate
    #[arg(long, value_name = "URL", default_value = ADMIN)]
    admin: http::Uri,
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
            let address = address_of(&asked.admin).await?;
            Ok(explanation(address, &asked.url).await?)
        })?,
    };
    print(asked.json, &explained)
}

/// A URL to inspect, and whom to ask.
#[derive(Args)]
pub struct Inspect {
    /// The URL, as clients ask for it
    url: String,
    /// The configuration of the running Tidegate, for its admin address
    #[arg(long, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
    /// The admin address of the running Tidegate
    #[arg(long, value_name = "URL")]
    admin: Option<http::Uri>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shows what is stored under a URL.
pub fn run_inspect(asked: Inspect) -> Done {
    let (configured, _) = admin_of(asked.config.as_deref())?;
    let inspected = wait_for(async {
        let address = place(asked.admin.as_ref(), configured).await?;
        Ok(inspection(address, &asked.url).await?)
    })?;
    print(asked.json, &inspected)
}

/// Purges, and says what was found.
pub fn run_purge(asked: Purge) -> Done {
    let (configured, token_file) = admin_of(asked.config.as_deref())?;
    let token = asked
        .token_file
        .or(token_file)
        .as_deref()
        .map(token)
        .transpose()?;
    let order = Order {
        url: asked.url,
        prefix: asked.prefix,
        tag: asked.tag,
        all: asked.all,
        soft: asked.soft,
        dry_run: asked.dry_run,
    };
    let outcome = wait_for(async {
        let address = place(asked.admin.as_ref(), configured).await?;
        Ok(purge(address, &order, token.as_deref()).await?)
    })?;
    match asked.json {
        true => say(&format!("{}\n", serde_json::to_string(&outcome)?)),
        false => say(&format!("{}\n", told(&outcome))),
    }
}

/// The admin address and token file of a configuration.
fn admin_of(
    file: Option<&Path>,
) -> Result<(Option<SocketAddr>, Option<PathBuf>), Box<dyn std::error::Error>> {
    let Some(file) = file else {
        return Ok((None, None));
    };
    let admin = config::load(file)?.admin;
    let admin = admin.ok_or("this configuration has no admin section: nobody can be asked")?;
    Ok((Some(admin.address), admin.token_file))
}

/// Whom to ask: what was said, else the configuration's address, else the usual one.
async fn place(
    said: Option<&http::Uri>,
    configured: Option<SocketAddr>,
) -> Result<SocketAddr, Box<dyn std::error::Error>> {
    match (said, configured) {
        (None, Some(address)) => Ok(address),
        (Some(admin), _) => address_of(admin).await,
        (None, None) => address_of(&http::Uri::from_static(ADMIN)).await,
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
    let objects = match outcome.objects {
        1 => "1 object".to_owned(),
        many => format!("{many} objects"),
    };
    format!("{objects} {done}, {} bytes on disk", outcome.bytes)
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
