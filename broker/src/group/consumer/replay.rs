//! What records of the log say becomes a consumer group again.

use super::member::{ConsumerMember, Facts};
use super::partitions::{self, Partitions};
use super::records::{ConsumerFact, Current};
use super::state::{ConsumerGroup, Owner};
use crate::group::effects::{Effects, timeout_ms};
use crate::group::ids::{GroupId, MemberId};
use crate::group::state::Group;
use crate::group::timers::Timer;
use protocol::Uuid;
use std::sync::Arc;

impl Group {
    /// Takes one record over.
    pub(crate) fn replay_consumer(&mut self, fact: ConsumerFact) {
        match fact {
            ConsumerFact::Epoch(None) => self.consumer = None,
            ConsumerFact::TopicMetadata => {}
            ConsumerFact::Current(..) if marks::planted!("broker: forget who holds what at a start") => {}
            other => self.consumer.get_or_insert_default().replay(other),
        }
    }
}

impl ConsumerFact {
    /// Whether there is nothing to be done for it in a group that is not there.
    pub(crate) fn is_tombstone(&self) -> bool {
        matches!(
            self,
            ConsumerFact::Epoch(None)
                | ConsumerFact::Member(_, None)
                | ConsumerFact::AssignmentEpoch(None)
                | ConsumerFact::Target(_, None)
                | ConsumerFact::Current(_, None)
                | ConsumerFact::Pattern(_, None)
                | ConsumerFact::TopicMetadata
        )
    }
}

impl ConsumerGroup {
    fn replay(&mut self, fact: ConsumerFact) {
        match fact {
            ConsumerFact::Epoch(value) => (self.epoch, self.topics_hash) = value.unwrap_or_default(),
            ConsumerFact::Member(id, Some(facts)) => self.put_facts(&id, facts),
            ConsumerFact::Member(id, None) => _ = self.take(&id),
            ConsumerFact::AssignmentEpoch(value) => {
                (self.assignment_epoch, self.assigned_wall_ms) = value.unwrap_or_default();
            }
            ConsumerFact::Target(id, Some(partitions)) => _ = self.targets.insert(id, Arc::new(partitions)),
            ConsumerFact::Target(id, None) => _ = self.targets.remove(&id),
            ConsumerFact::Current(id, Some(current)) => self.replay_current(&id, current),
            ConsumerFact::Current(id, None) => self.replay_nothing(&id),
            ConsumerFact::Pattern(text, Some(resolved)) => _ = self.patterns.insert(text, resolved),
            ConsumerFact::Pattern(text, None) => _ = self.patterns.remove(&text),
            ConsumerFact::TopicMetadata => {}
        }
    }

    fn replay_current(&mut self, id: &MemberId, current: Current) {
        let mut member = match self.members.get(id) {
            Some(member) => member.clone(),
            None => ConsumerMember::new(Facts::unknown()),
        };
        member.held().for_each(|at| _ = self.owners.remove(&at));
        (member.epoch, member.previous_epoch, member.progress) =
            (current.epoch, current.previous_epoch, current.progress);
        (member.assigned, member.revoking) = (Partitions::new(), Partitions::new());
        for (at, since) in current.assigned {
            self.replay_held(id, at, since);
            partitions::insert(&mut member.assigned, at.0, at.1);
        }
        for (at, since) in current.revoking {
            self.replay_held(id, at, since);
            partitions::insert(&mut member.revoking, at.0, at.1);
        }
        self.members.insert(id.clone(), member);
    }

    /// The later record is right where two members hold a partition: one in between, in which the first gave it up, was refused.
    fn replay_held(&mut self, id: &MemberId, at: (Uuid, i32), since: i32) {
        let before = self.owners.insert(at, Owner { member: id.clone(), since });
        let Some(other) = before.filter(|owner| owner.member != *id) else { return };
        if let Some(member) = self.members.get_mut(&other.member) {
            for set in [&mut member.assigned, &mut member.revoking] {
                if let Some(of) = set.get_mut(&at.0) {
                    of.remove(&at.1);
                }
                set.retain(|_, of| !of.is_empty());
            }
        }
    }

    fn replay_nothing(&mut self, id: &MemberId) {
        let Some(member) = self.members.get_mut(id) else { return };
        let held: Vec<(Uuid, i32)> = member.held().collect();
        (member.assigned, member.revoking) = (Partitions::new(), Partitions::new());
        held.iter().for_each(|at| _ = self.owners.remove(at));
    }

    /// All records were read: sessions begin anew, and so do waits that were under way. What only half of a group tells, because
    /// the rest was lost or is in another's hands, goes.
    pub(crate) fn finish_replay(&mut self, fx: &mut Effects, group: &GroupId) {
        self.targets.retain(|id, _| self.members.contains_key(id));
        let has = |text: &Arc<str>| self.members.values().any(|member| member.facts.pattern() == Some(text));
        let unused: Vec<Arc<str>> = self.patterns.keys().filter(|text| !has(text)).cloned().collect();
        unused.iter().for_each(|text| _ = self.patterns.remove(text));
        for text in self.members.values().filter_map(|member| member.facts.pattern()) {
            self.patterns.entry(text.clone()).or_default();
        }
        self.gone.clear();
        self.assignment_epoch = self.assignment_epoch.min(self.epoch);
        // Topics may have changed while nobody looked: the first heartbeat does.
        self.topics_seen = u64::MAX;
        for (id, member) in &self.members {
            self.restart_session(fx, group, id);
            if member.progress == super::member::Progress::Unrevoked && !member.is_classic() {
                let timer = Timer::Rebalance(group.clone(), id.clone());
                fx.set_timer(timer, timeout_ms(member.facts.rebalance_timeout_ms));
            }
        }
    }
}
