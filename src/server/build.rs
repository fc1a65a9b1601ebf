//! The rooms put together, from the store up.

use super::{
    Listen, Running, Settings, StartError, connection,
    listener::{self, BoundListener},
    table::Table,
};
use crate::{
    admin::{Guard, Pages, Readings, State},
    cache::ChunkStorage,
    fill::Fills,
    origin::{Client, Sessions},
    proxy::{self, Foundation, Proxy, Routes, Stats},
    store::{self, Store},
};
use futures_util::FutureExt;
use parking_lot::Mutex;
use pingora_core::{
    apps::{HttpServerOptions, http_app::HttpServer},
    listeners::{ListenerConfig, tls::TlsSettings},
    protocols::l4::stream::L4BufferSettings,
    server::{Fds, ListenFds, ShutdownWatch, configuration::ServerConf},
    services::{Service, listening},
};
use pingora_proxy::{HttpProxy, ProxyServiceBuilder};
use std::sync::Arc;
use tokio::sync::watch;

pub(super) async fn start(settings: Settings) -> Result<Running, StartError> {
    // Sockets first: a taken port is the commonest mistake, and says so at once.
    let sockets = bind_all(&settings.listen)?;
    let admin_socket = settings
        .admin
        .as_ref()
        .map(|a| listener::bind(a.address))
        .transpose()?;
    let addresses = sockets.iter().map(BoundListener::address).collect();
    let admin_address = admin_socket.as_ref().map(BoundListener::address);

    let storage = open_storage(&settings)?;
    let client = Client::new(settings.server.origin_idle_connections);
    let routes = Arc::new(Routes::default());
    let table = Table {
        routes: routes.clone(),
        client: client.clone(),
        origins: Mutex::default(),
        in_force: Arc::default(),
    };
    table.load(&settings)?;
    let stats = Arc::new(Stats::default());
    let (state, active) = (Arc::new(State::default()), Arc::default());
    let readings = Readings::new(storage, &client, &stats)?;
    let guard = settings.clients.bypass.as_ref().map(proxy::Guard::load);
    let proxy = Proxy::new(Foundation {
        routes,
        clients: settings.clients.clone(),
        guard: guard.transpose()?,
        cache_version: settings.cache_version,
        max_window: settings.fill.max_window,
        chunk_size: settings.store.chunk_size,
        storage,
        stats,
        active: Arc::clone(&active),
    });
    let purger = proxy.purger();

    let (shutdown, watch) = watch::channel(false);
    let (admin_shutdown, admin_watch) = watch::channel(false);
    let mut fds = Fds::new();
    let mut services: Vec<Box<dyn Service>> = Vec::new();
    let mut admin: Vec<Box<dyn Service>> = Vec::new();
    for (listen, socket) in settings.listen.iter().zip(sockets) {
        let name = socket.hand_over(&mut fds);
        services.push(Box::new(client_service(&settings, &proxy, listen, &name)?));
    }
    if let Some((socket, socket_address)) = admin_socket.zip(admin_address) {
        let name = socket.hand_over(&mut fds);
        // It answers until the last client's answer has ended.
        let guard = Guard::new(
            socket_address.ip(),
            settings.admin.as_ref().and_then(|a| a.token_file.clone()),
        );
        let pages = Pages::new(
            readings,
            state.clone(),
            table.in_force.clone(),
            (guard, purger),
        );
        admin.push(Box::new(admin_service(pages, &name)));
    }
    let fds = Arc::new(Mutex::new(fds));
    serve(services, &fds, &watch);
    serve(admin, &fds, &admin_watch);
    let drain = settings.server.drain;
    Ok(Running {
        addresses,
        admin: admin_address,
        shutdown,
        admin_shutdown,
        state,
        active,
        storage,
        drain,
        table,
    })
}

fn bind_all(listen: &[Listen]) -> Result<Vec<BoundListener>, StartError> {
    listen
        .iter()
        .map(|l| Ok(listener::bind(l.address)?))
        .collect()
}

