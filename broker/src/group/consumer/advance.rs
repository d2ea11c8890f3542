//! The three steps behind every heartbeat: the group epoch where something changed, the target where the group epoch is ahead of
//! it, and the member towards its target. The first two happen once for each change, not for each heartbeat.

use super::assignor::{Assignor, Spec, SpecMember};
use super::member::{ConsumerMember, Progress};
use super::partitions::Partitions;
use super::reconcile::{self, Target};
use super::records;
use super::state::{ConsumerGroup, Turn};
use super::subscriptions::partition_count;
use crate::group::effects::timeout_ms;
use crate::group::ids::{InstanceId, MemberId};
use crate::group::timers::Timer;
use std::collections::BTreeMap;
use std::sync::Arc;

impl ConsumerGroup {
    /// After a member was heard of, and what it said was taken in. Whether it may use other partitions now.
    pub(super) fn advance(
        &mut self,
        turn: &mut Turn<'_>,
        id: &MemberId,
        subscription_changed: bool,
        owned: Option<&Partitions>,
    ) -> bool {
        if self.look_at_topics(turn, subscription_changed) || subscription_changed {
            self.bump_epoch(turn);
        }
        self.assign_if_due(turn);
        self.reconcile(turn, id, owned)
    }

    /// The next group epoch.
    pub(super) fn bump_epoch(&mut self, turn: &mut Turn<'_>) {
        self.epoch = self.epoch.saturating_add(1);
        turn.records.push(records::group_epoch(turn.group, self));
        tracing::debug!(group = %turn.group, epoch = self.epoch, "the group epoch was raised");
    }

    /// Computes targets if the group epoch is ahead of them. Within `consumer.assignment.interval.ms` of the last time it waits
    /// for more changes to come (KIP-1263).
    pub(super) fn assign_if_due(&mut self, turn: &mut Turn<'_>) {
        if self.epoch == self.assignment_epoch || self.members.is_empty() {
            return;
        }
        let interval_ms = turn.fx.group_config(turn.group).assignment_interval_ms;
        let since_ms = turn.fx.now.wall_ms.saturating_sub(self.assigned_wall_ms);
        match u64::try_from(since_ms).ok().and_then(|since_ms| interval_ms.checked_sub(since_ms)) {
            Some(wait_ms) if wait_ms > 0 => turn.fx.set_timer(Timer::Assign(turn.group.clone()), wait_ms),
            // A clock that was set back does not hold assignments up.
            Some(_) | None => self.assign(turn),
        }
    }

    fn assign(&mut self, turn: &mut Turn<'_>) {
        turn.fx.timers.cancel(Timer::Assign(turn.group.clone()));
        let assignor = self.assignor(turn.fx.settings.consumer.default_assignor());
        let targets = assignor.assign(&self.spec(turn));
        let ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for (id, target) in ids.into_iter().zip(targets) {
            let is_same = self.targets.get(&id).map_or(target.is_empty(), |before| **before == target);
            if !is_same {
                turn.records.push(records::target(turn.group, &id, &target));
                self.targets.insert(id, Arc::new(target));
            }
        }
        (self.assignment_epoch, self.assigned_wall_ms) = (self.epoch, turn.fx.now.wall_ms);
        turn.records.push(records::assignment_epoch(turn.group, self));
        tracing::info!(
            group = %turn.group, epoch = self.epoch, members = self.members.len(), assignor = assignor.name(), "partitions assigned"
        );
    }

    /// The assignor with the most votes; the default without any. Of two with as many, the first by name.
    pub(super) fn assignor(&self, default: Assignor) -> Assignor {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for name in self.members.values().filter_map(|member| member.facts.assignor.as_deref()) {
            *votes.entry(name).or_default() += 1;
        }
        let most = votes.values().max().copied();
        let winner = votes.iter().find(|(_, count)| Some(**count) == most);
        winner.and_then(|(name, _)| Assignor::named(name)).unwrap_or(default)
    }

    fn spec(&self, turn: &Turn<'_>) -> Spec {
        let image = &turn.fx.image;
        let topics = self.topic_names().into_iter().filter_map(|name| image.topic(name));
        let topics = topics.map(|topic| (topic.id, partition_count(topic))).collect();
        let nothing = Arc::new(Partitions::new());
        let of = |((id, member), topics): ((&MemberId, &ConsumerMember), _)| SpecMember {
            name: member.facts.instance.as_ref().map_or(id.as_str(), InstanceId::as_str).into(),
            is_static: member.facts.instance.is_some(),
            topics,
            before: self.targets.get(id).unwrap_or(&nothing).clone(),
        };
        Spec { members: self.members.iter().zip(self.topics_by_member(image)).map(of).collect(), topics }
    }

    /// Moves a member towards its target as far as that goes now. Whether it may use other partitions now.
    pub(super) fn reconcile(&mut self, turn: &mut Turn<'_>, id: &MemberId, owned: Option<&Partitions>) -> bool {
        let Some(member) = self.members.get(id) else { return false };
        let nothing = Partitions::new();
        let partitions = self.targets.get(id).map_or(&nothing, |target| target);
        let target = Target { epoch: self.assignment_epoch, partitions };
        let is_free = |topic, partition| {
            !self.owners.contains_key(&(topic, partition))
                || marks::planted!("broker: assign a partition that another member holds")
        };
        let Some(next) = reconcile::next(member, target, owned, is_free) else { return false };
        if next.progress == Progress::Unreleased {
            marks::reached!("broker: a member waited for another to give partitions up");
        }
        let is_classic = member.is_classic();
        let is_other = next.assigned != member.assigned;
        let rebalance_ms = timeout_ms(member.facts.rebalance_timeout_ms);
        if let Some(member) = self.members.get_mut(id) {
            if member.epoch != next.epoch {
                member.previous_epoch = member.epoch;
            }
            (member.epoch, member.progress) = (next.epoch, next.progress);
        }
        self.hold(id, next.assigned, next.revoking);
        turn.records.extend(records::current(turn.group, id, self));
        // Members of the classic protocol have their time to join and to sync instead.
        let timer = Timer::Rebalance(turn.group.clone(), id.clone());
        match next.progress {
            _ if is_classic => {}
            Progress::Unrevoked => turn.fx.set_timer(timer, rebalance_ms),
            Progress::Stable | Progress::Unreleased => turn.fx.timers.cancel(timer),
        }
        is_other
    }

    /// Whether a member waits for partitions that others still hold.
    pub(super) fn waits_for_others(&self, id: &MemberId, member: &ConsumerMember) -> bool {
        let target = self.targets.get(id);
        let missing = target.into_iter().flat_map(|target| super::partitions::iter(target));
        missing
            .filter(|(topic, partition)| !super::partitions::contains(&member.assigned, *topic, *partition))
            .any(|at| self.owners.contains_key(&at))
    }
}
