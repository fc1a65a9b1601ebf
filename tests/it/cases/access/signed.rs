//! Tokens: who bears one is let in, and nobody else knows of it.

use crate::{
    client::{Answer, H2, Request},
    gate::{CHUNK, Gate},
    model::{Expected, Object},
    origin::{Origin, Script},
};
use std::{fs, path::Path, process::Command, time::Duration, time::SystemTime};
use tempfile::TempDir;
use tidegate::{
    origin::SecretSource,
    proxy::{Pass, Route, Signed, SigningKey, Wish, sign},
};

const SIZE: u64 = 2 * CHUNK + 5;
const HOST: &str = "media.test";

struct Scene {
    origin: Origin,
    gate: Gate,
    route: Route,
    object: Object,
    secrets: TempDir,
}

fn key(directory: &Path, name: &str) -> SigningKey {
    let path = directory.join(name);
    fs::write(&path, format!("the secret of {name}\n")).unwrap();
    SigningKey {
        name: name.into(),
        secret: SecretSource::File(path),
    }
}

async fn scene(change: impl FnOnce(&mut Script, &mut Route)) -> Scene {
    let secrets = tempfile::tempdir().unwrap();
    let mut script = Script::new(1040, SIZE);
    let mut route = Route::new(
        tidegate::proxy::Matcher::Prefix("/".into()),
        vec![tidegate::proxy::RouteOrigin::named("media")],
    );
    route.access.signed = Some(Signed {
        keys: vec![key(secrets.path(), "k1")],
        parameter: "token".into(),
        cookie: Some("pass".into()),
    });
    change(&mut script, &mut route);
    let object = Object::from(&script);
    let origin = Origin::start().await;
    for target in ["/films/7/a.ts", "/films/7/a.ts?b=1", "/films/8"] {
        origin.put(target, script.clone());
    }
    let gate = Gate::with(&origin, |settings| {
        settings.clients.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        settings.routes = vec![route.clone()];
    })
    .await;
    Scene {
        origin,
        gate,
        route,
        object,
        secrets,
    }
}

impl Scene {
    fn pass(&self, target: &str, change: impl FnOnce(&mut Wish)) -> Pass {
        self.pass_at(target, SystemTime::now(), change)
    }

    fn pass_at(&self, target: &str, now: SystemTime, change: impl FnOnce(&mut Wish)) -> Pass {
        let mut wish = Wish {
            url: format!("http://{HOST}{target}"),
            lasts: Duration::from_secs(60),
            prefix: None,
            address: None,
            key: None,
        };
        change(&mut wish);
        sign(std::slice::from_ref(&self.route), &wish, now).unwrap()
    }

    async fn refused(&self, request: &Request, why: &str) {
        let answer = self.gate.ask(request.clone()).await;
        assert_eq!(answer.status(), 403, "{request:?} {answer}");
        let detail = format!("detail=token_{why}");
        assert!(answer.head.cache_status().has(&detail), "{why} {answer}");
    }

    fn verify(&self, answer: &Answer) {
        self.object.verify(&Expected::Whole, answer).unwrap();
    }
}

/// The target of a signed URL.
fn target(pass: &Pass) -> String {
    let url = pass.url();
    url.strip_prefix(&format!("http://{HOST}"))
        .unwrap()
        .to_owned()
}

/// The pair of a cookie alone, as clients send it.
fn pair(pass: &Pass) -> String {
    pass.cookie().unwrap().split(';').next().unwrap().to_owned()
}

const BELOW: fn(&mut Wish) = |wish| wish.prefix = Some("/films/7/".into());

