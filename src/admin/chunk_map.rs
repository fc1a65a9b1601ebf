//! Which chunks of an object are there, in few bytes however many there are.

use crate::domain::ChunkSet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The chunks of an object in cells of equal size, 8192 at most; with no more chunks than that a
/// cell is a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChunkMap {
    /// Chunks in each cell but perhaps the last.
    pub per_cell: u32,
    /// Cells that have equally many chunks, in runs: how many cells, and how many chunks are there
    /// in each of them.
    pub cells: Vec<(u32, u32)>,
}

const MOST_CELLS: u32 = 8192;
/// Signs in a row of a picture, and its rows.
const WIDTH: u32 = 64;
const ROWS: u32 = 16;

impl ChunkMap {
    /// A map of so many chunks.
    pub fn of(present: &ChunkSet, chunks: u32) -> Self {
        let per_cell = chunks.div_ceil(MOST_CELLS).max(1);
        let mut counts = vec![0; chunks.div_ceil(per_cell) as usize];
        for chunk in present.iter() {
            if let Some(count) = counts.get_mut((chunk.0 / per_cell) as usize) {
                *count += 1;
            }
        }
        let mut cells: Vec<(u32, u32)> = Vec::new();
        for count in counts {
            match cells.last_mut() {
                Some((length, same)) if *same == count => *length += 1,
                _ => cells.push((1, count)),
            }
        }
        Self { per_cell, cells }
    }

    /// A picture in text: `#` is there, `.` is not, `+` is there in part.
    pub fn draw(&self, chunks: u32) -> String {
        let lengths = self.cells.iter();
        let counts = lengths.flat_map(|(length, count)| vec![*count; *length as usize]);
        let counts: Vec<u32> = counts.collect();
        let per_sign = counts.len().div_ceil((WIDTH * ROWS) as usize).max(1);
        let mut left = chunks;
        let mut drawn = String::new();
        for (at, cells) in counts.chunks(per_sign).enumerate() {
            if at > 0 && at % WIDTH as usize == 0 {
                drawn.push('\n');
            }
            let all = (cells.len() as u32).saturating_mul(self.per_cell).min(left);
            left -= all;
            drawn.push(match cells.iter().sum::<u32>() {
                0 => '.',
                there if there == all => '#',
                _ => '+',
            });
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ChunkIndex;

    fn map(chunks: u32, stored: &[(u32, u32)]) -> ChunkMap {
        let mut set = ChunkSet::default();
        for chunk in stored.iter().flat_map(|(first, last)| *first..=*last) {
            set.insert(ChunkIndex(chunk));
        }
        ChunkMap::of(&set, chunks)
    }

    #[test]
    fn a_cell_is_a_chunk_unless_there_are_very_many() {
        let few = map(5, &[(0, 1), (4, 4)]);
        assert_eq!((few.per_cell, few.cells), (1, vec![(2, 1), (2, 0), (1, 1)]));
        let many = map(50_000, &[(0, 13), (15, 15), (49_999, 49_999)]);
        assert_eq!(many.per_cell, 7);
        assert_eq!(many.cells, [(2, 7), (1, 1), (7139, 0), (1, 1)]);
        let cells: u32 = many.cells.iter().map(|(length, _)| length).sum();
        assert_eq!(cells, 50_000_u32.div_ceil(7));
        assert_eq!(map(0, &[]).cells, []);
    }

    #[test]
    fn a_picture_of_the_chunks() {
        let draw = |chunks, stored: &[_]| map(chunks, stored).draw(chunks);
        assert_eq!(draw(5, &[(0, 1), (4, 4)]), "##..#");
        let wide = draw(130, &[(0, 64)]);
        assert_eq!(wide.lines().map(str::len).collect::<Vec<_>>(), [64, 64, 2]);
        let large = draw(100_000, &[(0, 103), (50_000, 50_000)]);
        assert!(large.lines().count() <= 16);
        assert_eq!(
            (large.matches('#').count(), large.matches('+').count()),
            (1, 1)
        );
        assert_eq!(draw(100_000, &[(0, 99_999)]).matches(['.', '+']).count(), 0);
        assert_eq!(draw(0, &[]), "");
    }
}
