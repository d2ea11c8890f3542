//! Bits that flip and files that are not ours. Rot below what was durable is reported with its place and never served,
//! never cut; what Kafka left in a folder is tolerated.

use crate::rig::{Rig, UID, batch, limits, small, verify};
use engine::io::sim::SimWorld;
use engine::log::{AppendError, LogConfig, ReadError};
use std::path::Path;

const DATA: &str = "/data";

fn boot(world: &SimWorld) -> Rig {
    let mut rig = Rig::boot(Box::new(world.restart()), Path::new(DATA), &small(), limits());
    rig.tolerates_damage = true;
    rig
}

/// A world with a log of 100 batches of 1,000 bytes, whose floor is known, stopped without a shutdown or with one.
fn written(clean: bool) -> SimWorld {
    let world = SimWorld::new(5);
    world.write_file("/data/.keep", b"").unwrap();
    let mut rig = boot(&world);
    let id = rig.create("t-0", small());
    (0..100).for_each(|_| _ = rig.append(id, 1, 1000).unwrap());
    rig.until_durable(id);
    rig.pass(100);
    if clean {
        rig.shutdown();
    } else {
        world.crash();
    }
    world
}

/// The log says which batch is bad, serves the others, and takes no appends.
fn check_rot(world: &SimWorld, bad: i64) {
    let mut rig = boot(world);
    let id = rig.logs["t-0"];
    assert_eq!(rig.set().offsets(id).end, 100, "{:?}", rig.reports);
    for at in (0..100).filter(|&at| at != bad) {
        let slices = rig.fetch(id, at, 500).unwrap();
        assert_eq!(verify(&slices), [(at, at)]);
    }
    match rig.fetch(id, bad, 500) {
        Err(ReadError::Corrupt { base_offset, .. }) => assert_eq!(base_offset, bad),
        other => panic!("batch {bad}: {other:?}"),
    }
}

#[test]
fn a_flipped_bit_below_the_floor_is_reported_and_never_served() {
    let world = written(false);
    world.flip_bit("/data/t-0/00000000000000000065.log", 10_500, 3).unwrap();
    check_rot(&world, 75);
    let mut rig = boot(&world);
    assert_eq!(rig.reports, ["ReadOnly byte 10000, offset 75: the checksum does not match"]);
    let id = rig.logs["t-0"];
    assert_eq!(rig.append(id, 1, 100), Err(AppendError::Fenced));
}

#[test]
fn a_flipped_bit_in_a_sealed_segment_is_found_by_the_read() {
    for clean in [false, true] {
        let world = written(clean);
        world.flip_bit("/data/t-0/00000000000000000000.log", 30_100, 0).unwrap();
        check_rot(&world, 30);
    }
}

/// Base offset and leader epoch lie outside the batch's checksum; magic and length decide how it is read at all.
#[test]
fn no_bit_of_a_header_is_served_wrong() {
    let world = written(true);
    let sound = world.read_file("/data/t-0/00000000000000000000.log").unwrap();
    for bit in 0..17 * 8 {
        let mut bad = sound.clone();
        bad[30_000 + bit / 8] ^= 1 << (bit % 8);
        world.write_file("/data/t-0/00000000000000000000.log", &bad).unwrap();
        let mut rig = boot(&world);
        let id = rig.logs["t-0"];
        for at in 28..40 {
            match rig.fetch(id, at, 500) {
                Ok(slices) => assert!(at != 30 && verify(&slices) == [(at, at)], "bit {bit}: {at}"),
                Err(ReadError::Corrupt { .. }) if at > 35 => panic!("bit {bit}: {at} could be read"),
                // What is behind it is found again by the next entry of the index, 4 KiB on.
                Err(ReadError::Corrupt { position, .. }) => assert!(at >= 30 && position >= 30_000, "bit {bit}: {at}"),
                Err(other) => panic!("bit {bit}: {other}"),
            }
        }
        rig.shutdown();
    }
}

/// A log of ten batches that Kafka wrote and ten of ours behind them in the same segment, stopped without a shutdown.
fn adopted() -> SimWorld {
    let world = SimWorld::new(7);
    let mut first = Vec::new();
    for base in 0..10 {
        let mut bytes = batch(base, 1, 1000, 1000);
        protocol::batch::patch(&mut bytes, base, 7);
        first.extend(bytes);
    }
    world.write_file("/data/t-0/00000000000000000000.log", &first).unwrap();
    let text = format!("version: 0\ntopic_id: {}\n", engine::log::base64_url(&UID));
    world.write_file("/data/t-0/partition.metadata", text.as_bytes()).unwrap();
    let mut rig = boot(&world);
    let id = rig.logs["t-0"];
    (0..10).for_each(|_| _ = rig.append(id, 1, 1000).unwrap());
    rig.until_durable(id);
    rig.pass(100);
    world.crash();
    world
}

