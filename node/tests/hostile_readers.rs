//! Many that ask for much from the disk and do not take it. Without a charge before a read begins, 121 connections with one
//! fetch of 10 MB each took 1.3 GB.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, Client, EVERY_DRIVER, folder};
use node::budget::ShardBudget;
use node::machine::Machine;

const READERS: usize = 121;

/// Idle memory that a shard keeps for its next reads, beside the budget for what is held.
const POOL_KIB: u64 = 64 << 10;

/// Twelve megabytes that only the disk has.
fn prepare(data: &std::path::Path, driver: &str) {
    let broker = Broker::start(data, &["--shards", "1", "--io", driver]);
    let mut client = broker.client();
    assert_eq!((client.create_topic("hot", 1), client.create_topic("cold", 1)), (0, 0));
    let value = "v".repeat(900_000);
    for _ in 0..14 {
        assert_eq!(client.produce("cold", 0, &[&value]).0, 0);
    }
    broker.stop();
}

#[test]
fn cold_fetches_that_nobody_takes_stay_within_their_budget() {
    for driver in EVERY_DRIVER {
        let data = folder();
        prepare(data.path(), driver);
        // After a restart nothing is in memory.
        let broker = Broker::start(data.path(), &["--shards", "1", "--io", driver]);
        let mut witness = broker.client();
        assert_eq!(witness.produce("hot", 0, &["x"]), (0, 0));
        let before_kib = broker.peak_kib();
        let mut readers: Vec<Client> = (0..READERS).map(|_| broker.client()).collect();
        readers.iter_mut().for_each(|reader| reader.ask_to_wait("cold", 0, 0, 0));
        for produced in 1..50 {
            assert_eq!(witness.produce("hot", 0, &["x"]), (0, produced));
            assert_eq!(witness.fetch("hot", 0, produced).1, ["x"]);
        }
        let (error, values) = witness.fetch("cold", 0, 1);
        assert!(error == 0 && !values.is_empty(), "{driver}: an honest reader of the disk gets {error}");
        let moved_kib = broker.peak_kib() - before_kib;
        let budget = ShardBudget::share(Machine::probe().memory_bytes, 1);
        let allowed_kib = (budget.cold_bytes as u64 >> 10) + POOL_KIB;
        println!("figure: {driver}: {READERS} cold fetches moved the peak by {moved_kib} KiB of {allowed_kib} allowed");
        assert!(moved_kib <= allowed_kib, "{driver}: {moved_kib} KiB");
    }
}
