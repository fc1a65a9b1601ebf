//! A request that has come: what of it counts, whether it may go on, and what is wanted by it.

use super::{
    Mode, bypass::Grant, client::Link, context::Context, delivery::Asked, departure::await_answer,
    error, foundation::Proxy, headers, malformed::Malformed, prefetch, strict, up_to_date,
};
use crate::{
    domain::{ObjectKey, RequestControl, split_target},
    traffic::Sending,
};
use http::{Method, StatusCode, Version, header};
use pingora_core::Result;
use pingora_proxy::Session;
use std::{sync::Arc, time::SystemTime};

impl Proxy {
    /// Before anything of it counts: how long its client may take, and what it is where it is one
    /// of our own.
    pub(super) fn meet(&self, session: &mut Session, ctx: &mut Context) -> Result<()> {
        // From now on what is written is an answer of the hooks.
        if let Some(link) = Link::of(session) {
            let is_http1 = session.as_downstream().as_http1().is_some();
            let headers = &session.req_header().headers;
            link.head_has_come(is_http1 && headers.contains_key(header::TRANSFER_ENCODING));
        }
        ctx.errand = prefetch::take_errand(session)?;
        // The background revalidation of stale-while-revalidate replays the client's request. It
        // wants to know whether the object has changed, not to read it, whatever the client wanted.
        if session.subrequest_ctx.is_some() && ctx.errand.is_none() {
            let request = session.req_header_mut();
            request.set_method(Method::HEAD);
            for name in [header::RANGE, header::CACHE_CONTROL, header::PRAGMA] {
                request.remove_header(&name);
            }
        }
        // Interim answers are not for HTTP/1.0, which knows none.
        if session.req_header().version < Version::HTTP_11 {
            session.req_header_mut().remove_header(&header::EXPECT);
            session.as_downstream_mut().set_ignore_info_resp(true);
        }
        let clients = &ctx.terms.clients;
        let downstream = session.as_downstream_mut();
        // Only for a connection that the client wants to keep.
        if downstream.get_keepalive().is_some() {
            let idle = self.connections.idle_timeout(clients.idle_timeout);
            downstream.set_keepalive(Some(idle.as_secs().max(1)));
        }
        downstream.set_total_drain_timeout(Some(clients.read_timeout));
        downstream.set_read_timeout(Some(clients.read_timeout));
        // For answers of our own; those of a route have theirs, segment by segment.
        downstream.set_write_timeout(Some(Sending::default().whole.least_time));
        // Lets an HTTP/1 client that stands still not hold up what it brings in.
        session.set_proxy_tasks_enabled(true);
        // What the answer's chunk still lacks when the client has its part comes in within this
        // request; the client's next one on the connection waits its turn meanwhile.
        session.as_downstream_mut().set_pipelining_enabled(true);
        Ok(())
    }

    /// Makes an order of it; true where it has been answered instead.
    pub(super) async fn receive(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        // Before the client may say which fields go no further.
        let terms = ctx.terms.clone();
        ctx.address = terms.clients.client_of(session);
        ctx.id = Some(terms.clients.id_of(session));
        ctx.trail = self.trail_of(session, ctx);
        if let Some(guard) = &terms.guard {
            ctx.grant = guard.admit(session.req_header_mut(), SystemTime::now());
        }
        if let Err(what) = strict::check(session, &terms.clients) {
            return self.refuse(session, ctx, what).await;
        }
        headers::drop_named(session.req_header_mut());
        let as_of = up_to_date::take_out(session.req_header_mut());
        if let Some(id) = &ctx.id {
            id.name(session.req_header_mut())?;
        }
        let request = session.req_header();
        let Some(host) = headers::host(request) else {
            return self.refuse(session, ctx, Malformed::Host).await;
        };
        if request.method.as_str() == "PURGE" {
            ctx.host = host;
            return self.answer_purge(session, ctx).await;
        }
        let target = headers::target(request);
        let Some(bound) = self.routes.find(&host, split_target(&target).0) else {
            return error::answer(session, ctx, StatusCode::NOT_FOUND, "no-route").await;
        };
        ctx.host = host;
        let path = split_target(&target).0;
        if self.turns_away(session, ctx, &bound, path).await? {
            return Ok(true);
        }
        let request = session.req_header();
        let target = match bound.route.access.signed {
            // Without the token that it may have had.
            Some(_) => headers::target(request),
            None => target,
        };
        if bound.upstream.refuses(split_target(&target).0) {
            return error::answer(session, ctx, StatusCode::BAD_REQUEST, "dot-segments").await;
        }
        if matches!(request.method, Method::CONNECT | Method::TRACE) {
            return error::answer(session, ctx, StatusCode::METHOD_NOT_ALLOWED, error::METHOD)
                .await;
        }
        if headers::is_at_its_last_hop(request) {
            return error::answer(session, ctx, StatusCode::NO_CONTENT, error::LAST_HOP).await;
        }
        let Ok(keyed) = self.keyed(&bound.route, &ctx.host, &target, request) else {
            return error::answer(session, ctx, StatusCode::BAD_REQUEST, "variant").await;
        };
        ctx.asked = Asked::of(&request.method, &request.headers);
        if bound.route.freshness.client_control {
            ctx.client = RequestControl::of(&request.headers);
        }
        ctx.key = keyed.key.as_ref().map_or_else(Vec::new, ObjectKey::encode);
        ctx.keyed = keyed;
        ctx.stores_first =
            bound.route.mode == Mode::StoreFirst && Context::waits_for(&request.method, session);
        let order = self.order(&bound, session, ctx);
        if let Some(as_of) = as_of {
            self.catch_up(as_of, session, ctx).await;
        }
        self.distrust(&order, ctx);
        if ctx.grant == Some(Grant::Refresh) {
            order.renew();
        }
        await_answer(session, order.client.clone());
        ctx.order = Some(Arc::new(order));
        Ok(false)
    }

    /// Answers a request of which nothing can be made.
    async fn refuse(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        what: Malformed,
    ) -> Result<bool> {
        self.stats.malformed(what);
        error::answer(session, ctx, what.status(), what.label()).await
    }
}
