//! The records of a consumer group in `__consumer_offsets`, byte for byte Kafka's: key types 3 and 5 to 8, and 16.
//!
//! ```text
//! 3  group epoch, hash of topics          7  what one member is to have
//! 5  what one member said about itself    8  what one member has
//! 6  epoch of the targets                 16 what one pattern matches
//! ```
//! Key type 4, which Kafka wrote before 4.1, is read over. Values are in version 0, the only one.

use super::member::{Classic, Facts, Progress, sorted_names};
use super::partitions::Partitions;
use super::state::{ConsumerGroup, Owner};
use super::subscriptions::Resolved;
use crate::group::ids::{GroupId, InstanceId, MemberId};
use crate::group::member::Protocol;
use crate::group::records::{Record, check_text, prefixed};
use protocol::messages::consumer_group_records::{
    ClassicMemberMetadata, ClassicProtocol, ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey, ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey,
    ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, TopicPartition, TopicPartitions,
};
use protocol::{Bytes, DecodeError, Reader, Uuid};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

const VERSION: i16 = 0;

/// What a record of a consumer group says. `None` in a value's place is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConsumerFact {
    /// The group's epoch and the hash of its topics.
    Epoch(Option<(i32, i64)>),
    /// What a member said about itself.
    Member(MemberId, Option<Facts>),
    /// Epoch of the targets, and when they were made.
    AssignmentEpoch(Option<(i32, i64)>),
    /// What a member is to have.
    Target(MemberId, Option<Partitions>),
    /// What a member has.
    Current(MemberId, Option<Current>),
    /// What a pattern matches.
    Pattern(Arc<str>, Option<Resolved>),
    /// Partitions of topics as Kafka 4.0 wrote them down; nothing depends on them.
    TopicMetadata,
}

/// What a member has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Current {
    /// Its epoch.
    pub(crate) epoch: i32,
    /// The one before.
    pub(crate) previous_epoch: i32,
    /// How far it is.
    pub(crate) progress: Progress,
    /// With the epoch each was assigned in.
    pub(crate) assigned: Vec<((Uuid, i32), i32)>,
    /// With the epoch each was assigned in.
    pub(crate) revoking: Vec<((Uuid, i32), i32)>,
}

/// The group's epoch.
pub(super) fn group_epoch(group: &GroupId, state: &ConsumerGroup) -> Record {
    let value = ConsumerGroupMetadataValue { epoch: state.epoch, metadata_hash: state.topics_hash };
    Record { key: group_key(group), value: Some(prefixed(VERSION, |w| value.encode(w, VERSION))) }
}

/// What a member said.
pub(super) fn member(group: &GroupId, id: &MemberId, facts: &Facts) -> Record {
    let classic = facts.classic.as_ref().map(|classic| ClassicMemberMetadata {
        session_timeout_ms: classic.session_timeout_ms,
        supported_protocols: classic.protocols.iter().map(encode_protocol).collect(),
    });
    let value = ConsumerGroupMemberMetadataValue {
        instance_id: facts.instance.as_ref().map(|instance| instance.as_str().into()),
        rack_id: facts.rack.as_deref().map(Cow::Borrowed),
        client_id: Cow::Borrowed(&facts.client_id),
        client_host: Cow::Borrowed(&facts.client_host),
        subscribed_topic_names: facts.names.iter().map(|name| Cow::Borrowed(&**name)).collect(),
        subscribed_topic_regex: facts.regex.as_deref().map(Cow::Borrowed),
        rebalance_timeout_ms: facts.rebalance_timeout_ms,
        server_assignor: facts.assignor.as_deref().map(Cow::Borrowed),
        classic_member_metadata: classic,
    };
    Record { key: member_key(group, id), value: Some(prefixed(VERSION, |w| value.encode(w, VERSION))) }
}

fn encode_protocol(protocol: &Protocol) -> ClassicProtocol<'_> {
    ClassicProtocol { name: Cow::Borrowed(&protocol.name), metadata: Bytes::Borrowed(&protocol.metadata) }
}

/// The epoch of the targets.
pub(super) fn assignment_epoch(group: &GroupId, state: &ConsumerGroup) -> Record {
    let value = ConsumerGroupTargetAssignmentMetadataValue {
        assignment_epoch: state.assignment_epoch,
        assignment_timestamp: state.assigned_wall_ms,
    };
    Record { key: assignment_key(group), value: Some(prefixed(VERSION, |w| value.encode(w, VERSION))) }
}

