//! What a request to alter configurations comes to. A resource is altered whole or not at all: its records are made once
//! everything about it has been checked, and all records of a request are one batch of the metadata log.

use super::super::limits::CONFIG_VALUE_BYTES_MAX;
use super::super::names;
use super::super::record::{Record, Resource};
use super::{Plan, Rejection};
use crate::config::alter::{self, Keys, NotAList, Step};
use crate::config::broker::dynamic::{self, Whose};
use crate::config::client_metrics::{self, Fault};
use crate::config::value::Kind;
use crate::config::{Refusal, TopicSettings, Values, broker, group, topic};
use crate::image::{MetadataImage, TopicImage};
use protocol::ErrorCode;
use std::sync::Arc;

/// Whose configuration is to be altered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A topic, by name.
    Topic(String),
    /// This broker.
    Broker,
    /// All brokers that say nothing themselves.
    AllBrokers,
    /// A group, by name; it need not exist.
    Group(String),
    /// A subscription to metrics of clients, by name.
    ClientMetrics(String),
}

/// How.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Some keys; the others stay as they are.
    Steps(Vec<Step>),
    /// These values replace all that were set.
    Replace(Values),
}

impl Plan {
    /// Plans the alteration of one resource.
    pub fn alter_configs(&mut self, target: &Target, how: &How) -> Result<(), Rejection> {
        check_name(target)?;
        let before = self.values_of(target);
        let after = match how {
            How::Replace(values) => values.clone(),
            How::Steps(steps) => alter::apply(&before, steps, &KeysOf { target, image: &self.image })
                .map_err(|error| not_a_list(target, &error))?,
        };
        let checked = self.check_configs(target, &after);
        let resource = self.resource_of(target);
        if !marks::planted!("broker: record an alteration that is refused") {
            checked.clone()?;
        }
        self.push_configs(&resource?, &before, &after);
        checked
    }

    fn topic_of(&self, target: &Target) -> Option<&Arc<TopicImage>> {
        match target {
            Target::Topic(name) => self.image.topic(name),
            _ => None,
        }
    }

    fn values_of(&self, target: &Target) -> Values {
        let layers = self.image.layers();
        match target {
            Target::Topic(_) => self.topic_of(target).map(|topic| Values::clone(&topic.overrides)).unwrap_or_default(),
            Target::Broker => layers.broker.clone(),
            Target::AllBrokers => layers.cluster.clone(),
            Target::Group(name) => self.image.group_configs(name).cloned().unwrap_or_default(),
            Target::ClientMetrics(name) => self.image.client_metrics(name).cloned().unwrap_or_default(),
        }
    }

    fn resource_of(&self, target: &Target) -> Result<Resource, Rejection> {
        Ok(match target {
            Target::Topic(name) => {
                let message = || format!("The topic '{name}' does not exist.");
                let topic = self.topic_of(target);
                Resource::Topic(topic.ok_or_else(|| Rejection::new(ErrorCode::UnknownTopicOrPartition, message()))?.id)
            }
            Target::Broker => Resource::Broker(self.image.settings().node_id),
            Target::AllBrokers => Resource::DefaultBroker,
            Target::Group(name) => Resource::Group(name.clone()),
            Target::ClientMetrics(name) => Resource::ClientMetrics(name.clone()),
        })
    }

    fn check_configs(&self, target: &Target, values: &Values) -> Result<(), Rejection> {
        check_sizes(values)?;
        match target {
            Target::Topic(_) => check_topic_configs(&self.image, values),
            Target::Broker => dynamic::validate(values, Whose::One).map_err(of_request),
            Target::AllBrokers => dynamic::validate(values, Whose::All).map_err(of_request),
            Target::Group(_) => group::validate(self.image.layers(), values).map_err(Rejection::from),
            Target::ClientMetrics(_) => client_metrics::validate(values).map_err(|fault| match fault {
                Fault::Config(refusal) => refusal.into(),
                Fault::Request(refusal) => of_request(refusal),
            }),
        }
    }

