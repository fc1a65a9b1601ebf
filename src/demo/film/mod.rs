//! A sample film made on the spot: an MP4 file that every player takes, from this program alone.
//!
//! It promises to be the same for the same options, on every machine, and to be written as it is
//! made: memory does not depend on its length but for four bytes a frame. It is no encoder for
//! anything else: see `h264.rs` for how little of H.264 it needs.

mod bits;
mod font;
mod h264;
mod mp4;
mod picture;

use self::{h264::Encoder, mp4::Layout, picture::Scene};
use std::io::{self, Write};

/// What film to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long it plays: at least one second, at most [`LONGEST`]. A second takes about half a
    /// megabyte.
    pub seconds: u32,
    /// Where its index goes.
    pub index: Index,
}

/// Where the index of the samples (`moov`) lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Index {
    /// Before the samples: a player can start from the first bytes.
    #[default]
    Front,
    /// After the samples, as cameras write it: a player has to seek to the end first.
    End,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seconds: 60,
            index: Index::default(),
        }
    }
}

/// Writes a film. It is made twice, as the sizes of its frames come before them in the file.
pub fn write(out: &mut impl Write, options: Options) -> io::Result<()> {
    if !(1..=LONGEST).contains(&options.seconds) {
        let reason = format!(
            "a film takes 1 to {LONGEST} seconds, not {}",
            options.seconds
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    let frames = options.seconds * FRAMES_PER_SECOND;
    let scene = Scene::new(frames);
    let sizes: Vec<u32> = samples(&scene, frames).map(|s| s.len() as u32).collect();
    let layout = Layout::new(&sizes, options.index);
    out.write_all(&layout.head)?;
    for sample in samples(&scene, frames) {
        out.write_all(&sample)?;
    }
    out.write_all(&layout.tail)
}

/// The coded frames, one after the other.
fn samples(scene: &Scene, frames: u32) -> impl Iterator<Item = Vec<u8>> {
    let mut encoder = Encoder::default();
    (0..frames).map(move |frame| {
        let whole = frame.is_multiple_of(WHOLE_EVERY);
        encoder.encode(scene.draw(frame), whole)
    })
}

/// Longest film, in seconds; bounds the index.
pub const LONGEST: u32 = 3600;
const FRAMES_PER_SECOND: u32 = 15;
/// Frames from one that stands for itself, where a player can seek to, to the next.
const WHOLE_EVERY: u32 = 2 * FRAMES_PER_SECOND;

#[cfg(test)]
mod tests {
    use super::*;

    fn film(seconds: u32, index: Index) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, Options { seconds, index }).unwrap();
        out
    }

    fn word(bytes: &[u8]) -> usize {
        u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize
    }

    /// The boxes that fill these bytes to the last, with their places.
    fn boxes(bytes: &[u8], from: usize, to: usize) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        let mut at = from;
        while at < to {
            let size = word(&bytes[at..]);
            assert!(size >= 8, "a box of {size} bytes at {at}");
            let kind = String::from_utf8(bytes[at + 4..at + 8].to_vec()).unwrap();
            found.push((kind, at + 8, at + size));
            at += size;
        }
        assert_eq!(at, to, "the boxes do not add up");
        found
    }

    /// The body of the box at the end of a path, every box on the way checked.
    fn body<'a>(bytes: &'a [u8], path: &[&str]) -> &'a [u8] {
        let (mut from, mut to) = (0, bytes.len());
        for name in path {
            let inner = boxes(bytes, from, to);
            let found = inner.iter().find(|(kind, ..)| kind == name);
            (from, to) = found.map(|(_, from, to)| (*from, *to)).unwrap();
        }
        &bytes[from..to]
    }

    #[test]
    fn the_same_options_make_the_same_film() {
        assert!(film(3, Index::Front) == film(3, Index::Front));
    }

    #[test]
    fn the_index_lies_where_it_was_asked_for() {
        for (index, order) in [
            (Index::Front, ["ftyp", "moov", "mdat"]),
            (Index::End, ["ftyp", "mdat", "moov"]),
        ] {
            let film = film(1, index);
            let found = boxes(&film, 0, film.len());
            let kinds: Vec<_> = found.iter().map(|(kind, ..)| kind.as_str()).collect();
            assert_eq!(kinds, order);
        }
    }

    #[test]
    fn offsets_point_at_frames_that_stand_for_themselves() {
        for index in [Index::Front, Index::End] {
            let film = film(5, index);
            let table = |name| body(&film, &["moov", "trak", "mdia", "minf", "stbl", name]);
            let (offsets, sizes, whole) = (table("stco"), table("stsz"), table("stss"));
            let list = |bytes: &[u8]| bytes.chunks(4).map(word).collect::<Vec<_>>();
            let (offsets, sizes) = (list(&offsets[8..]), list(&sizes[12..]));
            assert_eq!(sizes.len(), 75);
            assert_eq!(list(&whole[8..]), [1, 31, 61]);
            let data = body(&film, &["mdat"]);
            assert_eq!(sizes.iter().sum::<usize>(), data.len());
            for (chunk, &offset) in sizes.chunks(30).zip(&offsets) {
                let mut at = offset;
                for (place, size) in chunk.iter().enumerate() {
                    assert_eq!(word(&film[at..]) + 4, *size);
                    assert_eq!(film[at + 4], if place == 0 { 0x65 } else { 0x41 });
                    at += size;
                }
            }
            assert_eq!(offsets[0], data.as_ptr() as usize - film.as_ptr() as usize);
        }
    }

    #[test]
    fn a_film_without_a_length_is_refused() {
        for seconds in [0, LONGEST + 1] {
            let options = Options {
                seconds,
                ..Options::default()
            };
            let error = write(&mut io::sink(), options).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
