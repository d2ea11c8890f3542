//! Requests encoded once, and the few bytes of an answer that a load generator looks at.
//!
//! Versions without flexible encoding are used (Produce 7, Fetch 11), so that an answer's fields lie at fixed places.
//! Every request carries the same correlation id: answers come in order, which is checked by counting.

use protocol::batch::BatchBuilder;
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::{ApiKey, EncodeError, Records, RequestHeader, Writer};

const PRODUCE_VERSION: i16 = 7;
const FETCH_VERSION: i16 = 11;
const CREATE_VERSION: i16 = 4;

/// What went wrong in an answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The broker answered with an error code.
    #[error("the broker answered error {0} ({name})", name = protocol::ErrorCode::try_from(*.0).map_or("unknown", |c| c.name()))]
    Code(i16),
    /// The answer is shorter than its own fields.
    #[error("an answer of {0} bytes is too short")]
    Short(usize),
}

/// A frame around a request body, length prefix included.
fn frame(
    key: ApiKey,
    version: i16,
    encode: impl Fn(&mut Writer) -> Result<(), EncodeError>,
) -> Result<Vec<u8>, EncodeError> {
    let mut w = Writer::new();
    let header =
        RequestHeader { api_key: key as i16, api_version: version, correlation_id: 1, client_id: Some("bench".into()) };
    header.encode(&mut w)?;
    encode(&mut w)?;
    #[expect(clippy::expect_used, reason = "requests of ours hold their records, nothing external")]
    let body = w.into_bytes().expect("no external pieces");
    let mut out = Vec::with_capacity(body.len() + 4);
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&body);
    Ok(out)
}

/// One uncompressed batch of at least `batch_bytes` bytes (or a single record of `record_bytes`), and its record count.
pub fn batch(batch_bytes: usize, record_bytes: usize, timestamp_ms: i64) -> (Vec<u8>, usize) {
    let mut builder = BatchBuilder::new();
    let mut count = 0;
    // Incompressible enough that no file system or link gains from it, equal from run to run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while count == 0 || builder.plain_size_bytes() + record_bytes <= batch_bytes {
        let value: Vec<u8> = (0..record_bytes)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        builder.append(timestamp_ms, None, Some(&value), &[]);
        count += 1;
    }
    (builder.build(), count)
}

/// A Produce request with one batch for one partition.
pub fn produce(topic: &str, partition: i32, acks: i16, records: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let request = ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            partition_data: vec![PartitionProduceData { index: partition, records: Records::Bytes(records) }],
            ..Default::default()
        }],
    };
    frame(ApiKey::Produce, PRODUCE_VERSION, |w| request.encode(w, PRODUCE_VERSION))
}

/// Checks a Produce answer (without its length prefix) and returns the base offset.
pub fn produced(answer: &[u8]) -> Result<i64, AnswerError> {
    // correlation, topic count, name, partition count, index, error, base offset
    let name = i16_at(answer, 8)?.max(0) as usize;
    let at = 10 + name + 4 + 4;
    match i16_at(answer, at)? {
        0 => i64_at(answer, at + 2),
        code => Err(AnswerError::Code(code)),
    }
}

/// Where in a Fetch request the wanted offset lies, so that it can be patched.
#[derive(Clone, Debug)]
pub struct FetchTemplate {
    bytes: Vec<u8>,
    offset_at: usize,
}

