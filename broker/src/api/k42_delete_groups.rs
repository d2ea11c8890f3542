//! DeleteGroups, key 42, versions 0 to 2.
//!
//! Behaviour: groups without members go with all their offsets, once the tombstones are durable; each group has its own error:
//! NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND. KIPs: 229. Deviations: none known.

use crate::group::gather::{Ask, GroupGather, Tell};
use crate::group::ids::GroupId;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};

/// Deletes the groups of one request.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(DeleteGroupsRequest::decode)?;
    let mut groups: Vec<GroupId> = body.groups_names.iter().map(|name| GroupId::from(&**name)).collect();
    groups.sort_unstable();
    groups.dedup();
    let asks = groups.into_iter().map(|group| (broker.ask_about_group(group.as_str()), Ask::Delete(group))).collect();
    broker.gather_groups(request.origin, &request.header, asks);
    Ok(())
}

/// Answers once every group is gone, or stays.
pub(crate) fn answer<S: Store>(broker: &mut Broker<S>, gather: &GroupGather, tells: &[Tell]) {
    let results = tells.iter().filter_map(|tell| match tell {
        Tell::Deleted(group, error) => {
            Some(DeletableGroupResult { group_id: group.as_str().into(), error_code: error.code() })
        }
        Tell::Fetched(..) | Tell::Described { .. } | Tell::DescribedConsumer { .. } | Tell::Listed(..) => None,
    });
    let response = DeleteGroupsResponse { results: results.collect(), ..DeleteGroupsResponse::default() };
    broker.respond(gather.origin, &gather.header, |writer, version| response.encode(writer, version));
}