/// Opens the store and lets it learn, behind, what it holds. It lives as long as the process:
/// that is what pingora-cache asks of a storage.
fn open_storage(settings: &Settings) -> Result<&'static ChunkStorage, StartError> {
    let store = Store::open(bounded(settings))?;
    let walker = store.clone();
    tokio::task::spawn_blocking(move || walker.recover());
    let fills = Fills::new(store, settings.fill.clone(), None);
    Ok(Box::leak(Box::new(ChunkStorage::new(fills))))
}

/// Chunks that wait for the disk hold memory: at most half of what may be in flight, so that a
/// slow disk costs kept chunks and not clients' time.
fn bounded(settings: &Settings) -> store::Config {
    let sizes = settings.routes.iter().filter_map(|route| route.chunk_size);
    let largest = sizes.chain([settings.store.chunk_size]).max().unwrap_or(1);
    let fits = settings.fill.in_flight / 2 / u64::from(largest.max(1));
    let write_queue = settings.store.write_queue.min(fits.max(1) as usize);
    store::Config {
        write_queue,
        ..settings.store.clone()
    }
}

/// Pingora keeps small writes back until a packet is full or the answer ends. Bytes that trickle
/// in from an origin are to reach the client as they come.
const AT_ONCE: L4BufferSettings = L4BufferSettings {
    read: None,
    write: Some(0),
};

type ProxyService = listening::Service<HttpProxy<Proxy, Sessions>>;

fn client_service(
    settings: &Settings,
    proxy: &Proxy,
    listen: &Listen,
    name: &str,
) -> Result<ProxyService, StartError> {
    let h2c = listen.h2c;
    let serve = Arc::new(move |proxy, stream, shutdown: &ShutdownWatch| {
        connection::serve(proxy, stream, shutdown.clone(), h2c).boxed()
    });
    let conf = Arc::new(server_conf(settings));
    let mut service = ProxyServiceBuilder::new(&conf, proxy.clone())
        .custom(Sessions, serve)
        .build();
    if let Some(app) = service.app_logic_mut() {
        let mut options = HttpServerOptions::default();
        // All connections but those over which HTTP/2 was negotiated are ours to begin.
        options.force_custom = true;
        options.h2_idle_timeout = Some(settings.clients.idle_timeout);
        app.server_options = Some(options);
    }
    match &listen.tls {
        None => service.add_listener(ListenerConfig::tcp(name).l4_buffer(AT_ONCE)),
        Some(tls) => {
            let wrong = |reason: String| StartError::Tls {
                address: listen.address,
                reason,
            };
            let paths = tls.certificate.to_str().zip(tls.key.to_str());
            let (certificate, key) =
                paths.ok_or_else(|| wrong("a path that is not UTF-8".into()))?;
            let tls = TlsSettings::intermediate(certificate, key);
            let mut tls = tls.map_err(|e| wrong(e.to_string()))?;
            tls.enable_h2();
            service.add_listener(ListenerConfig::tcp(name).tls(tls).l4_buffer(AT_ONCE));
        }
    }
    Ok(service)
}

fn admin_service(pages: Pages, name: &str) -> listening::Service<HttpServer<Pages>> {
    let mut service = listening::Service::new("admin".into(), HttpServer::new_app(pages));
    service.add_tcp(name);
    service
}

fn server_conf(settings: &Settings) -> ServerConf {
    ServerConf {
        threads: settings.server.threads,
        upstream_keepalive_pool_size: settings.server.origin_idle_connections,
        ..ServerConf::default()
    }
}

fn serve(services: Vec<Box<dyn Service>>, fds: &ListenFds, shutdown: &ShutdownWatch) {
    for mut service in services {
        let (fds, shutdown) = (fds.clone(), shutdown.clone());
        tokio::spawn(async move { service.start_service(Some(fds), shutdown, 1).await });
    }
}
