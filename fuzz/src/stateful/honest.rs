//! The client that keeps to the protocol: it produces to a topic of its own, one record at a time, and reads them all again.

use engine::io::sim::SimPeer;
use protocol::batch::{BatchBuilder, Limits, iter_batches};
use protocol::messages::create_topics::CreatableTopic;
use protocol::messages::fetch::{FetchPartition, FetchTopic};
use protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, FetchRequest, FetchResponse, ProduceRequest, ProduceResponse,
};
use protocol::{ApiKey, DecodeError, EncodeError, Reader, Records, ResponseHeader, Writer};

use super::host::Host;
use super::rogue::frame;

/// Its topic, which no script can name.
pub(super) const TOPIC: &str = "honest.0123456789abcdef";
/// Virtual milliseconds within which it is answered, whatever others do.
const PATIENCE_MS: u64 = 30_000;
/// Versions that it speaks.
const CREATE: i16 = 5;
const PRODUCE: i16 = 9;
const FETCH: i16 = 11;

/// The client.
pub(super) struct Honest {
    peer: SimPeer,
    correlation: i32,
    /// Records that were acknowledged; each holds its number.
    acknowledged: u64,
}

impl Honest {
    /// Connects, and makes its topic.
    pub(super) fn arrive(host: &mut Host) -> Honest {
        let mut honest = Honest { peer: host.connect(), correlation: 0, acknowledged: 0 };
        let topic = CreatableTopic {
            name: TOPIC.into(),
            num_partitions: 1,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, validate_only: false };
        let answer = honest.ask(host, ApiKey::CreateTopics, CREATE, |w| request.encode(w, CREATE));
        let codes = body(&answer, ApiKey::CreateTopics, CREATE, |reader| {
            let answer = CreateTopicsResponse::decode(reader, CREATE)?;
            Ok(answer.topics.iter().map(|topic| topic.error_code).collect::<Vec<_>>())
        });
        assert_eq!(codes, [0]);
        honest
    }

    /// Connects again.
    pub(super) fn come_back(&mut self, host: &mut Host) {
        self.peer = host.connect();
    }

    /// Produces the next record, and has it acknowledged at its offset.
    pub(super) fn produce(&mut self, host: &mut Host) {
        let mut batch = BatchBuilder::new();
        batch.append(host.world.wall_ms(), None, Some(&self.acknowledged.to_be_bytes()), &[]);
        let records = batch.build();
        let partition = PartitionProduceData { index: 0, records: Records::Bytes(&records) };
        let topic = TopicProduceData { name: TOPIC.into(), partition_data: vec![partition], ..Default::default() };
        let request = ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() };
        let answer = self.ask(host, ApiKey::Produce, PRODUCE, |w| request.encode(w, PRODUCE));
        let (code, offset) = body(&answer, ApiKey::Produce, PRODUCE, |reader| {
            let answer = ProduceResponse::decode(reader, PRODUCE)?;
            let part = &answer.responses[0].partition_responses[0];
            Ok((part.error_code, part.base_offset))
        });
        assert_eq!((code, offset), (0, self.acknowledged as i64));
        self.acknowledged += 1;
    }

    /// Reads everything from the start: what was acknowledged is there, in order, and nothing else.
    pub(super) fn read_all(&mut self, host: &mut Host) {
        let mut next = 0;
        while next < self.acknowledged {
            let before = next;
            for value in self.fetch(host, next as i64) {
                assert_eq!(value, next.to_be_bytes(), "record {next} of {}", self.acknowledged);
                next += 1;
            }
            assert!(next > before, "record {next} of {} is not served", self.acknowledged);
        }
        assert_eq!(next, self.acknowledged, "more records than were produced");
    }

    /// Values of the records from an offset on.
    fn fetch(&mut self, host: &mut Host, offset: i64) -> Vec<Vec<u8>> {
        let partition =
            FetchPartition { fetch_offset: offset, partition_max_bytes: 1 << 20, ..FetchPartition::default() };
        let topic = FetchTopic { topic: TOPIC.into(), partitions: vec![partition], ..FetchTopic::default() };
        let request = FetchRequest {
            min_bytes: 1,
            max_bytes: 1 << 20,
            max_wait_ms: 100,
            session_epoch: -1,
            topics: vec![topic],
            ..FetchRequest::default()
        };
        let answer = self.ask(host, ApiKey::Fetch, FETCH, |w| request.encode(w, FETCH));
        body(&answer, ApiKey::Fetch, FETCH, |reader| {
            let answer = FetchResponse::decode(reader, FETCH)?;
            let part = &answer.responses[0].partitions[0];
            assert_eq!(part.error_code, 0, "fetch from {offset}");
            let mut values = Vec::new();
            for batch in iter_batches(part.records.bytes().unwrap_or_default()) {
                let batch = batch.expect("whole batches are served");
                batch.check_crc().expect("right batches are served");
                let records = batch.records(&Limits::default()).expect("a batch of ours");
                let read = records.iter().map(|record| record.expect("a record of ours"));
                values.extend(
                    read.filter(|record| record.offset >= offset).map(|r| r.value.unwrap_or_default().to_vec()),
                );
            }
            Ok(values)
        })
    }

    fn ask(
        &mut self,
        host: &mut Host,
        key: ApiKey,
        version: i16,
        encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Vec<u8> {
        self.correlation += 1;
        let mut writer = Writer::new();
        encode(&mut writer).expect("a request of ours can be encoded");
        let frame = frame(key, version, self.correlation, &writer.into_bytes().unwrap_or_default());
        self.peer.write(&[&(frame.len() as i32).to_be_bytes()[..], &frame].concat());
        let mut answer = Vec::new();
        let peer = &self.peer;
        let answered = host.run_until(PATIENCE_MS, |_| {
            answer.extend(peer.read(usize::MAX));
            let whole = answer.first_chunk().map(|len| 4 + u32::from_be_bytes(*len) as usize);
            whole.is_some_and(|whole| answer.len() >= whole)
        });
        assert!(answered, "{key:?} is not answered; the connection is closed: {}", self.peer.is_closed());
        answer.split_off(4)
    }
}

/// The body of the whole answer.
fn body<T>(
    answer: &[u8],
    key: ApiKey,
    version: i16,
    decode: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> T {
    let mut reader = Reader::new(answer);
    ResponseHeader::decode(&mut reader, key, version).expect("an answer's header");
    decode(&mut reader).expect("an answer's body")
}
