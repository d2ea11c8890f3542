//! A group: its members and where it is in a rebalance. A state holds only what is valid in it; which state follows
//! which is decided in `rebalance`, `join`, `sync` and `leave`.
//!
//! ```text
//!            first member                       everybody joined, or time is up
//!   Empty ────────────────▶ PreparingRebalance ────────────────────────────────▶ CompletingRebalance
//!     ▲                       │    ▲      ▲                                         │          │
//!     └── nobody (re)joined ──┘    │      └── member joins, leaves or times out ────┘          │ leader's assignment
//!                                  └── member joins, leaves or times out ── Stable ◀───────────┘ is durable
//! ```
//! *Dead* is the state of a group that is not there; no value stands for it.

use super::consumer::state::ConsumerGroup;
use super::ids::{GroupId, Incarnation, InstanceId, MemberId};
use super::member::{Member, Protocol};
use super::memory::{Charge, MemberMemory};
use super::offsets::Offsets;
use super::subscription::topics_of;
use protocol::ErrorCode;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Protocol type of consumers; their metadata is readable to the coordinator.
pub(crate) const CONSUMER: &str = "consumer";

/// Where a group is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No members; maybe offsets.
    Empty,
    /// Members are expected to (re)join.
    PreparingRebalance {
        /// Set while a group that was empty waits for company.
        initial: Option<InitialDelay>,
    },
    /// The generation is formed; the leader owes the assignment.
    CompletingRebalance {
        /// What it agreed on.
        formed: Formed,
        /// Whether the leader sent the assignment, so that its record is being written.
        storing: bool,
    },
    /// The assignment is durable.
    Stable(Formed),
}

/// `group.initial.rebalance.delay.ms` at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InitialDelay {
    /// Length of the delay that is running.
    pub(crate) delay_ms: u64,
    /// What may still be waited after it.
    pub(crate) remaining_ms: u64,
    /// Whether a member arrived since it began, which extends it.
    pub(crate) joined_since: bool,
}

/// What a generation agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Formed {
    /// The protocol every member supports.
    pub(crate) protocol: Arc<str>,
    /// Members that did not send SyncGroup yet.
    pub(crate) unsynced: BTreeSet<MemberId>,
}

/// One group: a classic one, unless it has `consumer`.
#[derive(Debug)]
pub(crate) struct Group {
    /// Its name.
    pub(crate) id: GroupId,
    /// Which group of that name.
    pub(crate) incarnation: Incarnation,
    /// Partition of `__consumer_offsets` that holds it.
    pub(crate) partition: i32,
    /// Of the first member; none for a group that only ever stored offsets.
    pub(crate) protocol_type: Option<Arc<str>>,
    /// Grows with every completed join phase, also the one that empties the group.
    pub(crate) generation: i32,
    /// Who joined. Ordered, so that every choice among members is reproducible.
    pub(crate) members: BTreeMap<MemberId, Member>,
    /// Invariant: exactly the members with an instance, by it.
    pub(crate) statics: HashMap<InstanceId, MemberId>,
    /// Ids handed out with MEMBER_ID_REQUIRED. Invariant: disjoint from `members`.
    pub(crate) expected: BTreeSet<MemberId>,
    /// Invariant: a member, unless there is none.
    pub(crate) leader: Option<MemberId>,
    /// Where it is.
    pub(crate) state: State,
    /// Since when it is there, in milliseconds of the wall clock; unknown after old records.
    pub(crate) since_wall_ms: Option<i64>,
    /// What it committed.
    pub(crate) offsets: Offsets,
    /// Its state while it has the new protocol. Invariant: then the classic part is Empty.
    pub(crate) consumer: Option<Box<ConsumerGroup>>,
}

impl Group {
    /// A group without members and offsets.
    pub(crate) fn new(id: GroupId, incarnation: Incarnation, partition: i32, since_wall_ms: Option<i64>) -> Self {
        Self {
            id,
            incarnation,
            partition,
            protocol_type: None,
            generation: 0,
            members: BTreeMap::new(),
            statics: HashMap::new(),
            expected: BTreeSet::new(),
            leader: None,
            state: State::Empty,
            since_wall_ms,
            offsets: Offsets::default(),
            consumer: None,
        }
    }

    /// Enters a state.
    pub(crate) fn enter(&mut self, state: State, wall_ms: i64) {
        self.state = state;
        self.since_wall_ms = Some(wall_ms);
    }

