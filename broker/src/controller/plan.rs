//! Decides what a request for a change comes to: records, or the reason why not. Nothing here acts.
//!
//! A plan is made on top of an image and sees its own records: the second topic of a request collides with the first.

mod configs;
mod takeover;

pub use configs::{How, Target};
pub use takeover::FoundTopic;

use super::limits::PARTITIONS_PER_REQUEST_MAX;
use super::names;
use super::random::Random;
use super::record::{PartitionRecord, Record, Resource};
use crate::config::{Refusal, Values};
use crate::image::{INTERNAL_TOPICS, MetadataImage, TopicImage, random_uuid};
use protocol::{ErrorCode, Uuid};
use std::sync::Arc;

/// Why one topic of a request is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// Kafka's code.
    pub code: ErrorCode,
    /// For a person.
    pub message: String,
}

impl Rejection {
    /// A rejection with its reason.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<names::NameError> for Rejection {
    fn from(error: names::NameError) -> Self {
        Self::new(ErrorCode::InvalidTopicException, error.to_string())
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::new(ErrorCode::InvalidConfig, refusal.to_string())
    }
}

/// How the partitions of a new topic are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// So many; `None` takes the broker's default.
    Count {
        /// Number of partitions.
        partitions: Option<i32>,
        /// Replicas of each.
        replication_factor: Option<i16>,
    },
    /// These brokers for each partition, by index.
    Manual(Vec<Vec<i32>>),
}

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub layout: Layout,
    /// Its configuration.
    pub configs: Values,
}

/// Records in the making, and the metadata as it would be with them.
#[derive(Clone, Debug)]
pub struct Plan {
    image: MetadataImage,
    records: Vec<Record>,
    new_partitions: usize,
}

impl Plan {
    pub(super) fn new(image: MetadataImage) -> Self {
        Self { image, records: Vec::new(), new_partitions: 0 }
    }

    /// The metadata with what is planned so far.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// The records, and the image that they lead to; `None` without records.
    pub(super) fn finish(mut self) -> Option<(Vec<Record>, MetadataImage)> {
        if self.records.is_empty() {
            return None;
        }
        let count = i64::try_from(self.records.len()).unwrap_or(i64::MAX);
        self.image.advance(self.image.version() + count);
        Some((self.records, self.image))
    }

    /// Adds one record, which must fit what is there.
    pub(super) fn push(&mut self, record: Record) {
        let fits = self.image.apply(&record);
        assert!(fits.is_ok(), "a planned record was checked before: {fits:?}");
        self.records.push(record);
    }

    /// Plans a new topic.
    pub fn create_topic(&mut self, new: &NewTopic, random: &mut Random) -> Result<Arc<TopicImage>, Rejection> {
        self.check_new_name(&new.name)?;
        configs::check_sizes(&new.configs)?;
        configs::check_topic_configs(&self.image, &new.configs)?;
        let assignments = self.assign(&new.layout)?;
        self.check_size(assignments.len())?;
        let id = self.fresh_id(random);
        self.push(Record::Topic { name: new.name.clone(), id });
        self.push_partitions(id, 0, assignments);
        for (key, value) in &new.configs {
            let (resource, value) = (Resource::Topic(id), Some(value.clone()));
            self.push(Record::Config { resource, key: key.clone(), value });
        }
        Ok(self.existing(id))
    }

    /// Plans the end of a topic.
    pub fn delete_topic(&mut self, topic: &TopicImage) -> Result<(), Rejection> {
        if topic.internal {
            let message = format!("The topic '{}' belongs to the broker itself and cannot be deleted", topic.name);
            return Err(Rejection::new(ErrorCode::InvalidTopicException, message));
        }
        self.push(Record::RemoveTopic { id: topic.id });
        Ok(())
    }

