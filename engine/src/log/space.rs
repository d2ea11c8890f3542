//! How far ahead of its end a segment reserves space, and when it is rolled: pure decisions.

use super::config::LogConfig;
use super::kafka_indexes::KafkaIndexes;
use super::limits::{BLOCK_BYTES, GROW_MAX, GROW_MIN, SEGMENT_BYTES_MAX};

/// The new reserved length of a segment that must hold `needed` bytes and has `reserved`. Doubles, so that an idle
/// partition holds kilobytes and a hot one grows in large steps; stays within the segment's size unless one batch is
/// larger.
pub(super) fn grow_to(reserved: u64, needed: u64, config: &LogConfig) -> u64 {
    let whole = config.segment_bytes.min(SEGMENT_BYTES_MAX);
    let step = reserved.clamp(GROW_MIN, GROW_MAX);
    let wanted = if config.preallocate { whole } else { (reserved + step).min(whole) };
    wanted.max(needed).next_multiple_of(BLOCK_BYTES)
}

/// True when a segment should reserve more before it runs out: less than a quarter of the last step is left, or it is to
/// have all of its space from the beginning and has not, because it began as a smaller file.
pub(super) fn is_short(reserved: u64, appended: u64, config: &LogConfig) -> bool {
    let step = reserved.min(GROW_MAX);
    let runs_out = config.preallocate || reserved.saturating_sub(appended) < step / 4;
    reserved < config.segment_bytes.min(SEGMENT_BYTES_MAX) && runs_out
}

/// What Kafka's `LogSegment.shouldRoll` looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct RollQuestion {
    /// Bytes in the segment.
    pub(super) bytes: u64,
    /// First offset of the segment.
    pub(super) base_offset: i64,
    /// Largest timestamp of its first batch, or the wall clock at its creation where that has none.
    pub(super) first_timestamp: i64,
    /// Bytes to append.
    pub(super) batch_bytes: u64,
    /// Last offset to append.
    pub(super) last_offset: i64,
    /// Largest timestamp to append, or the wall clock where there is none.
    pub(super) timestamp: i64,
    /// Random part taken off `segment_ms`, in milliseconds.
    pub(super) jitter_ms: i64,
    /// What Kafka's index files would hold.
    pub(super) indexes: KafkaIndexes,
}

/// True when the batch belongs into a new segment: it would exceed `segment.bytes`, is more than `segment.ms` younger
/// than the first batch, its offset is too far from the base, or an index is full. An empty segment is never rolled.
pub(super) fn should_roll(ask: &RollQuestion, config: &LogConfig) -> bool {
    if ask.bytes == 0 {
        return false;
    }
    let limit = config.segment_bytes.min(SEGMENT_BYTES_MAX);
    let too_large = ask.bytes + ask.batch_bytes > limit;
    let waited = ask.timestamp.saturating_sub(ask.first_timestamp);
    let too_old = waited > config.segment_ms.saturating_sub(ask.jitter_ms);
    let too_far = ask.last_offset.saturating_sub(ask.base_offset) > i64::from(i32::MAX);
    too_large || too_old || too_far || ask.indexes.are_full(config.segment_index_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_doubles_from_small_to_large_and_ends_with_the_segment() {
        let config = LogConfig { segment_bytes: 200 << 20, ..LogConfig::default() };
        let mut reserved = 0;
        let mut steps = Vec::new();
        while reserved < config.segment_bytes {
            reserved = grow_to(reserved, reserved + 1, &config);
            steps.push(reserved >> 10);
        }
        assert_eq!(steps[..4], [16, 32, 64, 128]);
        assert_eq!(steps[steps.len() - 3..], [128 << 10, 192 << 10, 200 << 10]);
        assert_eq!(grow_to(0, 300 << 20, &config), 300 << 20, "one batch may be larger than a segment");
        assert!(!is_short(16 << 10, 4 << 10, &config) && is_short(16 << 10, 13 << 10, &config));
        let whole = LogConfig { preallocate: true, ..config };
        assert_eq!(grow_to(0, 1, &whole), 200 << 20);
        assert!(is_short(16 << 10, 0, &whole) && !is_short(200 << 20, 0, &whole));
    }

    #[test]
    fn a_segment_is_rolled_by_kafkas_rules() {
        let config = LogConfig { segment_bytes: 1000, segment_ms: 100, ..LogConfig::default() };
        let ask = RollQuestion {
            bytes: 600,
            base_offset: 0,
            first_timestamp: 50,
            batch_bytes: 400,
            last_offset: 9,
            timestamp: 150,
            jitter_ms: 0,
            indexes: KafkaIndexes::EMPTY,
        };
        assert!(!should_roll(&ask, &config));
        assert!(should_roll(&RollQuestion { batch_bytes: 401, ..ask }, &config));
        assert!(should_roll(&RollQuestion { timestamp: 151, ..ask }, &config));
        assert!(should_roll(&RollQuestion { jitter_ms: 1, ..ask }, &config));
        assert!(should_roll(&RollQuestion { last_offset: 1 << 31, ..ask }, &config));
        let small = LogConfig { segment_index_bytes: 12, ..config.clone() };
        assert!(should_roll(&ask, &small) && !should_roll(&RollQuestion { bytes: 0, ..ask }, &small));
        assert!(!should_roll(&RollQuestion { bytes: 0, batch_bytes: 5000, timestamp: 999, ..ask }, &config));
    }
}
