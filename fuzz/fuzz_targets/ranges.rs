//! `Range` and `Content-Range`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_fuzz::domain::{ByteRange, ContentRange, RangeSet, Selection};

fuzz_target!(|input: (u64, u8, &[u8])| {
    let (total, limit, field) = input;
    // Small totals are where most of the edges are.
    for total in [total, total % 16] {
        if let Some(set) = RangeSet::parse(field) {
            check(&set, total, usize::from(limit));
        }
    }
    content_range(field);
});

fn check(set: &RangeSet, total: u64, limit: usize) {
    match set.select(total, limit) {
        Selection::Ranges(ranges) => {
            assert!(!ranges.is_empty() && ranges.len() <= limit);
            assert!(
                ranges
                    .iter()
                    .all(|range| range.end() <= total && range.len() > 0)
            );
            // Ascending, and neither overlapping nor adjacent.
            assert!(ranges.windows(2).all(|two| two[0].end() < two[1].start()));
            let sum: u64 = ranges.iter().map(|range| range.len()).sum();
            assert!(sum <= total);
            again(&ranges, total);
        }
        Selection::Unsatisfiable => assert!(set.first().resolve(total).is_none()),
        Selection::Whole => {}
    }
    if !set.is_list() && limit > 0 {
        let selected = set.select(total, limit);
        match set.first().resolve(total) {
            Some(range) => assert_eq!(selected, Selection::Ranges(vec![range])),
            None => assert!(!matches!(selected, Selection::Ranges(_))),
        }
    }
}

/// What was selected, written as a field, selects the same.
fn again(ranges: &[ByteRange], total: u64) {
    let members: Vec<_> = ranges
        .iter()
        .map(|range| format!("{}-{}", range.start(), range.last()))
        .collect();
    let set = RangeSet::parse(format!("bytes={}", members.join(",")).as_bytes());
    let selected = set.expect("it is well-formed").select(total, ranges.len());
    assert_eq!(selected, Selection::Ranges(ranges.to_vec()));
}

fn content_range(field: &[u8]) {
    let Some(parsed) = ContentRange::parse(field) else {
        return;
    };
    let written = match parsed {
        ContentRange::Bytes(range, total) => {
            assert!(total.is_none_or(|total| range.end() <= total));
            let total = total.map_or("*".to_owned(), |total| total.to_string());
            format!("bytes {}-{}/{total}", range.start(), range.last())
        }
        ContentRange::Unsatisfied(total) => format!("bytes */{total}"),
    };
    assert_eq!(ContentRange::parse(written.as_bytes()), Some(parsed));
}
