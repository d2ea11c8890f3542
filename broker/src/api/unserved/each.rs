//! Refusals that carry a code for each thing asked about: what was asked is named in the answer, as clients match answers by name.
//! Those that are one code for the whole request are in `whole`.

use super::{Answer, Why};
use protocol::messages::keys::ApiKey;
use protocol::messages::*;
use protocol::types::Str;
use protocol::{DecodeError, EncodeError, Reader, Writer};

/// The refusal, or nothing if the key is none of these.
pub(super) fn refuse(key: ApiKey, r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Option<Answer>, DecodeError> {
    Ok(Some(match key {
        ApiKey::AddPartitionsToTxn => partitions_to_txn(r, v, why)?,
        ApiKey::WriteTxnMarkers => markers(r, v, why)?,
        ApiKey::TxnOffsetCommit => txn_offsets(r, v, why)?,
        ApiKey::DescribeTransactions => transactions(r, v, why)?,
        ApiKey::CreateAcls => create_acls(r, v, why)?,
        ApiKey::DeleteAcls => delete_acls(r, v, why)?,
        ApiKey::ElectLeaders => elections(r, v, why)?,
        ApiKey::AlterClientQuotas => quotas(r, v, why)?,
        ApiKey::AlterUserScramCredentials => scram(r, v, why)?,
        ApiKey::ShareGroupDescribe => share_groups(r, v, why)?,
        ApiKey::StreamsGroupDescribe => streams_groups(r, v, why)?,
        ApiKey::DescribeShareGroupOffsets => share_offsets(r, v, why)?,
        _ => return refuse_share_state(key, r, v, why),
    }))
}

/// What brokers ask each other about share groups; clients have no business with it.
#[allow(clippy::needless_update, reason = "two of the five answers say more about a partition than its code")]
fn refuse_share_state(key: ApiKey, r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Option<Answer>, DecodeError> {
    macro_rules! state {
        ($module:ident, $request:ident => $response:ident, $result:ident) => {{
            let request = $module::$request::decode(r, v)?;
            let results = request.topics.iter().map(|topic| $module::$result {
                topic_id: topic.topic_id,
                partitions: topic
                    .partitions
                    .iter()
                    .map(|asked| $module::PartitionResult {
                        partition: asked.partition,
                        error_code: why.code.code(),
                        error_message: why.text(),
                        ..Default::default()
                    })
                    .collect(),
            });
            let answer = $module::$response { results: results.collect() };
            boxed(move |w, version| answer.encode(w, version))
        }};
    }
    Ok(Some(match key {
        ApiKey::InitializeShareGroupState => {
            state!(initialize_share_group_state, InitializeShareGroupStateRequest => InitializeShareGroupStateResponse, InitializeStateResult)
        }
        ApiKey::ReadShareGroupState => {
            state!(read_share_group_state, ReadShareGroupStateRequest => ReadShareGroupStateResponse, ReadStateResult)
        }
        ApiKey::WriteShareGroupState => {
            state!(write_share_group_state, WriteShareGroupStateRequest => WriteShareGroupStateResponse, WriteStateResult)
        }
        ApiKey::DeleteShareGroupState => {
            state!(delete_share_group_state, DeleteShareGroupStateRequest => DeleteShareGroupStateResponse, DeleteStateResult)
        }
        ApiKey::ReadShareGroupStateSummary => {
            state!(read_share_group_state_summary, ReadShareGroupStateSummaryRequest => ReadShareGroupStateSummaryResponse, ReadStateSummaryResult)
        }
        _ => return Ok(None),
    }))
}

fn partitions_to_txn(r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Answer, DecodeError> {
    use add_partitions_to_txn::{
        AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
    };
    let request = AddPartitionsToTxnRequest::decode(r, v)?;
    let code = why.code.code();
    let partition =
        |&partition_index: &i32| AddPartitionsToTxnPartitionResult { partition_index, partition_error_code: code };
    let topic = |topic: &AddPartitionsToTxnTopic<'_>| AddPartitionsToTxnTopicResult {
        name: owned(&topic.name),
        results_by_partition: topic.partitions.iter().map(partition).collect(),
    };
    let answer = AddPartitionsToTxnResponse {
        error_code: code,
        results_by_topic_v3_and_below: request.v3_and_below_topics.iter().map(topic).collect(),
        ..Default::default()
    };
    Ok(boxed(move |w, version| answer.encode(w, version)))
}

fn markers(r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Answer, DecodeError> {
    use write_txn_markers::{
        WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopic, WritableTxnMarkerTopicResult,
    };
    let request = WriteTxnMarkersRequest::decode(r, v)?;
    let error_code = why.code.code();
    let topic = |topic: &WritableTxnMarkerTopic<'_>| WritableTxnMarkerTopicResult {
        name: owned(&topic.name),
        partitions: topic
            .partition_indexes
            .iter()
            .map(|&partition_index| WritableTxnMarkerPartitionResult { partition_index, error_code })
            .collect(),
    };
    let markers = request.markers.iter().map(|marker| WritableTxnMarkerResult {
        producer_id: marker.producer_id,
        topics: marker.topics.iter().map(topic).collect(),
    });
    let answer = WriteTxnMarkersResponse { markers: markers.collect() };
    Ok(boxed(move |w, version| answer.encode(w, version)))
}

fn txn_offsets(r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Answer, DecodeError> {
    use txn_offset_commit::{TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic};
    let request = TxnOffsetCommitRequest::decode(r, v)?;
    let error_code = why.code.code();
    let topics = request.topics.iter().map(|topic| TxnOffsetCommitResponseTopic {
        name: owned(&topic.name),
        partitions: topic
            .partitions
            .iter()
            .map(|p| TxnOffsetCommitResponsePartition { partition_index: p.partition_index, error_code })
            .collect(),
    });
    let answer = TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() };
    Ok(boxed(move |w, version| answer.encode(w, version)))
}

fn transactions(r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Answer, DecodeError> {
    let request = DescribeTransactionsRequest::decode(r, v)?;
    let states = request.transactional_ids.iter().map(|id| describe_transactions::TransactionState {
        error_code: why.code.code(),
        transactional_id: owned(id),
        ..Default::default()
    });
    let answer = DescribeTransactionsResponse { transaction_states: states.collect(), ..Default::default() };
    Ok(boxed(move |w, version| answer.encode(w, version)))
}

fn create_acls(r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Answer, DecodeError> {
    let request = CreateAclsRequest::decode(r, v)?;
    let result = |_: &_| create_acls::AclCreationResult { error_code: why.code.code(), error_message: why.text() };
    let results = request.creations.iter().map(result).collect();
    let answer = CreateAclsResponse { results, ..Default::default() };
    Ok(boxed(move |w, version| answer.encode(w, version)))
}

fn delete_acls(r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Answer, DecodeError> {
    let request = DeleteAclsRequest::decode(r, v)?;
    let result = |_: &_| delete_acls::DeleteAclsFilterResult {
        error_code: why.code.code(),
        error_message: why.text(),
        ..Default::default()
    };
    let filter_results = request.filters.iter().map(result).collect();
    let answer = DeleteAclsResponse { filter_results, ..Default::default() };
    Ok(boxed(move |w, version| answer.encode(w, version)))
}

fn elections(r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Answer, DecodeError> {
    use elect_leaders::{PartitionResult, ReplicaElectionResult};
    let request = ElectLeadersRequest::decode(r, v)?;
    let result =
        |&partition_id: &i32| PartitionResult { partition_id, error_code: why.code.code(), error_message: why.text() };
    let results = request.topic_partitions.iter().flatten().map(|topic| ReplicaElectionResult {
        topic: owned(&topic.topic),
        partition_result: topic.partitions.iter().map(result).collect(),
    });
    let replica_election_results = results.collect();
    // Version 0 has no code for the whole.
    let error_code = if v >= 1 { why.code.code() } else { 0 };
    let answer = ElectLeadersResponse { error_code, replica_election_results, ..Default::default() };
    Ok(boxed(move |w, version| answer.encode(w, version)))
}

fn quotas(r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Answer, DecodeError> {
    use alter_client_quotas::{AnsweredEntry, EntityData};
    let request = AlterClientQuotasRequest::decode(r, v)?;
    let entity = |entity: &EntityData<'_>| EntityData {
        entity_type: owned(&entity.entity_type),
        entity_name: entity.entity_name.as_ref().map(owned),
    };
    let entries = request.entries.iter().map(|entry| AnsweredEntry {
        error_code: why.code.code(),
        error_message: why.text(),
        entity: entry.entity.iter().map(entity).collect(),
    });
    let answer = AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() };
    Ok(boxed(move |w, version| answer.encode(w, version)))
}

fn scram(r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Answer, DecodeError> {
    use alter_user_scram_credentials::AlterUserScramCredentialsResult;
    let request = AlterUserScramCredentialsRequest::decode(r, v)?;
    let deleted = request.deletions.iter().map(|deletion| &deletion.name);
    let names = deleted.chain(request.upsertions.iter().map(|upsertion| &upsertion.name));
    let results = names.map(|user| AlterUserScramCredentialsResult {
        user: owned(user),
        error_code: why.code.code(),
        error_message: why.text(),
    });
    let answer = AlterUserScramCredentialsResponse { results: results.collect(), ..Default::default() };
    Ok(boxed(move |w, version| answer.encode(w, version)))
}

fn share_groups(r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Answer, DecodeError> {
    let request = ShareGroupDescribeRequest::decode(r, v)?;
    let groups = request.group_ids.iter().map(|id| share_group_describe::DescribedGroup {
        error_code: why.code.code(),
        error_message: why.text(),
        group_id: owned(id),
        ..Default::default()
    });
    let answer = ShareGroupDescribeResponse { groups: groups.collect(), ..Default::default() };
    Ok(boxed(move |w, version| answer.encode(w, version)))
}

fn streams_groups(r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Answer, DecodeError> {
    let request = StreamsGroupDescribeRequest::decode(r, v)?;
    let groups = request.group_ids.iter().map(|id| streams_group_describe::DescribedGroup {
        error_code: why.code.code(),
        error_message: why.text(),
        group_id: owned(id),
        ..Default::default()
    });
    let answer = StreamsGroupDescribeResponse { groups: groups.collect(), ..Default::default() };
    Ok(boxed(move |w, version| answer.encode(w, version)))
}

fn share_offsets(r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Answer, DecodeError> {
    let request = DescribeShareGroupOffsetsRequest::decode(r, v)?;
    let groups =
        request.groups.iter().map(|group| describe_share_group_offsets::DescribeShareGroupOffsetsResponseGroup {
            group_id: owned(&group.group_id),
            error_code: why.code.code(),
            error_message: why.text(),
            ..Default::default()
        });
    let answer = DescribeShareGroupOffsetsResponse { groups: groups.collect(), ..Default::default() };
    Ok(boxed(move |w, version| answer.encode(w, version)))
}

fn boxed(encode: impl FnOnce(&mut Writer, i16) -> Result<(), EncodeError> + 'static) -> Answer {
    Box::new(encode)
}

/// The text apart from the request's frame, which is gone when the answer is written.
fn owned(text: &Str<'_>) -> Str<'static> {
    Str::Owned(text.clone().into_owned())
}
