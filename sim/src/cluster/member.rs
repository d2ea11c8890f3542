//! A member of a consumer group by the classic protocol: joins, takes its share, reads, commits, beats, leaves. Now and
//! then it vanishes, or sleeps for longer than its session and goes on as if nothing had happened.

mod modern;

use self::modern::Modern;
use super::groups::Group;
use super::process::NEVER;
use super::remote::{Ctx, Heard, Remote};
use super::truth::{Part, Standing};
use super::violation::Violation;
use super::wire::Answer;
use engine::time::Mono;
use protocol::batch::iter_batches;
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse};
use protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
use protocol::messages::{HeartbeatRequest, HeartbeatResponse, LeaveGroupRequest};
use protocol::{ApiKey, ErrorCode, Records};
use std::collections::BTreeMap;

/// How long a member may be silent, in milliseconds.
const SESSION_MS: i32 = 3_000;

/// How far a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Looks for its coordinator, as every client does first: that also makes the topic of offsets.
    Seeking,
    Outside,
    /// In a generation, with the ids of all members if it leads.
    Joined {
        leads: Option<Vec<String>>,
    },
    /// Has its share, and asks where to begin.
    Beginning,
    Working,
}

/// See the module.
pub(crate) struct Member {
    pub(crate) remote: Remote,
    group: String,
    topic: usize,
    state: State,
    id: String,
    generation: i32,
    /// The partitions it owns, with the next offset and what it committed last.
    share: BTreeMap<i32, (i64, i64)>,
    next_at: Mono,
    beat_at: Mono,
    /// What was known when the last request was sent: the group's generation, and acknowledged offsets.
    known: (i32, BTreeMap<i32, i64>),
    /// The commit under way is of the generation before.
    is_late: bool,
    /// What the commit under way says.
    committing: BTreeMap<i32, i64>,
    /// Watermarks as told last.
    high: BTreeMap<i32, i64>,
    polls: u64,
    is_gone: bool,
    /// Set for one of the consumer protocol.
    modern: Option<Modern>,
}

impl Member {
    pub(crate) fn new(remote: Remote, group: String, topic: usize) -> Member {
        Member {
            remote,
            group,
            topic,
            state: State::Seeking,
            id: String::new(),
            generation: -1,
            share: BTreeMap::new(),
            next_at: Mono(0),
            beat_at: Mono(0),
            known: (0, BTreeMap::new()),
            is_late: false,
            committing: BTreeMap::new(),
            high: BTreeMap::new(),
            polls: 0,
            is_gone: false,
            modern: None,
        }
    }

    pub(crate) fn due(&self) -> Mono {
        if self.is_gone {
            return NEVER;
        }
        let next = if self.remote.is_waiting() { NEVER } else { self.next_at };
        if self.remote.conn().is_none() { next.max(self.remote.due()) } else { next.min(self.remote.due()) }
    }

    pub(crate) fn is_out_of_work(&self) -> bool {
        self.is_gone
    }

    /// It has its share, read all of it, and committed that.
    pub(crate) fn is_settled(&self, ctx: &Ctx<'_>) -> bool {
        let read = |(index, (next, committed)): (&i32, &(i64, i64))| {
            let part = Part { topic: self.topic, index: *index };
            let partition = ctx.truth.look(part);
            let committed = *committed >= *next || *next == 0;
            partition.is_damaged || (committed && *next >= partition.promised)
        };
        // Of a group of the consumer protocol each member also sees to it that every partition has somebody.
        let group = ctx.truth.groups.get(&self.group);
        let topic = self.topic;
        let mut parts = (0..ctx.truth.topics[topic].partitions.len()).map(|index| Part { topic, index: index as i32 });
        let is_shared =
            self.modern.is_none() || parts.all(|part| group.is_some_and(|group| group.is_held(part, ctx.now)));
        self.is_gone || (self.state == State::Working && is_shared && self.share.iter().all(read))
    }

    /// How far it is.
    pub(crate) fn plight(&self) -> String {
        format!("{:?} in generation {} with {:?}", self.state, self.generation, self.share)
    }