/// What a member is to have.
pub(super) fn target(group: &GroupId, id: &MemberId, partitions: &Partitions) -> Record {
    let of = |(topic, set): (&Uuid, &std::collections::BTreeSet<i32>)| TopicPartition {
        topic_id: *topic,
        partitions: set.iter().copied().collect(),
    };
    let value = ConsumerGroupTargetAssignmentMemberValue { topic_partitions: partitions.iter().map(of).collect() };
    Record { key: target_key(group, id), value: Some(prefixed(VERSION, |w| value.encode(w, VERSION))) }
}

/// What a member has; none for one that is not there.
pub(super) fn current(group: &GroupId, id: &MemberId, state: &ConsumerGroup) -> Option<Record> {
    let member = state.members.get(id)?;
    let value = ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: member.epoch,
        previous_member_epoch: member.previous_epoch,
        state: member.progress as i8,
        assigned_partitions: with_epochs(&member.assigned, &state.owners),
        partitions_pending_revocation: with_epochs(&member.revoking, &state.owners),
    };
    Some(Record { key: current_key(group, id), value: Some(prefixed(VERSION, |w| value.encode(w, VERSION))) })
}

fn with_epochs(partitions: &Partitions, owners: &HashMap<(Uuid, i32), Owner>) -> Vec<TopicPartitions> {
    let of = |(topic, set): (&Uuid, &std::collections::BTreeSet<i32>)| TopicPartitions {
        topic_id: *topic,
        partitions: set.iter().copied().collect(),
        assignment_epochs: Some(set.iter().map(|p| owners.get(&(*topic, *p)).map_or(0, |owner| owner.since)).collect()),
    };
    partitions.iter().map(of).collect()
}

/// What a pattern matches.
pub(super) fn pattern(group: &GroupId, text: &str, resolved: &Resolved) -> Record {
    let value = ConsumerGroupRegularExpressionValue {
        topics: resolved.topics.iter().map(|name| Cow::Borrowed(&**name)).collect(),
        version_: resolved.version,
        timestamp: resolved.matched_wall_ms,
    };
    Record { key: pattern_key(group, text), value: Some(prefixed(VERSION, |w| value.encode(w, VERSION))) }
}

/// No member has the pattern any more.
pub(super) fn pattern_tombstone(group: &GroupId, text: &str) -> Record {
    Record { key: pattern_key(group, text), value: None }
}

/// A member is gone. In Kafka's order: what it has, what it was to have, what it said.
pub(super) fn member_tombstones(group: &GroupId, id: &MemberId) -> [Record; 3] {
    [current_key(group, id), target_key(group, id), member_key(group, id)].map(|key| Record { key, value: None })
}

/// The whole group is gone.
pub(crate) fn group_tombstones(group: &GroupId, state: &ConsumerGroup) -> Vec<Record> {
    let mut records: Vec<Record> = state.members.keys().flat_map(|id| member_tombstones(group, id)).collect();
    records.push(Record { key: assignment_key(group), value: None });
    records.extend(state.patterns.keys().map(|text| pattern_tombstone(group, text)));
    records.push(Record { key: group_key(group), value: None });
    records
}

/// The whole group as it is.
pub(super) fn snapshot(group: &GroupId, state: &ConsumerGroup) -> Vec<Record> {
    let mut records: Vec<Record> = state.members.iter().map(|(id, m)| member(group, id, &m.facts)).collect();
    records.push(group_epoch(group, state));
    records.extend(state.patterns.iter().map(|(text, resolved)| pattern(group, text, resolved)));
    records.extend(state.targets.iter().map(|(id, partitions)| target(group, id, partitions)));
    records.push(assignment_epoch(group, state));
    records.extend(state.members.keys().filter_map(|id| current(group, id, state)));
    records
}

