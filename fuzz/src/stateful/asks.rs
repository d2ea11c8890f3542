//! Requests: sensible ones, built from what the node told and a few topics and groups, and any of any API.

use protocol::batch::BatchBuilder;
use protocol::compress::Codec;
use protocol::messages::*;
use protocol::{ApiKey, EncodeError, Records, Str, Writer, supported};

use super::rogue::{Learned, frame};
use crate::messages::sample;
use crate::requests::KEYS;

/// Topics that scripts know; the first exists once somebody asked for it, the last one never.
const TOPICS: [&str; 4] = ["a", "b", "c.d_e-f", "no such name!"];
const GROUPS: [&str; 3] = ["g", "h", ""];
/// Kinds of sensible requests.
pub(super) const KINDS: u8 = 22;

/// Choices of one request: the script's bytes behind names.
struct Variant<'a> {
    version: i16,
    byte: u8,
    learned: &'a Learned,
}

impl Variant<'_> {
    fn topic(&self) -> Str<'static> {
        TOPICS[usize::from(self.byte % 4)].into()
    }

    fn group(&self) -> Str<'static> {
        GROUPS[usize::from(self.byte / 4 % 3)].into()
    }

    /// Right most of the time, else off by a little or by everything.
    fn near(&self, right: i64) -> i64 {
        [right, right, right, right + 1, right - 1, -1, i64::MAX, 0][usize::from(self.byte / 16 % 8)]
    }

    fn bit(&self, at: u8) -> bool {
        self.byte >> at & 1 == 1
    }

    fn member(&self) -> Str<'_> {
        if self.bit(7) { "nobody".into() } else { self.learned.member.as_str().into() }
    }

    fn instance(&self) -> Option<Str<'static>> {
        (self.version >= 5 && self.bit(6)).then(|| "i".into())
    }
}

/// A request of kind `kind`, in a version and a variant that the bytes choose. The correlation id is made of them too.
pub(super) fn sensible(kind: u8, version: u8, variant: u8, learned: &Learned) -> Vec<u8> {
    let (key, encode) = KIND_TABLE[usize::from(kind % KINDS)];
    let Some(range) = supported(key) else { return any(kind, version, variant) };
    let version = range.max - i16::from(255 - version) % (range.max - range.min + 1);
    let mut writer = Writer::new();
    match encode(&Variant { version, byte: variant, learned }, &mut writer) {
        Ok(()) => frame(key, version, i32::from(variant), &writer.into_bytes().unwrap_or_default()),
        // The version lacks a field that this variant sets.
        Err(_) => any(kind, version as u8, variant),
    }
}

/// A request with random fields of any API and version, the fields as the protocol's own tests draw them.
pub(super) fn any(key: u8, version: u8, seed: u8) -> Vec<u8> {
    let key = KEYS[usize::from(key) % KEYS.len()];
    let Some(range) = supported(key) else { return frame(key, 0, 1, &[]) };
    let version = range.min + i16::from(version) % (range.max - range.min + 1);
    let body = sample(&format!("{}Request", key.name()), version, seed.into()).unwrap_or_default();
    frame(key, version, i32::from(seed), &body)
}

