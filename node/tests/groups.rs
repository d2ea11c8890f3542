//! Limits, expiry and deletion of groups, by the settings under Kafka's names, through the real binary. If this breaks, an
//! operator's setting is not followed, or offsets stay or go against what was asked.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, Client, Join, PATIENCE, folder, ringlog};
use std::path::Path;
use std::time::{Duration, Instant};

const GROUP_ID_NOT_FOUND: i16 = 69;
const NON_EMPTY_GROUP: i16 = 68;
const GROUP_SUBSCRIBED_TO_TOPIC: i16 = 86;
const GROUP_MAX_SIZE_REACHED: i16 = 81;
const INVALID_SESSION_TIMEOUT: i16 = 26;
const REBALANCE_IN_PROGRESS: i16 = 27;

/// What a consumer of topic `t` says about itself.
const READS_T: &[u8] = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";

fn start(data: &Path, overrides: &[&str]) -> Broker {
    let words: Vec<&str> = overrides.iter().flat_map(|text| ["--override", text]).collect();
    Broker::start(data, &words)
}

/// How long the first member of a group waits to be let in.
fn first_join(broker: &Broker) -> Duration {
    let mut client = broker.client();
    // So that making `__consumer_offsets` does not count.
    assert_eq!(client.create_topic("t", 1), 0);
    client.commit_in_time("warm", "t", 1);
    let begin = Instant::now();
    assert_eq!(client.join(&Join::of("g")).error, 0);
    begin.elapsed()
}

#[test]
fn the_first_member_waits_for_others_only_where_there_is_a_properties_file() {
    let data = folder();
    let waited = first_join(&start(data.path(), &[]));
    assert!(waited < Duration::from_millis(1_500), "without a file it waits for nobody: {waited:?}");
    let (data, file) = (folder(), folder());
    let path = file.path().join("server.properties");
    std::fs::write(&path, "num.partitions=1\n").expect("a file");
    let waited = first_join(&Broker::spawn(ringlog(data.path(), &[path.to_str().expect("text")])));
    assert!((3_000..8_000).contains(&waited.as_millis()), "Kafka's default is 3 s: {waited:?}");
}

#[test]
fn a_group_takes_as_many_members_as_it_may_have() {
    let data = folder();
    let broker = start(data.path(), &["group.max.size=2"]);
    let mut members: Vec<Client> = (0..3).map(|_| broker.client()).collect();
    let (one, generation) = members[0].settle_in(&Join::of("g"));
    let told = members[1].join_once(&Join::of("g"));
    let second = Join { member: &told.member, ..Join::of("g") };
    members[1].send_join(&second);
    until(|| members[0].heartbeat("g", &one, None, generation) == REBALANCE_IN_PROGRESS, "a rebalance");
    members[0].send_join(&Join { member: &one, ..Join::of("g") });
    let (first, second) = (members[0].joined(), members[1].joined());
    assert_eq!((first.error, second.error, first.generation), (0, 0, second.generation));
    let third = members[2].join(&Join::of("g"));
    assert_eq!(third.error, GROUP_MAX_SIZE_REACHED, "{third:?}");
    assert_eq!(members[0].leave("g", &one), 0);
    members[2].send_join(&Join::of("g"));
    assert_eq!(members[2].joined().error, common::groups::MEMBER_ID_REQUIRED, "there is room again");
}

#[test]
fn session_timeouts_are_held_to_their_limits() {
    let data = folder();
    let broker = start(data.path(), &["group.min.session.timeout.ms=100", "group.max.session.timeout.ms=2000"]);
    let mut client = broker.client();
    for (session_timeout_ms, error) in [(99, INVALID_SESSION_TIMEOUT), (2_001, INVALID_SESSION_TIMEOUT), (-1, 26)] {
        let joined = client.join(&Join { session_timeout_ms, ..Join::of("g") });
        assert_eq!(joined.error, error, "{session_timeout_ms} ms: {joined:?}");
    }
    let join = Join { session_timeout_ms: 100, ..Join::of("g") };
    let (member, generation) = client.settle_in(&join);
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(client.heartbeat("g", &member, None, generation), 25, "it was silent for longer than it said");
}

