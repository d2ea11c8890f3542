//! SyncGroup: from the leader's assignment to a Stable group. Broken, this means two consumers on one partition, or none.

use super::consumers::id_of;
use super::*;
use crate::controller::record::{Record as MetadataRecord, Resource};

/// Members of generation 1, the leader first, none of which sent SyncGroup.
fn formed(s: &mut Scene, count: usize) -> Vec<String> {
    let entered: Vec<_> = (0..count).map(|_| s.enter(Join::new())).collect();
    s.wait(2 * DELAY_MS);
    let leader = entered.iter().map(|(_, t)| s.joined(*t).leader).next_back().unwrap();
    let mut ids: Vec<String> = entered.into_iter().map(|(id, _)| id).collect();
    ids.sort_by_key(|id| *id != leader);
    ids
}

#[test]
fn nobody_is_told_an_assignment_that_is_not_durable() {
    let mut s = Scene::new();
    let ids = formed(&mut s, 2);
    s.disk(Disk::Stalled);
    let follower = s.sync(&ids[1], 1, &[]);
    let leader = s.sync(&ids[0], 1, &[(&ids[0], b"one"), (&ids[1], b"two"), ("stranger", b"three")]);
    assert!(s.is_waiting(follower) && s.is_waiting(leader));
    assert_eq!(s.state(), "CompletingRebalance");
    s.disk(Disk::Fine);
    assert_eq!(&*s.synced(leader).assignment, b"one");
    let reply = s.synced(follower);
    assert_eq!((reply.error, &*reply.assignment), (ErrorCode::None, &b"two"[..]));
    assert_eq!((reply.protocol_type.as_deref(), reply.protocol.as_deref()), (Some("consumer"), Some("range")));
    assert_eq!(s.state(), "Stable");
}

#[test]
fn a_stable_group_tells_the_assignment_again() {
    let mut s = Scene::new();
    let ids = s.stable(2);
    let again = s.sync(&ids[1], 1, &[]);
    assert_eq!(&*s.synced(again).assignment, [1]);
}

#[test]
fn a_member_that_the_leader_left_out_gets_nothing() {
    let mut s = Scene::new();
    let ids = formed(&mut s, 2);
    let follower = s.sync(&ids[1], 1, &[]);
    s.sync(&ids[0], 1, &[(&ids[0], b"all")]);
    let reply = s.synced(follower);
    assert_eq!((reply.error, reply.assignment.len()), (ErrorCode::None, 0));
}

#[test]
fn what_a_sync_is_refused_for() {
    let mut s = Scene::new();
    let none = s.sync("a", 1, &[]);
    assert_eq!(s.synced(none).error, ErrorCode::UnknownMemberId);
    let ids = formed(&mut s, 1);
    let base = SyncRequest {
        group: "g".into(),
        generation: 1,
        member: ids[0].as_str().into(),
        instance: None,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        assignments: Vec::new(),
    };
    let table = [
        (SyncRequest { generation: 0, ..base.clone() }, ErrorCode::IllegalGeneration),
        (SyncRequest { member: "x".into(), ..base.clone() }, ErrorCode::UnknownMemberId),
        (SyncRequest { instance: Some("i".into()), ..base.clone() }, ErrorCode::UnknownMemberId),
        (SyncRequest { protocol_type: Some("connect".into()), ..base.clone() }, ErrorCode::InconsistentGroupProtocol),
        (SyncRequest { protocol: Some("sticky".into()), ..base.clone() }, ErrorCode::InconsistentGroupProtocol),
        (SyncRequest { group: "".into(), ..base.clone() }, ErrorCode::InvalidGroupId),
        (base, ErrorCode::None),
    ];
    for (request, error) in table {
        let ticket = s.sync_with(request);
        assert_eq!(s.synced(ticket).error, error);
    }
}

#[test]
fn a_rebalance_sends_waiting_syncs_back_to_joining() {
    let mut s = Scene::new();
    let ids = formed(&mut s, 2);
    let follower = s.sync(&ids[1], 1, &[]);
    s.enter(Join::new());
    assert_eq!(s.synced(follower).error, ErrorCode::RebalanceInProgress);
    let late = s.sync(&ids[0], 1, &[]);
    assert_eq!(s.synced(late).error, ErrorCode::RebalanceInProgress);
}

#[test]
fn an_assignment_that_becomes_durable_after_the_next_rebalance_began_is_dropped() {
    let mut s = Scene::new();
    let ids = formed(&mut s, 1);
    s.disk(Disk::Stalled);
    let sync = s.sync(&ids[0], 1, &[(&ids[0], b"old")]);
    let rejoin = s.join(Join::new().member(&ids[0]).protocols(&[("range", b"new")]));
    assert_eq!(s.synced(sync).error, ErrorCode::RebalanceInProgress);
    assert_eq!(s.joined(rejoin).generation, 2);
    s.disk(Disk::Fine);
    assert_eq!(s.state(), "CompletingRebalance");
}

