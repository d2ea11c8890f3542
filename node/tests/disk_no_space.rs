//! No space where nobody looks for it: a write or a flush that finds none although the space was reserved, and a disk that
//! fills up and empties while many produce. Producers get an error that they retry, nothing acknowledged is lost, and it heals
//! without a restart. `disk_full` has the same on a real file system, whose reservations hold.
//!
//! Needs root and `/dev/fuse`, for a file system that fails on demand; says so and passes without.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::faulty::{FaultyDisk, KAFKA_STORAGE_ERROR};
use common::{Client, DRIVERS, PATIENCE};
use faultfs::{Fault, OpKind};
use std::time::{Duration, Instant};

const ENOSPC: i32 = 28;

/// Produces until it is accepted; how often it was refused.
fn produce_in_time(client: &mut Client, topic: &str, value: &str) -> (i64, u32) {
    let end = Instant::now() + PATIENCE;
    for refused in 0.. {
        match client.produce(topic, 0, &[value]) {
            (0, offset) => return (offset, refused),
            (error, _) => assert!(error == KAFKA_STORAGE_ERROR && Instant::now() < end, "{topic}: error {error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    unreachable!("the loop returns or panics")
}

#[test]
fn a_write_or_reservation_without_space_is_refused_and_heals() {
    for driver in DRIVERS {
        for kind in [OpKind::Write, OpKind::Allocate] {
            let Some(disk) = FaultyDisk::mount() else { return };
            let broker = disk.start(driver);
            let mut client = broker.client();
            assert_eq!(client.create_topic("hurt", 1), 0);
            assert_eq!(client.produce("hurt", 0, &["first"]), (0, 0));
            let rule = disk.faults.inject(kind, "data/hurt-0/*", Fault::Fails(ENOSPC));
            // Larger than what is reserved, so that both kinds are needed.
            let large = "x".repeat(300_000);
            assert_eq!(client.produce("hurt", 0, &[&large]), (KAFKA_STORAGE_ERROR, -1), "{driver}, {kind:?}");
            assert!(broker.logged("disk full").contains("WARN"));
            assert_eq!(client.fetch_all("hurt", 0), ["first"], "{driver}, {kind:?}");
            disk.faults.lift(rule);
            assert_eq!(produce_in_time(&mut client, "hurt", &large).0, 1, "{driver}, {kind:?}: no offset is skipped");
            broker.kill();
            disk.faults.cut_power().expect("the folder underneath works");
            let broker = disk.start(driver);
            assert!(broker.client().fetch_all("hurt", 0) == ["first".to_owned(), large], "{driver}, {kind:?}");
            broker.stop();
        }
    }
}

/// The disk fills up and gets room, again and again, while one produces; the log is what was acknowledged, then and after a
/// power cut.
#[test]
fn filling_and_emptying_loses_nothing() {
    for driver in DRIVERS {
        let Some(disk) = FaultyDisk::mount() else { return };
        let broker = disk.start(driver);
        let mut client = broker.client();
        assert_eq!(client.create_topic("grows", 1), 0);
        let mut acknowledged = Vec::new();
        let mut refused = 0;
        for round in 0..4 {
            disk.faults.set_room(Some(600_000));
            let full = (0..100).find(|count| {
                let value = format!("{round}-{count}-{}", "x".repeat(100_000));
                let (error, offset) = client.produce("grows", 0, &[&value]);
                if error == 0 {
                    assert_eq!(offset, acknowledged.len() as i64, "{driver}");
                    acknowledged.push(value);
                }
                error != 0
            });
            assert!(full.is_some(), "{driver}: 10 MB went into 600,000 bytes");
            disk.faults.set_room(None);
            let value = format!("{round}-healed");
            let (offset, times) = produce_in_time(&mut client, "grows", &value);
            assert_eq!(offset, acknowledged.len() as i64, "{driver}: no offset is skipped");
            acknowledged.push(value);
            refused += times;
        }
        println!("{driver}: {} acknowledged, {refused} refused while it healed", acknowledged.len());
        assert!(client.fetch_all("grows", 0) == acknowledged, "{driver}");
        broker.kill();
        disk.faults.cut_power().expect("the folder underneath works");
        let broker = disk.start(driver);
        assert!(broker.client().fetch_all("grows", 0) == acknowledged, "{driver}: after a power cut");
        broker.stop();
    }
}
