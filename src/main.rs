//! The `tidegate` command.

use clap::{Parser, Subcommand};
use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tidegate::{admin::explanation, config, demo, server};

/// Memory that is given back is given back to the system: streams come and go in bursts.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A caching edge proxy for video and other large objects.
///
/// Tidegate stands in front of an HTTP origin, streams what passes to the client while keeping
/// it in chunks on disk, and from then on serves any byte range from the chunks that it has,
/// fetching only those that it lacks.
///
/// Begin with `tidegate demo`: it needs no configuration and no other software.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve in the foreground until SIGTERM or Ctrl-C; logs go to stderr
    Run {
        /// The configuration, in YAML; conf/tidegate.yaml documents every key
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration and list every mistake in it
    Check {
        /// The configuration to check
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Show which route takes a URL, what its origins are asked for, and its cache key
    Explain {
        /// The URL, as clients ask for it
        url: String,
        /// Ask this configuration instead of a running Tidegate
        #[arg(long, value_name = "FILE", conflicts_with = "admin")]
        config: Option<PathBuf>,
        /// The admin address of a running Tidegate
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090")]
        admin: http::Uri,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Run an origin with a sample film and the proxy before it, on loopback, with lines to try
    Demo,
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // Pingora calls every client that leaves an error there; they are counted as aborts.
    let level = if matches!(command, Command::Demo) {
        "warn,pingora_proxy::proxy_custom=off"
    } else {
        "info,pingora_proxy::proxy_custom=off"
    };
    let filter = env_logger::Env::default().filter_or("TIDEGATE_LOG", level);
    env_logger::Builder::from_env(filter).init();
    let outcome = match command {
        Command::Run { config } => run(&config),
        Command::Check { config } => check(&config),
        Command::Explain {
            url,
            config,
            admin,
            json,
        } => explain(&url, config.as_deref(), &admin, json),
        Command::Demo => try_out(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("tidegate: {e}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn run(file: &std::path::Path) -> Outcome {
    let read = || config::load(file);
    Ok(server::run(read()?, || Ok(read()?))?)
}

fn check(file: &std::path::Path) -> Outcome {
    config::load(file)?;
    println!("{}: no mistakes", file.display());
    Ok(())
}

fn explain(url: &str, file: Option<&Path>, admin: &http::Uri, json: bool) -> Outcome {
    let explained = match file {
        // Whether its secrets can be read here does not matter for this.
        Some(file) => {
            let unreadable = |e| format!("{}: {e}", file.display());
            let text = std::fs::read_to_string(file).map_err(unreadable)?;
            config::parse(&text)?.configured().explain(url)?
        }
        None => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let address = address_of(admin).await?;
                Ok::<_, Box<dyn std::error::Error>>(explanation(address, url).await?)
            })?
        }
    };
    let text = match json {
        true => format!("{}\n", serde_json::to_string_pretty(&explained)?),
        false => explained.to_string(),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads may have read enough.
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

async fn address_of(admin: &http::Uri) -> Result<SocketAddr, Box<dyn std::error::Error>> {
    let wrong = || format!("{admin} is not an admin address such as http://127.0.0.1:9090");
    let authority = admin.authority().ok_or_else(wrong)?;
    let place = (
        authority.host().trim_matches(['[', ']']),
        authority.port_u16().unwrap_or(80),
    );
    let mut found = tokio::net::lookup_host(place).await?;
    Ok(found.next().ok_or_else(wrong)?)
}

fn try_out() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(demo::run(demo::Options::default()));
    runtime.shutdown_background();
    Ok(outcome?)
}
