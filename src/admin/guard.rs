//! Who may read, and who may change anything.

use super::{NoToken, api::Change, read_token};
use crate::domain::is_relayed;
use http::{HeaderMap, HeaderName, header, uri::Authority};
use parking_lot::RwLock;
use std::{net::IpAddr, path::PathBuf, sync::Arc};
use subtle::ConstantTimeEq;

/// Guards what changes state: by a token where one is set, else by both ends being on loopback. What
/// is read needs either.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    token_file: Arc<RwLock<Option<PathBuf>>>,
    is_loopback: bool,
}

/// Why a request may not read or change anything.
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
    /// Without a token only this machine may read more than the metrics.
    #[error(
        "without admin.token_file only this machine may read this, over an admin.address on loopback; set admin.token_file, or ask on that machine"
    )]
    RemoteReader,
    /// A browser sends it for a page of somebody else's.
    #[error(
        "a request whose Origin is not this address comes from a page of somebody else's; nothing is changed for one"
    )]
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

    /// The file with the token, where there is to be one.
    pub fn token_file(&self) -> Option<PathBuf> {
        self.token_file.read().clone()
    }

    /// Whether a request may change something. The file is read each time, so that the token can
    /// be changed while the process runs.
    pub fn admit(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Stranger> {
        let token = self.token_file.read().clone();
        let token = token.map(|file| read_token(&file));
        let token = token.transpose().map_err(Stranger::NobodysToken)?;
        self.judge(token.as_deref(), peer, headers)
    }

    /// Whether a request may read what is not for everybody.
    pub fn admit_reader(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Stranger> {
        if self.is_here(peer, headers) && is_asked_as_loopback(headers) {
            return Ok(());
        }
        let file = self.token_file.read().clone();
        let file = file.ok_or(Stranger::RemoteReader)?;
        let token = read_token(&file).map_err(Stranger::NobodysToken)?;
        match bears(headers, &token) {
            true => Ok(()),
            false => Err(Stranger::NoToken),
        }
    }

    /// What who sends this needs to change something.
    pub(super) fn change_by(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Change {
        let file = self.token_file.read().clone();
        let has_it = |file: PathBuf| read_token(&file).is_ok_and(|token| bears(headers, &token));
        match (file.map(has_it), self.is_here(peer, headers)) {
            (Some(true), _) | (None, true) => Change::Allowed,
            (Some(false), _) => Change::NeedsToken,
            (None, false) => Change::Refused,
        }
    }

    /// Whether it comes from this machine, over loopback. What somebody passes on for others does
    /// not.
    fn is_here(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
        let near = peer.is_some_and(|peer| peer.to_canonical().is_loopback());
        self.is_loopback && near && !is_relayed(headers)
    }

    fn judge(
        &self,
        token: Option<&str>,
        peer: Option<IpAddr>,
        headers: &HeaderMap,
    ) -> Result<(), Stranger> {
        match token {
            Some(token) if !bears(headers, token) => return Err(Stranger::NoToken),
            None if !self.is_here(peer, headers) => return Err(Stranger::Remote),
            _ => {}
        }
        // A page in a browser on this machine can send forms to loopback, but neither hide that
        // it does nor claim JSON without being asked for leave first.
        let known =
            is_of_this_address(headers) && (token.is_some() || is_asked_as_loopback(headers));
        if headers.contains_key(header::ORIGIN) && !known {
            return Err(Stranger::Browser);
        }
        match is_json(headers) {
            true => Ok(()),
            false => Err(Stranger::Form),
        }
    }
}

/// The one line of a field.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut lines = headers.get_all(name).iter();
    let (line, None) = (lines.next()?, lines.next()) else {
        return None;
    };
    line.to_str().ok()
}

/// Whether it is asked for by address or as localhost. A name that somebody else has given this
/// address makes their pages its own, to a browser.
fn is_asked_as_loopback(headers: &HeaderMap) -> bool {
    let host = only(headers, header::HOST).and_then(|host| host.parse::<Authority>().ok());
    host.is_some_and(|host| {
        let name = host.host().trim_matches(['[', ']']);
        let address = name.parse::<IpAddr>();
        name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|a| a.is_loopback())
    })
}

