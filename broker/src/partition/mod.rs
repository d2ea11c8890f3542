//! One partition on the shard that owns it: log end, high watermark, idempotent producers, and who waits for what.
//!
//! [`accept`] decides whether a record set may be appended, [`append`] does it, [`read`] serves fetches, [`lookup`] finds
//! offsets, [`lifecycle`] follows the metadata image and what storage reports. Which request a part belongs to is `front`'s.

pub mod accept;
pub mod append;
pub(crate) mod lifecycle;
pub(crate) mod lookup;
pub mod producers;
pub(crate) mod read;
pub mod snapshot;

use crate::append_then::Then;
use crate::front::message::{FetchAsk, ProduceAsk, Produced, Ticket};
use crate::store::{LogId, LogOffsets};
use accept::AppendRules;
use producers::Producers;
use protocol::{ErrorCode, Uuid};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Names a partition across re-creations of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionKey {
    /// The topic's id.
    pub topic: Uuid,
    /// The partition's index.
    pub index: i32,
}

/// The metadata log's place among the partitions of shard 0: Kafka's id of `__cluster_metadata`. No image lists it, so no
/// client reaches it.
pub const METADATA_LOG: PartitionKey =
    PartitionKey { topic: Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), index: 0 };

/// An append that is in the log but not durable yet.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    /// The offset past its last record.
    pub(crate) end: i64,
    /// Who waits for it.
    pub(crate) waiter: Waiter,
}

/// Who waits for an append.
#[derive(Clone, Debug)]
pub(crate) enum Waiter {
    /// A part of a Produce request.
    Produce(Ticket, Produced),
    /// This shard's coordinator or controller.
    Then(Then),
}

/// An append that storage had no memory for; it is tried again in this order.
#[derive(Clone, Debug)]
pub(crate) enum Parked<C> {
    /// A part of a Produce request.
    Produce(Ticket, ProduceAsk<C>),
    /// A batch of this shard's coordinator or controller.
    Own(Vec<u8>, Then),
}

/// State of one partition.
#[derive(Debug)]
pub(crate) struct Partition<C> {
    pub(crate) name: Arc<str>,
    pub(crate) log: LogId,
    pub(crate) rules: AppendRules,
    pub(crate) leader_epoch: i32,
    /// Its log could not be read when the broker started: what is in it is unknown, not absent.
    pub(crate) is_offline: bool,
    /// The last read from disk failed.
    pub(crate) refused_by_disk: bool,
    /// `durable` is the high watermark, `end` the log end. Kept here, because storage hears of both from us.
    pub(crate) offsets: LogOffsets,
    pub(crate) producers: Producers,
    /// Ordered by `end`.
    pub(crate) pending: VecDeque<Pending>,
    /// In order of arrival. While there is one, later appends queue behind it.
    pub(crate) parked: VecDeque<Parked<C>>,
    /// Fetches that wait for more, and what they want.
    pub(crate) watches: BTreeMap<Ticket, FetchAsk>,
    pub(crate) snapshots: SnapshotClock,
}

/// When the next producer snapshot is due.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotClock {
    /// Bytes appended by idempotent producers since the last one was taken.
    pub(crate) bytes_since: u64,
    /// The offset that the newest one in storage covers up to.
    pub(crate) kept: Option<i64>,
    /// Taken, but not all of the log that it covers is durable yet.
    pub(crate) taken: Option<(i64, Vec<u8>)>,
}

impl<C> Partition<C> {
    pub(crate) fn new(name: Arc<str>, log: LogId, rules: AppendRules, leader_epoch: i32, offsets: LogOffsets) -> Self {
        Partition {
            name,
            log,
            rules,
            leader_epoch,
            is_offline: false,
            refused_by_disk: false,
            offsets,
            producers: Producers::default(),
            pending: VecDeque::new(),
            parked: VecDeque::new(),
            watches: BTreeMap::new(),
            snapshots: SnapshotClock::default(),
        }
    }

    /// Whether anything can be said of the log's contents.
    pub(crate) fn check_online(&self) -> Result<(), ErrorCode> {
        if self.is_offline { Err(ErrorCode::KafkaStorageError) } else { Ok(()) }
    }

    /// Compares the epoch that a client believes current, -1 for none, with ours (KIP-320). A log that is offline answers
    /// nothing else either.
    pub(crate) fn check_epoch(&self, current_epoch: i32) -> Result<(), ErrorCode> {
        self.check_online()?;
        match current_epoch {
            -1 => Ok(()),
            older if older < self.leader_epoch => Err(ErrorCode::FencedLeaderEpoch),
            newer if newer > self.leader_epoch => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// Adds a waiter where its offset belongs: a repeated batch waits for an offset before the log's end.
    pub(crate) fn wait(&mut self, end: i64, waiter: Waiter) {
        let at = self.pending.partition_point(|pending| pending.end <= end);
        self.pending.insert(at, Pending { end, waiter });
    }
}
