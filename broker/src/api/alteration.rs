//! What AlterConfigs (33) and IncrementalAlterConfigs (44) have in common: which resources a request names, and what becomes of
//! each of them. What an alteration comes to is planned by the [controller](crate::controller::plan).

use crate::config::Values;
use crate::config::alter::{Operation, Step};
use crate::config::resource::ResourceType;
use crate::controller::Controller;
use crate::controller::plan::{How, Plan, Rejection, Target};
use crate::loggers::{LoggerError, Loggers};
use crate::settings::BrokerSettings;
use protocol::ErrorCode;
use std::collections::BTreeMap;

/// One key of a resource as a request names it. AlterConfigs sets only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AskedConfig<'a> {
    pub(crate) key: &'a str,
    pub(crate) operation: i8,
    pub(crate) value: Option<&'a str>,
}

/// One resource as a request names it.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) kind: i8,
    pub(crate) name: &'a str,
    pub(crate) configs: Vec<AskedConfig<'a>>,
}

/// What became of one resource.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) kind: i8,
    pub(crate) name: String,
    pub(crate) result: Result<(), Rejection>,
}

impl Outcome {
    pub(crate) fn code(&self) -> i16 {
        self.result.as_ref().map_or_else(|rejection| rejection.code, |()| ErrorCode::None).code()
    }

    pub(crate) fn message(&self) -> Option<protocol::Str<'static>> {
        self.result.as_ref().err().map(|rejection| rejection.message.clone().into())
    }
}

/// Whether the keys that are not named fall back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They stay.
    Incremental,
    /// They fall back.
    Replace,
}

/// What a request comes to.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) loggers: Loggers,
    pub(crate) outcomes: Vec<Outcome>,
}

/// Plans all resources of a request. Those that are refused leave the others alone.
pub(crate) fn plan(controller: &Controller, loggers: &Loggers, asked: &[Asked<'_>], mode: Mode) -> Planned {
    let (mut plan, mut loggers) = (controller.plan(), loggers.clone());
    let mut times: BTreeMap<(i8, &str), usize> = BTreeMap::new();
    asked.iter().for_each(|resource| *times.entry((resource.kind, resource.name)).or_default() += 1);
    let outcomes = asked.iter().map(|resource| {
        let result = match times.get(&(resource.kind, resource.name)) {
            Some(1) if resource.kind == ResourceType::BrokerLogger as i8 && mode == Mode::Incremental => {
                alter_loggers(plan.image().settings(), &loggers, resource).map(|next| loggers = next)
            }
            Some(1) => alter(&mut plan, resource, mode),
            _ => Err(invalid("Each resource must appear at most once.")),
        };
        Outcome { kind: resource.kind, name: resource.name.to_owned(), result }
    });
    let outcomes = outcomes.collect();
    Planned { plan, loggers, outcomes }
}

/// All steps of a request for loggers, or none.
fn alter_loggers(settings: &BrokerSettings, loggers: &Loggers, resource: &Asked<'_>) -> Result<Loggers, Rejection> {
    let How::Steps(steps) = how(resource, Mode::Incremental)? else { unreachable!("it was asked for steps") };
    own_number(settings, resource.name, |own, got| format!("Unexpected node id. Expected {own}, but received {got}"))?;
    steps.iter().try_fold(loggers.clone(), |loggers, step| {
        let done = match step.operation {
            Operation::Set => loggers.with(&step.key, &step.value),
            Operation::Delete => loggers.without(&step.key),
            Operation::Append | Operation::Subtract => {
                let operation = step.operation.name();
                return Err(invalid(format!("{operation} operation is not allowed for the BROKER_LOGGER resource")));
            }
        };
        done.map_err(|error| {
            let code = match error {
                LoggerError::Root => ErrorCode::InvalidRequest,
                LoggerError::Unknown(_) | LoggerError::Level { .. } | LoggerError::TooMany => ErrorCode::InvalidConfig,
            };
            Rejection::new(code, error.to_string())
        })
    })
}

fn alter(plan: &mut Plan, resource: &Asked<'_>, mode: Mode) -> Result<(), Rejection> {
    let how = how(resource, mode)?;
    let target = target(plan.image().settings(), resource)?;
    plan.alter_configs(&target, &how)
}

/// What a resource asks for, once its form is right.
fn how(resource: &Asked<'_>, mode: Mode) -> Result<How, Rejection> {
    let mut steps = Vec::with_capacity(resource.configs.len());
    let mut nulls = Vec::new();
    for config in &resource.configs {
        let Some(operation) = Operation::of(config.operation) else {
            let message = format!("Unknown operation {} for configuration {}", config.operation, config.key);
            return Err(invalid(message));
        };
        if config.value.is_none() && operation != Operation::Delete {
            nulls.push(config.key);
        }
        let (key, value) = (config.key.to_owned(), config.value.unwrap_or_default().to_owned());
        steps.push(Step { key, operation, value });
    }
    if !nulls.is_empty() {
        return Err(invalid(format!("Null value not supported for : {}", nulls.join(", "))));
    }
    let mut keys: Vec<&str> = steps.iter().map(|step| step.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() < steps.len() {
        return Err(invalid("Error due to duplicate config keys"));
    }
    Ok(match mode {
        Mode::Incremental => How::Steps(steps),
        Mode::Replace => How::Replace(steps.into_iter().map(|step| (step.key, step.value)).collect::<Values>()),
    })
}

fn target(settings: &BrokerSettings, resource: &Asked<'_>) -> Result<Target, Rejection> {
    match ResourceType::of(resource.kind) {
        Some(ResourceType::Topic) => Ok(Target::Topic(resource.name.to_owned())),
        Some(ResourceType::Broker) if resource.name.is_empty() => Ok(Target::AllBrokers),
        Some(ResourceType::Broker) => {
            let unexpected = |own, got| format!("Unexpected broker id, expected {own}, but received {got}");
            own_number(settings, resource.name, unexpected).map(|()| Target::Broker)
        }
        Some(ResourceType::Group) => Ok(Target::Group(resource.name.to_owned())),
        Some(ResourceType::ClientMetrics) => Ok(Target::ClientMetrics(resource.name.to_owned())),
        Some(ResourceType::BrokerLogger) | None => Err(invalid(format!("Unknown resource type {}", resource.kind))),
    }
}

/// Brokers are named by their number, and change for themselves alone.
fn own_number(settings: &BrokerSettings, name: &str, unexpected: impl Fn(i32, i32) -> String) -> Result<(), Rejection> {
    let own = settings.node_id;
    match name.parse::<i32>() {
        // Each of our cores may be a broker; their configuration is the node's.
        Ok(number) if settings.node_of(number) == own => Ok(()),
        Ok(number) => Err(invalid(unexpected(own, number))),
        Err(_) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
    }
}

fn invalid(message: impl Into<String>) -> Rejection {
    Rejection::new(ErrorCode::InvalidRequest, message)
}
