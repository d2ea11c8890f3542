//! Members of the new protocol, request by request: what they are told, what is refused, and what a restart keeps.

use super::consumers::{Beat, Client, SESSION, id_of, partition_record};
use super::*;
use crate::controller::record::Record as MetadataRecord;
use crate::group::consumer::heartbeat::ConsumerHeartbeat;
use crate::group::consumer::partitions::Partitions;
use crate::group::consumer::settings::GroupConfig;
use std::collections::BTreeSet;

#[test]
fn one_member_gets_everything_at_once() {
    let mut s = Scene::with_topics(&[("t", 3)]);
    let reply = s.ask(Beat::join("a")).unwrap();
    assert_eq!((reply.epoch, reply.interval_ms), (1, 5_000));
    assert_eq!(reply.assignment, Some(Partitions::from([(id_of("t"), BTreeSet::from([0, 1, 2]))])));
    assert_eq!(s.ask(Beat::at("a", 1)).unwrap().assignment, None, "nothing new, nothing told");
    assert_eq!(s.consumer_state(), "Stable");
    let written = s.log.len();
    (0..10).for_each(|_| _ = s.ask(Beat::at("a", 1)));
    assert_eq!(s.log.len(), written, "a heartbeat that changes nothing writes nothing");
}

#[test]
fn a_second_member_waits_until_the_first_gave_up() {
    let mut s = Scene::with_topics(&[("t", 4)]);
    let mut clients = [Client::new("a"), Client::new("b")];
    clients[0].cycle(&mut s);
    clients[1].cycle(&mut s);
    assert_eq!(clients[1].count(), 0);
    assert_eq!(s.consumer_state(), "Reconciling");
    clients[1].cycle(&mut s);
    assert_eq!(clients[1].count(), 0, "the first has not heard yet");
    clients[0].cycle(&mut s);
    assert_eq!(clients[0].count(), 2, "it was told to give two up");
    clients[1].cycle(&mut s);
    assert_eq!(clients[1].count(), 0, "it has not said that it did");
    s.settle(&mut clients);
    assert_eq!(clients.each_ref().map(Client::count), [2, 2]);
    assert_eq!(s.consumer_state(), "Stable");
}

#[test]
fn who_leaves_gives_all_to_the_others() {
    let mut s = Scene::with_topics(&[("t", 5)]);
    let mut clients = vec![Client::new("a"), Client::new("b"), Client::new("c")];
    s.settle(&mut clients);
    let gone = clients.remove(1);
    assert_eq!(s.ask(Beat::at(&gone.id, -1)).unwrap().epoch, -1);
    assert_eq!(s.ask(Beat::at(&gone.id, gone.epoch)), Err(ErrorCode::UnknownMemberId));
    s.settle(&mut clients);
    assert_eq!(clients.iter().map(Client::count).sum::<usize>(), 5);
    for client in clients {
        s.ask(Beat::at(&client.id, -1)).unwrap();
    }
    assert_eq!(s.consumer_state(), "Empty");
}

#[test]
fn who_is_silent_is_fenced_after_its_session() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let mut clients = vec![Client::new("a"), Client::new("b")];
    s.settle(&mut clients);
    s.wait(SESSION - 1);
    clients[0].cycle(&mut s);
    s.wait(1);
    assert_eq!(s.ask(clients[1].beat()), Err(ErrorCode::UnknownMemberId));
    clients.pop();
    s.settle(&mut clients);
    assert_eq!(clients[0].count(), 2);
}

#[test]
fn who_does_not_give_up_in_time_is_fenced() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let mut first = Client::new("a");
    first.cycle(&mut s);
    let mut second = Client::new("b");
    second.cycle(&mut s);
    first.cycle(&mut s);
    for _ in 0..7 {
        assert_eq!(second.count(), 0);
        // It stays alive but keeps what it has.
        _ = s.ask(Beat::at("a", first.epoch));
        second.cycle(&mut s);
        s.wait(REBALANCE_MS as u64 / 6);
    }
    assert_eq!(s.ask(Beat::at("a", first.epoch)), Err(ErrorCode::UnknownMemberId));
    second.cycle(&mut s);
    assert_eq!(second.count(), 2);
}

