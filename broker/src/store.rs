//! What the broker needs of storage: a small synchronous trait without I/O. The `node` crate implements it over the
//! engine's logs; tests implement it over vectors. What became durable comes back later as a [`StoreEvent`].

use crate::config::CleanerSettings;
use crate::log_dirs::DirId;
use std::ops::{Deref, Range};

/// A shared, immutable run of bytes: a frame as received, or a piece of a log. Cloning is a reference count.
pub trait Chunk: Clone + Deref<Target = [u8]> + Send + std::fmt::Debug + 'static {
    /// A part of these bytes that shares their memory.
    fn slice(&self, range: Range<usize>) -> Self;
    /// Owned bytes as a chunk, without copying where that is possible.
    fn from_vec(bytes: Vec<u8>) -> Self;
}

/// One open log of this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(pub u32);

/// When an append counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The device has it.
    Fsync,
    /// The write completed; a flush follows within this many milliseconds.
    Interval {
        /// Longest time between write and flush, in milliseconds.
        ms: u64,
    },
    /// The write completed: survives kill -9, not a power cut.
    None,
}

/// The settings of a log that storage acts on; the rest of a topic's configuration stays with the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// A segment is rolled before it would grow past this many bytes.
    pub segment_bytes: u64,
    /// A segment is rolled once its first record is this old, in milliseconds.
    pub segment_ms: i64,
    /// Upper bound of the random part taken off `segment_ms`, in milliseconds.
    pub segment_jitter_ms: i64,
    /// Segments whose newest record is older are deleted; -1 keeps them.
    pub retention_ms: i64,
    /// The oldest segments are deleted while the log is larger; -1 keeps them.
    pub retention_bytes: i64,
    /// Whether retention deletes at all (`cleanup.policy` contains `delete`).
    pub delete_policy: bool,
    /// Whether of all records with one key only the newest is kept (`cleanup.policy` contains `compact`).
    pub compact_policy: bool,
    /// How long a tombstone stays after the pass that first met it, in milliseconds.
    pub delete_retention_ms: i64,
    /// What is younger is not compacted yet, in milliseconds.
    pub min_compaction_lag_ms: i64,
    /// What waits longer for its first pass is compacted whatever the ratio says, in milliseconds.
    pub max_compaction_lag_ms: i64,
    /// The part of a log that compaction has never seen and that makes a pass worth it, in millionths.
    pub min_cleanable_ppm: u32,
    /// Bytes between two index entries.
    pub index_interval_bytes: u32,
    /// A segment is rolled when one of Kafka's index files would be full with so many bytes.
    pub segment_index_bytes: u32,
    /// A segment has all of its space from its first batch on.
    pub preallocate: bool,
    /// Delay between taking a file out of service and removing it, in milliseconds.
    pub file_delete_delay_ms: u64,
    /// When an append counts as durable.
    pub durability: Durability,
}

/// A log to be made.
#[derive(Clone, Debug)]
pub struct LogSpec {
    /// Topic name; with the partition it names the folder.
    pub topic: String,
    /// Topic id; ties files to this incarnation of the topic.
    pub topic_id: [u8; 16],
    /// Partition index.
    pub partition: i32,
    /// Its settings.
    pub settings: LogSettings,
    /// Where its files go.
    pub home: Home,
}

/// Where a new log goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Home {
    /// The directory that storage finds best.
    #[default]
    Any,
    /// This one, if it takes new logs.
    Dir(DirId),
    /// Nowhere: it may lie in a directory that cannot be read, so nothing may take its place. It takes no appends.
    Offline,
}

/// Where a log lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogPlace {
    /// Its directory; none where that cannot be said.
    pub dir: Option<DirId>,
    /// Where it is on its way to.
    pub future: Option<Future>,
}

/// The copy of a log that is being moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Future {
    /// Its directory.
    pub dir: DirId,
    /// Bytes of batches that it has.
    pub size_bytes: u64,
    /// Exclusive end of its offsets.
    pub end: i64,
}

/// One validated record batch to be stored. The log copies it once and patches base offset and leader epoch in the copy.
#[derive(Clone, Copy, Debug)]
pub struct Append<'a> {
    /// Exactly one v2 batch.
    pub bytes: &'a [u8],
    /// Offset of its first record; must be the log's end.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Epoch written into the batch.
    pub leader_epoch: i32,
    /// Largest timestamp in the batch, in milliseconds.
    pub max_timestamp: i64,
}

/// What [`Append`] says of a batch besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct BatchFacts {
    /// Offset of its first record; must be the log's end.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Epoch written into the batch.
    pub leader_epoch: i32,
    /// Largest timestamp in the batch, in milliseconds.
    pub max_timestamp: i64,
}

impl BatchFacts {
    /// With the bytes.
    pub fn with(self, bytes: &[u8]) -> Append<'_> {
        let BatchFacts { base_offset, last_offset, leader_epoch, max_timestamp } = self;
        Append { bytes, base_offset, last_offset, leader_epoch, max_timestamp }
    }
}

/// Why an append was refused; nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendRefused {
    /// An earlier write or flush failed; the log takes nothing until a restart has verified it.
    #[error("the log was fenced after an I/O error")]
    Fenced,
    /// The disk has no room; appends work again once it has.
    #[error("the disk is full")]
    Full,
    /// The shard's memory budget is spent; try again after a turn.
    #[error("the memory budget is spent")]
    Busy,
}

