//! Who may ask for what a route has: decided before anything is looked up.

mod client;

use super::{context::Context, foundation::Proxy, routing::BoundRoute};
use pingora_core::Result;
use pingora_proxy::Session;

impl Proxy {
    /// Takes out of a request what is for us alone, and answers it where it may not go on; then
    /// this is true.
    pub(super) async fn turns_away(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        _bound: &BoundRoute,
    ) -> Result<bool> {
        if let Some(address) = ctx.address {
            client::introduce(session, &self.clients, address)?;
        }
        Ok(false)
    }
}
