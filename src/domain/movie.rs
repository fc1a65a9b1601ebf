//! Where a movie's index is: the boxes of ISO base media files (ISO/IEC 14496-12), outermost only.
//!
//! MP4 and its kin are rows of boxes: a length, a name, contents. The index (`moov`), without which
//! nothing plays, stands before the media (`mdat`) or after it. Bytes may come from anywhere in any
//! order; only those at the head of the next box are looked at, so a box costs some bytes, however
//! long it is. Lengths are others' words: they move the place that is looked at next, and no more.

/// What is known of a movie so far.
#[derive(Clone, Debug)]
pub struct Movie {
    /// Where the next byte to look at is; `None` when there is nothing more to be found.
    next: Option<u64>,
    awaited: Awaited,
    taken: [u8; LONGEST],
    length: usize,
    boxes: u32,
    index_behind: Option<u64>,
    duration: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// The head of a box.
    Head,
    /// The rest of it, where its length is a long one.
    LongHead,
    /// The first box of an index, which is to say how long the movie is.
    Length,
}

/// Bytes of a box's head.
const HEAD: usize = 8;
/// The same where its length is a long one.
const LONG_HEAD: usize = 16;
/// Bytes of a movie header up to and with its duration, in its longer version.
const LONGEST: usize = 40;
/// Boxes that are looked at: files that stream well have a few before their index.
const MOST_BOXES: u32 = 32;
/// What is behind a box of this many bytes or more is not about to come in by itself.
const LARGE: u64 = 1 << 20;

impl Default for Movie {
    fn default() -> Self {
        Self {
            next: Some(0),
            awaited: Awaited::Head,
            taken: [0; LONGEST],
            length: 0,
            boxes: 0,
            index_behind: None,
            duration: None,
        }
    }
}

impl Movie {
    /// Looks at bytes of the file from `offset` on.
    pub fn look(&mut self, offset: u64, bytes: &[u8]) {
        while let Some(next) = self.next {
            let skip = next.checked_sub(offset).map(usize::try_from);
            let Some(Ok(skip)) = skip else { return };
            let Some(here) = bytes.get(skip..).filter(|here| !here.is_empty()) else {
                return;
            };
            let lacks = self.needed() - self.length;
            let here = &here[..here.len().min(lacks)];
            self.taken[self.length..self.length + here.len()].copy_from_slice(here);
            self.length += here.len();
            self.next = next.checked_add(here.len() as u64);
            if self.length == self.needed() {
                self.step(next + here.len() as u64);
            }
        }
    }

    /// The offset of the next byte that says something; `None` when there is none.
    pub fn next(&self) -> Option<u64> {
        self.next
    }

    /// Where the index is, or begins to be looked for, if the media stands before it.
    pub fn index_behind(&self) -> Option<u64> {
        self.index_behind
    }

    /// How long it plays, in seconds, as far as it says so.
    pub fn duration(&self) -> Option<f64> {
        self.duration
    }

    fn needed(&self) -> usize {
        match self.awaited {
            Awaited::Head => HEAD,
            Awaited::LongHead => LONG_HEAD,
            Awaited::Length => LONGEST,
        }
    }

    /// What was awaited has come, and ends at `end`.
    fn step(&mut self, end: u64) {
        let length = u32::from_be_bytes(self.at(0));
        match self.awaited {
            Awaited::Head if length == 1 => self.awaited = Awaited::LongHead,
            Awaited::Head => self.head(end - HEAD as u64, length.into(), HEAD as u64),
            Awaited::LongHead => {
                let length = u64::from_be_bytes(self.at(8));
                self.head(end - LONG_HEAD as u64, length, LONG_HEAD as u64);
            }
            Awaited::Length => {
                self.duration = duration(&self.taken);
                self.next = None;
            }
        }
    }

    /// The box at `start` shows its head.
    fn head(&mut self, start: u64, length: u64, head: u64) {
        let name: [u8; 4] = self.at(4);
        (self.awaited, self.length) = (Awaited::Head, 0);
        let end = start.checked_add(length).filter(|_| length >= head);
        self.boxes += 1;
        self.next = match &name {
            b"moov" => {
                self.awaited = Awaited::Length;
                start.checked_add(head)
            }
            // Fragments have an index of their own each.
            b"moof" | b"sidx" | b"styp" | b"meta" => None,
            b"ftyp" if start == 0 => end,
            // Whatever else it is, it is no such file.
            _ if start == 0 => None,
            b"mdat" => end.inspect(|end| self.index_behind = Some(*end)),
            _ => end.inspect(|end| {
                if length >= LARGE {
                    self.index_behind = Some(*end);
                }
            }),
        };
        self.next = self.next.filter(|_| self.boxes <= MOST_BOXES);
    }

    fn at<const N: usize>(&self, place: usize) -> [u8; N] {
        std::array::from_fn(|n| self.taken[place + n])
    }
}

