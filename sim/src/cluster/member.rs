//! A member of a consumer group by the classic protocol: joins, takes its share, reads, commits, beats, leaves. Now and
//! then it vanishes, or sleeps for longer than its session and goes on as if nothing had happened.
//!
//! In some groups there are members of both protocols, and who comes back may speak the other one: the group changes its protocol while
//! it works.

mod classic;
mod embedded;
mod modern;
mod offsets;
mod reading;

pub(crate) use self::embedded::assigned;

use self::modern::Modern;
use super::groups::Group;
use super::process::NEVER;
use super::remote::{Ctx, Heard, Remote};
use super::truth::{Part, Standing};
use super::violation::Violation;
use super::wire::Answer;
use engine::io::ConnId;
use engine::time::Mono;
use protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use protocol::messages::{ApiVersionsRequest, HeartbeatRequest, HeartbeatResponse, LeaveGroupRequest};
use protocol::{ApiKey, ErrorCode};
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
    /// Ids that it has made for itself.
    lives: u32,
    /// When the last request was sent that shows that it is alive.
    sent: Mono,
    /// Its group has members of both protocols.
    mixes: bool,
    /// Speaks versions that Kafka 4.0 turned away.
    is_old: bool,
    /// Says that it is Kafka's Java client, whose heartbeats may wait for news.
    is_java: bool,
    /// The connection on which it said so.
    introduced_on: Option<ConnId>,
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
            lives: 0,
            sent: Mono(0),
            mixes: false,
            is_old: false,
            is_java: false,
            introduced_on: None,
            modern: None,
        }
    }

    /// One of the classic protocol that Kafka 4.0 turned away.
    pub(crate) fn old(self, is_old: bool) -> Member {
        Member { is_old, ..self }
    }

    /// The same as one that says that it is Kafka's Java client.
    pub(crate) fn java(self, is_java: bool) -> Member {
        Member { is_java, ..self }
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
        // Where it is known who holds what, each member also sees to it that every partition has somebody.
        let group = ctx.truth.groups.get(&self.group);
        let topic = self.topic;
        let mut parts = (0..ctx.truth.topics[topic].partitions.len()).map(|index| Part { topic, index: index as i32 });
        let is_shared =
            !self.has_holders() || parts.all(|part| group.is_some_and(|group| group.is_held(part, ctx.now)));
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
        if self.is_java && self.introduced_on != self.remote.conn() {
            self.introduce(ctx);
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
        let (often, at) = (if self.mixes { 100 } else { 400 }, self.remote.rng.below(400));
        match at % often {
            0 => {
                let request = LeaveGroupRequest {
                    group_id: self.group.clone().into(),
                    member_id: self.id.clone().into(),
                    ..Default::default()
                };
                if let Some(link) = self.remote.link() {
                    link.ask(ctx.now, ApiKey::LeaveGroup, 2, |writer| request.encode(writer, 2));
                }
                self.begins_anew(ctx);
            }
            1 => {
                self.remote.hang_up(ctx.now);
                self.begins_anew(ctx);
                self.next_at = ctx.now.plus_millis(self.remote.rng.below(10_000));
            }
            2 => self.next_at = ctx.now.plus_millis(self.remote.rng.below(3 * SESSION_MS as u64)),
            3..9 if self.generation > 1 && !self.share.is_empty() => self.commit_late(ctx),
            _ => return false,
        }
        true
    }

    fn introduce(&mut self, ctx: &Ctx<'_>) {
        self.introduced_on = self.remote.conn();
        let request = ApiVersionsRequest {
            client_software_name: "apache-kafka-java".into(),
            client_software_version: "4.3.1".into(),
        };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::ApiVersions, 3, |writer| request.encode(writer, 3));
        }
    }

    fn ask_coordinator(&mut self, ctx: &Ctx<'_>) {
        let request = FindCoordinatorRequest { key: self.group.clone().into(), key_type: 0, ..Default::default() };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::FindCoordinator, 2, |writer| request.encode(writer, 2));
        }
    }

    /// It is no member any more, and knows it. Where both protocols are spoken, it may come back with the other one.
    fn begins_anew(&mut self, ctx: &mut Ctx<'_>) {
        ctx.truth.group(&self.group).lets_go(&self.id);
        self.share.clear();
        self.id.clear();
        self.state = State::Outside;
        if let Some(modern) = &mut self.modern {
            modern.forget();
        }
        if self.mixes && self.remote.rng.coin() {
            self.modern = if self.modern.is_none() { Some(Modern::default()) } else { None };
        }
    }

    /// Whether it is known at any time who holds which partition: not in groups of the classic protocol alone, where generations
    /// say who owns what.
    fn has_holders(&self) -> bool {
        self.mixes || self.modern.is_some()
    }

    fn work(&mut self, ctx: &mut Ctx<'_>) {
        self.polls += 1;
        let uncommitted = self.share.values().any(|(next, committed)| next > committed);
        if ctx.now >= self.beat_at {
            self.beat_at = ctx.now.plus_millis(SESSION_MS as u64 / 3);
            if self.modern.is_some() {
                return self.ask_beat(ctx, 0);
            }
            self.sent = ctx.now;
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

    fn answered(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        self.next_at = ctx.now.plus_millis(self.remote.rng.below(60));
        // Its heartbeat waited, perhaps until the next one was due, and with one connection it does nothing else meanwhile.
        if self.is_java && matches!(answer.asked.key, ApiKey::Heartbeat | ApiKey::ConsumerGroupHeartbeat) {
            self.beat_at = self.beat_at.max(ctx.now.plus_millis(SESSION_MS as u64 / 6));
        }
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
                if code == 0 { self.stays(ctx) } else { self.refused(ctx, "Heartbeat", code) }
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
            Ok(ErrorCode::UnknownMemberId) if self.modern.is_some() => self.begins_anew(ctx),
            // The epoch rose while the commit was under way; the next heartbeat tells what that means.
            Ok(ErrorCode::StaleMemberEpoch) if self.modern.is_some() => self.beat_at = ctx.now,
            Ok(ErrorCode::RebalanceInProgress) => self.rejoins(ctx),
            Ok(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => {
                self.rejoins(ctx);
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
}

impl super::truth::Truth {
    /// A group by its name.
    pub(crate) fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }
}
