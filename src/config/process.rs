//! The sections `server`, `listen`, `admin` and `clients`: the process and those who connect to it.

use super::{
    address::Taken,
    credentials::{parameter, secret},
    fields::sendable_name,
    files,
    scalar::{DAY, count, duration, size, switch, text, timeout},
    section::Section,
    spot::Spot,
};
use crate::{
    proxy::{Bypass, Clients},
    server::{Admin, Certificate, Listen, Server, Tls},
};
use ipnet::IpNet;
use std::{net::IpAddr, time::Duration};

pub(super) fn server(at: &Spot) -> Option<Server> {
    let default = Server::default();
    at.section(|keys| {
        Some(Server {
            threads: keys.or("threads", default.threads, count(1..=256)),
            drain: keys.or("drain", default.drain, duration(Duration::ZERO..=DAY)),
            origin_idle_connections: keys.or(
                "origin_idle_connections",
                default.origin_idle_connections,
                count(1..=65_536),
            ),
        })
    })
}

pub(super) fn listeners(at: &Spot, taken: &mut Taken) -> Option<Vec<Listen>> {
    let items = at.items("listener")?;
    Some(items.iter().filter_map(|at| listener(at, taken)).collect())
}

fn listener(at: &Spot, taken: &mut Taken) -> Option<Listen> {
    at.section(|keys| {
        let address = keys.required("address", |at| taken.take(at));
        let h2c = keys.or("h2c", false, switch);
        let tls = keys.optional("tls", tls);
        let proxy_protocol = keys.optional("proxy_protocol", networks);
        if h2c && keys.has("tls") {
            keys.refuse(
                "h2c",
                "cleartext HTTP/2 excludes tls, which brings its own HTTP/2",
            );
        }
        Some(Listen {
            address: address?,
            h2c,
            tls,
            proxy_protocol,
        })
    })
}

/// One certificate and its key, or several: the name that a client asks for chooses.
fn tls(at: &Spot) -> Option<Tls> {
    at.section(|keys| {
        let further = keys.optional("certificates", |at| {
            let pairs = at.items("certificate")?;
            Some(
                pairs
                    .iter()
                    .filter_map(|at| at.section(files_of))
                    .collect::<Vec<_>>(),
            )
        });
        if further.is_none() || keys.has("certificate") || keys.has("key") {
            let mut certificates = vec![files_of(keys)?];
            certificates.extend(further.into_iter().flatten());
            return Some(Tls { certificates });
        }
        Some(Tls {
            certificates: further?,
        })
    })
}

fn files_of(keys: &mut Section) -> Option<Certificate> {
    let certificate = keys.required("certificate", files::readable);
    let key = keys.required("key", files::readable);
    Some(Certificate {
        certificate: certificate?,
        key: key?,
    })
}

pub(super) fn admin(at: &Spot, taken: &mut Taken) -> Option<Admin> {
    at.section(|keys| {
        let address = keys.required("address", |at| taken.take(at));
        let token_file = keys.optional("token_file", files::secret);
        Some(Admin {
            address: address?,
            token_file,
        })
    })
}

/// Networks, as CIDR blocks; a bare address is a network of one.
fn networks(at: &Spot) -> Option<Vec<IpNet>> {
    at.distinct("network", |at| {
        const EXPECTED: &str = "an IP address or network such as 10.0.0.0/8 or \"2001:db8::/32\"";
        let text = text(at, EXPECTED)?;
        let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        match text.parse::<IpNet>().ok().or_else(address) {
            Some(network) => Some(network.trunc()),
            None => at.expected(EXPECTED),
        }
    })
}

pub(super) fn clients(at: &Spot) -> Option<Clients> {
    let default = Clients::default();
    at.section(|keys| {
        Some(Clients {
            idle_timeout: keys.or("idle_timeout", default.idle_timeout, timeout),
            read_timeout: keys.or("read_timeout", default.read_timeout, timeout),
            header_timeout: keys.or("header_timeout", default.header_timeout, timeout),
            handshake_timeout: keys.or("handshake_timeout", default.handshake_timeout, timeout),
            max_header_size: keys.or(
                "max_header_size",
                default.max_header_size,
                size(1 << 10..=1 << 20),
            ),
            max_header_fields: keys.or(
                "max_header_fields",
                default.max_header_fields,
                count(1..=256),
            ),
            max_connections: keys.or(
                "max_connections",
                default.max_connections,
                count(1..=1_000_000),
            ),
            max_connections_per_address: keys
                .optional("max_connections_per_address", count(1..=1_000_000)),
            max_http2_streams: keys.or(
                "max_http2_streams",
                default.max_http2_streams,
                count(1..=10_000),
            ),
            purge_from: keys.or("purge_from", default.purge_from, networks),
            max_ranges: keys.or("max_ranges", default.max_ranges, count(1..=1024)),
            bypass: keys.optional("bypass", bypass),
        })
    })
}

/// How operators get past the cache.
fn bypass(at: &Spot) -> Option<Bypass> {
    at.section(|keys| {
        let secret = keys.required("secret", secret);
        let header = keys.optional("header", sendable_name);
        let parameter = keys.optional("parameter", parameter);
        if !keys.has("header") && !keys.has("parameter") {
            return at.refuse("expected header, parameter or both to say where the secret stands");
        }
        Some(Bypass {
            secret: secret?,
            header,
            parameter,
        })
    })
}
