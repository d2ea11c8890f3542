//! LeaveGroup, key 13, versions 0 to 5.
//!
//! Behaviour: members go, and the rest rebalances. From version 3 on several at once, each with its own error; one without a
//! member id is named by its instance, which is how administrators remove static members. Versions before have the
//! single member's error as the error of the answer.
//!
//! KIPs: 345 (batches, instances), 800 (reason, version 5). Deviations: see `group::leave`.

use crate::group::leave::Leaving;
use crate::group::wiring::Route;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::ErrorCode;
use protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberResponse};

/// First version that names several members.
const BATCH_SINCE: i16 = 3;

/// Takes members out of their group.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(LeaveGroupRequest::decode)?;
    if broker.route_group(request, &body.group_id) == Route::Forwarded {
        return Ok(());
    }
    let is_batch = request.header.version >= BATCH_SINCE;
    let leaving: Vec<Leaving> = if is_batch {
        let named = body.members.iter().map(|member| Leaving {
            member: (&*member.member_id).into(),
            instance: member.group_instance_id.as_deref().map(Into::into),
        });
        named.collect()
    } else {
        vec![Leaving { member: (&*body.member_id).into(), instance: None }]
    };
    let outcome = broker.groups.coordinator.leave(broker.now, &(&*body.group_id).into(), &leaving);
    let response = match outcome {
        Err(error) => LeaveGroupResponse { error_code: error.code(), ..LeaveGroupResponse::default() },
        Ok(outcomes) if is_batch => LeaveGroupResponse {
            members: leaving.iter().zip(outcomes).map(|(leaving, outcome)| encode_member(leaving, outcome)).collect(),
            ..LeaveGroupResponse::default()
        },
        Ok(outcomes) => {
            let error = outcomes.into_iter().find_map(Result::err).unwrap_or(ErrorCode::None);
            LeaveGroupResponse { error_code: error.code(), ..LeaveGroupResponse::default() }
        }
    };
    broker.respond(request.origin, &request.header, |writer, version| response.encode(writer, version));
    broker.drain_groups();
    Ok(())
}

fn encode_member(leaving: &Leaving, outcome: Result<(), ErrorCode>) -> MemberResponse<'_> {
    MemberResponse {
        member_id: leaving.member.as_str().into(),
        group_instance_id: leaving.instance.as_ref().map(|i| i.as_str().into()),
        error_code: outcome.err().unwrap_or(ErrorCode::None).code(),
    }
}
