//! Ops that fail. A failed write or flush must never be followed by a success that hides it, and a full disk must cost
//! nothing that was acknowledged, touch no other log, and pass.

use crate::rig::{Rig, limits, small};
use engine::io::sim::{OpKind, SimFaults, SimWorld};
use engine::log::{AppendError, Durability, LogConfig, LogEvent, LogId, LogLimits};
use std::path::Path;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

fn world(seed: u64) -> SimWorld {
    let world = SimWorld::new(seed);
    world.write_file("/data/.keep", b"").unwrap();
    world
}

/// Without the scrub, which would take faults that are meant for others.
fn boot(world: &SimWorld) -> Rig {
    let limits = LogLimits { scrub_interval_ms: 0, ..limits() };
    Rig::boot(Box::new(world.restart()), Path::new("/data"), &small(), limits)
}

/// Appends and turns until the log refuses or `appends` are in.
fn fill(rig: &mut Rig, id: LogId, appends: usize) -> Option<AppendError> {
    for n in 0..appends {
        if let Err(refused) = rig.append(id, 1, 700 + n % 3000) {
            return Some(refused);
        }
        rig.turn();
    }
    None
}

#[test]
fn the_nth_op_fails_and_nothing_durable_is_lost() {
    for kind in [OpKind::WriteV, OpKind::SyncData, OpKind::Open, OpKind::SetLen, OpKind::SyncDir, OpKind::Rename] {
        for nth in [1, 2, 3, 5, 9, 17] {
            let world = world(nth);
            let mut rig = boot(&world);
            let (bad, good) = (rig.create("bad-0", small()), rig.create("good-0", small()));
            world.faults(|faults| faults.fail_nth(kind, nth, EIO));
            fill(&mut rig, bad, 150);
            rig.pass(100);
            let promised = rig.set().offsets(bad).durable;
            let fenced = rig.events.iter().any(|event| matches!(event, LogEvent::Fenced { .. }));
            if fenced {
                assert_eq!(rig.append(bad, 1, 100), Err(AppendError::Fenced), "{kind:?} {nth}");
            }
            // What has not struck by now shall not strike the other log.
            world.faults(|faults| *faults = SimFaults::default());
            rig.append(good, 1, 100).unwrap();
            rig.until_durable(good);
            world.crash();
            drop(rig);
            let mut rig = boot(&world);
            let after = rig.logs.get("bad-0").map_or(0, |&id| rig.set.as_ref().unwrap().offsets(id).end);
            assert!(after >= promised, "{kind:?} {nth}: durable {promised}, recovered {after} {:?}", rig.reports);
            if let Some(&id) = rig.logs.get("bad-0") {
                rig.check_whole(id);
                rig.append(id, 1, 100).unwrap();
                rig.until_durable(id);
            }
        }
    }
}

#[test]
fn after_a_failed_flush_reads_stop_at_what_is_durable() {
    for (synced_writes, kind) in [(false, OpKind::SyncData), (true, OpKind::WriteV)] {
        let world = world(1);
        let limits = LogLimits { synced_writes, scrub_interval_ms: 0, ..limits() };
        let mut rig = Rig::boot(Box::new(world.restart()), Path::new("/data"), &small(), limits);
        let id = rig.create("t-0", small());
        fill(&mut rig, id, 20);
        rig.until_durable(id);
        let durable = rig.set().offsets(id).durable;
        world.faults(|faults| faults.fail_nth(kind, 1, EIO));
        rig.append(id, 1, 5000).unwrap();
        rig.until_event("fence", |event| matches!(event, LogEvent::Fenced { .. }));
        rig.pass(100);
        assert_eq!(rig.set().offsets(id).durable, durable);
        assert_eq!(rig.read_all(id).last(), Some(&(durable - 1, durable - 1)));
        assert_eq!(rig.append(id, 1, 100), Err(AppendError::Fenced));
    }
}

#[test]
fn a_full_disk_passes_without_a_restart() {
    for seed in 0..8 {
        let world = world(seed);
        let mut rig = boot(&world);
        let (a, b) = (rig.create("a-0", small()), rig.create("b-0", small()));
        rig.append(b, 1, 100).unwrap();
        rig.until_durable(b);
        world.faults(|faults| faults.capacity = (300 << 10) + seed * 4096);
        let refused = fill(&mut rig, a, 2000);
        assert_eq!(refused, Some(AppendError::Full));
        rig.until_event("rejection", |event| matches!(event, LogEvent::Rejected { .. }));
        rig.until_durable(a);
        let offsets = rig.set().offsets(a);
        assert!(rig.events.contains(&LogEvent::Rejected { id: a, from: offsets.end }));
        rig.check_whole(a);
        // Space that another log has already is still its own.
        rig.append(b, 1, 100).unwrap();
        rig.until_durable(b);
        rig.pass(3000);
        assert_eq!(rig.append(a, 1, 100), Err(AppendError::Full), "still full");
        world.faults(|faults| faults.capacity = 64 << 20);
        rig.until_event("healing", |event| *event == LogEvent::Healed { id: a });
        assert_eq!(fill(&mut rig, a, 100), None);
        rig.until_durable(a);
        rig.check_whole(a);
        let end = rig.set().offsets(a).end;
        world.crash();
        drop(rig);
        let mut rig = boot(&world);
        let a = rig.logs["a-0"];
        assert_eq!(rig.set().offsets(a).end, end, "seed {seed}: {:?}", rig.reports);
        rig.check_whole(a);
    }
}

#[test]
fn a_write_that_finds_no_space_is_a_full_disk_too() {
    let world = world(3);
    let mut rig = boot(&world);
    let config = LogConfig { durability: Durability::None, ..small() };
    let id = rig.create("t-0", config);
    fill(&mut rig, id, 30);
    rig.until_durable(id);
    let durable = rig.set().offsets(id).durable;
    world.faults(|faults| faults.fail_nth(OpKind::WriteV, 1, ENOSPC));
    fill(&mut rig, id, 10);
    rig.until_event("healing", |event| matches!(event, LogEvent::Healed { .. }));
    assert!(rig.set().offsets(id).end >= durable);
    assert_eq!(fill(&mut rig, id, 30), None);
    rig.until_durable(id);
    rig.check_whole(id);
}

#[test]
fn memory_is_bounded_while_the_disk_is_slow() {
    let world = world(4);
    world.faults(|faults| faults.disk_latency_ns = 50_000_000..60_000_000);
    let little = LogLimits { unwritten_bytes_max: 256 << 10, tail_cache_bytes: 64 << 10, ..limits() };
    let mut rig = Rig::boot(Box::new(world.restart()), Path::new("/data"), &small(), little);
    let id = rig.create("t-0", small());
    let refused = (0..1000).find_map(|_| rig.append(id, 1, 2000).err());
    assert_eq!(refused, Some(AppendError::Busy));
    assert!(rig.set().held_bytes() < 600 << 10, "{} bytes held", rig.set().held_bytes());
    rig.until_durable(id);
    rig.append(id, 1, 100).unwrap();
    rig.until_durable(id);
    rig.check_whole(id);
}
