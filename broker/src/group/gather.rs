//! Requests about several groups: each group is asked on the shard that owns it, and the answers are put together on the
//! shard of the connection. Requests about one group are forwarded whole instead; see `wiring`.

use super::consumer::describe::DescribedConsumerGroup;
use super::describe::{DescribedGroup, ListedGroup};
use super::ids::{GroupId, MemberId};
use super::offsets::Committed;
use super::wiring::Waiting;

use crate::front::message::Ticket as PartTicket;
use crate::io::{Effect, Origin, ShardId};
use crate::request::Header;
use crate::store::Store;
use crate::{Broker, Message};
use protocol::ErrorCode;
use std::sync::Arc;

/// What another shard's coordinator is asked.
#[derive(Clone, Debug)]
pub struct GroupAsk(pub(crate) Ask);

/// What a coordinator answers another shard.
#[derive(Clone, Debug)]
pub struct GroupTell(pub(crate) Tell);

/// One question about one group, or about all groups of a shard.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// Its committed offsets.
    Fetch(FetchAsk),
    /// What it looks like.
    Describe {
        /// Which group.
        group: GroupId,
        /// What the client may do with it, passed through.
        operations: i32,
    },
    /// What it looks like as a group of the new protocol.
    DescribeConsumer {
        /// Which group.
        group: GroupId,
        /// What the client may do with it, passed through.
        operations: i32,
    },
    /// Delete it.
    Delete(GroupId),
    /// All groups here.
    List {
        /// States wanted; empty is all.
        states: Vec<String>,
        /// Types wanted; empty is all.
        types: Vec<String>,
    },
}

/// The answer to an [`Ask`].
#[derive(Clone, Debug)]
pub(crate) enum Tell {
    /// To [`Ask::Fetch`].
    Fetched(FetchTell),
    /// To [`Ask::Describe`].
    Described {
        /// Which group.
        group: GroupId,
        /// As in the question.
        operations: i32,
        /// `None` when there is no such group.
        described: Result<Option<DescribedGroup>, ErrorCode>,
    },
    /// To [`Ask::DescribeConsumer`].
    DescribedConsumer {
        /// Which group.
        group: GroupId,
        /// As in the question.
        operations: i32,
        /// `None` when there is no such group.
        described: Result<Option<DescribedConsumerGroup>, ErrorCode>,
    },
    /// To [`Ask::Delete`].
    Deleted(GroupId, ErrorCode),
    /// To [`Ask::List`].
    Listed(Result<Vec<ListedGroup>, ErrorCode>),
}

/// Offsets of one group that are wanted.
#[derive(Clone, Debug)]
pub(crate) struct FetchAsk {
    /// Which group.
    pub(crate) group: GroupId,
    /// Who asks, where it says so (KIP-848).
    pub(crate) reader: Option<(MemberId, i32)>,
    /// Which offsets; all without it.
    pub(crate) topics: Option<Vec<FetchTopic>>,
}

/// A topic of an offset fetch.
#[derive(Clone, Debug)]
pub(crate) struct FetchTopic {
    /// Its name; empty when the request named an id that no topic has.
    pub(crate) name: Arc<str>,
    /// Its id as the request had it, or zeros.
    pub(crate) id: [u8; 16],
    /// Its partitions.
    pub(crate) partitions: Vec<i32>,
}

/// Offsets of one group.
#[derive(Clone, Debug)]
pub(crate) struct FetchTell {
    /// Which group.
    pub(crate) group: GroupId,
    /// For the whole group.
    pub(crate) error: ErrorCode,
    /// In the order of the question, with the question's partitions.
    pub(crate) topics: Vec<(FetchTopic, Vec<Option<Committed>>)>,
}

/// One request that waits for answers about groups.
#[derive(Debug)]
pub(crate) struct GroupGather {
    /// Whose it is.
    pub(crate) origin: Origin,
    /// Its header, which tells how the answer is put together.
    pub(crate) header: Header,
    slots: Vec<Option<Tell>>,
}

