//! A disk that is a hundred times slower than usual, or stuck: what needs no disk is answered as ever, what is acknowledged
//! is durable all the same, nothing is acknowledged meanwhile that is not, and a stop gives up in bounded time.
//!
//! Needs root and `/dev/fuse`, for a file system that is slow on demand; says so and passes without.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::faulty::FaultyDisk;
use common::{Broker, Client, DRIVERS};
use faultfs::{Fault, OpKind};
use std::time::{Duration, Instant};

/// An operation on the disk: a hundred times the fifth of a millisecond that it takes here.
const SLOW: Duration = Duration::from_millis(20);
/// Longest that an answer may take which needs no disk, on a machine that does other things too.
const SOON: Duration = Duration::from_secs(2);
/// Longest from the signal to the broker's last word: END_MS in `node/src/stages.rs` and some scheduling.
const STOPPED: Duration = Duration::from_secs(4);

fn two_topics(broker: &Broker) -> Client {
    let mut client = broker.client();
    for topic in ["hurt", "well"] {
        assert_eq!(client.create_topic(topic, 1), 0);
        assert_eq!(client.produce(topic, 0, &["first"]), (0, 0));
    }
    client.commit_in_time("group", "well", 1);
    client
}

fn soon<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = act();
    assert!(begin.elapsed() < SOON, "{what} took {:?}", begin.elapsed());
    result
}

/// Everything that is answered from memory.
fn answers_without_disk(client: &mut Client, driver: &str) {
    soon("metadata", || assert_eq!(client.metadata("hurt"), (0, vec![0]), "{driver}"));
    soon("a fetch", || assert_eq!(client.fetch("hurt", 0, 0), (0, vec!["first".to_owned()]), "{driver}"));
    soon("an offset", || assert_eq!(client.list_offset("hurt", 0, -1), (0, 1), "{driver}: nothing more is durable"));
    soon("a committed offset", || assert_eq!(client.committed("group", "well"), (0, 1), "{driver}"));
}

#[test]
fn a_slow_disk_is_only_slow() {
    for driver in DRIVERS {
        let Some(disk) = FaultyDisk::mount() else { return };
        let broker = disk.start(driver);
        let mut client = two_topics(&broker);
        for kind in [OpKind::Write, OpKind::Sync, OpKind::Allocate, OpKind::Open, OpKind::Create, OpKind::Read] {
            disk.faults.inject(kind, "data/*", Fault::Slow(SLOW));
        }
        answers_without_disk(&mut client, driver);
        for offset in 1..6 {
            let begin = Instant::now();
            assert_eq!(client.produce("hurt", 0, &["slow"]), (0, offset), "{driver}");
            assert!(begin.elapsed() >= 2 * SLOW, "{driver}: acknowledged before it was written and flushed");
        }
        assert_eq!(client.create_topic("made-slowly", 1), 0, "{driver}");
        client.commit_in_time("group", "well", 2);
        broker.kill();
        disk.faults.lift_all();
        disk.faults.cut_power().expect("the folder underneath works");
        let broker = disk.start(driver);
        assert_eq!(broker.client().fetch_all("hurt", 0), ["first", "slow", "slow", "slow", "slow", "slow"], "{driver}");
        assert_eq!(broker.client().committed_in_time("group", "well"), 2, "{driver}");
        broker.stop();
    }
}

/// A flush of one log that does not come back. Others go on with io_uring; the posix driver has one thread for the disk.
#[test]
fn a_stuck_flush_is_waited_for_by_its_log_alone() {
    for driver in DRIVERS {
        let Some(disk) = FaultyDisk::mount() else { return };
        let broker = disk.start(driver);
        let mut client = two_topics(&broker);
        let rule = disk.faults.inject(OpKind::Sync, "data/hurt-0/*.log", Fault::Stuck);
        let mut producer = broker.client();
        let waiting = std::thread::spawn(move || producer.produce("hurt", 0, &["stuck"]));
        disk.await_strike(rule);
        answers_without_disk(&mut client, driver);
        if driver == "uring" {
            soon("another log", || assert_eq!(client.produce("well", 0, &["second"]), (0, 1)));
            soon("a new topic", || assert_eq!(client.create_topic("new", 1), 0));
        }
        assert!(!waiting.is_finished(), "{driver}: it is not durable, so it is not acknowledged");
        disk.faults.lift(rule);
        assert_eq!(waiting.join().expect("an answer"), (0, 1), "{driver}: once the disk is back");
        assert_eq!(client.fetch_all("hurt", 0), ["first", "stuck"], "{driver}");
        broker.stop();
    }
}

/// The whole disk is stuck, but for writes: with io_uring, FUSE carries them out inside the call that submits them and so
/// stops the shard, which no file system on a block device does. A stop says so in time and ends as soon as the kernel
/// lets go of the process.
#[test]
fn a_stop_does_not_wait_for_a_stuck_disk() {
    for driver in DRIVERS {
        let Some(disk) = FaultyDisk::mount() else { return };
        let mut broker = disk.start(driver);
        let mut client = two_topics(&broker);
        let stuck = disk.faults.inject(OpKind::Sync, "data/*", Fault::Stuck);
        for kind in [OpKind::Create, OpKind::Open, OpKind::Allocate] {
            disk.faults.inject(kind, "data/*", Fault::Stuck);
        }
        let mut producer = broker.client();
        let send = std::thread::spawn(move || producer.produce_or_closed("hurt", 0, &["stuck"]));
        disk.await_strike(stuck);
        answers_without_disk(&mut client, driver);
        let begin = Instant::now();
        broker.signal("TERM");
        let line = broker.logged("the next start verifies the logs");
        assert!(begin.elapsed() < STOPPED, "{driver}: {:?} until it said: {line}", begin.elapsed());
        disk.faults.lift_all();
        assert!(!broker.wait().success(), "{driver}: it was no clean stop");
        assert!(begin.elapsed() < 2 * STOPPED, "{driver}: {:?} until it ended", begin.elapsed());
        assert_eq!(send.join().expect("no panic"), None, "{driver}: it was never acknowledged");
        let broker = disk.start(driver);
        let read = broker.client().fetch_all("hurt", 0);
        assert!(read == ["first"] || read == ["first", "stuck"], "{driver}: {read:?}");
        assert_eq!(broker.client().produce("hurt", 0, &["after"]), (0, read.len() as i64), "{driver}");
        broker.stop();
    }
}
