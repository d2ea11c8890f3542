//! Heartbeats that wait for news: who waits, what ends each wait and what is told then, and that sessions run as if nobody waited.

use super::consumers::{Beat, Client, SESSION, id_of};
use super::*;
use crate::front::Patience;
use crate::front::patience::Ending;
use crate::group::consumer::heartbeat::HeartbeatReply;

impl Scene {
    /// A classic heartbeat as the broker treats it: the ticket if it waits.
    fn patient_heartbeat(&mut self, member: &str, generation: i32, patience: Patience) -> Result<Ticket, ErrorCode> {
        let request = HeartbeatRequest { group: "g".into(), generation, member: member.into(), instance: None };
        let outcome = self.coordinator.heartbeat(self.now, &request);
        let waits = outcome.is_ok().then(|| self.coordinator.hold_ms(&request, patience)).flatten();
        let ticket = self.ticket();
        match waits {
            Some(ms) => self.coordinator.hold(ticket, request, ms),
            None => self.coordinator.fx.reply(ticket, Reply::Heartbeat(outcome.err().unwrap_or(ErrorCode::None))),
        }
        self.pump();
        if self.is_waiting(ticket) { Ok(ticket) } else { Err(self.heard(ticket)) }
    }

    #[track_caller]
    fn heard(&mut self, ticket: Ticket) -> ErrorCode {
        match self.replies.remove(&ticket) {
            Some(Reply::Heartbeat(error)) => error,
            other => panic!("no answer to Heartbeat but {other:?}"),
        }
    }

    fn end(&mut self, ticket: Ticket, ending: Ending) {
        self.coordinator.end_hold(self.now, ticket, ending);
        self.pump();
    }
}

fn patient(beat: Beat) -> Beat {
    Beat(super::super::consumer::heartbeat::ConsumerHeartbeat { patience: Patience::Overlapping, ..beat.0 })
}

/// Members of the consumer protocol that have everything, each with a heartbeat that waits.
fn waiting_clients(s: &mut Scene, ids: &[&str]) -> (Vec<Client>, Vec<Ticket>) {
    let mut clients: Vec<Client> = ids.iter().map(|id| Client::new(id)).collect();
    s.settle(&mut clients);
    let tickets: Vec<Ticket> = clients.iter().map(|client| s.beat(patient(client.beat()))).collect();
    assert!(tickets.iter().all(|ticket| s.is_waiting(*ticket)));
    (clients, tickets)
}

fn told(s: &mut Scene, ticket: Ticket) -> Option<HeartbeatReply> {
    (!s.is_waiting(ticket)).then(|| s.beaten(ticket).unwrap())
}

#[test]
pub(super) fn everybody_who_waits_hears_of_a_rebalance_when_it_begins() {
    let mut s = Scene::new();
    let ids = s.stable(3);
    let waiting: Vec<Ticket> =
        ids.iter().map(|id| s.patient_heartbeat(id, 1, Patience::Overlapping).unwrap()).collect();
    s.wait(1_000);
    assert!(waiting.iter().all(|ticket| s.is_waiting(*ticket)), "there is nothing to tell");
    s.enter(Join::new());
    for ticket in waiting {
        assert_eq!(s.heard(ticket), ErrorCode::RebalanceInProgress);
    }
}

#[test]
fn what_else_ends_a_generation_is_told_too() {
    type Act = fn(&mut Scene, &[String]);
    let acts: [(&str, Act); 3] = [
        ("a member leaves", |s, ids| _ = s.leave(&[(&ids[1], None)]).unwrap()),
        ("a member was silent for its session", |s, _| s.wait(1_500)),
        ("the leader joins again", |s, ids| _ = s.join(Join::new().member(&ids[2]))),
    ];
    for (what, act) in acts {
        let mut s = Scene::new();
        let mut ids = s.stable(3);
        ids.rotate_left(1);
        s.wait(SESSION_MS as u64 - 1_500);
        s.heartbeat(&ids[2], 1).unwrap();
        let ticket = s.patient_heartbeat(&ids[0], 1, Patience::Overlapping).unwrap();
        act(&mut s, &ids);
        assert_eq!(s.heard(ticket), ErrorCode::RebalanceInProgress, "{what}");
    }
}

#[test]
fn who_is_taken_out_is_told_so() {
    let mut s = Scene::new();
    let ids = s.stable(2);
    let ticket = s.patient_heartbeat(&ids[1], 1, Patience::Overlapping).unwrap();
    s.leave(&[(&ids[1], None)]).unwrap();
    assert_eq!(s.heard(ticket), ErrorCode::UnknownMemberId);
    let ticket = s.patient_heartbeat(&ids[0], 1, Patience::Overlapping);
    assert_eq!(ticket, Err(ErrorCode::RebalanceInProgress), "while the group is prepared nobody waits");
}

