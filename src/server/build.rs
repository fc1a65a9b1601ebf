//! The rooms put together, from the store up.

use super::{
    Listen, Running, Settings, StartError,
    certificates::{Certificates, acceptor},
    count::Count,
    desk::{Desk, Owed},
    door::{Clientele, Door},
    events::Events,
    files,
    handover::Predecessor,
    inherited::Inherited,
    lanes::Lanes,
    listener::BoundListener,
    listening::Listening,
    live::{Live, collector, tracer},
    sockets::Sockets,
    table::Table,
    token::TokenWatch,
};
use crate::{
    admin::{Guard, Keeper, Pages, Readings, Rooms, State},
    cache::{Catalogue, ChunkStorage},
    fill::{Fills, Workers},
    logs::Logs,
    origin::{Client, Sessions},
    proxy::{Connections, Foundation, Journal, Proxy, Reception, Stats, Terms},
    store::{self, Store},
    tier::Tier,
    traces::Exporter,
    traffic::{CrowdLimits, Lull},
};
use futures_util::FutureExt;
use parking_lot::Mutex;
use pingora_core::{
    apps::HttpServerOptions,
    server::{Fds, ShutdownWatch, configuration::ServerConf},
    services::{Service, listening},
};
use pingora_proxy::{HttpProxy, ProxyServiceBuilder};
use std::{
    num::NonZeroUsize,
    sync::{Arc, atomic::AtomicU32},
    thread,
    time::Duration,
};
use tokio::sync::watch;

/// Of all that can fail only the tier comes after the store, as what was purged elsewhere is taken out
/// of it before anything is served: where this process takes over from another, that one has its own
/// until then, and takes it back where this fails.
pub(super) async fn start(
    settings: Settings,
    logs: Logs,
    inherited: Inherited,
    predecessor: Option<&Predecessor>,
) -> Result<Running, StartError> {
    // Sockets first: a taken port is the commonest mistake, and says so at once.
    let sockets = Sockets::claim(&settings, inherited)?;
    let addresses = sockets.addresses();
    let admin_address = sockets.admin.as_ref().map(BoundListener::address);
    let shared = sockets.share().map_err(StartError::System)?;

    let client = Client::new(settings.server.origin_idle_connections);
    let table = Table::new(client.clone());
    table.load(&settings)?;
    let exporter = Exporter::start();
    exporter.send_to(collector(&settings)?);
    let stats = Arc::new(Stats::default());
    let clientele = clientele(&settings, &exporter, &logs, &stats)?;
    let doors = doors(&settings, &table, &clientele)?;
    let lanes = Lanes::start(settings.server.threads).map_err(StartError::Threads)?;
    let lanes = Arc::new(lanes);
    let workers = Workers::new(lanes.intake());
    let storage = open_storage(&settings, workers, predecessor)?;

    let cache_version = Arc::new(AtomicU32::new(settings.cache_version));
    let tier = open_tier(&settings, storage, &cache_version, &lanes).await?;
    let active = Arc::default();
    let told = tier.as_ref().map(|tier| tier.stats());
    let rooms = Rooms::new(storage, &client, &stats, &clientele.connections, told);
    logs.conceal(settings.secret_parameters());
    let events = Arc::new(Events::new());
    let guard = admin_address.map_or_else(Guard::default, |address| {
        Guard::new(address.ip(), settings.token_file())
    });
    let token = TokenWatch::new(guard.clone());
    tokio::spawn(token.clone().keep_looking());
    let readings = Readings::new(&rooms, logs.stats())?;
    for collectors in [
        events.collectors(),
        token.collectors(),
        table.expiry.collectors(),
        vec![Box::new(exporter.stats().spans.clone())],
        told.map_or_else(Vec::new, |tier| tier.collectors()),
    ] {
        readings.add(collectors)?;
    }
    let proxy = Proxy::new(Foundation {
        routes: table.routes.clone(),
        reception: clientele.reception.clone(),
        access_log: logs.access().cloned(),
        cache_version: cache_version.clone(),
        chunk_size: settings.store.chunk_size,
        storage,
        catalogue: tier.clone().map(|tier| -> Arc<dyn Catalogue> { tier }),
        stats,
        connections: clientele.connections.clone(),
        active: Arc::clone(&active),
    });

    let (shutdown, watch) = watch::channel(false);
    let (admin_shutdown, admin_watch) = watch::channel(false);
    let mut fds = Fds::new();
    let served = doors.into_iter().zip(sockets.clients);
    let services = served.map(|(door, socket)| -> Box<dyn Service> {
        let name = socket.hand_over(&mut fds);
        Box::new(client_service(
            &settings, &proxy, door, &lanes, &watch, &name,
        ))
    });
    let services = services.collect();
    let mut admin: Vec<Box<dyn Service>> = Vec::new();
    let is_drained = predecessor.is_some_and(|before| before.is_drained);
    let state = Arc::new(State::new(is_drained));
    let owed = Owed::default();
    if let Some(socket) = sockets.admin {
        let name = socket.hand_over(&mut fds);
        // It answers until the last client's answer has ended.
        let keeper = Keeper::new(rooms.clone());
        tokio::spawn(keeper.clone().keep(admin_watch.clone()));
        let pages = Pages {
            readings,
            rooms,
            keeper,
            state: state.clone(),
            in_force: table.in_force.clone(),
            guard: guard.clone(),
            purger: proxy.purger(),
        };
        let desk = Desk::new(pages, owed.clone(), admin_watch);
        admin.push(Box::new(admin_service(desk, &name)));
    }
    let fds = Arc::new(Mutex::new(fds));
    let listening = Listening::start(services, &fds);
    let admin_listening = Listening::start(admin, &fds);
    Ok(Running {
        addresses,
        admin: admin_address,
        shutdown,
        admin_shutdown,
        listening,
        admin_listening,
        owed,
        state,
        active,
        sockets: shared,
        storage,
        tier,
        drain: Mutex::new(settings.server.drain),
        table,
        live: Live {
            clientele,
            cache_version,
            storage,
            admin: guard,
            token,
            events,
            exporter,
        },
        lanes,
        logs,
    })
}