    pub(crate) fn act(&mut self, ctx: &mut Ctx<'_>) -> Result<(), Violation> {
        loop {
            match self.remote.hear(ctx)? {
                Heard::Answer(answer) => self.answered(ctx, &answer)?,
                Heard::Lost => {}
                Heard::Nothing => break,
            }
        }
        if ctx.truth.topics[self.topic].standing != Standing::Exists {
            self.is_gone = true;
        }
        if self.is_gone || ctx.now < self.next_at || self.remote.is_waiting() || !self.remote.open(ctx) {
            return Ok(());
        }
        if !ctx.is_calm && self.misbehaves(ctx) {
            return Ok(());
        }
        self.remember(ctx);
        match self.state.clone() {
            State::Seeking => self.ask_coordinator(ctx),
            State::Outside if self.modern.is_some() => self.ask_beat(ctx, 0),
            State::Outside => self.ask_join(ctx),
            State::Joined { leads } => self.ask_sync(ctx, leads.as_deref()),
            State::Beginning => self.ask_offsets(ctx),
            State::Working => self.work(ctx),
        }
        Ok(())
    }

    fn remember(&mut self, ctx: &mut Ctx<'_>) {
        let group = ctx.truth.group(&self.group);
        let topic = self.topic;
        let acknowledged = self.share.keys().map(|index| (*index, group.acknowledged(Part { topic, index: *index })));
        self.known = (group.generation, acknowledged.collect());
    }

    /// Sometimes leaves, vanishes, or oversleeps.
    fn misbehaves(&mut self, ctx: &mut Ctx<'_>) -> bool {
        if self.state != State::Working {
            return false;
        }
        if self.modern.is_some() {
            return self.misbehaves_modern(ctx);
        }
        match self.remote.rng.below(400) {
            0 => {
                let request = LeaveGroupRequest {
                    group_id: self.group.clone().into(),
                    member_id: self.id.clone().into(),
                    ..Default::default()
                };
                if let Some(link) = self.remote.link() {
                    link.ask(ctx.now, ApiKey::LeaveGroup, 2, |writer| request.encode(writer, 2));
                }
                self.state = State::Outside;
                self.id.clear();
            }
            1 => {
                self.remote.hang_up(ctx.now);
                self.state = State::Outside;
                self.id.clear();
                self.next_at = ctx.now.plus_millis(self.remote.rng.below(10_000));
            }
            2 => self.next_at = ctx.now.plus_millis(self.remote.rng.below(3 * SESSION_MS as u64)),
            3..9 if self.generation > 1 && !self.share.is_empty() => self.commit_late(ctx),
            _ => return false,
        }
        true
    }