    /// Plans more partitions for a topic, so that it has `count`. `manual` names the brokers of each new one.
    pub fn grow_topic(&mut self, name: &str, count: i32, manual: Option<Vec<Vec<i32>>>) -> Result<(), Rejection> {
        let Some(topic) = self.image.topic(name).cloned() else {
            let message = "This broker has no topic of that name";
            return Err(Rejection::new(ErrorCode::UnknownTopicOrPartition, message));
        };
        let have = topic.partitions.len();
        let invalid = |message: String| Err(Rejection::new(ErrorCode::InvalidPartitions, message));
        let more = match usize::try_from(count) {
            Ok(count) if count == have => return invalid(format!("Topic already has {have} partition(s).")),
            Ok(count) if count > have => count - have,
            _ => {
                return invalid(format!(
                    "The topic {name} currently has {have} partition(s); {count} would not be an increase."
                ));
            }
        };
        self.check_size(more)?;
        let factor = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
        let assignments = match manual {
            None => vec![self.replicas(factor); more],
            Some(manual) if manual.len() == more => self.check_manual(manual, Some(factor))?,
            Some(manual) => {
                let message = format!("{more} partition(s) are to be added, and {} are assigned", manual.len());
                return Err(Rejection::new(ErrorCode::InvalidReplicaAssignment, message));
            }
        };
        self.push_partitions(topic.id, have, assignments);
        Ok(())
    }

    fn check_new_name(&self, name: &str) -> Result<(), Rejection> {
        if name == names::CLUSTER_METADATA_TOPIC {
            let message = format!("Creation of internal topic {name} is prohibited.");
            return Err(Rejection::new(ErrorCode::InvalidRequest, message));
        }
        names::validate(name)?;
        if self.image.topic(name).is_some() {
            let message = format!("Topic '{name}' already exists.");
            return Err(Rejection::new(ErrorCode::TopicAlreadyExists, message));
        }
        let may_collide = name.contains(['.', '_']);
        let other = self.image.topics().filter(|_| may_collide).find(|topic| names::collide(&topic.name, name));
        other.map_or(Ok(()), |other| {
            let message = format!("Topic '{name}' collides with existing topic: {}", other.name);
            Err(Rejection::new(ErrorCode::InvalidTopicException, message))
        })
    }

    fn check_size(&mut self, more: usize) -> Result<(), Rejection> {
        let total = self.new_partitions.saturating_add(more);
        if total > PARTITIONS_PER_REQUEST_MAX {
            let message = format!("One request makes at most {PARTITIONS_PER_REQUEST_MAX} partitions");
            return Err(Rejection::new(ErrorCode::PolicyViolation, message));
        }
        self.new_partitions = total;
        Ok(())
    }

