//! Groups over the wire, with one shard and with several: every version of every API, answers put together from all shards,
//! and what a power cut leaves. If this breaks, consumers cannot join, or start again from the wrong place.

use broker::ConnId;
use broker::testing::{Call, World, body_of, fetch};
use protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use protocol::messages::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use protocol::messages::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use protocol::messages::keys::ApiKey;
use protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};
use protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};
use protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic, OffsetDeleteResponse,
};
use protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics, OffsetFetchResponse,
};
use protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
use protocol::{ErrorCode, Reader, Uuid};

const NONE: i16 = ErrorCode::None as i16;

/// Asks and decodes the answer, which is leaked: tests are short.
macro_rules! ask {
    ($world:expr, $conn:expr, $key:ident, $version:expr, $request:expr => $response:ident) => {{
        let seq = send!($world, $conn, $key, $version, $request);
        $world.run();
        answer!($world, $conn, $key, $version, seq => $response)
    }};
}

macro_rules! send {
    ($world:expr, $conn:expr, $key:ident, $version:expr, $request:expr) => {{
        let request = $request;
        let frame = Call::new(ApiKey::$key, $version).frame(|w, v| request.encode(w, v));
        $world.send($conn, frame)
    }};
}

macro_rules! answer {
    ($world:expr, $conn:expr, $key:ident, $version:expr, $seq:expr => $response:ident) => {{
        let outcome = $world.outcome($conn, $seq).cloned().expect("the request was answered");
        let body: &'static [u8] = body_of(&outcome, ApiKey::$key, $version).to_vec().leak();
        $response::decode(&mut Reader::new(body), $version).expect("the answer can be read")
    }};
}

/// With one shard and with three, and `__consumer_offsets` there.
fn worlds() -> impl Iterator<Item = World> {
    [(1, 1), (3, 2), (3, 3)].into_iter().map(|(shards, seed)| {
        let mut world = World::new(shards, seed);
        world.topic("__consumer_offsets", 7, &[]);
        world
    })
}

fn join_request(group: &str, member: &str) -> JoinGroupRequest<'static> {
    JoinGroupRequest {
        group_id: group.to_owned().into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        member_id: member.to_owned().into(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata: b"\0\0\0\0\0\0"[..].into() }],
        ..JoinGroupRequest::default()
    }
}

/// Becomes the only member of a group; its member id, in generation 1.
fn enter(world: &mut World, conn: ConnId, group: &str, version: i16) -> String {
    let mut member = String::new();
    if version >= 4 {
        let told = ask!(world, conn, JoinGroup, version, join_request(group, "") => JoinGroupResponse);
        assert_eq!(told.error_code, ErrorCode::MemberIdRequired.code());
        member = told.member_id.into_owned();
    }
    let seq = send!(world, conn, JoinGroup, version, join_request(group, &member));
    world.run();
    assert_eq!(world.outcome(conn, seq), None, "the join waits for company");
    world.advance(3_000);
    let joined = answer!(world, conn, JoinGroup, version, seq => JoinGroupResponse);
    assert_eq!((joined.error_code, joined.generation_id, &joined.leader), (NONE, 1, &joined.member_id));
    assert_eq!(joined.members.len(), 1);
    joined.member_id.into_owned()
}

fn assign(world: &mut World, conn: ConnId, group: &str, member: &str, version: i16) {
    let request = SyncGroupRequest {
        group_id: group.to_owned().into(),
        generation_id: 1,
        member_id: member.to_owned().into(),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: member.to_owned().into(),
            assignment: b"mine"[..].into(),
        }],
        ..SyncGroupRequest::default()
    };
    let synced = ask!(world, conn, SyncGroup, version, request => SyncGroupResponse);
    assert_eq!((synced.error_code, &*synced.assignment), (NONE, &b"mine"[..]));
}

fn commit_request(group: &str, topic: (&str, Uuid), partition: i32, offset: i64) -> OffsetCommitRequest<'static> {
    OffsetCommitRequest {
        group_id: group.to_owned().into(),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.0.to_owned().into(),
            topic_id: topic.1,
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: partition,
                committed_offset: offset,
                committed_leader_epoch: 0,
                committed_metadata: Some("m".into()),
                ..Default::default()
            }],
        }],
        ..OffsetCommitRequest::default()
    }
}

/// Commits without being a member; the partition's code.
fn commit(world: &mut World, conn: ConnId, version: i16, request: OffsetCommitRequest<'_>) -> i16 {
    let response = ask!(world, conn, OffsetCommit, version, request => OffsetCommitResponse);
    response.topics[0].partitions[0].error_code
}

