//! The same member by the consumer protocol (KIP-848): one kind of request joins, acknowledges, beats and leaves, and partitions come
//! and go one by one. Reading and committing are the classic member's.
//!
//! It lies now and then: a heartbeat of an epoch that nobody was told, a commit of a partition that it gave up.

use super::{Member, SESSION_MS, State};
use crate::cluster::remote::Ctx;
use crate::cluster::truth::Part;
use crate::cluster::violation::Violation;
use crate::cluster::wire::Answer;
use engine::time::Mono;
use protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use protocol::{ApiKey, ErrorCode, Uuid};
use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

/// How long it may keep what it was asked to give up. Longer than any run: who is put out for that goes on until it hears of it, and
/// the check for two owners could not tell.
const REBALANCE_MS: i32 = 3_600_000;
/// Epochs that a lie is ahead of the truth.
const LIE: i32 = 1_000;

/// What only such a member remembers.
#[derive(Debug, Default)]
pub(crate) struct Modern {
    /// When the heartbeat under way was sent.
    sent: Mono,
    /// An answer was missed: tell everything, to be told everything.
    missed: bool,
    /// The heartbeat under way is a lie.
    lies: bool,
    /// The topic's id, once something was assigned.
    topic: Uuid,
    /// A partition that it gave up, the last epoch in which it had it, and what it had committed.
    lost: Option<(i32, i32, i64)>,
    /// Partitions that it was given before whoever made them was told that they are there: until then some shards may not know
    /// them, and a client asks again.
    unannounced: BTreeSet<i32>,
}

/// What a heartbeat was answered.
struct Told {
    code: i16,
    epoch: i32,
    assignment: Option<(Uuid, BTreeSet<i32>)>,
}

impl Modern {
    /// A new life begins, without partitions.
    pub(super) fn forget(&mut self) {
        (self.lost, self.missed) = (None, false);
        self.unannounced.clear();
    }
}

impl Member {
    /// The same in a group of both protocols.
    pub(crate) fn among_both(self) -> Member {
        Member { mixes: true, ..self }
    }

    /// The same as a member of the consumer protocol.
    pub(crate) fn modern(self) -> Member {
        Member { modern: Some(Modern::default()), ..self }
    }

