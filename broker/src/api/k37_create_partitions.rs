//! CreatePartitions, key 37, versions 0 to 3.
//!
//! Behaviour: raises the number of partitions, never lowers it: a count that is not above the present one is
//! INVALID_PARTITIONS. A topic that is named twice is INVALID_REQUEST. `validate_only` checks and changes nothing.
//!
//! KIPs: 195, 599 (version 3 says that clients understand throttling). Deviations: none known.

use super::answer::Answer;
use crate::controller::plan::Rejection;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::ErrorCode;
use protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use std::collections::BTreeMap;

/// Adds partitions to topics.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    if broker.forward_to_controller(request) {
        return Ok(());
    }
    let body = request.body(CreatePartitionsRequest::decode)?;
    let Some(controller) = broker.seat.controller() else { return Ok(()) };
    let mut plan = controller.plan();
    let mut results = Vec::new();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    body.topics.iter().for_each(|topic| *times.entry(&topic.name).or_default() += 1);
    for topic in &body.topics {
        // Answered once, at the first mention.
        let Some(times) = times.remove(&*topic.name) else { continue };
        let outcome = if times > 1 {
            Err(Rejection::new(ErrorCode::InvalidRequest, "The request names this topic more than once"))
        } else {
            plan.grow_topic(&topic.name, topic.count, manual(topic))
        };
        results.push(result(&topic.name, outcome));
    }
    let ticket = if body.validate_only { None } else { controller.stage(plan) };
    let answer = Answer::CreatePartitions(CreatePartitionsResponse { throttle_time_ms: 0, results });
    broker.answer_after(ticket, body.timeout_ms, request, answer);
    Ok(())
}

fn manual(topic: &CreatePartitionsTopic<'_>) -> Option<Vec<Vec<i32>>> {
    let assignments = topic.assignments.as_ref()?;
    Some(assignments.iter().map(|assignment| assignment.broker_ids.clone()).collect())
}

fn result(name: &str, outcome: Result<(), Rejection>) -> CreatePartitionsTopicResult<'static> {
    let rejection = outcome.err();
    CreatePartitionsTopicResult {
        name: name.to_owned().into(),
        error_code: rejection.as_ref().map_or(ErrorCode::None, |rejection| rejection.code).code(),
        error_message: rejection.map(|rejection| rejection.message.into()),
    }
}
