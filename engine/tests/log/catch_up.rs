//! Consumers that lag behind memory: they get everything, and producers do not wait for them.

use crate::rig::{Rig, limits, small};
use engine::io::sim::SimWorld;
use engine::log::{LogConfig, LogLimits, Read};
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

/// Ten consumers that lag read from disk no faster than a few reads at a time, so that a producer's write never waits for
/// more than these.
#[test]
fn reads_of_lagging_consumers_take_turns() {
    let world = SimWorld::new(1);
    world.write_file("/data/.keep", b"").unwrap();
    let little = LogLimits { tail_cache_bytes: 16 << 10, scrub_interval_ms: 0, ..limits() };
    let mut rig = Rig::boot(Box::new(world.restart()), Path::new("/data"), &small(), little);
    let id = rig.create("t-0", LogConfig { segment_bytes: 1 << 20, ..small() });
    for _ in 0..200 {
        rig.append(id, 1, 2000).unwrap();
        rig.until_durable(id);
    }
    rig.fetch(id, 0, 1000).unwrap();
    world.faults(|faults| faults.disk_latency_ns = 1_000_000..1_000_001);
    let began = world.now();
    let done = Rc::new(Cell::new(0));
    for from in 0..10 {
        let Read::Disk(plan) = rig.set().read(id, from, 2500, i64::MAX, true) else { panic!("{from} is in memory") };
        let (read, done) = (rig.set().read_disk(plan), Rc::clone(&done));
        rig.io.spawn(async move {
            assert!(!read.await.unwrap().is_empty());
            done.set(done.get() + 1);
        });
    }
    rig.until("the reads", |_| done.get() == 10);
    let elapsed_ms = (world.now().0 - began.0) / 1_000_000;
    assert!((5..8).contains(&elapsed_ms), "ten reads of 1 ms, two at a time, took {elapsed_ms} ms");
}
