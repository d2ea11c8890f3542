//! A start is quick: at once where there is nothing, and with many partitions without reading them. If this breaks, a restart is
//! an outage that grows with the data.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, folder};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Starts and says how long it took until the ready line.
fn timed(data: &Path, args: &[&str]) -> (Broker, Duration) {
    let begin = Instant::now();
    let broker = Broker::start(data, args);
    (broker, begin.elapsed())
}

/// Bytes that the process asked the kernel to read, pages in memory included.
fn bytes_read(broker: &Broker) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/io", broker.pid())).expect("Linux counts it");
    let count = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    count.and_then(|count| count.parse().ok()).expect("a number")
}

#[test]
fn an_empty_broker_is_there_at_once() {
    // The best of a few: other tests run on the same cores.
    let best = (0..5).map(|_| {
        let data = folder();
        let (broker, took) = timed(data.path(), &[]);
        broker.stop();
        took
    });
    let best = best.min().expect("five");
    assert!(best < Duration::from_millis(150), "{best:?}");
}

#[test]
fn many_partitions_open_quickly_after_a_stop_and_after_a_kill() {
    let data = folder();
    let broker = Broker::start(data.path(), &[]);
    let mut client = broker.client();
    assert_eq!(client.create_topic("many", 200), 0);
    for partition in 0..200 {
        assert_eq!(client.produce("many", partition, &["a", "b"]), (0, 0));
    }
    drop(broker);
    let mut best = [Duration::MAX; 2];
    for round in 0..3 {
        for (at, signal) in ["TERM", "KILL"].into_iter().enumerate() {
            // The first start of all comes after a kill, each other one after the other signal.
            let (mut broker, took) = timed(data.path(), &[]);
            best[at] = best[at].min(took);
            assert_eq!(broker.client().fetch_all("many", 199)[..2], ["a", "b"]);
            assert_eq!(broker.client().produce("many", 7, &["c"]), (0, 2 + 2 * round + at as i64));
            broker.signal(signal);
            broker.wait();
        }
    }
    assert!(best.iter().all(|took| *took < Duration::from_secs(1)), "after a kill, after a stop: {best:?}");
}

#[test]
fn a_clean_start_reads_no_records() {
    let data = folder();
    // Reads of the posix driver are the process's own calls, which the kernel counts.
    let args = ["--io", "posix", "--shards", "1"];
    let broker = Broker::start(data.path(), &args);
    let mut client = broker.client();
    assert_eq!(client.create_topic("large", 1), 0);
    let value = "x".repeat(900_000);
    for _ in 0..32 {
        assert_eq!(client.produce("large", 0, &[&value]).0, 0);
    }
    broker.stop();
    for _ in 0..2 {
        let broker = Broker::start(data.path(), &args);
        let read = bytes_read(&broker);
        assert!(read < 2_000_000, "{read} bytes read for a log of {} bytes", 32 * value.len());
        broker.stop();
    }
}

#[test]
fn the_metadata_of_a_clean_stop_is_one_snapshot() {
    let data = folder();
    let broker = Broker::start(data.path(), &[]);
    let mut client = broker.client();
    for topic in 0..30 {
        assert_eq!(client.create_topic(&format!("t{topic}"), 1), 0);
    }
    broker.stop();
    let home = data.path().join(".ringlog/cluster/metadata-0");
    let snapshots = || {
        let names = fs::read_dir(&home).expect("it is there").map(|entry| entry.expect("readable").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.ends_with(".rsnap"));
        names.max()
    };
    let first = snapshots().expect("a clean stop writes it");
    let broker = Broker::start(data.path(), &[]);
    let mut client = broker.client();
    assert_eq!(client.create_topic("one.more", 1), 0);
    broker.kill();
    // The newest snapshot is behind its log now: what follows it is replayed.
    assert_eq!(snapshots().as_ref(), Some(&first));
    let broker = Broker::start(data.path(), &[]);
    let ready = broker.started.last().expect("it is ready");
    assert!(ready.ends_with("(31 topics, 31 partitions)"), "{ready}");
    broker.stop();
    assert!(snapshots() > Some(first));
    // A snapshot that rotted costs a longer replay.
    let newest = home.join(snapshots().expect("two are kept"));
    let mut bytes = fs::read(&newest).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).expect("ours");
    let broker = Broker::start(data.path(), &[]);
    let ready = broker.started.last().expect("it is ready");
    assert!(ready.ends_with("(31 topics, 31 partitions)"), "{ready}");
    broker.stop();
}
