//! What a log is told: its name, its topic's settings, and the shard's bounds.

use std::path::{Path, PathBuf};

/// One log of a [`LogSet`](super::LogSet). Never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(pub u32);

/// Where a log lies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogName {
    /// `<data>/<topic>-<partition>`.
    pub dir: PathBuf,
}

impl LogName {
    /// The data folder that holds the log.
    pub fn data_dir(&self) -> &Path {
        self.dir.parent().unwrap_or(Path::new("."))
    }
}

/// When an append counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The device has it.
    Fsync,
    /// The write completed; a flush follows within this many milliseconds.
    Interval {
        /// Longest time between a write and its flush, in milliseconds.
        ms: u64,
    },
    /// The write completed: survives kill -9, not a power cut.
    None,
}

/// The settings of a topic that its logs act on. Names and meaning are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment is rolled before it would grow past this many bytes; at most 2^31 - 1.
    pub segment_bytes: u64,
    /// A segment is rolled when an append is this much younger than its first batch, in milliseconds.
    pub segment_ms: i64,
    /// Upper bound of the random part taken off `segment_ms`, in milliseconds.
    pub segment_jitter_ms: i64,
    /// Segments whose newest record is older are deleted, in milliseconds; -1 keeps them.
    pub retention_ms: i64,
    /// The oldest segments are deleted while the log is larger than this many bytes; -1 keeps them.
    pub retention_bytes: i64,
    /// Whether retention deletes at all (`cleanup.policy` contains `delete`). DeleteRecords works either way.
    pub delete_policy: bool,
    /// Whether of all records with one key only the newest is kept (`cleanup.policy` contains `compact`).
    pub compact_policy: bool,
    /// How long a tombstone stays after the pass that first met it (`delete.retention.ms`), in milliseconds.
    pub delete_retention_ms: i64,
    /// Segments whose newest record is younger are not compacted yet, in milliseconds.
    pub min_compaction_lag_ms: i64,
    /// A log with a segment that waits longer for its first pass is compacted whatever the ratio says, in milliseconds.
    pub max_compaction_lag_ms: i64,
    /// A log is compacted once so much of it was never (`min.cleanable.dirty.ratio`), in millionths.
    pub min_cleanable_ppm: u32,
    /// Bytes between two index entries.
    pub index_interval_bytes: u32,
    /// A segment is rolled when one of Kafka's index files would be full with so many bytes (`segment.index.bytes`).
    pub segment_index_bytes: u32,
    /// When an append counts as durable.
    pub durability: Durability,
    /// Delay between taking a file out of service and removing it, in milliseconds.
    pub file_delete_delay_ms: u64,
    /// Reserve a whole segment at once (`preallocate`), when its first batch comes, instead of growing by rate. What is left
    /// is given back when it is sealed.
    pub preallocate: bool,
}

impl Default for LogConfig {
    /// Kafka 4.3's topic defaults, with our durability.
    fn default() -> LogConfig {
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_jitter_ms: 0,
            retention_ms: 7 * 24 * 3_600_000,
            retention_bytes: -1,
            delete_policy: true,
            compact_policy: false,
            delete_retention_ms: 24 * 3_600_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_ppm: 500_000,
            index_interval_bytes: 4096,
            segment_index_bytes: 10 << 20,
            durability: Durability::Fsync,
            file_delete_delay_ms: 60_000,
            preallocate: false,
        }
    }
}

impl LogConfig {
    /// For a log whose settings are not known yet: nothing is deleted until they are.
    pub fn unknown() -> LogConfig {
        LogConfig { delete_policy: false, ..LogConfig::default() }
    }
}