#[test]
fn a_wait_ends_without_news() {
    let mut s = Scene::new();
    let ids = s.stable(2);
    let hold = |s: &mut Scene| s.patient_heartbeat(&ids[0], 1, Patience::Overlapping).unwrap();
    // Its time is over: a third of the session, here less than `group.heartbeat.hold.ms`.
    let ticket = hold(&mut s);
    s.wait(SESSION_MS as u64 / 3 - 1);
    assert!(s.is_waiting(ticket));
    s.wait(1);
    assert_eq!(s.heard(ticket), ErrorCode::None);
    // The client sent something else.
    let ticket = hold(&mut s);
    s.end(ticket, Ending::NextRequest);
    assert_eq!(s.heard(ticket), ErrorCode::None);
    // The member sent its next one on another connection.
    let ticket = hold(&mut s);
    let next = hold(&mut s);
    assert_eq!(s.heard(ticket), ErrorCode::None);
    // The process stops: nobody waits any more.
    s.coordinator.end_all_holds(s.now);
    s.pump();
    assert_eq!(s.heard(next), ErrorCode::None);
    assert_eq!(s.patient_heartbeat(&ids[0], 1, Patience::Overlapping), Err(ErrorCode::None));
    // Its group is not served here any more.
    let mut s = Scene::new();
    let ids = s.stable(1);
    let ticket = s.patient_heartbeat(&ids[0], 1, Patience::Overlapping).unwrap();
    s.coordinator.unload(s.now, 0);
    s.pump();
    assert_eq!(s.heard(ticket), ErrorCode::NotCoordinator);
}

#[test]
fn who_does_not_wait() {
    let mut s = Scene::new();
    let ids = s.stable(1);
    assert_eq!(s.patient_heartbeat(&ids[0], 1, Patience::None), Err(ErrorCode::None), "an unknown client");
    // One whose connection ended while it waited may be one that waits for a shorter time only.
    let ticket = s.patient_heartbeat(&ids[0], 1, Patience::Overlapping).unwrap();
    s.end(ticket, Ending::Closed);
    s.heard(ticket);
    assert_eq!(s.patient_heartbeat(&ids[0], 1, Patience::Overlapping), Err(ErrorCode::None));
    for (join, what) in [
        (Join::new().instance("i"), "a static member"),
        (Join::new().protocols(&[("stream", b"")]), "a member of Kafka Streams"),
    ] {
        let mut s = Scene::new();
        let is_static = join.0.instance.is_some();
        let (id, ticket) = if is_static { (String::new(), s.join(join)) } else { s.enter(join) };
        s.wait(2 * DELAY_MS);
        let joined = s.joined(ticket);
        let id = if is_static { joined.member } else { id };
        let ticket = s.sync_as(&id, is_static.then_some("i"), 1, &[]);
        s.synced(ticket);
        let request = HeartbeatRequest { group: "g".into(), generation: 1, member: id.as_str().into(), instance: None };
        assert_eq!(s.coordinator.heartbeat(s.now, &request), Ok(()), "{what}");
        assert_eq!(s.coordinator.hold_ms(&request, Patience::Overlapping), None, "{what}");
    }
}

