//! The fills as a whole.

mod bench;
mod peers;
mod room;

use super::*;
use crate::{
    domain::{ByteRange, ChunkIndex, ChunkRun, Groups},
    store::Manifest,
    traffic::Urgency,
};
use bench::*;
use futures_util::FutureExt;

#[tokio::test]
async fn many_readers_of_a_cold_object_cost_each_byte_once() {
    let bench = Bench::new().await;
    let readers = (0..50).map(|_| {
        let mut cursor = bench.cursor(None);
        tokio::spawn(async move { read(&mut cursor, 0).await.unwrap() })
    });
    for reader in readers.collect::<Vec<_>>() {
        assert_eq!(reader.await.unwrap(), TOTAL);
    }
    assert_eq!(bench.source.sent(), TOTAL);
    bench.settled().await;
    assert_eq!(bench.stored().len() as u64, CHUNKS);
}

#[tokio::test]
async fn who_has_nothing_yet_goes_before_who_reads_on() {
    let bench = Bench::new().await;
    let mut cursor = bench.cursor(None);
    cursor.ready().await.unwrap();
    assert_eq!(*bench.source.urgencies.lock(), [Urgency::Range]);
    // A seek within one answer is a wait of one who has begun, and nothing is read ahead for it.
    cursor.next_within(1).await.unwrap();
    cursor.move_to(10 * u64::from(CHUNK));
    cursor.next_within(1).await.unwrap();
    let left = TOTAL - 10 * u64::from(CHUNK);
    let expected = Urgency::Whole {
        expected: Some(left),
    };
    let urgencies = bench.source.urgencies.lock();
    assert!(urgencies.contains(&expected), "{urgencies:?}");
}

#[tokio::test]
async fn a_closed_range_is_one_request_for_whole_chunks() {
    let bench = Bench::new().await;
    let start = 5 * u64::from(CHUNK) + 100;
    let end = start + 2 * u64::from(CHUNK);
    assert_eq!(
        read(&mut bench.cursor(Some((start, end))), start)
            .await
            .unwrap(),
        end - start
    );
    assert_eq!(bench.source.asked(), [chunk_range(5, 8)]);
    bench.settled().await;
    let again = read(&mut bench.cursor(Some((start, end))), start)
        .await
        .unwrap();
    assert_eq!(again, end - start);
    assert_eq!(bench.source.asked().len(), 1);
}

#[tokio::test]
async fn only_holes_are_fetched_and_neighbours_together() {
    let bench = Bench::new().await;
    let size = u64::from(CHUNK);
    read(&mut bench.cursor(Some((3 * size, 4 * size))), 3 * size)
        .await
        .unwrap();
    bench.settled().await;
    let all = bench.cursor(Some((0, 6 * size)));
    read(&mut { all }, 0).await.unwrap();
    assert_eq!(
        bench.source.asked(),
        [chunk_range(3, 4), chunk_range(0, 3), chunk_range(4, 6)]
    );
}

#[tokio::test]
async fn bytes_are_passed_on_as_they_come() {
    let bench = Bench::new().await;
    bench.source.change(|s| s.gate = 1);
    let mut cursor = bench.cursor(None);
    let first = cursor.next().await.unwrap().unwrap();
    assert_eq!(first.len(), PIECE);
    let mut other = bench.cursor(Some((100, 200)));
    assert_eq!(read(&mut other, 100).await.unwrap(), 100);
    assert!(bench.stored().is_empty());
}

