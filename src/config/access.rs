//! The section `access` of a route: who may ask for what it has.

use super::{
    address::networks,
    credentials::{parameter, secret},
    hosts,
    key::cookie,
    scalar::{spelled, switch},
    spot::Spot,
};
use crate::{
    domain::is_key_name,
    proxy::{Access, Addresses, Referers, Signed, SigningKey},
};

pub(super) fn access(at: &Spot) -> Option<Access> {
    let default = Addresses::default();
    at.section(|keys| {
        Some(Access {
            addresses: Addresses {
                allow: keys.or("allow", default.allow, networks),
                deny: keys.or("deny", default.deny, networks),
            },
            referers: keys.optional("referers", referers),
            signed: keys.optional("signed", signed),
        })
    })
}

fn referers(at: &Spot) -> Option<Referers> {
    at.section(|keys| {
        let hosts = keys.required("hosts", hosts::patterns);
        let allow_none = keys.or("allow_none", true, switch);
        Some(Referers {
            hosts: hosts?,
            allow_none,
        })
    })
}

fn signed(at: &Spot) -> Option<Signed> {
    at.section(|keys| {
        let all = keys.required("keys", signing_keys);
        let parameter = keys.optional("parameter", parameter);
        let cookie = keys.optional("cookie", cookie);
        Some(Signed {
            keys: all?,
            parameter: parameter.unwrap_or_else(|| "token".to_owned()),
            cookie,
        })
    })
}

fn signing_keys(at: &Spot) -> Option<Vec<SigningKey>> {
    let mut all: Vec<SigningKey> = Vec::new();
    for item in at.items("key")? {
        let key = item.section(|keys| {
            let name = keys.required("name", key_name);
            let secret = keys.required("secret", secret);
            Some(SigningKey {
                name: name?,
                secret: secret?,
            })
        });
        match key {
            Some(key) if all.iter().any(|other| other.name == key.name) => {
                item.refuse::<()>(format!("{} is the name of an earlier key", key.name));
            }
            key => all.extend(key),
        }
    }
    Some(all)
}

fn key_name(at: &Spot) -> Option<String> {
    const EXPECTED: &str = "a name of 1 to 64 letters, digits, \"-\" and \"_\"";
    let name = spelled(at, EXPECTED, |_| true)?;
    match is_key_name(&name) {
        true => Some(name),
        false => at.expected(EXPECTED),
    }
}
