//! A consumer group as ConsumerGroupDescribe shows it.

use super::partitions::Partitions;
use crate::group::coordinator::Coordinator;
use crate::group::ids::GroupId;
use crate::group::state::Group;
use protocol::ErrorCode;
use std::sync::Arc;

use super::member::ConsumerMember;
use crate::group::ids::MemberId;

/// Kafka's name of the type.
pub(crate) const TYPE: &str = "consumer";

/// A group, in full.
#[derive(Clone, Debug)]
pub(crate) struct DescribedConsumerGroup {
    /// Kafka's name of its state.
    pub(crate) state: &'static str,
    /// The group epoch.
    pub(crate) epoch: i32,
    /// The epoch of the targets.
    pub(crate) assignment_epoch: i32,
    /// Name of the assignor that would be used now.
    pub(crate) assignor: &'static str,
    /// By id, each with its target.
    pub(crate) members: Vec<(MemberId, ConsumerMember, Arc<Partitions>)>,
}

impl Coordinator {
    /// One group of the new protocol. `Ok(None)` when there is none of that name.
    pub(crate) fn describe_consumer(&self, group: &GroupId) -> Result<Option<DescribedConsumerGroup>, ErrorCode> {
        self.check_active(group)?;
        let default = self.fx.settings.consumer.default_assignor();
        let state = self.groups.get(group).and_then(|group: &Group| group.consumer.as_ref());
        let nothing = Arc::new(Partitions::new());
        Ok(state.map(|state| DescribedConsumerGroup {
            state: state.state_name(),
            epoch: state.epoch,
            assignment_epoch: state.assignment_epoch,
            assignor: state.assignor(default).name(),
            members: state
                .members
                .iter()
                .map(|(id, member)| (id.clone(), member.clone(), state.targets.get(id).unwrap_or(&nothing).clone()))
                .collect(),
        }))
    }
}
