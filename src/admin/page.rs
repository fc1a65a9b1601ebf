//! The status page: one document with its style and its script in it.
//!
//! It says nothing of the process by itself; its script asks the API. It loads nothing from
//! anywhere, and its policy lets it do nothing else: just this style and this script run, and only
//! this address is asked.

use super::answer::Answer;
use base64::prelude::{BASE64_STANDARD, Engine};
use http::{HeaderName, HeaderValue, header};
use ring::digest::{SHA256, digest};
use std::sync::LazyLock;

/// The document, and the policy that goes with it.
struct Document {
    html: String,
    /// The same for who can read nothing without the token.
    shut: String,
    policy: HeaderValue,
}

const FRAME: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
/// In the order in which they use one another.
const SCRIPTS: [&str; 7] = [
    include_str!("page/api.js"),
    include_str!("page/text.js"),
    include_str!("page/plots.js"),
    include_str!("page/overview.js"),
    include_str!("page/chunks.js"),
    include_str!("page/objects.js"),
    include_str!("page/purge.js"),
];

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let script = SCRIPTS.concat();
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        source(&script),
        source(STYLE)
    );
    let html = FRAME
        .replacen("/* style */", STYLE, 1)
        .replacen("/* script */", &script, 1);
    Document {
        shut: html.replacen(ADMITTED, NEEDS_TOKEN, 1),
        html,
        policy: HeaderValue::try_from(policy).expect("it is ASCII"),
    }
});

/// What the script is told of who has loaded the page.
const ADMITTED: &str = r#"data-reader="admitted""#;
const NEEDS_TOKEN: &str = r#"data-reader="needs-token""#;

/// How a policy names a text (CSP level 3, section 2.3.1).
fn source(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    format!("'sha256-{}'", BASE64_STANDARD.encode(digest))
}

/// The page, for who needs the token to read anything or does not.
pub(super) fn page(needs_token: bool) -> Answer {
    let Document { html, shut, policy } = &*DOCUMENT;
    let html = if needs_token { shut } else { html };
    Answer::of("text/html; charset=utf-8", html.clone().into_bytes())
        .with_value(header::CONTENT_SECURITY_POLICY, policy.clone())
        .with(HeaderName::from_static("x-frame-options"), "DENY")
}
