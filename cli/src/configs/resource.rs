//! Resources that have settings: reading them, changing them, listing which there are.

use crate::client::{Api, Client, Error, Topics};
use crate::java;
use protocol::ErrorCode;
use protocol::messages::describe_configs::{
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsSynonym,
};
use protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest, ListGroupsRequest,
};

/// Kinds of things that have settings, by the names that Kafka's tools give them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Topics,
    Brokers,
    BrokerLoggers,
    ClientMetrics,
    Groups,
}

impl Kind {
    /// The plural, as `--entity-type` takes it.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Kind::Topics => "topics",
            Kind::Brokers => "brokers",
            Kind::BrokerLoggers => "broker-loggers",
            Kind::ClientMetrics => "client-metrics",
            Kind::Groups => "groups",
        }
    }

    /// The plural without its last letter, which is how Kafka's tool names one of them.
    pub(super) fn singular(self) -> &'static str {
        let plural = self.plural();
        &plural[..plural.len() - 1]
    }

    /// The number on the wire.
    fn code(self) -> i8 {
        match self {
            Kind::Topics => 2,
            Kind::Brokers => 4,
            Kind::BrokerLoggers => 8,
            Kind::ClientMetrics => 16,
            Kind::Groups => 32,
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source(i8);

impl Source {
    /// Kafka's name.
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            1 => "DYNAMIC_TOPIC_CONFIG",
            2 => "DYNAMIC_BROKER_CONFIG",
            3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            4 => "STATIC_BROKER_CONFIG",
            5 => "DEFAULT_CONFIG",
            6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
            7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
            8 => "DYNAMIC_GROUP_CONFIG",
            _ => "UNKNOWN",
        }
    }
}

/// One setting of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name.
    pub name: String,
    /// Its value; none if it is secret or has none.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: Source,
    /// Whether values are secret.
    pub is_sensitive: bool,
    /// Whether it can be changed while the broker runs.
    pub is_read_only: bool,
    /// Nobody knows what it is: a broker keeps it for plug-ins.
    pub is_strange: bool,
    /// Every place that has a value, strongest first: source, name there, value.
    pub synonyms: Vec<(Source, String, Option<String>)>,
}

/// A resource: its kind and name. The name is empty for the defaults of all brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    pub kind: Kind,
    pub name: String,
}

impl Resource {
    pub(super) fn new(kind: Kind, name: impl Into<String>) -> Self {
        Resource { kind, name: name.into() }
    }

    /// For messages.
    pub(super) fn shown(&self) -> String {
        match self.name.as_str() {
            "" => format!("the defaults of {}", self.kind.plural()),
            name => format!("{} `{name}`", self.kind.singular()),
        }
    }

    /// The source of settings that were made on exactly this resource; none where everything counts.
    fn own_source(&self) -> Option<Source> {
        match self.kind {
            Kind::Topics => Some(Source(1)),
            Kind::Brokers if self.name.is_empty() => Some(Source(3)),
            Kind::Brokers => Some(Source(2)),
            Kind::BrokerLoggers => None,
            Kind::ClientMetrics => Some(Source(7)),
            Kind::Groups => Some(Source(8)),
        }
    }

    /// The broker that must be asked: only it knows its own settings and loggers.
    fn broker(&self) -> Option<i32> {
        match self.kind {
            Kind::Brokers | Kind::BrokerLoggers => self.name.parse().ok(),
            _ => None,
        }
    }

    /// Whether the resource exists, as far as the kind knows existence.
    pub(super) fn exists(&self, client: &mut Client) -> Result<bool, Error> {
        // Where nobody can say which groups have settings, any may.
        if self.name.is_empty() || (self.kind == Kind::Groups && !lists_all_kinds(client)?) {
            return Ok(true);
        }
        Ok(list(client, self.kind)?.contains(&self.name))
    }

    /// The settings by name; with `all`, also those that were made elsewhere or nowhere.
    pub(super) fn read(&self, client: &mut Client, all: bool) -> Result<Vec<Entry>, Error> {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: self.kind.code(),
                resource_name: self.name.as_str().into(),
                configuration_keys: None,
            }],
            include_synonyms: true,
            include_documentation: false,
        };
        let answer = self.ask(client, &request)?;
        let response = answer.read();
        let result = response.results.first().ok_or_else(|| self.no_answer())?;
        Error::check(result.error_code, result.error_message.as_deref(), || self.shown())?;
        let mut entries: Vec<Entry> = result.configs.iter().map(Entry::new).collect();
        if let (Some(own), false) = (self.own_source(), all) {
            entries.retain(|entry| entry.source == own);
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Changes settings, or only asks whether they could be.
    pub(super) fn change(&self, client: &mut Client, changes: &[Change], validate_only: bool) -> Result<(), Error> {
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: self.kind.code(),
                resource_name: self.name.as_str().into(),
                configs: changes.iter().map(Change::row).collect(),
            }],
            validate_only,
        };
        let answer = self.ask(client, &request)?;
        let response = answer.read();
        let result = response.responses.first().ok_or_else(|| self.no_answer())?;
        Error::check(result.error_code, result.error_message.as_deref(), || self.shown())
    }

    /// What is to be set on brokers and is none of their settings. Brokers store it all the same, for plug-ins.
    pub(super) fn strange(&self, client: &mut Client, changes: &[Change]) -> Result<Vec<Strange>, Error> {
        let set: Vec<&str> =
            changes.iter().filter(|change| matches!(change, Change::Set(..))).map(Change::name).collect();
        if self.kind != Kind::Brokers || set.is_empty() {
            return Ok(Vec::new());
        }
        let one = list(client, Kind::Brokers)?.into_iter().next().unwrap_or_default();
        let name = if self.name.is_empty() { one } else { self.name.clone() };
        let known = Resource::new(Kind::Brokers, name).read(client, true)?;
        let known: Vec<&str> = known.iter().filter(|entry| !entry.is_strange).map(|entry| &*entry.name).collect();
        let is_known =
            |name: &&str| known.contains(name) || UNLISTED.contains(name) || name.starts_with("listener.name.");
        let strange = set.into_iter().filter(|name| !is_known(name));
        let nearest = |name| crate::suggest::nearest(name, known.iter().copied()).map(str::to_owned);
        Ok(strange.map(|name| Strange { name: name.to_owned(), nearest: nearest(name) }).collect())
    }

    fn ask<Q: Api>(&self, client: &mut Client, request: &Q) -> Result<crate::client::Answer<Q>, Error> {
        client.retrying(|client| match self.broker() {
            Some(id) => client.broker(id, request),
            None => client.any(request),
        })
    }

    fn no_answer(&self) -> Error {
        let message = Some("the broker's answer says nothing about it".to_owned());
        Error::Refused { what: self.shown(), code: ErrorCode::UnknownServerError, message }
    }
}

