//! Who may change anything.

use super::{NoToken, read_token};
use http::{HeaderMap, header};
use parking_lot::RwLock;
use std::{net::IpAddr, path::PathBuf, sync::Arc};
use subtle::ConstantTimeEq;

/// Guards what changes state: by a token where one is set, else by both ends being on loopback.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    token_file: Arc<RwLock<Option<PathBuf>>>,
    is_loopback: bool,
}

/// Why a request may not change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// The token is missing or another.
    #[error(
        "this needs the field \"Authorization: Bearer TOKEN\" with the token in admin.token_file"
    )]
    NoToken,
    /// The file with the token gives none.
    #[error("admin.token_file {0}, so that nobody can be let in")]
    NobodysToken(NoToken),
    /// Without a token only this machine may.
    #[error(
        "without admin.token_file only this machine may change anything, over an admin.address on loopback; set admin.token_file"
    )]
    Remote,
    /// A browser sends it for a page of somebody else's.
    #[error("a request with an Origin field comes from a browser; nothing is changed for one")]
    Browser,
    /// It is not what a program sends that means it.
    #[error("send the body as Content-Type: application/json")]
    Form,
}

impl Guard {
    /// For an admin address on this IP address.
    pub fn new(address: IpAddr, token_file: Option<PathBuf>) -> Self {
        Self {
            is_loopback: address.to_canonical().is_loopback(),
            token_file: Arc::new(RwLock::new(token_file)),
        }
    }

    /// Another file from now on, for all clones.
    pub fn set_token_file(&self, token_file: Option<PathBuf>) {
        *self.token_file.write() = token_file;
    }

    /// Whether a request may change something. The file is read each time, so that the token can
    /// be changed while the process runs.
    pub fn admit(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Stranger> {
        let token = self.token_file.read().clone();
        let token = token.map(|file| read_token(&file));
        let token = token.transpose().map_err(Stranger::NobodysToken)?;
        self.judge(token.as_deref(), peer, headers)
    }

    fn judge(
        &self,
        token: Option<&str>,
        peer: Option<IpAddr>,
        headers: &HeaderMap,
    ) -> Result<(), Stranger> {
        let is_here = self.is_loopback && peer.is_some_and(|p| p.to_canonical().is_loopback());
        match token {
            Some(token) if !bears(headers, token) => return Err(Stranger::NoToken),
            None if !is_here => return Err(Stranger::Remote),
            _ => {}
        }
        // A page in a browser on this machine can send forms to loopback, but neither hide that
        // it does nor claim JSON without being asked for leave first.
        if headers.contains_key(header::ORIGIN) {
            return Err(Stranger::Browser);
        }
        match is_json(headers) {
            true => Ok(()),
            false => Err(Stranger::Form),
        }
    }
}

/// Whether a request bears the token; how long that takes tells only its length.
fn bears(headers: &HeaderMap, token: &str) -> bool {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let line = line.as_bytes();
    let Some((scheme, shown)) = line.split_at_checked(b"Bearer ".len()) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(shown.ct_eq(token.as_bytes()))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn judge(
        address: IpAddr,
        token: Option<&str>,
        peer: IpAddr,
        fields: &[(&'static str, &'static str)],
    ) -> Result<(), Stranger> {
        let mut headers = HeaderMap::new();
        headers.append("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Guard::new(address, None).judge(token, Some(peer), &headers)
    }

    #[test]
    fn without_a_token_both_ends_are_on_loopback() {
        assert_eq!(judge(HERE, None, HERE, &[]), Ok(()));
        for (address, peer) in [(HERE, THERE), (THERE, HERE), (THERE, THERE)] {
            assert_eq!(judge(address, None, peer, &[]), Err(Stranger::Remote));
        }
    }

    #[test]
    fn with_a_token_only_who_bears_it_alone_is_let_in() {
        let judge = |fields: &[_]| judge(THERE, Some("secret"), THERE, fields);
        let bearer = ("authorization", "Bearer secret");
        assert_eq!(judge(&[bearer]), Ok(()));
        assert_eq!(judge(&[("authorization", "bearer secret")]), Ok(()));
        for wrong in [
            "Bearer",
            "Bearer ",
            "Bearer secre",
            "Bearer secret2",
            "Basic secret",
        ] {
            assert_eq!(
                judge(&[("authorization", wrong)]),
                Err(Stranger::NoToken),
                "{wrong}"
            );
        }
        assert_eq!(judge(&[]), Err(Stranger::NoToken));
        assert_eq!(judge(&[bearer, bearer]), Err(Stranger::NoToken));
    }

    #[test]
    fn a_browser_is_not_let_in() {
        let origin = ("origin", "http://evil.example");
        assert_eq!(judge(HERE, None, HERE, &[origin]), Err(Stranger::Browser));
        let guard = Guard::new(HERE, None);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        assert_eq!(guard.admit(Some(HERE), &headers), Err(Stranger::Form));
    }
}