/// Reads one record of a consumer group: its kind was read, the rest of the key is in `key`. `None` for another kind.
pub(crate) fn decode(
    kind: i16,
    key: &mut Reader<'_>,
    value: Option<&[u8]>,
) -> Result<Option<(GroupId, ConsumerFact)>, DecodeError> {
    Ok(Some(match kind {
        ConsumerGroupMetadataKey::RECORD_TYPE => {
            let key = ConsumerGroupMetadataKey::decode(key, VERSION)?;
            let value = versioned(value, ConsumerGroupMetadataValue::decode)?;
            (GroupId::from(&*key.group_id), ConsumerFact::Epoch(value.map(|v| (v.epoch, v.metadata_hash))))
        }
        ConsumerGroupPartitionMetadataKey::RECORD_TYPE => {
            let key = ConsumerGroupPartitionMetadataKey::decode(key, VERSION)?;
            (GroupId::from(&*key.group_id), ConsumerFact::TopicMetadata)
        }
        ConsumerGroupMemberMetadataKey::RECORD_TYPE => {
            let key = ConsumerGroupMemberMetadataKey::decode(key, VERSION)?;
            let facts =
                versioned(value, ConsumerGroupMemberMetadataValue::decode)?.map(|v| decode_facts(&v)).transpose()?;
            (GroupId::from(&*key.group_id), ConsumerFact::Member(MemberId::from(&*key.member_id), facts))
        }
        ConsumerGroupTargetAssignmentMetadataKey::RECORD_TYPE => {
            let key = ConsumerGroupTargetAssignmentMetadataKey::decode(key, VERSION)?;
            let value = versioned(value, ConsumerGroupTargetAssignmentMetadataValue::decode)?;
            let value = value.map(|v| (v.assignment_epoch, v.assignment_timestamp));
            (GroupId::from(&*key.group_id), ConsumerFact::AssignmentEpoch(value))
        }
        ConsumerGroupTargetAssignmentMemberKey::RECORD_TYPE => {
            let key = ConsumerGroupTargetAssignmentMemberKey::decode(key, VERSION)?;
            let value = versioned(value, ConsumerGroupTargetAssignmentMemberValue::decode)?;
            let target = value.map(|v| {
                v.topic_partitions
                    .into_iter()
                    .flat_map(|t| t.partitions.into_iter().map(move |p| (t.topic_id, p)))
                    .fold(Partitions::new(), |mut all, (topic, p)| {
                        super::partitions::insert(&mut all, topic, p);
                        all
                    })
            });
            (GroupId::from(&*key.group_id), ConsumerFact::Target(MemberId::from(&*key.member_id), target))
        }
        ConsumerGroupCurrentMemberAssignmentKey::RECORD_TYPE => {
            let key = ConsumerGroupCurrentMemberAssignmentKey::decode(key, VERSION)?;
            let value =
                versioned(value, ConsumerGroupCurrentMemberAssignmentValue::decode)?.map(|v| decode_current(&v));
            (GroupId::from(&*key.group_id), ConsumerFact::Current(MemberId::from(&*key.member_id), value))
        }
        ConsumerGroupRegularExpressionKey::RECORD_TYPE => {
            let key = ConsumerGroupRegularExpressionKey::decode(key, VERSION)?;
            let value = versioned(value, ConsumerGroupRegularExpressionValue::decode)?.map(|v| Resolved {
                topics: Arc::new(v.topics.iter().map(|name| Arc::from(&**name)).collect()),
                version: v.version_,
                matched_wall_ms: v.timestamp,
            });
            (GroupId::from(&*key.group_id), ConsumerFact::Pattern(Arc::from(&*key.regular_expression), value))
        }
        _ => return Ok(None),
    }))
}

/// A value behind its version.
fn versioned<'a, T>(
    value: Option<&'a [u8]>,
    decode: impl FnOnce(&mut Reader<'a>, i16) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    let Some(value) = value else { return Ok(None) };
    let mut r = Reader::new(value);
    let version = r.i16()?;
    decode(&mut r, version).map(Some)
}

/// Texts that only flexible records can carry are refused: the group may have to be written as a classic one.
fn decode_facts(value: &ConsumerGroupMemberMetadataValue<'_>) -> Result<Facts, DecodeError> {
    let ids = [value.instance_id.as_deref(), Some(&*value.client_id), Some(&*value.client_host)];
    ids.into_iter().flatten().try_for_each(check_text)?;
    let protocols = |classic: &ClassicMemberMetadata<'_>| Classic {
        session_timeout_ms: classic.session_timeout_ms,
        protocols: classic
            .supported_protocols
            .iter()
            .map(|p| Protocol { name: (&*p.name).into(), metadata: (&*p.metadata).into() })
            .collect(),
    };
    Ok(Facts {
        instance: value.instance_id.as_deref().map(InstanceId::from),
        rack: value.rack_id.as_deref().map(Arc::from),
        client_id: value.client_id.as_ref().into(),
        client_host: value.client_host.as_ref().into(),
        names: sorted_names(value.subscribed_topic_names.iter().map(|name| &**name)),
        regex: value.subscribed_topic_regex.as_deref().map(Arc::from),
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        assignor: value.server_assignor.as_deref().map(Arc::from),
        classic: value.classic_member_metadata.as_ref().map(protocols),
    })
}

