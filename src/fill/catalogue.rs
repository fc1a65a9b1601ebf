//! Who else may know of an object.

use crate::{
    source::{Ranged, Source},
    store::{Manifest, ObjectId},
    traces::Trace,
};
use async_trait::async_trait;
use std::sync::Arc;

/// Objects that others have.
#[async_trait]
pub trait Catalogue: Send + Sync + std::fmt::Debug {
    /// What is known of the object with this name and key. Implementations put a deadline on every
    /// wait: a client waits for this, whose part of a trace may be told of it.
    async fn recall(
        &self,
        id: ObjectId,
        key: &[u8],
        trace: Option<&Arc<Trace>>,
    ) -> Option<Manifest>;

    /// Whether all of a part is known to be there, as far as that can be told at once.
    fn has(&self, part: &Ranged) -> bool;

    /// How many bytes from the beginning of a part on are known to be there, as far as that can be
    /// told at once: at most as many as are worth asking for at a time, for one reader.
    fn near(&self, part: &Ranged) -> u64;

    /// These origins, asked for what others do not have.
    fn before(self: Arc<Self>, origins: Arc<dyn Source>) -> Arc<dyn Source>;
}
