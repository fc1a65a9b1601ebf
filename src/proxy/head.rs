//! What the answer to a HEAD that passes by tells of what is stored (RFC 9111, section 4.3.5).
//!
//! Most are none: where the cache may keep what it is told, it asks by a GET of its own, whose
//! 304 or new version says the same and more.

use super::{context::Context, first_contact::lay_over, foundation::Proxy, headers};
use crate::{
    cache::{ChunkStorage, Object, id_of},
    domain::{head_agrees, head_differs, is_coded},
};
use http::{Method, StatusCode};
use pingora_cache::CacheKey;
use pingora_core::Result;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use std::sync::Arc;

impl Proxy {
    /// A HEAD that was not asked for the sake of the cache is answered with a good head: what is
    /// stored and differs from it is asked for before it is used again. Where it agrees, and
    /// passes by only since it was not known whether anything would be kept, what is stored is as
    /// good as validated.
    pub(super) async fn compare_head(
        &self,
        session: &Session,
        response: &ResponseHeader,
        ctx: &Context,
    ) -> Result<()> {
        let request = session.req_header();
        let passes = request.method == Method::HEAD && !session.cache.enabled();
        // A coded one is another representation, which is never the one that is stored.
        if !passes || response.status != StatusCode::OK || is_coded(&response.headers) {
            return Ok(());
        }
        let Some((variant, object)) = self.meant(request, &ctx.key).await else {
            return Ok(());
        };
        let meta = object.meta();
        if meta.status != StatusCode::OK.as_u16() {
            return Ok(());
        }
        if head_differs(&response.headers, &meta.headers) {
            self.storage.expire(&variant).await;
        } else if session.cache.bypassing() && head_agrees(&response.headers, &meta.headers) {
            self.freshen(session, &object, response, ctx).await?;
        }
        Ok(())
    }

    /// What is stored for such a request, and its place.
    async fn meant(&self, request: &RequestHeader, key: &[u8]) -> Option<(CacheKey, Arc<Object>)> {
        let store = self.storage.fills().store();
        let mut place = CacheKey::new(key, "");
        let mut object = store.find(id_of(&place), key).await?;
        let wanted = headers::variance(&object.meta().headers, &request.headers);
        if wanted != object.meta().variance {
            place.set_variance_key(wanted?);
            object = store.find(id_of(&place), key).await?;
        }
        Some((place, object))
    }

    /// The fields of a head take the place of the stored ones, as those of a 304 do.
    async fn freshen(
        &self,
        session: &Session,
        object: &Arc<Object>,
        said: &ResponseHeader,
        ctx: &Context,
    ) -> Result<()> {
        let mut head = ChunkStorage::head_of(object)?;
        lay_over(&mut head, &said.headers)?;
        if let (Ok(fresh), Some(order)) = (self.judge(session, &head, ctx), &ctx.order) {
            let kept = self.kept(head, &fresh, &mut Vec::new())?;
            self.storage.freshen(object, &kept, order).await;
        }
        Ok(())
    }
}
