//! JoinGroup, the join phase, heartbeats and leaving. Broken, this means endless rebalances, ghosts in groups, or consumers
//! that hang.

use super::*;

#[test]
fn a_dynamic_member_is_first_told_its_id_and_then_waits_for_company() {
    let mut s = Scene::new();
    let ticket = s.join(Join::new());
    let told = s.joined(ticket);
    assert_eq!((told.error, told.generation), (ErrorCode::MemberIdRequired, -1));
    assert!(told.member.starts_with("client-"));
    let ticket = s.join(Join::new().member(&told.member));
    s.wait(DELAY_MS - 1);
    assert!(s.is_waiting(ticket));
    assert_eq!(s.state(), "PreparingRebalance");
    s.wait(1);
    let reply = s.joined(ticket);
    assert_eq!((reply.error, reply.generation), (ErrorCode::None, 1));
    assert_eq!((reply.leader.as_str(), reply.member.as_str()), (&*told.member, &*told.member));
    assert_eq!((reply.protocol_type.as_deref(), reply.protocol.as_deref()), (Some("consumer"), Some("range")));
    assert_eq!(reply.members.len(), 1);
    assert_eq!(s.state(), "CompletingRebalance");
}

#[test]
fn version_3_is_let_in_at_once() {
    let mut s = Scene::new();
    let ticket = s.join(Join::new().version(3));
    s.wait(DELAY_MS);
    assert_eq!(s.joined(ticket).error, ErrorCode::None);
}

#[test]
fn the_initial_delay_is_extended_while_members_arrive_but_not_beyond_the_rebalance_timeout() {
    let mut s = Scene::new();
    let (_, first) = s.enter(Join::new());
    let mut others = Vec::new();
    for _ in 0..19 {
        s.wait(DELAY_MS - 10);
        others.push(s.enter(Join::new()).1);
        s.wait(10);
        assert!(s.is_waiting(first));
    }
    s.wait(REBALANCE_MS as u64 - 19 * DELAY_MS);
    assert_eq!(s.joined(first).generation, 1);
    assert!(others.into_iter().all(|t| s.joined(t).error == ErrorCode::None));
}

#[test]
fn only_the_leader_is_told_the_members() {
    let mut s = Scene::new();
    let entered: Vec<_> = (0..3).map(|_| s.enter(Join::new())).collect();
    s.wait(2 * DELAY_MS);
    let replies: Vec<_> = entered.iter().map(|(_, t)| s.joined(*t)).collect();
    let leading: Vec<_> = replies.iter().filter(|r| !r.members.is_empty()).collect();
    assert_eq!(leading.len(), 1);
    assert_eq!(leading[0].member, leading[0].leader);
    assert_eq!(leading[0].members.len(), 3);
}

#[test]
fn what_a_join_is_refused_for() {
    let table = [
        (Join::new().session_ms(5_999), ErrorCode::InvalidSessionTimeout),
        (Join::new().session_ms(1_800_001), ErrorCode::InvalidSessionTimeout),
        (Join::new().member("nobody"), ErrorCode::UnknownMemberId),
        (Join::new().protocols(&[]), ErrorCode::InconsistentGroupProtocol),
        (Join::new().protocol_type(""), ErrorCode::InconsistentGroupProtocol),
        (Join::new().protocols(&[("p", &[0; (16 << 20) + 1])]), ErrorCode::InvalidRequest),
    ];
    for (join, error) in table {
        let mut s = Scene::new();
        let ticket = s.join(join);
        assert_eq!(s.joined(ticket).error, error);
        assert_eq!(s.state(), "Dead");
    }
    let mut s = Scene::new();
    let mut nameless = Join::new();
    nameless.0.group = "".into();
    let ticket = s.join(nameless);
    assert_eq!(s.joined(ticket).error, ErrorCode::InvalidGroupId);
}

/// Flexible versions carry texts of any length, records do not: an answer must come of it, not a panic.
#[test]
fn texts_that_no_record_can_carry_are_refused() {
    let long = "x".repeat(32_768);
    let named = |name: &str| {
        let mut join = Join::new();
        join.0.client_id = name.into();
        join
    };
    for (join, error) in [
        (Join::new().protocols(&[(&long, b"")]), ErrorCode::InvalidRequest),
        (Join::new().protocol_type(&long), ErrorCode::InvalidRequest),
        (Join::new().instance(&long), ErrorCode::InvalidRequest),
        // The member's id is the name, a dash and a UUID: 37 bytes more.
        (Join::new().instance(&long[..32_731]), ErrorCode::InvalidRequest),
        (named(&long[..32_731]), ErrorCode::InvalidRequest),
    ] {
        let mut s = Scene::new();
        let ticket = s.join(join);
        assert_eq!(s.joined(ticket).error, error);
        assert_eq!(s.state(), "Dead");
    }
    let mut s = Scene::new();
    let mut join = Join::new();
    join.0.group = long.as_str().into();
    let ticket = s.join(join);
    assert_eq!(s.joined(ticket).error, ErrorCode::InvalidGroupId);
}

