//! Records make an image, and an image says which records make it.

use super::{INTERNAL_TOPICS, MetadataImage, PartitionImage, TopicImage};
use crate::config::{TopicSettings, Values};
use crate::controller::record::{PartitionRecord, Record, Resource};
use protocol::Uuid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A record that does not fit the image: the log was written by something else, or is damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A topic of that name or id is there already.
    #[error("the topic {0} is made a second time")]
    TopicExists(String),
    /// No topic has that id.
    #[error("the record speaks of the topic id {0}, which no record made")]
    NoSuchTopic(Uuid),
    /// Partitions come in order, without gaps.
    #[error("the topic {topic} has {have} partitions, and the record is for partition {got}")]
    PartitionGap {
        /// The topic.
        topic: String,
        /// Partitions it has.
        have: usize,
        /// Partition in the record.
        got: i32,
    },
    /// Producer ids never go back.
    #[error("producer ids go back from {have} to {got}")]
    ProducerIdsBack {
        /// Next id so far.
        have: i64,
        /// Next id in the record.
        got: i64,
    },
}

impl MetadataImage {
    /// The image after these records, the last of which ends the log at `version`.
    pub fn with(&self, records: &[Record], version: i64) -> Result<Self, ApplyError> {
        let mut next = self.clone();
        for record in records {
            next.apply(record)?;
        }
        next.advance(version);
        Ok(next)
    }

    /// Everything below this offset of the metadata log is part of the image now.
    pub fn advance(&mut self, version: i64) {
        assert!(version >= self.version, "the metadata goes back from {} to {version}", self.version);
        self.version = version;
    }

    /// Applies one record in place and leaves the version as it is.
    pub fn apply(&mut self, record: &Record) -> Result<(), ApplyError> {
        match record {
            Record::ClusterId(id) => self.cluster_id = Some(Arc::from(id.as_str())),
            Record::Topic { name, id } => self.add_topic(name, *id)?,
            Record::Partition(partition) => self.put_partition(partition)?,
            Record::RemoveTopic { .. } if marks::planted!("broker: forget a deletion") => {}
            Record::RemoveTopic { id } => self.remove_topic(*id)?,
            Record::Config { resource, key, value } => self.configure(resource, key, value.as_deref())?,
            Record::ProducerIds { next } => {
                if *next < self.next_producer_id {
                    return Err(ApplyError::ProducerIdsBack { have: self.next_producer_id, got: *next });
                }
                self.next_producer_id = *next;
            }
        }
        Ok(())
    }

