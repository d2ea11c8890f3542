//! DeleteGroups, OffsetDelete (KIP-496), and what a deleted topic takes along. A deletion writes tombstones; until they are
//! durable a deleted group is out of sight but not forgotten, so that a failure brings it back.

use super::consumer::records::group_tombstones;
use super::coordinator::Coordinator;
use super::effects::{Effects, Reply, Then, append_error};
use super::ids::{GroupId, Ticket};
use super::load::Load;
use super::offsets::TopicPartition;
use super::records;
use super::state::{CONSUMER, Group};
use super::timers::Timer;
use crate::Now;
use protocol::ErrorCode;
use std::sync::Arc;

/// Partitions of one topic whose offsets are to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OffsetDeleteTopic {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Its partitions; those that the caller knows not to exist carry their error.
    pub(crate) partitions: Vec<(i32, ErrorCode)>,
}

/// The answer to OffsetDelete: an error for all, and the outcome of each partition in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OffsetDeleteReply {
    /// For the whole request.
    pub(crate) error: ErrorCode,
    /// By topic; empty with an error.
    pub(crate) topics: Vec<OffsetDeleteTopic>,
}

impl OffsetDeleteReply {
    fn error(error: ErrorCode) -> Self {
        Self { error, topics: Vec::new() }
    }
}

impl Coordinator {
    /// Handles DeleteGroups for one group. Its answer waits for the disk.
    pub(crate) fn delete_group(&mut self, now: Now, to: Ticket, id: &GroupId) {
        self.fx.now = now;
        let outcome = self.check_active(id).and_then(|()| match self.groups.get(id) {
            None => Err(ErrorCode::GroupIdNotFound),
            Some(group) if !group.is_empty() => Err(ErrorCode::NonEmptyGroup),
            Some(_) => Ok(()),
        });
        match outcome {
            Ok(()) => self.bury_group(id, Some(to)),
            Err(error) => self.fx.reply(to, Reply::Deleted(error)),
        }
    }

    /// Writes the tombstones of an Empty group and of all its offsets, also of those that are still being written.
    pub(crate) fn bury_group(&mut self, id: &GroupId, ticket: Option<Ticket>) {
        let Some(group) = self.groups.remove(id) else { return };
        assert!(group.is_empty(), "only an Empty group is deleted");
        let offsets = group.offsets.names();
        let mut tombstones: Vec<_> = offsets.iter().map(|at| records::offset_tombstone(id, at)).collect();
        match &group.consumer {
            Some(consumer) => tombstones.extend(group_tombstones(id, consumer)),
            None => tombstones.push(records::group_tombstone(id)),
        }
        for member in &group.expected {
            self.fx.timers.cancel(Timer::Session(id.clone(), member.clone()));
        }
        let mut batches = records::batches(tombstones, self.fx.settings.batch_bytes_max);
        let Some(last) = batches.pop() else { unreachable!("a group has a tombstone of its own") };
        let mut offsets = offsets.into_iter();
        for batch in batches {
            let removed = offsets.by_ref().take(batch.len()).collect();
            self.fx.append(group.partition, batch, group.pending(Then::Remove { removed, ticket: None }));
        }
        let then = Then::Forget { removed: offsets.collect(), ticket };
        self.fx.append(group.partition, last, group.pending(then));
        self.buried.insert(group.incarnation, group);
    }

    /// The last tombstones of a group are durable, or not; then it is there again, with a namesake's life if one began meanwhile.
    /// So are offsets whose tombstones, in a batch before, were refused.
    pub(crate) fn on_forgotten(
        &mut self,
        group: Option<Group>,
        removed: &[TopicPartition],
        ticket: Option<Ticket>,
        mut result: Result<(), ErrorCode>,
    ) {
        let group = group.map(|mut group| {
            group.forget_offsets(removed, result);
            if result.is_ok() && !group.offsets.is_empty() {
                result = Err(ErrorCode::CoordinatorNotAvailable);
                let mut left = Group::new(group.id, group.incarnation, group.partition, group.since_wall_ms);
                left.offsets = group.offsets;
                return left;
            }
            group
        });
        if let Some(ticket) = ticket {
            let error = result.err().map_or(ErrorCode::None, |e| append_error(e, ErrorCode::UnknownServerError));
            self.fx.reply(ticket, Reply::Deleted(error));
        }
        let (Err(error), Some(group)) = (result, group) else { return };
        tracing::warn!(group = %group.id, ?error, "a deletion was not stored");
        // Its partition may be somebody else's by now, or have been read anew with what the group was.
        if self.partitions.get(&group.partition) != Some(&Load::Done) {
            return;
        }
        match self.groups.get_mut(&group.id) {
            Some(namesake) => namesake.offsets.absorb(group.offsets),
            None => _ = self.groups.insert(group.id.clone(), group),
        }
    }

