//! What requests that change something put out of date (RFC 9111, section 4.4).

use super::exchange::{Case, Step, case, get, play, with};

fn stored(place: &str) -> Step {
    get().at(place).controls("max-age=600").asks()
}

fn change(method: &str) -> Step {
    with(method).controls("no-cache").asks()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_puts_its_target_out_of_date() {
    play(
        ["POST", "PUT", "DELETE", "PATCH", "MKCOL", "UNHEARDOF"]
            .map(|method| case("a change", [stored("film"), change(method), get().asks()])),
    )
    .await;
    play([200, 201, 303].map(|status| {
        case(
            "any good answer",
            [stored("film"), change("POST").answers(status), get().asks()],
        )
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_and_failing_change_nothing() {
    let reads = ["OPTIONS", "HEAD"].map(|method| {
        case(
            "a read",
            [
                stored("film"),
                with(method).says(&[]).status(200),
                get().hits(),
            ],
        )
    });
    let fails = [400, 404, 409].map(|status| {
        case(
            "an error",
            [
                stored("film"),
                change("POST").answers(status).status(status),
                get().hits(),
            ],
        )
    });
    play(reads.into_iter().chain(fails)).await;
}

fn named(name: &'static str, field: &'static str, value: &str) -> [Step; 3] {
    let says = with("POST")
        .at(name)
        .says(&[(field, value)])
        .answers(201)
        .asks();
    [stored("named"), stored("named?a=1"), says]
}

fn by(name: &'static str, field: &'static str, value: &str, then: [Step; 2]) -> Case {
    let steps: Vec<_> = named("form", field, value)
        .into_iter()
        .chain(then)
        .collect();
    case(name, steps)
}

#[tokio::test(flavor = "multi_thread")]
async fn places_that_a_change_names_are_out_of_date() {
    let plain = || get().at("named");
    let query = || get().at("named?a=1");
    play(
        ["Location", "Content-Location"]
            .map(|field| by("relative", field, "named", [plain().asks(), query().hits()])),
    )
    .await;
    play([by(
        "with a query",
        "Location",
        "named?a=1",
        [plain().hits(), query().asks()],
    )])
    .await;
    play([by(
        "absolute",
        "Location",
        "http://media.test/0/named",
        [plain().asks(), query().hits()],
    )])
    .await;
    play([
        by(
            "on another host",
            "Location",
            "http://other.test/0/named",
            [plain().hits(), query().hits()],
        ),
        by(
            "not a place",
            "Content-Location",
            "http://[",
            [plain().hits(), query().hits()],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_variants_are_out_of_date() {
    let ask = |language: &str| get().field("X-Kind", language);
    let varied = [("Cache-Control", "max-age=600"), ("Vary", "X-Kind")];
    play([case(
        "variants",
        [
            ask("a").says(&varied).asks(),
            ask("b").asks(),
            ask("a").hits(),
            change("PUT"),
            ask("a").says(&varied).asks(),
            ask("b").asks(),
        ],
    )])
    .await;
}
