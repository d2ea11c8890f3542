//! Fetching: limits, long polls, reads from disk. If this breaks, consumers stall, spin or lose their place.

use broker::testing::{
    FetchCall, FetchedPart, Outcome, Spoiled, World, body_of, fetch, produce, produce_frame, records,
};
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, ReplicaState};
use protocol::messages::keys::ApiKey;
use protocol::{ErrorCode, Reader, Uuid};

const NOW_MS: i64 = 1_700_000_000_000;

fn worlds() -> impl Iterator<Item = World> {
    [(1, 1), (3, 2), (3, 3), (3, 4)].into_iter().map(|(shards, seed)| World::new(shards, seed))
}

fn part(partition: i32, high_watermark: i64, batches: &[i64]) -> FetchedPart {
    FetchedPart { partition, code: ErrorCode::None, high_watermark, log_start: 0, batches: batches.to_vec() }
}

fn failed(partition: i32, code: ErrorCode) -> FetchedPart {
    FetchedPart { partition, code, high_watermark: -1, log_start: -1, batches: Vec::new() }
}

/// A record set of about a thousand bytes.
fn kilobyte() -> Vec<u8> {
    records(NOW_MS, &["x".repeat(930).as_str()])
}

#[test]
fn every_version_by_name_and_by_id() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        produce(&mut world, conn, &[("t", 0, &records(NOW_MS, &["a", "b"]))]);
        for version in 4..=18 {
            let call = FetchCall { version, ..FetchCall::default() };
            let outcome = world.ask(conn, call.frame(&[("t", id, 0, 1)]));
            let (code, session, parts) = call.read(&outcome);
            let expect = FetchedPart { log_start: if version < 5 { -1 } else { 0 }, ..part(0, 2, &[0]) };
            assert_eq!((code, session, parts), (ErrorCode::None, 0, vec![expect]), "version {version}");
        }
    }
}

#[test]
fn errors_are_of_their_partition() {
    for mut world in worlds() {
        let id = world.topic("t", 2, &[]);
        world.new_epoch(id, 1, 3);
        let conn = world.connect(0);
        produce(&mut world, conn, &[("t", 0, &records(NOW_MS, &["a"])), ("t", 1, &records(NOW_MS, &["a"]))]);
        let got = fetch(&mut world, conn, &[("t", 0, 2), ("t", 0, -1), ("t", 5, 0), ("u", 0, 0), ("t", 1, 0)]);
        let out = ErrorCode::OffsetOutOfRange;
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let expect = [failed(0, out), failed(0, out), failed(5, unknown), failed(0, unknown), part(1, 1, &[0])];
        assert_eq!(got, expect);
        for (current_epoch, code) in
            [(2, ErrorCode::FencedLeaderEpoch), (4, ErrorCode::UnknownLeaderEpoch), (3, ErrorCode::None)]
        {
            let call = FetchCall { current_epoch, version: 13, ..FetchCall::default() };
            let outcome = world.ask(conn, call.frame(&[("", id, 1, 0), ("", Uuid([8; 16]), 0, 0)]));
            let codes: Vec<_> = call.read(&outcome).2.iter().map(|part| part.code).collect();
            assert_eq!(codes, [code, ErrorCode::UnknownTopicId]);
        }
    }
}

#[test]
fn limits_hold_but_for_the_first_batch() {
    for mut world in worlds() {
        world.topic("t", 3, &[]);
        let conn = world.connect(0);
        for _ in 0..3 {
            let set = kilobyte();
            produce(&mut world, conn, &[("t", 0, &set), ("t", 1, &set), ("t", 2, &set)]);
        }
        let all = [("t", Uuid::ZERO, 0, 0), ("t", Uuid::ZERO, 1, 0), ("t", Uuid::ZERO, 2, 0)];
        let mut count = |max_bytes, partition_bytes| {
            let call = FetchCall { max_bytes, partition_bytes, ..FetchCall::default() };
            let outcome = world.ask(conn, call.frame(&all));
            call.read(&outcome).2.iter().map(|part| part.batches.len()).sum::<usize>()
        };
        assert_eq!(count(1, 1), 1, "one batch comes whole");
        assert_eq!(count(1 << 20, 1 << 20), 9);
        assert_eq!(count(2100, 1 << 20), 2);
        assert!((4..=6).contains(&count(1 << 20, 2100)), "two of each, and whole first batches");
    }
}

