//! Purges that this edge has heard of from those who ask it, and does not know yet.
//!
//! The log is looked at for their sake at once. Anybody may say a number: where a look finds that the
//! log does not go so far, what is said counts for nothing until as long after as looks are apart
//! anyway.

use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// What has been heard.
#[derive(Debug, Default)]
pub(super) struct Hearsay {
    /// The highest number that the log is to be looked at for; 0 for none.
    heard: AtomicU64,
    /// When a look has last found less than was said.
    in_vain: watch::Sender<Option<Instant>>,
}

impl Hearsay {
    /// Somebody knows of this purge. Whether the log is to be looked at for it, where looks are so
    /// far apart.
    pub fn hear(&self, number: u64, now: Instant, apart: Duration) -> bool {
        let in_vain = *self.in_vain.borrow();
        let may = in_vain.is_none_or(|at| now.saturating_duration_since(at) >= apart);
        if may {
            self.heard.fetch_max(number, SeqCst);
        }
        may
    }

    /// The highest number that a look which begins now is for.
    pub fn take(&self) -> u64 {
        self.heard.swap(0, SeqCst)
    }

    /// A look for `heard` is over, at whose end purges are carried out up to `last`.
    pub fn looked(&self, heard: u64, last: u64, now: Instant) {
        if heard > last {
            self.in_vain.send_replace(Some(now));
        }
    }

    /// Purges have been carried out: those who wait may look.
    pub fn tell(&self) {
        self.in_vain.send_modify(|_| ());
    }

    /// Waits until it `is_done`, or a look has been in vain that ended after `since`.
    pub async fn wait(&self, since: Instant, is_done: impl Fn() -> bool) {
        let is_over = |in_vain: &Option<Instant>| is_done() || in_vain.is_some_and(|at| at > since);
        // The sender lives in `self`: it can't be gone.
        let _ = self.in_vain.subscribe().wait_for(is_over).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const APART: Duration = Duration::from_secs(2);

    #[test]
    fn a_number_that_is_not_there_is_looked_for_once_in_a_while() {
        let (hearsay, start) = (Hearsay::default(), Instant::now());
        let later = |seconds| start + Duration::from_secs(seconds);
        assert!(hearsay.hear(9, start, APART) && hearsay.hear(7, start, APART));
        assert_eq!((hearsay.take(), hearsay.take()), (9, 0));
        hearsay.looked(9, 5, later(1));
        assert!(!hearsay.hear(9, later(1), APART) && !hearsay.hear(6, later(2), APART));
        assert_eq!(hearsay.take(), 0);
        assert!(hearsay.hear(6, later(3), APART));
        assert_eq!(hearsay.take(), 6);
    }

    #[test]
    fn a_number_that_is_there_is_looked_for_at_once_every_time() {
        let (hearsay, now) = (Hearsay::default(), Instant::now());
        for number in 1..100 {
            assert!(hearsay.hear(number, now, APART));
            let heard = hearsay.take();
            hearsay.looked(heard, number, now);
        }
    }

    #[test]
    fn who_waits_is_told_of_both_ends() {
        let (hearsay, start) = (Hearsay::default(), Instant::now());
        let last = AtomicU64::new(0);
        let mut first = Box::pin(hearsay.wait(start, || last.load(SeqCst) >= 1));
        let mut second = Box::pin(hearsay.wait(start, || last.load(SeqCst) >= 2));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        last.store(1, SeqCst);
        hearsay.tell();
        assert!(first.as_mut().now_or_never().is_some());
        assert!(second.as_mut().now_or_never().is_none());
        // A look that was in vain before anybody waited says nothing of what is waited for.
        hearsay.looked(9, 1, start);
        assert!(second.as_mut().now_or_never().is_none());
        hearsay.looked(2, 1, start + APART);
        assert!(second.as_mut().now_or_never().is_some());
    }
}
