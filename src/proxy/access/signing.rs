//! Making tokens, by the configuration that verifies them.

use super::{Signed, SigningKey};
use crate::{
    domain::{Claim, Scope, split_target},
    origin::{LoadError, Rotating},
    proxy::{Route, bypass::without, headers::spelled},
};
use std::{net::IpAddr, time::Duration, time::SystemTime, time::UNIX_EPOCH};

/// What a token is to be for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The URL, as clients ask for it.
    pub url: String,
    /// How long it is good.
    pub lasts: Duration,
    /// The path below which it is good for everything; for the URL's alone where absent.
    pub prefix: Option<String>,
    /// The one client that may bear it.
    pub address: Option<IpAddr>,
    /// The key that signs it; the first where absent.
    pub key: Option<String>,
}

/// A token, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    token: String,
    url: String,
    path: String,
    lasts: u64,
    parameter: String,
    cookie: Option<String>,
}

/// Why there is no token for it.
#[derive(Debug, thiserror::Error)]
pub enum Unsigned {
    /// It is not a URL with a host.
    #[error(
        "{0:?} is not a URL: give it as clients do, with its host, such as https://video.example/film.mp4"
    )]
    NotAUrl(String),
    /// Its requests get 404.
    #[error("no route takes {0}: clients get 404")]
    NoRoute(String),
    /// Anybody may ask for it.
    #[error("its route, routes[{0}], has no access.signed: it is given out without a token")]
    Open(usize),
    /// The key is not there.
    #[error("routes[{at}].access.signed has no key {name:?}")]
    NoKey {
        /// Which route.
        at: usize,
        /// Which key.
        name: String,
    },
    /// The key's secret can't be had.
    #[error("routes[{at}].access.signed: {reason}")]
    Secret {
        /// Which route.
        at: usize,
        /// Why not.
        reason: LoadError,
    },
    /// The prefix is none.
    #[error(
        "{0:?} is not the beginning of a path, from its \"/\" on, without query and dot segments"
    )]
    Prefix(String),
    /// The URL is not below the prefix.
    #[error("the URL's path is not below {0}: the token would not be good for it")]
    Outside(String),
    /// It has a token already.
    #[error("the URL has the parameter {0} already: give it without")]
    Borne(String),
    /// It would be over before it is used.
    #[error("a token must last for a second at least")]
    Brief,
}

/// Makes a token for what is wished for by the first route that takes it.
pub fn sign(routes: &[Route], wish: &Wish, now: SystemTime) -> Result<Pass, Unsigned> {
    let url = wish.url.split('#').next().unwrap_or_default();
    let not_a_url = || Unsigned::NotAUrl(wish.url.clone());
    let parts = spelled(url).filter(|(host, _)| url.contains("://") && !host.contains('@'));
    let (host, target) = parts.ok_or_else(not_a_url)?;
    let (path, _) = split_target(&target);
    let mut numbered = routes.iter().enumerate();
    let taker = numbered.find(|(_, route)| route.takes(&host, path));
    let (at, route) = taker.ok_or_else(|| Unsigned::NoRoute(url.to_owned()))?;
    let signed = route.access.signed.as_ref().ok_or(Unsigned::Open(at))?;
    let parsed = url.parse().map_err(|_| not_a_url())?;
    if without(&parsed, &signed.parameter, &mut Vec::new()).is_some() {
        return Err(Unsigned::Borne(signed.parameter.clone()));
    }
    let scope = scope(wish, path)?;
    let key = chosen(signed, wish.key.as_deref(), at)?;
    let secret = Rotating::load(&key.secret);
    let secret = secret.map_err(|reason| Unsigned::Secret { at, reason })?;
    let lasts = wish.lasts.as_secs();
    if lasts == 0 {
        return Err(Unsigned::Brief);
    }
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let good_for = match &scope {
        Scope::Exact => path.to_owned(),
        Scope::Below(prefix) => prefix.clone(),
    };
    let claim = Claim {
        key: key.name.clone(),
        expires: since.as_secs().saturating_add(lasts),
        scope,
        address: wish.address,
    };
    let secret = secret.current(now);
    Ok(Pass {
        token: claim.sign(&route.key.host_of(&host), path, secret.reveal().as_bytes()),
        url: url.to_owned(),
        path: good_for,
        lasts,
        parameter: signed.parameter.clone(),
        cookie: signed.cookie.clone(),
    })
}

fn scope(wish: &Wish, path: &str) -> Result<Scope, Unsigned> {
    let Some(prefix) = &wish.prefix else {
        return Ok(Scope::Exact);
    };
    let below = Scope::below(prefix).filter(|_| prefix.starts_with('/'));
    let scope = below.ok_or_else(|| Unsigned::Prefix(prefix.clone()))?;
    match scope.takes(path) {
        true => Ok(scope),
        false => Err(Unsigned::Outside(prefix.clone())),
    }
}

