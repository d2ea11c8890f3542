//! What a data folder holds, and what its checkpoints promise.

use super::{RecoverHints, Repair, topic_file};
use crate::io::{DirEntry, Op};
use crate::log::config::LogName;
use crate::log::copies::TopicSeal;
use crate::log::floor::{FloorEntry, FloorFile};
use crate::log::journal::{ReplayError, load, replay};
use crate::log::limits::STATE_BYTES_MAX;
use crate::log::{kafka_files, names, set, tasks};
use crate::shard::{Class, Io};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Folders that are asked side by side whose they are.
const LOOKS_AT_ONCE: usize = 32;

/// A data folder as found.
#[derive(Debug, Default)]
pub struct DataDir {
    /// The folder.
    pub path: PathBuf,
    /// Number of this start of it, for [`ShardDir`](crate::log::ShardDir).
    pub incarnation: u64,
    /// The logs in it, by folder name.
    pub logs: Vec<FoundLog>,
    /// Logs that were on their way here, by topic id and partition; what was copied of them is removed.
    pub futures: Vec<([u8; 16], i32)>,
    /// Folders that are no logs, left alone.
    pub ignored: Vec<String>,
    /// Files of the folder itself that could not be believed, and were made anew.
    pub report: Vec<Repair>,
}

/// A log's folder, not yet opened.
#[derive(Clone, Debug)]
pub struct FoundLog {
    /// Where it lies.
    pub name: LogName,
    /// Topic name, from the folder's.
    pub topic: String,
    /// Partition, from the folder's name.
    pub partition: i32,
    /// Topic id from `partition.metadata`, where there is one.
    pub uid: Option<[u8; 16]>,
    /// For [`recover`](super::recover).
    pub hints: RecoverHints,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The device or file system answered with an error.
    #[error("{path}: {error}")]
    Io {
        /// The folder, or a file in it.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A log lies in two data folders, and neither is the copy of a move.
    #[error(
        "{first} and {second} are the same partition of the same topic; nobody can say which is right. Move the wrong one out of its data folder"
    )]
    Twice {
        /// One folder.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A part of a journal is not what was written.
    #[error(
        "{path}: block {sequence} of the journal, at byte {position}, is not what was written; acknowledged records may exist \
         nowhere else. Put the file back as it was, or move it out of the folder to start without what it holds"
    )]
    Journal {
        /// The journal.
        path: PathBuf,
        /// Where the block was expected, in bytes.
        position: u64,
        /// Number of the block.
        sequence: u64,
    },
}

impl From<ReplayError> for DataDirError {
    fn from(error: ReplayError) -> DataDirError {
        match error {
            ReplayError::Io { path, error } => DataDirError::Io { path, error },
            ReplayError::Damage { path, damage } => {
                DataDirError::Journal { path, position: damage.position, sequence: damage.sequence }
            }
        }
    }
}

