//! What there is to know about topics: metadata, the settings that differ from the defaults, replicas on the move.

use crate::client::{Client, Cluster, Error, Partition, Topic, Topics};
use protocol::messages::describe_configs::{DescribeConfigsResource, DescribeConfigsResourceResult};
use protocol::messages::describe_topic_partitions::{Cursor, DescribeTopicPartitionsResponsePartition, TopicRequest};
use protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsTopics, OngoingPartitionReassignment, OngoingTopicReassignment,
};
use protocol::messages::metadata::MetadataRequestTopic;
use protocol::messages::{
    DescribeConfigsRequest, DescribeTopicPartitionsRequest, ListPartitionReassignmentsRequest, MetadataRequest,
};
use protocol::{ErrorCode, Uuid};
use std::collections::BTreeMap;

/// The resource type of topics in DescribeConfigs.
const TOPIC: i8 = 2;
/// The source of a value that nobody set.
const DEFAULT_CONFIG: i8 = 5;
/// Partitions that one answer describes, unless the caller says otherwise.
pub(crate) const PARTITIONS_PER_ANSWER: i32 = 2000;

/// A topic with all that a description shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    /// Name, id, partitions.
    pub topic: Topic,
    /// Eligible leader replicas by partition; none if the broker does not say.
    pub elr: BTreeMap<i32, Elr>,
    /// Every setting with its value, in the broker's order.
    pub configs: Vec<Setting>,
    /// Replicas on the move, by partition.
    pub moving: BTreeMap<i32, Moving>,
}

/// A partition whose replicas are being moved (KIP-455).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moving {
    /// All replicas, coming and going ones among them.
    pub replicas: Vec<i32>,
    /// Those that are coming.
    pub adding: Vec<i32>,
    /// Those that are going.
    pub removing: Vec<i32>,
}

/// Replicas that may lead although they are not in sync (KIP-966).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Elr {
    /// Those that are eligible.
    pub eligible: Vec<i32>,
    /// The last ones that were.
    pub last_known: Vec<i32>,
}

/// A topic, and the eligible replicas of its partitions.
type WithElr = (Topic, BTreeMap<i32, Elr>);

/// A topic's setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Its name.
    pub name: String,
    /// Its value; none if it is secret.
    pub value: Option<String>,
    /// Whether nobody set it, on the topic or on the broker.
    pub is_default: bool,
}

impl Described {
    /// How many replicas a partition has when nothing moves.
    pub(crate) fn replica_count(&self, partition: &Partition) -> usize {
        let moves =
            |moving: &&Moving| moving.adding.iter().chain(&moving.removing).any(|id| partition.replicas.contains(id));
        match self.moving.get(&partition.index).filter(moves) {
            Some(moving) => moving.replicas.len().saturating_sub(moving.adding.len()),
            None => partition.replicas.len(),
        }
    }

    /// A setting's value.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.configs.iter().find(|setting| setting.name == name)?.value.as_deref()
    }

    /// `min.insync.replicas`.
    pub(crate) fn min_isr(&self) -> usize {
        self.value("min.insync.replicas").and_then(|value| value.parse().ok()).unwrap_or(1)
    }
}

/// Why some partitions deserve a look; filters of a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Fewer replicas in sync than there are.
    UnderReplicated,
    /// Fewer in sync than `min.insync.replicas`.
    UnderMinIsr,
    /// Exactly as many in sync as `min.insync.replicas`.
    AtMinIsr,
    /// Nobody leads, or the leader is down.
    Unavailable,
}

impl Trouble {
    /// Whether a partition is in this kind of trouble.
    pub(crate) fn is_that_of(self, topic: &Described, partition: &Partition, cluster: &Cluster) -> bool {
        let lives = |id: i32| cluster.brokers.iter().any(|broker| broker.id == id);
        let min_isr = topic.min_isr();
        match self {
            Trouble::UnderReplicated => partition.isr.len() < topic.replica_count(partition),
            Trouble::UnderMinIsr => partition.leader.is_none() || partition.isr.len() < min_isr,
            Trouble::AtMinIsr => partition.isr.len() == min_isr,
            Trouble::Unavailable => !partition.leader.is_some_and(lives),
        }
    }
}

/// Describes topics by name, in the order of the names. Brokers that know DescribeTopicPartitions are asked by it, page by page.
pub(crate) fn by_name(client: &mut Client, names: &[&str], per_answer: i32) -> Result<Vec<Described>, Error> {
    let pages = client.home()?.served().has(DescribeTopicPartitionsRequest::KEY);
    let topics: Vec<WithElr> = match pages {
        true => paged(client, names, per_answer)?,
        false => {
            let cluster = client.metadata(Topics::Named(names))?;
            let found = names.iter().map(|name| Ok((cluster.require(name)?.clone(), BTreeMap::new())));
            found.collect::<Result<_, Error>>()?
        }
    };
    complete(client, topics)
}