/// Bounds of all logs of one shard.
#[derive(Clone, Debug)]
pub struct LogLimits {
    /// Memory of recent batches, in bytes; what is not yet written may exceed it.
    pub tail_cache_bytes: usize,
    /// Appended and not yet written, in bytes, before appends are refused as busy.
    pub unwritten_bytes_max: usize,
    /// Most bytes of one write.
    pub write_bytes_max: usize,
    /// Writes in flight a log.
    pub writes_in_flight_max: usize,
    /// Files kept open for reading.
    pub read_files_max: usize,
    /// A file and tail memory unused for this long are given back, in milliseconds.
    pub idle_ms: u64,
    /// Between two looks at retention (`log.retention.check.interval.ms`).
    pub retention_check_ms: u64,
    /// Between two durable-offset checkpoints while something changes, in milliseconds.
    pub checkpoint_ms: u64,
    /// Zero-written spares kept a data folder; 0 makes none.
    pub spares_max: usize,
    /// A log that writes fewer bytes a second gets no spare.
    pub spare_rate_min: u64,
    /// Bytes of the journal that a shard makes in a data folder once many small flushes are asked for there; 0 makes none.
    pub journal_bytes: u64,
    /// So many small flushes in a second make it worth having.
    pub journal_flushes_min: u32,
    /// Flush what somebody waits for as part of its write, instead of all that was written together afterwards.
    pub synced_writes: bool,
    /// Reads for consumers that lag behind memory, in flight: producers' writes queue behind no more than these.
    pub catch_up_ops: usize,
    /// Background ops in flight: spares, indexes, snapshots, checkpoints.
    pub background_ops: usize,
    /// No segment grows past this many bytes, whatever its topic allows.
    pub segment_bytes_max: u64,
    /// Between the beginnings of two passes in which everything that is stored is read again and verified
    /// (`log.scrub.interval.ms`); 0 never does.
    pub scrub_interval_ms: u64,
    /// How fast that may be, in bytes a second.
    pub scrub_bytes_per_s: u64,
    /// How fast logs are copied that are moved to another data folder, all together, in bytes a second.
    pub relocate_bytes_per_s: u64,
    /// Between two looks for a log to compact (`log.cleaner.backoff.ms`); `None` compacts none (`log.cleaner.enable`).
    pub clean_backoff_ms: Option<u64>,
    /// Memory for the keys of one pass, in bytes (a shard's share of `log.cleaner.dedupe.buffer.size`).
    pub clean_keys_bytes: usize,
    /// Bytes a second that passes may read and write together (`log.cleaner.io.max.bytes.per.second`).
    pub clean_bytes_per_s: u64,
}

impl LogLimits {
    /// Bytes of a journal within these bounds, a whole number of blocks a region; none where it would be too small. What it
    /// holds is not written to segments yet, so it takes at most half of what may be unwritten.
    pub(super) fn journal(&self) -> Option<u64> {
        let unit = super::limits::JOURNAL_REGIONS as u64 * super::limits::BLOCK_BYTES;
        let bytes = self.journal_bytes.min(self.unwritten_bytes_max as u64 / 2) / unit * unit;
        (bytes >= super::limits::JOURNAL_BYTES_MIN).then_some(bytes)
    }

    /// A topic's settings within these bounds.
    pub(super) fn bound(&self, config: LogConfig) -> LogConfig {
        LogConfig { segment_bytes: config.segment_bytes.min(self.segment_bytes_max), ..config }
    }
}

impl Default for LogLimits {
    fn default() -> LogLimits {
        LogLimits {
            tail_cache_bytes: 64 << 20,
            unwritten_bytes_max: 64 << 20,
            write_bytes_max: 4 << 20,
            writes_in_flight_max: 4,
            read_files_max: 256,
            idle_ms: 10_000,
            retention_check_ms: 300_000,
            checkpoint_ms: 5_000,
            spares_max: 2,
            spare_rate_min: 8 << 20,
            journal_bytes: 64 << 20,
            journal_flushes_min: 200,
            synced_writes: true,
            catch_up_ops: 2,
            background_ops: 2,
            segment_bytes_max: super::limits::SEGMENT_BYTES_MAX,
            scrub_interval_ms: 7 * 24 * 3_600_000,
            scrub_bytes_per_s: 16 << 20,
            relocate_bytes_per_s: u64::MAX,
            clean_backoff_ms: Some(15_000),
            clean_keys_bytes: 128 << 20,
            clean_bytes_per_s: u64::MAX,
        }
    }
}
