//! Who may ask for what a route has: decided before anything is looked up.

mod address;
mod client;
mod hop;
mod rates;
mod referer;
mod refused;
mod signed;
mod signing;

pub use address::Addresses;
pub use hop::Hop;
pub use rates::{PerAddress, Rates};
pub use referer::Referers;
pub use refused::Refused;
pub use signed::{Signed, SigningKey};
pub use signing::{Pass, Unsigned, Wish, sign};

use super::{Route, context::Context, error, foundation::Proxy, headers, routing::BoundRoute};
use crate::{
    domain::{Bearing, split_target},
    origin::LoadError,
};
use pingora_core::Result;
use pingora_proxy::Session;
use rates::Together;
use signed::Verifier;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Who may ask for what a route has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// By their addresses.
    pub addresses: Addresses,
    /// By the pages that they ask from; any where absent.
    pub referers: Option<Referers>,
    /// By the tokens that they bear; none is needed where absent.
    pub signed: Option<Signed>,
}

/// What stands at a route's door.
#[derive(Debug)]
pub struct Checks {
    verifier: Option<Verifier>,
    per_address: Option<PerAddress>,
    together: Option<Together>,
}

impl Checks {
    /// The checks of a route; its secrets are read for the first time.
    pub fn load(route: &Route) -> std::result::Result<Self, LoadError> {
        let signed = route.access.signed.as_ref();
        let verifier = signed.map(Verifier::load).transpose()?;
        Ok(Self {
            verifier,
            per_address: route.rates.per_address.map(PerAddress::new),
            together: route.rates.all.map(Together::new),
        })
    }
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
        let verifier = bound.checks.verifier.as_ref();
        let tokens = verifier.map(|verifier| verifier.take_out(session.req_header_mut()));
        let tokens = tokens.transpose()?.unwrap_or_default();
        // A revalidation behind replays a request that was let in already.
        if session.subrequest_ctx.is_some() {
            return Ok(false);
        }
        match self.judge_request(session, ctx, bound, &tokens) {
            Ok(()) => Ok(false),
            Err(why) => {
                self.stats.refused(why);
                error::refuse(session, ctx, why).await
            }
        }
    }

    /// Counts a request, where there are rates. What one client does too often is not counted
    /// against the others.
    fn hold_to_rates(&self, ctx: &Context, checks: &Checks) -> std::result::Result<(), Refused> {
        let now = Instant::now();
        if let Some(address) = ctx.address {
            if let Some(rate) = &self.rate {
                rate.take(address, now).map_err(Refused::ClientRate)?;
            }
            if let Some(rate) = &checks.per_address {
                rate.take(address, now).map_err(Refused::AddressRate)?;
            }
        }
        match &checks.together {
            Some(rate) => rate.take(now).map_err(Refused::RouteRate),
            None => Ok(()),
        }
    }

    /// Whether a request may go on, in the order in which a refusal costs least.
    fn judge_request(
        &self,
        session: &Session,
        ctx: &Context,
        bound: &BoundRoute,
        tokens: &[Vec<u8>],
    ) -> std::result::Result<(), Refused> {
        let request = session.req_header();
        if self.hop.is_loop(&request.headers) {
            return Err(Refused::Loop);
        }
        let access = &bound.route.access;
        if !access.addresses.admit(ctx.address) {
            return Err(Refused::Address);
        }
        self.hold_to_rates(ctx, &bound.checks)?;
        if let Some(verifier) = &bound.checks.verifier {
            let now = SystemTime::now();
            let target = headers::target(request);
            let asked = Bearing {
                host: &bound.route.key.host_of(&ctx.host),
                path: split_target(&target).0,
                address: ctx.address,
                now: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            };
            verifier
                .verify(tokens, &asked, now)
                .map_err(Refused::Token)?;
        }
        let referers = access.referers.as_ref();
        if referers.is_some_and(|referers| !referers.admit(&request.headers)) {
            return Err(Refused::Referer);
        }
        Ok(())
    }
}