    /// The records that make this image out of an empty one.
    pub fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> = self.cluster_id.iter().map(|id| Record::ClusterId(id.to_string())).collect();
        let configs = |resource: Resource, values: &Values| -> Vec<Record> {
            let record = |(key, value): (&String, &String)| Record::Config {
                resource: resource.clone(),
                key: key.clone(),
                value: Some(value.clone()),
            };
            values.iter().map(record).collect()
        };
        records.extend(configs(Resource::DefaultBroker, &self.default_configs));
        records.extend(configs(Resource::Broker(self.settings.node_id), &self.broker_configs));
        for topic in self.topics() {
            records.push(Record::Topic { name: topic.name.to_string(), id: topic.id });
            records.extend((0..).zip(&topic.partitions).map(|(partition, image)| {
                Record::Partition(PartitionRecord {
                    topic: topic.id,
                    partition,
                    leader: image.leader,
                    leader_epoch: image.leader_epoch,
                    replicas: image.replicas.clone(),
                    isr: image.isr.clone(),
                })
            }));
            if !marks::planted!("broker: leave configurations out of snapshots") {
                records.extend(configs(Resource::Topic(topic.id), &topic.overrides));
            }
        }
        for (name, values) in &*self.group_configs {
            records.extend(configs(Resource::Group(name.clone()), values));
        }
        for (name, values) in &*self.client_metrics {
            records.extend(configs(Resource::ClientMetrics(name.clone()), values));
        }
        records.push(Record::ProducerIds { next: self.next_producer_id });
        records
    }

    fn add_topic(&mut self, name: &str, id: Uuid) -> Result<(), ApplyError> {
        if self.topics.contains_key(name) || self.ids.contains_key(&id) {
            return Err(ApplyError::TopicExists(name.to_owned()));
        }
        let name: Arc<str> = Arc::from(name);
        let internal = INTERNAL_TOPICS.contains(&&*name);
        let overrides = Arc::new(Values::new());
        let settings = Arc::new(TopicSettings::resolve(self.layers(), &overrides, internal));
        let topic = TopicImage { name: Arc::clone(&name), id, internal, partitions: Vec::new(), overrides, settings };
        Arc::make_mut(&mut self.topics).insert(Arc::clone(&name), Arc::new(topic));
        Arc::make_mut(&mut self.ids).insert(id, name);
        Ok(())
    }

    fn remove_topic(&mut self, id: Uuid) -> Result<(), ApplyError> {
        let name = Arc::make_mut(&mut self.ids).remove(&id).ok_or(ApplyError::NoSuchTopic(id))?;
        Arc::make_mut(&mut self.topics).remove(&name);
        Ok(())
    }

    fn topic_mut(&mut self, id: Uuid) -> Result<&mut TopicImage, ApplyError> {
        let name = self.ids.get(&id).ok_or(ApplyError::NoSuchTopic(id))?;
        let topic = Arc::make_mut(&mut self.topics).get_mut(name).ok_or(ApplyError::NoSuchTopic(id))?;
        Ok(Arc::make_mut(topic))
    }

    fn put_partition(&mut self, record: &PartitionRecord) -> Result<(), ApplyError> {
        let topic = self.topic_mut(record.topic)?;
        let image = PartitionImage {
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            replicas: record.replicas.clone(),
            isr: record.isr.clone(),
        };
        let have = topic.partitions.len();
        match usize::try_from(record.partition) {
            Ok(index) if index < have => topic.partitions[index] = image,
            Ok(index) if index == have => topic.partitions.push(image),
            _ => {
                let (topic, got) = (topic.name.to_string(), record.partition);
                return Err(ApplyError::PartitionGap { topic, have, got });
            }
        }
        Ok(())
    }

    fn configure(&mut self, resource: &Resource, key: &str, value: Option<&str>) -> Result<(), ApplyError> {
        match resource {
            Resource::Topic(id) => {
                set(Arc::make_mut(&mut self.topic_mut(*id)?.overrides), key, value);
                let topic = self.topic_by_id(*id).ok_or(ApplyError::NoSuchTopic(*id))?;
                let settings = TopicSettings::resolve(self.layers(), &topic.overrides, topic.internal);
                self.topic_mut(*id)?.settings = Arc::new(settings);
            }
            Resource::Broker(id) if *id != self.settings.node_id => {}
            Resource::Broker(_) => {
                set(Arc::make_mut(&mut self.broker_configs), key, value);
                self.resolve_all();
            }
            Resource::DefaultBroker => {
                set(Arc::make_mut(&mut self.default_configs), key, value);
                self.resolve_all();
            }
            Resource::Group(name) => set_named(Arc::make_mut(&mut self.group_configs), name, key, value),
            Resource::ClientMetrics(name) => set_named(Arc::make_mut(&mut self.client_metrics), name, key, value),
        }
        Ok(())
    }

    /// Broker configuration changed: every topic's settings may have.
    fn resolve_all(&mut self) {
        let mut topics = Arc::clone(&self.topics);
        for topic in Arc::make_mut(&mut topics).values_mut() {
            let settings = TopicSettings::resolve(self.layers(), &topic.overrides, topic.internal);
            if settings != *topic.settings {
                Arc::make_mut(topic).settings = Arc::new(settings);
            }
        }
        self.topics = topics;
    }
}

fn set(values: &mut Values, key: &str, value: Option<&str>) {
    match value {
        Some(value) => values.insert(key.to_owned(), value.to_owned()),
        None => values.remove(key),
    };
}

/// A resource whose last value is gone is gone.
fn set_named(resources: &mut BTreeMap<String, Values>, name: &str, key: &str, value: Option<&str>) {
    let values = resources.entry(name.to_owned()).or_default();
    set(values, key, value);
    if values.is_empty() {
        resources.remove(name);
    }
}
