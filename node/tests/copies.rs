//! How often bytes are copied between socket, log memory and disk, counted by the real binary over real sockets. What fails
//! here costs CPU on every byte: a batch that is moved although it could lie where it arrived.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::counts::Counts;
use common::{Broker, Client, DRIVERS, folder};
use protocol::batch::BatchBuilder;
use std::io::Write;

const VERSION: i16 = 9;
const KIB: usize = 1 << 10;

/// A batch whose only value has so many bytes; the batch is about a hundred bytes longer.
fn batch(len: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.append(1_700_000_000_000, None, Some(&vec![b'v'; len]), &[]);
    builder.build()
}

fn start(data: &std::path::Path, driver: &str, shards: usize) -> Broker {
    let broker = Broker::start(data, &["--io", driver, "--shards", &shards.to_string()]);
    assert_eq!(broker.client().create_topic("t", 8), 0);
    broker
}

/// Produces `count` batches, one at a time.
fn produce(client: &mut Client, partition: i32, count: usize, batch: &[u8]) {
    for _ in 0..count {
        assert_eq!(client.produce_batch("t", partition, batch).0, 0);
    }
}

#[test]
fn a_large_batch_of_one_producer_is_never_copied() {
    for driver in DRIVERS {
        let data = folder();
        let broker = start(data.path(), driver, 1);
        for (partition, len) in (0..).zip([32 * KIB, 40 * KIB, 64 * KIB, 128 * KIB, 1000 * KIB]) {
            let (mut client, batch) = (broker.client(), batch(len));
            // The log has no segment at first, the transport has not seen a head, and is a few bytes off at second.
            produce(&mut client, partition, 12, &batch);
            let done = &broker.counted(1, || produce(&mut client, partition, 20, &batch))[0];
            assert_eq!(done["produced_bytes"], 20 * batch.len() as u64);
            assert_eq!(done.copied(), 0, "{len} bytes over {driver}: {done:?}");
            assert!(done["copied_edges"] < 2 * 20 * 4096, "more than two begun blocks a write: {done:?}");
        }
        broker.stop();
    }
}

#[test]
fn a_smaller_batch_is_copied_once_into_its_log() {
    for driver in DRIVERS {
        let data = folder();
        let broker = start(data.path(), driver, 1);
        for (partition, len) in (0..).zip([10, 100, KIB, 4 * KIB, 16 * KIB, 31 * KIB]) {
            let (mut client, batch) = (broker.client(), batch(len));
            let done = &broker.counted(1, || produce(&mut client, partition, 20, &batch))[0];
            assert_eq!(done["copied_tail"], done["produced_bytes"], "{len} bytes over {driver}");
            assert_eq!(done.copied(), done["produced_bytes"], "{len} bytes over {driver}: {done:?}");
        }
        broker.stop();
    }
}

/// As many frames as a client has in flight, in one write.
fn burst(client: &mut Client, count: usize, batch: &[u8]) {
    let frames: Vec<u8> = (0..count).flat_map(|_| client.produce_frame(VERSION, "t", 0, batch)).collect();
    client.stream.write_all(&frames).expect("it reads");
    (0..count).for_each(|_| assert_eq!(client.produced(VERSION).0, 0));
}

#[test]
fn frames_in_a_row_are_moved_only_where_a_receive_cut_them() {
    for driver in DRIVERS {
        let data = folder();
        let broker = start(data.path(), driver, 1);
        for len in [100, 4 * KIB, 16 * KIB] {
            let (mut client, batch) = (broker.client(), batch(len));
            let done = &broker.counted(1, || (0..10).for_each(|_| burst(&mut client, 20, &batch)))[0];
            assert_eq!(done["copied_tail"], done["produced_bytes"], "{len} bytes over {driver}");
            let cut = done["copied_moved"] + done["copied_kept"];
            assert!(cut <= done["receives"] * (batch.len() as u64 + 100), "{len} bytes over {driver}: {done:?}");
            println!("{driver}: {len}-byte batches, 20 in flight: {:.3} copies a byte", ratio(done));
        }
        let done = &broker.counted(1, || (0..10).for_each(|_| burst(&mut broker.client(), 8, &batch(64 * KIB))))[0];
        println!("{driver}: 64 KiB, 8 in flight on new connections: {:.3} copies a byte", ratio(done));
        assert!(ratio(done) < 0.3, "only the first of each connection is copied: {done:?}");
        broker.stop();
    }
}

fn ratio(done: &Counts) -> f64 {
    done.copied() as f64 / done["produced_bytes"] as f64
}

