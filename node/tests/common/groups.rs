//! What tests of groups ask: joining, syncing, heartbeats, leaving, and what members commit. Commits and offsets of nobody's
//! membership are in [`admin`](super::admin).

use super::Client;
use protocol::ApiKey;
use protocol::messages::{
    api_versions, delete_groups, heartbeat, join_group, leave_group, offset_commit, offset_delete, offset_fetch,
    sync_group,
};
use std::time::{Duration, Instant};

/// MEMBER_ID_REQUIRED: join again with the id that came along.
pub const MEMBER_ID_REQUIRED: i16 = 79;

/// The first version with static members.
const JOIN: i16 = 5;

/// A JoinGroup request.
#[derive(Clone, Copy, Debug)]
pub struct Join<'a> {
    pub group: &'a str,
    pub member: &'a str,
    pub instance: Option<&'a str>,
    pub session_timeout_ms: i32,
    pub protocol_type: &'a str,
    /// What it says about itself.
    pub metadata: &'a [u8],
}

/// A group, its error code, and the topics it has offsets of.
pub type GroupOffsets = (String, i16, Vec<(String, i64)>);

impl<'a> Join<'a> {
    /// Of a consumer that has no id yet and reads nothing.
    pub fn of(group: &'a str) -> Join<'a> {
        let metadata = b"\0\0\0\0\0\0\0\0\0\0";
        Join { group, member: "", instance: None, session_timeout_ms: 10_000, protocol_type: "consumer", metadata }
    }
}

/// The answer to JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub error: i16,
    pub generation: i32,
    pub member: String,
    pub leader: String,
    pub members: usize,
}

fn own(text: &str) -> protocol::Str<'static> {
    text.to_owned().into()
}

impl Client {
    /// Says which client this is, as clients do first.
    pub fn introduce(&mut self, software: &str) {
        let request =
            api_versions::ApiVersionsRequest { client_software_name: own(software), client_software_version: own("1") };
        let encode = |writer: &mut protocol::Writer| request.encode(writer, 3);
        self.ask(ApiKey::ApiVersions, 3, encode, |r| api_versions::ApiVersionsResponse::decode(r, 3).map(drop));
    }

    /// Sends a Heartbeat and does not wait for its answer.
    pub fn send_heartbeat(&mut self, group: &str, member: &str, generation: i32) {
        let request = heartbeat::HeartbeatRequest {
            group_id: own(group),
            generation_id: generation,
            member_id: own(member),
            ..Default::default()
        };
        self.send(ApiKey::Heartbeat, 3, |writer| request.encode(writer, 3));
    }

    /// The answer to it.
    pub fn heard(&mut self) -> i16 {
        let frame = self.receive();
        let mut reader = protocol::Reader::new(&frame);
        protocol::ResponseHeader::decode(&mut reader, ApiKey::Heartbeat, 3).expect("a header");
        heartbeat::HeartbeatResponse::decode(&mut reader, 3).expect("a body").error_code
    }

    /// Sends a JoinGroup and does not wait for its answer, which may take a rebalance.
    pub fn send_join(&mut self, join: &Join<'_>) {
        let protocols =
            vec![join_group::JoinGroupRequestProtocol { name: own("range"), metadata: join.metadata.to_vec().into() }];
        let request = join_group::JoinGroupRequest {
            group_id: own(join.group),
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: 20_000,
            member_id: own(join.member),
            group_instance_id: join.instance.map(own),
            protocol_type: own(join.protocol_type),
            protocols,
            ..Default::default()
        };
        self.send(ApiKey::JoinGroup, JOIN, |writer| request.encode(writer, JOIN));
    }

    /// The answer to it.
    pub fn joined(&mut self) -> Joined {
        let frame = self.receive();
        let mut reader = protocol::Reader::new(&frame);
        protocol::ResponseHeader::decode(&mut reader, ApiKey::JoinGroup, JOIN).expect("a header");
        let response = join_group::JoinGroupResponse::decode(&mut reader, JOIN).expect("a body");
        Joined {
            error: response.error_code,
            generation: response.generation_id,
            member: response.member_id.into_owned(),
            leader: response.leader.into_owned(),
            members: response.members.len(),
        }
    }