    fn assign(&self, layout: &Layout) -> Result<Vec<Vec<i32>>, Rejection> {
        let (partitions, factor) = match layout {
            Layout::Manual(manual) => return self.check_manual(manual.clone(), None),
            Layout::Count { partitions, replication_factor } => (*partitions, *replication_factor),
        };
        let settings = self.image.settings();
        let factor = factor.unwrap_or(settings.default_replication_factor);
        let partitions = partitions.unwrap_or(settings.num_partitions);
        let brokers = self.image.brokers().len();
        let bad_factor = |message: String| Err(Rejection::new(ErrorCode::InvalidReplicationFactor, message));
        match usize::try_from(factor) {
            Err(_) | Ok(0) => {
                bad_factor("Replication factor must be larger than 0, or -1 to use the default value.".to_owned())
            }
            Ok(factor) if factor > brokers => bad_factor(format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be \
                 reached because only {brokers} broker(s) are registered."
            )),
            Ok(factor) => match usize::try_from(partitions) {
                Err(_) | Ok(0) => {
                    let message = "Number of partitions was set to an invalid non-positive value.";
                    Err(Rejection::new(ErrorCode::InvalidPartitions, message))
                }
                Ok(partitions) if partitions > PARTITIONS_PER_REQUEST_MAX => {
                    let message = format!("One request makes at most {PARTITIONS_PER_REQUEST_MAX} partitions");
                    Err(Rejection::new(ErrorCode::PolicyViolation, message))
                }
                Ok(partitions) => Ok(vec![self.replicas(factor); partitions]),
            },
        }
    }

    /// Checks replicas that a client chose. Every partition of a topic has as many as the first, or as `factor` says.
    fn check_manual(&self, manual: Vec<Vec<i32>>, factor: Option<usize>) -> Result<Vec<Vec<i32>>, Rejection> {
        let brokers = self.image.brokers();
        // Clients may know our cores as brokers; the metadata knows the node.
        let node_of = |id| self.image.settings().node_of(id);
        let manual: Vec<Vec<i32>> =
            manual.into_iter().map(|replicas| replicas.into_iter().map(node_of).collect()).collect();
        let bad = |message: String| Err(Rejection::new(ErrorCode::InvalidReplicaAssignment, message));
        let factor = factor.or(manual.first().map(Vec::len)).unwrap_or_default();
        for replicas in &manual {
            if replicas.is_empty() {
                return bad("A manual assignment names no broker".to_owned());
            }
            if replicas.len() != factor {
                return bad(format!("The assignment names {} replicas where {factor} belong", replicas.len()));
            }
            for (index, id) in replicas.iter().enumerate() {
                if replicas[..index].contains(id) {
                    return bad(format!("The assignment names broker {id} twice"));
                }
                if !brokers.contains(id) {
                    return bad(format!("The assignment names broker {id}, which is not registered"));
                }
            }
        }
        Ok(manual)
    }

    /// The brokers of a partition that nobody assigned. One broker, until there is a cluster.
    fn replicas(&self, factor: usize) -> Vec<i32> {
        self.image.brokers().into_iter().take(factor).collect()
    }

    fn push_partitions(&mut self, topic: Uuid, first: usize, assignments: Vec<Vec<i32>>) {
        for (index, replicas) in (first..).zip(assignments) {
            self.push(Record::Partition(PartitionRecord {
                topic,
                partition: i32::try_from(index).unwrap_or(i32::MAX),
                leader: replicas.first().copied().unwrap_or(-1),
                leader_epoch: 0,
                isr: replicas.clone(),
                replicas,
            }));
        }
    }

    fn fresh_id(&self, random: &mut Random) -> Uuid {
        loop {
            let id = random_uuid(&mut || random.draw());
            if self.image.topic_by_id(id).is_none() {
                return id;
            }
        }
    }

    fn existing(&self, id: Uuid) -> Arc<TopicImage> {
        match self.image.topic_by_id(id) {
            Some(topic) => Arc::clone(topic),
            None => unreachable!("the plan has just made {id}"),
        }
    }
}

/// A topic that comes into being because someone asked for it by name. Internal ones get what their owners need.
pub fn auto_topic(image: &MetadataImage, name: &str) -> NewTopic {
    let settings = image.settings();
    let own = |key: &str, value: String| (key.to_owned(), value);
    let (partitions, configs) = if name == INTERNAL_TOPICS[0] {
        let configs = Values::from([
            own("cleanup.policy", "compact".to_owned()),
            own("compression.type", "producer".to_owned()),
            own("segment.bytes", settings.offsets_topic_segment_bytes.max(1 << 20).to_string()),
        ]);
        (settings.offsets_topic_num_partitions, configs)
    } else {
        let layout = Layout::Count { partitions: None, replication_factor: None };
        return NewTopic { name: name.to_owned(), layout, configs: Values::new() };
    };
    // Kafka fails to make its internal topics where fewer brokers are registered than the factor asks for. Here the factor
    // is what the brokers allow.
    let brokers = i16::try_from(image.brokers().len()).unwrap_or(i16::MAX);
    let factor = settings.offsets_topic_replication_factor.min(brokers);
    let layout = Layout::Count { partitions: Some(partitions), replication_factor: Some(factor) };
    NewTopic { name: name.to_owned(), layout, configs }
}