/// Why a log is not moved: it is out of service, or its new directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log or its new directory is out of service")]
pub struct MoveRefused;

/// Where a log stands. Offsets are Kafka's: the next offset to be written is `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOffsets {
    /// First offset that can be read.
    pub start: i64,
    /// Everything below is durable by the topic's durability.
    pub durable: i64,
    /// Next offset to be written.
    pub end: i64,
}

/// The answer to a read from memory.
#[derive(Clone, Debug)]
pub enum StoreRead<C> {
    /// Whole batches, the first one containing the wanted offset.
    Bytes(Vec<C>),
    /// Not in memory: ask with [`Effect::ReadDisk`](crate::Effect::ReadDisk).
    Disk,
    /// Nothing at or past the wanted offset below the limit.
    End,
    /// Below the log's start or above its end.
    OutOfRange,
}

/// What to read. All bounds are honoured at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRange {
    /// Offset that the first returned batch contains.
    pub from: i64,
    /// Exclusive end: no batch at or past it is returned.
    pub upto: i64,
    /// Most bytes to return.
    pub max_bytes: usize,
    /// Return the first batch whole even when it is larger than `max_bytes`.
    pub at_least_one: bool,
}

/// Something that storage found out by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// Every offset below `upto` is durable.
    Durable {
        /// Which log.
        log: LogId,
        /// Exclusive end of what is durable.
        upto: i64,
    },
    /// An I/O error ended this log's service; waiting appends fail with KAFKA_STORAGE_ERROR.
    Fenced {
        /// Which log.
        log: LogId,
    },
    /// The disk was full: everything from `from` on was dropped before it was acknowledged.
    Rejected {
        /// Which log.
        log: LogId,
        /// First offset that is gone; the log's new end.
        from: i64,
    },
    /// Retention or DeleteRecords moved the first readable offset.
    StartMoved {
        /// Which log.
        log: LogId,
        /// The new first offset.
        start: i64,
    },
    /// A segment was sealed: a good moment for a producer snapshot.
    Sealed {
        /// Which log.
        log: LogId,
    },
    /// A log is due for compaction; [`Store::compact`] begins it.
    Uncompacted {
        /// Which log.
        log: LogId,
    },
}

/// Storage of one shard.
pub trait Store {
    /// Its shared bytes.
    type Chunk: Chunk;

    /// Makes an empty log. Folder and file appear with the first write.
    fn create(&mut self, spec: &LogSpec) -> LogId;
    /// Changes settings from now on.
    fn configure(&mut self, log: LogId, settings: &LogSettings);
    /// Takes the log out of service and removes its files later.
    fn delete(&mut self, log: LogId);
    /// Appends one batch in memory; [`StoreEvent::Durable`] follows.
    fn append(&mut self, log: LogId, batch: Append<'_>) -> Result<(), AppendRefused>;
    /// As [`Store::append`], for a batch that is all of `records`. Storage may take the bytes over where they lie, and then
    /// leaves `records` empty; where it refuses, they are as before.
    fn append_chunk(&mut self, log: LogId, records: &mut Self::Chunk, facts: BatchFacts) -> Result<(), AppendRefused> {
        self.append(log, facts.with(records))
    }
    /// Reads what is in memory.
    fn read(&mut self, log: LogId, range: ReadRange) -> StoreRead<Self::Chunk>;
    /// Where the log stands.
    fn offsets(&self, log: LogId) -> LogOffsets;
    /// Raises the first readable offset (DeleteRecords). Never lowers it.
    fn advance_start(&mut self, log: LogId, to: i64);
    /// The largest epoch not above `epoch`, and the first offset past it. `None` when nothing that old is known.
    fn end_of_epoch(&self, log: LogId, epoch: i32) -> Option<(i32, i64)>;
    /// The largest timestamp in the log and the offset of the batch that holds it.
    fn max_timestamp(&self, log: LogId) -> Option<(i64, i64)>;
    /// Bytes on disk of the log.
    fn size_bytes(&self, log: LogId) -> u64;
    /// Base offset and largest timestamp, in milliseconds, of each segment, oldest first.
    fn segments(&self, log: LogId) -> Vec<(i64, i64)>;
    /// A batch or message set that was rebuilt for an old client, as a chunk; it counts until nobody holds it any more.
    fn hold_rebuilt(&mut self, bytes: Vec<u8>) -> Self::Chunk;
    /// What was rebuilt and somebody still holds, in bytes.
    fn rebuilt_bytes(&self) -> usize;
    /// Where the log lies, and where it is being moved to.
    fn place(&self, log: LogId) -> LogPlace;
    /// Moves the log's files to another directory, in the background; appends and reads go on. A move that is under way to
    /// another directory is given up; to move a log to where it lies only does that.
    fn move_log(&mut self, log: LogId, to: DirId) -> Result<(), MoveRefused>;
    /// Compacts the log below `upto` in the background, the answer to [`StoreEvent::Uncompacted`]. The batches whose last
    /// offsets are `last_batches` stay even without records.
    fn compact(&mut self, log: LogId, upto: i64, last_batches: Vec<i64>);
    /// Compacts as `settings` say from now on, and as at its start where they say nothing.
    fn set_cleaner(&mut self, settings: &CleanerSettings);
    /// Keeps the owner's opaque state as of offset `upto`; recovery hands the newest usable one back.
    fn put_snapshot(&mut self, log: LogId, upto: i64, state: Vec<u8>);
}
