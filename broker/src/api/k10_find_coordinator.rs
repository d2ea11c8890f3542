//! FindCoordinator, key 10, versions 0 to 6.
//!
//! Behaviour: there is one node, so it coordinates every group, and is named as the client reached it; with `core.endpoints`
//! that is the core which owns the group. The first question
//! about a group has `__consumer_offsets` made; until that is there the answer is COORDINATOR_NOT_AVAILABLE, and clients ask
//! again, as with Kafka. From version 4 on several keys at once.
//!
//! KIPs: 98 (key types), 699 (batches), 932 (key type 2, version 6). Deviations: transactions (key type 1) and share groups
//! (key type 2) are answered COORDINATOR_NOT_AVAILABLE until they are served; unknown key types INVALID_REQUEST.

use crate::cores::Endpoint;
use crate::group::wiring::OFFSETS_TOPIC;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::ErrorCode;
use protocol::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use std::net::SocketAddr;

/// First version with several keys.
const BATCH_SINCE: i16 = 4;
const KEY_TYPE_GROUP: i8 = 0;
const KEY_TYPE_TRANSACTION: i8 = 1;
const KEY_TYPE_SHARE: i8 = 2;
const NO_NODE: i32 = -1;

/// Names the coordinator of each key.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(FindCoordinatorRequest::decode)?;
    let outcome = find(broker, body.key_type);
    let response = if request.header.version >= BATCH_SINCE {
        let coordinators = body.coordinator_keys.iter().map(|key| {
            let (Endpoint { id, host, port }, error) = named(broker, request.local, key, outcome);
            Coordinator {
                key: key.clone(),
                node_id: id,
                host: host.into(),
                port: if error == ErrorCode::None { i32::from(port) } else { NO_NODE },
                error_code: error.code(),
                error_message: Some(said(error).into()),
            }
        });
        FindCoordinatorResponse { coordinators: coordinators.collect(), ..FindCoordinatorResponse::default() }
    } else {
        let (Endpoint { id, host, port }, error) = named(broker, request.local, &body.key, outcome);
        FindCoordinatorResponse {
            error_code: error.code(),
            error_message: Some(said(error).into()),
            node_id: id,
            host: host.into(),
            port: if error == ErrorCode::None { i32::from(port) } else { NO_NODE },
            ..FindCoordinatorResponse::default()
        }
    };
    broker.respond(request.origin, &request.header, |writer, version| response.encode(writer, version));
    Ok(())
}

/// Who coordinates the group, or why nobody does.
fn named<S: Store>(
    broker: &Broker<S>,
    local: SocketAddr,
    group: &str,
    outcome: Result<(), ErrorCode>,
) -> (Endpoint, ErrorCode) {
    match outcome.and_then(|()| broker.owner_of_group(group)) {
        Ok(owner) if broker.settings.has_core_endpoints() => {
            (broker.settings.core_endpoint(local, owner.0), ErrorCode::None)
        }
        Ok(_) => (broker.settings.core_endpoint(local, 0), ErrorCode::None),
        Err(error) => (Endpoint { id: NO_NODE, host: String::new(), port: 0 }, error),
    }
}

fn said(error: ErrorCode) -> &'static str {
    if error == ErrorCode::None { "" } else { error.message() }
}

fn find<S: Store>(broker: &mut Broker<S>, key_type: i8) -> Result<(), ErrorCode> {
    match key_type {
        KEY_TYPE_GROUP if broker.image.topic(OFFSETS_TOPIC).is_some() => Ok(()),
        KEY_TYPE_GROUP => {
            broker.ensure_topic(OFFSETS_TOPIC);
            Err(ErrorCode::CoordinatorNotAvailable)
        }
        KEY_TYPE_TRANSACTION | KEY_TYPE_SHARE => Err(ErrorCode::CoordinatorNotAvailable),
        _ => Err(ErrorCode::InvalidRequest),
    }
}