#[test]
fn requests_that_make_no_sense() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let join = || Beat::join("a");
    let change = |change: fn(&mut ConsumerHeartbeat)| {
        let mut beat = join();
        change(&mut beat.0);
        beat
    };
    for (row, (beat, error)) in [
        (change(|b| b.group = "".into()), ErrorCode::InvalidRequest),
        (change(|b| b.member = "".into()), ErrorCode::InvalidRequest),
        (change(|b| b.instance = Some("".into())), ErrorCode::InvalidRequest),
        (change(|b| b.rack = Some(" ".into())), ErrorCode::InvalidRequest),
        (change(|b| b.rebalance_timeout_ms = -1), ErrorCode::InvalidRequest),
        (change(|b| b.owned = None), ErrorCode::InvalidRequest),
        (change(|b| b.owned = Some(Partitions::from([(id_of("t"), BTreeSet::from([0]))]))), ErrorCode::InvalidRequest),
        (change(|b| b.names = None), ErrorCode::InvalidRequest),
        (change(|b| b.epoch = -3), ErrorCode::InvalidRequest),
        (change(|b| b.epoch = -2), ErrorCode::InvalidRequest),
        (change(|b| b.assignor = Some("best".into())), ErrorCode::UnsupportedAssignor),
        (change(|b| b.regex = Some("(".into())), ErrorCode::InvalidRegularExpression),
        (change(|b| b.rack = Some("x".repeat(40_000).into())), ErrorCode::InvalidRequest),
        (change(|b| b.names = Some(vec!["x".repeat(1 << 20).into()])), ErrorCode::InvalidRequest),
        (Beat::at("a", 1), ErrorCode::GroupIdNotFound),
        (Beat::at("a", -1), ErrorCode::GroupIdNotFound),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(s.ask(beat), Err(error), "row {row}");
    }
    assert_eq!(s.consumer_state(), "none", "none of them made a group");
    let mut old = join();
    (old.0.version, old.0.member) = (0, "".into());
    assert_eq!(s.ask(old).unwrap().member.as_str().len(), 22, "version 0 may ask for an id");
}

#[test]
pub(super) fn epochs_are_fenced() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let mut clients = [Client::new("a"), Client::new("b")];
    s.settle(&mut clients);
    let current = clients[0].epoch;
    assert_eq!(s.ask(Beat::at("a", current + 1)), Err(ErrorCode::FencedMemberEpoch));
    assert_eq!(s.ask(Beat::at("a", current - 1)), Err(ErrorCode::FencedMemberEpoch));
    // It missed the answer that told it the epoch: fine as long as it uses nothing else.
    let missed = s.ask(Beat::at("a", current - 1).owns(&clients[0].owned)).unwrap();
    assert_eq!(missed.epoch, current);
    assert_eq!(s.ask(Beat::at("a", current - 1).owns(&clients[1].owned)), Err(ErrorCode::FencedMemberEpoch));
}

#[test]
fn a_member_that_joins_again_gives_nothing_up_by_that() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let mut clients = [Client::new("a"), Client::new("b")];
    clients[0].cycle(&mut s);
    clients[1].cycle(&mut s);
    clients[0].cycle(&mut s);
    // A request of an earlier life, long under way: it says that nothing is owned.
    s.ask(Beat::join("a")).unwrap();
    clients[1].cycle(&mut s);
    assert_eq!(clients[1].count(), 0);
    s.settle(&mut clients);
    assert_eq!(clients[1].count(), 1);
}