/// Kafka before 4.3 wrote no epochs of assignment: those count as assigned in the member's epoch.
fn decode_current(value: &ConsumerGroupCurrentMemberAssignmentValue) -> Current {
    let of = |topics: &[TopicPartitions]| {
        let mut all = Vec::new();
        for topic in topics {
            let epochs = topic.assignment_epochs.as_deref().unwrap_or_default();
            for (at, partition) in topic.partitions.iter().enumerate() {
                let since = epochs.get(at).copied().unwrap_or(value.member_epoch);
                all.push(((topic.topic_id, *partition), since));
            }
        }
        all
    };
    Current {
        epoch: value.member_epoch,
        previous_epoch: value.previous_member_epoch,
        progress: Progress::from(value.state),
        assigned: of(&value.assigned_partitions),
        revoking: of(&value.partitions_pending_revocation),
    }
}

fn group_key(group: &GroupId) -> Vec<u8> {
    let key = ConsumerGroupMetadataKey { group_id: group.as_str().into() };
    prefixed(ConsumerGroupMetadataKey::RECORD_TYPE, |w| key.encode(w, VERSION))
}

fn assignment_key(group: &GroupId) -> Vec<u8> {
    let key = ConsumerGroupTargetAssignmentMetadataKey { group_id: group.as_str().into() };
    prefixed(ConsumerGroupTargetAssignmentMetadataKey::RECORD_TYPE, |w| key.encode(w, VERSION))
}

fn member_key(group: &GroupId, id: &MemberId) -> Vec<u8> {
    let key = ConsumerGroupMemberMetadataKey { group_id: group.as_str().into(), member_id: id.as_str().into() };
    prefixed(ConsumerGroupMemberMetadataKey::RECORD_TYPE, |w| key.encode(w, VERSION))
}

fn target_key(group: &GroupId, id: &MemberId) -> Vec<u8> {
    let key = ConsumerGroupTargetAssignmentMemberKey { group_id: group.as_str().into(), member_id: id.as_str().into() };
    prefixed(ConsumerGroupTargetAssignmentMemberKey::RECORD_TYPE, |w| key.encode(w, VERSION))
}

fn current_key(group: &GroupId, id: &MemberId) -> Vec<u8> {
    let key =
        ConsumerGroupCurrentMemberAssignmentKey { group_id: group.as_str().into(), member_id: id.as_str().into() };
    prefixed(ConsumerGroupCurrentMemberAssignmentKey::RECORD_TYPE, |w| key.encode(w, VERSION))
}

fn pattern_key(group: &GroupId, text: &str) -> Vec<u8> {
    let key = ConsumerGroupRegularExpressionKey { group_id: group.as_str().into(), regular_expression: text.into() };
    prefixed(ConsumerGroupRegularExpressionKey::RECORD_TYPE, |w| key.encode(w, VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member as Kafka 4.3.1's own class writes it, with and without what a classic one has.
    #[test]
    fn a_member_byte_for_byte() {
        let facts =
            Facts { client_id: "c".into(), client_host: "h".into(), rebalance_timeout_ms: 1, ..Facts::unknown() };
        let classic = Some(Classic { session_timeout_ms: 7, protocols: Arc::from([]) });
        let head = b"\0\0\0\0\x02c\x02h\x01\0\0\0\0\x01\0\x01\0".to_vec();
        for (facts, tail) in
            [(facts.clone(), &b"\x01\0"[..]), (Facts { classic, ..facts }, b"\x07\x01\0\0\0\x07\x01\0")]
        {
            let record = member(&"g".into(), &"m".into(), &facts);
            assert_eq!(record.key, b"\0\x05\0\x01g\0\x01m");
            assert_eq!(record.value, Some([&head, tail].concat()));
            let decoded = decode(5, &mut Reader::new(&record.key[2..]), record.value.as_deref());
            assert_eq!(decoded, Ok(Some(("g".into(), ConsumerFact::Member("m".into(), Some(facts))))));
        }
    }
}
