//! What compaction puts in the place of segments, met by a start: half done, finished, with leftovers of an earlier pass, without its
//! index, behind an older checkpoint. Without it a start could undo a replacement whose originals are gone, or serve half of one.

use crate::compaction::{Model, append_key, boot, config, often, read_all, settled, world};
use crate::rig::Rig;
use engine::io::sim::SimWorld;
use engine::log::{Append, LogConfig, LogId, LogLimits};
use protocol::batch::{BatchBuilder, iter_batches};
use std::path::Path;

/// A folder with four segments of two batches each, all of one key, as Kafka leaves it but for compaction.
fn kafka_folder(world: &SimWorld) -> Vec<Vec<u8>> {
    let batch = |offset: i64| {
        let mut builder = BatchBuilder::new().position(offset, 7);
        builder.append(1000 + offset, Some(b"k"), Some(&[offset as u8; 50]), &[]);
        builder.build()
    };
    let text = format!("version: 0\ntopic_id: {}\n", engine::log::base64_url(&crate::rig::UID));
    world.write_file("/data/t-0/partition.metadata", text.as_bytes()).unwrap();
    for base in [0, 2, 4, 6] {
        world.write_file(segment(base, ""), &[batch(base), batch(base + 1)].concat()).unwrap();
    }
    (0..8).map(batch).collect()
}

fn segment(base: i64, suffix: &str) -> String {
    format!("/data/t-0/{base:020}.log{suffix}")
}

fn append_one(rig: &mut Rig, id: LogId) -> Result<(), engine::log::AppendError> {
    let base_offset = rig.set().offsets(id).end;
    let mut builder = BatchBuilder::new().position(base_offset, 7);
    builder.append(1000, Some(b"new"), Some(b"value"), &[]);
    let bytes = builder.build();
    let (last_offset, offset_of_max_timestamp) = (base_offset, base_offset);
    let batch = Append {
        bytes: &bytes,
        base_offset,
        last_offset,
        leader_epoch: 7,
        max_timestamp: 1000,
        offset_of_max_timestamp,
    };
    rig.set().append(id, batch).map(drop)
}

fn offsets_after(world: &SimWorld) -> (Vec<i64>, Vec<String>, bool) {
    let mut rig = boot(world, LogLimits { clean_backoff_ms: None, ..often() });
    let id = rig.logs["t-0"];
    let is_read_only = append_one(&mut rig, id).is_err();
    let seen = read_all(&mut rig, id).records.into_keys().filter(|offset| *offset < 8).collect();
    (seen, rig.reports.clone(), is_read_only)
}

#[test]
fn what_kafka_left_half_done_is_finished_or_undone() {
    let with = |files: &[(&str, i64, Vec<u8>)]| {
        let world = world(6);
        kafka_folder(&world);
        for (suffix, base, bytes) in files {
            world.write_file(segment(*base, suffix), bytes).unwrap();
        }
        offsets_after(&world)
    };
    let batches = kafka_folder(&world(6));
    // The segments at 2 and 4 became one, of which one record is left.
    let compacted = batches[5].clone();
    let (seen, reports, read_only) = with(&[(".swap", 2, compacted.clone()), (".cleaned", 6, batches[6].clone())]);
    assert_eq!((seen, read_only), (vec![0, 1, 5, 6, 7], false), "finished: {reports:?}");
    assert!(reports.iter().any(|report| report.contains("2..6 is finished")), "{reports:?}");
    let (seen, reports, read_only) = with(&[(".cleaned", 2, compacted.clone())]);
    assert_eq!((seen, read_only), ((0..8).collect(), false), "undone: {reports:?}");
    let (seen, reports, read_only) = with(&[(".cleaned", 2, batches[2].clone()), (".swap", 4, compacted.clone())]);
    assert_eq!((seen, read_only), ((0..8).collect(), false), "a split that was not finished: {reports:?}");
    let torn = compacted[..compacted.len() - 9].to_vec();
    let (seen, reports, read_only) = with(&[(".swap", 2, torn)]);
    assert_eq!((seen, read_only), ((0..8).collect(), true), "rot: {reports:?}");
}

#[test]
fn a_start_between_any_two_steps_of_a_replacement_finishes_it() {
    let batches = kafka_folder(&world(7));
    let compacted = batches[5].clone();
    for gone in [false, true] {
        let world = world(7);
        kafka_folder(&world);
        world.write_file(segment(2, ".swap"), &compacted).unwrap();
        if gone {
            let io = engine::shard::Io::new(Box::new(world.restart()));
            let task_io = io.clone();
            let removed = crate::rig::block_on(&io, 10_000, async move {
                engine::log::unlink(&task_io, Path::new(&segment(4, ""))).await.map_err(|error| error.to_string())
            });
            removed.unwrap();
        }
        let (seen, reports, read_only) = offsets_after(&world);
        assert_eq!((seen, read_only), (vec![0, 1, 5, 6, 7], false), "{gone}: {reports:?}");
        // And a second start has nothing to do.
        let (seen, reports, _) = offsets_after(&world);
        assert_eq!(seen, [0, 1, 5, 6, 7]);
        assert!(!reports.iter().any(|report| report.contains("finished")), "{reports:?}");
    }
}