/// What a group committed for partition 0 of a topic.
fn committed(world: &mut World, conn: ConnId, group: &str, topic: (&str, Uuid), version: i16) -> i64 {
    let request = if version < 8 {
        let topics = vec![OffsetFetchRequestTopic { name: topic.0.to_owned().into(), partition_indexes: vec![0] }];
        OffsetFetchRequest { group_id: group.to_owned().into(), topics: Some(topics), ..Default::default() }
    } else {
        let topics = vec![OffsetFetchRequestTopics {
            name: topic.0.to_owned().into(),
            topic_id: topic.1,
            partition_indexes: vec![0],
        }];
        let group = OffsetFetchRequestGroup {
            group_id: group.to_owned().into(),
            topics: Some(topics),
            ..OffsetFetchRequestGroup::default()
        };
        OffsetFetchRequest { groups: vec![group], ..Default::default() }
    };
    let response = ask!(world, conn, OffsetFetch, version, request => OffsetFetchResponse);
    if version < 8 {
        let partition = &response.topics[0].partitions[0];
        assert_eq!((response.error_code, partition.error_code), (NONE, NONE));
        partition.committed_offset
    } else {
        let partition = &response.groups[0].topics[0].partitions[0];
        assert_eq!((response.groups[0].error_code, partition.error_code), (NONE, NONE));
        partition.committed_offset
    }
}

#[test]
fn a_members_life_in_every_version() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        for version in 0..=10 {
            let group = format!("group-{version}");
            let member = enter(&mut world, conn, &group, version.min(9));
            assign(&mut world, conn, &group, &member, version.min(5));
            let heartbeat = HeartbeatRequest {
                group_id: group.clone().into(),
                generation_id: 1,
                member_id: member.clone().into(),
                ..HeartbeatRequest::default()
            };
            let beat = ask!(world, conn, Heartbeat, version.min(4), heartbeat => HeartbeatResponse);
            assert_eq!(beat.error_code, NONE);
            let offset = 100 + i64::from(version);
            let request = OffsetCommitRequest {
                generation_id_or_member_epoch: 1,
                member_id: member.clone().into(),
                ..commit_request(&group, ("t", id), 0, offset)
            };
            assert_eq!(commit(&mut world, conn, version.max(2), request), NONE, "OffsetCommit {version}");
            assert_eq!(committed(&mut world, conn, &group, ("t", id), version.max(1)), offset);
            let leave = LeaveGroupRequest {
                group_id: group.clone().into(),
                member_id: if version < 3 { member.clone().into() } else { "".into() },
                members: if version < 3 {
                    Vec::new()
                } else {
                    vec![MemberIdentity { member_id: member.into(), ..MemberIdentity::default() }]
                },
            };
            let left = ask!(world, conn, LeaveGroup, version.min(5), leave => LeaveGroupResponse);
            assert_eq!(left.error_code, NONE);
            assert!(left.members.iter().all(|m| m.error_code == NONE));
        }
    }
}

#[test]
fn two_members_on_two_connections_share_a_group() {
    for mut world in worlds() {
        let shards = world.brokers.len();
        let (one, two) = (world.connect(0), world.connect(shards - 1));
        let first = enter(&mut world, one, "g", 9);
        assign(&mut world, one, "g", &first, 5);
        let told = ask!(world, two, JoinGroup, 9, join_request("g", "") => JoinGroupResponse);
        let second = send!(world, two, JoinGroup, 9, join_request("g", &told.member_id));
        let rejoin = send!(world, one, JoinGroup, 9, join_request("g", &first));
        world.run();
        let leader = answer!(world, one, JoinGroup, 9, rejoin => JoinGroupResponse);
        let follower = answer!(world, two, JoinGroup, 9, second => JoinGroupResponse);
        assert_eq!((leader.generation_id, follower.generation_id), (2, 2));
        assert_eq!((leader.members.len(), follower.members.len()), (2, 0));
    }
}

#[test]
fn offsets_survive_a_power_cut_and_another_number_of_shards() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        for group in 0..20 {
            let name = format!("g{group}");
            for offset in [1, 2, 10 + group] {
                assert_eq!(commit(&mut world, conn, 8, commit_request(&name, ("t", id), 0, offset)), NONE);
            }
        }
        world.restart(2);
        let conn = world.connect(1);
        for group in 0..20 {
            assert_eq!(committed(&mut world, conn, &format!("g{group}"), ("t", id), 8), 10 + group);
        }
    }
}

