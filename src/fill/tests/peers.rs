//! Sources that are caches themselves, and share objects among them.

use super::*;

const KEY: u64 = 0;

/// None of the parts that were asked for crosses a group's border.
fn each_within_one_group(bench: &Bench, groups: Groups) {
    for range in bench.source.asked().into_iter().flatten() {
        assert_eq!(
            groups.at(range.start()),
            groups.at(range.last()),
            "{range:?}"
        );
    }
}

#[tokio::test]
async fn no_request_is_for_two_groups() {
    for chunks in [1, 3, 4, 7] {
        let bench = Bench::new().await;
        let groups = Groups::of(chunks * u64::from(CHUNK));
        bench.source.change(|s| s.groups = groups);
        let mut one = bench.cursor(None);
        let mut two = bench.cursor(Some((5 * u64::from(CHUNK), TOTAL)));
        let end = TOTAL - 5 * u64::from(CHUNK);
        assert_eq!(read(&mut two, 5 * u64::from(CHUNK)).await.unwrap(), end);
        assert_eq!(read(&mut one, 0).await.unwrap(), TOTAL);
        assert_eq!(bench.source.sent(), TOTAL);
        each_within_one_group(&bench, groups);
    }
}

#[tokio::test]
async fn what_is_brought_in_for_nobody_stays_in_its_group_too() {
    let bench = Bench {
        finish_when: FinishWhen::Always,
        ..Bench::new().await
    };
    let groups = Groups::of(3 * u64::from(CHUNK));
    bench.source.change(|s| s.groups = groups);
    let mut cursor = bench.cursor(None);
    cursor.next().await.unwrap();
    drop(cursor);
    while (bench.stored().len() as u64) < CHUNKS {
        tokio::task::yield_now().await;
    }
    each_within_one_group(&bench, groups);
}

/// The cache that has the next part is behind the one that the object came from.
#[tokio::test]
async fn a_cache_that_is_behind_is_not_believed() {
    let bench = Bench::new().await;
    bench.source.change(|s| s.cached = Some(2));
    let mut cursor = bench.cursor(Some((0, u64::from(CHUNK))));
    assert_eq!(read(&mut cursor, 0).await.unwrap(), u64::from(CHUNK));
    // Once with the cache's word, once past it.
    assert_eq!(bench.source.asked().len(), 2);
    assert!(bench.board().ended().is_none());
    assert!(!bench.fills.doubts().take(KEY));
}

/// It is ahead of it: the version that is stored is the old one.
#[tokio::test]
async fn a_cache_that_is_ahead_ends_the_version_and_leaves_a_doubt() {
    let bench = Bench::new().await;
    bench
        .source
        .change(|s| (s.version, s.cached) = (2, Some(2)));
    let mut cursor = bench.cursor(None);
    let read = cursor.next().await;
    assert!(matches!(read, Err(FillError::Changed)), "{read:?}");
    assert_eq!(bench.source.asked().len(), 2);
    assert!(bench.fills.doubts().take(KEY));
}

/// An origin's own word needs no other.
#[tokio::test]
async fn the_word_of_an_origin_itself_is_taken_at_once() {
    let bench = Bench::new().await;
    bench.source.change(|s| s.version = 2);
    let mut cursor = bench.cursor(None);
    assert!(matches!(cursor.next().await, Err(FillError::Changed)));
    assert_eq!(bench.source.asked().len(), 1);
    assert!(!bench.fills.doubts().take(KEY));
}