/// The longest texts that are let in do fit, all the way to the record of the formed group.
#[test]
fn the_longest_texts_that_are_let_in_fit_the_record() {
    let name = "n".repeat(32_730);
    let text = "t".repeat(32_767);
    let mut s = Scene::new();
    let join = Join::new().instance(&name).protocol_type(&text).protocols(&[(&text, b"")]);
    let ticket = s.join(join);
    s.wait(DELAY_MS);
    let id = s.joined(ticket).member;
    assert_eq!(id.len(), 32_767);
    s.assign(&[id], 1);
    s.restart();
    assert_eq!(s.state(), "Stable");
}

#[test]
fn a_member_that_does_not_fit_the_group_is_refused() {
    let mut s = Scene::new();
    s.stable(2);
    for join in [Join::new().protocols(&[("sticky", b"")]), Join::new().protocol_type("connect")] {
        let ticket = s.join(join);
        assert_eq!(s.joined(ticket).error, ErrorCode::InconsistentGroupProtocol);
    }
    assert_eq!(s.state(), "Stable");
}

#[test]
fn any_protocol_type_is_served() {
    for name in ["connect", "sr", "mine"] {
        let mut s = Scene::new();
        let (_, ticket) = s.enter(Join::new().protocol_type(name).protocols(&[("v0", b"opaque")]));
        s.wait(DELAY_MS);
        let reply = s.joined(ticket);
        assert_eq!(reply.protocol_type.as_deref(), Some(name));
        assert_eq!(&*reply.members[0].metadata, b"opaque");
    }
}

#[test]
fn the_protocol_with_most_votes_among_the_common_ones_wins() {
    let mut s = Scene::new();
    let lists: [&[(&str, &[u8])]; 3] =
        [&[("a", b""), ("b", b"")], &[("b", b""), ("a", b"")], &[("b", b""), ("c", b""), ("a", b"")]];
    let tickets: Vec<_> = lists.iter().map(|list| s.enter(Join::new().protocols(list)).1).collect();
    s.wait(2 * DELAY_MS);
    for ticket in tickets {
        assert_eq!(s.joined(ticket).protocol.as_deref(), Some("b"));
    }
}

#[test]
fn group_max_size_keeps_newcomers_out() {
    let mut s = Scene::with(|settings| settings.members_max = 2);
    let ids = s.stable(2);
    let ticket = s.join(Join::new());
    let refused = s.joined(ticket);
    assert_eq!((refused.error, refused.member.as_str()), (ErrorCode::GroupMaxSizeReached, ""));
    assert_eq!(s.heartbeat(&ids[0], 1), Ok(()));
}

#[test]
fn a_newcomer_makes_everybody_rejoin() {
    let mut s = Scene::new();
    let ids = s.stable(2);
    let (third, ticket) = s.enter(Join::new());
    assert_eq!(s.heartbeat(&ids[0], 1), Err(ErrorCode::RebalanceInProgress));
    let rejoins: Vec<_> = ids.iter().map(|id| s.join(Join::new().member(id))).collect();
    assert_eq!(s.joined(ticket).generation, 2);
    assert!(rejoins.into_iter().all(|t| s.joined(t).generation == 2));
    assert_eq!(s.heartbeat(&third, 1), Err(ErrorCode::IllegalGeneration));
    assert_eq!(s.heartbeat(&third, 2), Ok(()));
}

