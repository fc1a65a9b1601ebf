//! How many requests an origin gets at a time: the shell around [`Queue`] that waits.
//!
//! A slot is a [`Permit`], and dropping it is the only way to give it back; so it comes back on
//! every path, be it an error, a panic or a future that is dropped. A slot that goes over to a
//! waiter travels as a permit, too: where nobody receives it any more, it is dropped on the way,
//! and so passed on.

use super::config;
use crate::traffic::{Arrival, Class, Queue, Ticket};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    iter,
    sync::Arc,
    time::{Duration, Instant},
};
use thiserror::Error;
use tokio::{sync::oneshot, time};

/// The limit of one origin, over all its servers.
#[derive(Debug)]
pub struct Limit {
    /// Longest wait.
    wait: Duration,
    desk: Mutex<Desk>,
}

/// A slot; it is free again when this is dropped.
#[must_use = "the slot is free again when this is dropped"]
#[derive(Debug)]
pub struct Permit {
    limit: Arc<Limit>,
    waited: Duration,
}

/// Why a request may not go to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// Too many wait already, and none of them for less.
    #[error("too many requests wait for the origin")]
    Full,
    /// It waited, but one that matters more took its place.
    #[error("a more urgent request took the place in the queue for the origin")]
    Displaced,
    /// It has waited for long enough.
    #[error("the origin had no time for the request")]
    TimedOut,
    /// Whom it was for has left.
    #[error("the client left while its request waited for the origin")]
    Left,
}

/// The queue, and how those who wait in it are called.
#[derive(Debug)]
struct Desk {
    queue: Queue,
    /// One for every waiter. A waiter whose call is dropped has been displaced.
    calls: HashMap<Ticket, Call>,
}

type Call = oneshot::Sender<Permit>;

/// A place in the queue, which is left when this is dropped.
struct Place<'a> {
    limit: &'a Limit,
    ticket: Ticket,
    called: oneshot::Receiver<Permit>,
}

/// So many requests are no crowd, however low the limit.
const FEW: usize = 8;

impl Limit {
    /// A limit that nobody has reached.
    pub fn new(settings: config::Limit) -> Arc<Self> {
        let desk = Desk {
            queue: Queue::new(settings.requests, settings.queue),
            calls: HashMap::new(),
        };
        Arc::new(Self {
            wait: settings.wait,
            desk: Mutex::new(desk),
        })
    }

    /// Waits for a slot.
    ///
    /// Dropping the future leaves the queue.
    pub async fn enter(self: &Arc<Self>, class: Class) -> Result<Permit, Refused> {
        let came = now();
        let Some(mut place) = self.arrive(class)? else {
            return Ok(self.permit());
        };
        match time::timeout(self.wait, &mut place.called).await {
            Ok(Ok(mut permit)) => {
                permit.waited = now().saturating_duration_since(came);
                Ok(permit)
            }
            Ok(Err(_)) => Err(Refused::Displaced),
            Err(_) => Err(Refused::TimedOut),
        }
    }

    /// Takes a slot if one is free, without waiting and without taking anybody's place.
    pub fn try_enter(self: &Arc<Self>, class: Class) -> Option<Permit> {
        let mut desk = self.desk.lock();
        if !desk.queue.has_room() {
            return None;
        }
        match desk.queue.arrive(class) {
            Arrival::Admitted => Some(self.permit()),
            Arrival::Queued(_) | Arrival::Displacing { .. } | Arrival::Full => None,
        }
    }

    /// Whether a slot is free.
    pub fn has_room(&self) -> bool {
        self.desk.lock().queue.has_room()
    }

    /// Whether half of the slots are taken, and more than a few.
    pub fn is_crowded(&self) -> bool {
        let desk = self.desk.lock();
        let active = desk.queue.active();
        active >= FEW && active >= desk.queue.limit() / 2
    }

    /// Requests that have a slot.
    pub fn active(&self) -> usize {
        self.desk.lock().queue.active()
    }

    /// Requests of one class that wait.
    pub fn depth(&self, class: Class) -> usize {
        self.desk.lock().queue.depth(class)
    }

    /// Whether anybody waits.
    pub fn is_waited_for(&self) -> bool {
        let desk = self.desk.lock();
        Class::ALL.iter().any(|class| desk.queue.depth(*class) > 0)
    }

