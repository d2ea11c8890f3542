//! Who may commit and read offsets of a consumer group: its members, in their epoch.

use super::state::ConsumerGroup;
use crate::group::commit::CommitRequest;
use crate::group::coordinator::Coordinator;
use crate::group::ids::{GroupId, MemberId};
use crate::image::MetadataImage;
use protocol::ErrorCode;

/// First version of OffsetCommit that knows STALE_MEMBER_EPOCH.
const EPOCHS_SINCE: i16 = 9;

impl ConsumerGroup {
    /// Whether a member may commit. In an earlier epoch it may as well, for what it has had since then (KIP-1251): its commit was
    /// under way while its epoch rose.
    pub(crate) fn check_commit(&self, request: &CommitRequest, image: &MetadataImage) -> Result<(), ErrorCode> {
        let member = self.members.get(&request.member).ok_or(ErrorCode::UnknownMemberId)?;
        if member.is_classic() {
            let is_current = request.generation == member.epoch;
            return if is_current { Ok(()) } else { Err(ErrorCode::IllegalGeneration) };
        }
        if request.version < EPOCHS_SINCE {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let is_allowed = request.generation == member.epoch
            || (request.generation < member.epoch && self.has_had(request, image))
            || marks::planted!("broker: take a commit of a former owner");
        if is_allowed {
            return Ok(());
        }
        marks::reached!("broker: a commit of an old member epoch was refused");
        Err(ErrorCode::StaleMemberEpoch)
    }

    /// Whether the member has had all these partitions since the epoch that it names, or longer.
    fn has_had(&self, request: &CommitRequest, image: &MetadataImage) -> bool {
        let at = request.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |p| (&topic.name, p.index)));
        at.into_iter().all(|(name, index)| {
            let owner = image.topic(name).and_then(|topic| self.owners.get(&(topic.id, index)));
            owner.is_some_and(|owner| owner.member == request.member && owner.since <= request.generation)
        })
    }
}

impl Coordinator {
    /// Whether who reads offsets is a member in its epoch, where it says who it is.
    pub(crate) fn check_reader(&self, group: &GroupId, reader: Option<(MemberId, i32)>) -> Result<(), ErrorCode> {
        let state = self.groups.get(group).and_then(|group| group.consumer.as_ref());
        let (Some(state), Some((member, epoch))) = (state, reader) else { return Ok(()) };
        match state.members.get(&member) {
            None => Err(ErrorCode::UnknownMemberId),
            Some(member) if member.epoch == epoch => Ok(()),
            Some(member) if member.is_classic() => Err(ErrorCode::IllegalGeneration),
            Some(_) => Err(ErrorCode::StaleMemberEpoch),
        }
    }
}
