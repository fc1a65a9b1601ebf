//! What stands before a scripted origin and speaks TLS or HTTP/2 in its stead.

use crate::{
    client::{Client, Request},
    origin::Origin,
};
use bytes::{Bytes, BytesMut};
use h2::{Reason, RecvStream, server::SendResponse};
use http::HeaderValue;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// An authority whose certificates nobody knows but those who are given its file.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// How connections are taken.
#[derive(Clone, Default)]
pub struct Style {
    /// The server's settings where it speaks TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// Whether HTTP/2 is spoken, in the clear by prior knowledge.
    pub http2: bool,
    /// Fields behind each body over HTTP/2.
    pub trailers: Lines,
    /// Fields of an interim head, 103 (Early Hints), before each answer over HTTP/2.
    pub hints: Lines,
}

/// One connection that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The name that was asked for.
    pub sni: Option<String>,
    pub alpn: Option<String>,
    /// Whether a client's certificate was shown.
    pub has_certificate: bool,
    /// Whether anything was asked over it.
    pub is_used: bool,
}

/// A listener that passes on to an origin; its connections end with it.
pub struct Front {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
    accepting: JoinHandle<()>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Writes the authority's certificate down, to be trusted.
    pub fn write(&self, directory: &Path) -> PathBuf {
        write(directory, "ca.pem", &self.pem)
    }

    /// Writes a certificate and its key down, for a client.
    pub fn write_identity(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.issue(name);
        let chain = write(directory, "client.pem", &certificate.pem());
        (chain, write(directory, "client.key", &key.serialize_pem()))
    }

    /// A server's settings, with a certificate for a name. `clients` are whose certificates a
    /// client must show.
    pub fn server(&self, name: &str, alpn: &[&str], clients: Option<&Self>) -> Arc<ServerConfig> {
        let (certificate, key) = self.issue(name);
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.certificate.clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// What connects to those whose certificates this authority has given.
    pub fn connector(&self, alpn: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path
}

impl Front {
    pub async fn before(origin: &Origin, style: Style) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let taken = Arc::new(Mutex::default());
        Self {
            address: listener.local_addr().unwrap(),
            accepting: tokio::spawn(accept(listener, origin.address(), style, taken.clone())),
            taken,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connections that came as far as to be spoken on.
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    /// How many of them something was asked over.
    pub fn used(&self) -> usize {
        let taken = self.taken();
        taken.iter().filter(|taken| taken.is_used).count()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    origin: SocketAddr,
    style: Style,
    taken: Arc<Mutex<Vec<Taken>>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (style, taken) = (style.clone(), taken.clone());
        connections.spawn(async move {
            let Some(tls) = style.tls.clone() else {
                let used = take(&taken, Taken::default());
                return speak(stream, origin, style.http2, &style, used).await;
            };
            // Who does not like our certificate, or shows none, does not come in.
            let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await else {
                return;
            };
            let (_, session) = stream.get_ref();
            let alpn = session.alpn_protocol();
            let mine = Taken {
                sni: session.server_name().map(str::to_owned),
                alpn: alpn.map(|name| String::from_utf8_lossy(name).into_owned()),
                has_certificate: session.peer_certificates().is_some(),
                is_used: false,
            };
            let http2 = mine.alpn.as_deref() == Some("h2");
            let used = take(&taken, mine);
            speak(stream, origin, http2, &style, used).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Writes a connection down; what comes back notes that it is used.
fn take(taken: &Arc<Mutex<Vec<Taken>>>, mine: Taken) -> impl FnOnce() + use<> {
    let place = {
        let mut all = taken.lock().unwrap();
        all.push(mine);
        all.len() - 1
    };
    let taken = taken.clone();
    move || taken.lock().unwrap()[place].is_used = true
}

/// Fields as they are.
type Lines = &'static [(&'static str, &'static str)];

/// HTTP/1.1 is the origin's own; HTTP/2 is put into its words.
async fn speak(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    origin: SocketAddr,
    http2: bool,
    style: &Style,
    used: impl FnOnce(),
) {
    if !http2 {
        let mut first = BytesMut::new();
        if !matches!(stream.read_buf(&mut first).await, Ok(1..)) {
            return;
        }
        used();
        if let Ok(mut inner) = TcpStream::connect(origin).await
            && inner.write_all(&first).await.is_ok()
        {
            let _ = copy_bidirectional(&mut stream, &mut inner).await;
        }
        return;
    }
    used();
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    let mut streams = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        streams.spawn(answer(request, respond, origin, style.clone()));
        while streams.try_join_next().is_some() {}
    }
}

async fn answer(
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    origin: SocketAddr,
    style: Style,
) {
    if !style.hints.is_empty() {
        let mut hints = http::Response::builder().status(103);
        for (name, value) in style.hints {
            hints = hints.header(*name, *value);
        }
        respond.send_informational(hints.body(()).unwrap()).unwrap();
    }
    let mut client = Client::connect(origin).await;
    if client.send(&in_words_of_http_1(&request)).await.is_err() {
        return respond.send_reset(Reason::INTERNAL_ERROR);
    }
    let Ok(head) = client.head().await else {
        return respond.send_reset(Reason::INTERNAL_ERROR);
    };
    let mut message = http::Response::builder().status(head.status);
    for (name, value) in &head.headers {
        if !["connection", "transfer-encoding"].contains(&&*name.to_ascii_lowercase()) {
            message = message.header(name, value);
        }
    }
    let Ok(mut body) = respond.send_response(message.body(()).unwrap(), false) else {
        return;
    };
    loop {
        match client.some().await {
            Ok(Some(bytes)) => {
                if body.send_data(bytes.into(), false).is_err() {
                    return;
                }
            }
            Ok(None) if style.trailers.is_empty() => {
                let _ = body.send_data(Bytes::new(), true);
                return;
            }
            Ok(None) => {
                let lines = style
                    .trailers
                    .iter()
                    .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
                let _ = body.send_trailers(lines.collect());
                return;
            }
            Err(_) => return body.send_reset(Reason::INTERNAL_ERROR),
        }
    }
}

fn in_words_of_http_1(request: &http::Request<RecvStream>) -> Request {
    let uri = request.uri();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut words = Request::new(request.method().as_str(), target);
    if let Some(authority) = uri.authority() {
        words = words.header("Host", authority.as_str());
    }
    for (name, value) in request.headers() {
        if name != "host" {
            words = words.header(name.as_str(), value.to_str().unwrap());
        }
    }
    words
}
