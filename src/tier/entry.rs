//! What the tier has of an object: its manifest there, a sealed document.
//!
//! Edges that fill different parts of one version add up: each brings the runs that it has, and
//! writes the manifest back only if nobody has written it since it was read. Runs of two versions
//! are never in one manifest.

use crate::{
    domain::{ByteRange, ChunkIndex, Grid},
    store::{Manifest, ObjectId, sealed},
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// An object as the tier's manifest describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The object; its generation is of no meaning here.
    pub object: Manifest,
    /// The number of the last purge of the fleet that it is known to have survived.
    pub purges: u64,
    /// What is there of it, in order and without overlaps.
    pub runs: Vec<Run>,
}

/// Neighbouring chunks in one object of the tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its name beside the manifest.
    pub name: String,
    /// The first chunk.
    pub first: u32,
    /// The CRC32C of each chunk.
    pub checksums: Vec<u32>,
}

impl Run {
    /// One past its last chunk.
    pub fn end(&self) -> u32 {
        self.first
            .saturating_add(u32::try_from(self.checksums.len()).unwrap_or(u32::MAX))
    }

    /// What a chunk's bytes are to add up to.
    pub fn checksum(&self, chunk: ChunkIndex) -> Option<u32> {
        let nth = chunk.0.checked_sub(self.first)?;
        self.checksums.get(nth as usize).copied()
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.first < other.end() && other.first < self.end()
    }
}

/// What comes of bringing runs to what is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Merged {
    /// This is to be written.
    Write {
        /// What is to be there.
        entry: Box<Entry>,
        /// Names of runs that nothing refers to any more.
        unused: Vec<String>,
    },
    /// What is there is newer, or has all of it.
    Keep {
        /// Names of runs that were brought for nothing.
        unused: Vec<String>,
    },
    /// What is there has survived purges that what is brought may not have: first it is to be found
    /// out.
    Behind {
        /// The number of the last one.
        purges: u64,
    },
}

const MAGIC: &[u8] = b"tidegate tier manifest 1\n";

#[derive(Serialize, Deserialize)]
struct Written {
    object: serde_json::Value,
    purges: u64,
    runs: Vec<Run>,
}

impl Entry {
    /// The bytes of the document.
    pub fn encode(&self) -> Vec<u8> {
        let written = Written {
            object: self.object.to_json(),
            purges: self.purges,
            runs: self.runs.clone(),
        };
        let json = serde_json::to_vec(&written).expect("plain data always serialises");
        sealed::seal(MAGIC, &json)
    }

    /// Reads the document of the object with this name and key; `None` where it is damaged, of
    /// another version, of another object, or contradicts itself.
    pub fn decode(encoded: &[u8], id: ObjectId, key: Option<&[u8]>) -> Option<Self> {
        let json = sealed::unseal(MAGIC, encoded)?;
        let written: Written = serde_json::from_slice(json).ok()?;
        let object = Manifest::from_json(written.object)?;
        let is_meant = object.id == id && key.is_none_or(|key| object.key == key);
        let entry = Self {
            object,
            purges: written.purges,
            runs: written.runs,
        };
        (is_meant && entry.is_sound()).then_some(entry)
    }

    /// Its chunks' grid.
    pub fn grid(&self) -> Option<Grid> {
        Grid::new(self.object.chunk_size, self.object.total?)
    }

    /// Where a chunk is.
    pub fn run_of(&self, chunk: ChunkIndex) -> Option<&Run> {
        let at = self.runs.partition_point(|run| run.end() <= chunk.0);
        self.runs.get(at).filter(|run| run.first <= chunk.0)
    }

    /// Where a chunk's bytes are in its run.
    pub fn place_in(&self, run: &Run, chunk: ChunkIndex) -> Option<ByteRange> {
        let bytes = self.grid()?.bytes_of(chunk)?;
        let begin = u64::from(run.first) * u64::from(self.object.chunk_size);
        ByteRange::new(
            bytes.start().checked_sub(begin)?,
            bytes.end().checked_sub(begin)?,
        )
    }

    /// Whether a request for a part of this version of an object means this one.
    pub fn is_version(&self, if_range: Option<&str>, total: u64) -> bool {
        let validators = self.object.meta.validators();
        let own = validators.for_if_range();
        self.object.total == Some(total) && own.is_some() && own == if_range
    }

    /// Whether an object is of the same version, on the same grid.
    pub fn is_version_of(&self, theirs: &Manifest) -> bool {
        self.is_same_version(theirs) && self.object.chunk_size == theirs.chunk_size
    }

    /// Whether an object is of the same version, in chunks of another size.
    pub fn is_cut_otherwise(&self, theirs: &Manifest) -> bool {
        self.is_same_version(theirs) && self.object.chunk_size != theirs.chunk_size
    }

