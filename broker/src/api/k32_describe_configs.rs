//! DescribeConfigs, key 32, versions 1 to 4; 0 for clients before 1.1.
//!
//! Behaviour: the configuration of topics (type 2), of brokers (4; the empty name asks for what all brokers share), and of
//! what has none here: loggers (8), client metrics (16) and groups (32) answer with an empty list. Null or no keys asks for all.
//! Each value comes with its source; synonyms and documentation where asked for. Secrets are shown as null.
//! `durability` is shown only where someone set it, because tools show every key they are told.
//!
//! KIPs: 133, 226 (sources, synonyms), 569 (types and documentation from version 3 on), 412, 714, 848. Deviations: an empty
//! key list is taken as in Kafka, for all keys.

use crate::config::broker::{self, BrokerKey, Scope};
use crate::config::layers::Source;
use crate::config::topic::{self, TopicKey};
use crate::config::value::{Kind, shown};
use crate::controller::names;
use crate::controller::plan::Rejection;
use crate::image::{MetadataImage, TopicImage};
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use protocol::{ErrorCode, Str};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

/// Set only where a person asked for it.
const SHOWN_WHERE_SET: &str = "durability";

/// One configuration value with where it came from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopicEntry {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) source: Source,
}

/// What the configuration of a topic comes to, by key.
pub(crate) fn topic_entries(image: &MetadataImage, topic: &TopicImage) -> Vec<TopicEntry> {
    let entries = topic::KEYS.iter().map(|key| {
        let (value, source) = image.layers().topic_value(key, &topic.overrides);
        TopicEntry { name: key.name, value: shown(key.kind, &value), source }
    });
    entries.filter(|entry| entry.name != SHOWN_WHERE_SET || entry.source != Source::Default).collect()
}

/// Describes configurations.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    if !broker.is_ready() {
        broker.keep_early(request);
        return Ok(());
    }
    let body = request.body(DescribeConfigsRequest::decode)?;
    let image = broker.image.clone();
    let view = View { image: &image, synonyms: body.include_synonyms, documentation: body.include_documentation };
    let mut results: Vec<_> = body.resources.iter().map(|resource| view.describe(resource)).collect();
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

struct View<'i> {
    image: &'i MetadataImage,
    synonyms: bool,
    documentation: bool,
}

type Entry = DescribeConfigsResourceResult<'static>;

