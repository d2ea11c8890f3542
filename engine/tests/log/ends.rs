//! Where a log starts and ends when cuts, raised starts, full disks and crashes meet. What would break without it: a
//! record that was acknowledged lies below the start of the log that a crash leaves, or behind a hole.

use crate::rig::{Rig, batch, limits, small};
use engine::io::sim::SimWorld;
use engine::log::{Durability, LogConfig, LogEvent, LogId, LogLimits, LogOffsets};
use std::path::Path;

fn world(seed: u64) -> SimWorld {
    let world = SimWorld::new(seed);
    world.write_file("/data/.keep", b"").unwrap();
    world
}

fn boot(world: &SimWorld, config: &LogConfig) -> Rig {
    // Removed segments are written again, and no checkpoint comes just in time.
    let limits = LogLimits { spare_rate_min: 0, checkpoint_ms: 60_000, ..limits() };
    Rig::boot(Box::new(world.restart()), Path::new("/data"), config, limits)
}

fn append(rig: &mut Rig, id: LogId, batches: usize, records: i32, bytes: usize) {
    (0..batches).for_each(|_| _ = rig.append(id, records, bytes).unwrap());
}

fn at(start: i64, end: i64) -> LogOffsets {
    LogOffsets { start, durable: end, end }
}

fn is_cut(event: &LogEvent) -> bool {
    matches!(event, LogEvent::Truncated { .. })
}

#[test]
fn the_start_does_not_rise_into_a_suffix_that_waits_to_be_cut() {
    let world = world(1);
    let mut rig = boot(&world, &small());
    let id = rig.create("t-0", small());
    append(&mut rig, id, 20, 1, 4000);
    rig.until_durable(id);
    append(&mut rig, id, 1, 1, 4000);
    rig.set().truncate_suffix(id, 9);
    rig.set().advance_start(id, 12);
    rig.until_event("the cut", is_cut);
    assert_eq!(rig.set().offsets(id), at(9, 9));
    append(&mut rig, id, 2, 1, 100);
    rig.until_durable(id);
    assert_eq!(rig.read_all(id), [(9, 9), (10, 10)]);
    rig.shutdown();
    let mut rig = boot(&world, &small());
    let id = rig.logs["t-0"];
    assert_eq!(rig.set().offsets(id), at(9, 11));
}

#[test]
fn a_start_inside_the_batch_that_is_cut_comes_down_for_good() {
    for seed in 0..8 {
        let world = world(seed);
        let mut rig = boot(&world, &small());
        let id = rig.create("t-0", small());
        append(&mut rig, id, 20, 3, 1000);
        rig.until_durable(id);
        rig.set().advance_start(id, 58);
        // The raised start reaches the disk.
        rig.pass(50);
        rig.set().truncate_suffix(id, 59);
        rig.until_event("the cut", is_cut);
        assert_eq!(rig.set().offsets(id), at(57, 57));
        append(&mut rig, id, 2, 1, 100);
        rig.until_durable(id);
        world.kill();
        drop(rig);
        let mut rig = boot(&world, &small());
        let id = rig.logs["t-0"];
        assert_eq!((rig.set().offsets(id), rig.reports.clone()), (at(57, 59), Vec::new()), "seed {seed}");
        assert_eq!(rig.read_all(id), [(57, 57), (58, 58)]);
    }
}

#[test]
fn a_cut_that_a_crash_interrupts_leaves_a_log_that_starts_before_it_ends() {
    for turns in 0..40 {
        let world = world(turns);
        let mut rig = boot(&world, &small());
        let id = rig.create("t-0", small());
        append(&mut rig, id, 20, 3, 1000);
        rig.until_durable(id);
        rig.set().advance_start(id, 58);
        rig.pass(50);
        rig.set().truncate_suffix(id, 59);
        (0..turns).for_each(|_| rig.turn());
        world.crash();
        drop(rig);
        let mut rig = boot(&world, &small());
        let id = rig.logs["t-0"];
        let end = rig.set().offsets(id).end;
        assert!(end == 57 || end == 60, "{turns} turns: {end} {:?}", rig.reports);
        append(&mut rig, id, 1, 1, 100);
        rig.until_durable(id);
        world.kill();
        drop(rig);
        let mut rig = boot(&world, &small());
        let id = rig.logs["t-0"];
        assert_eq!(rig.read_all(id).last(), Some(&(end, end)), "{turns} turns: {:?}", rig.reports);
    }
}

