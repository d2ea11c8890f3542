//! A few faults of each kind against the binary of this build: what was acknowledged is there, once, in order. The long runs
//! and the negative controls are `cargo xtask rigs`.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

use rigs::disk::FileSystem;
use rigs::life::{Fault, LifeOptions, missing};
use rigs::node::{NodeOptions, find_binary};
use rigs::run::{RunOptions, run};
use std::time::Duration;

fn check(fault: Fault, durability: &str, times: u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(binary) = find_binary() else {
        return println!("not run: there is no binary `ringlog` yet; `cargo build -p node` makes it");
    };
    if let Some(reason) = missing(fault, folder.path()) {
        return println!("not run: {reason}");
    }
    let node = NodeOptions { binary, durability: durability.into(), io: "auto", shards: 1, planted: None };
    let options = RunOptions {
        life: LifeOptions { fault, folder: folder.path().to_owned(), node, io: None, keep: None },
        times,
        seed: 20_261_125,
        time_max: Duration::from_secs(60),
        until_loss: false,
    };
    let summary = run(&options, |line| println!("{line}")).expect("the rig works");
    assert!(summary.is_clean(), "{summary}");
    assert!(summary.faults == times && summary.checked > 0, "it proved nothing: {summary}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("it is there").flatten().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn kill_9() {
    check(Fault::Kill, "fsync", 5);
}

#[test]
fn kill_9_of_what_was_only_written() {
    check(Fault::Kill, "none", 4);
}

#[test]
fn power_cut_on_ext4() {
    check(Fault::PowerCut(FileSystem::Ext4), "fsync", 4);
}

#[test]
fn power_cut_on_xfs() {
    check(Fault::PowerCut(FileSystem::Xfs), "fsync", 4);
}
