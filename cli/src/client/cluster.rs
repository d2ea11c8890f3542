//! What Metadata says: brokers, topics, partitions, leaders. A [`Cluster`] is a picture of one moment; the caller decides when to
//! take another.

use super::{Address, Client, Error};
use protocol::messages::metadata::{MetadataRequestTopic, MetadataResponsePartition, MetadataResponseTopic};
use protocol::messages::{MetadataRequest, MetadataResponse};
use protocol::{ErrorCode, Uuid};

/// Which topics to ask for.
#[derive(Clone, Copy, Debug)]
pub enum Topics<'a> {
    /// Brokers only.
    None,
    /// Every topic.
    All,
    /// These, which must exist.
    Named(&'a [&'a str]),
    /// These; a broker that may create topics on demand creates what is missing.
    Create(&'a [&'a str]),
}

/// The cluster at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's id.
    pub id: Option<String>,
    /// The broker that answers for the controller.
    pub controller: i32,
    /// By id.
    pub brokers: Vec<Broker>,
    /// Topics that exist, by name.
    pub topics: Vec<Topic>,
    /// Their names in the order of the answer, which shows in the output of some of Kafka's tools.
    pub as_answered: Vec<String>,
    /// Topics that were asked for and cannot be described.
    pub failed: Vec<TopicError>,
}

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// Where it says clients shall connect.
    pub address: Address,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id; zero from brokers before Kafka 2.8.
    pub id: Uuid,
    /// Whether it is the cluster's own.
    pub is_internal: bool,
    /// By index.
    pub partitions: Vec<Partition>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number within the topic.
    pub index: i32,
    /// The broker that serves it; none while nobody leads.
    pub leader: Option<i32>,
    /// The leader's epoch; −1 if the broker does not say.
    pub leader_epoch: i32,
    /// Brokers that hold it, preferred leader first.
    pub replicas: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
    /// Those that are down.
    pub offline: Vec<i32>,
}

/// A topic without a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicError {
    /// Its name.
    pub name: String,
    /// Kafka's error.
    pub code: i16,
}

impl Client {
    /// Asks for brokers and topics. Topics that do not exist are in [`Cluster::failed`], not an error.
    pub fn metadata(&mut self, topics: Topics<'_>) -> Result<Cluster, Error> {
        let request = MetadataRequest {
            topics: topics.rows(),
            allow_auto_topic_creation: matches!(topics, Topics::Create(_)),
            include_cluster_authorized_operations: false,
            include_topic_authorized_operations: false,
        };
        let answer = self.any(&request)?;
        let response = answer.read();
        Error::check(response.error_code, None, || "metadata".to_owned())?;
        let cluster = Cluster::new(&response);
        self.brokers = cluster.brokers.iter().map(|broker| (broker.id, broker.address.clone())).collect();
        Ok(cluster)
    }
}

impl Topics<'_> {
    fn rows(&self) -> Option<Vec<MetadataRequestTopic<'_>>> {
        let row =
            |name: &&'_ str| MetadataRequestTopic { topic_id: Uuid::default(), name: Some((*name).to_owned().into()) };
        match self {
            Topics::None => Some(Vec::new()),
            Topics::All => None,
            Topics::Named(names) | Topics::Create(names) => Some(names.iter().map(row).collect()),
        }
    }
}

impl Cluster {
    fn new(response: &MetadataResponse<'_>) -> Self {
        let (mut topics, mut failed) = (Vec::new(), Vec::new());
        for topic in &response.topics {
            match topic.error_code {
                0 => topics.push(Topic::new(topic)),
                code => failed.push(TopicError { name: name_of(topic), code }),
            }
        }
        let as_answered = topics.iter().map(|topic: &Topic| topic.name.clone()).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Cluster {
            id: response.cluster_id.as_deref().map(str::to_owned),
            controller: response.controller_id,
            brokers: brokers(response),
            topics,
            as_answered,
            failed,
        }
    }

