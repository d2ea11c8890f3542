//! Clients that Kafka 4.0 turned away: what they produce, what they are given, and that nobody is told of it who did not ask.
//! If this breaks, applications of ten years ago lose their broker, or newer ones fall back to what they should not.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests, too, end the test")]

use broker::legacy::LegacyClients;
use broker::testing::{
    Call, FetchCall, Outcome, Produced, World, body_of, fetch, produce, produce_frame, produced, records,
};
use broker::{BrokerSettings, ConnId};
use protocol::batch::message_set::{DownRules, First, Magic, Message, down, messages};
use protocol::batch::{BatchBuilder, Header, Limits};
use protocol::compress::Codec;
use protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use protocol::messages::fetch::FetchResponse;
use protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse};
use protocol::{ApiKey, ErrorCode, Reader, Uuid, legacy};

const NOW_MS: i64 = 1_700_000_000_000;

fn worlds() -> impl Iterator<Item = World> {
    [(1, 1), (3, 2), (3, 3)].into_iter().map(|(shards, seed)| World::new(shards, seed))
}

fn batch(codec: Codec, values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new().compression(codec, None);
    for (timestamp, value) in (NOW_MS..).zip(values) {
        builder.append(timestamp, Some(b"k"), Some(value.as_bytes()), &[Header { key: b"h", value: None }]);
    }
    builder.build()
}

/// The same records as a client before 0.11 sends them.
fn set(magic: Magic, codec: Codec, values: &[&str]) -> Vec<u8> {
    let (bytes_max, room_bytes, limits) = (1 << 20, 1 << 22, Limits::default());
    let rules = DownRules { magic, from: 0, bytes_max, first: First::Whole, room_bytes, limits };
    down([&batch(codec, values)[..]], &rules).unwrap().set
}

fn ask_produce(world: &mut World, conn: ConnId, version: i16, set: &[u8]) -> Produced {
    let outcome = world.ask(conn, produce_frame(version, -1, &[("t", Uuid::ZERO, 0, set)]));
    produced(&outcome, version).remove(0)
}

/// Code and high watermark of the one partition of a fetch's answer, and its records.
fn ask_fetch(world: &mut World, conn: ConnId, call: FetchCall, offset: i64) -> (ErrorCode, i64, Vec<u8>) {
    let outcome = world.ask(conn, call.frame(&[("t", Uuid::ZERO, 0, offset)]));
    let mut reader = Reader::new(body_of(&outcome, ApiKey::Fetch, call.version));
    let response = FetchResponse::decode(&mut reader, call.version).unwrap();
    reader.finish().unwrap();
    let part = &response.responses[0].partitions[0];
    let code = ErrorCode::try_from(part.error_code).unwrap();
    (code, part.high_watermark, part.records.bytes().unwrap().to_vec())
}

fn old(version: i16) -> FetchCall {
    FetchCall { version, max_bytes: i32::MAX, ..FetchCall::default() }
}

fn offsets(set: &[u8]) -> Vec<i64> {
    messages(set).map(|message| message.unwrap().offset).collect()
}

#[test]
fn every_old_version_produces_and_fetches() {
    for mut world in worlds() {
        world.topic("t", 1, &[]);
        let conn = world.connect(0);
        let mut at = 0;
        for version in 0..3 {
            let magic = if version < 2 { Magic::V0 } else { Magic::V1 };
            for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4] {
                let got = ask_produce(&mut world, conn, version, &set(magic, codec, &["a", "b"]));
                assert_eq!(got, Produced::at(at), "version {version} {codec:?}");
                at += 2;
            }
        }
        for version in 0..4 {
            let (code, high_watermark, set) = ask_fetch(&mut world, conn, old(version), 1);
            assert_eq!((code, high_watermark), (ErrorCode::None, at), "version {version}");
            let all: Vec<Message<'_>> = messages(&set).map(Result::unwrap).collect();
            assert_eq!(all[0].offset, 1, "plain messages begin where they were asked for");
            assert_eq!(all.last().unwrap().offset, at - 1);
            let magic = if version < 2 { Magic::V0 } else { Magic::V1 };
            assert!(all.iter().all(|message| message.magic == magic), "version {version}");
            let codecs: Vec<u8> = all.iter().map(Message::codec).collect();
            assert_eq!(codecs, [0, 1, 2, 3, 0, 0, 1, 2, 3, 0, 0, 1, 2, 3], "version {version}");
            assert_eq!((all[0].key, all[0].value), (Some(&b"k"[..]), Some(&b"b"[..])));
        }
        let newer = fetch(&mut world, conn, &[("t", 0, 0)]).remove(0);
        assert_eq!(newer.batches.len(), 12, "what is stored are batches");
    }
}