/// One bit of a batch in the segment that a crash left open must not cost what is behind it, nor raise or lower the log's end.
#[test]
fn no_bit_of_a_header_below_the_floor_takes_what_is_behind_it() {
    for (at, (world, path, begins, count)) in [
        (written(false), "/data/t-0/00000000000000000065.log", 65, 35),
        (adopted(), "/data/t-0/00000000000000000000.log", 0, 20),
    ]
    .into_iter()
    .enumerate()
    {
        let sound = world.read_file(path).unwrap();
        let end = begins + count;
        for (bad, phase) in [(begins + 5, at), (end - 1, at + 2)] {
            let header = 1000 * (bad - begins) as usize;
            for bit in (phase..61 * 8).step_by(4) {
                let mut bytes = sound.clone();
                bytes[header + bit / 8] ^= 1 << (bit % 8);
                world.write_file(path, &bytes).unwrap();
                let mut rig = boot(&world);
                let id = rig.logs["t-0"];
                let label = format!("{path}: batch {bad}, byte {}, bit {}: {:?}", bit / 8, bit % 8, rig.reports);
                let len = 1000 * count as usize;
                let is_kept = world.read_file(path).unwrap().get(..len) == bytes.get(..len);
                assert!(is_kept, "{label}: the file was changed");
                assert_eq!(rig.set().offsets(id).end, end, "{label}");
                assert_eq!(rig.append(id, 1, 100), Err(AppendError::Fenced), "{label}");
                for at in begins..end {
                    match rig.fetch(id, at, 500) {
                        Ok(slices) => assert!(at != bad && verify(&slices) == [(at, at)], "{label}: {at}"),
                        // Of a leader epoch only the checkpoint knows that it is not what it was, not which.
                        Err(ReadError::Corrupt { .. }) => {
                            assert!(at >= bad || (12..16).contains(&(bit / 8)), "{label}: {at}");
                        }
                        Err(other) => panic!("{label}: {at}: {other}"),
                    }
                }
            }
        }
    }
}

#[test]
fn a_flipped_last_batch_is_found_at_a_clean_start() {
    for (at, said) in
        [(34_500, "the checksum does not match"), (34_007, "base offset"), (34_015, "leader epoch 6, expected 7")]
    {
        let world = written(true);
        world.flip_bit("/data/t-0/00000000000000000065.log", at, 0).unwrap();
        let mut rig = boot(&world);
        let [report] = &rig.reports[..] else { panic!("{:?}", rig.reports) };
        assert!(report.starts_with("ReadOnly byte 34000, offset 99: ") && report.contains(said), "{report}");
        let id = rig.logs["t-0"];
        assert_eq!(rig.set().offsets(id).end, 100);
        assert_eq!(rig.append(id, 1, 100), Err(AppendError::Fenced));
        assert!(matches!(rig.fetch(id, 99, 500), Err(ReadError::Corrupt { .. })));
    }
}

/// Of a log whose records are all gone only the checkpoint knows where it ends.
#[test]
fn offsets_do_not_begin_again_when_a_checkpoint_rots() {
    let world = written(false);
    let mut rig = boot(&world);
    let id = rig.logs["t-0"];
    let config = LogConfig { retention_ms: 0, ..small() };
    rig.set().set_config(id, config);
    rig.pass(500);
    assert_eq!((rig.set().segments(id).len(), rig.set().offsets(id).start), (1, 100));
    rig.shutdown();
    assert!(world.read_file("/data/t-0/00000000000000000065.log").is_err(), "no segment is left");
    let len = world.read_file("/data/.ringlog/floor-0.rckp").unwrap().len() as u64;
    for at in [0, 5, 20, 40, 80, 90, 120, len / 2 + 16, len - 1] {
        world.flip_bit("/data/.ringlog/floor-0.rckp", at, 2).unwrap();
        let mut rig = boot(&world);
        let id = rig.logs["t-0"];
        assert_eq!(rig.set().offsets(id).end, 100, "byte {at}");
        rig.shutdown();
    }
}

/// Until its segment has an index, only the checkpoint vouches for it.
#[test]
fn a_leader_epoch_that_rots_after_a_crash_is_found() {
    let world = written(false);
    world.flip_bit("/data/t-0/00000000000000000065.log", 20_015, 3).unwrap();
    let io = engine::shard::Io::new(Box::new(world.restart()));
    let task_io = io.clone();
    let verified = io.block_on(async move { engine::log::verify(&task_io, Path::new(DATA)).await }, |_| {}).unwrap();
    let [finding] = &verified.findings[..] else { panic!("{verified:?}") };
    assert!(finding.file.ends_with("00000000000000000065.log") && finding.offsets == Some(65..100), "{finding}");
    io.abandon_tasks();
    drop(io);
    let mut rig = boot(&world);
    let [report] = &rig.reports[..] else { panic!("{:?}", rig.reports) };
    assert!(report.starts_with("ReadOnly byte 0, offset 65: a leader epoch is not what"), "{report}");
    let id = rig.logs["t-0"];
    assert!(matches!(rig.fetch(id, 85, 500), Err(ReadError::Corrupt { .. })));
    assert_eq!(verify(&rig.fetch(id, 64, 500).unwrap()), [(64, 64)]);
}

