//! What lies in which log directory, moves between them, and what producers a partition knows. If this breaks, kafka-log-dirs.sh and
//! kafka-reassign-partitions.sh show or do something else than what is asked.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests, too, end the test")]

use broker::log_dirs::LogDir;
use broker::testing::{Call, World, body_of, produce, records};
use broker::{BrokerSettings, ConnId};
use protocol::batch::BatchBuilder;
use protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse,
};
use protocol::messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest, DescribeLogDirsResponse};
use protocol::messages::describe_producers::{DescribeProducersRequest, DescribeProducersResponse, TopicRequest};
use protocol::messages::keys::ApiKey;
use protocol::{ErrorCode, Reader};

const OK: i16 = 0;

fn settings(offline: &[bool], statics: &[(&str, &str)]) -> BrokerSettings {
    let statics = statics.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut settings = BrokerSettings::new(1, BrokerSettings::default().listeners, statics);
    let dir = |(at, is_offline): (usize, &bool)| LogDir { path: format!("/d{at}"), is_offline: *is_offline };
    settings.log_dirs = offline.iter().enumerate().map(dir).collect();
    settings
}

fn worlds() -> impl Iterator<Item = World> {
    [(1, 1), (3, 2)].into_iter().map(|(shards, seed)| World::with(shards, seed, settings(&[false, false], &[])))
}

/// Directory, error, and (topic, partition, bytes, lag, future) of its replicas.
type Described = Vec<(String, i16, Vec<(String, i32, i64, i64, bool)>)>;

fn describe(world: &mut World, conn: ConnId, version: i16, topics: Option<&[(&str, &[i32])]>) -> Described {
    let topic = |(topic, partitions): &(&'static str, &[i32])| DescribableLogDirTopic {
        topic: (*topic).into(),
        partitions: partitions.to_vec(),
    };
    let topics: Option<Vec<(&'static str, &[i32])>> =
        topics.map(|topics| topics.iter().map(|(name, at)| (&*name.to_string().leak(), *at)).collect());
    let request = DescribeLogDirsRequest { topics: topics.map(|topics| topics.iter().map(topic).collect()) };
    let key = ApiKey::DescribeLogDirs;
    let outcome = world.ask(conn, Call::new(key, version).frame(|writer, version| request.encode(writer, version)));
    let body = body_of(&outcome, key, version).to_vec();
    let response = DescribeLogDirsResponse::decode(&mut Reader::new(&body), version).unwrap();
    let results = response.results.iter().map(|result| {
        if version >= 4 && result.error_code == OK {
            assert_eq!(result.usable_bytes * 2, result.total_bytes);
        }
        let replicas = result.topics.iter().flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|p| (topic.name.to_string(), p.partition_index, p.partition_size, p.offset_lag, p.is_future_key))
        });
        (result.log_dir.to_string(), result.error_code, replicas.collect())
    });
    results.collect()
}

fn alter(world: &mut World, conn: ConnId, moves: &[(&'static str, &'static str, &[i32])]) -> Vec<(String, i32, i16)> {
    let dirs = moves.iter().map(|(path, topic, partitions)| AlterReplicaLogDir {
        path: (*path).into(),
        topics: vec![AlterReplicaLogDirTopic { name: (*topic).into(), partitions: partitions.to_vec() }],
    });
    let request = AlterReplicaLogDirsRequest { dirs: dirs.collect() };
    let mut last = None;
    for version in 1..=2 {
        let key = ApiKey::AlterReplicaLogDirs;
        let outcome = world.ask(conn, Call::new(key, version).frame(|writer, version| request.encode(writer, version)));
        let body = body_of(&outcome, key, version).to_vec();
        let response = AlterReplicaLogDirsResponse::decode(&mut Reader::new(&body), version).unwrap();
        let results = response.results.iter().flat_map(|topic| {
            topic.partitions.iter().map(|p| (topic.topic_name.to_string(), p.partition_index, p.error_code))
        });
        let results: Vec<_> = results.collect();
        assert!(last.is_none_or(|last| last == results), "both versions say the same");
        last = Some(results);
    }
    last.unwrap()
}