#[test]
fn a_commit_waits_for_the_disk() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        world.flushes = false;
        let seq = send!(world, conn, OffsetCommit, 8, commit_request("g", ("t", id), 0, 5));
        world.run();
        assert_eq!(world.outcome(conn, seq), None);
        assert_eq!(committed(&mut world, conn, "g", ("t", id), 8), -1);
        world.flush();
        world.run();
        let response = answer!(world, conn, OffsetCommit, 8, seq => OffsetCommitResponse);
        assert_eq!(response.topics[0].partitions[0].error_code, NONE);
        assert_eq!(committed(&mut world, conn, "g", ("t", id), 8), 5);
    }
}

#[test]
fn topics_that_do_not_exist_cannot_be_committed() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        let (unknown, unknown_id) = (ErrorCode::UnknownTopicOrPartition.code(), ErrorCode::UnknownTopicId.code());
        let table = [
            (8, ("nope", Uuid::ZERO), 0, unknown),
            (8, ("t", Uuid::ZERO), 1, unknown),
            (10, ("", Uuid([9; 16])), 0, unknown_id),
            (10, ("", id), 1, unknown),
            (10, ("", id), 0, NONE),
        ];
        for (version, topic, partition, code) in table {
            let request = commit_request("g", topic, partition, 1);
            assert_eq!(commit(&mut world, conn, version, request), code, "{version} {topic:?} {partition}");
        }
    }
}

#[test]
fn several_groups_are_fetched_at_once_with_all_their_offsets() {
    for mut world in worlds() {
        let id = world.topic("t", 2, &[]);
        let conn = world.connect(0);
        for group in ["a", "b", "c"] {
            commit(&mut world, conn, 8, commit_request(group, ("t", id), 0, 1));
            commit(&mut world, conn, 8, commit_request(group, ("t", id), 1, 2));
        }
        for version in 8..=10 {
            let groups = ["c", "nobody", "a"].map(|group| OffsetFetchRequestGroup {
                group_id: group.into(),
                topics: None,
                ..OffsetFetchRequestGroup::default()
            });
            let request = OffsetFetchRequest { groups: groups.into(), ..OffsetFetchRequest::default() };
            let response = ask!(world, conn, OffsetFetch, version, request => OffsetFetchResponse);
            let found: Vec<(&str, usize)> = response
                .groups
                .iter()
                .map(|g| (&*g.group_id, g.topics.iter().map(|t| t.partitions.len()).sum()))
                .collect();
            assert_eq!(found, [("c", 2), ("nobody", 0), ("a", 2)]);
            let topic = &response.groups[0].topics[0];
            assert!(if version < 10 { &*topic.name == "t" } else { topic.topic_id == id });
        }
        let request = OffsetFetchRequest { group_id: "b".into(), topics: None, ..OffsetFetchRequest::default() };
        let response = ask!(world, conn, OffsetFetch, 7, request => OffsetFetchResponse);
        assert_eq!(response.topics[0].partitions.len(), 2);
    }
}

#[test]
fn lists_and_descriptions_cover_all_shards() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        let member = enter(&mut world, conn, "live", 9);
        assign(&mut world, conn, "live", &member, 5);
        for group in 0..10 {
            commit(&mut world, conn, 8, commit_request(&format!("simple{group}"), ("t", id), 0, 1));
        }
        for version in 0..=5 {
            let list = ask!(world, conn, ListGroups, version, ListGroupsRequest::default() => ListGroupsResponse);
            assert_eq!((list.error_code, list.groups.len()), (NONE, 11));
        }
        let stable = ListGroupsRequest { states_filter: vec!["Stable".into()], ..ListGroupsRequest::default() };
        let list = ask!(world, conn, ListGroups, 5, stable => ListGroupsResponse);
        let listed: Vec<_> = list.groups.iter().map(|g| (&*g.group_id, &*g.group_state, &*g.group_type)).collect();
        assert_eq!(listed, [("live", "Stable", "classic")]);
        for version in 0..=6 {
            let request = DescribeGroupsRequest {
                groups: vec!["simple3".into(), "live".into(), "nobody".into()],
                include_authorized_operations: false,
            };
            let response = ask!(world, conn, DescribeGroups, version, request => DescribeGroupsResponse);
            let states: Vec<_> = response.groups.iter().map(|g| (&*g.group_state, g.error_code)).collect();
            let missing = if version < 6 { NONE } else { ErrorCode::GroupIdNotFound.code() };
            assert_eq!(states, [("Empty", NONE), ("Stable", NONE), ("Dead", missing)]);
            let live = &response.groups[1];
            assert_eq!((&*live.protocol_type, &*live.protocol_data), ("consumer", "range"));
            let described = &live.members[0];
            assert_eq!((&*described.client_id, &*described.client_host), ("test", "/127.0.0.1"));
            assert_eq!(&*described.member_assignment, b"mine");
        }
    }
}

