//! How old an answer is (RFC 9111, sections 4.2.3 and 5.1).

use super::exchange::{Case, Fields, case, date, get, play};

const HOUR: (&str, &str) = ("Cache-Control", "max-age=3600");

fn aged(name: &'static str, fields: Fields, least: u64) -> Case {
    let fields: Vec<_> = [HOUR].iter().chain(fields).copied().collect();
    let hit = get().hits().within("Age", least, least + 60);
    case(name, [get().says(&fields).asks(), hit])
}

fn too_old(name: &'static str, fields: Fields) -> Case {
    let fields: Vec<_> = [HOUR].iter().chain(fields).copied().collect();
    case(name, [get().says(&fields).asks(), get().asks()])
}

#[tokio::test(flavor = "multi_thread")]
async fn time_spent_elsewhere_counts() {
    play([
        aged("no age", &[], 0),
        aged("age", &[("Age", "1800")], 1800),
        too_old("as old as it may be", &[("Age", "3600")]),
        too_old("older", &[("Age", "7200")]),
        too_old("beyond all measure", &[("Age", "99999999999999999999")]),
        aged("by its date", &[("Date", &date(-1800))], 1799),
        too_old("too old by its date", &[("Date", &date(-3700))]),
        aged(
            "by what is larger",
            &[("Date", &date(-100)), ("Age", "1800")],
            1800,
        ),
        aged(
            "by what is larger, the date",
            &[("Date", &date(-1800)), ("Age", "100")],
            1799,
        ),
        aged("a date to come", &[("Date", &date(1800))], 0),
        aged("no date", &[("Date", "")], 0),
        aged("no date to be read", &[("Date", "noon")], 0),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_age_that_cannot_be_read_is_none() {
    let values = [
        "", "x", "-7200", "7200.5", "7200s", "\"7200\"", "0x1c20", "7200;a=b",
    ];
    let mut cases: Vec<_> = values
        .iter()
        .map(|value| aged("not a number", &[("Age", value)], 0))
        .collect();
    cases.push(too_old("the first of a list", &[("Age", "7200, 0")]));
    cases.push(aged("the first of a list", &[("Age", "0, 7200")], 0));
    cases.push(too_old(
        "the first of two lines",
        &[("Age", "7200"), ("Age", "0")],
    ));
    play(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_from_the_store_say_one_age() {
    let first = get().says(&[HOUR, ("Age", "10"), ("Age", "20")]).asks();
    let head = super::exchange::with("HEAD").hits().within("Age", 10, 60);
    let unchanged = [HOUR, ("Age", "100")];
    play([
        case(
            "two lines",
            [first, get().hits().within("Age", 10, 60), head],
        ),
        case(
            "a 304 of ours",
            [
                get().says(&unchanged).tagged().asks(),
                get()
                    .field("If-None-Match", "\"v1\"")
                    .hits()
                    .status(304)
                    .within("Age", 100, 160),
            ],
        ),
        case(
            "an age from elsewhere is told at once",
            [get().says(&unchanged).asks().within("Age", 100, 160)],
        ),
    ])
    .await;
}
