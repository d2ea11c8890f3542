//! CreateTopics, key 19, versions 2 to 7; 0 and 1 for clients before 0.11.
//!
//! Behaviour: each topic succeeds or fails by itself; a name that appears twice is INVALID_REQUEST. -1 partitions or
//! replicas take the broker's defaults. A manual assignment numbers its partitions from 0 without gaps and leaves both counts at
//! -1. `validate_only` checks and changes nothing. The answer leaves when the topics can be written to.
//!
//! KIPs: 4, 464 (defaults), 525 (configuration in the answer from version 5 on), 516 (topic id from 7 on).
//!
//! Deviations: `remote.storage.enable=true` is refused until there is tiered storage.

use super::answer::Answer;
use super::description::topic_entries;
use crate::config::Values;
use crate::controller::Controller;
use crate::controller::plan::{Layout, NewTopic, Plan, Rejection};
use crate::image::{MetadataImage, TopicImage};
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::ErrorCode;
use protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use std::collections::BTreeMap;

/// Makes topics.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    if broker.forward_to_controller(request) {
        return Ok(());
    }
    let body = request.body(CreateTopicsRequest::decode)?;
    let Some(controller) = broker.seat.controller() else { return Ok(()) };
    let (plan, response) = plan(controller, &body);
    let ticket = if body.validate_only { None } else { controller.stage(plan) };
    broker.answer_after(ticket, body.timeout_ms, request, Answer::CreateTopics(response));
    Ok(())
}

fn plan(controller: &mut Controller, body: &CreateTopicsRequest<'_>) -> (Plan, CreateTopicsResponse<'static>) {
    let mut plan = controller.plan();
    let mut topics: Vec<CreatableTopicResult<'static>> = Vec::new();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    body.topics.iter().for_each(|topic| *times.entry(&topic.name).or_default() += 1);
    for topic in &body.topics {
        // Answered once, at the first mention.
        let Some(times) = times.remove(&*topic.name) else { continue };
        let planned = if times > 1 {
            Err(Rejection::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else {
            new_topic(topic).and_then(|new| plan.create_topic(&new, controller.random()))
        };
        topics.push(match planned {
            Ok(made) => succeeded(plan.image(), &made),
            Err(rejection) => failed(topic.name.to_string(), rejection),
        });
    }
    (plan, CreateTopicsResponse { throttle_time_ms: 0, topics })
}

fn new_topic(asked: &CreatableTopic<'_>) -> Result<NewTopic, Rejection> {
    let (partitions, factor) = (asked.num_partitions, asked.replication_factor);
    let layout = if asked.assignments.is_empty() {
        Layout::Count {
            partitions: (partitions != -1).then_some(partitions),
            replication_factor: (factor != -1).then_some(factor),
        }
    } else if partitions != -1 || factor != -1 {
        let message = "With a manual assignment, the number of partitions and the replication factor must be -1";
        return Err(Rejection::new(ErrorCode::InvalidRequest, message));
    } else {
        manual(&asked.assignments)?
    };
    Ok(NewTopic { name: asked.name.to_string(), layout, configs: configs(asked)? })
}

/// The values that a topic begins with. Of a key that is named twice the last counts, as in Kafka.
fn configs(asked: &CreatableTopic<'_>) -> Result<Values, Rejection> {
    let nulls = asked.configs.iter().filter(|config| config.value.is_none()).map(|config| &*config.name);
    let nulls: Vec<&str> = nulls.collect();
    if !nulls.is_empty() {
        let message = format!("Null value not supported for topic configs: {}", nulls.join(","));
        return Err(Rejection::new(ErrorCode::InvalidConfig, message));
    }
    let pairs = asked.configs.iter().filter_map(|config| Some((config.name.to_string(), config.value.as_ref()?)));
    Ok(pairs.map(|(key, value)| (key, value.to_string())).collect())
}

fn manual(assignments: &[CreatableReplicaAssignment]) -> Result<Layout, Rejection> {
    let bad = |message: String| Err(Rejection::new(ErrorCode::InvalidReplicaAssignment, message));
    let mut sorted: Vec<&CreatableReplicaAssignment> = assignments.iter().collect();
    sorted.sort_by_key(|assignment| assignment.partition_index);
    for (expected, assignment) in (0..).zip(&sorted) {
        if assignment.partition_index != expected {
            return bad(format!(
                "Partitions must be numbered from 0 without gaps and repetitions; {expected} is missing or repeated"
            ));
        }
    }
    Ok(Layout::Manual(sorted.into_iter().map(|assignment| assignment.broker_ids.clone()).collect()))
}

fn succeeded(image: &MetadataImage, topic: &TopicImage) -> CreatableTopicResult<'static> {
    let configs = topic_entries(image, topic).into_iter().map(|entry| CreatableTopicConfigs {
        name: entry.name.into(),
        value: Some(entry.value.into()),
        read_only: false,
        config_source: entry.source as i8,
        is_sensitive: false,
    });
    let factor = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    CreatableTopicResult {
        name: topic.name.to_string().into(),
        topic_id: topic.id,
        num_partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(factor).unwrap_or(i16::MAX),
        configs: Some(configs.collect()),
        // The default would be an empty text, and Kafka's answer has none.
        error_message: None,
        ..CreatableTopicResult::default()
    }
}

fn failed(name: String, rejection: Rejection) -> CreatableTopicResult<'static> {
    CreatableTopicResult {
        name: name.into(),
        error_code: rejection.code.code(),
        error_message: Some(rejection.message.into()),
        num_partitions: -1,
        replication_factor: -1,
        configs: Some(Vec::new()),
        ..CreatableTopicResult::default()
    }
}
