//! A tier that is away when an edge starts.

use super::{CHUNK, Fleet, SIZE};
use crate::{client::Request, gate::Gate, model::Expected, s3::Fault};

/// An edge that has the film on its disk, and starts when the tier can't be asked.
async fn starting_alone(fleet: &Fleet, meanwhile: impl AsyncFnOnce(&Gate)) -> Gate {
    let (first, mut second) = (fleet.filled().await, fleet.edge().await);
    fleet.whole(&second).await;
    second.until_stored(SIZE).await;
    second.stop().await;
    meanwhile(&first).await;
    fleet.s3.fail(Fault::Fail, "");
    second.start_again().await;
    assert_eq!(second.metric("tidegate_tier_ready").await, 0.0);
    second
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_purged_while_an_edge_was_off_is_asked_for_first() {
    let fleet = Fleet::new().await;
    let purge = async |first: &Gate| {
        let purged = first.ask(Request::new("PURGE", "/film")).await;
        assert_eq!(purged.status(), 200);
    };
    let second = starting_alone(&fleet, purge).await;
    let new = fleet.changed();
    let answer = second.get("/film").await;
    new.verify(&Expected::Whole, &answer).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_origin_has_confirmed_since_the_start_is_served_without_it() {
    let fleet = Fleet::new().await;
    let second = starting_alone(&fleet, async |_| ()).await;
    let asked = fleet.asked();
    let first = fleet.part(&second, 0, 9).await;
    assert!(first.head.cache_status().has("detail=purges"), "{first}");
    assert!(fleet.origin.asked("/film")[asked].is_conditional());
    for chunk in [0, 5, 9] {
        fleet.part(&second, chunk * CHUNK, chunk * CHUNK + 9).await;
    }
    assert_eq!(fleet.asked(), asked + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn once_the_purges_are_known_the_origin_is_not_asked() {
    let fleet = Fleet::new().await;
    let second = starting_alone(&fleet, async |_| ()).await;
    fleet.s3.heal();
    second.until("tidegate_tier_ready", 1.0).await;
    let asked = fleet.asked();
    fleet.whole(&second).await;
    assert_eq!(fleet.asked(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_origins_word_it_is_not_served() {
    let fleet = Fleet::new().await;
    let field = "max-age=3600, stale-if-error=3600";
    fleet
        .origin
        .change("/film", |film| film.cache_control = Some(field));
    let second = starting_alone(&fleet, async |_| ()).await;
    fleet.origin.change("/film", |film| film.status = 503);
    let answer = second.ask(Request::get("/film").range("bytes=0-9")).await;
    assert_eq!(answer.status(), 503, "{answer}");
}
