//! What a log's folder and a data folder hold beside the batches: sealed files, Kafka's text files, names, and what
//! `ringlog dump-log` makes of any of them.

use engine::io::sim::SimWorld;
use engine::log::testing::{self as parsers, Judged};
use engine::log::{FloorEntry, FloorFile, dump, first_difference, open_copy, seal_copy, verify};
use engine::shard::Io;
use protocol::batch::BatchView;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::meter::unmeasured;

/// Memory of a dump: a megabyte of file at a time, and the plain records of one batch, twice while they grow.
pub const DUMP_BYTES_MAX: usize = 24 << 20;

/// The file as it came, or the rest inside an envelope whose checksum is right, of today's version or the first: the first
/// byte says which.
fn enveloped(kind: u8, data: &[u8]) -> Option<Vec<u8>> {
    let (&choice, rest) = data.split_first()?;
    Some(match choice % 3 {
        0 => rest.to_vec(),
        1 => parsers::sealed(kind, None, rest),
        _ => parsers::sealed(kind, Some(1), rest),
    })
}

/// A sealed index. What is believed stays inside its bounds and comes back from what is written.
pub fn index(data: &[u8]) {
    let Some(file) = enveloped(0, data) else { return };
    let Ok(index) = parsers::index(&file) else { return };
    unmeasured(|| {
        for probe in [i64::MIN, index.base_offset, index.end_offset, i64::MAX] {
            let (by_offset, by_time) = parsers::positions(&index, probe, probe);
            assert!(by_offset.max(by_time) <= index.bytes, "{probe}: look at {by_offset} and {by_time}: {index:?}");
        }
        let again = parsers::index_file(&index).expect("what was read can be written");
        assert_eq!(parsers::index(&again), Ok(index));
    });
}

/// A durable-offset checkpoint.
pub fn checkpoint(data: &[u8]) {
    let Some(file) = enveloped(2, data) else { return };
    let Ok((floor, wrong)) = FloorFile::from_file(&file) else { return };
    assert!(wrong.is_none_or(|(at, _)| at < file.len()));
    unmeasured(|| assert_eq!(FloorFile::from_file(&parsers::floor_file(&floor)), Ok((floor, None))));
}

/// A snapshot's envelope: what opens is what was sealed.
pub fn snapshot(data: &[u8]) {
    let Some(file) = enveloped(1, data) else { return };
    let Ok(payload) = parsers::snapshot(&file) else { return };
    unmeasured(|| {
        let again = parsers::sealed(1, None, payload);
        // Four reserved bytes of the header are not looked at, and padding behind the envelope is ignored.
        assert_eq!(parsers::snapshot(&again), Ok(payload));
        assert_eq!(file[..12], again[..12]);
    });
}

/// What vouches for Kafka's small files: a seal, or a copy.
pub fn seal(data: &[u8]) {
    if let Some(file) = enveloped(3, data)
        && let Ok(Some(again)) = parsers::topic_seal(&file)
    {
        assert_eq!(parsers::topic_seal(&again), Ok(Some(again.clone())));
    }
    if let Some(file) = enveloped(4, data)
        && let Ok(copy) = open_copy(&file)
    {
        unmeasured(|| {
            assert_eq!(open_copy(&seal_copy(copy)), Ok(copy));
            assert_eq!(first_difference(copy, &file).is_none(), copy == file);
        });
    }
}

/// A data folder, of which one file is anything: the first byte says which. What verification says of it, it says again,
/// and it changes nothing.
pub fn verified(data: &[u8]) {
    let Some((&choice, content)) = data.split_first() else { return };
    let world = SimWorld::new(1);
    for (name, sound) in sound_folder() {
        let path = Path::new("/data").join(name);
        let is_damaged = FOLDER_FILES[usize::from(choice) % FOLDER_FILES.len()] == name;
        world.write_file(&path, if is_damaged { content } else { &sound }).expect("a new disk takes any file");
    }
    let before = unmeasured(|| contents(&world));
    let found = findings(&world);
    unmeasured(|| {
        assert_eq!(findings(&world), found);
        assert!(contents(&world) == before, "verification changed a file");
    });
}

