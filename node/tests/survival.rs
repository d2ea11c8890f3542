//! Acknowledged records outlive the process, however it ends.

mod common;

use common::{Broker, EVERY_DRIVER, folder};
use std::io::Write;
use std::time::{Duration, Instant};

#[test]
fn a_restart_keeps_everything() {
    for driver in EVERY_DRIVER {
        let data = folder();
        // The number of shards may change at any start.
        for (round, shards) in ["1", "2", "1"].into_iter().enumerate() {
            let broker = Broker::start(data.path(), &["--io", driver, "--shards", shards]);
            let mut client = broker.client();
            if round == 0 {
                assert_eq!(client.create_topic("kept", 2), 0);
            }
            for partition in 0..2 {
                assert_eq!(client.produce("kept", partition, &[&format!("{round}")]), (0, round as i64));
                let expect: Vec<String> = (0..=round).map(|i| i.to_string()).collect();
                assert_eq!(client.fetch_all("kept", partition), expect, "{driver}");
            }
            broker.stop();
        }
    }
}

/// What one driver has written another reads, after a stop and after a kill.
#[test]
fn the_driver_may_change_at_any_start() {
    let data = folder();
    let mut acknowledged = Vec::new();
    for (round, driver) in EVERY_DRIVER.into_iter().chain(EVERY_DRIVER.into_iter().rev()).enumerate() {
        let broker = Broker::start(data.path(), &["--io", driver]);
        let mut client = broker.client();
        if round == 0 {
            assert_eq!(client.create_topic("kept", 1), 0);
        }
        assert_eq!(client.fetch_all("kept", 0), acknowledged, "{driver} in round {round}");
        for size in [10, 5_000, 100_000] {
            let value = format!("{driver} {round} {}", "x".repeat(size));
            assert_eq!(client.produce("kept", 0, &[&value]), (0, acknowledged.len() as i64), "{driver}");
            acknowledged.push(value);
        }
        if round % 2 == 0 { broker.kill() } else { broker.stop() }
    }
}

/// The first look at retention may come before the metadata has said what the topics' settings are.
#[test]
fn retention_waits_for_the_settings() {
    for driver in EVERY_DRIVER {
        let data = folder();
        // The client's records are from 2023, which the default of a week would delete.
        let keep = ["--override", "log.retention.ms=-1", "--override", "log.retention.check.interval.ms=1"];
        let args = [&["--io", driver][..], &keep].concat();
        for round in 0..3 {
            let broker = Broker::start(data.path(), &args);
            let mut client = broker.client();
            if round == 0 {
                assert_eq!(client.create_topic("kept", 1), 0);
            }
            assert_eq!(client.produce("kept", 0, &["x"]), (0, round));
            assert_eq!(client.fetch_all("kept", 0).len() as i64, round + 1, "{driver} round {round}");
            broker.kill();
        }
    }
}

#[test]
fn kill_9_loses_nothing_acknowledged() {
    for driver in EVERY_DRIVER {
        let data = folder();
        let mut acknowledged = Vec::new();
        for round in 0..5 {
            let broker = Broker::start(data.path(), &["--io", driver]);
            let mut client = broker.client();
            if round == 0 {
                assert_eq!(client.create_topic("kept", 1), 0);
            }
            assert_eq!(client.fetch_all("kept", 0), acknowledged, "{driver} round {round}");
            for i in 0..50 {
                let value = format!("{round}.{i}");
                assert_eq!(client.produce("kept", 0, &[&value]), (0, acknowledged.len() as i64));
                acknowledged.push(value);
            }
            broker.kill();
        }
    }
}

#[test]
fn signals_end_in_time_whatever_connections_do() {
    for (driver, signal) in EVERY_DRIVER.into_iter().zip(["TERM", "INT"].into_iter().cycle()) {
        let data = folder();
        let mut broker = Broker::start(data.path(), &["--io", driver]);
        let mut client = broker.client();
        assert_eq!(client.create_topic("t", 1), 0);
        assert_eq!(client.produce("t", 0, &["x"]), (0, 0));
        let mut half_way = broker.client();
        half_way.stream.write_all(&[0, 0, 1, 0, 7]).expect("it reads");
        let mut waiting = broker.client();
        waiting.ask_to_wait("t", 0, 1, 30_000);
        let begun = Instant::now();
        broker.signal(signal);
        let status = broker.wait();
        assert!(
            status.success() && begun.elapsed() < Duration::from_secs(2),
            "{driver}: {status} in {:?}",
            begun.elapsed()
        );
        assert!(client.is_closed());
    }
}
