//! Making, growing and deleting topics.

use crate::client::{Client, Error};
use protocol::ErrorCode;
use protocol::messages::create_partitions::{CreatePartitionsAssignment, CreatePartitionsTopic};
use protocol::messages::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
use protocol::messages::delete_topics::DeleteTopicState;
use protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest};

/// A topic to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; none for the broker's default.
    pub partitions: Option<i32>,
    /// How many replicas of each; none for the broker's default.
    pub replication_factor: Option<i16>,
    /// Brokers by partition, in place of the two numbers.
    pub assignment: Vec<Vec<i32>>,
    /// Settings.
    pub configs: Vec<(String, String)>,
}

/// Creates one topic, or only asks whether it could be.
pub(crate) fn create(client: &mut Client, topic: &NewTopic, validate_only: bool) -> Result<(), Error> {
    let request = CreateTopicsRequest {
        topics: vec![creatable(topic)],
        timeout_ms: client.settings().request_timeout_ms(),
        validate_only,
    };
    let answer = client.retrying(|client| client.any(&request))?;
    let response = answer.read();
    let result = response.topics.first().ok_or_else(|| no_answer(&topic.name))?;
    Error::check(result.error_code, result.error_message.as_deref(), || format!("topic `{}`", topic.name))
}

fn creatable(topic: &NewTopic) -> CreatableTopic<'_> {
    let by_hand = !topic.assignment.is_empty();
    let assignment = (0..).zip(&topic.assignment);
    CreatableTopic {
        name: topic.name.as_str().into(),
        num_partitions: if by_hand { -1 } else { topic.partitions.unwrap_or(-1) },
        replication_factor: if by_hand { -1 } else { topic.replication_factor.unwrap_or(-1) },
        assignments: assignment
            .map(|(partition_index, brokers)| CreatableReplicaAssignment {
                partition_index,
                broker_ids: brokers.clone(),
            })
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig {
                name: name.as_str().into(),
                value: Some(value.as_str().into()),
            })
            .collect(),
    }
}

/// Partitions for a topic that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MorePartitions {
    /// The topic.
    pub topic: String,
    /// How many there shall be.
    pub count: i32,
    /// Brokers of the new ones; empty for the broker's choice.
    pub assignment: Vec<Vec<i32>>,
}

/// A topic and what became of it.
pub(crate) type PerTopic = (String, Result<(), Error>);

/// Adds partitions to topics; the result of each.
pub(crate) fn grow(client: &mut Client, topics: &[MorePartitions]) -> Result<Vec<PerTopic>, Error> {
    let row = |more: &MorePartitions| CreatePartitionsTopic {
        name: more.topic.clone().into(),
        count: more.count,
        assignments: (!more.assignment.is_empty()).then(|| {
            more.assignment.iter().map(|brokers| CreatePartitionsAssignment { broker_ids: brokers.clone() }).collect()
        }),
    };
    let request = CreatePartitionsRequest {
        topics: topics.iter().map(row).collect(),
        timeout_ms: client.settings().request_timeout_ms(),
        validate_only: false,
    };
    let answer = client.any(&request)?;
    let response = answer.read();
    let result = |name: &str| {
        let row = response.results.iter().find(|row| row.name == name).ok_or_else(|| no_answer(name))?;
        Error::check(row.error_code, row.error_message.as_deref(), || format!("topic `{name}`"))
    };
    Ok(topics.iter().map(|more| (more.topic.clone(), result(&more.topic))).collect())
}

/// Deletes topics; the result of each.
pub(crate) fn delete(client: &mut Client, names: &[&str]) -> Result<Vec<PerTopic>, Error> {
    let by_name = client.home()?.version_for::<DeleteTopicsRequest<'_>>()? < 6;
    let state = |name: &&str| DeleteTopicState { name: Some((*name).to_owned().into()), ..DeleteTopicState::default() };
    let request = DeleteTopicsRequest {
        topics: if by_name { Vec::new() } else { names.iter().map(state).collect() },
        topic_names: if by_name { names.iter().map(|name| (*name).into()).collect() } else { Vec::new() },
        timeout_ms: client.settings().request_timeout_ms(),
    };
    let answer = client.any(&request)?;
    let response = answer.read();
    let result = |name: &str| {
        let row =
            response.responses.iter().find(|row| row.name.as_deref() == Some(name)).ok_or_else(|| no_answer(name))?;
        Error::check(row.error_code, row.error_message.as_deref(), || format!("topic `{name}`"))
    };
    Ok(names.iter().map(|name| ((*name).to_owned(), result(name))).collect())
}

/// An answer that leaves out what was asked.
fn no_answer(name: &str) -> Error {
    let message = Some("the broker's answer says nothing about it".to_owned());
    Error::Refused { what: format!("topic `{name}`"), code: ErrorCode::UnknownServerError, message }
}
