//! The boxes of an MP4 file with one video track (ISO/IEC 14496-12, -14 and -15).

use super::{
    FRAMES_PER_SECOND, Index, WHOLE_EVERY,
    h264::{PROFILE_LEVEL, picture_parameters, sequence_parameters},
    picture::{HEIGHT, WIDTH},
};

/// What a file looks like around its samples.
#[derive(Debug)]
pub struct Layout {
    /// All bytes before the first sample.
    pub head: Vec<u8>,
    /// All bytes after the last sample.
    pub tail: Vec<u8>,
}

impl Layout {
    /// The file whose samples have these sizes, in order.
    pub fn new(sizes: &[u32], index: Index) -> Self {
        let payload: u64 = sizes.iter().copied().map(u64::from).sum();
        let mut head = file_type();
        let data = data_header(payload);
        match index {
            Index::Front => {
                // The offsets are of fixed width, so where they point does not change the length.
                let length = movie(sizes, 0).len();
                let first = (head.len() + length + data.len()) as u64;
                head.extend(movie(sizes, first));
                head.extend(data);
                Self {
                    head,
                    tail: Vec::new(),
                }
            }
            Index::End => {
                head.extend(data);
                let tail = movie(sizes, head.len() as u64);
                Self { head, tail }
            }
        }
    }
}

/// `ftyp`, section 4.3.
fn file_type() -> Vec<u8> {
    boxed(
        b"ftyp",
        &[b"isom", &be(0x200), b"isom", b"iso2", b"avc1", b"mp41"],
    )
}

/// The head of `mdat`, section 8.1.1, with a 64-bit size where it takes one: section 4.2.
fn data_header(payload: u64) -> Vec<u8> {
    match u32::try_from(payload + 8) {
        Ok(size) => [&be(size), b"mdat".as_slice()].concat(),
        Err(_) => [&be(1), b"mdat".as_slice(), &(payload + 16).to_be_bytes()].concat(),
    }
}

/// `moov`, section 8.2.1; the first sample lies at `first`.
fn movie(sizes: &[u32], first: u64) -> Vec<u8> {
    let media_time = sizes.len() as u32 * SAMPLE_TIME;
    let movie_time = media_time / (TIMESCALE / MILLISECONDS);
    boxed(
        b"moov",
        &[
            &movie_header(movie_time),
            &track(sizes, first, media_time, movie_time),
        ],
    )
}

/// `mvhd`, section 8.2.2: no dates (so that a film is always the same), plain rate and volume.
fn movie_header(duration: u32) -> Vec<u8> {
    let times = [0, 0, MILLISECONDS, duration].map(be).concat();
    let rate_and_volume = [&be(0x0001_0000), [1, 0].as_slice(), &[0; 10]].concat();
    full(
        b"mvhd",
        0,
        &[&times, &rate_and_volume, &matrix(), &[0; 24], &be(2)],
    )
}

/// `trak`, section 8.3.1.
fn track(sizes: &[u32], first: u64, media_time: u32, movie_time: u32) -> Vec<u8> {
    let ids = [0, 0, 1, 0, movie_time].map(be).concat();
    let shape = [(WIDTH as u32) << 16, (HEIGHT as u32) << 16]
        .map(be)
        .concat();
    // Enabled, in the movie, in the preview: section 8.3.2.
    let header = full(b"tkhd", 7, &[&ids, &[0; 16], &matrix(), &shape]);
    boxed(b"trak", &[&header, &media(sizes, first, media_time)])
}

/// `mdia`, section 8.4.1.
fn media(sizes: &[u32], first: u64, duration: u32) -> Vec<u8> {
    let times = [0, 0, TIMESCALE, duration].map(be).concat();
    let header = full(b"mdhd", 0, &[&times, &UNDETERMINED.to_be_bytes(), &[0; 2]]);
    let handler = full(b"hdlr", 0, &[&[0; 4], b"vide", &[0; 12], b"Tide\0"]);
    // Flag 1 says that the media are in this file: section 8.7.2.
    let reference = full(b"dref", 0, &[&be(1), &full(b"url ", 1, &[])]);
    let information = boxed(
        b"minf",
        &[
            &full(b"vmhd", 1, &[&[0; 8]]),
            &boxed(b"dinf", &[&reference]),
            &sample_table(sizes, first),
        ],
    );
    boxed(b"mdia", &[&header, &handler, &information])
}

/// `stbl`, section 8.5.1. A chunk is a whole frame and those that build on it.
fn sample_table(sizes: &[u32], first: u64) -> Vec<u8> {
    let count = sizes.len() as u32;
    let whole: Vec<u32> = (1..=count).step_by(WHOLE_EVERY as usize).collect();
    let time_to_sample = full(b"stts", 0, &[&[1, count, SAMPLE_TIME].map(be).concat()]);
    let sync = full(b"stss", 0, &[&be(whole.len() as u32), &words(&whole)]);
    let lengths = full(b"stsz", 0, &[&be(0), &be(count), &words(sizes)]);
    boxed(
        b"stbl",
        &[
            &full(b"stsd", 0, &[&be(1), &sample_entry()]),
            &time_to_sample,
            &sync,
            &sample_to_chunk(count),
            &lengths,
            &chunk_offsets(sizes, first),
        ],
    )
}

