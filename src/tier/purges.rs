//! Purges across the fleet: told of through the tier, carried out by every edge.

use super::{
    OnError, Tier, fleet,
    fleet::Stranger,
    history::{Notice, Standing},
    purge_log::{self, Met},
    remote::{Put, Trouble},
};
use crate::{
    domain::{AsOf, Selector},
    store::{Herald, How, PurgeError, aside},
};
use async_trait::async_trait;
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
/// Longest wait for purges that somebody who asks knows already.
const MOMENT: Duration = Duration::from_secs(1);
/// After so many looks for the next purge it is looked whether the last one is there still.
const LOOKS: u32 = 30;

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
            begins: false,
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

    fn as_of(&self, place: &str) -> Option<AsOf> {
        let history = self.history.lock();
        self.as_far_as(history.last(), history.owes(place))
    }

    fn is_at(&self, as_of: AsOf) -> bool {
        let has_all = !as_of.and_more && as_of.number <= self.carried_out.load(Relaxed);
        has_all || as_of.log != self.log
    }

    async fn catch_up(&self, as_of: AsOf) -> bool {
        let (now, apart) = (Instant::now(), self.config().poll);
        let may_help = !as_of.and_more && self.is_ready();
        if may_help && self.hearsay.hear(as_of.number, now, apart) {
            self.news.notify_one();
            let caught_up = self.hearsay.wait(now, || self.is_at(as_of));
            let _ = timeout(MOMENT, caught_up).await;
        }
        self.is_at(as_of)
    }

    fn may_lack_since(&self) -> Option<Instant> {
        (!self.has_joined.load(Relaxed)).then_some(self.began)
    }
}

impl Tier {
    /// Whether what the tier says of an object has survived all purges.
    pub(super) fn is_valid(&self, entry: &super::entry::Entry) -> bool {
        let standing = self.history.lock().standing(&entry.object, entry.purges);
        standing != Standing::Gone
    }

    /// The purges that are known to have a number, if there are any: also one that is being carried
    /// out, as the store may be past it already.
    pub(super) fn numbered(&self) -> Option<AsOf> {
        let last = self.history.lock().last();
        self.as_far_as(last, false)
    }

    /// Purges up to this number, and perhaps some that have none yet; nothing where that is none.
    pub(super) fn as_far_as(&self, number: u64, and_more: bool) -> Option<AsOf> {
        let log = self.log;
        let as_of = AsOf {
            log,
            number,
            and_more,
        };
        (number > 0 || and_more).then_some(as_of)
    }

    /// The number of the last purge, where the fleet can know of all.
    fn last_if_all_told(&self) -> Option<u64> {
        let history = self.history.lock();
        (self.is_ready() && history.untold() == 0).then(|| history.last())
    }

    /// Carries out what other edges purge, and tells them of what is purged here, for as long as
    /// the store is ours. It has been said already that and why the tier has `failed`.
    pub(super) async fn follow(self: Arc<Self>, mut failed: Option<Stranger>) {
        loop {
            self.begin_using(failed.take()).await;
            match self.keep_up().await {
                Stopped::Another => self.leave(),
                _ => return,
            }
        }
    }

    /// Tries until the tier is in use. Of each failure in a row it is said once why.
    async fn begin_using(&self, mut last: Option<Stranger>) {
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
    }

    /// The purges are not those that are known here.
    fn leave(&self) {
        self.set_ready(false);
        log::error!(
            "the purges in the tier are not those that this edge knows: the bucket, or a part of it, has been emptied; it is begun with anew"
        );
    }

