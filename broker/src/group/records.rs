//! Records of `__consumer_offsets`, byte for byte Kafka's, because Burrow, kminion and Kafka's own tools read them.
//!
//! ```text
//! key    kind i16 │ body v0            kind 0, 1: an offset   2: a group   3…: KIP-848 and later, not ours
//! value  version i16 │ body, or no value at all: a tombstone
//! ```
//! Values are read in every version and written in version 3: Burrow in the field does not read group values of
//! version 4, and misreads offset values of version 4 that carry 127 bytes of metadata or more. Offsets with a retention of their
//! own are written in version 1, the only one that can say so (Kafka does the same).

use super::ids::{GroupId, MemberId};
use super::limits::RECORD_OVERHEAD_BYTES_MAX;
use super::offsets::{Committed, TopicPartition};
use super::state::Group;
use protocol::batch::BatchBuilder;
use protocol::messages::group_metadata_record::{GroupMetadataKey, GroupMetadataValue, MemberMetadata};
use protocol::messages::offset_commit_record::{LegacyOffsetCommitKey, OffsetCommitKey, OffsetCommitValue};
use protocol::{Bytes, DecodeError, EncodeError, Reader, Writer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

const OFFSET_VALUE_VERSION: i16 = 3;
const OFFSET_VALUE_VERSION_WITH_EXPIRY: i16 = 1;
const GROUP_VALUE_VERSION: i16 = 3;
const KEY_VERSION: i16 = 0;

/// One record to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Which group, or which offset of it.
    pub(crate) key: Vec<u8>,
    /// None is a tombstone.
    pub(crate) value: Option<Vec<u8>>,
}

impl Record {
    /// Bytes that it takes in a batch, at most.
    pub(crate) fn size_bytes_max(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len) + RECORD_OVERHEAD_BYTES_MAX
    }
}

/// What a record of the log says. `None` in a value's place is a tombstone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fact<'a> {
    /// An offset was committed or deleted.
    Offset {
        /// Whose.
        group: GroupId,
        /// Where.
        at: TopicPartition,
        /// What.
        committed: Option<Committed>,
    },
    /// A group changed or was deleted.
    Group {
        /// Which.
        group: GroupId,
        /// Its new shape.
        value: Option<GroupMetadataValue<'a>>,
    },
    /// A kind that other coordinators write.
    Foreign {
        /// The number in front of the key.
        kind: i16,
    },
}

/// The records as one batch, its offsets to be patched by the log. Timestamps are the wall clock's.
pub(crate) fn batch(records: &[Record], wall_ms: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for record in records {
        builder.append(wall_ms, Some(&record.key), record.value.as_deref(), &[]);
    }
    builder.build()
}

/// A committed offset.
pub(crate) fn offset(group: &GroupId, at: &TopicPartition, committed: &Committed) -> Record {
    let version = if committed.expires_ms.is_some() { OFFSET_VALUE_VERSION_WITH_EXPIRY } else { OFFSET_VALUE_VERSION };
    let value = OffsetCommitValue {
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: Cow::Borrowed(&committed.metadata),
        commit_timestamp: committed.committed_ms,
        expire_timestamp: committed.expires_ms.unwrap_or(-1),
        ..OffsetCommitValue::default()
    };
    Record { key: offset_key(group, at), value: Some(prefixed(version, |w| value.encode(w, version))) }
}

/// An offset is gone.
pub(crate) fn offset_tombstone(group: &GroupId, at: &TopicPartition) -> Record {
    Record { key: offset_key(group, at), value: None }
}

