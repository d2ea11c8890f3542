//! The file system does what an ordinary one does, and each fault does what it says: a test that trusts it to fail a sync
//! proves nothing if it does not.
//!
//! Needs root and `/dev/fuse`; says so and passes without.
#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

use faultfs::{Fault, FaultFs, OpKind};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const O_DIRECT: i32 = 0o40_000;

/// Fields go in order: unmounted before the folder goes.
struct Rig {
    disk: FaultFs,
    _folder: tempfile::TempDir,
}

fn rig() -> Option<Rig> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let backing = folder.path().join("backing");
    fs::create_dir(&backing).expect("new");
    match FaultFs::mount(&backing, &folder.path().join("mounted")) {
        Ok(disk) => Some(Rig { disk, _folder: folder }),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

impl Rig {
    fn new_file(&self, name: &str) -> File {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).open(self.disk.path().join(name)).expect("a new file")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.disk.path().join(name)).expect("readable")
    }
}

fn code<T: std::fmt::Debug>(result: io::Result<T>) -> i32 {
    result.expect_err("a rule strikes it").raw_os_error().expect("the kernel's error")
}

#[test]
fn without_rules_it_is_an_ordinary_file_system() {
    let Some(rig) = rig() else { return };
    let root = rig.disk.path();
    let file = rig.new_file("a");
    file.write_all_at(b"hello", 3).expect("it has room");
    file.set_len(6).expect("shorter");
    file.sync_all().expect("no rule");
    assert_eq!(rig.read("a"), b"\0\0\0hel");
    fs::create_dir_all(root.join("d/e")).expect("new");
    fs::rename(root.join("a"), root.join("d/e/b")).expect("it is there");
    fs::rename(root.join("d"), root.join("x")).expect("a folder with what is in it");
    assert_eq!(rig.read("x/e/b"), b"\0\0\0hel");
    file.write_all_at(b"J", 3).expect("the handle is the same file");
    assert_eq!(rig.read("x/e/b"), b"\0\0\0Jel");
    fs::remove_file(root.join("x/e/b")).expect("it is there");
    assert_eq!(file.metadata().expect("still open").len(), 6);
    let mut byte = [0];
    file.read_exact_at(&mut byte, 3).expect("still open");
    assert_eq!(&byte, b"J", "a removed file is read while it is open");
    assert_eq!(code(fs::remove_dir(root.join("x"))), 39, "ENOTEMPTY");
    fs::remove_dir(root.join("x/e")).expect("empty");
    File::open(root.join("x")).and_then(|dir| dir.sync_all()).expect("a folder is synced");
}

#[test]
fn long_folders_are_listed_whole() {
    let Some(rig) = rig() else { return };
    (0..700).for_each(|i| drop(rig.new_file(&format!("file-with-a-long-name-{i:04}"))));
    let mut names: Vec<_> =
        fs::read_dir(rig.disk.path()).expect("a folder").map(|e| e.expect("one").file_name()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 700);
}

#[test]
fn direct_writes_arrive() {
    let Some(rig) = rig() else { return };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).custom_flags(O_DIRECT);
    let file = options.open(rig.disk.path().join("direct")).expect("FUSE knows direct I/O");
    let room = vec![b'x'; 3 * 4096];
    let skip = room.as_ptr().align_offset(4096);
    file.write_all_at(&room[skip..skip + 4096], 4096).expect("aligned");
    let bytes = rig.read("direct");
    assert!(bytes.len() == 8192 && bytes[..4096].iter().all(|b| *b == 0) && bytes[4096..].iter().all(|b| *b == b'x'));
}

#[test]
fn a_sync_that_fails_loses_what_it_covered_and_the_next_succeeds() {
    let Some(rig) = rig() else { return };
    let (file, other) = (rig.new_file("f"), rig.new_file("g"));
    file.write_all_at(b"old", 0).and_then(|()| file.sync_data()).expect("no rule yet");
    let rule = rig.disk.inject_once(OpKind::Sync, "f", Fault::LosesUnsynced(EIO));
    file.write_all_at(b"newer", 0).expect("writes work");
    other.write_all_at(b"other", 0).and_then(|()| other.sync_data()).expect("the rule names f");
    assert_eq!(code(file.sync_data()), EIO);
    file.sync_data().expect("as kernels do");
    assert_eq!((rig.read("f"), rig.disk.struck(rule)), (b"old".to_vec(), 1));
    assert_eq!(rig.read("g"), b"other");
}

