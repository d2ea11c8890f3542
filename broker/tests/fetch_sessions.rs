//! Fetch sessions (KIP-227): requests and answers carry what changed. If this breaks, consumers miss partitions.

use broker::BrokerSettings;
use broker::testing::{FetchCall, World, body_of, produce, records};
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use protocol::messages::keys::ApiKey;
use protocol::{ErrorCode, Uuid};

const NOW_MS: i64 = 1_700_000_000_000;

fn worlds() -> impl Iterator<Item = World> {
    [(1, 1), (3, 2), (3, 3)].into_iter().map(|(shards, seed)| World::new(shards, seed))
}

const ALL: [(&str, Uuid, i32, i64); 3] = [("t", Uuid::ZERO, 0, 0), ("t", Uuid::ZERO, 1, 0), ("t", Uuid::ZERO, 2, 0)];

/// Fetches within a session; returns the code, the session's id, and partition and number of batches of what was told.
fn ask(
    world: &mut World,
    session: (i32, i32),
    parts: &[(&str, Uuid, i32, i64)],
) -> (ErrorCode, i32, Vec<(i32, usize)>) {
    let call = FetchCall { session, ..FetchCall::default() };
    let conn = world.connect(0);
    let outcome = world.ask(conn, call.frame(parts));
    let (code, id, parts) = call.read(&outcome);
    (code, id, parts.into_iter().map(|part| (part.partition, part.batches.len())).collect())
}

#[test]
fn a_session_tells_what_changed() {
    for mut world in worlds() {
        world.topic("t", 3, &[]);
        let producer = world.connect(0);
        let (code, id, told) = ask(&mut world, (0, 0), &ALL);
        assert_eq!((code, told), (ErrorCode::None, vec![(0, 0), (1, 0), (2, 0)]));
        assert!(id > 0);
        assert_eq!(ask(&mut world, (id, 1), &[]), (ErrorCode::None, id, vec![]));
        produce(&mut world, producer, &[("t", 1, &records(NOW_MS, &["a"]))]);
        assert_eq!(ask(&mut world, (id, 2), &[]), (ErrorCode::None, id, vec![(1, 1)]));
        assert_eq!(ask(&mut world, (id, 3), &[("t", Uuid::ZERO, 1, 1)]), (ErrorCode::None, id, vec![]));
        assert_eq!(ask(&mut world, (id, 4), &[("t", Uuid::ZERO, 1, 5)]).2, [(1, 0)], "out of range is told");
        assert_eq!(ask(&mut world, (id, 5), &[("t", Uuid::ZERO, 1, 1)]).2, [(1, 0)], "and its end, too");
        assert_eq!(ask(&mut world, (id, 6), &[]).2, []);
    }
}

#[test]
fn wrong_ids_and_epochs() {
    for mut world in worlds() {
        world.topic("t", 3, &[]);
        let (_, id, _) = ask(&mut world, (0, 0), &ALL);
        assert_eq!(ask(&mut world, (id, 2), &[]), (ErrorCode::InvalidFetchSessionEpoch, 0, vec![]));
        assert_eq!(ask(&mut world, (id + 1, 1), &[]), (ErrorCode::FetchSessionIdNotFound, 0, vec![]));
        assert_eq!(ask(&mut world, (id, -1), &ALL).1, 0, "the last fetch closes the session");
        assert_eq!(ask(&mut world, (id, 1), &[]), (ErrorCode::FetchSessionIdNotFound, 0, vec![]));
    }
}

