//! Room for what comes in, in memory and on the disk, and what becomes of it where there is none.

use super::*;
use crate::store::{Manifest, ObjectId};
use std::time::Duration;

/// Nothing is kept before it is known how full the disk is. It holds up nobody, also where more comes
/// in than there is room for.
#[tokio::test(start_paused = true)]
async fn what_comes_in_before_the_disk_is_known_waits_for_it_as_long_as_there_is_room() {
    let room = 4 * u64::from(CHUNK);
    assert!(TOTAL > room);
    let bench = Bench::learning(1 << 30, room).await;
    let began = now();
    assert_eq!(read(&mut bench.cursor(None), 0).await.unwrap(), TOTAL);
    assert!(
        now() - began < Duration::from_secs(1),
        "{:?}",
        now() - began
    );
    assert_eq!(bench.source.sent(), TOTAL);
    assert!(bench.stored().is_empty());
    tokio::spawn(bench.fills.clone().keep_when_it_is_known());
    bench.fills.store().recover();
    bench.settled().await;
    let stored = bench.stored();
    assert!(
        !stored.is_empty() && stored.contains(&(CHUNKS as u32 - 1)),
        "{stored:?}"
    );
}

/// As after an upgrade that failed when the directory had been given away.
#[tokio::test]
async fn what_comes_in_while_the_disk_is_learnt_anew_waits_for_it_as_well() {
    let bench = Bench::new().await;
    tokio::spawn(bench.fills.clone().keep_when_it_is_known());
    // It is known: that has been seen.
    tokio::task::yield_now().await;
    let given = bench.fills.store().give().await.unwrap();
    bench.fills.store().take_back();
    drop(given);
    let board = bench.other_board(2);
    let object = board.object().clone();
    let intake = Intake::of_client(bench.fills.clone(), board, all(), false);
    bring(intake).await.unwrap();
    // Each of its chunks has its turn.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(object.present().len(), 0);
    bench.fills.store().recover();
    let kept = tokio::time::timeout(Duration::from_secs(20), bench.settled());
    kept.await.expect("all to be kept");
    assert_eq!(u64::from(object.present().len()), CHUNKS);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_the_disk_does_not_take_makes_room_for_one_that_waits() {
    let bench = Bench::learning(1 << 30, 2 * u64::from(CHUNK)).await;
    let board = bench.board();
    let _reader = bench.cursor(None);
    let buffer = Arc::new(chunk_buffer::ChunkBuffer::new(0));
    buffer.hold(bench.fills.share(&board, None).await.unwrap());
    let mut waiting = std::pin::pin!(bench.fills.share(&board, None));
    assert!(waiting.as_mut().now_or_never().is_none());
    bench.fills.unkept.push(&board, ChunkIndex(0), buffer);
    assert!(waiting.now_or_never().is_some());
}

/// As after a disk that has failed: what makes room on demand does not hold others up.
#[tokio::test]
async fn what_is_only_in_memory_is_no_pressure() {
    let bench = Bench::learning(1 << 30, 8 * u64::from(CHUNK)).await;
    let board = bench.board();
    let _reader = bench.cursor(None);
    for chunk in 0..4 {
        let offset = u64::from(chunk) * u64::from(CHUNK);
        let buffer = Arc::new(chunk_buffer::ChunkBuffer::new(offset));
        buffer.hold(bench.fills.share(&board, None).await.unwrap());
        bench.fills.unkept.push(&board, ChunkIndex(chunk), buffer);
    }
    let other = bench.other_board(2);
    let _share = bench.fills.share(&other, None).await.unwrap();
    assert_eq!(bench.fills.bytes_in_flight(), u64::from(CHUNK));
    assert_eq!(bench.fills.bytes_unkept(), 4 * u64::from(CHUNK));
    let mut shares = Vec::new();
    for _ in 0..2 {
        shares.push(bench.fills.share(&other, None).await.unwrap());
    }
    assert!(!bench.fills.is_pressed());
}

/// As where a route has larger chunks than the room was made for.
#[tokio::test]
async fn a_chunk_larger_than_all_room_has_it_alone() {
    let bench = Bench::of(1 << 30).await;
    let large = bench.fills.store().conceive(Manifest {
        id: ObjectId([9; 16]),
        chunk_size: 64 << 20,
        ..manifest()
    });
    let board = bench.fills.board(&large);
    assert!(u64::from(large.chunk_size()) > bench.fills.config().in_flight);
    let taking = bench.fills.share(&board, None);
    assert!(
        tokio::time::timeout(Duration::from_secs(5), taking)
            .await
            .is_ok()
    );
}

/// What can't be asked for again, before a store that is full of what others have read.
#[tokio::test(start_paused = true)]
async fn what_comes_once_makes_no_room_before_its_reader_has_passed_it() {
    for (room, in_flight) in [(30, 1 << 20), (8, 4 * u64::from(CHUNK))] {
        let bench = Bench::learning(room * u64::from(CHUNK + 8192), in_flight).await;
        bench.fills.store().recover();
        for number in 2..8 {
            let other = bench.other_board(number);
            let intake = Intake::of_client(bench.fills.clone(), other, all(), false);
            bring(intake).await.unwrap();
            bench.settled().await;
        }
        let mut unversioned = manifest();
        unversioned.meta.headers.clear();
        unversioned.id = ObjectId([9; 16]);
        let object = bench.fills.store().conceive(unversioned);
        let board = bench.fills.board(&object);
        let visit = Visit::planned(bench.fills.clone(), board.clone(), bench.errand());
        visit.come();
        let mut cursor = Cursor::new(visit, None, false, Arc::default());
        let intake = Intake::of_client(bench.fills.clone(), board, all(), false);
        let bringing = tokio::spawn(bring(intake));
        let mut got = 0;
        while let Some(bytes) = cursor.next().await.unwrap() {
            got += bytes.len() as u64;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(got, TOTAL);
        bringing.await.unwrap().unwrap();
        assert_eq!(bench.source.asked().len(), 0);
    }
}

/// A client has all of it, and the tasks that bring it to the disk have not had their turn.
#[tokio::test]
async fn what_has_come_in_is_kept_before_the_directory_is_closed() {
    let bench = Bench::new().await;
    let intake = Intake::of_client(bench.fills.clone(), bench.board(), all(), false);
    bring(intake).await.unwrap();
    bench.fills.settle().await;
    bench.fills.store().close().await;
    assert_eq!(u64::from(bench.object.present().len()), CHUNKS);
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_later_or_never_is_not_waited_for() {
    let bench = Bench::new().await;
    let keeping = &bench.fills.keeping;
    let first = keeping.begin();
    let mut settled = std::pin::pin!(bench.fills.settle());
    assert!(settled.as_mut().now_or_never().is_none());
    let later = keeping.begin();
    drop(first);
    assert!(settled.now_or_never().is_some());
    let began = tokio::time::Instant::now();
    bench.fills.settle().await;
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    drop(later);
}

#[tokio::test]
async fn who_reads_back_what_was_fetched_for_it_pushes_out_nobody() {
    let bench = Bench::of(5 << 20).await;
    // What is being written can't be evicted: one chunk at a time.
    let bring = async |board: Arc<Board>| {
        let visit = Visit::planned(bench.fills.clone(), board.clone(), bench.errand());
        visit.come();
        let mut viewer = Cursor::new(visit, None, false, Arc::default());
        viewer.owns(all());
        let mut client = Intake::of_client(bench.fills.clone(), board, all(), true);
        for chunk in 0..CHUNKS {
            let range = chunk_range(chunk, chunk + 1).unwrap();
            client.push(content(1, range)).await.unwrap();
            bench.settled().await;
            while viewer.position() < range.end() {
                viewer.next().await.unwrap();
            }
        }
        client.finish().await;
    };
    bring(bench.board()).await;
    for _ in 0..2 {
        assert_eq!(read(&mut bench.cursor(None), 0).await.unwrap(), TOTAL);
    }
    for number in 2..12 {
        let board = bench.other_board(number);
        let store = bench.fills.store();
        store.publish(board.object(), store.mark()).await;
        bring(board).await;
    }
    assert_eq!(bench.stored().len() as u64, CHUNKS);
    assert_eq!(bench.source.sent(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_client_can_not_take_all_the_room() {
    let bench = Bench::new().await;
    let most = 4 * u64::from(CHUNK);
    bench.fills.set_config(Config {
        in_flight_per_client: Some(most),
        ..bench.fills.config()
    });
    let address = |text: &str| text.parse().unwrap();
    let greedy = bench.fills.room_of(address("2001:db8::1")).unwrap();
    let mut held = Vec::new();
    for number in 2..6 {
        let board = bench.other_board(number);
        let share = bench.fills.share(&board, Some(&greedy)).now_or_never();
        held.push(share.expect("room for four chunks"));
    }
    let another = bench.other_board(7);
    // The same customer, who has to wait, and another one.
    let same = bench.fills.room_of(address("2001:db8::ffff")).unwrap();
    let waiting = bench.fills.share(&another, Some(&same));
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    let other = bench.fills.room_of(address("192.0.2.1")).unwrap();
    let share = bench.fills.share(&another, Some(&other)).now_or_never();
    assert!(share.is_some());
    let waits = &bench.fills.stats.waits;
    assert_eq!(waits.with_label_values(&["client"]).get(), 1);
    held.pop();
    assert!(waiting.now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn one_object_can_not_take_all_the_room() {
    let bench = Bench::new().await;
    let (board, other) = (bench.board(), bench.other_board(2));
    let mut held = Vec::new();
    while let Ok(share) =
        tokio::time::timeout(Duration::from_secs(1), bench.fills.share(&board, None)).await
    {
        held.push(share.unwrap());
    }
    assert_eq!(
        bench.fills.bytes_in_flight(),
        bench.fills.config().in_flight / 2
    );
    // Whoever waits takes nothing of what others may have.
    let waiting = bench.fills.share(&board, None);
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    let others = bench.fills.share(&other, None).now_or_never();
    assert!(others.is_some());
    held.pop();
    assert!(waiting.now_or_never().is_some());
}

/// Whoever has read the last byte of a chunk may ask again at once. One for which there is no room in
/// the end is not there.
#[tokio::test(start_paused = true)]
async fn a_chunk_of_which_all_has_come_is_whole_before_there_is_room_for_it() {
    let bench = Bench::new().await;
    let board = bench.board();
    let mut held = Vec::new();
    while let Some(Some(share)) = bench.fills.share(&board, None).now_or_never() {
        held.push(share);
    }
    let run = ChunkRun {
        start: ChunkIndex(2),
        end: ChunkIndex(3),
    };
    let mut intake = Intake::of_client(bench.fills.clone(), board.clone(), run, false);
    let all = content(1, chunk_range(2, 3).unwrap());
    {
        let push = intake.push(all);
        tokio::pin!(push);
        assert!(push.as_mut().now_or_never().is_none());
        assert_eq!(board.coverage(run), Coverage::Stored);
        assert!(matches!(push.await, Err(FillError::Busy)));
    }
    drop(intake);
    assert_eq!(board.coverage(run), Coverage::Partial);
}

#[tokio::test]
async fn a_broken_disk_costs_the_origin_no_byte_twice_while_readers_follow() {
    let bench = Bench::new().await;
    let objects = bench.directory.path().join("objects");
    std::fs::remove_dir_all(&objects).unwrap();
    let mut slow = bench.cursor(None);
    let mut fast = bench.cursor(None);
    assert_eq!(read(&mut fast, 0).await.unwrap(), TOTAL);
    assert_eq!(read(&mut slow, 0).await.unwrap(), TOTAL);
    assert_eq!(bench.source.sent(), TOTAL);
    assert!(bench.stored().is_empty());
}
