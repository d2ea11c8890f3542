//! A group between the two protocols, without stopping it.

use super::consumers::{Beat, Client, id_of};
use super::*;
use crate::group::consumer::partitions::Partitions;
use protocol::Writer;
use protocol::messages::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition as Named,
};
use std::collections::BTreeSet;

/// What a consumer that reads `t` sends in JoinGroup.
fn subscription(owned: &[i32]) -> Vec<u8> {
    let value = ConsumerProtocolSubscription {
        topics: vec!["t".into()],
        owned_partitions: vec![Named { topic: "t".into(), partitions: owned.to_vec() }],
        ..Default::default()
    };
    let mut writer = Writer::from_vec(vec![0, 1]);
    value.encode(&mut writer, 1).unwrap();
    writer.into_bytes().unwrap()
}

fn assignment(partitions: &[i32]) -> Vec<u8> {
    let assigned_partitions = vec![Named { topic: "t".into(), partitions: partitions.to_vec() }];
    let mut writer = Writer::from_vec(vec![0, 1]);
    ConsumerProtocolAssignment { assigned_partitions, user_data: None }.encode(&mut writer, 1).unwrap();
    writer.into_bytes().unwrap()
}

fn read(bytes: &[u8]) -> Vec<i32> {
    let mut r = protocol::Reader::new(bytes);
    let version = r.i16().unwrap();
    let value = ConsumerProtocolAssignment::decode(&mut r, version).unwrap();
    value.assigned_partitions.iter().flat_map(|topic| topic.partitions.clone()).collect()
}

fn join(owned: &[i32]) -> Join {
    Join::new().protocols(&[("range", &subscription(owned))])
}

/// A Stable classic group of one member that has all four partitions of `t`.
pub(super) fn classic(s: &mut Scene) -> String {
    let (id, ticket) = s.enter(join(&[]));
    s.wait(2 * DELAY_MS);
    assert_eq!(s.joined(ticket).generation, 1);
    let sync = s.sync(&id, 1, &[(&id, &assignment(&[0, 1, 2, 3]))]);
    assert_eq!(read(&s.synced(sync).assignment), [0, 1, 2, 3]);
    id
}

/// The classic member is told to join again, does so with what it kept, and syncs: generation and share.
fn rejoin(s: &mut Scene, id: &str, generation: i32, owned: &[i32]) -> (i32, Vec<i32>) {
    assert_eq!(s.heartbeat(id, generation), Err(ErrorCode::RebalanceInProgress));
    let ticket = s.join(join(owned).member(id));
    let joined = s.joined(ticket);
    assert_eq!((joined.error, &*joined.leader), (ErrorCode::None, ""), "nobody leads");
    let ticket = s.sync(id, joined.generation, &[]);
    let synced = s.synced(ticket);
    assert_eq!(synced.error, ErrorCode::None);
    (joined.generation, read(&synced.assignment))
}

#[test]
fn up_and_down_again() {
    let mut s = Scene::with_topics(&[("t", 4)]);
    let old = classic(&mut s);
    // A consumer of the new protocol joins: the group changes, and the classic member keeps what it has until it says otherwise.
    let mut new = Client::new("n");
    new.cycle(&mut s);
    assert_eq!((s.consumer_state(), s.state(), new.count()), ("Reconciling", "Dead", 0));
    let (generation, share) = rejoin(&mut s, &old, 1, &[0, 1, 2, 3]);
    assert_eq!(share.len(), 2, "it is told what it may keep");
    new.cycle(&mut s);
    assert_eq!(new.count(), 0, "it has not said that it gave the others up");
    s.restart();
    let (generation, share) = rejoin(&mut s, &old, generation, &share);
    assert_eq!(share.len(), 2);
    new.cycle(&mut s);
    assert_eq!(new.count(), 2);
    assert_eq!(s.heartbeat(&old, generation), Ok(()));
    assert_eq!(s.consumer_state(), "Stable");
    let ticket = s.commit(&old, generation, 7);
    assert_eq!(s.committed_as(ticket), ErrorCode::None);

    // The last consumer of the new protocol goes: the group is a classic one, with its offsets, and rebalances.
    s.ask(Beat::at("n", -1)).unwrap();
    assert_eq!((s.consumer_state(), s.state()), ("none", "PreparingRebalance"));
    assert_eq!(s.committed(0), Some(7));
    let described = s.coordinator.describe(&"g".into()).unwrap().unwrap();
    assert_eq!(described.members.len(), 1);
    let generation = generation.max(3) + 1;
    let ticket = s.join(join(&share).member(&old));
    let joined = s.joined(ticket);
    assert!(joined.generation >= generation - 1, "generations go on");
    assert_eq!(joined.leader, old);
    s.restart();
    assert_eq!(s.consumer_state(), "none");
    assert_eq!(s.committed(0), Some(7));
}