    /// Whether it is Empty.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.consumer {
            Some(consumer) => consumer.members.is_empty(),
            None => self.state == State::Empty,
        }
    }

    /// Kafka's name of its state.
    pub(crate) fn state_name(&self) -> &'static str {
        if let Some(consumer) = &self.consumer {
            return consumer.state_name();
        }
        match self.state {
            State::Empty => "Empty",
            State::PreparingRebalance { .. } => "PreparingRebalance",
            State::CompletingRebalance { .. } => "CompletingRebalance",
            State::Stable(_) => "Stable",
        }
    }

    /// What the current generation agreed on; none between generations.
    pub(crate) fn formed_mut(&mut self) -> Option<&mut Formed> {
        match &mut self.state {
            State::CompletingRebalance { formed, .. } | State::Stable(formed) => Some(formed),
            State::Empty | State::PreparingRebalance { .. } => None,
        }
    }

    /// The protocol of the current generation.
    pub(crate) fn protocol(&self) -> Option<&Arc<str>> {
        match &self.state {
            State::CompletingRebalance { formed, .. } | State::Stable(formed) => Some(&formed.protocol),
            State::Empty | State::PreparingRebalance { .. } => None,
        }
    }

    /// Whether it is being rebalanced and members may still join.
    pub(crate) fn is_preparing(&self) -> bool {
        matches!(self.state, State::PreparingRebalance { .. })
    }

    /// Adds a member. The first one is the leader and decides the protocol type.
    pub(crate) fn add(&mut self, id: MemberId, member: Member, protocol_type: &Arc<str>) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.clone());
        }
        if let Some(instance) = &member.instance {
            let old = self.statics.insert(instance.clone(), id.clone());
            assert!(old.is_none(), "an instance has one member");
        }
        self.expected.remove(&id);
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id, member);
    }

    /// Takes a member, or an expected one, out. A lost leader is replaced by any other member.
    pub(crate) fn remove(&mut self, id: &MemberId) -> Option<Member> {
        self.expected.remove(id);
        if let Some(formed) = self.formed_mut() {
            formed.unsynced.remove(id);
        }
        let member = self.members.remove(id)?;
        if let Some(instance) = &member.instance {
            self.statics.remove(instance);
        }
        if self.leader.as_ref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Checks that a request is from a member of the group (KIP-345 for those with an instance).
    pub(crate) fn check_member(&self, id: &MemberId, instance: Option<&InstanceId>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            let current = self.statics.get(instance).ok_or(ErrorCode::UnknownMemberId)?;
            if current != id {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        if self.members.contains_key(id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// What the member with that id, or of that instance, costs.
    pub(crate) fn charge_of(&self, id: &MemberId, instance: Option<&InstanceId>) -> Option<&Charge> {
        match &self.consumer {
            Some(consumer) => consumer.charge_of(id, instance),
            None => self.members.get(instance.and_then(|i| self.statics.get(i)).unwrap_or(id)).map(|m| &m.charge),
        }
    }

    /// All members cost what they say now: they came from records, or from the other protocol.
    pub(crate) fn charge_all_to(&mut self, memory: &MemberMemory) {
        self.members.values_mut().for_each(|member| member.charge_to(memory));
        self.consumer.iter_mut().flat_map(|state| state.members.values_mut()).for_each(|m| m.charge_to(memory));
    }

    /// Whether `id` leads.
    pub(crate) fn is_leader(&self, id: &MemberId) -> bool {
        self.leader.as_ref() == Some(id)
    }

    /// Members whose JoinGroup waits.
    pub(crate) fn joined_count(&self) -> usize {
        self.members.values().filter(|m| m.awaits_join()).count()
    }

    /// Whether the join phase has nobody left to wait for.
    pub(crate) fn all_joined(&self) -> bool {
        self.expected.is_empty() && self.members.values().all(Member::awaits_join)
    }

    /// The longest rebalance timeout of its members, in milliseconds.
    pub(crate) fn rebalance_timeout_ms(&self) -> u64 {
        let longest = self.members.values().map(|m| m.rebalance_timeout_ms).max();
        super::effects::timeout_ms(longest.unwrap_or(0))
    }

    /// Whether a member with these protocols fits in.
    pub(crate) fn accepts(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|p| self.members.values().all(|m| m.supports(&p.name)))
    }

    /// The protocol with the most votes among those that everybody supports. A tie goes to the one that the leader
    /// prefers; in Kafka it depends on a hash map.
    pub(crate) fn elect_protocol(&self) -> Option<Arc<str>> {
        let leader = self.members.get(self.leader.as_ref()?)?;
        let common = leader.protocols.iter().map(|p| p.name.clone());
        let candidates: BTreeSet<_> = common.filter(|p| self.members.values().all(|m| m.supports(p))).collect();
        let mut votes: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for vote in self.members.values().filter_map(|m| m.vote(&candidates)) {
            *votes.entry(vote).or_default() += 1;
        }
        let most = votes.values().max()?;
        let winners = |name: &Arc<str>| votes.get(name) == Some(most);
        leader.protocols.iter().map(|p| &p.name).find(|name| winners(name)).cloned()
    }

    /// Whether a member of the group reads the topic. A consumer group whose subscriptions cannot be read counts as
    /// reading every topic.
    pub(crate) fn reads(&self, topic: &str) -> bool {
        if let Some(consumer) = &self.consumer {
            return consumer.reads(topic);
        }
        if self.protocol_type.as_deref() != Some(CONSUMER) {
            return false;
        }
        match self.subscribed() {
            Some(topics) => topics.contains(topic),
            None => true,
        }
    }

    /// Topics that the members of a consumer group read, where that is known.
    pub(crate) fn subscribed(&self) -> Option<BTreeSet<String>> {
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol()?;
        let mut all = BTreeSet::new();
        for member in self.members.values() {
            all.extend(topics_of(&member.metadata(protocol))?);
        }
        Some(all)
    }
}
