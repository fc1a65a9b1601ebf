//! What a 304 changes of the stored header (RFC 9111, section 3.2).

use super::exchange::{case, get, play};

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_a_304_take_the_place_of_the_stored_ones() {
    let old = [
        ("Cache-Control", "max-age=0"),
        ("X-Kept", "1"),
        ("X-Own", "1"),
        ("X-Own", "2"),
    ];
    let new = [
        ("Cache-Control", "max-age=600"),
        ("X-Own", "3"),
        ("X-New", "4"),
    ];
    let updated = |step: super::exchange::Step| {
        step.has("X-Own", "3")
            .has("X-New", "4")
            .has("X-Kept", "1")
            .has("Cache-Control", "max-age=600")
            .gives(1)
    };
    play([case(
        "fields",
        [
            get().says(&old).tagged().asks(),
            updated(get().says(&new).tagged().validates("\"v1\"")),
            updated(get().hits()),
        ],
    )])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_the_body_stay() {
    let old = [
        ("Cache-Control", "max-age=0"),
        ("Content-Type", "video/mp4"),
    ];
    let new = [
        ("Cache-Control", "max-age=600"),
        ("Content-Type", "text/plain"),
        ("Content-Encoding", "gzip"),
        ("Content-Range", "bytes 0-1/2"),
        ("Content-Length", "5"),
    ];
    let kept = |step: super::exchange::Step| {
        step.lacks("Content-Encoding")
            .lacks("Content-Range")
            .has("Content-Length", "1000")
            .has("Content-Type", "video/mp4")
            .gives(1)
    };
    play([case(
        "fields",
        [
            get().says(&old).tagged().asks(),
            kept(get().says(&new).tagged().validates("\"v1\"")),
            kept(get().hits()),
        ],
    )])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_in_a_304_makes_nobody_fetch_it_anew() {
    let new = [("Cache-Control", "max-age=600"), ("Set-Cookie", "a=b")];
    play([case(
        "a cookie",
        [
            get().controls("max-age=0").tagged().asks(),
            get().says(&new).tagged().validates("\"v1\"").gives(1),
            get().hits().lacks("Set-Cookie").gives(1),
        ],
    )])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_a_hop_in_a_304_are_not_stored() {
    let new = [
        ("Cache-Control", "max-age=600"),
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=9"),
    ];
    play([case(
        "fields",
        [
            get().controls("max-age=0").tagged().asks(),
            get().says(&new).tagged().validates("\"v1\"").lacks("X-Hop"),
            get().hits().lacks("X-Hop").gives(1),
        ],
    )])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_304_may_say_that_it_is_to_be_kept_no_longer() {
    play([case(
        "no-store",
        [
            get().controls("max-age=0").tagged().asks(),
            get()
                .controls("no-store")
                .tagged()
                .validates("\"v1\"")
                .gives(1),
            get().controls("max-age=600").tagged().asks().gives(1),
        ],
    )])
    .await;
}