#[tokio::test]
async fn a_seek_ahead_of_a_running_stream_does_not_wait_for_it() {
    let bench = Bench::new().await;
    let board = bench.board();
    let mut client = Intake::of_client(bench.fills.clone(), board, all(), true);
    client
        .push(content(1, ByteRange::new(0, 1000).unwrap()))
        .await
        .unwrap();

    let start = 15 * u64::from(CHUNK);
    assert_eq!(
        read(&mut bench.cursor(Some((start, start + 10))), start)
            .await
            .unwrap(),
        10
    );
    assert_eq!(bench.source.asked(), [chunk_range(15, 16)]);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stands_still_holds_up_nobody() {
    let bench = Bench::new().await;
    let client = standing_still(&bench).await;
    let got = read(&mut bench.cursor(None), 0).await.unwrap();
    assert_eq!(got, TOTAL);
    assert_eq!(bench.source.sent(), TOTAL);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_in_the_place_of_a_client_that_stands_still_is_given_out_as_it_comes() {
    let bench = Bench::new().await;
    let client = standing_still(&bench).await;
    let mut cursor = bench.cursor(None);
    let (mut got, half) = (0, u64::from(CHUNK) / 2);
    for gate in (1..=4).map(|quarter| half / 4 * quarter) {
        bench.source.change(|s| s.gate = gate);
        while got < gate {
            let bytes = cursor.next().await.unwrap().unwrap();
            got += bytes.len() as u64;
        }
    }
    drop(client);
}

#[tokio::test]
async fn a_client_s_own_stream_is_stored_and_followed() {
    let bench = Bench::new().await;
    let mut client = Intake::of_client(bench.fills.clone(), bench.board(), all(), true);
    let mut cursor = bench.cursor(None);
    let reader = tokio::spawn(async move { read(&mut cursor, 0).await });
    for piece in 0..TOTAL.div_ceil(1000) {
        let range = ByteRange::new(piece * 1000, (piece * 1000 + 1000).min(TOTAL)).unwrap();
        assert_eq!(
            client.push(content(1, range)).await.unwrap(),
            Flow::Continue
        );
        tokio::task::yield_now().await;
    }
    client.finish().await;
    assert_eq!(reader.await.unwrap().unwrap(), TOTAL);
    assert!(bench.source.asked().is_empty());
    bench.settled().await;
    assert_eq!(bench.stored().len() as u64, CHUNKS);
}

/// The flight of a client that has taken a little and stands still.
async fn standing_still(bench: &Bench) -> Intake {
    let mut client = Intake::of_client(bench.fills.clone(), bench.board(), all(), true);
    let begun = content(1, ByteRange::new(0, 1000).unwrap());
    client.push(begun).await.unwrap();
    tokio::time::advance(flights::STALLED).await;
    client
}

/// All chunks.
fn all() -> ChunkRun {
    ChunkRun {
        start: ChunkIndex(0),
        end: ChunkIndex(CHUNKS as u32),
    }
}

/// Brings all of an object in.
async fn bring(mut intake: Intake) -> Result<(), FillError> {
    for piece in 0..TOTAL.div_ceil(PIECE as u64) {
        let start = piece * PIECE as u64;
        let range = ByteRange::new(start, (start + PIECE as u64).min(TOTAL)).unwrap();
        intake.push(content(1, range)).await?;
    }
    intake.finish().await;
    Ok(())
}

#[tokio::test]
async fn nobody_comes_to_what_is_being_given_up() {
    let bench = Bench::new().await;
    let mut unversioned = manifest();
    unversioned.meta.headers.clear();
    for (generation, total) in [(2, Some(TOTAL)), (3, None)] {
        let object = bench.fills.store().conceive(Manifest {
            generation,
            total,
            ..unversioned.clone()
        });
        let board = bench.fills.board(&object);
        let mut flight = Intake::of_client(bench.fills.clone(), board.clone(), all(), true);
        flight
            .push(content(1, chunk_range(0, 1).unwrap()))
            .await
            .unwrap();
        // Whoever is there in time has all of it coming.
        let visit = Visit::planned(bench.fills.clone(), board.clone(), bench.errand());
        visit.come();
        assert!(!flight.is_idle() && board.is_whole_or_coming());
        visit.leave();
        // Whoever is not finds nothing, though the flight has yet to land.
        assert!(flight.is_idle());
        assert!(!board.is_whole_or_coming());
    }
}

#[tokio::test]
async fn a_transfer_is_needed_unless_all_for_long_is_there_and_the_rest_can_be_asked_for() {
    let bench = Bench::new().await;
    let size = u64::from(CHUNK);
    let held = Some((5 * size, 12 * size));
    read(&mut bench.cursor(held), 5 * size).await.unwrap();
    let board = bench.board();
    let whole = board.depart(all(), flights::Driver::Fill);
    let needless =
        |from: u64, chunks: u64| board.brings_nothing_for(whole, from * size, chunks * size);
    assert!(needless(5, 7) && needless(11, 1));
    assert!(!needless(4, 7) && !needless(5, 8));
    // Its end is near, be it the object's or its own.
    let last = Some(((CHUNKS - 1) * size, TOTAL));
    read(&mut bench.cursor(last), (CHUNKS - 1) * size)
        .await
        .unwrap();
    assert!(!needless(CHUNKS - 1, 1));
    board.depart(
        ChunkRun {
            start: ChunkIndex(10),
            end: ChunkIndex(11),
        },
        flights::Driver::Fill,
    );
    assert!(needless(5, 5) && !needless(5, 6));
    board.comes_whole();
    assert!(!needless(5, 5));
}

#[tokio::test(start_paused = true)]
async fn a_broken_transfer_is_tried_again_and_then_is_an_error() {
    let bench = Bench::new().await;
    let size = u64::from(CHUNK);
    bench
        .source
        .change(|s| s.breaks_after = Some(size + 20_000));
    let mut cursor = bench.cursor(Some((0, 4 * size)));
    // Each attempt brings one chunk more, so that the reader gets on.
    assert_eq!(read(&mut cursor, 0).await.unwrap(), 4 * size);

    bench.source.change(|s| s.breaks_after = Some(100));
    let broken = read(&mut bench.cursor(Some((10 * size, 12 * size))), 10 * size).await;
    assert!(matches!(broken, Err(FillError::Broken(_))), "{broken:?}");
    bench.settled().await;
    assert_eq!(bench.stored(), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_read_ahead_that_stands_back_is_nobodys_failure() {
    let bench = Bench::new().await;
    let others = [2, 3].map(|number| bench.other_board(number));
    let mut held = Vec::new();
    while !bench.fills.is_pressed() {
        let board = &others[held.len() % others.len()];
        held.push(bench.fills.share(board, None).await.unwrap());
    }
    let board = bench.board();
    let claim = board.claim(ChunkIndex(3), ChunkIndex(4), now());
    let board::Claim::Fetch(run, flight) = claim else {
        panic!("{claim:?}");
    };
    let (fills, urgency) = (bench.fills.clone(), Urgency::ReadAhead);
    transfer::fly(fills, board.clone(), bench.errand(), run, flight, urgency).await;
    assert!(bench.source.asked().is_empty() && !board.is_under_way());
    assert_eq!(board.failures(ChunkIndex(3)).0, 0);
    // Whoever needs it gets it all the same.
    let start = 3 * u64::from(CHUNK);
    let mut cursor = bench.cursor(Some((start, start + 100)));
    assert_eq!(read(&mut cursor, start).await.unwrap(), 100);
}

#[tokio::test]
async fn another_version_ends_the_generation_and_never_mixes() {
    let bench = Bench::new().await;
    let size = u64::from(CHUNK);
    read(&mut bench.cursor(Some((0, size))), 0).await.unwrap();
    bench.settled().await;
    bench.source.change(|s| s.version = 2);
    let mut cursor = bench.cursor(None);
    let outcome = read(&mut cursor, 0).await;
    assert!(matches!(outcome, Err(FillError::Changed)), "{outcome:?}");
    assert!(bench.board().ended().is_some());
    assert!(
        bench
            .fills
            .store()
            .find(bench.object.id(), b"key")
            .await
            .is_none()
    );
}

#[tokio::test]
async fn an_origin_without_ranges_sends_the_whole_once() {
    let bench = Bench::new().await;
    bench.source.change(|s| s.ignores_ranges = true);
    let size = u64::from(CHUNK);
    let far = (12 * size, 13 * size);
    assert_eq!(
        read(&mut bench.cursor(Some(far)), far.0).await.unwrap(),
        size
    );
    let mut whole = bench.cursor(None);
    assert_eq!(read(&mut whole, 0).await.unwrap(), TOTAL);
    assert!(
        bench.source.asked().len() <= 2,
        "{:?}",
        bench.source.asked()
    );
}

#[tokio::test]
async fn a_fill_that_nobody_wants_stops_at_the_edge_of_a_chunk() {
    let bench = Bench::new().await;
    bench.source.change(|s| s.gate = 1);
    let mut cursor = bench.cursor(Some((0, 10 * u64::from(CHUNK))));
    cursor.next().await.unwrap();
    drop(cursor);
    bench.source.change(|s| s.gate = u64::MAX);
    while bench.fills.stats().running.get() > 0 {
        tokio::task::yield_now().await;
    }
    bench.settled().await;
    assert_eq!(bench.source.sent(), u64::from(CHUNK));
    assert_eq!(bench.stored(), [0]);
}

#[tokio::test]
async fn a_route_may_have_the_rest_brought_in_all_the_same() {
    let bench = Bench {
        finish_when: FinishWhen::Always,
        ..Bench::new().await
    };
    let mut cursor = bench.cursor(None);
    cursor.next().await.unwrap();
    drop(cursor);
    while (bench.stored().len() as u64) < CHUNKS {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.source.sent(), TOTAL);
}

#[tokio::test]
async fn a_reader_may_be_dropped_at_any_await() {
    let bench = Bench::new().await;
    let mut cursor = bench.cursor(None);
    let mut at = 0;
    loop {
        // Polls once, and drops what is not ready.
        let next = futures_util::FutureExt::now_or_never(tokio::task::unconstrained(cursor.next()));
        match next {
            Some(read) => match read.unwrap() {
                Some(bytes) => {
                    let expected = content(1, ByteRange::new(at, at + bytes.len() as u64).unwrap());
                    assert!(bytes == expected, "other bytes at {at}");
                    at += bytes.len() as u64;
                }
                None => break,
            },
            None => tokio::task::yield_now().await,
        }
    }
    assert_eq!(at, TOTAL);
}
