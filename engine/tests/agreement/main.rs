//! The simulated disk and real ones agree: the same operations give the same answers, errors, contents and listings on the
//! simulated disk, on io_uring and on system calls; and after a power cut at any point, what a real ext4 or xfs holds is one
//! of the states that the simulated disk allows. Where this fails, every crash that was simulated proved less than it said.
//!
//! The power cut is `FS_IOC_SHUTDOWN` without flushing the journal, on a file system on a loop device; it needs root, and
//! for xfs `mkfs.xfs`. What is missing is printed, and the rest runs.
//!
//! `RINGLOG_AGREEMENT_SEEDS=200` tries that many sequences, from `RINGLOG_AGREEMENT_FIRST` on, instead of a few;
//! `cargo xtask agreement 200` is the same.
#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

mod hands;
mod loops;
mod plan;

use engine::io::Driver;
use engine::io::posix::PosixDriver;
use engine::io::sim::SimWorld;
use engine::io::uring::UringDriver;
use hands::{Hands, see};
use loops::{Kind, LoopDisk};
use plan::{Step, plan};
use std::path::Path;

/// Sequences without an argument: seconds, not minutes.
const SEEDS: u64 = 4;
/// The same without cuts, which take milliseconds.
const SEEDS_WITHOUT_CUT: u64 = 150;
/// Where the operations happen on a simulated disk.
const SIM_ROOT: &str = "/r";

/// The seeds of this run, `few` unless the environment says how many.
fn seeds(few: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("RINGLOG_AGREEMENT_FIRST").unwrap_or(0);
    first..first + number("RINGLOG_AGREEMENT_SEEDS").unwrap_or(few)
}

/// A simulated disk after these operations, and what they answered.
fn simulated(seed: u64, steps: &[Step]) -> (SimWorld, Vec<String>) {
    let world = SimWorld::new(seed);
    world.write_file(Path::new(SIM_ROOT).join(plan::KEEP), b"").expect("an empty disk takes it");
    let mut hands = Hands::new(Box::new(world.driver()), SIM_ROOT);
    let answers = steps.iter().map(|step| hands.perform(step)).collect();
    (world, answers)
}

/// A driver of the kernel's: by turns, so that both are seen.
fn real_driver(uring: bool) -> Box<dyn Driver> {
    match UringDriver::new() {
        Ok(driver) if uring => Box::new(driver),
        Err(refused) if uring && std::env::var_os("RINGLOG_EXPECT_NO_URING").is_none() => {
            panic!("{refused}. If that is right here, set RINGLOG_EXPECT_NO_URING=1")
        }
        _ => Box::new(PosixDriver::new().expect("epoll is everywhere")),
    }
}

/// Performs the same steps on a real folder that has what the simulated one has.
fn real(root: &Path, uring: bool, steps: &[Step]) -> Vec<String> {
    std::fs::create_dir(root).expect("new");
    std::fs::File::create(root.join(plan::KEEP)).expect("new");
    loops::sync_fs(root);
    let mut hands = Hands::new(real_driver(uring), root);
    steps.iter().map(|step| hands.perform(step)).collect()
}

fn listed(steps: &[Step]) -> String {
    steps.iter().enumerate().map(|(at, step)| format!("{at:3} {step:?}\n")).collect()
}

/// Compares answer by answer.
fn same_answers(what: &str, steps: &[Step], real: &[String], simulated: &[String]) {
    for (at, (real, simulated)) in real.iter().zip(simulated).enumerate() {
        let done = &steps[..=at];
        assert_eq!(
            real,
            simulated,
            "{what}: step {at}; left is the kernel's, right the simulator's. Steps:\n{}",
            listed(done)
        );
    }
}

#[test]
fn answers_are_the_same() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo gives tests a folder");
    for seed in seeds(SEEDS_WITHOUT_CUT) {
        let steps = plan(seed);
        let (world, expected) = simulated(seed, &steps);
        for uring in [false, true] {
            let root = folder.path().join(format!("{seed}-{uring}"));
            let answers = real(&root, uring, &steps);
            same_answers(&format!("seed {seed}, uring {uring}"), &steps, &answers, &expected);
            assert_eq!(
                see(&root),
                hands::see_simulated(&world),
                "seed {seed}, uring {uring}: at the end. Steps:\n{}",
                listed(&steps)
            );
        }
    }
}

/// Cuts the power after every prefix of every sequence; says how many cuts that were.
fn cut_everywhere(kind: Kind) -> Option<u64> {
    let mut disk = LoopDisk::mount(kind)?;
    let mut cuts = 0;
    for seed in seeds(SEEDS) {
        let steps = plan(seed);
        for upto in 0..=steps.len() {
            let steps = &steps[..upto];
            let (world, expected) = simulated(seed, steps);
            let name = format!("{seed}-{upto}");
            let uring = (seed + upto as u64).is_multiple_of(2);
            let what = format!("{kind:?}, seed {seed}, cut after {upto} steps, uring {uring}");
            let root = disk.path().join(&name);
            let answers = real(&root, uring, steps);
            same_answers(&what, steps, &answers, &expected);
            disk.cut_power();
            if let Err(why) = world.allows(&see(&root)) {
                panic!("{what}: the simulated disk does not allow what is there: {why}. Steps:\n{}", listed(steps));
            }
            std::fs::remove_dir_all(&root).expect("ours");
            cuts += 1;
        }
    }
    println!("{kind:?}: {cuts} power cuts, each left a state that the simulated disk allows");
    Some(cuts)
}

#[test]
fn what_a_power_cut_leaves_on_ext4_is_allowed() {
    assert_ne!(cut_everywhere(Kind::Ext4), Some(0));
}

#[test]
fn what_a_power_cut_leaves_on_xfs_is_allowed() {
    assert_ne!(cut_everywhere(Kind::Xfs), Some(0));
}

/// The control: a disk that was not asked to keep a thing is not said to have to lose it, and one that was asked must.
#[test]
fn the_question_can_be_answered_with_no() {
    let Some(mut disk) = LoopDisk::mount(Kind::Ext4) else { return };
    let steps = plan::one_durable_file();
    let root = disk.path().join("control");
    let (synced, _) = simulated(0, &steps);
    let answers = real(&root, false, &steps[..steps.len() - plan::SYNCS]);
    assert!(answers.iter().all(|answer| answer.starts_with("ok")), "{answers:?}");
    disk.cut_power();
    let why = synced.allows(&see(&root)).expect_err("without its syncs the file is not what it must be");
    println!("as it should be: {why}");
}
