//! The requests of all viewers, in the order in which they come.

use crate::{
    catalogue::{Catalogue, Object, Wanted},
    model::{BEGINS_AT_HOUR, DAY, Model},
    random::Random,
    region,
    viewing::{self, Stretch},
};
use std::{cmp::Reverse, collections::BinaryHeap};

/// A viewer's request: some chunks of an object in a row, of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// When, in seconds.
    pub at: u32,
    /// Tells requests of one second apart, so that they have one order.
    number: u64,
    pub edge: usize,
    pub object: Object,
    /// From which of the object's chunks, up to which.
    pub from: u32,
    pub to: u32,
}

/// The time of day at which most is watched, and how far views then and twelve hours later are
/// from their mean, as a share of it.
pub const BUSIEST_HOUR: f64 = 21.0;
pub const SWING: f64 = 0.7;
/// What is watched without a seek is asked for in requests of at most this many seconds.
const LONGEST: f64 = 600.0;
/// How often it is reckoned what is wanted, in seconds.
const RECKONED_EVERY: f64 = 6.0 * 3600.0;

/// All requests up to an end, one after the other.
pub struct Trace<'a> {
    catalogue: &'a Catalogue,
    wanted: Wanted<'a>,
    wanted_until: f64,
    random: Random,
    edges: usize,
    /// Views a second, on the mean.
    rate: f64,
    /// When the next view begins.
    next_view: f64,
    end: f64,
    number: u64,
    /// Requests of views that have begun.
    waiting: BinaryHeap<Reverse<Request>>,
}

impl<'a> Trace<'a> {
    pub fn new(model: &Model, catalogue: &'a Catalogue, edges: usize) -> Self {
        let mut trace = Self {
            catalogue,
            wanted: catalogue.wanted(0.0),
            wanted_until: RECKONED_EVERY,
            random: Random::new(model.seed ^ 0x7ace),
            edges,
            rate: model.views * edges as f64 / f64::from(DAY),
            next_view: 0.0,
            end: f64::from(model.times().2),
            number: 0,
            waiting: BinaryHeap::new(),
        };
        trace.next_view = trace.view_after(0.0);
        trace
    }

    /// Arrivals of a Poisson process whose rate follows the time of day.
    fn view_after(&mut self, mut at: f64) -> f64 {
        let most = self.rate * (1.0 + SWING);
        loop {
            at += -(1.0 - self.random.unit()).ln() / most;
            if self.random.unit() * (1.0 + SWING) < time_of_day(at) {
                return at;
            }
        }
    }

    fn begin_view(&mut self) {
        let at = self.next_view;
        if at >= self.wanted_until {
            self.wanted = self.catalogue.wanted(at / f64::from(DAY));
            self.wanted_until = at + RECKONED_EVERY;
        }
        let title = self.wanted.pick(&mut self.random);
        let region = region::of_view(&mut self.random, title.home);
        let edge = region::edge(&mut self.random, region, self.edges);
        let object = title.rendition(&mut self.random);
        let seconds = f64::from(title.seconds);
        let mut begins = at;
        for stretch in viewing::draw(&mut self.random) {
            self.ask(begins, edge, object, stretch, seconds);
            begins += (stretch.to - stretch.from) * seconds;
        }
        self.next_view = self.view_after(at);
    }

    /// A stretch as a player asks for it: on and on, bit by bit.
    fn ask(&mut self, at: f64, edge: usize, object: Object, stretch: Stretch, seconds: f64) {
        let chunks = f64::from(object.chunks);
        let first = ((stretch.from * chunks) as u32).min(object.chunks - 1);
        let end = ((stretch.to * chunks).ceil() as u32).clamp(first + 1, object.chunks);
        let step = (chunks * LONGEST / seconds).max(1.0) as u32;
        for from in (first..end).step_by(step as usize) {
            let at = at + f64::from(from - first) / chunks * seconds;
            self.number += 1;
            if at < self.end {
                self.waiting.push(Reverse(Request {
                    at: at as u32,
                    number: self.number,
                    edge,
                    object,
                    from,
                    to: end.min(from + step),
                }));
            }
        }
    }
}

impl Iterator for Trace<'_> {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        loop {
            let first = self.waiting.peek().map(|Reverse(it)| f64::from(it.at));
            if self.next_view >= self.end || first.is_some_and(|at| at < self.next_view.floor()) {
                return self.waiting.pop().map(|Reverse(it)| it);
            }
            self.begin_view();
        }
    }
}

/// How much is watched at a time, of the mean.
pub fn time_of_day(at: f64) -> f64 {
    let hour = BEGINS_AT_HOUR + at / 3600.0;
    1.0 + SWING * ((hour - BUSIEST_HOUR) / 24.0 * std::f64::consts::TAU).cos()
}