#[test]
fn a_long_poll_ends_with_enough_bytes_or_with_time() {
    for mut world in worlds() {
        world.topic("t", 3, &[]);
        let (conn, producer) = (world.connect(0), world.connect(0));
        let all = [("t", Uuid::ZERO, 0, 0), ("t", Uuid::ZERO, 1, 0), ("t", Uuid::ZERO, 2, 0)];
        let call = FetchCall { max_wait_ms: 500, min_bytes: 1500, ..FetchCall::default() };
        let seq = world.send(conn, call.frame(&all));
        world.run();
        assert_eq!(world.outcome(conn, seq), None);
        produce(&mut world, producer, &[("t", 2, &kilobyte())]);
        assert_eq!(world.outcome(conn, seq), None, "half of it");
        produce(&mut world, producer, &[("t", 1, &kilobyte())]);
        let (_, _, parts) = call.read(world.outcome(conn, seq).unwrap());
        assert_eq!(parts, [part(0, 0, &[]), part(1, 1, &[0]), part(2, 1, &[0])]);
        let seq = world.send(conn, FetchCall { min_bytes: 1 << 20, ..call }.frame(&all));
        world.run();
        world.advance(499);
        assert_eq!(world.outcome(conn, seq), None);
        world.advance(1);
        let (_, _, parts) = call.read(world.outcome(conn, seq).unwrap());
        assert_eq!(parts.iter().map(|part| part.batches.len()).sum::<usize>(), 2, "what there is");
        world.advance(60_000);
    }
}

#[test]
fn a_long_poll_sees_nothing_that_is_not_durable() {
    for mut world in worlds() {
        world.topic("t", 1, &[]);
        let (conn, producer) = (world.connect(0), world.connect(0));
        let call = FetchCall { max_wait_ms: 500, ..FetchCall::default() };
        let seq = world.send(conn, call.frame(&[("t", Uuid::ZERO, 0, 0)]));
        world.flushes = false;
        world.send(producer, produce_frame(9, -1, &[("t", Uuid::ZERO, 0, &kilobyte())]));
        world.run();
        assert_eq!(world.outcome(conn, seq), None);
        world.flush();
        world.run();
        assert_eq!(call.read(world.outcome(conn, seq).unwrap()).2, [part(0, 1, &[0])]);
    }
}

#[test]
fn an_error_ends_the_wait_and_so_does_the_end_of_the_topic() {
    for mut world in worlds() {
        let id = world.topic("t", 2, &[]);
        let conn = world.connect(0);
        let call = FetchCall { max_wait_ms: 500, ..FetchCall::default() };
        let outcome = world.ask(conn, call.frame(&[("t", Uuid::ZERO, 0, 0), ("t", Uuid::ZERO, 1, 9)]));
        assert_eq!(call.read(&outcome).2[1], failed(1, ErrorCode::OffsetOutOfRange));
        let seq = world.send(conn, call.frame(&[("t", Uuid::ZERO, 0, 0)]));
        world.run();
        world.change(&[broker::controller::record::Record::RemoveTopic { id }]);
        let parts = call.read(world.outcome(conn, seq).unwrap()).2;
        assert_eq!(parts, [failed(0, ErrorCode::UnknownTopicOrPartition)]);
    }
}

#[test]
fn polls_of_a_closed_connection_are_forgotten() {
    for mut world in worlds() {
        world.topic("t", 2, &[]);
        let (conn, producer) = (world.connect(0), world.connect(0));
        let call = FetchCall { max_wait_ms: 500, ..FetchCall::default() };
        let seq = world.send(conn, call.frame(&[("t", Uuid::ZERO, 0, 0), ("t", Uuid::ZERO, 1, 0)]));
        world.run();
        world.disconnect(conn);
        world.run();
        produce(&mut world, producer, &[("t", 0, &kilobyte()), ("t", 1, &kilobyte())]);
        world.advance(1000);
        assert_eq!(world.outcome(conn, seq), None);
    }
}