#[test]
fn what_follows_a_lost_end_is_dropped_though_an_old_index_fits_the_file() {
    let world = world(1);
    let mut rig = boot(&world, &small());
    let id = rig.create("t-0", small());
    append(&mut rig, id, 10, 1, 1000);
    rig.until_durable(id);
    // The clean stop writes an index of the active segment.
    rig.shutdown();
    drop(boot(&world, &small()));
    let mut later = batch(14, 1, 1000, 1000);
    protocol::batch::patch(&mut later, 14, 7);
    world.write_file("/data/t-0/00000000000000000014.log", &later).unwrap();
    world.kill();
    let mut rig = boot(&world, &small());
    let id = rig.logs["t-0"];
    assert_eq!(rig.set().offsets(id), at(0, 10), "{:?}", rig.reports);
    assert_eq!(rig.recovered["t-0"].1.len(), 10);
    append(&mut rig, id, 2, 1, 100);
    rig.until_durable(id);
    rig.check_whole(id);
}

#[test]
fn segments_get_their_names_in_order() {
    let config = LogConfig { segment_bytes: 16 << 10, ..small() };
    for turns in 0..60 {
        let world = world(turns);
        let mut rig = boot(&world, &config);
        let id = rig.create("t-0", config.clone());
        append(&mut rig, id, 12, 1, 4000);
        rig.until_durable(id);
        rig.pass(50);
        rig.set().set_config(id, LogConfig { retention_bytes: 0, ..config.clone() });
        rig.until("retention", |rig| rig.set().offsets(id).start == 12);
        rig.set().set_config(id, config.clone());
        rig.pass(200);
        append(&mut rig, id, 16, 1, 4000);
        (0..turns).for_each(|_| rig.turn());
        let durable = rig.set().offsets(id).durable;
        world.crash();
        drop(rig);
        let mut rig = boot(&world, &config);
        let id = rig.logs["t-0"];
        let offsets = rig.set().offsets(id);
        assert!(offsets.start == 12 && offsets.end >= durable, "{turns} turns: {offsets:?} {:?}", rig.reports);
        rig.check_whole(id);
    }
}

#[test]
fn what_a_full_disk_leaves_counts_as_durable_only_once_it_is_flushed() {
    for seed in 0..12 {
        let world = world(seed);
        let mut rig = boot(&world, &small());
        let id = rig.create("t-0", small());
        append(&mut rig, id, 1, 1, 100);
        rig.until_durable(id);
        world.faults(|faults| faults.capacity = (200 << 10) + seed * 4096);
        while rig.append(id, 1, 3000).is_ok() {
            rig.turn();
        }
        rig.until_event("rejection", |event| matches!(event, LogEvent::Rejected { .. }));
        let durable = rig.set().offsets(id).durable;
        world.crash();
        drop(rig);
        world.faults(|faults| faults.capacity = 64 << 20);
        let mut rig = boot(&world, &small());
        let id = rig.logs["t-0"];
        let end = rig.set().offsets(id).end;
        assert!(end >= durable, "seed {seed}: durable {durable}, recovered {end} {:?}", rig.reports);
    }
}

#[test]
fn a_cut_leaves_older_segments_to_be_sealed() {
    for seed in 0..12 {
        let world = world(seed);
        let mut rig = boot(&world, &small());
        let id = rig.create("t-0", small());
        append(&mut rig, id, 20, 1, 4000);
        rig.set().truncate_suffix(id, 18);
        rig.until_event("the cut", is_cut);
        rig.until_durable(id);
        rig.set().advance_start(id, 18);
        rig.pass(50);
        assert_eq!(rig.set().segments(id).len(), 1, "seed {seed}: the older segment is removed");
    }
}

