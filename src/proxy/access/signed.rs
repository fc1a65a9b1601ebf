//! Requests that bear a token in their query or in a cookie.

use crate::{
    domain::{Bearing, Flaw, Token},
    origin::{LoadError, Rotating, SecretSource},
    proxy::bypass::without,
};
use http::{HeaderValue, header};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use std::time::SystemTime;

/// How tokens are signed and where they are borne.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The keys that are taken; the first signs.
    pub keys: Vec<SigningKey>,
    /// The query parameter that has a token.
    pub parameter: String,
    /// The cookie that has one; none where absent.
    pub cookie: Option<String>,
}

/// A key and its name, which each token has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// What tokens call it.
    pub name: String,
    /// Where it is read from.
    pub secret: SecretSource,
}

/// Verifies tokens; its keys are at hand.
#[derive(Debug)]
pub struct Verifier {
    keys: Vec<(String, Rotating)>,
    parameter: String,
    cookie: Option<String>,
}

/// The most tokens that are looked at in one request: it bears one, or two while one is replaced.
const MOST_TOKENS: usize = 4;

impl Verifier {
    /// One whose keys are read for the first time.
    pub fn load(signed: &Signed) -> std::result::Result<Self, LoadError> {
        let keys = signed.keys.iter();
        let keys = keys.map(|key| Ok((key.name.clone(), Rotating::load(&key.secret)?)));
        Ok(Self {
            keys: keys.collect::<std::result::Result<_, _>>()?,
            parameter: signed.parameter.clone(),
            cookie: signed.cookie.clone(),
        })
    }

    /// Takes the tokens out of a request: they are no part of the key, and origins never see them.
    pub fn take_out(&self, request: &mut RequestHeader) -> Result<Vec<Vec<u8>>> {
        let mut tokens = Vec::new();
        if let Some(uri) = without(&request.uri, &self.parameter, &mut tokens) {
            request.set_uri(uri);
        }
        if let Some(name) = &self.cookie {
            take_cookie(request, name.as_bytes(), &mut tokens)?;
        }
        Ok(tokens)
    }

    /// Whether one of these tokens is good for what is asked; otherwise what the first one lacks.
    pub fn verify(
        &self,
        tokens: &[Vec<u8>],
        asked: &Bearing,
        now: SystemTime,
    ) -> std::result::Result<(), Flaw> {
        let mut first = Err(Flaw::Missing);
        for token in tokens.iter().take(MOST_TOKENS) {
            match (self.verify_one(token, asked, now), first) {
                (Ok(()), _) => return Ok(()),
                (flaw, Err(Flaw::Missing)) => first = flaw,
                _ => {}
            }
        }
        first
    }

    fn verify_one(
        &self,
        token: &[u8],
        asked: &Bearing,
        now: SystemTime,
    ) -> std::result::Result<(), Flaw> {
        let token = Token::parse(token)?;
        let mut keys = self.keys.iter();
        let (_, secret) = keys
            .find(|(name, _)| name == token.key())
            .ok_or(Flaw::Key)?;
        token.verify(secret.current(now).reveal().as_bytes(), asked)
    }
}

/// Takes one cookie out of those that a request has, and notes its values.
fn take_cookie(request: &mut RequestHeader, name: &[u8], values: &mut Vec<Vec<u8>>) -> Result<()> {
    let before = values.len();
    let mut lines = Vec::new();
    for line in request.headers.get_all(header::COOKIE) {
        let pairs = line
            .as_bytes()
            .split(|b| *b == b';')
            .map(<[u8]>::trim_ascii);
        let is_other = |pair: &&[u8]| match of_cookie(pair, name) {
            Some(value) => {
                values.push(value.to_vec());
                false
            }
            None => true,
        };
        let kept: Vec<&[u8]> = pairs.filter(is_other).collect();
        lines.push(kept.join(&b"; "[..]));
    }
    if values.len() == before {
        return Ok(());
    }
    request.remove_header(&header::COOKIE);
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let line = HeaderValue::from_bytes(line);
        let line = line.map_err(|e| {
            Error::because(ErrorType::InvalidHTTPHeader, "cookies without a token", e)
        })?;
        request.append_header(header::COOKIE, line)?;
    }
    Ok(())
}

/// The value of a cookie, where it has this name.
fn of_cookie<'c>(pair: &'c [u8], name: &[u8]) -> Option<&'c [u8]> {
    let at = pair.iter().position(|b| *b == b'=')?;
    (pair[..at].trim_ascii() == name).then(|| pair[at + 1..].trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifier() -> Verifier {
        Verifier {
            keys: Vec::new(),
            parameter: "token".into(),
            cookie: Some("pass".into()),
        }
    }

    #[test]
    fn tokens_are_taken_out_and_the_rest_stays() {
        type Case = (
            &'static str,
            &'static [&'static str],
            &'static [&'static str],
            &'static str,
            &'static [&'static str],
        );
        let table: &[Case] = &[
            ("/a", &[], &[], "/a", &[]),
            ("/a?token=x", &[], &["x"], "/a", &[]),
            (
                "/a?b&t%6Fken=%78&c=1",
                &["a=1"],
                &["x"],
                "/a?b&c=1",
                &["a=1"],
            ),
            ("/a?token=x&token=y", &[], &["x", "y"], "/a", &[]),
            ("/a", &["pass=x"], &["x"], "/a", &[]),
            (
                "/a?tokens=x",
                &["a=1;pass = x ; b=2", "c=3", "pass=y"],
                &["x", "y"],
                "/a?tokens=x",
                &["a=1; b=2", "c=3"],
            ),
            (
                "/a",
                &["passe=x;pass;Pass=z"],
                &[],
                "/a",
                &["passe=x;pass;Pass=z"],
            ),
            ("/a?token=x", &["pass=a=b"], &["x", "a=b"], "/a", &[]),
        ];
        for (target, cookies, tokens, left, kept) in table {
            let mut request = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
            for line in *cookies {
                request.append_header(header::COOKIE, *line).unwrap();
            }
            let found = verifier().take_out(&mut request).unwrap();
            let expected: Vec<_> = tokens.iter().map(|t| t.as_bytes().to_vec()).collect();
            assert_eq!(found, expected, "{target} {cookies:?}");
            assert_eq!(request.uri.to_string(), *left);
            let lines: Vec<_> = request.headers.get_all(header::COOKIE).iter().collect();
            assert_eq!(lines, *kept, "{cookies:?}");
        }
    }
}
