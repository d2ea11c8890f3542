//! Requests as a client writes them, and answers in a form that tests compare.

use super::world::{Outcome, World};
use crate::ConnId;
use protocol::batch::{BatchBuilder, iter_batches};
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use protocol::messages::keys::ApiKey;
use protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use protocol::{EncodeError, ErrorCode, Reader, Records, RequestHeader, ResponseHeader, Uuid, Writer};

/// A request in the making.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which API.
    pub key: ApiKey,
    /// Its version.
    pub version: i16,
    /// The client's name for itself.
    pub client_id: &'static str,
}

impl Call {
    /// A call by a client named "test".
    pub fn new(key: ApiKey, version: i16) -> Call {
        Call { key, version, client_id: "test" }
    }

    /// The frame, with the body that `encode` writes.
    pub fn frame(&self, encode: impl FnOnce(&mut Writer, i16) -> Result<(), EncodeError>) -> Vec<u8> {
        let mut writer = Writer::new();
        let header = RequestHeader {
            api_key: self.key as i16,
            api_version: self.version,
            correlation_id: 77,
            client_id: Some(self.client_id.into()),
        };
        header.encode(&mut writer).expect("the header is encodable");
        encode(&mut writer, self.version).expect("the body is encodable");
        writer.into_bytes().expect("there are no records by reference")
    }
}

/// The body of an answer, behind its header.
pub fn body_of(outcome: &Outcome, key: ApiKey, version: i16) -> &[u8] {
    let Outcome::Reply(frame) = outcome else { panic!("{outcome:?}") };
    let mut reader = Reader::new(frame);
    let header = ResponseHeader::decode(&mut reader, key, version).expect("the header is right");
    assert_eq!(header.correlation_id, 77);
    &frame[reader.position()..]
}

/// A batch of records with these values, plain, created at `timestamp_ms` and the milliseconds after it.
pub fn records(timestamp_ms: i64, values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for (timestamp, value) in (timestamp_ms..).zip(values) {
        builder.append(timestamp, None, Some(value.as_bytes()), &[]);
    }
    builder.build()
}

/// What Produce said of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    /// The code.
    pub code: ErrorCode,
    /// Offset of the first record.
    pub base_offset: i64,
    /// The broker's time, or -1.
    pub append_time_ms: i64,
    /// Records that were wrong.
    pub bad_records: Vec<i32>,
}

impl Produced {
    /// Success at this offset.
    pub fn at(base_offset: i64) -> Produced {
        Produced { code: ErrorCode::None, base_offset, append_time_ms: -1, bad_records: Vec::new() }
    }

    /// Failure.
    pub fn failed(code: ErrorCode) -> Produced {
        Produced { code, base_offset: -1, append_time_ms: -1, bad_records: Vec::new() }
    }
}

/// A Produce frame: each part is a topic name, its id, a partition and a record set.
pub fn produce_frame(version: i16, acks: i16, parts: &[(&str, Uuid, i32, &[u8])]) -> Vec<u8> {
    let topic_data = parts.iter().map(|(name, topic_id, index, records)| TopicProduceData {
        name: if version < 13 { (*name).into() } else { "".into() },
        topic_id: *topic_id,
        partition_data: vec![PartitionProduceData { index: *index, records: Records::Bytes(records) }],
    });
    let request = ProduceRequest { transactional_id: None, acks, timeout_ms: 30_000, topic_data: topic_data.collect() };
    Call::new(ApiKey::Produce, version).frame(|writer, version| request.encode(writer, version))
}

/// What a Produce answer says, part by part.
pub fn produced(outcome: &Outcome, version: i16) -> Vec<Produced> {
    let body = body_of(outcome, ApiKey::Produce, version);
    let response = ProduceResponse::decode(&mut Reader::new(body), version).expect("the answer is right");
    let parts = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    parts
        .map(|part| Produced {
            code: ErrorCode::try_from(part.error_code).expect("a code of Kafka's"),
            base_offset: part.base_offset,
            append_time_ms: part.log_append_time_ms,
            bad_records: part.record_errors.iter().map(|error| error.batch_index).collect(),
        })
        .collect()
}

/// Produces with version 9 and acks=all, by name, and returns the answer.
pub fn produce(world: &mut World, conn: ConnId, parts: &[(&str, i32, &[u8])]) -> Vec<Produced> {
    let parts: Vec<_> = parts.iter().map(|(name, index, records)| (*name, Uuid::ZERO, *index, *records)).collect();
    let outcome = world.ask(conn, produce_frame(9, -1, &parts));
    produced(&outcome, 9)
}

/// What Fetch said of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPart {
    /// The partition.
    pub partition: i32,
    /// The code.
    pub code: ErrorCode,
    /// Exclusive end of what can be read.
    pub high_watermark: i64,
    /// First offset.
    pub log_start: i64,
    /// Base offsets of the batches that came.
    pub batches: Vec<i64>,
}

