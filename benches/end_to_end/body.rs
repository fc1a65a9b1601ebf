//! What every object consists of: bytes that follow from their offset alone.
//!
//! The period divides neither a chunk nor a slice, so a chunk that is served in another's place
//! never looks right.

use std::sync::OnceLock;

const PERIOD: usize = (1 << 20) + 4099;

/// Longest piece that [`piece`] gives.
pub const MAX_PIECE: usize = 256 << 10;

/// The bytes of every object from `offset` on, at most [`MAX_PIECE`] of them.
pub fn piece(offset: u64, length: usize) -> &'static [u8] {
    let start = (offset % PERIOD as u64) as usize;
    &pattern()[start..start + length.min(MAX_PIECE)]
}

/// Whether `bytes` are those of an object from `offset` on.
pub fn matches(mut offset: u64, bytes: &[u8]) -> bool {
    bytes.chunks(MAX_PIECE).all(|part| {
        let same = part == piece(offset, part.len());
        offset += part.len() as u64;
        same
    })
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

/// Repeatable random numbers (xorshift64*): every server gets the same requests.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
