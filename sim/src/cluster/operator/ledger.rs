//! Offsets of groups without members: what was committed last is what there is, what was deleted is not there, also after every
//! restart and however often `__consumer_offsets` was compacted. One operator writes it, one deed at a time.

use super::Outcome;
use crate::cluster::remote::Ctx;
use crate::cluster::truth::{Part, Standing, Truth};
use crate::cluster::violation::Violation;
use crate::cluster::wire::{Answer, Link};
use engine::io::sim::Rng;
use protocol::messages::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic, OffsetDeleteResponse,
};
use protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse};
use protocol::{ApiKey, ErrorCode};
use std::collections::BTreeMap;

/// Groups without members.
pub(super) const GROUPS: [&str; 2] = ["l0", "l1"];

/// What each partition may have as its offset in each of these groups: one value, none among them, or several where the answer to a
/// change was an error.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(BTreeMap<(usize, Part), Vec<Option<i64>>>);

/// One thing to do with these offsets; groups by their place in [`GROUPS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Commit { group: usize, part: Part, offset: i64 },
    Forget { group: usize, part: Part },
    Drop { group: usize },
    Check { group: usize },
}

impl Ledger {
    /// The disk was replaced.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether a group has an offset for certain.
    pub(super) fn has(&self, group: usize) -> bool {
        self.0.iter().any(|((of, _), values)| *of == group && !values.contains(&None))
    }

    /// Whether a group may have none at all.
    fn may_be_empty(&self, group: usize) -> bool {
        !self.has(group)
    }

    fn may_become(&mut self, group: usize, part: Part, value: Option<i64>) {
        self.0.entry((group, part)).or_insert_with(|| vec![None]).push(value);
    }

    fn became(&mut self, group: usize, part: Part, value: Option<i64>) {
        self.0.insert((group, part), vec![value]);
    }

    fn parts(&self, group: usize) -> Vec<Part> {
        self.0.keys().filter(|(of, _)| *of == group).map(|(_, part)| *part).collect()
    }
}

impl Truth {
    /// With its topic an offset goes.
    pub(super) fn drop_ledger_of_deleted(&mut self) {
        let topics = &self.topics;
        self.ledger.0.retain(|(_, part), _| topics[part.topic].standing == Standing::Exists);
    }

    /// Somebody who asked for all offsets of a group was told these.
    fn ledger_told(&self, group: usize, told: &BTreeMap<(String, i32), i64>) -> Result<(), Violation> {
        let topics = self.topics.iter().enumerate().filter(|(_, topic)| topic.standing == Standing::Exists);
        let parts = topics.flat_map(|(topic, known)| {
            (0..known.partitions.len()).map(move |index| (known, Part { topic, index: index as i32 }))
        });
        for (topic, part) in parts {
            let got = told.get(&(topic.name.clone(), part.index)).copied().filter(|offset| *offset >= 0);
            let known = self.ledger.0.get(&(group, part)).cloned().unwrap_or_else(|| vec![None]);
            if !known.contains(&got) {
                let (group, at) = (GROUPS[group].to_owned(), self.place(part));
                return Err(Violation::Ledger { group, at, known, got });
            }
        }
        Ok(())
    }
}

impl Entry {
    pub(super) fn draw(truth: &Truth, part: Part, rng: &mut Rng) -> Entry {
        let group = rng.below(GROUPS.len() as u64) as usize;
        match rng.below(20) {
            0..8 => {
                let room = truth.look(part).promised.max(0) as u64 + 1;
                Entry::Commit { group, part, offset: rng.below(room) as i64 }
            }
            8..12 => Entry::Forget { group, part },
            12 => Entry::Drop { group },
            _ => Entry::Check { group },
        }
    }

    /// A check of each group.
    pub(super) fn checks() -> Vec<Entry> {
        (0..GROUPS.len()).map(|group| Entry::Check { group }).collect()
    }

    pub(super) fn part(&self) -> Option<Part> {
        match self {
            Entry::Commit { part, .. } | Entry::Forget { part, .. } => Some(*part),
            Entry::Drop { .. } | Entry::Check { .. } => None,
        }
    }