/// Whether the page that a browser sends a request for came from the same address.
fn is_of_this_address(headers: &HeaderMap) -> bool {
    let origin = only(headers, header::ORIGIN);
    let origin = origin.and_then(|o| o.strip_prefix("http://").or(o.strip_prefix("https://")));
    origin.is_some() && origin == only(headers, header::HOST)
}

/// Whether a request bears the token; how long that takes tells only its length.
fn bears(headers: &HeaderMap, token: &str) -> bool {
    let Some(line) = only(headers, header::AUTHORIZATION) else {
        return false;
    };
    let Some((scheme, shown)) = line.as_bytes().split_at_checked(b"Bearer ".len()) else {
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
        headers.append("host", HeaderValue::from_static("127.0.0.1:9090"));
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
        let own = ("origin", "http://127.0.0.1:9090");
        assert_eq!(judge(HERE, None, HERE, &[own]), Ok(()));
        let renamed = [("host", "evil.example"), ("origin", "http://evil.example")];
        let mut fields = HeaderMap::new();
        fields.append("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in renamed {
            fields.append(name, HeaderValue::from_static(value));
        }
        let guard = Guard::new(HERE, None);
        assert_eq!(guard.admit(Some(HERE), &fields), Err(Stranger::Browser));
        let neighbour = ("origin", "http://127.0.0.1:8080");
        assert_eq!(
            judge(HERE, None, HERE, &[neighbour]),
            Err(Stranger::Browser)
        );
        let guard = Guard::new(HERE, None);
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("localhost"));
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        assert_eq!(guard.admit(Some(HERE), &headers), Err(Stranger::Form));
    }

    #[test]
    fn who_bears_the_token_is_told_that_it_is_the_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret").unwrap();
        let guard = Guard::new(HERE, Some(file.path().to_owned()));
        let told = |fields: &[&'static str]| {
            let values = fields.iter().map(|line| HeaderValue::from_static(line));
            let headers = values.map(|line| (header::AUTHORIZATION, line)).collect();
            guard.change_by(Some(THERE), &headers)
        };
        assert_eq!(told(&["Bearer secret"]), Change::Allowed);
        for others in [&["Bearer guess"][..], &[]] {
            assert_eq!(told(others), Change::NeedsToken);
        }
    }

    #[test]
    fn this_machine_reads_without_a_token_and_others_with_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret").unwrap();
        let with_token = |address| Guard::new(address, Some(file.path().to_owned()));
        let reads = |guard: Guard, peer, fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            guard.admit_reader(Some(peer), &headers)
        };
        let host = ("host", "localhost:9090");
        assert_eq!(reads(Guard::new(HERE, None), HERE, &[host]), Ok(()));
        assert_eq!(
            reads(with_token(HERE), HERE, &[("host", "[::1]:9")]),
            Ok(())
        );
        for fields in [
            &[("host", "evil.example:9090")][..],
            &[],
            &[host, host],
            &[host, ("x-forwarded-for", "192.0.2.1")],
        ] {
            let read = reads(Guard::new(HERE, None), HERE, fields);
            assert_eq!(read, Err(Stranger::RemoteReader), "{fields:?}");
        }
        let remote = reads(Guard::new(THERE, None), THERE, &[host]);
        assert_eq!(remote, Err(Stranger::RemoteReader));
        let bearer = ("authorization", "Bearer secret");
        assert_eq!(reads(with_token(THERE), THERE, &[bearer]), Ok(()));
        let wrong = ("authorization", "Bearer other");
        for fields in [&[wrong][..], &[host]] {
            let read = reads(with_token(THERE), THERE, fields);
            assert_eq!(read, Err(Stranger::NoToken));
        }
    }
}