    /// Handles OffsetDelete. Its answer waits for the disk where something is deleted.
    pub(crate) fn delete_offsets(&mut self, now: Now, to: Ticket, id: &GroupId, topics: Vec<OffsetDeleteTopic>) {
        self.fx.now = now;
        let checked = self.check_named_and_active(id);
        let group = self.groups.get(id).ok_or(ErrorCode::GroupIdNotFound);
        let group = checked.and(group).and_then(Group::check_offset_delete);
        let group = match group {
            Ok(group) => group,
            Err(error) => return self.fx.reply(to, Reply::OffsetsDeleted(OffsetDeleteReply::error(error))),
        };
        let (reply, removed) = group.split_offset_delete(topics);
        if removed.is_empty() {
            return self.fx.reply(to, Reply::OffsetsDeleted(reply));
        }
        let tombstones = removed.iter().map(|at| records::offset_tombstone(id, at)).collect();
        let then = Then::Remove { removed, ticket: Some((to, reply)) };
        self.fx.append(group.partition, tombstones, group.pending(then));
    }

    /// A topic was deleted: no group keeps offsets of it, lest a new topic of that name be read from the middle.
    pub(crate) fn on_topic_deleted(&mut self, now: Now, topic: &str) {
        self.fx.now = now;
        for (&partition, load) in &self.partitions {
            if *load == Load::Reading {
                self.deleted_meanwhile.entry(partition).or_default().insert(topic.into());
            }
        }
        for group in self.groups.values() {
            if self.partitions.get(&group.partition) == Some(&Load::Done) {
                group.drop_offsets(&mut self.fx, group.offsets.names_of(topic));
            }
        }
    }

    /// A partition was read: what was deleted meanwhile is gone for its groups, too.
    pub(super) fn drop_deleted_meanwhile(&mut self, partition: i32) {
        let deleted = self.deleted_meanwhile.remove(&partition).unwrap_or_default();
        for group in self.groups.values().filter(|group| group.partition == partition) {
            for topic in &deleted {
                group.drop_offsets(&mut self.fx, group.offsets.names_of(topic));
            }
        }
    }

    /// Tombstones of offsets are durable, or not.
    pub(crate) fn on_removed(&mut self, ticket: Option<(Ticket, OffsetDeleteReply)>, result: Result<(), ErrorCode>) {
        let Some((ticket, mut reply)) = ticket else { return };
        if let Err(error) = result {
            reply = OffsetDeleteReply::error(append_error(error, ErrorCode::UnknownServerError));
        }
        self.fx.reply(ticket, Reply::OffsetsDeleted(reply));
    }
}

impl Group {
    /// While members are there, only a consumer group tells which topics nobody reads.
    fn check_offset_delete(&self) -> Result<&Self, ErrorCode> {
        if self.is_empty() || self.consumer.is_some() || self.protocol_type.as_deref() == Some(CONSUMER) {
            Ok(self)
        } else {
            Err(ErrorCode::NonEmptyGroup)
        }
    }

    fn split_offset_delete(&self, mut topics: Vec<OffsetDeleteTopic>) -> (OffsetDeleteReply, Vec<TopicPartition>) {
        let mut removed = Vec::new();
        for topic in &mut topics {
            let is_read = self.reads(&topic.name);
            for (partition, error) in topic.partitions.iter_mut().filter(|(_, e)| *e == ErrorCode::None) {
                if is_read {
                    *error = ErrorCode::GroupSubscribedToTopic;
                } else if self.offsets.holds(&topic.name, *partition) {
                    removed.push(TopicPartition { topic: topic.name.clone(), partition: *partition });
                }
            }
        }
        (OffsetDeleteReply { error: ErrorCode::None, topics }, removed)
    }

    /// Writes tombstones of offsets for which nobody waits, in as many batches as it takes.
    pub(crate) fn drop_offsets(&self, fx: &mut Effects, removed: Vec<TopicPartition>) {
        let tombstones = removed.iter().map(|at| records::offset_tombstone(&self.id, at)).collect();
        let mut removed = removed.into_iter();
        for batch in records::batches(tombstones, fx.settings.batch_bytes_max) {
            let removed = removed.by_ref().take(batch.len()).collect();
            fx.append(self.partition, batch, self.pending(Then::Remove { removed, ticket: None }));
        }
    }

    /// Offsets that are gone for good.
    pub(crate) fn forget_offsets(&mut self, removed: &[TopicPartition], result: Result<(), ErrorCode>) {
        if result.is_ok() {
            removed.iter().for_each(|at| self.offsets.bury(at));
        }
    }
}
