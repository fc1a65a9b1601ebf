//! Purges across the fleet: told of through the tier, carried out by every edge.

use super::{
    OnError, Tier, fleet,
    fleet::Stranger,
    history::{Notice, Standing},
    remote::{Put, Remote, Trouble},
};
use crate::{
    domain::Selector,
    store::{Herald, How, PurgeError, aside},
};
use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use object_store::PutMode;
use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
    time::{Duration, Instant, SystemTime},
};
use tokio::time::{sleep, timeout};

/// Time between two attempts to begin with a tier that can't be used.
const AGAIN: Duration = Duration::from_secs(10);
/// Longest wait for purges of our own that are under way.
const OWN: Duration = Duration::from_secs(5);
/// How often it is looked whether the fleet has been told.
const TOLD: Duration = Duration::from_millis(10);
/// More purges than this are not caught up with one by one: all goes instead.
const CAUGHT_UP: u64 = 1000;
/// Notices that are read at a time.
const AT_A_TIME: usize = 32;

#[async_trait]
impl Herald for Tier {
    fn takes_out(&self, selector: &Selector, soft: bool) {
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // Before it can be told: what counts it as carried out waits for it.
        self.under_way.fetch_add(1, SeqCst);
        let mut history = self.history.lock();
        history.owe(Notice {
            selector: selector.clone(),
            soft,
            from: self.name.clone(),
            at: at.map_or(0, |at| at.as_secs()),
        });
        self.stats().untold.set(history.untold() as i64);
        drop(history);
        self.ledger.keep(&self.history);
        self.news.notify_one();
    }

    fn has_taken_out(&self, done: bool) {
        if !done {
            self.failed.store(true, SeqCst);
        }
        self.under_way.fetch_sub(1, SeqCst);
    }

    async fn known(&self, within: Duration) -> Option<u64> {
        let all_told = async {
            loop {
                if let Some(last) = self.last_if_all_told() {
                    return last;
                }
                sleep(TOLD).await;
            }
        };
        timeout(within, all_told).await.ok()
    }
}

impl Tier {
    /// Whether what the tier says of an object has survived all purges.
    pub(super) fn is_valid(&self, entry: &super::entry::Entry) -> bool {
        let standing = self.history.lock().standing(&entry.object, entry.purges);
        standing != Standing::Gone
    }

    /// The number of the last purge, where the fleet can know of all.
    fn last_if_all_told(&self) -> Option<u64> {
        let history = self.history.lock();
        (self.is_ready() && history.untold() == 0).then(|| history.last())
    }

