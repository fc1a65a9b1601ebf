//! What scripts on others' pages may do is said on the way out, and there is one object for all.

use crate::{
    client::{Answer, H2, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script, variant},
};
use tidegate::{
    origin::SecretSource,
    proxy::{Cors, PageOrigin, PageOrigins, Route, Signed, SigningKey},
};

const SIZE: u64 = 2 * CHUNK;
const PAGE: &str = "https://www.example.com";

fn these() -> PageOrigins {
    PageOrigins::These(vec![PageOrigin::parse("https://*.example.com").unwrap()])
}

async fn scene(cors: Cors, change: impl FnOnce(&mut Route)) -> (Origin, Gate, Object) {
    let mut script = Script::new(1060, SIZE);
    script.vary_by = Some("Origin");
    script.headers = vec![
        (
            "Access-Control-Allow-Origin",
            "https://origins-own.test".into(),
        ),
        ("Access-Control-Allow-Credentials", "true".into()),
    ];
    // What those get who come from no page.
    let mut object = Object::from(&script);
    object.content = variant(script.content, "");
    let origin = Origin::with(script).await;
    let gate = Gate::with(&origin, |settings| {
        settings.routes[0].cors = Some(cors);
        change(&mut settings.routes[0]);
    })
    .await;
    (origin, gate, object)
}

fn from(request: Request, page: &str) -> Request {
    request.header("origin", page)
}

fn preflight(page: &str) -> Request {
    from(Request::new("OPTIONS", "/film"), page)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "range")
}

fn told<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let name = format!("access-control-{name}");
    assert!(answer.head.all(&name).count() < 2, "{answer}");
    answer.head.header(&name)
}

fn varies(answer: &Answer) -> bool {
    answer
        .head
        .all("vary")
        .any(|line| line.eq_ignore_ascii_case("origin"))
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_share_one_object_and_each_is_told_its_own() {
    let cors = Cors {
        credentials: true,
        ..Cors::of(these())
    };
    let (origin, gate, object) = scene(cors, |_| ()).await;
    let h2 = H2::connect(gate.address(), 1 << 20).await;
    for page in [PAGE, "https://x.example.com", "https://evil.test", ""] {
        let request = match page {
            "" => Request::get("/film"),
            page => from(Request::get("/film"), page),
        };
        let may = page.ends_with(".example.com").then_some(page);
        let part = gate.ask(request.clone().bytes(5, 9)).await;
        let unchanged = request.clone().header("if-none-match", "\"v1\"");
        let head = from(Request::head("/film"), page);
        for answer in [
            gate.ask(request.clone()).await,
            h2.ask(&request).await,
            gate.ask(unchanged).await,
            gate.ask(head).await,
            part,
        ] {
            assert_eq!(told(&answer, "allow-origin"), may, "{answer}");
            let credentials = may.map(|_| "true");
            assert_eq!(told(&answer, "allow-credentials"), credentials, "{answer}");
            let exposed = told(&answer, "expose-headers").unwrap_or_default();
            // What a player seeks by, and what it waits by where there is no room for it.
            for name in ["content-range", "retry-after"] {
                assert_eq!(exposed.contains(name), may.is_some(), "{answer}");
            }
            assert!(varies(&answer), "{answer}");
        }
        object
            .verify(&Expected::Whole, &gate.ask(request).await)
            .unwrap();
    }
    let log = origin.settled().await;
    assert!(
        log.iter().all(|seen| seen.header("origin").is_none()),
        "{log:#?}"
    );
    assert!(origin.sent("/film") <= SIZE, "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_are_told_the_same() {
    let (origin, gate, _) = scene(Cors::of(PageOrigins::Any), |_| ()).await;
    for request in [Request::get("/film"), from(Request::get("/film"), PAGE)] {
        let answer = gate.ask(request).await;
        assert_eq!(told(&answer, "allow-origin"), Some("*"), "{answer}");
        assert_eq!(told(&answer, "allow-credentials"), None, "{answer}");
    }
    // Who writes is judged by the origin, too.
    gate.ask(from(Request::new("POST", "/film"), PAGE)).await;
    let log = origin.settled().await;
    assert_eq!(log.last().unwrap().header("origin"), Some(PAGE));
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_beforehand_are_answered_here_whatever_else_is_asked_for() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "a secret").unwrap();
    let key = SigningKey {
        name: "k1".into(),
        secret: SecretSource::File(secret.path().to_owned()),
    };
    let (origin, gate, _) = scene(Cors::of(these()), |route| {
        route.access.signed = Some(Signed {
            keys: vec![key],
            parameter: "token".into(),
            cookie: None,
        });
        route.access.addresses.deny = vec!["192.0.2.0/24".parse().unwrap()];
    })
    .await;
    let mut client = gate.client().await;
    let h2 = H2::connect(gate.address(), 1 << 20).await;
    for _ in 0..2 {
        // On one connection: it is kept.
        let request = preflight(PAGE);
        for answer in [client.ask(&request).await, h2.ask(&request).await] {
            assert_eq!(answer.status(), 204, "{answer}");
            assert_eq!(told(&answer, "allow-origin"), Some(PAGE), "{answer}");
            assert_eq!(
                told(&answer, "allow-methods"),
                Some("GET, HEAD"),
                "{answer}"
            );
            assert!(
                told(&answer, "allow-headers")
                    .unwrap()
                    .starts_with("range, "),
                "{answer}"
            );
            assert_eq!(told(&answer, "max-age"), Some("3600"), "{answer}");
            assert_eq!(answer.head.header("content-length"), None, "{answer}");
            assert!(
                answer.head.cache_status().has("detail=preflight"),
                "{answer}"
            );
            assert!(varies(&answer), "{answer}");
        }
    }
    let stranger = gate.ask(preflight("https://evil.test")).await;
    assert_eq!(stranger.status(), 204, "{stranger}");
    assert_eq!(told(&stranger, "allow-origin"), None, "{stranger}");
    assert_eq!(told(&stranger, "allow-methods"), None, "{stranger}");
    // A refusal can be read by the page, too.
    let refused = gate.ask(from(Request::get("/film"), PAGE)).await;
    assert_eq!(refused.status(), 403, "{refused}");
    assert_eq!(told(&refused, "allow-origin"), Some(PAGE), "{refused}");
    let plain = gate.ask(from(Request::new("OPTIONS", "/film"), PAGE)).await;
    assert_eq!(plain.status(), 403, "{plain}");
    assert!(origin.log().is_empty(), "{:#?}", origin.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_section_the_origins_word_is_passed_on() {
    let (origin, gate, _) = scene(Cors::of(these()), |route| route.cors = None).await;
    let answer = gate.ask(from(Request::get("/film"), PAGE)).await;
    assert_eq!(
        told(&answer, "allow-origin"),
        Some("https://origins-own.test"),
        "{answer}"
    );
    let asked = gate.ask(preflight(PAGE)).await;
    assert_eq!(asked.status(), 200, "{asked}");
    let log = origin.settled().await;
    assert!(
        log.iter().all(|seen| seen.header("origin") == Some(PAGE)),
        "{log:#?}"
    );
}
