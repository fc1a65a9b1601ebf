//! The face for messages: what `log`'s macros end in.

use super::{Config, Format, LAST_LINES, Logs, flood::Flood, line::Line, sink::Sink};
use env_filter::{Builder, Filter};
use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::{Mutex, RwLock};
use std::{
    io::Write,
    sync::Arc,
    time::{Instant, SystemTime},
};

/// Where all messages of a process end.
#[derive(Debug)]
pub struct Logger {
    /// Says which messages are written, in place of the configuration.
    directives: Option<String>,
    state: RwLock<State>,
    flood: Mutex<Flood>,
}

#[derive(Debug)]
struct State {
    filter: Filter,
    format: Format,
    /// Standard error, at once, where absent: a command that is over soon.
    sink: Option<Arc<Sink>>,
}

/// The variable of the environment that goes before `log.level`: `debug`, `warn,tidegate=trace`.
const VARIABLE: &str = "TIDEGATE_LOG";

/// What is logged by others that is no concern of the operator's, or is logged by us already.
/// `TIDEGATE_LOG` may name them to have them all the same.
const NOISE: [&str; 5] = [
    // Calls clients that leave errors, be it amid a head or amid a hit; they are counted as aborts.
    // Whatever else fails within a request is said by the proxy's hooks, with its cause, once.
    "pingora_proxy",
    // The same for connections to the admin address.
    "pingora_core::apps::http_app",
    // Calls it an error that an origin has closed a connection that rested; another one is made.
    "pingora_core::connectors",
    // Warns of each malformed or strange message of a client, which is answered or counted.
    "pingora_core::protocols::http",
    // Warns of clients that do not say farewell.
    "pingora_core::protocols::tls",
];

impl Logger {
    /// The logger of this process from now on, which writes to standard error at first. A process
    /// has one: a second one is not listened to.
    pub fn install(level: LevelFilter) -> &'static Self {
        let directives = std::env::var(VARIABLE).ok();
        let directives = directives.filter(|directives| !directives.trim().is_empty());
        let filter = filter(level, directives.as_deref());
        log::set_max_level(filter.filter());
        let logger: &'static Self = Box::leak(Box::new(Self {
            directives,
            state: RwLock::new(State {
                filter,
                format: Format::Text,
                sink: None,
            }),
            flood: Mutex::new(Flood::new(Instant::now())),
        }));
        let _ = log::set_logger(logger);
        logger
    }

    /// Writes to where a configuration says from now on.
    pub fn write_to(&self, logs: &Logs, config: &Config) {
        let mut state = self.state.write();
        state.format = config.format;
        state.sink = Some(logs.messages.clone());
        drop(state);
        self.reload(config);
    }

    /// Takes over what can change while the process runs.
    pub fn reload(&self, config: &Config) {
        let filter = filter(config.level, self.directives.as_deref());
        log::set_max_level(filter.filter());
        self.state.write().filter = filter;
    }

    /// Says how often what was left out of late. To be called now and then.
    pub fn sum_up(&self) {
        self.sum_up_to(Instant::now(), false);
    }

    fn sum_up_to(&self, now: Instant, ends: bool) {
        let due = self.flood.lock().due(now, ends);
        for summary in due {
            self.write(summary.level, &summary.target, &summary.to_string());
        }
    }

    fn write(&self, level: Level, target: &str, text: &str) {
        let state = self.state.read();
        let line = Line::message(SystemTime::now(), state.format, level, target, text);
        match &state.sink {
            Some(sink) => sink.push(&line),
            // Where nobody listens, there is nobody to be told that.
            None => drop(std::io::stderr().write_all(&line)),
        }
    }
}

fn filter(level: LevelFilter, directives: Option<&str>) -> Filter {
    let mut builder = Builder::new();
    for target in NOISE {
        builder.filter_module(target, LevelFilter::Off);
    }
    match directives {
        Some(directives) => builder.parse(directives),
        // What our libraries do is of interest only where it goes wrong.
        None => builder
            .filter_level(level.min(LevelFilter::Warn))
            .filter_module("tidegate", level),
    };
    builder.build()
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        self.state.read().filter.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        if !self.state.read().filter.matches(record) {
            return;
        }
        let (level, target) = (record.level(), record.target());
        let text = record.args().to_string();
        // Who asks for more than the ordinary gets all of it.
        if level <= Level::Info {
            let now = Instant::now();
            self.sum_up_to(now, false);
            if !self.flood.lock().admit(level, target, &text, now) {
                return;
            }
        }
        self.write(level, target, &text);
    }

    fn flush(&self) {
        self.sum_up_to(Instant::now(), true);
        let sink = self.state.read().sink.clone();
        if let Some(sink) = sink {
            sink.flush(LAST_LINES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(filter: &Filter, level: Level, target: &str) -> bool {
        filter.enabled(&Metadata::builder().level(level).target(target).build())
    }

    #[test]
    fn ours_are_written_by_level_and_others_where_they_warn() {
        let info = filter(LevelFilter::Info, None);
        assert!(written(&info, Level::Info, "tidegate::server::run"));
        assert!(!written(&info, Level::Debug, "tidegate::server::run"));
        assert!(written(&info, Level::Warn, "hickory_resolver"));
        assert!(!written(&info, Level::Info, "pingora_core::services"));
        assert!(!written(&info, Level::Error, "pingora_proxy::proxy_cache"));
        assert!(!written(
            &filter(LevelFilter::Error, None),
            Level::Warn,
            "rustls"
        ));
    }

    #[test]
    fn the_environment_goes_before_the_level() {
        let some = filter(LevelFilter::Error, Some("debug"));
        assert!(written(&some, Level::Debug, "tidegate"));
        assert!(!written(&some, Level::Error, "pingora_proxy"));
        let named = filter(LevelFilter::Info, Some("warn,pingora_proxy=info"));
        assert!(written(&named, Level::Info, "pingora_proxy::proxy_cache"));
        assert!(!written(&named, Level::Info, "tidegate"));
    }
}
