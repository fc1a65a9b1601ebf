//! Lists of what is stored, a page at a time.
//!
//! A list is made of the index in slices: the lock on it is given back after each, and of what has
//! been looked at no more is kept than the page has lines. So a list of a million objects takes a
//! moment of one thread and hardly any memory. It is no snapshot: what changes meanwhile may stand
//! on two pages or on none.

use super::{DISK_PATIENCE, ObjectId, Store};
use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::SystemTime};

/// One stored object, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name in the store.
    pub id: ObjectId,
    /// Host and target of its key, as [`crate::domain::place_of`] puts them together.
    pub place: Arc<str>,
    /// Length in bytes.
    pub total: u64,
    /// Bytes of every chunk but perhaps the last.
    pub chunk_size: u32,
    /// Bytes of its chunks on disk.
    pub stored: u64,
    /// When it was first stored.
    pub created: SystemTime,
    /// Requests that found it since the process first met it.
    pub finds: u64,
    /// When one last did.
    pub last_found: Option<SystemTime>,
}

/// What comes first in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By host, path and query.
    #[default]
    Name,
    /// Most bytes on disk.
    Bytes,
    /// Most often found.
    Hits,
    /// Stored longest ago.
    Age,
    /// Found last.
    Recent,
}

/// Which objects to list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// What their places contain, whatever the case of ASCII letters.
    pub search: String,
    /// What comes first.
    pub order: Order,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// Lines of a page.
    pub limit: usize,
}

/// A place in a list, just behind an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    rank: Reverse<u64>,
    name: (Arc<str>, ObjectId),
}

/// One page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Its lines.
    pub objects: Vec<Listed>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// Objects that are looked at under one lock.
const SLICE: usize = 512;

impl Order {
    fn rank(self, object: &Listed) -> u64 {
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(0, |since| since.as_secs())
        };
        match self {
            Self::Name => 0,
            Self::Bytes => object.stored,
            Self::Hits => object.finds,
            Self::Age => u64::MAX - seconds(object.created),
            Self::Recent => object.last_found.map_or(0, seconds),
        }
    }
}

impl Cursor {
    fn of(object: &Listed, order: Order) -> Self {
        Self {
            rank: Reverse(order.rank(object)),
            name: (object.place.clone(), object.id),
        }
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (rank, rest) = text.split_once('.')?;
        let (id, place) = rest.split_once('.')?;
        Some(Self {
            rank: Reverse(rank.parse().ok()?),
            name: (place.into(), ObjectId::parse(id)?),
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (place, id) = &self.name;
        write!(f, "{}.{id}.{place}", self.rank.0)
    }
}

/// The best lines so far, one more than the page has; the worst of them is on top.
struct Best<'a> {
    query: &'a Query,
    lines: BinaryHeap<Line>,
}

struct Line {
    cursor: Cursor,
    object: Listed,
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.cursor == other.cursor
    }
}

impl Eq for Line {}

impl PartialOrd for Line {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Line {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.cursor.cmp(&other.cursor)
    }
}

impl<'a> Best<'a> {
    fn of(query: &'a Query) -> Self {
        let lines = BinaryHeap::with_capacity(query.limit + 2);
        Self { query, lines }
    }

    fn take(&mut self, object: Listed) {
        if !contains(&object.place, &self.query.search) {
            return;
        }
        let cursor = Cursor::of(&object, self.query.order);
        if self.query.after.as_ref().is_some_and(|a| cursor <= *a) {
            return;
        }
        self.lines.push(Line { cursor, object });
        if self.lines.len() > self.query.limit + 1 {
            self.lines.pop();
        }
    }

    /// Whether nothing that comes later in the index can be better.
    fn is_full(&self) -> bool {
        self.query.order == Order::Name && self.lines.len() > self.query.limit
    }

    fn page(self) -> Listing {
        let limit = self.query.limit;
        let mut lines = self.lines.into_sorted_vec();
        let more = lines.len() > limit;
        lines.truncate(limit);
        let last = lines.last().map(|line| line.cursor.clone());
        Listing {
            objects: lines.into_iter().map(|line| line.object).collect(),
            next: last.filter(|_| more),
        }
    }
}

/// Whether a place contains what is searched for, as it is shown: host and path stand side by side.
fn contains(place: &str, search: &str) -> bool {
    let found = |search: &str| {
        let (place, search) = (place.as_bytes(), search.as_bytes());
        let mut parts = place.windows(search.len().max(1));
        search.is_empty() || parts.any(|part| part.eq_ignore_ascii_case(search))
    };
    found(search) || search.contains('/') && found(&search.replacen('/', "\0/", 1))
}

