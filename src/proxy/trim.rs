//! A part cut out of a body that passes through: for an answer that is not stored after all, to a
//! request whose range was not passed on.

use crate::domain::ByteRange;
use bytes::Bytes;

/// What is still to be passed over, and to be let through.
#[derive(Clone, Copy, Debug)]
pub struct Trim {
    skip: u64,
    left: u64,
}

impl Trim {
    /// Lets through only this part.
    pub fn to(part: ByteRange) -> Self {
        Self {
            skip: part.start(),
            left: part.len(),
        }
    }

    /// The share of these bytes that belongs to the part.
    pub fn take(&mut self, bytes: &Bytes) -> Bytes {
        let length = bytes.len() as u64;
        let skipped = self.skip.min(length);
        self.skip -= skipped;
        let taken = self.left.min(length - skipped);
        self.left -= taken;
        bytes.slice(skipped as usize..(skipped + taken) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_part_comes_through_however_the_body_is_cut(
            body in prop::collection::vec(any::<u8>(), 1..200), start in 0usize..200, length in 1usize..200, step in 1usize..50,
        ) {
            let (start, end) = (start.min(body.len() - 1), (start + length).min(body.len()));
            prop_assume!(start < end);
            let mut trim = Trim::to(ByteRange::new(start as u64, end as u64).unwrap());
            let pieces = body.chunks(step).map(|piece| trim.take(&Bytes::copy_from_slice(piece)));
            let through: Vec<u8> = pieces.flat_map(|piece| piece.to_vec()).collect();
            prop_assert_eq!(&through, &body[start..end]);
        }
    }
}
