//! Edges in front of a ring of shields: Tidegates before Tidegates.

use crate::{
    client::Request,
    gate::{CHUNK, Gate},
    origin::Origin,
};
use std::{net::SocketAddr, time::Duration};
use tidegate::{
    domain::Groups,
    origin::{Balance, Config, Retry},
    server::Settings,
};

/// What falls to one shield.
pub const GROUP: u64 = 2 * CHUNK;

/// Whom clients ask.
pub const HOST: &str = "video.example";

/// Shields before one origin, named `shield-0` and so on.
pub async fn shields(origin: &Origin, count: usize) -> Vec<Gate> {
    let mut all = Vec::new();
    for nth in 0..count {
        let name = format!("shield-{nth}");
        let shield = Gate::with(origin, |settings| settings.clients.name = Some(name));
        all.push(shield.await);
    }
    all
}

/// An edge before them.
pub async fn edge(name: &str, shields: &[SocketAddr]) -> Gate {
    edge_with(name, shields, |_| ()).await
}

/// An edge before them, with settings of its own.
pub async fn edge_with(
    name: &str,
    shields: &[SocketAddr],
    change: impl FnOnce(&mut Settings),
) -> Gate {
    Gate::at(shields[0], |settings| {
        settings.clients.name = Some(name.to_owned());
        lead_to(settings, shields);
        change(settings);
    })
    .await
}

/// Has the only origin be these shields.
pub fn lead_to(settings: &mut Settings, shields: &[SocketAddr]) {
    let url = |address: &SocketAddr| format!("http://{address}").parse().unwrap();
    settings.origins = vec![Config {
        balance: Balance::Hash,
        groups: Groups::of(GROUP),
        pass_host: true,
        retry: Retry {
            backoff: Duration::from_millis(1),
            ..Retry::default()
        },
        ..Config::new("media".into(), shields.iter().map(url).collect())
    }];
}

pub fn addresses(gates: &[Gate]) -> Vec<SocketAddr> {
    gates.iter().map(Gate::address).collect()
}

/// What clients ask for.
pub fn film() -> Request {
    Request::get("/film").header("Host", HOST)
}
