//! The head of an answer as it goes out to its client.

use super::{
    client::{Date, NextHead, announce},
    context::Context,
    delivery::{announced, deliver},
    foundation::Proxy,
    headers,
};
use crate::cache::Obstacle;
use http::{HeaderValue, Method, StatusCode, header};
use pingora_cache::CachePhase;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

impl Proxy {
    /// Makes the final head what its client gets, and decides how its body is sent.
    pub(super) async fn send_off(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        ctx.conclude(session);
        let obstacle = self.storage.fills().store().obstacle();
        ctx.unkept = obstacle.map(Obstacle::label);
        self.hold_back(session, response, ctx).await?;
        // Pingora applies conditions and ranges only to what is stored.
        if ctx.kept_back && !session.cache.enabled() && response.status == StatusCode::OK {
            let total = announced(response);
            let delivery = deliver(&ctx.asked, response, total, ctx.terms.clients.max_ranges);
            let (trim, has_body) = super::answer::apply_to_passed(delivery, response)?;
            ctx.trim = trim;
            ctx.drops_body |= !has_body;
        }
        self.complete(session, response, ctx)?;
        response.set_reason_phrase(None)?;
        // Pingora makes a GET of a HEAD, and we a 304 of a 200, for answers that are not stored
        // in the end: over HTTP/2 nothing else would hold their body back.
        ctx.drops_body |= session.req_header().method == Method::HEAD
            || response.status == StatusCode::NOT_MODIFIED;
        let who = &ctx.terms.identifier;
        let field = ctx.done().member(who);
        let value = HeaderValue::try_from(field)
            .map_err(|e| Error::because(ErrorType::InternalError, "Cache-Status", e))?;
        response.append_header("Cache-Status", value)?;
        response.append_header(header::VIA, headers::via(http::Version::HTTP_11))?;
        if ctx.brings_more_than(response, session.req_header()) {
            session.as_downstream_mut().set_keepalive(None);
        }
        let has_ranges =
            session.cache.enabled() && response.headers.contains_key(header::CONTENT_LENGTH);
        if has_ranges
            && matches!(
                response.status,
                StatusCode::OK | StatusCode::PARTIAL_CONTENT
            )
        {
            response.insert_header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))?;
        }
        ctx.share(response)?;
        ctx.tell_name(response)?;
        if let Some(bound) = &ctx.route {
            let is_part = response.status == StatusCode::PARTIAL_CONTENT;
            ctx.pieces = bound.route.sending.of(is_part);
            // What the cache reads has its pace there, where nothing waits behind it.
            let pace = bound.route.pace.filter(|_| !session.cache.enabled());
            ctx.pacer = pace.map(|pace| pace.pacer(None));
            ctx.backlog.cut(pace.map(|pace| pace.step()));
            if bound.route.debug_headers {
                super::answer::explain(response, session)?;
            }
            bound.route.response_headers.apply(response)?;
        }
        let with_body = has_its_body_at_hand(session, response.status);
        let date = Date::of(&response.headers);
        announce(session, date.map(|date| NextHead { date, with_body }));
        self.fetch_ahead(session, response, ctx);
        Ok(())
    }
}

/// Whether the first bytes of an answer's body come right after its head: of a hit they have been
/// read before.
fn has_its_body_at_hand(session: &Session, status: StatusCode) -> bool {
    session.cache.phase() == CachePhase::Hit
        && session.req_header().method == Method::GET
        && matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT)
}