#[test]
fn whose_log_it_is_is_known_twice() {
    for name in ["partition.metadata", "ringlog.origin"] {
        let world = written(true);
        let path = format!("/data/t-0/{name}");
        let sound = world.read_file(&path).unwrap();
        for bit in 0..sound.len() * 8 {
            world.flip_bit(&path, bit as u64 / 8, bit as u8 % 8).unwrap();
            let mut rig = boot(&world);
            let id = rig.logs["t-0"];
            assert_eq!(rig.uids["t-0"], UID, "{name} bit {bit}");
            assert_eq!(rig.set().offsets(id).end, 100);
            let [report] = &rig.reports[..] else { panic!("{name} bit {bit}: {:?}", rig.reports) };
            assert!(report.starts_with("Rebuild"), "{name} bit {bit}: {report}");
            rig.shutdown();
            assert_eq!(world.read_file(&path).unwrap(), sound, "{name} bit {bit} is mended");
        }
    }
}

#[test]
fn what_older_versions_left_is_sealed_at_the_next_start() {
    let world = written(true);
    world.write_file("/data/t-0/ringlog.origin", b"").unwrap();
    let rig = boot(&world);
    assert_eq!(rig.reports, [""; 0]);
    rig.shutdown();
    world.flip_bit("/data/t-0/partition.metadata", 25, 1).unwrap();
    let rig = boot(&world);
    assert_eq!((rig.reports.len(), rig.uids["t-0"]), (1, UID), "{:?}", rig.reports);
}

#[test]
fn a_bad_header_below_the_floor_keeps_the_end() {
    let world = written(false);
    world.flip_bit("/data/t-0/00000000000000000065.log", 10_016, 7).unwrap();
    let mut rig = boot(&world);
    let id = rig.logs["t-0"];
    assert_eq!(rig.set().offsets(id).end, 100, "{:?}", rig.reports);
    assert!(matches!(rig.fetch(id, 75, 500), Err(ReadError::Corrupt { .. })));
    assert_eq!(verify(&rig.fetch(id, 74, 500).unwrap()), [(74, 74)]);
    assert_eq!(rig.append(id, 1, 100), Err(AppendError::Fenced));
}

#[test]
fn a_lost_or_rotten_index_is_rebuilt() {
    for clean in [false, true] {
        let world = written(clean);
        world.flip_bit("/data/t-0/00000000000000000000.ridx", 40, 1).unwrap();
        let mut rig = boot(&world);
        let id = rig.logs["t-0"];
        rig.check_whole(id);
        assert!(rig.append(id, 1, 100).is_ok());
    }
}

/// Found by a power cut in the middle of a truncation: the next segment that began at its offset was read by it.
#[test]
fn an_index_without_its_segment_is_removed() {
    let world = written(false);
    let index = world.read_file("/data/t-0/00000000000000000000.ridx").unwrap();
    world.write_file("/data/t-0/00000000000000099999.ridx", &index).unwrap();
    let mut rig = boot(&world);
    assert!(world.read_file("/data/t-0/00000000000000099999.ridx").is_err());
    let id = rig.logs["t-0"];
    rig.check_whole(id);
}

#[test]
fn a_folder_that_kafka_wrote_opens_and_serves() {
    let world = SimWorld::new(6);
    let mut first = Vec::new();
    for base in 0..10 {
        let mut bytes = batch(base, 1, 900, 50);
        protocol::batch::patch(&mut bytes, base, 7);
        first.extend(bytes);
    }
    let mut second = batch(20, 1, 900, 60);
    protocol::batch::patch(&mut second, 20, 7);
    world.write_file("/data/k-0/00000000000000000000.log", &first).unwrap();
    world.write_file("/data/k-0/00000000000000000020.log", &second).unwrap();
    for name in [
        "00000000000000000000.index",
        "00000000000000000000.timeindex",
        "00000000000000000000.txnindex",
        "00000000000000000020.snapshot",
        "00000000000000000000.log.swap",
        "00000000000000000000.log.cleaned",
        "00000000000000000000.log.deleted",
    ] {
        world.write_file(format!("/data/k-0/{name}"), b"whatever").unwrap();
    }
    world.write_file("/data/k-0/leader-epoch-checkpoint", b"0\n1\n7 0\n").unwrap();
    world.write_file("/data/.kafka_cleanshutdown", b"{}").unwrap();
    world.write_file("/data/log-start-offset-checkpoint", b"0\n1\nk 0 4\n").unwrap();
    world.write_file("/data/lost+found/x", b"").unwrap();
    world.write_file("/data/other-0.abc-stray/x", b"").unwrap();
    let mut rig = boot(&world);
    assert_eq!(rig.logs.len(), 1);
    let id = rig.logs["k-0"];
    let offsets = rig.set().offsets(id);
    assert_eq!((offsets.start, offsets.end), (4, 21), "a gap that compaction left is no damage");
    let seen = rig.read_all(id);
    assert_eq!((seen.first(), seen.last()), (Some(&(4, 4)), Some(&(20, 20))));
    assert_eq!(rig.set().epochs(id).unwrap().entries(), [(7, 4)]);
    rig.append(id, 1, 900).unwrap();
    rig.until_durable(id);
    assert_eq!(rig.read_all(id).last(), Some(&(21, 21)));
    assert!(world.read_file("/data/k-0/00000000000000000000.index").is_ok(), "Kafka's files stay");
    assert!(world.read_file("/data/.kafka_cleanshutdown").is_err(), "Kafka has to verify its indexes if it comes back");
}

