//! One connection: its streams, one after the other made requests of.

use super::{
    super::{
        super::malformed::{Caller, Ended, Malformed, Refused},
        ClientStream,
    },
    request::{check, join_cookies},
    session::Session,
    stream::Http2Stream,
};
use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, SendResponse},
};
use http::{Request, Response, StatusCode};
use pingora_core::{
    apps::HttpServerApp,
    protocols::{
        Digest, GetProxyDigest, GetSocketDigest, GetTimingDigest, Ssl, http::ServerSession,
    },
    server::ShutdownWatch,
};
use pingora_http::RequestHeader;
use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

/// What a connection may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2Limits {
    /// Requests at a time.
    pub streams: u32,
    /// The head of a request, in bytes.
    pub header: u32,
    /// How long it may take.
    pub header_time: Duration,
    /// How long it is kept without a request.
    pub idle: Duration,
}

/// What one answer may hold that is not yet written, in bytes: less than a client that stands
/// still could make it hold with its windows.
const SEND_BUFFER: usize = 128 << 10;

/// Malformed requests after which a connection is closed.
const MOST_MALFORMED: usize = 32;

/// How long a client may take to see that its connection, without requests, is being closed, and to
/// take what its last answer has still to send.
const FAREWELL: Duration = Duration::from_secs(5);

impl Http2Limits {
    /// h2's own guards against floods of frames and resets stay as they are.
    fn options(self) -> Builder {
        let mut options = Builder::new();
        options
            .max_concurrent_streams(self.streams)
            .max_header_list_size(self.header)
            .max_send_buffer_size(SEND_BUFFER);
        options
    }
}

/// Serves a connection to its end. Requests that are under way then see that it is gone; one that
/// brings something in for others may go on.
///
/// `stops` is done when the process stops, and says how long the first request of a connection is
/// still waited for: whoever has only just come knows nothing of that, and is owed an answer.
pub async fn serve<A>(
    app: Arc<A>,
    mut client: ClientStream,
    limits: Http2Limits,
    shutdown: ShutdownWatch,
    stops: impl Future<Output = Duration>,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let (digest, caller) = (digest(&client), client.caller().clone());
    client.expect_frames(limits.header_time);
    let greeted = timeout(limits.idle, limits.options().handshake(client)).await;
    let Ok(Ok(mut connection)) = greeted else {
        return;
    };
    let has_asked = Notify::new();
    let mut stopping = pin!(async {
        let patience = stops.await;
        let _ = timeout(patience, has_asked.notified()).await;
    });
    let under_way = Arc::<UnderWay>::default();
    let (mut is_closing, mut malformed) = (false, 0);
    loop {
        let patience = if is_closing { FAREWELL } else { limits.idle };
        let accepted = tokio::select! {
            biased;
            () = &mut stopping, if !is_closing => None,
            // This drives all the connection.
            accepted = connection.accept() => match accepted {
                Some(Ok(accepted)) => Some(accepted),
                Some(Err(e)) => {
                    if let Some(why) = ended(&e) {
                        caller.note_ended(why);
                    }
                    break;
                }
                None => break,
            },
            () = under_way.none_for(patience) => match is_closing {
                true => break,
                false => None,
            },
        };
        let Some((request, respond)) = accepted else {
            // What the client has sent by now is still answered.
            connection.graceful_shutdown();
            is_closing = true;
            continue;
        };
        has_asked.notify_one();
        match admit(request, respond, &digest, &caller) {
            Some(session) => {
                let (app, shutdown) = (app.clone(), shutdown.clone());
                let one = under_way.one();
                tokio::spawn(async move {
                    let session = ServerSession::new_custom(Box::new(session));
                    app.process_new_http(session, &shutdown).await;
                    drop(one);
                });
            }
            None => malformed += 1,
        }
        if malformed == MOST_MALFORMED {
            caller.note_ended(Ended::Malformed);
            break;
        }
    }
}

/// What a client did for which its connection is ended; nothing where it has hung up.
fn ended(e: &h2::Error) -> Option<Ended> {
    // What the library says of it, not what the client did.
    let reason = e.reason().filter(|_| e.is_library())?;
    Some(match reason {
        Reason::ENHANCE_YOUR_CALM => Ended::Flood,
        _ => Ended::Protocol,
    })
}

/// The requests of a connection that are under way.
#[derive(Default)]
struct UnderWay {
    count: AtomicUsize,
    none: Notify,
}

/// One of them, until it is dropped.
struct One(Arc<UnderWay>);

impl UnderWay {
    fn one(self: &Arc<Self>) -> One {
        self.count.fetch_add(1, SeqCst);
        One(self.clone())
    }

    /// Waits until there has been none for so long. A new one begins only where this is dropped.
    async fn none_for(&self, time: Duration) {
        while self.count.load(SeqCst) > 0 {
            self.none.notified().await;
        }
        sleep(time).await;
    }
}

impl Drop for One {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, SeqCst) == 1 {
            self.0.none.notify_one();
        }
    }
}

/// Makes a session of a request, or refuses it.
fn admit(
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    digest: &Arc<Digest>,
    caller: &Caller,
) -> Option<Session> {
    let (mut head, body) = request.into_parts();
    join_cookies(&mut head.headers);
    let mut head: RequestHeader = head.into();
    let Err(what) = check(&head) else {
        let stream = Http2Stream::new(respond);
        let mut parts: http::request::Parts = head.into();
        parts.extensions.insert(stream.clone());
        head = parts.into();
        return Some(Session::new(head, body, stream, digest.clone()));
    };
    let status = refuse(respond, what);
    caller.note(Refused {
        what,
        status,
        head: Some(&head),
        took: Duration::ZERO,
    });
    None
}

/// Ends the stream of a malformed request; gives the status that its client is told, if it is told
/// one.
fn refuse(mut respond: SendResponse<Bytes>, what: Malformed) -> Option<StatusCode> {
    if what == Malformed::Framing {
        respond.send_reset(Reason::PROTOCOL_ERROR);
        return None;
    }
    let mut refusal = Response::new(());
    *refusal.status_mut() = what.status();
    // It may have been reset meanwhile.
    let _ = respond.send_response(refusal, true);
    Some(what.status())
}

/// What Pingora knows of a connection.
fn digest(client: &ClientStream) -> Arc<Digest> {
    Arc::new(Digest {
        ssl_digest: client.get_ssl_digest(),
        timing_digest: client.get_timing_digest(),
        proxy_digest: client.get_proxy_digest(),
        socket_digest: client.get_socket_digest(),
    })
}
