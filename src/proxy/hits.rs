//! What is to be done with an object that was found in the store.

use super::{
    bypass::Grant, cache_status::Handling, context::Context, delivery::Delivery, delivery::deliver,
    foundation::Proxy, prefetch::as_http1, store_first::Wait,
};
use crate::{
    cache::{Coverage, FillError, Reader},
    domain::{ResponseControl, Reuse, Stored, reuse},
};
use http::Method;
use pingora_cache::{CacheMeta, ForcedFreshness, HitHandler};
use pingora_core::Result;
use pingora_proxy::Session;
use std::{ops::ControlFlow, time::SystemTime};

impl Proxy {
    /// Prepares the answer, so that its first byte is there before its head goes out. `None`: it
    /// is answered from the store, or revalidated where it is not fresh.
    pub(super) async fn found(
        &self,
        session: &mut Session,
        meta: &CacheMeta,
        handler: &mut HitHandler,
        is_fresh: bool,
        ctx: &mut Context,
    ) -> Result<Option<ForcedFreshness>> {
        let Some(reader) = handler.as_any_mut().downcast_mut::<Reader>() else {
            return Ok(Some(ForcedFreshness::ForceMiss));
        };
        let allowed = match self.good_for(session, reader, is_fresh, ctx) {
            ControlFlow::Continue(allowed) => allowed,
            ControlFlow::Break(otherwise) => return otherwise,
        };
        let total = reader.board().object().total();
        let parts = match deliver(
            &ctx.asked,
            meta.response_header(),
            total,
            ctx.terms.clients.max_ranges,
        ) {
            Delivery::Whole if session.req_header().method == Method::HEAD => return Ok(allowed),
            Delivery::Whole => Vec::new(),
            Delivery::Parts(parts) => parts,
            Delivery::NotModified | Delivery::PreconditionFailed | Delivery::Unsatisfiable => {
                return Ok(allowed);
            }
        };
        let range = parts.first().copied();
        let coverage = reader.coverage(range);
        let is_here = matches!(coverage, Coverage::Stored | Coverage::Elsewhere);
        if ctx.client.only_if_cached && !is_here {
            return Ok(ask_the_origin(reader, ctx));
        }
        note(coverage, allowed.is_some(), ctx);
        if ctx.stores_first {
            match self.gather(reader, &parts, ctx).await {
                Wait::Over => {}
                Wait::Left => return Ok(ask_the_origin(reader, ctx)),
                Wait::Failed(why) => return Ok(lacking(reader, why, ctx)),
            }
        }
        let order = reader.order().clone();
        let prepared = tokio::select! {
            // First: what is there is served, and nobody looks at the client for it.
            biased;
            prepared = reader.prepare(range) => prepared,
            () = order.gone() => return Ok(ask_the_origin(reader, ctx)),
        };
        match prepared {
            Ok(()) => Ok(allowed),
            Err(why) => Ok(lacking(reader, why, ctx)),
        }
    }
}

/// How a request is answered for which so much is there.
fn note(coverage: Coverage, is_stale: bool, ctx: &mut Context) {
    ctx.collapsed = coverage == Coverage::Coming;
    ctx.handling = match coverage {
        Coverage::Stored if is_stale => Handling::Stale,
        Coverage::Stored | Coverage::Elsewhere => Handling::Hit,
        Coverage::Coming | Coverage::Partial => Handling::Partial,
    };
    if coverage == Coverage::Elsewhere {
        ctx.detail = Some("tier");
    }
}

/// What may be done with what was found.
enum Use {
    /// It is kept no longer.
    Nothing,
    /// It depends on how fresh it is.
    After(Reuse),
}

