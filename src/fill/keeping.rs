//! What is on its way from a reader's sight to the disk.
//!
//! A client has the last byte of a chunk before the disk has it. Whoever gives the directory up a
//! moment later waits for such chunks first, or they would be fetched again.

use super::Fills;
use parking_lot::Mutex;
use std::{mem, time::Duration};
use tokio::sync::watch;

/// Longest wait for them. Those that are in the disk's queue by then are waited for by the store.
const SETTLING: Duration = Duration::from_secs(1);

/// Counts chunks from before their last byte is given out until it is known whether they are kept.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// Whoever brings a chunk to the disk listens here until it is there.
    begun: Mutex<watch::Sender<()>>,
}

/// That a chunk is on its way; dropped where it has ended.
#[derive(Debug)]
pub(super) struct OnItsWay {
    _listens: watch::Receiver<()>,
}

impl Keeping {
    pub(super) fn begin(&self) -> OnItsWay {
        let _listens = self.begun.lock().subscribe();
        OnItsWay { _listens }
    }

    /// Waits for all that have begun before.
    async fn earlier(&self) {
        let begun = mem::take(&mut *self.begun.lock());
        begun.closed().await;
    }
}

impl Fills {
    /// Waits for a moment until what has come in is kept, or it is known why not; not for what comes
    /// in from now on.
    pub async fn settle(&self) {
        let _late = tokio::time::timeout(SETTLING, self.keeping.earlier()).await;
    }
}
