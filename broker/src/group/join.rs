//! JoinGroup: who is let in, under which id, and what a member that is already in may do with it.

use super::coordinator::Coordinator;
use super::effects::{Effects, Reply, Then, append_error, timeout_ms};
use super::ids::{GroupId, InstanceId, MemberId, Ticket};
use super::limits::{
    MEMBER_ID_SUFFIX_BYTES, MEMBER_PROTOCOLS_BYTES_MAX, NEW_MEMBER_JOIN_TIMEOUT_MS, PENDING_MEMBERS_MAX,
    RECORD_TEXT_BYTES_MAX,
};
use super::member::{Awaiting, Member, Protocol, bytes_of};
use super::memory::Charge;
use super::rebalance::refuse_awaiting;
use super::records;
use super::state::{Group, State};
use super::timers::Timer;
use crate::Now;
use protocol::ErrorCode;
use std::sync::Arc;

/// First version that answers MEMBER_ID_REQUIRED (KIP-394).
pub(crate) const MEMBER_ID_REQUIRED_SINCE: i16 = 4;
/// First version with `skip_assignment` (KIP-814).
const SKIP_ASSIGNMENT_SINCE: i16 = 9;

/// A JoinGroup request.
#[derive(Clone, Debug)]
pub(crate) struct JoinRequest {
    /// Version of the request.
    pub(crate) version: i16,
    /// From the request's header.
    pub(crate) client_id: Arc<str>,
    /// The peer's address, as Java prints it.
    pub(crate) client_host: Arc<str>,
    /// Which group.
    pub(crate) group: GroupId,
    /// Longest silence.
    pub(crate) session_timeout_ms: i32,
    /// Longest wait for it in a rebalance; of version 0, the session timeout.
    pub(crate) rebalance_timeout_ms: i32,
    /// Empty for one that does not have any yet.
    pub(crate) member: MemberId,
    /// Of a static member.
    pub(crate) instance: Option<InstanceId>,
    /// `consumer`, `connect`, `sr` …
    pub(crate) protocol_type: Arc<str>,
    /// In order of preference.
    pub(crate) protocols: Vec<Protocol>,
}

impl JoinRequest {
    /// Whether the group's record can carry its texts, and the member id that is made of them.
    fn fits_records(&self) -> bool {
        let name_max = RECORD_TEXT_BYTES_MAX - MEMBER_ID_SUFFIX_BYTES;
        let names = [Some(&*self.client_id), self.instance.as_ref().map(InstanceId::as_str)];
        let mut texts = self.protocols.iter().map(|protocol| &*protocol.name).chain([&*self.protocol_type]);
        names.into_iter().flatten().all(|name| name.len() <= name_max)
            && texts.all(|text| text.len() <= RECORD_TEXT_BYTES_MAX)
    }
}

/// A member, as the leader is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinedMember {
    /// Its id.
    pub(crate) member: MemberId,
    /// Of a static member.
    pub(crate) instance: Option<InstanceId>,
    /// What it sent for the chosen protocol.
    pub(crate) metadata: Arc<[u8]>,
}

/// The answer to JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinReply {
    /// Why not.
    pub(crate) error: ErrorCode,
    /// Current generation; -1 with most errors.
    pub(crate) generation: i32,
    /// Of the group.
    pub(crate) protocol_type: Option<Arc<str>>,
    /// Chosen for this generation.
    pub(crate) protocol: Option<Arc<str>>,
    /// Member id of the leader.
    pub(crate) leader: String,
    /// The leader need not assign: the assignment stands (KIP-814).
    pub(crate) skip_assignment: bool,
    /// The id to be used from now on.
    pub(crate) member: String,
    /// All members, for the leader only.
    pub(crate) members: Vec<JoinedMember>,
}

impl JoinReply {
    /// A refusal.
    pub(crate) fn error(member: &str, error: ErrorCode) -> Self {
        Self {
            error,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: String::new(),
            skip_assignment: false,
            member: member.to_owned(),
            members: Vec::new(),
        }
    }
}