    /// Follows the purges, until that makes no sense any more.
    async fn keep_up(&self) -> Stopped {
        let mut looked = Instant::now();
        let mut heard = 0;
        loop {
            heard = self.hearsay.take().max(heard);
            let step = async {
                self.try_again().await?;
                if looked.elapsed() >= self.config().poll * LOOKS {
                    self.look_after_log().await?;
                    looked = Instant::now();
                }
                self.step().await
            };
            match step.await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(Stopped::Trouble(why)) => log::debug!("purges of the fleet: {why}"),
                Err(why) => return why,
            }
            let last = self.carried_out.load(Relaxed);
            self.hearsay.looked(heard, last, Instant::now());
            heard = 0;
            tokio::select! {
                () = sleep(self.config().poll) => {}
                () = self.news.notified() => {}
            }
        }
    }

    fn set_ready(&self, is_ready: bool) {
        self.ready.store(is_ready, Relaxed);
        self.stats().ready.set(i64::from(is_ready));
    }

    /// Makes sure that the last purge that is known here lies in the tier, or one that stands for
    /// what is lost: whoever is not as far drops all that it has.
    async fn look_after_log(&self) -> Result<(), Stopped> {
        let last = self.history.lock().last();
        match purge_log::look(self.remote(), last).await? {
            Met::Same => {}
            Met::Another => return Err(Stopped::Another),
            Met::Lost => {
                // Whose it is may be gone with it.
                if fleet::claim(self.remote(), &self.config().fleet)
                    .await
                    .is_err()
                {
                    return Err(Stopped::Another);
                }
                purge_log::begin(self.remote(), last, &self.name).await?;
                log::error!(
                    "the purges up to {last} are gone from the tier: somebody else removes things there; edges that had not seen all of them drop what they have stored"
                );
            }
        }
        Ok(())
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
        let remote = self.remote();
        let mut numbers = purge_log::numbers(remote).await?;
        if numbers.is_empty() {
            numbers = purge_log::start(remote, &self.name, SystemTime::now()).await?;
        }
        let (removed, last) = purge_log::bounds(&numbers);
        let begin = removed.max(last.saturating_sub(super::history::REMEMBERED as u64));
        let notices = purge_log::read_notices(remote, begin + 1..=last).await?;
        // What was before the beginning is nothing to an edge that was no part of the fleet then.
        let is_all_kept = notices.first().is_some_and(|first| first.begins);
        let cursor = self.read_cursor();
        let carried_out = cursor.unwrap_or(if is_all_kept { begin + 1 } else { 0 });
        let missed = last.saturating_sub(carried_out);
        let mut selectors = Vec::new();
        if carried_out < begin || carried_out > last || missed > CAUGHT_UP {
            log::warn!(
                "purges of the fleet were missed, too many or such as are not known any more: all that is stored here goes"
            );
            selectors.push((Selector::All, false));
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
        self.has_joined.store(true, Relaxed);
        self.set_ready(true);
        log::info!(
            "the tier is in use: fleet {:?}, the last purge is number {last}",
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
            self.look_after_log().await?;
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

    /// What the disk has refused is tried again. Once it has done all of it, it is written down how
    /// far this edge has come.
    async fn try_again(&self) -> Result<(), Stopped> {
        let due = (self.stuck.lock()).take(Instant::now(), self.config().poll);
        if due.is_empty() {
            return Ok(());
        }
        for (selector, soft) in due {
            self.carry_out(selector, soft).await?;
        }
        self.note_carried_out(self.carried_out.load(Relaxed));
        Ok(())
    }

    /// Purges the store here, however long it takes. What the disk refuses is out of service all the
    /// same, and tried again.
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
                    log::error!("a purge of the fleet: {why}, which carries it out again");
                    self.stuck.lock().add((selector, soft));
                    return Ok(());
                }
                Err(why) => {
                    log::warn!("a purge of the fleet: {why}");
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Nothing that purges up to this one mean is in service here any more. That it stays so whatever
    /// becomes of this process is written down where the disk has done all that they ask for.
    fn note_carried_out(&self, number: u64) {
        self.carried_out.store(number, SeqCst);
        self.hearsay.tell();
        self.stats()
            .purges
            .set(i64::try_from(number).unwrap_or(i64::MAX));
        let stuck = self.stuck.lock().len();
        self.stats().stuck.set(stuck as i64);
        if stuck > 0 {
            return;
        }
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
        let place = config.place.name();
        format!("{}/{} {place}", config.prefix, config.fleet)
    }
}

/// Why following the fleet's purges has stopped.
#[derive(Debug)]
enum Stopped {
    Trouble(Trouble),
    /// The store is not ours any more.
    Closed,
    /// The log of purges is another than the one that is known here.
    Another,
}

impl From<Trouble> for Stopped {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}
