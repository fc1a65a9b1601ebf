//! Thousands of range requests of any form against the model, in any state of any object.
//!
//! The store is far too small for what is asked, clients leave in the middle, others ask for the
//! same, so that at any moment objects are cold, being filled, partial, full or being evicted. A
//! failure prints its seed: `TIDEGATE_SEED=… cargo test differential`. More requests with
//! `TIDEGATE_REQUESTS`.

use crate::{
    client::{Answer, Client, Cut, Request},
    dice::{self, Dice},
    gate::{CHUNK, Gate, allocated},
    model::Object,
    origin::{Origin, Ranges, Script, date},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const SIZES: [u64; 10] = [
    0,
    1,
    1000,
    CHUNK - 1,
    CHUNK,
    CHUNK + 1,
    2 * CHUNK,
    3 * CHUNK + 123,
    9 * CHUNK + 17,
    40 * CHUNK - 5,
];
const OBJECTS: u64 = 120;
const WORKERS: u64 = 8;
const REQUESTS: u64 = 3000;
const BUDGET: u64 = 12 << 20;
/// So that a busy machine fails on wrong answers only.
const ENOUGH: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn any_range_request_in_any_state_is_answered_as_the_plain_file_would_be() {
    let seed = dice::seed();
    let requests = dice::number("TIDEGATE_REQUESTS").unwrap_or(REQUESTS);
    println!("TIDEGATE_SEED={seed}");
    let origin = Arc::new(Origin::start().await);
    let objects = Arc::new(Vec::from_iter((0..OBJECTS).map(|nth| put(&origin, nth))));
    let gate = Gate::with(&origin, |settings| {
        settings.store.max_size = BUDGET;
        settings.store.open_objects = 16;
    })
    .await;
    let asked = Arc::new(AtomicU64::new(0));
    let dropped = Arc::new(Mutex::new(Vec::new()));
    let started = Instant::now();
    let mut workers = JoinSet::new();
    for nth in 0..WORKERS {
        let mut worker = Worker {
            dice: Dice::new(seed * WORKERS + nth),
            address: gate.address(),
            objects: objects.clone(),
            client: None,
            origin: origin.clone(),
            dropped: dropped.clone(),
        };
        let asked = asked.clone();
        let limited = requests == REQUESTS;
        workers.spawn(async move {
            while asked.fetch_add(1, Ordering::Relaxed) < requests {
                worker.step().await;
                if limited && started.elapsed() > ENOUGH {
                    break;
                }
            }
        });
    }
    let mut peak = 0;
    let mut wrong = Vec::new();
    while let Some(worker) = workers.join_next().await {
        peak = peak.max(allocated(&gate.cache_directory()));
        wrong.extend(worker.err());
    }
    assert!(
        wrong.is_empty(),
        "TIDEGATE_SEED={seed}: {} workers failed",
        wrong.len()
    );
    assert!(peak <= BUDGET, "{peak} bytes on disk, {BUDGET} allowed");
    let dropped = std::mem::take(&mut *dropped.lock().unwrap());
    println!(
        "{} requests in {:?}, {} of the origin, {} evictions",
        asked.load(Ordering::Relaxed),
        started.elapsed(),
        origin.log().len(),
        gate.metric("evict").await
    );
    assert!(
        dropped.is_empty(),
        "{} connections that were said to be kept were closed, after {dropped:#?}",
        dropped.len()
    );
}

/// Half of the objects are often asked for, so that they fill; the others stay cold for long.
fn put(origin: &Origin, nth: u64) -> (String, Object) {
    let script = Script {
        ranges: match nth % 7 {
            6 => Ranges::Ignored,
            _ => Ranges::Honoured,
        },
        ..Script::new(300 + nth, SIZES[nth as usize % SIZES.len()])
    };
    let object = Object::from(&script);
    let target = format!("/{nth}");
    origin.put(&target, script);
    (target, object)
}

struct Worker {
    dice: Dice,
    address: SocketAddr,
    objects: Arc<Vec<(String, Object)>>,
    /// A connection that was said to be kept, and what was last asked on it.
    client: Option<(Client, Request)>,
    /// Kept connections that were not.
    dropped: Arc<Mutex<Vec<Request>>>,
    /// Asked only to explain a failure.
    origin: Arc<Origin>,
}

impl Worker {
    async fn step(&mut self) {
        let most = if self.dice.percent(60) { 20 } else { OBJECTS };
        let nth = self.dice.below(most) as usize;
        let (target, object) = self.objects[nth].clone();
        let range = self.dice.percent(95).then(|| self.range(object.size));
        let if_range = self.dice.percent(15).then(|| self.if_range());
        let mut request = Request::get(&target);
        request
            .headers
            .extend(range.iter().map(|range| ("Range".into(), range.clone())));
        request
            .headers
            .extend(if_range.iter().map(|tag| ("If-Range".into(), tag.clone())));
        match self.dice.below(100) {
            0..8 => self.leave_amid(request).await,
            8..12 => self.head(request, &object).await,
            _ => {
                self.ask(request, &object, range.as_deref(), if_range.as_deref())
                    .await
            }
        }
    }

    async fn ask(
        &mut self,
        request: Request,
        object: &Object,
        range: Option<&str>,
        tag: Option<&str>,
    ) {
        let expected = object.expected(range, tag);
        let answer = self.answer(&request).await;
        if let Err(wrong) = object.verify(&expected, &answer) {
            let asked: Vec<_> = self.origin.asked(&request.target);
            let asked = asked.iter().map(|seen| {
                let range = seen.range().unwrap_or("all");
                format!(
                    "{} {range}: {}, {} bytes\n",
                    seen.method, seen.status, seen.sent
                )
            });
            panic!(
                "{request:?} of {} bytes: {wrong}\nexpected {expected:?}, found {answer}\
                 the origin was asked for\n{}",
                object.size,
                asked.collect::<String>()
            );
        }
    }

    async fn head(&mut self, mut request: Request, object: &Object) {
        request.method = "HEAD".into();
        let answer = self.answer(&request).await;
        let found = (answer.status(), answer.head.length());
        assert_eq!(found, (200, Some(object.size)), "{request:?}: {answer}");
    }

    /// Asks on the kept connection, and where that turns out to be closed on another.
    async fn answer(&mut self, request: &Request) -> Answer {
        if let Some((client, before)) = self.client.take() {
            match self.answer_on(client, request).await {
                Ok(answer) => return answer,
                Err(_) => self.dropped.lock().unwrap().push(before),
            }
        }
        let client = Client::connect(self.address).await;
        let answer = self.answer_on(client, request).await;
        answer.unwrap_or_else(|cut| panic!("no answer to {request:?}: {cut:?}"))
    }

    async fn answer_on(&mut self, mut client: Client, request: &Request) -> Result<Answer, Cut> {
        let answer = client.try_ask(request).await?;
        let closes = answer.head.header("connection") == Some("close");
        self.client = (!closes).then(|| (client, request.clone()));
        Ok(answer)
    }

    async fn leave_amid(&mut self, request: Request) {
        let mut client = Client::connect(self.address).await;
        if client.send(&request).await.is_ok()
            && self.dice.percent(70)
            && client.head().await.is_ok()
        {
            let _ = client.at_least(self.dice.below(100_000) as usize).await;
        }
    }

    fn range(&mut self, size: u64) -> String {
        match self.dice.below(100) {
            0..60 => format!("bytes={}", self.member(size)),
            60..82 => {
                let count = if self.dice.percent(90) {
                    1 + self.dice.below(6)
                } else {
                    25 + self.dice.below(15)
                };
                let members: Vec<_> = (0..count).map(|_| self.member(size)).collect();
                format!(
                    "bytes={}",
                    members.join(*self.dice.choose(&[",", ", ", " ,", ",,", "\t,"]))
                )
            }
            82..94 => self.damaged(size),
            _ => {
                let odd = [
                    "bytes=",
                    "bytes=-",
                    "bytes=-0",
                    "bytes=,",
                    "bytes=-0,-0",
                    "bytes",
                    "0-1",
                    "",
                    "items=0-5",
                    "bytes=a-b",
                    "bytes=1-0",
                    "BYTES=0-5",
                    "bytes=0-0,-1",
                    "bytes==0-1",
                    "bytes=99999999999999999999-5",
                    "bytes=5-99999999999999999999",
                    "bytes=-99999999999999999999",
                    "bytes=18446744073709551615-18446744073709551616",
                ];
                (*self.dice.choose(&odd)).to_owned()
            }
        }
    }

    fn member(&mut self, size: u64) -> String {
        let first = self.position(size);
        match self.dice.below(10) {
            0 => format!("{first}-"),
            1 => format!("-{}", self.length()),
            _ => format!("{first}-{}", first.saturating_add(self.length())),
        }
    }

    /// Often at an edge of the grid, at times beyond the end.
    fn position(&mut self, size: u64) -> u64 {
        match self.dice.below(10) {
            0..3 => {
                (self.dice.below(size / CHUNK + 2) * CHUNK + self.dice.below(3)).saturating_sub(1)
            }
            3 => size.saturating_sub(self.dice.below(3)),
            4 => size + self.dice.below(3),
            _ => self.dice.below(size),
        }
    }

    fn length(&mut self) -> u64 {
        match self.dice.below(10) {
            0..4 => self.dice.below(10),
            4..8 => self.dice.below(CHUNK),
            8 => self.dice.below(6 * CHUNK),
            _ => self.dice.next() >> self.dice.below(40),
        }
    }

    /// A good header with one character changed, added or lost.
    fn damaged(&mut self, size: u64) -> String {
        let members: Vec<_> = (0..1 + self.dice.below(3))
            .map(|_| self.member(size))
            .collect();
        let mut text: Vec<char> = format!("bytes={}", members.join(",")).chars().collect();
        let at = self.dice.below(text.len() as u64) as usize;
        let new = *self
            .dice
            .choose(&['0', '9', '-', ',', '=', 'x', '+', '.', ';']);
        match self.dice.below(3) {
            0 => text[at] = new,
            1 => text.insert(at, new),
            _ => drop(text.remove(at)),
        }
        text.into_iter().collect()
    }

    fn if_range(&mut self) -> String {
        let tags = ["\"v1\"", "\"v1\"", "\"v2\"", "W/\"v1\"", "v1", "*"].map(str::to_owned);
        let dates = [date(1), date(2), date(0)];
        self.dice.choose(&[&tags[..], &dates[..]].concat()).clone()
    }
}
