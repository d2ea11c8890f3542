//! One partition on the shard that owns it: log end, high watermark, idempotent producers, and who waits for what.

pub mod producers;
pub mod snapshot;

use protocol::Uuid;

/// Names a partition across renames and re-creations of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionKey {
    /// The topic's id.
    pub topic: Uuid,
    /// The partition's index.
    pub index: i32,
}
