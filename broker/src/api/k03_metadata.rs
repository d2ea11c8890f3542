//! Metadata, key 3, versions 0 to 13.
//!
//! Behaviour: all topics for an empty list in version 0 and for null from 1 on; none for an empty list from 1 on. By name, or
//! from version 12 on by id. Topics that are not there are made when client and broker allow it
//! (`allow_auto_topic_creation`, `auto.create.topics.enable`); the answer waits for them. A name that Kafka refuses is
//! INVALID_TOPIC_EXCEPTION, an unknown one UNKNOWN_TOPIC_OR_PARTITION, an unknown id UNKNOWN_TOPIC_ID.
//! The endpoint is that of the listener which the client reached.
//!
//! KIPs: 4, 204, 430 (authorized operations), 516 (topic ids), 700 (cluster operations left to DescribeCluster from 11 on),
//! 1102 (top-level error code from 13 on).
//!
//! Deviations: Kafka answers LEADER_NOT_AVAILABLE or UNKNOWN_TOPIC_OR_PARTITION while a topic is made; here the answer
//! comes once the topic can be written to. Every broker is a controller. With `core.endpoints` each core is a broker, and
//! shown as leader and replica of what it owns ([`cores`](crate::cores)).

use super::rights;
use crate::controller::names;
use crate::controller::seat::CONTROLLER;
use crate::image::{MetadataImage, TopicImage};
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use protocol::{ErrorCode, Str, Uuid};
use std::net::SocketAddr;

/// First version that takes topic ids.
const BY_ID_FROM: i16 = 12;

/// Answers a Metadata request, or has missing topics made first.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    if !broker.is_ready() {
        broker.keep_early(request);
        return Ok(());
    }
    let body = request.body(MetadataRequest::decode)?;
    let missing = to_be_made(&broker.image, &body);
    if missing.is_empty() {
        return answer(broker, request);
    }
    if broker.me != CONTROLLER {
        broker.forward_to_controller(request);
        return Ok(());
    }
    if broker.metadata_after(request, &missing) { Ok(()) } else { answer(broker, request) }
}

/// Answers with what is there.
pub(crate) fn answer<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(MetadataRequest::decode)?;
    let image = broker.image.clone();
    let response = response(&image, &body, request.header.version, request.local);
    broker.respond(request.origin, &request.header, |writer, version| response.encode(writer, version));
    Ok(())
}

/// Names in the request that no topic has and that a topic may have.
fn to_be_made(image: &MetadataImage, body: &MetadataRequest<'_>) -> Vec<String> {
    if !(body.allow_auto_topic_creation && image.settings().auto_create_topics_enable) {
        return Vec::new();
    }
    let named = body.topics.iter().flatten().filter(|topic| topic.topic_id.is_zero());
    let missing = named
        .filter_map(|topic| topic.name.as_deref())
        .filter(|name| image.topic(name).is_none() && names::validate(name).is_ok());
    let mut missing: Vec<String> = missing.map(str::to_owned).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

fn response<'a>(
    image: &'a MetadataImage,
    body: &MetadataRequest<'a>,
    version: i16,
    local: SocketAddr,
) -> MetadataResponse<'a> {
    let settings = image.settings();
    let own = rights::asked(body.include_topic_authorized_operations, rights::TOPIC);
    let all = match &body.topics {
        None => true,
        Some(topics) => topics.is_empty() && version == 0,
    };
    let topics = if all {
        image.topics().map(|topic| found(image, topic, own)).collect()
    } else {
        body.topics.iter().flatten().map(|asked| one(image, asked, version, own)).collect()
    };
    let brokers = settings.core_endpoints(local).into_iter().map(|at| MetadataResponseBroker {
        node_id: at.id,
        host: at.host.into(),
        port: i32::from(at.port),
        rack: settings.rack.as_deref().map(Str::Borrowed),
    });
    MetadataResponse {
        throttle_time_ms: 0,
        brokers: brokers.collect(),
        cluster_id: image.cluster_id().map(Str::Borrowed),
        controller_id: settings.node_id,
        topics,
        cluster_authorized_operations: rights::asked(body.include_cluster_authorized_operations, rights::CLUSTER),
        error_code: ErrorCode::None.code(),
    }
}

fn one<'a>(
    image: &'a MetadataImage,
    asked: &MetadataRequestTopic<'a>,
    version: i16,
    own: i32,
) -> MetadataResponseTopic<'a> {
    let by_id = !asked.topic_id.is_zero();
    let name = asked.name.clone();
    if (by_id || name.is_none()) && version < BY_ID_FROM {
        return failed(ErrorCode::InvalidRequest, Some(name.unwrap_or_default()), asked.topic_id);
    }
    if by_id {
        return match image.topic_by_id(asked.topic_id) {
            Some(topic) => found(image, topic, own),
            None => failed(ErrorCode::UnknownTopicId, None, asked.topic_id),
        };
    }
    let name = name.unwrap_or_default();
    match image.topic(&name) {
        Some(topic) => found(image, topic, own),
        None if names::validate(&name).is_err() => failed(ErrorCode::InvalidTopicException, Some(name), Uuid::ZERO),
        None => failed(ErrorCode::UnknownTopicOrPartition, Some(name), Uuid::ZERO),
    }
}

fn failed(code: ErrorCode, name: Option<Str<'_>>, topic_id: Uuid) -> MetadataResponseTopic<'_> {
    MetadataResponseTopic {
        error_code: code.code(),
        name,
        topic_id,
        is_internal: false,
        partitions: Vec::new(),
        topic_authorized_operations: rights::NOT_ASKED,
    }
}

fn found<'a>(image: &MetadataImage, topic: &'a TopicImage, own: i32) -> MetadataResponseTopic<'a> {
    let settings = image.settings();
    let partitions = (0..).zip(&topic.partitions).map(|(partition_index, partition)| {
        let code = if partition.leader < 0 { ErrorCode::LeaderNotAvailable } else { ErrorCode::None };
        MetadataResponsePartition {
            error_code: code.code(),
            partition_index,
            leader_id: settings.shown(partition.leader, topic.id, partition_index),
            leader_epoch: partition.leader_epoch,
            replica_nodes: settings.shown_all(&partition.replicas, topic.id, partition_index),
            isr_nodes: settings.shown_all(&partition.isr, topic.id, partition_index),
            offline_replicas: Vec::new(),
        }
    });
    MetadataResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(Str::Borrowed(&topic.name)),
        topic_id: topic.id,
        is_internal: topic.internal,
        partitions: partitions.collect(),
        topic_authorized_operations: own,
    }
}