    fn is_same_version(&self, theirs: &Manifest) -> bool {
        let own = &self.object;
        own.total == theirs.total
            && own
                .meta
                .validators()
                .same_version(&theirs.meta.validators())
    }

    /// A purge has made it stale: it is not fresh any more.
    pub fn expire(object: &mut Manifest, now: SystemTime) {
        let over = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        object.meta.fresh_until = object.meta.fresh_until.min(over);
    }

    /// Brings what this says to what is `there`, of which nothing counts where it has not
    /// survived the fleet's purges. Without runs it only says how long those there may be used. What is
    /// there in chunks of another size stays: two edges would replace each other's for ever. What is
    /// `damaged` there gives way to runs with chunks of it.
    pub fn merge(self, there: Option<Self>, there_is_valid: bool, damaged: &[String]) -> Merged {
        let unused = Vec::new();
        let Some(there) = there else {
            return match self.runs.is_empty() {
                true => Merged::Keep { unused },
                false => Merged::Write {
                    entry: Box::new(self),
                    unused,
                },
            };
        };
        if there.purges > self.purges {
            return Merged::Behind {
                purges: there.purges,
            };
        }
        let names = |runs: &[Run]| -> Vec<_> { runs.iter().map(|run| run.name.clone()).collect() };
        if !there_is_valid || !self.is_version_of(&there.object) {
            let is_older = self.object.meta.validated <= there.object.meta.validated;
            let stays = is_older || self.is_cut_otherwise(&there.object);
            if self.runs.is_empty() || (there_is_valid && stays) {
                return Merged::Keep {
                    unused: names(&self.runs),
                };
            }
            return Merged::Write {
                unused: names(&there.runs),
                entry: Box::new(self),
            };
        }
        let gives_way = |there: &Run| {
            let is_brought = || self.runs.iter().any(|run| run.overlaps(there));
            damaged.contains(&there.name) && is_brought()
        };
        let (replaced, mut runs): (Vec<_>, Vec<_>) = there.runs.into_iter().partition(gives_way);
        let (before, mut unused) = (runs.len(), names(&replaced));
        for run in self.runs {
            match runs.iter().any(|other| other.overlaps(&run)) {
                true if runs.contains(&run) => {}
                true => unused.push(run.name),
                false => runs.push(run),
            }
        }
        let newer = self.object.meta.validated > there.object.meta.validated;
        let longer = self.object.meta.fresh_until > there.object.meta.fresh_until;
        let are_the_same = replaced.is_empty() && runs.len() == before;
        if are_the_same && !(newer && (longer || self.purges > there.purges)) {
            return Merged::Keep { unused };
        }
        runs.sort_unstable_by_key(|run| run.first);
        Merged::Write {
            entry: Box::new(Self {
                object: if newer { self.object } else { there.object },
                purges: self.purges,
                runs,
            }),
            unused,
        }
    }

    fn is_sound(&self) -> bool {
        let Some(grid) = self.grid() else {
            return false;
        };
        let mut end = 0;
        self.runs.iter().all(|run| {
            let follows = run.first >= end && !run.checksums.is_empty() && is_name(&run.name);
            end = run.end();
            follows && end <= grid.count()
        })
    }
}

