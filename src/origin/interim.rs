//! Interim (1xx) answers, on their way past the request that waits for the final one.

use http::StatusCode;
use pingora_http::ResponseHeader;
use tokio::sync::mpsc;

/// Where interim answers go as they come. They are hints: one that finds no room is dropped
/// rather than let the final answer wait for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Interim(Option<mpsc::Sender<ResponseHeader>>);

/// The end at which they are passed on.
pub(super) type Interims = mpsc::Receiver<ResponseHeader>;

/// Interim answers that may wait to be passed on, and that one server may send.
pub(super) const MOST: usize = 8;

impl Interim {
    /// For a request whose interim answers nobody reads.
    pub fn nowhere() -> Self {
        Self(None)
    }

    /// For a request whose interim answers are passed on.
    pub fn channel() -> (Self, Interims) {
        let (sender, heads) = mpsc::channel(MOST);
        (Self(Some(sender)), heads)
    }

    /// Passes an interim answer on. 100 (Continue) is for who has a body to send, and those do not
    /// come here.
    pub fn pass(&self, head: &ResponseHeader) {
        if let Some(sender) = self
            .0
            .as_ref()
            .filter(|_| head.status != StatusCode::CONTINUE)
        {
            // Full, or nobody listens any more.
            let _ = sender.try_send(head.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16) -> ResponseHeader {
        ResponseHeader::build(status, None).unwrap()
    }

    #[test]
    fn they_come_in_order_without_100() {
        let (interim, mut heads) = Interim::channel();
        for status in [100, 102, 103] {
            interim.pass(&head(status));
        }
        assert_eq!(heads.try_recv().unwrap().status, 102);
        assert_eq!(heads.try_recv().unwrap().status, 103);
        assert!(heads.try_recv().is_err());
    }

    #[test]
    fn what_finds_no_room_or_no_reader_is_dropped() {
        let (interim, mut heads) = Interim::channel();
        for _ in 0..=MOST {
            interim.pass(&head(103));
        }
        assert_eq!(std::iter::from_fn(|| heads.try_recv().ok()).count(), MOST);
        drop(heads);
        interim.pass(&head(103));
        Interim::nowhere().pass(&head(103));
    }
}
