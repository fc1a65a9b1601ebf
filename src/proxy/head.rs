//! What the answer to a HEAD that passes by tells of what is stored (RFC 9111, section 4.3.5).

use super::{context::Context, foundation::Proxy, headers};
use crate::{
    cache::id_of,
    domain::{head_differs, is_coded},
};
use http::{Method, StatusCode};
use pingora_cache::CacheKey;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

impl Proxy {
    /// A HEAD that was not asked for the sake of the cache is answered with a good head: what is
    /// stored and differs from it is asked for before it is used again.
    pub(super) async fn compare_head(
        &self,
        session: &Session,
        response: &ResponseHeader,
        ctx: &Context,
    ) {
        let request = session.req_header();
        let passes = request.method == Method::HEAD && !session.cache.enabled();
        // A coded one is another representation, which is never the one that is stored.
        if !passes || response.status != StatusCode::OK || is_coded(&response.headers) {
            return;
        }
        if let Some(variant) = self.differing(request, response, &ctx.key).await {
            self.storage.expire(&variant).await;
        }
    }

    /// The place of what is stored for such a request, where the head says otherwise.
    async fn differing(
        &self,
        request: &RequestHeader,
        response: &ResponseHeader,
        key: &[u8],
    ) -> Option<CacheKey> {
        let store = self.storage.fills().store();
        let mut place = CacheKey::new(key, "");
        let mut object = store.find(id_of(&place), key).await?;
        let wanted = headers::variance(&object.meta().headers, &request.headers);
        if wanted != object.meta().variance {
            place.set_variance_key(wanted?);
            object = store.find(id_of(&place), key).await?;
        }
        let meta = object.meta();
        let is_good = meta.status == StatusCode::OK.as_u16();
        (is_good && head_differs(&response.headers, &meta.headers)).then_some(place)
    }
}
