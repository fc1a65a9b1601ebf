//! The section `clients`: how those who connect are met, whatever the route.

use super::{
    address::networks,
    credentials::{parameter, secret},
    fields::sendable_name,
    node::Value,
    rate::rate,
    scalar::{NAME, count, is_name, size, switch, text, timeout},
    spot::Spot,
};
use crate::{
    domain::{ForwardedField, Trust},
    proxy::{Bypass, Clients, RequestIds},
};

pub(super) fn clients(at: &Spot) -> Option<Clients> {
    let default = Clients::default();
    at.section(|keys| {
        Some(Clients {
            idle_timeout: keys.or("idle_timeout", default.idle_timeout, timeout),
            read_timeout: keys.or("read_timeout", default.read_timeout, timeout),
            min_rate: keys.or("min_rate", default.min_rate, size(0..=1 << 40)),
            header_timeout: keys.or("header_timeout", default.header_timeout, timeout),
            handshake_timeout: keys.or("handshake_timeout", default.handshake_timeout, timeout),
            max_header_size: keys.or(
                "max_header_size",
                default.max_header_size,
                size(1 << 10..=1 << 20),
            ),
            max_header_fields: keys.or(
                "max_header_fields",
                default.max_header_fields,
                count(1..=256),
            ),
            max_connections: keys.or(
                "max_connections",
                default.max_connections,
                count(1..=1_000_000),
            ),
            max_connections_per_address: keys
                .optional("max_connections_per_address", count(1..=1_000_000)),
            max_http2_streams: keys.or(
                "max_http2_streams",
                default.max_http2_streams,
                count(1..=10_000),
            ),
            max_requests: keys.optional("max_requests", count(1..=1_000_000)),
            max_requests_per_address: keys
                .optional("max_requests_per_address", count(1..=1_000_000)),
            purge_from: keys.or("purge_from", default.purge_from, networks),
            max_ranges: keys.or("max_ranges", default.max_ranges, count(1..=1024)),
            bypass: keys.optional("bypass", bypass),
            trusted_proxies: keys.or("trusted_proxies", default.trusted_proxies, networks),
            rate: keys.optional("rate", rate),
            trusted_field: keys.or("trusted_field", default.trusted_field, trusted_field),
            request_id: keys.or("request_id", default.request_id, request_id),
            name: keys.optional("name", name),
        })
    })
}

fn name(at: &Spot) -> Option<String> {
    let name = text(at, NAME)?;
    match is_name(name) {
        true => Some(name.to_owned()),
        false => at.expected(NAME),
    }
}

/// Where trusted proxies say whom they ask for.
fn trusted_field(at: &Spot) -> Option<ForwardedField> {
    let word = match at.value() {
        Value::Text(text) => text.as_str(),
        _ => "",
    };
    match word {
        "X-Forwarded-For" => Some(ForwardedField::XForwardedFor),
        "Forwarded" => Some(ForwardedField::Forwarded),
        _ => at.expected("X-Forwarded-For or Forwarded"),
    }
}

/// The names of requests.
fn request_id(at: &Spot) -> Option<RequestIds> {
    let default = RequestIds::default();
    at.section(|keys| {
        Some(RequestIds {
            header: keys.or("header", default.header, sendable_name),
            trust: keys.or("trust", default.trust, trust),
            show: keys.or("show", default.show, switch),
        })
    })
}

/// Whose word counts.
pub(super) fn trust(at: &Spot) -> Option<Trust> {
    match at.value() {
        Value::Text(text) if text == "trusted_proxies" => Some(Trust::Proxies),
        Value::Text(text) if text == "everybody" => Some(Trust::Everybody),
        Value::Text(text) if text == "nobody" => Some(Trust::Nobody),
        _ => at.expected("trusted_proxies, everybody or nobody"),
    }
}

/// How operators get past the cache.
fn bypass(at: &Spot) -> Option<Bypass> {
    at.section(|keys| {
        let secret = keys.required("secret", secret);
        let header = keys.optional("header", sendable_name);
        let parameter = keys.optional("parameter", parameter);
        if !keys.has("header") && !keys.has("parameter") {
            return at.refuse("expected header, parameter or both to say where the secret stands");
        }
        Some(Bypass {
            secret: secret?,
            header,
            parameter,
        })
    })
}
