//! A request as a part of a trace: taken up when it comes, told when it has ended.

use super::{
    context::Context,
    error::Cause,
    foundation::Proxy,
    journal::{self, Failure},
    request_id::RequestId,
};
use crate::{
    domain::without_port,
    logs,
    origin::Trail,
    traces::{Attributes, Clock, Ending, Queue, Rules, TRACEPARENT, TRACESTATE, Trace, Value},
};
use http::{Method, Version, header};
use pingora_proxy::Session;
use std::{sync::Arc, time::Instant};

/// By what rules requests are recorded, and how they are told.
#[derive(Debug)]
pub struct Tracer {
    rules: Rules,
    queue: Arc<Queue>,
    /// What of queries is not told: the same that is not written down.
    hidden: logs::Rules,
    secrets: Vec<String>,
}

impl Tracer {
    /// One that puts what is told into a queue. Of queries it leaves out what `hidden` does, and
    /// these parameters.
    pub fn new(rules: Rules, queue: Arc<Queue>, hidden: logs::Rules, secrets: Vec<String>) -> Self {
        Self {
            rules,
            queue,
            hidden,
            secrets,
        }
    }

    /// Takes up a request that has come. What it says of where it stands in a trace ends here,
    /// believed or not: whoever is asked for its sake hears it from us, and nobody stores it.
    fn begin(&self, session: &mut Session, ctx: &Context) -> Option<Arc<Trace>> {
        let by_proxy = ctx.terms.clients.is_by_proxy(session);
        let headers = &session.req_header().headers;
        let (from, sampled) = self.rules.judge(headers, by_proxy, fastrand::f64());
        for name in [TRACEPARENT, TRACESTATE] {
            session.req_header_mut().remove_header(&name);
        }
        // Our own requests, behind a client's, are nobody's.
        if session.subrequest_ctx.is_some() {
            return None;
        }
        let clock = Clock {
            instant: ctx.began,
            date: ctx.asked_at,
        };
        let queue = sampled.then(|| self.queue.clone());
        Some(Arc::new(Trace::new(from, queue, clock)))
    }

    fn path(&self, path: &str) -> String {
        self.hidden.cleaned_path(path, &self.secrets).into_owned()
    }

    fn query(&self, query: &str) -> String {
        self.hidden.cleaned(query, &self.secrets).into_owned()
    }
}

impl Proxy {
    /// Where it is noted what a request does, if anybody wants to know.
    pub(super) fn trail_of(&self, session: &mut Session, ctx: &Context) -> Option<Arc<Trail>> {
        let tracer = ctx.terms.tracer.as_ref();
        let trace = tracer.and_then(|tracer| tracer.begin(session, ctx));
        let is_wanted = trace.is_some() || self.access_log.is_some();
        is_wanted.then(|| Arc::new(Trail::of(trace)))
    }

    /// Tells of a request that has ended, where it is recorded.
    pub(super) fn end_trace(&self, session: &Session, failure: Option<Failure>, ctx: &Context) {
        let Some(tracer) = &ctx.terms.tracer else {
            return;
        };
        let trace = ctx.trail.as_ref().and_then(|trail| trail.trace());
        if let Some(trace) = trace.filter(|trace| trace.is_recorded()) {
            let failure = failure.or(journal::lacked(ctx));
            trace.end(Instant::now(), ending(tracer, session, failure, ctx));
        }
    }
}

/// What is said of a request, in the words of OpenTelemetry's conventions for HTTP where they have
/// one for it.
fn ending(tracer: &Tracer, session: &Session, failure: Option<Failure>, ctx: &Context) -> Ending {
    let method = method(&session.req_header().method);
    let mut said = Attributes::new();
    said.push(("http.request.method", method.unwrap_or("_OTHER").into()));
    say_asked(&mut said, tracer, session, ctx);
    say_answered(&mut said, session, ctx);
    let status = journal::status(session);
    let has_failed = match failure.map(|failure| failure.cause) {
        Some(cause) => matches!(cause, Cause::Origin | Cause::Internal),
        None => status.is_none_or(|status| status >= 500),
    };
    if let Some(failure) = failure {
        said.push(("tidegate.abort", failure.cause.label().into()));
    }
    if has_failed {
        let reason = failure.and_then(|failure| journal::reason(failure, ctx));
        let cause = reason.or(failure.map(|failure| failure.cause.label()));
        let status = || status.map_or_else(|| "no answer".to_owned(), |it| it.to_string());
        let error = cause.map_or_else(|| Value::from(status()), Value::from);
        said.push(("error.type", error));
    }
    Ending {
        name: method.unwrap_or("HTTP"),
        attributes: said,
        has_failed,
    }
}

fn say_asked(said: &mut Attributes, tracer: &Tracer, session: &Session, ctx: &Context) {
    let request = session.req_header();
    let mut say = |name, text: &str| {
        if !text.is_empty() {
            said.push((name, text.to_owned().into()));
        }
    };
    say("url.scheme", scheme(session));
    say("server.address", without_port(&ctx.host));
    say("url.path", &tracer.path(request.uri.path()));
    let query = request.uri.query().map(|query| tracer.query(query));
    say("url.query", &query.unwrap_or_default());
    say("network.protocol.version", version(request.version));
    if let Some(address) = ctx.address {
        say("client.address", &address.to_string());
    }
    if let Some(id) = ctx.id.as_ref().map(RequestId::as_str) {
        say("tidegate.request_id", id);
    }
    if let Some(bound) = &ctx.route {
        say("tidegate.route", &bound.name);
    }
    if let Some(range) = request.headers.get(header::RANGE) {
        say("tidegate.range", &String::from_utf8_lossy(range.as_bytes()));
    }
}

fn say_answered(said: &mut Attributes, session: &Session, ctx: &Context) {
    let mut say = |name, value: Value| said.push((name, value));
    if let Some(status) = journal::status(session) {
        say("http.response.status_code", status.into());
    }
    let sent = session.body_bytes_sent() as u64;
    say("http.response.body.size", sent.into());
    let cache = ctx.done().say();
    say("tidegate.cache", cache.into());
    if let Some(first_byte) = journal::first_byte(ctx) {
        say("tidegate.first_byte_ms", first_byte.into());
    }
    for ((_, bytes), name) in ctx.meter.by_source().into_iter().zip(BYTES) {
        if bytes > 0 {
            say(name, bytes.into());
        }
    }
}

/// Names for bytes by where they came from, in the order of [`super::SOURCES`].
const BYTES: [&str; super::SOURCES.len()] = [
    "tidegate.bytes.memory",
    "tidegate.bytes.disk",
    "tidegate.bytes.flight",
    "tidegate.bytes.origin",
    "tidegate.bytes.passed",
];

/// A method that is known: names of spans, and what they are looked for by, are to be few.
fn method(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 10] = [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PURGE", "PUT", "TRACE",
    ];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

fn scheme(session: &Session) -> &'static str {
    let digest = session.as_downstream().digest();
    match digest.is_some_and(|digest| digest.ssl_digest.is_some()) {
        true => "https",
        false => "http",
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        Version::HTTP_09 => "0.9",
        _ => "1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::SOURCES;

    #[test]
    fn bytes_are_named_by_their_sources() {
        for (name, source) in BYTES.iter().zip(SOURCES) {
            assert_eq!(*name, format!("tidegate.bytes.{source}"));
        }
    }

    #[test]
    fn names_of_methods_are_few() {
        assert_eq!(method(&Method::GET), Some("GET"));
        assert_eq!(method(&Method::from_bytes(b"get").unwrap()), None);
    }
}
