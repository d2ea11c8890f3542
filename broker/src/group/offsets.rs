//! The offsets that a group committed. Only durable ones can be read; those under way are counted, so that a deletion
//! covers them too.

use std::collections::BTreeMap;
use std::sync::Arc;

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TopicPartition {
    /// Its name.
    pub(crate) topic: Arc<str>,
    /// Its index.
    pub(crate) partition: i32,
}

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The next offset to be read.
    pub(crate) offset: i64,
    /// Leader epoch of the last record read; -1 when unknown.
    pub(crate) leader_epoch: i32,
    /// The client's own words.
    pub(crate) metadata: Arc<str>,
    /// When it was committed, milliseconds since the Unix epoch.
    pub(crate) committed_ms: i64,
    /// When it ends, where the client asked for a retention of its own (OffsetCommit 2–4).
    pub(crate) expires_ms: Option<i64>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    durable: Option<Committed>,
    /// Commits that are being written.
    writing: u32,
}

/// Offsets by topic and partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offsets {
    /// Invariant: no inner map is empty, no slot is both not durable and not being written.
    topics: BTreeMap<Arc<str>, BTreeMap<i32, Slot>>,
}

impl Offsets {
    /// Whether there is none, not even one being written.
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// The durable offset.
    pub(crate) fn find(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.topics.get(topic)?.get(&partition)?.durable.as_ref()
    }

    /// Whether there is an offset, durable or being written.
    pub(crate) fn holds(&self, topic: &str, partition: i32) -> bool {
        self.topics.get(topic).is_some_and(|partitions| partitions.contains_key(&partition))
    }

    /// All durable offsets.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, i32, &Committed)> {
        let all = self.topics.iter().flat_map(|(topic, slots)| slots.iter().map(move |(p, slot)| (topic, *p, slot)));
        all.filter_map(|(topic, partition, slot)| Some((topic, partition, slot.durable.as_ref()?)))
    }

    /// Names of everything held, durable or being written.
    pub(crate) fn names(&self) -> Vec<TopicPartition> {
        self.names_if(|_, _| true)
    }

    /// Names of everything held of one topic.
    pub(crate) fn names_of(&self, topic: &str) -> Vec<TopicPartition> {
        self.names_if(|name, _| &**name == topic)
    }

    /// Names of durable offsets, none of them being written again, that satisfy a condition.
    pub(crate) fn settled_if(&self, mut condition: impl FnMut(&Arc<str>, &Committed) -> bool) -> Vec<TopicPartition> {
        self.names_if(|topic, slot| slot.writing == 0 && slot.durable.as_ref().is_some_and(|c| condition(topic, c)))
    }

    fn names_if(&self, mut condition: impl FnMut(&Arc<str>, &Slot) -> bool) -> Vec<TopicPartition> {
        let mut names = Vec::new();
        for (topic, slots) in &self.topics {
            let partitions = slots.iter().filter(|(_, slot)| condition(topic, slot));
            names.extend(partitions.map(|(p, _)| TopicPartition { topic: topic.clone(), partition: *p }));
        }
        names
    }

    /// A commit is being written.
    pub(crate) fn begin(&mut self, at: &TopicPartition) {
        self.topics.entry(at.topic.clone()).or_default().entry(at.partition).or_default().writing += 1;
    }

    /// The commit is durable.
    pub(crate) fn settle(&mut self, at: &TopicPartition, committed: Committed) {
        if let Some(slot) = self.slot(at) {
            slot.writing = slot.writing.saturating_sub(1);
            slot.durable = Some(committed);
        }
    }

    /// The commit was refused.
    pub(crate) fn abandon(&mut self, at: &TopicPartition) {
        let Some(slot) = self.slot(at) else { return };
        slot.writing = slot.writing.saturating_sub(1);
        if slot.writing == 0 && slot.durable.is_none() {
            self.remove(at);
        }
    }

    /// Puts an offset that is known to be durable: replay.
    pub(crate) fn restore(&mut self, at: TopicPartition, committed: Committed) {
        self.topics.entry(at.topic).or_default().entry(at.partition).or_default().durable = Some(committed);
    }

    /// A tombstone is durable. Commits written behind it stay counted.
    pub(crate) fn bury(&mut self, at: &TopicPartition) {
        let Some(slot) = self.slot(at) else { return };
        slot.durable = None;
        if slot.writing == 0 {
            self.remove(at);
        }
    }

    /// Takes over offsets of a namesake whose deletion failed; its own newer ones stay.
    pub(crate) fn absorb(&mut self, other: Self) {
        for (topic, slots) in other.topics {
            let own = self.topics.entry(topic).or_default();
            for (partition, slot) in slots.into_iter().filter(|(_, slot)| slot.durable.is_some()) {
                let target = own.entry(partition).or_default();
                target.durable = target.durable.take().or(slot.durable);
            }
        }
        self.topics.retain(|_, slots| !slots.is_empty());
    }

    fn slot(&mut self, at: &TopicPartition) -> Option<&mut Slot> {
        self.topics.get_mut(&at.topic)?.get_mut(&at.partition)
    }

    fn remove(&mut self, at: &TopicPartition) {
        if let Some(slots) = self.topics.get_mut(&at.topic) {
            slots.remove(&at.partition);
            if slots.is_empty() {
                self.topics.remove(&at.topic);
            }
        }
    }
}
