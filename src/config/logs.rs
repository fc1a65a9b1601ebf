//! The section `log`: what is written of what happens, and where.

use super::{
    credentials::parameter,
    files,
    node::Value,
    scalar::{DAY, duration, fine_share, switch},
    section::Section,
    spot::Spot,
};
use crate::logs::{Access, Config, Destination, Format, Rules};
use std::time::Duration;

pub(super) fn log(at: &Spot) -> Option<Config> {
    let default = Config::default();
    at.section(|keys| {
        let format = keys.or("format", default.format, format);
        Some(Config {
            level: keys.or("level", default.level, level),
            format,
            to: destination(keys),
            access: keys.optional("access", |at| access(at, format)),
        })
    })
}

/// A line for each request, in the format of the messages unless it has its own.
fn access(at: &Spot, usual: Format) -> Option<Access> {
    let default = Rules::default();
    at.section(|keys| {
        Some(Access {
            to: destination(keys),
            format: keys.or("format", usual, format),
            rules: Rules {
                sample: keys.or("sample", default.sample, fine_share),
                failures: keys.or("failures", default.failures, switch),
                slow: keys.or("slow", default.slow, duration(Duration::ZERO..=DAY)),
                redacted: keys.or("redact", default.redacted, |at| {
                    at.distinct("query parameter", parameter)
                }),
            },
        })
    })
}

fn destination(keys: &mut Section) -> Destination {
    let file = keys.optional("file", files::appendable);
    file.map_or(Destination::Stderr, Destination::File)
}

fn format(at: &Spot) -> Option<Format> {
    match at.value() {
        Value::Text(text) if text == "text" => Some(Format::Text),
        Value::Text(text) if text == "json" => Some(Format::Json),
        _ => at.expected("text or json"),
    }
}

fn level(at: &Spot) -> Option<log::LevelFilter> {
    const LEVELS: [log::Level; 5] = [
        log::Level::Error,
        log::Level::Warn,
        log::Level::Info,
        log::Level::Debug,
        log::Level::Trace,
    ];
    let named = |level: &log::Level| match at.value() {
        Value::Text(text) => level.as_str().to_ascii_lowercase() == *text,
        _ => false,
    };
    match LEVELS.into_iter().find(named) {
        Some(level) => Some(level.to_level_filter()),
        None => at.expected("error, warn, info, debug or trace"),
    }
}