/// Whether a name can be one of ours: it is put into a path.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(plain)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{domain::ObjectKey, store::Meta};
    use http::{HeaderMap, HeaderValue, header};
    use proptest::prelude::*;

    const CHUNK: u32 = 4096;

    /// The key of the object at this path of "a.example".
    pub fn key_at(path: &str) -> Vec<u8> {
        let key = ObjectKey {
            version: 1,
            host: "a.example".into(),
            path: path.into(),
            query: None,
            extras: Vec::new(),
        };
        key.encode()
    }

    pub fn entry(tag: &str, validated: u64, runs: &[(u32, u32, &str)]) -> Entry {
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, HeaderValue::from_str(tag).unwrap());
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(validated);
        Entry {
            object: Manifest {
                id: ObjectId([7; 16]),
                key: b"key".to_vec(),
                generation: 1,
                total: Some(100 * u64::from(CHUNK) - 5),
                chunk_size: CHUNK,
                meta: Meta {
                    status: 200,
                    headers,
                    created: at,
                    validated: at,
                    epoch: at,
                    fresh_until: at,
                    stale_while_revalidate: 0,
                    stale_if_error: 0,
                    variance: None,
                },
            },
            purges: 3,
            runs: runs
                .iter()
                .map(|(first, count, name)| Run {
                    name: (*name).into(),
                    first: *first,
                    checksums: (*first..first + count).collect(),
                })
                .collect(),
        }
    }

    fn written(merged: Merged) -> (Entry, Vec<String>) {
        match merged {
            Merged::Write { entry, unused } => (*entry, unused),
            other => panic!("nothing to write: {other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let entry = entry("\"a\"", 1, &[(0, 4, "a"), (8, 2, "b"), (99, 1, "c")]);
        let id = entry.object.id;
        let encoded = entry.encode();
        assert_eq!(
            Entry::decode(&encoded, id, Some(b"key")),
            Some(entry.clone())
        );
        assert_eq!(Entry::decode(&encoded, id, None), Some(entry.clone()));
        assert_eq!(Entry::decode(&encoded, id, Some(b"other")), None);
        assert_eq!(Entry::decode(&encoded, ObjectId([8; 16]), None), None);
        for runs in [
            [(0, 4, "a"), (3, 2, "b")],
            [(8, 2, "a"), (0, 4, "b")],
            [(0, 4, "../a"), (8, 2, "b")],
            [(0, 4, "a"), (99, 2, "b")],
            [(0, 0, "a"), (8, 2, "b")],
        ] {
            let wrong = self::entry("\"a\"", 1, &runs).encode();
            assert_eq!(Entry::decode(&wrong, id, None), None, "{runs:?}");
        }
    }

    #[test]
    fn a_chunk_is_where_its_run_says() {
        let entry = entry("\"a\"", 1, &[(2, 3, "a"), (98, 2, "b")]);
        for chunk in [0, 1, 5, 50, 97] {
            assert_eq!(entry.run_of(ChunkIndex(chunk)), None, "{chunk}");
        }
        let run = entry.run_of(ChunkIndex(4)).unwrap();
        assert_eq!(
            (run.name.as_str(), run.checksum(ChunkIndex(4))),
            ("a", Some(4))
        );
        let size = u64::from(CHUNK);
        let place = entry.place_in(run, ChunkIndex(4));
        assert_eq!(place, ByteRange::new(2 * size, 3 * size));
        let last = entry.run_of(ChunkIndex(99)).unwrap();
        let place = entry.place_in(last, ChunkIndex(99));
        assert_eq!(place, ByteRange::new(size, 2 * size - 5));
    }

    #[test]
    fn parts_of_one_version_add_up_and_what_was_there_stays() {
        let there = entry("\"a\"", 1, &[(0, 4, "a"), (8, 4, "b")]);
        let mine = entry("\"a\"", 2, &[(4, 4, "c"), (10, 4, "d"), (20, 1, "e")]);
        let (merged, unused) = written(mine.merge(Some(there), true, &[]));
        let names: Vec<_> = merged.runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(
            (names, unused),
            (vec!["a", "c", "b", "e"], vec!["d".to_owned()])
        );
        assert!(merged.is_sound());
        assert_eq!(
            merged.object.meta.validated,
            entry("\"a\"", 2, &[]).object.meta.validated
        );
    }

    #[test]
    fn versions_do_not_mix_and_the_later_one_wins() {
        let old = || entry("\"a\"", 1, &[(0, 4, "a")]);
        let new = || entry("\"b\"", 2, &[(4, 4, "b")]);
        let (merged, unused) = written(new().merge(Some(old()), true, &[]));
        assert_eq!((merged, unused), (new(), vec!["a".to_owned()]));
        let unused = vec!["a".to_owned()];
        assert_eq!(old().merge(Some(new()), true, &[]), Merged::Keep { unused });
        // What was purged counts for nothing, however new.
        let (merged, unused) = written(old().merge(Some(new()), false, &[]));
        assert_eq!((merged, unused), (old(), vec!["b".to_owned()]));
    }

    #[test]
    fn what_is_damaged_gives_way_to_what_has_its_chunks() {
        let there = || entry("\"a\"", 1, &[(0, 4, "a"), (4, 4, "b"), (8, 4, "c")]);
        let damaged = ["b".to_owned(), "c".to_owned()];
        let mine = entry("\"a\"", 1, &[(0, 2, "d"), (5, 2, "e")]);
        let (merged, unused) = written(mine.clone().merge(Some(there()), true, &damaged));
        let runs = [(0, 4, "a"), (5, 2, "e"), (8, 4, "c")];
        assert_eq!(merged, entry("\"a\"", 1, &runs));
        assert_eq!(unused, ["b", "d"]);
        // What it has besides may be there already.
        let over_both = entry("\"a\"", 1, &[(2, 4, "f")]);
        let (merged, unused) = written(over_both.merge(Some(there()), true, &damaged));
        assert_eq!(merged, entry("\"a\"", 1, &[(0, 4, "a"), (8, 4, "c")]));
        assert_eq!(unused, ["b", "f"]);
        let unused = vec!["d".to_owned(), "e".to_owned()];
        let kept = mine.merge(Some(there()), true, &[]);
        assert_eq!(kept, Merged::Keep { unused });
    }

    #[test]
    fn what_is_cut_otherwise_stays_as_long_as_it_counts() {
        let there = || entry("\"a\"", 1, &[(0, 4, "a")]);
        let mine = |tag| {
            let mut mine = entry(tag, 2, &[(0, 4, "b")]);
            mine.object.chunk_size *= 2;
            mine
        };
        let unused = vec!["b".to_owned()];
        let kept = mine("\"a\"").merge(Some(there()), true, &[]);
        assert_eq!(kept, Merged::Keep { unused });
        for (tag, is_valid) in [("\"a\"", false), ("\"b\"", true)] {
            let (merged, unused) = written(mine(tag).merge(Some(there()), is_valid, &[]));
            assert_eq!((merged, unused), (mine(tag), vec!["a".to_owned()]));
        }
    }

    #[test]
    fn what_may_not_have_survived_a_purge_is_not_put_beside_what_has() {
        let mut there = entry("\"a\"", 1, &[(4, 4, "b")]);
        there.purges = 4;
        for mine in [entry("\"a\"", 2, &[(0, 4, "a")]), entry("\"b\"", 2, &[])] {
            for is_valid in [true, false] {
                let merged = mine.clone().merge(Some(there.clone()), is_valid, &[]);
                assert_eq!(merged, Merged::Behind { purges: 4 });
            }
        }
    }

    #[test]
    fn what_is_there_already_is_not_written_again() {
        let there = entry("\"a\"", 1, &[(0, 4, "a")]);
        // A write whose answer was lost: what it has entered is in use.
        let unused = Vec::new();
        assert_eq!(
            there.clone().merge(Some(there.clone()), true, &[]),
            Merged::Keep { unused }
        );
        let again = entry("\"a\"", 1, &[(0, 4, "b")]);
        let unused = vec!["b".to_owned()];
        assert_eq!(again.merge(Some(there), true, &[]), Merged::Keep { unused });
    }

    #[test]
    fn how_long_it_may_be_used_is_said_without_runs_and_only_where_there_are_some() {
        let there = || entry("\"a\"", 1, &[(0, 4, "a")]);
        let (merged, _) = written(entry("\"a\"", 2, &[]).merge(Some(there()), true, &[]));
        assert_eq!(merged, entry("\"a\"", 2, &[(0, 4, "a")]));
        let keep = Merged::Keep { unused: Vec::new() };
        assert_eq!(entry("\"a\"", 1, &[]).merge(Some(there()), true, &[]), keep);
        assert_eq!(entry("\"b\"", 2, &[]).merge(Some(there()), true, &[]), keep);
        assert_eq!(
            entry("\"a\"", 2, &[]).merge(Some(there()), false, &[]),
            keep
        );
        assert_eq!(entry("\"a\"", 2, &[]).merge(None, false, &[]), keep);
        // A soft purge is behind it by now.
        let mut later = entry("\"a\"", 2, &[]);
        (later.purges, later.object.meta.fresh_until) = (4, there().object.meta.fresh_until);
        let (merged, _) = written(later.merge(Some(there()), true, &[]));
        assert_eq!((merged.purges, merged.runs), (4, there().runs));
    }

    #[test]
    fn only_the_version_that_is_asked_for_is_given() {
        let entry = entry("\"a\"", 1, &[]);
        let total = entry.object.total.unwrap();
        assert!(entry.is_version(Some("\"a\""), total));
        assert!(!entry.is_version(Some("\"b\""), total));
        assert!(!entry.is_version(Some("\"a\""), total + 1));
        assert!(!entry.is_version(None, total));
    }

    proptest! {
        #[test]
        fn any_parts_of_one_version_make_a_sound_manifest(
            mine in prop::collection::vec((0u32..90, 1u32..10), 0..10),
            there in prop::collection::vec((0u32..90, 1u32..10), 0..10),
        ) {
            let apart = |parts: &[(u32, u32)], who: &str| {
                let mut end = 0;
                let mut sorted = parts.to_vec();
                sorted.sort_unstable();
                let mut all = entry("\"a\"", 1, &[]);
                for (first, count) in sorted {
                    if first >= end {
                        end = first + count;
                        all.runs.push(Run {
                            name: format!("{who}{first}"),
                            first,
                            checksums: (first..end).collect(),
                        });
                    }
                }
                all
            };
            let (mine, there) = (apart(&mine, "m"), apart(&there, "t"));
            if let Merged::Write { entry, unused } = mine.clone().merge(Some(there.clone()), true, &[]) {
                prop_assert!(entry.is_sound());
                prop_assert!(there.runs.iter().all(|run| entry.runs.contains(run)));
                let lost = |run: &&Run| !entry.runs.contains(run);
                prop_assert!(mine.runs.iter().filter(lost).all(|run| unused.contains(&run.name)));
            }
        }
    }
}
