//! Where a value comes from: the layers that may hold it, strongest first, as DescribeConfigs shows them.

use super::topic::TopicKey;
use std::borrow::Cow;
use std::collections::BTreeMap;

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

    /// The value that counts for one topic key, and where it came from.
    pub fn topic_value(self, key: &TopicKey, overrides: &'a Values) -> (Cow<'a, str>, Source) {
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
