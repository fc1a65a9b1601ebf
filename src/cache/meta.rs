//! Response metadata, as pingora-cache and as the store have it.

use crate::store::{Meta, Object};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora_cache::CacheMeta;
use pingora_core::Result;
use pingora_http::ResponseHeader;

/// What the store keeps of pingora-cache's metadata.
pub(super) fn stored(meta: &CacheMeta) -> Meta {
    Meta {
        status: meta.response_header().status.as_u16(),
        headers: detached(meta.headers()),
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
    let mut head = ResponseHeader::build(meta.status, Some(meta.headers.len() + 4))?;
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

/// The same fields in memory of their own, and no more of it than they fill: those of an answer
/// that was read lie in the page that its head came in, and would keep it as long as the object.
fn detached(fields: &HeaderMap) -> HeaderMap {
    let length = fields.values().map(HeaderValue::len).sum();
    let mut values = BytesMut::with_capacity(length);
    fields
        .values()
        .for_each(|value| values.extend(value.as_bytes()));
    let mut values: Bytes = values.freeze();
    let mut detached = HeaderMap::with_capacity(fields.keys_len());
    for (name, value) in fields {
        let own = HeaderValue::from_maybe_shared(values.split_to(value.len()));
        detached.append(name, own.unwrap_or_else(|_| value.clone()));
    }
    detached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_of_a_head_keeps_nothing_of_the_page_that_it_came_in() {
        let page = Bytes::from(vec![b'v'; 4096]);
        let value = |from: usize, to| HeaderValue::from_maybe_shared(page.slice(from..to)).unwrap();
        let mut fields = HeaderMap::new();
        fields.append("x-one", value(0, 10));
        fields.append("x-two", value(10, 10));
        fields.append("x-one", value(20, 50));
        let own = detached(&fields);
        assert_eq!(own, fields);
        assert!(!page.is_unique());
        drop(fields);
        assert!(page.is_unique());
        drop(own);
    }
}
