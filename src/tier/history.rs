//! The fleet's purges, as far as this edge knows them: a plain value.
//!
//! Purges are numbered, without gaps. What the tier says of an object names the last purge that
//! it is known to have survived; it counts only if no later one means it.

use super::{meant::Meant, untold::Untold};
use crate::{
    domain::{Selector, Tags, place_of},
    store::{Manifest, sealed},
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, time::SystemTime};

/// One purge of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it means.
    pub selector: Selector,
    /// Whether objects become stale instead of going.
    pub soft: bool,
    /// Which edge it comes from, for operators.
    pub from: String,
    /// Seconds since 1970 by that edge's clock, for operators.
    pub at: u64,
    /// It stands for what is not known: a log begins with it.
    #[serde(default)]
    pub begins: bool,
}

/// What is known.
#[derive(Debug)]
pub struct History {
    /// The number of the last purge.
    last: u64,
    /// What the purges up to this one meant is not known any more.
    forgotten: u64,
    meant: Meant,
    /// Names that are remembered.
    most: usize,
    /// Purges of our own that the fleet has not been told of yet.
    untold: VecDeque<Notice>,
    /// Some of those were too many to be remembered.
    is_lost: bool,
}

/// What an entry of the tier is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has survived all purges.
    Valid,
    /// It is stale by one.
    Stale,
    /// It is out of service.
    Gone,
}

/// Names that purges meant which an edge remembers; a name that is purged again counts once. What
/// has survived only purges before those is taken for gone: `tidegate tier gc` sees to it that
/// nothing lags so far behind. As many purges are read at the start.
pub const REMEMBERED: usize = 1 << 16;
/// Purges that may wait to be told; beyond it nothing of the tier is believed until they are.
const UNTOLD: usize = 1024;

const MAGIC: &[u8] = b"tidegate tier purge 1\n";

impl Notice {
    /// The bytes of its document.
    pub fn encode(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("plain data always serialises");
        sealed::seal(MAGIC, &json)
    }

    /// Reads its document. One that can't be read means everything: nothing that was purged may
    /// come back.
    pub fn decode(document: &[u8]) -> Self {
        let json = sealed::unseal(MAGIC, document);
        let read = json.and_then(|json| serde_json::from_slice(json).ok());
        read.unwrap_or(Self {
            selector: Selector::All,
            soft: false,
            from: "a purge that can't be read".into(),
            at: 0,
            begins: false,
        })
    }

    /// The beginning of a log: what was before is not known, and may have meant everything.
    pub fn beginning(from: &str, now: SystemTime) -> Self {
        let at = now.duration_since(SystemTime::UNIX_EPOCH);
        Self {
            selector: Selector::All,
            soft: false,
            from: from.into(),
            at: at.map_or(0, |at| at.as_secs()),
            begins: true,
        }
    }
}

impl Default for History {
    fn default() -> Self {
        Self {
            last: 0,
            forgotten: 0,
            meant: Meant::default(),
            most: REMEMBERED,
            untold: VecDeque::new(),
            is_lost: false,
        }
    }
}

impl History {
    /// One that remembers all that it is told of.
    pub fn whole() -> Self {
        Self {
            most: usize::MAX,
            ..Self::default()
        }
    }

    /// Nothing is known but that so many purges have been.
    #[cfg(test)]
    fn from(last: u64) -> Self {
        Self {
            last,
            forgotten: last,
            ..Self::default()
        }
    }

    /// The purges up to `last` are too long ago to be remembered; then came these.
    pub fn begin(&mut self, last: u64, notices: Vec<Notice>) {
        (self.last, self.forgotten) = (last, last);
        self.meant = Meant::default();
        notices.into_iter().for_each(|notice| self.note(notice));
    }