/// Describes a topic by its id; none if there is no such topic.
pub(crate) fn by_id(client: &mut Client, id: Uuid) -> Result<Option<Described>, Error> {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { topic_id: id, name: None }]),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    let answer = client.any(&request)?;
    let response = answer.read();
    let Some(found) = response.topics.first() else { return Ok(None) };
    if found.error_code == ErrorCode::UnknownTopicId.code() {
        return Ok(None);
    }
    Error::check(found.error_code, None, || format!("topic id {id}"))?;
    let topic = (Topic::new(found), BTreeMap::new());
    Ok(complete(client, vec![topic])?.pop())
}

/// Asks DescribeTopicPartitions until the last page.
fn paged(client: &mut Client, names: &[&str], per_answer: i32) -> Result<Vec<WithElr>, Error> {
    let mut found: BTreeMap<String, WithElr> = BTreeMap::new();
    // The broker answers in the order of names, whatever the request's; its cursor counts on it.
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let mut next: Option<(String, i32)> = None;
    loop {
        let from = next.as_ref().map_or("", |(topic, _)| topic.as_str());
        let left = sorted.iter().filter(|name| **name >= from);
        let request = DescribeTopicPartitionsRequest {
            topics: left.map(|name| TopicRequest { name: (*name).into() }).collect(),
            response_partition_limit: per_answer,
            cursor: next
                .as_ref()
                .map(|(topic, partition)| Cursor { topic_name: topic.as_str().into(), partition_index: *partition }),
        };
        let answer = client.any(&request)?;
        let response = answer.read();
        for topic in &response.topics {
            let name = topic.name.as_deref().unwrap_or_default();
            Error::check(topic.error_code, None, || format!("topic `{name}`"))?;
            let empty = || Topic {
                name: name.to_owned(),
                id: topic.topic_id,
                is_internal: topic.is_internal,
                partitions: Vec::new(),
            };
            let (into, elr) = found.entry(name.to_owned()).or_insert_with(|| (empty(), BTreeMap::new()));
            into.partitions.extend(topic.partitions.iter().map(partition));
            elr.extend(topic.partitions.iter().filter_map(|row| Some((row.partition_index, eligible(row)?))));
        }
        let follows =
            response.next_cursor.as_ref().map(|cursor| (cursor.topic_name.to_string(), cursor.partition_index));
        // A cursor that stands still would ask for the same page for ever.
        if follows.is_none() || follows <= next {
            break;
        }
        next = follows;
    }
    names.iter().map(|name| found.remove(*name).ok_or_else(|| missing(name))).collect()
}

fn missing(name: &str) -> Error {
    Error::Refused { what: format!("topic `{name}`"), code: ErrorCode::UnknownTopicOrPartition, message: None }
}

fn partition(row: &DescribeTopicPartitionsResponsePartition) -> Partition {
    Partition {
        index: row.partition_index,
        leader: Some(row.leader_id).filter(|id| *id >= 0),
        leader_epoch: row.leader_epoch,
        replicas: row.replica_nodes.clone(),
        isr: row.isr_nodes.clone(),
        offline: row.offline_replicas.clone(),
    }
}

fn eligible(row: &DescribeTopicPartitionsResponsePartition) -> Option<Elr> {
    let last_known = row.last_known_elr.clone().unwrap_or_default();
    Some(Elr { eligible: row.eligible_leader_replicas.clone()?, last_known })
}

/// Adds settings and moves, each in one request.
fn complete(client: &mut Client, topics: Vec<WithElr>) -> Result<Vec<Described>, Error> {
    let mut configs = configs(client, &topics)?;
    let mut moving = moves(client, &topics)?;
    let described = topics.into_iter().map(|(topic, elr)| {
        let configs = configs.remove(&topic.name).unwrap_or_default();
        let moving = moving.remove(&topic.name).unwrap_or_default();
        Described { topic, elr, configs, moving }
    });
    Ok(described.collect())
}

/// The settings by topic.
fn configs(client: &mut Client, topics: &[WithElr]) -> Result<BTreeMap<String, Vec<Setting>>, Error> {
    let resource =
        |name| DescribeConfigsResource { resource_type: TOPIC, resource_name: name, configuration_keys: None };
    let request = DescribeConfigsRequest {
        resources: topics.iter().map(|(topic, _)| resource(topic.name.as_str().into())).collect(),
        include_synonyms: false,
        include_documentation: false,
    };
    let answer = client.any(&request)?;
    let mut configs = BTreeMap::new();
    for result in answer.read().results {
        let name = &result.resource_name;
        Error::check(result.error_code, result.error_message.as_deref(), || format!("the settings of topic `{name}`"))?;
        let setting = |row: &DescribeConfigsResourceResult<'_>| Setting {
            name: row.name.to_string(),
            value: row.value.as_deref().map(str::to_owned),
            is_default: row.config_source == DEFAULT_CONFIG,
        };
        configs.insert(name.to_string(), result.configs.iter().map(setting).collect());
    }
    Ok(configs)
}

