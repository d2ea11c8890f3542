//! OffsetCommit: who may commit, and how an offset becomes visible once its record is durable, never earlier.

use super::coordinator::Coordinator;
use super::effects::{Effects, Reply, Then, append_error};
use super::ids::{GroupId, InstanceId, MemberId, Ticket};
use super::limits::RECORD_TEXT_BYTES_MAX;
use super::offsets::{Committed, TopicPartition};
use super::records;
use super::state::{Group, State};
use crate::Now;
use crate::image::MetadataImage;
use protocol::ErrorCode;
use std::sync::Arc;

/// First version that answers GROUP_ID_NOT_FOUND where older ones answer ILLEGAL_GENERATION.
const GROUP_ID_NOT_FOUND_SINCE: i16 = 9;

/// An OffsetCommit request.
#[derive(Clone, Debug)]
pub(crate) struct CommitRequest {
    /// Version of the request.
    pub(crate) version: i16,
    /// Which group; the empty name is fine.
    pub(crate) group: GroupId,
    /// Empty for one that manages its partitions itself.
    pub(crate) member: MemberId,
    /// Of a static member.
    pub(crate) instance: Option<InstanceId>,
    /// Negative for one that manages its partitions itself.
    pub(crate) generation: i32,
    /// Milliseconds the offsets are to live (versions 2–4); the broker's retention without it.
    pub(crate) retention_ms: Option<i64>,
    /// In the order of the request.
    pub(crate) topics: Vec<CommitTopic>,
}

/// Offsets of one topic.
#[derive(Clone, Debug)]
pub(crate) struct CommitTopic {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Its id; zeros in versions without.
    pub(crate) id: [u8; 16],
    /// In the order of the request.
    pub(crate) partitions: Vec<CommitPartition>,
}

/// One offset.
#[derive(Clone, Debug)]
pub(crate) struct CommitPartition {
    /// Which partition.
    pub(crate) index: i32,
    /// The next offset to be read.
    pub(crate) offset: i64,
    /// Leader epoch of the last record read, or -1.
    pub(crate) leader_epoch: i32,
    /// The client's own words.
    pub(crate) metadata: Arc<str>,
    /// Set when the caller knows that it cannot be: no such topic or partition.
    pub(crate) refused: Option<ErrorCode>,
}

/// The answer to OffsetCommit, in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitReply {
    /// By topic.
    pub(crate) topics: Vec<CommitReplyTopic>,
}

/// Outcomes for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitReplyTopic {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Its id.
    pub(crate) id: [u8; 16],
    /// By partition.
    pub(crate) partitions: Vec<(i32, ErrorCode)>,
}

/// An offset on its way to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Where.
    pub(crate) at: TopicPartition,
    /// What.
    pub(crate) committed: Committed,
}

impl CommitReply {
    /// Replaces every success.
    fn fail(&mut self, error: ErrorCode) {
        let outcomes = self.topics.iter_mut().flat_map(|t| &mut t.partitions);
        outcomes.filter(|(_, e)| *e == ErrorCode::None).for_each(|(_, e)| *e = error);
    }
}

impl Coordinator {
    /// Handles OffsetCommit. Its answer waits for the disk.
    pub(crate) fn commit(&mut self, now: Now, to: Ticket, request: &CommitRequest) {
        self.fx.now = now;
        let (mut reply, written) = self.split(request);
        if written.is_empty() {
            return self.fx.reply(to, Reply::Commit(reply));
        }
        match self.check_commit(request) {
            Ok(()) => {
                let mut group = self.take_or_new(&request.group);
                group.commit(&mut self.fx, to, request, reply, written);
                self.groups.insert(request.group.clone(), group);
            }
            Err(error) => {
                reply.fail(error);
                self.fx.reply(to, Reply::Commit(reply));
            }
        }
    }

    fn check_commit(&self, request: &CommitRequest) -> Result<(), ErrorCode> {
        self.check_active(&request.group)?;
        if request.group.as_str().len() > RECORD_TEXT_BYTES_MAX {
            return Err(ErrorCode::InvalidGroupId);
        }
        match self.groups.get(&request.group) {
            Some(group) => group.check_commit(request, &self.fx.image),
            None if request.generation < 0 => Ok(()),
            None if request.version >= GROUP_ID_NOT_FOUND_SINCE => Err(ErrorCode::GroupIdNotFound),
            None => Err(ErrorCode::IllegalGeneration),
        }
    }

