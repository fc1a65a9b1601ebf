//! The whole document: all sections, and what they must agree on.

use super::{
    address::Taken,
    clients::clients,
    in_force,
    logs::log,
    mistakes::Reading,
    node::Node,
    origins::origins,
    process::{admin, listeners, server},
    resolver::resolver,
    routes::{Surroundings, routes},
    shown,
    spot::Spot,
    storage::{cache, fill},
    tier::tier,
    traces::traces,
};
use crate::{proxy::Route, server::Settings, store};

/// The settings of a document, if all that is required is there; mistakes are in the reading.
pub(super) fn read(node: &Node, reading: &Reading) -> Option<Settings> {
    let root = Spot::root(node, reading);
    root.refuse_duplicates();
    let settings = settings(&root)?;
    Some(Settings {
        shown: shown::without_secrets(&in_force::with_defaults(node)),
        ..settings
    })
}

/// Everything is read before anything is given up, so that every mistake is found.
fn settings(at: &Spot) -> Option<Settings> {
    let mut taken = Taken::default();
    at.section(|keys| {
        let server = keys.inner("server", server);
        let log = keys.inner("log", log);
        let traces = keys.optional("traces", traces);
        let listen = keys.required("listen", |at| listeners(at, &mut taken));
        let admin = keys.optional("admin", |at| admin(at, &mut taken));
        let cache = keys.inner("cache", cache);
        let tier = keys.optional("tier", tier);
        let clients = keys.inner("clients", clients);
        let resolving = keys.inner("resolver", resolver);
        let chunk_size = cache.as_ref().map_or(1, |cache| cache.store.chunk_size);
        let origins = keys.required("origins", |at| origins(at, chunk_size));
        let around = Surroundings {
            origins: origins.as_ref().map(|all| names(all)),
            read: origins
                .iter()
                .flatten()
                .filter_map(|o| o.1.as_ref())
                .collect(),
            max_size: cache.as_ref().map(|cache| cache.store.max_size),
        };
        let routes = keys.required("routes", |at| routes(at, &around));
        let largest_chunk = largest_chunk(cache.as_ref().map(|cache| &cache.store), &routes);
        let fill = keys.inner("fill", |at| fill(at, largest_chunk));
        let cache = cache?;
        Some(Settings {
            server: server?,
            log: log?,
            traces,
            listen: listen?,
            admin,
            cache_version: cache.version,
            store: cache.store,
            fill: fill?,
            tier,
            clients: clients?,
            resolving: resolving?,
            origins: origins?
                .into_iter()
                .filter_map(|(_, origin)| origin)
                .collect(),
            routes: routes?,
            shown: Default::default(),
        })
    })
}

fn names<T>(origins: &[(String, T)]) -> Vec<&str> {
    origins.iter().map(|(name, _)| name.as_str()).collect()
}

/// The largest grid of new objects, be it the store's or a route's.
fn largest_chunk(store: Option<&store::Config>, routes: &Option<Vec<Route>>) -> u32 {
    let routes = routes.iter().flatten().filter_map(|route| route.chunk_size);
    let all = store
        .map(|store| store.chunk_size)
        .into_iter()
        .chain(routes);
    all.max().unwrap_or(1)
}
