//! What a shard does before it serves: find the logs in the data folders, open its share of them, hand them to its broker.

use crate::budget::CleanerShare;
use crate::crew::Orders;
use crate::store::{self, EngineStore, Folder};
use broker::controller::plan::FoundTopic;
use broker::image::shard_of;
use broker::log_dirs::LogDir;
use broker::partition::METADATA_LOG;
use broker::{Broker, ShardId};
use engine::io::Op;
use engine::log::{self, FoundLog, LogSet, ShardDir};
use engine::shard::{Class, Io};
use protocol::Uuid;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Where the metadata log lies inside the first data folder: private, because Kafka would take it for a partition.
const METADATA_HOME: &str = ".ringlog/cluster";
/// Its folder there.
const METADATA_FOLDER: &str = "metadata-0";
/// Kafka's own metadata log, which we do not read.
const KAFKA_METADATA: &str = "__cluster_metadata";

/// Ids of topics that the metadata is about to get, one a line, in the first data folder.
const TAKE_OVER: &str = ".ringlog/take-over";

/// Bytes of a text file that is read whole, at most: a checkpoint of a hundred thousand epochs is far below.
const TEXT_BYTES_MAX: u64 = 64 << 20;

/// Logs that are opened side by side: a disk answers many small reads in the time of one.
const OPENING_AT_ONCE: usize = 32;

/// Partitions of one topic that are believed from folder names: numbers beyond are no topic's.
const PARTITIONS_MAX: usize = 100_000;

