//! `POST /purge`: what it may say, and what is answered.

use crate::{
    cache::{How, PurgeError, Purged},
    proxy::{Target, Unpurged},
};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The body of a request to purge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Order {
    /// All variants of this URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Everything below this URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Everything with this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Everything.
    #[serde(skip_serializing_if = "is_off")]
    pub all: bool,
    /// Objects become stale instead of going.
    #[serde(skip_serializing_if = "is_off")]
    pub soft: bool,
    /// Nothing is done.
    #[serde(skip_serializing_if = "is_off")]
    pub dry_run: bool,
}

/// What a purge found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// Objects that were meant; a variant is an object.
    pub objects: u64,
    /// Bytes that they take on disk.
    pub bytes: u64,
    /// Whether they became stale instead of going.
    pub soft: bool,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// What the edges that share its tier know of it; only where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<Fleet>,
}

/// What the edges that share a tier know of a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fleet {
    /// Whether the purge lies in the tier, where all edges find it within tier.poll. If not, the
    /// tier can't be written to at the moment; it is tried again until it can.
    pub told: bool,
    /// The number that the last purge of the fleet has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_purge: Option<u64>,
}

fn is_off(switch: &bool) -> bool {
    !switch
}

impl Order {
    /// Reads a request's body; what is wrong with it otherwise.
    pub fn parse(body: &[u8]) -> Result<(Target, How), String> {
        const EXPECTED: &str = "expected a JSON object with one of url, prefix, tag (text) and all (true), and perhaps soft and dry_run (true or false)";
        let order: Self = serde_json::from_slice(body).map_err(|e| format!("{EXPECTED}: {e}"))?;
        let all = order.all.then_some(Target::All);
        let named = [
            order.url.map(Target::Url),
            order.prefix.map(Target::Prefix),
            order.tag.map(Target::Tag),
            all,
        ];
        let mut named = named.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(target), None) => Ok((
                target,
                How {
                    soft: order.soft,
                    dry_run: order.dry_run,
                    is_told: false,
                },
            )),
            (None, _) => Err(format!("{EXPECTED}: none of them is there")),
            (Some(_), Some(_)) => Err(format!("{EXPECTED}: there are several of them")),
        }
    }
}

impl Outcome {
    /// Of what was found and how, and of the fleet's number of it.
    pub fn new(purged: Purged, how: How, fleet: Option<Option<u64>>) -> Self {
        Self {
            objects: purged.objects,
            bytes: purged.bytes,
            soft: how.soft,
            dry_run: how.dry_run,
            fleet: fleet.map(|last_purge| Fleet {
                told: last_purge.is_some(),
                last_purge,
            }),
        }
    }
}

/// The status that says why nothing, or not all, was purged.
pub(super) fn status_of(why: &Unpurged) -> StatusCode {
    match why {
        Unpurged::NotAUrl(_) | Unpurged::Refused(_) | Unpurged::NoTag => StatusCode::BAD_REQUEST,
        Unpurged::Store(
            PurgeError::Learning | PurgeError::Busy | PurgeError::Closed | PurgeError::Late,
        ) => StatusCode::SERVICE_UNAVAILABLE,
        Unpurged::Store(PurgeError::Blind | PurgeError::Disk(_)) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_target_is_named_and_nothing_unknown() {
        let parse = |body: &str| Order::parse(body.as_bytes());
        let soft = How {
            soft: true,
            dry_run: false,
            is_told: false,
        };
        let tag = Target::Tag("a".into());
        assert_eq!(parse(r#"{"tag":"a","soft":true}"#), Ok((tag, soft)));
        assert_eq!(parse(r#"{"all":true}"#), Ok((Target::All, How::default())));
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"all":false}"#,
            r#"{"all":"yes"}"#,
            r#"{"tag":"a","url":"http://a/"}"#,
            r#"{"tag":"a","all":true}"#,
            r#"{"tag":"a","hard":true}"#,
            r#"{"tag":7}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
