//! The one key function: used for storing, coalescing, purging and explaining alike.
//!
//! It also says what the origin is asked for, since the two must agree: what is not in the key is
//! not in the request, so that whoever asks first can't choose what the others get.

use super::Route;
use crate::domain::{
    BadValue, Extra, ExtraKind, FieldRules, ObjectKey, cookie, field, split_target, unkeyed,
    written,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What a request is to the cache and to the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The key of its object; `None` where a part of it is too long or no text. Such a request is
    /// passed on and its answer not kept.
    pub key: Option<ObjectKey>,
    /// What the origin is asked for, for the key's sake: path and query.
    pub target: String,
    /// What becomes of the request's fields, likewise.
    pub fields: FieldRules,
    /// Whether a signature goes to the origin that is not in the key.
    pub is_signed: bool,
    /// Variants that count as not given.
    pub dropped: Vec<BadValue>,
}

/// Longest host, path and query of a key together; what is shorter than this, every server takes.
const LONGEST: usize = 8 << 10;

fn is_short(key: &ObjectKey) -> bool {
    key.host.len() + key.path.len() + key.query.as_ref().map_or(0, String::len) <= LONGEST
}

impl Keyed {
    /// A request that is passed on in its own words: one that writes, say.
    pub fn passing(key: Option<ObjectKey>, target: String) -> Self {
        Self {
            key,
            target,
            fields: FieldRules::default(),
            is_signed: false,
            dropped: Vec::new(),
        }
    }
}

impl Route {
    /// What a request for this host and target is, both in their one spelling. An error is a
    /// variant that the route refuses.
    pub fn keyed(
        &self,
        version: u32,
        host: &str,
        target: &str,
        headers: &HeaderMap,
    ) -> Result<Keyed, BadValue> {
        let (path, query) = split_target(target);
        let derivative = match self.variants.is_empty() {
            true => None,
            false => Some(self.variants.derivative(query)?),
        };
        let rest = derivative.as_ref().map(|derivative| &derivative.rest);
        let rest = rest.map(|rest| (!rest.is_empty()).then(|| rest.join("&")));
        let query = rest.as_ref().map_or(query, |rest| rest.as_deref());
        let selected = self.key.query.select(query);
        let derivative = derivative.unwrap_or_default();
        let sent: Vec<_> = selected
            .sent
            .into_iter()
            .chain(written(&derivative.values))
            .collect();
        let variants = derivative.values.into_iter().map(|(name, value)| Extra {
            kind: ExtraKind::Variant,
            name,
            value,
        });
        let key = self.key.inputs(headers).map(|inputs| ObjectKey {
            version,
            host: self.key.host_of(host),
            path: path.to_owned(),
            query: selected.keyed,
            extras: inputs.into_iter().chain(variants).collect(),
        });
        let key = key.filter(is_short);
        let fields = key.as_ref().map(|key| self.key.fields_for(headers, key));
        Ok(Keyed {
            fields: fields.unwrap_or_default(),
            key,
            target: match sent.is_empty() {
                true => path.to_owned(),
                false => format!("{path}?{}", sent.join("&")),
            },
            is_signed: selected.is_signed,
            dropped: derivative.dropped,
        })
    }
}

impl super::KeyRules {
    /// What stands for a host, in its one spelling. No host of a request can be spelled as the name
    /// that a route gives to several.
    pub fn host_of(&self, host: &str) -> String {
        match &self.host {
            Some(name) => format!("<{name}>"),
            None => host.to_owned(),
        }
    }

    /// The fields and cookies of a request that tell objects apart.
    fn inputs(&self, headers: &HeaderMap) -> Option<Vec<Extra>> {
        let fields = self.headers.iter().map(|name| {
            Some(Extra {
                kind: ExtraKind::Field,
                name: name.to_string(),
                value: field(headers, name)?,
            })
        });
        let cookies = self.cookies.iter().map(|name| {
            Some(Extra {
                kind: ExtraKind::Cookie,
                name: name.clone(),
                value: cookie(headers, name)?,
            })
        });
        fields.chain(cookies).collect()
    }

    /// How the origin is told of them, and of nothing that misleads it.
    fn fields_for(&self, headers: &HeaderMap, key: &ObjectKey) -> FieldRules {
        let mut rules = FieldRules {
            remove: unkeyed(headers, &self.headers),
            ..FieldRules::default()
        };
        let mut tell = |name: HeaderName, value: &str| match HeaderValue::from_str(value) {
            Ok(value) if !value.is_empty() => rules.set.push((name, value)),
            _ => rules.remove.push(name),
        };
        let of = |kind| key.extras.iter().filter(move |extra| extra.kind == kind);
        for (name, extra) in self.headers.iter().zip(of(ExtraKind::Field)) {
            tell(name.clone(), &extra.value);
        }
        if !self.cookies.is_empty() {
            let cookies = of(ExtraKind::Cookie).filter(|cookie| !cookie.value.is_empty());
            let cookies = cookies.map(|cookie| format!("{}={}", cookie.name, cookie.value));
            let cookies: Vec<_> = cookies.collect();
            tell(header::COOKIE, &cookies.join("; "));
        }
        rules
    }
}

/// The name in the store of the object under a key, as `debug_headers` show it.
pub fn object_id(key: &[u8]) -> String {
    crate::cache::id_of(&pingora_cache::CacheKey::new(key, "")).to_string()
}

#[cfg(test)]
mod tests;