#[test]
fn bad_sets_are_refused_by_their_partition() {
    let mut world = World::new(1, 1);
    world.topic("t", 1, &[("max.message.bytes", "2000")]);
    let conn = world.connect(0);
    let good = set(Magic::V1, Codec::None, &["a"]);
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut foreign = good.clone();
    foreign[16] = 3;
    let mixed = [good.clone(), set(Magic::V0, Codec::None, &["a"])].concat();
    let large = set(Magic::V1, Codec::None, &["x".repeat(2000).as_str()]);
    let many: Vec<String> = (0..100).map(|i| format!("value number {i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (set, code) in [
        (&flipped, ErrorCode::CorruptMessage),
        (&foreign, ErrorCode::CorruptMessage),
        (&good[..good.len() - 1].to_vec(), ErrorCode::CorruptMessage),
        (&mixed, ErrorCode::InvalidRecord),
        (&vec![], ErrorCode::InvalidRecord),
        (&large, ErrorCode::MessageTooLarge),
        (&set(Magic::V1, Codec::None, &many), ErrorCode::MessageTooLarge),
    ] {
        assert_eq!(ask_produce(&mut world, conn, 2, set), Produced::failed(code));
    }
    assert_eq!(ask_produce(&mut world, conn, 2, &good), Produced::at(0));
    assert_eq!(
        ask_produce(&mut world, conn, 2, &batch(Codec::None, &["b"])),
        Produced::at(1),
        "Kafka took these as well"
    );
    assert_eq!(ask_produce(&mut world, conn, 3, &good), Produced::failed(ErrorCode::InvalidRecord), "as Kafka does");
}

#[test]
fn topics_keep_their_rules() {
    let mut world = World::new(1, 1);
    let id = world.topic("t", 1, &[("compression.type", "zstd"), ("message.timestamp.type", "LogAppendTime")]);
    let conn = world.connect(0);
    let got = ask_produce(&mut world, conn, 2, &set(Magic::V1, Codec::Gzip, &["a", "b"]));
    assert_eq!(got, Produced { append_time_ms: NOW_MS, ..Produced::at(0) });
    let log = world.brokers[0].store().log_of(id.0, 0).unwrap();
    let bytes = world.brokers[0].store().bytes_of(log);
    assert_eq!(protocol::batch::BatchView::parse(&bytes).unwrap().0.codec(), Codec::Zstd);
    let (code, _, set) = ask_fetch(&mut world, conn, old(3), 0);
    assert_eq!((code, set.len()), (ErrorCode::UnsupportedCompressionType, 0), "zstd is nothing for old clients");
}

#[test]
fn a_limit_cuts_the_first_message_for_the_oldest_and_gives_it_whole_from_version_3_on() {
    for mut world in worlds() {
        world.topic("t", 1, &[]);
        let conn = world.connect(0);
        produce(&mut world, conn, &[("t", 0, &batch(Codec::None, &["x".repeat(500).as_str(), "y"]))]);
        produce(&mut world, conn, &[("t", 0, &batch(Codec::None, &["z"]))]);
        for (version, bytes) in [(0, 100), (1, 100), (2, 100), (3, 535)] {
            let call = FetchCall { partition_bytes: 100, ..old(version) };
            assert_eq!(ask_fetch(&mut world, conn, call, 0).2.len(), bytes, "version {version}");
        }
        let call = FetchCall { partition_bytes: 100, ..old(2) };
        assert_eq!(offsets(&ask_fetch(&mut world, conn, call, 1).2), [1], "what comes first and fits");
    }
}

/// Before version 3 there is no limit for all partitions, so that each has to move by itself.
#[test]
fn every_partition_of_an_old_fetch_has_its_first_message() {
    for mut world in worlds() {
        world.topic("t", 2, &[]);
        let conn = world.connect(0);
        let large = batch(Codec::None, &["x".repeat(5000).as_str()]);
        produce(&mut world, conn, &[("t", 0, &large), ("t", 1, &large)]);
        let call = FetchCall { partition_bytes: 100, ..old(1) };
        let outcome = world.ask(conn, call.frame(&[("t", Uuid::ZERO, 0, 0), ("t", Uuid::ZERO, 1, 0)]));
        let body = body_of(&outcome, ApiKey::Fetch, 1);
        let response = FetchResponse::decode(&mut Reader::new(body), 1).unwrap();
        let parts = response.responses.iter().flat_map(|topic| &topic.partitions);
        let lens: Vec<_> = parts.map(|part| part.records.bytes().unwrap().len()).collect();
        assert_eq!(lens, [100, 100]);
    }
}

/// A limit full of control batches must not stop a client that cannot have them.
#[test]
fn an_old_fetch_reads_on_behind_what_it_cannot_have() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        for _ in 0..5 {
            let mut marker = BatchBuilder::new().producer(9, 0, -1).transactional().control();
            marker.append(NOW_MS, Some(&[0, 0, 0, 1]), Some(&[0; 6]), &[]);
            world.append_own(id, 0, marker.build());
        }
        produce(&mut world, conn, &[("t", 0, &records(NOW_MS, &["a"]))]);
        let call = FetchCall { partition_bytes: 90, ..old(2) };
        assert_eq!(offsets(&ask_fetch(&mut world, conn, call, 0).2), [5]);
    }
}

