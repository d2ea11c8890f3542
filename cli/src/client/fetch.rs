//! Reading record batches from one broker, bounded in bytes and time. Which broker leads what is in [`Cluster`](super::Cluster);
//! records are taken out of the batches with `protocol::batch`.

use super::{Client, Error, Isolation};
use protocol::messages::fetch::{FetchPartition, FetchTopic, PartitionData};
use protocol::messages::{FetchRequest, FetchResponse};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where to read.
#[derive(Clone, Copy, Debug)]
pub struct FetchFrom<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition's number.
    pub partition: i32,
    /// The first offset that is wanted; the first batch may begin before it.
    pub offset: i64,
}

/// How much, and how long to wait for it.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// How long the broker may wait for `min_bytes`.
    pub max_wait: Duration,
    /// What is worth an answer before that.
    pub min_bytes: i32,
    /// Bytes of the whole answer; a first batch that is larger comes all the same.
    pub max_bytes: i32,
    /// Bytes of one partition.
    pub partition_max_bytes: i32,
    /// Whether records of open and aborted transactions are left out.
    pub isolation: Isolation,
}

impl Default for FetchLimits {
    /// What Kafka's consumer asks for.
    fn default() -> Self {
        FetchLimits {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            isolation: Isolation::ReadUncommitted,
        }
    }
}

/// What came for one partition.
#[derive(Debug)]
pub struct Fetched {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// `OFFSET_OUT_OF_RANGE`, a leader that moved, and the like.
    pub error: Option<Error>,
    /// The offset behind the last record that is replicated.
    pub high_watermark: i64,
    /// The offset behind the last record that no open transaction can take back.
    pub last_stable_offset: i64,
    /// The first offset that is left.
    pub log_start_offset: i64,
    /// Aborted transactions in the batches: producer id and first offset. Empty unless committed records were asked for.
    pub aborted: Vec<(i64, i64)>,
    /// Record batches; the last one may be cut short.
    pub records: Vec<u8>,
}

impl Client {
    /// Reads from the broker that leads these partitions.
    pub fn fetch(&mut self, leader: i32, from: &[FetchFrom<'_>], limits: &FetchLimits) -> Result<Vec<Fetched>, Error> {
        let request = fetch_request(from, limits);
        let within = limits.max_wait + self.settings().request_timeout;
        let answer = self.broker_within(leader, &request, within)?;
        let response = answer.read();
        Error::check(response.error_code, None, || "fetch".to_owned())?;
        Ok(Fetched::all(&response))
    }
}

/// What a leader is asked. Each request stands alone; there is no fetch session.
pub fn fetch_request<'a>(from: &[FetchFrom<'a>], limits: &FetchLimits) -> FetchRequest<'a> {
    let mut topics: BTreeMap<&str, Vec<FetchPartition>> = BTreeMap::new();
    for from in from {
        topics.entry(from.topic).or_default().push(FetchPartition {
            partition: from.partition,
            fetch_offset: from.offset,
            partition_max_bytes: limits.partition_max_bytes,
            ..FetchPartition::default()
        });
    }
    let topics = topics.into_iter().map(|(topic, partitions)| FetchTopic {
        topic: topic.into(),
        partitions,
        ..FetchTopic::default()
    });
    FetchRequest {
        replica_id: -1,
        max_wait_ms: i32::try_from(limits.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: limits.min_bytes,
        max_bytes: limits.max_bytes,
        isolation_level: limits.isolation as i8,
        // No session: each request says everything.
        session_epoch: -1,
        topics: topics.collect(),
        ..FetchRequest::default()
    }
}

impl Fetched {
    /// The rows of an answer.
    pub fn all(response: &FetchResponse<'_>) -> Vec<Fetched> {
        let rows = response.responses.iter();
        rows.flat_map(|topic| topic.partitions.iter().map(|row| Fetched::new(&topic.topic, row))).collect()
    }

    fn new(topic: &str, row: &PartitionData<'_>) -> Self {
        let partition = row.partition_index;
        let aborted = row.aborted_transactions.iter().flatten().map(|txn| (txn.producer_id, txn.first_offset));
        Fetched {
            topic: topic.to_owned(),
            partition,
            error: Error::check(row.error_code, None, || format!("{topic}-{partition}")).err(),
            high_watermark: row.high_watermark,
            last_stable_offset: row.last_stable_offset,
            log_start_offset: row.log_start_offset,
            aborted: aborted.collect(),
            records: row.records.bytes().unwrap_or_default().to_vec(),
        }
    }
}