#[test]
fn an_assignment_that_cannot_be_stored_starts_over() {
    for (disk, told) in [
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
    ] {
        let mut s = Scene::new();
        let ids = formed(&mut s, 2);
        let follower = s.sync(&ids[1], 1, &[]);
        s.disk(Disk::Failing(disk));
        let leader = s.sync(&ids[0], 1, &[(&ids[0], b"x")]);
        assert_eq!(s.synced(leader).error, told);
        assert_eq!(s.synced(follower).error, told);
        assert_eq!(s.state(), "PreparingRebalance");
    }
}

#[test]
fn an_assignment_larger_than_a_batch_may_be_is_refused() {
    let mut s = Scene::with(|settings| settings.batch_bytes_max = 1_000);
    let ids = formed(&mut s, 1);
    let sync = s.sync(&ids[0], 1, &[(&ids[0], &[0; 2_000])]);
    assert_eq!(s.synced(sync).error, ErrorCode::UnknownServerError);
}

#[test]
fn the_topics_own_bound_of_a_batch_counts() {
    let offsets = |max: Option<&str>| MetadataRecord::Config {
        resource: Resource::Topic(id_of("offsets")),
        key: "max.message.bytes".to_owned(),
        value: max.map(str::to_owned),
    };
    let mut s = Scene::new();
    s.change_topics(&[MetadataRecord::Topic { name: "__consumer_offsets".to_owned(), id: id_of("offsets") }]);
    let ids = formed(&mut s, 1);
    // More than a batch may have by default, as groups of Connect with many tasks need it.
    let large = vec![7; 2 << 20];
    let sync = s.sync(&ids[0], 1, &[(&ids[0], &large)]);
    assert_eq!(s.synced(sync).error, ErrorCode::UnknownServerError);
    s.change_topics(&[offsets(Some("4000000"))]);
    let rejoin = s.join(Join::new().member(&ids[0]));
    assert_eq!(s.joined(rejoin).generation, 2);
    let sync = s.sync(&ids[0], 2, &[(&ids[0], &large)]);
    assert_eq!(s.synced(sync).assignment.len(), large.len());
    s.change_topics(&[offsets(Some("100"))]);
    let commit = s.commit(&ids[0], 2, 1);
    assert_eq!(s.committed_as(commit), ErrorCode::InvalidCommitOffsetSize);
}

#[test]
fn a_leader_that_sends_its_assignment_twice_is_answered_twice_and_the_first_counts() {
    let mut s = Scene::new();
    let ids = formed(&mut s, 1);
    s.disk(Disk::Stalled);
    let first = s.sync(&ids[0], 1, &[(&ids[0], b"first")]);
    let second = s.sync(&ids[0], 1, &[(&ids[0], b"second")]);
    assert_eq!(s.synced(first).error, ErrorCode::RebalanceInProgress);
    s.disk(Disk::Fine);
    assert_eq!(&*s.synced(second).assignment, b"first");
}

#[test]
fn members_that_never_sync_are_taken_out_after_the_rebalance_timeout() {
    let mut s = Scene::new();
    let ids = formed(&mut s, 2);
    let follower = s.sync(&ids[1], 1, &[]);
    for _ in 0..6 {
        s.wait(9_000);
        assert_eq!(s.heartbeat(&ids[0], 1), Ok(()));
    }
    s.wait(6_000);
    assert_eq!(s.synced(follower).error, ErrorCode::RebalanceInProgress);
    assert_eq!(s.heartbeat(&ids[0], 1), Err(ErrorCode::UnknownMemberId));
    assert_eq!(s.heartbeat(&ids[1], 1), Err(ErrorCode::RebalanceInProgress));
}

#[test]
fn waiting_for_the_leader_is_no_silence() {
    let mut s = Scene::new();
    let ids = formed(&mut s, 2);
    let follower = s.sync(&ids[1], 1, &[]);
    for _ in 0..3 {
        s.wait(9_000);
        assert_eq!(s.heartbeat(&ids[0], 1), Ok(()));
    }
    assert!(s.is_waiting(follower));
    s.sync(&ids[0], 1, &[]);
    assert_eq!(s.synced(follower).error, ErrorCode::None);
    s.wait(SESSION_MS as u64 - 1);
    assert_eq!(s.heartbeat(&ids[1], 1), Ok(()));
}