#[test]
fn all_shards_say_what_they_have() {
    for mut world in worlds() {
        world.topic("a", 3, &[]);
        world.topic("b", 1, &[]);
        let conn = world.connect(0);
        let batch = records(0, &["v"]);
        produce(&mut world, conn, &[("a", 1, &batch)]);
        let size = batch.len() as i64;
        let of = |topic: &str, partition, size| (topic.to_owned(), partition, size, 0, false);
        let all = vec![of("a", 0, 0), of("a", 1, size), of("a", 2, 0), of("b", 0, 0)];
        let expect = |replicas: Vec<_>| vec![("/d0".to_owned(), OK, replicas), ("/d1".to_owned(), OK, vec![])];
        for version in 1..=5 {
            assert_eq!(describe(&mut world, conn, version, None), expect(all.clone()));
        }
        let filter: &[(&str, &[i32])] = &[("a", &[1, 7]), ("nobody", &[0]), ("a", &[2])];
        assert_eq!(describe(&mut world, conn, 5, Some(filter)), expect(all[1..3].to_vec()));
        assert_eq!(describe(&mut world, conn, 5, Some(&[])), expect(vec![]));
    }
}

#[test]
fn a_move_is_seen_until_it_ends() {
    for mut world in worlds() {
        let id = world.topic("a", 1, &[]);
        let conn = world.connect(0);
        let batch = records(0, &["v", "w", "x"]);
        produce(&mut world, conn, &[("a", 0, &batch)]);
        let size = batch.len() as i64;
        assert_eq!(alter(&mut world, conn, &[("/d1", "a", &[0])]), [("a".to_owned(), 0, OK)]);
        let current = ("a".to_owned(), 0, size, 0, false);
        let future = |size, lag| ("a".to_owned(), 0, size, lag, true);
        assert_eq!(describe(&mut world, conn, 5, None)[1].2, [future(0, 3)]);
        let (shard, log) = world.log_of(id, 0);
        world.brokers[shard].store_mut().copy_to(log, 2);
        assert_eq!(describe(&mut world, conn, 5, None)[0].2, std::slice::from_ref(&current));
        assert_eq!(describe(&mut world, conn, 5, None)[1].2, [future(size, 1)]);
        world.brokers[shard].store_mut().copy_to(log, 3);
        assert_eq!(describe(&mut world, conn, 5, None)[0].2, []);
        assert_eq!(describe(&mut world, conn, 5, None)[1].2, [current]);
        // Where it is already: nothing to do.
        assert_eq!(alter(&mut world, conn, &[("/d1", "a", &[0])]), [("a".to_owned(), 0, OK)]);
        assert_eq!(describe(&mut world, conn, 5, None)[0].2, []);
    }
}

#[test]
fn what_cannot_be_moved_says_why() {
    for mut world in worlds() {
        let id = world.topic("a", 2, &[]);
        let conn = world.connect(0);
        let (shard, log) = world.log_of(id, 1);
        world.brokers[shard].store_mut().fence(log);
        world.run();
        let long: &'static str = "n".repeat(214).leak();
        let got = alter(
            &mut world,
            conn,
            &[
                ("/d9", "a", &[0]),
                ("/d1/", "a", &[0]),
                ("/d1", "a", &[1, 7]),
                ("/d1", "nobody", &[0]),
                ("/d1", long, &[0]),
            ],
        );
        let codes = [
            (ErrorCode::LogDirNotFound, "a"),
            (ErrorCode::LogDirNotFound, "a"),
            (ErrorCode::KafkaStorageError, "a"),
            (ErrorCode::UnknownTopicOrPartition, "a"),
            (ErrorCode::InvalidTopicException, long),
            (ErrorCode::UnknownTopicOrPartition, "nobody"),
        ];
        let got: Vec<_> = got.iter().map(|(topic, _, code)| (*code, topic.as_str())).collect();
        assert_eq!(got, codes.map(|(code, topic)| (code.code(), topic)));
    }
}

#[test]
fn a_partition_is_made_where_it_was_wished_for() {
    for mut world in worlds() {
        let conn = world.connect(0);
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        assert_eq!(alter(&mut world, conn, &[("/d1", "later", &[1])]), [("later".to_owned(), 1, unknown)]);
        world.topic("later", 2, &[]);
        let described = describe(&mut world, conn, 5, None);
        assert_eq!(described[0].2, [("later".to_owned(), 0, 0, 0, false)]);
        assert_eq!(described[1].2, [("later".to_owned(), 1, 0, 0, false)]);
    }
}

#[test]
fn wishes_are_bounded() {
    let mut world = worlds().next().unwrap();
    let conn = world.connect(0);
    let far: Vec<i32> = (0..30_000).collect();
    alter(&mut world, conn, &[("/d1", "later", far.leak())]);
    world.topic("later", 12_000, &[]);
    let described = describe(&mut world, conn, 5, None);
    assert_eq!((described[0].2.len(), described[1].2.len()), (2_000, 10_000));
}

