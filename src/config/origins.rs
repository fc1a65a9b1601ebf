//! The section `origins`: where what is missing comes from.

use super::{
    credentials::credentials,
    guard::{breaker, check, limit, retry},
    hosts,
    node::Value,
    scalar::{NAME, count, is_name, show_bytes, size, switch, timeout},
    servers::{balance, servers, tls},
    spot::Spot,
    storage::LARGEST,
};
use crate::{
    domain::Groups,
    origin::{Balance, Config, Redirects},
};

/// The origins, by name. An origin with mistakes in it is `None`, so that routes may still name it.
/// Parts of objects are hashed no finer than by `chunk_size`.
pub(super) fn origins(at: &Spot, chunk_size: u32) -> Option<Vec<(String, Option<Config>)>> {
    let entries = match at.value() {
        Value::Mapping(entries) if !entries.is_empty() => entries,
        _ => return at.expected("a mapping of at least one origin by its name"),
    };
    let origins = entries.iter().map(|entry| {
        let at = at.key(&entry.key, &entry.node);
        (entry.key.clone(), origin(&at, &entry.key, chunk_size))
    });
    Some(origins.collect())
}

fn origin(at: &Spot, name: &str, chunk_size: u32) -> Option<Config> {
    if !is_name(name) {
        at.refuse::<()>(format!("expected {NAME}"));
    }
    let default = Config::new(name.to_owned(), Vec::new());
    at.section(|keys| {
        let servers = keys.required("servers", servers);
        let connect_timeout = keys.optional("connect_timeout", timeout);
        let read_timeout = keys.optional("read_timeout", timeout);
        // These two once bounded the handshake and the wait for the head as well; whoever has set
        // them for that still gets it.
        let tls_timeout = connect_timeout.unwrap_or(default.tls_timeout);
        let first_byte_timeout = read_timeout.unwrap_or(default.first_byte_timeout);
        let balance = keys.or("balance", default.balance, balance);
        let groups = keys.optional("hash_group", |at| group(at, chunk_size));
        if balance != Balance::Hash && keys.has("hash_group") {
            keys.refuse(
                "hash_group",
                "needs balance: hash, by which groups are shared out",
            );
        }
        let pass_host = keys.or("pass_host", default.pass_host, switch);
        for (key, why) in OTHER_HOSTS {
            if pass_host && keys.has(key) {
                keys.refuse(key, why);
            }
        }
        let origin = Config {
            name: default.name,
            servers: Vec::new(),
            balance,
            groups: groups.unwrap_or(default.groups),
            host: keys.optional("host", hosts::authority),
            pass_host,
            sni: keys.optional("sni", hosts::name),
            http2: keys.or("http2", default.http2, switch),
            tls: keys.or("tls", default.tls, tls),
            connect_timeout: connect_timeout.unwrap_or(default.connect_timeout),
            tls_timeout: keys.or("tls_timeout", tls_timeout, timeout),
            first_byte_timeout: keys.or("first_byte_timeout", first_byte_timeout, timeout),
            read_timeout: read_timeout.unwrap_or(default.read_timeout),
            idle_timeout: keys.or("idle_timeout", default.idle_timeout, timeout),
            min_rate: keys.or("min_rate", default.min_rate, size(0..=1 << 40)),
            limit: keys.or("limit", default.limit, limit),
            breaker: keys.or("breaker", default.breaker, breaker),
            check: keys.optional("check", check),
            retry: keys.or("retry", default.retry, retry),
            redirects: keys.or("redirects", default.redirects, redirects),
            credentials: keys.optional("credentials", credentials),
        };
        servers.map(|servers| Config { servers, ..origin })
    })
}

/// What does not go with the client's own host.
const OTHER_HOSTS: [(&str, &str); 2] = [
    (
        "host",
        "contradicts pass_host: true, by which it is the client's",
    ),
    (
        "redirects",
        "contradicts pass_host: true; they are for the servers to follow, which are caches as well",
    ),
];

/// How much of an object falls to one server: whole chunks.
fn group(at: &Spot, chunk_size: u32) -> Option<Groups> {
    let bytes = size(0..=u64::MAX)(at)?;
    if bytes.is_power_of_two() && (u64::from(chunk_size)..=LARGEST).contains(&bytes) {
        return Some(Groups::of(bytes));
    }
    at.expected(format_args!(
        "a power of two from {} (a chunk) to {}",
        show_bytes(chunk_size.into()),
        show_bytes(LARGEST)
    ))
}

fn redirects(at: &Spot) -> Option<Redirects> {
    let default = Redirects::default();
    at.section(|keys| {
        let limit = keys.or("follow", default.limit, count(0..=10));
        let hosts = keys.or("hosts", default.hosts, hosts::patterns);
        if limit == 0 && keys.has("hosts") {
            keys.refuse(
                "hosts",
                "needs follow, without which no redirect is followed",
            );
        }
        Some(Redirects { limit, hosts })
    })
}
