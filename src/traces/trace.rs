//! The part that one request has in a trace.
//!
//! Its span is told when it has ended, and so is each step within it. The fills that it causes are
//! detached, and may end later; they are told as steps of it all the same, not as traces of their
//! own with a link: it was this request and no other that set them off, with its fields and for its
//! sake. Those who only join say so (`collapsed`, and the bytes of `flight`), and where they waited
//! for its first contact, their wait has a link to it.

use super::{
    context::{Context, SpanId},
    queue::Queue,
    span::{Attributes, Clock, Kind, Side, Span},
    stats::Outcome,
};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// One request's part. Where it is not sampled, it only says so to whoever is asked behind.
#[derive(Debug)]
pub struct Trace {
    place: Context,
    /// The span of whoever sent the request, where that is believed.
    parent: Option<SpanId>,
    clock: Clock,
    spans: Option<Arc<Queue>>,
    told: [AtomicU32; Step::ALL.len()],
    left_out: AtomicU32,
    disk_waits: AtomicU32,
    disk_waited: AtomicU64,
}

/// What a request does, beside being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It waits for another's first contact with the origin.
    Lock,
    /// It is looked up in the store.
    Index,
    /// It waits for a read from the disk.
    Disk,
    /// It waits for a place at an origin.
    Queue,
    /// It asks a server.
    Origin,
    /// It waits to hear whether the tier has its object.
    TierLookup,
    /// Chunks of a run come from the tier.
    TierRead,
}

/// What is said of a step.
#[derive(Debug, Default)]
pub struct Told {
    /// Names and values.
    pub attributes: Attributes,
    /// Whether it failed.
    pub has_failed: bool,
    /// What it waited for, in another trace.
    pub link: Option<Context>,
}

impl From<Attributes> for Told {
    fn from(attributes: Attributes) -> Self {
        Self {
            attributes,
            ..Self::default()
        }
    }
}

/// What is said of a request when it has ended.
#[derive(Debug)]
pub struct Ending {
    /// What its span is called.
    pub name: &'static str,
    /// What is said of it.
    pub attributes: Attributes,
    /// Whether it failed, by another's doing than its client's.
    pub has_failed: bool,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Lock,
        Self::Index,
        Self::Disk,
        Self::Queue,
        Self::Origin,
        Self::TierLookup,
        Self::TierRead,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Index => "index",
            Self::Disk => "disk",
            Self::Queue => "queue",
            Self::Origin => "origin",
            Self::TierLookup => "tier_lookup",
            Self::TierRead => "tier_read",
        }
    }

    /// How many of one request are told: a long film has thousands.
    fn most(self) -> u32 {
        match self {
            Self::Lock | Self::Index | Self::Disk | Self::Queue | Self::TierLookup => 8,
            Self::Origin | Self::TierRead => 16,
        }
    }
}

impl Trace {
    /// The part of a request that came when `clock` says, of the span of whoever sent it or of
    /// none. It is recorded by `spans` if at all.
    pub fn new(from: Option<Context>, spans: Option<Arc<Queue>>, clock: Clock) -> Self {
        let sampled = spans.is_some();
        let (place, parent) = match from {
            // Without a span of our own, what follows belongs to the one before.
            Some(from) if !sampled => (from, None),
            Some(from) => (from.with(SpanId::random()), Some(from.span)),
            None => (Context::random(), None),
        };
        Self {
            place: Context { sampled, ..place },
            parent,
            clock,
            spans,
            told: Default::default(),
            left_out: AtomicU32::new(0),
            disk_waits: AtomicU32::new(0),
            disk_waited: AtomicU64::new(0),
        }
    }

    /// Whether anything of it is told.
    pub fn is_recorded(&self) -> bool {
        self.spans.is_some()
    }

    /// What others who wait for this request may link to: its span, where that is told.
    pub fn link(&self) -> Option<Context> {
        self.is_recorded().then(|| self.place.clone())
    }

    /// Where the request itself stands.
    pub(super) fn place(&self) -> &Context {
        &self.place
    }

    /// A step has been taken. What there is to say of it is asked only where it is told.
    pub fn step<S: Into<Told>>(&self, step: Step, time: Range<Instant>, say: impl FnOnce() -> S) {
        if step == Step::Disk {
            let waited = time.end.saturating_duration_since(time.start);
            self.disk_waits.fetch_add(1, Relaxed);
            self.disk_waited
                .fetch_add(waited.as_nanos() as u64, Relaxed);
        }
        if self.takes(step) {
            self.tell_step(step, SpanId::random(), time, say().into());
        }
    }

    /// The request has ended.
    pub fn end(&self, now: Instant, ending: Ending) {
        if !self.is_recorded() {
            return;
        }
        let Ending {
            name,
            mut attributes,
            has_failed,
        } = ending;
        let waits = self.disk_waits.load(Relaxed);
        if waits > 0 {
            let waited = Duration::from_nanos(self.disk_waited.load(Relaxed));
            attributes.push(("tidegate.disk.waits", u64::from(waits).into()));
            attributes.push(("tidegate.disk.waited_ms", waited.into()));
        }
        let left_out = self.left_out.load(Relaxed);
        if left_out > 0 {
            attributes.push(("tidegate.left_out", u64::from(left_out).into()));
        }
        self.tell(Span {
            place: self.place.clone(),
            parent: self.parent.map(|parent| (parent, Side::Remote)),
            kind: Kind::Server,
            name,
            began: self.clock.nanoseconds(self.clock.instant),
            ended: self.clock.nanoseconds(now),
            attributes,
            has_failed,
            link: None,
        });
    }

