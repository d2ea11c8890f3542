//! Members that are none: of another generation, of another incarnation, unknown, with megabytes to say about themselves, and so
//! many that come at once. Each gets Kafka's error code, those who are members stay so, and memory is bounded. What would
//! break this: an offset taken from a fenced consumer, a group that anybody can throw out of its generation, a table that
//! grows with every request.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::groups::MEMBER_ID_REQUIRED;
use common::witness::{Ends, Witness};
use common::{Broker, Client, Join, memory_folder};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const UNKNOWN_SERVER_ERROR: i16 = -1;
const ILLEGAL_GENERATION: i16 = 22;
const INCONSISTENT_GROUP_PROTOCOL: i16 = 23;
const INVALID_GROUP_ID: i16 = 24;
const UNKNOWN_MEMBER_ID: i16 = 25;
const INVALID_REQUEST: i16 = 42;
const FENCED_INSTANCE_ID: i16 = 82;
const GROUP_MAX_SIZE_REACHED: i16 = 81;

fn start() -> (tempfile::TempDir, Broker, Client) {
    let data = memory_folder();
    let broker = Broker::start(data.path(), &[]);
    let mut client = broker.client();
    assert_eq!(client.create_topic("t", 1), 0);
    (data, broker, client)
}

#[test]
fn whoever_is_no_member_commits_nothing_and_disturbs_nobody() {
    let (_data, _broker, mut client) = start();
    let (member, generation) = client.settle_in(&Join::of("g"));
    assert_eq!(client.commit_as(("g", &member, generation), None, "t", 5), 0);
    for (who, at, error) in [
        (&*member, generation - 1, ILLEGAL_GENERATION),
        (&*member, generation + 1, ILLEGAL_GENERATION),
        (&*member, i32::MAX, ILLEGAL_GENERATION),
        ("somebody", generation, UNKNOWN_MEMBER_ID),
        ("somebody", i32::MIN, UNKNOWN_MEMBER_ID),
        ("", generation, UNKNOWN_MEMBER_ID),
        ("", -1, UNKNOWN_MEMBER_ID),
    ] {
        assert_eq!(client.commit_as(("g", who, at), None, "t", 99), error, "commit of '{who}' at {at}");
        if at >= 0 {
            assert_eq!(client.heartbeat("g", who, None, at), error, "heartbeat of '{who}' at {at}");
            assert_eq!(client.sync("g", who, at, &[]).0, error, "sync of '{who}' at {at}");
        }
    }
    assert_eq!(client.leave("g", "somebody"), UNKNOWN_MEMBER_ID);
    assert_eq!(client.join_once(&Join { member: "somebody", ..Join::of("g") }).error, UNKNOWN_MEMBER_ID);
    assert_eq!(
        client.join_once(&Join { protocol_type: "connect", ..Join::of("g") }).error,
        INCONSISTENT_GROUP_PROTOCOL
    );
    assert_eq!(client.join_once(&Join { protocol_type: "", ..Join::of("h") }).error, INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(client.join_once(&Join::of("")).error, INVALID_GROUP_ID);
    assert_eq!(client.committed("g", "t"), (0, 5), "nobody else's commit was taken");
    assert_eq!(client.heartbeat("g", &member, None, generation), 0, "the generation stands");
}

#[test]
fn the_former_self_of_a_static_member_is_fenced() {
    let (_data, _broker, mut client) = start();
    let join = Join { instance: Some("i"), ..Join::of("g") };
    let (old, generation) = client.settle_in(&join);
    assert_eq!(client.commit_as(("g", &old, generation), Some("i"), "t", 5), 0);
    let new = client.join_once(&join);
    assert_eq!((new.error, new.generation), (0, generation), "it takes its place without a rebalance");
    assert_ne!(new.member, old);
    assert_eq!(client.heartbeat("g", &old, Some("i"), generation), FENCED_INSTANCE_ID);
    assert_eq!(client.commit_as(("g", &old, generation), Some("i"), "t", 99), FENCED_INSTANCE_ID);
    assert_eq!(client.join_once(&Join { member: &old, ..join }).error, FENCED_INSTANCE_ID);
    assert_eq!(client.heartbeat("g", &old, Some("j"), generation), UNKNOWN_MEMBER_ID);
    assert_eq!(client.heartbeat("g", &new.member, Some("i"), generation), 0);
    assert_eq!(client.commit_as(("g", &new.member, generation), Some("i"), "t", 6), 0);
    assert_eq!(client.committed("g", "t"), (0, 6));
}

#[test]
fn a_member_with_megabytes_to_say_costs_no_more_than_they_are() {
    let (_data, broker, mut client) = start();
    let (member, generation) = client.settle_in(&Join::of("honest"));
    let before = broker.peak_kib();
    // What no record can hold is let in, since it might leave again, and fails when the assignment is to be stored.
    let large = vec![b'x'; 2 << 20];
    let joined = client.join(&Join { metadata: &large, ..Join::of("g") });
    assert_eq!(joined.error, 0);
    let (error, assignment) = client.sync("g", &joined.member, joined.generation, &[(&joined.member, b"a")]);
    assert_eq!((error, assignment.len()), (UNKNOWN_SERVER_ERROR, 0), "as Kafka 4.3.1 answers");
    let more = vec![b'x'; 17 << 20];
    assert_eq!(client.join(&Join { metadata: &more, ..Join::of("more") }).error, INVALID_REQUEST);
    // An assignment that no record can hold fails for its group alone.
    let joined = client.join(&Join::of("assigned"));
    let (error, _) = client.sync("assigned", &joined.member, joined.generation, &[(&joined.member, &large)]);
    assert_eq!(error, UNKNOWN_SERVER_ERROR);
    let moved = broker.peak_kib() - before;
    println!("figure: 21 MiB of metadata and assignments moved the peak by {moved} KiB");
    assert!(moved < 64 << 10, "{moved} KiB");
    assert_eq!(client.heartbeat("honest", &member, None, generation), 0);
    let (member, generation) = client.settle_in(&Join::of("next"));
    assert_eq!(client.commit_as(("next", &member, generation), None, "t", 1), 0);
}

/// How long joins come without pause.
const FLOOD: Duration = Duration::from_secs(3);

/// JoinGroups that a flooder has in flight.
const IN_FLIGHT: usize = 50;

/// What ten thousand members that never come back may cost, in KiB, with the witness's log. The ids of all who come in these
/// seconds would be several times as much.
const PENDING_KIB: u64 = 48 << 10;

#[test]
fn joins_by_the_ten_thousand_leave_members_alone() {
    let (_data, broker, mut client) = start();
    let (member, generation) = client.settle_in(&Join::of("honest"));
    let (inside, at) = client.settle_in(&Join::of("flooded"));
    let mut witness = Witness::new(&broker, "w");
    (0..100).for_each(|_| witness.is_served());
    let (before_kib, is_over, answered, full) =
        (broker.peak_kib(), AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let client = broker.client();
            scope.spawn(|| flood(client, &is_over, &answered, &full));
        }
        let _ends = Ends(&is_over);
        while begin.elapsed() < FLOOD {
            witness.is_served();
            assert_eq!(client.heartbeat("honest", &member, None, generation), 0);
            assert_eq!(client.heartbeat("flooded", &inside, None, at), 0, "ids that are handed out disturb no member");
        }
    });
    let (count, moved) = (answered.into_inner(), broker.peak_kib() - before_kib);
    let per_s = count as f64 / begin.elapsed().as_secs_f64();
    println!(
        "figure: {per_s:.0} joins a second, {} refused, moved the peak by {moved} KiB",
        full.load(Ordering::Relaxed)
    );
    assert!(count > 10_000, "only {count} joins");
    assert!(full.into_inner() > 0, "from some number on a group hands out no more ids");
    assert!(moved <= PENDING_KIB, "{moved} KiB");
    assert_eq!(client.commit_as(("flooded", &inside, at), None, "t", 4), 0);
}

/// Joins as somebody new, again and again, and never comes back with the id.
fn flood(mut client: Client, is_over: &AtomicBool, answered: &AtomicU64, full: &AtomicU64) {
    while !is_over.load(Ordering::Relaxed) {
        (0..IN_FLIGHT).for_each(|_| client.send_join(&Join::of("flooded")));
        for _ in 0..IN_FLIGHT {
            match client.joined().error {
                MEMBER_ID_REQUIRED => {}
                GROUP_MAX_SIZE_REACHED => drop(full.fetch_add(1, Ordering::Relaxed)),
                error => panic!("a join was answered with {error}"),
            }
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}
