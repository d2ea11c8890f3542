//! A disk that fails the broker's own logs: the metadata, committed offsets, checkpoints. What needs them is refused with
//! an error that clients know, what does not goes on, and a restart has everything that was acknowledged.
//!
//! Needs root and `/dev/fuse`, for a file system that fails on demand; says so and passes without.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::DRIVERS;
use common::faulty::{EIO, FaultyDisk, KAFKA_STORAGE_ERROR};
use faultfs::{Fault, OpKind};

/// What Kafka tells a group whose offsets cannot be written: look for the coordinator again.
const NOT_COORDINATOR: i16 = 16;

#[test]
fn a_metadata_log_that_fails_refuses_changes_only() {
    for driver in DRIVERS {
        let Some(disk) = FaultyDisk::mount() else { return };
        let broker = disk.start(driver);
        let mut client = broker.client();
        assert_eq!(client.create_topic("before", 1), 0, "{driver}");
        assert_eq!(client.produce("before", 0, &["a"]), (0, 0), "{driver}");
        let rule = disk.faults.inject_once(OpKind::Sync, "data/.ringlog/cluster/*.log", Fault::LosesUnsynced(EIO));
        assert_eq!(client.create_topic("lost", 1), KAFKA_STORAGE_ERROR, "{driver}");
        assert_eq!(disk.faults.struck(rule), 1, "{driver}");
        assert_eq!(client.create_topic("refused", 1), KAFKA_STORAGE_ERROR, "{driver}: it is fenced");
        assert_eq!(client.delete_topic("before"), KAFKA_STORAGE_ERROR, "{driver}");
        assert_ne!(client.metadata("lost").0, 0, "{driver}: it was refused, so it is not there");
        assert_eq!(client.produce("before", 0, &["b"]), (0, 1), "{driver}: records need no metadata");
        assert_eq!(client.fetch_all("before", 0), ["a", "b"], "{driver}");
        broker.kill();
        let broker = disk.start(driver);
        let mut client = broker.client();
        assert_eq!(client.fetch_all("before", 0), ["a", "b"], "{driver}: a restart heals");
        assert_eq!(client.create_topic("after", 1), 0, "{driver}");
        assert_eq!(client.create_topic("lost", 1), 0, "{driver}: nothing of it was kept");
        broker.stop();
    }
}

#[test]
fn offsets_that_cannot_be_written_are_refused_and_the_last_ones_stay() {
    for driver in DRIVERS {
        let Some(disk) = FaultyDisk::mount() else { return };
        let broker = disk.start(driver);
        let mut client = broker.client();
        assert_eq!(client.create_topic("t", 1), 0, "{driver}");
        assert_eq!(client.produce("t", 0, &["a", "b"]), (0, 0), "{driver}");
        client.commit_in_time("group", "t", 1);
        let rule = disk.faults.inject_once(OpKind::Sync, "data/__consumer_offsets-*.log", Fault::LosesUnsynced(EIO));
        assert_eq!(client.commit("group", "t", 2), NOT_COORDINATOR, "{driver}");
        assert_eq!(disk.faults.struck(rule), 1, "{driver}");
        assert_eq!(client.commit("group", "t", 2), NOT_COORDINATOR, "{driver}: it is fenced");
        assert_eq!(client.committed("group", "t"), (0, 1), "{driver}: what was acknowledged is answered");
        client.commit_in_time("another-group", "t", 2);
        assert_eq!(client.produce("t", 0, &["c"]), (0, 2), "{driver}");
        broker.kill();
        let broker = disk.start(driver);
        let mut client = broker.client();
        assert_eq!(client.committed_in_time("group", "t"), 1, "{driver}");
        assert_eq!(client.committed_in_time("another-group", "t"), 2, "{driver}");
        client.commit_in_time("group", "t", 3);
        assert_eq!(client.committed("group", "t"), (0, 3), "{driver}");
        broker.stop();
    }
}

/// Checkpoints make starts fast and rot visible; without them everything is verified.
#[test]
fn checkpoints_that_cannot_be_written_cost_nothing_but_time() {
    for driver in DRIVERS {
        let Some(disk) = FaultyDisk::mount() else { return };
        let broker = disk.start(driver);
        let mut client = broker.client();
        assert_eq!(client.create_topic("t", 1), 0, "{driver}");
        for kind in [OpKind::Write, OpKind::Create, OpKind::Rename] {
            disk.faults.inject(kind, "data/.ringlog/*floor*", Fault::Fails(EIO));
        }
        assert_eq!(client.produce("t", 0, &["a"]), (0, 0), "{driver}");
        broker.signal("TERM");
        broker.logged("not stopped cleanly");
        drop(broker);
        disk.faults.lift_all();
        let broker = disk.start(driver);
        assert_eq!(broker.client().fetch_all("t", 0), ["a"], "{driver}");
        broker.stop();
    }
}
