//! The admin address: whoever asks there is answered, also by a process that stops.
//!
//! Pingora accepts the connections. Its own server for such pages would answer as well, but nobody
//! could tell whether it is still at it, and a process that has nothing else to do would end amid
//! an answer.

use super::{
    count::{Count, Counted},
    door::resumed,
};
use crate::admin::Pages;
use async_trait::async_trait;
use pingora_core::{
    apps::{HttpPersistentSettings, ReusedHttpStream, ServerApp, http_app::ServeHttp},
    protocols::{Stream, http::ServerSession},
    server::ShutdownWatch,
};
use std::{sync::Arc, time::Duration};

/// Where operators and their machines ask.
pub(super) struct Desk {
    pages: Pages,
    owed: Owed,
    leaving: ShutdownWatch,
}

/// Whom an answer is owed. A connection that waits for its next request is owed none.
#[derive(Clone, Debug, Default)]
pub(super) struct Owed {
    /// Connections whose first request is still to come or to be answered.
    beginning: Count,
    /// Requests whose head has come.
    asked: Count,
}

/// How long a connection is kept for a next request.
const IDLE: Duration = Duration::from_secs(60);

/// How long a part of an answer may take to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

impl Owed {
    /// Whether nobody is left. Those who have only connected are waited for as long as `patient`.
    pub fn none(&self, patient: bool) -> bool {
        self.asked.now() == 0 && !(patient && self.beginning.now() > 0)
    }
}

impl Desk {
    /// Nobody is there yet. Connections are kept until this process is `leaving`.
    pub fn new(pages: Pages, owed: Owed, leaving: ShutdownWatch) -> Self {
        Self {
            pages,
            owed,
            leaving,
        }
    }

    /// Answers one request after the other.
    async fn serve(&self, stream: Stream, begins: Counted) {
        let mut session = ServerSession::new_http1(stream);
        session.set_keepalive(Some(IDLE.as_secs()));
        let mut served = self.answer(session).await;
        drop(begins);
        while let Some(reused) = served {
            served = self.answer(resumed(reused)).await;
        }
    }

    /// Answers one request; the connection, where it is kept.
    async fn answer(&self, mut session: ServerSession) -> Option<ReusedHttpStream> {
        // An error is no HTTP, or a client that has gone.
        if !session.read_request().await.ok()? {
            return None;
        }
        let _asked = self.owed.asked.enter();
        session.set_write_timeout(Some(PATIENCE));
        let (head, body) = self.pages.response(&mut session).await.into_parts();
        // Only as long as there will be a next answer, and where the client wants one.
        let wants = session.get_keepalive().is_some();
        session.set_keepalive((wants && !*self.leaving.borrow()).then_some(IDLE.as_secs()));
        let written = session.write_response_header(Box::new(head.into())).await;
        written.ok()?;
        if !body.is_empty() {
            let written = session.write_response_body(body.into(), true).await;
            written.ok()?;
        }
        let kept = HttpPersistentSettings::for_session(&session);
        let stream = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(stream, kept))
    }
}

#[async_trait]
impl ServerApp for Desk {
    async fn process_new(self: &Arc<Self>, stream: Stream, _: &ShutdownWatch) -> Option<Stream> {
        let begins = self.owed.beginning.enter();
        let desk = self.clone();
        // Pingora's own task of the connection ends here: see `Listening`.
        tokio::spawn(async move { desk.serve(stream, begins).await });
        None
    }
}