/// Seconds, from the beginning of a movie header (`mvhd`) with its own head.
fn duration(bytes: &[u8; LONGEST]) -> Option<f64> {
    let word = |at: usize| u32::from_be_bytes(std::array::from_fn(|n| bytes[at + n]));
    let (scale, ticks) = match (&bytes[4..8], bytes[8]) {
        (b"mvhd", 0) => (word(20), u64::from(word(24))),
        (b"mvhd", 1) => (word(28), u64::from(word(32)) << 32 | u64::from(word(36))),
        _ => return None,
    };
    let unknown = [0, u64::MAX, u64::from(u32::MAX)].contains(&ticks);
    (scale > 0 && !unknown).then(|| ticks as f64 / f64::from(scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boxed(name: &[u8; 4], contents: &[u8]) -> Vec<u8> {
        let length = 8 + contents.len() as u32;
        [&length.to_be_bytes()[..], name, contents].concat()
    }

    fn index(seconds: u32) -> Vec<u8> {
        let mut header = vec![0; 100];
        header[12..16].copy_from_slice(&1000u32.to_be_bytes());
        header[16..20].copy_from_slice(&(seconds * 1000).to_be_bytes());
        boxed(
            b"moov",
            &[boxed(b"mvhd", &header), boxed(b"trak", &[0; 90])].concat(),
        )
    }

    fn looked(parts: &[Vec<u8>]) -> Movie {
        let mut movie = Movie::default();
        movie.look(0, &parts.concat());
        movie
    }

    #[test]
    fn an_index_before_the_media_is_not_behind_it() {
        let movie = looked(&[boxed(b"ftyp", b"isom"), index(90), boxed(b"mdat", &[7; 99])]);
        assert_eq!((movie.index_behind(), movie.duration()), (None, Some(90.0)));
    }

    #[test]
    fn an_index_after_the_media_is_told_by_the_head_of_the_media_alone() {
        let (first, free) = (boxed(b"ftyp", b"isomiso2"), boxed(b"free", &[0; 30]));
        let media = boxed(b"mdat", &[7; 5000]);
        let start = (first.len() + free.len()) as u64;
        let mut movie = looked(&[first, free, media[..16].to_vec()]);
        let behind = start + media.len() as u64;
        assert_eq!(
            (movie.index_behind(), movie.next()),
            (Some(behind), Some(behind))
        );
        movie.look(behind + 1, &[0; 99]);
        assert_eq!(movie.duration(), None);
        movie.look(behind - 9, &[vec![7; 9], index(5)].concat());
        assert_eq!(movie.duration(), Some(5.0));
    }

    #[test]
    fn a_long_length_counts() {
        let mut media = 1u32.to_be_bytes().to_vec();
        media.extend(b"mdat");
        media.extend((9u64 << 32).to_be_bytes());
        let movie = looked(&[boxed(b"ftyp", b"isom1234"), media]);
        assert_eq!(movie.index_behind(), Some(16 + (9 << 32)));
    }

    #[test]
    fn what_is_no_such_file_or_needs_no_index_is_left_alone() {
        for parts in [
            &[vec![0; 500]][..],
            &[boxed(b"mdat", &[0; 50])],
            &[boxed(b"ftyp", b"isom1234"), boxed(b"moof", &[0; 50])],
            &[boxed(b"ftyp", b"avif1234"), boxed(b"meta", &[0; 50])],
            &[
                boxed(b"ftyp", b"isom1234"),
                b"\0\0\0\x03mdat12345678".to_vec(),
            ],
            &[
                boxed(b"ftyp", b"isom1234"),
                b"\0\0\0\0mdat12345678".to_vec(),
            ],
        ] {
            let movie = looked(parts);
            assert_eq!(
                (movie.next(), movie.index_behind()),
                (None, None),
                "{parts:?}"
            );
        }
    }

    #[test]
    fn a_row_of_small_boxes_ends() {
        let mut parts = vec![boxed(b"ftyp", b"isom1234")];
        parts.extend((0..99).map(|_| boxed(b"free", &[0; 8])));
        assert_eq!(looked(&parts).next(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_order_do_no_harm(pieces in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u8>(), 0..90)), 0..20)) {
            let mut movie = Movie::default();
            for (offset, bytes) in pieces {
                movie.look(offset, &bytes);
            }
        }

        #[test]
        fn pieces_tell_what_the_whole_tells(media in 0usize..300, cuts in prop::collection::vec(1usize..60, 1..40), lengths in any::<[u8; 4]>(), lies: bool) {
            let mut media = boxed(b"mdat", &vec![7; media]);
            if lies {
                media[..4].copy_from_slice(&lengths);
            }
            let file = [boxed(b"ftyp", b"isom1234"), media, index(7)].concat();
            let whole = looked(std::slice::from_ref(&file));
            let mut movie = Movie::default();
            let mut at = 0;
            for cut in cuts.into_iter().cycle() {
                if at == file.len() {
                    break;
                }
                let end = file.len().min(at + cut);
                movie.look(at as u64, &file[at..end]);
                at = end;
            }
            prop_assert_eq!(movie.next(), whole.next());
            prop_assert_eq!(movie.index_behind(), whole.index_behind());
            prop_assert_eq!(movie.duration(), whole.duration());
        }
    }
}
