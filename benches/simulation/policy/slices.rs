//! A cache of slices, as nginx's: each is an object by itself, and the least recently used one
//! goes first.

use super::Served;
use crate::catalogue::Object;
use lru::LruCache;
use std::{num::NonZeroUsize, ops::Range};

/// Slices by their number in the catalogue.
#[derive(Debug)]
pub struct Slices(LruCache<u32, ()>);

impl Slices {
    pub fn new(capacity: u64) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        let mut slices = LruCache::unbounded();
        slices.resize(NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN));
        Self(slices)
    }

    pub fn serve(&mut self, object: Object, wanted: Range<u32>) -> Served {
        let mut served = Served::default();
        for chunk in wanted {
            if self.0.put(object.start + chunk, ()).is_some() {
                served.hit += 1;
            } else {
                served.lacks(chunk);
                served.written += 1;
            }
        }
        served
    }

    pub fn used(&self) -> u64 {
        self.0.len() as u64
    }
}