impl Proxy {
    /// Whether what was found answers the request, forced to count as fresh where it is not; or what
    /// is done instead.
    fn good_for(
        &self,
        session: &mut Session,
        reader: &mut Reader,
        is_fresh: bool,
        ctx: &mut Context,
    ) -> ControlFlow<Result<Option<ForcedFreshness>>, Option<ForcedFreshness>> {
        let ask = |freshness| ControlFlow::Break(Ok(freshness));
        if ctx.failed.is_some() || reader.order().is_absent() || ctx.grant == Some(Grant::Refresh) {
            // It has been tried for long enough, or is not wanted.
            return ask(ask_the_origin(reader, ctx));
        }
        if ctx.errand.is_some() {
            // It is there: nobody reads it.
            session.req_header_mut().set_method(Method::HEAD);
        }
        if !reader.order().is_content_with(reader.board().object()) {
            // It may have been purged: the origin is to say whether it is good.
            (ctx.insisted, ctx.detail) = (ctx.is_behind, Some("purges"));
            return ask(Some(ForcedFreshness::ForceExpired));
        }
        match self.reuse(reader, is_fresh, ctx) {
            Use::Nothing => {
                reader.give_up();
                ask(ask_the_origin(reader, ctx))
            }
            Use::After(Reuse::Fresh) => ControlFlow::Continue(None),
            Use::After(Reuse::StaleAllowed) if reader.coverage(None) == Coverage::Stored => {
                ControlFlow::Continue(Some(ForcedFreshness::ForceFresh))
            }
            Use::After(Reuse::Stale | Reuse::StaleAllowed) => {
                ControlFlow::Break(not_fresh(session, reader, ctx))
            }
            Use::After(Reuse::Expired) => ask(Some(ForcedFreshness::ForceExpired)),
            Use::After(Reuse::Insisted) => {
                ctx.insisted = true;
                reader.order().want_word_since(ctx.asked_at);
                ask(Some(ForcedFreshness::ForceExpired))
            }
        }
    }

    /// `is_fresh` is pingora-cache's word of a moment ago, which this is not to contradict.
    fn reuse(&self, reader: &Reader, is_fresh: bool, ctx: &mut Context) -> Use {
        let meta = reader.board().object().meta();
        let now = SystemTime::now();
        ctx.bound_to_ask = false;
        let keep = ctx.route().route.freshness.keep;
        let stale_for = now.duration_since(meta.fresh_until).unwrap_or_default();
        if !is_fresh && keep.is_some_and(|keep| stale_for > keep) {
            return Use::Nothing;
        }
        let control = ResponseControl::of(&meta.headers);
        ctx.bound_to_ask = !is_fresh && control.forbids_stale();
        let stored = Stored {
            control: &control,
            epoch: meta.epoch,
            fresh_until: meta.fresh_until,
            validated: meta.validated,
        };
        let now = if is_fresh {
            now.min(meta.fresh_until)
        } else {
            now
        };
        Use::After(reuse(&ctx.client, &stored, ctx.asked_at, now))
    }
}

/// Something of the object can't be had.
fn lacking(reader: &Reader, why: FillError, ctx: &mut Context) -> Option<ForcedFreshness> {
    match why {
        // The version that is stored can't be served to its end any more: begin anew.
        FillError::Changed | FillError::Lost => reader.give_up(),
        // The origin has something of its own to say to this client. What is there stays.
        FillError::Refused(status) if status.is_client_error() => {}
        // What is there stays; this request is answered with an error.
        why => ctx.failed = Some(why),
    }
    ask_the_origin(reader, ctx)
}

/// What is stored is of no use to this request.
fn ask_the_origin(reader: &Reader, ctx: &mut Context) -> Option<ForcedFreshness> {
    (ctx.handling, ctx.collapsed) = (Handling::Unknown, false);
    reader.order().insist();
    Some(ForcedFreshness::ForceMiss)
}

/// An object of which something lacks is not served stale: what lacks may not be had any more.
fn not_fresh(
    session: &mut Session,
    reader: &Reader,
    ctx: &Context,
) -> Result<Option<ForcedFreshness>> {
    // The background revalidation is made of this request's head.
    as_http1(session, &ctx.host)?;
    let whole = reader.coverage(None) == Coverage::Stored;
    Ok((!whole).then_some(ForcedFreshness::ForceExpired))
}
