//! The `kafka-protocol` crate reads what we write and writes what we read, byte for byte.

use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, Message};
use protocol::{Reader, Writer, messages::*};

use crate::sample::{Rng, Sample};

const SAMPLES: u64 = 30;

macro_rules! oracle {
    ($($message:ident)*) => {$({
        let known = <theirs::$message as Message>::VERSIONS;
        for version in $message::VERSIONS.iter().filter(|v| (known.min..=known.max).contains(v)) {
            for seed in 0..SAMPLES {
                let what = format!("{} v{version} seed {seed}", stringify!($message));
                let value = $message::sample(&mut Rng::new(seed), version);
                let mut w = Writer::new();
                value.encode(&mut w, version).unwrap();
                let ours = w.into_bytes().unwrap();
                let mut rest = ours.as_slice();
                let read = theirs::$message::decode(&mut rest, version).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert!(rest.is_empty(), "{what}: {} bytes left", rest.len());
                let mut written = Vec::new();
                read.encode(&mut written, version).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(written, ours, "{what}");
                assert_eq!($message::decode(&mut Reader::new(&written), version).as_ref(), Ok(&value), "{what}");
            }
        }
    })*};
}

#[test]
fn produce_and_fetch() {
    oracle!(ProduceRequest ProduceResponse FetchRequest FetchResponse ListOffsetsRequest ListOffsetsResponse);
    oracle!(OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse InitProducerIdRequest InitProducerIdResponse);
    oracle!(DeleteRecordsRequest DeleteRecordsResponse);
}

#[test]
fn groups() {
    oracle!(OffsetCommitRequest OffsetCommitResponse OffsetFetchRequest OffsetFetchResponse);
    oracle!(FindCoordinatorRequest FindCoordinatorResponse JoinGroupRequest JoinGroupResponse);
    oracle!(HeartbeatRequest HeartbeatResponse LeaveGroupRequest LeaveGroupResponse);
    oracle!(SyncGroupRequest SyncGroupResponse DescribeGroupsRequest DescribeGroupsResponse);
    oracle!(ListGroupsRequest ListGroupsResponse DeleteGroupsRequest DeleteGroupsResponse);
    oracle!(OffsetDeleteRequest OffsetDeleteResponse ConsumerProtocolSubscription ConsumerProtocolAssignment);
}

#[test]
fn metadata_and_administration() {
    oracle!(ApiVersionsRequest ApiVersionsResponse MetadataRequest MetadataResponse);
    oracle!(CreateTopicsRequest CreateTopicsResponse DeleteTopicsRequest DeleteTopicsResponse);
    oracle!(CreatePartitionsRequest CreatePartitionsResponse DescribeClusterRequest DescribeClusterResponse);
    oracle!(DescribeConfigsRequest DescribeConfigsResponse AlterConfigsRequest AlterConfigsResponse);
    oracle!(IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse);
    oracle!(DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse);
    oracle!(DescribeLogDirsRequest DescribeLogDirsResponse);
}

#[test]
fn transactions_and_security() {
    oracle!(AddPartitionsToTxnRequest AddPartitionsToTxnResponse AddOffsetsToTxnRequest AddOffsetsToTxnResponse);
    oracle!(EndTxnRequest EndTxnResponse WriteTxnMarkersRequest WriteTxnMarkersResponse);
    oracle!(TxnOffsetCommitRequest TxnOffsetCommitResponse DescribeTransactionsRequest DescribeTransactionsResponse);
    oracle!(ListTransactionsRequest ListTransactionsResponse SaslHandshakeRequest SaslHandshakeResponse);
    oracle!(SaslAuthenticateRequest SaslAuthenticateResponse DescribeAclsRequest DescribeAclsResponse);
    oracle!(CreateAclsRequest CreateAclsResponse DeleteAclsRequest DeleteAclsResponse);
    oracle!(CreateDelegationTokenRequest CreateDelegationTokenResponse RenewDelegationTokenRequest RenewDelegationTokenResponse);
    oracle!(ExpireDelegationTokenRequest ExpireDelegationTokenResponse DescribeDelegationTokenRequest DescribeDelegationTokenResponse);
    oracle!(DescribeClientQuotasRequest DescribeClientQuotasResponse AlterClientQuotasRequest AlterClientQuotasResponse);
    oracle!(DescribeUserScramCredentialsRequest DescribeUserScramCredentialsResponse AlterUserScramCredentialsRequest AlterUserScramCredentialsResponse);
}

#[test]
fn operations() {
    oracle!(AlterReplicaLogDirsRequest AlterReplicaLogDirsResponse ElectLeadersRequest ElectLeadersResponse);
    oracle!(AlterPartitionReassignmentsRequest AlterPartitionReassignmentsResponse);
    oracle!(ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse DescribeQuorumRequest DescribeQuorumResponse);
    oracle!(UpdateFeaturesRequest UpdateFeaturesResponse DescribeProducersRequest DescribeProducersResponse);
    oracle!(UnregisterBrokerRequest UnregisterBrokerResponse AddRaftVoterRequest AddRaftVoterResponse);
    oracle!(RemoveRaftVoterRequest RemoveRaftVoterResponse GetTelemetrySubscriptionsRequest GetTelemetrySubscriptionsResponse);
    oracle!(PushTelemetryRequest PushTelemetryResponse);
}

#[test]
fn new_kinds_of_groups() {
    oracle!(ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse);
    oracle!(ShareGroupHeartbeatRequest ShareGroupHeartbeatResponse ShareGroupDescribeRequest ShareGroupDescribeResponse);
    oracle!(ShareFetchRequest ShareFetchResponse ShareAcknowledgeRequest ShareAcknowledgeResponse);
    oracle!(InitializeShareGroupStateRequest InitializeShareGroupStateResponse ReadShareGroupStateRequest ReadShareGroupStateResponse);
    oracle!(WriteShareGroupStateRequest WriteShareGroupStateResponse DeleteShareGroupStateRequest DeleteShareGroupStateResponse);
    oracle!(ReadShareGroupStateSummaryRequest ReadShareGroupStateSummaryResponse);
}
