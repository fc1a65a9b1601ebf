//! The section `routes`: which requests, which origins, and how they are kept.

use super::{
    access::access,
    cors::cors,
    delivery::{delivery, pace},
    fields, freshness,
    key::key,
    legs::{Known, origins, template},
    matching::{Reach, reach, refuse_unreachable},
    node::Value,
    prefetch::prefetch,
    rate::rates,
    scalar::{show_bytes, size, status, switch},
    section::Section,
    spot::Spot,
    storage::{LARGEST, chunk_size, finish_when, least_store},
    variants::variants,
};
use crate::{
    domain::{Sizes, Variants},
    origin::Config,
    proxy::{KeyRules, Mode, Route},
    traffic::Features,
};

/// What routes refer to elsewhere in the configuration; `None` where that itself is wrong.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    /// The names of all origins.
    pub(super) origins: Option<Vec<&'a str>>,
    /// Those of them that are without mistakes.
    pub(super) read: Vec<&'a Config>,
    /// What the store may take on disk.
    pub(super) max_size: Option<u64>,
}

pub(super) fn routes(at: &Spot, around: &Surroundings) -> Option<Vec<Route>> {
    let mut earlier = Vec::new();
    let mut routes = Vec::new();
    for item in at.items("route")? {
        let route = item.section(|keys| {
            let reach = reach(&item, keys);
            if let Some(reach) = &reach {
                refuse_unreachable(&item, reach, &earlier);
                earlier.push(reach.clone());
            }
            route(keys, reach, around)
        });
        routes.extend(route);
    }
    Some(routes)
}

fn route(keys: &mut Section, reach: Option<Reach>, around: &Surroundings) -> Option<Route> {
    let matcher = reach.as_ref().map(|reach| &reach.matcher);
    let variants = match keys.has("variants") {
        true => keys.optional("variants", |at| variants(at, matcher)),
        false => keys.or("variants", Some(Variants::default()), |_| None),
    };
    let known = Known {
        origins: around.origins.as_deref(),
        matcher,
        variants: variants.as_ref(),
    };
    let path = keys.optional("origin_path", |at| template(at, &known));
    let origins = keys.required("origins", |at| origins(at, &known, path.as_ref()));
    let next_on = |at: &Spot| at.distinct("status", status(400..=499));
    let next_on = keys.optional("next_on", next_on);
    let request_headers = keys.optional("request_headers", fields::of_requests);
    let response_headers = keys.optional("response_headers", fields::of_responses);
    let key = keys.optional("key", |at| key(at, variants.as_ref()));
    let freshness = freshness::rules(keys);
    let asked = origins.iter().flatten();
    let asked = asked.filter_map(|leg| around.read.iter().find(|origin| origin.name == leg.name));
    let asked: Vec<&Config> = asked.copied().collect();
    if let Some(key) = &key {
        refuse_shared_host(keys, key, &asked);
    }
    let chunk_size = keys.optional("chunk_size", |at| fitting_chunk_size(at, around, &asked));
    let sizes = sizes(keys, around);
    let mode = keys.optional("mode", mode);
    let sending = keys.optional("delivery", delivery);
    let pace = keys.optional("pace", pace);
    let finish_when = keys.optional("finish_when", finish_when);
    let debug_headers = keys.optional("debug_headers", switch);
    let features = keys.optional("features", features);
    let access = keys.optional("access", access);
    let rates = keys.optional("rate", rates);
    let cors = keys.optional("cors", cors);
    let prefetch = keys.optional("prefetch", prefetch);
    let tier = keys.optional("tier", switch);
    let default = reach?.route();
    Some(Route {
        origins: origins?,
        next_on: next_on.unwrap_or(default.next_on),
        request_headers: request_headers.unwrap_or(default.request_headers),
        response_headers: response_headers.unwrap_or(default.response_headers),
        key: key.unwrap_or(default.key),
        variants: variants?,
        freshness,
        chunk_size,
        sizes,
        mode: mode.unwrap_or(default.mode),
        sending: sending.unwrap_or(default.sending),
        pace,
        finish_when: finish_when.unwrap_or(default.finish_when),
        debug_headers: debug_headers.unwrap_or(default.debug_headers),
        features: features.unwrap_or(default.features),
        access: access.unwrap_or(default.access),
        rates: rates.unwrap_or(default.rates),
        cors,
        prefetch,
        tier: tier.unwrap_or(default.tier),
        ..default
    })
}

