//! `ttl.kinds`, `ttl.playlist` and `ttl.segment`: how long kinds of content are fresh.

use super::{lasts, route, stale, unkept};
use crate::cases::rfc9111::exchange::{Step, date, get, play_with};

/// An object of a media type; of none where that is empty.
fn media(place: &str, kind: &str) -> Step {
    let fields = [("Content-Type", kind)];
    get()
        .at(place)
        .says(&fields[usize::from(kind.is_empty())..])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_kind_that_takes_an_answer_says_its_ttl() {
    let keys = "\
ttl:
  ok: 10m
  playlist: 1m
  kinds:
    - {content_type: image/*, path: /posters/, ttl: 5m}
    - {content_type: image/png, ttl: 4m}
    - {path: '\\.json$', ttl: 3m}
    - {content_type: application/dash+xml, ttl: 20m}";
    let cases = [
        lasts("type and path", 300, media("posters/a", "image/png")),
        lasts("any of a type", 300, media("posters/a", "image/webp")),
        lasts("only the path", 600, media("posters/a", "text/plain")),
        lasts("a type", 240, media("a", "image/png")),
        lasts(
            "in capitals, with parameters",
            240,
            media("a", "Image/PNG; x=1"),
        ),
        lasts("only the class", 600, media("a", "image/webp")),
        lasts("a path", 180, media("a.json", "text/plain")),
        lasts("a path without a type", 180, media("a.json", "")),
        lasts("not its end", 600, media("a.json5", "")),
        lasts("a playlist", 1200, media("a.mpd", "application/dash+xml")),
        lasts("the origin's word", 60, {
            let said = [
                ("Content-Type", "image/png"),
                ("Cache-Control", "max-age=60"),
            ];
            get().says(&said)
        }),
    ];
    let error = media("a.json", "image/png").answers(404).status(404);
    let error = unkept("an error", error);
    play_with(route(keys), cases.into_iter().flatten().chain([error])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn playlists_are_fresh_for_no_longer_than_their_ttl() {
    let playlists = || {
        [
            media("live.m3u8", ""),
            media("live.mpd", "text/plain"),
            media("live", "application/vnd.apple.mpegurl"),
            media("live", "Application/X-MpegURL; charset=utf-8"),
            media("live", "audio/mpegurl"),
            media("live", "audio/x-mpegurl"),
            media("live", "application/dash+xml"),
        ]
    };
    let capped = playlists().map(|first| lasts("a playlist", 120, first));
    let guessed = lasts("by its dates", 120, media("old.m3u8", "").dated());
    let told = media("told.m3u8", "").script(|script| script.cache_control = Some("max-age=300"));
    let told = lasts("by the origin", 300, told);
    let other = lasts("none", 600, media("live.m3u", "text/plain"));
    let cases = capped.into_iter().chain([guessed, told, other]);
    play_with(
        route("ttl: {ok: 10m, playlist: 2m}"),
        cases.flatten().collect::<Vec<_>>(),
    )
    .await;
    let shorter = lasts("ok is shorter", 60, media("live.m3u8", ""));
    play_with(route("ttl: {ok: 1m, playlist: 2m}"), shorter).await;
    // Two seconds, where nothing else is said.
    let default = playlists().map(|first| stale("by default", first.aged(3)));
    play_with(route("ttl: {ok: 10m}"), default).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_fresh_for_no_less_than_their_ttl() {
    let segments = || {
        [
            media("1.m4s", "video/iso.segment"),
            media("1.cmfv", ""),
            media("1.cmfa", "text/plain"),
            media("1.ts", "video/mp2t"),
            media("1.ts", "application/octet-stream"),
            media("1.ts", ""),
        ]
    };
    let others = || [media("1.ts", "text/plain"), media("1.mp4", "video/mp4")];
    let raised = segments().map(|first| lasts("a segment", 900, first));
    let plain = others().map(|first| lasts("none", 300, first));
    let told = media("1.m4s", "").script(|script| script.cache_control = Some("max-age=60"));
    let told = lasts("by the origin", 60, told);
    let cases = raised.into_iter().chain(plain).chain([told]);
    play_with(
        route("ttl: {ok: 5m, segment: 15m}"),
        cases.flatten().collect::<Vec<_>>(),
    )
    .await;
    let longer = lasts("ok is longer", 1200, media("1.m4s", ""));
    play_with(route("ttl: {ok: 20m, segment: 15m}"), longer).await;
    let default = segments().map(|first| lasts("by default", 3600, first));
    play_with(route("ttl: {ok: 5m}"), default.into_iter().flatten()).await;
}

/// What a packager has just written is a segment for as long as one that is old.
#[tokio::test(flavor = "multi_thread")]
async fn segments_that_have_just_been_made_are_fresh_as_long() {
    let made = date(-10);
    let fields = [("Last-Modified", made.as_str())];
    let new = |place: &str| get().at(place).says(&fields);
    let cases = [
        lasts("of a day", 900, media("old.m4s", "").dated()),
        lasts("just made", 900, new("new.m4s")),
    ];
    let others = [
        stale("none, just made", new("new.mp4").aged(3)),
        stale("none any more", new("gone.m4s").answers(410).aged(3)),
        unkept("nobody says anything", media("1.m4s", "")),
    ];
    let keys = "ttl: {segment: 15m}\nfreshness: {heuristic_maximum: 5m}";
    play_with(route(keys), cases.into_iter().flatten().chain(others)).await;
    let never = unkept("no guessing", media("1.m4s", "").dated());
    let keys = "ttl: {segment: 15m}\nfreshness: {heuristic: 0%}";
    play_with(route(keys), [never]).await;
}