    /// Joins, or says that it is alive and what it owns.
    pub(super) fn ask_beat(&mut self, ctx: &mut Ctx<'_>, lie: i32) {
        let joins = self.state == State::Outside;
        let who = self.remote.who.clone();
        let Some(modern) = &mut self.modern else { return };
        if self.id.is_empty() {
            self.lives += 1;
            self.id = format!("{who}, life {}", self.lives);
        }
        modern.sent = ctx.now;
        modern.lies = lie != 0;
        let tells_all = joins || modern.missed;
        let partitions: Vec<i32> = self.share.keys().chain(&modern.unannounced).copied().collect();
        let owned = TopicPartitions { topic_id: modern.topic, partitions };
        let owned = if joins || owned.partitions.is_empty() { Vec::new() } else { vec![owned] };
        // Until it is answered, the answer may be lost.
        modern.missed = true;
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone().into(),
            member_id: self.id.clone().into(),
            member_epoch: if joins { 0 } else { self.generation + lie },
            rebalance_timeout_ms: if tells_all { REBALANCE_MS } else { -1 },
            subscribed_topic_names: tells_all.then(|| vec![ctx.truth.topics[self.topic].name.clone().into()]),
            topic_partitions: Some(owned),
            ..Default::default()
        };
        if let Some(link) = self.remote.link() {
            link.ask(ctx.now, ApiKey::ConsumerGroupHeartbeat, 1, |writer| request.encode(writer, 1));
        }
    }

    pub(super) fn beaten(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        let told = answer.body(&self.remote.who, "ConsumerGroupHeartbeat", |reader, version| {
            let response = ConsumerGroupHeartbeatResponse::decode(reader, version)?;
            let assigned = response.assignment.map(|all| {
                let topics = all.topic_partitions.into_iter();
                topics.map(|topic| (topic.topic_id, topic.partitions.into_iter().collect())).next().unwrap_or_default()
            });
            Ok(Told { code: response.error_code, epoch: response.member_epoch, assignment: assigned })
        })?;
        let Some(modern) = &mut self.modern else { return Ok(()) };
        // A farewell was answered.
        if self.state == State::Outside && told.epoch < 0 {
            return Ok(());
        }
        if modern.lies && told.code == ErrorCode::FencedMemberEpoch.code() {
            modern.lies = false;
            return Ok(());
        }
        if told.code != 0 {
            return self.put_off(ctx, told.code);
        }
        if modern.lies {
            let (group, old, current) = (self.group.clone(), self.generation + LIE, self.generation);
            return Err(Violation::Zombie { group, old, current });
        }
        modern.missed = false;
        let until = modern.sent.plus_millis(SESSION_MS as u64);
        let (topic, group) = (self.topic, self.group.clone());
        self.take_share(&told, ctx.truth.topics[topic].partitions.len() as i32);
        let later = self.modern.iter().flat_map(|modern| &modern.unannounced);
        let parts: Vec<Part> = self.share.keys().chain(later).map(|index| Part { topic, index: *index }).collect();
        ctx.truth.group(&group).holds(&group, &self.id, &parts, until, ctx.now)
    }

    /// `announced` is how many partitions are known to be there.
    fn take_share(&mut self, told: &Told, announced: i32) {
        let before = std::mem::replace(&mut self.generation, told.epoch);
        if self.state == State::Outside {
            self.state = State::Working;
        }
        let Some(modern) = &mut self.modern else { return };
        let mut assigned: BTreeSet<i32> = self.share.keys().chain(&modern.unannounced).copied().collect();
        if let Some((topic, told)) = &told.assignment {
            assigned.clone_from(told);
            if !told.is_empty() {
                modern.topic = *topic;
            }
        }
        modern.unannounced = assigned.split_off(&announced);
        for (index, (_, committed)) in self.share.iter().filter(|(index, _)| !assigned.contains(index)) {
            modern.lost = Some((*index, before, *committed));
        }
        self.share.retain(|index, _| assigned.contains(index));
        for index in assigned {
            if let Entry::Vacant(place) = self.share.entry(index) {
                place.insert((0, -1));
                self.state = State::Beginning;
            }
        }
    }

    /// An error of the group: it stops using everything where it is not a member any more.
    fn put_off(&mut self, ctx: &mut Ctx<'_>, code: i16) -> Result<(), Violation> {
        let is_out = [ErrorCode::UnknownMemberId, ErrorCode::FencedMemberEpoch, ErrorCode::GroupIdNotFound];
        if is_out.iter().any(|error| error.code() == code) {
            self.next_at = ctx.now.plus_millis(50 + self.remote.rng.below(100));
            self.begins_anew(ctx);
            return Ok(());
        }
        let is_working = matches!(self.state, State::Working | State::Beginning);
        let before = self.state.clone();
        self.refused(ctx, "ConsumerGroupHeartbeat", code)?;
        // It is still a member, and has what it has.
        if is_working {
            self.state = before;
        }
        Ok(())
    }

    /// Sometimes leaves, vanishes, oversleeps or lies.
    pub(super) fn misbehaves_modern(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let (often, at) = (if self.mixes { 100 } else { 400 }, self.remote.rng.below(400));
        match at % often {
            0 => {
                let request = ConsumerGroupHeartbeatRequest {
                    group_id: self.group.clone().into(),
                    member_id: self.id.clone().into(),
                    member_epoch: -1,
                    rebalance_timeout_ms: -1,
                    ..Default::default()
                };
                self.begins_anew(ctx);
                if let Some(link) = self.remote.link() {
                    link.ask(ctx.now, ApiKey::ConsumerGroupHeartbeat, 1, |writer| request.encode(writer, 1));
                }
            }
            1 => {
                self.remote.hang_up(ctx.now);
                self.begins_anew(ctx);
                self.next_at = ctx.now.plus_millis(self.remote.rng.below(10_000));
            }
            2 => self.next_at = ctx.now.plus_millis(self.remote.rng.below(3 * SESSION_MS as u64)),
            3..6 => self.ask_beat(ctx, LIE),
            6..40 => return self.commit_lost(ctx),
            _ => return false,
        }
        true
    }

    /// Commits a partition that it gave up, in the last epoch in which it had it. False when there is none.
    fn commit_lost(&mut self, ctx: &Ctx<'_>) -> bool {
        let Some((index, epoch, committed)) = self.modern.as_mut().and_then(|modern| modern.lost.take()) else {
            return false;
        };
        if self.share.contains_key(&index) || epoch >= self.generation || epoch < 1 {
            return false;
        }
        self.committing = [(index, committed.max(0))].into();
        self.is_late = true;
        self.send_commit(ctx, epoch);
        true
    }

    /// What a commit under way that is late should be refused with, and is.
    pub(super) fn is_rightly_late(&self, code: i16) -> bool {
        let right = if self.modern.is_some() { ErrorCode::StaleMemberEpoch } else { ErrorCode::IllegalGeneration };
        code == right.code()
    }
}
