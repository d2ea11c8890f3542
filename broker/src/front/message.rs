//! What the brokers of two shards say to each other. Mailboxes keep the order of a pair, which is what keeps pipelined
//! appends to one partition in order.

use super::patience::{Ending, Patience};
use crate::group::{GroupAsk, GroupTell};
use crate::image::MetadataImage;
use crate::io::{ConnId, Origin, ReplyPart, ShardId};
use crate::log_dirs::{DirId, DirWish, Replica, Wanted};
use crate::partition::PartitionKey;
use crate::partition::producers::Active;
use crate::store::Chunk;
use protocol::ErrorCode;
use std::net::SocketAddr;
use std::sync::Arc;

/// Where the answer to one part of a request belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// The shard that gathers.
    pub shard: ShardId,
    /// The gather, a number of that shard's.
    pub gather: u64,
    /// The part's place in the request.
    pub slot: u32,
}

/// A slot of the gather that asks, the partition, and what it is asked.
pub type AskPart<C> = (u32, PartitionKey, Ask<C>);

/// Where an answer belongs, and the answer.
pub type TellPart<C> = (Ticket, Tell<C>);

/// A message between the brokers of two shards.
#[derive(Debug)]
pub enum Message<C: Chunk> {
    /// A whole request for the shard that owns its group, or for the controller's shard.
    Forward {
        /// Where the answer belongs.
        origin: Origin,
        /// The request frame.
        frame: C,
        /// Our address as the client reached it.
        local: SocketAddr,
        /// The client's address.
        peer: SocketAddr,
        /// What the client does while a heartbeat is not answered.
        patience: Patience,
    },
    /// The heartbeat that a connection of the sender waits with is to be answered.
    EndHold {
        /// The connection.
        conn: ConnId,
        /// Why.
        ending: Ending,
    },
    /// The framed answer to a forwarded request.
    Answer {
        /// Whose it is.
        origin: Origin,
        /// The frame, with its length.
        parts: Vec<ReplyPart<C>>,
    },
    /// A forwarded request ends its connection.
    Close {
        /// Whose it is.
        origin: Origin,
        /// For the log.
        reason: String,
    },
    /// Parts of a request, for the shard that owns their partitions.
    Ask {
        /// The gather that wants the answers.
        gather: u64,
        /// What to do where, in the request's order.
        parts: Vec<AskPart<C>>,
    },
    /// Answers to parts.
    Tell {
        /// The answers.
        parts: Vec<TellPart<C>>,
    },
    /// A question for the coordinator of a group.
    GroupAsk {
        /// Where the answer belongs.
        ticket: Ticket,
        /// The question.
        ask: GroupAsk,
    },
    /// A coordinator's answer.
    GroupTell {
        /// Where it belongs.
        ticket: Ticket,
        /// The answer.
        tell: GroupTell,
    },
    /// Which replicas the shard has in the log directories.
    DirsAsk {
        /// A number of the asking shard's.
        gather: u64,
        /// Which partitions are meant.
        wanted: Wanted,
    },
    /// The answer to `DirsAsk`.
    DirsTell {
        /// As in the question.
        gather: u64,
        /// What the shard has.
        replicas: Vec<Replica>,
    },
    /// Where a partition is to be made that does not exist yet.
    DirWish(DirWish),
    /// The fetch that this gather waited with is answered: watch its partitions no longer.
    Unwatch {
        /// The gather.
        gather: u64,
    },
    /// Shard 0 has a newer image of the metadata.
    Image(Arc<MetadataImage>),
    /// A shard has applied an image.
    ImageApplied {
        /// The image's version.
        version: i64,
    },
    /// A topic is needed: shard 0 makes it, if it is not there.
    EnsureTopic {
        /// Its name.
        name: Arc<str>,
    },
    /// A shard has no producer ids left.
    WantProducerIds,
    /// A block of producer ids from `first` on; `None` when none can be had now.
    ProducerIds {
        /// The first id.
        first: Option<i64>,
    },
}

/// What one partition is asked to do.
#[derive(Clone, Debug)]
pub enum Ask<C> {
    /// Append a record set.
    Produce(ProduceAsk<C>),
    /// Read batches, and watch for more if there are too few.
    Fetch(FetchAsk),
    /// Find an offset by time or by name.
    ListOffset(ListAsk),
    /// List where segments begin, for ListOffsets 0.
    ListSegments {
        /// Milliseconds, or one of the sentinels -1 and -2.
        timestamp: i64,
        /// So many at most.
        count_max: usize,
    },
    /// Raise the log's start.
    DeleteRecords {
        /// The new start; -1 is the high watermark.
        offset: i64,
    },
    /// Find where an epoch ended.
    EpochEnd {
        /// The epoch that the client believes current, -1 for none.
        current_epoch: i32,
        /// The epoch asked about.
        epoch: i32,
    },
    /// Say what is remembered of its producers.
    Producers,
    /// Move its replica to this log directory.
    Move(DirId),
}

