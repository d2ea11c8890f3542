//! Which request has which response, so that a caller names the request only. The messages are `protocol`'s.

use protocol::messages::*;
use protocol::{ApiKey, DecodeError, EncodeError, Reader, VersionRange, Writer};
use std::marker::PhantomData;

/// A request that can be sent, and the response that it gets.
pub trait Api {
    /// The API.
    const KEY: ApiKey;
    /// The versions that this client speaks.
    const SPOKEN: VersionRange;
    /// What comes back; it borrows from the frame that it came in.
    type Response<'a>;

    /// Appends the request's body.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;
    /// Reads the response's body.
    fn decode<'a>(r: &mut Reader<'a>, version: i16) -> Result<Self::Response<'a>, DecodeError>;
}

/// An answer that has been checked: [`read`](Answer::read) gives its fields, which live as long as it does.
#[derive(Debug)]
pub struct Answer<Q> {
    frame: Vec<u8>,
    body: usize,
    version: i16,
    api: PhantomData<fn() -> Q>,
}

impl<Q: Api> Answer<Q> {
    /// Takes a frame whose body begins at `body`, and proves once that it can be read.
    pub(super) fn new(frame: Vec<u8>, body: usize, version: i16) -> Result<Self, DecodeError> {
        Q::decode(&mut Reader::new(&frame[body..]), version)?;
        Ok(Answer { frame, body, version, api: PhantomData })
    }

    /// The response.
    pub fn read(&self) -> Q::Response<'_> {
        #[expect(clippy::expect_used, reason = "new() has read these bytes in this version")]
        Q::decode(&mut Reader::new(&self.frame[self.body..]), self.version).expect("an answer that was read before")
    }

    /// The version that both sides spoke.
    pub fn version(&self) -> i16 {
        self.version
    }
}

/// One row an API. `up to N` keeps a request from versions that need what a command line does not have: ids of topics
/// in place of their names.
macro_rules! apis {
    ($a:lifetime; $($request:ty => $response:ty $(, up to $max:literal)?;)*) => {$(
        impl Api for $request {
            const KEY: ApiKey = <$request>::KEY;
            const SPOKEN: VersionRange = apis!(@range <$request>::VERSIONS $(, $max)?);
            type Response<$a> = $response;

            fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
                <$request>::encode(self, w, version)
            }

            fn decode<$a>(r: &mut Reader<$a>, version: i16) -> Result<$response, DecodeError> {
                <$response>::decode(r, version)
            }
        }
    )*};
    (@range $all:expr) => { $all };
    (@range $all:expr, $max:literal) => { VersionRange::new($all.min, $max) };
}

