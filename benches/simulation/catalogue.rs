//! What can be watched, and how much each title is wanted at a time.

use crate::{
    model::{DAY, Model},
    random::Random,
    region::{self, Region},
};

/// Rates of the renditions of a title, in kbit/s, and in how many of 100 views each is taken.
pub const LADDER: [(u32, u64); 5] = [(1100, 5), (2000, 10), (3000, 20), (4500, 25), (6000, 40)];
/// How long a title stays, in days: with so many titles a hundredth of them is new each day.
pub const LIFE: f64 = 100.0;
/// A new title is wanted this much more than it will be.
pub const NEWS: f64 = 8.0;
/// Days in which half of that is gone.
pub const HALF_LIFE: f64 = 3.0;
/// Of 100 titles, those that are watched in one region above all.
pub const LOCAL: u64 = 50;

/// A film or an episode.
#[derive(Clone, Debug)]
pub struct Title {
    /// When it comes, in days from the beginning; negative for what is there.
    pub born: f64,
    pub seconds: u32,
    /// Where it is watched above all.
    pub home: Option<Region>,
    /// How much it is wanted in the long run.
    weight: f64,
    renditions: [Object; LADDER.len()],
}

/// One rendition: a range of the catalogue's chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    pub number: u32,
    /// The first of its chunks.
    pub start: u32,
    pub chunks: u32,
}

/// All titles of the time that is simulated.
#[derive(Clone, Debug)]
pub struct Catalogue {
    titles: Vec<Title>,
    /// Chunks of all of them.
    pub chunks: u32,
}

impl Catalogue {
    /// Each rank of popularity is held by one title after the other, of which one is there at a
    /// time.
    pub fn new(model: &Model) -> Self {
        let mut random = Random::new(model.seed ^ 0xca7a);
        let end = f64::from(model.times().2) / f64::from(DAY);
        let mut all = Self {
            titles: Vec::new(),
            chunks: 0,
        };
        for rank in 0..model.titles {
            let weight = f64::from(rank + 1).powf(-model.zipf);
            // Ages are spread evenly, over popular and unpopular titles alike; the most popular one
            // is neither new nor about to go.
            let mut born = -LIFE * (0.5 + f64::from(rank) * GOLDEN_RATIO).fract();
            while born < end {
                let title = all.title(&mut random, born, weight, model.chunk);
                all.titles.push(title);
                born += LIFE;
            }
        }
        all
    }

    fn title(&mut self, random: &mut Random, born: f64, weight: f64, chunk: u32) -> Title {
        let minutes = match random.percent(50) {
            true => 20 + random.below(41),
            false => 80 + random.below(61),
        };
        let seconds = minutes as u32 * 60;
        let mut renditions = [Object::default(); LADDER.len()];
        for (place, (rate, _)) in LADDER.iter().enumerate() {
            let bytes = u64::from(*rate) * 125 * u64::from(seconds);
            let chunks = bytes.div_ceil(u64::from(chunk)) as u32;
            renditions[place] = Object {
                number: (self.titles.len() * LADDER.len() + place) as u32,
                start: self.chunks,
                chunks,
            };
            self.chunks += chunks;
        }
        let home = random.percent(LOCAL).then(|| region::any(random));
        Title {
            born,
            seconds,
            home,
            weight,
            renditions,
        }
    }

    /// Bytes of what is there at a time, about: of all, less what has yet to come.
    pub fn bytes(&self, model: &Model) -> f64 {
        let share = f64::from(model.titles) / self.titles.len() as f64;
        model.bytes(u64::from(self.chunks)) * share
    }

    /// How much everything is wanted at a time, in days.
    pub fn wanted(&self, day: f64) -> Wanted<'_> {
        let mut sum = 0.0;
        let mut shares = Vec::with_capacity(self.titles.len());
        for title in &self.titles {
            sum += title.weight_at(day);
            shares.push(sum);
        }
        Wanted {
            titles: &self.titles,
            shares,
        }
    }
}

impl Title {
    fn weight_at(&self, day: f64) -> f64 {
        let age = day - self.born;
        match (0.0..LIFE).contains(&age) {
            true => self.weight * (1.0 + NEWS * (-age / HALF_LIFE).exp2()),
            false => 0.0,
        }
    }

    /// The rendition that a viewer takes.
    pub fn rendition(&self, random: &mut Random) -> Object {
        let mut chance = random.below(100);
        for (object, (_, share)) in self.renditions.iter().zip(LADDER) {
            if chance < share {
                return *object;
            }
            chance -= share;
        }
        self.renditions[LADDER.len() - 1]
    }
}

/// What viewers choose from.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    titles: &'a [Title],
    /// For each title, what it and all before it weigh.
    shares: Vec<f64>,
}

impl<'a> Wanted<'a> {
    pub fn pick(&self, random: &mut Random) -> &'a Title {
        let all = self.shares.last().copied().unwrap_or_default();
        let chance = random.unit() * all;
        let place = self.shares.partition_point(|share| *share <= chance);
        // Rounding may leave the last share a little below the sum.
        &self.titles[place.min(self.titles.len() - 1)]
    }

    /// The share of views that go to titles younger than `days`.
    pub fn share_of_news(&self, day: f64, days: f64) -> f64 {
        let new = |title: &&Title| day - title.born < days;
        let weight = self.titles.iter().filter(new).map(|it| it.weight_at(day));
        weight.sum::<f64>() / self.shares.last().copied().unwrap_or(1.0)
    }
}

/// Its multiples are spread more evenly between whole numbers than those of any other number.
const GOLDEN_RATIO: f64 = 1.618_033_988_749_895;
