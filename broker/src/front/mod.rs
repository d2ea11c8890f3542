//! The front of a shard: takes requests off its connections, sends each part to the shard that owns it, gathers, answers.

use crate::store::Chunk;

/// A message between the brokers of two shards.
#[derive(Debug)]
pub enum Message<C: Chunk> {
    /// A whole request for the shard that owns its group, or for the controller's shard.
    Forward {
        /// Where the answer belongs.
        origin: crate::io::Origin,
        /// The request frame.
        frame: C,
    },
}
