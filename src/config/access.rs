//! The section `access` of a route: who may ask for what it has.

use super::{address::networks, spot::Spot};
use crate::proxy::{Access, Addresses};

pub(super) fn access(at: &Spot) -> Option<Access> {
    let default = Addresses::default();
    at.section(|keys| {
        Some(Access {
            addresses: Addresses {
                allow: keys.or("allow", default.allow, networks),
                deny: keys.or("deny", default.deny, networks),
            },
        })
    })
}