/// The moves by topic and partition; none where the broker cannot say, as Kafka's tool has it.
fn moves(client: &mut Client, topics: &[WithElr]) -> Result<BTreeMap<String, BTreeMap<i32, Moving>>, Error> {
    if !client.home()?.served().has(ListPartitionReassignmentsRequest::KEY) {
        return Ok(BTreeMap::new());
    }
    let asked = topics.iter().map(|(topic, _)| ListPartitionReassignmentsTopics {
        name: topic.name.as_str().into(),
        partition_indexes: topic.partitions.iter().map(|partition| partition.index).collect(),
    });
    let request = ListPartitionReassignmentsRequest {
        timeout_ms: client.settings().request_timeout_ms(),
        topics: Some(asked.collect()),
    };
    let answer = client.any(&request)?;
    let response = answer.read();
    match Error::check(response.error_code, response.error_message.as_deref(), || "reassignments".to_owned()) {
        // Who may describe topics need not be one who may see moves.
        Err(error) if error.code() == Some(ErrorCode::ClusterAuthorizationFailed) => return Ok(BTreeMap::new()),
        outcome => outcome?,
    }
    let moving = |row: &OngoingPartitionReassignment| Moving {
        replicas: row.replicas.clone(),
        adding: row.adding_replicas.clone(),
        removing: row.removing_replicas.clone(),
    };
    let of_topic = |topic: &OngoingTopicReassignment<'_>| {
        let rows = topic.partitions.iter().map(|row| (row.partition_index, moving(row)));
        (topic.name.to_string(), rows.collect())
    };
    Ok(response.topics.iter().map(of_topic).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(min_isr: &str) -> Described {
        let setting = Setting { name: "min.insync.replicas".into(), value: Some(min_isr.into()), is_default: false };
        Described {
            topic: Topic { name: "t".into(), id: Uuid::default(), is_internal: false, partitions: Vec::new() },
            elr: BTreeMap::new(),
            configs: vec![setting],
            moving: BTreeMap::from([(7, Moving { replicas: vec![1, 2, 3], adding: vec![3], removing: vec![1] })]),
        }
    }

    fn partition(index: i32, replicas: &[i32], isr: &[i32]) -> Partition {
        let (replicas, isr) = (replicas.to_vec(), isr.to_vec());
        Partition { index, leader: Some(1), leader_epoch: 0, replicas, isr, offline: vec![] }
    }

    #[test]
    fn kinds_of_trouble() {
        let broker = crate::client::Broker { id: 1, address: "a:1".parse().unwrap(), rack: None };
        let cluster = Cluster {
            id: None,
            controller: 1,
            brokers: vec![broker],
            topics: Vec::new(),
            as_answered: Vec::new(),
            failed: Vec::new(),
        };
        let whole = partition(0, &[1, 2], &[1, 2]);
        let thin = partition(0, &[1, 2], &[1]);
        let orphan = Partition { leader: None, isr: vec![], ..whole.clone() };
        let strange = Partition { leader: Some(9), ..whole.clone() };
        for (trouble, min_isr, expect) in [
            (Trouble::UnderReplicated, "1", [false, true, true, false]),
            (Trouble::UnderMinIsr, "2", [false, true, true, false]),
            (Trouble::UnderMinIsr, "1", [false, false, true, false]),
            (Trouble::AtMinIsr, "2", [true, false, false, true]),
            (Trouble::AtMinIsr, "1", [false, true, false, false]),
            (Trouble::Unavailable, "1", [false, false, true, true]),
        ] {
            let topic = described(min_isr);
            let got = [&whole, &thin, &orphan, &strange].map(|p| trouble.is_that_of(&topic, p, &cluster));
            assert_eq!(got, expect, "{trouble:?} with min.insync.replicas={min_isr}");
        }
    }

    #[test]
    fn replicas_on_the_move_do_not_count_twice() {
        let topic = described("1");
        assert_eq!(topic.replica_count(&partition(7, &[1, 2, 3], &[1, 2])), 2, "while they move");
        assert_eq!(
            topic.replica_count(&partition(7, &[4, 5, 6], &[4])),
            3,
            "when the move is over and the list is old"
        );
        assert_eq!(topic.replica_count(&partition(0, &[1, 2, 3], &[1])), 3, "where nothing moves");
    }
}
