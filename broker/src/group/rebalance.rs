//! The join phase: how a rebalance begins, who is waited for, and how the next generation is formed. What members ask for is
//! in `join`, `sync` and `leave`.

use super::effects::{Effects, Pending, Reply, Then, timeout_ms};
use super::ids::MemberId;
use super::join::{JoinReply, JoinedMember};
use super::limits::REJOIN_WAIT_MS_MIN;
use super::member::{Awaiting, Member};
use super::records;
use super::state::{Formed, Group, InitialDelay, State};
use super::sync::SyncReply;
use super::timers::Timer;
use protocol::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Group {
    /// Something changed that concerns every member: begin a rebalance, or see whether the one under way is complete.
    pub(crate) fn rebalance(&mut self, fx: &mut Effects, reason: &str) {
        if self.is_preparing() {
            self.complete_join_if_all_joined(fx);
        } else {
            self.prepare_rebalance(fx, reason);
        }
    }

    /// Asks everybody to join again.
    pub(crate) fn prepare_rebalance(&mut self, fx: &mut Effects, reason: &str) {
        assert!(!self.is_preparing(), "a rebalance begins once");
        tracing::info!(group = %self.id, generation = self.generation, from = self.state_name(), reason, "rebalance begins");
        if matches!(self.state, State::CompletingRebalance { .. }) {
            self.refuse_syncs(fx, ErrorCode::RebalanceInProgress);
        }
        fx.timers.cancel(Timer::Sync(self.id.clone()));
        if self.is_empty() {
            return self.await_company(fx);
        }
        self.enter(State::PreparingRebalance { initial: None }, fx.now.wall_ms);
        if self.all_joined() {
            self.complete_join(fx);
        } else {
            fx.set_timer(Timer::Join(self.id.clone()), self.rebalance_timeout_ms());
        }
    }

    /// The first member of an empty group: more are likely to follow at once, so wait for them.
    fn await_company(&mut self, fx: &mut Effects) {
        let delay_ms = fx.settings.initial_rebalance_delay_ms;
        let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms);
        let initial = Some(InitialDelay { delay_ms, remaining_ms, joined_since: false });
        self.enter(State::PreparingRebalance { initial }, fx.now.wall_ms);
        fx.set_timer(Timer::Join(self.id.clone()), delay_ms);
    }

    /// The join timer fired.
    pub(crate) fn on_join_timeout(&mut self, fx: &mut Effects) {
        let State::PreparingRebalance { initial } = &mut self.state else { return };
        match initial {
            Some(delay) if delay.joined_since && delay.remaining_ms > 0 => {
                let next_ms = fx.settings.initial_rebalance_delay_ms.min(delay.remaining_ms);
                let remaining_ms = delay.remaining_ms.saturating_sub(delay.delay_ms);
                *delay = InitialDelay { delay_ms: next_ms, remaining_ms, joined_since: false };
                fx.set_timer(Timer::Join(self.id.clone()), next_ms);
            }
            Some(_) | None => self.complete_join(fx),
        }
    }

    /// Ends the join phase early, unless it is the initial one, which only time ends.
    pub(crate) fn complete_join_if_all_joined(&mut self, fx: &mut Effects) {
        if self.state == (State::PreparingRebalance { initial: None }) && self.all_joined() {
            self.complete_join(fx);
        }
    }

    /// Forms the next generation from those who joined. Static members keep their place until their session ends.
    pub(crate) fn complete_join(&mut self, fx: &mut Effects) {
        assert!(self.is_preparing(), "only a join phase can be completed");
        fx.timers.cancel(Timer::Join(self.id.clone()));
        let late = self.members.iter().filter(|(_, m)| !m.awaits_join() && m.instance.is_none());
        for id in late.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.remove(&id);
            fx.timers.cancel(Timer::Session(self.id.clone(), id));
        }
        if self.members.is_empty() {
            self.become_empty(fx);
        } else if self.elect_joined_leader() {
            self.form_generation(fx);
        } else {
            tracing::warn!(group = %self.id, "no member rejoined; waiting once more");
            fx.set_timer(Timer::Join(self.id.clone()), self.rebalance_timeout_ms().max(REJOIN_WAIT_MS_MIN));
        }
    }

    /// Makes sure that the leader is among those who joined. Fails when nobody is.
    fn elect_joined_leader(&mut self) -> bool {
        let joined = |m: Option<&Member>| m.is_some_and(Member::awaits_join);
        if !joined(self.leader.as_ref().and_then(|id| self.members.get(id))) {
            let other = self.members.iter().find(|(_, m)| m.awaits_join());
            let Some((id, _)) = other else { return false };
            self.leader = Some(id.clone());
        }
        true
    }

    /// The next generation. One past the largest is the first: negative ones are what clients without a generation say.
    fn advance_generation(&mut self) {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
    }

    fn become_empty(&mut self, fx: &mut Effects) {
        self.advance_generation();
        self.enter(State::Empty, fx.now.wall_ms);
        tracing::info!(group = %self.id, generation = self.generation, "group is empty");
        let record = records::group_metadata(self, &BTreeMap::new());
        fx.append(self.partition, vec![record], self.pending(Then::Nothing));
    }

    #[expect(clippy::expect_used, reason = "a member is only let in with a protocol that all others support")]
    fn form_generation(&mut self, fx: &mut Effects) {
        self.advance_generation();
        let protocol = self.elect_protocol().expect("members share a protocol");
        let unsynced = self.members.keys().cloned().collect();
        let formed = Formed { protocol, unsynced };
        self.enter(State::CompletingRebalance { formed, storing: false }, fx.now.wall_ms);
        if self.members.len() > 1 {
            marks::reached!("broker: a generation of several members formed");
        }
        tracing::info!(group = %self.id, generation = self.generation, members = self.members.len(), "generation formed");
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            self.answer_join(fx, &id);
            self.restart_session(fx, &id);
        }
        fx.set_timer(Timer::Sync(self.id.clone()), self.rebalance_timeout_ms());
    }

    /// Answers a member's waiting JoinGroup with the generation just formed.
    fn answer_join(&mut self, fx: &mut Effects, id: &MemberId) {
        let reply = self.current_generation(id);
        let Some(member) = self.members.get_mut(id) else { return };
        member.is_new = false;
        if let Awaiting::Join(ticket) = member.awaiting {
            member.awaiting = Awaiting::Nothing;
            fx.reply(ticket, Reply::Join(reply));
        }
    }

    /// The answer to a JoinGroup that finds its member in the current generation; the leader learns of all members.
    pub(crate) fn current_generation(&self, id: &MemberId) -> JoinReply {
        JoinReply {
            error: ErrorCode::None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol().cloned(),
            leader: self.leader.as_ref().map(ToString::to_string).unwrap_or_default(),
            skip_assignment: false,
            member: id.to_string(),
            members: if self.is_leader(id) { self.joined_members() } else { Vec::new() },
        }
    }

    /// All members with what they sent for the current protocol.
    pub(crate) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol: &str = self.protocol().map_or("", |p| p);
        let joined = |(id, m): (&MemberId, &Member)| JoinedMember {
            member: id.clone(),
            instance: m.instance.clone(),
            metadata: m.metadata(protocol),
        };
        self.members.iter().map(joined).collect()
    }

    /// Answers all waiting SyncGroups with an error; nobody has an assignment any more.
    pub(crate) fn refuse_syncs(&mut self, fx: &mut Effects, error: ErrorCode) {
        let empty: Arc<[u8]> = Arc::from([]);
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.assignment = empty.clone();
            if let Awaiting::Sync(ticket) = member.awaiting {
                member.awaiting = Awaiting::Nothing;
                fx.reply(ticket, Reply::Sync(SyncReply::error(error)));
                self.restart_session(fx, &id);
            }
        }
    }

    /// A member goes: whatever request of it waits is answered, so that it can come back, and its timer ends.
    pub(crate) fn dismiss(&mut self, fx: &mut Effects, id: &MemberId) {
        fx.timers.cancel(Timer::Session(self.id.clone(), id.clone()));
        if let Some(member) = self.remove(id) {
            refuse_awaiting(fx, member.awaiting, "", ErrorCode::UnknownMemberId);
        }
    }

    /// The member was heard of.
    pub(crate) fn restart_session(&self, fx: &mut Effects, id: &MemberId) {
        if let Some(member) = self.members.get(id) {
            let timer = Timer::Session(self.id.clone(), id.clone());
            fx.set_timer(timer, timeout_ms(member.session_timeout_ms));
        }
    }

    /// The member was not heard of for its session timeout.
    pub(crate) fn on_session_timeout(&mut self, fx: &mut Effects, id: &MemberId) {
        if !self.expected.contains(id) && self.members.get(id).is_none_or(Member::is_excused) {
            return;
        }
        tracing::info!(group = %self.id, member = %id, "member timed out");
        let was_member = self.members.contains_key(id);
        self.dismiss(fx, id);
        if self.is_preparing() {
            // Kafka ends even the initial delay here.
            if self.all_joined() {
                self.complete_join(fx);
            }
        } else if was_member {
            self.prepare_rebalance(fx, "a member timed out");
        }
    }

    /// Members that never sent SyncGroup for this generation are taken for gone.
    pub(crate) fn on_sync_timeout(&mut self, fx: &mut Effects) {
        let Some(formed) = self.formed_mut() else { return };
        let silent: Vec<MemberId> = formed.unsynced.iter().cloned().collect();
        if silent.is_empty() {
            return;
        }
        for id in &silent {
            self.dismiss(fx, id);
        }
        self.prepare_rebalance(fx, "members did not send SyncGroup in time");
    }

    /// What is remembered of an append of this group.
    pub(crate) fn pending(&self, then: Then) -> Pending {
        Pending { group: self.id.clone(), incarnation: self.incarnation, then }
    }
}

/// Answers the waiting request of a member with an error. `told_id` is the member id that a JoinGroup is told.
pub(crate) fn refuse_awaiting(fx: &mut Effects, awaiting: Awaiting, told_id: &str, error: ErrorCode) {
    match awaiting {
        Awaiting::Nothing => {}
        Awaiting::Join(ticket) => fx.reply(ticket, Reply::Join(JoinReply::error(told_id, error))),
        Awaiting::Sync(ticket) => fx.reply(ticket, Reply::Sync(SyncReply::error(error))),
    }
}