    /// One JoinGroup and its answer, whatever it is.
    pub fn join_once(&mut self, join: &Join<'_>) -> Joined {
        self.send_join(join);
        self.joined()
    }

    /// As clients join: finds the coordinator, asks for an id where it has none, joins with it.
    pub fn join(&mut self, join: &Join<'_>) -> Joined {
        let end = Instant::now() + super::PATIENCE;
        loop {
            self.find_coordinator(join.group);
            let told = self.join_once(join);
            match told.error {
                MEMBER_ID_REQUIRED => return self.join_once(&Join { member: &told.member, ..*join }),
                14..=16 => assert!(Instant::now() < end, "no coordinator: {told:?}"),
                _ => return told,
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Becomes the only member of a group whose assignment is stored; its id and generation.
    pub fn settle_in(&mut self, join: &Join<'_>) -> (String, i32) {
        let joined = self.join(join);
        assert_eq!((joined.error, &joined.leader, joined.members), (0, &joined.member, 1));
        let synced = self.sync(join.group, &joined.member, joined.generation, &[(&joined.member, b"mine")]);
        assert_eq!(synced, (0, b"mine".to_vec()));
        (joined.member, joined.generation)
    }

    /// SyncGroup: error code and assignment.
    pub fn sync(&mut self, group: &str, member: &str, generation: i32, assigned: &[(&str, &[u8])]) -> (i16, Vec<u8>) {
        let version = 3;
        let assignments = assigned.iter().map(|(member, assignment)| sync_group::SyncGroupRequestAssignment {
            member_id: own(member),
            assignment: assignment.to_vec().into(),
        });
        let request = sync_group::SyncGroupRequest {
            group_id: own(group),
            generation_id: generation,
            member_id: own(member),
            assignments: assignments.collect(),
            ..Default::default()
        };
        self.ask(
            ApiKey::SyncGroup,
            version,
            |writer| request.encode(writer, version),
            |reader| {
                let response = sync_group::SyncGroupResponse::decode(reader, version)?;
                Ok((response.error_code, response.assignment.to_vec()))
            },
        )
    }

    /// Heartbeat; the error code is the answer.
    pub fn heartbeat(&mut self, group: &str, member: &str, instance: Option<&str>, generation: i32) -> i16 {
        let version = 3;
        let request = heartbeat::HeartbeatRequest {
            group_id: own(group),
            generation_id: generation,
            member_id: own(member),
            group_instance_id: instance.map(own),
        };
        self.ask(
            ApiKey::Heartbeat,
            version,
            |writer| request.encode(writer, version),
            |reader| Ok(heartbeat::HeartbeatResponse::decode(reader, version)?.error_code),
        )
    }

    /// LeaveGroup of one member; the error code is the answer.
    pub fn leave(&mut self, group: &str, member: &str) -> i16 {
        let version = 3;
        let members = vec![leave_group::MemberIdentity { member_id: own(member), ..Default::default() }];
        let request = leave_group::LeaveGroupRequest { group_id: own(group), members, ..Default::default() };
        self.ask(
            ApiKey::LeaveGroup,
            version,
            |writer| request.encode(writer, version),
            |reader| {
                let response = leave_group::LeaveGroupResponse::decode(reader, version)?;
                let of_member = response.members.first().map_or(0, |member| member.error_code);
                Ok(if response.error_code == 0 { of_member } else { response.error_code })
            },
        )
    }

    /// Commits as a member; the error code is the answer.
    pub fn commit_as(
        &mut self,
        (group, member, generation): (&str, &str, i32),
        instance: Option<&str>,
        topic: &str,
        offset: i64,
    ) -> i16 {
        let version = 7;
        let partition = offset_commit::OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topics = vec![offset_commit::OffsetCommitRequestTopic {
            name: own(topic),
            partitions: vec![partition],
            ..Default::default()
        }];
        let request = offset_commit::OffsetCommitRequest {
            group_id: own(group),
            generation_id_or_member_epoch: generation,
            member_id: own(member),
            group_instance_id: instance.map(own),
            topics,
            ..Default::default()
        };
        self.ask(
            ApiKey::OffsetCommit,
            version,
            |writer| request.encode(writer, version),
            |reader| {
                Ok(offset_commit::OffsetCommitResponse::decode(reader, version)?.topics[0].partitions[0].error_code)
            },
        )
    }

    /// Commits an offset that ends by itself, as clients before KIP-211 could; the error code is the answer.
    pub fn commit_for(&mut self, group: &str, topic: &str, offset: i64, retention_time_ms: i64) -> i16 {
        let version = 4;
        let partition = offset_commit::OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topics = vec![offset_commit::OffsetCommitRequestTopic {
            name: own(topic),
            partitions: vec![partition],
            ..Default::default()
        }];
        let request = offset_commit::OffsetCommitRequest {
            group_id: own(group),
            retention_time_ms,
            topics,
            ..Default::default()
        };
        self.ask(
            ApiKey::OffsetCommit,
            version,
            |writer| request.encode(writer, version),
            |reader| {
                Ok(offset_commit::OffsetCommitResponse::decode(reader, version)?.topics[0].partitions[0].error_code)
            },
        )
    }

    /// Everything that several groups committed to partition 0 of their topics, in one request: error code and offsets of each.
    pub fn offsets_of(&mut self, groups: &[&str], require_stable: bool) -> Vec<GroupOffsets> {
        let version = 8;
        let groups = groups.iter().map(|group| offset_fetch::OffsetFetchRequestGroup {
            group_id: own(group),
            topics: None,
            ..Default::default()
        });
        let request =
            offset_fetch::OffsetFetchRequest { groups: groups.collect(), require_stable, ..Default::default() };
        self.ask(
            ApiKey::OffsetFetch,
            version,
            |writer| request.encode(writer, version),
            |reader| {
                let response = offset_fetch::OffsetFetchResponse::decode(reader, version)?;
                let offsets = |group: &offset_fetch::OffsetFetchResponseGroup<'_>| {
                    let of_topic = |topic: &offset_fetch::OffsetFetchResponseTopics<'_>| {
                        (topic.name.to_string(), topic.partitions[0].committed_offset)
                    };
                    group.topics.iter().map(of_topic).collect()
                };
                Ok(response.groups.iter().map(|g| (g.group_id.to_string(), g.error_code, offsets(g))).collect())
            },
        )
    }

    /// OffsetDelete of partition 0: error codes of the request and of the partition.
    pub fn delete_offset(&mut self, group: &str, topic: &str) -> (i16, i16) {
        let partitions = vec![offset_delete::OffsetDeleteRequestPartition { partition_index: 0 }];
        let topics = vec![offset_delete::OffsetDeleteRequestTopic { name: own(topic), partitions }];
        let request = offset_delete::OffsetDeleteRequest { group_id: own(group), topics };
        self.ask(
            ApiKey::OffsetDelete,
            0,
            |writer| request.encode(writer, 0),
            |reader| {
                let response = offset_delete::OffsetDeleteResponse::decode(reader, 0)?;
                let of_partition = response.topics.first().map_or(0, |topic| topic.partitions[0].error_code);
                Ok((response.error_code, of_partition))
            },
        )
    }

    /// DeleteGroups: each group's error code.
    pub fn delete_groups(&mut self, groups: &[&str]) -> Vec<(String, i16)> {
        let version = 2;
        let request =
            delete_groups::DeleteGroupsRequest { groups_names: groups.iter().map(|group| own(group)).collect() };
        let mut outcomes = self.ask(
            ApiKey::DeleteGroups,
            version,
            |writer| request.encode(writer, version),
            |reader| {
                let response = delete_groups::DeleteGroupsResponse::decode(reader, version)?;
                Ok(response.results.iter().map(|r| (r.group_id.to_string(), r.error_code)).collect::<Vec<_>>())
            },
        );
        outcomes.sort();
        outcomes
    }
}
