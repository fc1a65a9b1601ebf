//! What requests and responses say about caching.

use super::{Directives, Extent, directives::seconds};
use http::{HeaderMap, HeaderName, header};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

/// What an origin says about keeping its response (RFC 9111, section 5.2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseControl {
    /// Nothing of it is to be stored.
    pub no_store: bool,
    /// It is not to be used without asking, or not with these fields.
    pub no_cache: Extent,
    /// It is for one user only, or these fields are.
    pub private: Extent,
    /// Any cache may store it.
    pub public: bool,
    /// It is not to be used when stale.
    pub must_revalidate: bool,
    /// The same for shared caches.
    pub proxy_revalidate: bool,
    /// It is to be stored only by caches that know its status; they need not mind `no-store`.
    pub must_understand: bool,
    /// How many seconds it is fresh.
    pub max_age: Option<u64>,
    /// The same for shared caches.
    pub s_maxage: Option<u64>,
    /// How many seconds it may be used stale while the origin is asked (RFC 5861).
    pub stale_while_revalidate: Option<u64>,
    /// How many seconds it may be used stale when the origin fails.
    pub stale_if_error: Option<u64>,
    /// It is said to caches like this one, and `Expires` counts no more (RFC 9213).
    pub is_targeted: bool,
    /// It is addressed to caches that many share, and says how long they may keep the response:
    /// `CDN-Cache-Control`, not `Surrogate-Control`, which is older than that notion.
    pub names_shared_caches: bool,
}

/// `CDN-Cache-Control` (RFC 9213, section 3.1).
const CDN: HeaderName = HeaderName::from_static("cdn-cache-control");
/// `Surrogate-Control` (Edge Architecture Specification, section 2): its word is for caches that
/// act for the origin, and goes no further.
pub const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

impl ResponseControl {
    /// The most specific word that the origin has for a cache in front of it.
    pub fn of(headers: &HeaderMap) -> Self {
        targeted(headers)
            .or_else(|| surrogate(headers))
            .unwrap_or_else(|| Self::read(&Directives::of(headers, &header::CACHE_CONTROL)))
    }

    fn read(said: &Directives) -> Self {
        let age = |name| said.delta(name).or_nothing();
        Self {
            no_store: said.has("no-store"),
            no_cache: said.extent("no-cache"),
            private: said.extent("private"),
            public: said.has("public"),
            must_revalidate: said.has("must-revalidate"),
            proxy_revalidate: said.has("proxy-revalidate"),
            must_understand: said.has("must-understand"),
            max_age: age("max-age"),
            s_maxage: age("s-maxage"),
            stale_while_revalidate: age("stale-while-revalidate"),
            stale_if_error: age("stale-if-error"),
            is_targeted: false,
            names_shared_caches: false,
        }
    }

    /// How many seconds the response is fresh, if anything of this says so.
    pub fn lifetime(&self) -> Option<u64> {
        match self.no_cache {
            Extent::Whole => Some(0),
            _ => self.s_maxage.or(self.max_age),
        }
    }

    /// Whether a stale response must not be used without asking (RFC 9111, section 4.2.4).
    pub fn forbids_stale(&self) -> bool {
        self.must_revalidate
            || self.proxy_revalidate
            || self.s_maxage.is_some()
            || self.no_cache == Extent::Whole
    }

    /// Whether a response to a request with `Authorization` may be stored (RFC 9111, section 3.5).
    pub fn allows_authorized(&self) -> bool {
        self.public || self.must_revalidate || self.s_maxage.is_some()
    }

    /// Whether it is said that shared caches may keep the response.
    pub fn is_for_shared_caches(&self) -> bool {
        self.public || self.s_maxage.is_some() || self.names_shared_caches
    }
}

/// RFC 9213, section 2.1: a field that is empty or not well-formed is as good as absent.
fn targeted(headers: &HeaderMap) -> Option<ResponseControl> {
    let lines: Vec<_> = headers.get_all(CDN).iter().map(|v| v.as_bytes()).collect();
    let said = Parser::parse_dictionary(&lines.join(&b',')).ok()?;
    if said.is_empty() {
        return None;
    }
    well_formed(&said).or_else(|| restriction(&said))
}

