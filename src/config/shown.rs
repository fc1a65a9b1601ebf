//! The document as an operator may see it: without what might be secret.
//!
//! Secrets proper come from files and the environment, and where they come from is no secret. But a
//! header field for the origin, or the query of a path there, may bear one in plain sight. These are
//! taken out whatever they are, since nobody can tell a key from a word.

use super::node::{Node, Value};
use serde_json::Value as Json;

/// What stands in the place of what was taken out.
const REMOVED: &str = "(removed)";

/// Sections whose texts go as they are: a pattern is full of what ends a path, and a response goes
/// to everybody.
const OPEN: [&str; 2] = ["pattern", "response_headers"];

/// Sections in which every text of a mapping is taken out.
const HIDDEN: [&str; 1] = ["request_headers"];

/// Sections of fields: their texts are taken out likewise, but not where a secret is.
const FIELDS: [&str; 1] = ["headers"];

/// Parts of a key's name that say that its text is not for everybody.
const TELLING: [&str; 6] = [
    "authorization",
    "bearer",
    "cookie",
    "password",
    "secret",
    "token",
];

/// A document as JSON.
pub(super) fn without_secrets(root: &Node) -> serde_json::Map<String, Json> {
    match json(root, Look::Plain) {
        Json::Object(shown) => shown,
        _ => serde_json::Map::new(),
    }
}

/// How the texts of a part are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Shown, but for the query of a path.
    Plain,
    /// Shown as they are.
    Open,
    /// Taken out.
    Hidden,
    /// A mapping of fields, or a list of their names.
    Fields,
    /// What a field says: taken out, unless it is where a secret is.
    Field,
}

impl Look {
    fn within(self, key: &str) -> Self {
        let key = key.to_ascii_lowercase();
        match self {
            Self::Hidden | Self::Open => self,
            Self::Fields => Self::Field,
            // A file or a variable.
            Self::Field => Self::Open,
            Self::Plain if OPEN.contains(&&*key) => Self::Open,
            Self::Plain if HIDDEN.contains(&&*key) => Self::Hidden,
            Self::Plain if FIELDS.contains(&&*key) => Self::Fields,
            Self::Plain => Self::Plain,
        }
    }

    fn hides_numbers(self) -> bool {
        matches!(self, Self::Hidden | Self::Field)
    }

    fn text(self, key: &str, text: &str) -> Json {
        let key = key.to_ascii_lowercase();
        // A parameter, a file and the like may be named so.
        let names = ["parameter", "cookie", "token_file"].contains(&&*key);
        let telling = !names && TELLING.iter().any(|word| key.contains(word));
        match (self, text.split_once('?')) {
            (Self::Open, _) => text.into(),
            (Self::Hidden | Self::Fields | Self::Field, _) => REMOVED.into(),
            (Self::Plain, _) if telling => REMOVED.into(),
            (Self::Plain, Some((path, query))) if query.contains('=') => {
                format!("{path}?{REMOVED}").into()
            }
            (Self::Plain, _) => text.into(),
        }
    }
}

fn json(node: &Node, look: Look) -> Json {
    named("", node, look)
}

fn named(key: &str, node: &Node, look: Look) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(switch) => (*switch).into(),
        Value::Integer(_) | Value::Float(_) if look.hides_numbers() => REMOVED.into(),
        Value::Integer(number) => match i64::try_from(*number) {
            Ok(number) => number.into(),
            Err(_) => number.to_string().into(),
        },
        Value::Float(number) => (*number).into(),
        Value::Text(text) => look.text(key, text),
        // The items of a list of names are no values of them.
        Value::List(items) => {
            let look = match look {
                Look::Hidden | Look::Fields => Look::Open,
                look => look,
            };
            items.iter().map(|item| json(item, look)).collect()
        }
        Value::Mapping(entries) => {
            let entry = |entry: &super::node::Entry| {
                let look = look.within(&entry.key);
                (entry.key.clone(), named(&entry.key, &entry.node, look))
            };
            Json::Object(entries.iter().map(entry).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{node, tests::MINIMAL};

    fn shown(text: &str) -> Json {
        Json::Object(without_secrets(&node::parse(text).unwrap()))
    }

    #[test]
    fn what_may_be_secret_is_taken_out_and_the_rest_stays() {
        let text = r#"
            origins:
              media:
                servers: [{url: "http://a:1"}]
                check: {path: "/health?key=hunter2", interval: 5s}
                credentials: {bearer: {file: media.token}}
            routes:
              - pattern: "^/(?<id>a=b)$"
                request_headers: {set: {X-Any: hunter2, X-Number: 7, File: hunter2}, remove: [Cookie]}
                response_headers: {set: {X-Cache: "a?b=c"}}
                origins: [{origin: media, path: "/${id}?sig=hunter2"}]
                access: {signed: {cookie: ticket, keys: [{secret: {env: KEY}}]}}
            traces:
              headers: {Authorization: {file: traces.token}, X-Key: {env: TRACES}, X-Any: hunter2, File: hunter2}
            api_token: hunter2
        "#;
        let shown = shown(text);
        assert!(!shown.to_string().contains("hunter2"), "{shown:#}");
        let at = |path: &str| shown.pointer(path).unwrap().clone();
        assert_eq!(at("/origins/media/servers/0/url"), "http://a:1");
        let told = |field: &str| at(&format!("/traces/headers/{field}"));
        assert_eq!(told("Authorization/file"), "traces.token");
        assert_eq!(told("X-Key/env"), "TRACES");
        assert_eq!(told("File"), "(removed)");
        assert_eq!(at("/origins/media/check/path"), "/health?(removed)");
        assert_eq!(at("/origins/media/credentials/bearer/file"), "media.token");
        let route = |path: &str| at(&format!("/routes/0/{path}"));
        assert_eq!(route("pattern"), "^/(?<id>a=b)$");
        assert_eq!(route("request_headers/set/X-Number"), "(removed)");
        assert_eq!(route("request_headers/remove/0"), "Cookie");
        assert_eq!(route("response_headers/set/X-Cache"), "a?b=c");
        assert_eq!(route("access/signed/cookie"), "ticket");
        assert_eq!(route("access/signed/keys/0/secret/env"), "KEY");
    }

    #[test]
    fn settings_bring_it_along() {
        let settings = crate::config::parse(MINIMAL).unwrap();
        assert_eq!(settings.shown["cache"]["directory"], "/var/cache/tidegate");
        assert_eq!(settings.shown["cache"]["max_size"], "10GiB");
    }
}
