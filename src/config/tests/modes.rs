//! When answers begin, what is kept by size, and the operators' way past the cache.

use super::super::parse;
use super::{altered, mistakes};
use crate::{
    domain::Sizes,
    origin::SecretSource,
    proxy::{Bypass, Mode, Route},
};

fn routes(keys: &str) -> String {
    altered(&format!("routes: [{{path: /, origins: [media], {keys}}}]"))
}

fn route(keys: &str) -> Route {
    let settings = parse(&routes(keys)).unwrap_or_else(|mistakes| panic!("{keys}: {mistakes}"));
    settings.routes[0].clone()
}

fn clients(keys: &str) -> String {
    altered(&format!("clients: {{bypass: {{{keys}}}}}"))
}

#[test]
fn modes_and_sizes_are_set() {
    assert_eq!(route("").mode, Mode::Streaming);
    assert_eq!(route("mode: streaming").mode, Mode::Streaming);
    assert_eq!(route("mode: store_first").mode, Mode::StoreFirst);
    let default = Sizes::default();
    assert_eq!(route("").sizes, default);
    let sizes = route("min_size: 1KiB, max_size: 1MiB").sizes;
    let (min, max) = (1 << 10, 1 << 20);
    assert_eq!(sizes, Sizes { min, max });
    assert_eq!(route("min_size: 1KiB").sizes, Sizes { min, ..default });
    assert_eq!(route("max_size: 1MiB").sizes, Sizes { max, ..default });
}

#[test]
fn a_way_past_the_cache_has_a_secret_and_a_place() {
    let bypass = |keys: &str| parse(&clients(keys)).unwrap().clients.bypass.unwrap();
    let secret = SecretSource::File("past.secret".into());
    let header = Some("x-past".parse().unwrap());
    assert_eq!(
        bypass("secret: {file: past.secret}, header: X-Past, parameter: past"),
        Bypass {
            secret: secret.clone(),
            header: header.clone(),
            parameter: Some("past".into()),
        }
    );
    assert_eq!(
        bypass("secret: {file: past.secret}, header: X-Past"),
        Bypass {
            secret,
            header,
            parameter: None
        }
    );
}

#[test]
fn what_contradicts_itself_or_the_store_is_refused() {
    for (text, path, expected) in [
        (
            routes("mode: fast"),
            "routes[0].mode",
            "streaming or store_first",
        ),
        (
            routes("min_size: 2KiB, max_size: 1KiB"),
            "routes[0].min_size",
            "at most max_size (1KiB)",
        ),
        (
            routes("max_size: 20GiB"),
            "routes[0].max_size",
            "at most cache.max_size (10GiB)",
        ),
        (
            routes("min_size: 20GiB"),
            "routes[0].min_size",
            "at most cache.max_size (10GiB)",
        ),
        (routes("max_size: 0"), "routes[0].max_size", "a size from"),
        (
            clients("header: X-Past"),
            "clients.bypass.secret",
            "required",
        ),
        (
            clients("secret: {file: past.secret}"),
            "clients.bypass",
            "header, parameter or both",
        ),
        (
            clients("secret: open-sesame, header: X-Past"),
            "clients.bypass.secret",
            "does not belong in this file",
        ),
        (
            clients("secret: {file: past.secret}, header: Range"),
            "clients.bypass.header",
            "",
        ),
    ] {
        let found = mistakes(&text).join("\n");
        assert!(
            found.contains(path) && found.contains(expected),
            "{text}\n{found}"
        );
        assert!(!found.contains("open-sesame"), "{found}");
    }
}
