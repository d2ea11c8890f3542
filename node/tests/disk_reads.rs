//! A disk that cannot read, or reads something else than was written: who asked is told, keeps the connection, and gets the
//! records once the disk reads again; other partitions go on; what was read wrong is never served.
//!
//! Needs root and `/dev/fuse`, for a file system that fails on demand; says so and passes without.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::faulty::{EIO, FaultyDisk, KAFKA_STORAGE_ERROR};
use common::{Broker, DRIVERS, refused, ringlog};
use faultfs::{Fault, OpKind};

const CORRUPT_MESSAGE: i16 = 2;
/// What Kafka tells a group whose offsets are not to be had: look for the coordinator again.
const NOT_COORDINATOR: i16 = 16;

/// Records of two topics that are on the disk and not in memory.
fn cold(disk: &FaultyDisk, driver: &str) -> Broker {
    let broker = disk.start(driver);
    let mut client = broker.client();
    for topic in ["hurt", "well"] {
        assert_eq!(client.create_topic(topic, 1), 0);
        for (offset, value) in ["a", "b", "c"].iter().enumerate() {
            assert_eq!(client.produce(topic, 0, &[value]), (0, offset as i64));
        }
    }
    broker.stop();
    disk.start(driver)
}

/// A fetch of `hurt` fails with `error` while `fault` lasts, on a connection on which everything else works.
fn is_told(fault: Fault, error: i16) {
    for driver in DRIVERS {
        let Some(disk) = FaultyDisk::mount() else { return };
        let broker = cold(&disk, driver);
        let mut client = broker.client();
        let rule = disk.faults.inject(OpKind::Read, "data/hurt-0/*.log", fault);
        for _ in 0..3 {
            assert_eq!(client.fetch("hurt", 0, 0), (error, Vec::new()), "{driver}");
        }
        assert!(disk.faults.struck(rule) >= 3, "{driver}: each was tried");
        assert_eq!(client.fetch_all("well", 0), ["a", "b", "c"], "{driver}");
        assert_eq!(client.produce("well", 0, &["d"]), (0, 3), "{driver}");
        assert_eq!(client.list_offset("hurt", 0, -1), (0, 3), "{driver}");
        disk.faults.lift(rule);
        assert_eq!(client.fetch_all("hurt", 0), ["a", "b", "c"], "{driver}: once the disk reads again");
        assert_eq!(client.produce("hurt", 0, &["d"]), (0, 3), "{driver}: a read that fails harms no write");
        broker.stop();
    }
}

#[test]
fn a_read_that_fails_is_told_and_works_later() {
    is_told(Fault::Fails(EIO), KAFKA_STORAGE_ERROR);
}

#[test]
fn a_flipped_bit_is_never_served() {
    is_told(Fault::Flips { at: 65, bit: 3 }, CORRUPT_MESSAGE);
}

/// A read that returns less than was asked for goes on. With the driver that the broker chooses itself on such a file
/// system, see `on_fuse` in `node/src/driver.rs`.
#[test]
fn a_short_read_is_finished() {
    let Some(disk) = FaultyDisk::mount() else { return };
    let broker = cold(&disk, "auto");
    let rule = disk.faults.inject(OpKind::Read, "data/*", Fault::Short(100));
    assert_eq!(broker.client().fetch_all("hurt", 0), ["a", "b", "c"]);
    broker.stop();
    let broker = disk.start("auto");
    assert_eq!(broker.client().fetch_all("hurt", 0), ["a", "b", "c"], "at a start, too");
    assert!(disk.faults.struck(rule) > 10, "{} reads", disk.faults.struck(rule));
    broker.stop();
}

/// One log that cannot be read when the broker starts keeps nobody else from being served, and loses nothing.
#[test]
fn a_log_that_cannot_be_read_at_the_start_harms_no_other() {
    for driver in DRIVERS {
        let Some(disk) = FaultyDisk::mount() else { return };
        cold(&disk, driver).kill();
        let rule = disk.faults.inject(OpKind::Read, "data/hurt-0/*.log", Fault::Fails(EIO));
        let broker = disk.start(driver);
        disk.await_strike(rule);
        let mut client = broker.client();
        assert_eq!(client.fetch_all("well", 0), ["a", "b", "c"], "{driver}");
        assert_eq!(client.produce("well", 0, &["d"]), (0, 3), "{driver}");
        assert_eq!(client.produce("hurt", 0, &["d"]), (KAFKA_STORAGE_ERROR, -1), "{driver}");
        for offset in [0, 3, 1000] {
            assert_eq!(client.fetch("hurt", 0, offset), (KAFKA_STORAGE_ERROR, Vec::new()), "{driver}: from {offset}");
        }
        assert_eq!(client.list_offset("hurt", 0, -1), (KAFKA_STORAGE_ERROR, -1), "{driver}: unknown, not empty");
        disk.faults.lift_all();
        assert_eq!(client.fetch("hurt", 0, 0).0, KAFKA_STORAGE_ERROR, "{driver}: until a restart has verified it");
        broker.stop();
        let broker = disk.start(driver);
        assert_eq!(broker.client().fetch_all("hurt", 0), ["a", "b", "c"], "{driver}: nothing was touched");
        assert_eq!(broker.client().produce("hurt", 0, &["d"]), (0, 3), "{driver}");
        broker.stop();
    }
}

/// Offsets that cannot be read are unknown, not absent: a group that started from nothing would read everything again.
#[test]
fn groups_whose_offsets_cannot_be_read_are_not_served() {
    for driver in DRIVERS {
        let Some(disk) = FaultyDisk::mount() else { return };
        let broker = cold(&disk, driver);
        broker.client().commit_in_time("group", "well", 2);
        broker.kill();
        // Once: later reads would work, which must not make a part of the offsets look like all of them.
        let rule = disk.faults.inject_once(OpKind::Read, "data/__consumer_offsets-*.log", Fault::Fails(EIO));
        let broker = disk.start(driver);
        assert_eq!(disk.faults.struck(rule), 1, "{driver}");
        let mut client = broker.client();
        assert_eq!(client.committed("group", "well"), (NOT_COORDINATOR, -1), "{driver}");
        assert_eq!(client.commit("group", "well", 3), NOT_COORDINATOR, "{driver}");
        assert_eq!(client.fetch_all("well", 0), ["a", "b", "c"], "{driver}");
        broker.stop();
        let broker = disk.start(driver);
        assert_eq!(broker.client().committed_in_time("group", "well"), 2, "{driver}");
        broker.stop();
    }
}

/// What says which topics there are, or whose a folder is (in either place), must be read before anything is served:
/// guessing would put empty logs in the place of full ones.
#[test]
fn a_start_without_its_metadata_is_refused() {
    for driver in DRIVERS {
        for file in ["data/.ringlog/cluster/metadata-0/*.log", "data/hurt-0/*"] {
            let Some(disk) = FaultyDisk::mount() else { return };
            cold(&disk, driver).kill();
            let rule = disk.faults.inject(OpKind::Read, file, Fault::Fails(EIO));
            let said = refused(ringlog(&disk.data(), &["--io", driver]));
            assert!(said.contains("Input/output error") && disk.faults.struck(rule) > 0, "{driver}: {file}: {said}");
            disk.faults.lift(rule);
            let broker = disk.start(driver);
            assert_eq!(broker.client().fetch_all("hurt", 0), ["a", "b", "c"], "{driver}: {file}: nothing was touched");
            broker.stop();
        }
    }
}
