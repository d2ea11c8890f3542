//! DescribeLogDirs, sent to every broker.

use crate::client::{Client, Cluster, Error};
use protocol::ErrorCode;
use protocol::messages::DescribeLogDirsRequest;
use protocol::messages::describe_log_dirs::DescribeLogDirsResult;

/// One folder of one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogDir {
    pub broker: i32,
    pub path: String,
    /// Why it cannot be used, if it cannot.
    pub error: Option<ErrorCode>,
    /// Bytes of its file system; none if the broker does not say (before Kafka 3.3).
    pub total_bytes: Option<i64>,
    /// Bytes of it that are free.
    pub usable_bytes: Option<i64>,
    pub replicas: Vec<Replica>,
}

/// One partition in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    pub topic: String,
    pub partition: i32,
    pub size_bytes: i64,
    /// How far it is behind: the high watermark, or for a future replica the present one.
    pub offset_lag: i64,
    /// Whether it is being moved here from another folder.
    pub is_future: bool,
}

/// The folders of the brokers, in the brokers' order; only replicas of `topics`, if any is named.
pub(super) fn read(client: &mut Client, brokers: &[i32], topics: &[String]) -> Result<Vec<LogDir>, Error> {
    let mut dirs = Vec::new();
    for &broker in brokers {
        let answer = client.broker(broker, &DescribeLogDirsRequest { topics: None })?;
        let response = answer.read();
        Error::check(response.error_code, None, || format!("broker {broker}"))?;
        // Before version 3 a client that may not ask gets an empty list and no error.
        dirs.extend(response.results.iter().map(|result| LogDir::new(broker, result, topics)));
    }
    Ok(dirs)
}

/// Brokers that were asked for and are not there.
pub(super) fn missing(cluster: &Cluster, wanted: &[i32]) -> Vec<i32> {
    let lives = |id: &i32| cluster.brokers.iter().any(|broker| broker.id == *id);
    wanted.iter().copied().filter(|id| !lives(id)).collect()
}

impl LogDir {
    fn new(broker: i32, result: &DescribeLogDirsResult<'_>, topics: &[String]) -> Self {
        let wanted =
            result.topics.iter().filter(|row| topics.is_empty() || topics.iter().any(|topic| *topic == row.name));
        let replicas = wanted.flat_map(|topic| {
            topic.partitions.iter().map(|row| Replica {
                topic: topic.name.to_string(),
                partition: row.partition_index,
                size_bytes: row.partition_size,
                offset_lag: row.offset_lag,
                is_future: row.is_future_key,
            })
        });
        let known = |bytes: i64| Some(bytes).filter(|bytes| *bytes >= 0);
        LogDir {
            broker,
            path: result.log_dir.to_string(),
            error: (result.error_code != 0)
                .then(|| ErrorCode::try_from(result.error_code).unwrap_or(ErrorCode::UnknownServerError)),
            total_bytes: known(result.total_bytes),
            usable_bytes: known(result.usable_bytes),
            replicas: replicas.collect(),
        }
    }
}