/// Appends a batch of two records: one of a key of its own, and a large one of a key that all batches share.
fn append_pair(rig: &mut Rig, id: LogId, leader_epoch: i32) -> i64 {
    let (base, wall) = (rig.set().offsets(id).end, rig.io.wall().0);
    let mut builder = BatchBuilder::new().position(base, leader_epoch);
    builder.append(wall, Some(format!("own {base}").as_bytes()), Some(b"small"), &[]);
    builder.append(wall, Some(b"shared"), Some(&[base as u8; 2_500]), &[]);
    let bytes = builder.build();
    let (last_offset, max_timestamp) = (base + 1, wall);
    let append = Append {
        bytes: &bytes,
        base_offset: base,
        last_offset,
        leader_epoch,
        max_timestamp,
        offset_of_max_timestamp: last_offset,
    };
    rig.set().append(id, append).unwrap();
    rig.until_durable(id);
    base
}

#[test]
fn epochs_are_known_after_a_pass_whatever_has_become_of_indexes() {
    let world = world(8);
    // No scrub, which would make the lost index again.
    let limits = LogLimits { scrub_interval_ms: 1 << 40, ..often() };
    let mut rig = boot(&world, limits.clone());
    let id = rig.create("t-0", LogConfig { compact_policy: false, ..config() });
    for batch in 0..12 {
        append_pair(&mut rig, id, 7 + batch / 3);
    }
    rig.pass(100);
    let segments = rig.set().segments(id);
    let lost = segments[1].0;
    // As a disk leaves it that was full when the index was to be written.
    let (io, index) = (rig.io.clone(), format!("/data/t-0/{lost:020}.ridx"));
    rig.run(async move { engine::log::unlink(&io, Path::new(&index)).await }).unwrap();
    rig.set().set_config(id, config());
    rig.pass(300);
    assert!(rig.set().segments(id).len() < segments.len(), "segments were joined");
    let epochs = |rig: &mut Rig| -> Vec<i32> {
        let (mut at, mut epochs) = (0, Vec::new());
        while at < rig.set().offsets(id).end {
            let slices = rig.fetch(id, at, 64 << 10).unwrap_or_else(|error| panic!("reading {at}: {error}"));
            for view in slices.iter().flat_map(|slice| iter_batches(slice)) {
                let view = view.unwrap();
                (at, epochs) = (view.next_offset(), [epochs, vec![view.leader_epoch()]].concat());
            }
        }
        epochs
    };
    assert_eq!(epochs(&mut rig), [7, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10, 10]);
}

#[test]
fn what_an_earlier_pass_left_behind_does_not_undo_a_later_one() {
    for turns in 0..30 {
        let world = world(9);
        let mut rig = boot(&world, often());
        let id = rig.create("t-0", LogConfig { compact_policy: false, ..config() });
        let mut model = Model::default();
        settled(&mut rig, id, &mut model, 120, 200);
        // Its removal failed; only Kafka, when it splits a segment, leaves one below a replacement that is to be undone.
        world.write_file(segment(1, ".cleaned"), b"half").unwrap();
        rig.set().set_config(id, config());
        rig.pass(3);
        for _ in 0..8 * turns {
            rig.turn();
        }
        world.crash();
        let mut rig = boot(&world, LogLimits { clean_backoff_ms: None, ..often() });
        let id = rig.logs["t-0"];
        model.check(&mut rig, id, &format!("after {turns}"));
    }
}

#[test]
fn a_checkpoint_that_is_older_than_a_pass_finds_no_fault_with_what_that_left() {
    let mut finished = 0;
    for turns in 30..90 {
        let world = world(10);
        let mut rig = boot(&world, LogLimits { checkpoint_ms: 1_000, ..often() });
        let id = rig.create("t-0", config());
        for key in ["old", "stays"] {
            append_key(&mut rig, id, key, Some(&[1; 10]));
        }
        rig.until_durable(id);
        // The checkpoint knows the headers up to here, where a batch ends that stays.
        rig.pass(1_100);
        for _ in 0..4 {
            append_key(&mut rig, id, "old", Some(&[1; 5_000]));
        }
        rig.until_durable(id);
        for _ in 0..turns {
            rig.turn();
        }
        world.crash();
        let mut rig = boot(&world, LogLimits { clean_backoff_ms: None, ..often() });
        let id = rig.logs["t-0"];
        let read_only = rig.reports.iter().any(|report| report.contains("ReadOnly"));
        assert!(!read_only, "after {turns} turns: {:?}", rig.reports);
        finished += usize::from(rig.reports.iter().any(|report| report.contains("is finished")));
        append_key(&mut rig, id, "new", Some(&[1; 10]));
    }
    assert!(finished > 0, "no crash came between a replacement and its index");
}
