//! DescribeGroups, key 15, versions 0 to 6.
//!
//! Behaviour: each group with its state and members; what members sent and were assigned only while it is Stable. A group that
//! is not there, or is of the new protocol, is Dead, from version 6 on with GROUP_ID_NOT_FOUND.
//!
//! KIPs: 345 (instances, version 4), 430 (authorized operations, version 3), 1043 (version 6). Deviations: there are no ACLs, so
//! that every operation on a group is authorized.

use crate::group::describe::{DescribedGroup as Group, DescribedMember};
use crate::group::gather::{Ask, GroupGather, Tell};
use crate::group::ids::GroupId;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::ErrorCode;
use protocol::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use std::borrow::Cow;

/// First version that tells GROUP_ID_NOT_FOUND.
const NOT_FOUND_SINCE: i16 = 6;
/// READ (3), DELETE (6), DESCRIBE (8), DESCRIBE_CONFIGS (10) and ALTER_CONFIGS (11) as bits: what Kafka lets an ACL say about a
/// group.
pub(super) const OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;
/// The client did not ask.
pub(super) const OPERATIONS_OMITTED: i32 = i32::MIN;

/// Describes the groups of one request.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(DescribeGroupsRequest::decode)?;
    let operations = if body.include_authorized_operations { OPERATIONS } else { OPERATIONS_OMITTED };
    let asks = body.groups.iter().map(|group| {
        let ask = Ask::Describe { group: GroupId::from(&**group), operations };
        (broker.ask_about_group(group), ask)
    });
    let asks = asks.collect();
    broker.gather_groups(request.origin, &request.header, asks);
    Ok(())
}

/// Answers once every group was asked about.
pub(crate) fn answer<S: Store>(broker: &mut Broker<S>, gather: &GroupGather, tells: &[Tell]) {
    let groups = tells.iter().filter_map(|tell| match tell {
        Tell::Described { group, operations, described } => {
            Some(encode(group, *operations, described, gather.header.version))
        }
        Tell::Fetched(..) | Tell::DescribedConsumer { .. } | Tell::Deleted(..) | Tell::Listed(..) => None,
    });
    let response = DescribeGroupsResponse { groups: groups.collect(), ..DescribeGroupsResponse::default() };
    broker.respond(gather.origin, &gather.header, |writer, version| response.encode(writer, version));
}

fn encode<'a>(
    id: &'a GroupId,
    operations: i32,
    described: &'a Result<Option<Group>, ErrorCode>,
    version: i16,
) -> DescribedGroup<'a> {
    let base = DescribedGroup { group_id: id.as_str().into(), ..DescribedGroup::default() };
    match described {
        Err(error) => DescribedGroup { error_code: error.code(), ..base },
        Ok(None) if version >= NOT_FOUND_SINCE => DescribedGroup {
            error_code: ErrorCode::GroupIdNotFound.code(),
            error_message: Some(format!("there is no group {id}").into()),
            group_state: "Dead".into(),
            ..base
        },
        Ok(None) => DescribedGroup { group_state: "Dead".into(), authorized_operations: operations, ..base },
        Ok(Some(group)) => DescribedGroup {
            group_state: group.state.into(),
            protocol_type: (&*group.protocol_type).into(),
            protocol_data: (&*group.protocol).into(),
            members: group.members.iter().map(encode_member).collect(),
            authorized_operations: operations,
            ..base
        },
    }
}

fn encode_member(member: &DescribedMember) -> DescribedGroupMember<'_> {
    DescribedGroupMember {
        member_id: member.member.as_str().into(),
        group_instance_id: member.instance.as_ref().map(|i| i.as_str().into()),
        client_id: (&*member.client_id).into(),
        client_host: (&*member.client_host).into(),
        member_metadata: Cow::Borrowed(&member.metadata),
        member_assignment: Cow::Borrowed(&member.assignment),
    }
}
