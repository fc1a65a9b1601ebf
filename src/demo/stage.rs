//! The demo's props: a temporary directory, the film in it, the origin that serves it.

use super::{
    DemoError, Options,
    film::{self, Index},
    origin::{self, Asked, Origin, Serving},
};
use crate::{
    logs, origin as origins,
    proxy::{Clients, Matcher, Route, RouteOrigin},
    server::{
        Admin, Listen, Server, Settings,
        listener::{self, BindError},
    },
    store,
};
use http::{Uri, uri::Scheme};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

/// What stands before the proxy can start. The directory goes when this is dropped.
#[derive(Debug)]
pub struct Stage {
    directory: TempDir,
    serving: Serving,
    /// Where the origin listens.
    pub origin: SocketAddr,
    /// What it was asked for so far.
    pub asked: Arc<Asked>,
    /// Length of the film in bytes.
    pub film: u64,
}

impl Stage {
    /// Makes the film and serves it, on the tokio runtime of the caller.
    pub async fn build(options: &Options) -> Result<Self, DemoError> {
        let directory = tempfile::Builder::new()
            .prefix("tidegate-demo-")
            .tempdir()
            .map_err(DemoError::Directory)?;
        let file = directory.path().join("film.mp4");
        make_film(file.clone(), options.film_seconds)
            .await
            .map_err(DemoError::Film)?;
        let listener = listener::bind(loopback(0))?;
        let address = listener.address();
        let origin = Origin::new(file, FRESH, options.rate).map_err(DemoError::Film)?;
        let (asked, film) = (origin.asked(), origin.length());
        Ok(Self {
            directory,
            serving: origin.serve(listener),
            origin: address,
            asked,
            film,
        })
    }

    /// A proxy before this origin, its cache beside the film.
    pub fn settings(&self, listen: SocketAddr, admin: SocketAddr) -> Result<Settings, http::Error> {
        let cache = self.directory.path().join("cache");
        let server = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.origin.to_string())
            .path_and_query("/")
            .build()?;
        Ok(Settings {
            log: logs::Config::default(),
            traces: None,
            server: Server {
                drain: DRAIN,
                ..Server::default()
            },
            listen: vec![Listen {
                address: listen,
                h2c: false,
                proxy_protocol: None,
                tls: None,
            }],
            admin: Some(Admin {
                address: admin,
                token_file: None,
            }),
            cache_version: 1,
            store: store::Config::new(cache),
            tier: None,
            fill: Default::default(),
            clients: Clients::default(),
            resolving: Default::default(),
            origins: vec![origins::Config::new(ORIGIN.into(), vec![server])],
            routes: vec![route()],
            shown: Default::default(),
        })
    }

    /// Where everything of the demo lies.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Stops the origin and removes the directory.
    pub async fn close(self) -> Result<(), DemoError> {
        self.serving.stop().await;
        self.directory.close().map_err(DemoError::Directory)
    }
}

/// Everything goes to the one origin, with all at its default.
fn route() -> Route {
    let matcher = Matcher::Prefix("/".into());
    Route::new(matcher, vec![RouteOrigin::named(ORIGIN)])
}

async fn make_film(file: PathBuf, seconds: u32) -> io::Result<()> {
    let make = move || {
        let mut out = BufWriter::new(File::create(file)?);
        let index = Index::End;
        film::write(&mut out, film::Options { seconds, index })?;
        out.flush()
    };
    tokio::task::spawn_blocking(make).await?
}

/// The wanted port on loopback, or any that is free if somebody else has it.
pub fn free_or_any(port: u16) -> Result<SocketAddr, BindError> {
    match listener::bind(loopback(port)) {
        Ok(_) => Ok(loopback(port)),
        Err(error) if error.is_taken() => Ok(loopback(0)),
        Err(error) => Err(error),
    }
}

/// Where the film is behind an address.
pub fn film_url(address: SocketAddr) -> String {
    format!("http://{address}{}", origin::PATH)
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

const ORIGIN: &str = "film";
/// How long the film is fresh: longer than a demo.
const FRESH: Duration = Duration::from_secs(3600);
/// A player may hold its connection; nobody wants to wait for it after Ctrl-C.
const DRAIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stage_leaves_nothing_behind() {
        let options = Options {
            film_seconds: 1,
            ..Options::default()
        };
        let stage = Stage::build(&options).await.unwrap();
        let directory = stage.directory().to_path_buf();
        let made = std::fs::metadata(directory.join("film.mp4")).unwrap();
        assert_eq!(made.len(), stage.film);
        let settings = stage.settings(loopback(0), loopback(0)).unwrap();
        let server = settings.origins[0].servers[0].url.to_string();
        assert_eq!(server, format!("http://{}/", stage.origin));
        assert!(settings.store.directory.starts_with(&directory));
        stage.close().await.unwrap();
        assert!(!directory.exists());
    }

    #[test]
    fn a_taken_port_gives_way_to_any_other() {
        let taken = listener::bind(loopback(0)).unwrap();
        assert_eq!(free_or_any(taken.address().port()).unwrap(), loopback(0));
        let address = taken.address();
        drop(taken);
        assert_eq!(free_or_any(address.port()).unwrap(), address);
    }
}
