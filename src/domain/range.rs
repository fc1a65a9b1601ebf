//! Byte ranges and the `Range` request field (RFC 9110, sections 14.1 and 14.2).

use std::cmp::Ordering;

/// A non-empty run of bytes of one representation, `start..end`, the end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRange {
    start: u64,
    end: u64,
}

impl ByteRange {
    /// `start..end`, or `None` where that would be empty.
    pub fn new(start: u64, end: u64) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// The first byte.
    pub fn start(self) -> u64 {
        self.start
    }

    /// One past the last byte.
    pub fn end(self) -> u64 {
        self.end
    }

    /// The last byte, as HTTP writes it.
    pub fn last(self) -> u64 {
        self.end - 1
    }

    /// Number of bytes, never 0.
    #[expect(clippy::len_without_is_empty, reason = "never empty by construction")]
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether every byte of `other` is one of these.
    pub fn covers(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// One member of a `Range` field, before the length of the representation is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeSpec {
    /// `first-last`, both included.
    Closed(u64, u64),
    /// `first-`.
    From(u64),
    /// `-length`: the last so many bytes.
    Suffix(u64),
}

impl RangeSpec {
    /// The bytes meant in a representation of `total` bytes; `None` when there are none.
    pub fn resolve(self, total: u64) -> Option<ByteRange> {
        match self {
            Self::Closed(first, last) => ByteRange::new(first, last.saturating_add(1).min(total)),
            Self::From(first) => ByteRange::new(first, total),
            Self::Suffix(length) => ByteRange::new(total.saturating_sub(length), total),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        match (Digits::parse(first)?, Digits::parse(last)?) {
            (Digits(""), Digits("")) => None,
            (Digits(""), length) => Some(Self::Suffix(length.value())),
            (first, Digits("")) => Some(Self::From(first.value())),
            (first, last) if last.compare(first) == Ordering::Less => None,
            (first, last) => Some(Self::Closed(first.value(), last.value())),
        }
    }
}

/// The members of a well-formed `Range` field in bytes; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet(Vec<RangeSpec>);

/// What a [`RangeSet`] selects of a representation of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it: the field is to be ignored.
    Whole,
    /// These bytes: ascending, neither overlapping nor adjacent; at least one range.
    Ranges(Vec<ByteRange>),
    /// Nothing: 416 (RFC 9110, section 15.5.17).
    Unsatisfiable,
}

impl RangeSet {
    /// Reads a `Range` field. `None` where it is to be ignored: another unit, or a range-set
    /// that is not well-formed. Numbers beyond 64 bits are read as the largest number.
    pub fn parse(field: &[u8]) -> Option<Self> {
        let (unit, set) = std::str::from_utf8(field).ok()?.split_once('=')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let specs: Option<Vec<_>> = set
            .split(',')
            .map(|member| member.trim_matches([' ', '\t']))
            .filter(|member| !member.is_empty())
            .map(RangeSpec::parse)
            .collect();
        specs.filter(|specs| !specs.is_empty()).map(Self)
    }

    /// The first member as it was written.
    pub fn first(&self) -> RangeSpec {
        self.0[0]
    }

    /// Whether the client itself said where it ends, so that nothing need be read beyond.
    pub fn says_where_it_ends(&self) -> bool {
        !self.0.iter().any(|spec| matches!(spec, RangeSpec::From(_)))
    }

    /// Whether there is more than one member.
    pub fn is_list(&self) -> bool {
        self.0.len() > 1
    }

