//! Who comes and who goes: new members, static members under a new id, members that leave or fall silent.

use super::member::{ConsumerMember, Facts, LEFT_FOR_NOW, Progress};
use super::partitions::{self, Partitions};
use super::records;
use super::state::{ConsumerGroup, Owner, Refused, Turn};
use crate::group::effects::{Effects, timeout_ms};
use crate::group::ids::{GroupId, InstanceId, MemberId};
use crate::group::timers::Timer;
use protocol::ErrorCode;
use std::sync::Arc;

/// Whose place a member takes that joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its own: it is new, or was there.
    Own,
    /// That of the static member of its instance, which it replaces.
    Of(MemberId),
}

impl ConsumerGroup {
    /// Whether a member may join under this id, and whose place it takes. Changes nothing.
    pub(super) fn place_for(
        &self,
        id: &MemberId,
        instance: Option<&InstanceId>,
        is_classic: bool,
    ) -> Result<Place, Refused> {
        let Some(current) = instance.and_then(|instance| self.statics.get(instance)).filter(|current| *current != id)
        else {
            return Ok(Place::Own);
        };
        let Some(member) = self.members.get(current) else { return Ok(Place::Own) };
        // Members of the classic protocol never say that they will be back, so that their instance is taken over without.
        if !is_classic && !member.is_classic() && member.epoch != LEFT_FOR_NOW {
            let message =
                format!("the instance is in use by member {current}; it must leave, or its session must end, first");
            return Err(Refused::new(ErrorCode::UnreleasedInstanceId, message));
        }
        Ok(Place::Of(current.clone()))
    }

    /// Whether a heartbeat of this epoch is of the member as it is. An answer may have been lost: the epoch before is fine as long
    /// as the member uses nothing that is not its own.
    pub(super) fn check_epoch(member: &ConsumerMember, epoch: i32, owned: Option<&Partitions>) -> Result<(), Refused> {
        let is_current = epoch == member.epoch;
        let missed_answer = epoch == member.previous_epoch
            && epoch < member.epoch
            && owned.is_some_and(|owned| partitions::is_subset(owned, &member.assigned));
        if is_current || missed_answer || marks::planted!("broker: listen to a member of an old epoch") {
            return Ok(());
        }
        marks::reached!("broker: a member of an old epoch was fenced");
        let message = format!(
            "the member epoch is {epoch} and should be {}; give all partitions up and join again with epoch 0",
            member.epoch
        );
        Err(Refused::new(ErrorCode::FencedMemberEpoch, message))
    }

    /// A static member comes back under another id, and has what it had.
    pub(super) fn replace(&mut self, turn: &mut Turn<'_>, old: &MemberId, new: &MemberId) {
        let target = self.targets.get(old).cloned();
        let since: Vec<_> =
            self.owners.iter().filter(|(_, owner)| owner.member == *old).map(|(at, o)| (*at, o.since)).collect();
        let Some(mut member) = self.take(old) else { return };
        cancel_timers(turn.fx, turn.group, old);
        turn.records.extend(records::member_tombstones(turn.group, old));
        (member.epoch, member.previous_epoch) = (0, 0);
        let facts = member.facts.clone();
        self.members.insert(new.clone(), ConsumerMember { facts: Facts::unknown(), ..member });
        self.put_facts(new, facts.clone());
        self.owners.extend(since.into_iter().map(|(at, since)| (at, Owner { member: new.clone(), since })));
        turn.records.push(records::member(turn.group, new, &facts));
        if let Some(target) = target {
            turn.records.push(records::target(turn.group, new, &target));
            self.targets.insert(new.clone(), target);
        }
        turn.records.extend(records::current(turn.group, new, self));
    }

    /// A static member comes back under its own id: it uses nothing, like one under a new id.
    pub(super) fn come_back(&mut self, id: &MemberId) {
        if let Some(member) = self.members.get_mut(id).filter(|member| member.epoch == LEFT_FOR_NOW) {
            (member.epoch, member.previous_epoch) = (0, 0);
        }
    }

    /// Takes over what a member says about itself. Whether it subscribes to something else than before, or is new.
    pub(super) fn update(&mut self, turn: &mut Turn<'_>, id: &MemberId, facts: Facts) -> bool {
        let before = self.members.get(id).map(|member| &member.facts);
        if before == Some(&facts) {
            return false;
        }
        let subscribes_otherwise = before.is_none_or(|before| before.subscribes_otherwise(&facts));
        let gone = before.and_then(|before| before.pattern().cloned());
        let come = facts.pattern().cloned();
        turn.records.push(records::member(turn.group, id, &facts));
        self.put_facts(id, facts);
        self.members.get_mut(id).into_iter().for_each(|member| member.charge_to(&turn.fx.memory));
        self.follow_patterns(turn, gone, come);
        subscribes_otherwise
    }

    /// A member is gone for good: what it had is free.
    pub(super) fn fence(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        cancel_timers(turn.fx, turn.group, id);
        let Some(member) = self.take(id) else { return };
        turn.records.extend(records::member_tombstones(turn.group, id));
        self.follow_patterns(turn, member.facts.pattern().cloned(), None);
        self.look_at_topics(turn, true);
        self.bump_epoch(turn);
    }

    /// A static member goes and says that it will be back: it keeps its share until its session ends.
    pub(super) fn leave_for_now(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        turn.fx.timers.cancel(Timer::Rebalance(turn.group.clone(), id.clone()));
        let Some(member) = self.members.get_mut(id) else { return };
        member.epoch = LEFT_FOR_NOW;
        let assigned = member.assigned.clone();
        if member.progress == Progress::Unrevoked {
            member.progress = Progress::Unreleased;
        }
        self.hold(id, assigned, Partitions::new());
        turn.records.extend(records::current(turn.group, id, self));
    }

    /// Begins a member's session anew.
    pub(crate) fn restart_session(&self, fx: &mut Effects, group: &GroupId, id: &MemberId) {
        let Some(member) = self.members.get(id) else { return };
        let session_ms = match &member.facts.classic {
            Some(classic) => timeout_ms(classic.session_timeout_ms),
            None => fx.group_config(group).session_timeout_ms,
        };
        fx.set_timer(Timer::Session(group.clone(), id.clone()), session_ms);
    }
}

/// Ends whatever is being waited for of a member.
pub(crate) fn cancel_timers(fx: &mut Effects, group: &GroupId, id: &MemberId) {
    for timer in [Timer::Session, Timer::Rebalance, Timer::MemberSync] {
        fx.timers.cancel(timer(group.clone(), id.clone()));
    }
}

/// A text, or what was there before where nothing came.
pub(super) fn newer(said: Option<&str>, before: &Option<Arc<str>>) -> Option<Arc<str>> {
    match said {
        Some(said) if before.as_deref() == Some(said) => before.clone(),
        Some(said) => Some(said.into()),
        None => before.clone(),
    }
}
