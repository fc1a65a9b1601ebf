//! Objects of a bucket that answers only to those who sign.

use crate::{
    client::Request,
    gate::Gate,
    origin::Origin,
    s3::{BUCKET, ODD_KEYS, S3},
};
use std::fs;
use tempfile::TempDir;
use tidegate::origin::{Credentials, SecretSource, ServerConfig};

const SIZE: usize = 300_000;

#[tokio::test]
async fn a_bucket_is_served_to_those_who_cannot_sign() {
    let s3 = S3::start("access", "secret").await;
    let (_secrets, gate) = before(&s3, "secret").await;
    for (number, (key, target)) in ODD_KEYS.iter().enumerate() {
        let body = content(number);
        s3.put(key, &body);
        let target = format!("/{BUCKET}/{target}");
        let part = gate.bytes(&target, 70_000, 140_000).await;
        assert_eq!(part.status(), 206, "{target} {part}");
        assert!(part.body == body[70_000..=140_000], "{target}");
        let whole = gate.get(&target).await;
        assert_eq!(whole.status(), 200, "{target} {whole}");
        assert!(whole.body == body, "{target}");
    }
}

#[tokio::test]
async fn what_a_client_says_of_itself_does_not_get_in_the_way() {
    let s3 = S3::start("access", "secret").await;
    let (_secrets, gate) = before(&s3, "secret").await;
    s3.put("film", &content(0));
    let request = Request::get(&format!("/{BUCKET}/film"))
        .header("x-amz-date", "20000101T000000Z")
        .header("x-amz-content-sha256", "nonsense");
    let answer = gate.ask(request).await;
    assert_eq!(answer.status(), 200, "{answer}");
    assert!(answer.body == content(0));
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    let s3 = S3::start("access", "secret").await;
    let (_secrets, gate) = before(&s3, "wrong").await;
    s3.put("film", &content(0));
    let answer = gate.get(&format!("/{BUCKET}/film")).await;
    assert_eq!(answer.status(), 403, "{answer}");
}

/// A Tidegate before a bucket, and the directory of its secrets.
async fn before(s3: &S3, secret: &str) -> (TempDir, Gate) {
    let secrets = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = secrets.path().join(name);
        fs::write(&path, text).unwrap();
        SecretSource::File(path)
    };
    let credentials = Credentials::Aws {
        region: "us-east-1".into(),
        service: "s3".into(),
        access_key: file("access", "access"),
        secret_key: file("secret", secret),
        session_token: None,
    };
    let url = format!("http://{}", s3.address()).parse().unwrap();
    let unused = Origin::start().await;
    let gate = Gate::with(&unused, |settings| {
        settings.origins[0].servers = vec![ServerConfig { url, weight: 1 }];
        settings.origins[0].credentials = Some(credentials);
    })
    .await;
    (secrets, gate)
}

fn content(number: usize) -> Vec<u8> {
    (0..SIZE).map(|at| ((at + number) % 251) as u8).collect()
}