/// A partition that has records all the time must not hold up one whose next batch the client cannot have.
#[test]
fn reading_on_is_for_each_partition() {
    for mut world in worlds() {
        let id = world.topic("t", 2, &[]);
        let conn = world.connect(0);
        let mut marker = BatchBuilder::new().producer(9, 0, -1).transactional().control();
        marker.append(NOW_MS, Some(&[0, 0, 0, 1]), Some(&[0; 6]), &[]);
        world.append_own(id, 1, marker.build());
        produce(&mut world, conn, &[("t", 0, &records(NOW_MS, &["a"])), ("t", 1, &records(NOW_MS, &["b"]))]);
        let call = FetchCall { partition_bytes: 90, ..old(2) };
        let outcome = world.ask(conn, call.frame(&[("t", Uuid::ZERO, 0, 0), ("t", Uuid::ZERO, 1, 0)]));
        let response = FetchResponse::decode(&mut Reader::new(body_of(&outcome, ApiKey::Fetch, 2)), 2).unwrap();
        let parts = response.responses.iter().flat_map(|topic| &topic.partitions);
        let found: Vec<_> = parts.map(|part| offsets(part.records.bytes().unwrap())).collect();
        assert_eq!(found, [[0], [1]]);
    }
}

#[test]
fn who_wants_no_bytes_gets_none() {
    let mut world = World::new(1, 1);
    world.topic("t", 1, &[]);
    let conn = world.connect(0);
    produce(&mut world, conn, &[("t", 0, &records(NOW_MS, &["a"]))]);
    for version in 0..3 {
        let call = FetchCall { partition_bytes: 0, ..old(version) };
        assert_eq!(ask_fetch(&mut world, conn, call, 0), (ErrorCode::None, 1, vec![]), "version {version}");
    }
}

