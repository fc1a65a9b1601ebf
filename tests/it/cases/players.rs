//! What players do: they probe, look for an index, play on, seek, and leave.

use crate::{
    client::{Client, Request},
    gate::{CHUNK, Gate},
    model::Object,
    origin::{Origin, Script, Seen, Valve},
};

const SIZE: u64 = 400 * CHUNK;
const INDEX: u64 = 390 * CHUNK + 5;

fn boxed(name: &[u8; 4], length: u64) -> Vec<u8> {
    [&(length as u32).to_be_bytes()[..], name].concat()
}

/// An MP4 whose index begins at `at`, behind its media or, near the beginning, before them.
fn movie(seed: u64, at: u64) -> Script {
    let first = (0, boxed(b"ftyp", 32));
    let laid_over = match at {
        32 => vec![
            first,
            (32, boxed(b"moov", 900)),
            (932, boxed(b"mdat", SIZE - 932)),
        ],
        _ => vec![
            first,
            (32, boxed(b"mdat", at - 32)),
            (at, boxed(b"moov", SIZE - at)),
        ],
    };
    Script {
        laid_over,
        ..Script::new(seed, SIZE)
    }
}

/// Bodies wait at a valve but for those that begin in the second half.
fn but_for_the_end(script: Script, valve: &Valve) -> Script {
    let script = Script {
        valve: Some(valve.clone()),
        ..script
    };
    script.twisted(|seen, script| {
        if seen.window().is_some_and(|(first, _)| first >= SIZE / 2) {
            script.valve = None;
        }
    })
}

fn seeks_the_index(seen: &Seen) -> bool {
    seen.window().is_some_and(|(first, _)| first == 390 * CHUNK)
}

async fn open(gate: &Gate, request: Request) -> Client {
    let mut client = Client::narrow(gate.address()).await;
    client.send(&request).await.unwrap();
    client.head().await.unwrap();
    client
}

/// The index is there before the player asks for it.
async fn gets_its_index_early(seed: u64, first: Request) {
    let valve = Valve::at(3 * CHUNK / 2);
    let origin = Origin::with(but_for_the_end(movie(seed, INDEX), &valve)).await;
    let gate = Gate::before(&origin).await;
    let mut player = open(&gate, first).await;
    player.at_least(100).await.unwrap();
    let log = origin
        .wait_for("the index to come in", |log| {
            let whole = |seen: &Seen| seen.sent == SIZE - 390 * CHUNK;
            log.iter().any(|seen| seeks_the_index(seen) && whole(seen))
        })
        .await;
    drop(player);
    let range = format!("bytes={INDEX}-");
    let index = gate.ask(Request::get("/film").range(range)).await;
    assert_eq!((index.status(), &index.body[4..8]), (206, &b"moov"[..]));
    let asked = |log: &[Seen]| log.iter().filter(|seen| seeks_the_index(seen)).count();
    assert_eq!((asked(&log), asked(&origin.log())), (1, 1), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_behind_the_media_is_fetched_beside_the_head() {
    gets_its_index_early(720, Request::get("/film")).await;
    gets_its_index_early(721, Request::get("/film").range("bytes=0-")).await;
    let to_the_end = format!("bytes=0-{}", SIZE - 1);
    gets_its_index_early(722, Request::get("/film").range(to_the_end)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_end_is_fetched_for_an_index_before_the_media_or_for_a_probe() {
    for (script, range, all) in [
        (movie(723, 32), "bytes=0-", 4 * CHUNK),
        (movie(724, INDEX), "bytes=0-1", 2),
    ] {
        let valve = Valve::at(5 * CHUNK);
        let origin = Origin::with(but_for_the_end(script, &valve)).await;
        let gate = Gate::before(&origin).await;
        let mut player = open(&gate, Request::get("/film").range(range)).await;
        player.at_least(all as usize).await.unwrap();
        drop(player);
        valve.open();
        let log = origin.settled().await;
        let far = |seen: &Seen| seen.window().is_some_and(|(first, _)| first > 64 * CHUNK);
        assert!(!log.iter().any(far), "{range} {log:#?}");
    }
}

/// Asks for all from a place on, reads a little, hangs up, and asks again further on. Returns
/// what the origin sent and what was played, in bytes.
async fn hops(script: Script, chunk: u64, times: u64, read: u64, skip: u64) -> (u64, u64) {
    let object = Object::from(&script);
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, |settings| {
        settings.store.chunk_size = u32::try_from(chunk).unwrap();
        settings.fill.max_window = 16 * chunk;
    })
    .await;
    let (mut at, mut played) = (0, 0);
    for _ in 0..times {
        let request = Request::get("/film").range(format!("bytes={at}-"));
        let mut player = open(&gate, request).await;
        let body = player.at_least(read as usize).await.unwrap();
        object.content.verify(at, &body).unwrap();
        played += body.len() as u64;
        at += body.len() as u64 + skip;
    }
    origin.settled().await;
    (origin.sent("/film"), played)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_asks_for_all_and_hangs_up_costs_what_it_plays() {
    for (seed, skip) in [(725, 0), (726, 8 * CHUNK)] {
        let script = Script {
            rate: Some(8 << 20),
            ..Script::new(seed, 2 * SIZE)
        };
        let (sent, played) = hops(script, CHUNK, 20, 20 * CHUNK, skip).await;
        assert!(sent * 10 <= played * 12, "{sent} for {played}, {skip} on");
    }
}

/// What comes in as fast as it is asked for is on its way before anybody hangs up.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_up_all_the_time_costs_what_it_plays_of_a_fast_origin() {
    let chunk = 1 << 20;
    for (seed, read) in [(727, chunk / 4), (728, chunk * 3 / 4), (729, chunk * 3 / 2)] {
        let times = 12 * chunk / read;
        let (sent, played) = hops(Script::new(seed, 20 * chunk), chunk, times, read, 0).await;
        assert!(sent * 10 <= played * 12, "{sent} for {played}, by {read}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_plays_on_is_read_ahead_for_and_who_seeks_is_not() {
    let origin = Origin::with(Script::new(727, SIZE)).await;
    let gate = Gate::before(&origin).await;
    let largest = |log: &[Seen]| {
        let windows = log.iter().filter_map(Seen::window);
        windows
            .map(|(first, last)| (last + 1 - first) / CHUNK)
            .max()
    };
    let mut player = open(&gate, Request::get("/film").range("bytes=0-")).await;
    player.at_least(100 * CHUNK as usize).await.unwrap();
    drop(player);
    let log = origin.settled().await;
    assert!(largest(&log) >= Some(6), "{log:#?}");

    for place in [250, 350, 200, 300, 380] {
        let request = Request::get("/film").range(format!("bytes={}-", place * CHUNK));
        let mut client = open(&gate, request).await;
        client.at_least(100).await.unwrap();
    }
    let log = &origin.settled().await[log.len()..];
    assert!(largest(log) <= Some(4), "{log:#?}");
}