    /// Whether one more step of a kind is told; if not, that is counted.
    pub(super) fn takes(&self, step: Step) -> bool {
        let Some(spans) = &self.spans else {
            return false;
        };
        let takes = self.told[step as usize].fetch_add(1, Relaxed) < step.most();
        if !takes {
            self.left_out.fetch_add(1, Relaxed);
            spans.stats().count(Outcome::LeftOut, 1);
        }
        takes
    }

    /// Tells of a step.
    pub(super) fn tell_step(&self, step: Step, id: SpanId, time: Range<Instant>, told: Told) {
        self.tell(Span {
            place: self.place.with(id),
            parent: Some((self.place.span, Side::Own)),
            kind: match step {
                Step::Origin | Step::TierLookup | Step::TierRead => Kind::Client,
                Step::Lock | Step::Index | Step::Disk | Step::Queue => Kind::Internal,
            },
            name: step.name(),
            began: self.clock.nanoseconds(time.start),
            ended: self.clock.nanoseconds(time.end),
            attributes: told.attributes,
            has_failed: told.has_failed,
            link: told.link,
        });
    }

    fn tell(&self, span: Span) {
        if let Some(spans) = &self.spans {
            spans.push(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::Asked;
    use http::StatusCode;
    use std::time::SystemTime;

    fn trace(from: Option<Context>, queue: Option<&Arc<Queue>>) -> Arc<Trace> {
        let clock = Clock {
            instant: Instant::now(),
            date: SystemTime::now(),
        };
        Arc::new(Trace::new(from, queue.cloned(), clock))
    }

    fn queue() -> Arc<Queue> {
        Arc::new(Queue::new(Arc::default()))
    }

    async fn spans(queue: &Queue) -> Vec<Span> {
        queue.end();
        queue.next().await.unwrap_or_default()
    }

    fn end(trace: &Trace) {
        let ending = Ending {
            name: "GET",
            attributes: Vec::new(),
            has_failed: false,
        };
        trace.end(Instant::now(), ending);
    }

    #[tokio::test]
    async fn of_a_long_film_a_few_steps_are_told_and_the_others_counted() {
        let queue = queue();
        let trace = trace(None, Some(&queue));
        let now = Instant::now();
        for step in Step::ALL {
            for _ in 0..100 {
                match step {
                    Step::Origin => drop(Asked::begin(&trace, now, Vec::new)),
                    _ => trace.step(step, now..now + Duration::from_millis(1), Attributes::new),
                }
            }
        }
        end(&trace);
        let spans = spans(&queue).await;
        let count = |name| spans.iter().filter(|span| span.name == name).count();
        let told = Step::ALL.map(|step| count(step.name()));
        assert_eq!(told, [8, 8, 8, 8, 16, 8, 16]);
        let whole = spans.last().unwrap();
        let said = |name| {
            let found = whole.attributes.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone())
        };
        assert_eq!(said("tidegate.left_out"), Some((700u64 - 72).into()));
        assert_eq!(said("tidegate.disk.waits"), Some(100u64.into()));
        let waited = Duration::from_millis(100).into();
        assert_eq!(said("tidegate.disk.waited_ms"), Some(waited));
        let root = whole.place.span;
        let inner = &spans[..spans.len() - 1];
        assert!(inner.iter().all(|it| it.parent == Some((root, Side::Own))));
    }

    #[tokio::test]
    async fn who_is_asked_belongs_to_its_own_span_or_to_the_one_before() {
        let queue = queue();
        let said = |asked: &Asked| asked.fields().map(|(_, value)| value).collect::<Vec<_>>();
        let from = Context {
            sampled: true,
            state: Some("a=1".parse().unwrap()),
            ..Context::random()
        };
        let recorded = trace(Some(from.clone()), Some(&queue));
        let mut asked = Asked::begin(&recorded, Instant::now(), Vec::new);
        let [parent, state] = &said(&asked)[..] else {
            panic!("two fields")
        };
        let parent = parent.clone();
        assert_eq!(state, "a=1");
        asked.head(StatusCode::OK, Instant::now());
        asked.received(5);
        drop(asked);
        let told = spans(&queue).await;
        assert_eq!(told[0].place.traceparent(), parent);
        let bytes = ("http.response.body.size", 5u64.into());
        assert!(told[0].attributes.contains(&bytes), "{told:?}");

        let unsampled = Context {
            sampled: false,
            state: None,
            ..from
        };
        let passed = trace(Some(unsampled.clone()), None);
        let asked = Asked::begin(&passed, Instant::now(), || unreachable!());
        assert_eq!(said(&asked), [unsampled.traceparent()]);
    }

    #[tokio::test]
    async fn who_was_not_waited_for_is_told_as_that() {
        let queue = queue();
        let trace = trace(None, Some(&queue));
        drop(Asked::begin(&trace, Instant::now(), Vec::new));
        let mut failed = Asked::begin(&trace, Instant::now(), Vec::new);
        failed.failed("timeout".into());
        drop(failed);
        let told = spans(&queue).await;
        let said: Vec<_> = told.iter().map(|span| &span.attributes[..]).collect();
        assert_eq!(said[0], [("tidegate.abandoned", true.into())]);
        assert_eq!(said[1], [("error.type", "timeout".into())]);
        assert_eq!([told[0].has_failed, told[1].has_failed], [false, true]);
    }
}
