//! Members of the classic protocol in a group of the new one, while consumers are restarted one by one (KIP-848): JoinGroup is a
//! heartbeat that tells everything, its answer names the member's epoch as the generation, and SyncGroup fetches what the
//! coordinator assigned. Nobody leads.

use super::member::{Classic, ConsumerMember, Facts, Progress, sorted_names};
use super::membership::{Place, newer};
use super::migrate;
use super::partitions::Partitions;
use super::state::{ConsumerGroup, Turn};
use super::store::Held;
use crate::group::coordinator::Coordinator;
use crate::group::effects::{Effects, Reply, timeout_ms};
use crate::group::heartbeat::HeartbeatRequest;
use crate::group::ids::{InstanceId, MemberId, Ticket};
use crate::group::join::{JoinReply, JoinRequest, MEMBER_ID_REQUIRED_SINCE};
use crate::group::leave::Leaving;
use crate::group::limits::SUBSCRIPTION_BYTES_MAX;
use crate::group::member::Protocol;
use crate::group::state::{CONSUMER, Group};
use crate::group::sync::{SyncReply, SyncRequest};
use crate::group::timers::Timer;
use protocol::ErrorCode;

impl Coordinator {
    /// JoinGroup in a group of the new protocol. False when the group is, or has just become, a classic one that has to deal with it.
    pub(crate) fn join_consumer_group(&mut self, to: Ticket, request: &JoinRequest) -> bool {
        let Some(group) = self.groups.get_mut(&request.group) else { return false };
        group.become_classic(&mut self.fx);
        let Some(state) = &group.consumer else { return false };
        let told_id = request.member.as_str();
        let (id, place) = match state.check_classic_join(&mut self.fx, request) {
            Ok(admitted) => admitted,
            Err(ErrorCode::MemberIdRequired) => {
                let id = self.fx.ids.next(&request.client_id);
                let reply = JoinReply::error(id.as_str(), ErrorCode::MemberIdRequired);
                self.fx.reply(to, Reply::Join(reply));
                return true;
            }
            Err(error) => {
                self.fx.reply(to, Reply::Join(JoinReply::error(told_id, error)));
                return true;
            }
        };
        if let Place::Of(old) = &place
            && state.members.iter().all(|(other, member)| other == old || member.is_classic())
            && state.members.get(old).is_some_and(|member| !member.is_classic())
            && self.fx.settings.consumer.migration.downgrades
        {
            let old = old.clone();
            group.yield_instance(&mut self.fx, &old);
            group.become_classic(&mut self.fx);
            return group.consumer.is_some();
        }
        let Group { consumer: Some(state), id: name, .. } = &mut *group else { return false };
        let mut turn = Turn::new(&mut self.fx, name);
        if let Place::Of(old) = place {
            state.replace(&mut turn, &old, &id);
        }
        let reply = state.classic_join(&mut turn, &id, request);
        let records = turn.records;
        group.store(&mut self.fx, records, Some(Held { to, reply: Reply::Join(reply) }));
        true
    }
}