    pub(super) fn ask(&self, ctx: &mut Ctx<'_>, link: &mut Link) {
        let now = ctx.now;
        match *self {
            Entry::Commit { group, part, offset } => {
                ctx.truth.ledger.may_become(group, part, Some(offset));
                let partitions = vec![OffsetCommitRequestPartition {
                    partition_index: part.index,
                    committed_offset: offset,
                    committed_leader_epoch: -1,
                    ..Default::default()
                }];
                let name = ctx.truth.topics[part.topic].name.clone().into();
                let request = OffsetCommitRequest {
                    group_id: GROUPS[group].into(),
                    generation_id_or_member_epoch: -1,
                    topics: vec![OffsetCommitRequestTopic { name, partitions, ..Default::default() }],
                    ..Default::default()
                };
                link.ask(now, ApiKey::OffsetCommit, 8, |writer| request.encode(writer, 8));
            }
            Entry::Forget { group, part } => {
                ctx.truth.ledger.may_become(group, part, None);
                let name = ctx.truth.topics[part.topic].name.clone().into();
                let partitions = vec![OffsetDeleteRequestPartition { partition_index: part.index }];
                let topics = vec![OffsetDeleteRequestTopic { name, partitions }];
                let request = OffsetDeleteRequest { group_id: GROUPS[group].into(), topics };
                link.ask(now, ApiKey::OffsetDelete, 0, |writer| request.encode(writer, 0));
            }
            Entry::Drop { group } => {
                let ledger = &mut ctx.truth.ledger;
                ledger.parts(group).into_iter().for_each(|part| ledger.may_become(group, part, None));
                let request = DeleteGroupsRequest { groups_names: vec![GROUPS[group].into()] };
                link.ask(now, ApiKey::DeleteGroups, 2, |writer| request.encode(writer, 2));
            }
            Entry::Check { group } => {
                let of = OffsetFetchRequestGroup {
                    group_id: GROUPS[group].into(),
                    member_epoch: -1,
                    topics: None,
                    ..Default::default()
                };
                let request = OffsetFetchRequest { groups: vec![of], ..Default::default() };
                link.ask(now, ApiKey::OffsetFetch, 8, |writer| request.encode(writer, 8));
            }
        }
    }

    pub(super) fn answered(
        &self,
        who: &str,
        ctx: &mut Ctx<'_>,
        answer: &Answer,
        tries: u32,
    ) -> Result<Outcome, Violation> {
        // An earlier try may have done it.
        let not_found = ErrorCode::GroupIdNotFound.code();
        let excused = |code: i16, group: usize, ctx: &Ctx<'_>| {
            code == not_found && (tries > 1 || ctx.truth.ledger.may_be_empty(group))
        };
        match *self {
            Entry::Commit { group, part, offset } => {
                let code = answer.body(who, "OffsetCommit", |reader, version| {
                    let response = OffsetCommitResponse::decode(reader, version)?;
                    let part = response.topics.first().and_then(|topic| topic.partitions.first());
                    Ok(part.map_or(-1, |part| part.error_code))
                })?;
                if code != 0 {
                    return Ok(Outcome::Again("OffsetCommit", code));
                }
                ctx.truth.ledger.became(group, part, Some(offset));
            }
            Entry::Forget { group, part } => {
                let code = answer.body(who, "OffsetDelete", |reader, version| {
                    let response = OffsetDeleteResponse::decode(reader, version)?;
                    let part = response.topics.first().and_then(|topic| topic.partitions.first());
                    let code = part.map_or(0, |part| part.error_code);
                    Ok(if response.error_code == 0 { code } else { response.error_code })
                })?;
                if code != 0 && !excused(code, group, ctx) {
                    return Ok(Outcome::Again("OffsetDelete", code));
                }
                ctx.truth.ledger.became(group, part, None);
            }
            Entry::Drop { group } => {
                let code = answer.body(who, "DeleteGroups", |reader, version| {
                    let response = DeleteGroupsResponse::decode(reader, version)?;
                    Ok(response.results.first().map_or(-1, |group| group.error_code))
                })?;
                if code != 0 && !excused(code, group, ctx) {
                    return Ok(Outcome::Again("DeleteGroups", code));
                }
                let ledger = &mut ctx.truth.ledger;
                ledger.parts(group).into_iter().for_each(|part| ledger.became(group, part, None));
            }
            Entry::Check { group } => return check(who, ctx, answer, group),
        }
        Ok(Outcome::Done)
    }
}

fn check(who: &str, ctx: &Ctx<'_>, answer: &Answer, group: usize) -> Result<Outcome, Violation> {
    let (code, told) = answer.body(who, "OffsetFetch", |reader, version| {
        let response = OffsetFetchResponse::decode(reader, version)?;
        let Some(group) = response.groups.first() else { return Ok((-1, BTreeMap::new())) };
        let parts = group.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |part| (topic, part)));
        let told =
            parts.clone().map(|(topic, part)| ((topic.name.to_string(), part.partition_index), part.committed_offset));
        let code = parts.map(|(_, part)| part.error_code).chain([group.error_code]).find(|code| *code != 0);
        Ok((code.unwrap_or(0), told.collect()))
    })?;
    if code != 0 {
        return Ok(Outcome::Again("OffsetFetch", code));
    }
    ctx.truth.ledger_told(group, &told).map(|()| Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: Part = Part { topic: 0, index: 0 };

    #[test]
    fn a_change_without_an_answer_may_hold_or_not_and_one_that_was_answered_holds() {
        let mut ledger = Ledger::default();
        ledger.may_become(0, PART, Some(3));
        assert!(ledger.may_be_empty(0), "nobody said yet that it is there");
        ledger.became(0, PART, Some(3));
        assert!(ledger.has(0) && !ledger.has(1));
        ledger.may_become(0, PART, None);
        assert_eq!((ledger.has(0), ledger.may_be_empty(0)), (false, true));
        ledger.became(0, PART, None);
        assert_eq!(ledger.parts(0), [PART]);
    }
}
