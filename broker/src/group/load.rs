//! Partitions of `__consumer_offsets` come and go, and what their records say becomes groups again.

use super::consumer::membership::cancel_timers;
use super::coordinator::Coordinator;
use super::ids::{GroupId, InstanceId, MemberId};
use super::member::{Awaiting, Member, Protocol};
use super::memory::Charge;
use super::rebalance::refuse_awaiting;
use super::records::{self, Fact};
use super::state::{Formed, Group, State};
use super::timers::Timer;
use crate::Now;
use protocol::messages::group_metadata_record::{GroupMetadataValue, MemberMetadata};
use protocol::{DecodeError, ErrorCode};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How far a partition of `__consumer_offsets` on this shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Its records are being read; its groups cannot be used.
    Reading,
    /// Its groups are served.
    Done,
}

impl Coordinator {
    /// How many partitions `__consumer_offsets` has; 0 as long as it does not exist.
    pub(crate) fn set_partition_count(&mut self, count: i32) {
        self.partition_count = count;
    }

    /// A partition with records is ours: [`Coordinator::replay`] them all, then [`Coordinator::finish_load`].
    pub(crate) fn begin_load(&mut self, partition: i32) {
        let early = marks::planted!("broker: serve groups while they are read");
        self.partitions.insert(partition, if early { Load::Done } else { Load::Reading });
    }

    /// How far a partition is; `None` when it is not ours.
    pub(crate) fn load_state(&self, partition: i32) -> Option<Load> {
        self.partitions.get(&partition).copied()
    }

    /// Takes over one record of a partition that is being read, in log order.
    ///
    /// Fails on bytes that are not a record of a group; nothing changed then.
    pub(crate) fn replay(&mut self, partition: i32, key: &[u8], value: Option<&[u8]>) -> Result<(), DecodeError> {
        match records::decode(key, value)? {
            Fact::Offset { .. } if marks::planted!("broker: forget committed offsets at a start") => {}
            Fact::Offset { group, at, committed: Some(committed) } => {
                self.replayed_group(&group, partition).offsets.restore(at, committed);
            }
            Fact::Offset { group, at, committed: None } => {
                if let Some(group) = self.groups.get_mut(&group) {
                    group.offsets.bury(&at);
                }
            }
            Fact::Group { group, value: Some(value) } => {
                self.replayed_group(&group, partition).restore(&value);
            }
            Fact::Group { group, value: None } => self.replay_tombstone(&group, partition),
            Fact::Consumer { group, fact } if fact.is_tombstone() => {
                let Some(known) = self.groups.get_mut(&group) else { return Ok(()) };
                known.replay_consumer(fact);
                if known.consumer.is_none() && known.members.is_empty() && known.offsets.is_empty() {
                    self.groups.remove(&group);
                }
            }
            Fact::Consumer { group, fact } => self.replayed_group(&group, partition).replay_consumer(fact),
            Fact::Foreign { kind } => tracing::debug!(kind, "record of another kind of group passed over"),
        }
        Ok(())
    }

    fn replayed_group(&mut self, id: &GroupId, partition: i32) -> &mut Group {
        let incarnation = self.next_incarnation();
        let new = || Group::new(id.clone(), incarnation, partition, None);
        self.groups.entry(id.clone()).or_insert_with(new)
    }

    fn replay_tombstone(&mut self, id: &GroupId, partition: i32) {
        let Some(old) = self.groups.remove(id) else { return };
        if !old.offsets.is_empty() {
            self.replayed_group(id, partition).offsets = old.offsets;
        }
    }

    /// All records of the partition were replayed: its groups are served, and their members' sessions begin anew.
    pub(crate) fn finish_load(&mut self, now: Now, partition: i32) {
        self.fx.now = now;
        self.partitions.insert(partition, Load::Done);
        self.drop_deleted_meanwhile(partition);
        for group in self.groups.values_mut().filter(|g| g.partition == partition) {
            group.charge_all_to(&self.fx.memory);
            if let Some(consumer) = group.consumer.as_mut() {
                consumer.finish_replay(&mut self.fx, &group.id);
                continue;
            }
            for id in group.members.keys().cloned().collect::<Vec<_>>() {
                group.restart_session(&mut self.fx, &id);
            }
            if group.members.len() > self.fx.settings.members_max {
                group.prepare_rebalance(&mut self.fx, "the group is larger than group.max.size");
            }
        }
    }

