//! What is shown on others' pages is not given out to them.

use crate::{
    client::{H2, Request},
    gate::Gate,
    origin::{Origin, Script},
};
use tidegate::{domain::HostPattern, proxy::Referers};

async fn scene(allow_none: bool) -> (Origin, Gate) {
    let origin = Origin::with(Script::new(1030, 1000)).await;
    let gate = Gate::with(&origin, |settings| {
        settings.routes[0].access.referers = Some(Referers {
            hosts: vec![HostPattern::parse("*.example.com").unwrap()],
            allow_none,
        });
    })
    .await;
    (origin, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_decides_on_hits_and_misses_alike() {
    for allow_none in [true, false] {
        let (origin, gate) = scene(allow_none).await;
        let page = |name: &str, page: &str| Request::get("/film").header(name, page);
        let (good, bad) = ("https://www.example.com", "https://evil.test");
        let h2 = H2::connect(gate.address(), 1 << 20).await;
        for _ in 0..2 {
            for request in [
                page("referer", bad),
                page("origin", bad),
                page("origin", bad).header("referer", good),
                page("origin", bad).bytes(0, 9),
            ] {
                let answer = gate.ask(request.clone()).await;
                assert_eq!(answer.status(), 403, "{answer}");
                assert!(answer.head.cache_status().has("detail=referer"), "{answer}");
                assert_eq!(h2.ask(&request).await.status(), 403);
            }
            assert_eq!(gate.ask(page("referer", good)).await.status(), 200);
            assert_eq!(h2.ask(&page("origin", good)).await.status(), 200);
            let status = if allow_none { 200 } else { 403 };
            assert_eq!(gate.get("/film").await.status(), status);
        }
        assert_eq!(origin.log().len(), 1, "{:#?}", origin.log());
    }
}
