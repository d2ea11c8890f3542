//! What may happen next, drawn from the seed.

use engine::io::sim::Rng;
use engine::log::{LogConfig, LogLimits};

/// One thing that is done to the shard. Which log it is about is drawn when it is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Create,
    Append { batches: u64 },
    Read,
    FindTime,
    Cut,
    AdvanceStart,
    Snapshot,
    Delete,
    Wait { ms: u64 },
    Stop { then_power_fails: bool },
    Kill,
    PowerFails,
}

impl Step {
    /// The next step; appends are the most frequent, ends of a life happen about every fortieth step.
    pub(crate) fn choose(rng: &mut Rng) -> Step {
        match rng.below(1000) {
            0..500 => Step::Append { batches: 1 + rng.below(6) },
            500..700 => Step::Read,
            700..750 => Step::FindTime,
            750..790 => Step::Cut,
            790..830 => Step::AdvanceStart,
            830..870 => Step::Snapshot,
            870..890 => Step::Create,
            890..897 => Step::Delete,
            897..960 => Step::Wait { ms: 1 + rng.below(300) },
            960..970 => Step::Wait { ms: 1 + rng.below(120_000) },
            970..978 => Step::Stop { then_power_fails: rng.coin() },
            978..984 => Step::Kill,
            _ => Step::PowerFails,
        }
    }
}

/// Settings of a log that make much happen with little data.
pub(crate) fn log_config(rng: &mut Rng) -> LogConfig {
    let pick = |rng: &mut Rng, values: &[i64]| values[rng.below(values.len() as u64) as usize];
    LogConfig {
        segment_bytes: pick(rng, &[4 << 10, 16 << 10, 64 << 10]) as u64,
        segment_ms: pick(rng, &[1_000, 60_000, i64::MAX]),
        retention_bytes: pick(rng, &[-1, -1, 30 << 10, 100 << 10]),
        retention_ms: pick(rng, &[-1, -1, 5_000, 600_000]),
        index_interval_bytes: pick(rng, &[512, 4096]) as u32,
        file_delete_delay_ms: pick(rng, &[0, 100, 60_000]) as u64,
        preallocate: rng.below(4) == 0,
        segment_index_bytes: pick(rng, &[24, 120, 10 << 20]) as u32,
        ..LogConfig::default()
    }
}

/// Bounds of the shard, tight ones among them.
pub(crate) fn log_limits(rng: &mut Rng) -> LogLimits {
    let pick = |rng: &mut Rng, values: &[u64]| values[rng.below(values.len() as u64) as usize];
    LogLimits {
        tail_cache_bytes: pick(rng, &[16 << 10, 64 << 10, 64 << 20]) as usize,
        write_bytes_max: pick(rng, &[8 << 10, 4 << 20]) as usize,
        writes_in_flight_max: pick(rng, &[1, 4]) as usize,
        read_files_max: pick(rng, &[2, 256]) as usize,
        idle_ms: pick(rng, &[50, 10_000]),
        retention_check_ms: pick(rng, &[2, 50, 300_000]),
        checkpoint_ms: pick(rng, &[1, 5, 5_000]),
        spares_max: pick(rng, &[0, 2]) as usize,
        spare_rate_min: pick(rng, &[0, 8 << 20]),
        scrub_interval_ms: pick(rng, &[0, 200, 5_000]),
        synced_writes: rng.coin(),
        journal_flushes_min: pick(rng, &[1, 10, 200]) as u32,
        journal_bytes: pick(rng, &[0, 128 << 10, 128 << 10, 1 << 20]),
        ..LogLimits::default()
    }
}