    /// A place in the queue, or none where there is a slot.
    fn arrive(&self, class: Class) -> Result<Option<Place<'_>>, Refused> {
        let mut desk = self.desk.lock();
        let (ticket, displaced) = match desk.queue.arrive(class) {
            Arrival::Admitted => return Ok(None),
            Arrival::Queued(ticket) => (ticket, None),
            Arrival::Displacing { ticket, displaced } => (ticket, desk.calls.remove(&displaced)),
            Arrival::Full => return Err(Refused::Full),
        };
        let (call, called) = oneshot::channel();
        desk.calls.insert(ticket, call);
        drop(desk);
        // Only now, since it wakes who was displaced.
        drop(displaced);
        Ok(Some(Place {
            limit: self,
            ticket,
            called,
        }))
    }

    /// Sends a slot that is held already to a waiter. One that has left meanwhile does not receive
    /// the permit, which is then dropped here, and so goes on to the next.
    fn hand_over(self: &Arc<Self>, call: Call) {
        drop(call.send(self.permit()));
    }

    /// Puts a slot that is held already into a permit.
    fn permit(self: &Arc<Self>) -> Permit {
        Permit {
            limit: self.clone(),
            waited: Duration::ZERO,
        }
    }
}

impl Desk {
    /// A slot is free, or goes over to whoever is to be called.
    fn release(&mut self) -> Option<Call> {
        let mut next = iter::from_fn(|| self.queue.release());
        next.find_map(|ticket| self.calls.remove(&ticket))
    }

    fn leave(&mut self, ticket: Ticket) -> Option<Call> {
        self.queue.leave(ticket);
        self.calls.remove(&ticket)
    }
}

impl Permit {
    /// How long its holder waited for it.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let call = self.limit.desk.lock().release();
        if let Some(call) = call {
            self.limit.hand_over(call);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // Who is called in this moment finds no place to leave, but drops the permit with its
        // receiver.
        let call = self.limit.desk.lock().leave(self.ticket);
        drop(call);
    }
}