/// Lists a data folder, removes what was abandoned, and takes the clean mark: a crash from here on is one.
pub async fn scan_data_dir(io: &Io, path: &Path) -> Result<DataDir, DataDirError> {
    let failed = |error| DataDirError::Io { path: path.to_owned(), error };
    let entries = list(io, path).await.map_err(failed)?;
    let journals = journals(io, path).await?;
    tasks::make_private(io, path).await.map_err(failed)?;
    let floors = Floors::take(io, path).await.map_err(failed)?;
    let closed_by_kafka = entries.iter().any(|entry| entry.name == names::KAFKA_CLEAN);
    if closed_by_kafka {
        // Kafka's indexes do not follow what is appended here: coming back, it has to rebuild them.
        tasks::unlink(io, &path.join(names::KAFKA_CLEAN)).await.map_err(failed)?;
        tasks::sync_dir(io, path).await.map_err(failed)?;
    }
    for spare in list(io, &names::spares(path)).await.map_err(failed)? {
        tasks::unlink(io, &names::spares(path).join(spare.name)).await.map_err(failed)?;
    }
    let starts = kafka_offsets(io, &path.join(names::KAFKA_STARTS)).await;
    let cleaned = kafka_offsets(io, &path.join(names::KAFKA_CLEANED)).await;
    let report = floors.report.clone();
    let incarnation = floors.incarnation + 1;
    let mut found = DataDir { path: path.to_owned(), incarnation, logs: Vec::new(), ..DataDir::default() };
    found.report = report;
    for entry in entries.into_iter().filter(|entry| entry.is_dir && entry.name != names::PRIVATE) {
        let dir = path.join(&entry.name);
        if entry.name.ends_with(names::DELETE_FOLDER) {
            set::remove_folder(io, &dir).await.map_err(failed)?;
            continue;
        }
        if let Some((_, partition, uid)) = names::future_of(&entry.name) {
            set::remove_folder(io, &dir).await.map_err(failed)?;
            found.futures.push((uid, partition));
            continue;
        }
        let Some((topic, partition)) = names::topic_partition(&entry.name) else {
            found.ignored.push(entry.name);
            continue;
        };
        let (topic, hints) = (topic.to_owned(), RecoverHints::default());
        found.logs.push(FoundLog { topic, partition, uid: None, hints, name: LogName { dir } });
    }
    let uids = look_at_all(io, &found.logs).await;
    for (log, uid) in found.logs.iter_mut().zip(uids) {
        // Unreadable is not missing: the log would be taken for somebody else's, and an empty one put in its place.
        let path = || log.name.dir.join(names::PARTITION_METADATA);
        let (uid, origin) = uid.map_err(|error| DataDirError::Io { path: path(), error })?;
        log.uid = uid;
        log.hints = RecoverHints { origin, ..floors.hints(log.uid.unwrap_or_default(), log.partition) };
        let place = (log.topic.clone(), log.partition);
        log.hints.start = log.hints.start.or_else(|| starts.get(&place).copied());
        log.hints.closed_by_kafka = closed_by_kafka;
        log.hints.first_dirty = cleaned.get(&place).copied();
    }
    let logs = found.logs.iter().filter_map(|log| Some(((log.uid?, log.partition), log.name.dir.clone()))).collect();
    replay(io, journals, &logs).await?;
    unfinished_journals(io, path).await.map_err(failed)?;
    Ok(found)
}

/// A topic id, where a folder has one, and our sealed word about it.
type Looked = io::Result<(Option<[u8; 16]>, Option<TopicSeal>)>;

/// Whose each log is, many asked side by side: a disk answers them in the time of one.
async fn look_at_all(io: &Io, logs: &[FoundLog]) -> Vec<Looked> {
    let class = Class::new(io, LOOKS_AT_ONCE);
    let seen: Rc<RefCell<BTreeMap<usize, Looked>>> = Rc::default();
    for (at, log) in logs.iter().enumerate() {
        let (task_io, seen, permit) = (io.clone(), Rc::clone(&seen), class.acquire().await);
        let (dir, partition) = (log.name.dir.clone(), log.partition);
        io.spawn(async move {
            let uid = topic_file::look(&task_io, &dir, partition).await;
            seen.borrow_mut().insert(at, uid);
            drop(permit);
        });
    }
    // Every permit is back only when everybody has looked.
    let mut permits = Vec::with_capacity(LOOKS_AT_ONCE);
    while permits.len() < LOOKS_AT_ONCE {
        permits.push(class.acquire().await);
    }
    seen.take().into_values().collect()
}

pub(super) async fn list(io: &Io, path: &Path) -> io::Result<Vec<DirEntry>> {
    let done = io.call(Op::List { path: path.to_owned(), entries: Vec::new() }).await;
    done.result?;
    let Op::List { entries, .. } = done.op else { unreachable!("a completion returns its op") };
    Ok(entries)
}

