//! What is known about names, and what it allows at a moment; pure.
//!
//! ```text
//!             learned            ttl           + STALE, or the last look-up failed long ago
//!  Unknown ───────────▶ Fresh ────────▶ Stale ─────────────────────────▶ Expired
//!     ▲  └── failed ──▶ Refused (until its rest is over)                    │
//!     └────────────────────────────── + KEPT ────────────────────────────────┘
//! ```
//!
//! While look-ups fail an answer stays Stale instead of becoming Expired, up to `KEPT`: the old
//! addresses are better than none. That a name is gone is no failure but an answer: it takes the
//! old one's place (RFC 8767, section 4).

use lru::LruCache;
use std::{
    io,
    net::IpAddr,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

/// Addresses of a name.
pub(super) type Ips = Arc<[IpAddr]>;

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// All addresses, none twice.
    pub ips: Vec<IpAddr>,
    /// The smallest time to live of the records.
    pub ttl: Duration,
    /// The family whose half of the look-up failed, where one did.
    pub lacks: Option<Family>,
}

/// A version of the internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Version 4.
    V4,
    /// Version 6.
    V6,
}

/// Why a look-up has no addresses to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The name does not exist, or has no address; so it stays for a while.
    Absent(Duration),
    /// It could not be found out.
    Failed(io::ErrorKind, Arc<str>),
}

/// What is allowed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: wait for a look-up.
    Unknown,
    /// The addresses may be used.
    Fresh(Ips),
    /// The addresses may be used while a look-up renews them.
    Stale(Ips),
    /// Wait for a look-up; the addresses are for when it fails.
    Expired(Ips),
    /// The last look-up failed a moment ago: do not ask again yet.
    Refused(Failure),
}

/// What became of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// What those get who waited for it.
    pub given: Result<Ips, Failure>,
    /// Whether its failure is worth a line in the log: an older answer hides it.
    pub report: bool,
}

/// All names.
#[derive(Debug)]
pub(super) struct Table {
    entries: LruCache<Arc<str>, Entry>,
    min_ttl: Duration,
    max_ttl: Duration,
}

#[derive(Debug, Default)]
struct Entry {
    answer: Option<Held>,
    /// The last look-up's failure and its time; none after a success.
    failure: Option<(Failure, Instant)>,
    reported: Option<Instant>,
}

#[derive(Debug)]
struct Held {
    ips: Ips,
    until: Instant,
}

/// Names that are remembered; the least recently used goes.
pub(super) const NAMES: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// So long past its TTL nobody waits for a new answer.
const STALE: Duration = Duration::from_secs(30);
/// So long past its TTL an answer helps when look-ups fail.
const KEPT: Duration = Duration::from_secs(3600);
/// Longest memory of a name's absence.
const ABSENT: Duration = Duration::from_secs(5);
/// Rest between two look-ups that fail; RFC 9520 asks for at least this.
const REST: Duration = Duration::from_secs(1);
/// Time between two lines in the log about one name.
const REPORT: Duration = Duration::from_secs(60);
/// Longest use of an answer that lacks a family.
const PARTIAL: Duration = Duration::from_secs(10);

impl Table {
    /// Nothing is known yet.
    pub fn new(min_ttl: Duration, max_ttl: Duration) -> Self {
        Self {
            entries: LruCache::new(NAMES),
            min_ttl,
            max_ttl,
        }
    }

    /// What is allowed now; the name counts as used.
    pub fn known(&mut self, name: &str, now: Instant) -> Known {
        self.entries
            .get(name)
            .map_or(Known::Unknown, |entry| entry.known(now))
    }

    /// Addresses that are better than none; the name does not count as used.
    pub fn peek(&self, name: &str, now: Instant) -> Option<Ips> {
        self.entries.peek(name)?.kept(now)
    }

    /// A look-up has ended.
    pub fn settle(&mut self, name: &str, found: Result<Answer, Failure>, now: Instant) -> Settled {
        let (min, max) = (self.min_ttl, self.max_ttl);
        let entry = self.entries.get_or_insert_mut(name.into(), Entry::default);
        match found {
            Ok(answer) => Settled {
                given: Ok(entry.learn(answer, min, max, now)),
                report: false,
            },
            Err(failure) => entry.fail(failure, now),
        }
    }
}

impl Entry {
    fn known(&self, now: Instant) -> Known {
        let resting = self.failure.as_ref().filter(|(f, at)| now < *at + f.rest());
        let Some(ips) = self.kept(now) else {
            return resting.map_or(Known::Unknown, |(f, _)| Known::Refused(f.clone()));
        };
        let past = now.saturating_duration_since(self.until());
        let failing = (self.failure.as_ref()).is_some_and(|(_, at)| now < *at + STALE);
        if now < self.until() || resting.is_some() {
            Known::Fresh(ips)
        } else if past < STALE || failing {
            Known::Stale(ips)
        } else {
            Known::Expired(ips)
        }
    }

