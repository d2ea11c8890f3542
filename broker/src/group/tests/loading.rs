//! What a broker that starts knows of its groups, what it says before it knows, and what it lists.

use super::*;

#[test]
fn a_stable_group_survives_a_restart() {
    let mut s = Scene::new();
    let ids = s.stable(2);
    s.restart();
    assert_eq!(s.state(), "Stable");
    assert_eq!(s.heartbeat(&ids[0], 1), Ok(()));
    let sync = s.sync(&ids[1], 1, &[]);
    assert_eq!(&*s.synced(sync).assignment, [1]);
    s.wait(SESSION_MS as u64);
    assert_eq!(s.heartbeat(&ids[1], 1), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn an_emptied_group_survives_a_restart_with_its_generation() {
    let mut s = Scene::new();
    let ids = s.stable(1);
    s.commit(&ids[0], 1, 9);
    s.leave(&[(&ids[0], None)]).unwrap().remove(0).unwrap();
    s.restart();
    assert_eq!((s.state(), s.committed(0)), ("Empty", Some(9)));
    let (_, ticket) = s.enter(Join::new());
    s.wait(DELAY_MS);
    assert_eq!(s.joined(ticket).generation, 3);
}

/// A log may say any generation: the next one counts on from it, and is never one that stands for none.
#[test]
fn a_generation_past_the_largest_is_the_first() {
    for (stored, next) in [(i32::MAX, 1), (i32::MIN, 1), (-1, 1), (5, 6)] {
        let mut s = Scene::new();
        s.coordinator.begin_load(0);
        let mut value = b"\0\x03\0\x08consumer".to_vec();
        value.extend(stored.to_be_bytes());
        // No protocol, no leader, no time, no members.
        value.extend(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0");
        s.coordinator.replay(0, b"\0\x02\0\x01g", Some(&value)).unwrap();
        s.coordinator.finish_load(s.now, 0);
        let (_, ticket) = s.enter(Join::new());
        s.wait(DELAY_MS);
        assert_eq!(s.joined(ticket).generation, next, "after {stored}");
    }
}

/// Version 4 of a group's value has texts of any length; a group with one that version 3 cannot carry is passed over.
#[test]
fn texts_that_could_not_be_written_again_are_not_read() {
    let value = |len: usize| {
        let compact = len + 1;
        let varint = [compact as u8 | 0x80, (compact >> 7) as u8 | 0x80, (compact >> 14) as u8];
        let mut value = [&[0, 4][..], &varint, &vec![b'x'; len]].concat();
        value.extend(b"\0\0\0\x05\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x01\0");
        value
    };
    let mut s = Scene::new();
    s.coordinator.begin_load(0);
    assert_eq!(s.coordinator.replay(0, b"\0\x02\0\x01g", Some(&value(32_767))), Ok(()));
    assert!(s.coordinator.replay(0, b"\0\x02\0\x01h", Some(&value(32_768))).is_err());
    s.coordinator.finish_load(s.now, 0);
    assert_eq!(s.state(), "Empty");
}

#[test]
fn while_records_are_read_clients_are_told_to_wait() {
    let mut s = Scene::new();
    let ids = s.stable(1);
    s.coordinator.begin_load(0);
    let join = s.join(Join::new());
    assert_eq!(s.joined(join).error, ErrorCode::CoordinatorLoadInProgress);
    let sync = s.sync(&ids[0], 1, &[]);
    assert_eq!(s.synced(sync).error, ErrorCode::RebalanceInProgress);
    assert_eq!(s.heartbeat(&ids[0], 1), Ok(()));
    let commit = s.commit(&ids[0], 1, 1);
    assert_eq!(s.committed_as(commit), ErrorCode::CoordinatorLoadInProgress);
    assert_eq!(s.leave(&[(&ids[0], None)]), Err(ErrorCode::CoordinatorLoadInProgress));
    assert_eq!(s.coordinator.list(&[], &[]), Err(ErrorCode::CoordinatorLoadInProgress));
    assert_eq!(s.coordinator.describe(&"g".into()), Err(ErrorCode::CoordinatorLoadInProgress));
}

#[test]
fn a_partition_that_is_elsewhere() {
    let mut s = Scene::new();
    let (_, waiting) = s.enter(Join::new());
    s.coordinator.unload(s.now, 0);
    s.pump();
    assert_eq!(s.joined(waiting).error, ErrorCode::NotCoordinator);
    let join = s.join(Join::new());
    assert_eq!(s.joined(join).error, ErrorCode::NotCoordinator);
    assert_eq!(s.heartbeat("a", 1), Err(ErrorCode::NotCoordinator));
    s.coordinator.set_partition_count(0);
    assert_eq!(s.coordinator.check_active(&"g".into()), Err(ErrorCode::NotCoordinator));
}

#[test]
fn records_that_are_none_of_ours_do_no_harm() {
    let mut s = Scene::new();
    s.coordinator.replay(0, b"\0\x0b\0\x01g", Some(b"\0\0")).unwrap();
    s.coordinator.replay(0, b"\0\x02\0\x01x", None).unwrap();
    for (key, value) in
        [(&b""[..], None), (b"\0", None), (b"\0\x01\0\x09g", None), (b"\0\x02\0\x01g", Some(&b"\0\x09"[..]))]
    {
        assert!(s.coordinator.replay(0, key, value).is_err());
    }
    assert_eq!(s.state(), "Dead");
}

#[test]
fn a_group_that_outgrew_the_limit_rebalances_at_start() {
    let mut s = Scene::new();
    s.stable(3);
    s.coordinator.fx.settings.members_max = 2;
    s.restart();
    assert_eq!(s.state(), "PreparingRebalance");
}

#[test]
fn lists_can_be_filtered() {
    let mut s = Scene::new();
    s.stable(1);
    let table: [(&[&str], &[&str], usize); 6] = [
        (&[], &[], 1),
        (&["stable"], &[], 1),
        (&["Empty", "STABLE"], &["Classic"], 1),
        (&["Empty"], &[], 0),
        (&[], &["consumer"], 0),
        (&["nonsense"], &[], 0),
    ];
    for (states, types, count) in table {
        assert_eq!(s.coordinator.list(states, types).unwrap().len(), count, "{states:?} {types:?}");
    }
    let listed = s.coordinator.list(&[], &[]).unwrap().remove(0);
    assert_eq!((listed.group.as_str(), &*listed.protocol_type, listed.state), ("g", "consumer", "Stable"));
}

#[test]
fn a_description_tells_assignments_of_a_stable_group_only() {
    let mut s = Scene::new();
    let ids = s.stable(2);
    let group = s.coordinator.describe(&"g".into()).unwrap().unwrap();
    assert_eq!((group.state, &*group.protocol_type, &*group.protocol), ("Stable", "consumer", "range"));
    let leader = group.members.iter().find(|m| m.member.as_str() == ids[0]).unwrap();
    assert_eq!((&*leader.client_id, &*leader.client_host, &*leader.assignment), ("client", "/127.0.0.1", &[0][..]));
    s.join(Join::new().member(&ids[0]));
    let group = s.coordinator.describe(&"g".into()).unwrap().unwrap();
    assert_eq!((group.state, &*group.protocol, group.members.len()), ("PreparingRebalance", "", 2));
    assert!(group.members.iter().all(|m| m.assignment.is_empty() && m.metadata.is_empty()));
    assert_eq!(s.coordinator.describe(&"other".into()), Ok(None));
}

#[test]
fn offsets_of_a_topic_that_is_deleted_while_they_are_read_go_too() {
    let mut s = Scene::new();
    s.commit_with(commit_request("", -1, &[("t", 0, 1), ("u", 0, 2)]));
    s.coordinator = Coordinator::new(s.coordinator.fx.settings.clone(), 44, s.now);
    s.coordinator.set_partition_count(1);
    s.coordinator.begin_load(0);
    for record in &s.log {
        s.coordinator.replay(0, &record.key, record.value.as_deref()).unwrap();
    }
    s.coordinator.on_topic_deleted(s.now, "t");
    s.coordinator.finish_load(s.now, 0);
    s.pump();
    assert_eq!((s.committed(0), s.coordinator.committed_offsets(&"g".into()).len()), (None, 1));
    s.restart();
    assert_eq!(s.committed(0), None, "it is written down");
}
