//! From the coordinator's answers to the APIs that encode them.

use super::effects::Reply;
use super::gather::{GroupGather, Tell};
use crate::api::{
    k08_offset_commit, k09_offset_fetch, k11_join_group, k12_heartbeat, k14_sync_group, k15_describe_groups,
    k16_list_groups, k42_delete_groups, k47_offset_delete, k68_consumer_group_heartbeat, k69_consumer_group_describe,
};
use crate::io::Origin;
use crate::request::Header;
use crate::{Broker, Store};
use protocol::messages::keys::ApiKey;

/// Encodes an answer that had to wait.
pub(crate) fn answered<S: Store>(broker: &mut Broker<S>, origin: Origin, header: &Header, reply: Reply) {
    match reply {
        Reply::Heartbeat(error) => k12_heartbeat::answer(broker, origin, header, error),
        Reply::Join(reply) => k11_join_group::answer(broker, origin, header, &reply),
        Reply::Sync(reply) => k14_sync_group::answer(broker, origin, header, &reply),
        Reply::Commit(reply) => k08_offset_commit::answer(broker, origin, header, &reply),
        Reply::OffsetsDeleted(reply) => k47_offset_delete::answer(broker, origin, header, &reply),
        Reply::ConsumerHeartbeat(reply) => k68_consumer_group_heartbeat::answer(broker, origin, header, &reply),
        Reply::Deleted(_) => unreachable!("DeleteGroups is gathered"),
    }
}

/// Encodes the answer to a request about several groups; `tells` are in the order of its questions.
pub(crate) fn gathered<S: Store>(broker: &mut Broker<S>, gather: &GroupGather, tells: Vec<Tell>) {
    match gather.header.key {
        ApiKey::OffsetFetch => k09_offset_fetch::answer(broker, gather, &tells),
        ApiKey::DescribeGroups => k15_describe_groups::answer(broker, gather, &tells),
        ApiKey::ListGroups => k16_list_groups::answer(broker, gather, &tells),
        ApiKey::DeleteGroups => k42_delete_groups::answer(broker, gather, &tells),
        ApiKey::ConsumerGroupDescribe => k69_consumer_group_describe::answer(broker, gather, &tells),
        other => unreachable!("{other:?} gathers no groups"),
    }
}
