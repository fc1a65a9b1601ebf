//! Whether a tier can be used: tried, not guessed.

use super::{
    config::{Config, OnError},
    entry::Entry,
    fleet::{self, Stranger},
    folders::parts,
    remote::{Remote, Trouble},
};
use futures_util::StreamExt;
use object_store::ObjectMeta;
use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

/// How an edge stores what it brings up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The version of its cache.
    pub version: u32,
    /// The sizes of its chunks, in bytes.
    pub chunk_sizes: BTreeSet<u32>,
}

/// What a probe has found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Without these it can't be used.
    pub wrong: Vec<String>,
    /// With these it can, but not as well.
    pub warnings: Vec<String>,
}

/// Clocks that differ by more make what is fresh on one edge stale on another.
const SKEW: Duration = Duration::from_secs(60);

/// Objects that are looked at.
const SAMPLES: usize = 16;
/// Names that are listed to find these: large objects have thousands of runs.
const LISTED: usize = 10_000;

/// Tries all that an edge will want to do there, and looks at some of what others have brought. What
/// it writes it removes, where it may.
pub async fn probe(remote: &Remote, config: &Config, stored: &Stored) -> Findings {
    let mut findings = Findings::default();
    if let Err(why) = fleet::claim(remote, &config.fleet).await {
        findings.wrong.push(why.to_string());
    } else if let Err(why) = try_out(remote, config.on_error, stored, &mut findings).await {
        let what = format!("it can be read, but not used as a whole: {why}");
        findings.wrong.push(what);
    }
    findings
}

async fn try_out(
    remote: &Remote,
    on_error: OnError,
    stored: &Stored,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    remote.find_out().await?;
    if !remote.creates() && on_error == OnError::Refuse {
        // An edge would not begin.
        findings.wrong.push(Stranger::Unconditional.to_string());
    } else if !remote.creates() {
        findings.warnings.push(
            "it does not know If-None-Match on writes: of two purges by two edges within a second one may not reach all".into(),
        );
    }
    if !remote.compares() {
        findings.warnings.push(
            "it does not know If-Match on writes: what two edges enter about one object within a second may have to be uploaded twice".into(),
        );
    }
    remote.list_all(&remote.layout().purges(), None).await?;
    let path = remote.probe();
    remote.put(path, vec![0].into()).await?;
    let written = remote.written_at(path).await?;
    remote.delete(path).await?;
    let now = SystemTime::now();
    let skew = written.map(|at| now.duration_since(at).unwrap_or_else(|e| e.duration()));
    if let Some(skew) = skew.filter(|skew| *skew > SKEW) {
        findings.warnings.push(format!(
            "its clock and this machine's differ by {} s: what is fresh here may be stale on other edges; set this clock (NTP)",
            skew.as_secs()
        ));
    }
    let sizes = sample(remote, stored.version).await?;
    findings.warnings.extend(unlike(&sizes, stored));
    Ok(())
}

/// The sizes of the chunks of some objects that lie there.
async fn sample(remote: &Remote, version: u32) -> Result<Vec<u32>, Trouble> {
    let mut listed = remote.list(&remote.layout().version(version)).take(LISTED);
    let mut sizes = Vec::new();
    while sizes.len() < SAMPLES {
        let Some(ObjectMeta { location: path, .. }) = remote.next_of(&mut listed).await? else {
            break;
        };
        let Some((_, id, _)) = parts(&path).filter(|(.., name)| name == "manifest") else {
            continue;
        };
        let document = remote.get(&path).await?;
        let entry = document.and_then(|(document, _)| Entry::decode(&document, id, None));
        sizes.extend(entry.map(|entry| entry.object.chunk_size));
    }
    Ok(sizes)
}

/// What is to be said where objects there are in chunks of sizes that this edge does not know.
fn unlike(sizes: &[u32], stored: &Stored) -> Option<String> {
    let is_unlike = |size: &&u32| !stored.chunk_sizes.contains(size);
    let unlike = sizes.iter().filter(is_unlike);
    let distinct: BTreeSet<_> = unlike.clone().collect();
    if distinct.is_empty() {
        return None;
    }
    let shown = |size: &u32| bytesize::ByteSize((*size).into()).display().iec();
    let shown: Vec<_> = distinct
        .iter()
        .map(|size| shown(size).to_string())
        .collect();
    Some(format!(
        "{} of {} objects looked at lie there in chunks of {}, which no route here has: they are read, but nothing is added to them, nor are they replaced; give cache.chunk_size, and chunk_size of routes, the same value on all edges",
        unlike.count(),
        sizes.len(),
        shown.join(" and "),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sizes_that_no_route_has_are_told() {
        let stored = Stored {
            version: 1,
            chunk_sizes: BTreeSet::from([1 << 20, 4 << 20]),
        };
        assert_eq!(unlike(&[], &stored), None);
        assert_eq!(unlike(&[4 << 20, 1 << 20, 4 << 20], &stored), None);
        let said = unlike(&[1 << 16, 1 << 20, 1 << 16, 2 << 20], &stored).unwrap();
        let begins = "3 of 4 objects looked at lie there in chunks of 64.0 KiB and 2.0 MiB, ";
        assert!(said.starts_with(begins), "{said}");
    }
}
