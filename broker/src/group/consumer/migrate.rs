//! A group changes its protocol while it has members (`group.consumer.migration.policy`): up when a member of the new protocol
//! joins a classic group of consumers, down when the last such member goes. An empty group just becomes what its next member speaks.
//!
//! Deviations: librdkafka's sticky assignors send user data with assignments; groups of theirs are upgraded, which Kafka 4.3.1
//! refuses. A static member of the classic protocol that takes the place of the last member of the new one joins anew after the
//! change, while in Kafka it keeps that member's share.

use super::heartbeat::no_such_group;
use super::member::{Classic, ConsumerMember, Facts, sorted_names};
use super::partitions::{self, Partitions};
use super::records;
use super::state::{ConsumerGroup, Refused};
use super::store::Held;
use crate::group::coordinator::Coordinator;
use crate::group::effects::Effects;
use crate::group::ids::{GroupId, MemberId};
use crate::group::member::{Awaiting, Member};
use crate::group::memory::Charge;
use crate::group::rebalance::refuse_awaiting;
use crate::group::records::{Record, group_metadata, group_tombstone};
use crate::group::state::{CONSUMER, Formed, Group, State};
use crate::group::timers::Timer;
use crate::image::MetadataImage;
use protocol::messages::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition as NamedPartitions,
};
use protocol::{DecodeError, ErrorCode, Reader, Writer};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Newest version of what consumers say to each other that is known here; newer ones begin alike.
const EMBEDDED_VERSION_MAX: i16 = 3;

/// Assignors of clients that tell partitions and nothing else, whatever user data comes with them.
const CLIENT_ASSIGNORS: [&str; 4] = ["range", "roundrobin", "sticky", "cooperative-sticky"];

/// A group's state for a member that joins, taken out or made.
pub(super) struct Entry {
    /// The state.
    pub(super) state: Box<ConsumerGroup>,
    /// Where it came from.
    origin: Origin,
    /// What has to be written for it before all else.
    pub(super) records: Vec<Record>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The group has the new protocol already.
    Own,
    /// It had no members, or was not there.
    New,
    /// Its members are of the classic protocol.
    Classic,
}

impl Coordinator {
    /// The state of a group that a member of the new protocol wants to join. Either adopt or abandon it.
    pub(super) fn enter_consumer(&mut self, id: &GroupId) -> Result<Entry, Refused> {
        let new = |records| Entry { state: Box::default(), origin: Origin::New, records };
        let Some(group) = self.groups.get_mut(id) else { return Ok(new(Vec::new())) };
        if let Some(state) = group.consumer.take() {
            return Ok(Entry { state, origin: Origin::Own, records: Vec::new() });
        }
        if group.is_empty() {
            return Ok(new(vec![group_tombstone(id)]));
        }
        let state = Box::new(group.upgraded(&self.fx)?);
        let mut records = vec![group_tombstone(id)];
        records.extend(records::snapshot(id, &state));
        Ok(Entry { state, origin: Origin::Classic, records })
    }

    /// The member was refused: the group stays as it was.
    pub(super) fn abandon_consumer(&mut self, id: &GroupId, entry: Entry) {
        if let Some(group) = self.groups.get_mut(id).filter(|_| entry.origin == Origin::Own) {
            group.consumer = Some(entry.state);
        }
    }

    /// The member is in: the group has that state from now on, and the member is answered when it is written down.
    pub(super) fn adopt_consumer(&mut self, id: &GroupId, entry: Entry, records: Vec<Record>, held: Held) {
        let mut group = self.take_or_new(id);
        let fx = &mut self.fx;
        if entry.origin != Origin::Own {
            if entry.origin == Origin::Classic {
                tracing::info!(group = %id, members = group.members.len(), "the group changes to the consumer protocol");
            }
            group.end_classic(fx);
        }
        group.consumer = Some(entry.state);
        if entry.origin != Origin::Own {
            group.charge_all_to(&fx.memory);
        }
        if let (Origin::Classic, Some(state)) = (entry.origin, &group.consumer) {
            for member in state.members.iter().filter(|(_, member)| member.is_classic()).map(|(id, _)| id) {
                state.restart_session(fx, id, member);
            }
        }
        group.store(fx, records, Some(held));
        self.groups.insert(id.clone(), group);
    }
}

