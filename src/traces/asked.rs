//! One server that is asked for a request's sake, from its choice to the end of its answer.

use super::{
    context::{SpanId, TRACEPARENT, TRACESTATE},
    span::{Attributes, Value},
    trace::{Step, Told, Trace},
};
use http::{HeaderName, HeaderValue, StatusCode};
use std::{borrow::Cow, sync::Arc, time::Instant};

/// A server that is being asked. What came of it is told when this is dropped.
#[derive(Debug)]
pub struct Asked {
    trace: Arc<Trace>,
    span: Option<Answering>,
}

/// What is known so far of how a server answers.
#[derive(Debug)]
struct Answering {
    id: SpanId,
    began: Instant,
    attributes: Attributes,
    has_head: bool,
    bytes: u64,
    failure: Option<Cow<'static, str>>,
}

impl Asked {
    /// A server is about to be asked. What there is to say of it is asked only where it is told.
    pub fn begin(trace: &Arc<Trace>, now: Instant, say: impl FnOnce() -> Attributes) -> Self {
        let span = trace.takes(Step::Origin).then(|| Answering {
            id: SpanId::random(),
            began: now,
            attributes: say(),
            has_head: false,
            bytes: 0,
            failure: None,
        });
        Self {
            trace: trace.clone(),
            span,
        }
    }

    /// The fields by which a server learns whose part its own is. It learns it, too, where nothing
    /// is recorded here: so it does not record a part of a trace that lacks the rest.
    pub fn fields(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let place = self.trace.place();
        let parent = match &self.span {
            Some(span) => place.with(span.id).traceparent(),
            None => place.traceparent(),
        };
        let state = place.state.clone().map(|state| (TRACESTATE, state));
        [(TRACEPARENT, parent)].into_iter().chain(state)
    }

    /// There is more to say of it, which is asked only where it is told.
    pub fn say<V: Into<Value>>(&mut self, name: &'static str, value: impl FnOnce() -> V) {
        if let Some(span) = &mut self.span {
            span.say(name, value());
        }
    }

    /// The head of its answer has come.
    pub fn head(&mut self, status: StatusCode, now: Instant) {
        if let Some(span) = &mut self.span {
            span.has_head = true;
            let took = now.saturating_duration_since(span.began);
            span.say("http.response.status_code", status.as_u16());
            span.say("tidegate.first_byte_ms", took);
        }
    }

    /// Bytes of its answer's body have come.
    pub fn received(&mut self, bytes: u64) {
        if let Some(span) = &mut self.span {
            span.bytes += bytes;
        }
    }

    /// It has failed, for a reason of a closed set.
    pub fn failed(&mut self, reason: Cow<'static, str>) {
        if let Some(span) = &mut self.span {
            span.failure = Some(reason);
        }
    }
}

impl Answering {
    fn say(&mut self, name: &'static str, value: impl Into<Value>) {
        self.attributes.push((name, value.into()));
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(mut span) = self.span.take() else {
            return;
        };
        if span.has_head {
            span.say("http.response.body.size", span.bytes);
        }
        let has_failed = span.failure.is_some();
        match span.failure.take() {
            Some(reason) => span.say("error.type", reason),
            // Another was faster, or nobody waits for it any more.
            None if !span.has_head => span.say("tidegate.abandoned", true),
            None => {}
        }
        let time = span.began..super::now();
        let said = Told {
            attributes: span.attributes,
            has_failed,
            link: None,
        };
        self.trace.tell_step(Step::Origin, span.id, time, said);
    }
}