    /// A partition is not ours any more, or was deleted: its groups go, and who waits is told to look elsewhere.
    pub(crate) fn unload(&mut self, now: Now, partition: i32) {
        self.fx.now = now;
        self.partitions.remove(&partition);
        self.deleted_meanwhile.remove(&partition);
        let gone = self.groups.extract_if(|_, group| group.partition == partition);
        for (id, group) in gone.collect::<Vec<_>>() {
            self.holds.stir(&id);
            for timer in [Timer::Join(id.clone()), Timer::Sync(id.clone()), Timer::Assign(id.clone())] {
                self.fx.timers.cancel(timer);
            }
            for member in group.members.keys().chain(&group.expected) {
                self.fx.timers.cancel(Timer::Session(id.clone(), member.clone()));
            }
            for member in group.consumer.iter().flat_map(|consumer| consumer.members.keys()) {
                cancel_timers(&mut self.fx, &id, member);
            }
            for (member, state) in &group.members {
                refuse_awaiting(&mut self.fx, state.awaiting, member.as_str(), ErrorCode::NotCoordinator);
            }
        }
    }

    /// `__consumer_offsets` is gone.
    pub(crate) fn unload_all(&mut self, now: Now) {
        for partition in self.partitions.keys().copied().collect::<Vec<_>>() {
            self.unload(now, partition);
        }
    }
}

impl Group {
    /// Takes the shape that a record tells, keeping the offsets.
    fn restore(&mut self, value: &GroupMetadataValue<'_>) {
        let protocol: Arc<str> = value.protocol.as_deref().unwrap_or_default().into();
        self.protocol_type = (!value.protocol_type.is_empty()).then(|| value.protocol_type.as_ref().into());
        self.generation = if marks::planted!("broker: count generations anew") { 0 } else { value.generation.max(0) };
        self.since_wall_ms = (value.current_state_timestamp >= 0).then_some(value.current_state_timestamp);
        self.members = value.members.iter().map(|m| restored_member(m, &protocol)).collect();
        let statics = |(id, m): (&MemberId, &Member)| Some((m.instance.clone()?, id.clone()));
        self.statics = self.members.iter().filter_map(statics).collect();
        let leader = value.leader.as_deref().map(MemberId::from).filter(|id| self.members.contains_key(id));
        self.leader = leader.or_else(|| self.members.keys().next().cloned());
        self.state = if self.members.is_empty() {
            State::Empty
        } else {
            State::Stable(Formed { protocol, unsynced: BTreeSet::new() })
        };
    }
}

fn restored_member(value: &MemberMetadata<'_>, protocol: &Arc<str>) -> (MemberId, Member) {
    let has_rebalance_timeout = value.rebalance_timeout >= 0;
    let member = Member {
        instance: value.group_instance_id.as_deref().map(InstanceId::from),
        client_id: value.client_id.as_ref().into(),
        client_host: value.client_host.as_ref().into(),
        rebalance_timeout_ms: if has_rebalance_timeout { value.rebalance_timeout } else { value.session_timeout },
        session_timeout_ms: value.session_timeout,
        protocols: vec![Protocol { name: protocol.clone(), metadata: value.subscription.as_ref().into() }],
        assignment: value.assignment.as_ref().into(),
        is_new: false,
        awaiting: Awaiting::Nothing,
        charge: Charge::default(),
    };
    (MemberId::from(&*value.member_id), member)
}

impl Coordinator {
    /// Whether a partition is ours and was read.
    pub(crate) fn check_partition(&self, partition: Option<i32>) -> Result<(), ErrorCode> {
        match partition.and_then(|p| self.load_state(p)) {
            Some(Load::Done) => Ok(()),
            Some(Load::Reading) => Err(ErrorCode::CoordinatorLoadInProgress),
            None => Err(ErrorCode::NotCoordinator),
        }
    }

    /// Whether all partitions here were read.
    pub(crate) fn check_all_loaded(&self) -> Result<(), ErrorCode> {
        let reads = self.partitions.values().any(|load| *load == Load::Reading);
        if reads { Err(ErrorCode::CoordinatorLoadInProgress) } else { Ok(()) }
    }
}
