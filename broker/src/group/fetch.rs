//! OffsetFetch: what a group committed, as far as it is durable. Names, ids and versions of the request are the API's
//! business; `require_stable` (KIP-447) has nothing to wait for while no transaction can commit offsets.

use super::coordinator::Coordinator;
use super::ids::GroupId;
use super::offsets::Committed;
use protocol::ErrorCode;
use std::sync::Arc;

impl Coordinator {
    /// The durable offset of one partition; `None` when there is none, or no such group.
    ///
    /// Call [`Coordinator::check_active`] for the group first.
    pub(crate) fn committed_offset(&self, group: &GroupId, topic: &str, partition: i32) -> Option<&Committed> {
        self.groups.get(group)?.offsets.find(topic, partition)
    }

    /// All durable offsets of a group, by topic and partition.
    ///
    /// Call [`Coordinator::check_active`] for the group first.
    pub(crate) fn committed_offsets(&self, group: &GroupId) -> Vec<(Arc<str>, i32, Committed)> {
        let Some(group) = self.groups.get(group) else { return Vec::new() };
        group
            .offsets
            .iter()
            .map(|(topic, partition, committed)| (topic.clone(), partition, committed.clone()))
            .collect()
    }

    /// Whether requests for the group can be served here and now.
    ///
    /// NOT_COORDINATOR when its partition of `__consumer_offsets` is elsewhere, COORDINATOR_LOAD_IN_PROGRESS while that is
    /// being read.
    pub(crate) fn check_active(&self, group: &GroupId) -> Result<(), ErrorCode> {
        self.check_partition(self.partition_of(group))
    }

    /// As [`Coordinator::check_active`]; a group that is about members needs a name.
    pub(crate) fn check_named_and_active(&self, group: &GroupId) -> Result<(), ErrorCode> {
        if group.as_str().is_empty() { Err(ErrorCode::InvalidGroupId) } else { self.check_active(group) }
    }
}
