//! Connections that move to the core that does their work (`core.connection.moves`), moved as often as possible: a producer
//! that pipelines with sequence numbers loses and reorders nothing, and a fetch session goes on.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, Client, DRIVERS, folder, memory_folder};
use protocol::ApiKey;
use protocol::batch::BatchBuilder;
use protocol::messages::fetch;
use std::io::Write;

const VERSION: i16 = 9;
const SHARDS: usize = 2;
const MOVES: &str = "core.connection.moves=true";

/// A broker that moves after so many bytes, and two partitions of its two shards.
fn start(data: &std::path::Path, driver: &str, bytes: u64) -> (Broker, [i32; SHARDS]) {
    let bytes = format!("core.connection.moves.bytes={bytes}");
    let args = ["--io", driver, "--shards", "2", "--override", MOVES, "--override", &bytes];
    let broker = Broker::start(data, &args);
    assert_eq!(broker.client().create_topic("t", 16), 0);
    let owners: Vec<usize> = (0..16).map(|partition| broker.owner_of("t", partition, SHARDS)).collect();
    let of = |shard| owners.iter().position(|owner| *owner == shard).expect("sixteen partitions fall on both") as i32;
    (broker, [of(0), of(1)])
}

fn moved(broker: &Broker) -> u64 {
    broker.counts(SHARDS).iter().map(|counts| counts["moved_away"]).sum()
}

/// One numbered record.
fn batch(producer: i64, sequence: i32, len: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new().producer(producer, 0, sequence);
    let value = format!("{sequence}{}", " ".repeat(len));
    builder.append(1_700_000_000_000, None, Some(value.as_bytes()), &[]);
    builder.build()
}

#[test]
fn a_pipelining_producer_that_moves_all_the_time_loses_and_reorders_nothing() {
    const ROUNDS: usize = 60;
    const IN_FLIGHT: usize = 5;
    for driver in DRIVERS {
        for len in [10, 20_000, 100_000] {
            let data = memory_folder();
            let (broker, partitions) = start(data.path(), driver, 1);
            let before = moved(&broker);
            let mut client = broker.client();
            let mut sequences = [0; SHARDS];
            let mut rest = Vec::new();
            for round in 0..ROUNDS {
                let shard = round % SHARDS;
                let mut bytes = std::mem::take(&mut rest);
                for at in 0..IN_FLIGHT {
                    let batch = batch(77, sequences[shard] + at as i32, len);
                    bytes.extend(client.produce_frame(VERSION, "t", partitions[shard], &batch));
                }
                // The end of a frame comes later than its answer could, so that frames are cut where a move finds them.
                rest =
                    if round + 1 < ROUNDS { bytes.split_off(bytes.len() - len.min(700) / 2 - 30) } else { Vec::new() };
                client.stream.write_all(&bytes).expect("it reads");
                let whole = if round + 1 < ROUNDS { IN_FLIGHT - 1 } else { IN_FLIGHT };
                (0..whole).for_each(|at| answered(&mut client, sequences[shard] + at as i32, driver));
                if round + 1 < ROUNDS {
                    client.stream.write_all(&std::mem::take(&mut rest)).expect("it reads");
                    answered(&mut client, sequences[shard] + whole as i32, driver);
                }
                sequences[shard] += IN_FLIGHT as i32;
            }
            let moves = moved(&broker) - before;
            println!("{driver}: {len}-byte records: moved {moves} times in {ROUNDS} rounds");
            assert!(moves >= ROUNDS as u64 / 2, "{moves} moves");
            for partition in partitions {
                let mut values = broker.client().fetch_all("t", partition);
                assert_eq!(values.remove(0), "who");
                let numbers: Vec<i32> = values.iter().map(|value| value.trim().parse().expect("a number")).collect();
                assert_eq!(numbers, (0..(ROUNDS / SHARDS * IN_FLIGHT) as i32).collect::<Vec<_>>(), "{driver}, {len}");
            }
            broker.stop();
        }
    }
}

/// The record of that sequence number lies behind the one that was there first.
fn answered(client: &mut Client, sequence: i32, driver: &str) {
    assert_eq!(client.produced(VERSION), (0, i64::from(sequence) + 1), "over {driver}");
}

/// A fetch in a session; its error and id.
fn fetch(client: &mut Client, session: i32, epoch: i32, partitions: &[i32]) -> (i16, i32) {
    let version = 11;
    let wanted = |partition: &i32| fetch::FetchPartition {
        partition: *partition,
        partition_max_bytes: 1 << 20,
        current_leader_epoch: -1,
        log_start_offset: -1,
        ..Default::default()
    };
    let topic = fetch::FetchTopic {
        topic: "t".into(),
        partitions: partitions.iter().map(wanted).collect(),
        ..Default::default()
    };
    let request = fetch::FetchRequest {
        replica_id: -1,
        max_wait_ms: 0,
        max_bytes: 1 << 20,
        session_id: session,
        session_epoch: epoch,
        topics: if partitions.is_empty() { Vec::new() } else { vec![topic] },
        ..Default::default()
    };
    client.ask(
        ApiKey::Fetch,
        version,
        |writer| request.encode(writer, version),
        |reader| fetch::FetchResponse::decode(reader, version).map(|answer| (answer.error_code, answer.session_id)),
    )
}

#[test]
fn a_fetch_session_goes_along() {
    for driver in DRIVERS {
        let data = folder();
        let (broker, partitions) = start(data.path(), driver, 1);
        // On the shard of the second partition's client there is nothing to move; on the other there is.
        for _ in 0..2 {
            let mut client = broker.client();
            let shard = broker.shard_of(&mut client, SHARDS);
            let before = moved(&broker);
            let (error, session) = fetch(&mut client, 0, 0, &[partitions[1 - shard]]);
            assert!(error == 0 && session != 0);
            for epoch in 1..20 {
                assert_eq!(fetch(&mut client, session, epoch, &[]), (0, session), "over {driver}");
            }
            assert_eq!(moved(&broker) - before, 1, "it went where its partition is");
            let (error, _) = fetch(&mut client, session, 30, &[]);
            assert_eq!(error, 71, "INVALID_FETCH_SESSION_EPOCH: the session itself is there");
        }
        broker.stop();
    }
}

#[test]
fn a_connection_with_work_everywhere_stays() {
    let data = folder();
    let (broker, partitions) = start(data.path(), "posix", 64 << 10);
    let mut client = broker.client();
    let before = moved(&broker);
    for round in 0..200 {
        assert_eq!(client.produce("t", partitions[round % SHARDS], &[&"x".repeat(2000)]).0, 0);
    }
    assert_eq!(moved(&broker), before, "half of it is never nine tenths");
    for _ in 0..100 {
        let front = broker.shard_of(&mut client, SHARDS);
        assert_eq!(client.produce("t", partitions[1 - front], &[&"x".repeat(20_000)]).0, 0);
        if moved(&broker) > before {
            return broker.stop();
        }
    }
    panic!("2 MB of another shard moved nothing");
}
