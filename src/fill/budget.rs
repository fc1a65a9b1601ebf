//! The budget of bytes that have come in and are not yet on disk.

use super::{Board, Fills, now};
use crate::{store::WeakMap, traffic::customer};
use futures_util::FutureExt;
use parking_lot::Mutex;
use std::{
    net::IpAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

/// Room for bytes in flight, over all objects. A chunk has its share from its beginning to when it
/// is on disk.
#[derive(Debug)]
pub(super) struct InFlight {
    /// In KiB.
    room: Arc<Semaphore>,
    most: usize,
    /// The rooms of those for whose requests something comes in.
    clients: Mutex<WeakMap<IpAddr, ClientRoom>>,
}

/// What one client's requests may bring in at a time.
#[derive(Debug)]
pub(super) struct ClientRoom {
    /// In KiB.
    room: Arc<Semaphore>,
    most: u32,
}

/// A chunk's room, until this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    /// The room stays known as long as something of it is taken.
    _of_client: Option<(OwnedSemaphorePermit, Arc<ClientRoom>)>,
    _of_object: OwnedSemaphorePermit,
    of_all: OwnedSemaphorePermit,
    since: Instant,
}

impl Share {
    /// In KiB.
    pub fn size(&self) -> usize {
        self.of_all.num_permits()
    }

    /// How long it has been held.
    pub fn age(&self) -> Duration {
        now().saturating_duration_since(self.since)
    }
}

/// One object has at most this part of all room, or one chunk: others find some, too.
const OF_ONE_OBJECT: usize = 2;

/// There is little room when less than this share of it is left.
const LITTLE: usize = 4;

/// How often it is looked whether readers have passed what is kept for them.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl InFlight {
    /// Room for so many bytes, and at least for one chunk.
    pub fn new(bytes: u64, chunk_size: u32) -> Self {
        let most = ((bytes / 1024) as usize).max(share_of(chunk_size) as usize);
        let most = most.min(Semaphore::MAX_PERMITS);
        Self {
            room: Arc::new(Semaphore::new(most)),
            most,
            clients: Mutex::default(),
        }
    }

    /// The room of one client: of so many bytes, where it is new.
    fn of_one_client(&self, client: IpAddr, bytes: u64) -> Arc<ClientRoom> {
        self.clients.lock().get_or_insert_with(client, || {
            let most = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
            Arc::new(ClientRoom {
                room: Arc::new(Semaphore::new(most as usize)),
                most,
            })
        })
    }

    /// The room of one object, in KiB.
    pub fn of_one_object(&self, chunk_size: u32) -> Arc<Semaphore> {
        let most = self.most / OF_ONE_OBJECT;
        Arc::new(Semaphore::new(most.max(share_of(chunk_size) as usize)))
    }
}

impl Fills {
    /// Bytes that come in and are not on disk yet, as far as room is kept for them.
    pub fn bytes_in_flight(&self) -> u64 {
        let taken = self.in_flight.most.saturating_sub(self.free());
        taken.saturating_sub(self.unkept.size()) as u64 * 1024
    }

    /// Bytes of chunks that the disk did not take; they make room for what comes in.
    pub fn bytes_unkept(&self) -> u64 {
        self.unkept.size() as u64 * 1024
    }

    /// Whether there is little room for more: what comes in anew is to come in small parts, and
    /// what nobody waits for not at all.
    pub fn is_pressed(&self) -> bool {
        let (free, enough) = (self.free(), self.in_flight.most / LITTLE);
        free < enough && free + self.unkept.size() < enough
    }

    /// Room that nobody has, in KiB.
    fn free(&self) -> usize {
        self.in_flight.room.available_permits()
    }

    /// What a client may bring in, where that is limited.
    pub(super) fn room_of(&self, client: IpAddr) -> Option<Arc<ClientRoom>> {
        let bytes = self.config().in_flight_per_client?;
        Some(self.in_flight.of_one_client(customer(client), bytes))
    }

    /// Waits for room for a chunk of an object, first in what its client and it may have
    /// themselves; `None` where there will never be any. What is only in memory makes room for what
    /// comes, also what comes to be so meanwhile.
    pub(super) async fn share(
        &self,
        board: &Board,
        client: Option<&Arc<ClientRoom>>,
    ) -> Option<Share> {
        // One that is larger than all room has it alone.
        let most = u32::try_from(self.in_flight.most).unwrap_or(u32::MAX);
        let share = share_of(board.object().chunk_size()).min(most);
        let mut taking = pin!(self.take_share(board, client, share));
        loop {
            let mut more = pin!(self.unkept.more());
            more.as_mut().enable();
            if let Some(taken) = taking.as_mut().now_or_never() {
                return taken;
            }
            if self.makes_room(board, share) {
                continue;
            }
            tokio::select! {
                biased;
                taken = &mut taking => return taken,
                () = more => {}
                // A reader may have passed what was spared for it.
                () = sleep(LOOK_AGAIN), if board.object().comes_once() => {
                    board.look_at_readers();
                }
            }
        }
    }

    /// Gives up what is only in memory of the object that lacks room, or of any where all do; false
    /// where nothing is.
    fn makes_room(&self, board: &Board, share: u32) -> bool {
        let lacks = |room: &Semaphore| room.available_permits() < share as usize;
        let of_it = lacks(&board.room) && self.unkept.give_up_oldest(Some(board));
        of_it || lacks(&self.in_flight.room) && self.unkept.give_up_oldest(None)
    }

    async fn take_share(
        &self,
        board: &Board,
        client: Option<&Arc<ClientRoom>>,
        share: u32,
    ) -> Option<Share> {
        let of_client = match client {
            Some(client) => {
                let share = share.min(client.most);
                let taken = self.take("client", &client.room, share).await?;
                Some((taken, client.clone()))
            }
            None => None,
        };
        Some(Share {
            _of_client: of_client,
            _of_object: self.take("object", &board.room, share).await?,
            of_all: self.take("all", &self.in_flight.room, share).await?,
            since: now(),
        })
    }

    /// Takes room in one of the budgets, and counts where that has to be waited for.
    async fn take(
        &self,
        budget: &str,
        room: &Arc<Semaphore>,
        share: u32,
    ) -> Option<OwnedSemaphorePermit> {
        let waits = || self.stats.waits.with_label_values(&[budget]).inc();
        take(room, share, waits).await
    }
}

/// Takes room, and says so where that has to be waited for.
pub(super) async fn take(
    room: &Arc<Semaphore>,
    share: u32,
    waits: impl FnOnce(),
) -> Option<OwnedSemaphorePermit> {
    if let Ok(taken) = room.clone().try_acquire_many_owned(share) {
        return Some(taken);
    }
    waits();
    room.clone().acquire_many_owned(share).await.ok()
}

/// A chunk's share, in KiB.
fn share_of(chunk_size: u32) -> u32 {
    chunk_size.div_ceil(1024)
}
