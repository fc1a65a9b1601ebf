//! Who may ask for what a route has: decided before anything is looked up.

mod address;
mod client;
mod hop;
mod referer;
mod refused;

pub use address::Addresses;
pub use hop::Hop;
pub use referer::Referers;
pub use refused::Refused;

use super::{context::Context, error, foundation::Proxy, routing::BoundRoute};
use pingora_core::Result;
use pingora_proxy::Session;

/// Who may ask for what a route has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// By their addresses.
    pub addresses: Addresses,
    /// By the pages that they ask from; any where absent.
    pub referers: Option<Referers>,
}

impl Proxy {
    /// Takes out of a request what is for us alone, and answers it where it may not go on; then
    /// this is true.
    pub(super) async fn turns_away(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        bound: &BoundRoute,
    ) -> Result<bool> {
        if let Some(address) = ctx.address {
            client::introduce(session, &self.clients, address)?;
        }
        // A revalidation behind replays a request that was let in already.
        if session.subrequest_ctx.is_some() {
            return Ok(false);
        }
        match self.judge_request(session, ctx, bound) {
            Ok(()) => Ok(false),
            Err(why) => {
                self.stats.refused(why);
                error::refuse(session, ctx, why).await
            }
        }
    }

    /// Whether a request may go on, in the order in which a refusal costs least.
    fn judge_request(
        &self,
        session: &Session,
        ctx: &Context,
        bound: &BoundRoute,
    ) -> std::result::Result<(), Refused> {
        let request = session.req_header();
        if self.hop.is_loop(&request.headers) {
            return Err(Refused::Loop);
        }
        let access = &bound.route.access;
        if !access.addresses.admit(ctx.address) {
            return Err(Refused::Address);
        }
        let referers = access.referers.as_ref();
        if referers.is_some_and(|referers| !referers.admit(&request.headers)) {
            return Err(Refused::Referer);
        }
        Ok(())
    }
}