impl Coordinator {
    /// Handles JoinGroup. Its answer may wait for a whole rebalance.
    pub(crate) fn join(&mut self, now: Now, to: Ticket, request: JoinRequest) {
        self.fx.now = now;
        if let Err(error) = self.check_join(&request).and_then(|()| self.check_memory(&request)) {
            return self.fx.reply(to, Reply::Join(JoinReply::error(request.member.as_str(), error)));
        }
        self.holds.stir(&request.group);
        if self.join_consumer_group(to, &request) {
            return;
        }
        let is_unnamed = request.member.as_str().is_empty();
        if let Some(group) = self.groups.get_mut(&request.group) {
            return group.join(&mut self.fx, to, request);
        }
        if !is_unnamed {
            return self
                .fx
                .reply(to, Reply::Join(JoinReply::error(request.member.as_str(), ErrorCode::UnknownMemberId)));
        }
        let mut group = self.new_group(request.group.clone());
        if !group.accepts(&request.protocol_type, &request.protocols) {
            // Kafka makes the group all the same; an empty one is of no use to anybody.
            return self.fx.reply(to, Reply::Join(JoinReply::error("", ErrorCode::InconsistentGroupProtocol)));
        }
        let record = records::group_metadata(&group, &Default::default());
        self.fx.append(group.partition, vec![record], group.pending(Then::Nothing));
        group.join(&mut self.fx, to, request);
        self.groups.insert(group.id.clone(), group);
    }

    fn check_join(&self, request: &JoinRequest) -> Result<(), ErrorCode> {
        let sessions = self.fx.settings.session_timeout_ms_min..=self.fx.settings.session_timeout_ms_max;
        let bytes = bytes_of(&request.protocols);
        let group = request.group.as_str();
        if group.is_empty() || group.len() > RECORD_TEXT_BYTES_MAX {
            Err(ErrorCode::InvalidGroupId)
        } else if !sessions.contains(&request.session_timeout_ms) {
            Err(ErrorCode::InvalidSessionTimeout)
        } else if bytes > MEMBER_PROTOCOLS_BYTES_MAX || !request.fits_records() {
            Err(ErrorCode::InvalidRequest)
        } else {
            self.check_active(&request.group)
        }
    }
}

impl Coordinator {
    /// Whether there is memory for what a member says. Clients give up with GROUP_MAX_SIZE_REACHED, and say so to people; an
    /// error to be tried again would have them wait in silence.
    fn check_memory(&mut self, request: &JoinRequest) -> Result<(), ErrorCode> {
        let group = self.groups.get(&request.group);
        let charge = group.and_then(|group| group.charge_of(&request.member, request.instance.as_ref()));
        let has_room = self.fx.memory.has_room_for(bytes_of(&request.protocols), charge);
        if has_room { Ok(()) } else { Err(self.fx.refuse_for_memory(&request.group)) }
    }
}

impl Group {
    fn join(&mut self, fx: &mut Effects, to: Ticket, request: JoinRequest) {
        let told_id = request.member.as_str();
        if !self.has_room_for(&request.member, fx.settings.members_max) {
            self.dismiss(fx, &request.member);
            fx.reply(to, Reply::Join(JoinReply::error("", ErrorCode::GroupMaxSizeReached)));
        } else if !self.accepts(&request.protocol_type, &request.protocols) {
            fx.reply(to, Reply::Join(JoinReply::error(told_id, ErrorCode::InconsistentGroupProtocol)));
        } else if told_id.is_empty() {
            self.join_unnamed(fx, to, request);
        } else if request.instance.is_none() && self.expected.contains(&request.member) {
            let id = request.member.clone();
            self.admit(fx, to, request, id);
        } else if let Err(error) = self.check_member(&request.member, request.instance.as_ref()) {
            fx.reply(to, Reply::Join(JoinReply::error(told_id, error)));
        } else {
            self.rejoin(fx, to, request);
        }
    }

    /// Whether `group.max.size` lets it in. While members gather, those who joined count, so that a group that is too
    /// large sheds the last ones; afterwards all members count.
    fn has_room_for(&self, id: &MemberId, members_max: usize) -> bool {
        match &self.state {
            State::Empty => true,
            State::PreparingRebalance { .. } => {
                self.members.get(id).is_some_and(Member::awaits_join) || self.joined_count() < members_max
            }
            State::CompletingRebalance { .. } | State::Stable(_) => {
                self.members.contains_key(id) || self.members.len() < members_max
            }
        }
    }

