//! What to ask of the origin when nothing is known of an object yet.

use crate::domain::{ByteRange, Groups, RangeSet, RangeSpec};

/// The part of an object to ask for at first contact: whole chunks of one group, of which the first
/// holds the first byte that the client wants. The end of the object is not known; the origin cuts
/// there.
pub fn first_window(
    range: &RangeSet,
    chunk_size: u32,
    max_window: u64,
    groups: Groups,
) -> ByteRange {
    let size = u64::from(chunk_size);
    let max = (max_window / size).max(1) * size;
    let (start, wanted) = match range.first() {
        RangeSpec::Closed(first, last) => (first, last.saturating_sub(first).saturating_add(1)),
        RangeSpec::From(first) => (first, 1),
        // Where the end is will be known with the first chunk.
        RangeSpec::Suffix(_) => (0, 1),
    };
    let aligned = start / size * size;
    let end = (start - aligned)
        .saturating_add(wanted)
        .min(max)
        .min(groups.end(aligned) - aligned)
        .next_multiple_of(size);
    let window = aligned
        .checked_add(end)
        .and_then(|end| ByteRange::new(aligned, end));
    window.unwrap_or_else(|| first_chunk(chunk_size))
}

/// The part to ask for where only the head of the answer matters.
pub fn first_chunk(chunk_size: u32) -> ByteRange {
    ByteRange::new(0, u64::from(chunk_size)).expect("chunks are not empty")
}

/// The part to ask for where the whole is wanted, and comes from several places: what the first of
/// them has. `None` where it comes from one.
pub fn first_group(chunk_size: u32, groups: Groups) -> Option<ByteRange> {
    let end = groups.size()?.checked_next_multiple_of(chunk_size.into())?;
    ByteRange::new(0, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(field: &str) -> (u64, u64) {
        let set = RangeSet::parse(field.as_bytes()).unwrap();
        let window = first_window(&set, 100, 1000, Groups::ONE);
        (window.start(), window.end())
    }

    #[test]
    fn windows_hold_what_is_wanted_first() {
        assert_eq!(window("bytes=0-0"), (0, 100));
        assert_eq!(window("bytes=250-349"), (200, 400));
        assert_eq!(window("bytes=250-99999"), (200, 1200));
        assert_eq!(window("bytes=250-"), (200, 300));
        assert_eq!(window("bytes=-500"), (0, 100));
        assert_eq!(window("bytes=18446744073709551615-"), (0, 100));
        assert_eq!(window("bytes=700-710,0-1"), (700, 800));
    }

    #[test]
    fn windows_end_where_their_group_does() {
        let window = |field: &str, group| {
            let set = RangeSet::parse(field.as_bytes()).unwrap();
            let window = first_window(&set, 100, 1000, Groups::of(group));
            (window.start(), window.end())
        };
        assert_eq!(window("bytes=250-99999", 400), (200, 400));
        assert_eq!(window("bytes=400-99999", 400), (400, 800));
        assert_eq!(window("bytes=0-50", 400), (0, 100));
        // A grid that does not fit: the chunk that holds the border is the first group's.
        assert_eq!(window("bytes=250-99999", 450), (200, 500));
        let first = first_group(100, Groups::of(450));
        assert_eq!(first, ByteRange::new(0, 500));
        assert_eq!(first_group(100, Groups::ONE), None);
    }

    proptest! {
        #[test]
        fn windows_are_aligned_and_bounded(first: u64, length in 0u64..5000) {
            let set = format!("bytes={first}-{}", first.saturating_add(length));
            let (start, end) = window(&set);
            prop_assert!(start % 100 == 0 && end % 100 == 0 && start < end && end - start <= 1100);
            prop_assert!(start <= first);
        }
    }
}
