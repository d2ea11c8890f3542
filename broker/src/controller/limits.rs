//! Bounds of the metadata, with the reason for each.

/// Longest topic name: with the partition's number and a deletion suffix it must fit a 255-byte file name. Kafka's too.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Partitions that one request may make: they become one batch of the metadata log. Kafka's bound for the same reason.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// Producer ids reserved at a time, as in Kafka: a restart skips at most so many per shard.
pub const PRODUCER_IDS_PER_BLOCK: i64 = 1_000;

/// Bytes of changes after which the whole metadata is written in one piece: what a start replays at most, unless the metadata
/// itself is larger. Some ten thousand partitions.
pub const SNAPSHOT_EVERY_BYTES: usize = 1 << 20;

/// Bytes of a segment of the metadata log: after a crash the last one is read whole, and that should take milliseconds.
pub const SEGMENT_BYTES: u64 = 16 << 20;

/// Bytes of one configuration value, as in Kafka: what a single request writes down stays small.
pub const CONFIG_VALUE_BYTES_MAX: usize = i16::MAX as usize;

/// Metadata records carry no time: replay must not depend on a clock.
pub(crate) const NO_TIMESTAMP: i64 = -1;

/// Partitions in one answer to DescribeTopicPartitions, whatever the client would take (Kafka's
/// `max.request.partition.size.limit` lowers or raises it).
pub const DESCRIBE_PARTITIONS_DEFAULT: i32 = 2_000;
