//! FindCoordinator, key 10, versions 0 to 6.
//!
//! Behaviour: there is one broker, so it coordinates every group, and is named as the client reached it. The first question
//! about a group has `__consumer_offsets` made; until that is there the answer is COORDINATOR_NOT_AVAILABLE, and clients ask
//! again, as with Kafka. From version 4 on several keys at once.
//!
//! KIPs: 98 (key types), 699 (batches), 932 (key type 2, version 6). Deviations: transactions (key type 1) and share groups
//! (key type 2) are answered COORDINATOR_NOT_AVAILABLE until they are served; unknown key types INVALID_REQUEST.

use crate::group::wiring::OFFSETS_TOPIC;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::ErrorCode;
use protocol::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};

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
    if body.key_type == KEY_TYPE_GROUP && outcome.is_err() {
        broker.ensure_topic(OFFSETS_TOPIC);
    }
    let (host, port) = broker.settings.endpoint(request.local);
    let (node_id, host, port, error) = match outcome {
        Ok(()) => (broker.settings.node_id, host, i32::from(port), ErrorCode::None),
        Err(error) => (NO_NODE, String::new(), NO_NODE, error),
    };
    let message = (error != ErrorCode::None).then(|| error.message());
    let response = if request.header.version >= BATCH_SINCE {
        let coordinators = body.coordinator_keys.iter().map(|key| Coordinator {
            key: key.clone(),
            node_id,
            host: host.as_str().into(),
            port,
            error_code: error.code(),
            error_message: Some(message.unwrap_or_default().into()),
        });
        FindCoordinatorResponse { coordinators: coordinators.collect(), ..FindCoordinatorResponse::default() }
    } else {
        FindCoordinatorResponse {
            error_code: error.code(),
            error_message: Some(message.unwrap_or_default().into()),
            node_id,
            host: host.as_str().into(),
            port,
            ..FindCoordinatorResponse::default()
        }
    };
    broker.respond(request.origin, &request.header, |writer, version| response.encode(writer, version));
    Ok(())
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
