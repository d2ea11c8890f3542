//! How the memory of the process is shared out: what a shard may hold in sockets and logs.

use engine::log::LogLimits;

/// Part of the memory that buffers may take in all; the rest is for indexes, state and the page cache.
const BUFFERS_DIVISOR: u64 = 2;

/// A shard gets no less than this, in bytes: one request of the largest default size must fit.
const SHARD_MIN: u64 = 32 << 20;

/// A shard gets no more than this, in bytes: memory beyond serves better as page cache.
const SHARD_MAX: u64 = 1 << 30;

/// Bytes for one shard's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardBudget {
    /// Received and unsent, in bytes.
    pub network_bytes: usize,
    /// Read from disk and held by anybody, in bytes.
    pub cold_bytes: usize,
    /// Recent batches of all its logs, in bytes.
    pub tail_bytes: usize,
    /// Appended and not yet written, in bytes.
    pub unwritten_bytes: usize,
}

impl ShardBudget {
    /// An equal share of `memory_bytes` for one of `shards`.
    pub fn share(memory_bytes: u64, shards: usize) -> ShardBudget {
        let whole = (memory_bytes / BUFFERS_DIVISOR / shards as u64).clamp(SHARD_MIN, SHARD_MAX) as usize;
        ShardBudget {
            network_bytes: whole / 8 * 3,
            cold_bytes: whole / 8,
            tail_bytes: whole / 4,
            unwritten_bytes: whole / 4,
        }
    }

    /// The bounds of the shard's logs.
    pub fn log_limits(self, retention_check_ms: u64) -> LogLimits {
        LogLimits {
            tail_cache_bytes: self.tail_bytes,
            unwritten_bytes_max: self.unwritten_bytes,
            retention_check_ms,
            ..LogLimits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_bounded_on_both_sides() {
        for (memory, shards, network) in
            [(64 << 20, 1, 12 << 20), (2 << 30, 2, 192 << 20), (1 << 40, 2, 384 << 20), (1 << 30, 64, 12 << 20)]
        {
            let share = ShardBudget::share(memory, shards);
            assert_eq!((share.network_bytes, share.cold_bytes), (network, network / 3), "{memory} for {shards}");
        }
    }
}
