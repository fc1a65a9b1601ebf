//! Whose the tier is: one fleet under one prefix, in one format.

use super::remote::{Put, Remote, Trouble};
use crate::store::sealed;
use object_store::PutMode;
use serde::{Deserialize, Serialize};

/// The format of what this version writes.
pub const FORMAT: u32 = 1;

const MAGIC: &[u8] = b"tidegate tier 1\n";

/// What is written about whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    format: u32,
    fleet: String,
}

/// Why this edge can't share the tier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// It can't be asked.
    #[error("the tier can't be used: {0}")]
    Trouble(#[from] Trouble),
    /// Another fleet's.
    #[error(
        "under this prefix lies the tier of the fleet {0:?}, and this edge is of {1:?}: give tier.prefix another value, or tier.fleet this one"
    )]
    Fleet(String, String),
    /// A newer format.
    #[error(
        "the tier is in format {0}, and this version knows up to {FORMAT}: upgrade this edge, or give tier.prefix another value"
    )]
    Format(u32),
    /// Nothing says whose it is.
    #[error(
        "nothing under this prefix says whose tier it is: either no edge has begun with it yet, or tier.prefix is another one's"
    )]
    Nobody,
    /// It lacks what purges need.
    #[error(
        "the tier does not know conditional writes (If-None-Match), so that purges of two edges can overwrite each other: take another service, or set tier.on_error to degrade"
    )]
    Unconditional,
    /// Something else.
    #[error(
        "what lies at {0} is not of Tidegate, or damaged: give tier.prefix another value, or remove it"
    )]
    Unreadable(String),
}

/// Makes sure that the tier is this fleet's; one that is nobody's becomes it.
pub async fn claim(remote: &Remote, fleet: &str) -> Result<(), Stranger> {
    let path = remote.layout().fleet();
    let marker = Marker {
        format: FORMAT,
        fleet: fleet.into(),
    };
    let json = serde_json::to_vec(&marker).expect("plain data always serialises");
    let document = sealed::seal(MAGIC, &json);
    // At most one of several edges that begin at once writes it; the others find it then.
    for _ in 0..2 {
        if let Some((there, _)) = remote.get(&path).await? {
            return judge(&there, fleet).unwrap_or(Err(Stranger::Unreadable(path.to_string())));
        }
        let put = remote.put_if(&path, document.clone().into(), PutMode::Create);
        if put.await? == Put::Done {
            return Ok(());
        }
    }
    Err(Stranger::Unreadable(path.to_string()))
}

/// Makes sure that the tier is this fleet's, and writes nothing.
pub async fn inspect(remote: &Remote, fleet: &str) -> Result<(), Stranger> {
    let path = remote.layout().fleet();
    match remote.get(&path).await? {
        Some((there, _)) => {
            judge(&there, fleet).unwrap_or(Err(Stranger::Unreadable(path.to_string())))
        }
        None => {
            // Nothing is found in a bucket that is not there either; a list of it says so.
            remote.list_all(&remote.layout().purges(), None).await?;
            Err(Stranger::Nobody)
        }
    }
}

fn judge(document: &[u8], fleet: &str) -> Option<Result<(), Stranger>> {
    let json = sealed::unseal(MAGIC, document)?;
    let marker: Marker = serde_json::from_slice(json).ok()?;
    Some(if marker.format > FORMAT {
        Err(Stranger::Format(marker.format))
    } else if marker.fleet != fleet {
        Err(Stranger::Fleet(marker.fleet, fleet.into()))
    } else {
        Ok(())
    })
}
