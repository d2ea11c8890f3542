//! DeleteTopics, key 20, versions 1 to 6; 0 for clients before 0.11.
//!
//! Behaviour: by name, from version 6 on by name or id. Both or neither is INVALID_REQUEST, as is a topic that is named
//! twice. With `delete.topic.enable=false` everything is refused: TOPIC_DELETION_DISABLED, INVALID_REQUEST before version 3.
//!
//! KIPs: 4, 516 (ids). Deviations: the broker's own topics are refused with INVALID_TOPIC_EXCEPTION; Kafka leaves that
//! check to its command line.

use super::answer::Answer;
use crate::controller::Controller;
use crate::controller::plan::{Plan, Rejection};
use crate::image::TopicImage;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::delete_topics::{DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse};
use protocol::{ErrorCode, Uuid};
use std::sync::Arc;

/// What a request names: version 6 has both fields.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    name: Option<String>,
    id: Uuid,
}

/// Deletes topics.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    if broker.forward_to_controller(request) {
        return Ok(());
    }
    let body = request.body(DeleteTopicsRequest::decode)?;
    let version = request.header.version;
    let named: Vec<Named> = if version >= 6 {
        let topics = body.topics.iter();
        topics.map(|topic| Named { name: topic.name.as_deref().map(str::to_owned), id: topic.topic_id }).collect()
    } else {
        body.topic_names.iter().map(|name| Named { name: Some(name.to_string()), id: Uuid::ZERO }).collect()
    };
    let allowed = broker.settings.delete_topic_enable;
    let Some(controller) = broker.seat.controller() else { return Ok(()) };
    let (plan, responses) = if allowed {
        plan(controller, &named)
    } else {
        let code = if version < 3 { ErrorCode::InvalidRequest } else { ErrorCode::TopicDeletionDisabled };
        let disabled = Rejection::new(code, "Topics cannot be deleted: delete.topic.enable is false");
        let refused = named.iter().map(|topic| result(topic, None, Some(disabled.clone()))).collect();
        (controller.plan(), refused)
    };
    let ticket = controller.stage(plan);
    let answer = Answer::DeleteTopics(DeleteTopicsResponse { throttle_time_ms: 0, responses });
    broker.answer_after(ticket, body.timeout_ms, request, answer);
    Ok(())
}

fn plan(controller: &Controller, named: &[Named]) -> (Plan, Vec<DeletableTopicResult<'static>>) {
    let mut plan = controller.plan();
    let before = Arc::clone(controller.newest());
    let targets: Vec<Result<Arc<TopicImage>, Rejection>> = named
        .iter()
        .map(|topic| match (&topic.name, topic.id) {
            (Some(_), id) if !id.is_zero() => Err(invalid("A topic is named by its name or by its id, not by both")),
            (None, Uuid::ZERO) => Err(invalid("A topic is named by its name or by its id")),
            (Some(name), _) => before.topic(name).cloned().ok_or_else(|| {
                Rejection::new(ErrorCode::UnknownTopicOrPartition, "This broker has no topic of that name")
            }),
            (None, id) => before
                .topic_by_id(id)
                .cloned()
                .ok_or_else(|| Rejection::new(ErrorCode::UnknownTopicId, "This broker has no topic of that id")),
        })
        .collect();
    let mut results = Vec::with_capacity(named.len());
    for (topic, target) in named.iter().zip(&targets) {
        let times = |id: Uuid| targets.iter().flatten().filter(|other| other.id == id).count();
        let (found, outcome) = match target {
            Err(rejection) => (None, Err(rejection.clone())),
            Ok(found) if times(found.id) > 1 => (None, Err(invalid("The request names this topic more than once"))),
            Ok(found) => (Some(found), plan.delete_topic(found)),
        };
        results.push(result(topic, found.map(AsRef::as_ref), outcome.err()));
    }
    (plan, results)
}

fn invalid(message: &str) -> Rejection {
    Rejection::new(ErrorCode::InvalidRequest, message)
}

fn result(named: &Named, found: Option<&TopicImage>, rejection: Option<Rejection>) -> DeletableTopicResult<'static> {
    let name = found.map(|topic| topic.name.to_string()).or_else(|| named.name.clone());
    DeletableTopicResult {
        name: name.map(Into::into),
        topic_id: found.map_or(named.id, |topic| topic.id),
        error_code: rejection.as_ref().map_or(ErrorCode::None, |rejection| rejection.code).code(),
        error_message: rejection.map(|rejection| rejection.message.into()),
    }
}