/// The clock of the runtime, which tests may stop.
fn now() -> Instant {
    time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        pin::{Pin, pin},
        sync::atomic::{AtomicUsize, Ordering},
        task::{Context, Waker},
    };
    use tokio::time::{advance, sleep};

    const WAIT: Duration = Duration::from_secs(10);

    fn limit(requests: usize, queue: usize) -> Arc<Limit> {
        Limit::new(config::Limit {
            requests,
            queue,
            wait: WAIT,
        })
    }

    type Entering = Pin<Box<dyn Future<Output = Result<Permit, Refused>> + Send>>;

    /// A request that has arrived, and waits or not.
    fn arrive(limit: &Arc<Limit>, class: Class) -> (Entering, Option<Result<Permit, Refused>>) {
        let limit = limit.clone();
        let mut entering: Entering = Box::pin(async move { limit.enter(class).await });
        let polled = poll(&mut entering);
        (entering, polled)
    }

    fn poll(entering: &mut Entering) -> Option<Result<Permit, Refused>> {
        let mut context = Context::from_waker(Waker::noop());
        match entering.as_mut().poll(&mut context) {
            std::task::Poll::Ready(entered) => Some(entered),
            std::task::Poll::Pending => None,
        }
    }

    fn waiting(limit: &Limit) -> usize {
        let waiting = Class::ALL.iter().map(|class| limit.depth(*class)).sum();
        assert_eq!(limit.desk.lock().calls.len(), waiting);
        waiting
    }

    #[tokio::test(start_paused = true)]
    async fn who_panics_gives_its_slot_and_its_place_back() {
        let limit = limit(1, 1);
        let own = limit.clone();
        let holder = tokio::spawn(async move {
            let _held = own.enter(Class::Small).await.unwrap();
            panic!("with a slot");
        });
        assert!(holder.await.unwrap_err().is_panic());
        assert_eq!((limit.active(), waiting(&limit)), (0, 0));

        let held = limit.enter(Class::Small).await.unwrap();
        let own = limit.clone();
        let waiter = tokio::spawn(async move {
            let panic = async {
                tokio::task::yield_now().await;
                assert_eq!(waiting(&own), 0, "with a place in the queue");
            };
            tokio::join!(own.enter(Class::Small), panic).0
        });
        assert!(waiter.await.unwrap_err().is_panic());
        assert_eq!((limit.active(), waiting(&limit)), (1, 0));
        drop(held);
        assert_eq!(limit.active(), 0);
        assert!(limit.try_enter(Class::Small).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_goes_over_to_the_first_in_the_queue() {
        let limit = limit(1, 2);
        let held = limit.enter(Class::Large).await.unwrap();
        assert_eq!(held.waited(), Duration::ZERO);
        let (mut completion, _) = arrive(&limit, Class::Completion);
        let (mut small, _) = arrive(&limit, Class::Small);
        advance(Duration::from_secs(3)).await;
        drop(held);
        assert!(poll(&mut completion).is_none());
        let permit = poll(&mut small).unwrap().unwrap();
        assert_eq!(permit.waited(), Duration::from_secs(3));
        assert_eq!((limit.active(), limit.depth(Class::Completion)), (1, 1));
        drop(permit);
        drop(poll(&mut completion).unwrap().unwrap());
        assert_eq!((limit.active(), waiting(&limit)), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_say_why() {
        let limit = limit(1, 1);
        let held = limit.enter(Class::Small).await.unwrap();
        let (mut displaced, _) = arrive(&limit, Class::Completion);
        let full = limit.enter(Class::Completion).await;
        assert_eq!(full.unwrap_err(), Refused::Full);
        let started = time::Instant::now();
        let timed_out = limit.enter(Class::Small).await;
        assert_eq!(timed_out.unwrap_err(), Refused::TimedOut);
        assert_eq!(started.elapsed(), WAIT);
        assert_eq!(
            poll(&mut displaced).unwrap().unwrap_err(),
            Refused::Displaced
        );
        drop(displaced);
        assert_eq!((limit.active(), waiting(&limit)), (1, 0));
        drop(held);
        assert_eq!(limit.active(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_given_to_who_leaves_is_passed_on() {
        let limit = limit(1, 3);
        let held = limit.enter(Class::Small).await.unwrap();
        let (waits, _) = arrive(&limit, Class::Small);
        let (called, _) = arrive(&limit, Class::Small);
        let (mut last, _) = arrive(&limit, Class::Small);
        drop(waits);
        assert_eq!(waiting(&limit), 2);
        drop(held);
        assert_eq!((limit.active(), waiting(&limit)), (1, 1));
        assert!(poll(&mut last).is_none());
        drop(called);
        drop(poll(&mut last).unwrap().unwrap());
        assert_eq!(limit.active(), 0);
    }

    /// A slot is passed on even where its waiter leaves between being chosen and being called.
    #[tokio::test(start_paused = true)]
    async fn a_slot_on_its_way_to_who_has_left_is_passed_on() {
        let limit = limit(1, 2);
        let held = limit.enter(Class::Small).await.unwrap();
        let (called, _) = arrive(&limit, Class::Small);
        let (mut last, _) = arrive(&limit, Class::Small);
        let call = limit.desk.lock().release().unwrap();
        drop(called);
        assert!(call.is_closed());
        limit.hand_over(call);
        // As a permit's drop has just been played by hand, its own is not to happen.
        std::mem::forget(held);
        drop(poll(&mut last).unwrap().unwrap());
        assert_eq!((limit.active(), waiting(&limit)), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_gives_the_slot_back() {
        let limit = limit(1, 0);
        let task = tokio::spawn({
            let limit = limit.clone();
            async move {
                let _permit = limit.enter(Class::Small).await.unwrap();
                panic!("on purpose");
            }
        });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(limit.active(), 0);
    }

    /// A small generator, so that a run can be repeated.
    fn random(seed: &mut u64, below: u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*seed >> 33) % below
    }

    /// What many tasks do that come, wait, are cancelled and go: the limit holds, and in the end
    /// nothing is left.
    async fn crowd(limit: Arc<Limit>, requests: usize, tasks: u64) -> [usize; 3] {
        let inside = Arc::new(AtomicUsize::new(0));
        let ends = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let tasks: Vec<_> = (0..tasks)
            .map(|task| {
                let (limit, inside, ends) = (limit.clone(), inside.clone(), ends.clone());
                tokio::spawn(async move {
                    let mut seed = task << 32;
                    for _ in 0..20 {
                        sleep(Duration::from_millis(random(&mut seed, 40))).await;
                        let class = Class::ALL[random(&mut seed, 5) as usize];
                        let patience = Duration::from_millis(random(&mut seed, 60));
                        let entering = pin!(limit.enter(class));
                        let end = match time::timeout(patience, entering).await {
                            Ok(Ok(_permit)) => {
                                assert!(inside.fetch_add(1, Ordering::SeqCst) < requests);
                                sleep(Duration::from_millis(random(&mut seed, 10))).await;
                                inside.fetch_sub(1, Ordering::SeqCst);
                                0
                            }
                            Ok(Err(_)) => 1,
                            Err(_) => 2,
                        };
                        ends[end].fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((limit.active(), waiting(&limit)), (0, 0));
        [0, 1, 2].map(|end| ends[end].load(Ordering::SeqCst))
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_leaves_nothing_behind() {
        let ends = crowd(limit(3, 8), 3, 50).await;
        assert!(ends.iter().all(|n| *n > 50), "{ends:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_crowd_on_many_threads_leaves_nothing_behind() {
        crowd(limit(3, 8), 3, 50).await;
    }
}