impl FetchTemplate {
    /// A sessionless Fetch of one partition.
    pub fn new(topic: &str, partition: i32, max_bytes: i32, max_wait_ms: i32) -> Result<FetchTemplate, EncodeError> {
        let with = |offset: i64| {
            let request = FetchRequest {
                replica_id: -1,
                max_wait_ms,
                min_bytes: 1,
                max_bytes,
                session_epoch: -1,
                topics: vec![FetchTopic {
                    topic: topic.into(),
                    partitions: vec![FetchPartition {
                        partition,
                        fetch_offset: offset,
                        current_leader_epoch: -1,
                        log_start_offset: -1,
                        partition_max_bytes: max_bytes,
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            };
            frame(ApiKey::Fetch, FETCH_VERSION, |w| request.encode(w, FETCH_VERSION))
        };
        // The field is found by encoding two offsets that differ in their first byte.
        let (bytes, other) = (with(0)?, with(0x7f << 56)?);
        let offset_at = bytes.iter().zip(&other).position(|(a, b)| a != b).unwrap_or_default();
        Ok(FetchTemplate { bytes, offset_at })
    }

    /// The request for `offset`.
    pub fn at(&mut self, offset: i64) -> &[u8] {
        self.bytes[self.offset_at..self.offset_at + 8].copy_from_slice(&offset.to_be_bytes());
        &self.bytes
    }
}

/// What a Fetch answer brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes of whole record batches.
    pub bytes: usize,
    /// The offset after the last whole batch; `None` when there was none.
    pub next: Option<i64>,
    /// The partition's high watermark.
    pub high_watermark: i64,
}

/// Reads a Fetch answer (without its length prefix).
pub fn fetched(answer: &[u8]) -> Result<Fetched, AnswerError> {
    // correlation, throttle, error, session, topic count, name, partition count, index, error
    let top = i16_at(answer, 8)?;
    let name = i16_at(answer, 18)?.max(0) as usize;
    let at = 20 + name + 4 + 4;
    let code = i16_at(answer, at)?;
    if top != 0 || code != 0 {
        return Err(AnswerError::Code(if top != 0 { top } else { code }));
    }
    let high_watermark = i64_at(answer, at + 2)?;
    // high watermark, last stable offset, log start, aborted transactions (16 bytes each), preferred replica, length
    let aborted = i32_at(answer, at + 26)?.max(0) as usize;
    let records_at = at + 30 + aborted * 16 + 4 + 4;
    let mut rest = answer.get(records_at..).ok_or(AnswerError::Short(answer.len()))?;
    let (mut bytes, mut next) = (0, None);
    while rest.len() >= protocol::batch::HEADER_LEN {
        let size = 12 + i32_at(rest, 8)?.max(0) as usize;
        if size > rest.len() {
            break;
        }
        next = Some(i64_at(rest, 0)? + i64::from(i32_at(rest, 23)?) + 1);
        bytes += size;
        rest = &rest[size..];
    }
    Ok(Fetched { bytes, next, high_watermark })
}

/// A CreateTopics request for one topic.
pub fn create_topic(topic: &str, partitions: i32, configs: &[(String, String)]) -> Result<Vec<u8>, EncodeError> {
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: topic.into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs
                .iter()
                .map(|(k, v)| CreatableTopicConfig { name: k.into(), value: Some(v.into()) })
                .collect(),
            ..Default::default()
        }],
        timeout_ms: 30_000,
        validate_only: false,
    };
    frame(ApiKey::CreateTopics, CREATE_VERSION, |w| request.encode(w, CREATE_VERSION))
}

/// The error code of a CreateTopics answer with one topic.
pub fn created(answer: &[u8]) -> Result<(), AnswerError> {
    let name = i16_at(answer, 12)?.max(0) as usize;
    match i16_at(answer, 14 + name)? {
        0 => Ok(()),
        code => Err(AnswerError::Code(code)),
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], AnswerError> {
    bytes.get(at..).and_then(|b| b.first_chunk::<N>()).copied().ok_or(AnswerError::Short(bytes.len()))
}

fn i16_at(bytes: &[u8], at: usize) -> Result<i16, AnswerError> {
    array(bytes, at).map(i16::from_be_bytes)
}

fn i32_at(bytes: &[u8], at: usize) -> Result<i32, AnswerError> {
    array(bytes, at).map(i32::from_be_bytes)
}

fn i64_at(bytes: &[u8], at: usize) -> Result<i64, AnswerError> {
    array(bytes, at).map(i64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
    use protocol::messages::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};

    fn encoded(encode: impl Fn(&mut Writer) -> Result<(), EncodeError>) -> Vec<u8> {
        let mut w = Writer::new();
        encode(&mut w).unwrap();
        [&1_i32.to_be_bytes()[..], &w.into_bytes().unwrap()].concat()
    }

    fn produce_answer(error_code: i16) -> Vec<u8> {
        let partition = PartitionProduceResponse { index: 3, error_code, base_offset: 77, ..Default::default() };
        let response = ProduceResponse {
            responses: vec![TopicProduceResponse {
                name: "topic".into(),
                partition_responses: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        encoded(|w| response.encode(w, PRODUCE_VERSION))
    }

    #[test]
    fn a_produce_answer_gives_its_offset_or_its_error() {
        assert_eq!(produced(&produce_answer(0)).unwrap(), 77);
        assert!(matches!(produced(&produce_answer(10)), Err(AnswerError::Code(10))));
        let whole = produce_answer(0);
        assert!((0..20).all(|cut| produced(&whole[..cut]).is_err()));
    }

    #[test]
    fn a_fetch_answer_is_walked_batch_by_batch() {
        let (one, count) = batch(1000, 100, 0);
        let mut second = one.clone();
        second[..8].copy_from_slice(&(count as i64).to_be_bytes());
        let cut = &second[..second.len() - 1];
        for (tail, batches) in [(&second[..], 2), (cut, 1)] {
            let records = [&one[..], tail].concat();
            let partition =
                PartitionData { high_watermark: 500, records: Records::Bytes(&records), ..Default::default() };
            let response = FetchResponse {
                responses: vec![FetchableTopicResponse {
                    topic: "t".into(),
                    partitions: vec![partition],
                    ..Default::default()
                }],
                ..Default::default()
            };
            let got = fetched(&encoded(|w| response.encode(w, FETCH_VERSION))).unwrap();
            let expected =
                Fetched { bytes: one.len() * batches, next: Some((count * batches) as i64), high_watermark: 500 };
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn the_wanted_offset_is_patched_in_place() {
        let mut template = FetchTemplate::new("t", 0, 1 << 20, 100).unwrap();
        let (a, b) = (template.at(1).to_vec(), template.at(2).to_vec());
        assert_eq!(a.iter().zip(&b).filter(|(x, y)| x != y).count(), 1);
    }
}
