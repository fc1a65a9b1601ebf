//! What a reload changes besides origins and routes.

use super::{
    Settings, StartError, build::connection_limits, door::Clientele, events::Events,
    token::TokenWatch,
};
use crate::{
    admin::Guard,
    cache::ChunkStorage,
    proxy::{Terms, Tracer},
    traces::{Collector, Exporter},
};
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
    pub token: Arc<TokenWatch>,
    pub events: Arc<Events>,
    pub exporter: Exporter,
}

/// What a reload brings that could not be had for certain.
#[derive(Debug)]
pub(super) struct Prepared {
    terms: Terms,
    collector: Option<Arc<Collector>>,
}

impl Live {
    /// All that can go wrong.
    pub fn prepare(&self, settings: &Settings) -> Result<Prepared, StartError> {
        let before = self.clientele.reception.terms();
        let tracer = tracer(settings, &self.exporter);
        Ok(Prepared {
            terms: Terms::load(settings.clients.clone(), tracer, Some(&before))?,
            collector: collector(settings)?,
        })
    }

    /// Takes all over.
    pub fn apply(&self, settings: &Settings, prepared: Prepared) {
        self.clientele.reception.replace(prepared.terms);
        self.exporter.send_to(prepared.collector);
        let connections = &self.clientele.connections;
        connections.set_limits(connection_limits(settings));
        self.cache_version.store(settings.cache_version, Relaxed);
        self.admin.set_token_file(settings.token_file());
        self.token.look();
        let fills = self.storage.fills();
        fills.set_config(settings.fill.clone());
        let (store, max_size) = (fills.store().clone(), settings.store.max_size);
        if store.max_size() != max_size {
            tokio::spawn(async move { store.set_max_size(max_size).await });
        }
    }
}

/// By what requests are recorded, where they are.
pub(super) fn tracer(settings: &Settings, exporter: &Exporter) -> Option<Tracer> {
    let rules = settings.traces.as_ref()?.rules.clone();
    Some(Tracer::new(
        rules,
        exporter.queue().clone(),
        settings.hidden(),
        settings.secret_parameters(),
    ))
}

/// Whom spans are sent to, with secrets as they are now.
pub(super) fn collector(settings: &Settings) -> Result<Option<Arc<Collector>>, StartError> {
    let config = settings.traces.as_ref();
    let collector = config.map(|config| Collector::load(config.collector.clone()));
    let collector = collector.transpose().map_err(StartError::Traces)?;
    Ok(collector.map(Arc::new))
}
