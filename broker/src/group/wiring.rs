//! The coordinator inside the broker: which shard a group belongs to, where its records go, and who gets its answers.

use super::coordinator::Coordinator;
use super::effects::{Output, Reply};
use super::gather::{GroupGather, Tell};
use super::hash;
use super::heartbeat::HeartbeatRequest;
use super::ids::{AppendToken, GroupId, Ticket};
use super::records;
use super::replay::OpenTransactions;
use super::settings::GroupSettings;
use crate::append_then::Then;
use crate::front::message::Ticket as PartTicket;
use crate::front::patience::Ending;
use crate::image::{MetadataImage, TopicImage, shard_of};
use crate::io::{ConnId, Effect, Now, Origin, ReadFault, ShardId};
use crate::request::{Header, Request};
use crate::settings::BrokerSettings;
use crate::store::Store;
use crate::{Broker, Message, PartitionKey};
use protocol::ErrorCode;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// The topic that holds groups and their offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Who gets an answer of the coordinator.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// The client itself.
    Request(Origin, Header),
    /// A gather, for one group of its DeleteGroups.
    Delete(PartTicket, GroupId),
}

/// Groups on one shard.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) coordinator: Coordinator,
    pub(crate) gathers: HashMap<u64, GroupGather>,
    /// Of partitions that are being replayed.
    pub(super) transactions: OpenTransactions,
    waiting: HashMap<Ticket, Waiting>,
    /// The heartbeat that each connection waits with, as far as it waits for news.
    held: HashMap<(ShardId, ConnId), Ticket>,
    next_ticket: u64,
    next_gather: u64,
}

impl Groups {
    /// A coordinator without partitions.
    pub(crate) fn new(settings: &BrokerSettings, me: ShardId, shards: u16) -> Self {
        let seed = u128::from(settings.incarnation) << 64 | u128::from(me.0);
        Self {
            coordinator: Coordinator::new(GroupSettings::of_shard(settings, shards), seed, Now::default()),
            gathers: HashMap::new(),
            transactions: OpenTransactions::default(),
            waiting: HashMap::new(),
            held: HashMap::new(),
            next_ticket: 0,
            next_gather: 0,
        }
    }

    /// A ticket for an answer that may come later.
    pub(crate) fn wait(&mut self, waiting: Waiting) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.waiting.insert(ticket, waiting);
        ticket
    }

    pub(crate) fn next_gather(&mut self) -> u64 {
        self.next_gather += 1;
        self.next_gather
    }
}

/// Where a request about one group is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Here.
    Here,
    /// It was sent to another shard, which answers.
    Forwarded,
}

impl<S: Store> Broker<S> {
    /// The shard whose coordinator has the group; NOT_COORDINATOR as long as there is no `__consumer_offsets`.
    pub(crate) fn owner_of_group(&self, group: &str) -> Result<ShardId, ErrorCode> {
        let topic = self.image.topic(OFFSETS_TOPIC).ok_or(ErrorCode::NotCoordinator)?;
        match partition_count(topic) {
            0 => Err(ErrorCode::NotCoordinator),
            count => Ok(shard_of(topic.id, hash::partition_of(group, count), self.shards)),
        }
    }

    /// Sends a request to its group's shard unless that is this one. Without an owner it is served here: the coordinator has
    /// the right error.
    pub(crate) fn route_group(&mut self, request: &Request<S::Chunk>, group: &str) -> Route {
        match self.owner_of_group(group) {
            Ok(owner) if owner != self.me => {
                let Request { origin, ref frame, local, peer, patience, .. } = *request;
                let msg = Message::Forward { origin, frame: frame.clone(), local, peer, patience };
                self.effects.push_back(Effect::Send { to: owner, msg });
                Route::Forwarded
            }
            Ok(_) | Err(_) => Route::Here,
        }
    }

    /// The shard to be asked about a group: its owner, or this one for the right error.
    pub(crate) fn ask_about_group(&self, group: &str) -> ShardId {
        self.owner_of_group(group).unwrap_or(self.me)
    }

    /// Remembers who waits for the coordinator's answer to a request.
    pub(crate) fn wait_for_group(&mut self, request: &Request<S::Chunk>) -> Ticket {
        self.groups.wait(Waiting::Request(request.origin, request.header.clone()))
    }

    /// Lets a heartbeat wait for news.
    pub(crate) fn hold(&mut self, request: &Request<S::Chunk>, heartbeat: HeartbeatRequest, ms: u64) {
        let ticket = self.wait_for_group(request);
        self.groups.coordinator.hold(ticket, heartbeat, ms);
        self.note_hold(request.origin, ticket);
    }

    /// Remembers which connection waits, if its request does.
    pub(crate) fn note_hold(&mut self, origin: Origin, ticket: Ticket) {
        if self.groups.coordinator.is_held(ticket) {
            self.groups.held.insert((origin.shard, origin.conn), ticket);
        }
    }