impl ConsumerGroup {
    /// The id and the place of a member that may join; changes nothing but the source of ids.
    fn check_classic_join(&self, fx: &mut Effects, request: &JoinRequest) -> Result<(MemberId, Place), ErrorCode> {
        let is_unnamed = request.member.as_str().is_empty();
        let subscription = request.protocols.first().map(|p| migrate::subscription(&p.metadata));
        let Some(Ok(_)) = subscription else { return Err(ErrorCode::InconsistentGroupProtocol) };
        if &*request.protocol_type != CONSUMER || !self.supports(&request.member, &request.protocols) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let bytes: usize = request.protocols.iter().map(|p| p.name.len() + p.metadata.len()).sum();
        if bytes > SUBSCRIPTION_BYTES_MAX {
            return Err(ErrorCode::InvalidRequest);
        }
        if is_unnamed && request.instance.is_none() && request.version >= MEMBER_ID_REQUIRED_SINCE {
            return Err(ErrorCode::MemberIdRequired);
        }
        if !is_unnamed && request.instance.is_some() {
            self.find(&request.member, request.instance.as_ref()).map_err(|refused| refused.error)?;
        }
        let prefix = request.instance.as_ref().map_or(&*request.client_id, InstanceId::as_str);
        let id = if is_unnamed { fx.ids.next(prefix) } else { request.member.clone() };
        let place = self.place_for(&id, request.instance.as_ref(), true).map_err(|refused| refused.error)?;
        let is_more = place == Place::Own && !self.members.contains_key(&id);
        if is_more && self.members.len() >= fx.settings.consumer.members_max {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        Ok((id, place))
    }

    /// Whether all other members of the classic protocol support one of these: the group may go back to it.
    fn supports(&self, id: &MemberId, protocols: &[Protocol]) -> bool {
        let others =
            || self.members.iter().filter(|(other, _)| *other != id).filter_map(|(_, m)| m.facts.classic.as_ref());
        let has = |classic: &Classic, name: &str| classic.protocols.iter().any(|p| &*p.name == name);
        protocols.iter().any(|p| others().all(|classic| has(classic, &p.name)))
    }

    fn classic_join(&mut self, turn: &mut Turn<'_>, id: &MemberId, request: &JoinRequest) -> JoinReply {
        let before = self.members.get(id).map(|member| &member.facts);
        let (facts, owned) = classic_facts(turn.fx, before, request);
        let subscription_changed = self.update(turn, id, facts);
        self.advance(turn, id, subscription_changed, Some(&owned));
        turn.fx.timers.cancel(Timer::Rebalance(turn.group.clone(), id.clone()));
        self.restart_session(turn.fx, turn.group, id);
        let sync = Timer::MemberSync(turn.group.clone(), id.clone());
        turn.fx.set_timer(sync, timeout_ms(request.rebalance_timeout_ms));
        JoinReply {
            error: ErrorCode::None,
            generation: self.members.get(id).map_or(-1, |member| member.epoch),
            protocol_type: Some(CONSUMER.into()),
            protocol: request.protocols.first().map(|p| p.name.clone()),
            leader: String::new(),
            skip_assignment: false,
            member: id.to_string(),
            members: Vec::new(),
        }
    }

    /// The classic member that a request names, in the generation that it names.
    fn find_classic(
        &self,
        id: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(&ConsumerMember, &Classic), ErrorCode> {
        let member = self.find(id, instance).map_err(|refused| refused.error)?;
        let classic = member.facts.classic.as_ref().ok_or(ErrorCode::UnknownMemberId)?;
        Ok((member, classic))
    }

    /// A member has to join again, within its rebalance timeout from when it was first told.
    fn await_join(&self, fx: &mut Effects, group: &crate::group::ids::GroupId, id: &MemberId, member: &ConsumerMember) {
        let timer = Timer::Rebalance(group.clone(), id.clone());
        if !fx.timers.is_set(&timer) {
            fx.set_timer(timer, timeout_ms(member.facts.rebalance_timeout_ms));
        }
    }
}

/// What a JoinGroup tells: about the member, and what it uses.
fn classic_facts(fx: &Effects, before: Option<&Facts>, request: &JoinRequest) -> (Facts, Partitions) {
    let metadata = request.protocols.first().map_or(&[][..], |p| &p.metadata);
    let subscription = migrate::subscription(metadata).unwrap_or_default();
    let unknown = Facts::unknown();
    let before = before.unwrap_or(&unknown);
    let facts = Facts {
        instance: request.instance.clone().or_else(|| before.instance.clone()),
        rack: newer(subscription.rack_id.as_deref(), &before.rack),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        names: sorted_names(subscription.topics.iter().map(|name| &**name)),
        regex: None,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        assignor: None,
        classic: Some(Classic {
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols.clone().into(),
        }),
    };
    (facts, migrate::ids_of(&subscription.owned_partitions, &fx.image))
}

impl Group {
    /// SyncGroup in a group of the new protocol.
    pub(crate) fn sync_in_consumer(&mut self, fx: &mut Effects, to: Ticket, request: &SyncRequest) {
        let outcome = self.try_sync(fx, request);
        let reply = outcome.unwrap_or_else(SyncReply::error);
        self.store(fx, Vec::new(), Some(Held { to, reply: Reply::Sync(reply) }));
    }

    fn try_sync(&self, fx: &mut Effects, request: &SyncRequest) -> Result<SyncReply, ErrorCode> {
        let state = self.consumer.as_ref().ok_or(ErrorCode::UnknownMemberId)?;
        let (member, classic) = state.find_classic(&request.member, request.instance.as_ref())?;
        let protocol = classic.protocols.first().map(|p| p.name.clone());
        if member.epoch != request.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if request.protocol_type.as_deref().is_some_and(|theirs| theirs != CONSUMER)
            || request.protocol.is_some() && request.protocol != protocol
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        // One that has to give partitions up has joined already, and will again when it has.
        if state.epoch > member.epoch && member.progress != Progress::Unrevoked {
            state.await_join(fx, &self.id, &request.member, member);
            return Err(ErrorCode::RebalanceInProgress);
        }
        fx.timers.cancel(Timer::MemberSync(self.id.clone(), request.member.clone()));
        state.restart_session(fx, &self.id, &request.member);
        let assignment = migrate::assignment_bytes(member, classic, &fx.image);
        Ok(SyncReply { error: ErrorCode::None, protocol_type: Some(CONSUMER.into()), protocol, assignment })
    }

    /// What a Heartbeat in a group of the new protocol is to be told.
    pub(crate) fn verdict_in_consumer(&self, fx: &mut Effects, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
        let state = self.consumer.as_ref().ok_or(ErrorCode::UnknownMemberId)?;
        let (member, _) = state.find_classic(&request.member, request.instance.as_ref())?;
        if member.epoch != request.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let may_have_more = member.progress == Progress::Unreleased && !state.waits_for_others(&request.member, member);
        if member.epoch < state.epoch || member.progress == Progress::Unrevoked || may_have_more {
            state.await_join(fx, &self.id, &request.member, member);
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// LeaveGroup in a group of the new protocol.
    pub(crate) fn leave_consumer(&mut self, fx: &mut Effects, leaving: &[Leaving]) -> Vec<Result<(), ErrorCode>> {
        let Some(state) = self.consumer.as_mut() else { return vec![Err(ErrorCode::UnknownMemberId); leaving.len()] };
        let mut turn = Turn::new(fx, &self.id);
        let mut outcomes = Vec::with_capacity(leaving.len());
        for leaving in leaving {
            // An administrator names the instance alone.
            let named = leaving.instance.as_ref().filter(|_| leaving.member.as_str().is_empty());
            let id = named.and_then(|instance| state.statics.get(instance)).unwrap_or(&leaving.member).clone();
            let found = state.find_classic(&id, leaving.instance.as_ref()).map(|_| id);
            outcomes.push(found.map(|id| state.fence(&mut turn, &id)));
        }
        let records = turn.records;
        self.store_and_settle(fx, records, None);
        outcomes
    }

    /// A member was silent for its session, or did not do in time what it was told to.
    pub(crate) fn on_member_overdue(&mut self, fx: &mut Effects, id: &MemberId, why: &'static str) {
        let Some(state) = self.consumer.as_mut() else { return };
        if !state.members.contains_key(id) {
            return;
        }
        tracing::info!(group = %self.id, member = %id, why, "member fenced");
        let mut turn = Turn::new(fx, &self.id);
        state.fence(&mut turn, id);
        let records = turn.records;
        self.store_and_settle(fx, records, None);
    }

    /// Changes were collected for long enough.
    pub(crate) fn on_assignment_due(&mut self, fx: &mut Effects) {
        self.step(fx, |state, turn| state.assign_if_due(turn));
    }
}
