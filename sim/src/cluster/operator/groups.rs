//! Questions about groups, and what their answers must be: a group that has offsets is listed, and no partition belongs to two of
//! its members, whichever protocol they speak.

use super::Outcome;
use super::ledger::GROUPS;
use crate::cluster::member::assigned;
use crate::cluster::remote::Ctx;
use crate::cluster::truth::{Standing, Truth};
use crate::cluster::violation::Violation;
use crate::cluster::wire::{Answer, Link};
use engine::io::sim::Rng;
use protocol::messages::consumer_group_describe::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
use protocol::messages::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};
use protocol::{ApiKey, ErrorCode};
use std::collections::BTreeMap;

const STATES: [&str; 6] = ["Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Assigning", "Reconciling"];
/// First version of DescribeGroups that says of a group that it is not there.
const DESCRIBE: i16 = 6;

/// One question.
#[derive(Clone, Debug)]
pub(super) enum GroupLook {
    /// Which groups there are; those that must be among them when it is asked.
    List { owed: Vec<String> },
    /// A group's members by the classic protocol.
    Classic { group: String },
    /// A group's members by the consumer protocol.
    Consumer { group: String },
}

/// A group that is described: code, state, and for each member who it is and what it has.
type Described = (i16, String, Vec<(String, Vec<(String, i32)>)>);

impl GroupLook {
    pub(super) fn draw(truth: &Truth, rng: &mut Rng) -> GroupLook {
        let groups: Vec<&String> = truth.groups.keys().collect();
        let group = groups.get(rng.below(groups.len().max(1) as u64) as usize).map(|group| (*group).clone());
        match (rng.below(4), group) {
            (0, Some(group)) => GroupLook::Classic { group },
            (1 | 2, Some(group)) => GroupLook::Consumer { group },
            _ => GroupLook::List { owed: Vec::new() },
        }
    }

    /// What is asked in the end.
    pub(super) fn all() -> Vec<GroupLook> {
        vec![GroupLook::List { owed: Vec::new() }]
    }

    pub(super) fn ask(&mut self, ctx: &Ctx<'_>, link: &mut Link) {
        match self {
            GroupLook::List { owed } => {
                *owed = owed_groups(ctx.truth);
                let request = ListGroupsRequest::default();
                link.ask(ctx.now, ApiKey::ListGroups, 5, |writer| request.encode(writer, 5));
            }
            GroupLook::Classic { group } => {
                let groups = vec![group.as_str().into()];
                let request = DescribeGroupsRequest { groups, include_authorized_operations: true };
                link.ask(ctx.now, ApiKey::DescribeGroups, DESCRIBE, |writer| request.encode(writer, DESCRIBE));
            }
            GroupLook::Consumer { group } => {
                let group_ids = vec![group.as_str().into()];
                let request = ConsumerGroupDescribeRequest { group_ids, include_authorized_operations: true };
                link.ask(ctx.now, ApiKey::ConsumerGroupDescribe, 1, |writer| request.encode(writer, 1));
            }
        }
    }

    pub(super) fn check(&self, who: &str, ctx: &Ctx<'_>, answer: &Answer) -> Result<Outcome, Violation> {
        match self {
            GroupLook::List { owed } => check_list(who, ctx, answer, owed),
            GroupLook::Classic { group } => check_members(who, "DescribeGroups", group, classic(who, answer)?),
            GroupLook::Consumer { group } => check_members(who, "ConsumerGroupDescribe", group, consumer(who, answer)?),
        }
    }
}

/// Groups that have a committed offset of a topic that exists.
fn owed_groups(truth: &Truth) -> Vec<String> {
    let parts = truth.parts();
    let with_members = truth.groups.iter().filter(|(_, group)| parts.iter().any(|part| group.acknowledged(*part) >= 0));
    let without = GROUPS.iter().enumerate().filter(|(at, _)| truth.ledger.has(*at));
    with_members.map(|(name, _)| name.clone()).chain(without.map(|(_, name)| (*name).to_owned())).collect()
}

