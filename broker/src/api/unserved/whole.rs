//! Refusals that are one code for the whole request. Those with a code for each thing asked about are in `each`.

use super::{Answer, Why};
use protocol::messages::keys::ApiKey;
use protocol::messages::*;
use protocol::{DecodeError, Reader};

/// Decodes the request, so that one which is no such request is found out, and answers its code; `text` where there is room for one.
macro_rules! whole {
    ($r:ident, $version:ident, $why:ident, $request:ident => $response:ident) => {{
        $request::decode($r, $version)?;
        let answer = $response { error_code: $why.code.code(), ..Default::default() };
        Ok(Some(Box::new(move |w, version| answer.encode(w, version))))
    }};
    ($r:ident, $version:ident, $why:ident, $request:ident => $response:ident, text) => {{
        $request::decode($r, $version)?;
        let error_message = $why.text();
        let answer = $response { error_code: $why.code.code(), error_message, ..Default::default() };
        Ok(Some(Box::new(move |w, version| answer.encode(w, version))))
    }};
}

/// The refusal, or nothing if the key is none of these.
pub(super) fn refuse(key: ApiKey, r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Option<Answer>, DecodeError> {
    match key {
        ApiKey::SaslHandshake => whole!(r, v, why, SaslHandshakeRequest => SaslHandshakeResponse),
        ApiKey::SaslAuthenticate => whole!(r, v, why, SaslAuthenticateRequest => SaslAuthenticateResponse, text),
        ApiKey::AddOffsetsToTxn => whole!(r, v, why, AddOffsetsToTxnRequest => AddOffsetsToTxnResponse),
        ApiKey::EndTxn => whole!(r, v, why, EndTxnRequest => EndTxnResponse),
        ApiKey::ListTransactions => whole!(r, v, why, ListTransactionsRequest => ListTransactionsResponse),
        ApiKey::DescribeAcls => whole!(r, v, why, DescribeAclsRequest => DescribeAclsResponse, text),
        ApiKey::CreateDelegationToken => {
            whole!(r, v, why, CreateDelegationTokenRequest => CreateDelegationTokenResponse)
        }
        ApiKey::RenewDelegationToken => whole!(r, v, why, RenewDelegationTokenRequest => RenewDelegationTokenResponse),
        ApiKey::ExpireDelegationToken => {
            whole!(r, v, why, ExpireDelegationTokenRequest => ExpireDelegationTokenResponse)
        }
        ApiKey::DescribeDelegationToken => {
            whole!(r, v, why, DescribeDelegationTokenRequest => DescribeDelegationTokenResponse)
        }
        ApiKey::AlterPartitionReassignments => {
            whole!(r, v, why, AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse, text)
        }
        ApiKey::ListPartitionReassignments => {
            whole!(r, v, why, ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse, text)
        }
        ApiKey::DescribeClientQuotas => {
            whole!(r, v, why, DescribeClientQuotasRequest => DescribeClientQuotasResponse, text)
        }
        ApiKey::DescribeUserScramCredentials => {
            whole!(r, v, why, DescribeUserScramCredentialsRequest => DescribeUserScramCredentialsResponse, text)
        }
        ApiKey::UpdateFeatures => whole!(r, v, why, UpdateFeaturesRequest => UpdateFeaturesResponse, text),
        _ => refuse_rest(key, r, v, why),
    }
}

/// Quorum, telemetry, share and streams groups.
fn refuse_rest(key: ApiKey, r: &mut Reader<'_>, v: i16, why: &Why) -> Result<Option<Answer>, DecodeError> {
    match key {
        ApiKey::DescribeQuorum => whole!(r, v, why, DescribeQuorumRequest => DescribeQuorumResponse, text),
        ApiKey::AddRaftVoter => whole!(r, v, why, AddRaftVoterRequest => AddRaftVoterResponse, text),
        ApiKey::RemoveRaftVoter => whole!(r, v, why, RemoveRaftVoterRequest => RemoveRaftVoterResponse, text),
        ApiKey::GetTelemetrySubscriptions => {
            whole!(r, v, why, GetTelemetrySubscriptionsRequest => GetTelemetrySubscriptionsResponse)
        }
        ApiKey::PushTelemetry => whole!(r, v, why, PushTelemetryRequest => PushTelemetryResponse),
        ApiKey::ShareGroupHeartbeat => {
            whole!(r, v, why, ShareGroupHeartbeatRequest => ShareGroupHeartbeatResponse, text)
        }
        ApiKey::ShareFetch => whole!(r, v, why, ShareFetchRequest => ShareFetchResponse, text),
        ApiKey::ShareAcknowledge => whole!(r, v, why, ShareAcknowledgeRequest => ShareAcknowledgeResponse, text),
        ApiKey::StreamsGroupHeartbeat => {
            whole!(r, v, why, StreamsGroupHeartbeatRequest => StreamsGroupHeartbeatResponse, text)
        }
        ApiKey::AlterShareGroupOffsets => {
            whole!(r, v, why, AlterShareGroupOffsetsRequest => AlterShareGroupOffsetsResponse, text)
        }
        ApiKey::DeleteShareGroupOffsets => {
            whole!(r, v, why, DeleteShareGroupOffsetsRequest => DeleteShareGroupOffsetsResponse, text)
        }
        _ => Ok(None),
    }
}
