//! The files of a data folder itself, then its logs, then the private folder that holds the metadata's log.

use super::{Advice, Verified, log_folder};
use crate::io::{DirEntry, Op};
use crate::log::copies::{first_difference, open_copy};
use crate::log::floor::{FloorEntry, FloorFile};
use crate::log::journal::{JournalDamage, read_journal};
use crate::log::limits::STATE_BYTES_MAX;
use crate::log::{RecoverHints, names, tasks};
use crate::shard::Io;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// What the checkpoints promise of each log, and the incarnation that said it last.
#[derive(Debug, Default)]
pub(super) struct Promises {
    entries: BTreeMap<([u8; 16], i32), (u64, FloorEntry)>,
    /// Logs of which a journal has more than their segments: what is promised of these is found by the next start only.
    in_journal: BTreeSet<([u8; 16], i32)>,
}

impl Promises {
    fn add(&mut self, file: &FloorFile) {
        for entry in &file.entries {
            let key = (entry.uid, entry.partition);
            if self.entries.get(&key).is_none_or(|&(incarnation, _)| incarnation <= file.incarnation) {
                self.entries.insert(key, (file.incarnation, *entry));
            }
        }
    }

    /// What is promised of a log, as recovery is told.
    pub(super) fn of(&self, uid: [u8; 16], partition: i32) -> RecoverHints {
        let key = (uid, partition);
        let entry = self.entries.get(&key).filter(|_| !self.in_journal.contains(&key)).map(|&(_, entry)| entry);
        RecoverHints {
            durable_floor: entry.map(|entry| entry.durable),
            header_proof: entry.and_then(|entry| entry.header_proof),
            ..RecoverHints::default()
        }
    }
}

pub(super) async fn verify(io: &Io, data: &Path, verified: &mut Verified) -> io::Result<()> {
    let entries = list(io, data).await?;
    let private = list(io, &names::private(data)).await.unwrap_or_default();
    let mut promises = Promises::default();
    for entry in &private {
        let path = names::private(data).join(&entry.name);
        if entry.name.ends_with(names::FLOOR) {
            checkpoint(io, &path, &mut promises, verified).await;
        } else if let Some(name) = entry.name.strip_suffix(names::COPY) {
            copy(io, &path, &data.join(name), verified).await;
        } else if entry.name == names::LOG_DIRS {
            log_dirs(io, &path, verified).await;
        } else if entry.name.ends_with(names::JOURNAL) {
            journal(io, &path, &mut promises, verified).await;
        }
    }
    for entry in entries.iter().filter(|entry| entry.is_dir) {
        if let Some((_, partition)) = names::topic_partition(&entry.name) {
            let dir = data.join(&entry.name);
            if let Err(error) = log_folder::verify(io, &dir, partition, &promises, verified).await {
                verified.note_unreadable(&dir, &error);
            }
        }
    }
    for entry in private.iter().filter(|entry| entry.is_dir && entry.name != names::SPARE) {
        let home = names::private(data).join(&entry.name);
        if let Err(error) = Box::pin(verify(io, &home, verified)).await {
            verified.note_unreadable(&home, &error);
        }
    }
    Ok(())
}

async fn checkpoint(io: &Io, path: &Path, promises: &mut Promises, verified: &mut Verified) {
    let Some(file) = whole(io, path, STATE_BYTES_MAX, verified).await else { return };
    match FloorFile::from_file(&file) {
        Ok((file, wrong)) => {
            promises.add(&file);
            if let Some((at, reason)) = wrong {
                verified.note(path, format!("one of the two copies of a checkpoint: {reason}"), Advice::NextStart);
                verified.findings.last_mut().into_iter().for_each(|finding| finding.position = at as u64);
            }
        }
        Err(error) => verified.note(path, format!("durable-offset checkpoint: {error}"), Advice::NextStart),
    }
}

/// A killed broker leaves one; the next start puts what it holds into the segments.
async fn journal(io: &Io, path: &Path, promises: &mut Promises, verified: &mut Verified) {
    let Some(file) = whole(io, path, STATE_BYTES_MAX, verified).await else { return };
    match read_journal(&file) {
        Ok(live) => promises.in_journal.extend(live.iter().map(|one| (one.place.uid, one.place.partition))),
        Err(JournalDamage { position, sequence }) => {
            verified.note(path, format!("block {sequence} of the journal is missing"), Advice::RestoreFile);
            verified.findings.last_mut().into_iter().for_each(|finding| finding.position = position);
        }
    }
}

/// What the folder remembers of all of them; the next start writes it anew.
async fn log_dirs(io: &Io, path: &Path, verified: &mut Verified) {
    let Some(file) = whole(io, path, STATE_BYTES_MAX, verified).await else { return };
    if let Err(error) = open_copy(&file) {
        verified.note(path, format!("list of all data folders: {error}"), Advice::NextStart);
    }
}

/// A copy and what it is a copy of.
async fn copy(io: &Io, path: &Path, original: &Path, verified: &mut Verified) {
    let Some(file) = whole(io, path, STATE_BYTES_MAX, verified).await else { return };
    let kept = match open_copy(&file) {
        Ok(kept) => kept,
        Err(error) => return verified.note(path, format!("copy of a file: {error}"), Advice::NextStart),
    };
    let found = match tasks::read_whole(io, original, STATE_BYTES_MAX).await {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return verified.note(original, format!("missing; its copy is {}", path.display()), Advice::PutBackCopy);
        }
        Err(error) => return verified.note_unreadable(original, &error),
    };
    verified.note_read(found.len() as u64);
    if let Some(at) = first_difference(kept, &found) {
        verified.note(original, format!("differs from its copy {}", path.display()), Advice::PutBackCopy);
        verified.findings.last_mut().into_iter().for_each(|finding| finding.position = at as u64);
    }
}

/// A whole small file; one that cannot be read is a finding.
pub(super) async fn whole(io: &Io, path: &Path, max: u64, verified: &mut Verified) -> Option<Vec<u8>> {
    match tasks::read_whole(io, path, max).await {
        Ok(bytes) => {
            verified.note_read(bytes.len() as u64);
            Some(bytes)
        }
        Err(error) => {
            verified.note_unreadable(path, &error);
            None
        }
    }
}

pub(super) async fn list(io: &Io, path: &Path) -> io::Result<Vec<DirEntry>> {
    let done = io.call(Op::List { path: path.to_owned(), entries: Vec::new() }).await;
    done.result?;
    let Op::List { entries, .. } = done.op else { unreachable!("a completion returns its op") };
    Ok(entries)
}
