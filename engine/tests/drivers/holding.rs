//! Files that a driver holds: a ring lives on after a killed process until its last op has ended, and a lock on a held
//! file with it. Here the process lives, so the file's own descriptor is closed instead.

use crate::rig::Rig;
use engine::io::{Op, OpenMode};
use engine::mem::Slice;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

crate::on_every_ring!(a_held_lock_outlives_its_descriptor, a_held_lock_ends_with_the_driver);

/// A locked file, and the same file opened once more.
fn locked(rig: &Rig) -> (File, File) {
    let path = rig.path("lock");
    let file = File::create(&path).expect("a folder of ours");
    file.try_lock().expect("nobody else has it");
    (file, File::open(path).expect("it was just made"))
}

fn a_held_lock_outlives_its_descriptor(rig: &mut Rig) {
    let (file, other) = locked(rig);
    rig.driver.hold(&[Arc::new(file)]).expect("a ring takes files");
    // Our descriptor is closed; the ring's reference keeps the lock.
    assert!(other.try_lock().is_err(), "the lock went with our descriptor");
    // And it does its work with files registered.
    let (file, _) = rig.open("held", OpenMode::Write);
    assert_eq!(rig.write(file, 0, &[Slice::from_static(b"abc")]), 3);
    assert_eq!(rig.read(file, 0, 10), b"abc");
    rig.ok(Op::Close { file });
}

fn a_held_lock_ends_with_the_driver(rig: &mut Rig) {
    let (file, other) = locked(rig);
    rig.driver.hold(&[Arc::new(file)]).expect("a ring takes files");
    rig.drop_driver();
    // The kernel takes its time to end a ring.
    let end = Instant::now() + Duration::from_secs(10);
    while other.try_lock().is_err() {
        assert!(Instant::now() < end, "the lock outlives the driver");
        std::thread::sleep(Duration::from_millis(5));
    }
}