/// Those who will come, and how they are met.
fn clientele(
    settings: &Settings,
    exporter: &Exporter,
    logs: &Logs,
    stats: &Arc<Stats>,
) -> Result<Clientele, StartError> {
    let tracer = tracer(settings, exporter);
    let terms = Terms::load(settings.clients.clone(), tracer, None)?;
    Ok(Clientele {
        connections: Connections::new(connection_limits(settings)),
        beginning: Count::default(),
        http2: Count::default(),
        kept: Count::default(),
        is_replaced: Arc::default(),
        reception: Reception::new(terms),
        journal: Journal::new(logs.access().cloned(), stats.clone()),
    })
}

/// How many connections there may be.
pub(super) fn connection_limits(settings: &Settings) -> CrowdLimits {
    CrowdLimits {
        all: files::connections(settings),
        per_address: settings.clients.max_connections_per_address,
    }
}

/// Opens the store, which a predecessor has until it is asked for it, and lets it learn, behind,
/// what it holds. It lives as long as the process:
/// that is what pingora-cache asks of a storage.
fn open_storage(
    settings: &Settings,
    workers: Workers,
    predecessor: Option<&Predecessor>,
) -> Result<&'static ChunkStorage, StartError> {
    let lock = match predecessor {
        Some(predecessor) => Some(tokio::task::block_in_place(|| predecessor.ask_for_store())?),
        None => None,
    };
    let store = Store::open_with(bounded(settings), lock)?;
    let walker = store.clone();
    tokio::task::spawn_blocking(move || walker.recover());
    tokio::spawn(store.clone().watch());
    let fills = Fills::new(store, settings.fill.clone(), workers);
    tokio::spawn(fills.clone().keep_when_it_is_known());
    Ok(Box::leak(Box::new(ChunkStorage::new(fills))))
}

/// Opens the second tier, if there is one.
async fn open_tier(
    settings: &Settings,
    storage: &'static ChunkStorage,
    version: &Arc<AtomicU32>,
    lanes: &Arc<Lanes>,
) -> Result<Option<Arc<Tier>>, StartError> {
    let Some(config) = settings.tier.clone() else {
        return Ok(None);
    };
    let fills = storage.fills();
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let (store, anteroom) = (fills.store().clone(), fills.anteroom().clone());
    // Whoever has the tier need not keep the threads.
    let lanes = Arc::downgrade(lanes);
    let worked = move || lanes.upgrade().map_or(Duration::ZERO, |it| it.worked());
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let lull = Lull::new(processors, worked);
    let tier = Tier::new(config, store, anteroom, version.clone(), lull, name)?;
    fills.offer_to(tier.clone());
    tier.begin().await?;
    Ok(Some(tier))
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
        open_objects: files::open_objects(settings),
        ..settings.store.clone()
    }
}

type ProxyService = listening::Service<HttpProxy<Proxy, Sessions>>;

fn client_service(
    settings: &Settings,
    proxy: &Proxy,
    door: Door,
    lanes: &Arc<Lanes>,
    shutdown: &ShutdownWatch,
    name: &str,
) -> ProxyService {
    let (door, lanes, shutdown) = (Arc::new(door), lanes.clone(), shutdown.clone());
    let serve = Arc::new(move |proxy, stream, _: &ShutdownWatch| {
        let (door, shutdown) = (door.clone(), shutdown.clone());
        // From now on, though it may be a while before its thread has time for it.
        let begins = door.clientele.beginning.enter();
        lanes.serve(async move { door.serve(proxy, stream, shutdown, begins).await });
        // Pingora's own task of the connection ends here, and with it what that holds: see
        // [`Listening`].
        std::future::ready(None).boxed()
    });
    let conf = Arc::new(server_conf(settings));
    let mut service = ProxyServiceBuilder::new(&conf, proxy.clone())
        .custom(Sessions, serve)
        .build();
    if let Some(app) = service.app_logic_mut() {
        let mut options = HttpServerOptions::default();
        // All connections are ours to begin.
        options.force_custom = true;
        app.server_options = Some(options);
    }
    service.add_tcp(name);
    service
}

/// How the connections of each listener are met.
fn doors(
    settings: &Settings,
    table: &Table,
    clientele: &Clientele,
) -> Result<Vec<Door>, StartError> {
    let listen = settings.listen.iter();
    let doors = listen.map(|listen| door(listen, table.shown(listen), clientele));
    doors.collect()
}

/// How the connections of one are.
fn door(
    listen: &Listen,
    certificates: Option<Arc<Certificates>>,
    clientele: &Clientele,
) -> Result<Door, StartError> {
    let tls = certificates.map(acceptor).transpose();
    Ok(Door {
        clientele: clientele.clone(),
        balancers: listen.proxy_protocol.clone(),
        tls: tls.map_err(|e| StartError::Tls {
            address: listen.address,
            reason: e.to_string(),
        })?,
        h2c: listen.h2c,
    })
}

fn admin_service(desk: Desk, name: &str) -> listening::Service<Desk> {
    let mut service = listening::Service::new("admin".into(), desk);
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
