//! Sequences of operations from seeds: few names and few handles, so that they meet, and everything that the engine does to
//! files. Deliberately absent: operations side by side (their order is the kernel's), and a folder that is moved into itself.

use engine::io::OpenMode;
use engine::io::sim::Rng;

/// A file that is there, durably, before the first step.
pub(crate) const KEEP: &str = "keep";
/// Steps of one sequence.
const STEPS: u64 = 22;
/// Files that are open at once at most.
pub(crate) const SLOTS: usize = 3;
const BLOCK: u64 = 4096;

/// One operation. Paths are relative to the root; slots are handles, and a step on an empty slot does nothing.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Open { slot: usize, path: &'static str, mode: OpenMode },
    Close { slot: usize },
    Write { slot: usize, at: u64, len: u64, fill: u8 },
    Read { slot: usize, at: u64, room: u64 },
    Sync { slot: usize },
    Allocate { slot: usize, at: u64, len: u64 },
    SetLen { slot: usize, len: u64 },
    Rename { from: &'static str, to: &'static str },
    Unlink { path: &'static str },
    MakeDir { path: &'static str },
    RemoveDir { path: &'static str },
    SyncDir { path: &'static str },
    List { path: &'static str },
}

const FOLDERS: [&str; 3] = ["", "d", "e"];
const FILES: [&str; 6] = ["a", "b", "d/a", "d/b", "e/a", "keep"];

/// The sequence of a seed. It opens a file first, so that few sequences do nothing.
pub(crate) fn plan(seed: u64) -> Vec<Step> {
    let mut rng = Rng::new(seed);
    let mut direct = [false; SLOTS];
    let mut steps = vec![Step::MakeDir { path: "d" }];
    direct[0] = true;
    steps.push(Step::Open { slot: 0, path: "d/a", mode: OpenMode::WriteDirect });
    for fill in 1..STEPS {
        steps.push(step(&mut rng, &mut direct, fill as u8));
    }
    steps
}

fn one_of<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.below(from.len() as u64) as usize]
}

fn step(rng: &mut Rng, direct: &mut [bool; SLOTS], fill: u8) -> Step {
    let slot = rng.below(SLOTS as u64) as usize;
    match rng.below(30) {
        0..4 => open(rng, direct, slot),
        4 => Step::Close { slot },
        5..13 if direct[slot] => Step::Write { slot, at: rng.below(5) * BLOCK, len: (1 + rng.below(3)) * BLOCK, fill },
        5..13 => Step::Write { slot, at: rng.below(9_000), len: 1 + rng.below(6_000), fill },
        13..15 if direct[slot] => Step::Read { slot, at: rng.below(4) * BLOCK, room: 4 * BLOCK },
        13..15 => Step::Read { slot, at: rng.below(9_000), room: 1 + rng.below(20_000) },
        15..18 => Step::Sync { slot },
        18 => Step::Allocate { slot, at: rng.below(4) * BLOCK, len: (1 + rng.below(4)) * BLOCK },
        19 => Step::SetLen { slot, len: rng.below(5) * BLOCK },
        20 => Step::SetLen { slot, len: rng.below(16_000) },
        21..23 => Step::Rename { from: one_of(rng, &FILES), to: one_of(rng, &FILES) },
        23 => Step::Rename { from: one_of(rng, &["d", "e"]), to: one_of(rng, &["d", "e", "a"]) },
        24 => Step::Unlink { path: one_of(rng, &["a", "b", "d/a", "d/b", "e/a", "keep", "d"]) },
        25 => Step::MakeDir { path: one_of(rng, &["d", "e", "a"]) },
        26 => Step::RemoveDir { path: one_of(rng, &["d", "e", "a"]) },
        27 | 28 => Step::SyncDir { path: one_of(rng, &FOLDERS) },
        _ => Step::List { path: one_of(rng, &FOLDERS) },
    }
}

fn open(rng: &mut Rng, direct: &mut [bool; SLOTS], slot: usize) -> Step {
    let mode = one_of(rng, &[OpenMode::Write, OpenMode::WriteDirect, OpenMode::WriteDirect, OpenMode::CreateDirect]);
    direct[slot] = mode != OpenMode::Write;
    Step::Open { slot, path: one_of(rng, &FILES), mode }
}

/// How many of the last steps of [`one_durable_file`] are its syncs.
pub(crate) const SYNCS: usize = 2;

/// A file that must be there whole after a power cut.
pub(crate) fn one_durable_file() -> Vec<Step> {
    vec![
        Step::Open { slot: 0, path: "a", mode: OpenMode::CreateDirect },
        Step::Write { slot: 0, at: 0, len: BLOCK, fill: 7 },
        Step::Sync { slot: 0 },
        Step::SyncDir { path: "" },
    ]
}
