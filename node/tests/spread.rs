//! How connections are spread over shards. What fails here leaves a core idle beside one that is busy.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, Client, DRIVERS, folder};

const SHARDS: usize = 2;

fn spread(broker: &Broker) -> Vec<u64> {
    broker.counts(SHARDS).iter().map(|counts| counts["connections"]).collect()
}

#[test]
fn connections_are_dealt_out_evenly() {
    for driver in DRIVERS {
        let data = folder();
        let broker = Broker::start(data.path(), &["--io", driver, "--shards", "2"]);
        // One after the other, as clients come; and all at once, as after a restart.
        let mut one_by_one: Vec<Client> = (0..64).map(|_| broker.client()).collect();
        one_by_one.iter_mut().for_each(|client| drop(client.metadata("t")));
        let first = spread(&broker);
        println!("{driver}: 64 connections one by one: {first:?}");
        let mut at_once: Vec<Client> = std::thread::scope(|scope| {
            let address = broker.address;
            let threads: Vec<_> = (0..64).map(|_| scope.spawn(move || Client::connect(address))).collect();
            threads.into_iter().map(|thread| thread.join().expect("it only connects")).collect()
        });
        at_once.iter_mut().for_each(|client| drop(client.metadata("t")));
        let both = spread(&broker);
        println!("{driver}: and 64 at once: {both:?}");
        assert!(first[0].abs_diff(first[1]) <= 1 && both[0].abs_diff(both[1]) <= 1, "{driver}: {first:?}, {both:?}");
        broker.stop();
    }
}
