//! The threads on which chunks come in.
//!
//! A reader has its turn after all others of its thread. A transfer that takes turns with a thousand
//! of them, a few pieces in each, holds its share of the bytes in flight for as long, while others
//! wait for theirs. So transfers have threads of their own, where there are any, and the kernel shares
//! the cores out.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::runtime::Handle;

/// Threads that take on work in turns; where there are none, whoever gives it does it.
#[derive(Debug, Default)]
pub struct Workers {
    threads: Vec<Handle>,
    given: AtomicUsize,
}

impl Workers {
    /// The threads that run these event loops.
    pub fn new(threads: Vec<Handle>) -> Self {
        Self {
            threads,
            given: AtomicUsize::new(0),
        }
    }

    /// Has work done by the next thread. Where there is none, and no runtime to spare the caller
    /// either, as when a process goes down, it is not done.
    pub(super) fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        let given = self.given.fetch_add(1, Relaxed);
        let next = given.checked_rem(self.threads.len());
        let thread = match next {
            Some(next) => Some(self.threads[next].clone()),
            None => Handle::try_current().ok(),
        };
        if let Some(thread) = thread {
            thread.spawn(work);
        }
    }
}