#[test]
fn what_kafka_closed_cleanly_is_never_cut() {
    let path = "/data/t-0/00000000000000000000.log";
    for (bit, is_closed) in [(8 * 500, true), (8 * 500, false), (8 * 4, true), (8 * 10 + 1, true), (8 * 11, true)] {
        let world = SimWorld::new(8);
        let mut bytes = Vec::new();
        for base in 0..10 {
            let mut batch = batch(base, 1, 1000, 1000);
            protocol::batch::patch(&mut batch, base, 7);
            bytes.extend(batch);
        }
        bytes[5_000 + bit / 8] ^= 1 << (bit % 8);
        world.write_file(path, &bytes).unwrap();
        let text = format!("version: 0\ntopic_id: {}\n", engine::log::base64_url(&UID));
        world.write_file("/data/t-0/partition.metadata", text.as_bytes()).unwrap();
        if is_closed {
            world.write_file("/data/.kafka_cleanshutdown", b"{}").unwrap();
        }
        let mut rig = boot(&world);
        let id = rig.logs["t-0"];
        let is_kept = world.read_file(path).unwrap() == bytes;
        assert_eq!(is_kept, is_closed, "bit {bit}: {:?}", rig.reports);
        if is_closed {
            assert_eq!(rig.append(id, 1, 100), Err(AppendError::Fenced), "bit {bit}: {:?}", rig.reports);
            assert_eq!(verify(&rig.fetch(id, 4, 500).unwrap()), [(4, 4)]);
        }
        if is_closed && bit == 8 * 500 {
            assert_eq!(verify(&rig.fetch(id, 9, 500).unwrap()), [(9, 9)], "what is behind it counts");
        }
    }
}

#[test]
fn an_old_message_format_is_named() {
    let world = SimWorld::new(7);
    let mut old = vec![0; 100];
    old[16] = 1;
    old[11] = 88;
    world.write_file("/data/k-0/00000000000000000000.log", &old).unwrap();
    let mut rig = boot(&world);
    assert_eq!(rig.reports, ["ReadOnly byte 0, offset 0: message format 1; only format 2 is supported"]);
    let id = rig.logs["k-0"];
    assert_eq!(rig.append(id, 1, 100), Err(AppendError::Fenced));
}

/// The end of a log that another broker began is where we reserve space, too.
#[test]
fn a_bit_behind_the_end_changes_nothing() {
    let mut kept = batch(0, 1, 900, 50);
    protocol::batch::patch(&mut kept, 0, 7);
    for bit in 0..70 * 8 {
        let world = SimWorld::new(9);
        let mut file = [&kept[..], &[0; 5000]].concat();
        file[kept.len() + bit / 8] ^= 1 << (bit % 8);
        world.write_file("/data/k-0/00000000000000000000.log", &file).unwrap();
        let mut rig = boot(&world);
        let id = rig.logs["k-0"];
        assert!(rig.reports.iter().all(|report| report.starts_with("Cut byte 900, offset 1: ")), "{:?}", rig.reports);
        assert_eq!(rig.read_all(id), [(0, 0)], "bit {bit}");
        rig.append(id, 1, 500).unwrap();
    }
}

#[test]
fn a_journal_that_is_none_stops_the_start_untouched() {
    let world = SimWorld::new(8);
    world.write_file("/data/.ringlog/journal-0.rjnl", b"records").unwrap();
    let before = world.fs_list();
    let refused = Rig::try_boot(Box::new(world.restart()), Path::new(DATA), &small(), limits()).err().unwrap();
    assert!(refused.contains("journal-0.rjnl"), "{refused}");
    assert_eq!(world.fs_list(), before);
}
