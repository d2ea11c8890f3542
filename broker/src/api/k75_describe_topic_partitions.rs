//! DescribeTopicPartitions, key 75, version 0.
//!
//! Behaviour: the named topics, or all, in the order of their names, up to a number of partitions; where that ends in the
//! middle, the answer carries a cursor from which the next request goes on. A negative cursor partition or a limit below 1 is
//! INVALID_REQUEST for every topic. An unknown topic is UNKNOWN_TOPIC_OR_PARTITION.
//!
//! KIPs: 966. Deviations: eligible leader replicas are empty until there are replicas.

use super::rights;
use crate::controller::names;
use crate::image::{MetadataImage, TopicImage};
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use protocol::{ErrorCode, Str, Uuid};

/// Describes topics, page by page.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    if !broker.is_ready() {
        broker.keep_early(request);
        return Ok(());
    }
    let body = request.body(DescribeTopicPartitionsRequest::decode)?;
    let image = broker.image.clone();
    let response = response(&image, &body);
    broker.respond(request.origin, &request.header, |writer, version| response.encode(writer, version));
    Ok(())
}

fn response<'a>(
    image: &'a MetadataImage,
    body: &DescribeTopicPartitionsRequest<'a>,
) -> DescribeTopicPartitionsResponse<'a> {
    let first = body.cursor.as_ref();
    let from = usize::try_from(first.map_or(0, |cursor| cursor.partition_index));
    let most = body.response_partition_limit.min(image.settings().max_request_partition_size_limit);
    let (Ok(from), Ok(mut room @ 1..)) = (from, usize::try_from(most)) else {
        let topics = body.topics.iter().map(|topic| failed(ErrorCode::InvalidRequest, topic.name.clone()));
        return DescribeTopicPartitionsResponse { topics: topics.collect(), ..Default::default() };
    };
    let start = first.map_or("", |cursor| &*cursor.topic_name);
    let mut answer = DescribeTopicPartitionsResponse::default();
    for name in names_from(image, body, start) {
        if room == 0 {
            answer.next_cursor = Some(Cursor { topic_name: name, partition_index: 0 });
            break;
        }
        let Some(topic) = image.topic(&name) else {
            let known = names::validate(&name).is_ok();
            let code = if known { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::InvalidTopicException };
            answer.topics.push(failed(code, name));
            continue;
        };
        let skip = if *name == *start { from } else { 0 };
        let end = topic.partitions.len().min(skip.saturating_add(room));
        room -= end.saturating_sub(skip);
        answer.topics.push(page(image, topic, skip, end));
        if end < topic.partitions.len() {
            let partition_index = i32::try_from(end).unwrap_or(i32::MAX);
            answer.next_cursor = Some(Cursor { topic_name: name, partition_index });
            break;
        }
    }
    answer
}

/// The wanted names from the cursor on, in order, each once.
fn names_from<'a>(image: &'a MetadataImage, body: &DescribeTopicPartitionsRequest<'a>, start: &str) -> Vec<Str<'a>> {
    if body.topics.is_empty() {
        return image.topics_from(start).map(|topic| Str::Borrowed(&*topic.name)).collect();
    }
    let wanted = body.topics.iter().map(|topic| topic.name.clone());
    let mut names: Vec<Str<'a>> = wanted.filter(|name| &**name >= start).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn failed(code: ErrorCode, name: Str<'_>) -> DescribeTopicPartitionsResponseTopic<'_> {
    DescribeTopicPartitionsResponseTopic {
        error_code: code.code(),
        name: Some(name),
        topic_id: Uuid::ZERO,
        is_internal: false,
        partitions: Vec::new(),
        topic_authorized_operations: rights::NOT_ASKED,
    }
}

fn page<'a>(
    image: &MetadataImage,
    topic: &'a TopicImage,
    skip: usize,
    end: usize,
) -> DescribeTopicPartitionsResponseTopic<'a> {
    let settings = image.settings();
    let wanted = (0..).zip(&topic.partitions).take(end).skip(skip);
    let partitions = wanted.map(|(partition_index, partition)| {
        let code = if partition.leader < 0 { ErrorCode::LeaderNotAvailable } else { ErrorCode::None };
        DescribeTopicPartitionsResponsePartition {
            error_code: code.code(),
            partition_index,
            leader_id: settings.shown(partition.leader, topic.id, partition_index),
            leader_epoch: partition.leader_epoch,
            replica_nodes: settings.shown_all(&partition.replicas, topic.id, partition_index),
            isr_nodes: settings.shown_all(&partition.isr, topic.id, partition_index),
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            offline_replicas: Vec::new(),
        }
    });
    DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(Str::Borrowed(&topic.name)),
        topic_id: topic.id,
        is_internal: topic.internal,
        partitions: partitions.collect(),
        topic_authorized_operations: rights::TOPIC,
    }
}