impl Group {
    /// What a classic group with members would be in the new protocol.
    fn upgraded(&self, fx: &Effects) -> Result<ConsumerGroup, Refused> {
        let settings = &fx.settings.consumer;
        let is_fit = settings.migration.upgrades
            && self.protocol_type.as_deref() == Some(CONSUMER)
            && self.members.len() <= settings.members_max;
        if !is_fit {
            return Err(no_such_group(&self.id));
        }
        let epoch = self.generation.max(0);
        let mut state = ConsumerGroup { epoch, assignment_epoch: epoch, ..ConsumerGroup::default() };
        for (id, member) in &self.members {
            let (facts, assigned) = self.upgraded_member(member, &fx.image)?;
            let free = partitions::iter(&assigned).filter(|at| !state.owners.contains_key(at));
            let assigned = free.fold(Partitions::new(), |mut all, (topic, partition)| {
                partitions::insert(&mut all, topic, partition);
                all
            });
            state.put_facts(id, facts);
            if let Some(member) = state.members.get_mut(id) {
                (member.epoch, member.previous_epoch) = (epoch, epoch);
            }
            state.targets.insert(id.clone(), Arc::new(assigned.clone()));
            state.hold(id, assigned, Partitions::new());
        }
        Ok(state)
    }

    /// A member holds what it was assigned last; while assignments are being made again, what it said it owned.
    fn upgraded_member(&self, member: &Member, image: &MetadataImage) -> Result<(Facts, Partitions), Refused> {
        let malformed = |error: DecodeError| {
            let message = format!(
                "the classic group {} cannot be upgraded: a member's subscription is malformed: {error}",
                self.id
            );
            Refused::new(ErrorCode::GroupIdNotFound, message)
        };
        let protocol = member.protocols.iter().find(|p| Some(&p.name) == self.protocol()).or(member.protocols.first());
        let subscription = subscription(protocol.map_or(&[][..], |p| &p.metadata)).map_err(malformed)?;
        let mut held = ids_of(&subscription.owned_partitions, image);
        if !member.assignment.is_empty() {
            let assignment = assignment(&member.assignment).map_err(malformed)?;
            let is_known = protocol.is_some_and(|p| CLIENT_ASSIGNORS.contains(&&*p.name));
            if !is_known && assignment.user_data.as_ref().is_some_and(|data| !data.is_empty()) {
                let message = format!(
                    "the classic group {} cannot be upgraded: its assignor tells its members more than partitions, which would be lost",
                    self.id
                );
                return Err(Refused::new(ErrorCode::GroupIdNotFound, message));
            }
            held = ids_of(&assignment.assigned_partitions, image);
        }
        let facts = Facts {
            instance: member.instance.clone(),
            rack: subscription.rack_id.as_deref().map(Arc::from),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            names: sorted_names(subscription.topics.iter().map(|name| &**name)),
            regex: None,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            assignor: None,
            classic: Some(Classic {
                session_timeout_ms: member.session_timeout_ms,
                protocols: member.protocols.clone().into(),
            }),
        };
        Ok((facts, held))
    }

    /// The classic part ends: who waits joins again, and finds the other protocol.
    fn end_classic(&mut self, fx: &mut Effects) {
        for timer in [Timer::Join(self.id.clone()), Timer::Sync(self.id.clone())] {
            fx.timers.cancel(timer);
        }
        for member in self.members.keys().chain(&self.expected) {
            fx.timers.cancel(Timer::Session(self.id.clone(), member.clone()));
        }
        for (id, member) in std::mem::take(&mut self.members) {
            refuse_awaiting(fx, member.awaiting, id.as_str(), ErrorCode::RebalanceInProgress);
        }
        self.statics.clear();
        self.expected.clear();
        self.leader = None;
        self.protocol_type = Some(CONSUMER.into());
        self.enter(State::Empty, fx.now.wall_ms);
    }

    /// Writes what a member's going left; the group becomes a classic one again if nobody else speaks the new protocol.
    pub(super) fn store_and_settle(&mut self, fx: &mut Effects, mut records: Vec<Record>, held: Option<Held>) {
        let members_max = fx.settings.members_max;
        let falls_back = fx.settings.consumer.migration.downgrades
            && self.consumer.as_ref().is_some_and(|state| state.is_all_classic() && state.members.len() <= members_max);
        if !falls_back {
            return self.store(fx, records, held);
        }
        records.extend(self.downgrade(fx));
        self.store(fx, records, held);
        self.prepare_rebalance(fx, "the last member of the consumer protocol is gone");
    }

