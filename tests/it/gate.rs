//! Tidegate itself, in this process, in a directory of its own.

use crate::{
    client::{Answer, Client, Request},
    origin::Origin,
    patience::{DEADLINE, within},
};
use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tidegate::{
    fill, logs, origin, proxy,
    server::{self, Admin, Listen, Running, Server, Settings, StartError},
    store,
};

/// The grid of the tests: the least that a configuration may ask for.
pub const CHUNK: u64 = 64 << 10;

/// A running Tidegate before one origin.
pub struct Gate {
    running: Option<Running>,
    settings: Settings,
    // Last, so that the directory goes after those who use it.
    directory: TempDir,
}

impl Gate {
    pub async fn before(origin: &Origin) -> Self {
        Self::with(origin, |_| ()).await
    }

    /// With settings of its own.
    pub async fn with(origin: &Origin, change: impl FnOnce(&mut Settings)) -> Self {
        Self::at(origin.address(), change).await
    }

    /// With a token that who changes anything must bear.
    pub async fn guarded(origin: &Origin, token: &str) -> Self {
        Self::with(origin, |settings| {
            // Beside the cache, with which it goes.
            let file = settings.store.directory.with_file_name("token");
            fs::write(&file, format!("{token}\n")).unwrap();
            settings.admin.as_mut().unwrap().token_file = Some(file);
        })
        .await
    }

    /// Why one with such settings does not start.
    pub async fn refused(origin: &Origin, change: impl FnOnce(&mut Settings)) -> String {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(origin.address(), &directory.path().join("cache"));
        change(&mut settings);
        match within("Tidegate to give up", server::start(settings)).await {
            Ok(_) => panic!("Tidegate starts"),
            Err(why) => why.to_string(),
        }
    }

    /// Before whatever is at an address.
    pub async fn at(origin: SocketAddr, change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(origin, &directory.path().join("cache"));
        change(&mut settings);
        let running = start(settings.clone()).await;
        Self {
            running: Some(running),
            settings,
            directory,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.running().addresses()[0]
    }

    pub fn cache_directory(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address()).await
    }

    /// Asks over a connection of its own.
    pub async fn ask(&self, request: Request) -> Answer {
        self.client().await.ask(&request).await
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.ask(Request::get(target)).await
    }

    pub async fn bytes(&self, target: &str, first: u64, last: u64) -> Answer {
        self.ask(Request::get(target).bytes(first, last)).await
    }

    /// Changes the settings while it runs; they stay as they are where it refuses.
    pub fn reload(&mut self, change: impl FnOnce(&mut Settings)) -> Result<(), StartError> {
        let mut settings = self.settings.clone();
        change(&mut settings);
        self.running().reload(&settings)?;
        self.settings = settings;
        Ok(())
    }

