//! DeleteRecords, sent to each partition's leader.

use super::plan::Until;
use crate::client::{Client, Error, Topics};
use protocol::messages::DeleteRecordsRequest;
use protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use std::collections::BTreeMap;

/// A partition with its first offset afterwards, or why it has not changed.
#[derive(Debug)]
pub(super) struct Purged {
    pub topic: String,
    pub partition: i32,
    pub result: Result<i64, Error>,
}

/// Deletes what lies before the offsets. A partition that fails fails alone.
pub(super) fn purge(client: &mut Client, plan: &[Until]) -> Result<Vec<Purged>, Error> {
    let mut names: Vec<&str> = plan.iter().map(|until| until.topic.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let cluster = client.metadata(Topics::Named(&names))?;
    let mut done = Vec::new();
    let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<DeleteRecordsPartition>>> = BTreeMap::new();
    for Until { topic, partition, offset } in plan {
        match cluster.leader(topic, *partition) {
            Err(error) => done.push(Purged { topic: topic.clone(), partition: *partition, result: Err(error) }),
            Ok(leader) => {
                let row = DeleteRecordsPartition { partition_index: *partition, offset: *offset };
                by_leader.entry(leader).or_default().entry(topic).or_default().push(row);
            }
        }
    }
    for (leader, topics) in by_leader {
        let topics = topics.into_iter().map(|(name, partitions)| DeleteRecordsTopic { name: name.into(), partitions });
        let request =
            DeleteRecordsRequest { topics: topics.collect(), timeout_ms: client.settings().request_timeout_ms() };
        let answer = client.broker(leader, &request)?;
        for topic in answer.read().topics {
            done.extend(topic.partitions.iter().map(|row| {
                let what = || format!("{}-{}", topic.name, row.partition_index);
                let result = Error::check(row.error_code, None, what).map(|()| row.low_watermark);
                Purged { topic: topic.name.to_string(), partition: row.partition_index, result }
            }));
        }
    }
    // In the order that was asked.
    let place = |purged: &Purged| {
        plan.iter().position(|until| (&until.topic, until.partition) == (&purged.topic, purged.partition))
    };
    done.sort_by_key(place);
    Ok(done)
}