#[test]
fn a_power_cut_takes_what_no_sync_covered_or_a_lying_one() {
    let Some(rig) = rig() else { return };
    let file = rig.new_file("f");
    file.write_all_at(b"durable", 0).and_then(|()| file.sync_data()).expect("no rule yet");
    rig.disk.inject(OpKind::Sync, "*", Fault::Lies);
    file.write_all_at(b"DUR", 0).and_then(|()| file.sync_data()).expect("it lies");
    file.set_len(2).expect("shorter");
    file.write_all_at(b"!", 9).expect("longer");
    assert_eq!(rig.read("f"), b"DU\0\0\0\0\0\0\0!");
    rig.disk.cut_power().expect("the folder underneath works");
    assert_eq!(rig.read("f"), b"durable");
}

#[test]
fn writes_fail_whole_or_torn_or_are_short() {
    let Some(rig) = rig() else { return };
    let file = rig.new_file("f");
    rig.disk.inject_once(OpKind::Write, "f", Fault::Fails(ENOSPC));
    assert_eq!(code(file.write_at(b"none", 0)), ENOSPC);
    assert_eq!(rig.read("f"), b"");
    rig.disk.inject_once(OpKind::Write, "f", Fault::Torn(EIO));
    assert_eq!(code(file.write_at(b"half", 0)), EIO);
    assert_eq!(rig.read("f"), b"ha");
    rig.disk.inject_once(OpKind::Write, "f", Fault::Short(3));
    assert_eq!(file.write_at(b"short", 0).expect("some of it"), 3);
    assert_eq!(rig.read("f"), b"sho");
}

#[test]
fn reads_fail_or_lie() {
    let Some(rig) = rig() else { return };
    rig.new_file("f").write_all_at(b"abc", 0).expect("no rule yet");
    let rule = rig.disk.inject(OpKind::Read, "f", Fault::Fails(EIO));
    assert_eq!(code(fs::read(rig.disk.path().join("f"))), EIO);
    rig.disk.lift(rule);
    rig.disk.inject(OpKind::Read, "f", Fault::Flips { at: 1, bit: 0 });
    assert_eq!(rig.read("f"), b"acc");
    rig.disk.lift_all();
    assert_eq!(rig.read("f"), b"abc", "only what was read lied");
}

#[test]
fn there_is_as_much_room_as_the_test_says() {
    let Some(rig) = rig() else { return };
    let (file, ballast) = (rig.new_file("f"), rig.new_file("ballast"));
    ballast.set_len(4096).expect("no limit yet");
    rig.disk.set_room(Some(5));
    file.write_all_at(b"12345", 0).expect("it fits");
    assert_eq!(code(file.write_at(b"6", 5)), ENOSPC);
    file.write_all_at(b"54321", 0).expect("it is written in place");
    fs::remove_file(rig.disk.path().join("ballast")).expect("it is there");
    file.write_all_at(&[b'x'; 100], 5).expect("a removed file gives room");
}

#[test]
fn what_is_stuck_holds_up_nothing_else() {
    let Some(rig) = rig() else { return };
    let (file, other) = (rig.new_file("f"), rig.new_file("g"));
    let rule = rig.disk.inject(OpKind::Sync, "f", Fault::Stuck);
    let (send, ended) = channel();
    std::thread::spawn(move || send.send(file.sync_data()));
    other.write_all_at(b"x", 0).and_then(|()| other.sync_data()).expect("another file");
    assert!(ended.recv_timeout(Duration::from_millis(200)).is_err(), "it is stuck");
    rig.disk.lift(rule);
    ended.recv_timeout(Duration::from_secs(10)).expect("it goes on").expect("and works");
}

#[test]
fn what_is_slow_works_later() {
    let Some(rig) = rig() else { return };
    let file = rig.new_file("f");
    rig.disk.inject(OpKind::Write, "f", Fault::Slow(Duration::from_millis(100)));
    let begin = Instant::now();
    file.write_all_at(b"late", 0).expect("no other rule");
    assert!(begin.elapsed() >= Duration::from_millis(100));
    assert_eq!(rig.read("f"), b"late");
}
