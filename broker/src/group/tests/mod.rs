//! The coordinator under a virtual clock, with a disk that can be stalled or refuse. [`Scene`] is the one door: members are
//! what they sent and what they were told.

mod assignors;
mod beating;
mod commits;
mod consumers;
mod deletion;
mod holding;
mod joining;
mod loading;
mod memory;
mod migration;
mod model;
mod reconciling;
mod statics;
mod syncing;

use super::commit::{CommitPartition, CommitReply, CommitRequest, CommitTopic};
use super::coordinator::Coordinator;
use super::effects::{Output, Reply};
use super::heartbeat::HeartbeatRequest;
use super::ids::{AppendToken, GroupId, InstanceId, MemberId, Ticket};
use super::join::{JoinReply, JoinRequest};
use super::leave::Leaving;
use super::member::Protocol;
use super::records::Record;
use super::settings::GroupSettings;
use super::sync::{SyncReply, SyncRequest};
use crate::Now;
use protocol::ErrorCode;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 60_000;
const DELAY_MS: u64 = 3_000;
const DAY_MS: u64 = 24 * 3_600_000;

/// How the disk behaves.
#[derive(Clone, Copy, PartialEq)]
enum Disk {
    /// Appends are durable at once.
    Fine,
    /// Appends wait for [`Scene::disk`] to change.
    Stalled,
    /// Appends fail.
    Failing(ErrorCode),
}

/// A coordinator of one partition, its clock, its disk and its answers.
struct Scene {
    coordinator: Coordinator,
    now: Now,
    disk: Disk,
    /// Durable records, in order.
    log: Vec<Record>,
    waiting: VecDeque<(AppendToken, Vec<Record>)>,
    replies: BTreeMap<Ticket, Reply>,
    next_ticket: u64,
}

/// Builds JoinGroup requests.
#[derive(Clone)]
struct Join(JoinRequest);

