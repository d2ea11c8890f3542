//! Writing record batches to one broker. Batches are built with `protocol::batch::BatchBuilder`; which broker leads what is in
//! [`Cluster`](super::Cluster).

use super::Error;
use protocol::Records;
use protocol::messages::produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceData};
use protocol::messages::{ProduceRequest, ProduceResponse};
use std::collections::BTreeMap;
use std::time::Duration;

/// A batch and where it goes. Kafka takes one batch a partition in a request.
#[derive(Clone, Copy, Debug)]
pub struct ProduceTo<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition's number.
    pub partition: i32,
    /// One whole batch.
    pub batch: &'a [u8],
}

/// What became of one batch.
#[derive(Debug)]
pub struct Produced {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offset that the first record got, or why none.
    pub result: Result<i64, Error>,
}

/// What a leader is asked. `acks` is −1, 1 or 0; with 0 there is no answer. `timeout` is how long the broker may wait for
/// replicas.
pub fn produce_request<'a>(acks: i16, timeout: Duration, batches: &[ProduceTo<'a>]) -> ProduceRequest<'a> {
    let mut topics: BTreeMap<&str, Vec<PartitionProduceData<'a>>> = BTreeMap::new();
    for to in batches {
        let row = PartitionProduceData { index: to.partition, records: Records::Bytes(to.batch) };
        topics.entry(to.topic).or_default().push(row);
    }
    let topics = topics.into_iter().map(|(name, partition_data)| TopicProduceData {
        name: name.into(),
        partition_data,
        ..TopicProduceData::default()
    });
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    ProduceRequest { acks, timeout_ms, topic_data: topics.collect(), ..ProduceRequest::default() }
}

impl Produced {
    /// The rows of an answer.
    pub fn all(response: &ProduceResponse<'_>) -> Vec<Produced> {
        let rows = response.responses.iter();
        rows.flat_map(|topic| topic.partition_responses.iter().map(|row| Produced::new(&topic.name, row))).collect()
    }

    fn new(topic: &str, row: &PartitionProduceResponse<'_>) -> Self {
        let partition = row.index;
        let checked = Error::check(row.error_code, row.error_message.as_deref(), || format!("{topic}-{partition}"));
        Produced { topic: topic.to_owned(), partition, result: checked.map(|()| row.base_offset) }
    }
}
