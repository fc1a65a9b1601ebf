//! What purges meant, by name, so that there may have been many: a plain value.

use crate::domain::{Selector, Tags};
use std::collections::{BTreeSet, HashMap};

/// The numbers of the last purges of something; 0 where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// Of one after which it is gone.
    pub hard: u64,
    /// Of one after which it is stale.
    pub soft: u64,
}

/// All names, with their last purges.
#[derive(Debug, Default)]
pub struct Meant {
    urls: HashMap<String, Last>,
    prefixes: HashMap<String, Last>,
    /// Those that prefixes have, in bytes: a place is looked for by each of its beginnings that may be
    /// one, however many there are.
    lengths: BTreeSet<usize>,
    tags: HashMap<String, Last>,
    any_tag: Last,
    all: Last,
}

impl Last {
    fn and(self, other: Self) -> Self {
        Self {
            hard: self.hard.max(other.hard),
            soft: self.soft.max(other.soft),
        }
    }

    fn number(&self) -> u64 {
        self.hard.max(self.soft)
    }
}

impl Meant {
    /// The purge with this number, which is later than all before, meant this.
    pub fn add(&mut self, number: u64, selector: Selector, soft: bool) {
        let new = match soft {
            true => Last {
                hard: 0,
                soft: number,
            },
            false => Last {
                hard: number,
                soft: 0,
            },
        };
        let note = |last: &mut Last| *last = last.and(new);
        match selector {
            Selector::Url(place) => note(self.urls.entry(place).or_default()),
            Selector::Prefix(places) => {
                for place in places {
                    self.lengths.insert(place.len());
                    note(self.prefixes.entry(place).or_default());
                }
            }
            Selector::Tag(tag) => {
                note(&mut self.any_tag);
                note(self.tags.entry(tag).or_default());
            }
            Selector::All => note(&mut self.all),
        }
    }

    /// The last purges that meant an object.
    pub fn last_of(&self, place: &str, tags: &Tags) -> Last {
        let url = self.urls.get(place);
        let prefixes = self.lengths.range(..=place.len());
        let prefixes = prefixes.filter_map(|length| self.prefixes.get(place.get(..*length)?));
        let known = tags.known.iter().filter_map(|tag| self.tags.get(tag));
        // Which tags it has is not known as a whole: each may be one of them.
        let any = tags.crowded.then_some(&self.any_tag);
        let all = url.into_iter().chain(known).chain(any);
        let all = all.chain(prefixes);
        all.fold(self.all, |last, other| last.and(*other))
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.urls.len() + self.prefixes.len() + self.tags.len()
    }

    /// Forgets the half that has not been purged for longest; the number up to which that was.
    pub fn forget_half(&mut self) -> u64 {
        let of = |last: &Last| last.number();
        let urls = self.urls.values().map(of);
        let prefixes = self.prefixes.values().map(of);
        let tags = self.tags.values().map(of);
        let mut numbers: Vec<u64> = urls.chain(prefixes).chain(tags).collect();
        if numbers.is_empty() {
            return 0;
        }
        let middle = numbers.len() / 2;
        let number = *numbers.select_nth_unstable(middle).1;
        self.urls.retain(|_, last| last.number() > number);
        self.prefixes.retain(|_, last| last.number() > number);
        self.lengths = self.prefixes.keys().map(String::len).collect();
        self.tags.retain(|_, last| last.number() > number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn selector() -> impl Strategy<Value = Selector> {
        prop_oneof![
            "[ab]{1,3}".prop_map(Selector::Url),
            prop::collection::vec("[ab]{1,2}", 1..3).prop_map(Selector::Prefix),
            "[xy]".prop_map(Selector::Tag),
            Just(Selector::All),
        ]
    }

    proptest! {
        #[test]
        fn it_is_the_last_purge_that_takes_the_object(
            purges in prop::collection::vec((selector(), any::<bool>()), 0..20),
            place in "[ab]{1,3}",
            known in prop::collection::btree_set("[xy]", 0..2),
            crowded in any::<bool>(),
        ) {
            let tags = Tags { known, crowded };
            let mut meant = Meant::default();
            let mut expected = Last::default();
            for (number, (selector, soft)) in (1..).zip(&purges) {
                meant.add(number, selector.clone(), *soft);
                if selector.takes(&place, &tags) {
                    match soft {
                        true => expected.soft = number,
                        false => expected.hard = number,
                    }
                }
            }
            prop_assert_eq!(meant.last_of(&place, &tags), expected);
            // What is forgotten is no later than said.
            let before = meant.len();
            let forgotten = meant.forget_half();
            prop_assert!(meant.len() <= before / 2);
            let last = meant.last_of(&place, &tags);
            prop_assert!(last.hard == expected.hard || expected.hard <= forgotten);
            prop_assert!(last.soft == expected.soft || expected.soft <= forgotten);
        }
    }
}
