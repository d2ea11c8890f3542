//! A log's ordinary life over every driver: what fails here would lose or invent records without any crash.

use crate::rig::{Rig, UID, batch, limits, on_every_driver, small, verify};
use engine::log::{Durability, LogConfig, LogEvent, LogLimits, Read};

#[test]
fn append_read_reopen() {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.create("t-0", small());
        for n in 0..200 {
            rig.append(id, 1 + n % 5, 70 + (n as usize * 997) % 9000).unwrap();
            if n % 7 == 0 {
                rig.turn();
            }
        }
        rig.until_durable(id);
        rig.check_whole(id);
        let (segments, end) = (rig.set().segments(id).len(), rig.set().offsets(id).end);
        assert!(segments > 5, "{segments} segments");
        rig.shutdown();

        let mut rig = Rig::boot(driver(), data, &small(), limits());
        assert!(rig.reports.is_empty(), "{:?}", rig.reports);
        let id = rig.logs["t-0"];
        assert_eq!((rig.set().offsets(id).end, rig.set().segments(id).len()), (end, segments));
        rig.check_whole(id);
        for _ in 0..50 {
            rig.append(id, 2, 3000).unwrap();
        }
        rig.until_durable(id);
        rig.check_whole(id);
        rig.shutdown();
    });
}

#[test]
fn a_killed_process_loses_nothing_that_was_durable() {
    on_every_driver(|driver, data| {
        let mut end = 0;
        for round in 0..3 {
            let mut rig = Rig::boot(driver(), data, &small(), limits());
            let id = if round == 0 { rig.create("t-0", small()) } else { rig.logs["t-0"] };
            assert_eq!(rig.set().offsets(id).end, end, "round {round}: {:?}", rig.reports);
            rig.check_whole(id);
            for n in 0..60 {
                rig.append(id, 1, 500 + 100 * n).unwrap();
            }
            rig.until_durable(id);
            end = rig.set().offsets(id).end;
            // Dropped without a shutdown: files keep their reserved space, nothing is marked clean.
        }
    });
}

#[test]
fn reads_honour_their_limits() {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.create("t-0", small());
        (0..20).for_each(|_| _ = rig.append(id, 3, 1000).unwrap());
        let mut bases = |from, max, upto, one| match rig.set().read(id, from, max, upto, one) {
            Read::Bytes(slices) => verify(&slices).into_iter().map(|(base, _)| base).collect(),
            Read::End => vec![-1],
            Read::OutOfRange => vec![-2],
            Read::Disk(_) => vec![-3],
        };
        assert_eq!(bases(4, 2500, i64::MAX, false), [3, 6]);
        assert_eq!(bases(4, 100, i64::MAX, true), [3]);
        assert_eq!(bases(4, 100, i64::MAX, false), [-1]);
        assert_eq!(bases(0, 1 << 20, 9, true), [0, 3, 6]);
        assert_eq!(bases(0, 1 << 20, 10, true), [0, 3, 6]);
        assert_eq!(bases(60, 1 << 20, i64::MAX, true), [-1]);
        assert_eq!(bases(61, 1 << 20, i64::MAX, true), [-2]);
        assert_eq!(bases(-1, 1 << 20, i64::MAX, true), [-2]);
    });
}