#[test]
fn cold_data_comes_from_disk_and_damage_stays_where_it_is() {
    for mut world in worlds() {
        let id = world.topic("t", 3, &[]);
        let conn = world.connect(0);
        for _ in 0..2 {
            let set = kilobyte();
            produce(&mut world, conn, &[("t", 0, &set), ("t", 1, &set), ("t", 2, &set)]);
        }
        for broker in &mut world.brokers {
            broker.store_mut().cool();
        }
        produce(&mut world, conn, &[("t", 0, &kilobyte())]);
        for (partition, spoil) in [(1, Spoiled::Corrupt as fn(_) -> _), (2, Spoiled::Io as fn(_) -> _)] {
            let (shard, log) = world.log_of(id, partition);
            world.brokers[shard].store_mut().spoiled.push(spoil(log));
        }
        let call = FetchCall { max_wait_ms: 500, max_bytes: 3 << 20, ..FetchCall::default() };
        let parts = [("t", Uuid::ZERO, 0, 1), ("t", Uuid::ZERO, 1, 0), ("t", Uuid::ZERO, 2, 0)];
        let outcome = world.ask(conn, call.frame(&parts));
        let expect =
            [part(0, 3, &[1, 2]), failed(1, ErrorCode::CorruptMessage), failed(2, ErrorCode::KafkaStorageError)];
        assert_eq!(call.read(&outcome).2, expect);
    }
}

#[test]
fn a_partition_that_the_disk_refuses_does_not_starve_those_behind_it() {
    let mut world = World::new(1, 1);
    let id = world.topic("t", 2, &[]);
    let conn = world.connect(0);
    produce(&mut world, conn, &[("t", 0, &kilobyte()), ("t", 1, &kilobyte())]);
    world.brokers[0].store_mut().cool();
    let (_, log) = world.log_of(id, 0);
    world.brokers[0].store_mut().spoiled.push(Spoiled::Io(log));
    // Less than a batch: only the first that has something gets it.
    let call = FetchCall { max_bytes: 100, ..FetchCall::default() };
    let parts = [("t", Uuid::ZERO, 0, 0), ("t", Uuid::ZERO, 1, 0)];
    for batches in [&[][..], &[0]] {
        let outcome = world.ask(conn, call.frame(&parts));
        assert_eq!(call.read(&outcome).2, [failed(0, ErrorCode::KafkaStorageError), part(1, 1, batches)]);
    }
}

#[test]
fn followers_are_refused_and_records_are_never_null() {
    let mut world = World::new(1, 1);
    let id = world.topic("t", 1, &[]);
    let conn = world.connect(0);
    for version in [12, 15] {
        let partition = FetchPartition { partition: 0, partition_max_bytes: 100, ..FetchPartition::default() };
        let replica_id = if version < 15 { 2 } else { -1 };
        let request = FetchRequest {
            replica_id,
            replica_state: ReplicaState { replica_id: 2, ..ReplicaState::default() },
            topics: vec![FetchTopic { topic: "t".into(), topic_id: id, partitions: vec![partition] }],
            ..FetchRequest::default()
        };
        let mut encoded = request.clone();
        if version < 15 {
            encoded.replica_state = ReplicaState::default();
        }
        let call = broker::testing::Call::new(ApiKey::Fetch, version);
        let outcome = world.ask(conn, call.frame(|writer, version| encoded.encode(writer, version)));
        let body = body_of(&outcome, ApiKey::Fetch, version);
        let response = FetchResponse::decode(&mut Reader::new(body), version).unwrap();
        let part = &response.responses[0].partitions[0];
        assert_eq!(part.error_code, ErrorCode::TopicAuthorizationFailed.code());
        assert_eq!(part.records.bytes(), Some(&[][..]));
    }
}

#[test]
fn http_on_the_port_and_unknown_keys_close_the_connection() {
    let mut world = World::new(1, 1);
    let conn = world.connect(0);
    for frame in [b"GET / HTTP/1.1\r\n".to_vec(), vec![], vec![0], vec![0, 99, 0, 0, 0, 0, 0, 0, 0, 0], vec![0xff; 64]]
    {
        let outcome = world.ask(conn, frame);
        assert!(matches!(outcome, Outcome::Close(_)), "{outcome:?}");
    }
}