/// Whether the group is still owed: with a topic that is deleted, its offsets go.
fn is_owed(truth: &Truth, group: &str) -> bool {
    match GROUPS.iter().position(|name| *name == group) {
        Some(at) => truth.ledger.has(at),
        None => truth.parts().iter().any(|part| {
            let acknowledged = truth.groups.get(group).map_or(-1, |group| group.acknowledged(*part));
            acknowledged >= 0 && truth.topics[part.topic].standing == Standing::Exists
        }),
    }
}

fn check_list(who: &str, ctx: &Ctx<'_>, answer: &Answer, owed: &[String]) -> Result<Outcome, Violation> {
    const WHAT: &str = "ListGroups";
    let (code, listed) = answer.body(who, WHAT, |reader, version| {
        let response = ListGroupsResponse::decode(reader, version)?;
        let groups = response
            .groups
            .iter()
            .map(|group| (group.group_id.to_string(), (group.group_state.to_string(), group.group_type.to_string())));
        Ok((response.error_code, groups.collect::<BTreeMap<_, _>>()))
    })?;
    if code != 0 {
        return Ok(Outcome::Again(WHAT, code));
    }
    let is_odd = |(state, kind): &(String, String)| {
        !STATES.contains(&state.as_str()) || !["classic", "consumer"].contains(&kind.as_str())
    };
    if let Some((group, (state, kind))) = listed.iter().find(|(_, of)| is_odd(of)) {
        let got = format!("{group} is {state} and {kind}");
        return Err(Violation::Told { who: who.to_owned(), what: WHAT, got });
    }
    let lost = owed.iter().find(|group| !listed.contains_key(*group) && is_owed(ctx.truth, group));
    match lost {
        Some(group) => Err(Violation::GroupLost(group.clone())),
        None => Ok(Outcome::Done),
    }
}

fn classic(who: &str, answer: &Answer) -> Result<Described, Violation> {
    answer.body(who, "DescribeGroups", |reader, version| {
        let response = DescribeGroupsResponse::decode(reader, version)?;
        let Some(group) = response.groups.first() else { return Ok((-1, String::new(), Vec::new())) };
        let mut members = Vec::new();
        for member in &group.members {
            members.push((member.member_id.to_string(), assigned(&member.member_assignment)?));
        }
        Ok((group.error_code, group.group_state.to_string(), members))
    })
}

fn consumer(who: &str, answer: &Answer) -> Result<Described, Violation> {
    answer.body(who, "ConsumerGroupDescribe", |reader, version| {
        let response = ConsumerGroupDescribeResponse::decode(reader, version)?;
        let Some(group) = response.groups.first() else { return Ok((-1, String::new(), Vec::new())) };
        let members = group.members.iter().map(|member| {
            let topics = member.assignment.topic_partitions.iter();
            let parts = topics.flat_map(|t| t.partitions.iter().map(|part| (t.topic_name.to_string(), *part)));
            (member.member_id.to_string(), parts.collect())
        });
        Ok((group.error_code, group.group_state.to_string(), members.collect()))
    })
}

fn check_members(who: &str, what: &'static str, name: &str, group: Described) -> Result<Outcome, Violation> {
    let (code, state, members) = group;
    // It speaks the other protocol, or nobody has joined it yet.
    if code == ErrorCode::GroupIdNotFound.code() {
        return Ok(Outcome::Done);
    }
    if code != 0 {
        return Ok(Outcome::Again(what, code));
    }
    if !STATES.contains(&state.as_str()) {
        return Err(Violation::Told { who: who.to_owned(), what, got: format!("{name} is {state}") });
    }
    let mut owners: BTreeMap<(String, i32), String> = BTreeMap::new();
    for (member, parts) in members {
        for part in parts {
            let partition = part.1;
            if let Some(first) = owners.insert(part, member.clone()) {
                return Err(Violation::TwoHolders { group: name.to_owned(), partition, first, second: member });
            }
        }
    }
    Ok(Outcome::Done)
}