    /// A member without an id: a static one is known by its instance, a dynamic one is first told its id where the
    /// version knows that, so that a lost answer leaves no ghost behind.
    fn join_unnamed(&mut self, fx: &mut Effects, to: Ticket, request: JoinRequest) {
        let prefix = request.instance.as_ref().map_or(&*request.client_id, InstanceId::as_str);
        let id = fx.ids.next(prefix);
        let known = request.instance.as_ref().and_then(|i| self.statics.get(i)).cloned();
        match (known, &request.instance) {
            (Some(old), Some(_)) => self.replace_static(fx, to, request, &old, id),
            (None, None) if request.version >= MEMBER_ID_REQUIRED_SINCE => self.hand_out_id(fx, to, &request, id),
            _ => self.admit(fx, to, request, id),
        }
    }

    fn hand_out_id(&mut self, fx: &mut Effects, to: Ticket, request: &JoinRequest, id: MemberId) {
        if self.expected.len() >= PENDING_MEMBERS_MAX {
            return fx.reply(to, Reply::Join(JoinReply::error("", ErrorCode::GroupMaxSizeReached)));
        }
        fx.reply(to, Reply::Join(JoinReply::error(id.as_str(), ErrorCode::MemberIdRequired)));
        fx.set_timer(Timer::Session(self.id.clone(), id.clone()), timeout_ms(request.session_timeout_ms));
        self.expected.insert(id);
    }