/// The sizes of objects that are kept. A store that could not hold them contradicts.
fn sizes(keys: &mut Section, around: &Surroundings) -> Sizes {
    let default = Sizes::default();
    let min = keys.optional("min_size", size(0..=LARGEST));
    let max = keys.optional("max_size", size(1..=LARGEST));
    let sizes = Sizes {
        min: min.unwrap_or(default.min),
        max: max.unwrap_or(default.max),
    };
    if sizes.min > sizes.max {
        keys.refuse(
            "min_size",
            format!("expected at most max_size ({})", show_bytes(sizes.max)),
        );
    }
    for (key, given) in [("min_size", min), ("max_size", max)] {
        let room = around.max_size.unwrap_or(u64::MAX);
        if given.is_some_and(|given| given > room) {
            let room = show_bytes(room);
            keys.refuse(key, format!("expected at most cache.max_size ({room})"));
        }
    }
    sizes
}

fn mode(at: &Spot) -> Option<Mode> {
    match at.value() {
        Value::Text(text) if text == "streaming" => Some(Mode::Streaming),
        Value::Text(text) if text == "store_first" => Some(Mode::StoreFirst),
        _ => at.expected("streaming or store_first"),
    }
}

fn features(at: &Spot) -> Option<Features> {
    let default = Features::default();
    at.section(|keys| {
        let features = Features {
            breaker: keys.or("breaker", default.breaker, switch),
            priority_queue: keys.or("priority_queue", default.priority_queue, switch),
            speculation: keys.or("speculation", default.speculation, switch),
            preconnect: keys.or("preconnect", default.preconnect, switch),
            hedging: keys.or("hedging", default.hedging, switch),
            parallel_fetches: keys.or("parallel_fetches", default.parallel_fetches, switch),
        };
        if features.preconnect && !features.speculation {
            keys.refuse(
                "preconnect",
                "contradicts speculation: false, of which it is a part",
            );
        }
        Some(features)
    })
}

/// Whoever asks first would choose by the host what all others get.
fn refuse_shared_host(keys: &Section, key: &KeyRules, asked: &[&Config]) {
    let passing = asked.iter().find(|origin| origin.pass_host);
    if let Some(origin) = passing.filter(|_| key.host.is_some()) {
        let why = format!(
            "host contradicts pass_host of the origin {}, which would get the host of whoever asks \
             first; leave out one of the two",
            origin.name
        );
        keys.refuse("key", why);
    }
}

/// A grid on which the store still holds enough chunks, none of which lies in two groups.
fn fitting_chunk_size(at: &Spot, around: &Surroundings, asked: &[&Config]) -> Option<u32> {
    let chunk = chunk_size(at)?;
    let group = |origin: &&Config| origin.groups.size().map(|size| (size, origin.name.clone()));
    if let Some((size, name)) = asked.iter().filter_map(group).min()
        && size < chunk.into()
    {
        return at.refuse(format!(
            "expected at most the hash_group of the origin {name} ({}), found {}",
            show_bytes(size),
            show_bytes(chunk.into())
        ));
    }
    match around.max_size {
        Some(max_size) if max_size < least_store(chunk) => at.refuse(format!(
            "expected at most a 16th of cache.max_size ({}), found {}",
            show_bytes(max_size),
            show_bytes(chunk.into())
        )),
        _ => Some(chunk),
    }
}
