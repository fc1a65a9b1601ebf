//! Edges, and what is behind them: perhaps a ring of shields, perhaps a tier, then the origin.

use crate::{
    books::Books,
    catalogue::Object,
    model::{EDGES_PER_SHIELD, GROUP, Model, SHIELD_DISKS, SLICE, WINDOW},
    policy::{Disk, Kind, Served},
    ring::Ring,
    tier::Tier,
    trace::Request,
};
use std::ops::Range;

/// How a fleet is built.
#[derive(Clone, Copy, Debug)]
pub struct Design {
    pub name: &'static str,
    pub kind: Kind,
    pub ring: bool,
    pub tier: bool,
}

impl Design {
    /// Edges before the origin.
    pub const fn alone(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            ring: false,
            tier: false,
        }
    }

    pub const fn with_ring(self) -> Self {
        Self { ring: true, ..self }
    }

    pub const fn with_tier(self) -> Self {
        Self { tier: true, ..self }
    }
}

/// A fleet at work.
pub struct Fleet {
    kind: Kind,
    edges: Vec<Disk>,
    shields: Vec<Disk>,
    ring: Option<Ring>,
    tier: Option<Tier>,
    scale: Scale,
}

/// What disks are made by, and requests counted by.
#[derive(Clone, Copy)]
struct Scale {
    disk: u64,
    chunk: u32,
    catalogue: u32,
}

impl Fleet {
    /// An empty one, before an origin of `catalogue` chunks.
    pub fn new(design: &Design, edges: usize, model: &Model, catalogue: u32) -> Self {
        let scale = Scale {
            disk: model.disk,
            chunk: model.chunk,
            catalogue,
        };
        let shields = match design.ring {
            true => edges.div_ceil(EDGES_PER_SHIELD),
            false => 0,
        };
        let before_tier = if design.ring { shields } else { edges };
        Self {
            kind: design.kind,
            edges: (0..edges).map(|_| scale.disk(design.kind, 1)).collect(),
            shields: (0..shields)
                .map(|_| scale.disk(design.kind, SHIELD_DISKS))
                .collect(),
            ring: Ring::new(0..shields),
            tier: design
                .tier
                .then(|| Tier::new(before_tier, catalogue, model.tier_after)),
            scale,
        }
    }

    /// A viewer is served; what that took.
    pub fn serve(&mut self, request: &Request) -> Books {
        let wanted = request.from..request.to;
        let served = self.edges[request.edge].serve(request.object, wanted.clone());
        let mut books = Books {
            delivered: u64::from(request.to - request.from),
            hit: served.hit,
            written: served.written,
            ..Books::default()
        };
        match self.ring {
            None => self.ask_behind(request.edge, request.object, wanted, &served, &mut books),
            Some(_) => self.ask_shields(request.object, &served, &mut books),
        }
        books
    }

    /// The shields have each its groups of what an edge lacks.
    fn ask_shields(&mut self, object: Object, served: &Served, books: &mut Books) {
        let group = GROUP / self.scale.chunk;
        for part in served.missing.iter().flat_map(|run| parts(run, group)) {
            let Some(ring) = &self.ring else { return };
            let owner = ring.owner(object.number, part.start / group);
            let found = self.shields[owner].serve(object, part.clone());
            books.shield += found.hit;
            books.written += found.written;
            self.ask_behind(owner, object, part, &found, books);
        }
    }

    /// The last ones before the tier and the origin, shields or edges, were asked for `wanted` of
    /// an object and served it.
    fn ask_behind(
        &mut self,
        who: usize,
        object: Object,
        wanted: Range<u32>,
        served: &Served,
        books: &mut Books,
    ) {
        for run in &served.missing {
            self.fetch(object, run, books);
        }
        if let Some(tier) = &mut self.tier {
            let numbers = object.start + wanted.start..object.start + wanted.end;
            let (chunks, runs) = tier.note(who, numbers);
            books.tier_written += chunks;
            books.tier_puts += runs;
        }
    }

    /// Some chunks in a row, from the tier as far as it has them, else from the origin.
    fn fetch(&self, object: Object, run: &Range<u32>, books: &mut Books) {
        let in_tier = |chunk: u32| {
            let stored = |it: &Tier| it.contains(object.start + chunk);
            self.tier.as_ref().is_some_and(stored)
        };
        let mut from = run.start;
        while from < run.end {
            let stored = in_tier(from);
            let other = (from..run.end).find(|chunk| in_tier(*chunk) != stored);
            let to = other.unwrap_or(run.end);
            let chunks = u64::from(to - from);
            if stored {
                books.tier += chunks;
                books.tier_gets += self.scale.requests(chunks, WINDOW);
            } else {
                books.origin += chunks;
                books.origin_requests += match self.kind {
                    Kind::Whole => 1,
                    Kind::Slices => self.scale.requests(chunks, SLICE),
                    Kind::Chunks => self.scale.requests(chunks, WINDOW),
                };
            }
            from = to;
        }
    }

    /// An edge breaks down, and an empty one takes its place.
    pub fn replace(&mut self, edge: usize) {
        self.edges[edge] = self.scale.disk(self.kind, 1);
        if let (None, Some(tier)) = (&self.ring, &mut self.tier) {
            tier.forget(edge, self.scale.catalogue);
        }
    }

    /// Chunks in the tier.
    pub fn in_tier(&self) -> u64 {
        self.tier.as_ref().map_or(0, Tier::used)
    }
}

impl Scale {
    fn disk(&self, kind: Kind, times: u64) -> Disk {
        Disk::new(kind, self.disk * times, self.chunk, self.catalogue)
    }

    /// How many requests of at most `most` bytes it takes.
    fn requests(&self, chunks: u64, most: u32) -> u64 {
        (chunks * u64::from(self.chunk)).div_ceil(u64::from(most))
    }
}

/// A run cut at the borders of groups.
fn parts(run: &Range<u32>, group: u32) -> impl Iterator<Item = Range<u32>> {
    let (start, end) = (run.start, run.end);
    (start / group..end.div_ceil(group))
        .map(move |number| start.max(number * group)..end.min((number + 1) * group))
}
