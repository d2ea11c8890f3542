//! What a newer image changes for the partitions.

use super::{MetadataImage, TopicImage};
use std::sync::Arc;

/// What happened to one partition between two images.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionChange {
    /// The topic; the old one where the partition was removed.
    pub topic: Arc<TopicImage>,
    /// The partition.
    pub partition: i32,
    /// What happened.
    pub what: Change,
}

/// What happened to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Created,
    /// It is gone, with its topic.
    Removed,
    /// Its topic's settings, its leader or its replicas are others.
    Changed,
}

/// What changed from `old` to `new`. Removals come first, so that a topic made again under its name finds it free.
pub fn diff(old: &MetadataImage, new: &MetadataImage) -> Vec<PartitionChange> {
    if Arc::ptr_eq(&old.topics, &new.topics) {
        return Vec::new();
    }
    let mut changes = Vec::new();
    for topic in old.topics().filter(|topic| !new.ids.contains_key(&topic.id)) {
        push_all(&mut changes, topic, 0, |_| Some(Change::Removed));
    }
    for topic in new.topics() {
        match old.topic_by_id(topic.id) {
            None => push_all(&mut changes, topic, 0, |_| Some(Change::Created)),
            Some(before) if Arc::ptr_eq(before, topic) => {}
            Some(before) => {
                let settings_differ = before.settings != topic.settings;
                push_all(&mut changes, topic, 0, |index| match before.partitions.get(index) {
                    None => Some(Change::Created),
                    Some(was) if settings_differ || *was != topic.partitions[index] => Some(Change::Changed),
                    Some(_) => None,
                });
            }
        }
    }
    changes
}

fn push_all(
    changes: &mut Vec<PartitionChange>,
    topic: &Arc<TopicImage>,
    from: i32,
    what: impl Fn(usize) -> Option<Change>,
) {
    for (partition, index) in (from..).zip(0..topic.partitions.len()) {
        if let Some(what) = what(index) {
            changes.push(PartitionChange { topic: Arc::clone(topic), partition, what });
        }
    }
}
