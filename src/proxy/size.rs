//! Objects that a route does not keep for their size.

use super::{context::Context, foundation::Proxy};
use crate::domain::{Grid, Refusal, Sizes};
use http::StatusCode;
use pingora_cache::{CacheKey, NoCacheReason, predictor::CacheablePredictor};

/// Decides about an answer of this status and length, which would be kept in chunks of this size: one
/// of more of them than there may be is too large. `is_known`: its key is remembered as one
/// that is not kept, so that an answer which does not tell its length has no second chance.
pub fn judge(
    sizes: &Sizes,
    chunk_size: u32,
    status: StatusCode,
    total: Option<u64>,
    is_known: bool,
) -> Result<(), Refusal> {
    // An error or a redirect is small, and no object.
    let least = if status == StatusCode::OK {
        sizes.min
    } else {
        0
    };
    match total {
        Some(total) if total > sizes.max => Err(Refusal::TooLarge),
        Some(total) if Grid::new(chunk_size, total).is_none() => Err(Refusal::TooLarge),
        Some(total) if total < least => Err(Refusal::TooSmall),
        None if is_known && !sizes.take_all() => Err(Refusal::NoSize),
        _ => Ok(()),
    }
}

impl Proxy {
    /// Remembers a key whose object turned out, while it came in, not to be one to keep; returns
    /// whether that is so.
    pub(super) fn note_withdrawn(&self, ctx: &mut Context) -> bool {
        let withdrawn = ctx.order.as_ref().is_some_and(|order| order.is_withdrawn());
        if withdrawn && !std::mem::replace(&mut ctx.withdrawn, true) {
            let key = CacheKey::new(ctx.key.clone(), "");
            let said = NoCacheReason::OriginNotCache;
            self.predictor.mark_uncacheable(&key, said);
        }
        withdrawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MOST_CHUNKS;

    const CHUNK: u32 = 1 << 20;

    #[test]
    fn sizes_out_of_bounds_are_refused_where_they_are_known() {
        let sizes = Sizes { min: 10, max: 20 };
        let table = [
            (200, Some(9), false, Err(Refusal::TooSmall)),
            (200, Some(10), false, Ok(())),
            (200, Some(20), true, Ok(())),
            (200, Some(21), false, Err(Refusal::TooLarge)),
            (200, None, false, Ok(())),
            (200, None, true, Err(Refusal::NoSize)),
            (404, Some(9), false, Ok(())),
            (404, Some(21), false, Err(Refusal::TooLarge)),
        ];
        for (status, total, is_known, expected) in table {
            let status = StatusCode::from_u16(status).unwrap();
            let found = judge(&sizes, CHUNK, status, total, is_known);
            assert_eq!(found, expected, "{status} {total:?} {is_known}");
        }
        let all = Sizes::default();
        assert_eq!(judge(&all, CHUNK, StatusCode::OK, None, true), Ok(()));
    }

    #[test]
    fn what_would_have_too_many_chunks_is_too_large() {
        let most = u64::from(MOST_CHUNKS) * u64::from(CHUNK);
        let judge = |total| judge(&Sizes::default(), CHUNK, StatusCode::OK, Some(total), false);
        assert_eq!(judge(most), Ok(()));
        assert_eq!(judge(most + 1), Err(Refusal::TooLarge));
        assert_eq!(judge(1 << 51), Err(Refusal::TooLarge));
    }
}
