//! Records of `__consumer_offsets`, byte for byte Kafka's, because Burrow, kminion and Kafka's own tools read them.
//!
//! ```text
//! key    kind i16 │ body v0            kind 0, 1: an offset   2: a group   3 to 8, 16: a group of KIP-848, see `consumer::records`
//! value  version i16 │ body, or no value at all: a tombstone
//! ```
//! Values are read in every version and written in version 3: Burrow in the field does not read group values of
//! version 4, and misreads offset values of version 4 that carry 127 bytes of metadata or more. Offsets with a retention of their
//! own are written in version 1, the only one that can say so (Kafka does the same).

use super::consumer::records::{self as consumer, ConsumerFact};
use super::ids::{GroupId, MemberId};
use super::limits::{RECORD_OVERHEAD_BYTES_MAX, RECORD_TEXT_BYTES_MAX};
use super::offsets::{Committed, TopicPartition};
use super::state::Group;
use protocol::batch::{BatchBuilder, HEADER_LEN};
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
    /// A group of the new protocol changed.
    Consumer {
        /// Which.
        group: GroupId,
        /// What about it.
        fact: ConsumerFact,
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

/// Cuts records into batches that the log takes, in their order. Only a group that is written again or deleted whole, and the
/// offsets of thousands of partitions, need more than one.
pub(crate) fn batches(records: Vec<Record>, bytes_max: usize) -> Vec<Vec<Record>> {
    let mut batches: Vec<Vec<Record>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let size = record.size_bytes_max();
        match batches.last_mut() {
            Some(batch) if HEADER_LEN + bytes + size <= bytes_max => {
                bytes += size;
                batch.push(record);
            }
            Some(_) | None => {
                bytes = size;
                batches.push(vec![record]);
            }
        }
    }
    batches
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
                let value = GroupMetadataValue::decode(&mut r, version)?;
                texts(&value).try_for_each(check_text)?;
                Ok(value)
            };
            Ok(Fact::Group { group, value: value.map(decode).transpose()? })
        }
        kind => Ok(match consumer::decode(kind, &mut r, value)? {
            Some((group, fact)) => Fact::Consumer { group, fact },
            None => Fact::Foreign { kind },
        }),
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
    check_text(&value.metadata)?;
    Ok(Committed {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.as_ref().into(),
        committed_ms: value.commit_timestamp,
        expires_ms: (value.expire_timestamp >= 0).then_some(value.expire_timestamp),
    })
}

/// The texts of a group's value.
fn texts<'a>(value: &'a GroupMetadataValue<'_>) -> impl Iterator<Item = &'a str> {
    let members = value.members.iter().flat_map(|member| {
        [Some(&member.member_id), member.group_instance_id.as_ref(), Some(&member.client_id), Some(&member.client_host)]
    });
    [Some(&value.protocol_type), value.protocol.as_ref(), value.leader.as_ref()]
        .into_iter()
        .chain(members)
        .flatten()
        .map(|text| &**text)
}

