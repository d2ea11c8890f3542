//! Several log directories of the real binary: moves under load that a SIGKILL meets anywhere, and a directory that cannot be used.
//! If this breaks, moving a partition or losing a disk loses records that have nothing to do with it.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, Client, folder};
use protocol::ApiKey;
use protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse,
};
use protocol::messages::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const STORAGE: i16 = 56;

fn command(dirs: &[PathBuf], driver: &str) -> Command {
    let listed: Vec<_> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringlog"));
    command.args(["--listen", "127.0.0.1:0", "--shards", "2", "--io", driver, "--override"]);
    command.arg(format!("log.dirs={}", listed.join(","))).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Error of each directory, and topic, partition and whether it is a copy of each replica there.
type Described = Vec<(i16, Vec<(String, i32, bool)>)>;

fn describe(client: &mut Client) -> Described {
    let version = 5;
    let request = DescribeLogDirsRequest { topics: None };
    client.ask(
        ApiKey::DescribeLogDirs,
        version,
        |writer| request.encode(writer, version),
        |reader| {
            let response = DescribeLogDirsResponse::decode(reader, version)?;
            let dirs = response.results.iter().map(|dir| {
                assert!(dir.error_code != 0 || (dir.total_bytes > dir.usable_bytes && dir.usable_bytes > 0));
                let replicas = dir.topics.iter().flat_map(|topic| {
                    topic.partitions.iter().map(|p| (topic.name.to_string(), p.partition_index, p.is_future_key))
                });
                (dir.error_code, replicas.collect())
            });
            Ok(dirs.collect())
        },
    )
}

fn alter(client: &mut Client, topic: &str, partition: i32, to: &Path) -> i16 {
    let version = 2;
    let topics = vec![AlterReplicaLogDirTopic { name: topic.to_owned().into(), partitions: vec![partition] }];
    let dirs = vec![AlterReplicaLogDir { path: to.display().to_string().into(), topics }];
    let request = AlterReplicaLogDirsRequest { dirs };
    client.ask(
        ApiKey::AlterReplicaLogDirs,
        version,
        |writer| request.encode(writer, version),
        |reader| Ok(AlterReplicaLogDirsResponse::decode(reader, version)?.results[0].partitions[0].error_code),
    )
}

/// Waits until the partition lies in the directory and nowhere else.
fn until_moved(client: &mut Client, topic: &str, partition: i32, to: usize) {
    let begin = Instant::now();
    loop {
        let described = describe(client);
        let of_it = |(name, index, _): &&(String, i32, bool)| name == topic && *index == partition;
        let places: Vec<(usize, bool)> = described
            .iter()
            .enumerate()
            .flat_map(|(at, (_, replicas))| replicas.iter().filter(of_it).map(move |replica| (at, replica.2)))
            .collect();
        if places == [(to, false)] {
            return;
        }
        assert!(begin.elapsed() < common::PATIENCE, "{places:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn two(home: &Path) -> Vec<PathBuf> {
    let home = fs::canonicalize(home).expect("it exists");
    vec![home.join("a"), home.join("b")]
}

/// Folders of a log, by what they are called.
fn folders_of(dirs: &[PathBuf], log: &str) -> Vec<PathBuf> {
    dirs.iter().map(|dir| dir.join(log)).filter(|path| path.is_dir()).collect()
}

#[test]
fn partitions_move_while_they_are_used() {
    for driver in common::DRIVERS {
        let home = folder();
        let dirs = two(home.path());
        let broker = Broker::spawn(command(&dirs, driver));
        let mut client = broker.client();
        assert_eq!(client.create_topic("t", 1), 0);
        let value = "v".repeat(10_000);
        let mut sent = 0;
        for round in 0..4 {
            for _ in 0..30 {
                assert_eq!(client.produce("t", 0, &[&value]), (0, sent));
                sent += 1;
            }
            let to = round % 2;
            assert_eq!(alter(&mut client, "t", 0, &dirs[to]), 0);
            for _ in 0..30 {
                assert_eq!(client.produce("t", 0, &[&value]), (0, sent));
                sent += 1;
            }
            until_moved(&mut client, "t", 0, to);
            assert_eq!(folders_of(&dirs, "t-0"), [dirs[to].join("t-0")]);
        }
        assert_eq!(client.fetch_all("t", 0).len() as i64, sent);
        broker.stop();
        let broker = Broker::spawn(command(&dirs, driver));
        assert_eq!(broker.client().fetch_all("t", 0).len() as i64, sent);
        assert_eq!(describe(&mut broker.client())[1].1, [("t".to_owned(), 0, false)]);
    }
}

#[test]
fn a_kill_in_the_middle_of_a_move_loses_nothing() {
    let home = folder();
    let dirs = two(home.path());
    let mut sent: i64 = 0;
    for round in 0..24 {
        let mut broker = Broker::spawn(command(&dirs, "auto"));
        let mut client = broker.client();
        if round == 0 {
            assert_eq!(client.create_topic("t", 1), 0);
        }
        let found = client.fetch_all("t", 0);
        assert!(found.len() as i64 >= sent, "round {round}: {} of {sent}", found.len());
        assert!(found.iter().enumerate().all(|(at, value)| value.starts_with(&format!("{at}:"))), "round {round}");
        sent = found.len() as i64;
        // One that was broken off by the last kill goes on; the other way round in every second round.
        assert_eq!(alter(&mut client, "t", 0, &dirs[round % 2]), 0);
        let end = Instant::now() + Duration::from_millis(3 + 9 * round as u64);
        while Instant::now() < end {
            let value = format!("{sent}:{}", "v".repeat(3_000));
            assert_eq!(client.produce("t", 0, &[&value]), (0, sent));
            sent += 1;
        }
        broker.signal("KILL");
        broker.wait();
    }
    let broker = Broker::spawn(command(&dirs, "auto"));
    assert!(broker.client().fetch_all("t", 0).len() as i64 >= sent);
    assert_eq!(folders_of(&dirs, "t-0").len(), 1);
}

#[test]
fn a_directory_that_cannot_be_used_takes_only_its_own_partitions() {
    let home = folder();
    let dirs = two(home.path());
    let broker = Broker::spawn(command(&dirs, "auto"));
    let mut client = broker.client();
    assert_eq!(client.create_topic("t", 8), 0);
    (0..8).for_each(|partition| assert_eq!(client.produce("t", partition, &["v"]), (0, 0)));
    let lost: Vec<i32> = (0..8).filter(|partition| dirs[1].join(format!("t-{partition}")).is_dir()).collect();
    assert!(!lost.is_empty() && lost.len() < 8, "both directories have some: {lost:?}");
    broker.stop();
    let aside = home.path().join("aside");
    fs::rename(&dirs[1], &aside).expect("it is there");
    fs::write(&dirs[1], "a disk that cannot be mounted").expect("writable");
    for _ in 0..2 {
        let broker = Broker::spawn(command(&dirs, "auto"));
        let mut client = broker.client();
        for partition in 0..8 {
            let code = client.produce("t", partition, &["w"]).0;
            assert_eq!(code, if lost.contains(&partition) { STORAGE } else { 0 }, "partition {partition}");
        }
        let described = describe(&mut client);
        assert_eq!((described[0].0, described[0].1.len()), (0, 8 - lost.len()));
        assert_eq!(described[1], (STORAGE, vec![]));
        broker.stop();
    }
    fs::remove_file(&dirs[1]).expect("it is there");
    fs::rename(&aside, &dirs[1]).expect("repaired");
    let broker = Broker::spawn(command(&dirs, "auto"));
    for partition in 0..8 {
        let records = broker.client().fetch_all("t", partition).len();
        assert_eq!(records, if lost.contains(&partition) { 1 } else { 3 }, "partition {partition}");
    }
}

#[test]
fn a_directory_taken_off_the_list_stops_the_start() {
    let home = folder();
    let dirs = two(home.path());
    let broker = Broker::spawn(command(&dirs, "auto"));
    assert_eq!(broker.client().create_topic("t", 4), 0);
    (0..4).for_each(|partition| assert_eq!(broker.client().produce("t", partition, &["v"]), (0, 0)));
    broker.stop();
    let out = command(&dirs[..1], "auto").output().expect("it runs");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("does not list") && said.contains("/b"), "{said}");
    let swapped = [dirs[1].clone(), dirs[0].clone()];
    let broker = Broker::spawn(command(&swapped, "auto"));
    (0..4).for_each(|partition| assert_eq!(broker.client().fetch_all("t", partition), ["v"], "in any order"));
}
