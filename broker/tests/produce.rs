//! Producing: what is acknowledged, when, and with which error. If this breaks, clients lose records or retry for ever.

use broker::BrokerSettings;
use broker::legacy::LegacyClients;
use broker::testing::{Call, Outcome, Produced, World, fetch, produce, produce_frame, produced, records};
use protocol::messages::keys::ApiKey;
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::{ErrorCode, Records, Uuid};

const NOW_MS: i64 = 1_700_000_000_000;

/// The same with one shard and with three.
fn worlds() -> impl Iterator<Item = World> {
    [(1, 1), (3, 2), (3, 3)].into_iter().map(|(shards, seed)| World::new(shards, seed))
}

#[test]
fn offsets_follow_each_other_in_every_partition() {
    for mut world in worlds() {
        world.topic("t", 3, &[]);
        let conn = world.connect(0);
        let (two, three) = (records(NOW_MS, &["a", "b"]), records(NOW_MS, &["c", "d", "e"]));
        let got = produce(&mut world, conn, &[("t", 0, &two), ("t", 2, &three)]);
        assert_eq!(got, [Produced::at(0), Produced::at(0)]);
        let got = produce(&mut world, conn, &[("t", 0, &three), ("t", 1, &two), ("t", 2, &two)]);
        assert_eq!(got, [Produced::at(2), Produced::at(0), Produced::at(3)]);
        let parts = fetch(&mut world, conn, &[("t", 0, 0), ("t", 1, 0), ("t", 2, 0)]);
        let batches: Vec<_> = parts.into_iter().map(|part| (part.high_watermark, part.batches)).collect();
        assert_eq!(batches, [(5, vec![0, 2]), (2, vec![0]), (5, vec![0, 3])]);
    }
}

#[test]
fn every_version_by_name_and_by_id() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        let set = records(NOW_MS, &["a"]);
        for (offset, version) in (3..=13).enumerate() {
            let outcome = world.ask(conn, produce_frame(version, 1, &[("t", id, 0, &set)]));
            assert_eq!(produced(&outcome, version), [Produced::at(offset as i64)], "version {version}");
        }
    }
}

#[test]
fn old_versions_close_the_connection_where_they_are_off() {
    let settings = BrokerSettings { legacy_clients: LegacyClients::Off, ..BrokerSettings::default() };
    let mut world = World::with(1, 1, settings);
    let conn = world.connect(0);
    for version in 0..3 {
        let frame = Call::new(ApiKey::Produce, version).frame(|_, _| Ok(()));
        let expect = format!("Produce version {version} is not served");
        assert_eq!(world.ask(conn, frame), Outcome::Close(expect));
    }
}

#[test]
fn one_bad_partition_leaves_the_others_alone() {
    for mut world in worlds() {
        world.topic("t", 2, &[("max.message.bytes", "1000")]);
        world.topic("__consumer_offsets", 1, &[]);
        let conn = world.connect(0);
        let good = records(NOW_MS, &["a"]);
        let large = records(NOW_MS, &["x".repeat(1000).as_str()]);
        let future = records(NOW_MS + 4_000_000, &["a", "b"]);
        let mut damaged = good.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let parts: [(&str, i32, &[u8]); 9] = [
            ("t", 0, &good),
            ("t", 1, &damaged),
            ("t", 1, &large),
            ("t", 1, &future),
            ("t", 1, &[]),
            ("t", 2, &good),
            ("nope", 0, &good),
            ("__consumer_offsets", 0, &good),
            ("t", 1, &good),
        ];
        let got = produce(&mut world, conn, &parts);
        let codes: Vec<_> = got.iter().map(|part| part.code).collect();
        let expect = [
            ErrorCode::None,
            ErrorCode::CorruptMessage,
            ErrorCode::MessageTooLarge,
            ErrorCode::InvalidTimestamp,
            ErrorCode::InvalidRecord,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::InvalidTopicException,
            ErrorCode::None,
        ];
        assert_eq!(codes, expect);
        assert_eq!(got[3].bad_records, [1], "the record that is named has the largest timestamp");
        assert_eq!(got[8], Produced::at(0));
    }
}

#[test]
fn unknown_ids_and_acks() {
    for mut world in worlds() {
        world.topic("t", 1, &[]);
        let conn = world.connect(0);
        let set = records(NOW_MS, &["a"]);
        let outcome = world.ask(conn, produce_frame(13, -1, &[("", Uuid([9; 16]), 0, &set)]));
        assert_eq!(produced(&outcome, 13), [Produced::failed(ErrorCode::UnknownTopicId)]);
        for acks in [2, -2, 77] {
            let outcome = world.ask(conn, produce_frame(9, acks, &[("t", Uuid::ZERO, 0, &set)]));
            assert_eq!(produced(&outcome, 9), [Produced::failed(ErrorCode::InvalidRequiredAcks)]);
        }
    }
}

