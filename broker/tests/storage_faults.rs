//! Disks that are full or broken: typed errors, other partitions unharmed, and no acknowledgement of what is not there.

use broker::testing::{Produced, World, fetch, produce, produce_frame, produced, records};
use protocol::{ErrorCode, Uuid};

const NOW_MS: i64 = 1_700_000_000_000;

fn worlds() -> impl Iterator<Item = World> {
    [(1, 1), (3, 2), (3, 3)].into_iter().map(|(shards, seed)| World::new(shards, seed))
}

#[test]
fn a_full_disk_refuses_and_heals() {
    for mut world in worlds() {
        let id = world.topic("t", 2, &[]);
        let conn = world.connect(0);
        let set = records(NOW_MS, &["a"]);
        let (shard, _) = world.log_of(id, 0);
        world.brokers[shard].store_mut().full = true;
        let got = produce(&mut world, conn, &[("t", 0, &set)]);
        assert_eq!(got, [Produced::failed(ErrorCode::KafkaStorageError)]);
        world.brokers[shard].store_mut().full = false;
        assert_eq!(produce(&mut world, conn, &[("t", 0, &set)]), [Produced::at(0)]);
    }
}

#[test]
fn a_fenced_log_fails_who_waits_and_who_comes_and_keeps_readers() {
    for mut world in worlds() {
        let id = world.topic("t", 2, &[]);
        let conn = world.connect(0);
        let set = records(NOW_MS, &["a"]);
        produce(&mut world, conn, &[("t", 0, &set), ("t", 1, &set)]);
        let (shard, log) = world.log_of(id, 0);
        world.flushes = false;
        let seq = world.send(conn, produce_frame(9, -1, &[("t", Uuid::ZERO, 0, &set)]));
        world.run();
        world.brokers[shard].store_mut().busy = 1;
        let parked = world.send(conn, produce_frame(9, -1, &[("t", Uuid::ZERO, 0, &set)]));
        world.run();
        world.brokers[shard].store_mut().fence(log);
        world.flushes = true;
        world.run();
        let storage = [Produced::failed(ErrorCode::KafkaStorageError)];
        assert_eq!(produced(world.outcome(conn, seq).unwrap(), 9), storage);
        assert_eq!(produced(world.outcome(conn, parked).unwrap(), 9), storage);
        let got = produce(&mut world, conn, &[("t", 0, &set), ("t", 1, &set)]);
        assert_eq!(got, [storage[0].clone(), Produced::at(1)]);
        let parts = fetch(&mut world, conn, &[("t", 0, 0)]);
        assert_eq!((parts[0].high_watermark, &parts[0].batches[..]), (1, &[0][..]));
    }
}

#[test]
fn deleting_a_topic_ends_its_appends() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[]);
        let conn = world.connect(0);
        let (shard, log) = world.log_of(id, 0);
        world.flushes = false;
        let seq = world.send(conn, produce_frame(9, -1, &[("t", Uuid::ZERO, 0, &records(NOW_MS, &["a"]))]));
        world.run();
        world.change(&[broker::controller::record::Record::RemoveTopic { id }]);
        let outcome = world.outcome(conn, seq).unwrap();
        assert_eq!(produced(outcome, 9), [Produced::failed(ErrorCode::UnknownTopicOrPartition)]);
        assert!(world.brokers[shard].store().settings_of(log).1, "its log is deleted");
    }
}

#[test]
fn settings_reach_the_log() {
    for mut world in worlds() {
        let id = world.topic("t", 1, &[("retention.ms", "1234")]);
        let (shard, log) = world.log_of(id, 0);
        assert_eq!(world.brokers[shard].store().settings_of(log).0.retention_ms, 1234);
        world.change(&[broker::controller::record::Record::Config {
            resource: broker::controller::record::Resource::Topic(id),
            key: "retention.ms".to_owned(),
            value: Some("99".to_owned()),
        }]);
        assert_eq!(world.brokers[shard].store().settings_of(log).0.retention_ms, 99);
        world.restart(2);
        let (shard, log) = world.log_of(id, 0);
        assert_eq!(world.brokers[shard].store().settings_of(log).0.retention_ms, 99);
    }
}