/// What is not well-formed counts for nothing, but for what it takes back.
fn restriction(said: &Dictionary) -> Option<ResponseControl> {
    let is_said = |name| match said.get(name) {
        Some(ListEntry::Item(item)) => item.bare_item != BareItem::Boolean(false),
        Some(ListEntry::InnerList(_)) => true,
        None => false,
    };
    (is_said("no-store") || is_said("private")).then(|| ResponseControl {
        no_store: true,
        is_targeted: true,
        ..ResponseControl::default()
    })
}

fn well_formed(said: &Dictionary) -> Option<ResponseControl> {
    Some(ResponseControl {
        no_store: flag(said, "no-store")?,
        no_cache: extent(said, "no-cache")?,
        private: extent(said, "private")?,
        public: flag(said, "public")?,
        must_revalidate: flag(said, "must-revalidate")?,
        proxy_revalidate: flag(said, "proxy-revalidate")?,
        must_understand: flag(said, "must-understand")?,
        max_age: age(said, "max-age")?,
        s_maxage: age(said, "s-maxage")?,
        stale_while_revalidate: age(said, "stale-while-revalidate")?,
        stale_if_error: age(said, "stale-if-error")?,
        is_targeted: true,
        names_shared_caches: true,
    })
}

fn item<'a>(said: &'a Dictionary, name: &str) -> Option<Option<&'a BareItem>> {
    match said.get(name) {
        None => Some(None),
        Some(ListEntry::Item(item)) => Some(Some(&item.bare_item)),
        Some(ListEntry::InnerList(_)) => None,
    }
}

/// `None` where the value is of another kind: the whole field then counts for nothing.
fn flag(said: &Dictionary, name: &str) -> Option<bool> {
    item(said, name)?.map_or(Some(false), BareItem::as_bool)
}

fn age(said: &Dictionary, name: &str) -> Option<Option<u64>> {
    match item(said, name)? {
        None => Some(None),
        Some(value) => Some(Some(u64::try_from(value.as_int()?).unwrap_or(0))),
    }
}

fn extent(said: &Dictionary, name: &str) -> Option<Extent> {
    match item(said, name)? {
        None | Some(BareItem::Boolean(false)) => Some(Extent::Nothing),
        Some(BareItem::Boolean(true)) => Some(Extent::Whole),
        Some(value) => {
            let text = value.as_str().or(value.as_token())?;
            let names = text.split(',').map(|name| name.trim().parse().ok());
            Some(
                names
                    .collect::<Option<Vec<_>>>()
                    .map_or(Extent::Whole, Extent::Fields),
            )
        }
    }
}

/// `max-age=60+30` is fresh for 60 seconds and may then be used for 30 more while the origin is
/// asked.
fn surrogate(headers: &HeaderMap) -> Option<ResponseControl> {
    let said = Directives::of(headers, &SURROGATE_CONTROL);
    let no_store = said.has("no-store") || said.has("no-store-remote");
    let age = said.text("max-age");
    if !no_store && age.is_none() {
        return None;
    }
    let (fresh, stale) = age.map_or((None, None), |age| match age.split_once('+') {
        Some((fresh, stale)) => (Some(fresh), seconds(stale)),
        None => (Some(age), None),
    });
    Some(ResponseControl {
        no_store,
        max_age: fresh.map(|fresh| seconds(fresh).unwrap_or(0)),
        stale_while_revalidate: stale,
        is_targeted: true,
        ..ResponseControl::default()
    })
}

/// What a client says about what it wants to be given (RFC 9111, section 5.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestControl {
    /// Nothing stored without asking the origin.
    pub no_cache: bool,
    /// Nothing of this exchange is to be stored.
    pub no_store: bool,
    /// Only what is stored; the origin is not to be asked.
    pub only_if_cached: bool,
    /// Nothing older than so many seconds.
    pub max_age: Option<u64>,
    /// Nothing that is not fresh for so many seconds more.
    pub min_fresh: Option<u64>,
    /// What has been stale for up to so many seconds will do.
    pub max_stale: Option<u64>,
}

