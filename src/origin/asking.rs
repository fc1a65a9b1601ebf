//! A request that is being asked: its interim answers one by one, then its final one.

use super::{
    Failure,
    interim::{Interim, Interims},
    sending::Answered,
};
use parking_lot::Mutex;
use pingora_http::ResponseHeader;
use std::pin::Pin;

type Reply = Result<Answered, Failure>;

/// The asking goes on only while it is waited for, and ends where this is dropped.
pub(super) struct Asking {
    // Never locked: what holds this is to be shared between threads, and a future is not.
    asked: Mutex<Pin<Box<dyn Future<Output = Reply> + Send>>>,
    heads: Interims,
    reply: Option<Reply>,
}

/// What comes next.
pub(super) enum Came {
    Interim(Box<ResponseHeader>),
    Final(Box<Reply>),
}

impl Asking {
    /// Asks, with a place for the interim answers.
    pub fn new<F>(ask: impl FnOnce(Interim) -> F) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let (interim, heads) = Interim::channel();
        Self {
            asked: Mutex::new(Box::pin(ask(interim))),
            heads,
            reply: None,
        }
    }

    /// Waits for the next answer. After the final one there is none.
    pub async fn next(&mut self) -> Came {
        loop {
            // They have come before the final one, even where both came at once.
            if let Ok(head) = self.heads.try_recv() {
                return Came::Interim(Box::new(head));
            }
            if let Some(reply) = self.reply.take() {
                return Came::Final(Box::new(reply));
            }
            tokio::select! {
                biased;
                Some(head) = self.heads.recv() => return Came::Interim(Box::new(head)),
                reply = self.asked.get_mut() => self.reply = Some(reply),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Cause;
    use tokio::sync::oneshot;

    fn head(status: u16) -> ResponseHeader {
        ResponseHeader::build(status, None).unwrap()
    }

    async fn status(asking: &mut Asking) -> u16 {
        match asking.next().await {
            Came::Interim(head) => head.status.as_u16(),
            Came::Final(reply) => {
                assert!(reply.is_err());
                0
            }
        }
    }

    #[tokio::test]
    async fn an_interim_answer_does_not_wait_for_the_final_one() {
        let (end, ended) = oneshot::channel::<()>();
        let mut asking = Asking::new(|interim| async move {
            interim.pass(&head(103));
            let _ = ended.await;
            Err(Failure::new(Cause::Broken, ""))
        });
        assert_eq!(status(&mut asking).await, 103);
        end.send(()).unwrap();
        assert_eq!(status(&mut asking).await, 0);
    }

    #[tokio::test]
    async fn interim_answers_that_come_with_the_final_one_come_before_it() {
        let mut asking = Asking::new(|interim| async move {
            interim.pass(&head(102));
            interim.pass(&head(103));
            Err(Failure::new(Cause::Broken, ""))
        });
        let mut came = Vec::new();
        for _ in 0..3 {
            came.push(status(&mut asking).await);
        }
        assert_eq!(came, [102, 103, 0]);
    }
}
