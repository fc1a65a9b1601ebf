//! What objects consist of: bytes that follow from an object's path and their offset alone.
//!
//! The period divides neither a chunk nor a slice, so a chunk that is served in another's place
//! never looks right; and each path begins elsewhere in it, so neither does another object's.

use super::random::Random;
use std::sync::OnceLock;

const PERIOD: usize = (1 << 20) + 4099;

/// Longest piece that [`Content::piece`] gives.
pub const MAX_PIECE: usize = 256 << 10;

/// The bytes of one object.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content {
    /// Where in the period the object begins.
    shift: u64,
}

impl Content {
    pub fn of(path: &str) -> Self {
        // FNV-1a: short, and the same everywhere.
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325, step);
        Self {
            shift: hash % PERIOD as u64,
        }
    }

    /// The bytes from `offset` on, at most [`MAX_PIECE`] of them.
    pub fn piece(self, offset: u64, length: usize) -> &'static [u8] {
        let start = ((self.shift + offset) % PERIOD as u64) as usize;
        &pattern()[start..start + length.min(MAX_PIECE)]
    }

    /// Whether `bytes` are those from `offset` on.
    pub fn matches(self, mut offset: u64, bytes: &[u8]) -> bool {
        bytes.chunks(MAX_PIECE).all(|part| {
            let same = part == self.piece(offset, part.len());
            offset += part.len() as u64;
            same
        })
    }
}

/// One period, and as much of the next that a piece may start anywhere.
fn pattern() -> &'static [u8] {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let mut random = Random::new(0x7469_6465);
        let mut bytes: Vec<u8> = (0..PERIOD).map(|_| random.next() as u8).collect();
        bytes.extend_from_within(..MAX_PIECE);
        bytes
    })
}
