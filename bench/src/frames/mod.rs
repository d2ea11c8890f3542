//! Requests encoded once, and the few bytes of an answer that a load generator looks at.
//!
//! Versions without flexible encoding are used (Produce 7, Fetch 11), so that an answer's fields lie at fixed places.
//! Every request carries the same correlation id: answers come in order, which is checked by counting.

mod admin;
mod fetch;
mod groups;
mod produce;

pub use admin::{altered, create_topic, created, leaders, metadata, set_topic_config, versions};
pub use fetch::{FetchHead, FetchTemplate, FirstBatch, fetch_head};
pub use groups::{commit, committed, coordinator_found, find_coordinator, introduction};
pub use produce::{batch, produce, produce_head, produced};

use protocol::{ApiKey, EncodeError, RequestHeader, Writer};

/// What went wrong in an answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The broker answered with an error code.
    #[error("the broker answered error {0} ({name})", name = protocol::ErrorCode::try_from(*.0).map_or("unknown", |c| c.name()))]
    Code(i16),
    /// The answer is shorter than its own fields.
    #[error("an answer of {0} bytes is too short")]
    Short(usize),
    /// The answer cannot be decoded.
    #[error("an answer that is none: {0}")]
    Decode(#[from] protocol::DecodeError),
    /// Records from elsewhere.
    #[error("records from offset {got} came where {wanted} was asked for")]
    Offset {
        /// What came.
        got: i64,
        /// What was asked for.
        wanted: i64,
    },
    /// Not even one whole batch.
    #[error("{got} bytes of records came of a batch of {batch}: ask for more at once")]
    Cut {
        /// What came, in bytes.
        got: usize,
        /// What the batch has, in bytes.
        batch: usize,
    },
}

/// A frame around a request body, length prefix included.
pub(crate) fn frame(
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

/// Answers, for tests of this crate.
#[cfg(test)]
pub(crate) mod testing {
    use super::{fetch::FETCH_VERSION, groups::COMMIT_VERSION, produce::PRODUCE_VERSION};
    use protocol::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
    use protocol::messages::offset_commit::{
        OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
    };
    use protocol::messages::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
    use protocol::{EncodeError, Records, Writer};

    /// A frame, length prefix included.
    pub(crate) fn answer(encode: impl Fn(&mut Writer) -> Result<(), EncodeError>) -> Vec<u8> {
        let mut w = Writer::new();
        encode(&mut w).unwrap();
        let body = [&1_i32.to_be_bytes()[..], &w.into_bytes().unwrap()].concat();
        [&(body.len() as u32).to_be_bytes()[..], &body].concat()
    }

    /// For one partition.
    pub(crate) fn produce_answer(error_code: i16, base_offset: i64) -> Vec<u8> {
        let partition = PartitionProduceResponse { index: 3, error_code, base_offset, ..Default::default() };
        let topic =
            TopicProduceResponse { name: "topic".into(), partition_responses: vec![partition], ..Default::default() };
        let response = ProduceResponse { responses: vec![topic], ..Default::default() };
        answer(|w| response.encode(w, PRODUCE_VERSION))
    }

    /// For one partition that was committed.
    pub(crate) fn commit_answer(topic: &str) -> Vec<u8> {
        let partition = OffsetCommitResponsePartition { partition_index: 0, error_code: 0 };
        let topic = OffsetCommitResponseTopic { name: topic.into(), partitions: vec![partition], ..Default::default() };
        let response = OffsetCommitResponse { topics: vec![topic], ..Default::default() };
        answer(|w| response.encode(w, COMMIT_VERSION))
    }

    /// For one partition of topic `t`.
    pub(crate) fn fetch_answer(error_code: i16, high_watermark: i64, records: &[u8]) -> Vec<u8> {
        let records = Records::Bytes(records);
        let partition = PartitionData { error_code, high_watermark, records, ..Default::default() };
        let topic = FetchableTopicResponse { topic: "t".into(), partitions: vec![partition], ..Default::default() };
        let response = FetchResponse { responses: vec![topic], ..Default::default() };
        answer(|w| response.encode(w, FETCH_VERSION))
    }
}