    fn ask_coordinator(&mut self, ctx: &Ctx<'_>) {
        let request = FindCoordinatorRequest { key: self.group.clone().into(), key_type: 0, ..Default::default() };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::FindCoordinator, 2, |writer| request.encode(writer, 2));
        }
    }

    fn ask_join(&mut self, ctx: &Ctx<'_>) {
        let protocols = vec![JoinGroupRequestProtocol { name: "range".into(), metadata: b"t".as_slice().into() }];
        let request = JoinGroupRequest {
            group_id: self.group.clone().into(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: 2 * SESSION_MS,
            member_id: self.id.clone().into(),
            protocol_type: "consumer".into(),
            protocols,
            ..Default::default()
        };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::JoinGroup, 4, |writer| request.encode(writer, 4));
        }
    }

    fn ask_sync(&mut self, ctx: &Ctx<'_>, members: Option<&[String]>) {
        let members = members.unwrap_or_default();
        let partitions = ctx.truth.topics[self.topic].partitions.len();
        let assignments = members.iter().enumerate().map(|(at, member)| SyncGroupRequestAssignment {
            member_id: member.clone().into(),
            assignment: (0..partitions).filter(|index| index % members.len() == at).map(|i| i as u8).collect(),
        });
        let request = SyncGroupRequest {
            group_id: self.group.clone().into(),
            generation_id: self.generation,
            member_id: self.id.clone().into(),
            assignments: assignments.collect(),
            ..Default::default()
        };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::SyncGroup, 2, |writer| request.encode(writer, 2));
        }
    }

    fn ask_offsets(&mut self, ctx: &Ctx<'_>) {
        let topic = OffsetFetchRequestTopic {
            name: ctx.truth.topics[self.topic].name.clone().into(),
            partition_indexes: self.share.keys().copied().collect(),
        };
        let request =
            OffsetFetchRequest { group_id: self.group.clone().into(), topics: Some(vec![topic]), ..Default::default() };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::OffsetFetch, 5, |writer| request.encode(writer, 5));
        }
    }

    fn work(&mut self, ctx: &mut Ctx<'_>) {
        self.polls += 1;
        let uncommitted = self.share.values().any(|(next, committed)| next > committed);
        if ctx.now >= self.beat_at {
            self.beat_at = ctx.now.plus_millis(SESSION_MS as u64 / 3);
            if self.modern.is_some() {
                return self.ask_beat(ctx, 0);
            }
            let request = HeartbeatRequest {
                group_id: self.group.clone().into(),
                generation_id: self.generation,
                member_id: self.id.clone().into(),
                ..Default::default()
            };
            if let Some(link) = self.remote.link() {
                link.ask(ctx.now, ApiKey::Heartbeat, 2, |writer| request.encode(writer, 2));
            }
        } else if uncommitted && (ctx.is_calm || self.remote.rng.below(3) == 0) {
            self.ask_commit(ctx);
        } else {
            self.ask_fetch(ctx);
        }
    }

    fn ask_commit(&mut self, ctx: &mut Ctx<'_>) {
        let ahead = self.share.iter().filter(|(_, (next, committed))| next > committed);
        self.committing = ahead.map(|(index, (next, _))| (*index, *next)).collect();
        self.is_late = false;
        let topic = self.topic;
        let group = ctx.truth.group(&self.group);
        self.committing.iter().for_each(|(index, offset)| group.commits(Part { topic, index: *index }, *offset));
        self.send_commit(ctx, self.generation);
    }

    fn send_commit(&mut self, ctx: &Ctx<'_>, generation: i32) {
        let partitions = self.committing.iter().map(|(index, offset)| OffsetCommitRequestPartition {
            partition_index: *index,
            committed_offset: *offset,
            committed_leader_epoch: -1,
            committed_metadata: None,
            ..Default::default()
        });
        let topics = vec![OffsetCommitRequestTopic {
            name: ctx.truth.topics[self.topic].name.clone().into(),
            partitions: partitions.collect(),
            ..Default::default()
        }];
        let request = OffsetCommitRequest {
            group_id: self.group.clone().into(),
            generation_id_or_member_epoch: generation,
            member_id: self.id.clone().into(),
            topics,
            ..Default::default()
        };
        let version = if self.modern.is_some() { 9 } else { 7 };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::OffsetCommit, version, |writer| request.encode(writer, version));
        }
    }

    /// A commit of the generation before this one, as if it had been under way for long.
    fn commit_late(&mut self, ctx: &Ctx<'_>) {
        let late = self.share.iter().map(|(index, (_, committed))| (*index, (*committed).max(0)));
        self.committing = late.collect();
        self.is_late = true;
        self.send_commit(ctx, self.generation - 1);
    }

    fn ask_fetch(&mut self, ctx: &Ctx<'_>) {
        let partitions = self.share.iter().map(|(index, (next, _))| FetchPartition {
            partition: *index,
            current_leader_epoch: -1,
            fetch_offset: *next,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            partition_max_bytes: 20_000,
            ..Default::default()
        });
        let topic = ctx.truth.topics[self.topic].name.clone().into();
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: 200,
            min_bytes: 1,
            max_bytes: 1 << 20,
            session_epoch: -1,
            topics: vec![FetchTopic { topic, partitions: partitions.collect(), ..Default::default() }],
            ..Default::default()
        };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::Fetch, 11, |writer| request.encode(writer, 11));
        }
    }

    fn answered(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        self.next_at = ctx.now.plus_millis(self.remote.rng.below(60));
        match answer.asked.key {
            ApiKey::FindCoordinator => {
                let code = answer.body(&self.remote.who, "FindCoordinator", |reader, version| {
                    Ok(FindCoordinatorResponse::decode(reader, version)?.error_code)
                })?;
                if code != 0 {
                    return self.refused(ctx, "FindCoordinator", code);
                }
                self.state = State::Outside;
                Ok(())
            }
            ApiKey::JoinGroup => self.joined(ctx, answer),
            ApiKey::SyncGroup => self.synced(ctx, answer),
            ApiKey::OffsetFetch => self.begins(ctx, answer),
            ApiKey::Heartbeat => {
                let code = answer.body(&self.remote.who, "Heartbeat", |reader, version| {
                    Ok(HeartbeatResponse::decode(reader, version)?.error_code)
                })?;
                if code == 0 { Ok(()) } else { self.refused(ctx, "Heartbeat", code) }
            }
            ApiKey::ConsumerGroupHeartbeat => self.beaten(ctx, answer),
            ApiKey::OffsetCommit => self.committed(ctx, answer),
            ApiKey::Fetch => self.fetched(ctx, answer),
            _ => Ok(()),
        }
    }

    /// An error of the group: what it means for this member, or that it has no reason.
    fn refused(&mut self, ctx: &mut Ctx<'_>, what: &'static str, code: i16) -> Result<(), Violation> {
        self.next_at = ctx.now.plus_millis(50 + self.remote.rng.below(100));
        match ErrorCode::try_from(code) {
            Ok(ErrorCode::UnknownMemberId) if self.modern.is_some() => self.give_up_all(ctx),
            // The epoch rose while the commit was under way; the next heartbeat tells what that means.
            Ok(ErrorCode::StaleMemberEpoch) if self.modern.is_some() => self.beat_at = ctx.now,
            Ok(ErrorCode::RebalanceInProgress) => self.state = State::Outside,
            Ok(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => {
                self.state = State::Outside;
                if code == ErrorCode::UnknownMemberId.code() {
                    self.id.clear();
                }
            }
            // The coordinator is still reading its log, or its topic is being made.
            Ok(
                ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator,
            ) if !ctx.is_calm || ctx.now < ctx.calm_since.plus_millis(10_000) => self.state = State::Seeking,
            _ => return self.remote.check_code(ctx, what, code),
        }
        Ok(())
    }

    fn joined(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let (code, generation, id, leads) = answer.body(&self.remote.who, "JoinGroup", |reader, version| {
            let response = JoinGroupResponse::decode(reader, version)?;
            let members: Vec<String> = response.members.iter().map(|member| member.member_id.to_string()).collect();
            let leads = (response.leader == response.member_id).then_some(members);
            Ok((response.error_code, response.generation_id, response.member_id.to_string(), leads))
        })?;
        if code == ErrorCode::MemberIdRequired.code() {
            self.id = id;
            self.next_at = ctx.now;
            return Ok(());
        }
        if code != 0 {
            return self.refused(ctx, "JoinGroup", code);
        }
        ctx.truth.group(&self.group).joined(&self.group, generation, self.known.0)?;
        (self.id, self.generation, self.state) = (id, generation, State::Joined { leads });
        self.next_at = ctx.now;
        Ok(())
    }

    fn synced(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let (code, share) = answer.body(&self.remote.who, "SyncGroup", |reader, version| {
            let response = SyncGroupResponse::decode(reader, version)?;
            Ok((response.error_code, response.assignment.to_vec()))
        })?;
        if code != 0 {
            return self.refused(ctx, "SyncGroup", code);
        }
        let parts: Vec<Part> = share.iter().map(|index| Part { topic: self.topic, index: i32::from(*index) }).collect();
        ctx.truth.group(&self.group).owns(&self.group, self.generation, &self.id, &parts)?;
        self.share = parts.iter().map(|part| (part.index, (0, -1))).collect();
        self.state = if parts.is_empty() { State::Working } else { State::Beginning };
        Ok(())
    }

    fn begins(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let offsets = answer.body(&self.remote.who, "OffsetFetch", |reader, version| {
            let response = OffsetFetchResponse::decode(reader, version)?;
            let parts = response.topics.iter().flat_map(|topic| &topic.partitions);
            let parts = parts.map(|part| (part.partition_index, part.error_code, part.committed_offset));
            let whole = response.error_code;
            Ok((whole, parts.collect::<Vec<_>>()))
        })?;
        if offsets.0 != 0 {
            return self.refused(ctx, "OffsetFetch", offsets.0);
        }
        for (index, code, offset) in offsets.1 {
            if code != 0 {
                return self.refused(ctx, "OffsetFetch", code);
            }
            let part = Part { topic: self.topic, index };
            let known = self.known.1.get(&index).copied().unwrap_or(-1);
            let place = ctx.truth.place(part);
            ctx.truth.group(&self.group).told(&self.group, part, place, offset, known)?;
            let start = ctx.truth.look(part).start;
            self.share.insert(index, (offset.max(start).max(0), offset));
        }
        self.state = State::Working;
        Ok(())
    }

    fn committed(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let codes = answer.body(&self.remote.who, "OffsetCommit", |reader, version| {
            let response = OffsetCommitResponse::decode(reader, version)?;
            let parts = response.topics.iter().flat_map(|topic| &topic.partitions);
            Ok(parts.map(|part| (part.partition_index, part.error_code)).collect::<Vec<_>>())
        })?;
        let (topic, current) = (self.topic, self.known.0);
        for (index, code) in codes {
            if self.is_late && self.is_rightly_late(code) {
                return Ok(());
            }
            if code != 0 {
                return self.refused(ctx, "OffsetCommit", code);
            }
            let is_old = self.generation < current && self.modern.is_none();
            if is_old || self.is_late {
                let (group, old) = (self.group.clone(), self.generation - i32::from(self.is_late));
                return Err(Violation::Zombie { group, old, current });
            }
            let offset = self.committing.get(&index).copied().unwrap_or(-1);
            ctx.truth.group(&self.group).committed(Part { topic, index }, offset);
            if let Some(share) = self.share.get_mut(&index) {
                share.1 = offset;
            }
        }
        Ok(())
    }

    fn fetched(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let parts = answer.body(&self.remote.who, "Fetch", |reader, version| {
            let response = FetchResponse::decode(reader, version)?;
            let parts = response.responses.iter().flat_map(|topic| &topic.partitions).map(|part| {
                let records = if let Records::Bytes(bytes) = part.records { bytes.to_vec() } else { Vec::new() };
                (part.partition_index, part.error_code, part.high_watermark, part.log_start_offset, records)
            });
            Ok(parts.collect::<Vec<_>>())
        })?;
        for (index, code, high, start, records) in parts {
            let part = Part { topic: self.topic, index };
            let Some((next, _)) = self.share.get_mut(&index) else { continue };
            self.high.insert(index, high);
            match ErrorCode::try_from(code) {
                Ok(ErrorCode::None) => {}
                // Deleted below, or lost above where that may happen: as auto.offset.reset=earliest. Commits then stay
                // where they are until the position has passed them again.
                Ok(ErrorCode::OffsetOutOfRange) => {
                    // An answer of that kind need not say where the log begins; a client would ask.
                    let known = ctx.truth.look(part);
                    *next = match start {
                        ..0 if *next < known.start => known.start,
                        ..0 if *next < known.promised => (*next * 2 + 1).min(known.promised),
                        start if *next < start => start,
                        start => start.max(0),
                    };
                    continue;
                }
                _ if ctx.truth.look(part).is_damaged => continue,
                // Somebody deletes the topic under the group.
                Ok(ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId)
                    if ctx.truth.topics[part.topic].standing != Standing::Exists =>
                {
                    self.next_at = ctx.now.plus_millis(200);
                    continue;
                }
                _ => {
                    self.next_at = ctx.now.plus_millis(200);
                    self.remote.check_code(ctx, "Fetch", code)?;
                    continue;
                }
            }
            for view in iter_batches(&records).flatten() {
                let last = match ctx.truth.topics[part.topic].compacts {
                    // The position may have moved since it asked, so what lies between two batches says nothing.
                    Some(_) => ctx.truth.reads_compacted(part, view.base_offset(), &view, 0)?,
                    None => ctx.truth.reads(part, &view)?,
                };
                *next = (last + 1).max(*next);
            }
        }
        Ok(())
    }
}

impl super::truth::Truth {
    /// A group by its name.
    pub(crate) fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }
}
