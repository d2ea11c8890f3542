//! A consumer group: members, targets, who holds which partition. How it changes is in `membership`, `advance` and
//! `subscriptions`; what of it is written down, in `records`.

use super::member::{ConsumerMember, Facts};
use super::partitions::Partitions;
use super::subscriptions::Resolved;
use crate::group::effects::Effects;
use crate::group::ids::{AppendToken, GroupId, InstanceId, MemberId};
use crate::group::memory::Charge;
use crate::group::records::Record;
use protocol::{ErrorCode, Uuid};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Who holds a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The member.
    pub(crate) member: MemberId,
    /// Epoch in which it was given it: a commit of an earlier epoch is a former owner's (KIP-1251).
    pub(crate) since: i32,
}

/// The part of a group that only the new protocol has.
#[derive(Debug, Default)]
pub(crate) struct ConsumerGroup {
    /// Grows with every change of members, subscriptions and topics.
    pub(crate) epoch: i32,
    /// What the subscribed topics came to, as a hash, when last looked at.
    pub(crate) topics_hash: i64,
    /// The group epoch that the targets are for. Invariant: at most `epoch`.
    pub(crate) assignment_epoch: i32,
    /// When they were computed, in milliseconds of the wall clock; 0 if never.
    pub(crate) assigned_wall_ms: i64,
    /// By id.
    pub(crate) members: BTreeMap<MemberId, ConsumerMember>,
    /// Invariant: exactly the members with an instance, by it.
    pub(crate) statics: HashMap<InstanceId, MemberId>,
    /// What each member is to have; absent is nothing. Invariant: keys are members.
    pub(crate) targets: HashMap<MemberId, Arc<Partitions>>,
    /// Invariant: exactly what the members hold, assigned or being revoked. So no partition has two holders.
    pub(crate) owners: HashMap<(Uuid, i32), Owner>,
    /// How many members subscribe to a topic by name.
    pub(crate) names: HashMap<Arc<str>, usize>,
    /// What the members' patterns match. Invariant: exactly the patterns of members.
    pub(crate) patterns: BTreeMap<Arc<str>, Resolved>,
    /// The change of topics up to which the subscriptions were looked at.
    pub(crate) topics_seen: u64,
    /// When the patterns were last matched, in monotonic milliseconds.
    pub(crate) matched_ms: u64,
    /// A record was refused: everything is to be written again.
    pub(crate) unsaved: bool,
    /// Members that are gone and whose tombstones are not known to be durable.
    pub(crate) gone: BTreeSet<MemberId>,
    /// The last append that was asked for.
    pub(crate) last_append: Option<AppendToken>,
}

/// One step of a consumer group: what it may touch, and what it has to write down.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    /// Timers, settings, topics, the time.
    pub(crate) fx: &'a mut Effects,
    /// The group's name.
    pub(crate) group: &'a GroupId,
    /// Records so far.
    pub(crate) records: Vec<Record>,
}

impl<'a> Turn<'a> {
    /// A step that has written nothing yet.
    pub(crate) fn new(fx: &'a mut Effects, group: &'a GroupId) -> Self {
        Turn { fx, group, records: Vec::new() }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The code.
    pub(crate) error: ErrorCode,
    /// What was got, what was expected, what to do.
    pub(crate) message: Option<String>,
}

impl Refused {
    /// With words.
    pub(crate) fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        Refused { error, message: Some(message.into()) }
    }
}

impl From<ErrorCode> for Refused {
    fn from(error: ErrorCode) -> Self {
        Refused { error, message: None }
    }
}

impl ConsumerGroup {
    /// Kafka's name of its state.
    pub(crate) fn state_name(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.assignment_epoch {
            "Assigning"
        } else if self.members.values().all(|member| member.has_reached(self.assignment_epoch)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// What the member with that id, or of that instance, costs.
    pub(crate) fn charge_of(&self, id: &MemberId, instance: Option<&InstanceId>) -> Option<&Charge> {
        self.members.get(instance.and_then(|i| self.statics.get(i)).unwrap_or(id)).map(|member| &member.charge)
    }

    /// Adds a member, or takes over what it says now.
    pub(crate) fn put_facts(&mut self, id: &MemberId, facts: Facts) {
        self.forget_facts(id);
        if let Some(instance) = &facts.instance {
            self.statics.insert(instance.clone(), id.clone());
        }
        for name in facts.names.iter() {
            *self.names.entry(name.clone()).or_default() += 1;
        }
        match self.members.get_mut(id) {
            Some(member) => member.facts = facts,
            None => _ = self.members.insert(id.clone(), ConsumerMember::new(facts)),
        }
    }

    fn forget_facts(&mut self, id: &MemberId) {
        let Some(member) = self.members.get(id) else { return };
        if let Some(instance) = &member.facts.instance
            && self.statics.get(instance) == Some(id)
        {
            self.statics.remove(instance);
        }
        for name in member.facts.names.iter() {
            if let Some(count) = self.names.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.names.remove(name);
                }
            }
        }
    }

    /// Takes a member out, with everything that refers to it but its pattern.
    pub(crate) fn take(&mut self, id: &MemberId) -> Option<ConsumerMember> {
        self.forget_facts(id);
        let member = self.members.remove(id)?;
        self.gone.insert(id.clone());
        self.targets.remove(id);
        for at in member.held() {
            self.owners.remove(&at);
        }
        Some(member)
    }

    /// Changes what a member has, and who holds what with it. What is new to it, it has since its new epoch.
    pub(crate) fn hold(&mut self, id: &MemberId, assigned: Partitions, revoking: Partitions) {
        let Some(member) = self.members.get_mut(id) else { return };
        let before: Vec<(Uuid, i32)> = member.held().collect();
        (member.assigned, member.revoking) = (assigned, revoking);
        let mut since = HashMap::new();
        for at in before {
            since.extend(self.owners.remove(&at).map(|owner| (at, owner.since)));
        }
        for at in member.held() {
            let since = since.get(&at).copied().unwrap_or(member.epoch);
            let other = self.owners.insert(at, Owner { member: id.clone(), since });
            assert!(other.is_none() || cfg!(planted), "partition {} of {} has one holder", at.1, at.0);
        }
    }

    /// Whether anybody reads the topic.
    pub(crate) fn reads(&self, topic: &str) -> bool {
        self.names.contains_key(topic) || self.patterns.values().any(|resolved| resolved.topics.contains(topic))
    }

    /// Whether there are members, and all of them speak the classic protocol.
    pub(crate) fn is_all_classic(&self) -> bool {
        !self.members.is_empty() && self.members.values().all(ConsumerMember::is_classic)
    }

    /// The member that a request names, by instance where it names one.
    pub(crate) fn find(&self, id: &MemberId, instance: Option<&InstanceId>) -> Result<&ConsumerMember, Refused> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(unknown(id)),
                Some(current) if current != id => {
                    let message = format!("instance {instance} is member {current} now; {id} must stop");
                    return Err(Refused::new(ErrorCode::FencedInstanceId, message));
                }
                Some(_) => {}
            }
        }
        self.members.get(id).ok_or_else(|| unknown(id))
    }
}

fn unknown(id: &MemberId) -> Refused {
    Refused::new(ErrorCode::UnknownMemberId, format!("{id} is not a member of the group; join again with epoch 0"))
}
