//! The tier in front of a route's origins, as where missing chunks come from.

use super::{
    Tier,
    body::Joined,
    entry::Entry,
    pieces::{Piece, pieces},
};
use crate::{
    domain::{ByteRange, Groups, PURGES},
    fill::{Catalogue, Verdict, judge},
    source::{Answer, Ranged, Request, Source, SourceError},
    store::{Manifest, ObjectId},
    traces::Trace,
    traffic::Urgency,
};
use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::{any::Any, sync::Arc, time::SystemTime};

/// A route's origins behind the tier.
#[derive(Debug)]
pub struct Tiered {
    tier: Arc<Tier>,
    origins: Arc<dyn Source>,
}

/// What a part is asked for with.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub request: Request,
    pub ranged: Ranged,
    pub urgency: Urgency,
}

impl Tier {
    /// Where the bytes of a part would come from, as far as is remembered.
    fn known(&self, part: &Ranged) -> Option<Vec<Piece>> {
        let entry = self.lookup().remembered(ObjectId(part.id))?;
        let entry = self.lookup().sound(entry);
        let is_version = entry.is_version(part.if_range.as_deref(), part.total);
        let is_usable = is_version && self.remote().is_readable();
        is_usable.then(|| pieces(&entry, part.range, u64::MAX))
    }
}

impl Tiered {
    /// The tier in front of these origins.
    pub fn new(tier: Arc<Tier>, origins: Arc<dyn Source>) -> Self {
        Self { tier, origins }
    }

    /// A request as the origins are to get it. A part is of a version that is known, and of no other:
    /// purges that have no number yet need not be spoken of.
    fn told(&self, request: &Request) -> Request {
        let mut request = request.clone();
        if let Some(as_of) = self.tier.numbered() {
            request.headers.insert(PURGES, as_of.field());
        }
        request
    }

    /// What the tier has of a part, if it has anything of it.
    async fn plan(
        &self,
        ranged: &Ranged,
        trace: Option<&Arc<Trace>>,
    ) -> Option<(Arc<Entry>, Vec<Piece>)> {
        if !self.tier.is_ready() || ranged.past_caches || !self.tier.remote().is_readable() {
            return None;
        }
        let id = ObjectId(ranged.id);
        let (entry, _) = self.tier.lookup().find(id, None, trace).await?;
        if !entry.is_version(ranged.if_range.as_deref(), ranged.total) {
            return None;
        }
        let entry = self.tier.lookup().sound(entry);
        let pieces = pieces(&entry, ranged.range, self.tier.config().read);
        let has_any = pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Tier { .. }));
        has_any.then_some((entry, pieces))
    }
}

#[async_trait]
impl Source for Tiered {
    async fn fetch(
        self: Arc<Self>,
        request: &Request,
        range: Option<&Ranged>,
        urgency: Urgency,
    ) -> Result<Answer, SourceError> {
        let origins = self.origins.clone();
        let request = &self.told(request);
        let Some(ranged) = range else {
            return origins.fetch(request, range, urgency).await;
        };
        let Some((entry, pieces)) = self.plan(ranged, request.trace()).await else {
            return origins.fetch(request, range, urgency).await;
        };
        let headers = head(&entry, ranged);
        let mut first = None;
        if let Some(Piece::Origin(part)) = pieces.first() {
            let part = of_part(ranged, *part);
            let answer = origins.clone().fetch(request, Some(&part), urgency).await?;
            if !is_part(&answer, &part, &entry) {
                // What it says is to be judged by who asked, in answer to what was asked.
                drop(answer);
                return origins.fetch(request, range, urgency).await;
            }
            first = Some(answer.body);
        }
        let asked = Asked {
            request: request.clone(),
            ranged: ranged.clone(),
            urgency,
        };
        let body = Joined::new(self.tier.clone(), origins, entry, asked, pieces, first);
        Ok(Answer {
            status: StatusCode::PARTIAL_CONTENT,
            headers,
            body: Box::new(body),
        })
    }

    fn groups(&self) -> Groups {
        self.origins.groups()
    }

    fn prepare(self: Arc<Self>, request: &Request) -> Option<Box<dyn Any + Send + Sync>> {
        self.origins.clone().prepare(request)
    }
}

/// The same request for another part.
pub(super) fn of_part(ranged: &Ranged, part: ByteRange) -> Ranged {
    Ranged {
        range: part,
        ..ranged.clone()
    }
}

/// Whether an origin's answer is the part that it was asked for, of the version that the tier has.
pub(super) fn is_part(answer: &Answer, asked: &Ranged, entry: &Entry) -> bool {
    let stored = entry.object.meta.validators();
    let (range, total) = (asked.range, asked.total);
    judge(answer.status, &answer.headers, range, total, &stored) == Verdict::Part
}

/// What an origin would have said of the part.
fn head(entry: &Entry, ranged: &Ranged) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let stored = &entry.object.meta.headers;
    for name in [header::ETAG, header::LAST_MODIFIED, header::DATE] {
        if let Some(value) = stored.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let (range, total) = (ranged.range, ranged.total);
    let content_range = format!("bytes {}-{}/{total}", range.start(), range.last());
    if let Ok(value) = HeaderValue::from_str(&content_range) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.len()));
    headers
}

#[async_trait]
impl Catalogue for Tier {
    async fn recall(
        &self,
        id: ObjectId,
        key: &[u8],
        trace: Option<&Arc<Trace>>,
    ) -> Option<Manifest> {
        if !self.is_ready() {
            return None;
        }
        let (entry, standing) = self.lookup().find(id, Some(key), trace).await?;
        let mut object = entry.object.clone();
        if standing == super::history::Standing::Stale {
            Entry::expire(&mut object, SystemTime::now());
        }
        Some(object)
    }

    fn has(&self, part: &Ranged) -> bool {
        self.known(part).is_some_and(|pieces| {
            let mut pieces = pieces.iter();
            pieces.all(|piece| matches!(piece, Piece::Tier { .. }))
        })
    }

    fn near(&self, part: &Ranged) -> u64 {
        let pieces = self.known(part).unwrap_or_default();
        let there = pieces.iter().map_while(|piece| match piece {
            Piece::Tier { wanted, .. } => Some(wanted.len()),
            Piece::Origin(_) => None,
        });
        let config = self.config();
        let most = config.read.saturating_mul(config.parallel as u64);
        there.sum::<u64>().min(most)
    }

    fn before(self: Arc<Self>, origins: Arc<dyn Source>) -> Arc<dyn Source> {
        Arc::new(Tiered::new(self, origins))
    }
}
