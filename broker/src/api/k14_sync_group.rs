//! SyncGroup, key 14, versions 0 to 5.
//!
//! Behaviour: the leader's assignment is appended to `__consumer_offsets`; once durable, every member that waits gets its part.
//! KIPs: 345 (instances, version 3), 559 (protocol type and name, version 5). Deviations: a second assignment of the same
//! generation is ignored while the first is being written.

use crate::group::sync::{SyncReply, SyncRequest};
use crate::group::wiring::Route;
use crate::io::Origin;
use crate::request::{Header, Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use std::borrow::Cow;

/// Takes a member's SyncGroup.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(SyncGroupRequest::decode)?;
    if broker.route_group(request, &body.group_id) == Route::Forwarded {
        return Ok(());
    }
    let sync = SyncRequest {
        group: (&*body.group_id).into(),
        generation: body.generation_id,
        member: (&*body.member_id).into(),
        instance: body.group_instance_id.as_deref().map(Into::into),
        protocol_type: body.protocol_type.as_deref().map(Into::into),
        protocol: body.protocol_name.as_deref().map(Into::into),
        assignments: body.assignments.iter().map(|a| ((&*a.member_id).into(), (&*a.assignment).into())).collect(),
    };
    let ticket = broker.wait_for_group(request);
    broker.groups.coordinator.sync(broker.now, ticket, sync);
    broker.drain_groups();
    Ok(())
}

/// Answers once the assignment is durable, or a rebalance came first.
pub(crate) fn answer<S: Store>(broker: &mut Broker<S>, origin: Origin, header: &Header, reply: &SyncReply) {
    let response = SyncGroupResponse {
        error_code: reply.error.code(),
        protocol_type: reply.protocol_type.as_deref().map(Cow::Borrowed),
        protocol_name: reply.protocol.as_deref().map(Cow::Borrowed),
        assignment: Cow::Borrowed(&reply.assignment),
        ..SyncGroupResponse::default()
    };
    broker.respond(origin, header, |writer, version| response.encode(writer, version));
}
