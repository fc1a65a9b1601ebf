//! A tier shared by all: an object store that is read before the origin is asked, and written
//! behind.

use crate::bits::Bits;
use std::ops::Range;

/// What goes into the tier: a chunk that somebody before it has been asked for once or twice,
/// whichever is said, be it on that one's disk by then or not. Who is before the tier are the
/// shields, or the edges where there are none.
#[derive(Clone, Debug)]
pub struct Tier {
    /// By their number in the catalogue.
    stored: Bits,
    /// What each before the tier has been asked for.
    asked: Vec<Bits>,
    at_once: bool,
}

impl Tier {
    pub fn new(before: usize, catalogue: u32, after: u32) -> Self {
        Self {
            stored: Bits::new(catalogue),
            asked: vec![Bits::new(catalogue); before],
            at_once: after < 2,
        }
    }

    pub fn contains(&self, number: u32) -> bool {
        self.stored.contains(number)
    }

    /// `who` is asked for some chunks. Returns how many go into the tier now, and in how many
    /// runs.
    pub fn note(&mut self, who: usize, wanted: Range<u32>) -> (u64, u64) {
        let (mut chunks, mut runs) = (0, 0);
        let mut goes_on = false;
        for number in wanted {
            let again = !self.asked[who].insert(number);
            let goes = (again || self.at_once) && self.stored.insert(number);
            chunks += u64::from(goes);
            runs += u64::from(goes && !goes_on);
            goes_on = goes;
        }
        (chunks, runs)
    }

    /// One before the tier has been replaced by one that knows nothing.
    pub fn forget(&mut self, who: usize, catalogue: u32) {
        self.asked[who] = Bits::new(catalogue);
    }

    /// Chunks that it holds.
    pub fn used(&self) -> u64 {
        self.stored.len()
    }
}