    /// What this selects of `total` bytes. A field with more than `limit` members is ignored;
    /// members that overlap or touch become one (both allowed by RFC 9110, sections 14.2 and
    /// 15.3.7.2: it is the defence against ranges that multiply an answer).
    pub fn select(&self, total: u64, limit: usize) -> Selection {
        if self.0.len() > limit {
            return Selection::Whole;
        }
        let mut ranges: Vec<_> = self.0.iter().filter_map(|s| s.resolve(total)).collect();
        if ranges.is_empty() {
            // A suffix selects even of an empty representation, but `Content-Range` has no way
            // to write an empty interval: the whole (nothing) is the answer.
            let suffix = |s: &RangeSpec| matches!(s, RangeSpec::Suffix(length) if *length > 0);
            return match total == 0 && self.0.iter().any(suffix) {
                true => Selection::Whole,
                false => Selection::Unsatisfiable,
            };
        }
        ranges.sort_by_key(|r| r.start);
        ranges.dedup_by(|next, last| {
            let joins = next.start <= last.end;
            if joins {
                last.end = last.end.max(next.end);
            }
            joins
        });
        Selection::Ranges(ranges)
    }
}

/// A possibly empty run of ASCII digits of any length.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Digits<'a>(&'a str);

impl<'a> Digits<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then_some(Self(text))
    }

    fn value(self) -> u64 {
        self.0.parse().unwrap_or(u64::MAX)
    }

    fn compare(self, other: Self) -> Ordering {
        let [a, b] = [self.0, other.0].map(|text| text.trim_start_matches('0'));
        a.len().cmp(&b.len()).then_with(|| a.cmp(b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn selected(field: &str, total: u64) -> Option<Selection> {
        RangeSet::parse(field.as_bytes()).map(|set| set.select(total, 32))
    }

    fn ranges(list: &[(u64, u64)]) -> Option<Selection> {
        let ranges = list.iter().map(|&(a, b)| ByteRange::new(a, b).unwrap());
        Some(Selection::Ranges(ranges.collect()))
    }

    #[test]
    fn well_formed_fields_select() {
        assert_eq!(selected("bytes=0-0", 10), ranges(&[(0, 1)]));
        assert_eq!(selected("BYTES=2-", 10), ranges(&[(2, 10)]));
        assert_eq!(selected("bytes=-3", 10), ranges(&[(7, 10)]));
        assert_eq!(selected("bytes=-30", 10), ranges(&[(0, 10)]));
        assert_eq!(
            selected("bytes=5-99999999999999999999", 10),
            ranges(&[(5, 10)])
        );
        assert_eq!(selected("bytes= 7-8 ,, 0-1", 10), ranges(&[(0, 2), (7, 9)]));
        assert_eq!(selected("bytes=0-3,2-5,6-7", 10), ranges(&[(0, 8)]));
        assert_eq!(selected("bytes=0-1,50-60", 10), ranges(&[(0, 2)]));
    }

    #[test]
    fn nothing_selected_is_unsatisfiable() {
        for field in [
            "bytes=10-",
            "bytes=-0",
            "bytes=99999999999999999999-",
            "bytes=10-11,12-",
        ] {
            assert_eq!(
                selected(field, 10),
                Some(Selection::Unsatisfiable),
                "{field}"
            );
        }
        assert_eq!(selected("bytes=0-", 0), Some(Selection::Unsatisfiable));
        assert_eq!(selected("bytes=-5", 0), Some(Selection::Whole));
    }

    #[test]
    fn malformed_fields_are_ignored() {
        let fields = [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=1",
            "bytes=5-4",
            "bytes=1-2-3",
            "bytes=0x1-2",
            "bytes=+1-2",
            "lines=0-1",
            "bytes 0-1",
            "bytes=0-1;2-3",
            "bytes=99999999999999999999-5",
            "bytes=99999999999999999999-99999999999999999998",
        ];
        for field in fields {
            assert_eq!(selected(field, 10), None, "{field}");
        }
    }

    #[test]
    fn too_many_members_are_ignored() {
        let field = format!("bytes={}", vec!["0-0"; 33].join(","));
        assert_eq!(selected(&field, 10), Some(Selection::Whole));
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_inside(field in "bytes=[-0-9, ]{0,40}", total in 0u64..100) {
            if let Some(Selection::Ranges(list)) = selected(&field, total) {
                prop_assert!(!list.is_empty());
                prop_assert!(list.iter().all(|r| r.start < r.end && r.end <= total));
                prop_assert!(list.windows(2).all(|w| w[0].end < w[1].start));
            }
        }

        #[test]
        fn selects_exactly_the_bytes_that_some_member_means(
            members in prop::collection::vec((0u64..40, 0u64..40), 1..6), total in 1u64..40,
        ) {
            let members: Vec<_> = members.iter().map(|&(a, b)| (a.min(b), a.max(b))).collect();
            let text: Vec<_> = members.iter().map(|(a, b)| format!("{a}-{b}")).collect();
            let field = format!("bytes={}", text.join(","));
            let found = selected(&field, total).unwrap();
            for byte in 0..total {
                let meant = members.iter().any(|(a, b)| (*a..=*b).contains(&byte));
                let is_in = matches!(&found, Selection::Ranges(list)
                    if list.iter().any(|r| (r.start..r.end).contains(&byte)));
                prop_assert_eq!(meant, is_in);
            }
        }
    }
}
