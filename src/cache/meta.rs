//! Response metadata, as pingora-cache and as the store have it.

use crate::store::{Meta, Object};
use http::{HeaderValue, StatusCode, header};
use pingora_cache::CacheMeta;
use pingora_core::Result;
use pingora_http::ResponseHeader;

/// What the store keeps of pingora-cache's metadata.
pub(super) fn stored(meta: &CacheMeta) -> Meta {
    Meta {
        status: meta.response_header().status.as_u16(),
        headers: meta.headers().clone(),
        // A new version of a variant is no beginning: pingora-cache believes no other variant
        // that is older than the first one says it is.
        created: meta.provenance(),
        validated: meta.updated(),
        epoch: meta.epoch(),
        fresh_until: meta.fresh_until(),
        stale_while_revalidate: meta.stale_while_revalidate_sec(),
        stale_if_error: meta.stale_if_error_sec(),
        variance: meta.variance(),
    }
}

/// What pingora-cache is to know of an object. The length is announced once it is known.
pub(super) fn announced(object: &Object) -> Result<CacheMeta> {
    let meta = object.meta();
    let mut head = ResponseHeader::build_no_case(meta.status, Some(meta.headers.len() + 4))?;
    for (name, value) in &meta.headers {
        head.append_header(name.clone(), value.clone())?;
    }
    if let Some(total) = object.total().filter(|_| head.status == StatusCode::OK) {
        head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(total))?;
    }
    let (swr, sie) = (meta.stale_while_revalidate, meta.stale_if_error);
    let mut announced = CacheMeta::new(meta.fresh_until, meta.created, swr, sie, head);
    announced.set_epoch_override(meta.epoch);
    if let Some(variance) = meta.variance {
        announced.set_variance(variance);
    }
    Ok(announced)
}
