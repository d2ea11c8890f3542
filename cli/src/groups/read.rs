//! What there is to know about groups: which there are, their members, their committed offsets.

use super::plan::Place;
use crate::client::{Broker, Client, CoordinatorKind, Error, Topics};
use protocol::messages::offset_fetch::OffsetFetchRequestGroup;
use protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerProtocolAssignment, DescribeGroupsRequest, ListGroupsRequest,
    OffsetFetchRequest, consumer_group_describe, describe_groups,
};
use protocol::{ApiKey, ErrorCode, Reader};
use std::collections::{BTreeMap, BTreeSet};

/// The two protocols by which members of a group agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The members' clients agree among themselves.
    Classic,
    /// The broker says who gets what (KIP-848).
    Consumer,
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: String,
    /// `Classic`, `Consumer`, `Share`, `Streams`; `Unknown` from brokers that do not say.
    pub(crate) kind: String,
    pub(crate) state: String,
}

/// A group and its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) coordinator: Broker,
    pub(crate) state: String,
    /// The strategy that assigns partitions; empty while there is none.
    pub(crate) assignor: String,
    /// The epochs of group and assignment, of the consumer protocol only.
    pub(crate) epochs: Option<(i32, i32)>,
    pub(crate) members: Vec<Member>,
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) client: String,
    pub(crate) host: String,
    pub(crate) assigned: Vec<Place>,
    /// What it shall have; of the consumer protocol only.
    pub(crate) target: Vec<Place>,
    pub(crate) epoch: Option<i32>,
    /// Whether it speaks the new protocol; none if the broker does not say.
    pub(crate) is_upgraded: Option<bool>,
}

/// A committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: Option<i32>,
}

/// The consumer groups of all brokers, in the order in which they answer, narrowed to `states` and `types` where they are not empty.
pub(crate) fn list(client: &mut Client, states: &[String], types: &[String]) -> Result<Vec<Listed>, Error> {
    let cluster = client.metadata(Topics::None)?;
    let mut groups: Vec<Listed> = Vec::new();
    for broker in &cluster.brokers {
        let text = |all: &[String]| all.iter().map(|one| one.clone().into()).collect();
        let request = ListGroupsRequest { states_filter: text(states), types_filter: text(types) };
        let answer = client.retrying(|client| {
            let answer = client.broker(broker.id, &request)?;
            Error::check(answer.read().error_code, None, || format!("groups of broker {}", broker.id))?;
            Ok(answer)
        })?;
        for group in answer.read().groups {
            // A group of another protocol is no consumer group; one without any has commits only.
            let is_consumers = matches!(group.protocol_type.as_ref(), "" | "consumer");
            let kind = if group.group_type.is_empty() { "Unknown".to_owned() } else { title(&group.group_type) };
            if is_consumers && matches!(kind.as_str(), "Classic" | "Consumer" | "Unknown") {
                let state = group.group_state.to_string();
                groups.push(Listed { id: group.group_id.to_string(), kind, state });
            }
        }
    }
    // A group whose coordinator moves meanwhile is named by both brokers.
    let mut seen = BTreeSet::new();
    groups.retain(|group| seen.insert(group.id.clone()));
    Ok(groups)
}

fn title(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A group with its members.
///
/// # Errors
/// `GROUP_ID_NOT_FOUND` for one that does not exist.
pub(crate) fn describe(client: &mut Client, id: &str) -> Result<Group, Error> {
    client.retrying(|client| {
        let broker = coordinator(client, id)?;
        let said = match describe_consumer(client, id, &broker)? {
            Looked::Found(group) => return Ok(group),
            Looked::Elsewhere(said) => said,
        };
        // Of two answers that there is no such group, Kafka's tools give the words of the first.
        describe_classic(client, id, &broker).map_err(|error| match error {
            Error::Refused { what, code: code @ ErrorCode::GroupIdNotFound, message } => {
                Error::Refused { what, code, message: said.or(message) }
            }
            error => error,
        })
    })
}

/// The broker that coordinates a group.
pub(crate) fn coordinator(client: &mut Client, id: &str) -> Result<Broker, Error> {
    let broker_id = client.coordinator(CoordinatorKind::Group, id)?;
    let known = client.metadata(Topics::None)?.brokers;
    let ids = known.iter().map(|broker| broker.id).collect();
    let found = known.into_iter().find(|broker| broker.id == broker_id);
    found.ok_or(Error::UnknownBroker { id: broker_id, known: ids })
}

/// What the description of groups of the new protocol brought.
enum Looked {
    Found(Group),
    /// The group is a classic one or none, in the broker's words, or the broker has no others.
    Elsewhere(Option<String>),
}

fn describe_consumer(client: &mut Client, id: &str, broker: &Broker) -> Result<Looked, Error> {
    if !client.home()?.served().has(ApiKey::ConsumerGroupDescribe) {
        return Ok(Looked::Elsewhere(None));
    }
    let request = ConsumerGroupDescribeRequest { group_ids: vec![id.into()], include_authorized_operations: false };
    let answer = match client.broker(broker.id, &request) {
        Err(Error::NotServed { .. }) => return Ok(Looked::Elsewhere(None)),
        answer => answer?,
    };
    let response = answer.read();
    let Some(group) = response.groups.into_iter().next() else {
        return Ok(Looked::Elsewhere(None));
    };
    let is_other = [ErrorCode::GroupIdNotFound, ErrorCode::UnsupportedVersion].map(ErrorCode::code);
    if is_other.contains(&group.error_code) {
        let said = group.error_message.filter(|_| group.error_code == ErrorCode::GroupIdNotFound.code());
        return Ok(Looked::Elsewhere(said.map(|words| words.to_string())));
    }
    Error::check(group.error_code, group.error_message.as_deref(), || format!("group `{id}`"))?;
    Ok(Looked::Found(Group {
        id: id.to_owned(),
        kind: Kind::Consumer,
        coordinator: broker.clone(),
        state: group.group_state.to_string(),
        assignor: group.assignor_name.to_string(),
        epochs: Some((group.group_epoch, group.assignment_epoch)),
        members: group.members.iter().map(consumer_member).collect(),
    }))
}

fn consumer_member(member: &consumer_group_describe::Member<'_>) -> Member {
    let places = |assignment: &consumer_group_describe::Assignment<'_>| -> Vec<Place> {
        let rows = assignment.topic_partitions.iter();
        rows.flat_map(|row| row.partitions.iter().map(|partition| (row.topic_name.to_string(), *partition))).collect()
    };
    Member {
        id: member.member_id.to_string(),
        instance: member.instance_id.as_ref().map(ToString::to_string),
        client: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assigned: places(&member.assignment),
        target: places(&member.target_assignment),
        epoch: Some(member.member_epoch),
        is_upgraded: (member.member_type >= 0).then_some(member.member_type == 1),
    }
}

