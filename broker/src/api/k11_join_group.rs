//! JoinGroup, key 11, versions 0 to 9.
//!
//! Behaviour: the machine of `group`; the answer waits for the whole join phase of a rebalance, at most the members' longest
//! rebalance timeout. Version 0 has no rebalance timeout of its own: the session timeout counts.
//!
//! KIPs: 62, 134 (initial delay), 345 (instances, version 5), 394 (MEMBER_ID_REQUIRED, version 4), 429, 559 (protocol type and
//! name, version 7), 800 (reason, version 8), 814 (skip_assignment, version 9). Deviations: a first join that is refused leaves
//! no group behind; a JoinGroup sent again answers the older one with REBALANCE_IN_PROGRESS where Kafka forgets it.

use crate::group::join::{JoinReply, JoinRequest, JoinedMember};
use crate::group::member::Protocol;
use crate::group::wiring::{Route, java_host};
use crate::io::Origin;
use crate::request::{Header, Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use std::borrow::Cow;
use std::sync::Arc;

/// First version in which the protocol's name may be null.
const NULL_NAME_SINCE: i16 = 7;

/// Lets a member join.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(JoinGroupRequest::decode)?;
    if broker.route_group(request, &body.group_id) == Route::Forwarded {
        return Ok(());
    }
    let version = request.header.version;
    if let Some(reason) = &body.reason {
        tracing::info!(group = &*body.group_id, member = &*body.member_id, %reason, "client joins");
    }
    let protocols =
        body.protocols.iter().map(|p| Protocol { name: (&*p.name).into(), metadata: (&*p.metadata).into() });
    let join = JoinRequest {
        version,
        client_id: request.header.client_id.clone().unwrap_or_else(|| Arc::from("")),
        client_host: java_host(request.peer.ip()).into(),
        group: (&*body.group_id).into(),
        session_timeout_ms: body.session_timeout_ms,
        rebalance_timeout_ms: if version == 0 { body.session_timeout_ms } else { body.rebalance_timeout_ms },
        member: (&*body.member_id).into(),
        instance: body.group_instance_id.as_deref().map(Into::into),
        protocol_type: (&*body.protocol_type).into(),
        protocols: protocols.collect(),
    };
    let ticket = broker.wait_for_group(request);
    broker.groups.coordinator.join(broker.now, ticket, join);
    broker.drain_groups();
    Ok(())
}

/// Answers once the member is in, or is not.
pub(crate) fn answer<S: Store>(broker: &mut Broker<S>, origin: Origin, header: &Header, reply: &JoinReply) {
    let protocol = reply.protocol.as_deref().map(Cow::Borrowed);
    let response = JoinGroupResponse {
        error_code: reply.error.code(),
        generation_id: reply.generation,
        protocol_type: reply.protocol_type.as_deref().map(Cow::Borrowed),
        protocol_name: if header.version < NULL_NAME_SINCE { Some(protocol.unwrap_or_default()) } else { protocol },
        leader: reply.leader.as_str().into(),
        skip_assignment: reply.skip_assignment,
        member_id: reply.member.as_str().into(),
        members: reply.members.iter().map(encode_member).collect(),
        ..JoinGroupResponse::default()
    };
    broker.respond(origin, header, |writer, version| response.encode(writer, version));
}

fn encode_member(joined: &JoinedMember) -> JoinGroupResponseMember<'_> {
    JoinGroupResponseMember {
        member_id: joined.member.as_str().into(),
        group_instance_id: joined.instance.as_ref().map(|i| i.as_str().into()),
        metadata: Cow::Borrowed(&joined.metadata),
    }
}
