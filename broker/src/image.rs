//! The metadata of the cluster as one immutable value: what every shard holds and every request reads.
//!
//! It changes only by [`Record`]s, which the [controller](crate::controller) alone writes; a shard that is given a newer
//! image learns with [`diff`] which of its logs to make, configure or delete. Cloning shares everything; applying a
//! record copies the maps it touches, once, and only while somebody else still holds them.

mod apply;
mod diff;
mod id;

use crate::config::{Layers, TopicSettings, Values, group};
use crate::io::ShardId;
use crate::settings::BrokerSettings;
use protocol::Uuid;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

pub use apply::ApplyError;
pub use diff::{Change, PartitionChange, diff};
pub use id::{cluster_id, random_uuid};

/// Identifies one incarnation of a topic.
pub type TopicId = Uuid;

/// Topics that the broker writes for itself.
pub const INTERNAL_TOPICS: &[&str] = &["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Where one partition lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionImage {
    /// The broker that leads it; -1 when none does.
    pub leader: i32,
    /// Raised with every change of the leader.
    pub leader_epoch: i32,
    /// Brokers that hold a replica, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub isr: Vec<i32>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicImage {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; a topic made again under the same name has another.
    pub id: Uuid,
    /// Written by the broker for itself.
    pub internal: bool,
    /// By partition index.
    pub partitions: Vec<PartitionImage>,
    /// What was set on the topic itself.
    pub overrides: Arc<Values>,
    /// What all layers of configuration come to.
    pub settings: Arc<TopicSettings>,
}

impl TopicImage {
    /// The partition of that index.
    pub fn partition(&self, index: i32) -> Option<&PartitionImage> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}

/// The whole cluster as of one point of the metadata log.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataImage {
    version: i64,
    cluster_id: Option<Arc<str>>,
    settings: Arc<BrokerSettings>,
    /// By name, in order: paging through topics needs it.
    topics: Arc<BTreeMap<Arc<str>, Arc<TopicImage>>>,
    /// Names by id. Every id here is that of the topic of that name, and the other way round.
    ids: Arc<HashMap<Uuid, Arc<str>>>,
    broker_configs: Arc<Values>,
    default_configs: Arc<Values>,
    /// By name of the group. None without a value.
    group_configs: Arc<BTreeMap<String, Values>>,
    /// By name of the subscription. None without a value.
    client_metrics: Arc<BTreeMap<String, Values>>,
    next_producer_id: i64,
}

impl Default for MetadataImage {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl MetadataImage {
    /// An image without topics, as of the log's beginning.
    pub fn new(settings: Arc<BrokerSettings>) -> Self {
        Self {
            version: 0,
            cluster_id: None,
            settings,
            topics: Arc::default(),
            ids: Arc::default(),
            broker_configs: Arc::default(),
            default_configs: Arc::default(),
            group_configs: Arc::default(),
            client_metrics: Arc::default(),
            next_producer_id: 0,
        }
    }

    /// Offset in the metadata log of the next record that is not yet part of this image.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The cluster's id; `None` only before the very first start has recorded one.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// The static configuration that topic settings rest on.
    pub fn settings(&self) -> &Arc<BrokerSettings> {
        &self.settings
    }

    /// Ids of all brokers. One, until there is a cluster.
    pub fn brokers(&self) -> Vec<i32> {
        vec![self.settings.node_id]
    }

    /// The topic of that name.
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(name)
    }

