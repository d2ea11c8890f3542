//! Commits out of the records of `__consumer_offsets`: which belong to a group, and in which order.

use super::window::{Commit, Window};
use protocol::Reader;
use protocol::messages::group_metadata_record::GroupMetadataKey;
use protocol::messages::offset_commit_record::{OffsetCommitKey, OffsetCommitValue};
use std::collections::BTreeMap;

/// How many values of the key's first two bytes mean a commit: 0 was Kafka 0.8's, 1 is today's; their fields are the same.
const COMMIT_TYPES: std::ops::RangeInclusive<i16> = 0..=OffsetCommitKey::RECORD_TYPE;

/// What one record of `__consumer_offsets` tells about a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A commit.
    Commit { group: String, topic: String, partition: i32, offset: i64, timestamp_ms: i64 },
    /// The commit was deleted or has expired.
    Forgotten { group: String, topic: String, partition: i32 },
    /// The group was deleted.
    Deleted { group: String },
}

/// Reads a record. None for what says nothing of commits: groups' members, and kinds that came later.
#[must_use]
pub(crate) fn read(key: &[u8], value: Option<&[u8]>) -> Option<Entry> {
    let mut reader = Reader::new(key);
    let kind = reader.i16().ok()?;
    if kind == GroupMetadataKey::RECORD_TYPE {
        let key = GroupMetadataKey::decode(&mut reader, 0).ok()?;
        return value.is_none().then(|| Entry::Deleted { group: key.group.to_string() });
    }
    if !COMMIT_TYPES.contains(&kind) {
        return None;
    }
    let key = OffsetCommitKey::decode(&mut reader, 0).ok()?;
    let (group, topic, partition) = (key.group.to_string(), key.topic.to_string(), key.partition);
    let Some(value) = value else { return Some(Entry::Forgotten { group, topic, partition }) };
    let mut reader = Reader::new(value);
    let version = reader.i16().ok()?;
    let value = OffsetCommitValue::decode(&mut reader, version).ok()?;
    Some(Entry::Commit { group, topic, partition, offset: value.offset, timestamp_ms: value.commit_timestamp })
}

/// The windows of one group's partitions, fed with records in the order of their offsets.
#[derive(Clone, Debug)]
pub(crate) struct History {
    group: String,
    slots: usize,
    min_distance_ms: i64,
    windows: BTreeMap<(String, i32), Window>,
}

impl History {
    /// Of `group`, without any commit.
    #[must_use]
    pub(crate) fn new(group: &str, slots: usize, min_distance_ms: i64) -> Self {
        Self { group: group.to_owned(), slots, min_distance_ms, windows: BTreeMap::new() }
    }

    /// Takes the next record, which may belong to any group.
    ///
    /// A deviation: Burrow ignores deleted commits; here they are forgotten, as nothing is left to be judged.
    pub(crate) fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Commit { group, topic, partition, offset, timestamp_ms } if group == self.group => {
                let (slots, min_distance_ms) = (self.slots, self.min_distance_ms);
                let window =
                    self.windows.entry((topic, partition)).or_insert_with(|| Window::new(slots, min_distance_ms));
                window.push(Commit { offset, timestamp_ms, lag: None });
            }
            Entry::Forgotten { group, topic, partition } if group == self.group => {
                self.windows.remove(&(topic, partition));
            }
            Entry::Deleted { group } if group == self.group => self.windows.clear(),
            _ => {}
        }
    }

    /// Every partition that has a commit, in order.
    #[must_use]
    pub(crate) fn into_windows(self) -> BTreeMap<(String, i32), Window> {
        self.windows
    }

    /// True when reading further back could not add anything for these partitions.
    #[must_use]
    pub(crate) fn is_full_for(&self, partitions: &[(String, i32)]) -> bool {
        partitions.iter().all(|partition| self.windows.get(partition).is_some_and(|window| window.complete() >= 1.0))
    }
}

/// The partition of `__consumer_offsets` that keeps a group: Java's `String.hashCode`, made positive as Kafka does.
#[must_use]
pub(crate) fn partition_of(group: &str, partitions: i32) -> i32 {
    // `Utils.abs` has 0 for the one number whose absolute value is none.
    crate::java::string_hash(group).checked_abs().unwrap_or(0) % partitions
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Writer;

    fn key(group: &str, topic: &str, partition: i32) -> Vec<u8> {
        let mut bytes = 1_i16.to_be_bytes().to_vec();
        let mut writer = Writer::new();
        let key = OffsetCommitKey { group: group.into(), topic: topic.into(), partition };
        key.encode(&mut writer, 0).expect("a good key");
        bytes.extend(writer.into_bytes().expect("plain"));
        bytes
    }

    fn value(offset: i64, commit_timestamp: i64) -> Vec<u8> {
        let mut bytes = 3_i16.to_be_bytes().to_vec();
        let mut writer = Writer::new();
        let value = OffsetCommitValue { offset, commit_timestamp, leader_epoch: -1, ..Default::default() };
        value.encode(&mut writer, 3).expect("a good value");
        bytes.extend(writer.into_bytes().expect("plain"));
        bytes
    }

    #[test]
    fn a_commit_and_its_tombstone() {
        let entry = read(&key("g", "t", 3), Some(&value(17, 99))).expect("a commit");
        let commit = Entry::Commit { group: "g".into(), topic: "t".into(), partition: 3, offset: 17, timestamp_ms: 99 };
        assert_eq!(entry, commit);
        let gone = Entry::Forgotten { group: "g".into(), topic: "t".into(), partition: 3 };
        assert_eq!(read(&key("g", "t", 3), None), Some(gone));
    }

    #[test]
    fn what_is_no_commit_is_passed_over() {
        assert_eq!(read(&[0, 9, 1, 2, 3], Some(&[0, 0])), None);
        assert_eq!(read(&[0], None), None);
        assert_eq!(read(&key("g", "t", 3)[..6], Some(&value(1, 1))), None);
        assert_eq!(read(&key("g", "t", 3), Some(&[0, 77])), None);
    }

    #[test]
    fn only_the_groups_own_commits_count_and_a_deletion_forgets_them() {
        let mut history = History::new("g", 2, 0);
        for (group, offset) in [("g", 1), ("other", 5), ("g", 2), ("g", 3)] {
            history.take(read(&key(group, "t", 0), Some(&value(offset, offset * 10))).expect("a commit"));
        }
        assert!(history.is_full_for(&[("t".into(), 0)]));
        assert!(!history.is_full_for(&[("t".into(), 0), ("t".into(), 1)]));
        let windows = history.clone().into_windows();
        let offsets: Vec<_> = windows[&("t".to_owned(), 0)].commits().iter().map(|commit| commit.offset).collect();
        assert_eq!(offsets, [2, 3]);
        history.take(Entry::Deleted { group: "g".into() });
        assert!(history.into_windows().is_empty());
    }

    #[test]
    fn groups_lie_where_kafka_puts_them() {
        // Utils.abs("g1".hashCode()) % 50 and so on, from Kafka's own arithmetic.
        assert_eq!(partition_of("g1", 50), 42);
        assert_eq!(partition_of("test-consumer-group", 50), 31);
        // "polygenelubricants".hashCode() is i32::MIN; "retention.ms".hashCode() is -1339220362.
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        assert_eq!(partition_of("retention.ms", 50), 12);
    }
}