#[test]
fn conversion_waits_for_its_memory() {
    let settings = BrokerSettings { legacy_bytes_max: 1 << 20, ..BrokerSettings::default() };
    let mut world = World::with(1, 1, settings);
    world.topic("t", 1, &[]);
    let conn = world.connect(0);
    produce(&mut world, conn, &[("t", 0, &batch(Codec::Gzip, &["a"]))]);
    world.brokers[0].store_mut().rebuilt_elsewhere = 1 << 20;
    let (code, _, set) = ask_fetch(&mut world, conn, old(2), 0);
    assert_eq!((code, set.len()), (ErrorCode::None, 0), "nothing now, and no error: it asks again");
    let seq = world.send(conn, produce_frame(2, -1, &[("t", Uuid::ZERO, 0, &set_of_one())]));
    world.run();
    assert_eq!(world.outcome(conn, seq), None, "an append waits");
    world.brokers[0].store_mut().rebuilt_elsewhere = 0;
    world.advance(10);
    let outcome = world.outcome(conn, seq).unwrap();
    assert_eq!(produced(outcome, 2), [Produced::at(1)]);
    assert_eq!(offsets(&ask_fetch(&mut world, conn, old(2), 0).2), [0, 1]);
}

fn set_of_one() -> Vec<u8> {
    set(Magic::V1, Codec::None, &["b"])
}

/// A batch that can never be converted must not leave its reader asking for ever.
#[test]
fn what_is_larger_than_the_budget_is_an_error() {
    let settings = BrokerSettings { legacy_bytes_max: 4096, ..BrokerSettings::default() };
    let mut world = World::with(1, 1, settings);
    world.topic("t", 1, &[]);
    let conn = world.connect(0);
    let large = "x".repeat(3000);
    produce(&mut world, conn, &[("t", 0, &batch(Codec::Gzip, &[large.as_str()]))]);
    assert_eq!(ask_fetch(&mut world, conn, old(2), 0).0, ErrorCode::MessageTooLarge);
    let got = ask_produce(&mut world, conn, 2, &set(Magic::V1, Codec::Gzip, &[large.as_str()]));
    assert_eq!(got, Produced::failed(ErrorCode::MessageTooLarge));
}

fn listed(clients: LegacyClients) -> Vec<(i16, i16)> {
    let mut world = World::with(1, 1, BrokerSettings { legacy_clients: clients, ..BrokerSettings::default() });
    let conn = world.connect(0);
    let request = ApiVersionsRequest::default();
    let frame = Call::new(ApiKey::ApiVersions, 0).frame(|writer, version| request.encode(writer, version));
    let outcome = world.ask(conn, frame);
    let body = body_of(&outcome, ApiKey::ApiVersions, 0);
    let response = ApiVersionsResponse::decode(&mut Reader::new(body), 0).unwrap();
    response.api_keys.iter().map(|row| (row.api_key, row.min_version)).collect()
}

#[test]
fn old_versions_are_listed_only_where_the_operator_says_so() {
    let stock = listed(LegacyClients::Off);
    assert_eq!(listed(LegacyClients::Unadvertised), stock);
    for (key, min) in listed(LegacyClients::Advertised) {
        let old = legacy(ApiKey::try_from(key).unwrap());
        let (_, stock_min) = stock.iter().find(|row| row.0 == key).unwrap();
        assert_eq!(min, old.map_or(*stock_min, |old| old.min), "key {key}");
    }
    assert!(stock.contains(&(1, 4)) && listed(LegacyClients::Advertised).contains(&(1, 0)));
}

#[test]
fn off_means_refused_as_kafka_refuses() {
    let settings = BrokerSettings { legacy_clients: LegacyClients::Off, ..BrokerSettings::default() };
    for (key, version) in
        [(ApiKey::Produce, 2), (ApiKey::Fetch, 3), (ApiKey::OffsetCommit, 1), (ApiKey::CreateTopics, 0)]
    {
        let mut world = World::with(1, 1, settings.clone());
        let conn = world.connect(0);
        let frame = Call::new(key, version).frame(|_, _| Ok(()));
        assert!(matches!(world.ask(conn, frame), Outcome::Close(_)), "{key:?} {version}");
    }
}