/// How to fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetchCall {
    /// API version; below 13 topics go by name.
    pub version: i16,
    /// Milliseconds to wait.
    pub max_wait_ms: i32,
    /// Bytes to wait for.
    pub min_bytes: i32,
    /// Bytes of the whole answer.
    pub max_bytes: i32,
    /// Bytes of one partition.
    pub partition_bytes: i32,
    /// Session and its epoch.
    pub session: (i32, i32),
    /// The epoch that the client believes current.
    pub current_epoch: i32,
}

impl Default for FetchCall {
    fn default() -> Self {
        FetchCall {
            version: 12,
            max_wait_ms: 0,
            min_bytes: 1,
            max_bytes: 1 << 20,
            partition_bytes: 1 << 20,
            session: (0, -1),
            current_epoch: -1,
        }
    }
}

impl FetchCall {
    /// The frame: each part is a topic name, its id, a partition and an offset.
    pub fn frame(&self, parts: &[(&str, Uuid, i32, i64)]) -> Vec<u8> {
        let mut request = FetchRequest {
            max_wait_ms: self.max_wait_ms,
            min_bytes: self.min_bytes,
            max_bytes: self.max_bytes,
            session_id: self.session.0,
            session_epoch: self.session.1,
            ..FetchRequest::default()
        };
        for (name, topic_id, partition, fetch_offset) in parts {
            let partition = FetchPartition {
                partition: *partition,
                fetch_offset: *fetch_offset,
                partition_max_bytes: self.partition_bytes,
                current_leader_epoch: self.current_epoch,
                ..FetchPartition::default()
            };
            let topic = if self.version < 13 { (*name).into() } else { "".into() };
            request.topics.push(FetchTopic { topic, topic_id: *topic_id, partitions: vec![partition] });
        }
        Call::new(ApiKey::Fetch, self.version).frame(|writer, version| request.encode(writer, version))
    }

    /// What the answer says: the code of all, the session's id, and the parts.
    pub fn read(&self, outcome: &Outcome) -> (ErrorCode, i32, Vec<FetchedPart>) {
        let body = body_of(outcome, ApiKey::Fetch, self.version);
        let response = FetchResponse::decode(&mut Reader::new(body), self.version).expect("the answer is right");
        let code = ErrorCode::try_from(response.error_code).expect("a code of Kafka's");
        let parts = response.responses.iter().flat_map(|topic| &topic.partitions).map(|part| {
            let bytes = part.records.bytes().expect("records are never null");
            FetchedPart {
                partition: part.partition_index,
                code: ErrorCode::try_from(part.error_code).expect("a code of Kafka's"),
                high_watermark: part.high_watermark,
                log_start: part.log_start_offset,
                batches: iter_batches(bytes).map(|batch| batch.expect("whole batches").base_offset()).collect(),
            }
        });
        (code, response.session_id, parts.collect())
    }
}

/// Fetches by name, without waiting and without a session.
pub fn fetch(world: &mut World, conn: ConnId, parts: &[(&str, i32, i64)]) -> Vec<FetchedPart> {
    let call = FetchCall::default();
    let parts: Vec<_> = parts.iter().map(|(name, index, offset)| (*name, Uuid::ZERO, *index, *offset)).collect();
    let outcome = world.ask(conn, call.frame(&parts));
    call.read(&outcome).2
}

/// Asks for offsets: each part is a topic name, a partition and a timestamp; each answer a code, timestamp and offset.
pub fn ask_offsets(
    world: &mut World,
    conn: ConnId,
    version: i16,
    parts: &[(&str, i32, i64)],
) -> Vec<(ErrorCode, i64, i64)> {
    let topics = parts.iter().map(|(name, partition_index, timestamp)| ListOffsetsTopic {
        name: (*name).into(),
        partitions: vec![ListOffsetsPartition {
            partition_index: *partition_index,
            timestamp: *timestamp,
            ..ListOffsetsPartition::default()
        }],
    });
    let request = ListOffsetsRequest { replica_id: -1, topics: topics.collect(), ..ListOffsetsRequest::default() };
    let call = Call::new(ApiKey::ListOffsets, version);
    let outcome = world.ask(conn, call.frame(|writer, version| request.encode(writer, version)));
    let body = body_of(&outcome, ApiKey::ListOffsets, version);
    let response = ListOffsetsResponse::decode(&mut Reader::new(body), version).expect("the answer is right");
    let parts = response.topics.iter().flat_map(|topic| &topic.partitions);
    let code = |code| ErrorCode::try_from(code).expect("a code of Kafka's");
    parts.map(|part| (code(part.error_code), part.timestamp, part.offset)).collect()
}