#[test]
fn old_data_is_read_from_disk() {
    on_every_driver(|driver, data| {
        let little = LogLimits { tail_cache_bytes: 32 << 10, ..limits() };
        let mut rig = Rig::boot(driver(), data, &small(), little);
        let id = rig.create("t-0", small());
        for n in 0..300 {
            rig.append(id, 2, 100 + (n * 331) % 4000).unwrap();
            if n % 10 == 0 {
                rig.until_durable(id);
            }
        }
        rig.until_durable(id);
        assert!(rig.set().held_bytes() <= 160 << 10, "{} bytes held", rig.set().held_bytes());
        assert!(matches!(rig.set().read(id, 0, 1000, i64::MAX, true), Read::Disk(_)));
        rig.check_whole(id);
        for from in [0, 1, 77, 300, 301, 598, 599] {
            let slices = rig.fetch(id, from, 5000).unwrap();
            let (base, last) = verify(&slices)[0];
            assert!(base <= from && from <= last, "offset {from} is in {base}..={last}");
        }
        // A batch that does not fit is not passed over for a smaller one, of the next segment least of all.
        for from in (0..550).step_by(7) {
            let Read::Disk(plan) = rig.set().read(id, from, 90, i64::MAX, false) else { continue };
            let task = rig.set().read_disk(plan);
            assert!(rig.run(task).unwrap().is_empty(), "a batch of more than 90 bytes for {from}");
            let Read::Disk(plan) = rig.set().read(id, from, 2000, i64::MAX, false) else { continue };
            let task = rig.set().read_disk(plan);
            let found = rig.run(task).unwrap();
            let bases = verify(&found);
            assert!(bases.first().is_none_or(|(base, last)| (*base..=*last).contains(&from)), "{from}: {bases:?}");
        }
        // An idle log holds no chunk at all, and goes on where it was.
        rig.pass(500);
        assert_eq!(rig.set().held_bytes(), 0);
        rig.append(id, 1, 700).unwrap();
        rig.until_durable(id);
        rig.check_whole(id);
    });
}

#[test]
fn a_timestamp_finds_its_batch() {
    on_every_driver(|driver, data| {
        let little = LogLimits { tail_cache_bytes: 16 << 10, ..limits() };
        let mut rig = Rig::boot(driver(), data, &small(), little);
        let config = LogConfig { segment_ms: i64::MAX, ..small() };
        let id = rig.create("t-0", config);
        for n in 0..150_i64 {
            rig.append_at(id, 2, 1500, 1_000_000 + 10 * n).unwrap();
            rig.until_durable(id);
        }
        for (timestamp, base) in [(0, 0), (1_000_000, 0), (1_000_001, 2), (1_000_755, 152), (1_001_490, 298)] {
            let task = rig.set().lookup_time(id, timestamp);
            let hit = rig.run(task).unwrap().unwrap();
            assert_eq!(hit.base_offset, base, "timestamp {timestamp}");
            assert!(hit.max_timestamp >= timestamp);
        }
        let task = rig.set().lookup_time(id, 1_001_491);
        assert!(rig.run(task).unwrap().is_none());
        assert_eq!(rig.set().max_timestamp(id), Some((1_001_490, 299)));
        rig.set().advance_start(id, 100);
        let task = rig.set().lookup_time(id, 0);
        assert_eq!(rig.run(task).unwrap().unwrap().base_offset, 100);
    });
}

#[test]
fn a_suffix_is_removed_and_written_anew() {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.create("t-0", small());
        for to in [250, 101, 37, 0] {
            while rig.set().offsets(id).end < 300 {
                rig.append(id, 3, 2500).unwrap();
            }
            rig.set().truncate_suffix(id, to);
            rig.until_event("truncation", |event| matches!(event, LogEvent::Truncated { .. }));
            let end = rig.set().offsets(id).end;
            assert!(end <= to && to < end + 3, "cut to {to}, ends at {end}");
            rig.events.clear();
            rig.check_whole(id);
        }
        (0..30).for_each(|_| _ = rig.append(id, 3, 2500).unwrap());
        rig.until_durable(id);
        drop(rig);
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.logs["t-0"];
        assert_eq!(rig.set().offsets(id).end, 90, "{:?}", rig.reports);
        rig.check_whole(id);
    });
}

#[test]
fn delete_records_moves_the_start_and_frees_whole_segments() {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.create("t-0", small());
        (0..200).for_each(|_| _ = rig.append(id, 1, 2000).unwrap());
        rig.until_durable(id);
        let before = rig.set().segments(id).len();
        rig.until("seals", |rig| {
            rig.events.iter().filter(|e| matches!(e, LogEvent::Sealed { .. })).count() == before - 1
        });
        rig.set().advance_start(id, 150);
        assert_eq!(rig.set().offsets(id).start, 150);
        assert!(matches!(rig.set().read(id, 149, 1, i64::MAX, true), Read::OutOfRange));
        assert!(rig.set().segments(id).len() < before);
        rig.check_whole(id);
        rig.pass(300);
        drop(rig);
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.logs["t-0"];
        assert_eq!(rig.set().offsets(id).start, 150, "the start survives");
        rig.check_whole(id);
    });
}