    /// The answer if all goes well, and what has to be written for it.
    fn split(&self, request: &CommitRequest) -> (CommitReply, Vec<Written>) {
        let mut written = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let outcome = self.check_offset(partition);
                if outcome.is_ok() {
                    written.push(self.written(request, topic, partition));
                }
                partitions.push((partition.index, outcome.err().unwrap_or(ErrorCode::None)));
            }
            topics.push(CommitReplyTopic { name: topic.name.clone(), id: topic.id, partitions });
        }
        (CommitReply { topics }, written)
    }

    fn check_offset(&self, partition: &CommitPartition) -> Result<(), ErrorCode> {
        let units = partition.metadata.encode_utf16().count();
        match partition.refused {
            Some(error) => Err(error),
            None if units > self.fx.settings.offset_metadata_units_max => Err(ErrorCode::OffsetMetadataTooLarge),
            None if partition.metadata.len() > RECORD_TEXT_BYTES_MAX => Err(ErrorCode::OffsetMetadataTooLarge),
            None => Ok(()),
        }
    }

    fn written(&self, request: &CommitRequest, topic: &CommitTopic, partition: &CommitPartition) -> Written {
        let now_ms = self.fx.now.wall_ms;
        Written {
            at: TopicPartition { topic: topic.name.clone(), partition: partition.index },
            committed: Committed {
                offset: partition.offset,
                leader_epoch: partition.leader_epoch,
                metadata: partition.metadata.clone(),
                committed_ms: now_ms,
                expires_ms: request.retention_ms.map(|ms| now_ms.saturating_add(ms)),
            },
        }
    }
}

impl Group {
    fn check_commit(&self, request: &CommitRequest, image: &MetadataImage) -> Result<(), ErrorCode> {
        if request.generation < 0 && self.is_empty() {
            return Ok(());
        }
        if let Some(consumer) = &self.consumer {
            return consumer.check_commit(request, image);
        }
        if request.generation < 0 && request.member.as_str().is_empty() && request.instance.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.check_member(&request.member, request.instance.as_ref())?;
        if request.generation != self.generation && !marks::planted!("broker: take a commit of an old generation") {
            marks::reached!("broker: a commit of an old generation was refused");
            return Err(ErrorCode::IllegalGeneration);
        }
        match self.state {
            // The member knows the new generation but not yet what it may read.
            State::CompletingRebalance { .. } => Err(ErrorCode::RebalanceInProgress),
            State::Empty | State::PreparingRebalance { .. } | State::Stable(_) => Ok(()),
        }
    }

    fn commit(
        &mut self,
        fx: &mut Effects,
        ticket: Ticket,
        request: &CommitRequest,
        reply: CommitReply,
        written: Vec<Written>,
    ) {
        if self.consumer.is_none() {
            self.restart_session(fx, &request.member);
        }
        let records = written.iter().map(|w| records::offset(&self.id, &w.at, &w.committed)).collect();
        if marks::planted!("broker: answer a commit before it is durable") {
            fx.reply(ticket, Reply::Commit(reply));
            return self.on_committed(written, Ok(()));
        }
        written.iter().for_each(|w| self.offsets.begin(&w.at));
        fx.append(self.partition, records, self.pending(Then::Commit { ticket, written, reply }));
    }

    /// The records of a commit are durable, or not.
    pub(crate) fn on_committed(&mut self, written: Vec<Written>, result: Result<(), ErrorCode>) {
        for Written { at, committed } in written {
            match result {
                Ok(()) => self.offsets.settle(&at, committed),
                Err(_) => self.offsets.abandon(&at),
            }
        }
    }
}

/// The answer to a commit whose records are durable, or not.
pub(crate) fn committed(mut reply: CommitReply, result: Result<(), ErrorCode>) -> CommitReply {
    if let Err(error) = result {
        reply.fail(append_error(error, ErrorCode::InvalidCommitOffsetSize));
    }
    reply
}
