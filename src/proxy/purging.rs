//! Purging: what an operator or a `PURGE` request names, found by the routes and the key function
//! that are in force.

use super::{
    cache_status::{Done, Handling},
    context::Context,
    error,
    foundation::Proxy,
    headers,
    predictor::HitForMiss,
    routing::Routes,
    stats::Stats,
};
use crate::{
    cache::{ChunkStorage, How, Object, PurgeError, Purged, id_of},
    domain::{BadValue, LONGEST_TAG, ObjectKey, Selector, is_relayed, split_target, tag_of},
    logs::cleaned_path,
    traffic::is_among,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora_cache::CacheKey;
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

/// What is to be purged, as it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All variants of one URL.
    Url(String),
    /// Everything whose host is this and whose path begins so.
    Prefix(String),
    /// Everything that the origin gave this tag.
    Tag(String),
    /// Everything.
    All,
}

/// Purges one cache.
#[derive(Clone, Debug)]
pub struct Purger {
    routes: Arc<Routes>,
    storage: &'static ChunkStorage,
    version: Arc<AtomicU32>,
    predictor: &'static HitForMiss,
    stats: Arc<Stats>,
}

/// Why nothing, or not all, was purged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpurged {
    /// It is not a URL with a host.
    #[error(
        "{0:?} is not a URL: give it as clients do, with its scheme and host, such as http://video.example/film.mp4"
    )]
    NotAUrl(String),
    /// Its route refuses it, so that nothing is stored under it.
    #[error("clients get 400 for this URL, and nothing is stored under it: {0}")]
    Refused(BadValue),
    /// No object has such a tag.
    #[error("a tag has 1 to {LONGEST_TAG} bytes")]
    NoTag,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] PurgeError),
}

/// How long the answer to a purge waits until the fleet has been told.
const TOLD: Duration = Duration::from_secs(3);
/// The most variants of one URL that are looked at.
pub const MOST_INSPECTED: usize = 256;

impl Target {
    /// The value of the label `kind` in the metrics.
    fn label(&self) -> &'static str {
        match self {
            Self::Url(_) => "url",
            Self::Prefix(_) => "prefix",
            Self::Tag(_) => "tag",
            Self::All => "all",
        }
    }
}

impl Purger {
    /// Purges what is named, and counts it.
    pub async fn purge(&self, target: &Target, how: How) -> Result<Purged, Unpurged> {
        let done = match self.selector(target) {
            Ok(selector) => {
                let store = self.storage.fills().store();
                store.purge(selector, how).await.map_err(Unpurged::from)
            }
            Err(why) => Err(why),
        };
        let outcome = match &done {
            Ok(_) if how.dry_run => "dry_run",
            Ok(_) if how.soft => "soft",
            Ok(_) => "hard",
            Err(_) => "failed",
        };
        self.stats.purged(target.label(), outcome);
        done
    }

    /// Whether the edges that share a tier with this one can know of all that was purged here by
    /// now, and under which number; `None` where there is no tier.
    pub async fn fleet(&self) -> Option<Option<u64>> {
        let store = self.storage.fills().store();
        let herald = store.herald()?;
        Some(herald.known(TOLD).await)
    }

    /// What is stored under a URL, in all its variants, up to 256 of them.
    pub async fn inspect(&self, url: &str) -> Result<Vec<Arc<Object>>, Unpurged> {
        self.variants(url, MOST_INSPECTED).await
    }

    /// The same up to `most` of them.
    async fn variants(&self, url: &str, most: usize) -> Result<Vec<Arc<Object>>, Unpurged> {
        let selector = self.selector(&Target::Url(url.to_owned()))?;
        let store = self.storage.fills().store();
        Ok(store.select(selector, most).await?)
    }

    /// The same of what a request for the URL itself would find: not its derivatives, nor what
    /// fields and cookies set apart.
    pub async fn found(&self, url: &str) -> Result<Vec<Arc<Object>>, Unpurged> {
        let key = self.key(url)?.map(|key| key.encode());
        let mut objects = self.variants(url, usize::MAX).await?;
        objects.retain(|object| Some(object.key()) == key.as_deref());
        Ok(objects)
    }

    /// Takes out what is stored under a URL, as a request that changes it does: what has been asked
    /// for before is not kept, and no restart brings anything back.
    pub(super) async fn supersede(&self, url: &str) {
        let selector = self.selector(&Target::Url(url.to_owned()));
        let Ok(Selector::Url(place)) = selector else {
            return;
        };
        let key = self.key(url).ok().flatten();
        let id = key.map(|key| id_of(&CacheKey::new(key.encode(), "")));
        let store = self.storage.fills().store();
        if let Err(why) = store.supersede(place, id).await {
            // Its query may hold secrets.
            let url = cleaned_path(url.split('?').next().unwrap_or(url));
            log::error!("{url} was changed, but what is stored of it can't all be removed: {why}");
        }
    }

    /// How long requests for a URL still go past the cache, since the origin's last answer was
    /// not to be stored.
    pub fn passes(&self, url: &str) -> Option<Duration> {
        let key = self.key(url).ok()??.encode();
        self.predictor.remembered(&CacheKey::new(key, ""))
    }

