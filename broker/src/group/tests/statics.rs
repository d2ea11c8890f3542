//! Static members (KIP-345, 814): a restart within the session timeout disturbs nobody, and an impostor is fenced.

use super::*;

/// A Stable group with the static members `one` and `two`; ids, the leader first, and their instances.
fn stable(s: &mut Scene) -> Vec<(String, &'static str)> {
    let tickets = ["one", "two"].map(|i| (i, s.join(Join::new().instance(i))));
    s.wait(2 * DELAY_MS);
    let replies = tickets.map(|(i, t)| (s.joined(t), i));
    let leader = replies[0].0.leader.clone();
    let mut ids: Vec<_> = replies.map(|(r, i)| (r.member, i)).into();
    ids.sort_by_key(|(id, _)| *id != leader);
    let follower = s.sync_as(&ids[1].0, Some(ids[1].1), 1, &[]);
    s.sync_as(&ids[0].0, Some(ids[0].1), 1, &[(&ids[0].0, b"0"), (&ids[1].0, b"1")]);
    assert_eq!(&*s.synced(follower).assignment, b"1");
    ids
}

#[test]
fn a_static_member_needs_no_second_join_and_is_named_after_its_instance() {
    let mut s = Scene::new();
    let ticket = s.join(Join::new().instance("one"));
    s.wait(DELAY_MS);
    let reply = s.joined(ticket);
    assert!(reply.member.starts_with("one-"), "{}", reply.member);
    assert_eq!(reply.members[0].instance.as_ref().unwrap().as_str(), "one");
}

#[test]
fn a_restarted_follower_takes_its_place_again_without_a_rebalance() {
    let mut s = Scene::new();
    let ids = stable(&mut s);
    let (old, instance) = &ids[1];
    let ticket = s.join(Join::new().instance(instance));
    let reply = s.joined(ticket);
    assert_eq!((reply.error, reply.generation, s.state()), (ErrorCode::None, 1, "Stable"));
    assert_ne!(&reply.member, old);
    assert!(!reply.skip_assignment && reply.members.is_empty());
    assert_eq!(s.heartbeat_as(old, Some(instance), 1), Err(ErrorCode::FencedInstanceId));
    let sync = s.sync_as(&reply.member, Some(instance), 1, &[]);
    assert_eq!(&*s.synced(sync).assignment, b"1");
    assert_eq!(s.heartbeat(&ids[0].0, 1), Ok(()));
}

#[test]
fn a_restarted_leader_is_told_to_skip_the_assignment() {
    let mut s = Scene::new();
    let ids = stable(&mut s);
    let ticket = s.join(Join::new().instance(ids[0].1));
    let reply = s.joined(ticket);
    assert!(reply.skip_assignment);
    assert_eq!((&reply.leader, reply.members.len()), (&reply.member, 2));
}

#[test]
fn an_old_client_that_leads_is_told_the_old_leader_so_that_it_does_not_assign() {
    let mut s = Scene::new();
    let ids = stable(&mut s);
    let ticket = s.join(Join::new().version(8).instance(ids[0].1));
    let reply = s.joined(ticket);
    assert_eq!((reply.leader.as_str(), reply.members.len(), reply.skip_assignment), (&*ids[0].0, 0, false));
}

#[test]
fn the_new_id_is_told_once_it_is_durable() {
    let mut s = Scene::new();
    let ids = stable(&mut s);
    s.disk(Disk::Stalled);
    let ticket = s.join(Join::new().instance(ids[1].1));
    assert!(s.is_waiting(ticket));
    s.disk(Disk::Fine);
    let new = s.joined(ticket).member;
    s.restart();
    assert_eq!(s.heartbeat_as(&new, Some(ids[1].1), 1), Ok(()));
}

#[test]
fn a_new_id_that_cannot_be_stored_leaves_the_old_member_in_place() {
    let mut s = Scene::new();
    let ids = stable(&mut s);
    s.disk(Disk::Failing(ErrorCode::KafkaStorageError));
    let ticket = s.join(Join::new().instance(ids[0].1));
    assert_eq!(s.joined(ticket).error, ErrorCode::NotCoordinator);
    assert_eq!(s.heartbeat_as(&ids[0].0, Some(ids[0].1), 1), Ok(()));
}

#[test]
fn a_restart_with_another_subscription_that_changes_the_protocol_rebalances() {
    let mut s = Scene::new();
    let both: &[(&str, &[u8])] = &[("range", b""), ("sticky", b"")];
    let ticket = s.join(Join::new().instance("one").protocols(both));
    s.wait(DELAY_MS);
    let id = s.joined(ticket).member;
    s.sync_as(&id, Some("one"), 1, &[]);
    let ticket = s.join(Join::new().instance("one").protocols(&[("sticky", b"")]));
    let reply = s.joined(ticket);
    assert_eq!((reply.generation, reply.protocol.as_deref()), (2, Some("sticky")));
}

