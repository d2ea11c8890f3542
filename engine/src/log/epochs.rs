//! Which leader epoch began where: what OffsetForLeaderEpoch and follower truncation ask. Derived from the batches.

/// Ascending pairs of epoch and the first offset that carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs(Vec<(i32, i64)>);

impl Epochs {
    /// All pairs, ascending in both.
    pub fn entries(&self) -> &[(i32, i64)] {
        &self.0
    }

    /// Takes note of a batch. Batches without an epoch (-1) and epochs that do not rise add nothing.
    pub fn note(&mut self, epoch: i32, offset: i64) {
        if epoch >= 0 && self.0.last().is_none_or(|&(last, start)| epoch > last && offset >= start) {
            self.0.push((epoch, offset));
        }
    }

    /// The largest known epoch not above `epoch`, and the first offset past it; `None` when none is that old. `log_end`
    /// ends the newest epoch.
    pub fn end_offset_for(&self, epoch: i32, log_end: i64) -> Option<(i32, i64)> {
        let after = self.0.partition_point(|&(known, _)| known <= epoch);
        let (known, _) = *self.0.get(after.checked_sub(1)?)?;
        let end = self.0.get(after).map_or(log_end, |&(_, start)| start);
        Some((known, end))
    }

    /// Forgets what begins at or past `end`, always: also when `end` is the log's end.
    pub fn truncate_suffix(&mut self, end: i64) {
        self.0.retain(|&(_, start)| start < end);
    }

    /// Forgets epochs that end at or below `start`; the one that covers `start` begins there now.
    pub fn truncate_prefix(&mut self, start: i64) {
        let covering = self.0.partition_point(|&(_, from)| from <= start);
        if covering > 0 {
            self.0.drain(..covering - 1);
            self.0[0].1 = self.0[0].1.max(start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        entries.iter().for_each(|&(epoch, offset)| epochs.note(epoch, offset));
        epochs
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let epochs = epochs(&[(-1, 0), (0, 0), (0, 5), (3, 10), (2, 11), (4, 20)]);
        assert_eq!(epochs.entries(), [(0, 0), (3, 10), (4, 20)]);
        let ends = [-1, 0, 2, 3, 4, 9].map(|epoch| epochs.end_offset_for(epoch, 30));
        assert_eq!(ends, [None, Some((0, 10)), Some((0, 10)), Some((3, 20)), Some((4, 30)), Some((4, 30))]);
    }

    #[test]
    fn truncation_at_both_ends() {
        let mut both = epochs(&[(0, 0), (3, 10), (4, 20)]);
        both.truncate_prefix(12);
        both.truncate_suffix(20);
        assert_eq!(both.entries(), [(3, 12)]);
        both.truncate_suffix(12);
        assert!(both.entries().is_empty());
    }
}