#[test]
fn a_transactional_id_is_refused_and_nothing_is_appended() {
    let mut world = World::new(1, 1);
    world.topic("t", 1, &[]);
    let conn = world.connect(0);
    let set = records(NOW_MS, &["a"]);
    let partition_data = vec![PartitionProduceData { index: 0, records: Records::Bytes(&set) }];
    let topic = TopicProduceData { name: "t".into(), topic_id: Uuid::ZERO, partition_data };
    let request =
        ProduceRequest { transactional_id: Some("tx".into()), acks: -1, timeout_ms: 1000, topic_data: vec![topic] };
    let frame = Call::new(ApiKey::Produce, 9).frame(|writer, version| request.encode(writer, version));
    assert_eq!(produced(&world.ask(conn, frame), 9), [Produced::failed(ErrorCode::InvalidTxnState)]);
    assert_eq!(fetch(&mut world, conn, &[("t", 0, 0)])[0].high_watermark, 0);
}

#[test]
fn an_answer_waits_for_the_disk_and_readers_too() {
    for acks in [1, -1] {
        for mut world in worlds() {
            world.topic("t", 1, &[]);
            let conn = world.connect(0);
            world.flushes = false;
            let seq = world.send(conn, produce_frame(9, acks, &[("t", Uuid::ZERO, 0, &records(NOW_MS, &["a"]))]));
            world.run();
            assert_eq!(world.outcome(conn, seq), None);
            assert_eq!(fetch(&mut world, conn, &[("t", 0, 0)])[0].batches, [0; 0]);
            world.flush();
            world.run();
            assert_eq!(produced(world.outcome(conn, seq).unwrap(), 9), [Produced::at(0)]);
            assert_eq!(fetch(&mut world, conn, &[("t", 0, 0)])[0].batches, [0]);
        }
    }
}

#[test]
fn without_acks_there_is_no_answer_and_failure_closes() {
    for mut world in worlds() {
        world.topic("t", 2, &[]);
        let conn = world.connect(0);
        let set = records(NOW_MS, &["a"]);
        let parts = [("t", Uuid::ZERO, 0, set.as_slice()), ("t", Uuid::ZERO, 1, set.as_slice())];
        world.flushes = false;
        assert_eq!(world.ask(conn, produce_frame(9, 0, &parts)), Outcome::NoReply);
        let bad = [parts[0], ("t", Uuid::ZERO, 7, set.as_slice())];
        let expect = "a produce request with acks=0 failed: UNKNOWN_TOPIC_OR_PARTITION";
        assert_eq!(world.ask(conn, produce_frame(9, 0, &bad)), Outcome::Close(expect.to_owned()));
    }
}

#[test]
fn pipelined_requests_keep_their_order_even_when_memory_is_short() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        let (shard, _) = world.log_of(id, 0);
        world.brokers[shard].store_mut().busy = 3;
        let seqs: Vec<u64> = (0..8)
            .map(|i| {
                let set = records(NOW_MS, &[i.to_string().as_str()]);
                world.send(conn, produce_frame(9, -1, &[("t", Uuid::ZERO, 0, &set)]))
            })
            .collect();
        for _ in 0..4 {
            world.advance(5);
        }
        for (offset, seq) in (0..).zip(seqs) {
            assert_eq!(produced(world.outcome(conn, seq).unwrap(), 9), [Produced::at(offset)]);
        }
    }
}

#[test]
fn an_append_that_is_not_durable_in_time_times_out() {
    for mut world in worlds() {
        world.topic("t", 1, &[]);
        let conn = world.connect(0);
        world.flushes = false;
        let seq = world.send(conn, produce_frame(9, -1, &[("t", Uuid::ZERO, 0, &records(NOW_MS, &["a"]))]));
        world.run();
        world.advance(29_999);
        assert_eq!(world.outcome(conn, seq), None);
        world.advance(1);
        let outcome = world.outcome(conn, seq).unwrap();
        assert_eq!(produced(outcome, 9), [Produced::failed(ErrorCode::RequestTimedOut)]);
        world.flush();
        world.run();
    }
}

#[test]
fn topics_may_choose_the_clock_and_the_codec() {
    for mut world in worlds() {
        world.topic("clock", 1, &[("message.timestamp.type", "LogAppendTime")]);
        let zipped = world.topic("zip", 1, &[("compression.type", "zstd")]);
        let conn = world.connect(0);
        let set = records(5, &["a", "b"]);
        let got = produce(&mut world, conn, &[("clock", 0, &set), ("zip", 0, &set)]);
        assert_eq!(got, [Produced { append_time_ms: NOW_MS, ..Produced::at(0) }, Produced::at(0)]);
        let (shard, log) = world.log_of(zipped, 0);
        let stored = world.brokers[shard].store().bytes_of(log);
        let (batch, _) = protocol::batch::BatchView::parse(&stored).unwrap();
        assert_eq!((batch.codec(), batch.check_crc()), (protocol::compress::Codec::Zstd, Ok(())));
    }
}