/// `stsc`, section 8.7.4: all chunks are alike but for a shorter last one.
fn sample_to_chunk(count: u32) -> Vec<u8> {
    let (even, rest) = (count / WHOLE_EVERY, count % WHOLE_EVERY);
    let mut runs = Vec::new();
    if even > 0 {
        runs.push([1, WHOLE_EVERY, 1]);
    }
    if rest > 0 {
        runs.push([even + 1, rest, 1]);
    }
    full(
        b"stsc",
        0,
        &[&be(runs.len() as u32), &words(runs.as_flattened())],
    )
}

/// `stco`, or `co64` for a file that needs it: section 8.7.5.
fn chunk_offsets(sizes: &[u32], first: u64) -> Vec<u8> {
    let mut offsets = Vec::new();
    let mut end = first;
    for chunk in sizes.chunks(WHOLE_EVERY as usize) {
        offsets.push(end);
        end += chunk.iter().copied().map(u64::from).sum::<u64>();
    }
    let count = be(offsets.len() as u32);
    // Decided by what does not depend on `first`; the index itself is far below the margin.
    if end - first < u64::from(u32::MAX / 2) {
        let short: Vec<u32> = offsets.iter().map(|&offset| offset as u32).collect();
        return full(b"stco", 0, &[&count, &words(&short)]);
    }
    let long: Vec<u8> = offsets.iter().flat_map(|o| o.to_be_bytes()).collect();
    full(b"co64", 0, &[&count, &long])
}

/// `avc1`: sections 8.5.2 and 12.1.3, with the decoder's configuration in it.
fn sample_entry() -> Vec<u8> {
    let size = [WIDTH as u16, HEIGHT as u16].map(u16::to_be_bytes).concat();
    boxed(
        b"avc1",
        &[
            &[0; 6],
            &1u16.to_be_bytes(), // data_reference_index
            &[0; 16],
            &size,
            &be(0x0048_0000), // 72 dots to the inch, both ways
            &be(0x0048_0000),
            &[0; 4],
            &1u16.to_be_bytes(), // frame_count
            &[0; 32],            // compressorname
            &0x18u16.to_be_bytes(),
            &u16::MAX.to_be_bytes(),
            &decoder_configuration(),
        ],
    )
}

/// `avcC`, ISO/IEC 14496-15 section 5.3.3.1: lengths of four bytes, one set of each kind.
fn decoder_configuration() -> Vec<u8> {
    let (sequence, picture) = (sequence_parameters(), picture_parameters());
    let length = |unit: &[u8]| (unit.len() as u16).to_be_bytes();
    boxed(
        b"avcC",
        &[
            &[1],
            &PROFILE_LEVEL,
            &[0b1111_1100 | 3, 0b1110_0000 | 1],
            &length(&sequence),
            &sequence,
            &[1],
            &length(&picture),
            &picture,
        ],
    )
}

/// A box: its size, its type, its parts. Section 4.2.
fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&be(body.len() as u32 + 8), kind.as_slice(), &body].concat()
}

/// A box with version 0 and these flags.
fn full(kind: &[u8; 4], flags: u32, parts: &[&[u8]]) -> Vec<u8> {
    boxed(kind, &[&be(flags), &parts.concat()])
}

fn be(word: u32) -> [u8; 4] {
    word.to_be_bytes()
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

/// The identity, as 16.16 fixed point and a last column of 2.30.
fn matrix() -> Vec<u8> {
    let (one, unit) = (0x0001_0000, 0x4000_0000);
    words(&[one, 0, 0, 0, one, 0, 0, 0, unit])
}

/// Ticks of the movie in a second.
const MILLISECONDS: u32 = 1000;
/// Ticks of a frame.
const SAMPLE_TIME: u32 = 1000;
/// Ticks of the track in a second.
const TIMESCALE: u32 = FRAMES_PER_SECOND * SAMPLE_TIME;
/// The language `und`, five bits a letter: section 8.4.2.
const UNDETERMINED: u16 = 0x55C4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_says_how_long_it_is() {
        let whole = boxed(b"free", &[&[1, 2], &[3]]);
        assert_eq!(whole, [0, 0, 0, 11, b'f', b'r', b'e', b'e', 1, 2, 3]);
    }

    #[test]
    fn a_large_file_has_long_sizes_and_offsets() {
        assert_eq!(data_header(8).len(), 8);
        let long = data_header(u64::from(u32::MAX));
        assert_eq!(long[..4], be(1));
        assert_eq!(long[8..], (u64::from(u32::MAX) + 16).to_be_bytes());
        let offsets = chunk_offsets(&[u32::MAX; 2 * WHOLE_EVERY as usize], 100);
        assert_eq!(offsets[4..8], *b"co64");
        assert_eq!(offsets[16..24], 100u64.to_be_bytes());
        let second = 100 + u64::from(u32::MAX) * u64::from(WHOLE_EVERY);
        assert_eq!(offsets[24..32], second.to_be_bytes());
    }

    #[test]
    fn a_last_chunk_may_be_shorter() {
        let runs = sample_to_chunk(2 * WHOLE_EVERY + 5);
        assert_eq!(runs[12..], words(&[2, 1, WHOLE_EVERY, 1, 3, 5, 1]));
        assert_eq!(sample_to_chunk(3)[12..], words(&[1, 1, 3, 1]));
    }
}