#[test]
fn a_start_that_was_never_flushed_is_not_promised() {
    let config = LogConfig { durability: Durability::None, ..small() };
    for seed in 0..12 {
        let world = world(seed);
        let mut rig = boot(&world, &config);
        let id = rig.create("t-0", config.clone());
        append(&mut rig, id, 10, 1, 1000);
        rig.until_durable(id);
        rig.set().advance_start(id, 9);
        rig.pass(50);
        world.crash();
        drop(rig);
        let mut rig = boot(&world, &config);
        let id = rig.logs["t-0"];
        append(&mut rig, id, 1, 1, 100);
        rig.until_durable(id);
        let end = rig.set().offsets(id).end;
        world.kill();
        drop(rig);
        let mut rig = boot(&world, &config);
        let id = rig.logs["t-0"];
        assert_eq!(rig.read_all(id).last(), Some(&(end - 1, end - 1)), "seed {seed}: {:?}", rig.reports);
    }
}

#[test]
fn nothing_is_retained_beside_the_last_checkpoint_of_a_clean_stop() {
    for seed in 0..30 {
        let world = world(seed);
        world.faults(|faults| faults.disk_latency_ns = 100_000..20_000_000);
        let config = LogConfig { segment_bytes: 16 << 10, ..small() };
        let limits = LogLimits { retention_check_ms: 1 + seed % 15, ..limits() };
        let mut rig = Rig::boot(Box::new(world.restart()), Path::new("/data"), &config, limits);
        let id = rig.create("t-0", config.clone());
        append(&mut rig, id, 40, 1, 4000);
        rig.until_durable(id);
        // Due while the set stops.
        let old = rig.io.wall().0 - 1000 + seed as i64;
        rig.set().set_config(id, LogConfig { retention_ms: old, ..config.clone() });
        let before = rig.set().offsets(id);
        rig.shutdown();
        let mut rig = boot(&world, &config);
        let id = rig.logs["t-0"];
        assert_eq!(rig.set().offsets(id), before, "seed {seed}");
        rig.check_whole(id);
    }
}

#[test]
fn a_log_that_was_idle_keeps_its_space_at_a_start_unless_something_lies_in_it() {
    let segment = Path::new("/data/t-0/00000000000000000000.log");
    let world = world(3);
    let len = || world.fs_list().into_iter().find(|(path, _)| path == segment).map(|(_, len)| len);
    let start = || Rig::boot(Box::new(world.restart()), Path::new("/data"), &small(), limits());
    let mut rig = start();
    let id = rig.create("t-0", small());
    append(&mut rig, id, 3, 1, 100);
    rig.until_durable(id);
    rig.pass(100);
    let reserved = len().unwrap();
    assert!(reserved > 8192, "{reserved} bytes are reserved");
    for end in 3..6 {
        world.kill();
        rig = start();
        let id = rig.logs["t-0"];
        assert_eq!((len(), rig.set().offsets(id)), (Some(reserved), at(0, end)), "nothing was cut");
        rig.check_whole(id);
        append(&mut rig, id, 1, 1, 100);
        rig.until_durable(id);
        rig.pass(100);
    }
    // What no append of ours left there would be taken for its continuation.
    world.kill();
    world.flip_bit(segment, 8000, 3).unwrap();
    rig = start();
    let id = rig.logs["t-0"];
    assert_eq!(len(), Some(600), "it was cut");
    rig.check_whole(id);
    // And one that a clean stop cut is cut once more, with what may lie in its last block, before it grows.
    rig.shutdown();
    rig = start();
    let id = rig.logs["t-0"];
    assert_eq!(len(), Some(600));
    append(&mut rig, id, 1, 1, 100);
    rig.until_durable(id);
    world.crash();
    rig = start();
    let id = rig.logs["t-0"];
    assert_eq!(rig.set().offsets(id), at(0, 7));
    rig.check_whole(id);
}
