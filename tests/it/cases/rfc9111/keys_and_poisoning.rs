//! What belongs to a key, and what clients send that may not change what others get.

use super::exchange::{Case, Step, case, get, play, play_with, with};

fn first() -> Step {
    get().controls("max-age=600").asks()
}

#[tokio::test(flavor = "multi_thread")]
async fn path_query_and_host_tell_objects_apart() {
    let at = |place: &str| get().at(place);
    play([
        case(
            "query",
            [
                first(),
                at("film?a").controls("max-age=600").asks(),
                at("film?b").asks(),
                get().hits(),
            ],
        ),
        case("case of the path", [first(), at("FILM").asks()]),
        case("an empty query", [first(), at("film?").asks()]),
        case(
            "another host",
            [
                first(),
                get().field("Host", "other.test").asks(),
                get().hits(),
            ],
        ),
        case(
            "another port",
            [first(), get().field("Host", "media.test:8080").asks()],
        ),
        case(
            "case of the host",
            [first(), get().field("Host", "Media.TEST").hits()],
        ),
    ])
    .await;
}

/// It is the same object as by `Host`; where the two differ nothing is asked or stored.
#[tokio::test(flavor = "multi_thread")]
async fn an_absolute_target_names_its_own_host() {
    let absolute = |host: &str| get().at("http://media.test/0/film").field("Host", host);
    let contradicts = absolute("evil.test").hits().status(400);
    let same = absolute("media.test").hits().status(200).gives(1);
    play([case(
        "absolute",
        [first(), same, contradicts, get().hits().gives(1)],
    )])
    .await;
}

fn refused(name: &'static str, step: Step) -> Case {
    case(name, [step.hits().status(400)])
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_requests_are_refused() {
    let host = |value: &str| get().field("Host", value);
    play([
        refused("two hosts", host("media.test").field("Host", "other.test")),
        refused(
            "twice the same host",
            host("media.test").field("Host", "media.test"),
        ),
        refused("no host", host("")),
        refused("a host with a space", host("a b")),
        refused("a host with a path", host("media.test/x")),
        refused("a host with a user", host("a@media.test")),
        refused("a list of hosts", host("media.test, other.test")),
    ])
    .await;
    play([
        refused(
            "two lengths",
            with("POST")
                .field("Content-Length", "5")
                .field("Content-Length", "6"),
        ),
        refused(
            "a length that is none",
            with("POST").field("Content-Length", "+5"),
        ),
        refused(
            "a length beside a coding",
            with("POST")
                .field("Content-Length", "5")
                .field("Transfer-Encoding", "chunked")
                .body("0\r\n\r\n"),
        ),
        refused(
            "a coding that is none",
            with("POST").field("Transfer-Encoding", "xchunked"),
        ),
        refused("a name with a space", get().field("X A", "1")),
        refused("a space before the colon", get().field("X-A ", "1")),
        refused("an empty name", get().field("", "1")),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_keyed_changes_nothing() {
    let names = [
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Scheme",
        "X-Forwarded-Port",
        "X-Host",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "Forwarded",
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Method-Override",
    ];
    play(names.map(|name| {
        case(
            name,
            [
                first().field(name, "evil.test").sends_no(name),
                get().hits(),
            ],
        )
    }))
    .await;
    // What the operator sets is the same for all.
    let name = "x-forwarded-proto";
    let set = |settings: &mut tidegate::server::Settings| {
        let rules = &mut settings.routes[0].request_headers;
        rules.set = vec![(name.parse().unwrap(), "https".parse().unwrap())];
    };
    let set_for_all = first().field(name, "http").sends(name, "https");
    play_with(set, [case("by setting", [set_for_all, get().hits()])]).await;
}