impl Entry {
    fn new(row: &DescribeConfigsResourceResult<'_>) -> Self {
        let synonym = |synonym: &DescribeConfigsSynonym<'_>| {
            (Source(synonym.source), synonym.name.to_string(), synonym.value.as_deref().map(str::to_owned))
        };
        Entry {
            name: row.name.to_string(),
            value: row.value.as_deref().map(str::to_owned),
            source: Source(row.config_source),
            is_sensitive: row.is_sensitive,
            is_read_only: row.read_only,
            is_strange: row.config_type == 0,
            synonyms: row.synonyms.iter().map(synonym).collect(),
        }
    }
}

/// Settings that brokers have, and list only where somebody made them.
const UNLISTED: &[&str] = &[
    "follower.replication.throttled.rate",
    "leader.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
];

/// A setting that brokers do not have, and the one that was perhaps meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Strange {
    pub name: String,
    pub nearest: Option<String>,
}

/// A change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It gets this value.
    Set(String, String),
    /// It gets back the value it would have without this resource's own.
    Delete(String),
}

impl Change {
    /// The setting.
    pub(super) fn name(&self) -> &str {
        match self {
            Change::Set(name, _) | Change::Delete(name) => name,
        }
    }

    fn row(&self) -> AlterableConfig<'_> {
        match self {
            Change::Set(name, value) => {
                AlterableConfig { name: name.as_str().into(), config_operation: 0, value: Some(value.as_str().into()) }
            }
            // Kafka's tool sends an empty value along.
            Change::Delete(name) => {
                AlterableConfig { name: name.as_str().into(), config_operation: 1, value: Some("".into()) }
            }
        }
    }
}

/// The names of a kind's resources, in the order the cluster gives them.
pub(super) fn list(client: &mut Client, kind: Kind) -> Result<Vec<String>, Error> {
    Ok(match kind {
        Kind::Topics => client.metadata(Topics::All)?.as_answered,
        Kind::Brokers | Kind::BrokerLoggers => {
            client.metadata(Topics::None)?.brokers.iter().map(|broker| broker.id.to_string()).collect()
        }
        Kind::ClientMetrics => with_settings(client, kind)?,
        Kind::Groups => groups(client)?,
    })
}

/// Resources that have settings of their own (KIP-1142).
fn with_settings(client: &mut Client, kind: Kind) -> Result<Vec<String>, Error> {
    // The first version of this API knew client metrics only and had no list of types.
    let is_first = client.home()?.version_for::<ListConfigResourcesRequest>()? == 0;
    let resource_types = if is_first { Vec::new() } else { vec![kind.code()] };
    let answer = client.any(&ListConfigResourcesRequest { resource_types })?;
    let response = answer.read();
    Error::check(response.error_code, None, || format!("the list of {}", kind.plural()))?;
    let of_kind = response.config_resources.iter().filter(|row| is_first || row.resource_type == kind.code());
    Ok(of_kind.map(|row| row.resource_name.to_string()).collect())
}

/// Whether the broker lists resources of any kind, not only client metrics.
fn lists_all_kinds(client: &mut Client) -> Result<bool, Error> {
    Ok(client.home()?.version_for::<ListConfigResourcesRequest>().is_ok_and(|version| version >= 1))
}

/// Groups that exist, as a map of Java's Admin client has them, and behind them those that have settings without existing.
fn groups(client: &mut Client) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for broker in client.metadata(Topics::None)?.brokers {
        let answer = client.broker(broker.id, &ListGroupsRequest::default())?;
        let response = answer.read();
        Error::check(response.error_code, None, || format!("the groups of broker {}", broker.id))?;
        names.extend(response.groups.iter().map(|group| group.group_id.to_string()));
    }
    java::hash_order(&mut names, 16, |name| java::string_hash(name));
    if lists_all_kinds(client)? {
        names.extend(with_settings(client, Kind::Groups)?);
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_kind_as_kafkas_tool_names_it() {
        let kinds = [Kind::Topics, Kind::Brokers, Kind::BrokerLoggers, Kind::ClientMetrics, Kind::Groups];
        assert_eq!(kinds.map(Kind::singular), ["topic", "broker", "broker-logger", "client-metric", "group"]);
    }

    #[test]
    fn who_must_be_asked() {
        for (kind, name, expect) in [
            (Kind::Brokers, "3", Some(3)),
            (Kind::BrokerLoggers, "3", Some(3)),
            (Kind::Brokers, "", None),
            (Kind::Topics, "3", None),
        ] {
            assert_eq!(Resource::new(kind, name).broker(), expect, "{kind:?} {name}");
        }
    }
}
