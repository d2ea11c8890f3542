//! How the memory and the descriptors of the process are shared out: what a shard may hold in sockets and logs, and how many
//! connections leave enough for files.

use broker::config::CleanerSettings;
use engine::log::{CompactionPace, LogLimits};

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
    /// Rebuilt for clients before 0.11 and held by anybody, in bytes. On top of the share: hardly anybody has such clients, and
    /// what is not used costs nothing.
    pub legacy_bytes: usize,
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
            legacy_bytes: whole / 4,
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

/// Part of the descriptors that connections leave for the logs' files: a log that cannot open its next file stops taking
/// records, which no crowd of connections may bring about.
const FILES_DIVISOR: usize = 4;

/// Part of the connections that one address leaves for others, where nobody chose a limit.
const OTHERS_DIVISOR: usize = 10;

/// How many connections a process takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionBudget {
    /// In all.
    pub max: usize,
    /// From one address.
    pub per_ip_max: usize,
}

impl ConnectionBudget {
    /// What the operator chose, as far as the process may have so many `descriptors`.
    pub fn share(descriptors: usize, chosen_max: usize, chosen_per_ip: Option<usize>) -> ConnectionBudget {
        let max = chosen_max.min(descriptors - descriptors / FILES_DIVISOR);
        ConnectionBudget { max, per_ip_max: chosen_per_ip.unwrap_or(max - max / OTHERS_DIVISOR) }
    }
}

/// One shard's share of what the operator allows compactions.
#[derive(Clone, Copy, Debug)]
pub struct CleanerShare {
    shards: u64,
    /// No shard's keys take more than its tails may hold, whatever is allowed.
    keys_bytes_max: usize,
}

impl CleanerShare {
    /// Of one of `shards` whose tails may hold `tail_bytes`.
    pub fn new(shards: usize, tail_bytes: usize) -> CleanerShare {
        CleanerShare { shards: shards as u64, keys_bytes_max: tail_bytes.max(SHARD_MIN as usize) }
    }

    /// The share of what somebody set.
    pub fn pace(self, settings: &CleanerSettings) -> CompactionPace {
        CompactionPace {
            backoff_ms: settings.backoff_ms,
            keys_bytes: settings.keys_bytes.map(|all| self.keys_bytes(all)),
            bytes_per_s: settings.bytes_per_s.map(|all| self.bytes_per_s(all)),
        }
    }

    /// Memory for the keys of a compaction, of so much for all shards.
    pub fn keys_bytes(self, all: u64) -> usize {
        usize::try_from(all / self.shards).unwrap_or(usize::MAX).min(self.keys_bytes_max)
    }

    /// Bytes a second, of so many for all shards.
    pub fn bytes_per_s(self, all: u64) -> u64 {
        (all / self.shards).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_files_and_each_other() {
        for (descriptors, chosen, per_ip, max, per_ip_max) in [
            (20_000, usize::MAX, None, 15_000, 13_500),
            (20_000, 100, None, 100, 90),
            (20_000, 100, Some(usize::MAX), 100, usize::MAX),
            (1024, 10_000, Some(5), 768, 5),
            (usize::MAX, 1, None, 1, 1),
        ] {
            let share = ConnectionBudget::share(descriptors, chosen, per_ip);
            assert_eq!(share, ConnectionBudget { max, per_ip_max }, "{descriptors} {chosen} {per_ip:?}");
        }
    }

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
