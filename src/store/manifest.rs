//! What is written about an object: a sealed document with the fields below.
//!
//! JSON, so that an operator can look at it; header values are bytes, written as Latin-1 text.

use super::{ObjectId, purge::just_before, sealed};
use crate::domain::{Grid, Validators};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// An object as its manifest describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Hash of the key and, for a variant, of what selects it.
    pub id: ObjectId,
    /// The key itself, so that a collision of hashes can never serve another object.
    pub key: Vec<u8>,
    /// Sets this version of the object apart from every other ever stored.
    pub generation: u64,
    /// Length in bytes; absent while an origin that did not announce it still sends.
    pub total: Option<u64>,
    /// Bytes of every chunk but perhaps the last.
    pub chunk_size: u32,
    /// Response metadata.
    pub meta: Meta,
}

/// The response that an object came with, and how long it is fresh.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// Status of the response.
    pub status: u16,
    /// Header of the response, as stored.
    pub headers: HeaderMap,
    /// When it was first stored, in whatever version, since it varies as it does.
    pub created: SystemTime,
    /// When the origin last said that it is current.
    pub validated: SystemTime,
    /// The moment from which `Age` counts.
    pub epoch: SystemTime,
    /// Fresh until then.
    pub fresh_until: SystemTime,
    /// Window of `stale-while-revalidate`, in seconds.
    pub stale_while_revalidate: u32,
    /// Window of `stale-if-error`, in seconds.
    pub stale_if_error: u32,
    /// What selects this variant, where the response varies.
    pub variance: Option<[u8; 16]>,
}

impl Meta {
    /// The validators of the stored response.
    pub fn validators(&self) -> Validators {
        Validators::of(&self.headers)
    }

    /// Not fresh any more: the windows in which it may be served stale begin now.
    pub(super) fn soften(&mut self, now: SystemTime) {
        self.fresh_until = self.fresh_until.min(just_before(now));
    }
}

const MAGIC: &[u8] = b"tidegate manifest 1\n";

impl Manifest {
    /// The bytes of the manifest's file.
    pub fn encode(&self) -> Vec<u8> {
        let json = serde_json::to_vec(&Written::from(self)).expect("plain data always serialises");
        sealed::seal(MAGIC, &json)
    }

    /// Reads a manifest's file; `None` where it is damaged or of another version.
    pub fn decode(encoded: &[u8]) -> Option<Self> {
        let json = sealed::unseal(MAGIC, encoded)?;
        serde_json::from_slice::<Written>(json)
            .ok()?
            .try_into()
            .ok()
    }

    /// The same, to be part of another document.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(Written::from(self)).expect("plain data always serialises")
    }

    /// Reads what [`Manifest::to_json`] has written.
    pub fn from_json(json: serde_json::Value) -> Option<Self> {
        serde_json::from_value::<Written>(json)
            .ok()?
            .try_into()
            .ok()
    }
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
struct Written {
    id: String,
    key: String,
    generation: u64,
    total: u64,
    chunk_size: u32,
    status: u16,
    headers: Vec<(String, String)>,
    created_ms: u64,
    /// Absent in manifests of earlier versions.
    validated_ms: Option<u64>,
    epoch_ms: u64,
    fresh_until_ms: u64,
    stale_while_revalidate: u32,
    stale_if_error: u32,
    variance: Option<String>,
}

impl From<&Manifest> for Written {
    fn from(m: &Manifest) -> Self {
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), latin1(value.as_bytes()))
        };
        Self {
            id: m.id.to_string(),
            key: latin1(&m.key),
            generation: m.generation,
            total: m.total.unwrap_or_default(),
            chunk_size: m.chunk_size,
            status: m.meta.status,
            headers: m.meta.headers.iter().map(header).collect(),
            created_ms: millis(m.meta.created),
            validated_ms: Some(millis(m.meta.validated)),
            epoch_ms: millis(m.meta.epoch),
            fresh_until_ms: millis(m.meta.fresh_until),
            stale_while_revalidate: m.meta.stale_while_revalidate,
            stale_if_error: m.meta.stale_if_error,
            variance: m.meta.variance.map(|v| ObjectId(v).to_string()),
        }
    }
}

/// Names no field: whatever is wrong, the manifest is not used.
struct Damaged;

impl TryFrom<Written> for Manifest {
    type Error = Damaged;

    fn try_from(w: Written) -> Result<Self, Damaged> {
        Grid::new(w.chunk_size, w.total).ok_or(Damaged)?;
        let mut headers = HeaderMap::new();
        for (name, value) in w.headers {
            let name = HeaderName::try_from(name).map_err(|_| Damaged)?;
            let value = bytes_of(&value).ok_or(Damaged)?;
            headers.append(name, HeaderValue::from_bytes(&value).map_err(|_| Damaged)?);
        }
        let variance = w
            .variance
            .map(|v| ObjectId::parse(&v).ok_or(Damaged))
            .transpose()?;
        Ok(Self {
            id: ObjectId::parse(&w.id).ok_or(Damaged)?,
            key: bytes_of(&w.key).ok_or(Damaged)?,
            generation: w.generation,
            total: Some(w.total),
            chunk_size: w.chunk_size,
            meta: Meta {
                status: w.status,
                headers,
                created: moment(w.created_ms).ok_or(Damaged)?,
                validated: moment(w.validated_ms.unwrap_or(w.created_ms)).ok_or(Damaged)?,
                epoch: moment(w.epoch_ms).ok_or(Damaged)?,
                fresh_until: moment(w.fresh_until_ms).ok_or(Damaged)?,
                stale_while_revalidate: w.stale_while_revalidate,
                stale_if_error: w.stale_if_error,
                variance: variance.map(|v| v.0),
            },
        })
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

fn bytes_of(latin1: &str) -> Option<Vec<u8>> {
    latin1
        .chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect()
}

fn millis(moment: SystemTime) -> u64 {
    let since = moment
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn moment(millis: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn sample(total: u64, chunk_size: u32) -> Manifest {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::ETAG, HeaderValue::from_static("\"a\""));
        headers.append("x-bytes", HeaderValue::from_bytes(&[0xe9, b'a']).unwrap());
        let now = moment(1_700_000_000_123).unwrap();
        Manifest {
            id: ObjectId([7; 16]),
            key: b"https\x00\xffkey".to_vec(),
            generation: 42,
            total: Some(total),
            chunk_size,
            meta: Meta {
                status: 200,
                headers,
                created: now,
                validated: now,
                epoch: now,
                fresh_until: now,
                stale_while_revalidate: 1,
                stale_if_error: 2,
                variance: Some([9; 16]),
            },
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let manifest = sample(12345, 4096);
        assert_eq!(Manifest::decode(&manifest.encode()), Some(manifest));
    }

    proptest! {
        #[test]
        fn damage_anywhere_is_noticed(at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut encoded = sample(12345, 4096).encode();
            let at = at.index(encoded.len());
            encoded[at] ^= flip;
            let read = Manifest::decode(&encoded);
            // The checksum's digits may be written in either case; nothing else may differ.
            prop_assert!(read.is_none() || read == Some(sample(12345, 4096)));
        }

        #[test]
        fn a_cut_manifest_is_not_read(length in any::<prop::sample::Index>()) {
            let encoded = sample(12345, 4096).encode();
            prop_assert_eq!(Manifest::decode(&encoded[..length.index(encoded.len())]), None);
        }
    }
}
