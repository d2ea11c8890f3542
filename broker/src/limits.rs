//! Every bound of this crate, beside the reason that it is enough.

/// Batches remembered per idempotent producer and partition: a producer keeps at most five in flight (Kafka's
/// `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`).
pub const PRODUCER_BATCHES_MAX: usize = 5;

/// Producers remembered per partition; beyond it the one that was silent longest is forgotten. About 25 MB at worst.
pub const PRODUCERS_PER_PARTITION_MAX: usize = 100_000;

/// Bytes appended to a partition with idempotent producers between two producer snapshots: what recovery reads at most.
pub const SNAPSHOT_INTERVAL_BYTES: u64 = 16 << 20;

/// Bytes of one step of replaying an internal log.
pub const REPLAY_STEP_BYTES: usize = 1 << 20;

/// Milliseconds after which a parked append is tried again, when no durable event came before.
pub const PARKED_RETRY_MS: u64 = 2;

/// Least time that a produce waits for the disk, in milliseconds, whatever its timeout says: in Kafka an append with one replica
/// waits for nothing, so that clients get away with a timeout shorter than a flush.
pub const PRODUCE_WAIT_MIN_MS: u64 = 5_000;

/// Milliseconds between two looks for expired producers (Kafka's `producer.id.expiration.check.interval.ms`).
pub const PRODUCER_CHECK_INTERVAL_MS: u64 = 600_000;

/// A fetch session that was not used, or that has lived, for this long may be evicted (Kafka's `FetchSession` eviction).
pub const SESSION_EVICTION_MS: u64 = 120_000;

/// Longest client software name or version that is looked at; longer ones fail ApiVersions.
pub const CLIENT_SOFTWARE_BYTES_MAX: usize = 1024;

/// Byte limit of a read that wants exactly one batch: the first one comes whole, whatever its size.
pub const LOOKUP_BYTES: usize = 1;

/// A record set of at most so many bytes is copied when it has to wait for storage; larger ones fill their memory themselves.
pub const SPARSE_BYTES_MAX: usize = 4 << 10;

const _: () = assert!(PRODUCER_BATCHES_MAX < u8::MAX as usize, "a snapshot counts a producer's batches in a byte");
const _: () = assert!(PRODUCERS_PER_PARTITION_MAX < u32::MAX as usize, "a snapshot counts producers in 32 bits");

/// Partitions that do not exist yet and of which a shard remembers in which log directory they are to be made.
pub const DIR_WISHES_MAX: usize = 10_000;
