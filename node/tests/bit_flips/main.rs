//! One bit flipped in every 4 KiB of every file of a node that was stopped or killed, one at a time. In bytes that count it
//! must be found, by a start, by `ringlog verify`, by the scrub or by the read, with its file and records; it must never
//! reach a consumer; and in space that holds nothing it must change nothing.
//!
//! Alone it takes some blocks of each large file. `RINGLOG_FLIPS=1 cargo test --release -p node --test bit_flips` takes every
//! block of every file, `RINGLOG_FLIPS=16` sixteen bits of each.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken set-up should fail its test")]

#[path = "../common/mod.rs"]
mod common;
mod look;
mod written;

use engine::io::sim::Rng;
use look::{DATA, Look, Seen, look, names, verify, world};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use written::{End, File, written};

const BLOCK: usize = 4096;
/// Blocks of one file that are taken unless all are asked for.
const BLOCKS_A_FILE: usize = 12;
const SPARE: &str = ".ringlog/spare";

/// What a byte is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// Part of the batch with this base offset.
    Batch(i64),
    /// Part of a file that follows from others or is kept twice.
    Private,
    /// Nothing depends on it.
    Nothing,
}

#[derive(Debug, Default)]
struct Tally {
    flips: u64,
    start: u64,
    verify: u64,
    scrub: u64,
    read: u64,
    unaffected: u64,
}

/// What a byte of a file is for, by what a sound folder looks like.
fn use_of(truth: &Look, file: &File, at: usize) -> Use {
    let path = Path::new(DATA).join(&file.path);
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let dir = path.parent().unwrap();
    if dir.ends_with(SPARE) || name.ends_with(".deleted") {
        return Use::Nothing;
    }
    let Some(base) = name.strip_suffix(".log") else { return Use::Private };
    let base: i64 = base.parse().expect("a segment");
    let seen = &truth.logs[dir];
    let (_, end, _) = *seen.segments.iter().find(|&&(of, _, _)| of == base).expect("recovery knows it");
    let mut position = 0;
    for (&offset, batch) in seen.batches.range(base..end) {
        position += batch.len();
        if at < position {
            return Use::Batch(offset);
        }
    }
    Use::Nothing
}

/// Files of the same log, and those of its data folder that say something about it.
fn neighbours(files: &[File], file: &File) -> Vec<File> {
    let dir = file.path.parent().unwrap();
    let of_folder = |dir: &Path| dir.as_os_str().is_empty() || dir.ends_with(".ringlog");
    if of_folder(dir) {
        return files.iter().filter(|other| !other.path.starts_with(SPARE)).cloned().collect();
    }
    let is_log = !dir.starts_with(SPARE);
    let is_one = |other: &&File| {
        let parent = other.path.parent().unwrap();
        of_folder(parent) || other.path == file.path || (is_log && parent == dir)
    };
    files.iter().filter(is_one).cloned().collect()
}

/// The part of the truth that a world with these files can show.
fn part_of(truth: &Look, files: &[File]) -> BTreeMap<PathBuf, Seen> {
    let is_there = |dir: &Path| files.iter().any(|file| Path::new(DATA).join(&file.path).parent() == Some(dir));
    truth.logs.iter().filter(|(dir, _)| is_there(dir)).map(|(dir, seen)| (dir.clone(), seen.clone())).collect()
}

/// Everything that was served is what was written; returns how many batches were not served.
fn check_served(truth: &BTreeMap<PathBuf, Seen>, got: &Look, what: &str) -> usize {
    let mut missing = 0;
    for (dir, seen) in truth {
        let served = &got.logs.get(dir).unwrap_or_else(|| panic!("{what}: {} is gone", dir.display())).batches;
        for (offset, bytes) in served {
            assert!(seen.batches.get(offset) == Some(bytes), "{what}: wrong bytes served at {offset} of {dir:?}");
        }
        missing += seen.batches.keys().filter(|offset| !served.contains_key(offset)).count();
    }
    missing
}

/// Nothing but the batches may differ.
fn check_facts(truth: &BTreeMap<PathBuf, Seen>, got: &Look, what: &str) {
    for (dir, seen) in truth {
        let got = &got.logs[dir];
        assert_eq!((got.uid, got.start, got.end), (seen.uid, seen.start, seen.end), "{what}: {dir:?}");
    }
}

fn flip_everything(folder: &[File], end: End, seed: u64) -> Tally {
    let truth = look(&world(folder), None);
    let before = verify(&world(folder));
    assert_eq!(before.findings, [], "nobody has spoilt anything");
    assert!(truth.refused.is_empty() && truth.scrubbed.is_empty());
    let asked: Option<u64> = std::env::var("RINGLOG_FLIPS").ok().and_then(|count| count.parse().ok());
    let mut rng = Rng::new(seed);
    let mut tally = Tally::default();
    for file in folder {
        let stride = if asked.is_some() { 1 } else { (file.bytes.len() / BLOCK / BLOCKS_A_FILE).max(1) };
        let blocks = (0..file.bytes.len()).step_by(BLOCK * stride);
        for block in blocks.flat_map(|block| (0..asked.unwrap_or(1)).map(move |_| block)) {
            let len = (file.bytes.len() - block).min(BLOCK) as u64;
            let (at, bit) = (block + rng.below(len) as usize, rng.below(8) as u8);
            flip(folder, &truth, file, (at, bit), end, &mut tally);
        }
    }
    tally
}

