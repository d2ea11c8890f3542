//! The entries of a described configuration, by kind of resource: value, source, synonyms, type, documentation.
//!
//! `durability` is shown only where someone set it, because tools show every key they are told.

use crate::config::broker::{self, BrokerKey, Scope};
use crate::config::client_metrics::{self, ClientMetricsKey};
use crate::config::group::{self, GroupKey};
use crate::config::layers::{Source, Values};
use crate::config::topic::{self, TopicKey};
use crate::config::value::{Kind, shown};
use crate::image::{MetadataImage, TopicImage};
use crate::loggers::Loggers;
use protocol::messages::describe_configs::{DescribeConfigsResourceResult, DescribeConfigsSynonym};
use std::collections::BTreeSet;

/// Set only where a person asked for it.
const SHOWN_WHERE_SET: &str = "durability";

/// Kafka's number for the type of a value that nobody knows.
const UNKNOWN_TYPE: i8 = 0;

/// One key of an answer.
pub(crate) type Entry = DescribeConfigsResourceResult<'static>;

type Synonym = DescribeConfigsSynonym<'static>;

/// One configuration value of a topic with where it came from.
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

/// Describes what an image says.
pub(crate) struct Describe<'i> {
    pub(crate) image: &'i MetadataImage,
    /// Synonyms are wanted.
    pub(crate) synonyms: bool,
    /// Documentation is wanted.
    pub(crate) documentation: bool,
}

