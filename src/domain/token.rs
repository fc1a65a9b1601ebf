//! Tokens that let their bearer ask for some paths until some time.
//!
//! A token is `KEY.EXPIRY.SCOPE.ADDRESS.MAC`, all of it characters that need no encoding in a URL or
//! a cookie:
//!
//! | part | what it is |
//! |---|---|
//! | `KEY` | the name of the key that it is signed with |
//! | `EXPIRY` | the first second, since 1970, at which it is good no more |
//! | `SCOPE` | `e` for the very path that it was made for, `p` and a path in base64url for all below that |
//! | `ADDRESS` | the one address that may bear it, in hexadecimal digits, or `-` for all |
//! | `MAC` | HMAC-SHA256 in base64url over all of this and the host; each part with its length before it, so that no two tokens are signed alike |
//!
//! Each token has one spelling. Nothing here shows a secret.

use super::normal_path;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use percent_encoding::percent_decode;
use ring::hmac;
use std::{
    borrow::Cow,
    fmt::{self, Display, Formatter},
    net::IpAddr,
};

/// What a token lets its bearer ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name of the key that it is signed with.
    pub key: String,
    /// When it ends, in seconds since 1970.
    pub expires: u64,
    /// Which paths.
    pub scope: Scope,
    /// Whose requests; everybody's where absent.
    pub address: Option<IpAddr>,
}

/// Which paths a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The very one that it was made for.
    Exact,
    /// All that begin with this one, which begins and ends with a slash.
    Below(String),
}

/// What is asked for with a token.
#[derive(Clone, Copy, Debug)]
pub struct Bearing<'a> {
    /// The host, as keys have it.
    pub host: &'a str,
    /// The path, in its one spelling.
    pub path: &'a str,
    /// Who asks.
    pub address: Option<IpAddr>,
    /// When, in seconds since 1970.
    pub now: u64,
}

/// A token as it was borne; what it claims is nobody's word before it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    claim: Claim,
    mac: Vec<u8>,
}

/// Why a token is not good for what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// There is none.
    Missing,
    /// It is not a token.
    Malformed,
    /// Its key is not known.
    Key,
    /// It is not signed, or for another path or host.
    Wrong,
    /// Its time is over.
    Expired,
    /// It is for other paths.
    Path,
    /// It is for another address.
    Address,
}

impl Scope {
    /// All below a path, however that is spelled; `None` where it is no plain path.
    pub fn below(path: &str) -> Option<Self> {
        let path = normal_path(path.trim_end_matches('/').as_bytes()) + "/";
        let is_path = path.starts_with('/') && !path.contains(['?', '#']);
        (is_path && is_plain(&path)).then_some(Self::Below(path))
    }

    /// Whether a path, in its one spelling, is among these.
    pub fn takes(&self, path: &str) -> bool {
        match self {
            Self::Exact => true,
            Self::Below(prefix) => path.starts_with(prefix.as_str()) && is_plain(path),
        }
    }
}

impl Claim {
    /// The token for this, as text. The host as keys have it, the path in its one spelling.
    pub fn sign(self, host: &str, path: &str, secret: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mac = hmac::sign(&key, &self.signed(host, path));
        let mac = mac.as_ref().to_vec();
        Token { claim: self, mac }.to_string()
    }

    /// What is signed.
    fn signed(&self, host: &str, path: &str) -> Vec<u8> {
        let (kind, path) = match &self.scope {
            Scope::Exact => (EXACT, path),
            Scope::Below(prefix) => (BELOW, prefix.as_str()),
        };
        let expires = self.expires.to_be_bytes();
        let address = self.address.map(octets).unwrap_or_default();
        let parts: [&[u8]; 7] = [
            b"tidegate token 1",
            host.as_bytes(),
            self.key.as_bytes(),
            &expires,
            kind.as_bytes(),
            path.as_bytes(),
            &address,
        ];
        let mut signed = Vec::new();
        for part in parts {
            signed.extend((part.len() as u64).to_be_bytes());
            signed.extend(part);
        }
        signed
    }
}

