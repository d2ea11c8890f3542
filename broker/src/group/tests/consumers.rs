//! The door for tests of groups of the new protocol: [`Beat`] builds heartbeats, [`Client`] behaves as a consumer does, and [`Scene`]
//! has topics.

use super::*;
use crate::controller::record::{PartitionRecord, Record as MetadataRecord};
use crate::front::Patience;
use crate::group::consumer::heartbeat::{ConsumerHeartbeat, HeartbeatReply};
use crate::group::consumer::partitions::{self, Partitions};
use crate::image::MetadataImage;
use protocol::Uuid;
use std::collections::BTreeSet;

pub(super) const SESSION: u64 = 45_000;

/// Builds heartbeats.
#[derive(Clone)]
pub(super) struct Beat(pub(super) ConsumerHeartbeat);

impl Beat {
    pub(super) fn at(member: &str, epoch: i32) -> Self {
        Beat(ConsumerHeartbeat {
            version: 1,
            patience: Patience::None,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            group: "g".into(),
            member: member.into(),
            epoch,
            instance: None,
            rack: None,
            rebalance_timeout_ms: -1,
            names: None,
            regex: None,
            assignor: None,
            owned: None,
        })
    }

    /// Of a member that joins and reads `t`.
    pub(super) fn join(member: &str) -> Self {
        Beat::at(member, 0).names(&["t"]).owns(&Partitions::new()).rebalance_ms(REBALANCE_MS)
    }

    pub(super) fn names(self, names: &[&str]) -> Self {
        Beat(ConsumerHeartbeat { names: Some(names.iter().map(|name| Arc::from(*name)).collect()), ..self.0 })
    }

    pub(super) fn regex(self, regex: &str) -> Self {
        Beat(ConsumerHeartbeat { regex: Some(regex.into()), ..self.0 })
    }

    pub(super) fn owns(self, owned: &Partitions) -> Self {
        Beat(ConsumerHeartbeat { owned: Some(owned.clone()), ..self.0 })
    }

    pub(super) fn rebalance_ms(self, ms: i32) -> Self {
        Beat(ConsumerHeartbeat { rebalance_timeout_ms: ms, ..self.0 })
    }

    pub(super) fn instance(self, instance: &str) -> Self {
        Beat(ConsumerHeartbeat { instance: Some(instance.into()), ..self.0 })
    }

    pub(super) fn assignor(self, name: &str) -> Self {
        Beat(ConsumerHeartbeat { assignor: Some(name.into()), ..self.0 })
    }
}

/// A consumer as far as it knows.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) epoch: i32,
    pub(super) owned: Partitions,
    pub(super) instance: Option<&'static str>,
    pub(super) names: &'static [&'static str],
    /// It missed an answer: as real ones do, it tells everything next time, so that it is told everything.
    pub(super) missed: bool,
    pub(super) rebalance_ms: i32,
}

impl Client {
    pub(super) fn new(id: &str) -> Self {
        Client {
            id: id.to_owned(),
            epoch: 0,
            owned: Partitions::new(),
            instance: None,
            names: &["t"],
            missed: false,
            rebalance_ms: REBALANCE_MS,
        }
    }

    /// Its next heartbeat: everything when it joins, what it owns afterwards.
    pub(super) fn beat(&self) -> Beat {
        let beat = match self.epoch {
            0 => Beat::join(&self.id).names(self.names).rebalance_ms(self.rebalance_ms),
            epoch => Beat::at(&self.id, epoch).owns(&self.owned),
        };
        let beat = if self.missed { beat.names(self.names).rebalance_ms(self.rebalance_ms) } else { beat };
        match self.instance {
            Some(instance) => beat.instance(instance),
            None => beat,
        }
    }

    /// Takes an answer in: it stops using what it has not, and begins to use what is new. Whether anything was.
    pub(super) fn hear(&mut self, reply: &HeartbeatReply) -> bool {
        let before = (self.epoch, self.owned.clone());
        (self.epoch, self.missed) = (reply.epoch, false);
        if let Some(assignment) = &reply.assignment {
            self.owned = assignment.clone();
        }
        before != (self.epoch, self.owned.clone())
    }

    pub(super) fn cycle(&mut self, scene: &mut Scene) -> bool {
        let ticket = scene.beat(self.beat());
        let reply = scene.beaten(ticket).expect("a member is welcome");
        self.hear(&reply)
    }

    pub(super) fn count(&self) -> usize {
        partitions::iter(&self.owned).count()
    }
}

/// A topic's id, of its name.
pub(super) fn id_of(name: &str) -> Uuid {
    let mut id = [0; 16];
    id[..name.len()].copy_from_slice(name.as_bytes());
    Uuid(id)
}

pub(super) fn partition_record(topic: &str, partition: i32) -> MetadataRecord {
    MetadataRecord::Partition(PartitionRecord {
        topic: id_of(topic),
        partition,
        leader: 1,
        leader_epoch: 0,
        replicas: vec![1],
        isr: vec![1],
    })
}

/// Nobody owns what somebody else owns.
#[track_caller]
pub(super) fn check_disjoint<'a>(clients: impl Iterator<Item = &'a Client>) {
    let mut seen = BTreeSet::new();
    for client in clients {
        for at in partitions::iter(&client.owned) {
            assert!(seen.insert(at), "{at:?} has two owners, one of them {}", client.id);
        }
    }
}

impl Scene {
    /// A broker with these topics, which assigns at every change.
    pub(super) fn with_topics(topics: &[(&str, i32)]) -> Self {
        let mut scene = Scene::with(|settings| settings.consumer.group.assignment_interval_ms = 0);
        topics.iter().for_each(|(name, count)| scene.add_topic(name, *count));
        scene
    }

    pub(super) fn add_topic(&mut self, name: &str, count: i32) {
        let mut records = vec![MetadataRecord::Topic { name: name.to_owned(), id: id_of(name) }];
        records.extend((0..count).map(|partition| partition_record(name, partition)));
        self.change_topics(&records);
    }

    pub(super) fn change_topics(&mut self, records: &[MetadataRecord]) {
        let image: &MetadataImage = &self.coordinator.fx.image;
        let image = image.with(records, image.version() + 1).unwrap();
        self.coordinator.follow(Arc::new(image));
    }

    pub(super) fn beat(&mut self, beat: Beat) -> Ticket {
        let ticket = self.ticket();
        self.coordinator.consumer_heartbeat(self.now, ticket, beat.0);
        self.pump();
        ticket
    }

    #[track_caller]
    pub(super) fn beaten(&mut self, ticket: Ticket) -> Result<HeartbeatReply, ErrorCode> {
        match self.replies.remove(&ticket) {
            Some(Reply::ConsumerHeartbeat(reply)) => reply.map_err(|refused| refused.error),
            other => panic!("no answer to ConsumerGroupHeartbeat but {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn ask(&mut self, beat: Beat) -> Result<HeartbeatReply, ErrorCode> {
        let ticket = self.beat(beat);
        self.beaten(ticket)
    }

    /// Heartbeats of all in turn until nothing changes; at no time does a partition have two owners.
    #[track_caller]
    pub(super) fn settle(&mut self, clients: &mut [Client]) {
        for _ in 0..30 {
            let mut changed = false;
            for at in 0..clients.len() {
                changed |= clients[at].cycle(self);
                check_disjoint(clients.iter());
            }
            if !changed {
                return;
            }
        }
        panic!("the group does not settle: {clients:?}");
    }

    pub(super) fn consumer_state(&self) -> &'static str {
        self.coordinator.describe_consumer(&"g".into()).unwrap().map_or("none", |group| group.state)
    }
}
