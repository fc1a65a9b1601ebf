//! A set of chunks of the whole catalogue, a bit for each.

/// Chunks by their number in the catalogue.
#[derive(Clone, Debug)]
pub struct Bits(Box<[u64]>);

impl Bits {
    /// An empty set of numbers below `length`.
    pub fn new(length: u32) -> Self {
        Self(vec![0; length.div_ceil(64) as usize].into())
    }

    pub fn contains(&self, number: u32) -> bool {
        self.0[number as usize / 64] >> (number % 64) & 1 == 1
    }

    /// Whether it was not there before.
    pub fn insert(&mut self, number: u32) -> bool {
        let is_new = !self.contains(number);
        self.0[number as usize / 64] |= 1 << (number % 64);
        is_new
    }

    pub fn remove(&mut self, number: u32) {
        self.0[number as usize / 64] &= !(1 << (number % 64));
    }

    pub fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}
