//! Heartbeat, key 12, versions 0 to 4.
//!
//! Behaviour: restarts the member's session; REBALANCE_IN_PROGRESS asks it to join again. While the coordinator loads, every
//! heartbeat succeeds, as in Kafka. KIPs: 62, 345 (instances, version 3). Deviations: one that has nothing to tell may be answered
//! later, when it has (`group::hold`).

use crate::group::heartbeat::HeartbeatRequest;
use crate::group::wiring::Route;
use crate::io::Origin;
use crate::request::{Header, Refusal, Request};
use crate::{Broker, Store};
use protocol::ErrorCode;
use protocol::messages::heartbeat::{HeartbeatRequest as Body, HeartbeatResponse};

/// Takes a sign of life.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(Body::decode)?;
    broker.note_beat(request, &body.group_id);
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
    match outcome.is_ok().then(|| broker.groups.coordinator.hold_ms(&heartbeat, request.patience)).flatten() {
        Some(ms) => broker.hold(request, heartbeat, ms),
        None => answer(broker, request.origin, &request.header, outcome.err().unwrap_or(ErrorCode::None)),
    }
    broker.drain_groups();
    Ok(())
}

/// Answers, at once or when there is something to tell.
pub(crate) fn answer<S: Store>(broker: &mut Broker<S>, origin: Origin, header: &Header, error: ErrorCode) {
    let response = HeartbeatResponse { error_code: error.code(), ..HeartbeatResponse::default() };
    broker.respond(origin, header, |writer, version| response.encode(writer, version));
}
