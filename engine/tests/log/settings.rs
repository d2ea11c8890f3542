//! What single settings of a topic do to the files of its log: what fails here is taken from an operator and not acted on.

use crate::rig::{Rig, limits, on_every_driver, small};
use engine::io::Op;
use engine::io::sim::SimWorld;
use engine::log::{Durability, LogConfig, LogEvent, LogId, LogLimits};
use std::path::Path;

/// Bytes of each segment's file, oldest first.
fn file_lengths(rig: &mut Rig, folder: &str) -> Vec<u64> {
    let (io, path) = (rig.io.clone(), rig.data.join(folder));
    let entries = rig.run(async move {
        let done = io.call(Op::List { path, entries: Vec::new() }).await;
        let Op::List { entries, .. } = done.op else { unreachable!("a completion returns its op") };
        entries
    });
    let mut segments: Vec<_> = entries.into_iter().filter(|entry| entry.name.ends_with(".log")).collect();
    segments.sort_by(|one, other| one.name.cmp(&other.name));
    segments.into_iter().map(|entry| entry.len).collect()
}

/// Batches of each segment whose batches have one record each.
fn batches(rig: &mut Rig, id: LogId) -> Vec<i64> {
    rig.set().segments(id).iter().map(|(base, end, _)| end - base).collect()
}

/// 27 batches of 1,000 bytes, with such timestamps.
fn fill(rig: &mut Rig, id: LogId, timestamp: impl Fn(i64) -> i64) {
    (0..27).for_each(|n| _ = rig.append_at(id, 1, 1000, timestamp(n)).unwrap());
    rig.until_durable(id);
}

#[test]
fn a_segment_is_rolled_when_an_index_of_kafkas_would_be_full() {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        // 120 bytes are ten entries of times, one of them for the roll, and fifteen of offsets.
        let config = LogConfig { segment_index_bytes: 120, index_interval_bytes: 900, segment_ms: i64::MAX, ..small() };
        let (rising, same) = (rig.create("rising-0", config.clone()), rig.create("same-0", config.clone()));
        let roomy = rig.create("roomy-0", LogConfig { segment_index_bytes: 10 << 20, ..config.clone() });
        let sparse = rig.create("sparse-0", LogConfig { index_interval_bytes: 1000, ..config.clone() });
        let none = rig.create("none-0", LogConfig { segment_index_bytes: 4, ..config.clone() });
        for id in [rising, roomy, sparse, none] {
            fill(&mut rig, id, |n| 1000 + n);
        }
        fill(&mut rig, same, |_| 1000);
        assert_eq!(batches(&mut rig, rising), [10, 10, 7]);
        assert_eq!(batches(&mut rig, same), [16, 11]);
        assert_eq!(batches(&mut rig, roomy), [27]);
        assert_eq!(batches(&mut rig, sparse), [19, 8], "an entry for every other batch");
        assert_eq!(batches(&mut rig, none), [1; 27], "one batch is always taken");
        rig.shutdown();

        let mut rig = Rig::boot(driver(), data, &config, limits());
        let rising = rig.logs["rising-0"];
        (0..10).for_each(|n| _ = rig.append_at(rising, 1, 1000, 2000 + n).unwrap());
        assert_eq!(batches(&mut rig, rising), [10, 10, 10, 7], "a restart knows how full they are");
        rig.set().set_config(rising, LogConfig { segment_index_bytes: 60, ..config.clone() });
        rig.append_at(rising, 1, 1000, 3000).unwrap();
        assert_eq!(batches(&mut rig, rising), [10, 10, 10, 7, 1], "a smaller bound counts at once");
        rig.check_whole(rising);
        rig.shutdown();
    });
}

#[test]
fn preallocate_gives_a_segment_its_space_with_its_first_batch_and_takes_the_rest_back() {
    on_every_driver(|driver, data| {
        for durability in [Durability::Fsync, Durability::None] {
            let folder = if durability == Durability::Fsync { "t-0" } else { "u-0" };
            let mut rig = Rig::boot(driver(), data, &small(), limits());
            let config = LogConfig { segment_bytes: 256 << 10, preallocate: true, durability, ..small() };
            let id = rig.create(folder, config.clone());
            rig.append(id, 1, 1000).unwrap();
            rig.until_durable(id);
            assert_eq!(file_lengths(&mut rig, folder), [256 << 10]);
            (0..270).for_each(|_| _ = rig.append(id, 1, 1000).unwrap());
            rig.until_event("the first segment to be closed", |event| matches!(event, LogEvent::Sealed { .. }));
            rig.until_durable(id);
            assert_eq!(file_lengths(&mut rig, folder), [262_000, 256 << 10], "{durability:?}");
            rig.shutdown();

            let mut rig = Rig::boot(driver(), data, &config, limits());
            let id = rig.logs[folder];
            assert_eq!((rig.set().offsets(id).end, rig.reports.len()), (271, 0), "{:?}", rig.reports);
            assert_eq!(file_lengths(&mut rig, folder), [262_000, 9_000], "a clean stop closes, too");
            rig.append(id, 1, 1000).unwrap();
            rig.until("its space", |rig| file_lengths(rig, folder) == [262_000, 256 << 10]);
            rig.check_whole(id);
            rig.shutdown();
        }
    });
}

#[test]
fn preallocate_on_a_disk_without_the_room_refuses_once_and_goes_on_with_less() {
    let world = SimWorld::new(3);
    world.write_file("/data/.keep", b"").unwrap();
    let mut rig =
        Rig::boot(Box::new(world.restart()), Path::new("/data"), &small(), LogLimits { journal_bytes: 0, ..limits() });
    world.faults(|faults| faults.capacity = 8 << 20);
    let id = rig.create("t-0", LogConfig { segment_bytes: 64 << 20, preallocate: true, ..small() });
    rig.append(id, 1, 1000).unwrap();
    rig.until_event("rejection", |event| *event == LogEvent::Rejected { id, from: 0 });
    rig.until_event("healing", |event| *event == LogEvent::Healed { id });
    (0..100).for_each(|_| _ = rig.append(id, 1, 1000).unwrap());
    rig.until_durable(id);
    rig.check_whole(id);
    let rejected = rig.events.iter().filter(|event| matches!(event, LogEvent::Rejected { .. })).count();
    assert_eq!(rejected, 1);
}