impl<S: Store> Broker<S> {
    /// Asks every group's owner, and answers the request once all have told.
    pub(crate) fn gather_groups(&mut self, origin: Origin, header: &Header, asks: Vec<(ShardId, Ask)>) {
        let gather = self.groups.next_gather();
        let slots = asks.iter().map(|_| None).collect();
        let waiting = GroupGather { origin, header: header.clone(), slots };
        if asks.is_empty() {
            return super::answers::gathered(self, &waiting, Vec::new());
        }
        self.groups.gathers.insert(gather, waiting);
        for (slot, (owner, ask)) in (0u32..).zip(asks) {
            let ticket = PartTicket { shard: self.me, gather, slot };
            if owner == self.me {
                self.group_asked(ticket, GroupAsk(ask));
            } else {
                let msg = Message::GroupAsk { ticket, ask: GroupAsk(ask) };
                self.effects.push_back(Effect::Send { to: owner, msg });
            }
        }
    }

    /// Answers a question about a group here.
    pub(crate) fn group_asked(&mut self, ticket: PartTicket, GroupAsk(ask): GroupAsk) {
        let tell = match ask {
            Ask::Fetch(ask) => Tell::Fetched(self.fetch_offsets(ask)),
            Ask::Describe { group, operations } => {
                let described = self.groups.coordinator.describe(&group);
                Tell::Described { group, operations, described }
            }
            Ask::DescribeConsumer { group, operations } => {
                let described = self.groups.coordinator.describe_consumer(&group);
                Tell::DescribedConsumer { group, operations, described }
            }
            Ask::Delete(group) => {
                let waits = self.groups.wait(Waiting::Delete(ticket, group.clone()));
                self.groups.coordinator.delete_group(self.now, waits, &group);
                return self.drain_groups();
            }
            Ask::List { states, types } => {
                let states: Vec<&str> = states.iter().map(String::as_str).collect();
                let types: Vec<&str> = types.iter().map(String::as_str).collect();
                Tell::Listed(self.groups.coordinator.list(&states, &types))
            }
        };
        self.tell_group(ticket, tell);
    }

    fn fetch_offsets(&self, ask: FetchAsk) -> FetchTell {
        let FetchAsk { group, reader, topics } = ask;
        let coordinator = &self.groups.coordinator;
        if let Err(error) = coordinator.check_active(&group).and_then(|()| coordinator.check_reader(&group, reader)) {
            let nothing = |topic: FetchTopic| {
                let none = vec![None; topic.partitions.len()];
                (topic, none)
            };
            return FetchTell { group, error, topics: topics.unwrap_or_default().into_iter().map(nothing).collect() };
        }
        let found = match topics {
            Some(topics) => topics
                .into_iter()
                .map(|topic| {
                    let find = |p: &i32| coordinator.committed_offset(&group, &topic.name, *p).cloned();
                    let found = topic.partitions.iter().map(find).collect();
                    (topic, found)
                })
                .collect(),
            None => by_topic(coordinator.committed_offsets(&group)),
        };
        FetchTell { group, error: ErrorCode::None, topics: found }
    }

    /// Hands an answer to the shard that gathers.
    pub(crate) fn tell_group(&mut self, ticket: PartTicket, tell: Tell) {
        if ticket.shard == self.me {
            self.group_told(ticket, GroupTell(tell));
        } else {
            let msg = Message::GroupTell { ticket, tell: GroupTell(tell) };
            self.effects.push_back(Effect::Send { to: ticket.shard, msg });
        }
    }

    /// Takes an answer in; the last one answers the request.
    pub(crate) fn group_told(&mut self, ticket: PartTicket, GroupTell(tell): GroupTell) {
        let Some(gather) = self.groups.gathers.get_mut(&ticket.gather) else { return };
        if let Some(slot) = gather.slots.get_mut(ticket.slot as usize) {
            *slot = Some(tell);
        }
        if gather.slots.iter().any(Option::is_none) {
            return;
        }
        if let Some(mut gather) = self.groups.gathers.remove(&ticket.gather) {
            let tells = std::mem::take(&mut gather.slots).into_iter().flatten().collect();
            super::answers::gathered(self, &gather, tells);
        }
    }
}

/// Groups a list that is ordered by topic.
fn by_topic(all: Vec<(Arc<str>, i32, Committed)>) -> Vec<(FetchTopic, Vec<Option<Committed>>)> {
    let mut topics: Vec<(FetchTopic, Vec<Option<Committed>>)> = Vec::new();
    for (name, partition, committed) in all {
        if topics.last().is_none_or(|(topic, _)| topic.name != name) {
            topics.push((FetchTopic { name, id: [0; 16], partitions: Vec::new() }, Vec::new()));
        }
        if let Some((topic, found)) = topics.last_mut() {
            topic.partitions.push(partition);
            found.push(Some(committed));
        }
    }
    topics
}