    fn kept(&self, now: Instant) -> Option<Ips> {
        let held = self.answer.as_ref()?;
        (now < held.until + KEPT).then(|| held.ips.clone())
    }

    fn until(&self) -> Instant {
        let held = self.answer.as_ref();
        held.expect("asked only where an answer is kept").until
    }

    fn learn(&mut self, mut answer: Answer, min: Duration, max: Duration, now: Instant) -> Ips {
        let mut ttl = answer.ttl;
        if let Some(lacks) = answer.lacks {
            // The half that failed is as it was before, as far as anyone knows.
            let old = self.kept(now);
            let old = old.iter().flat_map(|ips| ips.iter());
            answer.ips.extend(old.filter(|ip| Family::of(ip) == lacks));
            ttl = ttl.min(PARTIAL);
        }
        let ips: Ips = answer.ips.into();
        // Not `clamp`, which panics when the bounds are the wrong way round.
        let until = now + ttl.max(min).min(max);
        self.answer = Some(Held {
            ips: ips.clone(),
            until,
        });
        self.failure = None;
        ips
    }

    fn fail(&mut self, failure: Failure, now: Instant) -> Settled {
        let old = self.kept(now);
        let due = self.reported.is_none_or(|at| now >= at + REPORT);
        let report = old.is_some() && due;
        if report {
            self.reported = Some(now);
        }
        if old.is_none() || matches!(failure, Failure::Absent(_)) {
            self.answer = None;
        }
        self.failure = Some((failure.clone(), now));
        let given = self.kept(now).ok_or(failure);
        Settled { given, report }
    }
}

impl Failure {
    fn rest(&self) -> Duration {
        match self {
            Self::Absent(ttl) => (*ttl).clamp(REST, ABSENT),
            Self::Failed(..) => REST,
        }
    }

    /// As an error about `name`.
    pub fn about(&self, name: &str) -> io::Error {
        match self {
            Self::Absent(_) => {
                let text = format!("{name}: no such name, or it has no address");
                io::Error::new(io::ErrorKind::NotFound, text)
            }
            Self::Failed(kind, why) => io::Error::new(*kind, format!("{name}: {why}")),
        }
    }
}

