//! Heartbeat, key 12, versions 0 to 4.
//!
//! Behaviour: restarts the member's session; REBALANCE_IN_PROGRESS asks it to join again. While the coordinator loads, every
//! heartbeat succeeds, as in Kafka. KIPs: 62, 345 (instances, version 3). Deviations: none known.

use crate::group::heartbeat::HeartbeatRequest;
use crate::group::wiring::Route;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::ErrorCode;
use protocol::messages::heartbeat::{HeartbeatRequest as Body, HeartbeatResponse};

/// Takes a sign of life.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(Body::decode)?;
    if broker.route_group(request, &body.group_id) == Route::Forwarded {
        return Ok(());
    }
    let heartbeat = HeartbeatRequest {
        group: (&*body.group_id).into(),
        generation: body.generation_id,
        member: (&*body.member_id).into(),
        instance: body.group_instance_id.as_deref().map(Into::into),
    };
    let outcome = broker.groups.coordinator.heartbeat(broker.now, &heartbeat);
    let error = outcome.err().unwrap_or(ErrorCode::None);
    let response = HeartbeatResponse { error_code: error.code(), ..HeartbeatResponse::default() };
    broker.respond(request.origin, &request.header, |writer, version| response.encode(writer, version));
    broker.drain_groups();
    Ok(())
}
