//! Heartbeats that wait for news, through the real binary over sockets, with connections and groups on either of two shards. If this
//! breaks, members hear of a rebalance only with their next heartbeat, or the broker keeps clients from what they want to send.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, Client, Join, folder};
use std::time::{Duration, Instant};

const REBALANCE_IN_PROGRESS: i16 = 27;

/// Longer than any wait that a test sees, if heartbeats wait as long as they may.
const HOLD: &str = "group.heartbeat.hold.ms=20000";

/// What is waited for at most here, while a wait that nothing ends takes 20 s.
const SOON: Duration = Duration::from_secs(8);

fn start(data: &std::path::Path, overrides: &[&str]) -> Broker {
    let mut words = vec!["--shards", "2"];
    words.extend(overrides.iter().flat_map(|text| ["--override", text]));
    Broker::start(data, &words)
}

/// A member of a group of its own, as the Java client says that it is, whose heartbeats may wait.
fn member<'a>(broker: &Broker, group: &'a str) -> (Client, Join<'a>, String, i32) {
    let mut client = broker.client();
    client.introduce("apache-kafka-java");
    let join = Join { session_timeout_ms: 90_000, ..Join::of(group) };
    let (member, generation) = client.settle_in(&join);
    (client, join, member, generation)
}

#[test]
fn a_rebalance_is_heard_of_when_it_begins_and_a_request_behind_ends_the_wait() {
    let data = folder();
    let broker = start(data.path(), &[HOLD]);
    assert_eq!(broker.client().create_topic("t", 1), 0);
    for group in ["a", "b", "c", "d", "e", "f"] {
        let (mut client, join, id, generation) = member(&broker, group);
        let begin = Instant::now();
        client.send_heartbeat(group, &id, generation);
        client.send_heartbeat(group, &id, generation);
        assert_eq!(client.heard(), 0, "the second one ends the wait of the first");
        let mut other = broker.client();
        let told = other.join_once(&join);
        other.send_join(&Join { member: &told.member, ..join });
        assert_eq!(client.heard(), REBALANCE_IN_PROGRESS, "{group}");
        assert!(begin.elapsed() < SOON, "{group}: {:?}", begin.elapsed());
    }
}

#[test]
fn a_stop_waits_for_no_heartbeat() {
    let data = folder();
    let mut broker = start(data.path(), &[HOLD]);
    let mut waiting: Vec<Client> = ["a", "b", "c"]
        .into_iter()
        .map(|group| {
            let (mut client, _, id, generation) = member(&broker, group);
            client.send_heartbeat(group, &id, generation);
            client
        })
        .collect();
    // Were one of them not there yet, it would be answered at once, and this would prove less.
    std::thread::sleep(Duration::from_millis(300));
    broker.signal("TERM");
    for client in &mut waiting {
        assert_eq!(client.heard(), 0, "answered, not cut off");
    }
    assert!(broker.wait().success());
}

#[test]
fn switched_off_every_heartbeat_is_answered_at_once() {
    let data = folder();
    let broker = start(data.path(), &["group.heartbeat.hold.ms=0"]);
    let (mut client, _, id, generation) = member(&broker, "g");
    let begin = Instant::now();
    (0..3).for_each(|_| assert_eq!(client.heartbeat("g", &id, None, generation), 0));
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
}