#[test]
fn retention_by_bytes_and_by_time() {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let wall = rig.io.wall().0;
        let by_bytes = rig.create("bytes-0", LogConfig { retention_bytes: 150 << 10, ..small() });
        let by_time = rig.create("time-0", LogConfig { retention_ms: 3_600_000, ..small() });
        for n in 0..300_i64 {
            rig.append_at(by_bytes, 1, 2000, wall).unwrap();
            let old = if n < 150 { wall - 7_200_000 } else { wall };
            rig.append_at(by_time, 1, 2000, old).unwrap();
        }
        rig.until("retention", |rig| {
            rig.set().size_bytes(by_bytes) < 215 << 10 && rig.set().offsets(by_time).start > 100
        });
        assert!(rig.set().size_bytes(by_bytes) >= 150 << 10);
        assert!(rig.set().offsets(by_time).start <= 150, "nothing young is removed");
        rig.check_whole(by_bytes);
        rig.check_whole(by_time);
        rig.shutdown();
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let (by_bytes, by_time) = (rig.logs["bytes-0"], rig.logs["time-0"]);
        rig.check_whole(by_bytes);
        rig.check_whole(by_time);
    });
}

#[test]
fn a_log_whose_records_are_all_old_keeps_its_end() {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.create("t-0", LogConfig { retention_ms: 1000, ..small() });
        (0..50).for_each(|_| _ = rig.append_at(id, 1, 2000, 5).unwrap());
        rig.until("all old segments to go", |rig| rig.set().offsets(id).start == 50);
        rig.pass(300);
        rig.append_at(id, 1, 2000, i64::MAX).unwrap();
        rig.until_durable(id);
        assert_eq!(rig.read_all(id), [(50, 50)]);
        rig.shutdown();
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.logs["t-0"];
        assert_eq!((rig.set().offsets(id).start, rig.set().offsets(id).end), (50, 51));
    });
}

#[test]
fn a_deleted_log_goes_and_its_name_is_free_at_once() {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let old = rig.create("t-0", small());
        (0..40).for_each(|_| _ = rig.append(old, 1, 5000).unwrap());
        rig.turn();
        rig.set().delete(old);
        let new = rig.create("t-0", small());
        rig.append(new, 1, 5000).unwrap();
        rig.until_durable(new);
        rig.until_event("removal", |event| *event == LogEvent::Deleted { id: old });
        rig.check_whole(new);
        rig.shutdown();
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.logs["t-0"];
        assert_eq!((rig.set().offsets(id).end, rig.logs.len()), (1, 1));
    });
}

#[test]
fn snapshots_come_back_with_what_follows_them() {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.create("t-0", small());
        for n in 0..60 {
            rig.append(id, 1, 4000).unwrap();
            if n % 20 == 10 {
                rig.until_durable(id);
                let upto = rig.set().offsets(id).end;
                rig.set().put_snapshot(id, upto, format!("state at {upto}").into_bytes());
                rig.pass(20);
                // A real disk that others keep busy takes its time.
                while data.exists() && !data.join(format!("t-0/{upto:020}.rsnap")).exists() {
                    rig.pass(20);
                }
            }
        }
        rig.until_durable(id);
        drop(rig);
        let rig = Rig::boot(driver(), data, &small(), limits());
        let (snapshot, behind) = &rig.recovered["t-0"];
        assert_eq!(snapshot.as_ref().unwrap(), &(51, b"state at 51".to_vec()));
        assert_eq!(*behind, (51..60).collect::<Vec<i64>>());
        rig.shutdown();
        let rig = Rig::boot(driver(), data, &small(), limits());
        assert_eq!(rig.recovered["t-0"].1, (51..60).collect::<Vec<i64>>(), "after a clean start too");
    });
}

