//! What is stored under a URL: `GET /inspect?url=` and `tidegate inspect`.

use super::ChunkMap;
use crate::{
    domain::{ChunkIndex, ExtraKind, ObjectKey, Tags},
    store::Object,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    fmt::{self, Write},
    time::SystemTime,
};

/// All that is stored under a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inspection {
    /// The URL.
    pub url: String,
    /// Its variants, each an object of its own.
    pub objects: Vec<Inspected>,
}

/// One stored object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inspected {
    /// Its name in the store.
    pub object: String,
    /// Sets this version apart from every other ever stored.
    pub generation: u64,
    /// Host, path and query of its key.
    pub place: String,
    /// What else its key holds, such as `variant width=720`.
    pub extras: Vec<String>,
    /// Whether request fields that `Vary` names select it.
    pub varies: bool,
    /// Status of the stored response.
    pub status: u16,
    /// Seconds since it was made, by `Age` and `Date`.
    pub age: u64,
    /// Seconds for which it is still fresh; negative for how long it has been stale.
    pub fresh_for: i64,
    /// Seconds beyond its freshness for which it may be used while the origin is asked.
    pub stale_while_revalidate: u32,
    /// The same for when the origin fails.
    pub stale_if_error: u32,
    /// The entity tag.
    pub etag: Option<String>,
    /// The modification date.
    pub last_modified: Option<String>,
    /// What purges by tag find it by.
    pub tags: Vec<String>,
    /// Length in bytes, once it is known.
    pub total: Option<u64>,
    /// Bytes of every chunk but perhaps the last.
    pub chunk_size: u32,
    /// How many chunks it has.
    pub chunks: u32,
    /// How many of them are stored.
    pub present: u32,
    /// The stored ones in runs, first and last, of very many the first 4096.
    pub runs: Vec<(u32, u32)>,
    /// All of them, where there are very many less exactly.
    pub map: ChunkMap,
}

impl Inspected {
    /// An object as it is now.
    pub fn of(object: &Object, now: SystemTime) -> Self {
        let meta = object.meta();
        let key = ObjectKey::decode(object.key());
        let validators = object.validators();
        let seconds = |of: SystemTime, since: SystemTime| of.duration_since(since).ok();
        let left = seconds(meta.fresh_until, now).map(|left| left.as_secs() as i64);
        let gone = seconds(now, meta.fresh_until).map_or(0, |gone| gone.as_secs() as i64 + 1);
        let present = object.present();
        Self {
            object: object.id().to_string(),
            generation: object.generation(),
            place: key
                .as_ref()
                .map_or_else(String::new, |key| format!("{}{}", key.host, key.target())),
            extras: key.iter().flat_map(extras).collect(),
            varies: meta.variance.is_some(),
            status: meta.status,
            age: seconds(now, meta.epoch).map_or(0, |age| age.as_secs()),
            fresh_for: left.unwrap_or(-gone),
            stale_while_revalidate: meta.stale_while_revalidate,
            stale_if_error: meta.stale_if_error,
            etag: validators.etag.map(|tag| tag.as_str().to_owned()),
            last_modified: validators.last_modified,
            tags: Tags::of(&meta.headers).known.into_iter().collect(),
            total: object.total(),
            chunk_size: object.chunk_size(),
            chunks: object.grid().map_or(0, |grid| grid.count()),
            present: present.len(),
            runs: runs(present.iter()),
            map: ChunkMap::of(&present, object.grid().map_or(0, |grid| grid.count())),
        }
    }

    /// In a few words, what a request for it would get now.
    pub fn outlook(&self) -> String {
        let fresh = match self.fresh_for {
            left @ 0.. => format!("fresh for {left}s"),
            gone => format!(
                "stale for {}s: the origin is asked whether it has changed",
                -gone
            ),
        };
        let there = match (self.total, self.present == self.chunks) {
            (None, _) => "its length is not known yet".to_owned(),
            (Some(_), true) => "all of it is stored".to_owned(),
            (Some(_), false) => {
                format!(
                    "{} of {} chunks are stored, others are fetched",
                    self.present, self.chunks
                )
            }
        };
        format!("{fresh}; {there}")
    }