/// Why the data could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// A data folder as a whole.
    #[error("cannot open the data folder: {0}")]
    DataDir(#[from] log::DataDirError),
    /// One log.
    #[error("cannot open a partition: {0}")]
    Log(#[from] log::RecoverError),
    /// The home of the metadata log.
    #[error("{path}: {error}")]
    Home {
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
}

/// What the data folders hold.
#[derive(Clone, Debug)]
pub struct Found {
    /// All folders that logs may lie in, the metadata log's home last.
    dirs: Vec<ShardDir>,
    logs: Vec<FoundLog>,
    /// Logs that were being moved, by topic id and partition, and the folder that they were on their way to.
    moves: Vec<([u8; 16], i32, PathBuf)>,
    /// Topics that this broker has never served, for the controller.
    pub topics: Vec<FoundTopic>,
}

impl Found {
    /// What each shard opens. The number of shards may change at any start: nothing on disk names one.
    pub fn shares(&self, shards: usize) -> Vec<Found> {
        let none = Found { logs: Vec::new(), ..self.clone() };
        let mut shares = vec![none; shards];
        for log in &self.logs {
            shares[owner(log, shards)].logs.push(log.clone());
        }
        shares
    }
}

fn owner(log: &FoundLog, shards: usize) -> usize {
    let count = u16::try_from(shards).unwrap_or(u16::MAX);
    match log.uid {
        Some(uid) if uid != METADATA_LOG.topic.0 => usize::from(shard_of(Uuid(uid), log.partition, count).0),
        _ => 0,
    }
}

fn metadata_home(data_dirs: &[PathBuf]) -> PathBuf {
    #[expect(clippy::indexing_slicing, reason = "settings always name a data folder")]
    data_dirs[0].join(METADATA_HOME)
}

/// Lists the data folders. Takes their clean marks: a crash from here on is one.
pub async fn scan(io: &Io, data_dirs: &[PathBuf]) -> Result<Found, RecoverError> {
    let home = metadata_home(data_dirs);
    make_home(io, &data_dirs[0], &home).await?;
    let mut found = Found { dirs: Vec::new(), logs: Vec::new(), moves: Vec::new(), topics: Vec::new() };
    let mut dirs = Vec::new();
    for path in data_dirs.iter().chain([&home]) {
        dirs.push(log::scan_data_dir(io, path).await?);
    }
    log::settle_moves(io, &mut dirs).await?;
    for dir in dirs {
        found.moves.extend(dir.futures.iter().map(|&(uid, partition)| (uid, partition, dir.path.clone())));
        found.dirs.push(ShardDir { path: dir.path.clone(), incarnation: dir.incarnation });
        let (known, foreign): (Vec<_>, Vec<_>) = dir.logs.into_iter().partition(|log| is_served(log, &home));
        foreign.iter().for_each(note_foreign);
        found.logs.extend(known);
    }
    let pending = pending_take_over(io, &data_dirs[0]).await;
    found.topics = never_served(io, &found.logs, &home, &pending).await;
    note_take_over(io, &data_dirs[0], &found.topics).await?;
    Ok(found)
}

/// Topics of an earlier start that ended before the metadata had them: checkpoints may know their logs by now.
async fn pending_take_over(io: &Io, data_dir: &Path) -> String {
    text(io, &data_dir.join(TAKE_OVER)).await
}

/// What a small text file holds; nothing where there is none.
async fn text(io: &Io, path: &Path) -> String {
    let bytes = log::read_whole(io, path, TEXT_BYTES_MAX).await.unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// Writes down, durably, whose topics are to be taken over, before a checkpoint makes their logs look like ours.
async fn note_take_over(io: &Io, data_dir: &Path, topics: &[FoundTopic]) -> Result<(), RecoverError> {
    if topics.is_empty() {
        return Ok(());
    }
    let path = data_dir.join(TAKE_OVER);
    let text: String = topics.iter().map(|topic| format!("{}\n", topic.id)).collect();
    log::replace(io, &path, text.into_bytes()).await.map_err(|error| RecoverError::Home { path, error })
}

/// The metadata has all of them.
pub async fn taken_over(io: &Io, data_dir: &Path) {
    // One that stays names topics that are known already, which does no harm.
    let _ = log::unlink(io, &data_dir.join(TAKE_OVER)).await;
}

async fn make_home(io: &Io, data_dir: &Path, home: &Path) -> Result<(), RecoverError> {
    let paths = home.ancestors().take_while(|path| *path != data_dir).map(Path::to_owned);
    let paths: Vec<PathBuf> = paths.collect::<Vec<_>>().into_iter().rev().collect();
    for path in paths {
        let made = io.call(Op::MakeDir { path: path.clone() }).await.result;
        made.map_err(|error| RecoverError::Home { path, error })?;
    }
    Ok(())
}

/// Topics of logs without a durable-offset checkpoint of ours: another broker wrote them. And those whose ids are `pending`.
async fn never_served(io: &Io, logs: &[FoundLog], home: &Path, pending: &str) -> Vec<FoundTopic> {
    let mut topics: BTreeMap<(&str, [u8; 16]), Vec<i32>> = BTreeMap::new();
    let is_pending = |log: &FoundLog| {
        !pending.is_empty() && log.uid.is_some_and(|uid| pending.lines().any(|id| id == Uuid(uid).to_string()))
    };
    let is_foreign = |log: &FoundLog| log.hints.durable_floor.is_none() || is_pending(log);
    let foreign = logs.iter().filter(|log| log.name.data_dir() != home && is_foreign(log));
    for log in foreign {
        let (Some(uid), Ok(index)) = (log.uid, usize::try_from(log.partition)) else { continue };
        if index >= PARTITIONS_MAX {
            tracing::warn!("{} is left alone: its partition number is not believable", log.name.dir.display());
            continue;
        }
        let epochs = topics.entry((&log.topic, uid)).or_default();
        if epochs.len() <= index {
            epochs.resize(index + 1, 0);
        }
        epochs[index] = next_leader_epoch(io, &log.name.dir).await;
    }
    let topic = |((name, uid), leader_epochs): ((&str, _), _)| FoundTopic {
        name: name.to_owned(),
        id: Uuid(uid),
        leader_epochs,
    };
    topics.into_iter().map(topic).collect()
}

/// One above the last epoch in Kafka's checkpoint (version, count, then a line for each epoch), so that epochs never go
/// back; 0 where there is none.
async fn next_leader_epoch(io: &Io, dir: &Path) -> i32 {
    let text = text(io, &dir.join("leader-epoch-checkpoint")).await;
    let last = text.lines().skip(2).filter_map(|line| line.split_once(' ')?.0.parse::<i32>().ok()).max();
    last.map_or(0, |epoch| epoch.saturating_add(1))
}

fn is_served(log: &FoundLog, home: &Path) -> bool {
    log.name.data_dir() == home || (log.topic != KAFKA_METADATA && log.uid.is_some())
}

fn note_foreign(log: &FoundLog) {
    let folder = log.name.dir.display();
    if log.topic == KAFKA_METADATA {
        tracing::warn!("{folder} is Kafka's metadata log: it is left alone, topic settings in it are not taken over");
    } else {
        tracing::warn!("{folder} has no usable partition.metadata, so its topic id is unknown: it is left alone");
    }
}

/// Opens this shard's share and gives it to a broker.
pub async fn open(io: &Io, me: ShardId, orders: &Orders, found: Found) -> Result<Broker<EngineStore>, RecoverError> {
    let limits = orders.log_limits.clone();
    let metadata_dir = metadata_home(&orders.data_dirs).join(METADATA_FOLDER);
    let logs = LogSet::new(io.clone(), limits, me.0, found.dirs);
    let share = CleanerShare::new(orders.shards, orders.log_limits.tail_cache_bytes);
    let store = EngineStore::new(logs, me.0, folders(orders), metadata_dir, share);
    let shards = u16::try_from(orders.shards).unwrap_or(u16::MAX);
    let mut broker = Broker::new(store, me, shards, orders.broker.clone());
    let home = metadata_home(&orders.data_dirs);
    for (log, recovered) in open_logs(io.clone(), found.logs).await {
        match recovered {
            Ok(recovered) => adopt(&mut broker, recovered, &found.moves),
            // Nothing can be served without the metadata; without one partition, all others can.
            Err(error) if log.name.data_dir() == home => return Err(error.into()),
            Err(error) => adopt_unreadable(&mut broker, &log, &error),
        }
    }
    Ok(broker)
}

/// The folders of `log.dirs` as the store knows them.
fn folders(orders: &Orders) -> Vec<Folder> {
    let folder = |(dir, path): (&LogDir, &PathBuf)| Folder {
        path: path.clone(),
        is_online: !dir.is_offline,
        is_cordoned: orders.broker.is_cordoned(&dir.path),
        logs: 0,
    };
    orders.broker.log_dirs.iter().zip(&orders.log_dirs).map(folder).collect()
}

type Opened = (FoundLog, Result<log::RecoveredLog, log::RecoverError>);

async fn open_logs(io: Io, logs: Vec<FoundLog>) -> Vec<Opened> {
    let class = Class::new(&io, OPENING_AT_ONCE);
    let opened = Rc::new(RefCell::new(Vec::with_capacity(logs.len())));
    for log in logs {
        let (task_io, opened, permit) = (io.clone(), Rc::clone(&opened), class.acquire().await);
        io.spawn(async move {
            let recovered = log::recover(&task_io, log.name.clone(), log.hints).await;
            opened.borrow_mut().push((log, recovered));
            drop(permit);
        });
    }
    // Every permit is back only when every log is open.
    let mut permits = Vec::with_capacity(OPENING_AT_ONCE);
    while permits.len() < OPENING_AT_ONCE {
        permits.push(class.acquire().await);
    }
    opened.take()
}

fn adopt_unreadable(broker: &mut Broker<EngineStore>, found: &FoundLog, error: &log::RecoverError) {
    tracing::error!("a partition is out of service until a start that can read it, its files are left alone: {error}");
    let store = broker.store_mut();
    store.count(found.name.data_dir());
    let log = store.logs.adopt(log::RecoveredLog::unreadable(found), log::LogConfig::unknown());
    broker.adopt_unreadable(store::broker_id(log), Uuid(found.uid.unwrap_or_default()), found.partition);
}

/// `moves` are those that the last run did not end.
fn adopt(broker: &mut Broker<EngineStore>, mut recovered: log::RecoveredLog, moves: &[([u8; 16], i32, PathBuf)]) {
    for (file, damage) in &recovered.damage {
        tracing::error!(
            "{}: byte {}: {}; the partition is served up to there only",
            file.display(),
            damage.position,
            damage.reason
        );
    }
    let headers = recovered.batches_after_snapshot.iter().map(|(header, _)| header.encode()).collect();
    let (topic, index) = (recovered.uid, recovered.partition);
    let snapshot = recovered.snapshot.take();
    let dir = recovered.name.data_dir().to_owned();
    let store = broker.store_mut();
    store.count(&dir);
    // The metadata image gives it its settings before anything is appended, but perhaps after the first look at retention;
    // and a log that no image names stays as it is.
    let log = store::broker_id(store.logs.adopt(recovered, log::LogConfig::unknown()));
    if let Some((_, _, to)) = moves.iter().find(|(uid, partition, _)| (*uid, *partition) == (topic, index)) {
        // One that must not be changed stays where it is; it was reported above.
        let _ = store.logs.relocate(store::engine_id(log), to);
    }
    broker.adopt(&broker::RecoveredLog { log, topic_id: Uuid(topic), partition: index, snapshot, headers });
}