impl Store {
    /// One page of what lies on disk; `None` where others are being made for too long.
    pub async fn page(self: &Arc<Self>, query: Query) -> Option<Listing> {
        let turn = self.listing.clone().acquire_owned();
        let turn = tokio::time::timeout(DISK_PATIENCE, turn).await.ok()?.ok()?;
        let store = self.clone();
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            store.page_blocking(&query)
        });
        made.await.ok()
    }

    fn page_blocking(&self, query: &Query) -> Listing {
        let mut best = Best::of(query);
        let by_name = query.after.as_ref().filter(|_| query.order == Order::Name);
        let mut at = by_name.map(|after| after.name.clone());
        loop {
            let slice = self.index.lock().page(at.as_ref(), SLICE);
            let Some(last) = slice.last() else {
                return best.page();
            };
            at = Some((last.place.clone(), last.id));
            slice.into_iter().for_each(|object| best.take(object));
            if best.is_full() {
                return best.page();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, create, keep, manifest};
    use super::*;
    use crate::domain::ChunkIndex;
    use proptest::prelude::*;
    use std::time::Duration;

    fn listed(n: u8, place: u8, value: u64) -> Listed {
        Listed {
            id: ObjectId([n; 16]),
            place: format!("a.example/Film/{place}").into(),
            total: 1,
            chunk_size: 65536,
            stored: value,
            created: SystemTime::UNIX_EPOCH + Duration::from_secs(value),
            finds: value,
            last_found: None,
        }
    }

    fn orders() -> impl Strategy<Value = Order> {
        prop::sample::select(vec![
            Order::Name,
            Order::Bytes,
            Order::Hits,
            Order::Age,
            Order::Recent,
        ])
    }

    proptest! {
        /// Page after page, every object stands in the list once, in order.
        #[test]
        fn pages_make_a_list(
            objects in prop::collection::btree_map(0u8..40, (0u8..5, 0u64..6), 0..30),
            order in orders(),
            limit in 1usize..7,
        ) {
            let all: Vec<_> = objects.iter().map(|(n, (place, value))| listed(*n, *place, *value)).collect();
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let query = Query { order, limit, after, ..Query::default() };
                let mut best = Best::of(&query);
                all.iter().for_each(|object| best.take(object.clone()));
                let page = best.page();
                prop_assert!(page.objects.len() <= limit);
                found.extend(page.objects);
                let Some(next) = page.next else { break };
                after = Cursor::parse(&next.to_string());
                prop_assert_eq!(after.as_ref(), Some(&next));
            }
            let mut expected = all;
            expected.sort_by_key(|object| Cursor::of(object, order));
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_search_looks_everywhere_in_a_place() {
        for (search, found) in [
            ("", true),
            ("film", true),
            ("EXAMPLE/", true),
            ("example/film/7", true),
            ("/9", false),
        ] {
            assert_eq!(contains("a.example\0/Film/7", search), found, "{search}");
        }
        assert!(!contains("a", "longer"));
    }

    /// What is counted goes on when an object is closed and opened again, and what it takes is
    /// known whether it is open or not, also after a restart.
    #[tokio::test]
    async fn counts_outlive_the_open_object() {
        let mut bench = Bench::new(64 << 20);
        bench.config.open_objects = 1;
        let store = bench.open();
        let film = create(&store, manifest(1, 1, 3 * 65536 - 1)).await;
        for chunk in [0, 2] {
            keep(&store, &film, chunk).await.unwrap();
        }
        film.note_found(SystemTime::now());
        drop(film);
        let other = create(&store, manifest(2, 2, 65536)).await;
        keep(&store, &other, 0).await.unwrap();
        assert!(store.open_object(ObjectId([1; 16])).is_none());

        let film = store.find_by_id(ObjectId([1; 16])).await.unwrap();
        film.note_found(SystemTime::now());
        let counts = async |store: &Arc<Store>| {
            let query = Query {
                order: Order::Bytes,
                limit: 9,
                ..Query::default()
            };
            let page = store.page(query).await.unwrap().objects;
            page.iter().map(|o| (o.stored, o.finds)).collect::<Vec<_>>()
        };
        assert_eq!(counts(&store).await, [(2 * 65536 - 1, 2), (65536, 0)]);
        store.drop_chunk(&film, ChunkIndex(2));
        assert_eq!(counts(&store).await, [(65536, 2), (65536, 0)]);
        store.close().await;

        let again = Store::open(bench.config.clone()).unwrap();
        // Before the walk comes by.
        let early = again.find_by_id(ObjectId([1; 16])).await.unwrap();
        early.note_found(SystemTime::now());
        again.recover();
        assert_eq!(counts(&again).await, [(65536, 1), (65536, 0)]);
    }
}
