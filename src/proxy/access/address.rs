//! Which addresses may ask.

use crate::traffic::is_among;
use ipnet::IpNet;
use std::net::IpAddr;

/// The networks that may ask, and those that may not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Where there are any, nobody else may.
    pub allow: Vec<IpNet>,
    /// These may not, even where they are among the others.
    pub deny: Vec<IpNet>,
}

impl Addresses {
    /// Whether a client may ask; one whose address is not known only where everybody may.
    pub fn admit(&self, client: Option<IpAddr>) -> bool {
        let Some(client) = client else {
            return self.allow.is_empty() && self.deny.is_empty();
        };
        let allowed = self.allow.is_empty() || is_among(&self.allow, client);
        allowed && !is_among(&self.deny, client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_goes_before_allow_and_allow_before_the_rest() {
        let networks = |list: &[&str]| list.iter().map(|n| n.parse().unwrap()).collect();
        let table: &[(&[&str], &[&str], &str, bool)] = &[
            (&[], &[], "192.0.2.1", true),
            (&["192.0.2.0/24"], &[], "192.0.2.1", true),
            (&["192.0.2.0/24"], &[], "::ffff:192.0.2.1", true),
            (&["192.0.2.0/24"], &[], "198.51.100.1", false),
            (&["192.0.2.0/24"], &[], "2001:db8::1", false),
            (&["192.0.2.0/24", "2001:db8::/32"], &[], "2001:db8::1", true),
            (&[], &["192.0.2.0/24"], "192.0.2.1", false),
            (&[], &["192.0.2.0/24"], "198.51.100.1", true),
            (&["192.0.2.0/24"], &["192.0.2.1/32"], "192.0.2.1", false),
            (&["192.0.2.0/24"], &["192.0.2.1/32"], "192.0.2.2", true),
        ];
        for (allow, deny, client, may) in table {
            let addresses = Addresses {
                allow: networks(allow),
                deny: networks(deny),
            };
            let client = Some(client.parse().unwrap());
            assert_eq!(addresses.admit(client), *may, "{addresses:?} {client:?}");
        }
        let some = Addresses {
            allow: Vec::new(),
            deny: networks(&["192.0.2.1/32"]),
        };
        assert!(Addresses::default().admit(None) && !some.admit(None));
    }
}
