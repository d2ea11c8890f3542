//! Whether a log is worth a pass, how far that may reach, and which segments become one: pure decisions over what is known of
//! its segments (Kafka's `LogCleanerManager` and `Cleaner.groupSegmentsBySize`).

use crate::log::config::LogConfig;
use crate::log::limits::SEGMENT_BYTES_MAX;
use crate::time::Wall;
use std::ops::Range;

/// What compaction looks at, a segment.
#[derive(Clone, Copy, Debug)]
pub(in crate::log) struct Candidate {
    pub(in crate::log) base: i64,
    /// Exclusive end.
    pub(in crate::log) end: i64,
    pub(in crate::log) bytes: u64,
    /// Timestamp of its first batch, in milliseconds, or when it was begun.
    pub(in crate::log) first_timestamp: i64,
    /// Largest timestamp, in milliseconds, or when it was begun.
    pub(in crate::log) max_timestamp: i64,
    /// Complete, flushed and indexed; without known damage. The active segment never is.
    pub(in crate::log) is_sealed: bool,
}

/// What a pass over a log would be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::log) struct Dirty {
    /// What has never been cleaned begins here.
    pub(in crate::log) from: i64,
    /// What may be cleaned ends here: a border of segments.
    pub(in crate::log) upto: i64,
    /// Segments from the oldest that lie below `upto`.
    pub(in crate::log) segments: usize,
    /// Bytes that were never cleaned, as a part of all below `upto`.
    pub(in crate::log) ratio: f64,
    /// Something waits longer than `max.compaction.lag.ms` allows.
    pub(in crate::log) is_late: bool,
}

impl Dirty {
    /// True when a pass is worth it or has to be.
    pub(in crate::log) fn is_due(&self, config: &LogConfig) -> bool {
        self.is_late || self.ratio * 1e6 > f64::from(config.min_cleanable_ppm)
    }
}

/// Looks at a log of these segments, oldest first, which is durable below `durable` and was cleaned below `first_dirty`.
/// `None` when nothing of it may be cleaned.
pub(in crate::log) fn look(
    segments: &[Candidate],
    start: i64,
    first_dirty: i64,
    durable: i64,
    wall: Wall,
    config: &LogConfig,
) -> Option<Dirty> {
    let young_from = wall.0.saturating_sub(config.min_compaction_lag_ms);
    let is_old = |segment: &Candidate| config.min_compaction_lag_ms == 0 || segment.max_timestamp <= young_from;
    let may = |segment: &&Candidate| segment.is_sealed && segment.end <= durable && is_old(segment);
    let count = segments.iter().take_while(may).count().min(segments.len().saturating_sub(1));
    let upto = segments.get(count)?.base;
    let from = first_dirty.max(start).max(segments.first()?.base);
    let (mut clean_bytes, mut dirty_bytes, mut oldest) = (0_u64, 0_u64, i64::MAX);
    for segment in &segments[..count] {
        if segment.end > from {
            dirty_bytes += segment.bytes;
            oldest = oldest.min(segment.first_timestamp);
        } else {
            clean_bytes += segment.bytes;
        }
    }
    if dirty_bytes == 0 || from >= upto {
        return None;
    }
    let ratio = dirty_bytes as f64 / (clean_bytes + dirty_bytes) as f64;
    let is_late = wall.0.saturating_sub(oldest) > config.max_compaction_lag_ms;
    Some(Dirty { from, upto, segments: count, ratio, is_late })
}

/// True when a segment that begins at `base` and holds `bytes` so far can take over all of the next one, by size and by
/// distance of offsets. Unlike Kafka, which adds up what the segments were, it goes on until the new one is full.
pub(in crate::log) fn joins(base: i64, bytes: u64, next: &Range<i64>, next_bytes: u64, config: &LogConfig) -> bool {
    let limit = config.segment_bytes.min(SEGMENT_BYTES_MAX);
    bytes + next_bytes <= limit && next.end - 1 - base <= i64::from(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of ten offsets and 100 bytes, the n-th with timestamp 10 n; all but the last sealed.
    fn segments(count: i64) -> Vec<Candidate> {
        let segment = |n: i64| Candidate {
            base: 10 * n,
            end: 10 * n + 10,
            bytes: 100,
            first_timestamp: 10 * n,
            max_timestamp: 10 * n,
            is_sealed: n + 1 < count,
        };
        (0..count).map(segment).collect()
    }

    fn config() -> LogConfig {
        LogConfig { compact_policy: true, min_cleanable_ppm: 500_000, ..LogConfig::default() }
    }

    fn check(first_dirty: i64, durable: i64, config: &LogConfig, expect: Option<(i64, i64, usize, f64, bool)>) {
        let found = look(&segments(5), 0, first_dirty, durable, Wall(1000), config);
        let found = found.map(|dirty| (dirty.from, dirty.upto, dirty.segments, dirty.ratio, dirty.is_due(config)));
        assert_eq!(found, expect, "{first_dirty} {durable} {config:?}");
    }

    #[test]
    fn how_far_a_pass_reaches() {
        check(0, 50, &config(), Some((0, 40, 4, 1.0, true)));
        check(20, 50, &config(), Some((20, 40, 4, 0.5, false)));
        check(25, 50, &config(), Some((25, 40, 4, 0.5, false)));
        check(40, 50, &config(), None);
        check(0, 35, &config(), Some((0, 30, 3, 1.0, true)));
        let lag = LogConfig { min_compaction_lag_ms: 985, ..config() };
        check(0, 50, &lag, Some((0, 20, 2, 1.0, true)));
        check(20, 50, &lag, None);
        let late = LogConfig { max_compaction_lag_ms: 975, ..config() };
        check(20, 50, &late, Some((20, 40, 4, 0.5, true)));
        check(30, 50, &late, Some((30, 40, 4, 0.25, false)));
    }

    #[test]
    fn the_active_segment_is_never_cleaned_and_a_damaged_one_ends_a_pass() {
        assert_eq!(look(&segments(1), 0, 0, 10, Wall(0), &config()), None);
        let mut sealed = segments(3);
        sealed[2].is_sealed = true;
        assert_eq!(look(&sealed, 0, 0, 30, Wall(0), &config()).unwrap().upto, 20);
        sealed[1].is_sealed = false;
        assert_eq!(look(&sealed, 0, 0, 30, Wall(0), &config()).unwrap().upto, 10);
    }

    #[test]
    fn what_lies_below_the_start_was_never_dirty() {
        let found = look(&segments(5), 15, 0, 50, Wall(0), &config()).unwrap();
        assert_eq!((found.from, found.ratio), (15, 0.75));
    }

    #[test]
    fn a_segment_takes_over_what_surely_fits() {
        let config = LogConfig { segment_bytes: 250, ..config() };
        assert!(joins(0, 150, &(10..20), 100, &config));
        assert!(!joins(0, 151, &(10..20), 100, &config));
        assert!(joins(0, 0, &(10..1 << 31), 1, &config));
        assert!(!joins(0, 0, &(10..(1 << 31) + 1), 1, &config));
    }
}
