//! DescribeConfigs, key 32, versions 1 to 4; 0 for clients before 1.1.
//!
//! Behaviour: the configuration of topics (type 2), brokers (4; the empty name asks for what was set for all brokers at run
//! time), loggers (8), subscriptions to metrics of clients (16) and groups (32; the last two need not exist). Null or no keys
//! asks for all. Each value comes with its source; synonyms and documentation where asked for. Secrets are shown as null. What
//! an entry says is in `description`.
//!
//! KIPs: 133, 226 (sources, synonyms), 569 (types and documentation from version 3 on), 412, 714, 848. Deviations: the synonyms
//! of a topic's key name every broker key that somebody set, also one of another unit (`log.retention.hours`), and the source is
//! that key's; Kafka shows the value and calls it a default. Our own keys are listed too.

use super::description::{Describe, Entry};
use crate::config::layers::Source;
use crate::config::resource::ResourceType;
use crate::controller::names;
use crate::controller::plan::Rejection;
use crate::loggers::Loggers;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse, DescribeConfigsResult,
};
use protocol::{ErrorCode, Str};

/// Describes configurations. Loggers are the controller's shard's to describe.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    if !broker.is_ready() {
        broker.keep_early(request);
        return Ok(());
    }
    let body = request.body(DescribeConfigsRequest::decode)?;
    let of_loggers = body.resources.iter().any(|resource| resource.resource_type == ResourceType::BrokerLogger as i8);
    if of_loggers && broker.forward_to_controller(request) {
        return Ok(());
    }
    let image = broker.image.clone();
    let describe =
        Describe { image: &image, synonyms: body.include_synonyms, documentation: body.include_documentation };
    let loggers = &broker.seat.loggers;
    let mut results: Vec<_> = body.resources.iter().map(|resource| result(&describe, loggers, resource)).collect();
    if request.header.version < SOURCES_SINCE {
        tell_defaults(&mut results);
    }
    let response = DescribeConfigsResponse { throttle_time_ms: 0, results };
    broker.respond(request.origin, &request.header, |writer, version| response.encode(writer, version));
    Ok(())
}

/// From this version on an answer names the source of a value; before, only whether it is a default.
const SOURCES_SINCE: i16 = 1;

fn tell_defaults(results: &mut [DescribeConfigsResult<'_>]) {
    for entry in results.iter_mut().flat_map(|result| &mut result.configs) {
        entry.is_default = entry.config_source == Source::Default as i8;
    }
}

fn result<'a>(
    describe: &Describe<'_>,
    loggers: &Loggers,
    resource: &DescribeConfigsResource<'a>,
) -> DescribeConfigsResult<'a> {
    let (configs, rejection) = match entries(describe, loggers, resource) {
        Ok(configs) => (configs, None),
        Err(rejection) => (Vec::new(), Some(rejection)),
    };
    let keys = resource.configuration_keys.as_deref().filter(|keys| !keys.is_empty());
    let wanted = |entry: &Entry| keys.is_none_or(|keys| keys.contains(&entry.name));
    DescribeConfigsResult {
        error_code: rejection.as_ref().map_or(ErrorCode::None, |rejection| rejection.code).code(),
        // Kafka sends an empty text, not none, where all is well.
        error_message: Some(rejection.map_or_else(Str::default, |rejection| rejection.message.into())),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        configs: configs.into_iter().filter(wanted).collect(),
    }
}

fn entries(
    describe: &Describe<'_>,
    loggers: &Loggers,
    resource: &DescribeConfigsResource<'_>,
) -> Result<Vec<Entry>, Rejection> {
    let name = &*resource.resource_name;
    let own = describe.image.settings().node_id;
    match ResourceType::of(resource.resource_type) {
        Some(ResourceType::Topic) => {
            names::validate(name)?;
            let topic = describe.image.topic(name).ok_or_else(|| {
                let message = "This broker has no topic of that name";
                Rejection::new(ErrorCode::UnknownTopicOrPartition, message)
            })?;
            Ok(describe.topic(topic))
        }
        Some(ResourceType::Broker) if name.is_empty() => Ok(describe.all_brokers()),
        Some(ResourceType::Broker) => {
            let expected = format!("Unexpected broker id, expected {own} or empty string, but received {name}");
            own_number(describe, name, expected)?;
            Ok(describe.broker())
        }
        Some(ResourceType::BrokerLogger) if name.is_empty() => Err(invalid("Broker id must not be empty")),
        Some(ResourceType::BrokerLogger) => {
            own_number(describe, name, format!("Unexpected broker id, expected {own} but received {name}"))?;
            Ok(describe.loggers(loggers))
        }
        Some(ResourceType::ClientMetrics) if name.is_empty() => {
            Err(invalid("Client metrics subscription name must not be empty"))
        }
        Some(ResourceType::ClientMetrics) => Ok(describe.client_metrics(name)),
        Some(ResourceType::Group) if name.is_empty() => Err(invalid("Group name must not be empty")),
        Some(ResourceType::Group) => Ok(describe.group(name)),
        None => Err(invalid(format!("Resources of type {} have no configuration", resource.resource_type))),
    }
}

/// Brokers are named by their number, and answer for themselves alone.
fn own_number(describe: &Describe<'_>, name: &str, unexpected: String) -> Result<(), Rejection> {
    let settings = describe.image.settings();
    match name.parse::<i32>() {
        // Each of our cores may be a broker; their configuration is the node's.
        Ok(number) if settings.node_of(number) == settings.node_id => Ok(()),
        Ok(_) => Err(invalid(unexpected)),
        Err(_) => Err(invalid(format!("Broker id must be an integer, but it is: {name}"))),
    }
}

fn invalid(message: impl Into<String>) -> Rejection {
    Rejection::new(ErrorCode::InvalidRequest, message)
}
