//! The sections `server`, `listen` and `admin`: the process and where it is met.

use super::{
    address::{Taken, networks},
    files,
    scalar::{DAY, count, duration, switch},
    section::Section,
    spot::Spot,
};
use crate::server::{Admin, Certificate, Listen, Server, Tls};
use std::time::Duration;

pub(super) fn server(at: &Spot) -> Option<Server> {
    let default = Server::default();
    at.section(|keys| {
        Some(Server {
            threads: keys.or("threads", default.threads, count(1..=256)),
            drain: keys.or("drain", default.drain, duration(Duration::ZERO..=DAY)),
            upgrade_drain: keys.or(
                "upgrade_drain",
                default.upgrade_drain,
                duration(Duration::ZERO..=DAY),
            ),
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
        let token_file = keys.optional("token_file", files::path);
        Some(Admin {
            address: address?,
            token_file,
        })
    })
}
