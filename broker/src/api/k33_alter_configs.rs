//! AlterConfigs, key 33, versions 0 to 2.
//!
//! Behaviour: the values that a resource names replace all that were set on it; keys that are not named fall back. Otherwise as
//! IncrementalAlterConfigs (44), which took its place, except that loggers cannot be altered so.
//!
//! KIPs: 133, 226. Deviations: none known.

use super::alteration::{self, Asked, AskedConfig, Mode, Planned};
use super::answer::Answer;
use crate::config::alter::Operation;
use crate::loggers::Loggers;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::alter_configs::{AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse};

/// Replaces configurations.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    if broker.forward_to_controller(request) {
        return Ok(());
    }
    let body = request.body(AlterConfigsRequest::decode)?;
    let asked: Vec<Asked<'_>> = body
        .resources
        .iter()
        .map(|resource| Asked {
            kind: resource.resource_type,
            name: &resource.resource_name,
            configs: resource
                .configs
                .iter()
                .map(|config| AskedConfig {
                    key: &config.name,
                    operation: Operation::Set as i8,
                    value: config.value.as_deref(),
                })
                .collect(),
        })
        .collect();
    let Some(controller) = broker.seat.controller() else { return Ok(()) };
    let Planned { plan, outcomes, .. } = alteration::plan(controller, &Loggers::default(), &asked, Mode::Replace);
    let ticket = if body.validate_only { None } else { controller.stage(plan) };
    let responses = outcomes
        .into_iter()
        .map(|outcome| AlterConfigsResourceResponse {
            error_code: outcome.code(),
            error_message: outcome.message(),
            resource_type: outcome.kind,
            resource_name: outcome.name.into(),
        })
        .collect();
    let answer = AlterConfigsResponse { throttle_time_ms: 0, responses };
    let timeout_ms = broker.settings.request_timeout_ms;
    broker.answer_after(ticket, timeout_ms, request, Answer::AlterConfigs(answer));
    Ok(())
}
