//! OffsetDelete, key 47, version 0.
//!
//! Behaviour: offsets of topics that no member of the group reads are deleted, once the tombstones are durable;
//! GROUP_SUBSCRIBED_TO_TOPIC for the others. A group with members that is not a consumer group keeps all
//! (NON_EMPTY_GROUP). KIPs: 496. Deviations: none known.

use crate::group::delete::{OffsetDeleteReply, OffsetDeleteTopic};
use crate::group::wiring::Route;
use crate::io::Origin;
use crate::request::{Header, Refusal, Request};
use crate::{Broker, Store};
use protocol::ErrorCode;
use protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

/// Deletes the offsets of one request.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(OffsetDeleteRequest::decode)?;
    if broker.route_group(request, &body.group_id) == Route::Forwarded {
        return Ok(());
    }
    let topics = body.topics.iter().map(|topic| {
        let known = broker.image.topic(&topic.name);
        let outcome = |index: i32| match known.and_then(|t| t.partition(index)) {
            Some(_) => ErrorCode::None,
            None => ErrorCode::UnknownTopicOrPartition,
        };
        let partitions = topic.partitions.iter().map(|p| (p.partition_index, outcome(p.partition_index)));
        OffsetDeleteTopic { name: (&*topic.name).into(), partitions: partitions.collect() }
    });
    let topics = topics.collect();
    let ticket = broker.wait_for_group(request);
    broker.groups.coordinator.delete_offsets(broker.now, ticket, &(&*body.group_id).into(), topics);
    broker.drain_groups();
    Ok(())
}

/// Answers once the tombstones are durable, or it is known that they will not be.
pub(crate) fn answer<S: Store>(broker: &mut Broker<S>, origin: Origin, header: &Header, reply: &OffsetDeleteReply) {
    let topics = reply.topics.iter().map(|topic| OffsetDeleteResponseTopic {
        name: (&*topic.name).into(),
        partitions: topic
            .partitions
            .iter()
            .map(|(index, error)| OffsetDeleteResponsePartition { partition_index: *index, error_code: error.code() })
            .collect(),
    });
    let response = OffsetDeleteResponse {
        error_code: reply.error.code(),
        topics: topics.collect(),
        ..OffsetDeleteResponse::default()
    };
    broker.respond(origin, header, |writer, version| response.encode(writer, version));
}
