//! What the broker keeps in logs and snapshots: metadata, idempotent producers, groups and their offsets, subscriptions.

use broker::BrokerSettings;
use broker::controller::record::{PartitionRecord, Record, Resource};
use broker::controller::snapshot;
use broker::image::{MetadataImage, diff};
use broker::partition::snapshot as producers;
use broker::testing::parsers;
use protocol::messages::{ConsumerProtocolSubscription, GroupMetadataValue, OffsetCommitValue};
use protocol::{Reader, Uuid};
use std::sync::{Arc, LazyLock};

use crate::messages::sample;
use crate::meter::unmeasured;

/// Memory of a metadata image: the shortest record of a topic is 27 bytes, and a topic's settings and places in the
/// image's maps take about a kilobyte.
pub const IMAGE_BYTES_PER_BYTE: usize = 96;

/// Memory of a coordinator with the groups of one input.
pub const GROUPS_BYTES_MAX: usize = 8 << 20;

static SETTINGS: LazyLock<Arc<BrokerSettings>> = LazyLock::new(Arc::default);

/// One record of the metadata log.
pub fn metadata_record(data: &[u8]) {
    let Ok(record) = Record::decode(data) else { return };
    unmeasured(|| {
        let again = record.encode();
        assert_eq!(Record::decode(&again).as_ref(), Ok(&record));
        // The third byte is the minor version: a later one may have more fields than we write.
        if data[2] == again[2] {
            assert_eq!(again, data);
        }
    });
}

/// A snapshot of the metadata: an image that says the same in its own words.
pub fn metadata_snapshot(data: &[u8]) {
    let empty = MetadataImage::new(Arc::clone(&SETTINGS));
    let Ok(image) = snapshot::decode(empty.clone(), 7, data) else { return };
    unmeasured(|| {
        let bytes = snapshot::encode(&image);
        let again = snapshot::decode(empty.clone(), 7, &bytes).expect("what was read can be written");
        assert_eq!(snapshot::encode(&again), bytes);
        assert!(diff(&image, &again).is_empty());
        assert_eq!(diff(&empty, &image).len(), image.partition_count());
    });
}

/// A snapshot of a partition's idempotent producers.
pub fn producer_snapshot(data: &[u8]) {
    let Ok(found) = producers::decode(data) else { return };
    unmeasured(|| assert_eq!(producers::decode(&producers::encode(&found)), Ok(found)));
}

/// Splits a length of two bytes and what it counts off the front, cut to what is there.
fn part<'a>(data: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    let (part, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
    *data = rest;
    Some(part)
}

/// One record of `__consumer_offsets`: a key behind its length, then a value, none where it is empty.
pub fn offset_record(mut data: &[u8]) {
    let Some(key) = part(&mut data) else { return };
    let value = Some(data).filter(|value| !value.is_empty());
    if let Ok(Some((key, value))) = parsers::offset_record(key, value) {
        unmeasured(|| {
            let again = parsers::offset_record(&key, value.as_deref()).expect("what was read can be written");
            assert_eq!(again, Some((key, value)));
        });
    }
    if let Ok(Some(first)) = parsers::group_value(data) {
        unmeasured(|| assert_eq!(parsers::group_value(&first), Ok(Some(first))));
    }
}

/// A whole partition of `__consumer_offsets`: keys and values, each behind its length; a value of no bytes is none. Whoever
/// joins one of its groups is answered.
pub fn group_log(mut data: &[u8]) {
    let mut log = Vec::new();
    while let (Some(key), Some(value)) = (part(&mut data), part(&mut data)) {
        log.push((key, Some(value).filter(|value| !value.is_empty())));
    }
    parsers::load_groups(&log);
}

/// A consumer's subscription, against the decoder of the whole message.
pub fn subscription(data: &[u8]) {
    let topics = parsers::subscription(data);
    let mut reader = Reader::new(data);
    let Ok(version) = reader.i16() else { return };
    let newest = ConsumerProtocolSubscription::VERSIONS.max;
    if let Ok(whole) = ConsumerProtocolSubscription::decode(&mut reader, version.min(newest))
        && version >= 0
    {
        let expect: Vec<String> = whole.topics.iter().map(|topic| topic.to_string()).collect();
        assert_eq!(topics, Some(expect));
    }
}

/// A configuration's key and value, a NUL between them: a topic's override and a line of the properties file.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((key, value)) = text.split_once('\0') else { return };
    let values = broker::config::Values::from([(key.to_owned(), value.to_owned())]);
    if broker::config::topic::validate(key, value).is_ok() {
        let empty = broker::config::Values::new();
        let layers = broker::config::Layers { broker: &empty, cluster: &empty, statics: &empty };
        let settings = broker::config::TopicSettings::resolve(layers, &values, false);
        assert!(settings.segment_bytes > 0 && settings.max_message_bytes >= 0, "{settings:?}");
    }
    if broker::config::broker::judge(key, value).is_ok() {
        let settings = BrokerSettings::new(1, Vec::new(), values);
        assert!(settings.num_partitions > 0, "{settings:?}");
    }
}

const ID: Uuid = Uuid([9; 16]);

