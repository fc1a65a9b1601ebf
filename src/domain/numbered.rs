//! Paths that count: the segments of HLS and DASH streams, `seg-0012.m4s` before `seg-0013.m4s`.

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

/// The longest number: what is longer counts nothing.
const LONGEST: usize = 15;

impl<'a> Numbered<'a> {
    /// The last number in the name of a segment, before its ending; `None` where there is none.
    pub fn of(path: &'a str) -> Option<Self> {
        let ending = SEGMENTS.iter().find(|end| path.ends_with(**end))?;
        let stem = path.len() - ending.len();
        let name = path[..stem].rfind('/')? + 1;
        let is_digit = |b: &u8| b.is_ascii_digit();
        let bytes = path.as_bytes();
        let end = name + bytes[name..stem].iter().rposition(is_digit)? + 1;
        let other = bytes[name..end].iter().rposition(|b| !is_digit(b));
        let start = other.map_or(name, |at| name + at + 1);
        let digits = &path[start..end];
        let number = digits.parse().ok()?;
        (digits.len() <= LONGEST).then_some(Self {
            before: &path[..start],
            number,
            width: digits.len(),
            after: &path[end..],
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

    #[test]
    fn the_number_is_the_last_one_of_the_name() {
        let next = |path| Numbered::of(path).map(|found| found.at(found.number + 1));
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
            ("/v/1234567890123456.ts", None),
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
            let found = Numbered::of(&path).unwrap();
            prop_assert_eq!(found.number, number);
            prop_assert_eq!(found.at(number), path.as_str());
            let next = found.at(number + 1);
            let next = Numbered::of(&next).unwrap();
            prop_assert_eq!((next.number, next.row()), (number + 1, found.row()));
        }

        #[test]
        fn any_path_is_read(path in "\\PC{0,40}") {
            let path = format!("/{path}.ts");
            if let Some(found) = Numbered::of(&path) {
                prop_assert_eq!(found.at(found.number), path.as_str());
            }
        }
    }
}