impl Family {
    /// The family of an address.
    pub fn of(ip: &IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "192.0.2.1";
    const SIX: &str = "2001:db8::1";

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    fn answer(texts: &[&str], ttl: u64) -> Result<Answer, Failure> {
        Ok(Answer {
            ips: ips(texts),
            ttl: secs(ttl),
            lacks: None,
        })
    }

    fn failed() -> Failure {
        Failure::Failed(io::ErrorKind::TimedOut, "silence".into())
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn table() -> Table {
        Table::new(secs(2), secs(600))
    }

    #[test]
    fn an_answer_ages() {
        let (mut table, start) = (table(), Instant::now());
        assert_eq!(table.known("a", start), Known::Unknown);
        table.settle("a", answer(&[ONE], 10), start).given.unwrap();
        let one: Ips = ips(&[ONE]).into();
        for (age, expected) in [
            (0, Known::Fresh(one.clone())),
            (9, Known::Fresh(one.clone())),
            (10, Known::Stale(one.clone())),
            (39, Known::Stale(one.clone())),
            (40, Known::Expired(one.clone())),
            (3609, Known::Expired(one)),
            (3610, Known::Unknown),
        ] {
            assert_eq!(table.known("a", start + secs(age)), expected, "{age} s");
        }
    }

    #[test]
    fn the_ttl_is_kept_within_its_bounds() {
        for (ttl, used) in [(0, 2), (1, 2), (300, 300), (86_400, 600)] {
            let (mut table, start) = (table(), Instant::now());
            table.settle("a", answer(&[ONE], ttl), start).given.unwrap();
            let fresh = |table: &mut Table, at| matches!(table.known("a", at), Known::Fresh(_));
            assert!(fresh(&mut table, start + secs(used - 1)), "{ttl}");
            assert!(!fresh(&mut table, start + secs(used)), "{ttl}");
        }
    }

    #[test]
    fn bounds_the_wrong_way_round_do_no_harm() {
        let mut table = Table::new(secs(9), secs(3));
        let start = Instant::now();
        table.settle("a", answer(&[ONE], 5), start).given.unwrap();
        assert!(matches!(table.known("a", start + secs(3)), Known::Stale(_)));
    }

    #[test]
    fn a_failure_keeps_the_old_answer_for_an_hour() {
        let (mut table, start) = (table(), Instant::now());
        table.settle("a", answer(&[ONE], 10), start).given.unwrap();
        let mut reports = 0;
        for age in (10..3610).step_by(5) {
            let now = start + secs(age);
            assert!(matches!(table.known("a", now), Known::Stale(_)), "{age}");
            let settled = table.settle("a", Err(failed()), now);
            assert_eq!(settled.given.unwrap()[..], ips(&[ONE]));
            reports += u32::from(settled.report);
            assert!(
                matches!(table.known("a", now), Known::Fresh(_)),
                "not asked again at once"
            );
        }
        assert_eq!(reports, 60, "one a minute");
        let settled = table.settle("a", Err(failed()), start + secs(3610));
        assert_eq!(settled.given, Err(failed()));
        assert_eq!(table.peek("a", start), None);
    }

    #[test]
    fn long_after_a_failure_one_waits_again() {
        let (mut table, start) = (table(), Instant::now());
        table.settle("a", answer(&[ONE], 10), start).given.unwrap();
        table
            .settle("a", Err(failed()), start + secs(20))
            .given
            .unwrap();
        assert!(matches!(
            table.known("a", start + secs(49)),
            Known::Stale(_)
        ));
        assert!(matches!(
            table.known("a", start + secs(50)),
            Known::Expired(_)
        ));
    }

    #[test]
    fn a_name_that_is_gone_takes_its_old_addresses_along() {
        let (mut table, start) = (table(), Instant::now());
        table.settle("a", answer(&[ONE], 10), start).given.unwrap();
        let gone = Failure::Absent(secs(900));
        let settled = table.settle("a", Err(gone.clone()), start + secs(10));
        assert_eq!(settled.given, Err(gone.clone()));
        assert!(settled.report);
        assert_eq!(table.known("a", start + secs(14)), Known::Refused(gone));
        assert_eq!(table.known("a", start + secs(15)), Known::Unknown);
    }

    #[test]
    fn the_half_that_failed_is_filled_from_before() {
        let (mut table, start) = (table(), Instant::now());
        let old = answer(&[ONE, SIX], 300);
        table.settle("a", old, start).given.unwrap();
        let half = Answer {
            ips: ips(&["192.0.2.9"]),
            ttl: secs(300),
            lacks: Some(Family::V6),
        };
        let given = table.settle("a", Ok(half), start).given.unwrap();
        assert_eq!(given[..], ips(&["192.0.2.9", SIX]));
        assert!(matches!(
            table.known("a", start + secs(10)),
            Known::Stale(_)
        ));
    }

    #[test]
    fn names_are_bounded_and_the_used_ones_stay() {
        let (mut table, now) = (table(), Instant::now());
        table.settle("a", answer(&[ONE], 60), now).given.unwrap();
        for n in 0..2 * NAMES.get() {
            assert!(matches!(table.known("a", now), Known::Fresh(_)));
            table.settle(&n.to_string(), Err(failed()), now).given.ok();
        }
        assert_eq!(table.entries.len(), NAMES.get());
    }

    proptest! {
        /// Whatever look-ups find and whenever: addresses within their TTL are given, none are
        /// given an hour past it, and a failure is never asked about twice at one moment.
        #[test]
        fn random_histories(steps in prop::collection::vec((0..3u8, 0..5000u64, 0..700u64), 1..40)) {
            let (mut table, mut now) = (table(), Instant::now());
            let mut until: Option<Instant> = None;
            for (what, pause, ttl) in steps {
                now += secs(pause);
                let known = table.known("a", now);
                match (&known, until) {
                    (Known::Unknown | Known::Refused(_), until) => {
                        prop_assert!(until.is_none_or(|u| now >= u + KEPT));
                    }
                    (Known::Fresh(_) | Known::Stale(_) | Known::Expired(_), Some(until)) => {
                        prop_assert!(now < until + KEPT);
                        prop_assert!(now >= until || matches!(known, Known::Fresh(_)));
                    }
                    (known, None) => prop_assert!(false, "{known:?} from nothing"),
                }
                let found = match what {
                    0 => answer(&[ONE], ttl),
                    1 => Err(failed()),
                    _ => Err(Failure::Absent(secs(ttl))),
                };
                match (&found, until) {
                    (Ok(_), _) => until = Some(now + secs(ttl.clamp(2, 600))),
                    (Err(Failure::Absent(_)), _) => until = None,
                    (Err(_), Some(u)) if now >= u + KEPT => until = None,
                    _ => {}
                }
                let settled = table.settle("a", found, now);
                prop_assert_eq!(settled.given.is_ok(), until.is_some());
                prop_assert!(matches!(table.known("a", now), Known::Fresh(_) | Known::Refused(_)));
            }
        }
    }
}
