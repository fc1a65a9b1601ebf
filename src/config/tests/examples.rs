//! The worked examples are valid, and are examples of what they say.

use super::super::parse;
use crate::{
    origin::{Balance, Credentials, SecretSource},
    proxy::{Matcher, PageOrigin, PageOrigins},
    server::Settings,
};
use std::time::Duration;

#[test]
fn a_private_bucket_is_asked_with_a_signature_and_by_its_own_path() {
    let settings = parse(include_str!("../../../conf/examples/s3-bucket.yaml"))
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let [bucket] = &settings.origins[..] else {
        panic!("{settings:#?}")
    };
    let Some(Credentials::Aws {
        service,
        secret_key,
        ..
    }) = &bucket.credentials
    else {
        panic!("{bucket:#?}")
    };
    assert_eq!(service, "s3");
    assert_eq!(*secret_key, SecretSource::File("s3.secret-key".into()));
    let route = &settings.routes[0];
    assert!(route.key.query.ignores_signatures);
    let Matcher::Pattern(pattern) = &route.matcher else {
        panic!("{route:#?}")
    };
    let found = pattern.captures("/films/1.mp4").unwrap();
    let path = route.origins[0].path.as_ref().unwrap();
    let path = path.fill(|name| found.name(name).map(|group| group.as_str()));
    assert_eq!(path, "/my-bucket/films/1.mp4?");
    assert!(!pattern.is_match("/"), "the bucket would be listed");
}

#[test]
fn a_signed_film_is_let_in_by_url_and_cookie_and_shown_on_one_page() {
    let settings = parse(include_str!("../../../conf/examples/signed-video.yaml"))
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let [route] = &settings.routes[..] else {
        panic!("{settings:#?}")
    };
    let signed = route.access.signed.as_ref().unwrap();
    let names: Vec<_> = signed.keys.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["2025", "2024"]);
    assert_eq!(
        (signed.parameter.as_str(), signed.cookie.as_deref()),
        ("token", Some("films"))
    );
    let page = PageOrigin::parse("https://www.example.com").unwrap();
    let cors = route.cors.as_ref().unwrap();
    assert_eq!(cors.origins, PageOrigins::These(vec![page]));
    assert!(cors.credentials && route.access.referers.as_ref().unwrap().allow_none);
    assert!(settings.clients.rate.is_some() && settings.clients.trusted_proxies.len() == 1);
}

#[test]
fn an_original_stands_in_for_a_film_that_cannot_be_transformed() {
    let settings = parse(include_str!("../../../conf/examples/fallback.yaml"))
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let transformer = &settings.origins[0];
    assert_eq!(transformer.servers.len(), 2);
    assert_eq!(transformer.balance, Balance::LeastLoaded);
    assert!(transformer.check.is_some());
    let [first, fallback] = &settings.routes[0].origins[..] else {
        panic!("{settings:#?}")
    };
    assert_eq!((first.path.as_ref(), first.ttl), (None, None));
    assert_eq!(
        fallback.path.as_ref().unwrap().to_string(),
        "/orig/${id}.mp4"
    );
    assert_eq!(fallback.ttl, Some(Duration::from_secs(30)));
}

#[test]
fn spellings_of_one_derivative_are_one_object_and_one_request() {
    let settings = parse(include_str!("../../../conf/examples/derivatives.yaml"))
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let configured = settings.configured();
    let explain = |query: &str| {
        let url = format!("http://a.example/films/7.mp4?{query}");
        configured.explain(&url)
    };
    let own = explain("derivative=poster").unwrap();
    assert_eq!(own.origins[0].target, "/make/w=720,fit=contain,t=5s/7.mp4");
    for query in [
        "imwidth=700&t=00:05",
        "time=5s&width=720&utm_source=x",
        "t=0005&fit=CONTAIN",
    ] {
        let explained = explain(query).unwrap();
        assert_eq!(explained.key, own.key, "{query}");
        assert_eq!(explained.origins, own.origins, "{query}");
    }
    assert_ne!(explain("derivative=thumb").unwrap().key, own.key);
    let told = explain("width=5").unwrap_err().to_string();
    let expected = "clients get 400: width: expected a whole number from 16 to 4096, found \"5\"";
    assert_eq!(told, expected);
}

/// The examples that stand in conf/, by name.
fn all() -> Vec<(String, Settings)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/examples");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let settings = parse(&text).unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display()));
        (
            path.file_stem().unwrap().to_string_lossy().into_owned(),
            settings,
        )
    });
    files.collect()
}

#[test]
fn every_example_is_valid_and_told_of() {
    let pages = [
        include_str!("../../../README.md"),
        include_str!("../../../conf/OPERATING.md"),
    ];
    for (name, _) in all() {
        let file = format!("examples/{name}.yaml");
        assert!(pages.iter().any(|page| page.contains(&file)), "{file}");
    }
}

#[test]
fn each_kind_of_path_goes_by_the_route_that_is_meant_for_it() {
    let table = [
        ("hls", "/live/7/master.m3u8", 0),
        ("hls", "/vod/7/seg-3.m4s", 1),
        (
            "package-mirror",
            "/debian/pool/main/c/curl/curl_8.1_amd64.deb",
            0,
        ),
        (
            "package-mirror",
            "/debian/dists/stable/main/by-hash/SHA256/ab",
            0,
        ),
        ("package-mirror", "/debian/dists/stable/InRelease", 1),
        (
            "model-weights",
            "/org/model/resolve/0123456789abcdef0123456789abcdef01234567/a.bin",
            0,
        ),
        ("model-weights", "/org/model/resolve/main/config.json", 1),
    ];
    let all = all();
    for (name, path, route) in table {
        let (_, settings) = all.iter().find(|(of, _)| of == name).unwrap();
        let explained = settings
            .configured()
            .explain(&format!("http://a.example{path}"));
        let taken = explained.unwrap().route;
        assert!(
            taken.starts_with(&format!("routes[{route}]")),
            "{path}: {taken}"
        );
    }
}

#[test]
fn an_edge_leads_to_the_shields_that_are_told_of() {
    let all = all();
    let settings = |name: &str| &all.iter().find(|(of, _)| of == name).unwrap().1;
    let edge = settings("peers-edge");
    let ring = &edge.origins[0];
    assert_eq!(ring.balance, Balance::Hash);
    assert_eq!(ring.groups.size(), Some(4 << 20));
    assert!(ring.pass_host);
    for (nth, name) in ["peers-shield-a", "peers-shield-b"].iter().enumerate() {
        let shield = settings(name);
        let url = format!("http://{}/", shield.listen[0].address);
        assert_eq!(ring.servers[nth].url, url.as_str());
        assert_eq!(shield.store.chunk_size, edge.store.chunk_size);
        assert_ne!(shield.clients.name, edge.clients.name);
    }
}

/// Whoever begins with one of them will want to purge and to see what happens.
#[test]
fn each_has_an_admin_address_on_loopback() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let settings = parse(&text).unwrap_or_else(|mistakes| panic!("{path:?}: {mistakes}"));
        let admin = settings.admin.map(|admin| admin.address.ip());
        assert!(admin.is_some_and(|ip| ip.is_loopback()), "{path:?}");
        seen += 1;
    }
    assert!(seen > 9, "{seen}");
}
