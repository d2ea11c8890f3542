//! The requests that the rigs make, each as one function: what goes in, what comes out. Errors that a fault may cause are
//! values; those that nothing excuses are [`WireError::Refused`].

use crate::places::Place;
use crate::wire::{Asked, Connection, WireError};
use protocol::messages::{
    create_topics, delete_topics, fetch, find_coordinator, init_producer_id, list_offsets, metadata, offset_commit,
    offset_fetch, produce,
};
use protocol::{ApiKey, ErrorCode, Records};

const PRODUCE_VERSION: i16 = 9;
const FETCH_VERSION: i16 = 11;
const TIMEOUT_MS: i32 = 20_000;

/// Timestamps that ListOffsets understands as places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The log's first offset.
    Start,
    /// The high watermark.
    End,
}

/// One batch of a Produce request.
#[derive(Clone, Copy, Debug)]
pub struct ProduceEntry<'a> {
    /// Where it goes.
    pub place: &'a Place,
    /// The batch.
    pub batch: &'a [u8],
}

/// Sends a Produce request with these batches, at most one a place, places in rising order.
pub fn produce(to: &mut Connection, acks: i16, entries: &[ProduceEntry<'_>]) -> Result<Asked, WireError> {
    let topic_data = entries.chunk_by(|a, b| a.place.topic == b.place.topic).map(|of_topic| {
        let partitions = of_topic.iter().map(|entry| (entry.place.partition, Records::Bytes(entry.batch)));
        produce::TopicProduceData {
            name: of_topic[0].place.topic.into(),
            partition_data: partitions
                .map(|(index, records)| produce::PartitionProduceData { index, records })
                .collect(),
            ..Default::default()
        }
    });
    let request = produce::ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: TIMEOUT_MS,
        topic_data: topic_data.collect(),
    };
    to.send(ApiKey::Produce, PRODUCE_VERSION, |writer| request.encode(writer, PRODUCE_VERSION))
}

/// What became of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    /// The partition's topic.
    pub topic: String,
    /// Its index.
    pub partition: i32,
    /// Kafka's error code.
    pub code: i16,
    /// The first record's offset.
    pub offset: i64,
}

/// What became of each batch of a Produce request.
pub fn produced(from: &mut Connection, asked: Asked) -> Result<Vec<Produced>, WireError> {
    from.receive(asked, |reader| {
        let response = produce::ProduceResponse::decode(reader, PRODUCE_VERSION)?;
        let mut all = Vec::new();
        for topic in &response.responses {
            all.extend(topic.partition_responses.iter().map(|partition| Produced {
                topic: topic.name.to_string(),
                partition: partition.index,
                code: partition.error_code,
                offset: partition.base_offset,
            }));
        }
        Ok(all)
    })
}

/// A producer id and epoch for an idempotent producer.
pub fn init_producer_id(on: &mut Connection) -> Result<(i64, i16), WireError> {
    let version = 4;
    let request = init_producer_id::InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let (code, id, epoch) = on.ask(
        ApiKey::InitProducerId,
        version,
        |writer| request.encode(writer, version),
        |reader| {
            let response = init_producer_id::InitProducerIdResponse::decode(reader, version)?;
            Ok((response.error_code, response.producer_id, response.producer_epoch))
        },
    )?;
    expect_ok("InitProducerId", code)?;
    Ok((id, epoch))
}

/// The error code of making one topic.
pub fn create_topic(
    on: &mut Connection,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Result<i16, WireError> {
    let version = 5;
    let configs = configs
        .iter()
        .map(|&(name, value)| create_topics::CreatableTopicConfig { name: name.into(), value: Some(value.into()) });
    let topic = create_topics::CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.collect(),
        ..Default::default()
    };
    let request =
        create_topics::CreateTopicsRequest { topics: vec![topic], timeout_ms: TIMEOUT_MS, validate_only: false };
    on.ask(
        ApiKey::CreateTopics,
        version,
        |writer| request.encode(writer, version),
        |reader| {
            let response = create_topics::CreateTopicsResponse::decode(reader, version)?;
            Ok(response.topics.first().map_or(NO_ENTRY, |topic| topic.error_code))
        },
    )
}

/// The error code of deleting one topic.
pub fn delete_topic(on: &mut Connection, name: &str) -> Result<i16, WireError> {
    let version = 5;
    let request = delete_topics::DeleteTopicsRequest {
        topic_names: vec![name.into()],
        timeout_ms: TIMEOUT_MS,
        ..Default::default()
    };
    on.ask(
        ApiKey::DeleteTopics,
        version,
        |writer| request.encode(writer, version),
        |reader| {
            let response = delete_topics::DeleteTopicsResponse::decode(reader, version)?;
            Ok(response.responses.first().map_or(NO_ENTRY, |topic| topic.error_code))
        },
    )
}

/// The names of all topics.
pub fn topics(on: &mut Connection) -> Result<Vec<String>, WireError> {
    let version = 9;
    let request = metadata::MetadataRequest { topics: None, ..Default::default() };
    on.ask(
        ApiKey::Metadata,
        version,
        |writer| request.encode(writer, version),
        |reader| {
            let response = metadata::MetadataResponse::decode(reader, version)?;
            Ok(response.topics.iter().filter_map(|topic| Some(topic.name.as_ref()?.to_string())).collect())
        },
    )
}

