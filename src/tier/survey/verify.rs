//! Whether what lies there is what was written, and taking out what is not.

use super::{
    super::{
        entry::{Entry, Run},
        folders::Folder,
        remote::{Put, Remote, Trouble},
    },
    Report, SoFar, Task,
    report::Tally,
};
use crate::domain::ChunkIndex;
use futures_util::StreamExt;
use object_store::{ObjectMeta, PutMode, path::Path};
use std::collections::HashMap;
use tokio::time::timeout;

/// Takes a manifest out that can't be read, unless somebody has written another one since.
pub(super) async fn repair_manifest(
    remote: &Remote,
    task: &Task,
    folder: &Folder,
    meta: &ObjectMeta,
    report: &mut Report,
) -> Result<(), Trouble> {
    if !task.repair {
        return Ok(());
    }
    let there = remote.get(&meta.location).await?;
    let is_damaged =
        there.is_some_and(|(document, _)| Entry::decode(&document, folder.id, None).is_none());
    if is_damaged {
        remote.delete(&meta.location).await?;
        report.has_erased(meta.size);
    }
    Ok(())
}

/// Reads all runs of an object; those that are damaged leave its manifest, if they are to. Comes back
/// with the bytes of which the tally has been told.
pub(super) async fn verify(
    remote: &Remote,
    task: &Task,
    folder: &Folder,
    entry: Entry,
    report: &mut Report,
    tally: &Tally<impl FnMut(SoFar)>,
) -> Result<u64, Trouble> {
    let sizes: HashMap<&Path, u64> = folder
        .others
        .iter()
        .map(|meta| (&meta.location, meta.size))
        .collect();
    let (mut bad, mut told) = (Vec::new(), 0);
    for run in &entry.runs {
        let path = remote.layout().run(folder.version, folder.id, &run.name);
        report.verified += 1;
        if !is_sound(remote, &path, &entry, run).await? {
            report.found_damaged(&path);
            bad.push(run.name.clone());
        }
        let size = sizes.get(&path).copied().unwrap_or(0);
        tally.add(0, size);
        told += size;
    }
    if bad.is_empty() || !task.repair {
        return Ok(told);
    }
    let path = remote.layout().manifest(folder.version, folder.id);
    let Some((document, version)) = remote.get(&path).await? else {
        return Ok(told);
    };
    let Some(mut there) = Entry::decode(&document, folder.id, None) else {
        return Ok(told);
    };
    there.runs.retain(|run| !bad.contains(&run.name));
    let document = there.encode().into();
    // Somebody else may be writing it at this moment: then the next time will do.
    match remote
        .put_if(&path, document, PutMode::Update(version))
        .await?
    {
        Put::Conflict => {}
        Put::Done => {
            for name in &bad {
                remote
                    .delete(&remote.layout().run(folder.version, folder.id, name))
                    .await?;
                report.has_erased(0);
            }
        }
    }
    Ok(told)
}

async fn is_sound(remote: &Remote, path: &Path, entry: &Entry, run: &Run) -> Result<bool, Trouble> {
    let Some(grid) = entry.grid() else {
        return Ok(false);
    };
    let lengths = (run.first..run.end()).map(ChunkIndex);
    let lengths = lengths.filter_map(|chunk| grid.bytes_of(chunk).map(|bytes| bytes.len()));
    let lengths: Vec<u64> = lengths.collect();
    let Some(mut stream) = remote.open(path, 0..lengths.iter().sum()).await? else {
        return Ok(false);
    };
    let (mut sums, mut sum, mut left) = (Vec::new(), 0, lengths.first().copied().unwrap_or(0));
    loop {
        let next = timeout(remote.timeout(), stream.next()).await;
        let mut part = match next.map_err(|_| remote.late())? {
            None => break,
            // An answer that breaks off says nothing of what lies there.
            Some(part) => part.map_err(|e| remote.trouble(&e))?,
        };
        while !part.is_empty() && left > 0 {
            let now = part.split_to(part.len().min(left as usize));
            sum = crc32c::crc32c_append(sum, &now);
            left -= now.len() as u64;
            if left == 0 {
                sums.push(std::mem::take(&mut sum));
                left = lengths.get(sums.len()).copied().unwrap_or(0);
            }
        }
    }
    Ok(sums == run.checksums)
}