    /// Records for what differs.
    fn push_configs(&mut self, resource: &Resource, before: &Values, after: &Values) {
        let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
        let set = changed.map(|(key, value)| (key, Some(value.clone())));
        let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key, None));
        for (key, value) in set.chain(gone) {
            if marks::planted!("broker: record half of an alteration") && key.as_str() > "d" {
                continue;
            }
            self.push(Record::Config { resource: resource.clone(), key: key.clone(), value });
        }
    }
}

fn check_name(target: &Target) -> Result<(), Rejection> {
    match target {
        Target::Topic(name) if name.is_empty() => Err(invalid_request("Default topic resources are not allowed.")),
        Target::Group(name) if name.is_empty() => Err(invalid_request("Default group resources are not allowed.")),
        Target::ClientMetrics(name) if name.is_empty() => Err(invalid_request("Subscription name can't be empty")),
        Target::Topic(name) => Ok(names::validate(name)?),
        Target::Broker | Target::AllBrokers | Target::Group(_) | Target::ClientMetrics(_) => Ok(()),
    }
}

/// Kafka finds a broker's values at fault before it asks the controller, and answers with another code.
fn of_request(refusal: Refusal) -> Rejection {
    invalid_request(refusal.message)
}

/// Whether a topic may have these values of its own.
pub(super) fn check_topic_configs(image: &MetadataImage, values: &Values) -> Result<(), Rejection> {
    for (key, value) in values {
        topic::validate(key, value)?;
    }
    let settings = TopicSettings::resolve(image.layers(), values, false);
    let (min, max) = (settings.min_compaction_lag_ms, settings.max_compaction_lag_ms);
    if min > max {
        let message =
            format!("conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})");
        return Err(Rejection::new(ErrorCode::InvalidConfig, message));
    }
    Ok(())
}

/// Whether no value is too large to be recorded.
pub(super) fn check_sizes(values: &Values) -> Result<(), Rejection> {
    match values.values().find(|value| value.len() > CONFIG_VALUE_BYTES_MAX) {
        None => Ok(()),
        Some(_) => {
            let message = format!(
                "The configuration value cannot be added because it exceeds the maximum value size of \
                 {CONFIG_VALUE_BYTES_MAX} bytes."
            );
            Err(Rejection::new(ErrorCode::InvalidConfig, message))
        }
    }
}

fn invalid_request(message: impl Into<String>) -> Rejection {
    Rejection::new(ErrorCode::InvalidRequest, message)
}

fn not_a_list(target: &Target, error: &NotAList) -> Rejection {
    let (key, operation) = (&error.key, error.operation.name());
    let message = match target {
        Target::Broker | Target::AllBrokers if broker::find(key).is_none() => format!("Unknown config name: {key}"),
        Target::Broker | Target::AllBrokers => {
            format!("Config value {} is not allowed for config key: {key}", operation.to_ascii_lowercase())
        }
        _ => format!("Can't {operation} to key {key} because its type is not LIST."),
    };
    Rejection::new(ErrorCode::InvalidConfig, message)
}

/// The keys of a target, for [`alter::apply`].
struct KeysOf<'a> {
    target: &'a Target,
    image: &'a MetadataImage,
}

impl Keys for KeysOf<'_> {
    fn kind(&self, key: &str) -> Option<Kind> {
        match self.target {
            Target::Topic(_) => topic::find(key).map(|key| key.kind),
            Target::Broker | Target::AllBrokers => broker::find(key).map(|key| key.kind),
            Target::Group(_) => group::find(key).map(|key| key.kind),
            // Kafka takes no single words here either, although two keys are lists.
            Target::ClientMetrics(_) => None,
        }
    }

    fn standing(&self, key: &str) -> String {
        let none = Values::new();
        match self.target {
            Target::Topic(_) => topic::find(key).map(|key| self.image.layers().topic_value(key, &none).0.into_owned()),
            Target::Broker | Target::AllBrokers => {
                self.image.layers().broker_value(key).map(|(value, _)| value.into_owned())
            }
            Target::Group(_) | Target::ClientMetrics(_) => None,
        }
        .unwrap_or_default()
    }
}
