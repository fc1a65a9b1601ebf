//! Which server of an origin is asked, as a plain value.

use super::config::Balance;
use crate::domain::Groups;
use std::collections::BTreeMap;

/// A server that could be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its share of the requests beside the others'; 0 counts as 1.
    pub weight: u32,
    /// Its requests under way.
    pub active: usize,
    /// Whether it goes before those that are not preferred: it is healthy.
    pub preferred: bool,
    /// Whether it may be asked at all.
    pub usable: bool,
    /// Names it, from one start to the next: [`stable_id`] of its URL.
    pub id: u64,
}

/// The part of an object that a request begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Digest of the object's cache key.
    pub key: u64,
    /// Offset of the first byte that is asked for.
    pub offset: u64,
}

impl Part {
    /// What it is hashed by. The first group goes by the object's key alone, so that an object of
    /// one group stays where it is when groups are introduced.
    pub(super) fn hashed(self, groups: Groups) -> u64 {
        match groups.at(self.offset) {
            0 => self.key,
            group => self.key ^ mix(group),
        }
    }
}

/// Chooses among the servers of one origin.
#[derive(Clone, Debug)]
pub struct Balancer {
    balance: Balance,
    /// By server: how far it is behind its share, as [`Self::in_turn`] counts it.
    behind: BTreeMap<u64, i64>,
    /// Where the search for the least loaded begins, so that equals take turns.
    first: usize,
}

/// One of the candidates, and where it stands among them.
type Entry<'a> = (usize, &'a Candidate);

impl Balancer {
    /// A balancer that has chosen nobody yet.
    pub fn new(balance: Balance) -> Self {
        Self {
            balance,
            behind: BTreeMap::new(),
            first: 0,
        }
    }

    /// The index of the server to ask for what is hashed by `key`; none where none is usable.
    /// Servers that are not preferred are asked only when no other is usable.
    pub fn choose(&mut self, candidates: &[Candidate], key: u64) -> Option<usize> {
        let usable = || candidates.iter().enumerate().filter(|(_, c)| c.usable);
        let preferred = usable().any(|(_, c)| c.preferred);
        let eligible = usable().filter(|(_, c)| c.preferred == preferred);
        match self.balance {
            Balance::RoundRobin => {
                // Servers that are gone are forgotten, so the table stays bounded.
                if self.behind.len() > candidates.len() {
                    self.behind
                        .retain(|id, _| candidates.iter().any(|c| c.id == *id));
                }
                self.in_turn(eligible)
            }
            Balance::LeastLoaded => self.least_loaded(eligible, candidates.len()),
            Balance::Hash => by_hash(eligible, key),
        }
    }

    /// Smooth weighted round robin, as in nginx: each time everybody gains
    /// their weight, and whoever is chosen, the one furthest behind, pays all that was gained.
    /// Over a cycle shares are exact, and a heavy server's turns are spread over it.
    fn in_turn<'a>(&mut self, eligible: impl Iterator<Item = Entry<'a>>) -> Option<usize> {
        let mut gained = 0;
        let mut best: Option<(usize, u64, i64)> = None;
        for (index, candidate) in eligible {
            let weight = i64::from(candidate.weight.max(1));
            let behind = self.behind.entry(candidate.id).or_default();
            *behind += weight;
            gained += weight;
            if best.is_none_or(|(_, _, most)| *behind > most) {
                best = Some((index, candidate.id, *behind));
            }
        }
        let (index, id, _) = best?;
        *self.behind.entry(id).or_default() -= gained;
        Some(index)
    }

    fn least_loaded<'a>(
        &mut self,
        eligible: impl Iterator<Item = Entry<'a>>,
        candidates: usize,
    ) -> Option<usize> {
        // a/b < c/d as a*d < c*b: exact, and without a division.
        let load = |c: &Candidate| (c.active as u128 + 1, u128::from(c.weight.max(1)));
        let turn = |index| (index + candidates - self.first % candidates) % candidates;
        let (index, _) = eligible.min_by(|(i, a), (j, b)| {
            let ((a, a_weight), (b, b_weight)) = (load(a), load(b));
            let by_load = (a * b_weight).cmp(&(b * a_weight));
            by_load.then_with(|| turn(*i).cmp(&turn(*j)))
        })?;
        self.first = index + 1;
        Some(index)
    }
}

/// Weighted rendezvous hashing: the highest score wins, and a score depends on nothing but the key
/// and the server. So a server that leaves gives away only what it had, and one that comes takes
/// only what it then has. The score is that of Schindelhauer and Schomaker, "Weighted Distributed
/// Hash Tables", 2005: it makes shares exactly proportional to weights.
fn by_hash<'a>(eligible: impl Iterator<Item = Entry<'a>>, key: u64) -> Option<usize> {
    let scored = eligible.map(|(index, c)| {
        let weight = f64::from(c.weight.max(1));
        (index, -weight / unit(mix(mix(key) ^ c.id)).ln())
    });
    let best = scored.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(index, _)| index)
}

