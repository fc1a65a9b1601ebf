//! An S3 server over a real socket, with one bucket in a directory of its own. It takes nothing
//! that is not signed with its key.

use bytes::Bytes;
use hyper::{
    Request, Response, StatusCode,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::{
    Body,
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
    time::{Interval, interval},
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

/// What goes wrong with reads, of whatever lies below a name that holds this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 503, as asked too often.
    Throttle,
    /// 500.
    Fail,
    /// The body ends too early.
    Cut,
    /// A bit of the body is another.
    Corrupt,
    /// 403, as signed by a clock that is wrong.
    Skewed,
    /// No answer ever.
    Stall,
    /// An answer only after a while.
    Slow,
    /// Nothing comes any more in the middle of the body.
    Halt,
    /// The body comes byte by byte, and never comes to its end in time.
    Trickle,
}

/// As Amazon says it.
const SKEWED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is too large.</Message><MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds></Error>";

/// One request that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    pub path: String,
}

/// What the server goes by, and what it has seen.
#[derive(Default)]
struct Record {
    /// One write at a time: the file server looks at a condition first and writes then.
    writes: Arc<tokio::sync::Mutex<()>>,
    fault: Option<(Fault, &'static str)>,
    /// Writes to what has this in its name are not taken.
    refuses_writes: Option<&'static str>,
    ignores_conditions: bool,
    refuses_conditions: bool,
    asked: Vec<Asked>,
    /// Slow answers that are being waited for, and the most of them at a time.
    slow: (usize, usize),
}

/// A running server; dropping it stops it and takes its directory away.
pub struct S3 {
    address: SocketAddr,
    record: Arc<Mutex<Record>>,
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
        let record = Arc::<Mutex<Record>>::default();
        Self {
            address: listener.local_addr().unwrap(),
            task: tokio::spawn(serve(
                listener,
                builder.build(),
                record.clone(),
                directory.path().to_owned(),
            )),
            record,
            directory,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads of what has this in its name go wrong from now on.
    pub fn fail(&self, fault: Fault, of: &'static str) {
        self.record.lock().unwrap().fault = Some((fault, of));
    }

    /// Writes are answered with 503 from now on, or not.
    pub fn refuse_writes(&self, refuses: bool) {
        self.record.lock().unwrap().refuses_writes = refuses.then_some("");
    }

    /// The same of what has this in its name.
    pub fn refuse_writes_of(&self, part: &'static str) {
        self.record.lock().unwrap().refuses_writes = Some(part);
    }

    /// Conditions on writes are not looked at from now on.
    pub fn ignore_conditions(&self) {
        self.record.lock().unwrap().ignores_conditions = true;
    }

    /// Writes with a condition are answered with 501 from now on.
    pub fn refuse_conditions(&self) {
        self.record.lock().unwrap().refuses_conditions = true;
    }

    /// All goes well again.
    pub fn heal(&self) {
        let mut record = self.record.lock().unwrap();
        (record.fault, record.refuses_writes) = (None, None);
    }

    /// The requests so far whose path has this in it.
    pub fn asked(&self, method: &str, part: &str) -> usize {
        let record = self.record.lock().unwrap();
        let asked = record.asked.iter();
        asked
            .filter(|asked| asked.method == method && asked.path.contains(part))
            .count()
    }

    /// The most slow answers that were waited for at a time.
    pub fn most_at_once(&self) -> usize {
        self.record.lock().unwrap().slow.1
    }

    /// The files of the objects below the bucket whose name has this in it.
    pub fn files(&self, part: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.directory.path().join(BUCKET)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                match path.is_dir() {
                    true => folders.push(path),
                    false if path.to_string_lossy().contains(part) => found.push(path),
                    false => {}
                }
            }
        }
        found.sort();
        found
    }

