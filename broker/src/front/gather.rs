//! The parts of one request while they are out at the shards that own their partitions: split, gathered, answered.

use super::message::{Ask, AskPart, Failure, Message, Tell, Ticket};
use crate::Broker;
use crate::api;
use crate::image::{TopicImage, shard_of};
use crate::io::{Effect, Origin, ShardId};
use crate::partition::PartitionKey;
use crate::request::Header;
use crate::store::Store;
use protocol::{ErrorCode, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One topic of a request, as the request named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AskedTopic {
    /// Its name, empty where the request has ids.
    pub(crate) name: Arc<str>,
    /// Its id, zero where the request has names.
    pub(crate) id: Uuid,
    /// Its partitions; each is one slot of the gather.
    pub(crate) partitions: Vec<i32>,
}

/// What kind of request waits, and what its answer needs besides the parts.
#[derive(Debug)]
pub(crate) enum Kind {
    Produce { acks: i16 },
    Fetch(api::k01_fetch::FetchWait),
    ListOffsets,
    DeleteRecords,
    EpochEnd,
    Producers,
    Moves,
}

/// One request that waits for parts.
#[derive(Debug)]
pub(crate) struct Gather<C> {
    /// Whose request it is.
    pub(crate) origin: Origin,
    /// Its header.
    pub(crate) header: Header,
    /// When waiting ends, monotonic milliseconds.
    pub(crate) deadline_ms: Option<u64>,
    /// Topics and partitions in the request's order.
    pub(crate) topics: Vec<AskedTopic>,
    /// The answers so far: one slot for each partition of `topics`, in order.
    pub(crate) slots: Vec<Option<Tell<C>>>,
    /// Number of empty slots.
    pub(crate) open: usize,
    pub(crate) kind: Kind,
}

/// The parts of a request in the making.
#[derive(Debug)]
pub(crate) struct Parts<C> {
    pub(crate) topics: Vec<AskedTopic>,
    pub(crate) slots: Vec<Option<Tell<C>>>,
    asks: Vec<(ShardId, u32, PartitionKey, Ask<C>)>,
}

impl<C> Parts<C> {
    pub(crate) fn new() -> Self {
        Parts { topics: Vec::new(), slots: Vec::new(), asks: Vec::new() }
    }

    /// Begins the next topic.
    pub(crate) fn topic(&mut self, name: Arc<str>, id: Uuid) {
        self.topics.push(AskedTopic { name, id, partitions: Vec::new() });
    }

    fn slot(&mut self, index: i32, tell: Option<Tell<C>>) -> u32 {
        let Some(topic) = self.topics.last_mut() else { unreachable!("a partition comes after its topic") };
        topic.partitions.push(index);
        self.slots.push(tell);
        (self.slots.len() - 1) as u32
    }

    /// Adds a partition whose answer is known already.
    pub(crate) fn told(&mut self, index: i32, tell: Tell<C>) {
        self.slot(index, Some(tell));
    }

    /// Adds a partition whose owner is asked.
    pub(crate) fn ask(&mut self, owner: ShardId, key: PartitionKey, ask: Ask<C>) {
        let slot = self.slot(key.index, None);
        self.asks.push((owner, slot, key, ask));
    }
}

impl<S: Store> Broker<S> {
    /// The topic of that name, as requests before topic ids ask for it.
    pub(crate) fn topic_by_name(&self, name: &str) -> Result<Arc<TopicImage>, ErrorCode> {
        self.image.topic(name).cloned().ok_or(ErrorCode::UnknownTopicOrPartition)
    }

    /// The topic of that id.
    pub(crate) fn topic_by_id(&self, id: Uuid) -> Result<Arc<TopicImage>, ErrorCode> {
        self.image.topic_by_id(id).cloned().ok_or(ErrorCode::UnknownTopicId)
    }

    /// Where a partition of `topic` lives.
    pub(crate) fn locate(&self, topic: &TopicImage, index: i32) -> Result<(ShardId, PartitionKey), ErrorCode> {
        topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        Ok((shard_of(topic.id, index, self.shards), PartitionKey { topic: topic.id, index }))
    }

    /// Sends the parts of a request to their owners and answers it once all, or the deadline, have come.
    pub(crate) fn gather(
        &mut self,
        origin: Origin,
        header: &Header,
        deadline_ms: Option<u64>,
        parts: Parts<S::Chunk>,
        kind: Kind,
    ) -> u64 {
        let open = parts.asks.len();
        for (owner, _, _, ask) in &parts.asks {
            if let Ask::Produce(ask) = ask {
                self.note_traffic(origin, *owner, ask.records.len());
            }
        }
        let gather = Gather {
            origin,
            header: header.clone(),
            deadline_ms,
            topics: parts.topics,
            slots: parts.slots,
            open,
            kind,
        };
        let id = self.front.open(gather);
        self.ask_owners(id, parts.asks);
        if open == 0 {
            self.gathered(id);
        }
        id
    }

    fn ask_owners(&mut self, gather: u64, asks: Vec<(ShardId, u32, PartitionKey, Ask<S::Chunk>)>) {
        // On one shard, and in most requests on several, all parts are ours: nothing to sort.
        if asks.iter().all(|(owner, ..)| *owner == self.me) {
            return self.asked(self.me, gather, asks.into_iter().map(|(_, slot, key, ask)| (slot, key, ask)));
        }
        let mut by_owner: BTreeMap<ShardId, Vec<AskPart<S::Chunk>>> = BTreeMap::new();
        for (owner, slot, key, ask) in asks {
            by_owner.entry(owner).or_default().push((slot, key, ask));
        }
        // Ours last: with them the request may be complete.
        let ours = by_owner.remove(&self.me);
        for (to, parts) in by_owner {
            self.effects.push_back(Effect::Send { to, msg: Message::Ask { gather, parts } });
        }
        if let Some(parts) = ours {
            self.asked(self.me, gather, parts);
        }
    }

    /// Does what another shard, or this one, asks of partitions here.
    pub(crate) fn asked(&mut self, shard: ShardId, gather: u64, parts: impl IntoIterator<Item = AskPart<S::Chunk>>) {
        let mut fetches = Vec::new();
        for (slot, key, ask) in parts {
            let ticket = Ticket { shard, gather, slot };
            match ask {
                Ask::Produce(ask) => self.produce(ticket, key, ask),
                Ask::Fetch(ask) => fetches.push((ticket, key, ask)),
                Ask::ListOffset(ask) => self.list_offset(ticket, key, ask),
                Ask::ListSegments { timestamp, count_max } => self.list_segments(ticket, key, timestamp, count_max),
                Ask::DeleteRecords { offset } => self.delete_records(ticket, key, offset),
                Ask::Producers => self.describe_producers(ticket, key),
                Ask::Move(to) => self.move_replica(ticket, key, to),
                Ask::EpochEnd { current_epoch, epoch } => self.epoch_end(ticket, key, current_epoch, epoch),
            }
        }
        self.fetch(&fetches);
    }

    /// Hands an answer to whoever gathers.
    pub(crate) fn tell(&mut self, ticket: Ticket, tell: Tell<S::Chunk>) {
        if ticket.shard == self.me {
            self.told(self.me, ticket, tell);
        } else {
            self.outbox.entry(ticket.shard).or_default().push((ticket, tell));
        }
    }

    /// Sends what this turn has to tell other shards, one message each.
    pub(crate) fn flush_outbox(&mut self) {
        while let Some((to, parts)) = self.outbox.pop_first() {
            self.effects.push_back(Effect::Send { to, msg: Message::Tell { parts } });
        }
    }

    /// An answer arrived. It may be late, or come again for a fetch that waits.
    pub(crate) fn told(&mut self, from: ShardId, ticket: Ticket, tell: Tell<S::Chunk>) {
        let Some(gather) = self.front.gathers.get_mut(&ticket.gather) else { return };
        if let (Tell::Fetched(fetched), origin) = (&tell, gather.origin) {
            let bytes = fetched.size_bytes();
            self.note_traffic(origin, from, bytes);
        }
        let Some(gather) = self.front.gathers.get_mut(&ticket.gather) else { return };
        let Some(slot) = gather.slots.get_mut(ticket.slot as usize) else { return };
        if slot.replace(tell).is_none() {
            gather.open -= 1;
        }
        if gather.open == 0 {
            self.gathered(ticket.gather);
        }
    }

    /// All parts are there: answers, unless it is a fetch that may still wait for more.
    fn gathered(&mut self, id: u64) {
        let Some(gather) = self.front.gathers.get(&id) else { return };
        if let Kind::Fetch(wait) = &gather.kind
            && !wait.is_enough(&gather.slots)
        {
            return;
        }
        self.finish(id);
    }

    /// The deadline of a gather has come: answers with what there is.
    pub(crate) fn late(&mut self, id: u64) {
        let Some(gather) = self.front.gathers.get_mut(&id) else { return };
        match &mut gather.kind {
            // Batches are on their way from a disk or another shard: not a wait for data.
            Kind::Fetch(wait) if gather.open > 0 => {
                wait.expired = true;
                if let Some(deadline_ms) = gather.deadline_ms.take() {
                    self.front.deadlines.remove(&(deadline_ms, id));
                }
            }
            Kind::Fetch(_) => self.finish(id),
            _ => {
                for slot in gather.slots.iter_mut().filter(|slot| slot.is_none()) {
                    *slot = Some(Tell::Produced(Err(Failure::from(ErrorCode::RequestTimedOut))));
                }
                self.finish(id);
            }
        }
    }

    fn finish(&mut self, id: u64) {
        let Some(gather) = self.front.close(id) else { return };
        match &gather.kind {
            Kind::Produce { acks } => api::k00_produce::finish(self, &gather, *acks),
            Kind::Fetch(wait) => {
                self.end_watches(id, wait);
                api::k01_fetch::finish(self, &gather, wait);
            }
            Kind::ListOffsets => api::k02_list_offsets::finish(self, &gather),
            Kind::DeleteRecords => api::k21_delete_records::finish(self, &gather),
            Kind::EpochEnd => api::k23_offset_for_leader_epoch::finish(self, &gather),
            Kind::Producers => api::k61_describe_producers::finish(self, &gather),
            Kind::Moves => api::k34_alter_replica_log_dirs::finish(self, &gather),
        }
    }

    fn end_watches(&mut self, id: u64, wait: &api::k01_fetch::FetchWait) {
        for &owner in &wait.watchers {
            if owner == self.me {
                self.unwatch(self.me, id);
            } else {
                self.effects.push_back(Effect::Send { to: owner, msg: Message::Unwatch { gather: id } });
            }
        }
    }

    /// A connection is gone: its long polls wait for nothing any more.
    pub(crate) fn drop_polls(&mut self, conn: crate::ConnId) {
        let of_conn = |gather: &&Gather<S::Chunk>| gather.origin.conn == conn;
        let polls: Vec<u64> = self
            .front
            .gathers
            .iter()
            .filter(|(_, gather)| of_conn(gather) && matches!(gather.kind, Kind::Fetch(_)))
            .map(|(id, _)| *id)
            .collect();
        for id in polls {
            if let Some(gather) = self.front.close(id)
                && let Kind::Fetch(wait) = &gather.kind
            {
                self.end_watches(id, wait);
            }
        }
    }
}
