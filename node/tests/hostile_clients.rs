//! Clients that waste the broker's patience cost themselves: one that sends a byte a second, one that dies inside a body,
//! one that never reads its answers, one that claims much and sends little, many times over.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::memory::MOVES_MAX_KIB;
use common::{Broker, Client, DRIVERS, folder};
use protocol::messages::metadata::MetadataRequest;
use protocol::{ApiKey, RequestHeader, Writer};
use std::io::Write;
use std::time::Duration;

fn metadata_request() -> Vec<u8> {
    let mut writer = Writer::new();
    let start = writer.begin_frame();
    let header = RequestHeader { api_key: ApiKey::Metadata as i16, api_version: 1, correlation_id: 7, client_id: None };
    header.encode(&mut writer).expect("a good header");
    let nothing = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    nothing.encode(&mut writer, 1).expect("a good request");
    writer.end_frame(start).expect("a small frame");
    writer.into_bytes().expect("no external pieces")
}

/// An honest client produces and reads.
fn is_served(witness: &mut Client, produced: &mut i64) {
    assert_eq!(witness.produce("t", 0, &["x"]), (0, *produced));
    assert_eq!(witness.fetch("t", 0, *produced).1, ["x"]);
    *produced += 1;
}

#[test]
fn a_byte_a_second_is_served_in_its_own_time() {
    let data = folder();
    let broker = Broker::start(data.path(), &["--shards", "1", "--override", "connections.max.idle.ms=2500"]);
    let mut witness = broker.client();
    assert_eq!(witness.create_topic("t", 1), 0);
    let (mut slow, mut silent, mut produced) = (broker.client(), broker.client(), 0);
    let request = metadata_request();
    silent.stream.write_all(&request[..5]).expect("it reads");
    // Slower than the idle limit as a whole, never for a single byte.
    for byte in &request {
        slow.stream.write_all(&[*byte]).expect("the connection is open");
        std::thread::sleep(Duration::from_millis(400));
        is_served(&mut witness, &mut produced);
    }
    assert_eq!(slow.receive()[..4], 7i32.to_be_bytes());
    assert!(silent.is_closed(), "half a request holds a connection only as long as bytes come");
}

#[test]
fn a_client_that_never_reads_its_answers_holds_little_and_nobody_up() {
    for driver in DRIVERS {
        let data = folder();
        let broker = Broker::start(data.path(), &["--shards", "1", "--io", driver]);
        let mut witness = broker.client();
        assert_eq!(witness.create_topic("t", 1), 0);
        assert_eq!(witness.create_topic("big", 1), 0);
        let value = "v".repeat(900_000);
        for _ in 0..20 {
            assert_eq!(witness.produce("big", 0, &[&value]).0, 0);
        }
        broker.stop();
        // After a restart every answer is read from disk, into memory of its own.
        let broker = Broker::start(data.path(), &["--shards", "1", "--io", driver]);
        let mut witness = broker.client();
        let mut produced = 0;
        is_served(&mut witness, &mut produced);
        let before = broker.peak_kib();
        let mut greedy = broker.client();
        // Each answer has 10 MB: together far more than the broker may hold for one connection.
        for _ in 0..100 {
            greedy.ask_to_wait("big", 0, 0, 0);
        }
        for _ in 0..20 {
            is_served(&mut witness, &mut produced);
        }
        let moved = broker.peak_kib() - before;
        println!("{driver}: 100 fetches of 10 MB moved the peak by {moved} KiB");
        // Two answers at a time: the one that waits for its reader, and room to read into.
        assert!(moved <= (24 << 10), "{driver}: {moved} KiB");
        assert!((0..3).all(|_| greedy.receive().len() > 9_000_000), "{driver}: it goes on once it reads");
        drop(greedy);
        is_served(&mut witness, &mut produced);
    }
}

#[test]
fn many_that_claim_100_mb_and_send_little() {
    for driver in DRIVERS {
        let data = folder();
        let broker = Broker::start(data.path(), &["--shards", "1", "--io", driver]);
        let mut witness = broker.client();
        assert_eq!(witness.create_topic("t", 1), 0);
        let mut produced = 0;
        is_served(&mut witness, &mut produced);
        let before = broker.peak_kib();
        let claim = [&(100u32 << 20).to_be_bytes()[..], &[0; 100]].concat();
        let mut peers: Vec<Client> = (0..64).map(|_| broker.client()).collect();
        peers.iter_mut().for_each(|peer| peer.stream.write_all(&claim).expect("it reads"));
        is_served(&mut witness, &mut produced);
        let moved = broker.peak_kib() - before;
        println!("{driver}: 64 claims of 100 MiB moved the peak by {moved} KiB");
        assert!(moved <= MOVES_MAX_KIB, "{driver}: {moved} KiB");
        drop(peers);
        is_served(&mut witness, &mut produced);
    }
}

/// Killed producers leave no half record and no memory.
#[test]
fn many_that_die_inside_a_body() {
    for driver in DRIVERS {
        let data = folder();
        let broker = Broker::start(data.path(), &["--shards", "1", "--io", driver]);
        let mut witness = broker.client();
        assert_eq!(witness.create_topic("t", 1), 0);
        let mut produced = 0;
        let die = |broker: &Broker| {
            for arrived in [5, 70_000, 900_000] {
                let mut peer = broker.client();
                let frame = [&1_000_000u32.to_be_bytes()[..], &vec![0; arrived]].concat();
                peer.stream.write_all(&frame).expect("it reads");
            }
        };
        die(&broker);
        is_served(&mut witness, &mut produced);
        let before = broker.peak_kib();
        for _ in 0..30 {
            die(&broker);
            is_served(&mut witness, &mut produced);
        }
        let moved = broker.peak_kib() - before;
        println!("{driver}: 90 deaths moved the peak by {moved} KiB");
        assert!(moved <= MOVES_MAX_KIB, "{driver}: {moved} KiB");
    }
}
