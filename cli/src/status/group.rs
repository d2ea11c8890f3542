//! The verdict over a group: its worst partition's, capped at ERR, with the sums that dashboards show.

use super::rules::{Status, Tolerance, Verdict, judge};
use super::window::Partition;

/// What is said of a whole group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupVerdict {
    /// OK, WARN or ERR.
    pub(crate) status: Status,
    /// The share of its partitions whose window is full.
    pub(crate) complete: f32,
    /// Records that wait, over all partitions.
    pub(crate) total_lag: u64,
    /// The partition with the most of them: the first such one.
    pub(crate) max_lag: Option<(String, i32)>,
    /// Every partition in the order in which they came.
    pub(crate) partitions: Vec<(String, i32, Verdict)>,
}

/// Judges partitions, which the caller has in the order of their topics and numbers.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a share of a count of partitions")]
pub(crate) fn judge_group(partitions: &[(String, i32, Partition)], now_ms: i64, tolerance: Tolerance) -> GroupVerdict {
    let verdicts: Vec<_> = partitions
        .iter()
        .map(|(topic, number, partition)| (topic.clone(), *number, judge(partition, now_ms, tolerance)))
        .collect();
    let worst = verdicts.iter().map(|(_, _, verdict)| verdict.status).max().unwrap_or(Status::Ok);
    let full = partitions.iter().filter(|(_, _, partition)| partition.window.complete() >= 1.0).count();
    let mut max_lag: Option<&(String, i32, Partition)> = None;
    for entry in partitions {
        if max_lag.is_none_or(|best| entry.2.current_lag > best.2.current_lag) {
            max_lag = Some(entry);
        }
    }
    GroupVerdict {
        status: worst.min(Status::Err),
        complete: if partitions.is_empty() { 0.0 } else { full as f32 / partitions.len() as f32 },
        total_lag: partitions.iter().map(|(_, _, partition)| partition.current_lag).sum(),
        max_lag: max_lag.map(|(topic, number, _)| (topic.clone(), *number)),
        partitions: verdicts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::window::{Commit, Window};

    fn partition(slots: usize, commits: &[(i64, i64, u64)], current_lag: u64) -> Partition {
        let mut window = Window::new(slots, 0);
        for &(offset, timestamp_ms, lag) in commits {
            window.push(Commit { offset, timestamp_ms, lag: Some(lag) });
        }
        Partition { window, broker_offsets: vec![i64::MAX], current_lag }
    }

    #[test]
    fn the_worst_partition_counts_and_is_called_err() {
        let good = partition(2, &[(1, 0, 0), (2, 1000, 0)], 3);
        let stopped = partition(4, &[(1, 0, 9), (2, 10, 9)], 9);
        let entries = [("a".to_owned(), 0, good), ("b".to_owned(), 1, stopped)];
        let verdict = judge_group(&entries, 1500, Tolerance::default());
        assert_eq!(verdict.status, Status::Err);
        assert_eq!(verdict.partitions[1].2.status, Status::Stop);
        assert_eq!(verdict.partitions[0].2.status, Status::Ok);
        assert_eq!((verdict.total_lag, verdict.max_lag), (12, Some(("b".to_owned(), 1))));
        assert!((verdict.complete - 0.5).abs() < f32::EPSILON);
    }

    #[test]
    fn of_equal_lags_the_first_is_named() {
        let entries = [("a".to_owned(), 0, partition(1, &[], 4)), ("a".to_owned(), 1, partition(1, &[], 4))];
        assert_eq!(judge_group(&entries, 0, Tolerance::default()).max_lag, Some(("a".to_owned(), 0)));
    }

    #[test]
    fn a_group_without_partitions_is_well_and_knows_nothing() {
        let verdict = judge_group(&[], 0, Tolerance::default());
        assert_eq!((verdict.status, verdict.total_lag, verdict.max_lag), (Status::Ok, 0, None));
        assert!(verdict.complete.abs() < f32::EPSILON);
    }
}
