//! Pingora's hooks, in the order in which a request meets them. Each only calls what decides.

use super::{
    asking::{attach, uri},
    bypass::Grant,
    cache_status::Handling,
    context::{Contact, Context},
    delivery::{Delivery, announced, deliver},
    error, first_contact,
    foundation::Proxy,
    headers, journal, store_first,
};
use crate::{
    fill::FinishWhen,
    logs::cleaned_path,
    origin::{self, digest},
};
use async_trait::async_trait;
use bytes::Bytes;
use http::{StatusCode, header};
use pingora_cache::{
    CacheKey, CacheMeta, CacheOptionOverrides, ForcedFreshness, HitHandler, NoCacheReason,
    RespCacheable, key::HashBinary,
};
use pingora_core::{Error, ErrorSource, ErrorType, Result, upstreams::peer::HttpPeer};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, RangeType, Session};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// How long a request waits for others' locks before it goes to the origin by itself.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);
/// How often a request looks up anew after waiting, before it goes to the origin by itself.
const LOCK_RETRIES: usize = 8;

#[async_trait]
impl ProxyHttp for Proxy {
    /// Boxed: the future of a request has it in several of its states at once.
    type CTX = Box<Context>;

    fn new_ctx(&self) -> Box<Context> {
        let (terms, stats) = (self.reception.terms(), &self.stats);
        Box::new(Context::new(terms, &stats.active, &self.active))
    }

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<()> {
        self.meet(session, ctx)
    }

