//! InitProducerId, key 22, versions 0 to 5.
//!
//! Behaviour: an idempotent producer is given an id that nobody ever had, with epoch 0. Ids come from a block that this shard
//! reserved in the metadata log. A producer that brings its id and epoch to have the epoch raised (KIP-360) is given a new id as
//! well, as in Kafka, where raising is for transactional producers; bringing one without the other is INVALID_REQUEST.
//!
//! KIPs: 98, 360. Deviations: a transactional id is INVALID_REQUEST until there are transactions; producers fail at once with
//! that, where a retriable code would have them wait for ever.

use crate::request::{Header, Refusal, Request};
use crate::{Broker, Origin, Store};
use protocol::ErrorCode;
use protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

const NONE: i64 = -1;

/// Gives a producer its id.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(InitProducerIdRequest::decode)?;
    let half = (body.producer_id == NONE) != (i64::from(body.producer_epoch) == NONE);
    let origin = request.origin;
    if body.transactional_id.is_some() || half {
        give(broker, origin, &request.header, Err(ErrorCode::InvalidRequest));
    } else if broker.is_ready() {
        broker.give_producer_id(origin, request.header.clone());
    } else {
        broker.keep_early(request);
    }
    Ok(())
}

/// Answers with an id, or with the reason why there is none.
pub(crate) fn give<S: Store>(broker: &mut Broker<S>, origin: Origin, header: &Header, id: Result<i64, ErrorCode>) {
    let response = match id {
        Ok(producer_id) => {
            InitProducerIdResponse { producer_id, producer_epoch: 0, ..InitProducerIdResponse::default() }
        }
        Err(code) => InitProducerIdResponse {
            error_code: code.code(),
            producer_id: NONE,
            producer_epoch: -1,
            ..InitProducerIdResponse::default()
        },
    };
    broker.respond(origin, header, |writer, version| response.encode(writer, version));
}