impl Token {
    /// Reads a token, in its one spelling.
    pub fn parse(text: &[u8]) -> Result<Self, Flaw> {
        let text = std::str::from_utf8(text).map_err(|_| Flaw::Malformed)?;
        let token = read(text).ok_or(Flaw::Malformed)?;
        match token.to_string() == text {
            true => Ok(token),
            false => Err(Flaw::Malformed),
        }
    }

    /// The name of the key that it is to be verified with.
    pub fn key(&self) -> &str {
        &self.claim.key
    }

    /// Whether it is good for what is asked. How long this takes tells nothing of the right MAC.
    pub fn verify(&self, secret: &[u8], asked: &Bearing) -> Result<(), Flaw> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let signed = self.claim.signed(asked.host, asked.path);
        hmac::verify(&key, &signed, &self.mac).map_err(|_| Flaw::Wrong)?;
        if asked.now >= self.claim.expires {
            return Err(Flaw::Expired);
        }
        let own = self.claim.address;
        if own.is_some() && own != asked.address.map(|address| address.to_canonical()) {
            return Err(Flaw::Address);
        }
        match self.claim.scope.takes(asked.path) {
            true => Ok(()),
            false => Err(Flaw::Path),
        }
    }
}

const EXACT: &str = "e";
const BELOW: &str = "p";
const ANYBODY: &str = "-";

impl Display for Token {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Claim {
            key,
            expires,
            scope,
            address,
        } = &self.claim;
        write!(f, "{key}.{expires}.")?;
        match scope {
            Scope::Exact => f.write_str(EXACT)?,
            Scope::Below(prefix) => write!(f, "{BELOW}{}", encoded(prefix.as_bytes()))?,
        }
        f.write_str(".")?;
        match address {
            None => f.write_str(ANYBODY)?,
            Some(address) => {
                for octet in octets(*address) {
                    write!(f, "{octet:02x}")?;
                }
            }
        }
        write!(f, ".{}", encoded(&self.mac))
    }
}

fn read(text: &str) -> Option<Token> {
    let mut parts = text.split('.');
    let key = parts.next().filter(|key| is_key_name(key))?.to_owned();
    let expires = parts.next()?.parse().ok()?;
    let scope = match parts.next()? {
        EXACT => Scope::Exact,
        below => {
            let prefix = decoded(below.strip_prefix(BELOW)?)?;
            Scope::below(&String::from_utf8(prefix).ok()?)?
        }
    };
    let address = match parts.next()? {
        ANYBODY => None,
        digits => Some(address(digits)?),
    };
    let mac = decoded(parts.next()?)?;
    let claim = Claim {
        key,
        expires,
        scope,
        address,
    };
    parts.next().is_none().then_some(Token { claim, mac })
}

/// Whether a text can name a key: 1 to 64 letters, digits, hyphens and underscores.
pub fn is_key_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn address(digits: &str) -> Option<IpAddr> {
    match digits.len() {
        8 => Some(IpAddr::from(
            u32::from_str_radix(digits, 16).ok()?.to_be_bytes(),
        )),
        32 => Some(IpAddr::from(
            u128::from_str_radix(digits, 16).ok()?.to_be_bytes(),
        )),
        _ => None,
    }
}

/// Whether no hop and no server can take a path for one that is elsewhere: it has no `.` and `..` in
/// any spelling, be it encoded twice, between backslashes or before a semicolon.
fn is_plain(path: &str) -> bool {
    let mut path = Cow::Borrowed(path.as_bytes());
    for _ in 0..MOST_ENCODINGS {
        let mut segments = path.split(|b| b"/\\".contains(b));
        if segments.any(is_step) {
            return false;
        }
        path = Cow::Owned(percent_decode(&path).collect());
    }
    true
}

/// A path itself, decoded once by a server as it should, and once more by one that should not.
const MOST_ENCODINGS: usize = 3;

fn is_step(segment: &[u8]) -> bool {
    let name = segment.split(|b| *b == b';').next().unwrap_or_default();
    matches!(name, b"." | b"..")
}

#[cfg(test)]
mod tests;