/// Refuses a text that only version 4 can carry: the group is written again in version 3.
pub(crate) fn check_text(text: &str) -> Result<(), DecodeError> {
    match text.len() {
        0..=RECORD_TEXT_BYTES_MAX => Ok(()),
        len => Err(DecodeError::Length { at: 0, got: len as i64 }),
    }
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
    reason = "every text was held against RECORD_TEXT_BYTES_MAX where it came in, and nothing is external"
)]
pub(crate) fn prefixed(number: i16, encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>) -> Vec<u8> {
    let mut writer = Writer::from_vec(number.to_be_bytes().to_vec());
    encode(&mut writer).expect("every text fits a classic string");
    writer.into_bytes().expect("no external bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::ids::Incarnation;
    use crate::group::member::{Awaiting, Member, Protocol};
    use crate::group::state::{Formed, State};
    use protocol::batch::iter_batches;

    const OFFSET_KEY: &[u8] = b"\0\x01\0\x01g\0\x01t\0\0\0\x07";
    const GROUP_KEY: &[u8] = b"\0\x02\0\x01g";

    fn place() -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: 7 }
    }

    fn committed(expires_ms: Option<i64>) -> Committed {
        Committed { offset: 258, leader_epoch: 5, metadata: "m".into(), committed_ms: 1, expires_ms }
    }

    #[track_caller]
    fn decoded(value: &[u8]) -> Committed {
        match decode(OFFSET_KEY, Some(value)) {
            Ok(Fact::Offset { group, at, committed: Some(committed) }) if group.as_str() == "g" && at == place() => {
                committed
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_offset_byte_for_byte() {
        let record = offset(&"g".into(), &place(), &committed(None));
        assert_eq!(record.key, OFFSET_KEY);
        let value = b"\0\x03\0\0\0\0\0\0\x01\x02\0\0\0\x05\0\x01m\0\0\0\0\0\0\0\x01";
        assert_eq!(record.value.as_deref(), Some(&value[..]));
        assert_eq!(decoded(value), committed(None));
    }

    #[test]
    fn an_offset_with_a_retention_of_its_own_byte_for_byte() {
        let record = offset(&"g".into(), &place(), &committed(Some(9)));
        let value = b"\0\x01\0\0\0\0\0\0\x01\x02\0\x01m\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x09";
        assert_eq!(record.value.as_deref(), Some(&value[..]));
        assert_eq!(decoded(value), Committed { leader_epoch: -1, ..committed(Some(9)) });
    }

    #[test]
    fn offsets_of_other_versions_are_read() {
        let without_epoch = Committed { leader_epoch: -1, ..committed(None) };
        assert_eq!(decoded(b"\0\0\0\0\0\0\0\0\x01\x02\0\x01m\0\0\0\0\0\0\0\x01"), without_epoch);
        assert_eq!(decoded(b"\0\x02\0\0\0\0\0\0\x01\x02\0\x01m\0\0\0\0\0\0\0\x01"), without_epoch);
        // Version 4 as Kafka 4.1 and later write it: compact string, and the topic's id in tag 0.
        let mut version_4 = b"\0\x04\0\0\0\0\0\0\x01\x02\0\0\0\x05\x02m\0\0\0\0\0\0\0\x01\x01\0\x10".to_vec();
        version_4.extend([8; 16]);
        assert_eq!(decoded(&version_4), committed(None));
        assert!(matches!(decode(b"\0\0\0\x01g\0\x01t\0\0\0\x07", None), Ok(Fact::Offset { committed: None, .. })));
    }

    #[test]
    fn metadata_of_any_length_is_written_with_two_length_bytes() {
        let long = Committed { metadata: "x".repeat(300).into(), ..committed(None) };
        let record = offset(&"g".into(), &place(), &long);
        assert_eq!(record.value.as_ref().map(|v| v[14..16].to_vec()), Some(vec![1, 44]));
        assert_eq!(decoded(&record.value.unwrap()), long);
    }

    #[test]
    fn tombstones_have_a_key_alone() {
        assert_eq!(offset_tombstone(&"g".into(), &place()), Record { key: OFFSET_KEY.to_vec(), value: None });
        assert_eq!(group_tombstone(&"g".into()), Record { key: GROUP_KEY.to_vec(), value: None });
    }

    fn group() -> Group {
        let mut group = Group::new("g".into(), Incarnation(1), 0, Some(3));
        let member = Member {
            instance: Some("i".into()),
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout_ms: 10,
            session_timeout_ms: 6,
            protocols: vec![Protocol { name: "range".into(), metadata: (*b"sub").into() }],
            assignment: Arc::from([]),
            is_new: false,
            awaiting: Awaiting::Nothing,
            charge: Default::default(),
        };
        group.add("m".into(), member, &"consumer".into());
        group.generation = 2;
        group.state = State::Stable(Formed { protocol: "range".into(), unsynced: Default::default() });
        group
    }

    #[test]
    fn a_group_byte_for_byte() {
        let assignments = BTreeMap::from([(MemberId::from("m"), Arc::from(*b"asg"))]);
        let record = group_metadata(&group(), &assignments);
        assert_eq!(record.key, GROUP_KEY);
        let mut value = b"\0\x03\0\x08consumer\0\0\0\x02\0\x05range\0\x01m\0\0\0\0\0\0\0\x03\0\0\0\x01".to_vec();
        value.extend(b"\0\x01m\0\x01i\0\x01c\0\x02/h\0\0\0\x0a\0\0\0\x06\0\0\0\x03sub\0\0\0\x03asg");
        assert_eq!(record.value, Some(value));
    }

    #[test]
    fn a_group_without_members_byte_for_byte() {
        let empty = Group::new("g".into(), Incarnation(1), 0, None);
        let record = group_metadata(&empty, &BTreeMap::new());
        let value = b"\0\x03\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0";
        assert_eq!(record.value.as_deref(), Some(&value[..]));
    }

    #[test]
    fn groups_of_version_0_are_read() {
        let value = b"\0\0\0\x01x\0\0\0\x02\0\x01p\0\x01m\0\0\0\x01\0\x01m\0\x01c\0\x02/h\0\0\0\x06\0\0\0\0\0\0\0\0";
        let Ok(Fact::Group { value: Some(value), .. }) = decode(GROUP_KEY, Some(value)) else { panic!("not read") };
        assert_eq!((value.generation, value.members.len(), value.members[0].rebalance_timeout), (2, 1, -1));
    }

    #[test]
    fn a_batch_holds_the_records_in_order() {
        let records = [offset(&"g".into(), &place(), &committed(None)), group_tombstone(&"g".into())];
        let bytes = batch(&records, 1_700_000_000_000);
        let batches: Vec<_> = iter_batches(&bytes).collect::<Result<_, _>>().unwrap();
        let plain = batches[0].records(&protocol::batch::Limits::default()).unwrap();
        let keys: Vec<_> = plain.iter().map(|r| r.map(|r| (r.timestamp, r.key.unwrap().to_vec())).unwrap()).collect();
        assert_eq!(keys, records.map(|r| (1_700_000_000_000, r.key)));
    }

    #[test]
    fn a_batch_is_never_larger_than_estimated() {
        let records: Vec<_> = (0..50).map(|_| offset(&"g".into(), &place(), &committed(None))).collect();
        let estimate: usize = records.iter().map(Record::size_bytes_max).sum();
        assert!(batch(&records, 1_700_000_000_000).len() <= protocol::batch::HEADER_LEN + estimate);
    }
}