    /// The key of a request without fields of its own; `None` where no route makes one. An error
    /// is also a variant that the route refuses.
    fn key(&self, url: &str) -> Result<Option<ObjectKey>, Unpurged> {
        let (host, target) = parts(url)?;
        let bound = self.routes.find(&host, split_target(&target).0);
        let none = HeaderMap::new();
        let keyed = bound.map(|bound| {
            bound
                .route
                .keyed(self.version.load(Relaxed), &host, &target, &none)
        });
        let keyed = keyed.transpose().map_err(Unpurged::Refused)?;
        Ok(keyed.and_then(|keyed| keyed.key))
    }

    /// The objects that are meant, by the keys that requests have.
    pub fn selector(&self, target: &Target) -> Result<Selector, Unpurged> {
        match target {
            Target::Url(url) => {
                let (host, target) = parts(url)?;
                // What no route takes any more may still be stored, under its plain name.
                Ok(match self.key(url)? {
                    Some(key) => Selector::of_url(&key),
                    None => Selector::at(&host, &target),
                })
            }
            Target::Prefix(prefix) => {
                let (host, target) = parts(prefix)?;
                // Routes may name the host otherwise in their keys.
                let routes = self.routes.of_host(&host);
                let mut hosts: Vec<_> = routes
                    .iter()
                    .map(|bound| bound.route.key.host_of(&host))
                    .collect();
                hosts.push(host);
                hosts.sort_unstable();
                hosts.dedup();
                let hosts = hosts.iter().map(String::as_str);
                Ok(Selector::of_prefix(hosts, &target))
            }
            Target::Tag(tag) => match tag_of(tag.as_bytes()) {
                tag if tag.is_empty() => Err(Unpurged::NoTag),
                _ if tag.len() > LONGEST_TAG => Err(Unpurged::NoTag),
                tag => Ok(Selector::Tag(tag)),
            },
            Target::All => Ok(Selector::All),
        }
    }
}

/// Host and target of a URL, as keys spell them.
fn parts(url: &str) -> Result<(String, String), Unpurged> {
    headers::spelled(url).ok_or_else(|| Unpurged::NotAUrl(url.chars().take(200).collect()))
}

impl Proxy {
    /// What purges and inspects this proxy's cache.
    pub fn purger(&self) -> Purger {
        Purger {
            routes: self.routes.clone(),
            storage: self.storage,
            version: self.cache_version.clone(),
            predictor: self.predictor,
            stats: self.stats.clone(),
        }
    }

    /// Answers a `PURGE` request: it never goes to an origin, whoever sends it.
    pub(super) async fn answer_purge(
        &self,
        session: &mut Session,
        ctx: &mut Context,
    ) -> Result<bool> {
        let peer = session.client_addr().and_then(|peer| peer.as_inet());
        let from = &ctx.terms.clients.purge_from;
        let may = peer.is_some_and(|peer| is_among(from, peer.ip()));
        // The address of who passes it on says nothing of who wants the purge.
        if !may || is_relayed(&session.req_header().headers) {
            self.stats.purged("url", "refused");
            return error::answer(session, ctx, StatusCode::FORBIDDEN, "purge-refused").await;
        }
        let soft = session.req_header().headers.get("soft-purge");
        let how = How {
            soft: soft.is_some_and(|value| value.as_bytes() == b"1"),
            dry_run: false,
            is_told: false,
        };
        let url = format!(
            "http://{}{}",
            ctx.host,
            headers::target(session.req_header())
        );
        match self.purger().purge(&Target::Url(url), how).await {
            Ok(purged) => {
                told(session, ctx, purged).await?;
                Ok(true)
            }
            Err(Unpurged::NotAUrl(_) | Unpurged::NoTag) => {
                error::answer(session, ctx, StatusCode::BAD_REQUEST, "purge-of-no-url").await
            }
            Err(Unpurged::Refused(_)) => {
                error::answer(session, ctx, StatusCode::BAD_REQUEST, "variant").await
            }
            Err(Unpurged::Store(PurgeError::Disk(_))) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                error::answer(session, ctx, status, "purge-not-durable").await
            }
            Err(Unpurged::Store(_)) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                error::answer(session, ctx, status, "purge-unavailable").await
            }
        }
    }
}

/// Says what a `PURGE` request came to.
async fn told(session: &mut Session, ctx: &mut Context, purged: Purged) -> Result<()> {
    ctx.handling = Handling::Own;
    ctx.detail = Some("purged");
    let body = format!(
        "{{\"objects\":{},\"bytes\":{}}}\n",
        purged.objects, purged.bytes
    );
    // What may follow the head of a request that is not read on is not a request.
    session.as_downstream_mut().set_keepalive(None);
    let mut response = ResponseHeader::build(StatusCode::OK, Some(4))?;
    response.insert_header(header::CONTENT_LENGTH, HeaderValue::from(body.len()))?;
    response.insert_header(header::CONTENT_TYPE, "application/json")?;
    response.insert_header(header::CACHE_CONTROL, "no-store")?;
    let who = &ctx.terms.identifier;
    let field = Done::own(ctx.detail).member(who);
    response.insert_header("Cache-Status", field)?;
    session
        .write_response_header(Box::new(response), false)
        .await?;
    session.write_response_body(Some(body.into()), true).await
}