    /// A topic by its name.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name == name)
    }

    /// The topic, or why there is none.
    pub fn require(&self, name: &str) -> Result<&Topic, Error> {
        if let Some(failed) = self.failed.iter().find(|failed| failed.name == name) {
            Error::check(failed.code, None, || format!("topic `{name}`"))?;
        }
        let missing = || Error::Refused {
            what: format!("topic `{name}`"),
            code: ErrorCode::UnknownTopicOrPartition,
            message: None,
        };
        self.topic(name).ok_or_else(missing)
    }

    /// The broker that leads a partition, or why nobody can be asked.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<i32, Error> {
        let refuse = |code: ErrorCode| Error::Refused { what: format!("{topic}-{partition}"), code, message: None };
        let found = self.require(topic)?.partitions.iter().find(|found| found.index == partition);
        let found = found.ok_or_else(|| refuse(ErrorCode::UnknownTopicOrPartition))?;
        found.leader.ok_or_else(|| refuse(ErrorCode::LeaderNotAvailable))
    }
}

fn name_of(topic: &MetadataResponseTopic<'_>) -> String {
    topic.name.as_deref().unwrap_or_default().to_owned()
}

fn brokers(response: &MetadataResponse<'_>) -> Vec<Broker> {
    let mut brokers: Vec<Broker> = response
        .brokers
        .iter()
        .map(|broker| Broker {
            id: broker.node_id,
            // A port outside 16 bits cannot be connected to; 0 makes the attempt fail with the address in its words.
            address: Address::new(broker.host.to_string(), u16::try_from(broker.port).unwrap_or(0)),
            rack: broker.rack.as_deref().map(str::to_owned),
        })
        .collect();
    brokers.sort_by_key(|broker| broker.id);
    brokers
}

impl Topic {
    pub(crate) fn new(topic: &MetadataResponseTopic<'_>) -> Self {
        let mut partitions: Vec<Partition> = topic.partitions.iter().map(Partition::new).collect();
        partitions.sort_by_key(|partition| partition.index);
        Topic { name: name_of(topic), id: topic.topic_id, is_internal: topic.is_internal, partitions }
    }
}

impl Partition {
    fn new(partition: &MetadataResponsePartition) -> Self {
        Partition {
            index: partition.partition_index,
            leader: Some(partition.leader_id).filter(|id| *id >= 0),
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_nodes.clone(),
            isr: partition.isr_nodes.clone(),
            offline: partition.offline_replicas.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::messages::metadata::MetadataResponseBroker;

    fn answered() -> Cluster {
        let partition = |partition_index, leader_id| MetadataResponsePartition {
            partition_index,
            leader_id,
            ..MetadataResponsePartition::default()
        };
        Cluster::new(&MetadataResponse {
            brokers: vec![
                MetadataResponseBroker { node_id: 2, host: "b".into(), port: 2, rack: None },
                MetadataResponseBroker { node_id: 1, host: "a".into(), port: 1, rack: Some("r".into()) },
            ],
            topics: vec![
                MetadataResponseTopic {
                    name: Some("z".into()),
                    partitions: vec![partition(1, -1), partition(0, 2)],
                    ..MetadataResponseTopic::default()
                },
                MetadataResponseTopic { error_code: 17, name: Some("a/b".into()), ..MetadataResponseTopic::default() },
            ],
            ..MetadataResponse::default()
        })
    }

    #[test]
    fn brokers_and_partitions_are_in_order() {
        let cluster = answered();
        assert_eq!(cluster.brokers.iter().map(|broker| broker.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(cluster.topics[0].partitions.iter().map(|p| p.index).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn leaders_and_why_there_is_none() {
        let cluster = answered();
        let code = |topic, partition| cluster.leader(topic, partition).map_err(|error| error.code().unwrap());
        assert_eq!(code("z", 0), Ok(2));
        assert_eq!(code("z", 1), Err(ErrorCode::LeaderNotAvailable));
        assert_eq!(code("z", 9), Err(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(code("nowhere", 0), Err(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(code("a/b", 0), Err(ErrorCode::InvalidTopicException));
    }
}