#[test]
fn groups_and_offsets_are_deleted() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        for group in ["a", "b"] {
            commit(&mut world, conn, 8, commit_request(group, ("t", id), 0, 1));
        }
        enter(&mut world, conn, "live", 9);
        for version in 0..=2 {
            let name = ["a", "b", "a"][version as usize];
            let request = DeleteGroupsRequest { groups_names: vec![name.into(), "live".into()] };
            let response = ask!(world, conn, DeleteGroups, version, request => DeleteGroupsResponse);
            let codes: Vec<_> = response.results.iter().map(|r| (&*r.group_id, r.error_code)).collect();
            let first = if version < 2 { NONE } else { ErrorCode::GroupIdNotFound.code() };
            assert_eq!(codes, [(name, first), ("live", ErrorCode::NonEmptyGroup.code())]);
        }
        commit(&mut world, conn, 8, commit_request("c", ("t", id), 0, 1));
        let request = OffsetDeleteRequest {
            group_id: "c".into(),
            topics: vec![OffsetDeleteRequestTopic {
                name: "t".into(),
                partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
            }],
        };
        let response = ask!(world, conn, OffsetDelete, 0, request => OffsetDeleteResponse);
        assert_eq!((response.error_code, response.topics[0].partitions[0].error_code), (NONE, NONE));
        world.restart(1);
        let conn = world.connect(0);
        for group in ["a", "b", "c"] {
            assert_eq!(committed(&mut world, conn, group, ("t", id), 8), -1);
        }
    }
}

#[test]
fn the_coordinator_is_the_broker_as_the_client_reached_it() {
    for mut world in worlds() {
        let conn = world.connect(0);
        for version in 0..=6 {
            let request = FindCoordinatorRequest {
                key: if version < 4 { "g".into() } else { "".into() },
                key_type: 0,
                coordinator_keys: if version < 4 { Vec::new() } else { vec!["g".into(), "h".into()] },
            };
            let response = ask!(world, conn, FindCoordinator, version, request => FindCoordinatorResponse);
            if version < 4 {
                let found = (response.error_code, response.node_id, &*response.host, response.port);
                assert_eq!(found, (NONE, 1, "127.0.0.1", 9092));
            } else {
                let keys: Vec<_> = response.coordinators.iter().map(|c| (&*c.key, c.node_id, c.error_code)).collect();
                assert_eq!(keys, [("g", 1, NONE), ("h", 1, NONE)]);
            }
        }
        for (key_type, error) in [
            (1, ErrorCode::CoordinatorNotAvailable),
            (2, ErrorCode::CoordinatorNotAvailable),
            (9, ErrorCode::InvalidRequest),
        ] {
            let request = FindCoordinatorRequest { key: "x".into(), key_type, coordinator_keys: Vec::new() };
            let response = ask!(world, conn, FindCoordinator, 2, request => FindCoordinatorResponse);
            assert_eq!((response.error_code, response.node_id), (error.code(), -1));
        }
    }
}

#[test]
fn without_the_offsets_topic_there_is_no_coordinator() {
    let mut world = World::new(2, 1);
    let conn = world.connect(0);
    let response = ask!(world, conn, JoinGroup, 9, join_request("g", "") => JoinGroupResponse);
    assert_eq!(response.error_code, ErrorCode::NotCoordinator.code());
    let response = ask!(world, conn, ListGroups, 5, ListGroupsRequest::default() => ListGroupsResponse);
    assert_eq!((response.error_code, response.groups.len()), (NONE, 0));
}

#[test]
fn anybody_can_read_the_offsets_topic() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        for offset in 0..3 {
            commit(&mut world, conn, 8, commit_request("group", ("t", id), 0, offset));
        }
        // 98629247, the hash of "group", modulo 7.
        let parts = fetch(&mut world, conn, &[("__consumer_offsets", 98_629_247 % 7, 0)]);
        assert_eq!((parts[0].high_watermark, &parts[0].batches), (3, &vec![0, 1, 2]));
    }
}

#[test]
fn a_deleted_topic_takes_its_offsets_along() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        commit(&mut world, conn, 8, commit_request("g", ("t", id), 0, 5));
        world.change(&[broker::controller::record::Record::RemoveTopic { id }]);
        world.topic("t", 1, &[]);
        assert_eq!(committed(&mut world, conn, "g", ("t", Uuid::ZERO), 8), -1);
    }
}

