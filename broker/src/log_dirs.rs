//! The broker's log directories: which there are, what each holds, and where new and moved replicas go. What is asked about all
//! of them is asked of every shard, because each knows its own logs only. Copying files is storage's business.

use crate::front::Message;
use crate::io::{Effect, Origin, ShardId};
use crate::limits::DIR_WISHES_MAX;
use crate::request::Header;
use crate::store::{LogPlace, Store};
use crate::{Broker, api};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A directory of `log.dirs`, by its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DirId(pub u16);

/// One directory of `log.dirs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    /// Its absolute path.
    pub path: String,
    /// It could not be used when the broker started; what lies there is out of service until a start that can.
    pub is_offline: bool,
}

/// The volume that a directory lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// All its bytes.
    pub total_bytes: u64,
    /// Bytes that we may still fill.
    pub usable_bytes: u64,
}

/// Partitions that a client wants to hear of, by topic; none: all.
pub type Wanted = Option<Arc<BTreeMap<String, BTreeSet<i32>>>>;

/// A replica in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Where it lies.
    pub dir: DirId,
    /// Bytes of its batches.
    pub size_bytes: u64,
    /// Offsets that it is behind the partition's current replica.
    pub offset_lag: i64,
    /// It becomes the partition's replica once it has caught up.
    pub is_future: bool,
}

/// Where a partition is to be made that does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirWish {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// The directory.
    pub dir: DirId,
}

/// One request that waits for what the shards have in the directories, and for the sizes of these.
#[derive(Debug)]
pub(crate) struct DirGather {
    pub(crate) origin: Origin,
    pub(crate) header: Header,
    /// Answers that are missing.
    open: usize,
    pub(crate) replicas: Vec<Replica>,
    /// By directory; none for one that does not answer.
    pub(crate) volumes: Vec<Option<Volume>>,
}

/// What this shard waits for, and what it was told to do later.
#[derive(Debug, Default)]
pub(crate) struct LogDirs {
    gathers: BTreeMap<u64, DirGather>,
    next: u64,
    wishes: BTreeMap<(Arc<str>, i32), DirId>,
}

impl LogDirs {
    /// Takes the wish for a partition that is made now.
    pub(crate) fn take_wish(&mut self, topic: &Arc<str>, partition: i32) -> Option<DirId> {
        if self.wishes.is_empty() { None } else { self.wishes.remove(&(Arc::clone(topic), partition)) }
    }

    fn wish(&mut self, wish: DirWish) {
        let key = (wish.topic, wish.partition);
        // Whoever wishes for more than can be made is not listened to: a wish is a hint, and memory is not.
        if self.wishes.len() < DIR_WISHES_MAX || self.wishes.contains_key(&key) {
            self.wishes.insert(key, wish.dir);
        }
    }
}

impl<S: Store> Broker<S> {
    /// The directory at a path, which must be written as DescribeLogDirs writes it.
    pub(crate) fn dir_at(&self, path: &str) -> Option<DirId> {
        let at = self.settings.log_dirs.iter().position(|dir| dir.path == path)?;
        u16::try_from(at).ok().map(DirId)
    }

    /// Whether new partitions keep away from a directory (`cordoned.log.dirs`, a list of paths or `*`).
    pub(crate) fn is_cordoned(&self, dir: DirId) -> bool {
        let Some(dir) = self.settings.log_dirs.get(usize::from(dir.0)) else { return false };
        self.settings.is_cordoned(&dir.path)
    }

    /// Asks all shards what they have where, and the system how large the directories are.
    pub(crate) fn gather_dirs(&mut self, origin: Origin, header: &Header, wanted: Wanted) {
        let gather = self.dirs.next;
        self.dirs.next += 1;
        // With ports of their own, each core speaks for itself, and clients ask them all.
        let others = if self.settings.has_core_endpoints() { 0..0 } else { 0..self.shards };
        let others: Vec<_> = others.map(ShardId).filter(|shard| *shard != self.me).collect();
        let waiting = DirGather {
            origin,
            header: header.clone(),
            open: others.len() + 2,
            replicas: Vec::new(),
            volumes: Vec::new(),
        };
        self.dirs.gathers.insert(gather, waiting);
        self.effects.push_back(Effect::MeasureDirs { ticket: gather });
        for to in others {
            self.effects.push_back(Effect::Send { to, msg: Message::DirsAsk { gather, wanted: wanted.clone() } });
        }
        let own = self.replicas_here(&wanted);
        self.dirs_told(gather, own);
    }

    /// What this shard has in the directories.
    pub(crate) fn replicas_here(&self, wanted: &Wanted) -> Vec<Replica> {
        let mut found = Vec::new();
        for (key, partition) in &self.partitions {
            let is_wanted = wanted.as_ref().is_none_or(|topics| {
                topics.get(&*partition.name).is_some_and(|partitions| partitions.contains(&key.index))
            });
            // The metadata log is no replica that a client could move.
            if !is_wanted || *key == crate::partition::METADATA_LOG {
                continue;
            }
            let LogPlace { dir, future } = self.store.place(partition.log);
            let replica = |dir, size_bytes, offset_lag, is_future| Replica {
                topic: Arc::clone(&partition.name),
                partition: key.index,
                dir,
                size_bytes,
                offset_lag,
                is_future,
            };
            found.extend(dir.map(|dir| replica(dir, self.store.size_bytes(partition.log), 0, false)));
            found.extend(future.map(|future| {
                let lag = (partition.offsets.end - future.end).max(0);
                replica(future.dir, future.size_bytes, lag, true)
            }));
        }
        found
    }

    /// A shard has said what it has.
    pub(crate) fn dirs_told(&mut self, gather: u64, replicas: Vec<Replica>) {
        let Some(waiting) = self.dirs.gathers.get_mut(&gather) else { return };
        waiting.replicas.extend(replicas);
        self.dirs_came(gather);
    }

    /// The system has said how large the directories are.
    pub(crate) fn dirs_measured(&mut self, gather: u64, volumes: Vec<Option<Volume>>) {
        let Some(waiting) = self.dirs.gathers.get_mut(&gather) else { return };
        waiting.volumes = volumes;
        self.dirs_came(gather);
    }

    fn dirs_came(&mut self, gather: u64) {
        let Some(waiting) = self.dirs.gathers.get_mut(&gather) else { return };
        waiting.open -= 1;
        if waiting.open == 0
            && let Some(complete) = self.dirs.gathers.remove(&gather)
        {
            api::k35_describe_log_dirs::finish(self, complete);
        }
    }

    /// Remembers where a partition is to be made, on every shard: nobody knows yet which will own it.
    pub(crate) fn spread_wish(&mut self, wish: &DirWish) {
        for to in (0..self.shards).map(ShardId).filter(|shard| *shard != self.me) {
            self.effects.push_back(Effect::Send { to, msg: Message::DirWish(wish.clone()) });
        }
        self.dirs.wish(wish.clone());
    }

    /// Another shard was told where a partition is to be made.
    pub(crate) fn wished(&mut self, wish: DirWish) {
        self.dirs.wish(wish);
    }
}
