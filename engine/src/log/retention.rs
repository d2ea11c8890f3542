//! Which segments are due for removal: a pure decision over what is known of them (Kafka's `UnifiedLog.deleteOldSegments`).

use super::config::LogConfig;
use crate::time::Wall;

/// What retention looks at, a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) bytes: u64,
    /// Largest timestamp, in milliseconds; below 0 where there is none.
    pub(super) max_timestamp: i64,
    /// Whether all of it is durable; what is not is never removed.
    pub(super) durable: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Segments to remove, from the oldest.
    pub(super) remove: usize,
    /// The active segment is among them, so a new one has to be begun first.
    pub(super) roll: bool,
}

/// Decides for a log whose segments, oldest first, are `segments`; the last one is active. Segments without timestamps
/// are kept by time: unlike Kafka we do not take the file's own time for them, which copying a folder changes.
pub(super) fn choose(segments: &[Candidate], wall: Wall, config: &LogConfig) -> Choice {
    if !config.delete_policy {
        return Choice::default();
    }
    let size: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut excess = match u64::try_from(config.retention_bytes) {
        Ok(limit) => size.saturating_sub(limit),
        Err(_) => 0,
    };
    let due = segments.iter().enumerate().take_while(|&(at, segment)| {
        let is_empty_active = at + 1 == segments.len() && segment.bytes == 0;
        let too_old = config.retention_ms >= 0
            && segment.max_timestamp >= 0
            && wall.0.saturating_sub(segment.max_timestamp) > config.retention_ms;
        let too_much = excess > 0 && excess >= segment.bytes;
        excess -= if too_much { segment.bytes } else { 0 };
        segment.durable && !is_empty_active && (too_old || too_much)
    });
    let remove = due.count();
    let spare = segments.len().saturating_sub(1);
    let remove =
        if marks::planted!("engine: retention takes one segment more") { spare.min(remove + 1) } else { remove };
    Choice { remove, roll: remove > 0 && remove == segments.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(segments: &[(u64, i64)], config: &LogConfig, expect: (usize, bool)) {
        let candidate = |&(bytes, max_timestamp)| Candidate { bytes, max_timestamp, durable: true };
        let candidates: Vec<_> = segments.iter().map(candidate).collect();
        let choice = choose(&candidates, Wall(1000), config);
        assert_eq!((choice.remove, choice.roll), expect, "{segments:?} {config:?}");
    }

    #[test]
    fn by_size_only_whole_segments_above_the_limit_go() {
        let config = LogConfig { retention_ms: -1, retention_bytes: 250, ..LogConfig::default() };
        check(&[(100, 0), (100, 0), (100, 0)], &config, (0, false));
        check(&[(50, 0), (100, 0), (150, 0)], &config, (1, false));
        check(&[(100, 0), (100, 0), (100, 0), (100, 0)], &config, (1, false));
        check(&[(300, 0)], &LogConfig { retention_bytes: 0, ..config }, (1, true));
    }

    #[test]
    fn by_time_the_oldest_run_goes_and_an_empty_active_segment_stays() {
        let config = LogConfig { retention_ms: 100, ..LogConfig::default() };
        check(&[(9, 800), (9, 950), (9, 700)], &config, (1, false));
        check(&[(9, 800), (9, 899)], &config, (2, true));
        check(&[(9, 800), (0, -1)], &config, (1, false));
        check(&[(9, -1), (9, 1)], &config, (0, false));
        check(&[(9, 1)], &LogConfig { delete_policy: false, ..config }, (0, false));
    }

    #[test]
    fn what_is_not_durable_stays() {
        let config = LogConfig { retention_ms: 0, ..LogConfig::default() };
        let segments = [Candidate { bytes: 9, max_timestamp: 1, durable: false }];
        assert_eq!(choose(&segments, Wall(1000), &config), Choice::default());
    }
}
