//! SyncGroup: the leader's assignment is written down, and then reaches everybody.

use super::coordinator::Coordinator;
use super::effects::{Effects, Reply, Then, append_error};
use super::ids::{GroupId, InstanceId, MemberId, Ticket};
use super::member::Awaiting;
use super::rebalance::refuse_awaiting;
use super::records;
use super::state::{Group, State};
use super::timers::Timer;
use crate::Now;
use protocol::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A SyncGroup request.
#[derive(Clone, Debug)]
pub(crate) struct SyncRequest {
    /// Which group.
    pub(crate) group: GroupId,
    /// The generation that JoinGroup told.
    pub(crate) generation: i32,
    /// Who.
    pub(crate) member: MemberId,
    /// Of a static member.
    pub(crate) instance: Option<InstanceId>,
    /// What the member believes (KIP-559).
    pub(crate) protocol_type: Option<Arc<str>>,
    /// What the member believes (KIP-559).
    pub(crate) protocol: Option<Arc<str>>,
    /// From the leader; of others it is ignored.
    pub(crate) assignments: Vec<(MemberId, Arc<[u8]>)>,
}

/// The answer to SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncReply {
    /// Why not.
    pub(crate) error: ErrorCode,
    /// Of the group.
    pub(crate) protocol_type: Option<Arc<str>>,
    /// Of the generation.
    pub(crate) protocol: Option<Arc<str>>,
    /// What the leader assigned to this member.
    pub(crate) assignment: Arc<[u8]>,
}

impl SyncReply {
    /// A refusal.
    pub(crate) fn error(error: ErrorCode) -> Self {
        Self { error, protocol_type: None, protocol: None, assignment: Arc::from([]) }
    }
}

impl Coordinator {
    /// Handles SyncGroup. Its answer waits for the leader, and for the disk.
    pub(crate) fn sync(&mut self, now: Now, to: Ticket, request: SyncRequest) {
        self.fx.now = now;
        let refusal = match self.check_named_and_active(&request.group) {
            // The member can only find out by joining again.
            Err(ErrorCode::CoordinatorLoadInProgress) => Some(ErrorCode::RebalanceInProgress),
            Err(error) => Some(error),
            Ok(()) => None,
        };
        let group = self.groups.get_mut(&request.group);
        match (refusal, group) {
            (Some(error), _) => self.fx.reply(to, Reply::Sync(SyncReply::error(error))),
            (None, None) => self.fx.reply(to, Reply::Sync(SyncReply::error(ErrorCode::UnknownMemberId))),
            (None, Some(group)) if group.consumer.is_some() => group.sync_in_consumer(&mut self.fx, to, &request),
            (None, Some(group)) => match group.check_sync(&request) {
                Ok(()) => group.sync(&mut self.fx, to, request),
                Err(error) => self.fx.reply(to, Reply::Sync(SyncReply::error(error))),
            },
        }
    }
}

impl Group {
    fn check_sync(&self, request: &SyncRequest) -> Result<(), ErrorCode> {
        self.check_member(&request.member, request.instance.as_ref())?;
        let differs = |theirs: &Option<Arc<str>>, ours: Option<&Arc<str>>| {
            theirs.as_ref().zip(ours).is_some_and(|(theirs, ours)| theirs != ours)
        };
        if request.generation != self.generation {
            Err(ErrorCode::IllegalGeneration)
        } else if differs(&request.protocol_type, self.protocol_type.as_ref())
            || differs(&request.protocol, self.protocol())
        {
            Err(ErrorCode::InconsistentGroupProtocol)
        } else if self.is_preparing() {
            Err(ErrorCode::RebalanceInProgress)
        } else {
            Ok(())
        }
    }

    /// Requires a checked request: the group has a generation, and the member is in it.
    fn sync(&mut self, fx: &mut Effects, to: Ticket, request: SyncRequest) {
        let id = request.member.clone();
        self.mark_synced(fx, &id);
        if let State::Stable(_) = self.state {
            return fx.reply(to, Reply::Sync(self.assignment_of(&id)));
        }
        if let Some(member) = self.members.get_mut(&id) {
            let superseded = std::mem::replace(&mut member.awaiting, Awaiting::Sync(to));
            refuse_awaiting(fx, superseded, id.as_str(), ErrorCode::RebalanceInProgress);
        }
        if self.is_leader(&id) {
            self.store_assignment(fx, request);
        }
    }

    fn mark_synced(&mut self, fx: &mut Effects, id: &MemberId) {
        let Some(formed) = self.formed_mut() else { return };
        formed.unsynced.remove(id);
        if formed.unsynced.is_empty() {
            fx.timers.cancel(Timer::Sync(self.id.clone()));
        }
    }

    /// Writes the leader's assignment down, once a generation. Members it left out get an empty one.
    fn store_assignment(&mut self, fx: &mut Effects, request: SyncRequest) {
        let State::CompletingRebalance { storing, .. } = &mut self.state else { return };
        if std::mem::replace(storing, true) {
            return;
        }
        let mut assignment: BTreeMap<MemberId, Arc<[u8]>> = request.assignments.into_iter().collect();
        assignment.retain(|id, _| self.members.contains_key(id));
        let record = records::group_metadata(self, &assignment);
        let then = Then::Assign { generation: self.generation, assignment };
        fx.append(self.partition, vec![record], self.pending(then));
    }

    /// The assignment's record is durable, or not. Unless a rebalance began meanwhile, everybody learns of it.
    pub(crate) fn on_assigned(
        &mut self,
        fx: &mut Effects,
        generation: i32,
        assignment: &BTreeMap<MemberId, Arc<[u8]>>,
        result: Result<(), ErrorCode>,
    ) {
        let State::CompletingRebalance { formed, .. } = &self.state else { return };
        if generation != self.generation {
            return;
        }
        match result {
            Ok(()) => {
                let formed = formed.clone();
                self.enter(State::Stable(formed), fx.now.wall_ms);
                self.spread(fx, assignment);
            }
            Err(error) => {
                tracing::warn!(group = %self.id, generation, ?error, "the assignment was not stored");
                self.refuse_syncs(fx, append_error(error, ErrorCode::UnknownServerError));
                self.prepare_rebalance(fx, "the assignment was not stored");
            }
        }
    }

    fn spread(&mut self, fx: &mut Effects, assignment: &BTreeMap<MemberId, Arc<[u8]>>) {
        let nothing: Arc<[u8]> = Arc::from([]);
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.assignment = assignment.get(&id).unwrap_or(&nothing).clone();
            member.charge_to(&fx.memory);
            if let Awaiting::Sync(ticket) = member.awaiting {
                member.awaiting = Awaiting::Nothing;
                fx.reply(ticket, Reply::Sync(self.assignment_of(&id)));
                self.restart_session(fx, &id);
            }
        }
    }

    fn assignment_of(&self, id: &MemberId) -> SyncReply {
        SyncReply {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol().cloned(),
            assignment: self.members.get(self.sharer(id)).map_or_else(|| Arc::from([]), |m| m.assignment.clone()),
        }
    }

    /// Whose share a member gets: its own.
    fn sharer<'a>(&'a self, id: &'a MemberId) -> &'a MemberId {
        let first = self.members.keys().next().filter(|_| marks::planted!("broker: give two members one share"));
        first.unwrap_or(id)
    }

    /// What every member has.
    pub(crate) fn assignments(&self) -> BTreeMap<MemberId, Arc<[u8]>> {
        self.members.iter().map(|(id, m)| (id.clone(), m.assignment.clone())).collect()
    }
}