    /// Lets a new member in.
    fn admit(&mut self, fx: &mut Effects, to: Ticket, request: JoinRequest, id: MemberId) {
        if let State::PreparingRebalance { initial: Some(delay) } = &mut self.state {
            delay.joined_since = true;
        }
        let mut member = Member {
            instance: request.instance,
            client_id: request.client_id,
            client_host: request.client_host,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols,
            assignment: Arc::from([]),
            is_new: true,
            awaiting: Awaiting::Join(to),
            charge: Charge::default(),
        };
        member.charge_to(&fx.memory);
        self.add(id.clone(), member, &request.protocol_type);
        fx.set_timer(Timer::Session(self.id.clone(), id), NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.rebalance(fx, "a member joined");
    }

    /// A member joins again. Only the leader, or a change of what the member supports, makes everybody else rejoin.
    fn rejoin(&mut self, fx: &mut Effects, to: Ticket, request: JoinRequest) {
        let id = &request.member;
        let is_same = self.members.get(id).is_some_and(|m| m.matches(&request.protocols));
        let is_news = match &self.state {
            State::Empty => {
                return fx.reply(to, Reply::Join(JoinReply::error(id.as_str(), ErrorCode::UnknownMemberId)));
            }
            State::PreparingRebalance { .. } => true,
            State::CompletingRebalance { .. } => !is_same,
            State::Stable(_) => !is_same || self.is_leader(id),
        };
        if !is_news {
            return fx.reply(to, Reply::Join(self.current_generation(id)));
        }
        self.update_member(fx, to, &request, id);
        self.rebalance(fx, "a member rejoined");
    }

    /// Takes over what the member says now; its JoinGroup waits. An older request of it that still waits is answered: its
    /// connection is gone, or the client is confused.
    fn update_member(&mut self, fx: &mut Effects, to: Ticket, request: &JoinRequest, id: &MemberId) {
        let Some(member) = self.members.get_mut(id) else { return };
        let superseded = std::mem::replace(&mut member.awaiting, Awaiting::Join(to));
        refuse_awaiting(fx, superseded, id.as_str(), ErrorCode::RebalanceInProgress);
        member.protocols.clone_from(&request.protocols);
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        member.session_timeout_ms = request.session_timeout_ms;
        member.charge_to(&fx.memory);
    }

    /// A static member comes back without its id, after a restart: it gets a new id and the old one is fenced (KIP-345).
    fn replace_static(&mut self, fx: &mut Effects, to: Ticket, request: JoinRequest, old: &MemberId, new: MemberId) {
        let old_leader = self.leader.clone();
        let Some(mut member) = self.members.remove(old) else { return };
        refuse_awaiting(fx, member.awaiting, old.as_str(), ErrorCode::FencedInstanceId);
        member.awaiting = Awaiting::Nothing;
        fx.timers.cancel(Timer::Session(self.id.clone(), old.clone()));
        let before = (old.clone(), member.clone());
        self.put_static(new.clone(), member, old);
        self.update_member(fx, to, &request, &new);
        self.restart_session(fx, &new);
        match &self.state {
            State::Stable(formed) if self.elect_protocol().as_ref() == Some(&formed.protocol) => {
                self.store_replacement(fx, to, &request, before, old_leader, new);
            }
            // In CompletingRebalance the leader may have assigned to the old id already.
            State::Stable(_) | State::CompletingRebalance { .. } => {
                self.prepare_rebalance(fx, "a static member came back")
            }
            State::Empty | State::PreparingRebalance { .. } => self.complete_join_if_all_joined(fx),
        }
    }

    /// Puts a static member back under another id, with all roles of the old one.
    fn put_static(&mut self, new: MemberId, member: Member, old: &MemberId) {
        if let Some(instance) = &member.instance {
            self.statics.insert(instance.clone(), new.clone());
        }
        if self.is_leader(old) {
            self.leader = Some(new.clone());
        }
        if let Some(formed) = self.formed_mut()
            && formed.unsynced.remove(old)
        {
            formed.unsynced.insert(new.clone());
        }
        self.members.insert(new, member);
    }

    /// Nothing changes for the others: the member is answered with the current generation once its new id is durable.
    fn store_replacement(
        &mut self,
        fx: &mut Effects,
        ticket: Ticket,
        request: &JoinRequest,
        old: (MemberId, Member),
        old_leader: Option<MemberId>,
        new: MemberId,
    ) {
        let Some(instance) = request.instance.clone() else { return };
        let record = records::group_metadata(self, &self.assignments());
        let skips_assignment = request.version >= SKIP_ASSIGNMENT_SINCE;
        let replaced = Replaced { ticket, skips_assignment, instance, old, old_leader, new };
        fx.append(self.partition, vec![record], self.pending(Then::Replace(Box::new(replaced))));
    }

    /// The record of a static member's new id is durable, or not. Answers the JoinGroup unless something else did.
    pub(crate) fn on_replaced(&mut self, fx: &mut Effects, replaced: Replaced, result: Result<(), ErrorCode>) {
        let Replaced { ticket, skips_assignment, instance, old, old_leader, new } = replaced;
        let waits = self.members.get(&new).is_some_and(|m| m.awaiting == Awaiting::Join(ticket));
        if !waits || !matches!(self.state, State::Stable(_)) {
            return;
        }
        if let Some(member) = self.members.get_mut(&new) {
            member.awaiting = Awaiting::Nothing;
        }
        let mut reply = self.current_generation(&new);
        match result {
            Ok(()) if skips_assignment => reply.skip_assignment = self.is_leader(&new),
            // Older clients would assign if they saw that they lead, and nobody would listen: they are told the old id.
            Ok(()) => {
                reply.members.clear();
                reply.leader = old_leader.map(|id| id.to_string()).unwrap_or_default();
            }
            Err(error) => {
                tracing::warn!(group = %self.id, %instance, ?error, "a static member's new id was not stored");
                fx.timers.cancel(Timer::Session(self.id.clone(), new.clone()));
                self.members.remove(&new);
                let (old_id, member) = old;
                self.put_static(old_id.clone(), member, &new);
                self.restart_session(fx, &old_id);
                reply = JoinReply::error("", append_error(error, ErrorCode::UnknownServerError));
            }
        }
        self.restart_session(fx, &new);
        fx.reply(ticket, Reply::Join(reply));
    }
}

/// A static member under its new id, until that is durable.
#[derive(Debug)]
pub(crate) struct Replaced {
    /// The waiting JoinGroup.
    ticket: Ticket,
    /// Whether its version knows `skip_assignment`.
    skips_assignment: bool,
    /// Its instance.
    instance: InstanceId,
    /// Before.
    old: (MemberId, Member),
    /// Leader before.
    old_leader: Option<MemberId>,
    /// After.
    new: MemberId,
}
