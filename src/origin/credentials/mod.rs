//! Who we are to an origin.
//!
//! An [`Identity`] is loaded once and signs each request just before it is sent, as the last that
//! touches its head. What a client says of itself in the same place is replaced by ours, never
//! sent along. Secrets stay inside: no error, log line or `Debug` text has them.

mod aws;
mod target;

use super::config::Credentials;
use crate::secret::{LoadError, Rotating};
use aws::Aws;
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use pingora_http::{RequestHeader, ResponseHeader};
use std::time::SystemTime;
pub(super) use target::has_dot_segments;

/// Who we are to an origin, with its secrets.
#[derive(Debug)]
pub struct Identity(Kind);

#[derive(Debug)]
enum Kind {
    Bearer(Rotating),
    Basic(String, Rotating),
    Header(HeaderName, Rotating),
    Query(String, Rotating),
    Aws(Box<Aws>),
}

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Path and query, or the authority, make no valid target.
    #[error("the target cannot be signed")]
    Target,
    /// The client's path has `.` or `..`, and a signature must not vouch for what a server makes
    /// of it.
    #[error("a path with dot segments is not signed")]
    DotSegments,
    /// A value that no header field can carry.
    #[error("a value to be signed is no text")]
    Value,
    /// The signer refused.
    #[error("signing failed: {0}")]
    Signer(Box<dyn std::error::Error + Send + Sync>),
}

impl Identity {
    /// Reads all secrets for the first time.
    pub fn load(credentials: &Credentials) -> Result<Self, LoadError> {
        Ok(Self(match credentials {
            Credentials::Bearer(token) => Kind::Bearer(Rotating::load(token)?),
            Credentials::Basic { user, password } => {
                Kind::Basic(user.clone(), Rotating::load(password)?)
            }
            Credentials::Header { name, value } => {
                Kind::Header(name.clone(), Rotating::load(value)?)
            }
            Credentials::Query { name, value } => Kind::Query(name.clone(), Rotating::load(value)?),
            Credentials::Aws {
                region,
                service,
                access_key,
                secret_key,
                session_token,
            } => Kind::Aws(Box::new(Aws::load(
                (region, service),
                (access_key, secret_key),
                session_token.as_ref(),
            )?)),
        }))
    }

    /// The field of a request that it sets, if it is one of its own.
    pub fn field(&self) -> Option<&HeaderName> {
        match &self.0 {
            Kind::Header(name, _) => Some(name),
            Kind::Bearer(_) | Kind::Basic(..) | Kind::Query(..) | Kind::Aws(_) => None,
        }
    }

    /// Takes out of an answer what it repeats of our own: a redirect may name the parameter that
    /// we added.
    pub fn take_back(&self, head: &mut ResponseHeader) {
        let Kind::Query(name, _) = &self.0 else {
            return;
        };
        for field in [http::header::LOCATION, http::header::CONTENT_LOCATION] {
            let text = head.headers.get(&field).and_then(|v| v.to_str().ok());
            let without = text.and_then(|text| target::without(text, name));
            if let Some(without) = without.and_then(|text| HeaderValue::try_from(text).ok()) {
                // A field that is there already can be set again.
                let _ = head.insert_header(field, without);
            }
        }
    }

    /// Signs a request that goes to `authority`; nothing but hop-by-hop fields may change after.
    pub fn sign(
        &self,
        head: &mut RequestHeader,
        authority: &str,
        tls: bool,
        now: SystemTime,
    ) -> Result<(), SignError> {
        match &self.0 {
            Kind::Bearer(token) => {
                let value = format!("Bearer {}", token.current(now).reveal());
                set(head, &AUTHORIZATION, &value)
            }
            Kind::Basic(user, password) => {
                let pair = format!("{user}:{}", password.current(now).reveal());
                let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
                set(head, &AUTHORIZATION, &value)
            }
            Kind::Header(name, value) => set(head, name, value.current(now).reveal()),
            Kind::Query(name, value) => {
                let (path, query) = target::split(head);
                let (path, query) = (target::sendable(path), query.unwrap_or_default());
                let query = target::query_with(query, name, value.current(now).reveal());
                target::set(head, &path, &query)
            }
            Kind::Aws(aws) => aws.sign(head, authority, tls, now),
        }
    }
}

fn set(head: &mut RequestHeader, name: &HeaderName, value: &str) -> Result<(), SignError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| SignError::Value)?;
    value.set_sensitive(true);
    head.insert_header(name.clone(), value)
        .map_err(|_| SignError::Value)
}

#[cfg(test)]
mod tests;
