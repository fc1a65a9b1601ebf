//! What a reload changes besides origins and routes.

use super::{Settings, StartError, build::connection_limits, door::Clientele, events::Events};
use crate::{admin::Guard, cache::ChunkStorage, proxy::Terms};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

/// The parts of a running process that take new settings.
#[derive(Debug)]
pub(super) struct Live {
    pub clientele: Clientele,
    pub cache_version: Arc<AtomicU32>,
    pub storage: &'static ChunkStorage,
    pub admin: Guard,
    pub events: Arc<Events>,
}

impl Live {
    /// The terms for clients, with all that can go wrong.
    pub fn prepare(&self, settings: &Settings) -> Result<Terms, StartError> {
        let before = self.clientele.reception.terms();
        Ok(Terms::load(settings.clients.clone(), Some(&before))?)
    }

    /// Takes all over.
    pub fn apply(&self, settings: &Settings, terms: Terms) {
        self.clientele.reception.replace(terms);
        let connections = &self.clientele.connections;
        connections.set_limits(connection_limits(settings));
        self.cache_version.store(settings.cache_version, Relaxed);
        self.events.look_at_token(settings.admin.as_ref());
        self.admin.set_token_file(settings.token_file());
        let fills = self.storage.fills();
        fills.set_config(settings.fill.clone());
        let (store, max_size) = (fills.store().clone(), settings.store.max_size);
        if store.max_size() != max_size {
            tokio::spawn(async move { store.set_max_size(max_size).await });
        }
    }
}
