//! A disk that fills up: producers are told, what was acknowledged stays readable, small logs go on in the space they
//! have, and everything resumes once there is room, without a restart.
//!
//! Needs root, for a file system of its own on a loop device; says so and passes without.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, Client, DRIVERS, PATIENCE, folder};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const DISK_BYTES: u64 = 64 << 20;
/// Left free beside the ballast: less than the log that grows will want.
const LEFT_BYTES: u64 = 3 << 20;
const KAFKA_STORAGE_ERROR: i16 = 56;

/// A small file system, mounted until dropped.
struct Disk {
    parent: tempfile::TempDir,
}

impl Disk {
    /// `None`, with the reason printed, where this process may not mount.
    fn mount() -> Option<Disk> {
        let parent = folder();
        let (image, point) = (parent.path().join("image"), parent.path().join("mounted"));
        fs::File::create(&image).and_then(|file| file.set_len(DISK_BYTES)).expect("a sparse file");
        fs::create_dir(&point).expect("new");
        let mut make = Command::new("mkfs.ext4");
        make.args(["-q", "-m", "0"]).arg(&image);
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(&image).arg(&point);
        match succeeds(make).and_then(|()| succeeds(mount)) {
            Ok(()) => Some(Disk { parent }),
            Err(reason) => {
                println!("skipped: no file system on a loop device, which needs root: {reason}");
                None
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.parent.path().join("mounted")
    }

    fn free_bytes(&self) -> u64 {
        let output = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(self.path()).output().expect("coreutils");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_whitespace().map(|word| word.parse::<u64>().expect("a number")).product()
    }

    /// Fills the disk up to [`LEFT_BYTES`].
    fn add_ballast(&self) -> PathBuf {
        let path = self.path().join("ballast");
        let bytes = self.free_bytes() - LEFT_BYTES;
        let status = Command::new("fallocate").arg("-l").arg(bytes.to_string()).arg(&path).status();
        assert!(status.expect("util-linux").success());
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn succeeds(mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
}

/// Produces values of 200 KB until one is refused; the refusal's error code.
fn fill(client: &mut Client, topic: &str, acknowledged: &mut Vec<String>) -> i16 {
    for _ in 0..200 {
        let value = format!("{}{}", acknowledged.len(), "x".repeat(200_000));
        match client.produce(topic, 0, &[&value]) {
            (0, offset) => assert_eq!(offset, acknowledged.len() as i64),
            (error, offset) => {
                assert_eq!(offset, -1);
                return error;
            }
        }
        acknowledged.push(value);
    }
    panic!("40 MB fit into {LEFT_BYTES} bytes");
}

/// Tries until it is accepted.
fn produce_in_time(client: &mut Client, topic: &str, value: &str) -> i64 {
    let end = Instant::now() + PATIENCE;
    loop {
        match client.produce(topic, 0, &[value]) {
            (0, offset) => return offset,
            (error, _) => assert!(error == KAFKA_STORAGE_ERROR && Instant::now() < end, "{topic}: error {error}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn read_back(data: &Path, driver: &str, acknowledged: &[String], small: &[&str]) {
    let broker = Broker::start(data, &["--io", driver]);
    let mut client = broker.client();
    assert!(client.fetch_all("grows", 0) == acknowledged, "{driver}: after a restart");
    assert_eq!(client.fetch_all("small", 0), small, "{driver}: after a restart");
    broker.stop();
}

#[test]
fn a_full_disk_refuses_and_heals() {
    for driver in DRIVERS {
        let Some(disk) = Disk::mount() else { return };
        let data = disk.path().join("data");
        let broker = Broker::start(&data, &["--io", driver]);
        let mut client = broker.client();
        assert_eq!(client.create_topic("grows", 1), 0);
        assert_eq!(client.create_topic("small", 1), 0);
        assert_eq!(client.produce("small", 0, &["before"]), (0, 0));
        let ballast = disk.add_ballast();

        let mut acknowledged = Vec::new();
        assert_eq!(fill(&mut client, "grows", &mut acknowledged), KAFKA_STORAGE_ERROR, "{driver}");
        assert!(acknowledged.len() > 2, "{driver}: {} batches went into {LEFT_BYTES} bytes", acknowledged.len());
        assert!(broker.logged("disk full").contains("WARN"));
        assert!(client.fetch_all("grows", 0) == acknowledged, "{driver}: while the disk is full");
        assert_eq!(client.produce("small", 0, &["while full"]), (0, 1), "{driver}: it has space of its own");
        assert_eq!(client.fetch_all("small", 0), ["before", "while full"], "{driver}");

        fs::remove_file(ballast).expect("ours");
        let next = acknowledged.len() as i64;
        assert_eq!(produce_in_time(&mut client, "grows", "healed"), next, "{driver}: no offset is skipped");
        acknowledged.push("healed".to_owned());
        assert!(client.fetch_all("grows", 0) == acknowledged, "{driver}: once there is room");
        assert_eq!(client.produce("small", 0, &["after"]), (0, 2), "{driver}");
        // Killed, not stopped: what was acknowledged must not need the end of a stop, which a busy disk may make late.
        broker.kill();
        read_back(&data, driver, &acknowledged, &["before", "while full", "after"]);
    }
}

/// A full disk keeps nobody from reading, committing offsets in the space that is there, and making room by deleting.
#[test]
fn a_full_disk_takes_offsets_and_heals_by_a_deletion() {
    for driver in DRIVERS {
        let Some(disk) = Disk::mount() else { return };
        let data = disk.path().join("data");
        let broker = Broker::start(&data, &["--io", driver, "--override", "log.segment.delete.delay.ms=0"]);
        let mut client = broker.client();
        for topic in ["grows", "small", "doomed"] {
            assert_eq!(client.create_topic(topic, 1), 0);
        }
        for _ in 0..40 {
            assert_eq!(client.produce("doomed", 0, &["x".repeat(200_000).as_str()]).0, 0, "{driver}");
        }
        assert_eq!(client.produce("small", 0, &["before"]), (0, 0));
        client.commit_in_time("group", "small", 1);
        disk.add_ballast();
        let mut acknowledged = Vec::new();
        assert_eq!(fill(&mut client, "grows", &mut acknowledged), KAFKA_STORAGE_ERROR, "{driver}");
        assert_eq!(client.commit("group", "small", 2), 0, "{driver}: in the space that its log has");
        assert_eq!(client.committed("group", "small"), (0, 2), "{driver}");
        assert_eq!(client.delete_topic("doomed"), 0, "{driver}: a deletion needs no room to speak of");
        let next = acknowledged.len() as i64;
        assert_eq!(produce_in_time(&mut client, "grows", "healed"), next, "{driver}: the deletion made room");
        acknowledged.push("healed".to_owned());
        broker.kill();
        let broker = Broker::start(&data, &["--io", driver]);
        let mut client = broker.client();
        assert!(client.fetch_all("grows", 0) == acknowledged, "{driver}");
        assert_eq!(client.committed_in_time("group", "small"), 2, "{driver}");
        broker.stop();
    }
}

/// A crash finds a log whose last write did not fit: its start, still without room, serves what was acknowledged.
#[test]
fn a_kill_while_the_disk_is_full_loses_nothing_acknowledged() {
    for driver in DRIVERS {
        let Some(disk) = Disk::mount() else { return };
        let data = disk.path().join("data");
        let broker = Broker::start(&data, &["--io", driver]);
        let mut client = broker.client();
        assert_eq!(client.create_topic("grows", 1), 0);
        assert_eq!(client.create_topic("small", 1), 0);
        assert_eq!(client.produce("small", 0, &["before"]), (0, 0));
        let ballast = disk.add_ballast();
        let mut acknowledged = Vec::new();
        assert_eq!(fill(&mut client, "grows", &mut acknowledged), KAFKA_STORAGE_ERROR, "{driver}");
        broker.kill();
        let broker = Broker::start(&data, &["--io", driver]);
        let mut client = broker.client();
        assert!(client.fetch_all("grows", 0) == acknowledged, "{driver}: a start on a full disk");
        fs::remove_file(ballast).expect("ours");
        let next = acknowledged.len() as i64;
        assert_eq!(produce_in_time(&mut client, "grows", "healed"), next, "{driver}");
        acknowledged.push("healed".to_owned());
        broker.stop();
        read_back(&data, driver, &acknowledged, &["before"]);
    }
}

/// What has to be written down before it is answered is refused too, and works later.
#[test]
fn topics_cannot_be_made_without_room_and_can_be_afterwards() {
    for driver in DRIVERS {
        let Some(disk) = Disk::mount() else { return };
        let broker = Broker::start(&disk.path().join("data"), &["--io", driver]);
        let mut client = broker.client();
        assert_eq!(client.create_topic("grows", 1), 0);
        let ballast = disk.add_ballast();
        assert_eq!(fill(&mut client, "grows", &mut Vec::new()), KAFKA_STORAGE_ERROR, "{driver}");
        let refused = (0..400).map(|i| client.create_topic(&format!("t{i}"), 50)).find(|error| *error != 0);
        assert_eq!(refused, Some(KAFKA_STORAGE_ERROR), "{driver}");
        fs::remove_file(ballast).expect("ours");
        let end = Instant::now() + PATIENCE;
        while client.create_topic("afterwards", 1) != 0 {
            assert!(Instant::now() < end, "{driver}: no topic can be made");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(produce_in_time(&mut client, "afterwards", "x"), 0, "{driver}");
        broker.kill();
    }
}
