//! Tidegate's way: chunks of objects, and the budget of its own store, compiled in from there.

use super::Served;
use crate::{bits::Bits, catalogue::Object};
use budget::{Budget, Key};
use std::{ops::Range, sync::Arc};
use tidegate::{domain::ChunkIndex, store::ObjectId};
use usage::Usage;

#[path = "../../../src/store/budget.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the store does more with it, and its tests are run there"
)]
mod budget;

#[path = "../../../src/store/usage.rs"]
#[allow(dead_code, reason = "the store does more with it")]
mod usage;

/// What a store knows of its chunks.
pub struct Chunks {
    budget: Budget,
    /// Nothing of it is spared: whoever lacks a chunk asks for it again.
    usage: Arc<Usage>,
    /// By their number in the catalogue.
    present: Bits,
    chunk: u32,
}

impl Chunks {
    pub fn new(bytes: u64, chunk: u32, catalogue: u32) -> Self {
        Self {
            budget: Budget::new(bytes, chunk),
            usage: Arc::default(),
            present: Bits::new(catalogue),
            chunk,
        }
    }

    pub fn serve(&mut self, object: Object, wanted: Range<u32>) -> Served {
        let mut served = Served::default();
        for chunk in wanted {
            let number = object.start + chunk;
            let key = key(number);
            if self.present.contains(number) {
                served.hit += 1;
                self.budget.touch(key);
            } else {
                served.lacks(chunk);
                served.written += u64::from(self.keep(key));
            }
        }
        served
    }

    pub fn used(&self) -> u64 {
        self.present.len()
    }

    fn keep(&mut self, key: Key) -> bool {
        let length = u64::from(self.chunk);
        let reservation = self.budget.reserve(key, length, self.usage.clone());
        for (_, _, ChunkIndex(victim)) in reservation.victims {
            self.present.remove(victim);
        }
        if reservation.granted {
            self.budget.settle(key, true);
            self.present.insert(key.2.0);
        }
        reservation.granted
    }
}

/// Chunks are told apart by their number in the catalogue, whatever object they are of.
fn key(number: u32) -> Key {
    (ObjectId([0; 16]), 1, ChunkIndex(number))
}