/// Where a log begins or ends.
pub fn edge(on: &mut Connection, place: &Place, edge: Edge) -> Result<i64, WireError> {
    let version = 5;
    let timestamp = if edge == Edge::Start { -2 } else { -1 };
    let partition = list_offsets::ListOffsetsPartition {
        partition_index: place.partition,
        current_leader_epoch: -1,
        timestamp,
        ..Default::default()
    };
    let request = list_offsets::ListOffsetsRequest {
        replica_id: -1,
        topics: vec![list_offsets::ListOffsetsTopic { name: place.topic.into(), partitions: vec![partition] }],
        ..Default::default()
    };
    let (code, offset) = on.ask(
        ApiKey::ListOffsets,
        version,
        |writer| request.encode(writer, version),
        |reader| {
            let response = list_offsets::ListOffsetsResponse::decode(reader, version)?;
            let partition = response.topics.first().and_then(|topic| topic.partitions.first());
            Ok(partition.map_or((NO_ENTRY, -1), |partition| (partition.error_code, partition.offset)))
        },
    )?;
    expect_ok(&format!("ListOffsets of {}-{}", place.topic, place.partition), code)?;
    Ok(offset)
}

/// One partition of a Fetch answer.
#[derive(Clone, Copy, Debug)]
pub struct Fetched<'a> {
    /// Kafka's error code.
    pub code: i16,
    /// Whole batches, and perhaps a cut one.
    pub records: &'a [u8],
}

/// Fetches from each place, in rising order, at its offset; `each` gets the position in `wanted` with what came.
pub fn fetch(
    on: &mut Connection,
    wanted: &[(&Place, i64)],
    max_bytes: i32,
    max_wait_ms: i32,
    mut each: impl FnMut(usize, Fetched<'_>),
) -> Result<(), WireError> {
    let partition = |&(place, offset): &(&Place, i64)| fetch::FetchPartition {
        partition: place.partition,
        fetch_offset: offset,
        partition_max_bytes: max_bytes,
        current_leader_epoch: -1,
        log_start_offset: -1,
        ..Default::default()
    };
    let topics = wanted.chunk_by(|a, b| a.0.topic == b.0.topic).map(|of_topic| fetch::FetchTopic {
        topic: of_topic[0].0.topic.into(),
        partitions: of_topic.iter().map(partition).collect(),
        ..Default::default()
    });
    let request = fetch::FetchRequest {
        replica_id: -1,
        max_wait_ms,
        min_bytes: 1,
        max_bytes,
        session_epoch: -1,
        topics: topics.collect(),
        ..Default::default()
    };
    let code = on.ask(
        ApiKey::Fetch,
        FETCH_VERSION,
        |writer| request.encode(writer, FETCH_VERSION),
        |reader| {
            let response = fetch::FetchResponse::decode(reader, FETCH_VERSION)?;
            for topic in &response.responses {
                for partition in &topic.partitions {
                    let is_it = |(place, _): &(&Place, i64)| {
                        place.topic == &*topic.topic && place.partition == partition.partition_index
                    };
                    let Some(at) = wanted.iter().position(is_it) else { continue };
                    let records = partition.records.bytes().unwrap_or_default();
                    each(at, Fetched { code: partition.error_code, records });
                }
            }
            Ok(response.error_code)
        },
    )?;
    expect_ok("Fetch", code)
}

/// The error code of asking for a group's coordinator, which makes the topic of offsets where there is none.
pub fn find_coordinator(on: &mut Connection, group: &str) -> Result<i16, WireError> {
    let version = 2;
    let request = find_coordinator::FindCoordinatorRequest { key: group.into(), ..Default::default() };
    on.ask(
        ApiKey::FindCoordinator,
        version,
        |writer| request.encode(writer, version),
        |reader| Ok(find_coordinator::FindCoordinatorResponse::decode(reader, version)?.error_code),
    )
}

/// Error code of committing one offset for a group without members.
pub fn commit(on: &mut Connection, group: &str, place: &Place, offset: i64) -> Result<i16, WireError> {
    let version = 7;
    let partition = offset_commit::OffsetCommitRequestPartition {
        partition_index: place.partition,
        committed_offset: offset,
        ..Default::default()
    };
    let request = offset_commit::OffsetCommitRequest {
        group_id: group.into(),
        topics: vec![offset_commit::OffsetCommitRequestTopic {
            name: place.topic.into(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    };
    on.ask(
        ApiKey::OffsetCommit,
        version,
        |writer| request.encode(writer, version),
        |reader| {
            let response = offset_commit::OffsetCommitResponse::decode(reader, version)?;
            let partition = response.topics.first().and_then(|topic| topic.partitions.first());
            Ok(partition.map_or(NO_ENTRY, |partition| partition.error_code))
        },
    )
}

/// Error code and committed offset, -1 where nothing was committed.
pub fn committed(on: &mut Connection, group: &str, place: &Place) -> Result<(i16, i64), WireError> {
    let version = 7;
    let request = offset_fetch::OffsetFetchRequest {
        group_id: group.into(),
        topics: Some(vec![offset_fetch::OffsetFetchRequestTopic {
            name: place.topic.into(),
            partition_indexes: vec![place.partition],
        }]),
        ..Default::default()
    };
    on.ask(
        ApiKey::OffsetFetch,
        version,
        |writer| request.encode(writer, version),
        |reader| {
            let response = offset_fetch::OffsetFetchResponse::decode(reader, version)?;
            let partition = response.topics.first().and_then(|topic| topic.partitions.first());
            let code = response.error_code;
            Ok(partition.map_or((if code == 0 { NO_ENTRY } else { code }, -1), |partition| {
                (partition.error_code, partition.committed_offset)
            }))
        },
    )
}

/// The code of an answer that leaves out what was asked.
const NO_ENTRY: i16 = ErrorCode::UnknownServerError.code();

/// Everything but success is refused.
pub fn expect_ok(what: &str, code: i16) -> Result<(), WireError> {
    if code == 0 { Ok(()) } else { Err(WireError::Refused { what: what.to_owned(), code }) }
}
