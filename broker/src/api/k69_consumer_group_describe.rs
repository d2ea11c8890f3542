//! ConsumerGroupDescribe, key 69, versions 0 and 1.
//!
//! Behaviour: each group of the new protocol with its epochs, and its members with what they have and what they are to have; a
//! group that is not there, or is a classic one, is GROUP_ID_NOT_FOUND; the empty name is INVALID_GROUP_ID. Partitions of topics that are gone are left out.
//!
//! KIPs: 848, 1099 (type of a member, version 1). Deviations: there are no ACLs, so that every operation is authorized.

use super::k15_describe_groups::{OPERATIONS, OPERATIONS_OMITTED};
use crate::group::consumer::describe::DescribedConsumerGroup;
use crate::group::consumer::member::ConsumerMember;
use crate::group::consumer::partitions::Partitions;
use crate::group::gather::{Ask, GroupGather, Tell};
use crate::group::ids::{GroupId, MemberId};
use crate::image::MetadataImage;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::ErrorCode;
use protocol::messages::consumer_group_describe::{
    Assignment, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup, Member, TopicPartitions,
};
use std::sync::Arc;

/// Describes the groups of one request.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let body = request.body(ConsumerGroupDescribeRequest::decode)?;
    let operations = if body.include_authorized_operations { OPERATIONS } else { OPERATIONS_OMITTED };
    let asks = body.group_ids.iter().map(|group| {
        let ask = Ask::DescribeConsumer { group: GroupId::from(&**group), operations };
        (broker.ask_about_group(group), ask)
    });
    let asks = asks.collect();
    broker.gather_groups(request.origin, &request.header, asks);
    Ok(())
}

/// Answers once every group was asked about.
pub(crate) fn answer<S: Store>(broker: &mut Broker<S>, gather: &GroupGather, tells: &[Tell]) {
    let image = Arc::clone(&broker.image);
    let groups = tells.iter().filter_map(|tell| match tell {
        Tell::DescribedConsumer { group, operations, described } => Some(encode(&image, group, *operations, described)),
        Tell::Fetched(..) | Tell::Described { .. } | Tell::Deleted(..) | Tell::Listed(..) => None,
    });
    let response =
        ConsumerGroupDescribeResponse { groups: groups.collect(), ..ConsumerGroupDescribeResponse::default() };
    broker.respond(gather.origin, &gather.header, |writer, version| response.encode(writer, version));
}

fn encode<'a>(
    image: &'a MetadataImage,
    id: &'a GroupId,
    operations: i32,
    described: &'a Result<Option<DescribedConsumerGroup>, ErrorCode>,
) -> DescribedGroup<'a> {
    let base = DescribedGroup { group_id: id.as_str().into(), ..DescribedGroup::default() };
    match described {
        Err(error) => DescribedGroup { error_code: error.code(), ..base },
        Ok(None) if id.as_str().is_empty() => DescribedGroup {
            error_code: ErrorCode::InvalidGroupId.code(),
            error_message: Some("a group has a name".into()),
            ..base
        },
        Ok(None) => DescribedGroup {
            error_code: ErrorCode::GroupIdNotFound.code(),
            error_message: Some(format!("there is no consumer group {id}").into()),
            ..base
        },
        Ok(Some(group)) => DescribedGroup {
            group_state: group.state.into(),
            group_epoch: group.epoch,
            assignment_epoch: group.assignment_epoch,
            assignor_name: group.assignor.into(),
            members: group
                .members
                .iter()
                .map(|(id, member, target)| encode_member(image, id, member, target))
                .collect(),
            authorized_operations: operations,
            ..base
        },
    }
}

fn encode_member<'a>(
    image: &'a MetadataImage,
    id: &'a MemberId,
    member: &'a ConsumerMember,
    target: &Partitions,
) -> Member<'a> {
    let facts = &member.facts;
    Member {
        member_id: id.as_str().into(),
        instance_id: facts.instance.as_ref().map(|instance| instance.as_str().into()),
        rack_id: facts.rack.as_deref().map(Into::into),
        member_epoch: member.epoch,
        client_id: (&*facts.client_id).into(),
        client_host: (&*facts.client_host).into(),
        subscribed_topic_names: facts.names.iter().map(|name| (&**name).into()).collect(),
        subscribed_topic_regex: facts.regex.as_deref().map(Into::into),
        assignment: encode_partitions(image, &member.assigned),
        target_assignment: encode_partitions(image, target),
        member_type: i8::from(!member.is_classic()),
    }
}

fn encode_partitions<'a>(image: &'a MetadataImage, partitions: &Partitions) -> Assignment<'a> {
    let topics = partitions.iter().filter_map(|(topic, of)| {
        Some(TopicPartitions {
            topic_id: *topic,
            topic_name: (&*image.topic_by_id(*topic)?.name).into(),
            partitions: of.iter().copied().collect(),
        })
    });
    Assignment { topic_partitions: topics.collect() }
}