/// Tells the broker who the client is, as clients do first.
fn introduce(world: &mut World, conn: ConnId, software: &str) {
    let request =
        ApiVersionsRequest { client_software_name: software.to_owned().into(), client_software_version: "1".into() };
    ask!(world, conn, ApiVersions, 3, request => ApiVersionsResponse);
}

fn heartbeat(group: &str, member: &str) -> HeartbeatRequest<'static> {
    HeartbeatRequest {
        group_id: group.to_owned().into(),
        generation_id: 1,
        member_id: member.to_owned().into(),
        ..HeartbeatRequest::default()
    }
}

#[test]
fn a_heartbeat_waits_for_news_on_whatever_shard_its_connection_is() {
    for mut world in worlds() {
        for shard in 0..world.brokers.len() {
            let group = format!("g{shard}");
            let (conn, other) = (world.connect(shard), world.connect(0));
            introduce(&mut world, conn, "apache-kafka-java");
            let member = enter(&mut world, conn, &group, 9);
            assign(&mut world, conn, &group, &member, 5);
            let beat = send!(world, conn, Heartbeat, 4, heartbeat(&group, &member));
            world.run();
            world.advance(3_000);
            assert_eq!(world.outcome(conn, beat), None, "there is nothing to tell");
            // Whatever comes behind it ends the wait: its own answer could not overtake.
            let committed = ask!(world, conn, OffsetCommit, 8, commit_request(&group, ("none", Uuid::ZERO), 0, 1) => OffsetCommitResponse);
            assert_eq!(committed.topics.len(), 1);
            let beaten = answer!(world, conn, Heartbeat, 4, beat => HeartbeatResponse);
            assert_eq!(beaten.error_code, NONE);
            // In one go with the next request, so that the second is there before the first was taken for one that waits.
            let beat = send!(world, conn, Heartbeat, 4, heartbeat(&group, &member));
            let next = send!(world, conn, Heartbeat, 4, heartbeat(&group, &member));
            world.run();
            assert_eq!(answer!(world, conn, Heartbeat, 4, beat => HeartbeatResponse).error_code, NONE);
            assert_eq!(world.outcome(conn, next), None);
            // A rebalance is told when it begins.
            let told = ask!(world, other, JoinGroup, 9, join_request(&group, "") => JoinGroupResponse);
            send!(world, other, JoinGroup, 9, join_request(&group, &told.member_id));
            world.run();
            let beaten = answer!(world, conn, Heartbeat, 4, next => HeartbeatResponse);
            assert_eq!(beaten.error_code, ErrorCode::RebalanceInProgress.code());
        }
    }
}

#[test]
fn heartbeats_are_answered_at_once_to_clients_that_might_not_bear_it() {
    for mut world in worlds() {
        for software in [None, Some("kafkajs"), Some("sarama"), Some("apache-kafka-java.")] {
            let group = format!("g{software:?}");
            let conn = world.connect(0);
            if let Some(name) = software {
                let request =
                    ApiVersionsRequest { client_software_name: name.into(), client_software_version: "1".into() };
                ask!(world, conn, ApiVersions, 3, request => ApiVersionsResponse);
            }
            let member = enter(&mut world, conn, &group, 9);
            assign(&mut world, conn, &group, &member, 5);
            let beaten = ask!(world, conn, Heartbeat, 4, heartbeat(&group, &member) => HeartbeatResponse);
            assert_eq!(beaten.error_code, NONE, "{software:?}");
        }
    }
}

#[test]
fn a_client_that_lost_its_connection_while_it_waited_waits_no_more_and_no_stop_waits_for_it() {
    for mut world in worlds() {
        let shards = world.brokers.len();
        let conn = world.connect(shards - 1);
        introduce(&mut world, conn, "apache-kafka-java");
        let member = enter(&mut world, conn, "g", 9);
        assign(&mut world, conn, "g", &member, 5);
        send!(world, conn, Heartbeat, 4, heartbeat("g", &member));
        world.run();
        world.disconnect(conn);
        world.run();
        let conn = world.connect(0);
        introduce(&mut world, conn, "apache-kafka-java");
        let beaten = ask!(world, conn, Heartbeat, 4, heartbeat("g", &member) => HeartbeatResponse);
        assert_eq!(beaten.error_code, NONE, "it may be one that waits for a shorter time only");
        let member = enter(&mut world, conn, "h", 9);
        assign(&mut world, conn, "h", &member, 5);
        let beat = send!(world, conn, Heartbeat, 4, heartbeat("h", &member));
        world.run();
        assert_eq!(world.outcome(conn, beat), None);
        world.stop();
        assert_eq!(answer!(world, conn, Heartbeat, 4, beat => HeartbeatResponse).error_code, NONE);
    }
}
