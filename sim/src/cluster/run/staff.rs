//! Who works in a run: producers, consumers and members for each new topic.

use super::Run;
use crate::cluster::client::Client;
use crate::cluster::consumer::Consumer;
use crate::cluster::member::Member;
use crate::cluster::old;
use crate::cluster::operator::Operator;
use crate::cluster::plan::Feature;
use crate::cluster::producer::{Habits, Kind, Producer};
use crate::cluster::remote::Remote;
use crate::cluster::truth::Part;
use protocol::compress::Codec;

impl Run {
    /// Gives new topics and partitions somebody who uses them.
    pub(super) fn employ(&mut self) {
        let born = std::mem::take(&mut self.admin.born);
        let grown = std::mem::take(&mut self.admin.grown);
        self.clients.retain(|client| !client.is_out_of_work(&self.truth));
        for topic in born {
            let parts = (0..self.truth.topics[topic].partitions.len()).map(|index| Part { topic, index: index as i32 });
            let parts: Vec<Part> = parts.collect();
            parts.iter().for_each(|part| self.hire_producer(*part));
            if self.plan.has(Feature::Groups) && self.rng.coin() {
                self.hire_group(topic);
            }
            if self.plan.has(Feature::Consumers) {
                let remote = self.remote("consumer");
                let old = self.plan.old_version(&remote.who, old::FETCH_MAX);
                let old = old.filter(|_| self.truth.topics[topic].compacts.is_none());
                self.hire(Client::Consumer(Consumer::new(remote, &parts).of_version(old)));
            }
        }
        grown.into_iter().for_each(|part| self.hire_producer(part));
    }

    fn hire_group(&mut self, topic: usize) {
        let mut rng = self.plan.rng(&format!("group protocol {topic}"));
        let is_modern = rng.coin();
        let mixes = self.plan.has(Feature::Migration) && rng.below(3) > 0;
        for _ in 0..1 + self.rng.below(3) {
            let remote = self.remote("member");
            let old = self.plan.old_version(&remote.who, 0).is_some();
            let is_java = self.plan.rng(&format!("java {}", remote.who)).below(3) == 0;
            let member = Member::new(remote, format!("g{topic}"), topic).java(is_java);
            let member = if mixes { member.among_both() } else { member.old(old) };
            let is_modern = if mixes { rng.coin() } else { is_modern };
            self.hire(Client::Member(if is_modern { member.modern() } else { member }));
        }
    }

    /// Whoever runs the cluster, besides the clients that there may be.
    pub(super) fn hire_operator(&mut self) {
        if let Some(operation) = self.plan.operation() {
            self.operators += 1;
            let who = format!("operator {}", self.operators);
            let rng = self.plan.rng(&who);
            self.clients.push(Client::Operator(Box::new(Operator::new(Remote::new(who, rng), operation))));
        }
    }

    fn hire(&mut self, client: Client) {
        if self.clients.len() < self.plan.clients + self.operators.min(1) as usize {
            self.clients.push(client);
        }
    }

    pub(super) fn remote(&mut self, what: &str) -> Remote {
        self.made += 1;
        let who = format!("{what} {}", self.made);
        let rng = self.plan.rng(&who);
        Remote::new(who, rng)
    }

    fn hire_producer(&mut self, part: Part) {
        let mut remote = self.remote("producer");
        let rng = &mut remote.rng;
        let plain = self.plan.has(Feature::Plain) && (rng.coin() || !self.plan.has(Feature::Idempotent));
        let kind = match rng.below(6) {
            _ if !plain => Kind::Idempotent,
            0 => Kind::Plain { acks: 0 },
            1 | 2 => Kind::Plain { acks: 1 },
            _ => Kind::Plain { acks: -1 },
        };
        let compacts = self.truth.topics[part.topic].compacts.is_some();
        let old = self.plan.old_version(&remote.who, old::PRODUCE_MAX);
        let rng = &mut remote.rng;
        let large = self.plan.has(Feature::LargeBatches) && rng.below(4) == 0;
        let habits = Habits {
            kind,
            window: 1 + rng.below(5) as usize,
            gap_ms: 5 + rng.below(40),
            record_bytes: if large { 40_000 } else { [30, 300, 3_000][rng.below(3) as usize] },
            codec: if rng.below(4) == 0 { Codec::Lz4 } else { Codec::None },
            old: old.filter(|_| plain && !compacts),
            compacts,
        };
        let number = self.made;
        self.hire(Client::Producer(Producer::new(remote, number, part, habits)));
    }
}