const FOLDER_FILES: [&str; 6] = [
    "t-0/00000000000000000000.log",
    "t-0/00000000000000000000.ridx",
    "t-0/partition.metadata",
    "t-0/ringlog.origin",
    ".ringlog/floor-0.rckp",
    "meta.properties",
];

/// Each of [`FOLDER_FILES`] as a node would leave it, but for the index, which a single segment has not.
fn sound_folder() -> [(&'static str, Vec<u8>); 6] {
    let uid = [7; 16];
    let entry = FloorEntry { uid, partition: 0, start: 0, durable: 9, active_bytes: 0, header_proof: None };
    let floor = FloorFile { incarnation: 8, clean: false, entries: vec![entry] };
    let metadata = parsers::partition_metadata(&uid);
    let seal = [&uid[..], &[0; 4], &protocol::crc::crc32c(metadata.as_bytes()).to_le_bytes()].concat();
    let files = [
        crate::recovery::segment(),
        Vec::new(),
        metadata.into_bytes(),
        parsers::sealed(3, None, &seal),
        parsers::floor_file(&floor),
        b"cluster.id=c\nnode.id=1\nversion=1\n".to_vec(),
    ];
    std::array::from_fn(|at| (FOLDER_FILES[at], files[at].clone()))
}

fn contents(world: &SimWorld) -> Vec<(PathBuf, Vec<u8>)> {
    let files = world.fs_list().into_iter().map(|(path, _)| path);
    files.filter_map(|path| Some((path.clone(), world.read_file(&path).ok()?))).collect()
}

fn findings(world: &SimWorld) -> String {
    let io = Io::new(Box::new(world.restart()));
    let task_io = io.clone();
    io.block_on(async move { format!("{:?}", verify(&task_io, Path::new("/data")).await) }, |_| {})
}

/// Kafka's text files: the first byte says which.
pub fn text(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match choice % 3 {
        0 => {
            let Some(id) = parsers::topic_id(text) else { return };
            assert_eq!(parsers::topic_id(&parsers::partition_metadata(&id)), Some(id));
        }
        1 => {
            let Some(epochs) = parsers::leader_epochs(text) else { return };
            let rises = |pair: &[(i32, i64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
            assert!(epochs.entries().windows(2).all(rises), "{epochs:?}");
            assert!(epochs.entries().iter().all(|(epoch, _)| *epoch >= 0), "{epochs:?}");
        }
        _ => {
            let Some(starts) = parsers::starts(text) else { return };
            unmeasured(|| {
                let mut again = format!("0\n{}\n", starts.len());
                for (topic, partition, offset) in &starts {
                    let _ = writeln!(again, "{topic} {partition} {offset}");
                }
                assert_eq!(parsers::starts(&again), Some(starts));
            });
        }
    }
}

/// The name of a file in a log's folder, and of a log's folder.
pub fn name(data: &[u8]) {
    let Ok(name) = std::str::from_utf8(data) else { return };
    if let Some((offset, ours)) = parsers::named_offset(name) {
        assert_eq!(name, ours, "offset {offset}");
        assert!(offset >= 0);
    }
    if let Some((topic, partition)) = parsers::topic_partition(name) {
        let digits = name.strip_prefix(topic).and_then(|rest| rest.strip_prefix('-')).expect("topic, dash, partition");
        assert!(!topic.is_empty() && partition >= 0);
        assert_eq!(digits.parse(), Ok(partition));
    }
}

/// One step of recovery's walk, against the reader of batches: the first byte says how much of the file is left.
pub fn step(data: &[u8]) {
    let Some((&left, bytes)) = data.split_first() else { return };
    let remaining = bytes.len() as u64 + [0, 1, 4096, u64::from(u32::MAX)][usize::from(left % 4)];
    let expected = [i64::MIN, 0, i64::MAX][usize::from(left / 4 % 3)];
    let judged = parsers::judge(bytes, remaining, expected, left & 64 == 0);
    let parsed = BatchView::parse(bytes);
    match judged {
        Judged::Batch(size) => {
            let (view, _) = parsed.as_ref().expect("a batch for recovery is a batch");
            assert_eq!(view.size_bytes(), size);
            assert_eq!(view.check_crc(), Ok(()));
            assert!(view.base_offset() >= expected);
        }
        Judged::Partial(needed) => assert!(needed > bytes.len() && needed as u64 <= remaining),
        Judged::Bad(_) => {}
    }
    let Ok((view, _)) = parsed else { return };
    // The hot path reads only what was validated, which excludes negative deltas and offsets beyond the largest.
    if let Some(peeked) = parsers::peek(bytes) {
        assert_eq!(peeked, (view.base_offset(), view.last_offset(), view.max_timestamp(), view.size_bytes()));
    }
}

/// A folder in memory, gone with the process.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder for files to be shown")
});

/// `dump-log`: the first byte says what the file is called. It is shown to its end or to its first bad byte.
pub fn dumped(data: &[u8]) {
    let Some((&choice, content)) = data.split_first() else { return };
    let file =
        ["00000000000000000000.log", "a.log", "00000000000000000000.ridx", "00000000000000000003.rsnap", "a.rckp"];
    let path = FOLDER.path().join(file[usize::from(choice) % file.len()]);
    unmeasured(|| std::fs::write(&path, content).expect("memory takes any file"));
    let end = dump(&path, choice >= 128, &mut std::io::sink()).expect("the file can be read");
    if let engine::log::DumpEnd::Bad { position, .. } = end {
        assert!(position <= content.len() as u64, "bad at {position} of {}", content.len());
    }
}

/// Sealed files of one kind: as they are, and payloads that the target seals. `kind` as in [`parsers::sealed`].
fn sealed_seeds(kind: u8, payload: &[u8]) -> Vec<Vec<u8>> {
    let sealed = |version| parsers::sealed(kind, version, payload);
    let whole = |file: Vec<u8>| [&[0], &file[..]].concat();
    vec![whole(sealed(None)), whole(sealed(Some(1))), [&[1], payload].concat(), [&[2], payload].concat()]
}

/// Indexes with and without entries.
#[must_use]
pub fn indexes() -> Vec<Vec<u8>> {
    let entry = |n: u32| engine::log::IndexEntry {
        relative_offset: 10 * n,
        position: 4096 * n,
        max_timestamp_before: i64::from(n) - 1,
    };
    let index = |entries: u32| engine::log::SegmentIndex {
        base_offset: 5,
        end_offset: 500,
        bytes: 1 << 20,
        batches: 50,
        first_timestamp: 1,
        max_timestamp: 90,
        offset_of_max_timestamp: 70,
        header_crc: 7,
        entries: (0..entries).map(entry).collect(),
        epochs: (0..entries as i32 / 4).map(|epoch| (epoch, 5 + i64::from(epoch))).collect(),
        plain: entries > 1,
    };
    let files = [0, 1, 9, 40].map(|entries| parsers::index_file(&index(entries)).expect("an index can be written"));
    let both = |file: Vec<u8>| sealed_seeds(0, &file[32..file.len() - 4]);
    files.into_iter().flat_map(both).collect()
}

/// Checkpoints of no log and of some.
#[must_use]
pub fn checkpoints() -> Vec<Vec<u8>> {
    let header_proof = Some((3, 0xdead_beef));
    let entry = FloorEntry { uid: [7; 16], partition: 3, start: 1, durable: 1 << 40, active_bytes: 99, header_proof };
    let files = [0, 1, 5]
        .map(|logs| parsers::floor_file(&FloorFile { incarnation: 8, clean: logs == 1, entries: vec![entry; logs] }));
    // The first of the two copies ends with its checksum, behind so many bytes of payload.
    let payload = |file: &[u8]| file[32..32 + usize::from(u16::from_le_bytes([file[16], file[17]]))].to_vec();
    let both = |file: Vec<u8>| [vec![[&[0], &file[..]].concat()], sealed_seeds(2, &payload(&file))].concat();
    files.into_iter().flat_map(both).collect()
}

/// Snapshots.
#[must_use]
pub fn snapshots() -> Vec<Vec<u8>> {
    [&[0; 8][..], b"\x03\0\0\0\0\0\0\0state of the owner"]
        .into_iter()
        .flat_map(|payload| sealed_seeds(1, payload))
        .collect()
}

/// Seals and copies.
#[must_use]
pub fn seals() -> Vec<Vec<u8>> {
    let payload = [&[7; 16][..], &[3, 0, 0, 0, 1, 2, 3, 4]].concat();
    [sealed_seeds(3, &payload), sealed_seeds(4, b"version=1\n")].concat()
}

/// Each file of a data folder as it should be, and half of it.
#[must_use]
pub fn data_folders() -> Vec<Vec<u8>> {
    let index = &indexes()[0][1..];
    let mut files = sound_folder().map(|(_, file)| file);
    files[1] = index.to_vec();
    let halves = files.clone().into_iter().map(|file| file[..file.len() / 2].to_vec());
    let numbered = files.iter().cloned().enumerate().chain(halves.enumerate());
    numbered.map(|(at, file)| [&[at as u8], &file[..]].concat()).collect()
}

/// Text files of Kafka's.
#[must_use]
pub fn texts() -> Vec<Vec<u8>> {
    let files: [(u8, &str); 7] = [
        (0, "version: 0\ntopic_id: ABEiM0RVZneImaq7zN3u_w\n"),
        (0, "topic_id:ABEiM0RVZneImaq7zN3u_w\nversion:0"),
        (1, "0\n2\n0 0\n4 100\n"),
        (1, "0\n3\n1 5\n2 9223372036854775807\n2147483647 0\n"),
        (1, "0\n0\n"),
        (2, "0\n2\na-b 3 77\norders 0 9223372036854775807\n"),
        (2, "0\n1\n__consumer_offsets 49 0\r\n"),
    ];
    files.map(|(kind, text)| [&[kind], text.as_bytes()].concat()).into()
}

/// Names of files and folders.
#[must_use]
pub fn names() -> Vec<Vec<u8>> {
    let names = [
        "00000000000000000042.log",
        "09223372036854775807.ridx",
        "00000000000000000042.rsnap",
        "00000000000000000042.log.deleted",
        "partition.metadata",
        "ringlog.origin",
        "leader-epoch-checkpoint",
        "orders-2147483647",
        "a-b-007",
        "t-0.0123456789abcdef-delete",
    ];
    names.map(|name| name.as_bytes().to_vec()).into()
}

/// Batches behind a byte that says how much of the file is left.
#[must_use]
pub fn steps() -> Vec<Vec<u8>> {
    let batches = crate::seeds::batches();
    [0, 1, 64, 67]
        .into_iter()
        .flat_map(|left| batches.iter().map(move |batch| [&[left], &batch[..]].concat()))
        .collect()
}

/// Files of each kind behind a byte that says which.
#[must_use]
pub fn dumps() -> Vec<Vec<u8>> {
    let file = |choice: u8, content: &[u8]| [&[choice], content].concat();
    let segment = crate::recovery::segment();
    let mut seeds = vec![file(0, &segment), file(130, &segment), file(131, &[&segment[..], &[0; 5000]].concat())];
    seeds.push(file(131, &[&segment[..], &[0; 50], &[1]].concat()));
    seeds.extend(indexes().iter().step_by(4).map(|seed| file(2, &seed[1..])));
    seeds.extend(snapshots().iter().step_by(4).map(|seed| file(3, &seed[1..])));
    seeds.extend(checkpoints().iter().step_by(4).map(|seed| file(4, &seed[1..])));
    seeds
}
