//! The queue between requests, which never wait for it, and the task that sends spans off.

use super::{
    span::Span,
    stats::{Outcome, Stats},
};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

/// Spans that wait to be sent.
#[derive(Debug)]
pub struct Queue {
    spans: Mutex<Vec<Span>>,
    /// There is something to do for who sends.
    woken: Notify,
    ended: watch::Sender<bool>,
    stats: Arc<Stats>,
}

/// Spans that may wait: some megabytes where their texts are as long as may be.
const ROOM: usize = 2048;
/// Spans that are sent together; so many wait for no others.
const BATCH: usize = 512;
/// How long spans wait for others, so that they are sent together.
const GATHERING: Duration = Duration::from_secs(1);

impl Queue {
    /// An empty one.
    pub fn new(stats: Arc<Stats>) -> Self {
        Self {
            spans: Mutex::default(),
            woken: Notify::new(),
            ended: watch::Sender::new(false),
            stats,
        }
    }

    /// What is counted of spans.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Takes a span, and never waits.
    pub fn push(&self, span: Span) {
        let mut spans = self.spans.lock();
        if spans.len() >= ROOM {
            drop(spans);
            return self.stats.count(Outcome::Full, 1);
        }
        spans.push(span);
        let is_due = matches!(spans.len(), 1 | BATCH);
        drop(spans);
        if is_due {
            self.woken.notify_one();
        }
    }

    /// The next spans to be sent together; `None` when there are none left and none are to come.
    /// For one task alone.
    pub async fn next(&self) -> Option<Vec<Span>> {
        while self.spans.lock().is_empty() && !self.has_ended() {
            self.woken.notified().await;
        }
        let gathered = async {
            while self.spans.lock().len() < BATCH && !self.has_ended() {
                self.woken.notified().await;
            }
        };
        // Too few after a while are enough.
        let _ = timeout(GATHERING, gathered).await;
        let mut spans = self.spans.lock();
        let some = spans.len().min(BATCH);
        let batch: Vec<_> = spans.drain(..some).collect();
        (!batch.is_empty()).then_some(batch)
    }

    /// What is there is to be sent at once; nothing more is to come.
    pub fn end(&self) {
        self.ended.send_replace(true);
        self.woken.notify_one();
    }

    /// Whether nothing more is to come.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits until nothing more is to come.
    pub async fn ending(&self) {
        // It fails only where the sender is gone, and that is here.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Takes out what nobody will send any more; returns how much that was.
    pub fn clear(&self) -> usize {
        std::mem::take(&mut *self.spans.lock()).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::{context::Context, span::Kind};
    use tokio::time::Instant;

    fn span() -> Span {
        Span {
            place: Context::random(),
            parent: None,
            kind: Kind::Internal,
            name: "",
            began: 0,
            ended: 0,
            attributes: Vec::new(),
            has_failed: false,
            link: None,
        }
    }

    fn queue(spans: usize) -> Queue {
        let queue = Queue::new(Arc::default());
        (0..spans).for_each(|_| queue.push(span()));
        queue
    }

    async fn next(queue: &Queue) -> (usize, Duration) {
        let began = Instant::now();
        let batch = queue.next().await.map_or(0, |batch| batch.len());
        (batch, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_wait_for_others_and_many_for_none() {
        let queue = queue(BATCH + 3);
        assert_eq!(next(&queue).await, (BATCH, Duration::ZERO));
        assert_eq!(next(&queue).await, (3, GATHERING));
        let (batch, ()) = tokio::join!(next(&queue), async {
            tokio::time::sleep(GATHERING).await;
            (0..BATCH).for_each(|_| queue.push(span()));
        });
        assert_eq!(batch, (BATCH, GATHERING), "at once when there are enough");
    }

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_room_is_counted() {
        let queue = queue(ROOM + 7);
        let full = queue.stats.spans.with_label_values(&["full"]);
        assert_eq!(full.get(), 7);
        queue.end();
        let mut taken = 0;
        while let Some(batch) = queue.next().await {
            taken += batch.len();
        }
        assert_eq!(taken, ROOM);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_nothing() {
        let queue = queue(3);
        queue.end();
        assert_eq!(next(&queue).await, (3, Duration::ZERO));
        assert_eq!(next(&queue).await, (0, Duration::ZERO));
    }
}