type Encode = fn(&Variant<'_>, &mut Writer) -> Result<(), EncodeError>;

#[rustfmt::skip]
const KIND_TABLE: [(ApiKey, Encode); KINDS as usize] = [
    (ApiKey::Produce, produce), (ApiKey::Fetch, fetch), (ApiKey::ListOffsets, list_offsets),
    (ApiKey::OffsetCommit, offset_commit), (ApiKey::OffsetFetch, offset_fetch),
    (ApiKey::FindCoordinator, find_coordinator), (ApiKey::JoinGroup, join_group), (ApiKey::SyncGroup, sync_group),
    (ApiKey::Heartbeat, heartbeat), (ApiKey::Metadata, metadata), (ApiKey::LeaveGroup, leave_group),
    (ApiKey::CreateTopics, create_topics), (ApiKey::DeleteTopics, delete_topics),
    (ApiKey::DeleteRecords, delete_records), (ApiKey::InitProducerId, init_producer_id),
    (ApiKey::CreatePartitions, create_partitions), (ApiKey::DescribeGroups, describe_groups),
    (ApiKey::DeleteGroups, delete_groups), (ApiKey::OffsetDelete, offset_delete),
    (ApiKey::DescribeConfigs, describe_configs), (ApiKey::ApiVersions, api_versions), (ApiKey::ListGroups, list_groups),
];

/// Records of every codec, of an idempotent producer or not, acknowledged or not, one or many kilobytes.
fn produce(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let mut batch = BatchBuilder::new().compression(Codec::ALL[usize::from(v.byte) % Codec::ALL.len()], None);
    if v.bit(4) {
        let (id, epoch) = v.learned.producer;
        batch = batch.producer(id, epoch, v.near(0).clamp(0, 9) as i32);
    }
    let value = vec![v.byte; if v.byte % 8 == 7 { 40_000 } else { 20 }];
    (0..=v.byte % 3).for_each(|_| batch.append(1_700_000_000_000, Some(b"k"), Some(&value), &[]));
    let records = batch.build();
    let records = Records::Bytes(&records);
    let partition = produce::PartitionProduceData { index: i32::from(v.byte / 64), records };
    let (name, topic_id) = (v.topic(), v.learned.topic_id);
    let topic = produce::TopicProduceData { name, topic_id, partition_data: vec![partition] };
    let acks = if v.byte % 16 == 9 { 0 } else { -1 };
    ProduceRequest { transactional_id: None, acks, timeout_ms: 1_000, topic_data: vec![topic] }.encode(w, v.version)
}

fn fetch(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let fetch_offset = v.near(0);
    let partition = fetch::FetchPartition {
        fetch_offset,
        partition_max_bytes: 1 << (v.byte % 21),
        ..fetch::FetchPartition::default()
    };
    let (topic, topic_id) = (v.topic(), v.learned.topic_id);
    let topics = vec![fetch::FetchTopic { topic, topic_id, partitions: vec![partition] }];
    let (session_id, session_epoch) = match v.byte % 3 {
        0 => (0, -1),
        1 => (0, 0),
        _ => v.learned.session,
    };
    let (max_wait_ms, min_bytes) = (i32::from(v.byte % 4) * 100, i32::from(v.byte % 2));
    let request = FetchRequest { max_wait_ms, min_bytes, max_bytes: 1 << 20, topics, ..FetchRequest::default() };
    let with_session = FetchRequest { session_id, session_epoch, ..request.clone() };
    if v.version >= 7 { with_session.encode(w, v.version) } else { request.encode(w, v.version) }
}

fn list_offsets(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let timestamp = [-1, -2, -3, 0, 1_700_000_000_000, i64::MAX, -4, -5][usize::from(v.byte / 16 % 8)];
    let partition = list_offsets::ListOffsetsPartition { timestamp, ..Default::default() };
    let topic = list_offsets::ListOffsetsTopic { name: v.topic(), partitions: vec![partition] };
    ListOffsetsRequest { topics: vec![topic], ..Default::default() }.encode(w, v.version)
}

fn offset_commit(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let partition = offset_commit::OffsetCommitRequestPartition {
        committed_offset: v.near(1),
        committed_metadata: Some("words".into()),
        ..Default::default()
    };
    let (name, topic_id) = (v.topic(), v.learned.topic_id);
    let topic = offset_commit::OffsetCommitRequestTopic { name, topic_id, partitions: vec![partition] };
    let joined = v.bit(5) && !v.learned.member.is_empty();
    let request = OffsetCommitRequest {
        group_id: v.group(),
        generation_id_or_member_epoch: if joined { v.learned.generation } else { -1 },
        member_id: if joined { v.member() } else { "".into() },
        topics: vec![topic],
        ..Default::default()
    };
    request.encode(w, v.version)
}

fn offset_fetch(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    if v.version >= 8 {
        let group = offset_fetch::OffsetFetchRequestGroup { group_id: v.group(), topics: None, ..Default::default() };
        return OffsetFetchRequest { groups: vec![group], ..Default::default() }.encode(w, v.version);
    }
    let topic = offset_fetch::OffsetFetchRequestTopic { name: v.topic(), partition_indexes: vec![0, 1] };
    OffsetFetchRequest { group_id: v.group(), topics: Some(vec![topic]), ..Default::default() }.encode(w, v.version)
}

fn find_coordinator(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let key_type = i8::from(v.version >= 1 && v.byte % 16 == 15);
    let request = if v.version >= 4 {
        FindCoordinatorRequest { key_type, coordinator_keys: vec![v.group()], ..Default::default() }
    } else {
        FindCoordinatorRequest { key_type, key: v.group(), ..Default::default() }
    };
    request.encode(w, v.version)
}

fn join_group(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let metadata = [&b"\0\0\0\0\0\x01\0\x01a\0\0\0\0"[..], b"", b"\0\x01\x7f\xff\xff\xff"][usize::from(v.byte % 3)];
    let protocol =
        |name: &'static str| join_group::JoinGroupRequestProtocol { name: name.into(), metadata: metadata.into() };
    let protocols = vec![protocol("range"), protocol("sticky")];
    let request = JoinGroupRequest {
        group_id: v.group(),
        session_timeout_ms: [10_000, 100, 0, i32::MAX][usize::from(v.byte / 16 % 4)],
        rebalance_timeout_ms: if v.version >= 1 { [1_000, 0, -1, 60_000][usize::from(v.byte % 4)] } else { -1 },
        member_id: if v.bit(3) { v.member() } else { "".into() },
        group_instance_id: v.instance(),
        protocol_type: "consumer".into(),
        protocols,
        ..Default::default()
    };
    request.encode(w, v.version)
}

fn sync_group(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let assignment = sync_group::SyncGroupRequestAssignment { member_id: v.member(), assignment: b"all"[..].into() };
    let named = v.version >= 5;
    let request = SyncGroupRequest {
        group_id: v.group(),
        generation_id: v.near(v.learned.generation.into()) as i32,
        member_id: v.member(),
        protocol_type: named.then(|| "consumer".into()),
        protocol_name: named.then(|| "range".into()),
        assignments: vec![assignment],
        ..Default::default()
    };
    request.encode(w, v.version)
}

fn heartbeat(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let generation_id = v.near(v.learned.generation.into()) as i32;
    HeartbeatRequest { group_id: v.group(), generation_id, member_id: v.member(), group_instance_id: None }
        .encode(w, v.version)
}

fn metadata(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let topic = metadata::MetadataRequestTopic { name: Some(v.topic()), ..Default::default() };
    let topics = (v.byte % 8 != 7).then(|| vec![topic]);
    MetadataRequest { topics, allow_auto_topic_creation: true, ..Default::default() }.encode(w, v.version)
}

fn leave_group(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let request = if v.version >= 3 {
        let member = leave_group::MemberIdentity {
            member_id: v.member(),
            group_instance_id: v.instance(),
            ..Default::default()
        };
        LeaveGroupRequest { group_id: v.group(), members: vec![member], ..Default::default() }
    } else {
        LeaveGroupRequest { group_id: v.group(), member_id: v.member(), ..Default::default() }
    };
    request.encode(w, v.version)
}

fn create_topics(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let configs = [
        ("retention.ms", "1000"),
        ("segment.bytes", "14"),
        ("cleanup.policy", "compact"),
        ("durability", "none"),
        ("compression.type", "zstd"),
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", "100"),
        ("no.such.key", "1"),
    ];
    let (name, value) = configs[usize::from(v.byte / 8 % 8)];
    let config = create_topics::CreatableTopicConfig { name: name.into(), value: Some(value.into()) };
    let topic = create_topics::CreatableTopic {
        name: v.topic(),
        num_partitions: [1, 3, -1, 0][usize::from(v.byte / 64)],
        replication_factor: if v.bit(2) { 1 } else { -1 },
        configs: vec![config],
        ..Default::default()
    };
    CreateTopicsRequest { topics: vec![topic], timeout_ms: 1_000, validate_only: false }.encode(w, v.version)
}

fn delete_topics(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let request = if v.version >= 6 {
        let topic = delete_topics::DeleteTopicState { name: Some(v.topic()), ..Default::default() };
        DeleteTopicsRequest { topics: vec![topic], timeout_ms: 1_000, ..Default::default() }
    } else {
        DeleteTopicsRequest { topic_names: vec![v.topic()], timeout_ms: 1_000, ..Default::default() }
    };
    request.encode(w, v.version)
}

fn delete_records(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let partition = delete_records::DeleteRecordsPartition { partition_index: 0, offset: v.near(1) };
    let topic = delete_records::DeleteRecordsTopic { name: v.topic(), partitions: vec![partition] };
    DeleteRecordsRequest { topics: vec![topic], timeout_ms: 1_000 }.encode(w, v.version)
}

fn init_producer_id(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let transactional_id = (v.byte % 16 == 15).then(|| "t".into());
    let fresh = InitProducerIdRequest { transactional_id, transaction_timeout_ms: 1_000, ..Default::default() };
    let (producer_id, producer_epoch) = v.learned.producer;
    let again = InitProducerIdRequest { producer_id, producer_epoch, ..fresh.clone() };
    if v.version >= 3 && v.bit(5) { again.encode(w, v.version) } else { fresh.encode(w, v.version) }
}

fn create_partitions(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let count = [2, 4, 0, -1][usize::from(v.byte / 16 % 4)];
    let topic = create_partitions::CreatePartitionsTopic { name: v.topic(), count, assignments: None };
    CreatePartitionsRequest { topics: vec![topic], timeout_ms: 1_000, validate_only: false }.encode(w, v.version)
}

fn describe_groups(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    DescribeGroupsRequest { groups: vec![v.group()], ..Default::default() }.encode(w, v.version)
}

fn delete_groups(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    DeleteGroupsRequest { groups_names: vec![v.group(), v.group()] }.encode(w, v.version)
}

fn offset_delete(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let partition = offset_delete::OffsetDeleteRequestPartition { partition_index: 0 };
    let topic = offset_delete::OffsetDeleteRequestTopic { name: v.topic(), partitions: vec![partition] };
    OffsetDeleteRequest { group_id: v.group(), topics: vec![topic] }.encode(w, v.version)
}

fn describe_configs(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let (resource_type, resource_name) = if v.bit(5) { (4, "1".into()) } else { (2, v.topic()) };
    let resource = describe_configs::DescribeConfigsResource { resource_type, resource_name, configuration_keys: None };
    DescribeConfigsRequest { resources: vec![resource], ..Default::default() }.encode(w, v.version)
}

fn api_versions(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    let named = ApiVersionsRequest { client_software_name: "rogue".into(), client_software_version: "1.0".into() };
    let request = if v.version >= 3 { named } else { ApiVersionsRequest::default() };
    request.encode(w, v.version)
}

fn list_groups(v: &Variant<'_>, w: &mut Writer) -> Result<(), EncodeError> {
    ListGroupsRequest::default().encode(w, v.version)
}
