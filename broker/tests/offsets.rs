//! Offsets by name, time and epoch, and deleting records up to one. If this breaks, consumers start in the wrong place.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests, too, end the test")]

use broker::ConnId;
use broker::testing::{Call, World, ask_offsets, body_of, fetch, produce, records};
use protocol::batch::BatchBuilder;
use protocol::compress::Codec;
use protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use protocol::messages::keys::ApiKey;
use protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use protocol::{ErrorCode, Reader};

const NOW_MS: i64 = 1_700_000_000_000;
const OK: ErrorCode = ErrorCode::None;

fn worlds() -> impl Iterator<Item = World> {
    [(1, 1), (3, 2), (3, 3)].into_iter().map(|(shards, seed)| World::new(shards, seed))
}

/// Two partitions. The first has batches at 0 (times +10, +5), 2 (+30, +20, +30) and 5 (+25), the second none.
fn filled(mut world: World) -> (World, ConnId) {
    world.topic("t", 2, &[]);
    let conn = world.connect(0);
    for (codec, times) in [(Codec::None, &[10, 5][..]), (Codec::Gzip, &[30, 20, 30]), (Codec::Zstd, &[25])] {
        let mut builder = BatchBuilder::new().compression(codec, None);
        for time in times {
            builder.append(NOW_MS + time, None, Some(b"v"), &[]);
        }
        produce(&mut world, conn, &[("t", 0, &builder.build())]);
    }
    (world, conn)
}

#[test]
fn sentinels_and_times() {
    for cold in [false, true] {
        for world in worlds() {
            let (mut world, conn) = filled(world);
            if cold {
                world.brokers.iter_mut().for_each(|broker| broker.store_mut().cool());
            }
            let table = [
                (-1, (OK, -1, 6)),
                (-2, (OK, -1, 0)),
                (-3, (OK, NOW_MS + 30, 2)),
                (-4, (OK, -1, 0)),
                (-5, (OK, -1, -1)),
                (-6, (OK, -1, -1)),
                (-7, (ErrorCode::UnsupportedVersion, -1, -1)),
                (0, (OK, NOW_MS + 10, 0)),
                (NOW_MS + 10, (OK, NOW_MS + 10, 0)),
                (NOW_MS + 11, (OK, NOW_MS + 30, 2)),
                (NOW_MS + 30, (OK, NOW_MS + 30, 2)),
                (NOW_MS + 31, (OK, -1, -1)),
            ];
            for (timestamp, expect) in table {
                assert_eq!(ask_offsets(&mut world, conn, 11, &[("t", 0, timestamp)]), [expect], "{timestamp}");
            }
            let empty =
                [-1, -2, -3, NOW_MS].map(|timestamp| ask_offsets(&mut world, conn, 11, &[("t", 1, timestamp)])[0].2);
            assert_eq!(empty, [0, 0, -1, -1]);
        }
    }
}

#[test]
fn every_version() {
    for world in worlds() {
        let (mut world, conn) = filled(world);
        for version in 1..=11 {
            assert_eq!(ask_offsets(&mut world, conn, version, &[("t", 0, -1)]), [(OK, -1, 6)]);
            for (sentinel, since) in [(-3, 7), (-4, 8), (-5, 9), (-6, 11)] {
                let code = ask_offsets(&mut world, conn, version, &[("t", 0, sentinel)])[0].0;
                let expect = if version < since { ErrorCode::UnsupportedVersion } else { OK };
                assert_eq!(code, expect, "{sentinel} in version {version}");
            }
        }
    }
}

#[test]
fn duplicates_unknown_partitions_and_epochs() {
    for world in worlds() {
        let (mut world, conn) = filled(world);
        let got =
            ask_offsets(&mut world, conn, 8, &[("t", 0, -1), ("t", 0, -2), ("t", 1, -1), ("t", 9, -1), ("u", 0, -1)]);
        let codes: Vec<_> = got.iter().map(|part| part.0).collect();
        let unknown = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(codes, [ErrorCode::InvalidRequest, ErrorCode::InvalidRequest, OK, unknown, unknown]);
    }
}

#[test]
fn offsets_tell_the_epoch_of_the_record() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        produce(&mut world, conn, &[("t", 0, &records(NOW_MS, &["a", "b"]))]);
        world.new_epoch(id, 0, 4);
        produce(&mut world, conn, &[("t", 0, &records(NOW_MS + 100, &["c"]))]);
        let mut epoch_of = |timestamp, current_leader_epoch| {
            let partition =
                ListOffsetsPartition { partition_index: 0, current_leader_epoch, timestamp, ..Default::default() };
            let topics = vec![ListOffsetsTopic { name: "t".into(), partitions: vec![partition] }];
            let request = ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() };
            let frame = Call::new(ApiKey::ListOffsets, 7).frame(|writer, version| request.encode(writer, version));
            let outcome = world.ask(conn, frame);
            let body = body_of(&outcome, ApiKey::ListOffsets, 7);
            let response = ListOffsetsResponse::decode(&mut Reader::new(body), 7).unwrap();
            let part = &response.topics[0].partitions[0];
            (ErrorCode::try_from(part.error_code).unwrap(), part.offset, part.leader_epoch)
        };
        assert_eq!(epoch_of(-1, 4), (OK, 3, 4));
        assert_eq!(epoch_of(-2, -1), (OK, 0, 0));
        assert_eq!(epoch_of(NOW_MS + 50, 4), (OK, 2, 4));
        assert_eq!(epoch_of(-1, 3), (ErrorCode::FencedLeaderEpoch, -1, -1));
        assert_eq!(epoch_of(-1, 5), (ErrorCode::UnknownLeaderEpoch, -1, -1));
        let ends = [0, 2, 4, 5].map(|epoch| epoch_end(&mut world, conn, -1, epoch));
        assert_eq!(ends, [(OK, 0, 2), (OK, 0, 2), (OK, 4, 3), (OK, -1, -1)]);
        assert_eq!(epoch_end(&mut world, conn, 3, 0).0, ErrorCode::FencedLeaderEpoch);
    }
}