#[test]
fn a_static_member_comes_back_to_its_share() {
    let mut s = Scene::with_topics(&[("t", 4)]);
    let mut clients = [Client::new("a"), Client::new("b")];
    clients[0].instance = Some("i");
    s.settle(&mut clients);
    let share = clients[0].owned.clone();
    assert_eq!(s.ask(Beat::join("a2").instance("i")), Err(ErrorCode::UnreleasedInstanceId));
    assert_eq!(s.ask(Beat::at("a", -2).instance("i")).unwrap().epoch, -2);
    s.restart();
    let epoch = clients[1].epoch;
    let back = s.ask(Beat::join("a2").instance("i")).unwrap();
    assert_eq!(back.assignment, Some(share));
    assert_eq!(s.ask(Beat::at("a", 2).instance("i")), Err(ErrorCode::FencedInstanceId));
    assert_eq!(s.ask(Beat::at("z", 2).instance("none")), Err(ErrorCode::UnknownMemberId));
    clients[1].cycle(&mut s);
    assert_eq!(clients[1].epoch, epoch, "nobody else noticed");
}

#[test]
fn a_static_member_may_come_back_under_its_own_id() {
    let mut s = Scene::with_topics(&[("t", 4)]);
    let mut clients = [Client::new("a"), Client::new("b")];
    clients[0].instance = Some("i");
    clients[0].cycle(&mut s);
    assert_eq!(s.ask(Beat::at("a", -2).instance("i")).unwrap().epoch, -2);
    clients[1].cycle(&mut s);
    // It is to have less than it had, and uses nothing: there is nothing to be given up.
    let back = s.ask(Beat::join("a").instance("i")).unwrap();
    assert_eq!((back.epoch, back.assignment.map(|all| all[&id_of("t")].len())), (2, Some(2)));
    clients[1].cycle(&mut s);
    assert_eq!(clients[1].count(), 2);
}

#[test]
fn a_group_is_listed_by_type_and_state() {
    let mut s = Scene::with_topics(&[("t", 1)]);
    s.ask(Beat::join("a")).unwrap();
    s.restart();
    let list = |states: &[&str], types: &[&str]| {
        let listed = s.coordinator.list(states, types).unwrap();
        listed.iter().map(|g| format!("{} {} {}", g.protocol_type, g.group_type, g.state)).collect::<Vec<_>>()
    };
    assert_eq!(list(&[], &[]), ["consumer consumer Stable"]);
    assert_eq!(list(&["stable"], &["Consumer"]).len(), 1);
    assert!(list(&["Empty"], &[]).is_empty() && list(&[], &["classic"]).is_empty());
}

#[test]
fn a_static_member_that_does_not_come_back_is_fenced() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let mut clients = [Client::new("a")];
    clients[0].instance = Some("i");
    s.settle(&mut clients);
    s.ask(Beat::at("a", -2).instance("i")).unwrap();
    s.wait(SESSION);
    assert_eq!(s.consumer_state(), "Empty");
    assert!(s.ask(Beat::join("a2").instance("i")).is_ok());
}

#[test]
fn patterns_follow_the_topics() {
    let mut s = Scene::with_topics(&[("logs-a", 1), ("other", 1)]);
    let reply = s.ask(Beat::join("a").names(&[]).regex("logs-.*")).unwrap();
    assert_eq!(reply.assignment.unwrap().keys().copied().collect::<Vec<_>>(), [id_of("logs-a")]);
    s.add_topic("logs-b", 2);
    s.wait(1_000);
    let reply = s.ask(Beat::at("a", reply.epoch)).unwrap();
    assert_eq!(reply.assignment.map(|all| all.len()), Some(2));
    s.restart();
    let reply = s.ask(Beat::at("a", reply.epoch).regex("other")).unwrap();
    let told = reply.clone();
    assert_eq!(told.assignment.unwrap().len(), 0, "what it has to give up comes first");
    let reply = s.ask(Beat::at("a", reply.epoch).owns(&Partitions::new())).unwrap();
    assert_eq!(reply.assignment.unwrap().keys().copied().collect::<Vec<_>>(), [id_of("other")]);
    let reply = s.ask(Beat::at("a", reply.epoch).regex("")).unwrap();
    assert_eq!(reply.assignment.map(|all| all.len()), Some(0));
}

