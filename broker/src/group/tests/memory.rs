//! Memory of members: what all of them say about themselves together is bounded. Broken, this means a broker that anybody ends with
//! large subscriptions, or members that are locked out for good.

use super::consumers::Beat;
use super::*;
use crate::group::limits::MEMBER_OVERHEAD_BYTES;

const MAX: usize = 1 << 20;

fn small() -> Scene {
    Scene::with(|settings| settings.member_bytes_max = MAX)
}

fn used(scene: &Scene) -> usize {
    scene.coordinator.fx.memory.used()
}

/// A member of a group of its own that has so much to say, of a version that joins in one step.
fn talker(group: usize, bytes: usize) -> Join {
    let mut join = Join::new().version(3).protocols(&[("range", &vec![b'x'; bytes])]).protocol_type("connect");
    join.0.group = format!("g{group}").as_str().into();
    join
}

#[test]
fn ten_thousand_members_with_large_metadata_are_held_to_the_bound() {
    let mut s = small();
    let mut refused = 0;
    for n in 0..10_000 {
        let ticket = s.join(talker(n % 100, 20_000));
        if !s.is_waiting(ticket) {
            assert_eq!(s.joined(ticket).error, ErrorCode::GroupMaxSizeReached);
            refused += 1;
        }
        assert!(used(&s) <= MAX, "{} bytes after {n} members", used(&s));
    }
    assert_eq!(10_000 - refused, MAX / (20_000 + "range".len() + MEMBER_OVERHEAD_BYTES));
    // They time out, as nobody sends SyncGroup, and all of it is given back.
    s.wait(3_600_000);
    assert_eq!(used(&s), 0);
    let ticket = s.join(talker(1, 20_000));
    s.wait(DELAY_MS);
    assert_eq!(s.joined(ticket).error, ErrorCode::None, "there is room again");
}

#[test]
fn members_that_are_in_stay_and_may_not_grow() {
    let mut s = small();
    let ids = s.stable(2);
    let filler = s.join(talker(1, MAX - 10 * MEMBER_OVERHEAD_BYTES));
    assert!(s.is_waiting(filler));
    let ticket = s.join(Join::new().member(&ids[1]).protocols(&[("range", &[b'x'; 20_000])]));
    assert_eq!(s.joined(ticket).error, ErrorCode::GroupMaxSizeReached);
    assert_eq!(s.heartbeat(&ids[1], 1), Ok(()), "what it says next is as before");
    let ticket = s.join(Join::new().member(&ids[0]));
    assert!(s.is_waiting(ticket), "who says no more than before may always join again");
}

#[test]
fn charges_follow_members_through_a_restart_and_go_with_them() {
    let mut s = small();
    assert_eq!(used(&s), 0);
    let ids = s.stable(3);
    let before = used(&s);
    assert!(before > 3 * MEMBER_OVERHEAD_BYTES);
    s.restart();
    assert_eq!(used(&s), before, "read back from records");
    let leaving: Vec<(&str, Option<&str>)> = ids.iter().map(|id| (id.as_str(), None)).collect();
    s.leave(&leaving).unwrap();
    assert_eq!(used(&s), 0);
}

#[test]
fn members_of_the_consumer_protocol_are_charged_for_their_subscriptions() {
    let mut s = small();
    let names: Vec<String> = (0..1000).map(|n| format!("{n:0>100}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut admitted = 0;
    for n in 0..20 {
        let ticket = s.beat(Beat::join(&format!("m{n}")).names(&names));
        match s.beaten(ticket) {
            Ok(_) => admitted += 1,
            Err(error) => assert_eq!(error, ErrorCode::GroupMaxSizeReached),
        }
        assert!(used(&s) <= MAX);
    }
    assert_eq!(admitted, 7);
    let before = used(&s);
    s.restart();
    assert_eq!(used(&s), before);
    // Heartbeats that say nothing new are not held up.
    let ticket = s.beat(Beat::at("m0", 1));
    assert_ne!(s.beaten(ticket), Err(ErrorCode::GroupMaxSizeReached));
    for n in 0..7 {
        let ticket = s.beat(Beat::at(&format!("m{n}"), -1));
        drop(s.beaten(ticket));
    }
    assert_eq!(used(&s), 0);
}
