//! What there is to be asked for, and how often which of it is.

use crate::{
    kit::{origin, random::Random},
    scenarios::MB,
};

/// One object.
#[derive(Clone, Debug)]
pub struct Object {
    pub path: String,
    pub size: u64,
}

impl Object {
    pub fn new(size: u64, name: &str) -> Self {
        Self {
            path: origin::path(size, name),
            size,
        }
    }
}

/// `count` objects of 1 MB to `largest`.
pub fn objects(random: &mut Random, count: u64, largest: u64) -> Vec<Object> {
    (0..count)
        .map(|number| Object::new(size(random, largest), &format!("known-{number}")))
        .collect()
}

/// 1 MB to `largest`, log-uniform: there are as many of 1 to 10 MB as of 10 to 100.
pub fn size(random: &mut Random, largest: u64) -> u64 {
    let ratio = largest as f64 / MB as f64;
    (MB as f64 * ratio.powf(random.unit())) as u64
}

/// Who asks for what in the world: the n-th most wanted object is asked for n^-s times as often as
/// the most wanted one.
#[derive(Clone, Debug)]
pub struct Zipf {
    /// For each object, the share of requests for it and all that are wanted more.
    shares: Vec<f64>,
}

impl Zipf {
    pub fn new(objects: usize, exponent: f64) -> Self {
        let weights = (1..=objects).map(|rank| (rank as f64).powf(-exponent));
        let sum: f64 = weights.clone().sum();
        let shares = weights.scan(0.0, |before, weight| {
            *before += weight / sum;
            Some(*before)
        });
        Self {
            shares: shares.collect(),
        }
    }

    /// The place of an object.
    pub fn pick(&self, random: &mut Random) -> usize {
        let chance = random.unit();
        let place = self.shares.partition_point(|share| *share <= chance);
        // Rounding may leave the last share a little below 1.
        place.min(self.shares.len() - 1)
    }
}