#[test]
fn a_topic_that_grows_or_goes_is_noticed() {
    let mut s = Scene::with_topics(&[("t", 1)]);
    let mut clients = [Client::new("a")];
    s.settle(&mut clients);
    s.change_topics(&[partition_record("t", 1)]);
    s.settle(&mut clients);
    assert_eq!(clients[0].count(), 2);
    s.change_topics(&[MetadataRecord::RemoveTopic { id: id_of("t") }]);
    s.settle(&mut clients);
    assert_eq!(clients[0].count(), 0);
    let epoch = clients[0].epoch;
    s.add_topic("other", 1);
    s.settle(&mut clients);
    assert_eq!(clients[0].epoch, epoch, "that one is of no interest");
}

#[test]
fn the_assignor_is_voted_for() {
    let mut s = Scene::with_topics(&[("t", 4), ("u", 4)]);
    let beat = |id: &str| Beat::join(id).names(&["t", "u"]);
    s.ask(beat("a").assignor("range")).unwrap();
    let described = |s: &Scene| s.coordinator.describe_consumer(&"g".into()).unwrap().unwrap().assignor;
    assert_eq!(described(&s), "range");
    s.ask(beat("b").assignor("uniform")).unwrap();
    s.ask(beat("c").assignor("uniform")).unwrap();
    assert_eq!(described(&s), "uniform");
}

#[test]
pub(super) fn commits_need_the_epoch_in_which_the_partition_was_assigned() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let mut clients = [Client::new("a")];
    s.settle(&mut clients);
    let mut commit = commit_request("a", 1, &[("t", 0, 5)]);
    commit.version = 9;
    let ask = |s: &mut Scene, commit: &CommitRequest| {
        let ticket = s.commit_with(commit.clone());
        s.committed_as(ticket)
    };
    assert_eq!(ask(&mut s, &commit), ErrorCode::None);
    s.add_topic("u", 1);
    s.ask(Beat::at("a", 1).names(&["t", "u"])).unwrap();
    assert_eq!(ask(&mut s, &commit), ErrorCode::None, "it has had it since then");
    commit.topics[0].name = "u".into();
    assert_eq!(ask(&mut s, &commit), ErrorCode::StaleMemberEpoch, "this one it has had since epoch 2");
    commit.generation = 9;
    assert_eq!(ask(&mut s, &commit), ErrorCode::StaleMemberEpoch);
    commit.member = "z".into();
    assert_eq!(ask(&mut s, &commit), ErrorCode::UnknownMemberId);
    commit.group = "nobody".into();
    assert_eq!(ask(&mut s, &commit), ErrorCode::GroupIdNotFound);
    let mut old = commit_request("a", 2, &[("t", 0, 5)]);
    old.version = 8;
    assert_eq!(ask(&mut s, &old), ErrorCode::UnsupportedVersion);
    let reader = |epoch| s.coordinator.check_reader(&"g".into(), Some(("a".into(), epoch)));
    assert_eq!((reader(2), reader(1)), (Ok(()), Err(ErrorCode::StaleMemberEpoch)));
}

#[test]
fn answers_wait_for_the_disk() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    s.disk(Disk::Stalled);
    let join = s.beat(Beat::join("a"));
    assert!(s.is_waiting(join));
    // It asks again, on another connection: what it is told is not durable either.
    let again = s.beat(Beat::join("a"));
    assert!(s.is_waiting(again));
    s.disk(Disk::Fine);
    assert_eq!(s.beaten(join).unwrap().epoch, 1);
    assert_eq!(s.beaten(again).unwrap().epoch, 1);
}

#[test]
fn what_the_disk_refused_is_written_again() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let mut clients = [Client::new("a")];
    s.settle(&mut clients);
    s.disk(Disk::Failing(ErrorCode::KafkaStorageError));
    assert_eq!(s.ask(Beat::join("b")), Err(ErrorCode::NotCoordinator));
    s.disk(Disk::Fine);
    clients[0].cycle(&mut s);
    s.restart();
    let mut both = [clients[0].clone(), Client::new("b")];
    s.settle(&mut both);
    assert_eq!(both.each_ref().map(Client::count), [1, 1]);
}

