//! The closed table of deadlines. A timer that is set again moves; one that fires is gone.

use super::ids::{GroupId, MemberId};
use std::collections::{BTreeSet, HashMap};

/// Everything that can fall due.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A member, or one that was only given an id, was silent for its session timeout.
    Session(GroupId, MemberId),
    /// A member of a consumer group was to give partitions up, or, of the classic protocol, to join again.
    Rebalance(GroupId, MemberId),
    /// A member of the classic protocol in a consumer group was to send SyncGroup.
    MemberSync(GroupId, MemberId),
    /// The wait of a heartbeat that has nothing to tell its member ends.
    Hold(GroupId, MemberId),
    /// Targets of a consumer group are to be computed.
    Assign(GroupId),
    /// The join phase of a rebalance ends.
    Join(GroupId),
    /// The members' time to send SyncGroup ends.
    Sync(GroupId),
    /// Expired offsets and abandoned groups are looked for.
    Expiry,
}

/// Deadlines in monotonic milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// Ordered by deadline. Invariant: holds exactly the pairs of `due_at`, turned round.
    queue: BTreeSet<(u64, Timer)>,
    due_at: HashMap<Timer, u64>,
}

impl Timers {
    /// Sets or moves a timer.
    pub(crate) fn set(&mut self, timer: Timer, at_ms: u64) {
        if let Some(old) = self.due_at.insert(timer.clone(), at_ms) {
            self.queue.remove(&(old, timer.clone()));
        }
        self.queue.insert((at_ms, timer));
    }

    /// Whether a timer is set.
    pub(crate) fn is_set(&self, timer: &Timer) -> bool {
        self.due_at.contains_key(timer)
    }

    /// Forgets a timer, set or not.
    pub(crate) fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.due_at.remove(&timer) {
            self.queue.remove(&(at, timer));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// How many are due.
    pub(crate) fn count_due(&self, now_ms: u64) -> usize {
        self.queue.iter().take_while(|(at, _)| *at <= now_ms).count()
    }

    /// Takes one timer that is due, earliest first.
    pub(crate) fn pop_due(&mut self, now_ms: u64) -> Option<Timer> {
        let due = self.queue.first().is_some_and(|(at, _)| *at <= now_ms);
        let (_, timer) = due.then(|| self.queue.pop_first())??;
        self.due_at.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_set_again_moves() {
        let mut timers = Timers::default();
        timers.set(Timer::Join("a".into()), 10);
        timers.set(Timer::Expiry, 20);
        timers.set(Timer::Join("a".into()), 30);
        assert_eq!(timers.pop_due(9), None);
        assert_eq!(timers.pop_due(40), Some(Timer::Expiry));
        assert_eq!(timers.next_deadline(), Some(30));
        assert_eq!(timers.pop_due(40), Some(Timer::Join("a".into())));
        assert_eq!(timers.pop_due(40), None);
    }

    #[test]
    fn a_cancelled_timer_is_gone() {
        let mut timers = Timers::default();
        timers.set(Timer::Expiry, 1);
        timers.cancel(Timer::Expiry);
        timers.cancel(Timer::Expiry);
        assert_eq!(timers.next_deadline(), None);
        assert_eq!(timers.pop_due(2), None);
    }
}
