//! A route's origins, in order: what both Pingora's path and the fills ask.

use super::{Client, Origin, credentials::has_dot_segments, limit::Limit, server::Place};
use crate::{
    domain::{FieldRules, Fields, Groups, Template, Variants},
    traffic::Features,
};
use http::{HeaderName, HeaderValue, StatusCode, header, uri::PathAndQuery};
use pingora_http::RequestHeader;
use regex::Regex;
use std::{sync::Arc, time::Duration};

/// A route's origins, in order, and how they are asked.
#[derive(Debug)]
pub struct Upstream {
    legs: Vec<Leg>,
    rules: Rules,
    client: Arc<Client>,
}

/// One origin of a route.
#[derive(Clone, Debug)]
pub struct Leg {
    /// The origin.
    pub origin: Arc<Origin>,
    /// The path that it is asked for, of the groups of the route's pattern; the client's own when
    /// absent.
    pub path: Option<Template>,
    /// How long its answers are fresh at most.
    pub ttl: Option<Duration>,
}

/// How a route asks its origins.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The route's pattern.
    pub pattern: Option<Regex>,
    /// The parameters that make derivatives, for paths that are made of them.
    pub variants: Variants,
    /// Statuses, beside 5xx, on which the next server is asked.
    pub next_on: Vec<StatusCode>,
    /// Fields of requests.
    pub fields: FieldRules,
    /// Switches.
    pub features: Features,
}

impl Upstream {
    /// These origins, asked in this order.
    pub fn new(legs: Vec<Leg>, rules: Rules, client: Arc<Client>) -> Self {
        Self {
            legs,
            rules,
            client,
        }
    }

    /// The origins.
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// The groups in which objects are spread over the servers of all of them.
    pub fn groups(&self) -> Groups {
        let groups = self.legs.iter().map(|leg| leg.origin.config().groups);
        groups.fold(Groups::ONE, Groups::finer)
    }

    /// Whether any of them is told the host that the client asks.
    pub fn passes_host(&self) -> bool {
        self.legs.iter().any(|leg| leg.origin.config().pass_host)
    }

    /// Whether anybody waits for a place at one of them.
    pub fn is_waited_for(&self) -> bool {
        let mut limits = self.legs.iter().map(|leg| leg.origin.limit());
        limits.any(|limit| limit.is_waited_for())
    }

    /// Whether the one that is asked first has a place for one more.
    pub fn has_room(&self) -> bool {
        self.first().is_some_and(|limit| limit.has_room())
    }

    /// Whether the one that is asked first has so much to do that nobody should take a place there
    /// for long.
    pub fn is_crowded(&self) -> bool {
        self.first().is_some_and(|limit| limit.is_crowded())
    }

    fn first(&self) -> Option<&Arc<Limit>> {
        Some(self.legs.first()?.origin.limit())
    }

    /// The client and its counters.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether a request's path could be taken for another one's by its `.` and `..`, where that
    /// matters: where the path is put into a template, or where we vouch for the request.
    pub fn refuses(&self, path: &str) -> bool {
        let vouches = |leg: &Leg| leg.path.is_some() || leg.origin.vouches();
        self.legs.iter().any(vouches) && has_dot_segments(path.as_bytes())
    }

    pub(super) fn features(&self) -> Features {
        self.rules.features
    }

    /// Whether an answer of this status makes another server worth asking.
    pub(super) fn goes_on(&self, status: StatusCode) -> bool {
        matches!(
            status,
            StatusCode::INTERNAL_SERVER_ERROR
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        ) || self.rules.next_on.contains(&status)
    }

    /// The target that a leg is asked for when the client asks for `target`.
    pub fn target(&self, leg: &Leg, target: &str) -> String {
        match &leg.path {
            Some(path) => path.target(self.rules.pattern.as_ref(), &self.rules.variants, target),
            None => target.to_owned(),
        }
    }

    /// Makes of a client's request one to a leg's server.
    pub(super) fn dress(
        &self,
        leg: &Leg,
        place: &Place,
        head: &mut RequestHeader,
    ) -> Result<(), String> {
        let asked = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        if leg.path.is_some() {
            let target = self.target(leg, asked);
            let target = target.parse().map_err(|e| format!("{target}: {e}"))?;
            head.set_uri(target);
        }
        if !leg.origin.config().pass_host || !head.headers.contains_key(header::HOST) {
            let host = leg.origin.config().host.as_deref();
            let host = HeaderValue::try_from(host.unwrap_or(&place.authority));
            let host = host.map_err(|e| e.to_string())?;
            set(head, header::HOST, host)?;
        }
        self.rules.fields.apply(head).map_err(|e| e.to_string())
    }
}

impl Fields for RequestHeader {
    type Error = Box<pingora_core::Error>;

    fn take_out(&mut self, name: &HeaderName) {
        self.remove_header(name);
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Self::Error> {
        self.insert_header(name, value)
    }

    fn add(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Self::Error> {
        self.append_header(name, value).map(|_| ())
    }
}

pub(super) fn set(
    head: &mut RequestHeader,
    name: HeaderName,
    value: HeaderValue,
) -> Result<(), String> {
    head.insert_header(name, value).map_err(|e| e.to_string())
}