fn describe_classic(client: &mut Client, id: &str, broker: &Broker) -> Result<Group, Error> {
    let request = DescribeGroupsRequest { groups: vec![id.into()], include_authorized_operations: false };
    let answer = client.broker(broker.id, &request)?;
    let what = || format!("group `{id}`");
    let not_found = ErrorCode::GroupIdNotFound.code();
    let response = answer.read();
    let Some(group) = response.groups.into_iter().next() else {
        return Err(Error::Refused { what: what(), code: ErrorCode::GroupIdNotFound, message: None });
    };
    Error::check(group.error_code, group.error_message.as_deref(), what)?;
    // Before version 6 a group that does not exist was described as a dead one.
    if group.group_state == "Dead" && group.members.is_empty() {
        Error::check(not_found, Some(&format!("Group {id} not found.")), what)?;
    }
    if !matches!(group.protocol_type.as_ref(), "" | "consumer") {
        let message = format!("it is not a consumer group ({})", group.protocol_type);
        Error::check(ErrorCode::InconsistentGroupProtocol.code(), Some(&message), what)?;
    }
    Ok(Group {
        id: id.to_owned(),
        kind: Kind::Classic,
        coordinator: broker.clone(),
        state: group.group_state.to_string(),
        assignor: group.protocol_data.to_string(),
        epochs: None,
        members: group.members.iter().map(classic_member).collect(),
    })
}

fn classic_member(member: &describe_groups::DescribedGroupMember<'_>) -> Member {
    Member {
        id: member.member_id.to_string(),
        instance: member.group_instance_id.as_ref().map(ToString::to_string),
        client: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assigned: assigned(&member.member_assignment),
        target: Vec::new(),
        epoch: None,
        is_upgraded: None,
    }
}

/// The partitions of a classic member's assignment. Bytes that are none belong to a client with a protocol of its own.
pub(crate) fn assigned(bytes: &[u8]) -> Vec<Place> {
    let mut reader = Reader::new(bytes);
    let Ok(version) = reader.i16() else { return Vec::new() };
    let version = version.clamp(0, ConsumerProtocolAssignment::VERSIONS.max);
    let Ok(assignment) = ConsumerProtocolAssignment::decode(&mut reader, version) else { return Vec::new() };
    let rows = assignment.assigned_partitions.iter();
    rows.flat_map(|row| row.partitions.iter().map(|partition| (row.topic.to_string(), *partition))).collect()
}

/// Every committed offset of a group.
pub(crate) fn committed(client: &mut Client, id: &str) -> Result<BTreeMap<Place, Committed>, Error> {
    client.retrying(|client| {
        let broker = client.coordinator(CoordinatorKind::Group, id)?;
        committed_at(client, broker, id)
    })
}

fn committed_at(client: &mut Client, broker: i32, id: &str) -> Result<BTreeMap<Place, Committed>, Error> {
    let several = client.home()?.version_for::<OffsetFetchRequest<'_>>()? >= 8;
    let group = OffsetFetchRequestGroup { group_id: id.into(), topics: None, ..OffsetFetchRequestGroup::default() };
    let request = if several {
        OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() }
    } else {
        OffsetFetchRequest { group_id: id.into(), topics: None, ..OffsetFetchRequest::default() }
    };
    let answer = client.broker(broker, &request)?;
    let response = answer.read();
    let what = || format!("offsets of group `{id}`");
    Error::check(response.error_code, None, what)?;
    let mut all = BTreeMap::new();
    let mut take = |topic: &str, partition: i32, offset: i64, epoch: i32, code: i16| -> Result<(), Error> {
        Error::check(code, None, || format!("offset of group `{id}` for {topic}-{partition}"))?;
        if offset >= 0 {
            let leader_epoch = (epoch >= 0).then_some(epoch);
            all.insert((topic.to_owned(), partition), Committed { offset, leader_epoch });
        }
        Ok(())
    };
    for topic in &response.topics {
        for p in &topic.partitions {
            take(&topic.name, p.partition_index, p.committed_offset, p.committed_leader_epoch, p.error_code)?;
        }
    }
    for group in &response.groups {
        Error::check(group.error_code, None, what)?;
        for topic in &group.topics {
            for p in &topic.partitions {
                take(&topic.name, p.partition_index, p.committed_offset, p.committed_leader_epoch, p.error_code)?;
            }
        }
    }
    Ok(all)
}
