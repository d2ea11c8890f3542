//! When offsets end. A group that is in use keeps what it reads; `offsets.retention.minutes` begins when the group
//! becomes empty, or, for one without members, with the last commit (KIP-211).

use super::coordinator::Coordinator;
use super::ids::GroupId;
use super::offsets::{Committed, TopicPartition};
use super::state::{CONSUMER, Group, State};
use super::timers::Timer;

/// What retention says about a group.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing is due.
    Keep,
    /// These offsets are.
    Drop(Vec<TopicPartition>),
    /// Nobody is there and nothing is left.
    Bury,
}

impl Coordinator {
    /// Looks at all groups, and sets the timer for the next time.
    pub(crate) fn expire(&mut self) {
        self.fx.set_timer(Timer::Expiry, self.fx.settings.retention_check_interval_ms);
        let ids: Vec<GroupId> = self.groups.keys().cloned().collect();
        for id in ids {
            let Some(group) = self.groups.get(&id) else { continue };
            if self.check_partition(Some(group.partition)).is_err() {
                continue;
            }
            match group.judge(self.fx.settings.offsets_retention_ms, self.fx.now.wall_ms) {
                Verdict::Keep => {}
                Verdict::Bury => self.bury_group(&id, None),
                Verdict::Drop(removed) => group.drop_offsets(&mut self.fx, removed),
            }
        }
    }
}

impl Group {
    fn judge(&self, retention_ms: i64, wall_ms: i64) -> Verdict {
        let expired = self.expired(retention_ms, wall_ms);
        if self.is_empty() && self.expected.is_empty() && expired.len() == self.offsets.names().len() {
            Verdict::Bury
        } else if expired.is_empty() {
            Verdict::Keep
        } else {
            Verdict::Drop(expired)
        }
    }

    /// Offsets whose time is over.
    fn expired(&self, retention_ms: i64, wall_ms: i64) -> Vec<TopicPartition> {
        let is_consumer = self.protocol_type.as_deref() == Some(CONSUMER);
        // A group of the new protocol keeps what it reads, and drops the rest by its age.
        let is_simple = self.protocol_type.is_none() || self.consumer.is_some();
        let counts_from = |committed: &Committed| match &self.state {
            _ if is_simple => Some(committed.committed_ms),
            State::Empty => Some(self.since_wall_ms.unwrap_or(committed.committed_ms)),
            State::Stable(_) if is_consumer => Some(committed.committed_ms),
            State::PreparingRebalance { .. } | State::CompletingRebalance { .. } | State::Stable(_) => None,
        };
        let is_over = |committed: &Committed| match (committed.expires_ms, counts_from(committed)) {
            (_, None) => false,
            (Some(expires_ms), Some(_)) => wall_ms >= expires_ms,
            (None, Some(from_ms)) => wall_ms.saturating_sub(from_ms) >= retention_ms,
        };
        self.offsets.settled_if(|topic, committed| is_over(committed) && !self.reads(topic))
    }
}
