//! Credentials, and what is tried of secrets when a file is loaded.

use super::super::{load, parse};
use super::{altered, mistakes, origins::origin};
use crate::origin::{
    Credentials::{self, Aws, Basic, Bearer, Header, Query},
    SecretSource::{Environment, File},
};
use std::fs;

fn credentials(keys: &str) -> Credentials {
    let text = altered(&origin(&format!("credentials: {{{keys}}}")));
    let settings = parse(&text).unwrap_or_else(|mistakes| panic!("{keys}: {mistakes}"));
    settings.origins[0].credentials.clone().unwrap()
}

#[test]
fn each_kind_of_credentials_is_set() {
    let file = |name: &str| File(name.into());
    let env = |name: &str| Environment(name.into());
    let aws = |service: &str, session_token| Aws {
        region: "eu-central-1".into(),
        service: service.into(),
        access_key: env("ID"),
        secret_key: file("s3.secret"),
        session_token,
    };
    for (keys, expected) in [
        ("bearer: {file: token}", Bearer(file("token"))),
        ("bearer: {env: TOKEN}", Bearer(env("TOKEN"))),
        (
            "basic: {user: u, password: {file: p}}",
            Basic {
                user: "u".into(),
                password: file("p"),
            },
        ),
        (
            "header: {name: X-Api-Key, value: {env: KEY}}",
            Header {
                name: "x-api-key".parse().unwrap(),
                value: env("KEY"),
            },
        ),
        (
            "query: {name: token, value: {file: t}}",
            Query {
                name: "token".into(),
                value: file("t"),
            },
        ),
        (
            "aws: {region: eu-central-1, access_key: {env: ID}, secret_key: {file: s3.secret}}",
            aws("s3", None),
        ),
        (
            "aws: {region: eu-central-1, service: s3-outposts, access_key: {env: ID}, \
             secret_key: {file: s3.secret}, session_token: {env: T}}",
            aws("s3-outposts", Some(env("T"))),
        ),
    ] {
        assert_eq!(credentials(keys), expected, "{keys}");
    }
}

#[test]
#[rustfmt::skip]
fn each_mistake_in_credentials_is_told() {
    const KINDS: &str = "expected exactly one of bearer, basic, header, query, aws";
    const INLINE: &str = "expected {file: PATH} or {env: NAME}; the secret itself does not belong in this file";
    for (keys, expected) in [
        ("", format!(": {KINDS}, found 0")),
        ("bearer: {env: A}, query: {name: a, value: {env: A}}", format!(": {KINDS}, found 2")),
        ("bearer: hunter2", format!(".bearer: {INLINE}")),
        ("basic: {user: u, password: 1234}", format!(".basic.password: {INLINE}")),
        ("bearer: {}", ".bearer: expected file or env, found neither".into()),
        ("bearer: {file: a, env: A}", ".bearer: expected either file or env, found both".into()),
        ("bearer: {fiel: a, env: A}", ".bearer.fiel: unknown key; did you mean file? (known here: file, env)".into()),
        ("bearer: {env: A=B}", ".bearer.env: expected the name of an environment variable, found \"A=B\"".into()),
        ("basic: {user: 'a:b', password: {env: A}}", ".basic.user: expected the name of a user, without \":\", found \"a:b\"".into()),
        ("basic: {password: {env: A}}", ".basic.user: required, but missing".into()),
        ("header: {name: Host, value: {env: A}}", ".header.name: host cannot be changed: origins.*.host is for that".into()),
        ("query: {name: 'a=b', value: {env: A}}", ".query.name: expected the whole name of a query parameter, as it stands in URLs, found \"a=b\"".into()),
        ("aws: {region: eu/1, access_key: {env: A}, secret_key: {env: B}}", ".aws.region: expected a name such as eu-central-1 or s3, found \"eu/1\"".into()),
        ("aws: {region: eu, access_key: {env: A}}", ".aws.secret_key: required, but missing".into()),
        ("aws: {region: eu, access_key: {env: A}, secret_key: {env: B}, session_token: x}", format!(".aws.session_token: {INLINE}")),
    ] {
        let text = altered(&origin(&format!("credentials: {{{keys}}}")));
        assert_eq!(mistakes(&text), [format!("origins.media.credentials{expected}")], "{keys}");
    }
}

#[test]
fn secrets_and_certificates_are_tried_when_a_file_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("good"), " hunter2\n").unwrap();
    fs::write(at("blank"), "\n").unwrap();
    fs::write(at("long"), "hunter\n2").unwrap();
    let told = |keys: &str| {
        let lines = format!("cache: {{directory: .}}\n{}", origin(keys));
        fs::write(at("tidegate.yaml"), altered(&lines)).unwrap();
        load(&at("tidegate.yaml")).map_err(|mistakes| mistakes.to_string())
    };
    let settings = told("credentials: {bearer: {file: good}}").unwrap();
    let secret = Bearer(File(at("good")));
    assert_eq!(settings.origins[0].credentials, Some(secret));
    // Cargo sets it for tests.
    told("credentials: {bearer: {env: CARGO_MANIFEST_DIR}}").unwrap();

    for (keys, expected) in [
        (
            "credentials: {bearer: {file: none}}",
            "none: cannot be read: No such file",
        ),
        (
            "credentials: {bearer: {file: .}}",
            "cannot be read: Is a directory",
        ),
        (
            "credentials: {bearer: {file: blank}}",
            "blank: holds nothing but white space",
        ),
        (
            "credentials: {bearer: {file: long}}",
            "long: holds more than one line of plain text",
        ),
        (
            "credentials: {bearer: {env: TIDEGATE_NOT_SET}}",
            "credentials.bearer.env: the environment variable TIDEGATE_NOT_SET is not set",
        ),
        ("tls: {ca: none}", "media.tls.ca: "),
        (
            "tls: {certificate: none, key: good}",
            "media.tls.certificate: ",
        ),
        ("tls: {certificate: good, key: none}", "media.tls.key: "),
    ] {
        let text = told(keys).unwrap_err();
        assert!(text.contains("1 mistake\n"), "{keys}: {text}");
        assert!(text.contains(expected), "{expected} in {text}");
        assert!(!text.contains("hunter"), "{text}");
    }
}
