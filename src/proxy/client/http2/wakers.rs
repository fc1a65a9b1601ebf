//! All who wait for something of one stream.
//!
//! h2 remembers one waker of a stream's sending half, the last that it was polled with. Here there
//! may be several who poll it: the session that writes, and tasks that wait for the client to
//! leave. So h2 is polled with a waker that stands for all of them.

use parking_lot::Mutex;
use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

/// Those who wait. Each is woken whatever has happened, and looks for itself.
#[derive(Debug, Default)]
pub(super) struct Wakers(Mutex<Vec<Waker>>);

/// Tasks that may wait at a time, more than one request has. One more wakes the others, who come
/// again.
const MOST: usize = 16;

impl Wakers {
    /// Polls on behalf of all who wait, of whom the caller's task is one from now on.
    pub fn poll<T>(
        self: &Arc<Self>,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        // Before it is polled: what happens in between is not missed.
        self.add(cx.waker());
        let all = Waker::from(self.clone());
        poll(&mut Context::from_waker(&all))
    }

    /// Wakes all.
    pub fn wake_all(&self) {
        let waiting = mem::take(&mut *self.0.lock());
        waiting.into_iter().for_each(Waker::wake);
    }

    fn add(&self, waker: &Waker) {
        let mut waiting = self.0.lock();
        if waiting.iter().any(|known| known.will_wake(waker)) {
            return;
        }
        if waiting.len() == MOST {
            waiting.drain(..).for_each(Waker::wake);
        }
        waiting.push(waker.clone());
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    /// What is polled: it remembers the last waker only.
    #[derive(Default)]
    struct Polled(Mutex<Option<Waker>>);

    impl Polled {
        fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
            *self.0.lock() = Some(cx.waker().clone());
            Poll::Pending
        }
    }

    #[test]
    fn all_who_wait_are_woken_once_however_often_they_have_asked() {
        let (wakers, polled) = (Arc::new(Wakers::default()), Polled::default());
        let counts: Vec<_> = (0..3).map(|_| Arc::<Count>::default()).collect();
        for count in counts.iter().chain(&counts) {
            let waker = Waker::from(count.clone());
            let cx = Context::from_waker(&waker);
            assert!(wakers.poll(&cx, |cx| polled.poll(cx)).is_pending());
        }
        let all = polled.0.lock().take().unwrap();
        all.wake_by_ref();
        all.wake();
        for count in &counts {
            assert_eq!(count.0.load(SeqCst), 1);
        }
    }

    #[test]
    fn one_too_many_wakes_the_others() {
        let (wakers, polled) = (Arc::new(Wakers::default()), Polled::default());
        let counts: Vec<_> = (0..=MOST).map(|_| Arc::<Count>::default()).collect();
        for count in &counts {
            let waker = Waker::from(count.clone());
            let cx = Context::from_waker(&waker);
            assert!(wakers.poll(&cx, |cx| polled.poll(cx)).is_pending());
        }
        let woken = counts.iter().filter(|count| count.0.load(SeqCst) == 1);
        assert_eq!(woken.count(), MOST);
        assert_eq!(wakers.0.lock().len(), 1);
    }
}