    /// Carries out what other edges purge, and tells them of what is purged here, for as long as
    /// the store is ours.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut last = None;
        while !self.is_ready() {
            match self.join().await {
                Ok(()) => break,
                Err(why) => {
                    if last.as_ref() != Some(&why) {
                        log::error!("{why}; all goes on without the tier, and it is tried again");
                    }
                    last = Some(why);
                    sleep(AGAIN).await;
                }
            }
        }
        loop {
            match self.step().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(Stopped::Trouble(why)) => log::debug!("purges of the fleet: {why}"),
                Err(Stopped::Closed) => return,
            }
            tokio::select! {
                () = sleep(self.config().poll) => {}
                () = self.news.notified() => {}
            }
        }
    }

    /// Makes sure that the tier is ours to use, and catches up with the fleet's purges.
    pub(super) async fn join(&self) -> Result<(), Stranger> {
        fleet::claim(self.remote(), &self.config().fleet).await?;
        self.remote().find_out().await?;
        if !self.remote().creates() {
            if self.config().on_error == OnError::Refuse {
                return Err(Stranger::Unconditional);
            }
            log::warn!(
                "the tier does not know conditional writes: of two purges by two edges within a second one may not reach all"
            );
        }
        let (removed, last) = bounds(&numbers(self.remote()).await?);
        let begin = removed.max(last.saturating_sub(super::history::REMEMBERED as u64));
        let notices = read_notices(self.remote(), begin + 1..=last).await?;
        let carried_out = self.read_cursor().unwrap_or(0);
        let missed = last.saturating_sub(carried_out);
        let mut selectors = Vec::new();
        if carried_out < begin || missed > CAUGHT_UP {
            if last > 0 {
                log::warn!(
                    "{missed} purges of the fleet were missed, which is too many: all that is stored here goes"
                );
                selectors.push((Selector::All, false));
            }
        } else {
            let skip = usize::try_from(carried_out - begin).unwrap_or(usize::MAX);
            let missed = notices.iter().skip(skip);
            selectors.extend(missed.map(|notice| (notice.selector.clone(), notice.soft)));
        }
        self.history.lock().begin(begin, notices);
        // The process before may have ended in the middle of these.
        let inherited = self.inherited.lock().clone();
        selectors.extend(inherited.into_iter().map(|own| (own.selector, own.soft)));
        for (selector, soft) in selectors {
            if let Err(Stopped::Trouble(why)) = self.carry_out(selector, soft).await {
                return Err(why.into());
            }
        }
        self.inherited.lock().clear();
        self.note_carried_out(last);
        self.ready.store(true, Relaxed);
        self.stats().ready.set(1);
        log::info!(
            "the tier is in use: fleet {:?}, {last} purges so far",
            self.config().fleet
        );
        Ok(())
    }

    /// Tells of one purge, or carries one out; false where there is nothing to do.
    async fn step(&self) -> Result<bool, Stopped> {
        let (next, untold) = {
            let history = self.history.lock();
            (history.last() + 1, history.next_untold())
        };
        let path = self.remote().layout().purge(next);
        if let Some(notice) = untold {
            let document = notice.encode().into();
            let put = self
                .remote()
                .put_if(&path, document, PutMode::Create)
                .await?;
            if put == Put::Done {
                {
                    let mut history = self.history.lock();
                    history.told();
                    self.stats().untold.set(history.untold() as i64);
                }
                self.ledger.keep(&self.history);
                self.settle(notice).await?;
                self.note_carried_out(next);
                return Ok(true);
            }
        }
        let Some((document, _)) = self.remote().get(&path).await? else {
            return Ok(false);
        };
        let notice = Notice::decode(&document);
        log::info!("purge {next} of the fleet, by {}", notice.from);
        // First here, so that nothing of the tier is believed that it means.
        self.history.lock().note(notice.clone());
        self.carry_out(notice.selector, notice.soft).await?;
        self.note_carried_out(next);
        Ok(true)
    }

    /// A purge of our own that the fleet knows of by now counts as carried out once it is.
    async fn settle(&self, notice: Notice) -> Result<(), Stopped> {
        let began = Instant::now();
        while self.under_way.load(SeqCst) > 0 && began.elapsed() < OWN {
            sleep(Duration::from_millis(5)).await;
        }
        let is_late = self.under_way.load(SeqCst) > 0;
        match self.failed.swap(false, SeqCst) || is_late {
            true => self.carry_out(notice.selector, notice.soft).await,
            false => Ok(()),
        }
    }

    /// Waits, though not for ever, until nothing is to be purged here: what is looked at then has
    /// survived all of it.
    pub(super) async fn calm(&self) {
        let began = Instant::now();
        while began.elapsed() < OWN {
            let (last, untold) = {
                let history = self.history.lock();
                (history.last(), history.untold())
            };
            if untold == 0 && last == self.carried_out.load(Relaxed) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Purges the store here, however long it takes.
    async fn carry_out(&self, selector: Selector, soft: bool) -> Result<(), Stopped> {
        let how = How {
            soft,
            dry_run: false,
            is_told: true,
        };
        loop {
            match self.store().purge(selector.clone(), how).await {
                Ok(_) => return Ok(()),
                Err(PurgeError::Closed) => return Err(Stopped::Closed),
                Err(why @ PurgeError::Disk(_)) => {
                    log::error!("a purge of the fleet: {why}");
                    return Ok(());
                }
                Err(why) => {
                    log::warn!("a purge of the fleet: {why}");
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn note_carried_out(&self, number: u64) {
        self.carried_out.store(number, Relaxed);
        self.stats()
            .purges
            .set(i64::try_from(number).unwrap_or(i64::MAX));
        if let Err(e) = self.write_cursor(number) {
            log::warn!("{} can't be written: {e}", self.cursor_file().display());
        }
    }

    fn cursor_file(&self) -> PathBuf {
        self.store().config().directory.join("tier.purges")
    }

    /// The last purge that was carried out on this directory, for this fleet.
    fn read_cursor(&self) -> Option<u64> {
        let text = fs::read_to_string(self.cursor_file()).ok()?;
        let (number, whose) = text.trim_end().split_once(' ')?;
        (whose == self.whose()).then(|| number.parse().ok())?
    }

    fn write_cursor(&self, number: u64) -> io::Result<()> {
        let (file, whose) = (self.cursor_file(), self.whose());
        let content = format!("{number} {whose}\n");
        aside::replace(&file, &file.with_extension("tmp"), content.as_bytes())
    }

    fn whose(&self) -> String {
        let config = self.config();
        format!("{}/{} {:?}", config.prefix, config.fleet, config.place)
    }
}

/// The numbers of the purges that the tier keeps, in no order.
pub(super) async fn numbers(remote: &Remote) -> Result<Vec<u64>, Trouble> {
    let layout = remote.layout();
    let names = remote.names(&layout.purges()).await?;
    Ok(names
        .iter()
        .filter_map(|name| layout.number_of(name))
        .collect())
}

/// The number of the last purge before the first that is kept, and that of the last of all.
pub(super) fn bounds(numbers: &[u64]) -> (u64, u64) {
    let last = numbers.iter().copied().max().unwrap_or(0);
    let first = numbers.iter().copied().min().unwrap_or(1);
    (first.saturating_sub(1), last)
}

/// The purges with these numbers, in their order. One that is gone, or can't be read, means
/// everything.
pub(super) async fn read_notices(
    remote: &Remote,
    numbers: impl IntoIterator<Item = u64>,
) -> Result<Vec<Notice>, Trouble> {
    let read = stream::iter(numbers).map(|number| async move {
        let got = remote.get(&remote.layout().purge(number)).await?;
        Ok(Notice::decode(
            got.as_ref().map_or(&[], |(document, _)| document),
        ))
    });
    let read: Vec<Result<Notice, Trouble>> = read.buffered(AT_A_TIME).collect().await;
    read.into_iter().collect()
}

/// Why following the fleet's purges has stopped.
#[derive(Debug)]
enum Stopped {
    Trouble(Trouble),
    /// The store is not ours any more.
    Closed,
}

impl From<Trouble> for Stopped {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}