impl View<'_> {
    fn describe<'a>(&self, resource: &DescribeConfigsResource<'a>) -> DescribeConfigsResult<'a> {
        let described = match resource.resource_type {
            TOPIC => self.topic(&resource.resource_name),
            BROKER => self.broker(&resource.resource_name),
            BROKER_LOGGER => self.own_number(&resource.resource_name).map(|()| Vec::new()),
            CLIENT_METRICS | GROUP if resource.resource_name.is_empty() => {
                Err(Rejection::new(ErrorCode::InvalidRequest, "The resource needs a name"))
            }
            CLIENT_METRICS | GROUP => Ok(Vec::new()),
            other => {
                let message = format!("Resources of type {other} have no configuration");
                Err(Rejection::new(ErrorCode::InvalidRequest, message))
            }
        };
        let (configs, rejection) = match described {
            Ok(configs) => (configs, None),
            Err(rejection) => (Vec::new(), Some(rejection)),
        };
        let keys = resource.configuration_keys.as_deref().filter(|keys| !keys.is_empty());
        let wanted = |entry: &Entry| keys.is_none_or(|keys| keys.contains(&entry.name));
        DescribeConfigsResult {
            error_code: rejection.as_ref().map_or(ErrorCode::None, |rejection| rejection.code).code(),
            error_message: rejection.map(|rejection| rejection.message.into()),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            configs: configs.into_iter().filter(wanted).collect(),
        }
    }

    fn topic(&self, name: &str) -> Result<Vec<Entry>, Rejection> {
        names::validate(name)?;
        let Some(topic) = self.image.topic(name) else {
            let message = "This broker has no topic of that name";
            return Err(Rejection::new(ErrorCode::UnknownTopicOrPartition, message));
        };
        let keys = topic::KEYS.iter().map(|key| self.topic_entry(topic, key));
        Ok(keys.filter(|entry| entry.name != SHOWN_WHERE_SET || entry.config_source != Source::Default as i8).collect())
    }

    fn topic_entry(&self, topic: &TopicImage, key: &'static TopicKey) -> Entry {
        let layers = self.image.layers();
        let (value, source) = layers.topic_value(key, &topic.overrides);
        let mut synonyms = Vec::new();
        if self.synonyms {
            let own = topic.overrides.get(key.name).map(|value| synonym(key.name, value, Source::Topic));
            synonyms.extend(own);
            let names = key.synonyms.iter().map(|synonym| synonym.key);
            synonyms.extend(layers.said(names).map(|(name, value, source)| synonym(name, value, source)));
            let defaults = key.synonyms.iter().filter_map(|synonym| broker::find(synonym.key));
            synonyms.extend(defaults.filter_map(|key| Some(synonym(key.name, key.default?, Source::Default))));
        }
        Entry {
            name: key.name.into(),
            value: Some(shown(key.kind, &value).into()),
            read_only: false,
            config_source: source as i8,
            is_sensitive: false,
            synonyms,
            config_type: key.kind as i8,
            is_default: false,
            documentation: self.documentation.then_some(Str::Borrowed(key.doc)),
        }
    }

    /// The empty name asks for what was set for all brokers at run time.
    fn broker(&self, name: &str) -> Result<Vec<Entry>, Rejection> {
        if name.is_empty() {
            let set = self.image.layers().cluster;
            return Ok(broker::keys()
                .filter(|key| set.contains_key(key.name))
                .map(|key| self.broker_entry(key))
                .collect());
        }
        self.own_number(name)?;
        let entries = broker::keys().map(|key| self.broker_entry(key));
        Ok(entries
            .filter(|entry| entry.name != SHOWN_WHERE_SET || entry.config_source != Source::Default as i8)
            .collect())
    }

    fn broker_entry(&self, key: &'static BrokerKey) -> Entry {
        let said = || self.image.layers().said([key.name].into_iter());
        let default = key.default.map(|value| (key.name, value, Source::Default));
        let node_id = self.image.settings().node_id.to_string();
        let effective = said().next().or(default).map(|(_, value, source)| (value.to_owned(), source));
        let effective = match key.name {
            "node.id" | "broker.id" => {
                effective.map(|(_, source)| (node_id.clone(), source)).or(Some((node_id, Source::Default)))
            }
            _ => effective,
        };
        let secret = key.kind == Kind::Password;
        let synonyms = if self.synonyms { said().chain(default).collect() } else { Vec::new() };
        Entry {
            name: key.name.into(),
            value: effective.as_ref().filter(|_| !secret).map(|(value, _)| value.clone().into()),
            read_only: key.scope == Scope::Fixed,
            config_source: effective.map_or(Source::Default, |(_, source)| source) as i8,
            is_sensitive: secret,
            synonyms: synonyms
                .into_iter()
                .map(|(name, value, source)| DescribeConfigsSynonym {
                    value: (!secret).then(|| value.to_owned().into()),
                    ..synonym(name, "", source)
                })
                .collect(),
            config_type: key.kind as i8,
            is_default: false,
            documentation: self.documentation.then(|| key.doc().into()),
        }
    }

    /// Brokers are named by their number, and answer for themselves alone.
    fn own_number(&self, name: &str) -> Result<(), Rejection> {
        let node_id = self.image.settings().node_id;
        let invalid = |message: String| Err(Rejection::new(ErrorCode::InvalidRequest, message));
        match name.parse::<i32>() {
            // Each of our cores may be a broker; their configuration is the node's.
            Ok(number) if self.image.settings().node_of(number) == node_id => Ok(()),
            Ok(number) => invalid(format!("Broker {number} was asked for, and this is broker {node_id}")),
            Err(_) => invalid(format!("A broker is named by its number, not '{name}'")),
        }
    }
}

fn synonym(name: &str, value: &str, source: Source) -> DescribeConfigsSynonym<'static> {
    DescribeConfigsSynonym { name: name.to_owned().into(), value: Some(value.to_owned().into()), source: source as i8 }
}
