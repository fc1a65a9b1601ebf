//! Who we are to an origin. Secrets are not in the configuration but in files or the environment,
//! and no message shows one.

use super::{
    fields::sendable_name,
    files,
    node::Value,
    scalar::{spelled, text},
    section::Section,
    spot::Spot,
};
use crate::origin::{Credentials, SecretSource};
use std::env::{self, VarError};

/// Exactly one kind of them.
pub(super) fn credentials(at: &Spot) -> Option<Credentials> {
    at.section(|keys| {
        let all = [
            keys.optional("bearer", |at| secret(at).map(Credentials::Bearer)),
            keys.optional("basic", |at| at.section(basic)),
            keys.optional("header", |at| at.section(header)),
            keys.optional("query", |at| at.section(query)),
            keys.optional("aws", |at| at.section(aws)),
        ];
        let given = KINDS.iter().filter(|kind| keys.has(kind)).count();
        match given {
            1 => all.into_iter().flatten().next(),
            _ => at.refuse(format!(
                "expected exactly one of {}, found {given}",
                KINDS.join(", ")
            )),
        }
    })
}

const KINDS: [&str; 5] = ["bearer", "basic", "header", "query", "aws"];

fn basic(keys: &mut Section) -> Option<Credentials> {
    const EXPECTED: &str = "the name of a user, without \":\"";
    let name = |at: &Spot| spelled(at, EXPECTED, |c| c != ':' && !c.is_control());
    let user = keys.required("user", name);
    let password = keys.required("password", secret);
    Some(Credentials::Basic {
        user: user?,
        password: password?,
    })
}

fn header(keys: &mut Section) -> Option<Credentials> {
    let name = keys.required("name", sendable_name);
    let value = keys.required("value", secret);
    Some(Credentials::Header {
        name: name?,
        value: value?,
    })
}

fn query(keys: &mut Section) -> Option<Credentials> {
    let name = keys.required("name", parameter);
    let value = keys.required("value", secret);
    Some(Credentials::Query {
        name: name?,
        value: value?,
    })
}

/// The name of a query parameter, no pattern of names.
pub(super) fn parameter(at: &Spot) -> Option<String> {
    const EXPECTED: &str = "the whole name of a query parameter, as it stands in URLs";
    let plain = |c: char| c.is_ascii_graphic() && !"&=#?;*".contains(c);
    spelled(at, EXPECTED, plain)
}

fn aws(keys: &mut Section) -> Option<Credentials> {
    let region = keys.required("region", scope);
    let service = keys.optional("service", scope);
    let access_key = keys.required("access_key", secret);
    let secret_key = keys.required("secret_key", secret);
    let session_token = keys.optional("session_token", secret);
    Some(Credentials::Aws {
        region: region?,
        service: service.unwrap_or_else(|| OBJECT_STORE.to_owned()),
        access_key: access_key?,
        secret_key: secret_key?,
        session_token,
    })
}

/// The service that objects are kept in.
const OBJECT_STORE: &str = "s3";

/// A part of what a signature is good for; slashes join them.
fn scope(at: &Spot) -> Option<String> {
    const EXPECTED: &str = "a name such as eu-central-1 or s3";
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    spelled(at, EXPECTED, plain)
}

/// Where a secret is read from; what stands here in its place is not repeated.
pub(super) fn secret(at: &Spot) -> Option<SecretSource> {
    if !matches!(at.value(), Value::Mapping(_) | Value::Null) {
        return at.refuse(
            "expected {file: PATH} or {env: NAME}; the secret itself does not belong in this file",
        );
    }
    at.section(|keys| {
        let file = keys.optional("file", files::secret);
        let variable = keys.optional("env", variable);
        match (keys.has("file"), keys.has("env")) {
            (true, true) => at.refuse("expected either file or env, found both"),
            (false, false) => at.refuse("expected file or env, found neither"),
            _ => {
                let file = file.map(SecretSource::File);
                file.or(variable.map(SecretSource::Environment))
            }
        }
    })
}

fn variable(at: &Spot) -> Option<String> {
    const EXPECTED: &str = "the name of an environment variable";
    let name = text(at, EXPECTED)?;
    if name.contains(['=', '\0']) {
        return at.expected(EXPECTED);
    }
    if at.reading().folder().is_none() {
        return Some(name.to_owned());
    }
    let tried = match env::var(name) {
        Ok(value) => files::one_line(&value),
        Err(VarError::NotPresent) => Err("is not set".to_owned()),
        Err(VarError::NotUnicode(_)) => Err("is not valid UTF-8".to_owned()),
    };
    match tried {
        Ok(()) => Some(name.to_owned()),
        Err(why) => at.refuse(format!("the environment variable {name} {why}")),
    }
}
