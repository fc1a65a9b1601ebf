//! Purges of the fleet between a Tidegate and those who ask it: what is stored here is not to
//! bring back what was purged there.

use super::{context::Context, foundation::Proxy, headers};
use crate::{
    cache::Order,
    domain::{AsOf, PURGES, place_of},
};
use pingora_core::Result;
use pingora_http::RequestHeader;
use pingora_proxy::Session;

/// Takes out of a request how far whoever asks is with the purges: what an origin is told of it is
/// ours to say.
pub fn take_out(request: &mut RequestHeader) -> Option<AsOf> {
    let as_of = AsOf::read(&request.headers);
    request.remove_header(&PURGES);
    as_of
}

impl Proxy {
    /// Sees to it that what is stored here is as of these purges, or notes that it is not.
    pub(super) async fn catch_up(&self, as_of: AsOf, session: &Session, ctx: &mut Context) {
        let Some(herald) = self.storage.fills().store().herald() else {
            return;
        };
        if herald.is_at(as_of) || !headers::is_cacheable_request(session.req_header()) {
            return;
        }
        // It can do no more than have the origin asked, which a client may be let do as well.
        let control = ctx.route().route.freshness.client_control;
        let counts = control || ctx.terms.clients.is_by_proxy(session);
        if counts && !herald.catch_up(as_of).await {
            ctx.is_behind = true;
        }
    }

    /// What may have been purged without our knowing is not to do for this request: all that is
    /// stored, where whoever asks knows more; what was stored before the start, where the tier could
    /// not be asked since.
    pub(super) fn distrust(&self, order: &Order, ctx: &Context) {
        let herald = self.storage.fills().store().herald();
        let start = || herald.and_then(|herald| herald.may_lack_since());
        let since = ctx.is_behind.then_some(ctx.began);
        if let Some(moment) = since.or_else(start) {
            order.want_asked_since(moment);
        }
    }

    /// Says in a request to an origin how far with the purges its answer must be. To be called once
    /// the mark has been taken as of which it is asked: no purge before that may be missing.
    pub(super) fn say_as_of(&self, request: &mut RequestHeader, ctx: &Context) -> Result<()> {
        let herald = self.storage.fills().store().herald();
        match herald.and_then(|herald| herald.as_of(&place_of(&ctx.key))) {
            Some(as_of) => request.insert_header(PURGES, as_of.field()),
            None => Ok(()),
        }
    }
}
