//! The sliding window: the last commits of one partition, oldest first, in a ring of so many slots.

/// One commit of a group for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// The offset that was committed: the next one to read.
    pub(crate) offset: i64,
    /// When, in milliseconds since 1970.
    pub(crate) timestamp_ms: i64,
    /// How many records the log held behind it then; none when that is not known.
    pub(crate) lag: Option<u64>,
}

/// The newest commits of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Oldest first; never more than `slots`.
    commits: Vec<Commit>,
    slots: usize,
    min_distance_ms: i64,
}

impl Window {
    /// An empty window of `slots` commits, none of which begins within `min_distance_ms` of the one before.
    #[must_use]
    pub(crate) fn new(slots: usize, min_distance_ms: i64) -> Self {
        assert!(slots > 0, "a window without slots shows nothing");
        Self { commits: Vec::new(), slots, min_distance_ms }
    }

    /// Takes the next commit, in the order of `__consumer_offsets`.
    ///
    /// One that follows too closely replaces the newest and keeps its time, as in Burrow: otherwise a consumer that
    /// commits every record would fill the window within milliseconds.
    pub(crate) fn push(&mut self, commit: Commit) {
        if let Some(newest) = self.commits.last_mut()
            && commit.timestamp_ms - newest.timestamp_ms < self.min_distance_ms
        {
            newest.offset = commit.offset;
            newest.lag = commit.lag;
            return;
        }
        if self.commits.len() == self.slots {
            self.commits.remove(0);
        }
        self.commits.push(commit);
    }

    /// What is in it, oldest first.
    #[must_use]
    pub(crate) fn commits(&self) -> &[Commit] {
        &self.commits
    }

    /// The same for whoever learns what the lag was at each commit's time.
    pub(crate) fn commits_mut(&mut self) -> &mut [Commit] {
        &mut self.commits
    }

    /// The share of its slots that hold a commit.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a few slots")]
    pub(crate) fn complete(&self) -> f32 {
        if self.commits.len() == self.slots { 1.0 } else { self.commits.len() as f32 / self.slots as f32 }
    }
}

/// All that a verdict over a partition is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    /// Its last commits.
    pub(crate) window: Window,
    /// Ends of the log now and one interval ago, two intervals ago …, in any order.
    pub(crate) broker_offsets: Vec<i64>,
    /// Records between the last commit and the end of the log, now.
    pub(crate) current_lag: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(timestamp_ms: i64, offset: i64) -> Commit {
        Commit { offset, timestamp_ms, lag: Some(1) }
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut window = Window::new(2, 0);
        (1..=3).for_each(|n| window.push(at(n * 1000, n)));
        assert_eq!(window.commits(), [at(2000, 2), at(3000, 3)]);
        assert!((window.complete() - 1.0).abs() < f32::EPSILON);
    }

    #[test]
    fn commits_that_follow_closely_share_a_slot_and_its_time() {
        let mut window = Window::new(4, 1000);
        [(0, 10), (400, 11), (999, 12), (1000, 13), (1500, 14)].iter().for_each(|&(ts, o)| window.push(at(ts, o)));
        assert_eq!(window.commits(), [at(0, 12), at(1000, 14)]);
        assert!((window.complete() - 0.5).abs() < f32::EPSILON);
    }
}