    fn allow_spawning_subrequest(&self, session: &Session, _ctx: &Self::CTX) -> bool {
        session.subrequest_ctx.is_none()
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<bool> {
        self.receive(session, ctx).await
    }

    fn request_cache_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<()> {
        if ctx.grant == Some(Grant::Pass) || ctx.client.no_store || ctx.key.is_empty() {
            return Ok(());
        }
        let bodiless = session.as_downstream_mut().is_body_empty();
        if bodiless && headers::is_cacheable_request(session.req_header()) {
            let mut overrides = CacheOptionOverrides::default();
            overrides.wait_timeout = Some(LOCK_PATIENCE);
            overrides.max_lock_retries = Some(LOCK_RETRIES);
            session.cache.enable(
                self.storage,
                None,
                Some(self.predictor),
                Some(self.lock),
                Some(overrides),
            );
        }
        Ok(())
    }

    fn cache_key_callback(&self, _session: &Session, ctx: &mut Self::CTX) -> Result<CacheKey> {
        let mut key = CacheKey::new(ctx.key.clone(), "");
        if let Some(order) = &ctx.order {
            key.extensions.insert(order.clone());
        }
        Ok(key)
    }

    fn cache_vary_filter(
        &self,
        meta: &CacheMeta,
        _ctx: &mut Self::CTX,
        request: &RequestHeader,
    ) -> Option<HashBinary> {
        headers::variance(meta.headers(), &request.headers)
    }

    async fn cache_hit_filter(
        &self,
        session: &mut Session,
        meta: &CacheMeta,
        handler: &mut HitHandler,
        is_fresh: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<ForcedFreshness>> {
        self.found(session, meta, handler, is_fresh, ctx).await
    }

    async fn proxy_upstream_filter(
        &self,
        session: &mut Session,
        ctx: &mut Self::CTX,
    ) -> Result<bool> {
        if ctx.order.as_ref().is_some_and(|order| order.is_absent()) {
            return Err(store_first::left());
        }
        match ctx.failed.take() {
            None if ctx.client.only_if_cached => {
                let status = StatusCode::GATEWAY_TIMEOUT;
                error::answer(session, ctx, status, "only-if-cached").await?;
                Ok(false)
            }
            None => Ok(true),
            Some(why) => {
                if journal::is_news(&why) {
                    let path = cleaned_path(session.req_header().uri.path());
                    log::warn!("{}{path}: {why}", ctx.host);
                }
                ctx.lacked = Some(why.label());
                error::answer_for_fill(session, ctx, &why).await?;
                Ok(false)
            }
        }
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _ctx: &mut Self::CTX,
    ) -> Result<Box<HttpPeer>> {
        Ok(Box::new(origin::peer()))
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        _session: &mut Session,
        mut e: Box<Error>,
        _ctx: &mut Self::CTX,
        _client_reused: bool,
    ) -> Box<Error> {
        // What could be repeated has been, behind the session.
        e.retry.decide_reuse(false);
        // A request that went on for the sake of the cache after its client had left: Pingora does
        // not say whose doing its end is.
        let is_nobodys = *e.esource() == ErrorSource::Unset;
        if is_nobodys && *e.etype() == ErrorType::WriteError {
            return e.into_down();
        }
        e
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        ctx.sent = Some(Instant::now());
        headers::strip_request(request);
        headers::count_hop(request)?;
        request.set_uri(uri(&ctx.keyed.target)?);
        ctx.keyed.fields.apply(request)?;
        request.append_header(header::VIA, self.hop.via(session.req_header().version))?;
        if ctx.route().upstream.passes_host() {
            request.insert_header(header::HOST, ctx.host.as_str())?;
        }
        ctx.window = None;
        ctx.backlog = Arc::default();
        ctx.backlog
            .cut(ctx.route().route.pace.map(|pace| pace.step()));
        if session.cache.enabled() || session.cache.bypassing() {
            request.remove_header(&header::ACCEPT_ENCODING);
        }
        ctx.kept_back = session.cache.enabled();
        if ctx.kept_back {
            ctx.window = self.window(session, ctx);
        }
        if let Some(window) = ctx.window {
            let field = format!("bytes={}-{}", window.start(), window.last());
            request.insert_header(header::RANGE, field)?;
        }
        let in_doubt = ctx.kept_back && self.storage.fills().doubts().take(digest(&ctx.key));
        if in_doubt || ctx.is_behind {
            request.insert_header(header::CACHE_CONTROL, "no-cache")?;
        }
        self.detach_body(session, ctx);
        if let Some(order) = &ctx.order {
            order.asks(self.storage.fills().store().mark());
        }
        self.say_as_of(request, ctx)?;
        let call = self.call(session, ctx);
        attach(request, call);
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        if response.status.is_informational() {
            return Ok(());
        }
        if let Some(errand) = &ctx.errand
            && !errand.admits(response)
        {
            let why = "it is larger than what is fetched ahead";
            return Err(Error::explain(error::UNWANTED, why).into_down());
        }
        headers::strip_hop_by_hop(response);
        response.remove_header(&header::WARNING);
        if response.status == StatusCode::OK {
            // It means nothing there (RFC 9110, section 14.4).
            response.remove_header(&header::CONTENT_RANGE);
        }
        self.invalidate(session, response, ctx).await;
        self.compare_head(session, response, ctx).await?;
        if session.cache.bypassing() && response.status == StatusCode::OK {
            // Known not to be stored, but it may be by now.
            return first_contact::prepare(response, ctx).map(|_| ());
        }
        if !session.cache.enabled() {
            return Ok(());
        }
        if response.status == StatusCode::NOT_MODIFIED {
            // What is stored is current.
            response.remove_header(&header::ETAG);
            ctx.not_modified = Some(response.headers.clone());
            return Ok(());
        }
        self.first_contact(session, response, ctx)
    }

    fn upstream_response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        if let Some(piece) = body {
            let room = ctx.order.as_ref().map_or(0, |order| order.room_for_more());
            ctx.backlog
                .note_seen(room.saturating_sub(piece.len() as u64));
        }
        self.note_withdrawn(ctx);
        // Its client reads the store: what is not kept of it is of no use to anybody.
        if session.cache.enabled() && ctx.order.as_ref().is_some_and(|order| order.has_landed()) {
            ctx.backlog.end();
            return Ok(None);
        }
        match ctx.order.as_ref().is_some_and(|order| order.is_unwanted()) {
            true => Err(Error::explain(error::UNWANTED, "nobody wants more of it").into_down()),
            false => Ok(None),
        }
    }

    fn response_cache_filter(
        &self,
        session: &Session,
        response: &ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<RespCacheable> {
        let mut head = response.clone();
        if let Some(fields) = ctx.not_modified.take() {
            first_contact::lay_over(&mut head, &fields)?;
        }
        if ctx.close_delimited {
            ctx.detail = Some("close-delimited");
            return Ok(RespCacheable::Uncacheable(NoCacheReason::Custom(
                "close-delimited",
            )));
        }
        match self.judge(session, &head, ctx) {
            Ok(fresh) => {
                let mut meta = self.kept(head, &fresh, &mut ctx.withheld)?;
                if let Some(incoming) = ctx.incoming {
                    meta.extensions_mut().insert(incoming);
                }
                // Its readers have their pace, and what comes in none.
                ctx.backlog.cut(None);
                Ok(RespCacheable::Cacheable(meta))
            }
            Err(refusal) => {
                ctx.detail = Some(refusal.as_str());
                Ok(RespCacheable::Uncacheable(first_contact::reason(
                    response.status,
                    refusal,
                )))
            }
        }
    }

    fn should_serve_stale(
        &self,
        _session: &mut Session,
        _ctx: &mut Self::CTX,
        error: Option<&Error>,
    ) -> bool {
        // The windows are zero where the origin forbids it; an error must be the origin's.
        error.is_none_or(|e| e.esource() == &pingora_core::ErrorSource::Upstream)
    }

    fn cache_not_modified_filter(
        &self,
        _session: &Session,
        response: &ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<bool> {
        if response.status.is_informational() {
            return Ok(false);
        }
        Ok(deliver(
            &ctx.asked,
            response,
            announced(response),
            ctx.terms.clients.max_ranges,
        ) == Delivery::NotModified)
    }

    fn range_header_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> RangeType {
        if response.status.is_informational() {
            return RangeType::None;
        }
        let delivery = deliver(
            &ctx.asked,
            response,
            announced(response),
            ctx.terms.clients.max_ranges,
        );
        if let Delivery::Parts(parts) = &delivery {
            ctx.parts.clone_from(parts);
        }
        let applied = super::answer::apply(delivery, response, session.req_header());
        let range = applied.unwrap_or_else(|e| {
            log::error!("the head of an answer could not be made: {e}");
            RangeType::None
        });
        if range == RangeType::Invalid
            && let Some(order) = &ctx.order
        {
            order.answer_without_body();
        }
        range
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        match response.status.is_informational() {
            true => Ok(()),
            false => self.send_off(session, response, ctx).await,
        }
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        if ctx.drops_body {
            *body = None;
        }
        if let (Some(trim), Some(bytes)) = (&mut ctx.trim, &mut *body) {
            *bytes = trim.take(bytes);
        }
        let length = body.as_ref().map_or(0, Bytes::len);
        self.count_part(length, ctx);
        let downstream = session.as_downstream_mut();
        let given = downstream.body_bytes_sent() as u64;
        let took = ctx.first_byte.map_or(Duration::ZERO, |at| at.elapsed());
        downstream.set_write_timeout(Some(ctx.pieces.patience(length, given, took)));
        let pacer = ctx.pacer.as_mut();
        Ok(pacer.and_then(|pacer| pacer.hold(Instant::now(), length)))
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        e: &Error,
        ctx: &mut Self::CTX,
    ) -> FailToProxy {
        error::fail(session, e, ctx).await
    }

    fn request_summary(&self, session: &Session, ctx: &Self::CTX) -> String {
        journal::summary(session, ctx)
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &Self::CTX, _error: &Error) -> bool {
        // `logging` says what there is to say.
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        ctx: &Self::CTX,
        error: &Error,
        context: ProxyWarnLogContext,
    ) -> bool {
        if matches!(context, ProxyWarnLogContext::DownstreamCache) {
            let is_slow = *error.etype() == ErrorType::WriteTimedout;
            ctx.was_slow.fetch_or(is_slow, Relaxed);
            if let Some(order) = &ctx.order {
                order.client_left();
            }
            // What is to be brought in whoever reads it waits on.
            if ctx.route().route.finish_when != FinishWhen::Always {
                ctx.report.need().client_left();
            }
            return true;
        }
        ctx.contact != Contact::Window
    }

    async fn logging(&self, session: &mut Session, e: Option<&Error>, ctx: &mut Self::CTX) {
        if ctx.handling == Handling::Unknown {
            ctx.conclude(session);
        }
        self.note_withdrawn(ctx);
        if ctx.errand.is_some() {
            return self.came_ahead(session, e.is_some(), ctx);
        }
        self.count(session, ctx);
        let failure = journal::failure(e, ctx);
        if let Some(failure) = failure {
            let aborts = &self.stats.aborts;
            aborts.with_label_values(&[failure.cause.label()]).inc();
            self.speak_of(session, failure, ctx);
        }
        self.write_down(session, failure, ctx);
        self.end_trace(session, failure, ctx);
    }
}
