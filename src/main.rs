//! The `tidegate` command.

mod command;

use clap::{CommandFactory, Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode, time::SystemTime};
use tidegate::{
    config, demo,
    logs::Logger,
    server::{self, TlsTrouble},
    store,
};

/// Streams come and go in bursts, and memory that is given back should go back to the system. Under a
/// thousand clients the system's own allocator and this one take the same CPU and memory (mimalloc
/// some tenths more memory); half a minute after 800 of them have left this one holds 56 MB, the
/// system's 138 and mimalloc 158.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// jemalloc's options, where it looks for them: a `const char *`, which a reference to a string that
/// ends in NUL is. A thousand clients, of whom there are always some who have just left, peak some 50 MB
/// lower by these, for the same CPU:
///
/// * what nobody uses goes back after half a second, not ten;
/// * two arenas instead of four for each core leave less in half-used pages;
/// * threads keep only small pieces for themselves.
#[expect(unsafe_code, reason = "nothing else exports a symbol of this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static OPTIONS: Option<&[u8; 62]> =
    Some(b"dirty_decay_ms:500,muzzy_decay_ms:0,narenas:2,tcache_max:1024\0");

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
    /// Serve in the foreground until SIGTERM or Ctrl-C; logs go to stderr, or where the
    /// configuration says
    ///
    /// SIGTERM finishes running answers and stops, SIGHUP reads the configuration again, SIGUSR1
    /// opens the files of the logs anew, and SIGUSR2 has this program's file, which may be a newer
    /// version by now, take over without dropping a connection.
    Run {
        /// The configuration, in YAML; the package's /etc/tidegate/tidegate.yaml documents every key
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration: list every mistake in it, and warn of what may not do what is wanted
    Check {
        /// The configuration to check
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Also see whether the disk has room for cache.max_size, and speak with the tier: the keys, the rights, conditional writes, whose it is, its clock, how large its chunks are
        #[arg(long)]
        online: bool,
    },
    /// Show which route takes a URL, what its origins are asked for, its cache key, and whether it
    /// would be a hit now
    Explain(command::Explain),
    /// Show what is stored under a URL: freshness, validators, and which chunks are there
    Inspect(command::Inspect),
    /// Take objects out of the cache of a running Tidegate, or make them stale
    Purge(command::Purge),
    /// Show how a running Tidegate is doing: what is in use, what happened lately
    Stats(command::stats::Stats),
    /// Sign a URL, so that a route with access.signed lets its requests in
    Sign(command::sign::Sign),
    /// Look after the object store that a fleet of edges shares
    Tier(command::tier::Tier),
    /// Write manual pages or completions, for a package
    #[command(hide = true)]
    Generate(command::generate::Generate),
    /// Run an origin with a sample film and the proxy before it, on loopback, with lines to try
    Demo,
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let logger = Logger::install(match command {
        Command::Demo => log::LevelFilter::Warn,
        _ => log::LevelFilter::Info,
    });
    let outcome = match command {
        Command::Run { config } => run(&config, logger),
        Command::Check { config, online } => check(&config, online),
        Command::Explain(asked) => command::run_explain(asked),
        Command::Inspect(asked) => command::run_inspect(asked),
        Command::Purge(asked) => command::run_purge(asked),
        Command::Stats(asked) => command::stats::run_stats(asked),
        Command::Sign(asked) => command::sign::run_sign(asked),
        Command::Tier(asked) => command::tier::run_tier(asked),
        Command::Generate(asked) => command::generate::run_generate(asked, Arguments::command()),
        Command::Demo => try_out(),
    };
    log::logger().flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("tidegate: {e}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn run(file: &std::path::Path, logger: &Logger) -> Outcome {
    let read = || config::load(file);
    let outcome = serve(read, logger);
    if let Err(why) = &outcome {
        server::say_failed(&why.to_string());
    }
    outcome
}

fn serve(
    read: impl Fn() -> Result<server::Settings, config::Mistakes>,
    logger: &Logger,
) -> Outcome {
    Ok(server::run(read()?, logger, || Ok(read()?))?)
}

fn check(file: &std::path::Path, online: bool) -> Outcome {
    let settings = config::load(file)?;
    let TlsTrouble { mistakes, warnings } = server::tls_trouble(&settings, SystemTime::now());
    warnings.iter().for_each(|what| warn(what));
    if !mistakes.is_empty() {
        return Err(mistakes.join("\ntidegate: ").into());
    }
    if online {
        command::tier::check_tier(&settings)?;
        let room = store::Room::of(&settings.store.directory);
        match room.map(|room| room.doubt(settings.store.max_size)) {
            Ok(None) => println!("cache.max_size: there is room for it"),
            Ok(Some(why)) => warn(&why),
            Err(why) => warn(&format!(
                "cache.directory: its file system tells nothing: {why}"
            )),
        }
    }
    let token = settings.admin.and_then(|admin| admin.token_file);
    for complaint in token.map(server::token_complaints).unwrap_or_default() {
        warn(&complaint);
    }
    println!("{}: no mistakes", file.display());
    Ok(())
}

/// What is no mistake, and may not be what is wanted.
fn warn(what: &str) {
    eprintln!("tidegate: warning: {what}");
}

fn try_out() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(demo::run(demo::Options::default()));
    runtime.shutdown_background();
    Ok(outcome?)
}
