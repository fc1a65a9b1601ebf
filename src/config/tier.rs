//! The section `tier`: the object store that a fleet shares.

use super::{
    credentials::secret,
    files,
    scalar::{DAY, count, duration, size, spelled, text, timeout},
    section::Section,
    spot::Spot,
    storage::LARGEST,
};
use crate::tier::{Config, OnError, Place};
use std::time::Duration;

pub(super) fn tier(at: &Spot) -> Option<Config> {
    at.section(|keys| {
        let place = place(keys);
        // Without a place the other keys are still read, for the mistakes in them.
        let anywhere = || Place::Directory {
            path: Default::default(),
        };
        let default = Config::at(place.clone().unwrap_or_else(anywhere));
        let shortest = Duration::from_millis(100);
        let config = Config {
            prefix: keys.optional("prefix", prefix).unwrap_or(default.prefix),
            fleet: keys.optional("fleet", name).unwrap_or(default.fleet),
            run: keys.or("run", default.run, size(SMALLEST..=LARGEST_RUN)),
            read: keys.or("read", default.read, size(SMALLEST..=LARGEST_RUN)),
            parallel: keys.or("parallel", default.parallel, count(1..=32)),
            ahead: keys.or("ahead", default.ahead, size(0..=LARGEST_RUN)),
            uploads: keys.or("uploads", default.uploads, count(1..=64)),
            queue: keys.or("queue", default.queue, count(1..=65_536)),
            linger: keys.or("linger", default.linger, duration(Duration::ZERO..=DAY)),
            give_way: keys.or(
                "give_way",
                default.give_way,
                duration(Duration::ZERO..=LONGEST_WAY),
            ),
            min_requests: keys.or("min_requests", default.min_requests, count(1..=1000)),
            min_size: keys.or("min_size", default.min_size, size(0..=LARGEST)),
            timeout: keys.or("timeout", default.timeout, timeout),
            patience: keys.or("patience", default.patience, timeout),
            negative: keys.or("negative", default.negative, duration(Duration::ZERO..=DAY)),
            poll: keys.or("poll", default.poll, duration(shortest..=DAY)),
            on_error: keys.or("on_error", default.on_error, on_error),
            place: default.place,
        };
        place.map(|_| config)
    })
}

/// Below, requests cost more than the bytes that they bring.
const SMALLEST: u64 = 64 << 10;
/// A run is held in memory while it goes up.
const LARGEST_RUN: u64 = 1 << 30;

/// Some of the runs of an object are there without being named for as long as a few others give way;
/// what is so for an hour is taken to be left over.
const LONGEST_WAY: Duration = Duration::from_secs(60);

/// Where it is, by its kind; keys of another kind are unknown ones.
fn place(keys: &mut Section) -> Option<Place> {
    let kind = keys.required("kind", kind)?;
    match kind {
        Kind::S3 => {
            let bucket = keys.required("bucket", name);
            let endpoint = keys.optional("endpoint", url);
            let region = keys.optional("region", name);
            let access = keys.optional("access_key", secret);
            let own = keys.optional("secret_key", secret);
            for (key, other) in [("access_key", "secret_key"), ("secret_key", "access_key")] {
                if keys.has(key) && !keys.has(other) {
                    keys.refuse(key, format!("expected {other} beside it"));
                }
            }
            Some(Place::S3 {
                bucket: bucket?,
                endpoint,
                region: region.unwrap_or_else(|| "us-east-1".into()),
                keys: access.zip(own),
            })
        }
        Kind::Google => Some(Place::Google {
            bucket: keys.required("bucket", name)?,
            endpoint: keys.optional("endpoint", url),
            account: keys.optional("account_file", files::readable),
        }),
        Kind::Azure => {
            let container = keys.required("bucket", name);
            let account = keys.required("account", name);
            let endpoint = keys.optional("endpoint", url);
            let key = keys.optional("key", secret);
            Some(Place::Azure {
                container: container?,
                account: account?,
                endpoint,
                key,
            })
        }
        Kind::Directory => Some(Place::Directory {
            path: keys.required("path", files::directory)?,
        }),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    S3,
    Google,
    Azure,
    Directory,
}

fn kind(at: &Spot) -> Option<Kind> {
    const EXPECTED: &str = "s3, google, azure or directory";
    match text(at, EXPECTED)? {
        "s3" => Some(Kind::S3),
        "google" => Some(Kind::Google),
        "azure" => Some(Kind::Azure),
        "directory" => Some(Kind::Directory),
        _ => at.expected(EXPECTED),
    }
}

fn on_error(at: &Spot) -> Option<OnError> {
    const EXPECTED: &str = "degrade or refuse";
    match text(at, EXPECTED)? {
        "degrade" => Some(OnError::Degrade),
        "refuse" => Some(OnError::Refuse),
        _ => at.expected(EXPECTED),
    }
}

/// The name of a bucket, an account, a region or a fleet.
fn name(at: &Spot) -> Option<String> {
    const EXPECTED: &str = "a name of letters, digits, \".\", \"-\" and \"_\"";
    spelled(at, EXPECTED, |c| {
        c.is_ascii_alphanumeric() || ".-_".contains(c)
    })
}

/// What all names begin with.
fn prefix(at: &Spot) -> Option<String> {
    const EXPECTED: &str = "a path of letters, digits, \".\", \"-\", \"_\" and \"/\"";
    let text = spelled(at, EXPECTED, |c| {
        c.is_ascii_alphanumeric() || ".-_/".contains(c)
    })?;
    Some(text.trim_matches('/').to_owned())
}

fn url(at: &Spot) -> Option<String> {
    const EXPECTED: &str = "a URL without user name, such as http://127.0.0.1:9000";
    let text = text(at, EXPECTED)?;
    let parsed = url::Url::parse(text).ok();
    // A password would be shown wherever the place is named.
    let is_fit = parsed.is_some_and(|url| {
        let is_secret = !url.username().is_empty() || url.password().is_some();
        matches!(url.scheme(), "http" | "https") && url.has_host() && !is_secret
    });
    match is_fit {
        true => Some(text.trim_end_matches('/').to_owned()),
        false => at.expected(EXPECTED),
    }
}