#[test]
fn offsets_end_when_their_time_is_over_and_the_group_with_them() {
    let data = folder();
    let broker = start(data.path(), &["offsets.retention.check.interval.ms=100"]);
    let mut client = broker.client();
    assert_eq!(client.create_topic("t", 1), 0);
    client.commit_in_time("keeps", "t", 7);
    assert_eq!(client.commit_for("ends", "t", 8, 300), 0);
    assert_eq!(client.committed("ends", "t"), (0, 8));
    until(|| client.committed("ends", "t") == (0, -1), "an offset that ends");
    until(|| client.delete_groups(&["ends"]) == [("ends".to_owned(), GROUP_ID_NOT_FOUND)], "a group that ends with it");
    assert_eq!(client.committed("keeps", "t"), (0, 7));
    // What has ended has ended for good, also for whoever reads the log again.
    broker.kill();
    let broker = start(data.path(), &[]);
    let mut client = broker.client();
    assert_eq!(client.committed_in_time("ends", "t"), -1);
    assert_eq!(client.committed_in_time("keeps", "t"), 7);
}

#[test]
fn several_groups_are_asked_for_at_once() {
    let data = folder();
    let broker = Broker::start(data.path(), &["--shards", "2"]);
    let mut client = broker.client();
    assert_eq!(client.create_topic("t", 1), 0);
    let groups = ["a", "b", "c", "d", "e", "f"];
    for (n, group) in groups.iter().enumerate() {
        client.commit_in_time(group, "t", n as i64);
    }
    for require_stable in [false, true] {
        let got = client.offsets_of(&["f", "nobody", "a", "b", "c", "d", "e"], require_stable);
        let offset = |n: i64| vec![("t".to_owned(), n)];
        let expect = [("f", 5), ("a", 0), ("b", 1), ("c", 2), ("d", 3), ("e", 4)];
        for (group, n) in expect {
            assert!(got.contains(&(group.to_owned(), 0, offset(n))), "{group} in {got:?}");
        }
        assert!(got.contains(&("nobody".to_owned(), 0, Vec::new())), "{got:?}");
    }
}

#[test]
fn what_is_in_use_is_not_deleted() {
    let data = folder();
    let broker = start(data.path(), &[]);
    let mut client = broker.client();
    assert_eq!((client.create_topic("t", 1), client.create_topic("other", 1)), (0, 0));
    client.commit_in_time("simple", "t", 3);
    let (member, generation) = client.settle_in(&Join { metadata: READS_T, ..Join::of("g") });
    for topic in ["t", "other"] {
        assert_eq!(client.commit_as(("g", &member, generation), None, topic, 5), 0);
    }
    assert_eq!(client.delete_offset("nobody", "t"), (GROUP_ID_NOT_FOUND, 0));
    assert_eq!(client.delete_offset("g", "t"), (0, GROUP_SUBSCRIBED_TO_TOPIC));
    assert_eq!(client.delete_offset("g", "other"), (0, 0));
    assert_eq!((client.committed("g", "t"), client.committed("g", "other")), ((0, 5), (0, -1)));
    let outcomes = client.delete_groups(&["g", "nobody", "simple"]);
    let expect = [("g", NON_EMPTY_GROUP), ("nobody", GROUP_ID_NOT_FOUND), ("simple", 0)];
    assert_eq!(outcomes, expect.map(|(group, error)| (group.to_owned(), error)));
    assert_eq!(client.leave("g", &member), 0);
    assert_eq!(client.commit("g", "t", 6), 0, "an empty group is anybody's");
    assert_eq!(client.delete_offset("g", "t"), (0, 0));
    assert_eq!(client.delete_groups(&["g"]), [("g".to_owned(), 0)]);
    assert_eq!(client.committed("g", "t"), (0, -1));
}

fn until(mut is_so: impl FnMut() -> bool, what: &str) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