#[test]
fn a_client_of_one_heartbeat_at_a_time_has_its_answer_before_the_next() {
    let mut s = Scene::new();
    let ids = s.stable(2);
    let beat = |s: &mut Scene| s.patient_heartbeat(&ids[0], 1, Patience::OneByOne);
    assert_eq!(beat(&mut s), Err(ErrorCode::None), "its interval is not known yet");
    s.wait(2_000);
    let ticket = beat(&mut s).unwrap();
    s.wait(1_799);
    assert!(s.is_waiting(ticket));
    s.wait(1);
    assert_eq!(s.heard(ticket), ErrorCode::None);
    s.wait(200);
    let ticket = beat(&mut s).unwrap();
    s.enter(Join::new());
    assert_eq!(s.heard(ticket), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_wait_does_not_lengthen_a_session() {
    let mut s = Scene::new();
    let ids = s.stable(2);
    s.patient_heartbeat(&ids[0], 1, Patience::Overlapping).unwrap();
    s.wait(SESSION_MS as u64 - 1);
    s.heartbeat(&ids[1], 1).unwrap();
    assert_eq!(s.state(), "Stable");
    s.wait(1);
    assert_eq!(s.state(), "PreparingRebalance", "from the heartbeat on, not from its answer");
}

#[test]
fn a_member_of_the_consumer_protocol_hears_at_once_what_to_give_up_and_what_is_its_own() {
    let mut s = Scene::with_topics(&[("t", 4)]);
    let (mut clients, tickets) = waiting_clients(&mut s, &["a"]);
    let mut second = Client::new("b");
    second.cycle(&mut s);
    assert_eq!(second.count(), 0);
    let reply = told(&mut s, tickets[0]).expect("there is something to give up");
    clients[0].hear(&reply);
    assert_eq!(clients[0].count(), 2);
    // The second says that it has nothing, and waits for the first to give up.
    let waiting = s.beat(patient(second.beat()));
    assert!(s.is_waiting(waiting));
    // While the first is about to give up it is answered at once: its next words must not wait.
    let reply = s.ask(patient(Beat::at("a", clients[0].epoch))).unwrap();
    assert_eq!(reply.assignment, None);
    clients[0].cycle(&mut s);
    second.hear(&told(&mut s, waiting).expect("partitions are free"));
    assert_eq!(second.count(), 2);
    assert_eq!(s.consumer_state(), "Stable");
}

#[test]
fn a_member_that_awaits_others_is_heard_of_again_soon_and_then_as_ever() {
    let mut s = Scene::with_topics(&[("t", 4)]);
    let (mut clients, tickets) = waiting_clients(&mut s, &["a"]);
    let joined = s.ask(Client::new("b").beat()).unwrap();
    assert_eq!((joined.assignment.is_none_or(|all| all.is_empty()), joined.interval_ms), (true, 500));
    clients[0].hear(&told(&mut s, tickets[0]).expect("there is something to give up"));
    let waiting = s.beat(patient(Beat::at("b", joined.epoch)));
    assert!(s.is_waiting(waiting));
    clients[0].cycle(&mut s);
    assert_eq!(told(&mut s, waiting).expect("partitions are free").interval_ms, 5_000);
}

#[test]
fn who_leaves_the_consumer_protocol_is_noticed_by_all_who_wait() {
    let mut s = Scene::with_topics(&[("t", 6)]);
    let (mut clients, tickets) = waiting_clients(&mut s, &["a", "b", "c"]);
    s.ask(Beat::at("c", -1)).unwrap();
    let written = s.log.len();
    for (client, ticket) in clients.iter_mut().zip(&tickets).take(2) {
        client.hear(&told(&mut s, *ticket).expect("there is a share more"));
    }
    assert_eq!(clients[0].count() + clients[1].count(), 6);
    assert_eq!(s.beaten(tickets[2]), Err(ErrorCode::UnknownMemberId));
    assert_eq!(s.log.len(), written, "what they were told was written before");
}

#[test]
fn what_is_told_late_is_durable_too() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let (_, tickets) = waiting_clients(&mut s, &["a", "b"]);
    s.disk(Disk::Stalled);
    let leave = s.beat(Beat::at("b", -1));
    assert!(s.is_waiting(leave) && s.is_waiting(tickets[0]), "the disk is stalled");
    s.disk(Disk::Fine);
    assert_eq!(told(&mut s, tickets[0]).unwrap().assignment.map(|all| all[&id_of("t")].len()), Some(2));
}

#[test]
fn a_member_of_the_consumer_protocol_waits_less_than_its_interval() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let (clients, tickets) = waiting_clients(&mut s, &["a"]);
    s.wait(4_499);
    assert!(s.is_waiting(tickets[0]));
    s.wait(1);
    let reply = told(&mut s, tickets[0]).unwrap();
    assert_eq!((reply.epoch, reply.interval_ms, reply.assignment), (clients[0].epoch, 5_000, None));
    // Its session began with the heartbeat.
    let ticket = s.beat(patient(clients[0].beat()));
    s.wait(SESSION - 1);
    told(&mut s, ticket).unwrap();
    assert_eq!(s.consumer_state(), "Stable");
    s.wait(1);
    assert_eq!(s.consumer_state(), "Empty");
}

#[test]
fn new_partitions_are_told_with_the_first_heartbeat_that_comes() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let (mut clients, tickets) = waiting_clients(&mut s, &["a", "b"]);
    s.change_topics(&[2, 3].map(|p| super::consumers::partition_record("t", p)));
    clients[0].cycle(&mut s);
    assert_eq!(clients[0].count(), 2);
    clients[1].hear(&told(&mut s, tickets[1]).expect("its share has grown"));
    assert_eq!(clients[1].count(), 2);
}

#[test]
fn a_classic_member_in_a_consumer_group_is_sent_to_join_at_once() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let id = super::migration::classic(&mut s);
    let ticket = s.patient_heartbeat(&id, 1, Patience::Overlapping).unwrap();
    let mut modern = Client::new("b");
    modern.cycle(&mut s);
    assert_eq!(s.heard(ticket), ErrorCode::RebalanceInProgress);
}

#[test]
fn it_can_be_switched_off() {
    let statics = [("group.heartbeat.hold.ms".to_owned(), "0".to_owned())].into();
    let settings = crate::settings::BrokerSettings::new(1, Vec::new(), statics);
    let mut s = Scene::new();
    s.coordinator.follow(Arc::new(crate::image::MetadataImage::new(Arc::new(settings))));
    let ids = s.stable(1);
    assert_eq!(s.patient_heartbeat(&ids[0], 1, Patience::Overlapping), Err(ErrorCode::None));
}

#[test]
fn nothing_is_kept_of_who_is_gone() {
    let mut s = Scene::with_topics(&[("t", 2)]);
    let (_, tickets) = waiting_clients(&mut s, &["a", "b"]);
    ["a", "b"].iter().for_each(|id| drop(s.ask(Beat::at(id, -1)).unwrap()));
    tickets.iter().for_each(|ticket| assert!(!s.is_waiting(*ticket)));
    assert!(s.coordinator.holds.is_empty());
}
