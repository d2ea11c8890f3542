//! Heartbeat: a sign of life, answered with whether the member must join again.

use super::coordinator::Coordinator;
use super::ids::{GroupId, InstanceId, MemberId};
use crate::Now;
use protocol::ErrorCode;

/// A Heartbeat request.
#[derive(Clone, Debug)]
pub(crate) struct HeartbeatRequest {
    /// Which group.
    pub(crate) group: GroupId,
    /// The member's generation.
    pub(crate) generation: i32,
    /// Who.
    pub(crate) member: MemberId,
    /// Of a static member.
    pub(crate) instance: Option<InstanceId>,
}

impl Coordinator {
    /// Handles Heartbeat.
    pub(crate) fn heartbeat(&mut self, now: Now, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
        self.fx.now = now;
        let verdict = self.verdict(request);
        if matches!(verdict, Ok(()) | Err(ErrorCode::RebalanceInProgress))
            && let Some(group) = self.groups.get(&request.group)
        {
            match &group.consumer {
                Some(state) => state.restart_session(&mut self.fx, &request.group, &request.member),
                None => group.restart_session(&mut self.fx, &request.member),
            }
        }
        verdict
    }

    /// What a member is to be told now.
    pub(super) fn verdict(&mut self, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
        match self.check_named_and_active(&request.group) {
            // Nothing is known about the member yet, and sending it away would only cause a rebalance.
            Err(ErrorCode::CoordinatorLoadInProgress) => return Ok(()),
            other => other?,
        }
        let group = self.groups.get_mut(&request.group).ok_or(ErrorCode::UnknownMemberId)?;
        if group.consumer.is_some() {
            return group.verdict_in_consumer(&mut self.fx, request);
        }
        group.check_member(&request.member, request.instance.as_ref())?;
        if request.generation != group.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if group.is_preparing() { Err(ErrorCode::RebalanceInProgress) } else { Ok(()) }
    }
}
