//! ListGroups, key 16, versions 0 to 5.
//!
//! Behaviour: the groups of all shards, filtered by state (version 4) and type (version 5) in any letter case; a filter that
//! nothing matches is no error. COORDINATOR_LOAD_IN_PROGRESS while any shard still reads its groups.
//!
//! With `core.endpoints` each core is a broker and lists its own groups; clients ask them all.
//!
//! KIPs: 518 (states), 848 and 1043 (types). Deviations: none known.

use crate::group::gather::{Ask, GroupGather, Tell};
use crate::request::{Refusal, Request};
use crate::{Broker, ShardId, Store};
use protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

/// Lists the groups of all shards, or of the one that was asked.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(ListGroupsRequest::decode)?;
    let words = |filter: &[protocol::Str<'_>]| filter.iter().map(|word| word.to_string()).collect::<Vec<_>>();
    let (states, types) = (words(&body.states_filter), words(&body.types_filter));
    let ask = Ask::List { states, types };
    let cores = if broker.settings.has_core_endpoints() { broker.me.0..broker.me.0 + 1 } else { 0..broker.shards };
    let asks = cores.map(|shard| (ShardId(shard), ask.clone())).collect();
    broker.gather_groups(request.origin, &request.header, asks);
    Ok(())
}

/// Answers once every shard has listed its groups.
pub(crate) fn answer<S: Store>(broker: &mut Broker<S>, gather: &GroupGather, tells: &[Tell]) {
    let mut response = ListGroupsResponse::default();
    for tell in tells {
        match tell {
            Tell::Listed(Ok(groups)) => response.groups.extend(groups.iter().map(|group| ListedGroup {
                group_id: group.group.as_str().into(),
                protocol_type: (&*group.protocol_type).into(),
                group_state: group.state.into(),
                group_type: group.group_type.into(),
            })),
            Tell::Listed(Err(error)) => response.error_code = error.code(),
            Tell::Fetched(..) | Tell::Described { .. } | Tell::DescribedConsumer { .. } | Tell::Deleted(..) => {}
        }
    }
    if response.error_code != 0 {
        response.groups.clear();
    }
    broker.respond(gather.origin, &gather.header, |writer, version| response.encode(writer, version));
}
