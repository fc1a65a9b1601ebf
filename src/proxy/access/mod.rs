//! Who may ask for what a route has: decided before anything is looked up.

mod address;
mod client;
mod cors;
mod hop;
mod rates;
mod referer;
mod refused;
mod signed;
mod signing;

pub use address::Addresses;
pub use cors::{Cors, Lines, PageOrigin, PageOrigins};
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
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use rates::Together;
use signed::Verifier;
use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

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

/// How a request that is not refused goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passage {
    /// To what it asks for.
    On,
    /// It only asks what a script may do, and is answered here.
    Preflight,
}

impl Proxy {
    /// Takes out of a request what is for us alone, and answers it where it does not go on; then
    /// this is true. `path` is what it asks for, in its one spelling.
    pub(super) async fn turns_away(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        bound: &Arc<BoundRoute>,
        path: &str,
    ) -> Result<bool> {
        ctx.route = Some(bound.clone());
        if let Some(address) = ctx.address {
            client::introduce(session, &ctx.terms.clients, address)?;
        }
        let request = session.req_header_mut();
        let verifier = bound.checks.verifier.as_ref();
        let tokens = verifier.map(|verifier| verifier.take_out(request));
        let tokens = tokens.transpose()?.unwrap_or_default();
        let cors = bound.route.cors.as_ref();
        ctx.cors = cors.map(|cors| cors.lines(&request.headers));
        // A revalidation behind replays a request that was let in already.
        let verdict = match session.subrequest_ctx {
            Some(_) => Ok(Passage::On),
            None => self.judge_request(session.req_header(), ctx, bound, path, &tokens),
        };
        if let (Some(cors), Ok(Passage::Preflight)) = (cors, verdict) {
            ctx.cors = Some(cors.preflight(&session.req_header().headers));
        }
        if cors.is_some() {
            cors::withhold_page(session.req_header_mut());
        }
        match verdict {
            Ok(Passage::On) => Ok(false),
            Ok(Passage::Preflight) => error::answer_preflight(session, ctx).await,
            Err(why) => {
                self.stats.refused(why);
                error::refuse(session, ctx, why).await
            }
        }
    }

    /// Whether a request may go on, in the order in which a refusal costs least.
    fn judge_request(
        &self,
        request: &RequestHeader,
        ctx: &mut Context,
        bound: &BoundRoute,
        path: &str,
        tokens: &[Vec<u8>],
    ) -> std::result::Result<Passage, Refused> {
        if self.hop.is_loop(&request.headers) {
            return Err(Refused::Loop);
        }
        if self.routes.leads_around(&ctx.host, path, bound) {
            return Err(Refused::Spelling);
        }
        let access = &bound.route.access;
        if !access.addresses.admit(ctx.address) {
            return Err(Refused::Address);
        }
        ctx.place = Some(self.reception.admit(ctx.address)?);
        self.hold_to_rates(ctx, &bound.checks)?;
        // Who asks beforehand bears no cookie, and gets nothing of what the route has.
        if bound.route.cors.is_some() && Cors::is_preflight(request) {
            return Ok(Passage::Preflight);
        }
        if let Some(verifier) = &bound.checks.verifier {
            let now = SystemTime::now();
            let target = headers::target(request);
            let asked = Bearing {
                host: &bound.route.key.host_of(&ctx.host),
                path: split_target(&target).0,
                address: ctx.address,
                now: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            };
            let verdict = verifier.verify(tokens, &asked, now);
            verdict.map_err(Refused::Token)?;
        }
        let referers = access.referers.as_ref();
        match referers.is_none_or(|referers| referers.admit(&request.headers)) {
            true => Ok(Passage::On),
            false => Err(Refused::Referer),
        }
    }

    /// Counts a request, where there are rates. What one client does too often is not counted
    /// against the others.
    fn hold_to_rates(&self, ctx: &Context, checks: &Checks) -> std::result::Result<(), Refused> {
        let now = Instant::now();
        if let Some(address) = ctx.address {
            if let Some(rate) = &ctx.terms.rate {
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
}