/// The group as it is now, with these assignments.
pub(crate) fn group_metadata(group: &Group, assignments: &BTreeMap<MemberId, Arc<[u8]>>) -> Record {
    let protocol = group.protocol();
    let members = group.members.iter().map(|(id, member)| MemberMetadata {
        member_id: Cow::Borrowed(id.as_str()),
        group_instance_id: member.instance.as_ref().map(|i| Cow::Borrowed(i.as_str())),
        client_id: Cow::Borrowed(&member.client_id),
        client_host: Cow::Borrowed(&member.client_host),
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: Bytes::Owned(protocol.map(|p| member.metadata(p).to_vec()).unwrap_or_default()),
        assignment: Bytes::Owned(assignments.get(id).map(|a| a.to_vec()).unwrap_or_default()),
    });
    let value = GroupMetadataValue {
        protocol_type: Cow::Borrowed(group.protocol_type.as_deref().unwrap_or_default()),
        generation: group.generation,
        protocol: protocol.map(|p| Cow::Borrowed(&**p)),
        leader: group.leader.as_ref().map(|l| Cow::Borrowed(l.as_str())),
        current_state_timestamp: group.since_wall_ms.unwrap_or(-1),
        members: members.collect(),
    };
    let value = prefixed(GROUP_VALUE_VERSION, |w| value.encode(w, GROUP_VALUE_VERSION));
    Record { key: group_key(&group.id), value: Some(value) }
}

/// The group is gone.
pub(crate) fn group_tombstone(group: &GroupId) -> Record {
    Record { key: group_key(group), value: None }
}

/// Reads one record.
pub(crate) fn decode<'a>(key: &'a [u8], value: Option<&'a [u8]>) -> Result<Fact<'a>, DecodeError> {
    let mut r = Reader::new(key);
    match r.i16()? {
        LegacyOffsetCommitKey::RECORD_TYPE => {
            let key = LegacyOffsetCommitKey::decode(&mut r, KEY_VERSION)?;
            decode_offset(&key.group, &key.topic, key.partition, value)
        }
        OffsetCommitKey::RECORD_TYPE => {
            let key = OffsetCommitKey::decode(&mut r, KEY_VERSION)?;
            decode_offset(&key.group, &key.topic, key.partition, value)
        }
        GroupMetadataKey::RECORD_TYPE => {
            let group = GroupId::from(&*GroupMetadataKey::decode(&mut r, KEY_VERSION)?.group);
            let decode = |value| {
                let mut r = Reader::new(value);
                let version = r.i16()?;
                GroupMetadataValue::decode(&mut r, version)
            };
            Ok(Fact::Group { group, value: value.map(decode).transpose()? })
        }
        kind => Ok(Fact::Foreign { kind }),
    }
}

fn decode_offset(group: &str, topic: &str, partition: i32, value: Option<&[u8]>) -> Result<Fact<'static>, DecodeError> {
    let at = TopicPartition { topic: topic.into(), partition };
    let committed = value.map(decode_offset_value).transpose()?;
    Ok(Fact::Offset { group: group.into(), at, committed })
}

fn decode_offset_value(value: &[u8]) -> Result<Committed, DecodeError> {
    let mut r = Reader::new(value);
    let version = r.i16()?;
    let value = OffsetCommitValue::decode(&mut r, version)?;
    Ok(Committed {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.as_ref().into(),
        committed_ms: value.commit_timestamp,
        expires_ms: (value.expire_timestamp >= 0).then_some(value.expire_timestamp),
    })
}

fn offset_key(group: &GroupId, at: &TopicPartition) -> Vec<u8> {
    let key = OffsetCommitKey {
        group: Cow::Borrowed(group.as_str()),
        topic: Cow::Borrowed(&at.topic),
        partition: at.partition,
    };
    prefixed(OffsetCommitKey::RECORD_TYPE, |w| key.encode(w, KEY_VERSION))
}

fn group_key(group: &GroupId) -> Vec<u8> {
    let key = GroupMetadataKey { group: Cow::Borrowed(group.as_str()) };
    prefixed(GroupMetadataKey::RECORD_TYPE, |w| key.encode(w, KEY_VERSION))
}

#[expect(
    clippy::expect_used,
    reason = "texts came off the wire, so that they fit its lengths, and nothing is external"
)]
fn prefixed(number: i16, encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>) -> Vec<u8> {
    let mut writer = Writer::from_vec(number.to_be_bytes().to_vec());
    encode(&mut writer).expect("every text fits a classic string");
    writer.into_bytes().expect("no external bytes")
}