fn records() -> Vec<Record> {
    let config = |resource: Resource, value: Option<&str>| Record::Config {
        resource,
        key: "retention.ms".to_owned(),
        value: value.map(str::to_owned),
    };
    let partition = |partition| {
        let (topic, leader, leader_epoch) = (ID, 1, 7);
        Record::Partition(PartitionRecord { topic, partition, leader, leader_epoch, replicas: vec![1], isr: vec![1] })
    };
    vec![
        Record::ClusterId("MkU3OEVBNTcwNTJENDM2Qg".to_owned()),
        Record::Topic { name: "orders".to_owned(), id: ID },
        partition(0),
        partition(1),
        config(Resource::Topic(ID), Some("1")),
        config(Resource::Broker(1), Some("5")),
        config(Resource::DefaultBroker, Some("9")),
        config(Resource::DefaultBroker, None),
        Record::ProducerIds { next: 1 << 40 },
        Record::RemoveTopic { id: ID },
    ]
}

/// Every kind of record.
#[must_use]
pub fn metadata_records() -> Vec<Vec<u8>> {
    records().iter().map(Record::encode).collect()
}

/// Snapshots with and without the removal of what they made.
#[must_use]
pub fn metadata_snapshots() -> Vec<Vec<u8>> {
    let framed = |record: &Record| {
        let bytes = record.encode();
        [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat()
    };
    let records = records();
    [1, 4, 7, 9, 10].map(|count| records[..count].iter().flat_map(framed).collect()).into()
}

/// Producers with one batch and with five.
#[must_use]
pub fn producer_snapshots() -> Vec<Vec<u8>> {
    let producer = |id: i64, batches: u8| {
        let mut bytes = [&id.to_be_bytes()[..], &3_i16.to_be_bytes(), &1_000_i64.to_be_bytes(), &[batches]].concat();
        for n in 0..i32::from(batches) {
            bytes.extend([10 * n, 10 * n + 9].map(i32::to_be_bytes).concat());
            bytes.extend([i64::from(100 * n), 1_000].map(i64::to_be_bytes).concat());
        }
        bytes
    };
    let snapshot =
        |producers: &[Vec<u8>]| [&[1][..], &(producers.len() as u32).to_be_bytes(), &producers.concat()].concat();
    vec![snapshot(&[]), snapshot(&[producer(7, 1)]), snapshot(&[producer(1, 5), producer(2, 1), producer(i64::MAX, 2)])]
}

const OFFSET_KEY: &[u8] = b"\0\x01\0\x01g\0\x01t\0\0\0\x07";
const GROUP_KEY: &[u8] = b"\0\x02\0\x01g";

fn keyed(key: &[u8], value: &[u8]) -> Vec<u8> {
    [&(key.len() as u16).to_be_bytes()[..], key, value].concat()
}

fn offset_values() -> Vec<Vec<u8>> {
    values("OffsetCommitValue", OffsetCommitValue::VERSIONS)
}

fn group_values() -> Vec<Vec<u8>> {
    values("GroupMetadataValue", GroupMetadataValue::VERSIONS)
}

/// Values of every version behind their version.
fn values(message: &str, versions: protocol::VersionRange) -> Vec<Vec<u8>> {
    let value = |version: i16, seed| {
        let body = sample(message, version, seed).expect("the version exists");
        [&version.to_be_bytes()[..], &body].concat()
    };
    versions.iter().flat_map(|version| (0..3).map(move |seed| value(version, seed))).collect()
}

/// A group with a member, as we write it.
fn plain_group() -> Vec<u8> {
    let mut value = b"\0\x03\0\x08consumer\0\0\0\x02\0\x05range\0\x01m\0\0\0\0\0\0\0\x03\0\0\0\x01".to_vec();
    value.extend(b"\0\x01m\0\x01i\0\x01c\0\x02/h\0\0\0\x0a\0\0\0\x06\0\0\0\x03sub\0\0\0\x03asg");
    value
}

/// Offsets and groups in every version, and tombstones.
#[must_use]
pub fn offset_records() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = offset_values().iter().map(|value| keyed(OFFSET_KEY, value)).collect();
    seeds.extend(group_values().iter().map(|value| keyed(GROUP_KEY, value)));
    seeds.extend([keyed(OFFSET_KEY, &[]), keyed(GROUP_KEY, &[]), keyed(b"\0\x03\0\x01g", b"?")]);
    seeds
}

/// Logs of one record, of many, and of groups that come and go.
#[must_use]
pub fn group_logs() -> Vec<Vec<u8>> {
    let record = |key: &[u8], value: &[u8]| [keyed(key, &[]), keyed(value, &[])].concat();
    let mut seeds: Vec<_> = group_values().iter().map(|value| record(GROUP_KEY, value)).collect();
    let plain = plain_group();
    seeds.push([record(OFFSET_KEY, &offset_values()[9]), record(GROUP_KEY, &plain), record(GROUP_KEY, &[])].concat());
    seeds.push([record(GROUP_KEY, &plain), record(b"\0\x02\0\x01h", &plain), record(GROUP_KEY, &plain)].concat());
    seeds.push(seeds.concat());
    seeds
}

/// Subscriptions of every version.
#[must_use]
pub fn subscriptions() -> Vec<Vec<u8>> {
    values("ConsumerProtocolSubscription", ConsumerProtocolSubscription::VERSIONS)
}

/// Keys of topics and of the broker, with their defaults.
#[must_use]
pub fn configs() -> Vec<Vec<u8>> {
    let topic = broker::config::topic::KEYS.iter().map(|key| format!("{}\0{}", key.name, key.default));
    let keys = broker::config::broker::keys();
    let broker = keys.map(|key| format!("{}\0{}", key.name, key.default.unwrap_or_default()));
    topic.chain(broker).map(String::into_bytes).collect()
}
