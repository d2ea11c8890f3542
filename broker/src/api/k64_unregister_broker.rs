//! UnregisterBroker, key 64, version 0.
//!
//! Behaviour: takes a broker that is gone out of the metadata. A number that no broker has is BROKER_ID_NOT_REGISTERED.
//!
//! KIPs: 500. Deviations: a broker that is running is not taken out (INVALID_REQUEST): Kafka does that, and leaves its
//! partitions without a leader until it is started again.

use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::ErrorCode;
use protocol::messages::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};

/// Answers a request to unregister a broker.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    if broker.forward_to_controller(request) {
        return Ok(());
    }
    let body = request.body(UnregisterBrokerRequest::decode)?;
    let node = broker.image.settings().node_of(body.broker_id);
    let (code, message) = if broker.image.brokers().contains(&node) {
        let message = format!("Broker {} is running: stop it before it is unregistered", body.broker_id);
        (ErrorCode::InvalidRequest, message)
    } else {
        (ErrorCode::BrokerIdNotRegistered, format!("Broker ID {} is not currently registered", body.broker_id))
    };
    let response =
        UnregisterBrokerResponse { throttle_time_ms: 0, error_code: code.code(), error_message: Some(message.into()) };
    broker.respond(request.origin, &request.header, |writer, version| response.encode(writer, version));
    Ok(())
}
