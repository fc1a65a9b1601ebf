//! Who needs the answer to a request.

use std::sync::Arc;
use tokio::sync::watch;

/// Who needs what a request asks an origin for: its client, and the others that wait for what it
/// brings. Where nobody is left the origin need not be waited for.
#[derive(Debug)]
pub struct Need {
    parties: watch::Sender<Parties>,
}

#[derive(Clone, Copy, Debug)]
struct Parties {
    client: bool,
    followers: usize,
}

impl Default for Need {
    fn default() -> Self {
        let parties = Parties {
            client: true,
            followers: 0,
        };
        Self {
            parties: watch::Sender::new(parties),
        }
    }
}

impl Need {
    /// The client has left.
    pub fn client_left(&self) {
        self.parties.send_modify(|parties| parties.client = false);
    }

    /// Somebody else waits for the answer, too, until the guard is dropped.
    pub fn follow(self: &Arc<Self>) -> Follower {
        self.parties.send_modify(|parties| parties.followers += 1);
        Follower(self.clone())
    }

    /// Waits until nobody needs the answer. It may be dropped at any await.
    pub async fn gone(&self) {
        let nobody = |parties: &Parties| !parties.client && parties.followers == 0;
        // It fails only where the sender is gone, and that is here.
        let _ = self.parties.subscribe().wait_for(nobody).await;
    }
}

/// One who waits for another's answer.
#[derive(Debug)]
pub struct Follower(Arc<Need>);

impl Drop for Follower {
    fn drop(&mut self) {
        let leave = |parties: &mut Parties| parties.followers -= 1;
        self.0.parties.send_modify(leave);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn it_ends_with_the_last_who_needs_it() {
        let need = Arc::new(Need::default());
        let is_gone = || need.gone().now_or_never().is_some();
        let first = need.follow();
        let second = need.follow();
        drop(first);
        assert!(!is_gone());
        need.client_left();
        assert!(!is_gone(), "one still follows");
        drop(second);
        assert!(is_gone());
    }

    #[tokio::test]
    async fn whoever_waits_for_it_is_woken() {
        let need = Arc::new(Need::default());
        let follower = need.follow();
        need.client_left();
        let ((), ()) = tokio::join!(need.gone(), async { drop(follower) });
    }
}