fn list_v0(world: &mut World, conn: ConnId, timestamp: i64, max_num_offsets: i32) -> Vec<i64> {
    let partitions = vec![ListOffsetsPartition {
        partition_index: 0,
        timestamp,
        max_num_offsets,
        ..ListOffsetsPartition::default()
    }];
    let topics = vec![ListOffsetsTopic { name: "t".into(), partitions }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() };
    let frame = Call::new(ApiKey::ListOffsets, 0).frame(|writer, version| request.encode(writer, version));
    let outcome = world.ask(conn, frame);
    let body = body_of(&outcome, ApiKey::ListOffsets, 0);
    let response = ListOffsetsResponse::decode(&mut Reader::new(body), 0).unwrap();
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
    response.topics[0].partitions[0].old_style_offsets.clone()
}

/// In the tests' storage every batch is a segment.
#[test]
fn list_offsets_0_lists_where_segments_begin() {
    for mut world in worlds() {
        world.topic("t", 1, &[]);
        let conn = world.connect(0);
        assert_eq!(list_v0(&mut world, conn, -1, 5), [0]);
        assert_eq!(list_v0(&mut world, conn, -2, 5), [0]);
        for at in 0..3 {
            produce(&mut world, conn, &[("t", 0, &records(NOW_MS + at * 100, &["a", "b"]))]);
        }
        assert_eq!(list_v0(&mut world, conn, -1, 1), [6]);
        assert_eq!(list_v0(&mut world, conn, -1, 10), [6, 4, 2, 0]);
        assert_eq!(list_v0(&mut world, conn, -2, 10), [0]);
        assert_eq!(list_v0(&mut world, conn, NOW_MS + 150, 10), [2, 0]);
        assert_eq!(list_v0(&mut world, conn, NOW_MS + 150, 1), [2]);
        assert_eq!(list_v0(&mut world, conn, NOW_MS - 1, 10), [] as [i64; 0]);
        assert_eq!(list_v0(&mut world, conn, -1, -3), [] as [i64; 0]);
    }
}

fn fetch_offset(world: &mut World, conn: ConnId, version: i16, partition: i32) -> (i64, i16) {
    let topics = vec![OffsetFetchRequestTopic { name: "t".into(), partition_indexes: vec![partition] }];
    let request = OffsetFetchRequest { group_id: "g".into(), topics: Some(topics), ..OffsetFetchRequest::default() };
    let frame = Call::new(ApiKey::OffsetFetch, version).frame(|writer, version| request.encode(writer, version));
    let outcome = world.ask(conn, frame);
    let body = body_of(&outcome, ApiKey::OffsetFetch, version);
    let response = OffsetFetchResponse::decode(&mut Reader::new(body), version).unwrap();
    let part = &response.topics[0].partitions[0];
    (part.committed_offset, part.error_code)
}

#[test]
fn offsets_of_zookeepers_time_are_stored_like_any_others() {
    for mut world in worlds() {
        world.topic("t", 2, &[]);
        world.topic("__consumer_offsets", 3, &[("cleanup.policy", "compact")]);
        let conn = world.connect(0);
        for (version, offset) in [(0, 41), (1, 42)] {
            let partitions = vec![OffsetCommitRequestPartition {
                committed_offset: offset,
                ..OffsetCommitRequestPartition::default()
            }];
            let topics =
                vec![OffsetCommitRequestTopic { name: "t".into(), partitions, ..OffsetCommitRequestTopic::default() }];
            let request = OffsetCommitRequest { group_id: "g".into(), topics, ..OffsetCommitRequest::default() };
            let frame =
                Call::new(ApiKey::OffsetCommit, version).frame(|writer, version| request.encode(writer, version));
            let outcome = world.ask(conn, frame);
            let body = body_of(&outcome, ApiKey::OffsetCommit, version);
            let response = OffsetCommitResponse::decode(&mut Reader::new(body), version).unwrap();
            assert_eq!(response.topics[0].partitions[0].error_code, 0, "version {version}");
            for version in 0..8 {
                assert_eq!(fetch_offset(&mut world, conn, version, 0), (offset, 0), "version {version}");
            }
        }
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        assert_eq!(fetch_offset(&mut world, conn, 0, 1), (-1, unknown), "so version 0 says that there is none");
        assert_eq!(fetch_offset(&mut world, conn, 1, 1), (-1, 0));
    }
}
