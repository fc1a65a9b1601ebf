//! The parts of an object that are spread over several places.

use super::ChunkIndex;
use std::num::NonZeroU64;

/// How objects are cut into groups of bytes, each of which comes from one place. Every group begins
/// at a multiple of their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Groups(Option<NonZeroU64>);

impl Groups {
    /// One group for all of an object.
    pub const ONE: Self = Self(None);

    /// Groups of so many bytes; one for all where that is 0.
    pub fn of(bytes: u64) -> Self {
        Self(NonZeroU64::new(bytes))
    }

    /// Bytes of a group; `None` where there is but one.
    pub fn size(self) -> Option<u64> {
        self.0.map(NonZeroU64::get)
    }

    /// The number of the group that holds the byte at `offset`, from 0.
    pub fn at(self, offset: u64) -> u64 {
        self.0.map_or(0, |size| offset / size)
    }

    /// Where the group ends that holds the byte at `offset`.
    pub fn end(self, offset: u64) -> u64 {
        let end = |size: NonZeroU64| (offset / size + 1).saturating_mul(size.get());
        self.0.map_or(u64::MAX, end)
    }

    /// One past the last chunk that may be asked for together with `first`, at most `limit`. A chunk
    /// belongs to the group that its first byte is in.
    pub fn limit(self, chunk_size: u32, first: ChunkIndex, limit: ChunkIndex) -> ChunkIndex {
        let size = u64::from(chunk_size);
        let end = self.end(u64::from(first.0) * size).div_ceil(size);
        limit.min(ChunkIndex(u32::try_from(end).unwrap_or(u32::MAX)))
    }

    /// The smaller ones of the two.
    pub fn finer(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_group_has_no_border() {
        assert_eq!(Groups::ONE.at(u64::MAX), 0);
        assert_eq!(Groups::ONE.end(7), u64::MAX);
        let limit = Groups::ONE.limit(1 << 20, ChunkIndex(3), ChunkIndex(u32::MAX));
        assert_eq!(limit, ChunkIndex(u32::MAX));
    }

    #[test]
    fn the_finer_of_two_is_the_smaller() {
        let (large, small) = (Groups::of(64), Groups::of(16));
        for (a, b, finer) in [
            (large, small, small),
            (small, large, small),
            (Groups::ONE, large, large),
            (large, Groups::ONE, large),
            (Groups::ONE, Groups::of(0), Groups::ONE),
        ] {
            assert_eq!(a.finer(b), finer, "{a:?} {b:?}");
        }
    }

    proptest! {
        #[test]
        fn a_group_is_what_lies_between_two_borders(size in 1u64..1000, offset: u64) {
            let groups = Groups::of(size);
            let end = groups.end(offset);
            prop_assert!(end > offset || end == u64::MAX);
            prop_assert!(end == u64::MAX || end - offset <= size);
            prop_assert_eq!(groups.at(offset), groups.at(offset / size * size));
            prop_assert!(end == u64::MAX || groups.at(end) == groups.at(offset) + 1);
        }

        /// Windows that end where their group does tile an object, and each begins in one group.
        #[test]
        fn no_window_goes_on_in_another_group(
            size in 1u64..40, chunk_size in 1u32..10, window in 1u32..20, count in 1u32..60,
        ) {
            let groups = Groups::of(size);
            let mut at = ChunkIndex(0);
            while at.0 < count {
                let end = groups.limit(chunk_size, at, ChunkIndex((at.0 + window).min(count)));
                prop_assert!(at < end && end.0 - at.0 <= window);
                let group = |chunk: u32| groups.at(u64::from(chunk) * u64::from(chunk_size));
                prop_assert_eq!(group(end.0 - 1), group(at.0));
                at = end;
            }
        }
    }
}
