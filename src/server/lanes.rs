//! The threads that serve clients. Each has connections of its own, from their first byte to their
//! last, and an event loop of its own: nothing that a connection waits for wakes another thread, but
//! for what comes in from origins, which has threads beside them.
//!
//! Threads that take work from each other would share it out more evenly, and pay for it with a
//! wake-up and a cold cache for about every other request.

use super::count::Count;
use std::{future::Future, io, thread, time::Duration};
use tokio::{
    runtime::{Builder, Handle},
    sync::watch,
    task::JoinHandle,
};

/// The threads.
#[derive(Debug)]
pub struct Lanes {
    lanes: Vec<Lane>,
    /// For what comes in.
    intake: Vec<Lane>,
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
struct Lane {
    handle: Handle,
    /// Connections on it.
    load: Count,
}

impl Lanes {
    /// Starts this many threads for clients, at least one, and some for what comes in. Errors are
    /// those of the system, such as a thread too many.
    pub fn start(threads: usize) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let start = |name: &str, number| -> io::Result<Vec<Lane>> {
            let name = |at| format!("tidegate-{name}{at}");
            let lanes = (0..number).map(|at| Lane::start(name(at), stopped.clone()));
            lanes.collect()
        };
        let threads = threads.max(1);
        Ok(Self {
            lanes: start("", threads)?,
            intake: start("in-", threads.div_ceil(SERVED_BY_ONE))?,
            stop,
        })
    }

    /// Ends the threads, and with them what still runs there.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Has each thread do something new; whether all did. It waits as long as that takes.
    pub async fn turn(&self) -> bool {
        for lane in self.lanes.iter().chain(&self.intake) {
            if lane.handle.spawn(tokio::task::yield_now()).await.is_err() {
                return false;
            }
        }
        true
    }

    /// How long the threads have worked, together.
    pub fn worked(&self) -> Duration {
        let lanes = self.lanes.iter().chain(&self.intake);
        let worked = lanes.map(|lane| lane.handle.metrics().worker_total_busy_duration(0));
        worked.sum()
    }

    /// The event loops of the threads for what comes in.
    pub fn intake(&self) -> Vec<Handle> {
        let lanes = self.intake.iter();
        lanes.map(|lane| lane.handle.clone()).collect()
    }

    /// Has the work of a connection done, on the thread that has the fewest of them. Nobody needs to
    /// wait for it.
    pub fn serve<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let lane = self.lanes.iter().min_by_key(|lane| lane.load.now());
        let lane = lane.expect("there is at least one");
        let place = lane.load.enter();
        // What a task captures it has room for twice, unless it lies elsewhere.
        let work = Box::pin(work);
        lane.handle.spawn(async move {
            let _place = place;
            work.await
        })
    }
}

impl Lane {
    fn start(name: String, mut stop: watch::Receiver<bool>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .global_queue_interval(WORD_FROM_OUTSIDE)
            .event_interval(WORD_FROM_SOCKETS)
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name(name).spawn(move || {
            // An error is that nobody is left to stop it.
            let _ = runtime.block_on(stop.wait_for(|stop| *stop));
            runtime.shutdown_background();
        })?;
        Ok(Self {
            handle,
            load: Count::default(),
        })
    }
}

/// How many steps a lane takes of what is on it before it looks once what other threads have for
/// it: new connections, and chunks that came from the disk or through another connection. With
/// tokio's 31 these would wait for seconds where a thousand clients take all that they are given.
const WORD_FROM_OUTSIDE: u32 = 2;

/// How many steps it takes before it looks which sockets are ready. A step of a crowd is a segment,
/// some hundreds of microseconds: with tokio's 61 an origin's bytes would be seen 20 ms late.
const WORD_FROM_SOCKETS: u32 = 8;

/// Threads that serve clients for each one for what comes in, which copies every byte once, while
/// serving reads and writes it.
const SERVED_BY_ONE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashMap, sync::Arc, thread::ThreadId};
    use tokio::sync::{Barrier, oneshot};

    #[tokio::test]
    async fn connections_are_spread_evenly_and_stay_where_they_are() {
        let lanes = Arc::new(Lanes::start(2).unwrap());
        let all_here = Arc::new(Barrier::new(6));
        let connection = |_| {
            let (lanes, all_here) = (lanes.clone(), all_here.clone());
            tokio::spawn(async move {
                let work = async move {
                    let before = thread::current().id();
                    all_here.wait().await;
                    (before, thread::current().id())
                };
                lanes.serve(work).await.unwrap()
            })
        };
        let mut on: HashMap<ThreadId, usize> = HashMap::new();
        for served in (0..6).map(connection).collect::<Vec<_>>() {
            let (before, after) = served.await.unwrap();
            assert_eq!(before, after);
            *on.entry(before).or_default() += 1;
        }
        assert_eq!(on.values().copied().collect::<Vec<_>>(), [3, 3]);
    }

    #[tokio::test]
    async fn a_panic_ends_one_connection_only() {
        let lanes = Lanes::start(1).unwrap();
        let panics = lanes.serve(async { panic!("on purpose") });
        assert!(panics.await.is_err_and(|ended| ended.is_panic()));
        assert_eq!(lanes.serve(async { 7 }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_runs_ends_with_the_threads() {
        let lanes = Lanes::start(1).unwrap();
        let (kept, dropped) = oneshot::channel::<()>();
        let endless = async move {
            let _kept = kept;
            std::future::pending::<()>().await;
        };
        drop(lanes.serve(endless));
        lanes.stop();
        assert!(dropped.await.is_err());
    }
}
