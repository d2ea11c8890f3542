//! Large batches, which are received straight into the tail of their log where that is possible, against the real binary:
//! whatever the client or its neighbours do, what is stored is what was acknowledged, once and in order.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, Client, EVERY_DRIVER, folder};
use protocol::batch::BatchBuilder;
use std::io::Write;
use std::time::Duration;

const LEN: usize = 300_000;
const VERSION: i16 = 9;

fn everywhere(check: impl Fn(&Broker)) {
    for driver in EVERY_DRIVER {
        for shards in ["1", "2"] {
            let data = folder();
            let broker = Broker::start(data.path(), &["--io", driver, "--shards", shards]);
            assert_eq!(broker.client().create_topic("big", 1), 0);
            assert_eq!(broker.client().produce("big", 0, &["first"]), (0, 0));
            check(&broker);
            broker.stop();
        }
    }
}

fn value(letter: &str) -> String {
    letter.repeat(LEN)
}

fn batch(letter: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.append(1_700_000_000_000, None, Some(value(letter).as_bytes()), &[]);
    builder.build()
}

fn frame(client: &mut Client, letter: &str) -> Vec<u8> {
    client.produce_frame(VERSION, "big", 0, &batch(letter))
}

/// Sends bytes and lets the broker take them before anything else happens.
fn push(client: &mut Client, bytes: &[u8]) {
    client.stream.write_all(bytes).expect("it reads");
    std::thread::sleep(Duration::from_millis(20));
}

fn stored(broker: &Broker) -> Vec<String> {
    let mut values = broker.client().fetch_all("big", 0);
    assert_eq!(values.remove(0), "first");
    for value in &mut values {
        assert!(value.len() == LEN && value.bytes().all(|byte| byte == value.as_bytes()[0]), "mixed bytes");
        value.truncate(1);
    }
    values
}

#[test]
fn every_version_in_pieces() {
    everywhere(|broker| {
        let mut client = broker.client();
        for (version, at) in (3..=12).zip([1, 4, 60, 90, 30_000, 40_000, 65_536, 200_000, 300_000, 300_060]) {
            let frame = client.produce_frame(version, "big", 0, &batch("v"));
            push(&mut client, &frame[..at]);
            push(&mut client, &frame[at..]);
            assert_eq!(client.produced(version), (0, i64::from(version) - 2), "version {version} cut at {at}");
        }
        assert_eq!(stored(broker), ["v"; 10]);
    });
}

#[test]
fn neighbours_death_and_damage() {
    everywhere(|broker| {
        let (mut slow, mut quick, mut dying) = (broker.client(), broker.client(), broker.client());
        let late = frame(&mut slow, "s");
        push(&mut slow, &late[..150_000]);
        let whole = frame(&mut quick, "q");
        push(&mut quick, &whole);
        assert_eq!(quick.produced(VERSION), (0, 1), "nobody waits for the slow one");
        push(&mut slow, &late[150_000..]);
        assert_eq!(slow.produced(VERSION), (0, 2));

        // Enough small ones that the log lends room again.
        (0..20).for_each(|n| assert_eq!(quick.produce("big", 0, &[&value("m")]), (0, 3 + n)));
        let half = frame(&mut dying, "d");
        push(&mut dying, &half[..150_000]);
        drop(dying);
        let mut bad = frame(&mut quick, "b");
        bad[200_000] ^= 1;
        push(&mut quick, &bad[..100_000]);
        push(&mut quick, &bad[100_000..]);
        assert_eq!(quick.produced(VERSION), (2, -1), "CORRUPT_MESSAGE");
        let good = frame(&mut quick, "g");
        push(&mut quick, &[&good[..], &frame(&mut slow, "h")[..]].concat());
        assert_eq!((quick.produced(VERSION), quick.produced(VERSION)), ((0, 23), (0, 24)));
        let expected: Vec<String> =
            [vec!["q", "s"], vec!["m"; 20], vec!["g", "h"]].concat().into_iter().map(Into::into).collect();
        assert_eq!(stored(broker), expected);
    });
}
