//! One connection that speaks as much Kafka as the tests need, one request at a time.

use super::PATIENCE;
use protocol::batch::{BatchBuilder, iter_batches};
use protocol::messages::{create_topics, fetch, list_offsets, metadata, produce};
use protocol::{ApiKey, DecodeError, EncodeError, Reader, Records, RequestHeader, ResponseHeader, Writer};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// See the module.
pub struct Client {
    pub stream: TcpStream,
    next: i32,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        stream.set_nodelay(true).expect("a socket option");
        Client { stream, next: 0 }
    }

    /// Sends a request without waiting.
    pub fn send(&mut self, key: ApiKey, version: i16, body: impl FnOnce(&mut Writer) -> Result<(), EncodeError>) {
        let frame = self.frame(key, version, body);
        self.stream.write_all(&frame).expect("it reads");
    }

    /// The next request as it travels.
    fn frame(
        &mut self,
        key: ApiKey,
        version: i16,
        body: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Vec<u8> {
        let mut writer = Writer::new();
        let start = writer.begin_frame();
        let header = RequestHeader {
            api_key: key as i16,
            api_version: version,
            correlation_id: self.next,
            client_id: Some("test".into()),
        };
        header.encode(&mut writer).expect("a good header");
        body(&mut writer).expect("a good request");
        writer.end_frame(start).expect("a small frame");
        self.next += 1;
        writer.into_bytes().expect("no external pieces")
    }

    /// The next answer's frame, without its length.
    pub fn receive(&mut self) -> Vec<u8> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).expect("an answer");
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        self.stream.read_exact(&mut frame).expect("the whole answer");
        frame
    }

    /// True when the server has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 16]), Ok(0) | Err(_))
    }

    /// Sends a request and decodes its answer.
    pub fn ask<T>(
        &mut self,
        key: ApiKey,
        version: i16,
        body: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
        decode: impl for<'a> FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> T {
        self.send(key, version, body);
        let frame = self.receive();
        let mut reader = Reader::new(&frame);
        let header = ResponseHeader::decode(&mut reader, key, version).expect("a header");
        assert_eq!(header.correlation_id, self.next - 1);
        decode(&mut reader).expect("a body")
    }

    /// Makes a topic; the error code is the answer.
    pub fn create_topic(&mut self, name: &str, partitions: i32) -> i16 {
        let version = 5;
        let topic = create_topics::CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            ..Default::default()
        };
        let request =
            create_topics::CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, validate_only: false };
        self.ask(
            ApiKey::CreateTopics,
            version,
            |writer| request.encode(writer, version),
            |reader| Ok(create_topics::CreateTopicsResponse::decode(reader, version)?.topics[0].error_code),
        )
    }

    /// Error code, and partitions with their leaders' error codes, of a topic that may be made by asking.
    pub fn metadata(&mut self, topic: &str) -> (i16, Vec<i32>) {
        let version = 9;
        let asked = metadata::MetadataRequestTopic { name: Some(topic.to_owned().into()), ..Default::default() };
        let request = metadata::MetadataRequest {
            topics: Some(vec![asked]),
            allow_auto_topic_creation: true,
            ..Default::default()
        };
        self.ask(
            ApiKey::Metadata,
            version,
            |writer| request.encode(writer, version),
            |reader| {
                let response = metadata::MetadataResponse::decode(reader, version)?;
                let topic = &response.topics[0];
                Ok((topic.error_code, topic.partitions.iter().map(|partition| partition.partition_index).collect()))
            },
        )
    }

    /// Produces one batch with these values and acks=all; error code and base offset are the answer.
    pub fn produce(&mut self, topic: &str, partition: i32, values: &[&str]) -> (i16, i64) {
        let mut builder = BatchBuilder::new();
        for value in values {
            builder.append(1_700_000_000_000, None, Some(value.as_bytes()), &[]);
        }
        self.produce_batch(topic, partition, &builder.build())
    }

    /// Produces these bytes with acks=all.
    pub fn produce_batch(&mut self, topic: &str, partition: i32, batch: &[u8]) -> (i16, i64) {
        let version = 9;
        let data = produce::PartitionProduceData { index: partition, records: Records::Bytes(batch) };
        let topic_data = vec![produce::TopicProduceData {
            name: topic.to_owned().into(),
            partition_data: vec![data],
            ..Default::default()
        }];
        let request = produce::ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 10_000, topic_data };
        self.ask(
            ApiKey::Produce,
            version,
            |writer| request.encode(writer, version),
            |reader| {
                let response = produce::ProduceResponse::decode(reader, version)?;
                let partition = &response.responses[0].partition_responses[0];
                Ok((partition.error_code, partition.base_offset))
            },
        )
    }

    /// A Produce request with acks=all as it travels, for whoever sends it in pieces.
    pub fn produce_frame(&mut self, version: i16, topic: &str, partition: i32, batch: &[u8]) -> Vec<u8> {
        let data = produce::PartitionProduceData { index: partition, records: Records::Bytes(batch) };
        let topic_data = vec![produce::TopicProduceData {
            name: topic.to_owned().into(),
            partition_data: vec![data],
            ..Default::default()
        }];
        let request = produce::ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 10_000, topic_data };
        self.frame(ApiKey::Produce, version, |writer| request.encode(writer, version))
    }

    /// Error code and base offset of the next answer, which is to such a request.
    pub fn produced(&mut self, version: i16) -> (i16, i64) {
        let frame = self.receive();
        let mut reader = Reader::new(&frame);
        ResponseHeader::decode(&mut reader, ApiKey::Produce, version).expect("a header");
        let response = produce::ProduceResponse::decode(&mut reader, version).expect("a body");
        let partition = &response.responses[0].partition_responses[0];
        (partition.error_code, partition.base_offset)
    }

    /// Sends a fetch that waits for more than there is, and does not wait for its answer.
    pub fn ask_to_wait(&mut self, topic: &str, partition: i32, offset: i64, max_wait_ms: i32) {
        let request = fetch_request(topic, partition, offset, max_wait_ms);
        self.send(ApiKey::Fetch, FETCH_VERSION, |writer| request.encode(writer, FETCH_VERSION));
    }

    /// Error code and the values from `offset` on that one fetch gives.
    pub fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> (i16, Vec<String>) {
        let version = FETCH_VERSION;
        let request = fetch_request(topic, partition, offset, 100);
        self.ask(
            ApiKey::Fetch,
            version,
            |writer| request.encode(writer, version),
            |reader| {
                let response = fetch::FetchResponse::decode(reader, version)?;
                let Some(topic) = response.responses.first() else { return Ok((response.error_code, Vec::new())) };
                let partition = &topic.partitions[0];
                Ok((partition.error_code, values(partition.records.bytes().unwrap_or_default(), offset)))
            },
        )
    }

    /// Every value from `offset` to the end of the partition.
    pub fn fetch_all(&mut self, topic: &str, partition: i32) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let (error, values) = self.fetch(topic, partition, all.len() as i64);
            assert_eq!(error, 0, "fetch of {topic}-{partition} from {}", all.len());
            if values.is_empty() {
                return all;
            }
            all.extend(values);
        }
    }

    /// Error code and offset for a timestamp or one of Kafka's sentinels.
    pub fn list_offset(&mut self, topic: &str, partition: i32, timestamp: i64) -> (i16, i64) {
        let version = 5;
        let partition = list_offsets::ListOffsetsPartition {
            partition_index: partition,
            current_leader_epoch: -1,
            timestamp,
            ..Default::default()
        };
        let topics =
            vec![list_offsets::ListOffsetsTopic { name: topic.to_owned().into(), partitions: vec![partition] }];
        let request = list_offsets::ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        self.ask(
            ApiKey::ListOffsets,
            version,
            |writer| request.encode(writer, version),
            |reader| {
                let response = list_offsets::ListOffsetsResponse::decode(reader, version)?;
                let partition = &response.topics[0].partitions[0];
                Ok((partition.error_code, partition.offset))
            },
        )
    }
}

const FETCH_VERSION: i16 = 11;

fn fetch_request(topic: &str, partition: i32, offset: i64, max_wait_ms: i32) -> fetch::FetchRequest<'static> {
    let wanted = fetch::FetchPartition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: 10 << 20,
        current_leader_epoch: -1,
        log_start_offset: -1,
        ..Default::default()
    };
    fetch::FetchRequest {
        replica_id: -1,
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: vec![fetch::FetchTopic {
            topic: topic.to_owned().into(),
            partitions: vec![wanted],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The records' values in these batches, from `offset` on.
fn values(batches: &[u8], offset: i64) -> Vec<String> {
    let mut values = Vec::new();
    for batch in iter_batches(batches).map_while(Result::ok) {
        batch.check_crc().expect("the batch is whole");
        let records = batch.records(&protocol::batch::Limits::default()).expect("records");
        for record in records.iter() {
            let record = record.expect("a record");
            if record.offset >= offset {
                values.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
            }
        }
    }
    values
}
