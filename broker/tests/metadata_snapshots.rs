//! The metadata log and its snapshots: a start takes up the newest one and replays what follows. If this breaks, a start reads
//! the whole history of the cluster, or a crash between a snapshot and its log makes topics appear or vanish.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests, too, end the test")]

use broker::controller::limits::SNAPSHOT_EVERY_BYTES;
use broker::partition::METADATA_LOG;
use broker::settings::BrokerSettings;
use broker::testing::{Call, World};
use broker::{ConnId, LogId, Store};
use protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use protocol::messages::keys::ApiKey;

const SHARDS: u16 = 2;

fn started() -> (World, ConnId) {
    let mut world = World::with(SHARDS, 3, BrokerSettings::default());
    let now = world.now;
    world.brokers.iter_mut().for_each(|broker| broker.start(now));
    world.run();
    let conn = world.connect(0);
    (world, conn)
}

fn make(world: &mut World, conn: ConnId, name: &str, partitions: i32) {
    send_make(world, conn, name, partitions);
    world.run();
}

fn send_make(world: &mut World, conn: ConnId, name: &str, partitions: i32) {
    let topic = CreatableTopic {
        name: name.to_owned().into(),
        num_partitions: partitions,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 1000, ..CreateTopicsRequest::default() };
    world.send(conn, Call::new(ApiKey::CreateTopics, 7).frame(|writer, version| request.encode(writer, version)));
}

fn log(world: &World) -> LogId {
    world.brokers[0].store().log_of(METADATA_LOG.topic.0, METADATA_LOG.index).unwrap()
}

/// The offset that the kept snapshot covers up to, 0 without one.
fn kept(world: &World) -> i64 {
    world.brokers[0].store().snapshot_of(log(world)).map_or(0, |(upto, _)| *upto)
}

fn stop_and_start(world: &mut World) {
    world.brokers.iter_mut().for_each(broker::Broker::keep_snapshots);
    world.restart_from_metadata(SHARDS);
}

/// Topics, and the version that they are of, on both shards.
fn contents(world: &World) -> (Vec<String>, i64) {
    let of = |shard: usize| {
        let image = world.brokers[shard].image();
        (image.topics().map(|topic| topic.name.to_string()).collect(), image.version())
    };
    assert_eq!(of(0), of(1));
    of(0)
}

#[test]
fn a_clean_start_replays_nothing() {
    let (mut world, conn) = started();
    for name in ["a", "b", "c"] {
        make(&mut world, conn, name, 3);
    }
    let before = contents(&world);
    world.brokers.iter_mut().for_each(broker::Broker::keep_snapshots);
    let (log, end) = (log(&world), before.1);
    assert_eq!((kept(&world), world.brokers[0].store().offsets(log).end), (end, end));
    world.brokers[0].store_mut().lose_below(log, end);
    world.restart_from_metadata(SHARDS);
    assert_eq!(contents(&world), before);
    let conn = world.connect(0);
    make(&mut world, conn, "d", 1);
    assert_eq!(contents(&world).0, ["a", "b", "c", "d"]);
    stop_and_start(&mut world);
    assert_eq!(contents(&world).0, ["a", "b", "c", "d"]);
}

#[test]
fn a_crash_replays_what_followed_the_snapshot() {
    let (mut world, conn) = started();
    make(&mut world, conn, "a", 3);
    stop_and_start(&mut world);
    let (covered, conn) = (kept(&world), world.connect(0));
    make(&mut world, conn, "b", 2);
    let (before, log) = (contents(&world), log(&world));
    assert!(before.1 > covered);
    world.brokers[0].store_mut().lose_below(log, covered);
    world.restart_from_metadata(SHARDS);
    assert_eq!(contents(&world), before);
}

#[test]
fn many_changes_make_a_snapshot_of_their_own() {
    let (mut world, conn) = started();
    let mut made = 0;
    while kept(&world) == 0 {
        assert!(made < 40, "1 MiB of changes and no snapshot");
        make(&mut world, conn, &format!("t{made:02}"), 1000);
        made += 1;
    }
    let written = world.brokers[0].store().bytes_of(log(&world)).len();
    assert!((SNAPSHOT_EVERY_BYTES..SNAPSHOT_EVERY_BYTES + 100_000).contains(&written), "{written} bytes");
    let (before, log, covered) = (contents(&world), log(&world), kept(&world));
    world.brokers[0].store_mut().lose_below(log, covered);
    world.restart_from_metadata(SHARDS);
    assert_eq!(contents(&world), before);
    let conn = world.connect(0);
    make(&mut world, conn, "one.more", 1);
    assert_eq!(kept(&world), covered, "the next one has to be earned again");
}

#[test]
fn what_is_not_durable_is_in_no_snapshot() {
    let (mut world, conn) = started();
    make(&mut world, conn, "durable", 1);
    let before = contents(&world);
    world.flushes = false;
    send_make(&mut world, conn, "lost", 1);
    world.run();
    world.brokers.iter_mut().for_each(broker::Broker::keep_snapshots);
    assert_eq!(kept(&world), before.1);
    world.flushes = true;
    world.restart_from_metadata(SHARDS);
    assert_eq!(contents(&world), before);
    let conn = world.connect(0);
    make(&mut world, conn, "next", 1);
    stop_and_start(&mut world);
    assert_eq!(contents(&world).0, ["durable", "next"]);
}

#[test]
fn a_snapshot_that_cannot_be_read_costs_a_longer_replay() {
    let (mut world, conn) = started();
    make(&mut world, conn, "a", 3);
    world.brokers.iter_mut().for_each(broker::Broker::keep_snapshots);
    let (before, log) = (contents(&world), log(&world));
    for bytes in [b"\x01\0\0\0\0".to_vec(), b"\0\0\0\x03\x01\xff\0".to_vec()] {
        world.brokers[0].store_mut().put_snapshot(log, before.1, bytes);
        world.restart_from_metadata(SHARDS);
        assert_eq!(contents(&world), before);
    }
}

#[test]
fn a_broker_that_does_not_serve_yet_keeps_nothing() {
    let mut world = World::with(SHARDS, 3, BrokerSettings::default());
    let now = world.now;
    world.flushes = false;
    world.brokers.iter_mut().for_each(|broker| broker.start(now));
    world.brokers.iter_mut().for_each(broker::Broker::keep_snapshots);
    assert_eq!(kept(&world), 0);
}
