//! Where the bytes of a part come from, piece by piece.

use super::entry::Entry;
use crate::domain::{ByteRange, ChunkIndex, ChunkRun};

/// Neighbouring bytes of an object that come in one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Chunks of a run in the tier. The first and the last may be wanted in part only: they are
    /// read whole, so that they can be checked.
    Tier {
        /// Name of the run.
        run: String,
        /// The chunks, on the tier's grid.
        chunks: ChunkRun,
        /// What is wanted of them, as offsets in the object.
        wanted: ByteRange,
    },
    /// The origin's.
    Origin(ByteRange),
}

/// Cuts a part into pieces. Those from the tier have at most about `most` bytes.
pub fn pieces(entry: &Entry, part: ByteRange, most: u64) -> Vec<Piece> {
    let Some(grid) = entry.grid() else {
        return vec![Piece::Origin(part)];
    };
    let at_a_time = (most / u64::from(entry.object.chunk_size)).max(1) as u32;
    let mut pieces: Vec<Piece> = Vec::new();
    let run = grid.run_over(part);
    for chunk in (run.start.0..run.end.0).map(ChunkIndex) {
        let wanted = grid.bytes_of(chunk).and_then(|bytes| both(bytes, part));
        let Some(wanted) = wanted else { continue };
        let found = entry.run_of(chunk);
        match (pieces.last_mut(), found) {
            (Some(Piece::Origin(before)), None) => *before = joined(*before, wanted),
            (
                Some(Piece::Tier {
                    run,
                    chunks,
                    wanted: before,
                }),
                Some(found),
            ) if *run == found.name && chunks.end.0 - chunks.start.0 < at_a_time => {
                chunks.end = chunk.next();
                *before = joined(*before, wanted);
            }
            (_, None) => pieces.push(Piece::Origin(wanted)),
            (_, Some(found)) => pieces.push(Piece::Tier {
                run: found.name.clone(),
                chunks: ChunkRun {
                    start: chunk,
                    end: chunk.next(),
                },
                wanted,
            }),
        }
    }
    pieces
}

fn both(one: ByteRange, other: ByteRange) -> Option<ByteRange> {
    ByteRange::new(one.start().max(other.start()), one.end().min(other.end()))
}

/// What begins where one begins and ends where the other, behind it, ends.
pub fn joined(one: ByteRange, other: ByteRange) -> ByteRange {
    ByteRange::new(one.start(), other.end()).unwrap_or(one)
}

#[cfg(test)]
mod tests {
    use super::{super::entry::tests::entry, *};
    use proptest::prelude::*;

    const CHUNK: u64 = 4096;

    fn range(start: u64, end: u64) -> ByteRange {
        ByteRange::new(start, end).unwrap()
    }

    #[test]
    fn runs_are_read_and_gaps_are_asked_for() {
        let entry = entry("\"a\"", 1, &[(1, 2, "a"), (3, 1, "b"), (6, 1, "c")]);
        let tier = |run: &str, first: u32, end: u32, wanted| Piece::Tier {
            run: run.into(),
            chunks: ChunkRun {
                start: ChunkIndex(first),
                end: ChunkIndex(end),
            },
            wanted,
        };
        let all = pieces(&entry, range(100, 6 * CHUNK + 7), 1 << 20);
        assert_eq!(
            all,
            [
                Piece::Origin(range(100, CHUNK)),
                tier("a", 1, 3, range(CHUNK, 3 * CHUNK)),
                tier("b", 3, 4, range(3 * CHUNK, 4 * CHUNK)),
                Piece::Origin(range(4 * CHUNK, 6 * CHUNK)),
                tier("c", 6, 7, range(6 * CHUNK, 6 * CHUNK + 7)),
            ]
        );
        let small = pieces(&entry, range(CHUNK, 3 * CHUNK), CHUNK);
        assert_eq!(small.len(), 2);
    }

    proptest! {
        #[test]
        fn they_are_the_part_and_nothing_else(
            start in 0u64..90 * CHUNK,
            length in 1u64..20 * CHUNK,
            runs in prop::collection::vec((1u32..4, 1u32..6), 0..20),
            most in 1u64..8 * CHUNK,
        ) {
            let mut at = 0;
            let mut there = Vec::new();
            for (gap, count) in runs {
                if at + gap + count < 100 {
                    there.push((at + gap, count, "r"));
                    at += gap + count;
                }
            }
            let entry = entry("\"a\"", 1, &there);
            let part = range(start, (start + length).min(100 * CHUNK - 5));
            let mut next = part.start();
            for piece in pieces(&entry, part, most) {
                let bytes = match piece {
                    Piece::Origin(bytes) => bytes,
                    Piece::Tier { chunks, wanted, .. } => {
                        let run = entry.grid().unwrap().bytes_of_run(chunks).unwrap();
                        prop_assert!(run.start() <= wanted.start() && wanted.end() <= run.end());
                        prop_assert!(run.len() <= most.max(CHUNK));
                        wanted
                    }
                };
                prop_assert_eq!(bytes.start(), next);
                next = bytes.end();
            }
            prop_assert_eq!(next, part.end());
        }
    }
}
