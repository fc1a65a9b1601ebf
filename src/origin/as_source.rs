//! A route's origins as where missing chunks come from.

use super::{
    Failure, Part, Purpose, Upstream,
    attempts::Attempts,
    failure::Cause,
    incoming::Incoming,
    interim::Interim,
    sending::{Ask, send_on},
    speculation::Speculation,
};
use crate::{
    domain::Groups,
    source::{Answer, Ranged, Request, Source, SourceError},
    traffic::Urgency,
};
use async_trait::async_trait;
use http::{Method, header};
use pingora_http::RequestHeader;
use std::{any::Any, sync::Arc};

#[async_trait]
impl Source for Upstream {
    async fn fetch(
        self: Arc<Self>,
        request: &Request,
        range: Option<&Ranged>,
        urgency: Urgency,
    ) -> Result<Answer, SourceError> {
        let unfit = |e: Box<pingora_core::Error>| Failure::new(Cause::Broken, e.to_string());
        let asked = head(request, range).map_err(unfit)?;
        let ask = Ask {
            part: Part {
                key: request.key,
                offset: range.map_or(0, |ranged| ranged.range.start()),
            },
            urgency,
            purpose: Purpose::Fill,
            may_hedge: range.is_some(),
        };
        let attempts = Attempts::new(self, ask.part, ask.urgency).noted_in(request.trail.clone());
        let answered = send_on(attempts, ask, &asked, &Interim::nowhere()).await?;
        let (head, body) = Incoming::new(answered, ask, asked);
        Ok(Answer {
            status: head.status,
            headers: head.headers.clone(),
            body: Box::new(body),
        })
    }

    fn prepare(self: Arc<Self>, request: &Request) -> Option<Box<dyn Any + Send + Sync>> {
        let part = Part {
            key: request.key,
            offset: 0,
        };
        let speculation = Speculation::begin(&self, part)?;
        Some(Box::new(speculation))
    }

    fn groups(&self) -> Groups {
        self.groups()
    }
}

fn head(
    request: &Request,
    range: Option<&Ranged>,
) -> Result<RequestHeader, Box<pingora_core::Error>> {
    let fields = request.headers.len() + 4;
    let mut head =
        RequestHeader::build_no_case(Method::GET, request.target.as_bytes(), Some(fields))?;
    for (name, value) in &request.headers {
        head.append_header(name.clone(), value.clone())?;
    }
    if let Some(Ranged {
        range,
        if_range,
        past_caches,
        ..
    }) = range
    {
        let field = format!("bytes={}-{}", range.start(), range.last());
        head.insert_header(header::RANGE, field)?;
        if let Some(validator) = if_range {
            head.insert_header(header::IF_RANGE, validator.as_str())?;
        }
        if *past_caches {
            head.insert_header(header::CACHE_CONTROL, "no-cache")?;
        }
    }
    Ok(head)
}