    /// The topic of that id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.ids.get(&id)?)
    }

    /// Whether topics and their partitions are those of the other image.
    pub fn has_same_topics(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.topics, &other.topics)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl DoubleEndedIterator<Item = &Arc<TopicImage>> {
        self.topics.values()
    }

    /// The topics from that name on, by name.
    pub fn topics_from(&self, name: &str) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.topics.range::<str, _>((Bound::Included(name), Bound::Unbounded)).map(|(_, topic)| topic)
    }

    /// Number of topics.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// The layers of broker configuration.
    pub fn layers(&self) -> Layers<'_> {
        Layers { broker: &self.broker_configs, cluster: &self.default_configs, statics: &self.settings.statics }
    }

    /// What was set for a group, by key.
    pub fn group_configs(&self, group: &str) -> Option<&Values> {
        self.group_configs.get(group)
    }

    /// The value of a group's configuration key (see [`group::KEYS`]) that counts: the group's own, or the broker's. `None` for a
    /// name that is no such key.
    pub fn group_value(&self, group: &str, key: &str) -> Option<String> {
        let (value, _) = group::find(key)?.value(self.layers(), self.group_configs(group));
        Some(value.trim().to_owned())
    }

    /// As [`MetadataImage::group_value`], for keys that are numbers.
    pub fn group_number(&self, group: &str, key: &str) -> Option<i32> {
        self.group_value(group, key)?.parse().ok()
    }

    /// All groups for which something was set, by name.
    pub fn configured_groups(&self) -> impl Iterator<Item = &str> {
        self.group_configs.keys().map(String::as_str)
    }

    /// What was set for a subscription to metrics of clients, by key.
    pub fn client_metrics(&self, name: &str) -> Option<&Values> {
        self.client_metrics.get(name)
    }

    /// All subscriptions to metrics of clients, by name.
    pub fn client_metrics_names(&self) -> impl Iterator<Item = &str> {
        self.client_metrics.keys().map(String::as_str)
    }

    /// Whether brokers are configured as in `other`.
    pub fn has_same_broker_configs(&self, other: &Self) -> bool {
        self.broker_configs == other.broker_configs && self.default_configs == other.default_configs
    }

    /// The first producer id that no block was handed out for.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// Number of partitions of all topics.
    pub fn partition_count(&self) -> usize {
        self.topics().map(|topic| topic.partitions.len()).sum()
    }
}