    /// The number of the last purge that is known.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Whether a purge that the fleet has not been told of yet may mean what lies at a place,
    /// whatever its tags are.
    pub fn owes(&self, place: &str) -> bool {
        let mut untold = self.untold.iter().map(|notice| &notice.selector);
        let none = Tags::default();
        self.is_lost || untold.any(|own| own.minds_tags() || own.takes(place, &none))
    }

    /// The next purge is this.
    pub fn note(&mut self, notice: Notice) {
        self.last += 1;
        self.meant.add(self.last, notice.selector, notice.soft);
        if self.meant.len() > self.most {
            self.forgotten = self.meant.forget_half();
        }
    }

    /// The fleet is to be told of a purge.
    pub fn owe(&mut self, notice: Notice) {
        match self.untold.len() < UNTOLD {
            true => self.untold.push_back(notice),
            false => self.is_lost = true,
        }
    }

    /// What a process before this one has not told the fleet of.
    pub fn inherit(&mut self, owed: Untold) {
        self.is_lost |= owed.is_lost;
        owed.notices.into_iter().for_each(|notice| self.owe(notice));
    }

    /// All that the fleet is still to be told of.
    pub fn owed(&self) -> Untold {
        Untold {
            notices: self.untold.iter().cloned().collect(),
            is_lost: self.is_lost,
        }
    }

    /// The next purge to tell of.
    pub fn next_untold(&self) -> Option<Notice> {
        let lost = || Notice {
            selector: Selector::All,
            soft: false,
            from: "purges that were too many to be told".into(),
            at: 0,
            begins: false,
        };
        let next = self.untold.front().cloned();
        next.or_else(|| self.is_lost.then(lost))
    }

    /// The next purge to tell of has been told, as the next of all.
    pub fn told(&mut self) {
        match self.untold.pop_front() {
            Some(notice) => self.note(notice),
            None => {
                self.is_lost = false;
                self.note(Notice::decode(&[]));
            }
        }
    }

    /// How many purges the fleet has not been told of yet.
    pub fn untold(&self) -> usize {
        self.untold.len() + usize::from(self.is_lost)
    }