#[test]
fn a_restart_keeps_members_and_their_shares() {
    let mut s = Scene::with_topics(&[("t", 5)]);
    let mut clients = vec![Client::new("a"), Client::new("b"), Client::new("c")];
    clients[0].instance = Some("i");
    s.settle(&mut clients);
    let before = clients.iter().map(|c| (c.epoch, c.owned.clone())).collect::<Vec<_>>();
    s.restart();
    assert_eq!(s.consumer_state(), "Stable");
    s.settle(&mut clients);
    assert_eq!(clients.iter().map(|c| (c.epoch, c.owned.clone())).collect::<Vec<_>>(), before);
    s.wait(SESSION);
    assert_eq!(s.consumer_state(), "Empty", "sessions run after a restart");
    s.restart();
    assert_eq!(s.consumer_state(), "Empty");
}

#[test]
fn an_empty_group_can_be_deleted_and_one_with_members_not() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    s.ask(Beat::join("a")).unwrap();
    let delete = |s: &mut Scene| {
        let ticket = s.ticket();
        s.coordinator.delete_group(s.now, ticket, &"g".into());
        s.pump();
        s.replies.remove(&ticket)
    };
    assert_eq!(delete(&mut s), Some(Reply::Deleted(ErrorCode::NonEmptyGroup)));
    s.ask(Beat::at("a", -1)).unwrap();
    assert_eq!(delete(&mut s), Some(Reply::Deleted(ErrorCode::None)));
    s.restart();
    assert_eq!((s.consumer_state(), s.state()), ("none", "Dead"));
}

#[test]
fn a_group_has_room_for_so_many() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    s.coordinator.fx.settings.consumer.members_max = 1;
    s.ask(Beat::join("a")).unwrap();
    assert_eq!(s.ask(Beat::join("b")), Err(ErrorCode::GroupMaxSizeReached));
    assert!(s.ask(Beat::join("a")).is_ok(), "who is in is in");
}

#[test]
fn changes_are_collected_for_the_assignment_interval() {
    let mut s = Scene::with_topics(&[("t", 3)]);
    s.coordinator.fx.settings.consumer.group.assignment_interval_ms = 1_000;
    assert_eq!(s.ask(Beat::join("a")).unwrap().assignment.unwrap().len(), 1);
    assert_eq!(s.ask(Beat::join("b")).unwrap().epoch, 1, "there is no newer target yet");
    assert_eq!(s.ask(Beat::join("c")).unwrap().epoch, 1);
    assert_eq!(s.consumer_state(), "Assigning");
    s.wait(1_000);
    assert_eq!(s.consumer_state(), "Reconciling");
    assert_eq!(s.ask(Beat::at("b", 1)).unwrap().epoch, 3);
}

#[test]
fn a_groups_own_configuration_counts_within_bounds() {
    let settings = GroupSettings::default().consumer;
    let own = settings.group_config(|key| match key {
        "consumer.session.timeout.ms" => Some(50_000),
        "consumer.heartbeat.interval.ms" => Some(1),
        _ => None,
    });
    let expect =
        GroupConfig { session_timeout_ms: 50_000, heartbeat_interval_ms: 5_000, assignment_interval_ms: 1_000 };
    assert_eq!(own, expect);
}

#[test]
fn who_left_while_the_disk_refused_is_gone_after_a_restart_too() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let mut clients = [Client::new("a"), Client::new("b")];
    s.settle(&mut clients);
    s.disk(Disk::Failing(ErrorCode::KafkaStorageError));
    assert_eq!(s.ask(Beat::at("b", -1)), Err(ErrorCode::NotCoordinator));
    s.disk(Disk::Fine);
    s.settle(&mut clients[..1]);
    assert_eq!(clients[0].count(), 2);
    s.restart();
    assert_eq!(s.ask(Beat::at("b", clients[1].epoch)), Err(ErrorCode::UnknownMemberId));
    s.settle(&mut clients[..1]);
    assert_eq!(clients[0].count(), 2);
}