apis! { 'a;
    AddOffsetsToTxnRequest<'_> => AddOffsetsToTxnResponse;
    AddPartitionsToTxnRequest<'_> => AddPartitionsToTxnResponse<'a>;
    AddRaftVoterRequest<'_> => AddRaftVoterResponse<'a>;
    AlterClientQuotasRequest<'_> => AlterClientQuotasResponse<'a>;
    AlterConfigsRequest<'_> => AlterConfigsResponse<'a>;
    AlterPartitionReassignmentsRequest<'_> => AlterPartitionReassignmentsResponse<'a>;
    AlterReplicaLogDirsRequest<'_> => AlterReplicaLogDirsResponse<'a>;
    AlterShareGroupOffsetsRequest<'_> => AlterShareGroupOffsetsResponse<'a>;
    AlterUserScramCredentialsRequest<'_> => AlterUserScramCredentialsResponse<'a>;
    ApiVersionsRequest<'_> => ApiVersionsResponse<'a>;
    ConsumerGroupDescribeRequest<'_> => ConsumerGroupDescribeResponse<'a>;
    ConsumerGroupHeartbeatRequest<'_> => ConsumerGroupHeartbeatResponse<'a>;
    CreateAclsRequest<'_> => CreateAclsResponse<'a>;
    CreateDelegationTokenRequest<'_> => CreateDelegationTokenResponse<'a>;
    CreatePartitionsRequest<'_> => CreatePartitionsResponse<'a>;
    CreateTopicsRequest<'_> => CreateTopicsResponse<'a>;
    DeleteAclsRequest<'_> => DeleteAclsResponse<'a>;
    DeleteGroupsRequest<'_> => DeleteGroupsResponse<'a>;
    DeleteRecordsRequest<'_> => DeleteRecordsResponse<'a>;
    DeleteShareGroupOffsetsRequest<'_> => DeleteShareGroupOffsetsResponse<'a>;
    DeleteShareGroupStateRequest<'_> => DeleteShareGroupStateResponse<'a>;
    DeleteTopicsRequest<'_> => DeleteTopicsResponse<'a>;
    DescribeAclsRequest<'_> => DescribeAclsResponse<'a>;
    DescribeClientQuotasRequest<'_> => DescribeClientQuotasResponse<'a>;
    DescribeClusterRequest => DescribeClusterResponse<'a>;
    DescribeConfigsRequest<'_> => DescribeConfigsResponse<'a>;
    DescribeDelegationTokenRequest<'_> => DescribeDelegationTokenResponse<'a>;
    DescribeGroupsRequest<'_> => DescribeGroupsResponse<'a>;
    DescribeLogDirsRequest<'_> => DescribeLogDirsResponse<'a>;
    DescribeProducersRequest<'_> => DescribeProducersResponse<'a>;
    DescribeQuorumRequest<'_> => DescribeQuorumResponse<'a>;
    DescribeShareGroupOffsetsRequest<'_> => DescribeShareGroupOffsetsResponse<'a>;
    DescribeTopicPartitionsRequest<'_> => DescribeTopicPartitionsResponse<'a>;
    DescribeTransactionsRequest<'_> => DescribeTransactionsResponse<'a>;
    DescribeUserScramCredentialsRequest<'_> => DescribeUserScramCredentialsResponse<'a>;
    ElectLeadersRequest<'_> => ElectLeadersResponse<'a>;
    EndTxnRequest<'_> => EndTxnResponse;
    ExpireDelegationTokenRequest<'_> => ExpireDelegationTokenResponse;
    FetchRequest<'_> => FetchResponse<'a>, up to 12;
    FindCoordinatorRequest<'_> => FindCoordinatorResponse<'a>;
    GetTelemetrySubscriptionsRequest => GetTelemetrySubscriptionsResponse<'a>;
    HeartbeatRequest<'_> => HeartbeatResponse;
    IncrementalAlterConfigsRequest<'_> => IncrementalAlterConfigsResponse<'a>;
    InitProducerIdRequest<'_> => InitProducerIdResponse;
    InitializeShareGroupStateRequest<'_> => InitializeShareGroupStateResponse<'a>;
    JoinGroupRequest<'_> => JoinGroupResponse<'a>;
    LeaveGroupRequest<'_> => LeaveGroupResponse<'a>;
    ListConfigResourcesRequest => ListConfigResourcesResponse<'a>;
    ListGroupsRequest<'_> => ListGroupsResponse<'a>;
    ListOffsetsRequest<'_> => ListOffsetsResponse<'a>;
    ListPartitionReassignmentsRequest<'_> => ListPartitionReassignmentsResponse<'a>;
    ListTransactionsRequest<'_> => ListTransactionsResponse<'a>;
    MetadataRequest<'_> => MetadataResponse<'a>;
    OffsetCommitRequest<'_> => OffsetCommitResponse<'a>, up to 9;
    OffsetDeleteRequest<'_> => OffsetDeleteResponse<'a>;
    OffsetFetchRequest<'_> => OffsetFetchResponse<'a>, up to 9;
    OffsetForLeaderEpochRequest<'_> => OffsetForLeaderEpochResponse<'a>;
    ProduceRequest<'_> => ProduceResponse<'a>, up to 12;
    PushTelemetryRequest<'_> => PushTelemetryResponse;
    ReadShareGroupStateRequest<'_> => ReadShareGroupStateResponse<'a>;
    ReadShareGroupStateSummaryRequest<'_> => ReadShareGroupStateSummaryResponse<'a>;
    RemoveRaftVoterRequest<'_> => RemoveRaftVoterResponse<'a>;
    RenewDelegationTokenRequest<'_> => RenewDelegationTokenResponse;
    SaslAuthenticateRequest<'_> => SaslAuthenticateResponse<'a>;
    SaslHandshakeRequest<'_> => SaslHandshakeResponse<'a>;
    ShareAcknowledgeRequest<'_> => ShareAcknowledgeResponse<'a>;
    ShareFetchRequest<'_> => ShareFetchResponse<'a>;
    ShareGroupDescribeRequest<'_> => ShareGroupDescribeResponse<'a>;
    ShareGroupHeartbeatRequest<'_> => ShareGroupHeartbeatResponse<'a>;
    StreamsGroupDescribeRequest<'_> => StreamsGroupDescribeResponse<'a>;
    StreamsGroupHeartbeatRequest<'_> => StreamsGroupHeartbeatResponse<'a>;
    SyncGroupRequest<'_> => SyncGroupResponse<'a>;
    TxnOffsetCommitRequest<'_> => TxnOffsetCommitResponse<'a>;
    UnregisterBrokerRequest => UnregisterBrokerResponse<'a>;
    UpdateFeaturesRequest<'_> => UpdateFeaturesResponse<'a>;
    WriteShareGroupStateRequest<'_> => WriteShareGroupStateResponse<'a>;
    WriteTxnMarkersRequest<'_> => WriteTxnMarkersResponse<'a>;
}