#[test]
fn two_producers_of_one_partition_cost_a_copy_at_most() {
    for driver in DRIVERS {
        let data = folder();
        let broker = start(data.path(), driver, 1);
        let (mut slow, mut quick, batch) = (broker.client(), broker.client(), batch(200 * KIB));
        produce(&mut slow, 0, 3, &batch);
        let done = &broker.counted(1, || {
            for _ in 0..20 {
                let frame = slow.produce_frame(VERSION, "t", 0, &batch);
                slow.stream.write_all(&frame[..90_000]).expect("it reads");
                produce(&mut quick, 0, 1, &batch);
                slow.stream.write_all(&frame[90_000..]).expect("it reads");
                assert_eq!(slow.produced(VERSION).0, 0);
            }
        })[0];
        let bound = done["produced_bytes"] + 64 * KIB as u64 + 40 * 512;
        assert!(done.copied() <= bound, "a revoked lease is copied once, over {driver}: {done:?}");
        broker.stop();
    }
}

/// A client on another shard than the one that owns `t-0`, with both shards.
fn across(broker: &Broker) -> (Client, usize, usize) {
    let owner = broker.owner_of("t", 0, 2);
    loop {
        let mut client = broker.client();
        let front = broker.shard_of(&mut client, 2);
        if front != owner {
            return (client, front, owner);
        }
        // Held until another connection was made, so that the next one lands elsewhere.
        std::mem::forget(client);
    }
}

#[test]
fn a_batch_for_another_shard_crosses_once_and_is_copied_once() {
    for driver in DRIVERS {
        let data = folder();
        let broker = start(data.path(), driver, 2);
        let (mut client, front, owner) = across(&broker);
        for len in [100, 4 * KIB, 32 * KIB, 100 * KIB, 1000 * KIB] {
            let batch = batch(len);
            produce(&mut client, 0, 3, &batch);
            let done = broker.counted(2, || produce(&mut client, 0, 20, &batch));
            let (front, owner) = (&done[front], &done[owner]);
            assert_eq!(owner["produced_bytes"], 20 * batch.len() as u64);
            assert_eq!(owner.copied(), owner["produced_bytes"], "{len} bytes over {driver}, owner: {owner:?}");
            assert_eq!((front["mail"], owner["mail"]), (20, 20), "{len} bytes over {driver}: one ask, one answer");
            // The head of a large frame is received apart and then moved to where the frame has its room.
            let heads = if len < 32 * KIB { 0 } else { 20 * 512 };
            assert!(front.copied() <= heads, "{len} bytes over {driver}, front: {front:?}");
        }
        broker.stop();
    }
}

#[test]
fn a_hot_fetch_is_one_send_of_what_the_log_holds() {
    for driver in DRIVERS {
        let data = folder();
        let broker = start(data.path(), driver, 2);
        let (mut client, front, owner) = across(&broker);
        let mut near = broker.client();
        while broker.shard_of(&mut near, 2) != owner {
            std::mem::forget(std::mem::replace(&mut near, broker.client()));
        }
        produce(&mut client, 0, 10, &batch(200 * KIB));
        for (reader, shard) in [(&mut client, front), (&mut near, owner)] {
            let done = broker.counted(2, || (0..20).for_each(|at| assert_eq!(reader.fetch("t", 0, at % 5).0, 0)));
            assert!(done[shard]["fetched_bytes"] >= 20 * 5 * 200 * KIB as u64, "it was all there: {done:?}");
            assert_eq!((done[shard]["answers"], done[shard]["sends"]), (20, 20), "one send an answer, over {driver}");
            let copied: u64 = done.iter().map(|done| done["copied_fetched"] + done["copied_tail"]).sum();
            assert_eq!(copied, 0, "over {driver}: {done:?}");
            let crossed = if shard == owner { 0 } else { 20 };
            assert_eq!(done[owner]["mail"], crossed, "one answer crosses for each fetch, over {driver}");
        }
        broker.stop();
    }
}

#[test]
fn answers_of_a_turn_leave_in_one_send() {
    for driver in DRIVERS {
        let data = folder();
        let broker = start(data.path(), driver, 1);
        let mut client = broker.client();
        burst(&mut client, 1, &batch(10));
        let done = &broker.counted(1, || (0..10).for_each(|_| burst(&mut client, 100, &batch(10))))[0];
        assert_eq!(done["answers"], 1000);
        // One send for all, where the kernel hands over a burst whole; it may come in two pieces.
        assert!(done["sends"] <= 30, "{} sends for 10 bursts of 100 requests over {driver}", done["sends"]);
        broker.stop();
    }
}