    /// What an object is worth that has survived the purges up to this one.
    pub fn standing(&self, object: &Manifest, survived: u64) -> Standing {
        if survived < self.forgotten || self.is_lost {
            return Standing::Gone;
        }
        let (place, tags) = (place_of(&object.key), Tags::of(&object.meta.headers));
        let told = self.meant.last_of(&place, &tags);
        let untold = self.untold.iter();
        let (mut hard, mut soft) = (told.hard > survived, told.soft > survived);
        for notice in untold.filter(|notice| notice.selector.takes(&place, &tags)) {
            hard |= !notice.soft;
            soft |= notice.soft;
        }
        match (hard, soft) {
            (true, _) => Standing::Gone,
            (false, true) => Standing::Stale,
            (false, false) => Standing::Valid,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{
        super::entry::tests::{entry, key_at},
        *,
    };
    use http::HeaderValue;

    fn object(path: &str, tag: &'static str) -> Manifest {
        let mut object = entry("\"a\"", 0, &[]).object;
        object.key = key_at(path);
        let headers = &mut object.meta.headers;
        headers.insert("cache-tag", HeaderValue::from_static(tag));
        object
    }

    pub fn notice(selector: Selector, soft: bool) -> Notice {
        Notice {
            selector,
            soft,
            from: "here".into(),
            at: 7,
            begins: false,
        }
    }

    fn url(path: &str, soft: bool) -> Notice {
        notice(Selector::at("a.example", path), soft)
    }

    #[test]
    fn only_what_came_later_and_was_meant_counts() {
        let mut history = History::from(10);
        let film = object("/f", "films");
        assert_eq!(history.standing(&film, 10), Standing::Valid);
        assert_eq!(history.standing(&film, 9), Standing::Gone);
        // Another edge knows more than we do.
        assert_eq!(history.standing(&film, 11), Standing::Valid);
        history.note(url("/f", true));
        history.note(url("/g", false));
        assert_eq!(history.standing(&film, 10), Standing::Stale);
        assert_eq!(history.standing(&film, 11), Standing::Valid);
        history.note(notice(Selector::Tag("films".into()), false));
        assert_eq!(history.standing(&film, 10), Standing::Gone);
        assert_eq!(history.standing(&film, 12), Standing::Gone);
        assert_eq!(history.standing(&film, 13), Standing::Valid);
        assert_eq!(history.standing(&object("/h", "news"), 10), Standing::Valid);
    }

    #[test]
    fn what_has_not_been_told_yet_counts_against_all() {
        let mut history = History::from(4);
        let film = object("/f", "films");
        history.owe(url("/f", false));
        assert_eq!(history.standing(&film, 4), Standing::Gone);
        assert_eq!(history.standing(&film, 99), Standing::Gone);
        assert_eq!(history.next_untold(), Some(url("/f", false)));
        history.told();
        assert_eq!((history.last(), history.untold()), (5, 0));
        assert_eq!(history.standing(&film, 4), Standing::Gone);
        assert_eq!(history.standing(&film, 5), Standing::Valid);
    }

    #[test]
    fn a_place_is_meant_by_what_is_untold_as_long_as_its_tags_may_be() {
        let (here, there) = ("a.example\0/f", "a.example\0/g");
        let mut history = History::default();
        assert!(!history.owes(here));
        history.owe(url("/f", true));
        assert_eq!((history.owes(here), history.owes(there)), (true, false));
        history.told();
        assert!(!history.owes(here));
        history.owe(notice(Selector::Tag("films".into()), false));
        assert!(history.owes(here) && history.owes(there));
        let mut lost = History::default();
        (0..=UNTOLD).for_each(|_| lost.owe(url("/f", false)));
        assert!(lost.owes(there));
    }

    #[test]
    fn too_many_untold_ones_take_everything_out() {
        let mut history = History::default();
        for _ in 0..UNTOLD {
            history.owe(url("/g", false));
        }
        assert_eq!(history.standing(&object("/f", "x"), 0), Standing::Valid);
        history.owe(url("/f", false));
        assert_eq!(history.standing(&object("/f", "x"), 0), Standing::Gone);
        for _ in 0..UNTOLD {
            history.told();
        }
        assert_eq!(history.next_untold().unwrap().selector, Selector::All);
        history.told();
        assert_eq!(history.next_untold(), None);
        assert_eq!(history.standing(&object("/f", "x"), 0), Standing::Gone);
        assert_eq!(
            history.standing(&object("/f", "x"), history.last()),
            Standing::Valid
        );
    }

    #[test]
    fn what_is_older_than_the_memory_is_gone() {
        let mut history = History::default();
        for n in 0..=REMEMBERED {
            history.note(url(&format!("/{n}"), false));
        }
        let half = REMEMBERED as u64 / 2;
        assert_eq!(history.standing(&object("/f", "x"), 0), Standing::Gone);
        assert_eq!(
            history.standing(&object("/f", "x"), half + 1),
            Standing::Valid
        );
        let last = format!("/{REMEMBERED}");
        assert_eq!(
            history.standing(&object(&last, "x"), half + 1),
            Standing::Gone
        );
    }

    #[test]
    fn what_is_purged_again_and_again_fills_no_memory() {
        let mut history = History::default();
        for _ in 0..=REMEMBERED {
            history.note(url("/g", false));
        }
        assert_eq!(history.standing(&object("/f", "x"), 0), Standing::Valid);
        assert_eq!(history.standing(&object("/g", "x"), 0), Standing::Gone);
    }

    #[test]
    fn a_notice_that_cannot_be_read_means_everything() {
        let film = url("/f", true);
        assert_eq!(Notice::decode(&film.encode()), film);
        let mut damaged = film.encode();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(Notice::decode(&damaged).selector, Selector::All);
        assert!(!Notice::decode(&damaged).soft);
    }
}
