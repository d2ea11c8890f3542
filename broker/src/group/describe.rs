//! ListGroups and DescribeGroups: groups as an administrator sees them.

use super::consumer::describe::TYPE;
use super::coordinator::Coordinator;
use super::ids::{GroupId, InstanceId, MemberId};
use super::state::{Group, State};
use protocol::ErrorCode;
use std::sync::Arc;

/// Kafka's name of the type of groups that are not of the new protocol.
pub(crate) const CLASSIC: &str = "classic";

/// A group, in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedGroup {
    /// Its name.
    pub(crate) group: GroupId,
    /// Empty when it only ever stored offsets.
    pub(crate) protocol_type: Arc<str>,
    /// Kafka's name of its state.
    pub(crate) state: &'static str,
    /// Kafka's name of its type.
    pub(crate) group_type: &'static str,
}

/// A group, in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DescribedGroup {
    /// Kafka's name of its state.
    pub(crate) state: &'static str,
    /// Empty when it only ever stored offsets.
    pub(crate) protocol_type: Arc<str>,
    /// Empty unless Stable.
    pub(crate) protocol: Arc<str>,
    /// Ordered by id.
    pub(crate) members: Vec<DescribedMember>,
}

/// A member, in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DescribedMember {
    /// Its id.
    pub(crate) member: MemberId,
    /// Of a static member.
    pub(crate) instance: Option<InstanceId>,
    /// As in the header of its JoinGroup.
    pub(crate) client_id: Arc<str>,
    /// `/address`.
    pub(crate) client_host: Arc<str>,
    /// What it sent for the protocol; empty unless the group is Stable.
    pub(crate) metadata: Arc<[u8]>,
    /// What it was assigned; empty unless the group is Stable.
    pub(crate) assignment: Arc<[u8]>,
}

impl Coordinator {
    /// Groups here whose state and type are asked for, in any letter case; an empty filter asks for all.
    ///
    /// COORDINATOR_LOAD_IN_PROGRESS while any partition is being read: the list would have gaps.
    pub(crate) fn list(&self, states: &[&str], types: &[&str]) -> Result<Vec<ListedGroup>, ErrorCode> {
        self.check_all_loaded()?;
        let wants =
            |filter: &[&str], word: &str| filter.is_empty() || filter.iter().any(|f| f.eq_ignore_ascii_case(word));
        let groups = self.groups.values().filter(|g| wants(types, g.type_name()) && wants(states, g.state_name()));
        Ok(groups.map(Group::listed).collect())
    }

    /// One classic group. `Ok(None)` when there is no such group.
    pub(crate) fn describe(&self, group: &GroupId) -> Result<Option<DescribedGroup>, ErrorCode> {
        self.check_active(group)?;
        Ok(self.groups.get(group).filter(|group| group.consumer.is_none()).map(Group::described))
    }
}

impl Group {
    fn listed(&self) -> ListedGroup {
        ListedGroup {
            group: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_else(|| "".into()),
            state: self.state_name(),
            group_type: self.type_name(),
        }
    }

    fn type_name(&self) -> &'static str {
        if self.consumer.is_some() { TYPE } else { CLASSIC }
    }

    fn described(&self) -> DescribedGroup {
        let protocol = match &self.state {
            State::Stable(formed) => Some(&formed.protocol),
            State::Empty | State::PreparingRebalance { .. } | State::CompletingRebalance { .. } => None,
        };
        let nothing: Arc<[u8]> = Arc::from([]);
        let members = self.members.iter().map(|(id, member)| DescribedMember {
            member: id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: protocol.map_or_else(|| nothing.clone(), |p| member.metadata(p)),
            assignment: protocol.map_or_else(|| nothing.clone(), |_| member.assignment.clone()),
        });
        DescribedGroup {
            state: self.state_name(),
            protocol_type: self.protocol_type.clone().unwrap_or_else(|| "".into()),
            protocol: protocol.cloned().unwrap_or_else(|| "".into()),
            members: members.collect(),
        }
    }
}
