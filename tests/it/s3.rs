//! An S3 server over a real socket, with one bucket in a directory of its own. It takes nothing
//! that is not signed with its key.

use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use std::{fs, net::SocketAddr};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

pub const BUCKET: &str = "films";

/// Keys that are easily signed wrong, each with a way to write it in a target.
pub const ODD_KEYS: &[(&str, &str)] = &[
    ("plain.mp4", "plain.mp4"),
    ("a b/c.mp4", "a%20b/c.mp4"),
    ("a b/c.mp4", "a%20b%2Fc.mp4"),
    ("a+b.mp4", "a+b.mp4"),
    ("a+b.mp4", "a%2Bb.mp4"),
    ("it's (1)!*.mp4", "it's%20(1)!*.mp4"),
    ("übung €.mp4", "%C3%BCbung%20%e2%82%ac.mp4"),
    ("100%.mp4", "100%25.mp4"),
    ("~a=b&c;d@e:f,g$.mp4", "%7Ea=b&c;d@e:f,g$.mp4"),
];

/// A running server; dropping it stops it and takes its directory away.
pub struct S3 {
    address: SocketAddr,
    task: JoinHandle<()>,
    directory: TempDir,
}

impl S3 {
    pub async fn start(access: &str, secret: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(BUCKET)).unwrap();
        let files = s3s_fs::FileSystem::new(directory.path()).unwrap();
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(access, secret));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            task: tokio::spawn(serve(listener, builder.build())),
            directory,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stores an object.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.directory.path().join(BUCKET).join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Connections end with the task that has them.
async fn serve(listener: TcpListener, service: S3Service) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let service = service.clone();
        connections.spawn(async move {
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new());
            // A client that goes away is not the server's failure.
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
