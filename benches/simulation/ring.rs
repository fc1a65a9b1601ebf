//! Which shield answers for what: consistent hashing on object and group of chunks, so that one
//! hot film is spread, and a shield that comes or goes moves no more than its share.

/// Shields on a circle of hashes, each at many points.
#[derive(Clone, Debug)]
pub struct Ring(Vec<(u64, usize)>);

/// Points of a shield: enough that none has much more to do than another.
const POINTS: u64 = 256;

impl Ring {
    /// A ring of these shields; `None` where there are none.
    pub fn new(shields: impl Iterator<Item = usize>) -> Option<Self> {
        let points = |shield: usize| (0..POINTS).map(move |it| (hash(shield as u64, it), shield));
        let mut ring: Vec<_> = shields.flat_map(points).collect();
        ring.sort_unstable();
        (!ring.is_empty()).then_some(Self(ring))
    }

    /// The shield that answers for a group of an object's chunks: the next on the circle.
    pub fn owner(&self, object: u32, group: u32) -> usize {
        let place = hash(u64::from(object) | OBJECTS, u64::from(group));
        let next = self.0.partition_point(|(point, _)| *point < place);
        self.0[next % self.0.len()].1
    }
}

/// Keeps what is hashed for objects apart from what is hashed for shields.
const OBJECTS: u64 = 1 << 63;

/// The finish of SplitMix64 (Steele, Lea and Flood, 2014), over one number after the other.
fn hash(one: u64, other: u64) -> u64 {
    let mix = |mut it: u64| {
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    };
    mix(mix(one.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ other)
}