/// State at an offset that retention has passed says nothing of what came after it.
#[test]
fn a_snapshot_that_the_log_has_left_behind_is_not_handed_back() {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.create("t-0", small());
        for n in 0..60 {
            rig.append(id, 1, 4000).unwrap();
            if n == 10 {
                rig.until_durable(id);
                rig.set().put_snapshot(id, 11, b"state at 11".to_vec());
                rig.pass(20);
            }
        }
        rig.until_durable(id);
        rig.set().advance_start(id, 50);
        rig.pass(200);
        drop(rig);
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let (snapshot, behind) = &rig.recovered["t-0"];
        assert!(snapshot.is_none() && behind[0] > 11 && behind[0] <= 50, "{snapshot:?} {behind:?}");
        let id = rig.logs["t-0"];
        rig.set().put_snapshot(id, 60, b"state at 60".to_vec());
        rig.pass(20);
        rig.shutdown();
        let rig = Rig::boot(driver(), data, &small(), limits());
        assert_eq!(rig.recovered["t-0"], (Some((60, b"state at 60".to_vec())), Vec::new()));
    });
}

#[test]
fn epochs_are_known_and_survive() {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.create("t-0", small());
        (0..60).for_each(|_| _ = rig.append(id, 1, 4000).unwrap());
        rig.until_durable(id);
        assert_eq!(rig.set().end_offset_for_epoch(id, 9), Some((7, 60)));
        assert_eq!(rig.set().end_offset_for_epoch(id, 6), None);
        rig.shutdown();
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.logs["t-0"];
        assert_eq!(rig.set().epochs(id).unwrap().entries(), [(7, 0)]);
    });
}

#[test]
fn weaker_durability_is_said_after_the_write() {
    on_every_driver(|driver, data| {
        for durability in [Durability::None, Durability::Interval { ms: 20 }] {
            let config = LogConfig { durability, ..small() };
            let mut rig = Rig::boot(driver(), data, &config, limits());
            let folder = format!("{}-0", if durability == Durability::None { "none" } else { "interval" });
            let id = rig.create(&folder, config.clone());
            (0..100).for_each(|_| _ = rig.append(id, 1, 4000).unwrap());
            rig.until_durable(id);
            rig.check_whole(id);
            rig.shutdown();
            let mut rig = Rig::boot(driver(), data, &config, limits());
            let id = rig.logs[&folder];
            assert_eq!(rig.set().offsets(id).end, 100);
            rig.check_whole(id);
            rig.shutdown();
        }
    });
}

#[test]
fn a_batch_larger_than_a_segment_and_a_chunk() {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.create("t-0", small());
        for bytes in [100, 6 << 20, 100, 300 << 10, 100] {
            rig.append(id, 1, bytes).unwrap();
        }
        rig.until_durable(id);
        rig.check_whole(id);
        drop(rig);
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.logs["t-0"];
        assert_eq!(rig.read_all(id).len(), 5);
    });
}

#[test]
fn files_are_what_kafka_reads() {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &small(), limits());
        let id = rig.create("t-0", small());
        (0..3).for_each(|_| _ = rig.append(id, 2, 1000).unwrap());
        rig.until_durable(id);
        rig.shutdown();
        let read = |name: &str| std::fs::read(data.join("t-0").join(name));
        if let Ok(bytes) = read("00000000000000000000.log") {
            let expected: Vec<u8> = [0, 2, 4]
                .into_iter()
                .flat_map(|base| {
                    let mut bytes = batch(base, 2, 1000, 1000);
                    protocol::batch::patch(&mut bytes, base, 7);
                    bytes
                })
                .collect();
            assert_eq!(bytes, expected, "batches back to back, nothing behind them");
            let metadata = String::from_utf8(read("partition.metadata").unwrap()).unwrap();
            assert_eq!(metadata, format!("version: 0\ntopic_id: {}\n", engine::log::base64_url(&UID)));
        }
    });
}