    /// A picture of its chunks, a sign for each or, where there are many, for some in a row.
    fn map(&self) -> String {
        self.map.draw(self.chunks)
    }
}

fn extras(key: &ObjectKey) -> Vec<String> {
    let written = key.extras.iter().map(|extra| {
        let kind = match extra.kind {
            ExtraKind::Field => "header",
            ExtraKind::Cookie => "cookie",
            ExtraKind::Variant => "variant",
        };
        format!("{kind} {}={}", extra.name, extra.value)
    });
    written.collect()
}

/// The most runs that are told.
const MOST_RUNS: usize = 4096;

/// Neighbours joined.
fn runs(chunks: impl Iterator<Item = ChunkIndex>) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for ChunkIndex(chunk) in chunks {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == chunk => *last = chunk,
            _ => runs.push((chunk, chunk)),
        }
        if runs.len() > MOST_RUNS {
            runs.pop();
            break;
        }
    }
    runs
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.objects.is_empty() {
            return writeln!(f, "{}: nothing is stored", self.url);
        }
        for object in &self.objects {
            write!(f, "{object}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Inspected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| writeln!(text, "{name:<28}{value}");
        line("object", &self.object)?;
        line("  of", &self.place)?;
        for extra in &self.extras {
            line("  key", extra)?;
        }
        if self.varies {
            line("  key", "fields that Vary names")?;
        }
        line("  status", &self.status.to_string())?;
        line("  age", &format!("{}s", self.age))?;
        line("  now", &self.outlook())?;
        let windows = [
            ("  stale-while-revalidate", self.stale_while_revalidate),
            ("  stale-if-error", self.stale_if_error),
        ];
        for (name, window) in windows.iter().filter(|(_, window)| *window > 0) {
            line(name, &format!("{window}s"))?;
        }
        let named = [
            ("  etag", &self.etag),
            ("  last-modified", &self.last_modified),
        ];
        for (name, value) in named {
            line(name, value.as_deref().unwrap_or("none"))?;
        }
        if !self.tags.is_empty() {
            line("  tags", &self.tags.join(" "))?;
        }
        let total = self
            .total
            .map_or("not known yet".to_owned(), |total| format!("{total} bytes"));
        line("  length", &total)?;
        line(
            "  chunks",
            &format!(
                "{} of {}, each of {} bytes",
                self.present, self.chunks, self.chunk_size
            ),
        )?;
        for row in self.map().lines() {
            writeln!(text, "    {row}")?;
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ChunkSet;

    fn set(stored: &[(u32, u32)]) -> ChunkSet {
        let mut set = ChunkSet::default();
        for (first, last) in stored {
            (*first..=*last).for_each(|chunk| {
                set.insert(ChunkIndex(chunk));
            });
        }
        set
    }

    fn inspected(chunks: u32, stored: &[(u32, u32)]) -> Inspected {
        Inspected {
            object: "00".into(),
            generation: 1,
            place: "a.example/f".into(),
            extras: vec!["variant width=720".into()],
            varies: false,
            status: 200,
            age: 7,
            fresh_for: -3,
            stale_while_revalidate: 0,
            stale_if_error: 60,
            etag: None,
            last_modified: None,
            tags: vec!["film".into()],
            total: Some(1),
            chunk_size: 1 << 20,
            chunks,
            present: stored.iter().map(|(a, b)| b - a + 1).sum(),
            runs: stored.to_vec(),
            map: ChunkMap::of(&set(stored), chunks),
        }
    }

    #[test]
    fn neighbours_are_joined() {
        let chunks = [0, 1, 2, 5, 7, 8].into_iter().map(ChunkIndex);
        assert_eq!(runs(chunks), [(0, 2), (5, 5), (7, 8)]);
    }

    #[test]
    fn it_is_told_in_words_and_in_json() {
        let inspection = Inspection {
            url: "http://a.example/f".into(),
            objects: vec![inspected(2, &[(0, 0)])],
        };
        let text = inspection.to_string();
        for told in ["stale for 3s", "1 of 2 chunks", "variant width=720", "#."] {
            assert!(text.contains(told), "{text}");
        }
        let json = serde_json::to_string(&inspection).unwrap();
        assert_eq!(
            serde_json::from_str::<Inspection>(&json).unwrap(),
            inspection
        );
    }
}