#[test]
fn another_shard_does_not_know_the_session() {
    let mut world = World::new(3, 5);
    world.topic("t", 3, &[]);
    let (_, id, _) = ask(&mut world, (0, 0), &ALL);
    let elsewhere = world.connect(2);
    let call = FetchCall { session: (id, 1), ..FetchCall::default() };
    let outcome = world.ask(elsewhere, call.frame(&[]));
    assert_eq!(call.read(&outcome).0, ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn topics_are_forgotten_by_id() {
    for mut world in worlds() {
        let id = world.topic("t", 2, &[]);
        let conn = world.connect(0);
        let call = FetchCall { version: 15, session: (0, 0), ..FetchCall::default() };
        let outcome = world.ask(conn, call.frame(&[("", id, 0, 0), ("", id, 1, 0)]));
        let session_id = call.read(&outcome).1;
        produce(&mut world, conn, &[("t", 0, &records(NOW_MS, &["a"])), ("t", 1, &records(NOW_MS, &["a"]))]);
        let request = FetchRequest {
            session_id,
            session_epoch: 1,
            forgotten_topics_data: vec![ForgottenTopic { topic: "".into(), topic_id: id, partitions: vec![0] }],
            ..FetchRequest::default()
        };
        let frame =
            broker::testing::Call::new(ApiKey::Fetch, 15).frame(|writer, version| request.encode(writer, version));
        let outcome = world.ask(conn, frame);
        let told: Vec<_> = call.read(&outcome).2.iter().map(|part| part.partition).collect();
        assert_eq!(told, [1]);
        assert!(!body_of(&outcome, ApiKey::Fetch, 15).is_empty());
    }
}

#[test]
fn a_topic_that_comes_later_is_found_by_the_session() {
    for mut world in worlds() {
        let (_, id, told) = ask(&mut world, (0, 0), &ALL[..1]);
        assert_eq!(told, [(0, 0)]);
        assert_eq!(ask(&mut world, (id, 1), &[]).2, [(0, 0)], "an error is told again and again");
        world.topic("t", 1, &[]);
        assert_eq!(ask(&mut world, (id, 2), &[]).2, [(0, 0)]);
        assert_eq!(ask(&mut world, (id, 3), &[]).2, []);
    }
}

#[test]
fn without_slots_there_are_no_sessions() {
    let mut world = World::with(1, 1, BrokerSettings { fetch_session_slots: 0, ..BrokerSettings::default() });
    world.topic("t", 3, &[]);
    assert_eq!(ask(&mut world, (0, 0), &ALL), (ErrorCode::None, 0, vec![(0, 0), (1, 0), (2, 0)]));
}

#[test]
fn partitions_take_turns_when_the_answer_is_full() {
    let mut world = World::new(1, 1);
    world.topic("t", 3, &[]);
    let conn = world.connect(0);
    let set = records(NOW_MS, &["x".repeat(900).as_str()]);
    produce(&mut world, conn, &[("t", 0, &set), ("t", 1, &set), ("t", 2, &set)]);
    let call = |session| FetchCall { session, max_bytes: 500, ..FetchCall::default() };
    let outcome = world.ask(conn, call((0, 0)).frame(&ALL));
    let id = call((0, 0)).read(&outcome).1;
    let mut served = Vec::new();
    for epoch in 1..=3 {
        let outcome = world.ask(conn, call((id, epoch)).frame(&[]));
        let parts = call((id, epoch)).read(&outcome).2;
        served.extend(parts.iter().filter(|part| !part.batches.is_empty()).map(|part| part.partition));
    }
    assert_eq!(served, [1, 2, 0]);
}

/// Keeps the shape of a request in one place.
#[test]
fn a_partition_may_be_added_to_a_session() {
    for mut world in worlds() {
        world.topic("t", 3, &[]);
        let (_, id, _) = ask(&mut world, (0, 0), &ALL[..1]);
        let partition = FetchPartition { partition: 2, partition_max_bytes: 1000, ..FetchPartition::default() };
        let request = FetchRequest {
            session_id: id,
            session_epoch: 1,
            topics: vec![FetchTopic { topic: "t".into(), topic_id: Uuid::ZERO, partitions: vec![partition] }],
            ..FetchRequest::default()
        };
        let conn = world.connect(0);
        let call = FetchCall { session: (id, 1), ..FetchCall::default() };
        let frame =
            broker::testing::Call::new(ApiKey::Fetch, 12).frame(|writer, version| request.encode(writer, version));
        let outcome = world.ask(conn, frame);
        let told: Vec<_> = call.read(&outcome).2.iter().map(|part| part.partition).collect();
        assert_eq!(told, [2]);
    }
}
