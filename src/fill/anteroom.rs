//! Room for chunks that may not come in before all of them is here.

use super::budget::take;
use prometheus::IntCounter;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for what a source gathers before it gives any of it out, as it has to be checked first. It is
/// apart from the room for what comes in: who has some here waits for that, and who has that waits for
/// its own bytes only, so that all come through one after another.
#[derive(Clone, Debug)]
pub struct Anteroom {
    /// In KiB.
    room: Arc<Semaphore>,
    most: u64,
    /// Those who had to wait.
    waits: IntCounter,
}

/// In comparison with the room for what comes in: enough that the one is filled while the other is
/// emptied.
const PART: u64 = 2;

impl Anteroom {
    /// One before so much room for bytes that come in.
    pub(super) fn new(in_flight: u64, waits: IntCounter) -> Self {
        let most = (in_flight / PART / 1024).clamp(1, Semaphore::MAX_PERMITS as u64);
        Self {
            room: Arc::new(Semaphore::new(most as usize)),
            most,
            waits,
        }
    }

    /// Waits, in turn, for room for so many bytes; what is larger than all of it has it alone. Who
    /// waits puts a deadline on it.
    pub async fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let share = u32::try_from(bytes.div_ceil(1024).min(self.most)).ok()?;
        take(&self.room, share, || self.waits.inc()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn who_comes_first_has_room_first_and_what_is_too_large_has_all() {
        let waits = IntCounter::new("waits", "Waits.").unwrap();
        let anteroom = Anteroom::new(2 << 20, waits);
        let half = anteroom.take(512 << 10).now_or_never().unwrap();
        let mut large = Box::pin(anteroom.take(4 << 20));
        assert!(large.as_mut().now_or_never().is_none());
        let mut small = Box::pin(anteroom.take(1));
        assert!(small.as_mut().now_or_never().is_none());
        drop(half);
        let all = large.as_mut().now_or_never().unwrap();
        assert!(all.is_some() && small.as_mut().now_or_never().is_none());
        drop(all);
        assert!(small.as_mut().now_or_never().unwrap().is_some());
        assert_eq!(anteroom.waits.get(), 2);
    }
}
