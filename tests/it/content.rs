//! Bytes that need no storing: a pure function of seed, version and offset.
//!
//! Any range of an object of any size can be made and checked on its own, and two versions of one
//! object differ nearly everywhere, so a body that mixes them shows.

use std::ops::Range;

/// What one version of one object consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    pub seed: u64,
    pub version: u64,
}

impl Content {
    /// Writes the bytes that begin at `offset`.
    pub fn write(self, offset: u64, into: &mut [u8]) {
        let skip = (offset % WORD) as usize;
        let mut index = offset / WORD;
        let (head, rest) = into.split_at_mut(into.len().min(WORD as usize - skip));
        head.copy_from_slice(&self.word(index)[skip..skip + head.len()]);
        for piece in rest.chunks_mut(WORD as usize) {
            index += 1;
            piece.copy_from_slice(&self.word(index)[..piece.len()]);
        }
    }

    /// The bytes of a range.
    pub fn bytes(self, range: Range<u64>) -> Vec<u8> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.write(range.start, &mut bytes);
        bytes
    }

    /// The offset in the object of the first byte that is not this content's.
    pub fn first_difference(self, offset: u64, found: &[u8]) -> Option<u64> {
        let mut expected = [0; STEP];
        for (step, piece) in found.chunks(STEP).enumerate() {
            let at = offset + (step * STEP) as u64;
            let expected = &mut expected[..piece.len()];
            self.write(at, expected);
            if expected != piece {
                let wrong = expected.iter().zip(piece).position(|(a, b)| a != b);
                return Some(at + wrong.expect("unequal slices differ somewhere") as u64);
            }
        }
        None
    }

    /// What is wrong with bytes that should be this content's from `offset` on.
    pub fn verify(self, offset: u64, found: &[u8]) -> Result<(), String> {
        let Some(at) = self.first_difference(offset, found) else {
            return Ok(());
        };
        let tail = &found[(at - offset) as usize..];
        let sample = &tail[..tail.len().min(64)];
        let other = (0..8)
            .map(|version| Content { version, ..self })
            .find(|other| other.first_difference(at, sample).is_none());
        let origin = match other {
            Some(other) => format!("; from there on it is version {}", other.version),
            None if sample.iter().all(|&byte| byte == 0) => "; from there on it is zeros".into(),
            None => String::new(),
        };
        Err(format!(
            "{} bytes from offset {offset}: the first wrong byte is at offset {at}{origin}",
            found.len()
        ))
    }

    fn word(self, index: u64) -> [u8; WORD as usize] {
        let mut word = index
            ^ self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ self.version.wrapping_mul(0xd1b5_4a32_d192_ed03);
        word = (word ^ (word >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        word = (word ^ (word >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (word ^ (word >> 32)).to_le_bytes()
    }
}

const WORD: u64 = 8;
const STEP: usize = 4096;

#[test]
fn any_range_is_a_part_of_the_whole() {
    let content = Content {
        seed: 7,
        version: 1,
    };
    let whole = content.bytes(0..10_000);
    for (start, end) in [(0, 0), (0, 1), (3, 5), (7, 9), (8, 4105), (4095, 10_000)] {
        let part = content.bytes(start..end);
        assert_eq!(part, whole[start as usize..end as usize]);
        assert_eq!(content.first_difference(start, &part), None);
    }
}

#[test]
fn a_mix_of_two_versions_is_found_and_named() {
    let old = Content {
        seed: 7,
        version: 1,
    };
    let new = Content {
        seed: 7,
        version: 2,
    };
    let mut mixed = old.bytes(100..9_000);
    mixed.extend(new.bytes(9_000..12_000));
    let at = old.first_difference(100, &mixed);
    assert!(at.is_some_and(|at| (9_000..9_004).contains(&at)), "{at:?}");
    assert!(old.verify(100, &mixed).unwrap_err().contains("version 2"));
}