/// What a walk of the batches goes by, in each: the twelve bytes that no checksum of its own covers, and its last offset.
fn flip_headers(folder: &[File], end: End, seed: u64) -> Tally {
    let truth = look(&world(folder), None);
    let mut rng = Rng::new(seed);
    let mut tally = Tally::default();
    for file in folder.iter().filter(|file| file.path.extension().is_some_and(|is| is == "log")) {
        let path = Path::new(DATA).join(&file.path);
        let Some(seen) = path.parent().and_then(|dir| truth.logs.get(dir)) else { continue };
        let base: i64 = path.file_stem().unwrap().to_string_lossy().parse().expect("a segment");
        let (_, end_offset, _) = *seen.segments.iter().find(|&&(of, _, _)| of == base).expect("recovery knows it");
        let mut position = 0;
        for batch in seen.batches.range(base..end_offset).map(|(_, batch)| batch) {
            // Base offset is 0 to 7, leader epoch 12 to 15, last offset delta 23 to 26.
            for at in [rng.below(8), 12 + rng.below(4), 23 + rng.below(4)] {
                flip(folder, &truth, file, (position + at as usize, rng.below(8) as u8), end, &mut tally);
            }
            position += batch.len();
        }
    }
    tally
}

fn flip(folder: &[File], truth: &Look, file: &File, (at, bit): (usize, u8), end: End, tally: &mut Tally) {
    let what = format!("bit {bit} of byte {at} of {}", file.path.display());
    let mut files = neighbours(folder, file);
    let sound = part_of(truth, &files);
    files.iter_mut().filter(|other| other.path == file.path).for_each(|other| other.bytes[at] ^= 1 << bit);
    let path = Path::new(DATA).join(&file.path);
    let world = world(&files);
    let verified = verify(&world);
    let got = look(&world, Some(truth));
    let missing = check_served(&sound, &got, &what);
    check_facts(&sound, &got, &what);
    let said: Vec<_> = got.reports.difference(&truth.reports).collect();
    let by_start = said.iter().any(|report| report.starts_with(&path.display().to_string()));
    let by_scrub = got.scrubbed.iter().any(|(file, _)| *file == path);
    tally.flips += 1;
    tally.start += u64::from(by_start);
    tally.verify += u64::from(!verified.findings.is_empty());
    tally.scrub += u64::from(by_scrub);
    tally.read += u64::from(missing > 0);
    match use_of(truth, file, at) {
        Use::Batch(offset) => {
            let named = verified.findings.iter().any(|finding| names(finding, &file.path, Some(offset)));
            assert!(named, "{what}: verify does not say that batch {offset} is bad: {:?}", verified.findings);
            let read = got.refused.iter().any(|(file, refused)| *file == path && *refused == offset);
            assert!(read, "{what}: batch {offset} was not refused: {:?}", got.refused);
            assert!(by_scrub || by_start, "{what}: the scrub says {:?}", got.scrubbed);
        }
        Use::Private => {
            let named = verified.findings.iter().any(|finding| names(finding, &file.path, None));
            assert!(named, "{what}: verify does not find it: {:?}", verified.findings);
            let is_older = truth.snapshots.keys().all(|(dir, upto)| path != dir.join(format!("{upto:020}.rsnap")));
            let nodes = ["meta.properties", "meta.properties.rcpy", "log-dirs"];
            let by_rest = nodes.iter().any(|name| file.path.ends_with(name));
            let is_idle = by_rest || (is_older && path.extension().is_some_and(|is| is == "rsnap"));
            assert!(by_start || is_idle, "{what}: the start says {said:?}");
            assert_eq!((missing, got.refused.len()), (0, 0), "{what}: no record is concerned");
            for (key, state) in &got.snapshots {
                assert!(truth.snapshots.get(key).is_none_or(|known| known == state), "{what}: state of {key:?}");
            }
        }
        Use::Nothing => {
            assert_eq!(verified.findings, [], "{what}: nothing depends on it");
            // Right behind the end it looks as a torn write does, and is cut off with the space that it lies in.
            let is_cut = |report: &&&String| report.contains("action: Cut,") && end == End::Killed;
            assert_eq!(said.iter().filter(|report| !is_cut(report)).count(), 0, "{what}: the start says {said:?}");
            assert!(missing == 0 && got.refused.is_empty() && got.scrubbed.is_empty(), "{what}");
            tally.unaffected += 1;
        }
    }
}

fn check(end: End, seed: u64) {
    let folder = written(end);
    let begin = std::time::Instant::now();
    let headers = flip_headers(&folder, end, seed);
    println!("{end:?}, headers: {headers:?} in {:.1} s", begin.elapsed().as_secs_f64());
    let tally = flip_everything(&folder, end, seed);
    println!("{end:?}: {tally:?} in {:.1} s", begin.elapsed().as_secs_f64());
    assert!(tally.flips > 100 && tally.verify == tally.flips - tally.unaffected, "{tally:?}");
}

#[test]
fn of_a_stopped_node() {
    check(End::Stopped, 1);
}

#[test]
fn of_a_killed_node() {
    check(End::Killed, 2);
}