    /// The settings of the next start.
    pub fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }

    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            within("Tidegate to stop", running.stop()).await;
        }
    }

    /// Starts on the same directory, after [`Gate::stop`].
    pub async fn start_again(&mut self) {
        assert!(self.running.is_none(), "stop it first");
        self.running = Some(start(self.settings.clone()).await);
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    pub fn admin_address(&self) -> SocketAddr {
        let address = self.running().admin_address();
        address.expect("the admin address is on")
    }

    /// What the operator's monitoring would read.
    pub async fn metrics(&self) -> String {
        let mut client = Client::operator(self.admin_address()).await;
        let answer = client.ask(&Request::get("/metrics")).await;
        assert_eq!(answer.status(), 200, "{answer}");
        String::from_utf8(answer.body).unwrap()
    }

    /// The sum of all samples of all metrics whose name contains `part`.
    pub async fn metric(&self, part: &str) -> f64 {
        let text = self.metrics().await;
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.filter_map(|line| line.rsplit_once(' '));
        let named: Vec<_> = samples
            .filter(|(name, _)| name.split('{').next().unwrap_or_default().contains(part))
            .collect();
        assert!(
            !named.is_empty(),
            "no metric has {part:?} in its name:\n{text}"
        );
        named
            .iter()
            .map(|(_, value)| value.parse::<f64>().unwrap())
            .sum()
    }

    /// Waits until so many requests are under way; those that are not have been counted.
    pub async fn until_active(&self, count: f64) {
        self.until("requests_active", count).await;
    }

    /// Waits until [`Gate::metric`] is this: a client may see an end before it is counted.
    pub async fn until(&self, part: &str, value: f64) {
        let reached = async {
            while self.metric(part).await != value {
                tokio::task::yield_now().await;
            }
        };
        within(&format!("{part} to be {value}"), reached).await;
    }

    /// Waits until the metrics contain this: a name, its labels and perhaps a value.
    pub async fn until_told(&self, sample: &str) {
        let told = async {
            while !self.metrics().await.contains(sample) {
                tokio::task::yield_now().await;
            }
        };
        within(sample, told).await;
    }

    /// Waits until so many bytes are stored.
    pub async fn until_stored(&self, bytes: u64) {
        let stored = async {
            while self.metric("tidegate_store_size_bytes").await < bytes as f64 {
                tokio::task::yield_now().await;
            }
        };
        within(&format!("{bytes} bytes to be stored"), stored).await;
    }

    /// Bytes that the cache directory takes on disk.
    pub fn allocated(&self) -> u64 {
        allocated(&self.cache_directory())
    }

    /// Flips a byte of every place on disk where `needle` is found; returns how many.
    pub fn corrupt(&self, needle: &[u8]) -> usize {
        self.files().iter().map(|file| flip(file, needle)).sum()
    }

    /// All files of the store.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        walk(&self.cache_directory(), &mut |path| {
            files.push(path.to_owned());
        });
        files
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("Tidegate is running")
    }
}

async fn start(settings: Settings) -> Running {
    match within("Tidegate to start", server::start(settings)).await {
        Ok(running) => running,
        Err(error) => panic!("Tidegate does not start: {error}"),
    }
}

/// Test-sized settings: a small grid, small windows, short waits.
fn settings(origin: SocketAddr, directory: &Path) -> Settings {
    let url = format!("http://{origin}").parse().unwrap();
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    Settings {
        log: logs::Config::default(),
        traces: None,
        server: Server {
            drain: Duration::from_secs(2),
            ..Server::default()
        },
        listen: vec![Listen {
            address: loopback,
            h2c: true,
            tls: None,
            proxy_protocol: None,
        }],
        admin: Some(Admin {
            address: loopback,
            token_file: None,
        }),
        cache_version: 1,
        store: store::Config {
            chunk_size: CHUNK as u32,
            max_size: 256 << 20,
            ..store::Config::new(directory.to_owned())
        },
        fill: fill::Config {
            max_window: 16 * CHUNK,
            wait: Duration::from_secs(15),
            ..fill::Config::default()
        },
        tier: None,
        clients: proxy::Clients::default(),
        resolving: origin::Resolving::default(),
        origins: vec![origin::Config::new("media".into(), vec![url])],
        routes: vec![route()],
        shown: Default::default(),
    }
}

/// The way to the origin. Clients are of this process, and take their time on a busy machine: those
/// that are to be too slow say so.
fn route() -> proxy::Route {
    let origins = vec![proxy::RouteOrigin::named("media")];
    let mut route = proxy::Route::new(proxy::Matcher::Prefix("/".into()), origins);
    for pieces in [&mut route.sending.range, &mut route.sending.whole] {
        pieces.least_time = DEADLINE;
    }
    route
}

/// Bytes that a directory takes on disk, as the kernel counts them.
pub fn allocated(directory: &Path) -> u64 {
    let mut bytes = 0;
    walk(directory, &mut |path| {
        bytes += fs::symlink_metadata(path).map_or(0, |file| file.blocks() * 512);
    });
    bytes
}

fn walk(directory: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), visit),
            _ => visit(&entry.path()),
        }
    }
}

fn flip(path: &Path, needle: &[u8]) -> usize {
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let places: Vec<_> = (0..bytes.len().saturating_sub(needle.len() - 1))
        .filter(|&at| bytes[at] == needle[0] && bytes[at..].starts_with(needle))
        .collect();
    for &at in &places {
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&[!needle[0]]).unwrap();
    }
    places.len()
}
