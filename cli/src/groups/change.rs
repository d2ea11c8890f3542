//! What can be done to groups: committing for them, forgetting their offsets, deleting them.

use super::plan::Place;
use crate::client::{Client, CoordinatorKind, Error};
use protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use protocol::messages::offset_delete::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use protocol::messages::{DeleteGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest};
use std::collections::BTreeMap;

/// Commits offsets for a group without members.
pub(crate) fn commit(client: &mut Client, id: &str, offsets: &[(Place, i64)]) -> Result<(), Error> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition<'_>>> = BTreeMap::new();
    for ((topic, partition), offset) in offsets {
        topics.entry(topic).or_default().push(OffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: *offset,
            committed_metadata: Some("".into()),
            ..OffsetCommitRequestPartition::default()
        });
    }
    let topics = topics.into_iter().map(|(name, partitions)| OffsetCommitRequestTopic {
        name: name.into(),
        partitions,
        ..OffsetCommitRequestTopic::default()
    });
    let request =
        OffsetCommitRequest { group_id: id.into(), topics: topics.collect(), ..OffsetCommitRequest::default() };
    client.retrying(|client| {
        let broker = client.coordinator(CoordinatorKind::Group, id)?;
        let answer = client.broker(broker, &request)?;
        for topic in &answer.read().topics {
            for partition in &topic.partitions {
                let what = || format!("group `{id}`, {}-{}", topic.name, partition.partition_index);
                Error::check(partition.error_code, None, what)?;
            }
        }
        Ok(())
    })
}

/// Forgets what a group has committed for these partitions: what became of each, or why nothing was tried.
pub(crate) fn delete_offsets(
    client: &mut Client,
    id: &str,
    places: &[Place],
) -> Result<BTreeMap<Place, Result<(), Error>>, Error> {
    let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
    for (topic, partition) in places {
        topics.entry(topic).or_default().push(OffsetDeleteRequestPartition { partition_index: *partition });
    }
    let topics =
        topics.into_iter().map(|(name, partitions)| OffsetDeleteRequestTopic { name: name.into(), partitions });
    let request = OffsetDeleteRequest { group_id: id.into(), topics: topics.collect() };
    let answer = client.retrying(|client| {
        let broker = client.coordinator(CoordinatorKind::Group, id)?;
        let answer = client.broker(broker, &request)?;
        Error::check(answer.read().error_code, None, || format!("group `{id}`"))?;
        Ok(answer)
    })?;
    let mut outcome = BTreeMap::new();
    for topic in &answer.read().topics {
        for row in &topic.partitions {
            let what = || format!("{}-{}", topic.name, row.partition_index);
            let place = (topic.name.to_string(), row.partition_index);
            outcome.insert(place, Error::check(row.error_code, None, what));
        }
    }
    Ok(outcome)
}

/// Deletes a group with its offsets.
pub(crate) fn delete(client: &mut Client, id: &str) -> Result<(), Error> {
    client.retrying(|client| {
        let broker = client.coordinator(CoordinatorKind::Group, id)?;
        let answer = client.broker(broker, &DeleteGroupsRequest { groups_names: vec![id.into()] })?;
        answer
            .read()
            .results
            .iter()
            .try_for_each(|row| Error::check(row.error_code, None, || format!("group `{}`", row.group_id)))
    })
}
