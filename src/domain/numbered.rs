//! Paths that count: the segments of HLS and DASH streams, `seg-0012.m4s` before `seg-0013.m4s`.

use std::ops::Range;

/// A path of which one part is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered<'a> {
    before: &'a str,
    /// The number.
    pub number: u64,
    /// How many digits it is written with at least.
    width: usize,
    after: &'a str,
}

/// Ends of paths that are segments of streams. Playlists are none: they are asked for anew.
const SEGMENTS: [&str; 8] = [
    ".ts", ".m4s", ".mp4", ".m4v", ".m4a", ".cmfv", ".cmfa", ".aac",
];

/// The longest number: times since 1970 in ten millionths of a second have 17 digits, and what is
/// longer than this counts nothing.
const LONGEST: usize = 18;

/// Numbers of a name that are looked at: beside what counts stand the stream, the size, the rate.
const MOST: usize = 4;

impl<'a> Numbered<'a> {
    /// The numbers in the name of a segment, before its ending, the last one first: any of them may
    /// be the one that counts.
    pub fn all(path: &'a str) -> impl Iterator<Item = Self> {
        let stem = SEGMENTS.iter().find_map(|end| path.strip_suffix(*end));
        let stem = stem.unwrap_or_default();
        let name = stem.rfind('/').map_or(stem.len(), |at| at + 1);
        let mut end = stem.len();
        let numbers = std::iter::from_fn(move || {
            let name_so_far = &path.as_bytes()[name..end];
            let last = name + name_so_far.iter().rposition(u8::is_ascii_digit)? + 1;
            let is_other = |b: &u8| !b.is_ascii_digit();
            let other = path.as_bytes()[name..last].iter().rposition(is_other);
            end = other.map_or(name, |at| name + at + 1);
            Some(end..last)
        });
        numbers
            .take(MOST)
            .filter_map(move |place| Self::at_place(path, place))
    }

    fn at_place(path: &'a str, place: Range<usize>) -> Option<Self> {
        let digits = &path[place.clone()];
        let number = digits.parse().ok()?;
        (digits.len() <= LONGEST).then_some(Self {
            before: &path[..place.start],
            number,
            width: digits.len(),
            after: &path[place.end..],
        })
    }

    /// The path with another number in its place.
    pub fn at(&self, number: u64) -> String {
        let Self {
            before,
            width,
            after,
            ..
        } = self;
        format!("{before}{number:0width$}{after}")
    }

    /// What all paths of this row have in common.
    pub fn row(&self) -> (&'a str, &'a str) {
        (self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The last number.
    fn last(path: &str) -> Option<Numbered<'_>> {
        Numbered::all(path).next()
    }

    #[test]
    fn any_number_of_the_name_may_count() {
        let next = |path| {
            let all = Numbered::all(path).map(|found| found.at(found.number + 1));
            all.collect::<Vec<_>>()
        };
        assert_eq!(
            next("/7/seg-09-v1-a1.ts"),
            [
                "/7/seg-09-v1-a2.ts",
                "/7/seg-09-v2-a1.ts",
                "/7/seg-10-v1-a1.ts"
            ]
        );
        assert_eq!(
            next("/1234567890123456789-7/8.ts"),
            ["/1234567890123456789-7/9.ts"]
        );
        assert_eq!(
            next("/1-1234567890123456789.ts"),
            ["/2-1234567890123456789.ts"],
            "too long to count"
        );
        assert_eq!(next("/1-2-3-4-5.ts").len(), MOST);
    }

    #[test]
    fn the_number_is_the_last_one_of_the_name() {
        let next = |path| last(path).map(|found| found.at(found.number + 1));
        let table = [
            ("/live/seg-0012.m4s", Some("/live/seg-0013.m4s")),
            ("/v/1080p/9.ts", Some("/v/1080p/10.ts")),
            (
                "/v/chunk-stream0-00099.m4s",
                Some("/v/chunk-stream0-00100.m4s"),
            ),
            ("/v/999.ts", Some("/v/1000.ts")),
            ("/v/5-final.ts", Some("/v/6-final.ts")),
            ("/v/film.mp4", None),
            ("/v2/film.mp4", None),
            ("/live/index12.m3u8", None),
            ("/v/1234567890123456789.ts", None),
            ("9.ts", None),
            ("/v/é9.ts", Some("/v/é10.ts")),
        ];
        for (path, expected) in table {
            assert_eq!(next(path).as_deref(), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_found_where_it_was_written(number in 0u64..1_000_000, width in 1usize..9) {
            let path = format!("/a/b-{number:0width$}.ts");
            let found = last(&path).unwrap();
            prop_assert_eq!(found.number, number);
            prop_assert_eq!(found.at(number), path.as_str());
            let next = found.at(number + 1);
            let next = last(&next).unwrap();
            prop_assert_eq!((next.number, next.row()), (number + 1, found.row()));
        }

        #[test]
        fn any_path_is_read(path in "\\PC{0,40}") {
            let path = format!("/{path}.ts");
            for found in Numbered::all(&path) {
                prop_assert_eq!(found.at(found.number), path.as_str());
            }
        }
    }
}