#[tokio::test(flavor = "multi_thread")]
async fn who_bears_a_token_is_let_in_and_shares_what_is_stored() {
    let scene = scene(|_, _| ()).await;
    let film = "/films/7/a.ts";
    scene.refused(&Request::get(film), "missing").await;
    scene.verify(&scene.gate.get(&target(&scene.pass(film, |_| ()))).await);
    // Each token is another one, and the object is one.
    let h2 = H2::connect(scene.gate.address(), 1 << 20).await;
    for pass in [
        scene.pass(film, |wish| wish.lasts *= 2),
        scene.pass(film, BELOW),
    ] {
        let by_url = h2.ask(&Request::get(&target(&pass))).await;
        assert!(by_url.head.cache_status().is_hit(), "{by_url}");
        let cookies = format!("a=1; {}; b=2", pair(&pass));
        let by_cookie = scene
            .gate
            .ask(Request::get(film).header("Cookie", cookies))
            .await;
        assert!(by_cookie.head.cache_status().is_hit(), "{by_cookie}");
        scene.verify(&by_cookie);
    }
    scene.refused(&Request::get(film), "missing").await;
    let parameter = target(&scene.pass("/films/7/a.ts?b=1", |_| ()));
    scene.verify(&scene.gate.get(&parameter).await);
    scene
        .gate
        .ask(Request::new("POST", &parameter).header("Cookie", "pass=x; c=1"))
        .await;
    let log = scene.origin.settled().await;
    let targets: Vec<_> = log.iter().map(|seen| seen.target.as_str()).collect();
    assert_eq!(targets, [film, "/films/7/a.ts?b=1", "/films/7/a.ts?b=1"]);
    assert_eq!(log[2].header("cookie"), Some("c=1"));
    assert_eq!(scene.gate.metric("requests_refused_total").await, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_for_it_is_refused_and_why_is_counted() {
    let scene = scene(|_, _| ()).await;
    let film = "/films/7/a.ts";
    let good = target(&scene.pass(film, |_| ()));
    let below = scene.pass(film, BELOW);
    let query = target(&below).split_once('?').unwrap().1.to_owned();
    let now = SystemTime::now();
    let old = scene.pass_at(film, now - Duration::from_secs(61), |_| ());
    let mine = scene.pass(film, |wish| {
        wish.address = Some("192.0.2.1".parse().unwrap())
    });
    let other_key = key(scene.secrets.path(), "k2");
    let mut other = scene.route.clone();
    other.access.signed.as_mut().unwrap().keys = vec![other_key];
    let wish = Wish {
        url: format!("http://{HOST}{film}"),
        lasts: Duration::from_secs(9),
        prefix: None,
        address: None,
        key: None,
    };
    let foreign = sign(&[other], &wish, now).unwrap();
    let table = [
        (format!("{film}?token=nonsense"), "malformed"),
        (format!("{film}?token="), "malformed"),
        (good.replace("/a.ts", "/b.ts"), "wrong"),
        (good.replace("token=k1.", "token=k1.1"), "wrong"),
        (target(&old), "expired"),
        (target(&foreign), "key"),
        (target(&mine), "address"),
        (format!("/films/8?{query}"), "path"),
        (format!("/films/7/../8?{query}"), "path"),
        (format!("/films/7/%2e%2E/8?{query}"), "path"),
        (format!("/films/7/..%2f8?{query}"), "path"),
        (format!("/films/7/..;/8?{query}"), "path"),
        (format!("//films/7/a.ts?{query}"), "path"),
        (format!("/films/7?{query}"), "path"),
    ];
    for (target, why) in &table {
        scene.refused(&Request::get(target), why).await;
    }
    scene
        .refused(&Request::get(&good).header("Host", "other.test"), "wrong")
        .await;
    assert!(scene.origin.log().is_empty());
    let text = scene.gate.metrics().await;
    for (why, count) in [("path", 7), ("wrong", 3), ("expired", 1), ("missing", 0)] {
        let line = format!("tidegate_requests_refused_total{{reason=\"token_{why}\"}} {count}");
        assert!(text.contains(&line), "{line} in {text}");
    }
    // What is right is let in all the same, be it spelled otherwise or beside a wrong one.
    for target in [
        good.clone(),
        good.replace("/films", "/%66ilms"),
        good.replace("?token", "?token=x&t%6Fken"),
        format!("/films/7/a.ts?{query}"),
    ] {
        scene.verify(&scene.gate.get(&target).await);
    }
    let from = |client: &str| Request::get(&target(&mine)).header("X-Forwarded-For", client);
    scene.verify(&scene.gate.ask(from("192.0.2.1")).await);
    scene.refused(&from("192.0.2.2"), "address").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_without_a_token_that_is_refused() {
    let mut scene = scene(|_, _| ()).await;
    let film = "/films/7/a.ts";
    let old = target(&scene.pass(film, |_| ()));
    let new_key = key(scene.secrets.path(), "k2");
    let keys = &mut scene.route.access.signed.as_mut().unwrap().keys;
    keys.insert(0, new_key);
    let route = scene.route.clone();
    scene
        .gate
        .reload(|settings| settings.routes = vec![route])
        .unwrap();
    let new = target(&scene.pass(film, |_| ()));
    assert!(new.contains("token=k2."), "{new}");
    for target in [&old, &new] {
        assert_eq!(scene.gate.get(target).await.status(), 200);
    }
    scene.route.access.signed.as_mut().unwrap().keys.pop();
    let route = scene.route.clone();
    scene
        .gate
        .reload(|settings| settings.routes = vec![route])
        .unwrap();
    scene.refused(&Request::get(&old), "key").await;
    assert_eq!(scene.gate.get(&new).await.status(), 200);
    // A secret that is replaced in its place is read at the reload.
    fs::write(scene.secrets.path().join("k2"), "another secret").unwrap();
    scene.gate.reload(|_| ()).unwrap();
    scene.refused(&Request::get(&new), "wrong").await;
    // Where one can't be read nothing is changed.
    fs::remove_file(scene.secrets.path().join("k2")).unwrap();
    let error = scene.gate.reload(|_| ()).unwrap_err().to_string();
    assert!(error.starts_with("routes[0].access.signed: "), "{error}");
    let renewed = Request::get(&new);
    scene.refused(&renewed, "wrong").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revalidation_behind_is_not_checked_again_and_bears_no_token() {
    let scene =
        scene(|script, _| script.cache_control = Some("max-age=0, stale-while-revalidate=60"))
            .await;
    let film = "/films/7/a.ts";
    let by_url = target(&scene.pass(film, |_| ()));
    scene.verify(&scene.gate.get(&by_url).await);
    let stale = scene.gate.get(&by_url).await;
    assert!(stale.head.cache_status().has("detail=stale"), "{stale}");
    scene.verify(&stale);
    let log = scene
        .origin
        .wait_for("the revalidation", |log| {
            log.iter().any(|seen| seen.is_conditional())
        })
        .await;
    for seen in &log {
        assert_eq!(seen.target, film, "{seen:#?}");
    }
    assert_eq!(scene.gate.metric("requests_refused_total").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_makes_what_is_taken() {
    let scene = scene(|_, _| ()).await;
    let folder = scene.secrets.path();
    let config = folder.join("tidegate.yaml");
    let text = "listen: [{address: 127.0.0.1:8080}]
cache: {directory: cache}
origins: {media: {servers: [{url: \"http://127.0.0.1:8000\"}]}}
routes: [{path: /, origins: [media], access: {signed: {keys: [{name: k1, secret: {file: k1}}], cookie: pass}}}]
";
    fs::write(&config, text).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("sign").arg("--config").arg(&config);
        command.args(arguments).output().unwrap()
    };
    let url = format!("http://{HOST}/films/7/a.ts");
    let printed = |arguments: &[&str]| {
        let output = run(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    };
    let signed = printed(&[&url, "--expires-in", "5m"]);
    scene.verify(
        &scene
            .gate
            .get(signed.strip_prefix(&format!("http://{HOST}")).unwrap())
            .await,
    );
    let cookie = printed(&[&url, "--prefix", "/films/", "--key", "k1", "--cookie"]);
    let pair = cookie.split(';').next().unwrap();
    let request = Request::get("/films/7/a.ts").header("Cookie", pair);
    scene.verify(&scene.gate.ask(request).await);
    let output = run(&[&url, "--key", "k9"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && told.contains("has no key \"k9\""),
        "{told}"
    );
}