/// The journals of all shards that wrote here, whole.
async fn journals(io: &Io, data: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, DataDirError> {
    let private = names::private(data);
    let mut journals = Vec::new();
    // There is no such folder before the first start.
    for entry in list(io, &private).await.unwrap_or_default() {
        if entry.name.ends_with(names::JOURNAL) {
            journals.push(load(io, private.join(entry.name)).await?);
        }
    }
    Ok(journals)
}

/// Removes journals that were never complete.
async fn unfinished_journals(io: &Io, data: &Path) -> io::Result<()> {
    let private = names::private(data);
    for entry in list(io, &private).await?.into_iter().filter(|entry| entry.name.contains(names::JOURNAL)) {
        tasks::unlink(io, &private.join(entry.name)).await?;
    }
    Ok(())
}

/// Offsets by topic and partition, as far as there is such a file.
async fn kafka_offsets(io: &Io, path: &Path) -> BTreeMap<(String, i32), i64> {
    let text = tasks::read_whole(io, path, STATE_BYTES_MAX).await;
    let offsets = text.ok().and_then(|text| kafka_files::offsets(&String::from_utf8(text).ok()?));
    offsets.into_iter().flatten().map(|(topic, partition, offset)| ((topic, partition), offset)).collect()
}

/// The checkpoints of all shards that ever wrote here, merged: the latest start of the folder wins.
struct Floors {
    incarnation: u64,
    entries: BTreeMap<([u8; 16], i32), (u64, bool, FloorEntry)>,
    report: Vec<Repair>,
}

impl Floors {
    /// Reads and merges them into one file without the clean mark.
    async fn take(io: &Io, data: &Path) -> io::Result<Floors> {
        let dir = names::private(data);
        let mut floors = Floors { incarnation: 0, entries: BTreeMap::new(), report: Vec::new() };
        let mut merged = Vec::new();
        for entry in list(io, &dir).await?.into_iter().filter(|entry| entry.name.ends_with(names::FLOOR)) {
            let path = dir.join(&entry.name);
            let file = tasks::read_whole(io, &path, STATE_BYTES_MAX).await?;
            match FloorFile::from_file(&file) {
                Ok((file, wrong)) => {
                    if let Some((at, reason)) = wrong {
                        tracing::warn!(file = %path.display(), at, reason, "checkpoint taken from its other copy");
                        let reason = format!("checkpoint, byte {at}, {reason}: its other copy is taken");
                        floors.report.push(Repair::rebuild(path.clone(), reason));
                    }
                    floors.add(file);
                }
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "checkpoint unusable: more is verified");
                    floors.report.push(Repair::rebuild(path.clone(), format!("checkpoint, {error}: more is verified")));
                }
            }
            merged.push(path);
        }
        let entries = floors.entries.values().map(|&(_, _, entry)| FloorEntry { active_bytes: 0, ..entry }).collect();
        // Not this start's number: what its shards write is newer than the merger.
        let file = FloorFile { incarnation: floors.incarnation, clean: false, entries };
        let path = names::merged_floor(data);
        tasks::replace(io, &path, file.to_file()).await?;
        for old in merged.into_iter().filter(|old| *old != path) {
            tasks::unlink(io, &old).await?;
        }
        tasks::sync_dir(io, &dir).await?;
        Ok(floors)
    }

    fn add(&mut self, file: FloorFile) {
        self.incarnation = self.incarnation.max(file.incarnation);
        for entry in file.entries {
            let key = (entry.uid, entry.partition);
            if self.entries.get(&key).is_none_or(|&(known, _, _)| known <= file.incarnation) {
                self.entries.insert(key, (file.incarnation, file.clean, entry));
            }
        }
    }

    fn hints(&self, uid: [u8; 16], partition: i32) -> RecoverHints {
        let known = self.entries.get(&(uid, partition)).filter(|_| uid != [0; 16]);
        known.map_or_else(RecoverHints::default, |&(incarnation, clean, entry)| RecoverHints {
            clean: clean && incarnation == self.incarnation,
            durable_floor: Some(entry.durable),
            start: Some(entry.start),
            header_proof: entry.header_proof,
            ..RecoverHints::default()
        })
    }
}
