//! The task that sends spans off, to whomever the configuration names at that moment.

use super::{
    collector::Collector,
    otlp::{self, Resource},
    queue::Queue,
    retry::{Outage, Reply},
    span::Span,
    stats::{Outcome, Stats},
};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Sends spans off. They wait in its queue; who puts them there never does.
#[derive(Debug)]
pub struct Exporter {
    queue: Arc<Queue>,
    collector: Arc<RwLock<Option<Arc<Collector>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Exporter {
    /// One that sends nowhere yet, on the runtime of the caller.
    pub fn start() -> Self {
        let queue = Arc::new(Queue::new(Arc::default()));
        let collector = Arc::default();
        let sender = Sender {
            queue: queue.clone(),
            collector: Arc::clone(&collector),
            instance: format!("{:016x}", fastrand::u64(..)),
            outage: Outage::default(),
        };
        Self {
            queue,
            collector,
            task: Mutex::new(Some(tokio::spawn(sender.run()))),
        }
    }

    /// Where spans wait.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// What is counted of them.
    pub fn stats(&self) -> &Arc<Stats> {
        self.queue.stats()
    }

    /// Sends to this one from now on, what waits included; nowhere where there is none.
    pub fn send_to(&self, collector: Option<Arc<Collector>>) {
        *self.collector.write() = collector;
    }

    /// Sends what waits, within so long. Nothing is sent afterwards.
    pub async fn end(&self, most: Duration) {
        self.queue.end();
        let task = self.task.lock().take();
        let Some(mut task) = task else { return };
        if timeout(most, &mut task).await.is_err() {
            task.abort();
            log::warn!("traces: the last spans could not be sent within {most:?}");
        }
        let unsent = self.queue.clear();
        self.stats().count(Outcome::Unsent, unsent as u64);
    }
}

/// What the task holds.
struct Sender {
    queue: Arc<Queue>,
    collector: Arc<RwLock<Option<Arc<Collector>>>>,
    instance: String,
    outage: Outage,
}

impl Sender {
    async fn run(mut self) {
        while let Some(spans) = self.queue.next().await {
            self.send(spans).await;
        }
    }

    async fn send(&mut self, spans: Vec<Span>) {
        let count = spans.len() as u64;
        let stats = self.queue.stats().clone();
        let Some(collector) = self.collector() else {
            return stats.count(Outcome::Unsent, count);
        };
        let resource = Resource {
            service: &collector.config().service,
            instance: &self.instance,
        };
        let message = Bytes::from(otlp::request(&resource, &spans));
        drop(spans);
        let reply = self.send_until_settled(message).await;
        match &reply {
            Reply::Taken(rejected, _) => {
                stats.count(Outcome::Sent, count.saturating_sub(*rejected));
                stats.count(Outcome::Rejected, *rejected);
            }
            lost if lost.is_final() => stats.count(Outcome::Rejected, count),
            _ => stats.count(Outcome::Unsent, count),
        }
        self.speak_of(&reply, count);
    }

    /// The last reply, after as many tries as it takes.
    async fn send_until_settled(&self, message: Bytes) -> Reply {
        let mut tries = 0;
        loop {
            let Some(collector) = self.collector() else {
                return Reply::Silence("there is none any more".to_owned());
            };
            let is_last = self.queue.has_ended();
            let reply = collector.post(message.clone()).await;
            tries += 1;
            match reply.again(tries, fastrand::f64()) {
                Some(wait) if !is_last => tokio::select! {
                    () = sleep(wait) => {}
                    () = self.queue.ending() => {}
                },
                _ => return reply,
            }
        }
    }

    fn speak_of(&mut self, reply: &Reply, spans: u64) {
        let lost = match reply {
            Reply::Taken(0, _) => {
                if self.outage.end() {
                    log::info!("traces: the collector takes spans again");
                }
                return;
            }
            Reply::Taken(rejected, _) => *rejected,
            Reply::Refused(..) | Reply::Silence(_) => spans,
        };
        if let Some(lost) = self.outage.lose(lost, super::now()) {
            let endpoint = self.collector().map(|it| it.config().endpoint.to_string());
            let endpoint = endpoint.unwrap_or_default();
            log::warn!("traces: {lost} spans are lost: {endpoint}: {reply}");
        }
    }

    fn collector(&self) -> Option<Arc<Collector>> {
        self.collector.read().clone()
    }
}