/// The shard that owns a partition. Neighbouring partitions of a topic lie on neighbouring shards, so that a topic with
/// as many partitions as there are shards uses all of them. Nothing on disk depends on it.
pub fn shard_of(topic: Uuid, partition: i32, shards: u16) -> ShardId {
    assert!(shards > 0, "there is at least one shard");
    let hash = topic
        .0
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let place = (hash >> 16).wrapping_add(u64::from(partition.unsigned_abs())) % u64::from(shards);
    ShardId(u16::try_from(place).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::record::{PartitionRecord, Record, Resource};

    const ID: Uuid = Uuid([7; 16]);

    fn partition(topic: Uuid, partition: i32) -> Record {
        Record::Partition(PartitionRecord {
            topic,
            partition,
            leader: 1,
            leader_epoch: 0,
            replicas: vec![1],
            isr: vec![1],
        })
    }

    fn topic(name: &str, id: Uuid) -> Record {
        Record::Topic { name: name.to_owned(), id }
    }

    fn config(resource: Resource, key: &str, value: Option<&str>) -> Record {
        Record::Config { resource, key: key.to_owned(), value: value.map(str::to_owned) }
    }

    fn image(records: &[Record]) -> MetadataImage {
        let empty = MetadataImage::new(Arc::new(BrokerSettings::default()));
        empty.with(records, records.len() as i64).expect("records fit")
    }

    fn seen(changes: &[PartitionChange]) -> Vec<(&str, i32, Change)> {
        changes.iter().map(|change| (&*change.topic.name, change.partition, change.what)).collect()
    }

    #[test]
    fn topics_are_found_by_name_and_id() {
        let image = image(&[topic("t", ID), partition(ID, 0), partition(ID, 1)]);
        assert_eq!(image.version(), 3);
        assert_eq!(image.topic("t").expect("by name").partitions.len(), 2);
        assert_eq!(&*image.topic_by_id(ID).expect("by id").name, "t");
        assert!(image.topic("u").is_none());
        assert!(image.topic("t").expect("there").partition(2).is_none());
        assert!(image.topic("t").expect("there").partition(-1).is_none());
    }

    #[test]
    fn records_that_do_not_fit_are_refused() {
        let there = [topic("t", ID), Record::ProducerIds { next: 1000 }];
        for (record, expect) in [
            (topic("t", Uuid([8; 16])), ApplyError::TopicExists("t".to_owned())),
            (topic("u", ID), ApplyError::TopicExists("u".to_owned())),
            (partition(Uuid([8; 16]), 0), ApplyError::NoSuchTopic(Uuid([8; 16]))),
            (partition(ID, 1), ApplyError::PartitionGap { topic: "t".to_owned(), have: 0, got: 1 }),
            (partition(ID, -1), ApplyError::PartitionGap { topic: "t".to_owned(), have: 0, got: -1 }),
            (Record::RemoveTopic { id: Uuid([8; 16]) }, ApplyError::NoSuchTopic(Uuid([8; 16]))),
            (Record::ProducerIds { next: 999 }, ApplyError::ProducerIdsBack { have: 1000, got: 999 }),
        ] {
            assert_eq!(image(&there).apply(&record), Err(expect));
        }
    }

    #[test]
    fn a_diff_names_every_partition_that_changed() {
        let old = image(&[topic("a", ID), partition(ID, 0), topic("b", Uuid([8; 16])), partition(Uuid([8; 16]), 0)]);
        let again = Uuid([9; 16]);
        let new = old
            .with(
                &[partition(ID, 1), Record::RemoveTopic { id: Uuid([8; 16]) }, topic("b", again), partition(again, 0)],
                8,
            )
            .expect("records fit");
        assert_eq!(
            seen(&diff(&old, &new)),
            [("b", 0, Change::Removed), ("a", 1, Change::Created), ("b", 0, Change::Created)]
        );
        assert_eq!(diff(&new, &new.clone()), []);
    }

    #[test]
    fn configuration_reaches_the_topics_it_touches() {
        let other = Uuid([8; 16]);
        let old = image(&[topic("a", ID), partition(ID, 0), topic("b", other), partition(other, 0)]);
        let own = old.with(&[config(Resource::Topic(ID), "retention.ms", Some("5"))], 5).expect("fits");
        assert_eq!(seen(&diff(&old, &own)), [("a", 0, Change::Changed)]);
        assert_eq!(own.topic("a").expect("there").settings.retention_ms, 5);
        let both = own.with(&[config(Resource::DefaultBroker, "log.retention.ms", Some("9"))], 6).expect("fits");
        assert_eq!(seen(&diff(&own, &both)), [("b", 0, Change::Changed)]);
        let back = both.with(&[config(Resource::Topic(ID), "retention.ms", None)], 7).expect("fits");
        assert_eq!(back.topic("a").expect("there").settings.retention_ms, 9);
    }

    #[test]
    fn the_records_of_an_image_make_it_again() {
        let there = image(&[
            Record::ClusterId("MkU3OEVBNTcwNTJENDM2Qg".to_owned()),
            topic("t", ID),
            partition(ID, 0),
            config(Resource::Topic(ID), "cleanup.policy", Some("compact")),
            config(Resource::Broker(1), "log.retention.ms", Some("1")),
            config(Resource::DefaultBroker, "message.max.bytes", Some("2")),
            config(Resource::Group("g".to_owned()), "consumer.session.timeout.ms", Some("3")),
            config(Resource::ClientMetrics("m".to_owned()), "interval.ms", Some("4")),
            Record::ProducerIds { next: 3000 },
        ]);
        let again = MetadataImage::new(Arc::clone(there.settings())).with(&there.records(), there.version());
        assert_eq!(again, Ok(there));
    }

    #[test]
    fn a_topic_spreads_over_all_shards() {
        for shards in [1, 2, 3, 8] {
            let mut owners: Vec<u16> = (0..i32::from(shards)).map(|p| shard_of(ID, p, shards).0).collect();
            owners.sort_unstable();
            assert_eq!(owners, (0..shards).collect::<Vec<_>>());
        }
    }
}
