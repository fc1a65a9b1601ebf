//! Fields that are stored, passed on or taken out (RFC 9111, section 3.1; RFC 9110, section 7.6).

use super::exchange::{Step, case, get, play};

#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_are_stored_and_passed_on() {
    let fields = [
        ("Cache-Control", "max-age=600, ext=\"a\""),
        ("X-Unknown", "1"),
        ("X-Unknown", "2"),
        ("Content-Type", "video/mp4; codecs=\"avc1\""),
        ("Content-Language", "de"),
        ("Server-Timing", "a;dur=1"),
        ("Expires", "0"),
        ("Last-Modified", "lately"),
    ];
    let told = |step: Step| {
        step.has("X-Unknown", "1, 2")
            .has("Content-Type", "video/mp4; codecs=\"avc1\"")
            .has("Content-Language", "de")
            .has("Server-Timing", "a;dur=1")
            .has("Cache-Control", "max-age=600, ext=\"a\"")
            .has("Expires", "0")
            .has("Last-Modified", "lately")
    };
    play([case(
        "fields",
        [told(get().says(&fields).asks()), told(get().hits())],
    )])
    .await;
}

/// It would make a client take the whole for a part.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_bears_no_range() {
    let fields = [
        ("Cache-Control", "max-age=600"),
        ("Content-Range", "bytes 0-999/5000"),
    ];
    let whole = |step: Step| step.status(200).lacks("Content-Range").gives(1);
    play([case(
        "Content-Range",
        [whole(get().says(&fields).asks()), whole(get().hits())],
    )])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_one_hop_go_no_further() {
    let fields = [
        ("Cache-Control", "max-age=600"),
        ("Connection", "X-Hop, x-two"),
        ("X-Hop", "1"),
        ("X-Two", "2"),
        ("Keep-Alive", "timeout=7"),
        ("Proxy-Authenticate", "Basic realm=a"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "trailers"),
        ("Trailer", "X-End"),
        ("Upgrade", "h9"),
        ("X-End", "stays"),
    ];
    let told = |mut step: Step| {
        for name in [
            "X-Hop",
            "X-Two",
            "Proxy-Authenticate",
            "Proxy-Connection",
            "TE",
            "Trailer",
            "Upgrade",
        ] {
            step = step.lacks(name);
        }
        step.has("X-End", "stays")
    };
    play([
        case(
            "stored",
            [told(get().says(&fields).asks()), told(get().hits())],
        ),
        case("passed", [told(get().says(&fields[1..]).asks())]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_the_clients_hop_stay_with_us() {
    let names = [
        "X-Hop",
        "TE",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Keep-Alive",
        "Upgrade",
    ];
    for control in ["max-age=600", "no-store"] {
        let mut step = get()
            .controls(control)
            .field("Connection", "keep-alive, X-Hop")
            .field("X-End", "1");
        for name in names {
            step = step.field(name, "a").sends_no(name);
        }
        play([case(control, [step.asks().sends("X-End", "1")])]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_are_dropped() {
    let fields = [
        ("Cache-Control", "max-age=600"),
        ("Warning", "110 - \"stale\""),
    ];
    play([case(
        "warning",
        [
            get().says(&fields).asks().lacks("Warning"),
            get().hits().lacks("Warning"),
        ],
    )])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_date_is_given_one() {
    let fields = [("Cache-Control", "max-age=600"), ("Date", "")];
    let dated = |step: Step| step.contains("Date", " GMT");
    play([case(
        "no date",
        [dated(get().says(&fields).asks()), dated(get().hits())],
    )])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hop_is_named() {
    let fields = [("Cache-Control", "max-age=600"), ("Via", "1.1 inner")];
    let told = |step: Step| {
        step.contains("Via", "1.1 inner")
            .contains("Via", "1.1 tidegate")
    };
    play([case(
        "via",
        [
            told(get().says(&fields).field("Via", "1.0 outer").asks()),
            told(get().hits()),
        ],
    )])
    .await;
}