    /// Becomes a classic group with the members that there are, and returns what that takes in records.
    fn downgrade(&mut self, fx: &mut Effects) -> Vec<Record> {
        let Some(state) = self.consumer.take() else { return Vec::new() };
        tracing::info!(group = %self.id, members = state.members.len(), "the group changes to the classic protocol");
        let mut records = records::group_tombstones(&self.id, &state);
        fx.timers.cancel(Timer::Assign(self.id.clone()));
        self.generation = state.epoch;
        self.protocol_type = Some(CONSUMER.into());
        for (id, member) in &state.members {
            super::membership::cancel_timers(fx, &self.id, id);
            if let Some(classic) = &member.facts.classic {
                let classic = classic_member(member, classic, &fx.image);
                self.add(id.clone(), classic, &CONSUMER.into());
            }
        }
        self.charge_all_to(&fx.memory);
        let protocol = self.elect_protocol().unwrap_or_else(|| "".into());
        self.enter(State::Stable(Formed { protocol, unsynced: BTreeSet::new() }), fx.now.wall_ms);
        for id in self.members.keys() {
            self.restart_session(fx, id);
        }
        records.push(group_metadata(self, &self.assignments()));
        records
    }

    /// A group of the new protocol without members becomes a classic one for whoever joins.
    pub(super) fn become_classic(&mut self, fx: &mut Effects) {
        let Some(state) = self.consumer.take_if(|state| state.members.is_empty()) else { return };
        fx.timers.cancel(Timer::Assign(self.id.clone()));
        self.generation = state.epoch;
        self.enter(State::Empty, fx.now.wall_ms);
        let mut records = records::group_tombstones(&self.id, &state);
        records.push(group_metadata(self, &Default::default()));
        self.store(fx, records, None);
    }

    /// The last member of the new protocol gives way to a classic one of its instance, and the group falls back.
    pub(super) fn yield_instance(&mut self, fx: &mut Effects, old: &MemberId) {
        let Some(state) = self.consumer.as_mut() else { return };
        let mut turn = super::state::Turn::new(fx, &self.id);
        state.fence(&mut turn, old);
        let records = turn.records;
        self.store_and_settle(fx, records, None);
    }
}

fn classic_member(member: &ConsumerMember, classic: &Classic, image: &MetadataImage) -> Member {
    Member {
        instance: member.facts.instance.clone(),
        client_id: member.facts.client_id.clone(),
        client_host: member.facts.client_host.clone(),
        rebalance_timeout_ms: member.facts.rebalance_timeout_ms,
        session_timeout_ms: classic.session_timeout_ms,
        protocols: classic.protocols.to_vec(),
        assignment: assignment_bytes(member, classic, image),
        is_new: false,
        awaiting: Awaiting::Nothing,
        charge: Charge::default(),
    }
}

/// What a member of the classic protocol is told to use, in the version that it speaks.
pub(super) fn assignment_bytes(member: &ConsumerMember, classic: &Classic, image: &MetadataImage) -> Arc<[u8]> {
    let version =
        classic.protocols.first().and_then(|p| p.metadata.first_chunk::<2>()).map_or(0, |v| i16::from_be_bytes(*v));
    let named = member.assigned.iter().filter_map(|(topic, set)| {
        Some(NamedPartitions {
            topic: (*image.topic_by_id(*topic)?.name).into(),
            partitions: set.iter().copied().collect(),
        })
    });
    let value = ConsumerProtocolAssignment { assigned_partitions: named.collect(), user_data: None };
    let version = version.clamp(0, EMBEDDED_VERSION_MAX);
    crate::group::records::prefixed(version, |w: &mut Writer| value.encode(w, version)).into()
}

/// What a consumer says that it wants.
pub(super) fn subscription(bytes: &[u8]) -> Result<ConsumerProtocolSubscription<'_>, DecodeError> {
    let mut r = Reader::new(bytes);
    let version = r.i16()?.clamp(0, EMBEDDED_VERSION_MAX);
    ConsumerProtocolSubscription::decode(&mut r, version)
}

fn assignment(bytes: &[u8]) -> Result<ConsumerProtocolAssignment<'_>, DecodeError> {
    let mut r = Reader::new(bytes);
    let version = r.i16()?.clamp(0, EMBEDDED_VERSION_MAX);
    ConsumerProtocolAssignment::decode(&mut r, version)
}

/// Partitions by id, of topics that exist.
pub(super) fn ids_of(named: &[NamedPartitions<'_>], image: &MetadataImage) -> Partitions {
    let mut all = Partitions::new();
    for topic in named {
        if let Some(known) = image.topic(&topic.topic) {
            topic.partitions.iter().for_each(|partition| partitions::insert(&mut all, known.id, *partition));
        }
    }
    all
}
