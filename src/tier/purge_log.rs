//! The log of purges: one document for each, by its number, without gaps.
//!
//! A log may be lost: somebody empties the bucket, or a rule of the service removes what is old. Its
//! numbers are not used again: a log begins with the time, in milliseconds, as its first number, which
//! is larger than any before, and its first notice means everything. So whoever knows another
//! log, an edge or a manifest, is behind this one and treated like whoever missed too much.
//!
//! An edge looks from time to time whether the last purge that it knows is there still. Where the log
//! ends before it, it writes in that place that everything is purged: who was as far has nothing to
//! do, and who was not may have missed what was lost.

use super::{
    history::Notice,
    remote::{Put, Remote, Trouble},
};
use futures_util::{StreamExt, stream};
use object_store::PutMode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Notices that are read at a time.
const AT_A_TIME: usize = 32;

/// What an edge finds in the place of the log that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// The same log.
    Same,
    /// The end of it is not there any more.
    Lost,
    /// Another log.
    Another,
}

/// The numbers of the purges that the tier keeps, in no order.
pub async fn numbers(remote: &Remote) -> Result<Vec<u64>, Trouble> {
    let kept = kept(remote, None).await?;
    Ok(kept.into_iter().map(|(number, _)| number).collect())
}

/// What an edge meets that knows the purges up to this one.
pub async fn look(remote: &Remote, last: u64) -> Result<Met, Trouble> {
    let listed = kept(remote, last.checked_sub(1)).await?;
    let numbers: Vec<_> = listed.into_iter().map(|(number, _)| number).collect();
    Ok(met(last, &numbers))
}

/// The purges that the tier keeps, or those after one, in no order: the number of each, and when it
/// was written, by the service's clock.
pub async fn kept(remote: &Remote, after: Option<u64>) -> Result<Vec<(u64, SystemTime)>, Trouble> {
    let layout = remote.layout();
    let after = after.map(|number| layout.purge(number));
    let listed = remote.list_all(&layout.purges(), after.as_ref()).await?;
    let kept = listed.iter().filter_map(|found| {
        let number = layout.number_of(&found.location)?;
        Some((number, found.last_modified.into()))
    });
    Ok(kept.collect())
}

/// The number of the last purge before the first that is kept, and that of the last of all. What
/// lies before a gap is of another log.
pub fn bounds(numbers: &[u64]) -> (u64, u64) {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let last = sorted.first().copied().unwrap_or(0);
    let follows = |(before, number): &(u64, u64)| *number <= *before && before - number <= 1;
    let pairs = sorted.iter().copied().zip(sorted.iter().skip(1).copied());
    let first = pairs.take_while(follows).last().map_or(last, |(_, n)| n);
    (first.saturating_sub(1), last)
}

/// What is met, by the numbers from the last known one on.
fn met(last: u64, listed: &[u64]) -> Met {
    let has = |number: u64| listed.contains(&number);
    let first_later = listed.iter().copied().filter(|number| *number > last).min();
    match first_later {
        Some(later) if later > last + 1 => Met::Another,
        // The last one may have been forgotten: the next says the same.
        Some(_) => Met::Same,
        None if has(last) => Met::Same,
        None if last == 0 => Met::Another,
        None => Met::Lost,
    }
}

/// Begins a log where there is none, at the time that it is; the numbers that are there then. Of
/// edges that do so at once the first one's holds.
pub async fn start(remote: &Remote, from: &str, now: SystemTime) -> Result<Vec<u64>, Trouble> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 2);
    begin(remote, first, from).await?;
    let listed = numbers(remote).await?;
    if !listed.iter().any(|number| *number < first) {
        return Ok(listed);
    }
    remote.delete(&remote.layout().purge(first)).await?;
    numbers(remote).await
}

/// Writes the beginning of a log at this number, or what stands for purges that are lost. Whether
/// something was there is for the next look.
pub async fn begin(remote: &Remote, number: u64, from: &str) -> Result<Put, Trouble> {
    let document = Notice::beginning(from, SystemTime::now()).encode();
    let path = remote.layout().purge(number);
    remote.put_if(&path, document.into(), PutMode::Create).await
}

/// The purges with these numbers, in their order. One that is gone, or can't be read, means
/// everything.
pub async fn read_notices(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_before_a_gap_is_of_another_log() {
        for (numbers, expected) in [
            (&[][..], (0, 0)),
            (&[7], (6, 7)),
            (&[3, 1, 2], (0, 3)),
            (&[1, 2, 900, 902, 901], (899, 902)),
            (&[5, 1], (4, 5)),
        ] {
            assert_eq!(bounds(numbers), expected, "{numbers:?}");
        }
    }

    #[test]
    fn another_log_is_told_from_the_same() {
        for (listed, expected) in [
            (&[9][..], Met::Same),
            (&[9, 10, 11], Met::Same),
            // Forgotten by tidegate tier gc.
            (&[10, 11], Met::Same),
            (&[], Met::Lost),
            (&[11], Met::Another),
            (&[9, 900], Met::Another),
            (&[900, 901], Met::Another),
        ] {
            assert_eq!(met(9, listed), expected, "{listed:?}");
        }
    }
}