fn epoch_end(world: &mut World, conn: ConnId, current_leader_epoch: i32, leader_epoch: i32) -> (ErrorCode, i32, i64) {
    let mut last = None;
    for version in 2..=4 {
        let partition = OffsetForLeaderPartition { partition: 0, current_leader_epoch, leader_epoch };
        let topics = vec![OffsetForLeaderTopic { topic: "t".into(), partitions: vec![partition] }];
        let request = OffsetForLeaderEpochRequest { topics, ..OffsetForLeaderEpochRequest::default() };
        let key = ApiKey::OffsetForLeaderEpoch;
        let frame = Call::new(key, version).frame(|writer, version| request.encode(writer, version));
        let outcome = world.ask(conn, frame);
        let response = OffsetForLeaderEpochResponse::decode(&mut Reader::new(body_of(&outcome, key, version)), version);
        let part = &response.unwrap().topics[0].partitions[0];
        let got = (ErrorCode::try_from(part.error_code).unwrap(), part.leader_epoch, part.end_offset);
        assert!(last.is_none_or(|last| last == got), "all versions agree");
        last = Some(got);
    }
    last.unwrap()
}

fn delete(world: &mut World, conn: ConnId, topic: &str, partition_index: i32, offset: i64) -> (ErrorCode, i64) {
    let partitions = vec![DeleteRecordsPartition { partition_index, offset }];
    let topics = vec![DeleteRecordsTopic { name: topic.into(), partitions }];
    let request = DeleteRecordsRequest { topics, timeout_ms: 1000 };
    let version = (offset.unsigned_abs() % 3) as i16;
    let frame = Call::new(ApiKey::DeleteRecords, version).frame(|writer, version| request.encode(writer, version));
    let outcome = world.ask(conn, frame);
    let body = body_of(&outcome, ApiKey::DeleteRecords, version);
    let response = DeleteRecordsResponse::decode(&mut Reader::new(body), version).unwrap();
    let part = &response.topics[0].partitions[0];
    (ErrorCode::try_from(part.error_code).unwrap(), part.low_watermark)
}

#[test]
fn records_are_deleted_up_to_an_offset() {
    for world in worlds() {
        let (mut world, conn) = filled(world);
        assert_eq!(delete(&mut world, conn, "t", 0, 1), (OK, 1));
        assert_eq!(delete(&mut world, conn, "t", 0, 0), (OK, 1), "it never goes back");
        assert_eq!(delete(&mut world, conn, "t", 0, 7), (ErrorCode::OffsetOutOfRange, -1));
        assert_eq!(delete(&mut world, conn, "t", 0, -2), (ErrorCode::OffsetOutOfRange, -1));
        assert_eq!(delete(&mut world, conn, "t", 8, 0), (ErrorCode::UnknownTopicOrPartition, -1));
        assert_eq!(fetch(&mut world, conn, &[("t", 0, 0)])[0].code, ErrorCode::OffsetOutOfRange);
        let part = fetch(&mut world, conn, &[("t", 0, 1)]).remove(0);
        assert_eq!((part.log_start, part.batches), (1, vec![0, 2, 5]));
        let later = ask_offsets(&mut world, conn, 11, &[("t", 0, -2), ("t", 1, NOW_MS + 6)]);
        assert_eq!(later[0], (OK, -1, 1));
        let time = ask_offsets(&mut world, conn, 11, &[("t", 0, NOW_MS + 6)]);
        assert_eq!(time, [(OK, NOW_MS + 30, 2)], "the match before the start does not count");
        assert_eq!(delete(&mut world, conn, "t", 0, -1), (OK, 6));
        assert_eq!(ask_offsets(&mut world, conn, 11, &[("t", 0, -3)]), [(OK, -1, -1)]);
    }
}

#[test]
fn some_topics_keep_their_records() {
    for mut world in worlds() {
        world.topic("compacted", 1, &[("cleanup.policy", "compact")]);
        world.topic("both", 1, &[("cleanup.policy", "compact,delete")]);
        world.topic("__consumer_offsets", 1, &[]);
        let conn = world.connect(0);
        assert_eq!(delete(&mut world, conn, "compacted", 0, 0).0, ErrorCode::PolicyViolation);
        assert_eq!(delete(&mut world, conn, "both", 0, 0), (OK, 0));
        assert_eq!(delete(&mut world, conn, "__consumer_offsets", 0, 0).0, ErrorCode::InvalidTopicException);
    }
}
