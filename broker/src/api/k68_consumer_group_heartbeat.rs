//! ConsumerGroupHeartbeat, key 68, versions 0 and 1.
//!
//! Behaviour: joins with epoch 0, tells what changed, acknowledges what was given up, leaves with -1 or, as a static member, with
//! -2. What changed the group is answered once it is durable. The answer has an assignment where that changed, and where
//! the request told everything.
//!
//! KIPs: 848, 1082 (members choose their ids, version 1), 1263 (assignments at intervals). Deviations: regular expressions are
//! matched at once, not in the background; racks are stored and told, but assignors ignore them; there are no ACLs. What a member
//! says that it owns counts only with its current epoch, so that a late heartbeat gives nothing up. One that has nothing to tell may be
//! answered later, when it has (`group::hold`).

use crate::group::consumer::heartbeat::{ConsumerHeartbeat, HeartbeatReply};
use crate::group::consumer::partitions::{self, Partitions};
use crate::group::consumer::state::Refused;
use crate::group::wiring::{Route, java_host};
use crate::io::Origin;
use crate::request::{Header, Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use std::sync::Arc;

/// Takes a heartbeat.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(ConsumerGroupHeartbeatRequest::decode)?;
    broker.note_beat(request, &body.group_id);
    if broker.route_group(request, &body.group_id) == Route::Forwarded {
        return Ok(());
    }
    let heartbeat = ConsumerHeartbeat {
        version: request.header.version,
        patience: request.patience,
        client_id: request.header.client_id.clone().unwrap_or_else(|| Arc::from("")),
        client_host: java_host(request.peer.ip()).into(),
        group: (&*body.group_id).into(),
        member: (&*body.member_id).into(),
        epoch: body.member_epoch,
        instance: body.instance_id.as_deref().map(Into::into),
        rack: body.rack_id.as_deref().map(Into::into),
        rebalance_timeout_ms: body.rebalance_timeout_ms,
        names: body.subscribed_topic_names.as_ref().map(|names| names.iter().map(|name| Arc::from(&**name)).collect()),
        regex: body.subscribed_topic_regex.as_deref().map(Into::into),
        assignor: body.server_assignor.as_deref().map(Into::into),
        owned: body.topic_partitions.as_deref().map(gather),
    };
    let ticket = broker.wait_for_group(request);
    broker.groups.coordinator.consumer_heartbeat(broker.now, ticket, heartbeat);
    broker.note_hold(request.origin, ticket);
    broker.drain_groups();
    Ok(())
}

fn gather(topics: &[TopicPartitions]) -> Partitions {
    let mut all = Partitions::new();
    for topic in topics {
        topic.partitions.iter().for_each(|partition| partitions::insert(&mut all, topic.topic_id, *partition));
    }
    all
}

/// Answers once what changed is durable.
pub(crate) fn answer<S: Store>(
    broker: &mut Broker<S>,
    origin: Origin,
    header: &Header,
    reply: &Result<HeartbeatReply, Refused>,
) {
    let response = match reply {
        Ok(reply) => ConsumerGroupHeartbeatResponse {
            member_id: Some(reply.member.as_str().into()),
            member_epoch: reply.epoch,
            heartbeat_interval_ms: reply.interval_ms,
            assignment: reply.assignment.as_ref().map(encode),
            ..ConsumerGroupHeartbeatResponse::default()
        },
        Err(refused) => ConsumerGroupHeartbeatResponse {
            error_code: refused.error.code(),
            error_message: refused.message.as_deref().map(Into::into),
            ..ConsumerGroupHeartbeatResponse::default()
        },
    };
    broker.respond(origin, header, |writer, version| response.encode(writer, version));
}

fn encode(partitions: &Partitions) -> Assignment {
    let topics = partitions
        .iter()
        .map(|(topic, of)| TopicPartitions { topic_id: *topic, partitions: of.iter().copied().collect() });
    Assignment { topic_partitions: topics.collect() }
}