    /// Removes what has this in its path, behind everybody's back.
    pub fn remove(&self, part: &str) {
        for file in self.files(part) {
            fs::remove_file(file).unwrap();
        }
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
async fn serve(
    listener: TcpListener,
    service: S3Service,
    record: Arc<Mutex<Record>>,
    directory: PathBuf,
) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (service, record) = (service.clone(), record.clone());
        let directory = directory.clone();
        let service = service_fn(move |request| {
            answer(request, service.clone(), record.clone(), directory.clone())
        });
        connections.spawn(async move {
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new());
            // A client that goes away is not the server's failure.
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn answer(
    request: Request<Incoming>,
    service: S3Service,
    record: Arc<Mutex<Record>>,
    directory: PathBuf,
) -> Result<Response<Body>, Failed> {
    let (method, path) = (
        request.method().to_string(),
        request.uri().path().to_owned(),
    );
    let (fault, refuses, lacks, ignores, writes) = {
        let mut record = record.lock().unwrap();
        record.asked.push(Asked {
            method: method.clone(),
            path: path.clone(),
        });
        let fault = record.fault.filter(|(_, of)| path.contains(of));
        let fault = fault.filter(|_| method == "GET");
        let fault = fault.map(|(fault, _)| fault);
        let refuses = record.refuses_writes.is_some_and(|of| path.contains(of));
        let is_conditional = ["if-match", "if-none-match"]
            .iter()
            .any(|name| request.headers().contains_key(*name));
        let lacks = is_conditional && record.refuses_conditions;
        let ignores = record.ignores_conditions;
        (fault, refuses, lacks, ignores, record.writes.clone())
    };
    let status = |status: StatusCode| {
        let answer = Response::builder().status(status);
        Ok(answer.body(Body::empty())?)
    };
    if refuses && method == "PUT" {
        return status(StatusCode::SERVICE_UNAVAILABLE);
    }
    if lacks && method == "PUT" {
        return status(StatusCode::NOT_IMPLEMENTED);
    }
    match fault {
        Some(Fault::Throttle) => return status(StatusCode::SERVICE_UNAVAILABLE),
        Some(Fault::Fail) => return status(StatusCode::INTERNAL_SERVER_ERROR),
        Some(Fault::Skewed) => {
            let answer = Response::builder().status(StatusCode::FORBIDDEN);
            return Ok(answer.body(Body::from(SKEWED.to_owned()))?);
        }
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::Slow) => {
            {
                let (now, most) = &mut record.lock().unwrap().slow;
                *now += 1;
                *most = (*most).max(*now);
            }
            tokio::time::sleep(SLOW).await;
            record.lock().unwrap().slow.0 -= 1;
        }
        _ => {}
    }
    if !path.starts_with(&format!("/{BUCKET}/")) && path != format!("/{BUCKET}") {
        return status(StatusCode::NOT_FOUND);
    }
    let _alone = match method == "PUT" {
        true => Some(writes.lock().await),
        false => None,
    };
    if ignores && method == "PUT" {
        return overwrite(request, service, &directory.join(&path[1..])).await;
    }
    let response = hyper::service::Service::call(&service, request).await?;
    if matches!(fault, None | Some(Fault::Slow)) {
        return Ok(response);
    }
    let (head, mut body) = response.into_parts();
    let whole = body.store_all_limited(usize::MAX).await?;
    let body = match fault {
        Some(Fault::Trickle) => {
            let tick = interval(TRICKLE);
            return Ok(Response::from_parts(
                head,
                Body::http_body(Trickle { whole, tick }),
            ));
        }
        Some(Fault::Halt) => {
            let begun = whole.slice(..whole.len() / 2);
            return Ok(Response::from_parts(head, Body::http_body(Halt(begun))));
        }
        // The head says more than comes.
        Some(Fault::Cut) => whole.slice(..whole.len() / 2),
        _ => {
            let mut bytes = whole.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            Bytes::from(bytes)
        }
    };
    Ok(Response::from_parts(head, Body::from(body)))
}

/// Time until a slow answer begins.
const SLOW: Duration = Duration::from_millis(400);

/// A body that comes byte by byte.
struct Trickle {
    whole: Bytes,
    tick: Interval,
}

/// Time between two bytes.
const TRICKLE: Duration = Duration::from_millis(50);

impl hyper::body::Body for Trickle {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        ready!(self.tick.poll_tick(cx));
        let next = (!self.whole.is_empty()).then(|| self.whole.split_to(1));
        Poll::Ready(next.map(|byte| Ok(Frame::data(byte))))
    }
}

/// A body of which no more comes than this, and no end.
struct Halt(Bytes);

impl hyper::body::Body for Halt {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match std::mem::take(&mut self.0) {
            nothing if nothing.is_empty() => Poll::Pending,
            begun => Poll::Ready(Some(Ok(Frame::data(begun)))),
        }
    }
}

/// Writes whatever the conditions say, if the request is signed.
async fn overwrite(
    request: Request<Incoming>,
    service: S3Service,
    file: &std::path::Path,
) -> Result<Response<Body>, Failed> {
    let (head, body) = request.into_parts();
    let bytes = Body::from(body).store_all_limited(usize::MAX).await?;
    let request = Request::from_parts(head, Body::from(bytes.clone()));
    let mut response = service.call(request).await.map_err(|e| format!("{e:?}"))?;
    if response.status() == StatusCode::PRECONDITION_FAILED {
        fs::write(file, bytes)?;
        *response.status_mut() = StatusCode::OK;
        *response.body_mut() = Body::empty();
        response.headers_mut().insert("etag", "\"any\"".parse()?);
    }
    Ok(response)
}