    /// The wait of a connection's heartbeat ends.
    pub(crate) fn end_hold(&mut self, shard: ShardId, conn: ConnId, ending: Ending) {
        if let Some(ticket) = self.groups.held.remove(&(shard, conn)) {
            self.groups.coordinator.end_hold(self.now, ticket, ending);
            self.drain_groups();
        }
    }

    /// No heartbeat waits from now on.
    pub(crate) fn end_all_holds(&mut self) {
        self.groups.coordinator.end_all_holds(self.now);
        self.drain_groups();
    }

    /// Carries out what the coordinator wants done.
    pub(crate) fn drain_groups(&mut self) {
        while let Some(output) = self.groups.coordinator.poll_output() {
            match output {
                Output::Reply { to, reply } => self.group_reply(to, reply),
                Output::Append { partition, records, token } => {
                    let batch = records::batch(&records, self.now.wall_ms);
                    self.append_group_records(partition, batch, token);
                }
            }
        }
    }

    fn append_group_records(&mut self, partition: i32, batch: Vec<u8>, token: AppendToken) {
        match self.image.topic(OFFSETS_TOPIC).map(|topic| topic.id) {
            Some(topic) => self.append_then(PartitionKey { topic, index: partition }, batch, Then::Group(token.0)),
            None => self.groups.coordinator.appended(self.now, token, Err(ErrorCode::NotLeaderOrFollower)),
        }
    }

    fn group_reply(&mut self, to: Ticket, reply: Reply) {
        match (self.groups.waiting.remove(&to), reply) {
            (Some(Waiting::Request(origin, header)), reply) => {
                let at = (origin.shard, origin.conn);
                if self.groups.held.get(&at) == Some(&to) {
                    self.groups.held.remove(&at);
                }
                super::answers::answered(self, origin, &header, reply);
            }
            (Some(Waiting::Delete(ticket, group)), Reply::Deleted(error)) => {
                self.tell_group(ticket, Tell::Deleted(group, error));
            }
            (Some(Waiting::Delete(..)) | None, reply) => unreachable!("nobody waits for {reply:?}"),
        }
    }

    /// Records of the coordinator are durable, or will never be.
    pub(crate) fn group_appended(&mut self, token: u64, result: Result<(), ErrorCode>) {
        self.groups.coordinator.appended(self.now, AppendToken(token), result);
        self.drain_groups();
    }

    /// Acts on deadlines that have passed.
    pub(crate) fn groups_on_time(&mut self) {
        self.groups.coordinator.on_time(self.now);
        self.drain_groups();
    }

    /// A partition of `__consumer_offsets` of this shard is about to be replayed.
    pub(crate) fn group_load_begins(&mut self, partition: i32) {
        let count = self.image.topic(OFFSETS_TOPIC).map_or(0, |topic| partition_count(topic));
        self.groups.coordinator.follow(Arc::clone(&self.image));
        self.groups.coordinator.set_partition_count(count);
        self.groups.coordinator.begin_load(partition);
    }

    /// The replay of a partition ended. One that could not be read is not served: its offsets are unknown, not absent.
    pub(crate) fn group_replay_done(&mut self, partition: i32, result: Result<(), ReadFault>) {
        self.groups.transactions.forget(partition);
        match result {
            Ok(()) => self.groups.coordinator.finish_load(self.now, partition),
            Err(fault) => {
                tracing::error!(partition, ?fault, "{OFFSETS_TOPIC} cannot be read; its groups are not served");
                self.groups.coordinator.unload(self.now, partition);
            }
        }
        self.drain_groups();
    }

    /// A newer image was applied: offsets of topics that are gone go too, and so do groups whose partition is.
    pub(crate) fn groups_follow_image(&mut self, old: &MetadataImage) {
        let new = Arc::clone(&self.image);
        let count = new.topic(OFFSETS_TOPIC).map_or(0, |topic| partition_count(topic));
        self.groups.coordinator.follow(Arc::clone(&new));
        self.groups.coordinator.set_partition_count(count);
        let gone: BTreeSet<Arc<str>> =
            old.topics().filter(|topic| new.topic_by_id(topic.id).is_none()).map(|topic| topic.name.clone()).collect();
        for topic in &gone {
            if &**topic == OFFSETS_TOPIC {
                self.groups.coordinator.unload_all(self.now);
            } else {
                self.groups.coordinator.on_topic_deleted(self.now, topic);
            }
        }
        self.drain_groups();
    }
}

/// An address as Java's `InetAddress.toString` prints it, which is what Kafka tells as the host of a member.
pub(crate) fn java_host(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("/{ip}"),
        IpAddr::V6(ip) => format!("/{}", ip.segments().map(|segment| format!("{segment:x}")).join(":")),
    }
}

fn partition_count(topic: &TopicImage) -> i32 {
    i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_look_like_javas() {
        for (ip, host) in [
            ("127.0.0.1", "/127.0.0.1"),
            ("::1", "/0:0:0:0:0:0:0:1"),
            ("::ffff:10.1.2.3", "/10.1.2.3"),
            ("fd00::a:b", "/fd00:0:0:0:0:0:a:b"),
        ] {
            assert_eq!(java_host(ip.parse().unwrap()), host);
        }
    }
}
