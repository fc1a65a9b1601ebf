//! The numbers that a simulation is about. `conf/SCALING.md` names where each comes from.

use crate::{fleet::Design, policy::Kind};

/// Everything that can be varied.
#[derive(Clone, Debug)]
pub struct Model {
    pub seed: u64,
    /// Titles that can be watched at a time.
    pub titles: u32,
    /// Exponent of their popularity.
    pub zipf: f64,
    /// Views a day for each edge.
    pub views: f64,
    /// Disk of an edge, in bytes.
    pub disk: u64,
    /// Size of a chunk, in bytes.
    pub chunk: u32,
    /// Days before anything is counted.
    pub warm_up: u32,
    /// How often a chunk is asked for before it goes into the tier.
    pub tier_after: u32,
}

/// Days that are counted, once all is warm.
pub const MEASURED: u32 = 1;
/// Hours for which empty edges are watched after that.
pub const FRESH_HOURS: u32 = 4;
/// Steps in which they are watched, in seconds.
pub const FRESH_STEP: u32 = 600;
/// The time of day at which a simulation begins, so that empty edges come at the busiest time.
pub const BEGINS_AT_HOUR: f64 = 19.0;
/// A shield for so many edges.
pub const EDGES_PER_SHIELD: usize = 16;
/// A shield's disk, in disks of an edge.
pub const SHIELD_DISKS: u64 = 4;
/// What one shield answers for, and what one object of the tier holds at most, in bytes.
pub const GROUP: u32 = 64 << 20;
/// The most that one request of Tidegate asks for, in bytes: `fill.max_window`.
pub const WINDOW: u32 = 16 << 20;
/// A slice of nginx, in bytes.
pub const SLICE: u32 = 1 << 20;

pub const DAY: u32 = 24 * 3600;

/// What is compared in fleets, the plainest first.
pub const DESIGNS: [Design; 6] = [
    Design::alone("whole objects, LRU", Kind::Whole),
    Design::alone("slices, LRU", Kind::Slices),
    Design::alone("Tidegate", Kind::Chunks),
    Design::alone("Tidegate + tier", Kind::Chunks).with_tier(),
    Design::alone("Tidegate + ring", Kind::Chunks).with_ring(),
    Design::alone("Tidegate + ring + tier", Kind::Chunks)
        .with_ring()
        .with_tier(),
];

/// What is compared on edges by themselves.
pub const POLICIES: [Design; 3] = [
    Design::alone("whole objects, LRU", Kind::Whole),
    Design::alone("slices, LRU", Kind::Slices),
    Design::alone("Tidegate", Kind::Chunks),
];

impl Model {
    /// The same, warm only when disks are full that are much larger.
    pub fn patient(&self) -> Self {
        Self {
            warm_up: 4 * self.warm_up,
            ..self.clone()
        }
    }

    /// Chunks in so many bytes.
    pub fn chunks(&self, bytes: u64) -> u64 {
        bytes / u64::from(self.chunk)
    }

    /// Bytes in so many chunks.
    pub fn bytes(&self, chunks: u64) -> f64 {
        chunks as f64 * f64::from(self.chunk)
    }

    /// When counting begins and ends, and when the empty edges are no longer watched: seconds.
    pub fn times(&self) -> (u32, u32, u32) {
        let warm = self.warm_up * DAY;
        let measured = warm + MEASURED * DAY;
        (warm, measured, measured + FRESH_HOURS * 3600)
    }
}