#[test]
fn replacing_a_member_fences_its_waiting_join() {
    let mut s = Scene::new();
    let first = s.join(Join::new().instance("one"));
    let second = s.join(Join::new().instance("one"));
    assert_eq!(s.joined(first).error, ErrorCode::FencedInstanceId);
    s.wait(2 * DELAY_MS);
    assert_eq!(s.joined(second).members.len(), 1);
}

#[test]
fn replacing_a_member_fences_its_waiting_sync_and_starts_over() {
    let mut s = Scene::new();
    let tickets = ["one", "two"].map(|i| s.join(Join::new().instance(i)));
    s.wait(2 * DELAY_MS);
    let replies = tickets.map(|t| s.joined(t));
    let follower = replies.iter().find(|r| r.members.is_empty()).unwrap();
    let instance = if follower.member.starts_with("one") { "one" } else { "two" };
    let sync = s.sync_as(&follower.member, Some(instance), 1, &[]);
    let again = s.join(Join::new().instance(instance));
    assert_eq!(s.synced(sync).error, ErrorCode::FencedInstanceId);
    assert_eq!(s.state(), "PreparingRebalance");
    s.wait(REBALANCE_MS as u64);
    assert_eq!(s.joined(again).generation, 2);
}

#[test]
fn a_static_member_that_does_not_rejoin_keeps_its_place_until_its_session_ends() {
    let mut s = Scene::new();
    let ids = stable(&mut s);
    let leader = s.join(Join::new().member(&ids[0].0).instance(ids[0].1));
    for _ in 0..7 {
        s.wait(9_000);
        _ = s.heartbeat_as(&ids[1].0, Some(ids[1].1), 1);
    }
    let reply = s.joined(leader);
    assert_eq!((reply.generation, reply.members.len()), (2, 2));
}

#[test]
fn a_fenced_member_is_told_so_by_every_request() {
    let mut s = Scene::new();
    let ids = stable(&mut s);
    let (old, instance) = ids[1].clone();
    let ticket = s.join(Join::new().instance(instance));
    s.joined(ticket);
    let join = s.join(Join::new().member(&old).instance(instance));
    assert_eq!(s.joined(join).error, ErrorCode::FencedInstanceId);
    let sync = s.sync_as(&old, Some(instance), 1, &[]);
    assert_eq!(s.synced(sync).error, ErrorCode::FencedInstanceId);
    let mut request = commit_request(&old, 1, &[("t", 0, 1)]);
    request.instance = Some(instance.into());
    let commit = s.commit_with(request);
    assert_eq!(s.committed_as(commit), ErrorCode::FencedInstanceId);
    assert_eq!(s.leave(&[(&old, Some(instance))]), Ok(vec![Err(ErrorCode::FencedInstanceId)]));
}

#[test]
fn an_administrator_removes_by_instance() {
    let mut s = Scene::new();
    let ids = stable(&mut s);
    let outcome = s.leave(&[("", Some(ids[1].1)), ("", Some("stranger")), ("", None)]);
    let unknown = Err(ErrorCode::UnknownMemberId);
    assert_eq!(outcome, Ok(vec![Ok(()), unknown, unknown]));
    assert_eq!(s.heartbeat_as(&ids[0].0, Some(ids[0].1), 1), Err(ErrorCode::RebalanceInProgress));
}

/// A static member that does not rejoin keeps its group in the join phase until its session ends. With a rebalance timeout of 0
/// that phase ended again and again without time passing: one client kept a core busy for as long as its session.
#[test]
fn waiting_for_a_static_member_with_a_rebalance_timeout_of_0_takes_time() {
    let mut s = Scene::new();
    s.coordinator.begin_load(0);
    let mut value = b"\0\x03\0\x08consumer\0\0\0\x02\0\x05range\0\x01m\0\0\0\0\0\0\0\x03\0\0\0\x02".to_vec();
    for (id, instance) in [(b'm', &b"\0\x01i"[..]), (b'n', b"\xff\xff")] {
        value.extend([0, 1, id]);
        value.extend(instance);
        // Client, host, rebalance timeout 0, session timeout, and no bytes of subscription and assignment.
        value.extend(b"\0\x01c\0\x02/h\0\0\0\0");
        value.extend(SESSION_MS.to_be_bytes());
        value.extend(b"\0\0\0\0\0\0\0\0");
    }
    s.coordinator.replay(0, b"\0\x02\0\x01g", Some(&value)).unwrap();
    s.coordinator.finish_load(s.now, 0);
    assert_eq!(s.leave(&[("n", None)]), Ok(vec![Ok(())]));
    for _ in 0..3 {
        s.coordinator.on_time(s.now);
        s.pump();
    }
    assert_eq!(s.state(), "PreparingRebalance");
    assert!(s.coordinator.next_deadline().is_some_and(|at| at > s.now.mono_ms), "the phase ends again at once");
    s.wait(SESSION_MS as u64);
    assert_eq!(s.state(), "Empty");
}
