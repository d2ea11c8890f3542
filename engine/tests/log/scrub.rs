//! The scrub: what goes bad on the device while nobody reads it is found, reported with its records, and refused from then
//! on. What is merely busy (appended, rolled, recycled, cut, removed meanwhile) is never called bad; every test of this
//! folder checks that, because the rig scrubs without pause.

use crate::rig::{Rig, limits, small, verify};
use engine::io::sim::SimWorld;
use engine::log::{LogEvent, LogId, LogLimits, ReadError};
use std::path::Path;

const DATA: &str = "/data";
const SEALED: &str = "/data/t-0/00000000000000000000.log";
const ACTIVE: &str = "/data/t-0/00000000000000000065.log";

/// A log of 100 batches of 1,000 bytes with a snapshot, whose memory was given back.
fn written(limits: LogLimits) -> (SimWorld, Rig, LogId) {
    let world = SimWorld::new(11);
    world.write_file("/data/.keep", b"").unwrap();
    let mut rig = Rig::boot(Box::new(world.restart()), Path::new(DATA), &small(), limits);
    rig.tolerates_damage = true;
    let id = rig.create("t-0", small());
    (0..100).for_each(|_| _ = rig.append(id, 1, 1000).unwrap());
    rig.until_durable(id);
    rig.set().put_snapshot(id, 50, b"state".to_vec());
    rig.pass(200);
    (world, rig, id)
}

/// File, position, offsets and reason of everything that was found, in order.
fn found(rig: &Rig) -> Vec<(String, u64, std::ops::Range<i64>, String)> {
    let damaged = rig.events.iter().filter_map(|event| match event {
        LogEvent::Damaged { file, damage, .. } => Some((file, damage)),
        _ => None,
    });
    damaged
        .map(|(file, damage)| {
            let offsets = damage.base_offset..damage.end_offset;
            (file.display().to_string(), damage.position, offsets, damage.reason.clone())
        })
        .collect()
}

#[test]
fn a_flipped_bit_is_found_reported_once_and_refused_for_good() {
    for (path, at, position, offset) in [
        (SEALED, 30_500, 30_000, 30),
        (ACTIVE, 10_100, 10_000, 75),
        (SEALED, 64_007, 64_000, 64),
        (ACTIVE, 34_999, 34_000, 99),
    ] {
        let (world, mut rig, id) = written(limits());
        world.flip_bit(path, at, 5).unwrap();
        rig.until("the scrub", |rig| !found(rig).is_empty());
        rig.pass(300);
        let seen = found(&rig);
        let [(file, place, offsets, _)] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!((file.as_str(), *place, offsets.clone()), (path, position, offset..offset + 1));
        // A device that thinks better of it later is not believed.
        world.flip_bit(path, at, 5).unwrap();
        match rig.fetch(id, offset, 500) {
            Err(ReadError::Corrupt { base_offset, .. }) => assert_eq!(base_offset, offset),
            other => panic!("{other:?}"),
        }
        assert_eq!(verify(&rig.fetch(id, offset - 1, 500).unwrap()), [(offset - 1, offset - 1)]);
        rig.append(id, 1, 1000).unwrap();
        rig.until_durable(id);
    }
}

#[test]
fn a_leader_epoch_and_files_beside_the_log_are_looked_at() {
    for (path, at, said) in [
        (SEALED, 30_014, "leader epoch 263, expected 7"),
        ("/data/t-0/00000000000000000000.ridx", 50, "CRC-32C"),
        ("/data/t-0/00000000000000000050.rsnap", 36, "CRC-32C"),
    ] {
        let (world, mut rig, id) = written(limits());
        world.flip_bit(path, at, 0).unwrap();
        rig.until("the scrub", |rig| !found(rig).is_empty());
        let seen = found(&rig);
        assert!(seen[0].0 == path && seen[0].3.contains(said), "{seen:?}");
        let lost = !seen[0].2.is_empty();
        assert_eq!(lost, path == SEALED, "records are lost with a segment only");
        assert_eq!(rig.fetch(id, 30, 500).is_err(), lost);
    }
}

#[test]
fn it_reads_no_faster_than_allowed_and_not_at_all_when_off() {
    let slow = LogLimits { scrub_bytes_per_s: 64 << 10, ..limits() };
    let (world, mut rig, _) = written(slow);
    // 100,000 bytes and a few files at 64 KiB/s: more than a second a pass.
    rig.pass(4000);
    world.flip_bit(SEALED, 30_500, 0).unwrap();
    let begin = rig.io.now();
    rig.until("the scrub", |rig| !found(rig).is_empty());
    rig.events.clear();
    world.flip_bit(ACTIVE, 30_500, 0).unwrap();
    rig.until("the scrub", |rig| !found(rig).is_empty());
    let took_ms = rig.io.now().since(begin).as_millis();
    assert!((500..20_000).contains(&took_ms), "{took_ms} ms");

    let (world, mut rig, _) = written(LogLimits { scrub_interval_ms: 0, ..limits() });
    world.flip_bit(SEALED, 30_500, 0).unwrap();
    rig.pass(60_000);
    assert_eq!(found(&rig), []);
}

#[test]
fn a_stop_does_not_wait_for_it() {
    let (world, mut rig, _) = written(LogLimits { scrub_bytes_per_s: 1, ..limits() });
    rig.pass(1000);
    let begin = world.now();
    rig.shutdown();
    let took_ms = world.now().since(begin).as_millis();
    assert!(took_ms < 1000, "{took_ms} ms");
}
