//! What one viewer watches of a title: stretches in their order, with seeks between.

use crate::random::Random;

/// Of 1,000 views, those that go to the end.
pub const COMPLETE: u64 = 200;
/// Of 1,000 views, those that get less than half of the title.
pub const EARLY: u64 = 564;
/// The least that is watched, as a share of the title.
const LEAST: f64 = 0.01;
/// Of 100 stretches that are not the whole title, those that end with a seek.
const SEEK: u64 = 50;
/// The most seeks of a view.
const MOST_SEEKS: usize = 7;
/// Of 100 views, those that do not begin at the beginning.
const RESUMED: u64 = 20;

/// A part of a title, from and to, as shares of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    pub from: f64,
    pub to: f64,
}

/// The stretches of one view.
pub fn draw(random: &mut Random) -> Vec<Stretch> {
    let watched = watched(random);
    if watched >= 1.0 {
        return vec![Stretch { from: 0.0, to: 1.0 }];
    }
    let mut seeks = 0;
    while seeks < MOST_SEEKS && random.percent(SEEK) {
        seeks += 1;
    }
    let parts = split(random, watched, seeks + 1);
    // What is left out: before the first stretch, between them, and behind the last.
    let mut gaps = split(random, 1.0 - watched, seeks + 2);
    if !random.percent(RESUMED) {
        gaps[0] = 0.0;
    }
    let mut at = 0.0;
    let stretches = gaps.iter().zip(&parts).map(|(gap, part)| {
        let from: f64 = at + gap;
        at = from + part;
        Stretch {
            from,
            to: at.min(1.0),
        }
    });
    stretches.collect()
}

/// How much of it, as a share.
fn watched(random: &mut Random) -> f64 {
    let view = random.below(1000);
    match view {
        _ if view < COMPLETE => 1.0,
        // A power law with an exponent of one, cut off at both ends.
        _ if view < COMPLETE + EARLY => LEAST * (0.5 / LEAST).powf(random.unit()),
        _ => 0.5 + 0.5 * random.unit(),
    }
}

/// `whole` in so many parts, cut anywhere.
fn split(random: &mut Random, whole: f64, parts: usize) -> Vec<f64> {
    let mut cuts: Vec<_> = (1..parts).map(|_| random.unit()).collect();
    cuts.extend([0.0, 1.0]);
    cuts.sort_by(f64::total_cmp);
    cuts.windows(2).map(|it| (it[1] - it[0]) * whole).collect()
}
