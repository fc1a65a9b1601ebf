use super::*;
use crate::origin::SecretSource;
use std::{fs, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[expect(dead_code, reason = "only the integration tests have it fail")]
#[path = "../../../tests/it/s3.rs"]
mod s3;

use s3::S3;

/// Secrets in files, for as long as this lives.
struct Secrets(TempDir);

impl Secrets {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, secret: &str) -> SecretSource {
        let name = fs::read_dir(self.0.path()).unwrap().count().to_string();
        let path = self.0.path().join(name);
        fs::write(&path, secret).unwrap();
        SecretSource::File(path)
    }

    fn aws(&self, service: &str, keys: (&str, &str), token: Option<&str>) -> Identity {
        let credentials = Credentials::Aws {
            region: "us-east-1".into(),
            service: service.into(),
            access_key: self.file(keys.0),
            secret_key: self.file(keys.1),
            session_token: token.map(|token| self.file(token)),
        };
        Identity::load(&credentials).unwrap()
    }
}

fn get(target: &str) -> RequestHeader {
    RequestHeader::build("GET", target.as_bytes(), None).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn field<'a>(head: &'a RequestHeader, name: &str) -> &'a str {
    let mut values = head.headers.get_all(name).into_iter();
    let value = values.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(values.next().is_none(), "{name} is there more than once");
    value.to_str().unwrap()
}

fn signature(head: &RequestHeader) -> &str {
    field(head, "authorization")
        .rsplit_once("Signature=")
        .unwrap()
        .1
}

#[test]
fn ours_replaces_the_clients() {
    let secrets = Secrets::new();
    let own = HeaderName::from_static("x-key");
    let table = [
        (
            Credentials::Bearer(secrets.file("hush")),
            "authorization",
            "Bearer hush",
        ),
        (
            Credentials::Basic {
                user: "Aladdin".into(),
                password: secrets.file("open sesame"),
            },
            "authorization",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (
            Credentials::Header {
                name: own,
                value: secrets.file("hush"),
            },
            "x-key",
            "hush",
        ),
    ];
    for (credentials, name, value) in table {
        let identity = Identity::load(&credentials).unwrap();
        let mut head = get("/a?b");
        for (name, value) in [("authorization", "mine"), ("x-key", "1"), ("x-key", "2")] {
            head.append_header(name, value).unwrap();
        }
        identity.sign(&mut head, "a.example", true, at(0)).unwrap();
        assert_eq!(field(&head, name), value);
        assert!(head.headers[name].is_sensitive());
        assert_eq!(head.raw_path(), b"/a?b");
        let shown = format!("{identity:?}");
        assert!(
            !shown.contains("hush") && !shown.contains("sesame"),
            "{shown}"
        );
    }
}

#[test]
fn a_parameter_is_added_to_the_target() {
    let value = Secrets::new();
    let credentials = Credentials::Query {
        name: "token".into(),
        value: value.file("a b&c"),
    };
    let identity = Identity::load(&credentials).unwrap();
    for (arrived, sent) in [
        ("/a", "/a?token=a%20b%26c"),
        ("/a%2F+?x=1&token=2&%74oken=3", "/a%2F+?x=1&token=a%20b%26c"),
        ("http://b.example/a?x", "/a?x&token=a%20b%26c"),
    ] {
        let mut head = get(arrived);
        identity.sign(&mut head, "a.example", true, at(0)).unwrap();
        assert_eq!(std::str::from_utf8(head.raw_path()).unwrap(), sent);
    }
}

/// `get-vanilla` and `get-vanilla-query-order-key-case` of AWS's test suite.
#[test]
fn signatures_are_those_that_aws_published() {
    let keys = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let identity = Secrets::new().aws("service", keys, None);
    let table = [
        (
            "/",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ];
    for (target, expected) in table {
        let mut head = get(target);
        head.insert_header("range", "bytes=0-9").unwrap();
        let now = at(1_440_938_160);
        identity
            .sign(&mut head, "example.amazonaws.com", true, now)
            .unwrap();
        assert_eq!(signature(&head), expected, "{target}");
        assert_eq!(field(&head, "x-amz-date"), "20150830T123600Z");
    }
}

/// The expected signature is from a second implementation, which gives that of the example "GET
/// Object" in the documentation of S3 as well.
#[test]
fn s3_is_asked_in_its_own_writing_with_nothing_of_the_clients() {
    let keys = (
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    );
    let identity = Secrets::new().aws("s3", keys, Some("a token"));
    let mut head = get("/a%20b+\u{fc}%2Fit's!.mp4?partNumber=1&X-Amz-Signature=1&versionId=a/b");
    for (name, value) in [
        ("range", "bytes=0-9"),
        ("via", "1.1 tidegate"),
        ("authorization", "mine"),
        ("x-amz-security-token", "mine"),
        ("x-amz-date", "mine"),
        ("host", "mine"),
    ] {
        head.insert_header(name, value).unwrap();
    }
    let host = "examplebucket.s3.amazonaws.com";
    identity
        .sign(&mut head, host, true, at(1_369_353_600))
        .unwrap();
    assert_eq!(
        head.raw_path(),
        b"/a%20b%2B%C3%BC/it%27s%21.mp4?partNumber=1&versionId=a%2Fb"
    );
    assert_eq!(
        field(&head, "authorization"),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, \
         Signature=4380db197949ae6b4483e3e30ecefde6372de6d0842d4f626876124bda126c2a"
    );
    assert_eq!(field(&head, "host"), host);
    assert_eq!(field(&head, "x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
    assert_eq!(field(&head, "x-amz-security-token"), "a token");
}

#[test]
fn dot_segments_are_not_vouched_for() {
    let identity = Secrets::new().aws("s3", ("a", "b"), None);
    let signed = identity.sign(&mut get("/bucket/%2E%2E/other"), "a", true, at(0));
    assert!(matches!(signed, Err(SignError::DotSegments)), "{signed:?}");
}

#[tokio::test]
async fn an_s3_server_takes_our_signature_and_no_other() {
    let server = S3::start("access", "secret").await;
    let secrets = Secrets::new();
    let ours = secrets.aws("s3", ("access", "secret"), None);
    let body: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
    for (key, target) in s3::ODD_KEYS {
        server.put(key, &body);
        let target = format!("/{}/{target}", s3::BUCKET);
        let (status, whole) = ask(&server, &ours, &target, None).await;
        assert_eq!((status, whole == body), (200, true), "{target}");
        let (status, part) = ask(&server, &ours, &target, Some("bytes=1000-1999")).await;
        assert_eq!((status, &*part), (206, &body[1000..2000]), "{target}");
    }
    server.put("plain", &body);
    let target = format!("/{}/plain", s3::BUCKET);
    for keys in [("access", "wrong"), ("nobody", "secret")] {
        let other = secrets.aws("s3", keys, None);
        let (status, _) = ask(&server, &other, &target, None).await;
        assert_eq!(status, 403, "{keys:?}");
    }
}

async fn ask(
    server: &S3,
    identity: &Identity,
    target: &str,
    range: Option<&str>,
) -> (u16, Vec<u8>) {
    let mut head = get(target);
    let authority = server.address().to_string();
    identity
        .sign(&mut head, &authority, false, SystemTime::now())
        .unwrap();
    let mut text = format!(
        "GET {} HTTP/1.1\r\n",
        str::from_utf8(head.raw_path()).unwrap()
    );
    for (name, value) in &head.headers {
        text += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    if let Some(range) = range {
        text += &format!("Range: {range}\r\n");
    }
    text += "Connection: close\r\n\r\n";
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let status = str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer.split_off(end + 4))
}