impl Join {
    fn new() -> Self {
        Join(JoinRequest {
            version: 9,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            group: "g".into(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            member: "".into(),
            instance: None,
            protocol_type: "consumer".into(),
            protocols: protocols(&[("range", b"\0\0\0\0\0\x01\0\x01t")]),
        })
    }

    fn version(mut self, version: i16) -> Self {
        self.0.version = version;
        self
    }

    fn member(mut self, id: &str) -> Self {
        self.0.member = id.into();
        self
    }

    fn instance(mut self, id: &str) -> Self {
        self.0.instance = Some(id.into());
        self
    }

    fn protocols(mut self, list: &[(&str, &[u8])]) -> Self {
        self.0.protocols = protocols(list);
        self
    }

    fn protocol_type(mut self, name: &str) -> Self {
        self.0.protocol_type = name.into();
        self
    }

    fn session_ms(mut self, ms: i32) -> Self {
        self.0.session_timeout_ms = ms;
        self
    }
}

fn protocols(list: &[(&str, &[u8])]) -> Vec<Protocol> {
    list.iter().map(|(name, metadata)| Protocol { name: (*name).into(), metadata: (*metadata).into() }).collect()
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut GroupSettings)) -> Self {
        let mut settings = GroupSettings::default();
        change(&mut settings);
        let now = Now { mono_ms: 1_000, wall_ms: 1_700_000_000_000 };
        let mut coordinator = Coordinator::new(settings, 42, now);
        coordinator.set_partition_count(1);
        coordinator.begin_load(0);
        coordinator.finish_load(now, 0);
        Scene {
            coordinator,
            now,
            disk: Disk::Fine,
            log: Vec::new(),
            waiting: VecDeque::new(),
            replies: BTreeMap::new(),
            next_ticket: 0,
        }
    }

    /// The broker after kill -9: a fresh coordinator that reads what was durable.
    fn restart(&mut self) {
        self.restart_from(self.log.len());
    }

    /// As [`Scene::restart`], with only the first records durable.
    fn restart_from(&mut self, records: usize) {
        let settings = self.coordinator.fx.settings.clone();
        let image = Arc::clone(&self.coordinator.fx.image);
        self.coordinator = Coordinator::new(settings, 43 + records as u128, self.now);
        self.coordinator.follow(image);
        self.coordinator.set_partition_count(1);
        self.coordinator.begin_load(0);
        self.log.truncate(records);
        for record in &self.log {
            self.coordinator.replay(0, &record.key, record.value.as_deref()).unwrap();
        }
        self.coordinator.finish_load(self.now, 0);
        self.waiting.clear();
        self.replies.clear();
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// Carries outputs out until there is none.
    fn pump(&mut self) {
        while let Some(output) = self.coordinator.poll_output() {
            match output {
                Output::Reply { to, reply } => {
                    assert!(self.replies.insert(to, reply).is_none(), "{to:?} answered twice");
                }
                Output::Append { partition, records, token } => {
                    assert_eq!(partition, 0);
                    self.waiting.push_back((token, records));
                }
            }
            self.write();
        }
    }

    fn write(&mut self) {
        if self.disk == Disk::Stalled {
            return;
        }
        for (token, records) in std::mem::take(&mut self.waiting) {
            let result = match self.disk {
                Disk::Failing(error) => Err(error),
                Disk::Fine | Disk::Stalled => {
                    self.log.extend(records);
                    Ok(())
                }
            };
            self.coordinator.appended(self.now, token, result);
        }
    }

    /// Changes the disk; what waited is written or refused.
    fn disk(&mut self, disk: Disk) {
        self.disk = disk;
        self.write();
        self.pump();
    }

    /// Lets time pass, deadline by deadline.
    fn wait(&mut self, ms: u64) {
        let end = self.now.mono_ms + ms;
        while let Some(next) = self.coordinator.next_deadline().filter(|at| *at <= end) {
            let step = next.saturating_sub(self.now.mono_ms);
            self.now.mono_ms += step;
            self.now.wall_ms += step as i64;
            self.coordinator.on_time(self.now);
            self.pump();
        }
        self.now.wall_ms += (end - self.now.mono_ms) as i64;
        self.now.mono_ms = end;
    }

    fn join(&mut self, join: Join) -> Ticket {
        let ticket = self.ticket();
        self.coordinator.join(self.now, ticket, join.0);
        self.pump();
        ticket
    }

    fn sync(&mut self, member: &str, generation: i32, assignments: &[(&str, &[u8])]) -> Ticket {
        self.sync_as(member, None, generation, assignments)
    }

    fn sync_as(&mut self, member: &str, instance: Option<&str>, generation: i32, parts: &[(&str, &[u8])]) -> Ticket {
        let assignments = parts.iter().map(|(id, bytes)| (MemberId::from(*id), Arc::from(*bytes))).collect();
        let request = SyncRequest {
            group: "g".into(),
            generation,
            member: member.into(),
            instance: instance.map(InstanceId::from),
            protocol_type: None,
            protocol: None,
            assignments,
        };
        self.sync_with(request)
    }

    fn sync_with(&mut self, request: SyncRequest) -> Ticket {
        let ticket = self.ticket();
        self.coordinator.sync(self.now, ticket, request);
        self.pump();
        ticket
    }

    fn heartbeat(&mut self, member: &str, generation: i32) -> Result<(), ErrorCode> {
        self.heartbeat_as(member, None, generation)
    }

    fn heartbeat_as(&mut self, member: &str, instance: Option<&str>, generation: i32) -> Result<(), ErrorCode> {
        let request = HeartbeatRequest {
            group: "g".into(),
            generation,
            member: member.into(),
            instance: instance.map(InstanceId::from),
        };
        let outcome = self.coordinator.heartbeat(self.now, &request);
        self.pump();
        outcome
    }

    fn leave(&mut self, leaving: &[(&str, Option<&str>)]) -> Result<Vec<Result<(), ErrorCode>>, ErrorCode> {
        let named = |(member, instance): &(&str, Option<&str>)| Leaving {
            member: (*member).into(),
            instance: instance.map(InstanceId::from),
        };
        let leaving: Vec<Leaving> = leaving.iter().map(named).collect();
        let outcome = self.coordinator.leave(self.now, &"g".into(), &leaving);
        self.pump();
        outcome
    }

    /// Commits offset `offset` of `t-0`.
    fn commit(&mut self, member: &str, generation: i32, offset: i64) -> Ticket {
        self.commit_with(commit_request(member, generation, &[("t", 0, offset)]))
    }

    fn commit_with(&mut self, request: CommitRequest) -> Ticket {
        let ticket = self.ticket();
        self.coordinator.commit(self.now, ticket, &request);
        self.pump();
        ticket
    }

    fn committed(&self, partition: i32) -> Option<i64> {
        self.coordinator.committed_offset(&"g".into(), "t", partition).map(|c| c.offset)
    }

    fn is_waiting(&self, ticket: Ticket) -> bool {
        !self.replies.contains_key(&ticket)
    }

    #[track_caller]
    fn joined(&mut self, ticket: Ticket) -> JoinReply {
        match self.replies.remove(&ticket) {
            Some(Reply::Join(reply)) => reply,
            other => panic!("no answer to JoinGroup but {other:?}"),
        }
    }

    #[track_caller]
    fn synced(&mut self, ticket: Ticket) -> SyncReply {
        match self.replies.remove(&ticket) {
            Some(Reply::Sync(reply)) => reply,
            other => panic!("no answer to SyncGroup but {other:?}"),
        }
    }

    /// The outcome of the first partition of a commit.
    #[track_caller]
    fn committed_as(&mut self, ticket: Ticket) -> ErrorCode {
        self.commit_reply(ticket).topics[0].partitions[0].1
    }

    #[track_caller]
    fn commit_reply(&mut self, ticket: Ticket) -> CommitReply {
        match self.replies.remove(&ticket) {
            Some(Reply::Commit(reply)) => reply,
            other => panic!("no answer to OffsetCommit but {other:?}"),
        }
    }

    fn state(&self) -> &'static str {
        let described = self.coordinator.describe(&"g".into()).unwrap();
        described.map_or("Dead", |group| group.state)
    }

    /// Joins with the two steps of KIP-394; the second is not answered yet.
    fn enter(&mut self, join: Join) -> (String, Ticket) {
        let ticket = self.join(join.clone());
        let told = self.joined(ticket);
        assert_eq!(told.error, ErrorCode::MemberIdRequired);
        let ticket = self.join(join.member(&told.member));
        (told.member, ticket)
    }

    /// A Stable group of so many members, the leader first, in generation 1. Each has its index as assignment.
    fn stable(&mut self, count: usize) -> Vec<String> {
        let entered: Vec<_> = (0..count).map(|_| self.enter(Join::new())).collect();
        self.wait(2 * DELAY_MS);
        let leader = self.joined(entered[0].1).leader;
        for (_, ticket) in &entered[1..] {
            assert_eq!(self.joined(*ticket).generation, 1);
        }
        let mut ids: Vec<String> = entered.into_iter().map(|(id, _)| id).collect();
        ids.sort_by_key(|id| *id != leader);
        self.assign(&ids, 1);
        ids
    }

    /// All members send SyncGroup, the leader, who is the first, last.
    fn assign(&mut self, ids: &[String], generation: i32) {
        let bytes: Vec<Vec<u8>> = (0..ids.len()).map(|i| vec![i as u8]).collect();
        let parts: Vec<(&str, &[u8])> = ids.iter().zip(&bytes).map(|(id, b)| (id.as_str(), b.as_slice())).collect();
        let tickets: Vec<_> = ids[1..].iter().map(|id| self.sync(id, generation, &[])).collect();
        let leader = self.sync(&ids[0], generation, &parts);
        assert_eq!(&*self.synced(leader).assignment, [0]);
        for (i, ticket) in tickets.into_iter().enumerate() {
            assert_eq!(&*self.synced(ticket).assignment, [i as u8 + 1]);
        }
    }
}

fn commit_request(member: &str, generation: i32, offsets: &[(&str, i32, i64)]) -> CommitRequest {
    let topics = offsets.iter().map(|(topic, index, offset)| CommitTopic {
        name: (*topic).into(),
        id: [0; 16],
        partitions: vec![CommitPartition {
            index: *index,
            offset: *offset,
            leader_epoch: 5,
            metadata: "m".into(),
            refused: None,
        }],
    });
    CommitRequest {
        version: 8,
        group: GroupId::from("g"),
        member: member.into(),
        instance: None,
        generation,
        retention_ms: None,
        topics: topics.collect(),
    }
}
