//! What tests of storage ask besides records: topics with settings, deletions, committed offsets.

use super::{Client, PATIENCE};
use protocol::ApiKey;
use protocol::messages::{create_topics, delete_topics, find_coordinator, offset_commit, offset_fetch};
use std::io::Write;
use std::time::{Duration, Instant};

/// Error codes that a client retries without being told more: the coordinator moves, loads, or is not there yet.
const COORDINATOR_MOVES: [i16; 3] = [14, 15, 16];

impl Client {
    /// As [`Client::produce`]; `None` when the broker ends the connection instead.
    pub fn produce_or_closed(&mut self, topic: &str, partition: i32, values: &[&str]) -> Option<(i16, i64)> {
        let version = 9;
        let mut builder = protocol::batch::BatchBuilder::new();
        values.iter().for_each(|value| builder.append(1_700_000_000_000, None, Some(value.as_bytes()), &[]));
        let frame = self.produce_frame(version, topic, partition, &builder.build());
        self.stream.write_all(&frame).ok()?;
        self.stream.peek(&mut [0; 4]).ok().filter(|got| *got > 0)?;
        Some(self.produced(version))
    }

    /// Makes a topic of one partition with these settings; the error code is the answer.
    pub fn create_topic_with(&mut self, name: &str, settings: &[(&str, &str)]) -> i16 {
        let version = 5;
        let configs = settings.iter().map(|(key, value)| create_topics::CreatableTopicConfig {
            name: (*key).into(),
            value: Some((*value).into()),
        });
        let topic = create_topics::CreatableTopic {
            name: name.into(),
            num_partitions: 1,
            replication_factor: 1,
            configs: configs.collect(),
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

    /// Deletes a topic; the error code is the answer.
    pub fn delete_topic(&mut self, name: &str) -> i16 {
        let version = 5;
        let request = delete_topics::DeleteTopicsRequest {
            topic_names: vec![name.into()],
            timeout_ms: 10_000,
            ..Default::default()
        };
        self.ask(
            ApiKey::DeleteTopics,
            version,
            |writer| request.encode(writer, version),
            |reader| Ok(delete_topics::DeleteTopicsResponse::decode(reader, version)?.responses[0].error_code),
        )
    }

    /// Where the group's coordinator is; the error code is the answer. Makes `__consumer_offsets` where it is missing.
    pub fn find_coordinator(&mut self, group: &str) -> i16 {
        let version = 3;
        let request = find_coordinator::FindCoordinatorRequest { key: group.into(), ..Default::default() };
        self.ask(
            ApiKey::FindCoordinator,
            version,
            |writer| request.encode(writer, version),
            |reader| Ok(find_coordinator::FindCoordinatorResponse::decode(reader, version)?.error_code),
        )
    }

    /// Commits an offset outside of any membership; the error code is the answer.
    pub fn commit(&mut self, group: &str, topic: &str, offset: i64) -> i16 {
        let version = 7;
        let partition = offset_commit::OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topics = vec![offset_commit::OffsetCommitRequestTopic {
            name: topic.into(),
            partitions: vec![partition],
            ..Default::default()
        }];
        let request = offset_commit::OffsetCommitRequest { group_id: group.into(), topics, ..Default::default() };
        self.ask(
            ApiKey::OffsetCommit,
            version,
            |writer| request.encode(writer, version),
            |reader| {
                let response = offset_commit::OffsetCommitResponse::decode(reader, version)?;
                Ok(response.topics[0].partitions[0].error_code)
            },
        )
    }

    /// Finds the coordinator and commits, again for as long as clients do.
    pub fn commit_in_time(&mut self, group: &str, topic: &str, offset: i64) {
        let end = Instant::now() + PATIENCE;
        loop {
            let error = match self.find_coordinator(group) {
                0 => self.commit(group, topic, offset),
                error => error,
            };
            if error == 0 {
                return;
            }
            assert!(COORDINATOR_MOVES.contains(&error) && Instant::now() < end, "commit of {group}: error {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Error code and committed offset of partition 0 of `topic`.
    pub fn committed(&mut self, group: &str, topic: &str) -> (i16, i64) {
        let version = 5;
        let topics =
            Some(vec![offset_fetch::OffsetFetchRequestTopic { name: topic.into(), partition_indexes: vec![0] }]);
        let request = offset_fetch::OffsetFetchRequest { group_id: group.into(), topics, ..Default::default() };
        self.ask(
            ApiKey::OffsetFetch,
            version,
            |writer| request.encode(writer, version),
            |reader| {
                let response = offset_fetch::OffsetFetchResponse::decode(reader, version)?;
                let found = response.topics.first().map(|topic| &topic.partitions[0]);
                Ok(found.map_or((response.error_code, -1), |found| {
                    (response.error_code.max(found.error_code), found.committed_offset)
                }))
            },
        )
    }

    /// The committed offset, once the coordinator has read its log.
    pub fn committed_in_time(&mut self, group: &str, topic: &str) -> i64 {
        let end = Instant::now() + PATIENCE;
        loop {
            self.find_coordinator(group);
            let (error, offset) = self.committed(group, topic);
            if error == 0 {
                return offset;
            }
            assert!(COORDINATOR_MOVES.contains(&error) && Instant::now() < end, "offset of {group}: error {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
