//! Several clients at work on one server, each in a thread of its own, and what that costs it.

use crate::kit::{
    client::{Client, Reading},
    measure,
    random::Random,
    servers::Server,
};
use std::{
    io,
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    thread,
    time::Instant,
};

/// One kind of request, made again and again until `requests` are through.
pub struct Load<'a> {
    pub path: &'a str,
    /// Length of the object.
    pub size: u64,
    /// Length of the ranges, at random offsets; the whole object when absent.
    pub range: Option<u64>,
    pub clients: u64,
    pub requests: u64,
    pub seed: u64,
}

/// What a load has cost.
pub struct Cost {
    pub requests: f64,
    pub bytes: f64,
    pub seconds: f64,
    pub cpu_seconds: f64,
}

impl Load<'_> {
    pub fn run(&self, server: &Server) -> io::Result<Cost> {
        let left = AtomicI64::new(self.requests.cast_signed());
        let cpu_before = measure::cpu_seconds(server.pid())?;
        let started = Instant::now();
        let bytes = thread::scope(|scope| {
            let workers: Vec<_> = (0..self.clients)
                .map(|number| {
                    let left = &left;
                    scope.spawn(move || self.one_client(server, number, left))
                })
                .collect();
            let joined = workers
                .into_iter()
                .map(|it| it.join().expect("a client doesn't panic"));
            joined.sum::<io::Result<u64>>()
        })?;
        Ok(Cost {
            requests: self.requests as f64,
            bytes: bytes as f64,
            seconds: started.elapsed().as_secs_f64(),
            cpu_seconds: measure::cpu_seconds(server.pid())? - cpu_before,
        })
    }

    fn one_client(&self, server: &Server, number: u64, left: &AtomicI64) -> io::Result<u64> {
        let mut client = Client::new(server.address());
        let mut random = Random::new(self.seed * 1000 + number);
        let mut bytes = 0;
        while left.fetch_sub(1, Relaxed) > 0 {
            let range = self.range.map(|length| random.range(self.size, length));
            bytes += client.get(self.path, range, Reading::Discard)?.length;
        }
        Ok(bytes)
    }
}
