//! The section `key` of a route: what of a request tells objects apart.

use super::{
    credentials::parameter,
    fields,
    node::Value,
    scalar::{spelled, switch},
    section::Section,
    spot::Spot,
};
use crate::{
    domain::{Chosen, QueryRules, Variants},
    proxy::KeyRules,
};

/// The rules of a key; the route's variants are in it by themselves.
pub(super) fn key(at: &Spot, variants: Option<&Variants>) -> Option<KeyRules> {
    let default = QueryRules::default();
    at.section(|keys| {
        let parameters =
            |at: &Spot| at.distinct("query parameter", |at| free_parameter(at, variants));
        let host = keys.optional("host", shared_host);
        let query = QueryRules {
            chosen: keys.or("query", default.chosen, |at| chosen(at, variants)),
            sorted: keys.or("sort_query", default.sorted, switch),
            ignores_signatures: keys.or("ignore_signatures", default.ignores_signatures, switch),
            ignores_tracking: keys.or("ignore_tracking", default.ignores_tracking, switch),
            ignored: keys.or("ignore_query", default.ignored, parameters),
        };
        refuse_contradictions(keys, &query);
        let headers = |at: &Spot| at.distinct("header field", fields::keyable_name);
        let cookies = |at: &Spot| at.distinct("cookie", cookie);
        let mut headers = keys.or("headers", Vec::new(), headers);
        let mut cookies = keys.or("cookies", Vec::new(), cookies);
        headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        cookies.sort();
        Some(KeyRules {
            host,
            query,
            headers,
            cookies,
        })
    })
}

fn refuse_contradictions(keys: &Section, query: &QueryRules) {
    let why = match query.chosen {
        Chosen::All => return,
        Chosen::None => "contradicts query: none, which leaves everything out",
        Chosen::Only(_) => "contradicts query, which leaves out what it does not list",
    };
    let narrows = [
        ("ignore_query", !query.ignored.is_empty()),
        ("ignore_tracking", query.ignores_tracking),
        ("sort_query", query.sorted && query.chosen == Chosen::None),
    ];
    for (key, _) in narrows.into_iter().filter(|(_, given)| *given) {
        keys.refuse(key, why);
    }
}

fn chosen(at: &Spot, variants: Option<&Variants>) -> Option<Chosen> {
    const EXPECTED: &str = "all, none, or a list of query parameters";
    match at.value() {
        Value::Text(text) if text == "all" => Some(Chosen::All),
        Value::Text(text) if text == "none" => Some(Chosen::None),
        Value::List(items) if !items.is_empty() => {
            let names = at.distinct("query parameter", |at| free_parameter(at, variants));
            names.map(Chosen::Only)
        }
        _ => at.expected(EXPECTED),
    }
}

/// A query parameter that is no variant.
fn free_parameter(at: &Spot, variants: Option<&Variants>) -> Option<String> {
    let name = parameter(at)?;
    match variants.is_some_and(|variants| variants.take(&name)) {
        true => at.refuse("makes a derivative by variants, and is in the key as that"),
        false => Some(name),
    }
}

fn shared_host(at: &Spot) -> Option<String> {
    const EXPECTED: &str =
        "a name of letters, digits, \"-\", \"_\" and \".\" for all hosts together";
    spelled(at, EXPECTED, |c| {
        c.is_ascii_alphanumeric() || "-_.".contains(c)
    })
}

/// The name of a cookie.
pub(super) fn cookie(at: &Spot) -> Option<String> {
    const EXPECTED: &str = "the name of a cookie";
    let plain = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(c);
    spelled(at, EXPECTED, plain)
}
