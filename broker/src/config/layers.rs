//! Where a value comes from: the layers that may hold it, strongest first, as DescribeConfigs shows them.

use super::topic::TopicKey;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A value and the layer that it came from.
pub type Said<'a> = (Cow<'a, str>, Source);

/// Values by key.
pub type Values = BTreeMap<String, String>;

/// Which layer a value came from, with Kafka's number for it in DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum Source {
    /// Set on the topic.
    Topic = 1,
    /// Set at run time on this broker.
    DynamicBroker = 2,
    /// Set at run time on all brokers.
    DynamicDefault = 3,
    /// Set in the properties file or on the command line.
    Static = 4,
    /// Set by nobody.
    Default = 5,
    /// The level of a logger, set at run time or not.
    Logger = 6,
    /// Set on a subscription to metrics of clients.
    ClientMetrics = 7,
    /// Set on a group.
    Group = 8,
}

/// The layers of a broker's configuration.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// Set at run time on this broker.
    pub broker: &'a Values,
    /// Set at run time on all brokers.
    pub cluster: &'a Values,
    /// Set in the properties file or on the command line.
    pub statics: &'a Values,
}

impl<'a> Layers<'a> {
    /// Everything that someone said about these broker keys, strongest first: by layer, then by key.
    pub fn said(self, keys: impl Iterator<Item = &'a str> + Clone) -> impl Iterator<Item = (&'a str, &'a str, Source)> {
        [(self.broker, Source::DynamicBroker), (self.cluster, Source::DynamicDefault), (self.statics, Source::Static)]
            .into_iter()
            .flat_map(move |(values, source)| {
                keys.clone().filter_map(move |key| values.get(key).map(|value| (key, value.as_str(), source)))
            })
    }

    /// The value that counts for one broker key, and where it came from; `None` where nobody set it and Kafka has no default.
    pub fn broker_value(self, name: &'a str) -> Option<Said<'a>> {
        let default = || Some((super::broker::find(name)?.default?.into(), Source::Default));
        self.said([name].into_iter()).next().map(|(_, value, source)| (value.into(), source)).or_else(default)
    }

    /// A broker key as a number or word of type `T`.
    pub fn broker_parsed<T: std::str::FromStr>(self, name: &'a str) -> Option<T> {
        self.broker_value(name)?.0.trim().parse().ok()
    }

    /// The value that counts for one topic key, and where it came from.
    pub fn topic_value(self, key: &TopicKey, overrides: &'a Values) -> Said<'a> {
        if let Some(value) = overrides.get(key.name) {
            return (Cow::Borrowed(value), Source::Topic);
        }
        let said = self.said(key.synonyms.iter().map(|synonym| synonym.key)).next();
        match said {
            Some((name, value, source)) => {
                let synonym = key.synonyms.iter().find(|synonym| synonym.key == name);
                (synonym.map_or(Cow::Borrowed(value), |synonym| Cow::Owned(synonym.convert(value))), source)
            }
            None => (Cow::Borrowed(key.default), Source::Default),
        }
    }
}