#[test]
fn an_offline_directory_hides_what_may_lie_in_it() {
    for shards in [1, 3] {
        let mut world = World::with(shards, 5, settings(&[false, true], &[]));
        world.topic("old", 1, &[]);
        world.topic("new", 1, &[]);
        let conn = world.connect(0);
        let batch = records(0, &["v"]);
        let codes: Vec<_> = ["old", "new"].map(|name| produce(&mut world, conn, &[(name, 0, &batch)])[0].code).into();
        assert_eq!(
            codes,
            [ErrorCode::KafkaStorageError, ErrorCode::None],
            "only what was there at the start may be hidden"
        );
        let described = describe(&mut world, conn, 5, None);
        assert_eq!(described[0].2.iter().map(|replica| replica.0.as_str()).collect::<Vec<_>>(), ["new"]);
        assert_eq!(described[1], ("/d1".to_owned(), ErrorCode::KafkaStorageError.code(), vec![]));
        let storage = ErrorCode::KafkaStorageError.code();
        assert_eq!(alter(&mut world, conn, &[("/d1", "new", &[0])]), [("new".to_owned(), 0, storage)]);
        assert_eq!(alter(&mut world, conn, &[("/d0", "new", &[0])]), [("new".to_owned(), 0, storage)], "as Kafka does");
    }
}

#[test]
fn a_cordoned_directory_takes_no_replicas() {
    let mut world = World::with(1, 5, settings(&[false, false], &[("cordoned.log.dirs", "/d1")]));
    world.topic("a", 1, &[]);
    let conn = world.connect(0);
    let refused = ErrorCode::InvalidReplicaAssignment.code();
    assert_eq!(alter(&mut world, conn, &[("/d1", "a", &[0])]), [("a".to_owned(), 0, refused)]);
    let request = DescribeLogDirsRequest { topics: None };
    let outcome = world.ask(conn, Call::new(ApiKey::DescribeLogDirs, 5).frame(|w, version| request.encode(w, version)));
    let body = body_of(&outcome, ApiKey::DescribeLogDirs, 5).to_vec();
    let response = DescribeLogDirsResponse::decode(&mut Reader::new(&body), 5).unwrap();
    assert_eq!(response.results.iter().map(|result| result.is_cordoned).collect::<Vec<_>>(), [false, true]);
}

/// The code of a partition; id, epoch, last sequence and last timestamp of its producers.
type Producers = (i16, Vec<(i64, i32, i32, i64)>);

/// Error, and (id, epoch, last sequence, last timestamp) of each producer.
fn producers(world: &mut World, conn: ConnId, topic: &'static str, indexes: &[i32]) -> Vec<Producers> {
    let topics = vec![TopicRequest { name: topic.into(), partition_indexes: indexes.to_vec() }];
    let request = DescribeProducersRequest { topics };
    let key = ApiKey::DescribeProducers;
    let outcome = world.ask(conn, Call::new(key, 0).frame(|writer, version| request.encode(writer, version)));
    let body = body_of(&outcome, key, 0).to_vec();
    let response = DescribeProducersResponse::decode(&mut Reader::new(&body), 0).unwrap();
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    let one = partitions.map(|partition| {
        assert!(
            partition.active_producers.iter().all(|p| (p.coordinator_epoch, p.current_txn_start_offset) == (-1, -1))
        );
        let state = partition.active_producers.iter();
        let state = state.map(|p| (p.producer_id, p.producer_epoch, p.last_sequence, p.last_timestamp));
        (partition.error_code, state.collect())
    });
    one.collect()
}

#[test]
fn producers_are_told_by_id() {
    for mut world in worlds() {
        world.topic("t", 2, &[]);
        let conn = world.connect(0);
        for (id, epoch, first, records) in [(900, 3, 0, 2), (7, 0, 10, 5), (900, 3, 2, 1)] {
            let mut builder = BatchBuilder::new().producer(id, epoch, first);
            (0..records).for_each(|at| builder.append(world.now.wall_ms + at, None, Some(b"v"), &[]));
            assert_eq!(produce(&mut world, conn, &[("t", 0, &builder.build())])[0].code, ErrorCode::None);
        }
        produce(&mut world, conn, &[("t", 1, &records(0, &["not idempotent"]))]);
        let now = world.now.wall_ms;
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        assert_eq!(
            producers(&mut world, conn, "t", &[0, 1, 5]),
            [(OK, vec![(7, 0, 14, now + 4), (900, 3, 2, now)]), (OK, vec![]), (unknown, vec![])]
        );
        assert_eq!(producers(&mut world, conn, "nobody", &[0]), [(unknown, vec![])]);
        world.advance(86_400_001);
        assert_eq!(producers(&mut world, conn, "t", &[0]), [(OK, vec![])], "silence is forgotten");
    }
}
