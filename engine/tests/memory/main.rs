//! What a log costs while nobody uses it, counted by the allocator: a shard holds thousands of them. If this breaks, memory grows
//! with the number of partitions faster than anybody expects.
//!
//! One test, because the allocator counts for the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken set-up should fail its test")]
#![allow(dead_code, reason = "the rig of the log tests has more doors than are opened here")]

mod counting;
#[path = "../log/rig.rs"]
mod rig;

use counting::{alive, peak_of};
use engine::io::posix::PosixDriver;
use engine::log::{LogConfig, LogId, LogLimits};
use rig::Rig;
use std::path::Path;

/// Logs of the two shards that are compared: what a shard has once for all of them does not count.
const FEW: usize = 50;
const MANY: usize = 350;

/// What a log may hold while it is idle, in bytes, beside the begun block at its end.
const IDLE_MAX: usize = 4 << 10;

/// Bytes of one record's batch.
const BATCH: usize = 170;

fn limits() -> LogLimits {
    LogLimits { idle_ms: 20, retention_check_ms: 50, checkpoint_ms: 5, scrub_interval_ms: 0, ..LogLimits::default() }
}

fn config() -> LogConfig {
    LogConfig { retention_ms: -1, ..LogConfig::default() }
}

fn boot(data: &Path) -> Rig {
    Rig::boot(Box::new(PosixDriver::new().unwrap()), data, &config(), limits())
}

/// Lets everything happen that happens by itself once nobody writes.
fn settle(rig: &mut Rig) {
    rig.pass(10 * limits().idle_ms);
    rig.events = Vec::new();
}

fn fill(rig: &mut Rig, logs: usize, batches: usize) {
    let name = |at: usize| format!("some.topic.name-{at}");
    let ids: Vec<_> = (0..logs).map(|at| rig.create_partition(&name(at), at as i32, config())).collect();
    for _ in 0..batches {
        ids.iter().for_each(|&id| {
            rig.append(id, 1, BATCH).unwrap();
        });
        ids.iter().for_each(|&id| rig.until_durable(id));
    }
}

/// Bytes that `logs` logs with so many batches hold, after they were written and after a start that found them.
fn held(logs: usize, batches: usize) -> [usize; 2] {
    // In memory where the system has such: what is counted is the same, and thousands of flushes cost nothing there.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let before = alive();
    let mut rig = boot(folder.path());
    fill(&mut rig, logs, batches);
    settle(&mut rig);
    let written = alive() - before;
    drop(rig);
    engine::mem::trim();
    let before = alive();
    let mut rig = boot(folder.path());
    settle(&mut rig);
    [written, alive() - before]
}

/// Retention empties every log in one look. Each removal waits for a checkpoint, which has an entry for each log: one for each
/// removal was 13 GB with ten thousand logs.
fn retention_of_all_at_once() {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let mut rig = Rig::boot(Box::new(PosixDriver::new().unwrap()), folder.path(), &config(), limits());
    fill(&mut rig, MANY, 1);
    settle(&mut rig);
    let ids: Vec<_> = (0..MANY as u32).map(LogId).collect();
    let peak = peak_of(|| {
        ids.iter().for_each(|&id| rig.set().set_config(id, LogConfig { retention_ms: 1000, ..config() }));
        rig.until("retention", |rig| ids.iter().all(|&id| rig.set().offsets(id).start == 1));
        settle(&mut rig);
    });
    println!("retention of {MANY} logs: {} bytes a log at a time", peak / MANY);
    assert!(peak / MANY < 32 << 10, "{} bytes a log at a time", peak / MANY);
}

#[test]
fn an_idle_log_holds_little_more_than_its_begun_block_and_retention_of_all_little_more() {
    retention_of_all_at_once();
    for batches in [1, 10] {
        let (few, many) = (held(FEW, batches), held(MANY, batches));
        let [written, found] = [0, 1].map(|at| (many[at] - few[at]) / (MANY - FEW));
        println!("{batches} batches: {written} bytes a log once written, {found} bytes after a start");
        let max = IDLE_MAX + batches * BATCH;
        assert!(
            written <= max && found <= max,
            "{written} and {found} bytes a log of {batches} batches, at most {max}"
        );
    }
}
