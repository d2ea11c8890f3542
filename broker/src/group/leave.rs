//! LeaveGroup: members go by themselves, or an administrator removes them by instance (KIP-345).
//!
//! Deviation: the answer does not wait for the record of a group that became empty. If that is lost, the member comes back
//! after a restart and times out.

use super::coordinator::Coordinator;
use super::effects::Effects;
use super::ids::{GroupId, InstanceId, MemberId};
use super::state::Group;
use super::timers::Timer;
use crate::Now;
use protocol::ErrorCode;

/// One member to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaving {
    /// Empty when only the instance is named.
    pub(crate) member: MemberId,
    /// Of a static member.
    pub(crate) instance: Option<InstanceId>,
}

impl Coordinator {
    /// Handles LeaveGroup: the outcome for each member, in order, or the one for the whole request.
    pub(crate) fn leave(
        &mut self,
        now: Now,
        group: &GroupId,
        leaving: &[Leaving],
    ) -> Result<Vec<Result<(), ErrorCode>>, ErrorCode> {
        self.fx.now = now;
        self.check_named_and_active(group)?;
        self.holds.stir(group);
        match self.groups.get_mut(group) {
            Some(group) => Ok(group.leave(&mut self.fx, leaving)),
            // A group that is not there has none of them.
            None => Ok(vec![Err(ErrorCode::UnknownMemberId); leaving.len()]),
        }
    }
}

impl Group {
    fn leave(&mut self, fx: &mut Effects, leaving: &[Leaving]) -> Vec<Result<(), ErrorCode>> {
        if self.consumer.is_some() {
            return self.leave_consumer(fx, leaving);
        }
        let outcomes: Vec<_> = leaving.iter().map(|leaving| self.let_go(fx, leaving)).collect();
        if outcomes.iter().any(Result::is_ok) && !self.is_empty() {
            self.rebalance(fx, "a member left");
        }
        outcomes
    }

    fn let_go(&mut self, fx: &mut Effects, leaving: &Leaving) -> Result<(), ErrorCode> {
        if leaving.member.as_str().is_empty() {
            let known = leaving.instance.as_ref().and_then(|i| self.statics.get(i));
            let id = known.cloned().ok_or(ErrorCode::UnknownMemberId)?;
            self.dismiss(fx, &id);
        } else if self.expected.remove(&leaving.member) {
            fx.timers.cancel(Timer::Session(self.id.clone(), leaving.member.clone()));
        } else {
            self.check_member(&leaving.member, leaving.instance.as_ref())?;
            self.dismiss(fx, &leaving.member);
        }
        Ok(())
    }
}
