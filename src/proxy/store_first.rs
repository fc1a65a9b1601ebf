//! Answers that begin only when what was asked for is stored.
//!
//! A client of such a route never sees a body that breaks off because its origin did: whatever
//! fails does so before the head of the answer goes out. The store's chunks are waited for, no
//! bytes are held for it. What the store can't keep is sent as it comes in.

use super::{cache_status::Handling, context::Context, error, foundation::Proxy};
use crate::{
    cache::{FillError, Gathered, Reader},
    domain::ByteRange,
    origin::{CLIENT_LEFT, Handover},
};
use http::{Method, StatusCode};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use std::sync::Arc;

/// How the wait for an answer's body has ended.
#[derive(Clone, Debug)]
pub(super) enum Wait {
    /// The answer may begin.
    Over,
    /// Nobody is there to be answered.
    Left,
    /// What lacks can't be had.
    Failed(FillError),
}

/// What is said of an answer that had to begin early.
const NOT_KEPT: &str = "not-stored-first";

impl Proxy {
    /// Waits until all of these parts, or the whole where there are none, are stored.
    pub(super) async fn gather(
        &self,
        reader: &mut Reader,
        parts: &[ByteRange],
        ctx: &mut Context,
    ) -> Wait {
        let order = reader.order().clone();
        let wait = tokio::select! {
            biased;
            gathered = reader.gather(parts) => match gathered {
                Ok(Gathered::Stored) => Wait::Over,
                Ok(Gathered::NotKept) => {
                    ctx.detail = Some(NOT_KEPT);
                    Wait::Over
                }
                Err(why) => Wait::Failed(why),
            },
            () = order.gone() => Wait::Left,
        };
        let outcome = match &wait {
            Wait::Over if ctx.detail == Some(NOT_KEPT) => "not_kept",
            Wait::Over => "stored",
            Wait::Left => "left",
            Wait::Failed(_) => "failed",
        };
        self.stats.store_first.with_label_values(&[outcome]).inc();
        wait
    }

    /// Offers the body of the coming answer to be brought in by somebody else. It is to be where its
    /// client waits for it, as the task that answers could not do both, and in a rush, where that task
    /// has its turn too seldom.
    pub(super) fn detach_body(&self, session: &Session, ctx: &mut Context) {
        let always = ctx.stores_first || ctx.window.is_some() && self.is_rushed(ctx);
        let wanted = session.cache.enabled() || always && session.cache.bypassing();
        ctx.handover = wanted.then(Arc::<Handover>::default);
        if let (Some(handover), Some(order)) = (&ctx.handover, &ctx.order) {
            order.offer(handover.clone(), always);
        }
    }

    /// Where the route stores first, holds the head of an answer back until the body that the
    /// request itself brings in is stored. What is not stored at all is not held back.
    pub(super) async fn hold_back(
        &self,
        session: &mut Session,
        response: &ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        let Some(handover) = ctx.handover.take() else {
            return Ok(());
        };
        let was_taken = !handover.give_back();
        if !ctx.stores_first {
            return Ok(());
        }
        let has_body = !matches!(
            response.status,
            StatusCode::NOT_MODIFIED
                | StatusCode::PRECONDITION_FAILED
                | StatusCode::RANGE_NOT_SATISFIABLE
        );
        let reader = session.cache.miss_body_reader();
        let reader = reader.and_then(|reader| reader.as_any_mut().downcast_mut::<Reader>());
        let Some(reader) = reader.filter(|_| was_taken && has_body) else {
            return Ok(());
        };
        let parts = std::mem::take(&mut ctx.parts);
        match self.gather(reader, &parts, ctx).await {
            Wait::Over => {
                if self.note_withdrawn(ctx) {
                    (ctx.handling, ctx.detail) = (Handling::Passed, Some("size"));
                }
                Ok(())
            }
            Wait::Left => Err(left()),
            Wait::Failed(why) => {
                let status = error::status_of_fill(&why).as_u16();
                let e = Error::explain(ErrorType::HTTPStatus(status), why.to_string());
                ctx.failed = Some(why);
                Err(e.into_in())
            }
        }
    }
}

impl Context {
    /// Whether this request, for a route that stores first, waits for its answer's body.
    pub(super) fn waits_for(method: &Method, session: &Session) -> bool {
        method == Method::GET && session.subrequest_ctx.is_none()
    }
}

/// The end of a request whose client has left while it waited.
pub(super) fn left() -> Box<Error> {
    Error::explain(CLIENT_LEFT, "the client left before its answer was stored").into_down()
}