impl RequestControl {
    /// Those of a request. `Pragma: no-cache` counts where there is no `Cache-Control`.
    pub fn of(headers: &HeaderMap) -> Self {
        let said = Directives::of(headers, &header::CACHE_CONTROL);
        let pragma = || Directives::of(headers, &header::PRAGMA).has("no-cache");
        let age = |name| said.delta(name).or_nothing();
        Self {
            no_cache: said.has("no-cache") || said.is_empty() && pragma(),
            no_store: said.has("no-store"),
            only_if_cached: said.has("only-if-cached"),
            max_age: age("max-age"),
            min_fresh: age("min-fresh"),
            max_stale: match (said.has("max-stale"), said.text("max-stale")) {
                (false, _) => None,
                (true, None) => Some(u64::MAX),
                (true, Some(text)) => Some(seconds(text).unwrap_or(0)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn lifetime(list: &[(&'static str, &'static str)]) -> Option<u64> {
        ResponseControl::of(&headers(list)).lifetime()
    }

    #[test]
    fn the_most_specific_word_counts() {
        let cc = ("cache-control", "max-age=1");
        type Fields<'a> = &'a [(&'static str, &'static str)];
        let table: &[(Fields<'_>, Option<u64>)] = &[
            (&[], None),
            (&[cc], Some(1)),
            (&[cc, ("cdn-cache-control", "max-age=2")], Some(2)),
            (&[cc, ("surrogate-control", "max-age=3+4")], Some(3)),
            (
                &[
                    cc,
                    ("surrogate-control", "max-age=3"),
                    ("cdn-cache-control", "max-age=2"),
                ],
                Some(2),
            ),
            (&[cc, ("surrogate-control", "content=\"ESI/1.0\"")], Some(1)),
            (&[cc, ("cdn-cache-control", "")], Some(1)),
            (&[cc, ("cdn-cache-control", "max-age=2, &&&")], Some(1)),
            (&[cc, ("cdn-cache-control", "max-age=\"2\"")], Some(1)),
            (&[cc, ("cdn-cache-control", "MAX-AGE=2")], Some(1)),
            (&[cc, ("cdn-cache-control", "max-age = 2")], Some(1)),
            (&[cc, ("cdn-cache-control", "max-age=-2")], Some(0)),
            (
                &[cc, ("cdn-cache-control", "max-age=2;x=1, y=(a b)")],
                Some(2),
            ),
            (&[("cache-control", "max-age=9, s-maxage=5")], Some(5)),
            (&[("cache-control", "max-age=9, no-cache")], Some(0)),
            (&[("cache-control", "max-age=9, no-cache=\"a\"")], Some(9)),
        ];
        for (list, expected) in table {
            assert_eq!(lifetime(list), *expected, "{list:?}");
        }
    }

    #[test]
    fn a_targeted_word_may_forbid_and_allow() {
        let of = |value| ResponseControl::of(&headers(&[("cdn-cache-control", value)]));
        assert!(of("no-store").no_store);
        assert!(!of("no-store=?0").no_store);
        assert_eq!(of("private").private, Extent::Whole);
        let named = Extent::Fields(vec![header::SET_COOKIE]);
        assert_eq!(of("private=\"set-cookie\"").private, named);
        let both = headers(&[
            ("cache-control", "no-store"),
            ("cdn-cache-control", "max-age=5"),
        ]);
        assert!(!ResponseControl::of(&both).no_store);
    }

    #[test]
    fn what_clients_ask_for() {
        let of = |list: &[_]| RequestControl::of(&headers(list));
        assert!(of(&[("pragma", "no-cache")]).no_cache);
        let both = of(&[("pragma", "no-cache"), ("cache-control", "max-age=5")]);
        assert_eq!((both.no_cache, both.max_age), (false, Some(5)));
        let stale = |value| of(&[("cache-control", value)]).max_stale;
        assert_eq!(stale("max-stale"), Some(u64::MAX));
        assert_eq!(stale("max-stale=7"), Some(7));
        assert_eq!(stale("max-stale=x"), Some(0));
        assert_eq!(stale("no-cache"), None);
        assert_eq!(of(&[("cache-control", "max-age=x")]).max_age, Some(0));
    }
}
