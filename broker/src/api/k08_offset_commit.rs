//! OffsetCommit, key 8, versions 2 to 10; 0 and 1 for clients before 0.9. Version 0, which Kafka wrote to ZooKeeper, is stored like
//! the others, and its offsets are found by every version; the timestamp of version 1 is not looked at: offsets live as the broker says.
//!
//! Behaviour: offsets become visible, and are acknowledged, once their records are durable. Topics and partitions that do not
//! exist are refused one by one; a group's refusal is that of every partition left. Generation -1 without a member id
//! commits to a group without members (assign-style consumers, administrators).
//!
//! KIPs: 211 (retention_time_ms until version 4), 320 (leader epoch), 345 (instances), 848 (member epoch), 1251 (of a partition's owner any epoch since it has it), 516
//! (topic ids from version 10 on). Deviations: values are written in record version 3; see `group::records`.

use crate::group::commit::{CommitPartition, CommitReply, CommitRequest, CommitTopic};
use crate::group::wiring::Route;
use crate::image::TopicImage;
use crate::io::Origin;
use crate::request::{Header, Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};
use protocol::{ErrorCode, Uuid};
use std::sync::Arc;

/// First version that names topics by id.
const TOPIC_IDS_SINCE: i16 = 10;

/// Commits the offsets of one request.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(OffsetCommitRequest::decode)?;
    if broker.route_group(request, &body.group_id) == Route::Forwarded {
        return Ok(());
    }
    let version = request.header.version;
    let commit = CommitRequest {
        version,
        group: (&*body.group_id).into(),
        member: (&*body.member_id).into(),
        instance: body.group_instance_id.as_deref().map(Into::into),
        generation: body.generation_id_or_member_epoch,
        retention_ms: (body.retention_time_ms >= 0).then_some(body.retention_time_ms),
        topics: body.topics.iter().map(|topic| commit_topic(broker, topic, version)).collect(),
    };
    let ticket = broker.wait_for_group(request);
    broker.groups.coordinator.commit(broker.now, ticket, &commit);
    broker.drain_groups();
    Ok(())
}

fn commit_topic<S: Store>(broker: &Broker<S>, asked: &OffsetCommitRequestTopic<'_>, version: i16) -> CommitTopic {
    let (known, missing) = if version >= TOPIC_IDS_SINCE {
        (broker.image.topic_by_id(asked.topic_id), ErrorCode::UnknownTopicId)
    } else {
        (broker.image.topic(&asked.name), ErrorCode::UnknownTopicOrPartition)
    };
    let refused = |index: i32| match known {
        None => Some(missing),
        Some(topic) => no_such_partition(topic, index),
    };
    let partitions = asked.partitions.iter().map(|partition| CommitPartition {
        index: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.as_deref().unwrap_or_default().into(),
        refused: refused(partition.partition_index),
    });
    CommitTopic {
        name: known.map_or_else(|| Arc::from(&*asked.name), |topic| topic.name.clone()),
        id: asked.topic_id.0,
        partitions: partitions.collect(),
    }
}

fn no_such_partition(topic: &TopicImage, index: i32) -> Option<ErrorCode> {
    topic.partition(index).is_none().then_some(ErrorCode::UnknownTopicOrPartition)
}

/// Answers once the records are durable, or it is known that they will not be.
pub(crate) fn answer<S: Store>(broker: &mut Broker<S>, origin: Origin, header: &Header, reply: &CommitReply) {
    let topics = reply.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: (&*topic.name).into(),
        topic_id: Uuid(topic.id),
        partitions: topic
            .partitions
            .iter()
            .map(|(index, error)| OffsetCommitResponsePartition { partition_index: *index, error_code: error.code() })
            .collect(),
    });
    let response = OffsetCommitResponse { topics: topics.collect(), ..OffsetCommitResponse::default() };
    broker.respond(origin, header, |writer, version| response.encode(writer, version));
}
