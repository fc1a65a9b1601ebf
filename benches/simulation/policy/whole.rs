//! A cache of whole objects, as Varnish and Squid are as they come, and nginx without slices: what
//! is asked for of an object that is not there has all of it fetched.

use super::Served;
use crate::catalogue::Object;
use lru::LruCache;
use std::ops::Range;

/// Objects with their sizes, in the order of their last use.
#[derive(Debug)]
pub struct Whole {
    objects: LruCache<u32, u32>,
    capacity: u64,
    used: u64,
}

impl Whole {
    pub fn new(capacity: u64) -> Self {
        Self {
            objects: LruCache::unbounded(),
            capacity,
            used: 0,
        }
    }

    pub fn serve(&mut self, object: Object, wanted: Range<u32>) -> Served {
        let mut served = Served::default();
        if self.objects.get(&object.number).is_some() {
            served.hit = u64::from(wanted.end - wanted.start);
            return served;
        }
        served.missing.push(0..object.chunks);
        let size = u64::from(object.chunks);
        if size <= self.capacity {
            self.make_room(size);
            self.objects.put(object.number, object.chunks);
            self.used += size;
            served.written = size;
        }
        served
    }

    pub fn used(&self) -> u64 {
        self.used
    }

    fn make_room(&mut self, size: u64) {
        while self.used + size > self.capacity
            && let Some((_, gone)) = self.objects.pop_lru()
        {
            self.used -= u64::from(gone);
        }
    }
}