/// Names a server by its URL or an object by its key, the same in every version: what falls to which server hangs on it.
pub(super) fn stable_id(text: impl AsRef<[u8]>) -> u64 {
    // FNV-1a, whose upper bits are weak for short texts; hence the mixing.
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(text.as_ref().iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Spreads a value over all its bits: a step of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number between 0 and 1, neither of which it reaches: 52 bits and a half fit exactly.
fn unit(hash: u64) -> f64 {
    ((hash >> 12) as f64 + 0.5) / (1u64 << 52) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn server(n: usize, weight: u32) -> Candidate {
        Candidate {
            weight,
            active: 0,
            preferred: true,
            usable: true,
            id: stable_id(format!("http://s{n}.example:80")),
        }
    }

    fn servers(weights: &[u32]) -> Vec<Candidate> {
        let server = |(n, weight): (usize, &u32)| server(n, *weight);
        weights.iter().enumerate().map(server).collect()
    }

    const ALL: [Balance; 3] = [Balance::RoundRobin, Balance::LeastLoaded, Balance::Hash];

    #[test]
    fn turns_are_smooth() {
        let servers = servers(&[5, 1, 1]);
        let mut balancer = Balancer::new(Balance::RoundRobin);
        let turns: Vec<_> = (0..7)
            .map(|_| balancer.choose(&servers, 0).unwrap())
            .collect();
        assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn the_least_loaded_is_asked_and_equals_take_turns() {
        let mut servers = servers(&[1, 1, 2]);
        let mut balancer = Balancer::new(Balance::LeastLoaded);
        servers[2].active = 1;
        let turns: Vec<_> = (0..6)
            .map(|_| balancer.choose(&servers, 0).unwrap())
            .collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
        servers[1].active = 5;
        servers[2].active = 2;
        assert_eq!(balancer.choose(&servers, 0), Some(0));
    }

    #[test]
    fn an_upgrade_moves_nothing() {
        let ids = ["", "http://a:80", "https://b.example:443"].map(stable_id);
        assert_eq!(ids, STABLE_IDS);
        let servers = servers(&[1, 2, 3]);
        let mut balancer = Balancer::new(Balance::Hash);
        let chosen: Vec<_> = (0..16)
            .map(|key| balancer.choose(&servers, key).unwrap())
            .collect();
        assert_eq!(chosen, STABLE_CHOICES);
    }

    /// What the first version computed; never to be changed.
    const STABLE_IDS: [u64; 3] = [
        0xc381_7c01_6ba4_ff30,
        0x8e89_929e_ad33_c658,
        0xd6fc_12e2_2e78_5a0d,
    ];
    const STABLE_CHOICES: [usize; 16] = [2, 0, 0, 1, 2, 2, 0, 2, 2, 2, 0, 2, 2, 2, 0, 2];

    /// Which of `servers` each of so many groups of an object falls to.
    fn homes(servers: &[Candidate], key: u64, groups: u64) -> Vec<usize> {
        let mut balancer = Balancer::new(Balance::Hash);
        let part = |group| Part {
            key,
            offset: group * 64 + 1,
        };
        let home = |group| balancer.choose(servers, part(group).hashed(Groups::of(64)));
        (0..groups).map(home).map(Option::unwrap).collect()
    }

    #[test]
    fn an_upgrade_moves_no_group() {
        let key = stable_id("film");
        assert_eq!(homes(&servers(&[1, 1, 1]), key, 16), STABLE_HOMES);
    }

    /// What the first version with groups computed; never to be changed.
    const STABLE_HOMES: [usize; 16] = [2, 2, 0, 1, 0, 0, 2, 1, 2, 2, 2, 1, 1, 0, 0, 0];

    #[test]
    fn an_object_of_one_group_is_where_it_was_without_groups() {
        for key in 0..100 {
            let part = |offset| Part { key, offset };
            assert_eq!(
                part(63).hashed(Groups::of(64)),
                part(63).hashed(Groups::ONE)
            );
            assert_eq!(part(640).hashed(Groups::ONE), key);
        }
    }

    #[test]
    fn one_hot_film_is_spread_over_all_servers() {
        for key in ["/film", "/film?v=2", "/another"].map(stable_id) {
            let mut shares = [0u32; 4];
            for home in homes(&servers(&[1; 4]), key, 4000) {
                shares[home] += 1;
            }
            // Five standard deviations are less than 140.
            assert!(
                shares.iter().all(|share| share.abs_diff(1000) < 140),
                "{shares:?}"
            );
        }
    }

    #[test]
    fn nobody_is_chosen_from_none() {
        for balance in ALL {
            assert_eq!(Balancer::new(balance).choose(&[], 0), None);
        }
    }

    #[test]
    fn hashed_shares_follow_weights() {
        let servers = servers(&[1, 2, 3, 4]);
        let mut balancer = Balancer::new(Balance::Hash);
        let mut shares = [0u32; 4];
        for key in 0..100_000 {
            shares[balancer.choose(&servers, key).unwrap()] += 1;
        }
        for (share, weight) in shares.iter().zip(1..) {
            // Four standard deviations are less than 700.
            assert!(share.abs_diff(weight * 10_000) < 700, "{shares:?}");
        }
    }

    proptest! {
        /// Over a cycle each server is asked exactly as often as its weight says.
        #[test]
        fn turns_are_exact(weights in prop::collection::vec(1u32..20, 1..8), cycles in 1u32..4) {
            let servers = servers(&weights);
            let mut balancer = Balancer::new(Balance::RoundRobin);
            for _ in 0..cycles {
                let mut shares = vec![0; weights.len()];
                for _ in 0..weights.iter().sum() {
                    shares[balancer.choose(&servers, 0).unwrap()] += 1;
                }
                prop_assert_eq!(&shares, &weights);
            }
        }

        /// Removing a server moves only what it had; so adding one moves only what it then has.
        #[test]
        fn a_change_moves_little(
            weights in prop::collection::vec(1u32..20, 2..8),
            gone: prop::sample::Index,
            keys in prop::collection::vec(any::<u64>(), 1..100),
        ) {
            let mut balancer = Balancer::new(Balance::Hash);
            let all = servers(&weights);
            let mut fewer = all.clone();
            fewer.remove(gone.index(all.len()));
            for key in keys {
                let before = all[balancer.choose(&all, key).unwrap()];
                let after = fewer[balancer.choose(&fewer, key).unwrap()];
                prop_assert!(before == after || before == all[gone.index(all.len())]);
            }
        }

        /// The same of the groups of one object.
        #[test]
        fn a_change_moves_few_groups(count in 2usize..8, gone: prop::sample::Index, key: u64) {
            let all = servers(&vec![1; count]);
            let gone = gone.index(count);
            let mut fewer = all.clone();
            fewer.remove(gone);
            let (before, after) = (homes(&all, key, 200), homes(&fewer, key, 200));
            for (before, after) in before.into_iter().zip(after) {
                prop_assert!(before == gone || all[before] == fewer[after]);
            }
        }

        /// However servers come and go: a usable one is chosen if there is one, a preferred one
        /// if there is one, and the table stays small.
        #[test]
        fn the_best_tier_is_asked(
            histories in prop::collection::vec(
                (prop::collection::vec((1u32..5, 0usize..4, any::<bool>(), any::<bool>(), 0usize..12), 0..6), any::<u64>()),
                1..60,
            ),
        ) {
            for balance in ALL {
                let mut balancer = Balancer::new(balance);
                for (candidates, key) in &histories {
                    let candidates: Vec<_> = candidates.iter().map(|&(weight, active, preferred, usable, n)| {
                        Candidate { active, preferred, usable, ..server(n, weight) }
                    }).collect();
                    let best = candidates.iter().filter(|c| c.usable).map(|c| c.preferred).max();
                    let chosen = balancer.choose(&candidates, *key).map(|index| candidates[index]);
                    prop_assert_eq!(chosen.map(|c| c.preferred), best);
                    prop_assert!(chosen.is_none_or(|c| c.usable));
                    prop_assert!(balancer.behind.len() <= 2 * candidates.len());
                }
            }
        }

        /// The chosen server is the least loaded of those that could be.
        #[test]
        fn nobody_is_less_loaded(
            loads in prop::collection::vec((1u32..9, 0usize..30), 1..8),
            turns in 1usize..10,
        ) {
            let mut balancer = Balancer::new(Balance::LeastLoaded);
            let mut servers = servers(&loads.iter().map(|l| l.0).collect::<Vec<_>>());
            servers.iter_mut().zip(&loads).for_each(|(s, l)| s.active = l.1);
            for _ in 0..turns {
                let chosen = balancer.choose(&servers, 0).unwrap();
                let load = |c: &Candidate| (c.active as f64 + 1.0) / f64::from(c.weight);
                prop_assert!(servers.iter().all(|c| load(c) >= load(&servers[chosen]) - 1e-9));
                servers[chosen].active += 1;
            }
        }
    }
}