#[test]
fn who_does_not_rejoin_in_time_is_out() {
    let mut s = Scene::new();
    let ids = s.stable(3);
    let ticket = s.join(Join::new().member(&ids[0]));
    for _ in 0..7 {
        s.wait(9_000);
        _ = s.heartbeat(&ids[1], 1);
    }
    let reply = s.joined(ticket);
    assert_eq!((reply.generation, reply.members.len()), (2, 1));
    assert_eq!(s.heartbeat(&ids[1], 1), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn a_leader_that_does_not_rejoin_is_replaced() {
    let mut s = Scene::new();
    let ids = s.stable(2);
    let ticket = s.join(Join::new().member(&ids[1]).protocols(&[("range", b"changed")]));
    s.wait(REBALANCE_MS as u64);
    assert_eq!(s.joined(ticket).leader, ids[1]);
}

#[test]
fn a_follower_that_rejoins_unchanged_disturbs_nobody_and_the_leader_does() {
    let mut s = Scene::new();
    let ids = s.stable(2);
    let follower = s.join(Join::new().member(&ids[1]));
    let reply = s.joined(follower);
    assert_eq!((reply.generation, reply.members.len()), (1, 0));
    assert_eq!(s.state(), "Stable");
    let leader = s.join(Join::new().member(&ids[0]));
    assert!(s.is_waiting(leader));
    assert_eq!(s.state(), "PreparingRebalance");
}

#[test]
fn in_completing_rebalance_an_unchanged_member_gets_the_same_answer_again() {
    let mut s = Scene::new();
    let (id, ticket) = s.enter(Join::new());
    s.wait(DELAY_MS);
    let first = s.joined(ticket);
    let again = s.join(Join::new().member(&id));
    assert_eq!(s.joined(again), first);
    let changed = s.join(Join::new().member(&id).protocols(&[("range", b"new")]));
    assert_eq!(s.joined(changed).generation, 2);
}

#[test]
fn a_join_sent_twice_is_answered_twice() {
    let mut s = Scene::new();
    let (id, first) = s.enter(Join::new());
    let second = s.join(Join::new().member(&id));
    assert_eq!(s.joined(first).error, ErrorCode::RebalanceInProgress);
    s.wait(DELAY_MS);
    assert_eq!(s.joined(second).generation, 1);
}

#[test]
fn silence_for_the_session_timeout_ends_a_membership() {
    let mut s = Scene::new();
    let ids = s.stable(2);
    s.wait(SESSION_MS as u64 - 1);
    assert_eq!(s.heartbeat(&ids[0], 1), Ok(()));
    s.wait(1);
    assert_eq!(s.heartbeat(&ids[0], 1), Err(ErrorCode::RebalanceInProgress));
    assert_eq!(s.heartbeat(&ids[1], 1), Err(ErrorCode::UnknownMemberId));
    s.wait(SESSION_MS as u64);
    assert_eq!(s.state(), "Empty");
}

#[test]
fn an_id_that_was_handed_out_expires() {
    let mut s = Scene::new();
    let ticket = s.join(Join::new());
    let told = s.joined(ticket).member;
    s.wait(SESSION_MS as u64);
    let late = s.join(Join::new().member(&told));
    assert_eq!(s.joined(late).error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_rebalance_waits_for_members_that_were_only_told_their_id() {
    let mut s = Scene::new();
    let ids = s.stable(1);
    let ticket = s.join(Join::new());
    let told = s.joined(ticket).member;
    let leader = s.join(Join::new().member(&ids[0]));
    assert!(s.is_waiting(leader));
    let newcomer = s.join(Join::new().member(&told));
    assert_eq!(s.joined(leader).members.len(), 2);
    assert_eq!(s.joined(newcomer).generation, 2);
}

#[test]
fn a_new_members_join_does_not_wait_forever() {
    let mut s = Scene::new();
    let mut join = Join::new().version(0);
    join.0.rebalance_timeout_ms = 1_800_000;
    let ids = s.stable(1);
    let mut keeper = Join::new().member(&ids[0]).protocols(&[("range", b"x")]);
    keeper.0.rebalance_timeout_ms = 1_800_000;
    let newcomer = s.join(join);
    assert!(s.is_waiting(newcomer));
    for _ in 0..40 {
        s.wait(9_000);
        _ = s.heartbeat(&ids[0], 1);
    }
    assert!(!s.is_waiting(newcomer));
}

#[test]
fn heartbeats_tell_what_is_wrong() {
    let mut s = Scene::new();
    assert_eq!(s.heartbeat("a", 0), Err(ErrorCode::UnknownMemberId));
    let ids = s.stable(1);
    assert_eq!(s.heartbeat(&ids[0], 1), Ok(()));
    assert_eq!(s.heartbeat(&ids[0], 0), Err(ErrorCode::IllegalGeneration));
    assert_eq!(s.heartbeat("stranger", 1), Err(ErrorCode::UnknownMemberId));
    assert_eq!(s.heartbeat_as(&ids[0], Some("i"), 1), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn leaving_rebalances_the_rest_and_empties_the_group_in_the_end() {
    let mut s = Scene::new();
    let ids = s.stable(2);
    assert_eq!(s.leave(&[(&ids[1], None), ("stranger", None)]), Ok(vec![Ok(()), Err(ErrorCode::UnknownMemberId)]));
    assert_eq!(s.heartbeat(&ids[0], 1), Err(ErrorCode::RebalanceInProgress));
    let ticket = s.join(Join::new().member(&ids[0]));
    assert_eq!(s.joined(ticket).generation, 2);
    assert_eq!(s.leave(&[(&ids[0], None)]), Ok(vec![Ok(())]));
    assert_eq!(s.state(), "Empty");
    assert_eq!(s.leave(&[(&ids[0], None)]), Ok(vec![Err(ErrorCode::UnknownMemberId)]));
}

#[test]
fn leaving_answers_the_join_that_waits() {
    let mut s = Scene::new();
    let (id, ticket) = s.enter(Join::new());
    s.leave(&[(&id, None)]).unwrap().remove(0).unwrap();
    assert_eq!(s.joined(ticket).error, ErrorCode::UnknownMemberId);
    s.wait(DELAY_MS);
    assert_eq!(s.state(), "Empty");
}

#[test]
fn leaving_a_group_that_is_not_there() {
    let mut s = Scene::new();
    assert_eq!(s.leave(&[("a", None), ("b", None)]), Ok(vec![Err(ErrorCode::UnknownMemberId); 2]));
}