/// What one partition answers.
#[derive(Clone, Debug)]
pub enum Tell<C> {
    /// To [`Ask::Produce`].
    Produced(Result<Produced, Failure>),
    /// To [`Ask::Fetch`]; comes again while the partition is watched.
    Fetched(Fetched<C>),
    /// To [`Ask::ListOffset`].
    Listed(Result<Listed, ErrorCode>),
    /// To [`Ask::ListSegments`]: offsets, newest first.
    Segments(Result<Vec<i64>, ErrorCode>),
    /// To [`Ask::DeleteRecords`]: the log's start.
    Deleted(Result<i64, ErrorCode>),
    /// To [`Ask::EpochEnd`]: the epoch and its exclusive end, both -1 where unknown.
    EpochEnded(Result<(i32, i64), ErrorCode>),
    /// To [`Ask::Producers`].
    Producers(Result<Vec<Active>, ErrorCode>),
    /// To [`Ask::Move`]: it has begun.
    Moving(Result<(), ErrorCode>),
}

/// One record set to append.
#[derive(Clone, Debug)]
pub struct ProduceAsk<C> {
    /// The record set, shared with the request's frame.
    pub records: C,
    /// Answer once durable; otherwise once appended (acks=0).
    pub durable: bool,
    /// Whether zstd is allowed: from Produce 7 on.
    pub zstd_allowed: bool,
    /// Whether the records may be a message set: up to Produce 2. They are made a batch before anything else.
    pub message_set: bool,
}

/// An append that succeeded, now or earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produced {
    /// Offset of the first record.
    pub base_offset: i64,
    /// The broker's time where the topic uses it, else -1.
    pub append_time_ms: i64,
    /// First offset of the log.
    pub log_start: i64,
}

/// An append that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Kafka's code.
    pub code: ErrorCode,
    /// What was wrong, for a person.
    pub message: Option<String>,
    /// The record that was wrong, if it was one.
    pub record: Option<i32>,
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Failure { code, message: None, record: None }
    }
}

/// One partition of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchAsk {
    /// First offset wanted.
    pub offset: i64,
    /// Most bytes wanted of this partition.
    pub bytes_max: usize,
    /// Bytes that the whole answer may still take, the same in every part of one message.
    pub budget: usize,
    /// The epoch that the client believes current, -1 for none.
    pub current_epoch: i32,
    /// The epoch of the last record that the client has, -1 for none.
    pub last_epoch: i32,
    /// Fewer bytes than this, over the parts of one message, and the partitions are watched: told again when more becomes
    /// readable. 0 never watches.
    pub bytes_min: usize,
    /// Whether the first batch comes whole even where other partitions of the answer have some: before Fetch 3, which has no
    /// limit for all of them.
    pub first_of_each: bool,
}

/// What a partition had to read.
#[derive(Clone, Debug)]
pub struct Fetched<C> {
    /// NONE, or why there is nothing.
    pub code: ErrorCode,
    /// Exclusive end of what may be read, -1 with an error.
    pub high_watermark: i64,
    /// First offset of the log, -1 with an error.
    pub log_start: i64,
    /// The client's last epoch ended here: it has records that this log has not.
    pub diverging: Option<(i32, i64)>,
    /// Whole batches.
    pub pieces: Vec<C>,
}

impl<C: Chunk> Fetched<C> {
    /// No records, for this reason.
    pub fn failed(code: ErrorCode) -> Self {
        Fetched { code, high_watermark: -1, log_start: -1, diverging: None, pieces: Vec::new() }
    }

    /// Bytes of all pieces.
    pub fn size_bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }
}

/// One partition of a ListOffsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListAsk {
    /// Milliseconds, or one of Kafka's negative sentinels.
    pub timestamp: i64,
    /// The epoch that the client believes current, -1 for none.
    pub current_epoch: i32,
}

/// An offset that was found; all -1 when there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The record's timestamp, -1 where a sentinel asked.
    pub timestamp: i64,
    /// The offset.
    pub offset: i64,
    /// The epoch of the record there.
    pub epoch: i32,
}

impl Listed {
    /// Nothing matches.
    pub const NONE: Listed = Listed { timestamp: -1, offset: -1, epoch: -1 };
}