fn chosen<'s>(
    signed: &'s Signed,
    name: Option<&str>,
    at: usize,
) -> Result<&'s SigningKey, Unsigned> {
    let mut keys = signed.keys.iter();
    let key = keys.find(|key| name.is_none_or(|name| name == key.name));
    let name = name.unwrap_or_default().to_owned();
    key.ok_or(Unsigned::NoKey { at, name })
}

impl Pass {
    /// The URL with the token in its query.
    pub fn url(&self) -> String {
        let mark = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{mark}{}={}", self.url, self.parameter, self.token)
    }

    /// The value of a `Set-Cookie` with the token (RFC 6265, section 4.1); `None` where its route
    /// takes no cookie. Over https it is for players on other sites' pages as well.
    pub fn cookie(&self) -> Option<String> {
        let name = self.cookie.as_ref()?;
        let is_secure = self
            .url
            .get(..6)
            .is_some_and(|s| s.eq_ignore_ascii_case("https:"));
        let elsewhere = if is_secure {
            "; Secure; SameSite=None"
        } else {
            ""
        };
        Some(format!(
            "{name}={}; Path={}; Max-Age={}; HttpOnly{elsewhere}",
            self.token, self.path, self.lasts
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Bearing, Token},
        origin::SecretSource,
        proxy::{Matcher, RouteOrigin},
    };

    /// Its secret is whatever stands in this variable: some text.
    fn routes() -> Vec<Route> {
        let route = |path: &str| {
            Route::new(
                Matcher::Prefix(path.into()),
                vec![RouteOrigin::named("media")],
            )
        };
        let mut films = route("/films/");
        let key = |name: &str| SigningKey {
            name: name.into(),
            secret: SecretSource::Environment("CARGO_PKG_NAME".into()),
        };
        films.access.signed = Some(Signed {
            keys: vec![key("new"), key("old")],
            parameter: "token".into(),
            cookie: Some("films".into()),
        });
        vec![films, route("/open/")]
    }

    fn wish(url: &str) -> Wish {
        Wish {
            url: url.into(),
            lasts: Duration::from_secs(60),
            prefix: None,
            address: None,
            key: None,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_made_is_taken() {
        let url = "http://A.example:80/films/7/%6Daster.m3u8?a=1";
        let pass = sign(&routes(), &wish(url), at(1000)).unwrap();
        let token = pass
            .url()
            .strip_prefix(&format!("{url}&token="))
            .unwrap()
            .to_owned();
        let asked = |path| Bearing {
            host: "a.example",
            path,
            address: None,
            now: 1059,
        };
        let verify =
            |token: &str, path| Token::parse(token.as_bytes())?.verify(b"tidegate", &asked(path));
        assert!(token.starts_with("new.1060.e."), "{token}");
        assert_eq!(verify(&token, "/films/7/master.m3u8"), Ok(()));
        let wish = Wish {
            prefix: Some("/films/7".into()),
            key: Some("old".into()),
            ..wish(url)
        };
        let pass = sign(&routes(), &wish, at(1000)).unwrap();
        let cookie = pass.cookie().unwrap();
        let (pair, rest) = cookie.split_once("; ").unwrap();
        assert_eq!(rest, "Path=/films/7/; Max-Age=60; HttpOnly");
        assert_eq!(
            verify(pair.strip_prefix("films=").unwrap(), "/films/7/1.ts"),
            Ok(())
        );
        let wish = Wish {
            url: url.replace("http:", "HTTPS:"),
            ..wish
        };
        let cookie = sign(&routes(), &wish, at(1000)).unwrap().cookie().unwrap();
        assert!(
            cookie.ends_with("; HttpOnly; Secure; SameSite=None"),
            "{cookie}"
        );
    }

    #[test]
    fn why_there_is_no_token_is_told() {
        let url = "http://a.example/films/7";
        let prefix = |prefix: &str| Wish {
            prefix: Some(prefix.into()),
            ..wish(url)
        };
        let table = [
            (wish("/films/7"), "is not a URL"),
            (wish("a.example/films/7"), "is not a URL"),
            (
                wish("http://a.example/7"),
                "no route takes http://a.example/7",
            ),
            (
                wish("http://a.example/open/7"),
                "routes[1], has no access.signed",
            ),
            (
                wish("http://a.example/films/7?t%6Fken=x"),
                "has the parameter token already",
            ),
            (
                Wish {
                    key: Some("k".into()),
                    ..wish(url)
                },
                "routes[0].access.signed has no key \"k\"",
            ),
            (
                Wish {
                    lasts: Duration::from_millis(900),
                    ..wish(url)
                },
                "a second at least",
            ),
            (prefix("films/"), "is not the beginning of a path"),
            (prefix("/films/../"), "is not the beginning of a path"),
            (prefix("/films/8/"), "is not below /films/8/"),
            (prefix("/films/7/"), "is not below /films/7/"),
        ];
        for (wish, expected) in table {
            let told = sign(&routes(), &wish, at(1000)).unwrap_err().to_string();
            assert!(told.contains(expected), "{told}");
        }
    }
}