impl Describe<'_> {
    pub(crate) fn topic(&self, topic: &TopicImage) -> Vec<Entry> {
        let entries = topic::KEYS.iter().map(|key| self.topic_entry(topic, key));
        entries.filter(is_shown).collect()
    }

    fn topic_entry(&self, topic: &TopicImage, key: &'static TopicKey) -> Entry {
        let layers = self.image.layers();
        let (value, source) = layers.topic_value(key, &topic.overrides);
        let mut synonyms = Vec::new();
        if self.synonyms {
            let own = topic.overrides.get(key.name);
            synonyms.extend(own.map(|value| synonym(key.name, &shown(key.kind, value), Source::Topic)));
            let names: Vec<&'static str> = key.synonyms.iter().map(|synonym| synonym.key).collect();
            synonyms.extend(self.said_of(&names, key.kind));
        }
        self.entry(key.name, Some(shown(key.kind, &value)), source, synonyms, key.kind, key.doc)
    }

    /// What was said about broker keys, and their defaults behind it. Only the first of several keys is known to a reader by that
    /// name: where nothing is said about it, defaults of others would mislead.
    fn said_of(&self, names: &[&'static str], kind: Kind) -> Vec<Synonym> {
        let said = self.image.layers().said(names.iter().copied());
        let mut synonyms: Vec<Synonym> =
            said.map(|(name, value, source)| synonym(name, &shown(kind, value), source)).collect();
        let defaults = names.iter().filter_map(|name| Some((broker::find(name)?.name, broker::find(name)?.default?)));
        let defaults: Vec<(&str, &str)> = defaults.collect();
        let first = names.first().copied().unwrap_or_default();
        if synonyms.iter().any(|known| known.name == first) || defaults.iter().any(|(name, _)| *name == first) {
            synonyms.extend(defaults.into_iter().map(|(name, value)| synonym(name, value, Source::Default)));
        }
        synonyms
    }

    /// What was set for all brokers at run time.
    pub(crate) fn all_brokers(&self) -> Vec<Entry> {
        let set = self.image.layers().cluster;
        let entry = |key: &'static BrokerKey| {
            let value = set.get(key.name)?;
            let value = (key.kind != Kind::Password).then(|| shown(key.kind, value));
            let said =
                Synonym { value: value.clone().map(Into::into), ..synonym(key.name, "", Source::DynamicDefault) };
            let synonyms = if self.synonyms { vec![said] } else { Vec::new() };
            Some(self.broker_entry(key, value, Source::DynamicDefault, synonyms))
        };
        let known = broker::keys().filter_map(entry);
        known.chain(self.others(&[(set, Source::DynamicDefault)])).collect()
    }

    pub(crate) fn broker(&self) -> Vec<Entry> {
        let entries = broker::keys().map(|key| self.own_entry(key));
        let layers = self.image.layers();
        let layers = [
            (layers.broker, Source::DynamicBroker),
            (layers.cluster, Source::DynamicDefault),
            (layers.statics, Source::Static),
        ];
        entries.filter(is_shown).chain(self.others(&layers)).collect()
    }

    /// What was set in these layers, strongest first, under names that are no broker's key: for plug-ins, as far as anybody knows,
    /// and so perhaps secret. Those of one listener are like the key that they are based on.
    fn others(&self, layers: &[(&Values, Source)]) -> Vec<Entry> {
        let names: BTreeSet<&String> = layers.iter().flat_map(|(values, _)| values.keys()).collect();
        let others = names.into_iter().filter(|name| broker::find(name).is_none());
        others.filter_map(|name| self.other(name, layers)).collect()
    }

    fn other(&self, name: &str, layers: &[(&Values, Source)]) -> Option<Entry> {
        let base = broker::base(name);
        let open = base.filter(|key| key.kind != Kind::Password);
        let value = |text: &str| open.map(|key| shown(key.kind, text).into());
        let set = layers.iter().filter_map(|(values, source)| Some((values.get(name)?.as_str(), *source)));
        let mut synonyms: Vec<Synonym> =
            set.clone().map(|(text, source)| Synonym { value: value(text), ..synonym(name, "", source) }).collect();
        synonyms.extend(open.and_then(|key| Some(synonym(key.name, key.default?, Source::Default))));
        let (text, source) = set.into_iter().next()?;
        Some(Entry {
            name: name.to_owned().into(),
            value: value(text),
            read_only: true,
            config_source: source as i8,
            is_sensitive: open.is_none(),
            synonyms: if self.synonyms { synonyms } else { Vec::new() },
            config_type: base.map_or(UNKNOWN_TYPE, |key| key.kind as i8),
            is_default: false,
            documentation: None,
        })
    }

    fn own_entry(&self, key: &'static BrokerKey) -> Entry {
        let settings = self.image.settings();
        let layers = self.image.layers();
        let (value, source) = match (key.name, layers.broker_value(key.name)) {
            // They name the same broker, whichever of them was set.
            ("node.id" | "broker.id", _) => (Some(settings.node_id.to_string()), self.source_of_id()),
            (_, None) => (None, Source::Default),
            (_, Some((value, source))) => (Some(shown(key.kind, &value)), source),
        };
        let secret = key.kind == Kind::Password;
        let mut synonyms = Vec::new();
        if self.synonyms {
            let names = match broker::synonyms(key.name) {
                [] => &[key.name],
                several => several,
            };
            let said = self.said_of(names, key.kind).into_iter();
            synonyms.extend(self.other_name_of_id(key, &value));
            synonyms.extend(said.skip_while(|synonym| synonym.name != key.name));
            if secret {
                synonyms.iter_mut().for_each(|synonym| synonym.value = None);
            }
        }
        self.broker_entry(key, value.filter(|_| !secret), source, synonyms)
    }

    /// Of `node.id` and `broker.id`, whichever was not set takes the other's value, as if it had been.
    fn other_name_of_id(&self, key: &BrokerKey, value: &Option<String>) -> Option<Synonym> {
        let is_id = matches!(key.name, "node.id" | "broker.id");
        let is_said = self.image.layers().said([key.name].into_iter()).next().is_some();
        let source = self.source_of_id();
        let value = value.as_ref().filter(|_| is_id && !is_said && source != Source::Default)?;
        Some(synonym(key.name, value, source))
    }

    fn source_of_id(&self) -> Source {
        let said = self.image.layers().said(["node.id", "broker.id"].into_iter()).next();
        said.map_or(Source::Default, |(_, _, source)| source)
    }

    fn broker_entry(
        &self,
        key: &'static BrokerKey,
        value: Option<String>,
        source: Source,
        synonyms: Vec<Synonym>,
    ) -> Entry {
        let entry = self.entry(key.name, value, source, synonyms, key.kind, "");
        Entry {
            read_only: key.scope == Scope::Fixed,
            is_sensitive: key.kind == Kind::Password,
            documentation: self.documentation.then(|| key.doc().into()),
            ..entry
        }
    }

    pub(crate) fn loggers(&self, loggers: &Loggers) -> Vec<Entry> {
        let entry = |(name, level): (&str, crate::loggers::Level)| Entry {
            name: name.to_owned().into(),
            value: Some(level.name().into()),
            config_source: Source::Logger as i8,
            documentation: self.documentation.then_some("".into()),
            ..Entry::default()
        };
        loggers.all().map(entry).collect()
    }

    pub(crate) fn client_metrics(&self, name: &str) -> Vec<Entry> {
        let set = self.image.client_metrics(name);
        let entry = |key: &'static ClientMetricsKey| {
            let own = set.and_then(|values| values.get(key.name)).map(|value| shown(key.kind, value));
            let said = own.iter().filter(|_| self.synonyms);
            let synonyms = said.map(|value| synonym(key.name, value, Source::ClientMetrics)).collect();
            let source = if own.is_some() { Source::ClientMetrics } else { Source::Default };
            let value = own.unwrap_or_else(|| key.default.to_owned());
            self.entry(key.name, Some(value), source, synonyms, key.kind, key.doc)
        };
        client_metrics::KEYS.iter().map(entry).collect()
    }

    pub(crate) fn group(&self, name: &str) -> Vec<Entry> {
        let set = self.image.group_configs(name);
        let entry = |key: &'static GroupKey| {
            let (value, source) = key.value(self.image.layers(), set);
            let mut synonyms = Vec::new();
            if self.synonyms {
                let own = set.and_then(|values| values.get(key.name));
                synonyms.extend(own.map(|value| synonym(key.name, &shown(key.kind, value), Source::Group)));
                match key.synonym {
                    Some(name) => synonyms.extend(self.said_of(&[name], key.kind)),
                    None => synonyms.push(synonym(key.name, key.default, Source::Default)),
                }
            }
            self.entry(key.name, Some(shown(key.kind, &value)), source, synonyms, key.kind, key.doc)
        };
        group::KEYS.iter().map(entry).collect()
    }

    fn entry(
        &self,
        name: &'static str,
        value: Option<String>,
        source: Source,
        synonyms: Vec<Synonym>,
        kind: Kind,
        doc: &'static str,
    ) -> Entry {
        Entry {
            name: name.into(),
            value: value.map(Into::into),
            read_only: false,
            config_source: source as i8,
            is_sensitive: false,
            synonyms,
            config_type: kind as i8,
            is_default: false,
            documentation: self.documentation.then_some(doc.into()),
        }
    }
}

/// Some keys are shown only where somebody set them.
fn is_shown(entry: &Entry) -> bool {
    let quiet = entry.name == SHOWN_WHERE_SET || !broker::is_listed(&entry.name);
    !quiet || entry.config_source != Source::Default as i8
}

fn synonym(name: &str, value: &str, source: Source) -> Synonym {
    DescribeConfigsSynonym { name: name.to_owned().into(), value: Some(value.to_owned().into()), source: source as i8 }
}