#[test]
fn a_classic_member_joins_a_group_of_the_new_protocol() {
    let mut s = Scene::with_topics(&[("t", 4)]);
    let mut new = Client::new("n");
    new.cycle(&mut s);
    let told = s.join(join(&[]));
    let told = s.joined(told);
    assert_eq!(told.error, ErrorCode::MemberIdRequired);
    let ticket = s.join(join(&[]).member(&told.member));
    let joined = s.joined(ticket);
    assert_eq!(joined.error, ErrorCode::None);
    let ticket = s.sync(&told.member, joined.generation, &[]);
    assert!(read(&s.synced(ticket).assignment).is_empty());
    assert_eq!(s.heartbeat(&told.member, joined.generation), Ok(()), "there is nothing for it yet");
    new.cycle(&mut s);
    new.cycle(&mut s);
    let (_, share) = rejoin(&mut s, &told.member, joined.generation, &[]);
    assert_eq!(share.len(), 2);
    assert_eq!(s.leave(&[(&told.member, None)]), Ok(vec![Ok(())]));
    new.cycle(&mut s);
    assert_eq!(new.count(), 4);
    assert_eq!(s.leave(&[("n", None)]), Ok(vec![Err(ErrorCode::UnknownMemberId)]), "it does not leave like that");
}

#[test]
fn a_classic_member_that_does_not_come_is_fenced() {
    let mut s = Scene::with_topics(&[("t", 4)]);
    let old = classic(&mut s);
    let mut new = Client::new("n");
    new.cycle(&mut s);
    for _ in 0..14 {
        _ = s.heartbeat(&old, 1);
        new.cycle(&mut s);
        s.wait(REBALANCE_MS as u64 / 12);
    }
    new.cycle(&mut s);
    assert_eq!(new.count(), 4);
    assert_eq!(s.heartbeat(&old, 1), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn a_waiting_join_is_answered_when_the_group_changes() {
    let mut s = Scene::with_topics(&[("t", 4)]);
    classic(&mut s);
    let (_, waits) = s.enter(join(&[]));
    assert!(s.is_waiting(waits));
    s.ask(Beat::join("n")).unwrap();
    assert_eq!(s.joined(waits).error, ErrorCode::RebalanceInProgress);
}

#[test]
fn policies_and_foreign_groups_keep_a_group_as_it_is() {
    let mut s = Scene::with_topics(&[("t", 4)]);
    s.coordinator.fx.settings.consumer.migration.upgrades = false;
    classic(&mut s);
    assert_eq!(s.ask(Beat::join("n")), Err(ErrorCode::GroupIdNotFound));
    assert_eq!(s.state(), "Stable");

    let mut s = Scene::with_topics(&[("t", 4)]);
    let (_, ticket) = s.enter(Join::new().protocol_type("connect"));
    s.wait(2 * DELAY_MS);
    assert_eq!(s.joined(ticket).error, ErrorCode::None);
    assert_eq!(s.ask(Beat::join("n")), Err(ErrorCode::GroupIdNotFound), "not a group of consumers");

    let mut s = Scene::with_topics(&[("t", 4)]);
    let (_, ticket) = s.enter(Join::new().protocols(&[("range", b"\0\x01\x7f")]));
    s.wait(2 * DELAY_MS);
    assert_eq!(s.joined(ticket).error, ErrorCode::None);
    assert_eq!(s.ask(Beat::join("n")), Err(ErrorCode::GroupIdNotFound), "its subscriptions cannot be read");

    let mut s = Scene::with_topics(&[("t", 4)]);
    s.coordinator.fx.settings.consumer.migration.downgrades = false;
    let old = classic(&mut s);
    s.ask(Beat::join("n")).unwrap();
    s.ask(Beat::at("n", -1)).unwrap();
    assert_ne!(s.consumer_state(), "none");
    assert_eq!(s.heartbeat(&old, 1), Err(ErrorCode::RebalanceInProgress), "it goes on in the new protocol");
}

#[test]
fn an_empty_group_takes_the_protocol_of_who_comes() {
    let mut s = Scene::with_topics(&[("t", 4)]);
    let ticket = s.commit("", -1, 5);
    assert_eq!(s.committed_as(ticket), ErrorCode::None);
    s.ask(Beat::join("n")).unwrap();
    assert_eq!((s.consumer_state(), s.committed(0)), ("Stable", Some(5)));
    s.ask(Beat::at("n", -1)).unwrap();
    let (_, ticket) = s.enter(join(&[]));
    s.wait(2 * DELAY_MS);
    assert_eq!(s.joined(ticket).error, ErrorCode::None);
    assert_eq!((s.consumer_state(), s.committed(0)), ("none", Some(5)));
    s.restart();
    assert_eq!((s.consumer_state(), s.committed(0)), ("none", Some(5)));
}

#[test]
fn a_static_member_changes_its_protocol_and_keeps_its_share() {
    let mut s = Scene::with_topics(&[("t", 4)]);
    let ticket = s.join(join(&[]).instance("i"));
    s.wait(2 * DELAY_MS);
    let joined = s.joined(ticket);
    let id = joined.member.clone();
    let sync = s.sync_as(&id, Some("i"), joined.generation, &[(&id, &assignment(&[0, 1, 2, 3]))]);
    s.synced(sync);
    // Up: restarted as a consumer of the new protocol, it takes its own place.
    let back = s.ask(Beat::join("n").instance("i")).unwrap();
    assert_eq!(back.assignment, Some(Partitions::from([(id_of("t"), BTreeSet::from([0, 1, 2, 3]))])));
    assert_eq!(s.heartbeat_as(&id, Some("i"), joined.generation), Err(ErrorCode::FencedInstanceId));
    // Down again: it is the last of the new protocol, and the group is classic.
    let ticket = s.join(join(&[]).instance("i"));
    s.wait(2 * DELAY_MS);
    assert_eq!(s.joined(ticket).error, ErrorCode::None);
    assert_eq!(s.consumer_state(), "none");
}
