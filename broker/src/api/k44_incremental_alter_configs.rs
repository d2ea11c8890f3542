//! IncrementalAlterConfigs, key 44, versions 0 to 1.
//!
//! Behaviour: sets, removes, or works on the list of single keys; what is not named stays. Each resource is altered whole or
//! not at all, and by itself: a resource that is refused leaves the others alone. One that is named twice, a key that is named
//! twice and a null value are INVALID_REQUEST; a value that its key does not take is INVALID_CONFIG. `validate_only` checks
//! and changes nothing. The answer leaves once every shard acts on the change.
//!
//! KIPs: 339, 226 (brokers), 412 (loggers), 714 (client metrics), 848 (groups). Deviations: an operation that nobody knows is
//! INVALID_REQUEST; Kafka answers UNKNOWN_SERVER_ERROR.

use super::alteration::{self, Asked, AskedConfig, Mode, Planned};
use super::answer::Answer;
use crate::io::Effect;
use crate::loggers::Loggers;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::incremental_alter_configs::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

impl<S: Store> Broker<S> {
    /// Gives our loggers other levels. On the controller's shard.
    fn set_loggers(&mut self, loggers: Loggers) {
        if loggers != self.seat.loggers {
            self.seat.loggers = loggers.clone();
            self.effects.push_back(Effect::Loggers(loggers));
        }
    }
}

/// Alters configurations.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    if broker.forward_to_controller(request) {
        return Ok(());
    }
    let body = request.body(IncrementalAlterConfigsRequest::decode)?;
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
                    operation: config.config_operation,
                    value: config.value.as_deref(),
                })
                .collect(),
        })
        .collect();
    let loggers = broker.seat.loggers.clone();
    let Some(controller) = broker.seat.controller() else { return Ok(()) };
    let planned = alteration::plan(controller, &loggers, &asked, Mode::Incremental);
    let Planned { plan, loggers, outcomes } = planned;
    let ticket = if body.validate_only { None } else { controller.stage(plan) };
    if !body.validate_only {
        broker.set_loggers(loggers);
    }
    let responses = outcomes
        .into_iter()
        .map(|outcome| AlterConfigsResourceResponse {
            error_code: outcome.code(),
            error_message: outcome.message(),
            resource_type: outcome.kind,
            resource_name: outcome.name.into(),
        })
        .collect();
    let answer = IncrementalAlterConfigsResponse { throttle_time_ms: 0, responses };
    let timeout_ms = broker.settings.request_timeout_ms;
    broker.answer_after(ticket, timeout_ms, request, Answer::IncrementalAlterConfigs(answer));
    Ok(())
}
