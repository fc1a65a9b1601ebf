//! The section `access` of a route: who may ask for what it has.

use super::{address::networks, hosts, scalar::switch, spot::Spot};
use crate::proxy::{Access, Addresses, Referers};

pub(super) fn access(at: &Spot) -> Option<Access> {
    let default = Addresses::default();
    at.section(|keys| {
        Some(Access {
            addresses: Addresses {
                allow: keys.or("allow", default.allow, networks),
                deny: keys.or("deny", default.deny, networks),
            },
            referers: keys.optional("referers", referers),
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
