//! What can be prepared for a request while it is not yet known whether it will be made.

use super::{Part, Upstream};
use std::{net::IpAddr, sync::Arc};
use tokio::task::JoinHandle;

/// Preparations under way, or done and kept; they end with this.
#[derive(Debug)]
pub(super) struct Speculation(JoinHandle<()>);

impl Speculation {
    /// Resolves the names of the first origin's servers and, by setting, connects to the one that
    /// is likely to be asked. `None` where there is nothing to prepare.
    pub fn begin(upstream: &Arc<Upstream>, part: Part) -> Option<Self> {
        let features = upstream.features();
        let origin = upstream.legs().first()?.origin.clone();
        let by_name = origin
            .servers()
            .iter()
            .any(|server| server.place().host.parse::<IpAddr>().is_err());
        if !features.speculation || !(by_name || features.preconnect) {
            return None;
        }
        let client = upstream.client().clone();
        let task = async move {
            if by_name {
                for server in origin.servers() {
                    let place = server.place();
                    // Whether it worked is seen when the request is made.
                    let _ = origin.resolver().resolve(&place.host, place.port).await;
                }
            }
            if !features.preconnect {
                return;
            }
            let Some(server) = origin.expected(part) else {
                return;
            };
            let kept = server.may_have_kept(origin.config().idle_timeout, super::now());
            if kept || origin.config().http2 {
                return;
            }
            let place = server.place();
            let Ok(all) = origin.resolver().resolve(&place.host, place.port).await else {
                return;
            };
            let order = server.addresses.order(&all, super::now());
            let Some(address) = order.first() else {
                return;
            };
            let warm = client.warm_up(origin.peer(place, *address)).await;
            if warm.is_some() {
                // Kept until the request has been made, or will not be.
                std::future::pending::<()>().await;
            }
        };
        Some(Self(tokio::spawn(task)))
    }
}

impl Drop for Speculation {
    fn drop(&mut self) {
        self.0.abort();
    }
}
