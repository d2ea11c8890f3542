//! Where partitions begin, end and pass a moment: ListOffsets, sent to each partition's leader.

use super::{Client, Cluster, Error};
use protocol::VersionRange;
use protocol::messages::ListOffsetsRequest;
use protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopic};
use std::collections::BTreeMap;

/// A point of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Behind the last record that consumers may see.
    Latest,
    /// The first record there is.
    Earliest,
    /// The record with the highest timestamp (KIP-734).
    MaxTimestamp,
    /// The first record on the broker's own disk (KIP-405).
    EarliestLocal,
    /// Behind the last record in tiered storage (KIP-1005).
    LatestTiered,
    /// The first record not yet in tiered storage (KIP-1023).
    EarliestPendingUpload,
    /// The first record at or after a time, in milliseconds since the epoch.
    Time(i64),
}

impl At {
    /// The number on the wire.
    pub fn code(self) -> i64 {
        match self {
            At::Latest => -1,
            At::Earliest => -2,
            At::MaxTimestamp => -3,
            At::EarliestLocal => -4,
            At::LatestTiered => -5,
            At::EarliestPendingUpload => -6,
            At::Time(ms) => ms,
        }
    }

    /// The first version of ListOffsets that knows the point.
    fn version_min(self) -> i16 {
        match self {
            At::Latest | At::Earliest | At::Time(_) => 1,
            At::MaxTimestamp => 7,
            At::EarliestLocal => 8,
            At::LatestTiered => 9,
            At::EarliestPendingUpload => 11,
        }
    }

    /// The point that a number on the wire stands for.
    pub fn from_code(code: i64) -> Option<At> {
        Some(match code {
            -1 => At::Latest,
            -2 => At::Earliest,
            -3 => At::MaxTimestamp,
            -4 => At::EarliestLocal,
            -5 => At::LatestTiered,
            -6 => At::EarliestPendingUpload,
            ms if ms >= 0 => At::Time(ms),
            _ => return None,
        })
    }
}

/// What counts as the end of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// The high watermark.
    #[default]
    ReadUncommitted = 0,
    /// The last stable offset: open transactions lie behind it.
    ReadCommitted = 1,
}

/// The answer for one partition.
#[derive(Debug)]
pub struct FoundOffset {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// Offset and timestamp; offset −1 when no record answers the question.
    pub result: Result<(i64, i64), Error>,
}

type Wanted<'a> = BTreeMap<i32, BTreeMap<&'a str, Vec<ListOffsetsPartition>>>;

impl Client {
    /// Asks the leaders of `cluster` for a point of each partition. A partition that fails fails alone.
    pub fn list_offsets(
        &mut self,
        cluster: &Cluster,
        wanted: &[(&str, i32, At)],
        isolation: Isolation,
    ) -> Result<Vec<FoundOffset>, Error> {
        self.check_points(wanted)?;
        let (by_leader, mut found) = route(cluster, wanted);
        for (leader, topics) in by_leader {
            let topics =
                topics.into_iter().map(|(name, partitions)| ListOffsetsTopic { name: name.into(), partitions });
            let request = ListOffsetsRequest {
                replica_id: -1,
                isolation_level: isolation as i8,
                topics: topics.collect(),
                timeout_ms: self.settings().request_timeout_ms(),
            };
            let answer = self.retrying(|client| client.broker(leader, &request))?;
            for topic in answer.read().topics {
                found.extend(topic.partitions.iter().map(|row| FoundOffset::new(&topic.name, row)));
            }
        }
        found.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        Ok(found)
    }
}

impl Client {
    /// An older broker would take the number of a point it does not know for a time.
    fn check_points(&mut self, wanted: &[(&str, i32, At)]) -> Result<(), Error> {
        let needed = wanted.iter().map(|(_, _, at)| at.version_min()).max().unwrap_or(1);
        let home = self.home()?;
        if home.version_for::<ListOffsetsRequest<'_>>()? >= needed {
            return Ok(());
        }
        let ours = VersionRange::new(needed, ListOffsetsRequest::VERSIONS.max);
        let theirs = home.served().range(ListOffsetsRequest::KEY);
        Err(Error::NotServed { address: home.address().clone(), api: ListOffsetsRequest::KEY, ours, theirs })
    }
}

/// Splits questions by the broker that can answer them; those that nobody can answer are answered here.
fn route<'a>(cluster: &Cluster, wanted: &[(&'a str, i32, At)]) -> (Wanted<'a>, Vec<FoundOffset>) {
    let (mut by_leader, mut failed) = (Wanted::new(), Vec::new());
    for &(topic, partition, at) in wanted {
        let row = ListOffsetsPartition {
            partition_index: partition,
            current_leader_epoch: -1,
            timestamp: at.code(),
            ..ListOffsetsPartition::default()
        };
        match cluster.leader(topic, partition) {
            Ok(leader) => by_leader.entry(leader).or_default().entry(topic).or_default().push(row),
            Err(error) => failed.push(FoundOffset { topic: topic.to_owned(), partition, result: Err(error) }),
        }
    }
    (by_leader, failed)
}

impl FoundOffset {
    fn new(topic: &str, row: &ListOffsetsPartitionResponse) -> Self {
        let partition = row.partition_index;
        let checked = Error::check(row.error_code, None, || format!("{topic}-{partition}"));
        FoundOffset { topic: topic.to_owned(), partition, result: checked.map(|()| (row.offset, row.timestamp)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_their_numbers() {
        for code in -6..3 {
            assert_eq!(At::from_code(code).unwrap().code(), code);
        }
        assert_eq!(At::from_code(-7), None);
    }
}
