//! ApiVersions, key 18, versions 0 to 4.
//!
//! Behaviour: every version is answered; one that is not known gets the answer of version 0 with UNSUPPORTED_VERSION and all
//! keys, from which the client picks again (KIP-511). The response header is always version 0. From version 3 on the
//! client's software name and version must match Kafka's pattern, or the answer is INVALID_REQUEST.
//!
//! KIPs: 35, 511 (names), 482 (flexible), 584 and 1022 (features). Version 3 leaves out features whose lowest level is 0, which
//! clients before 3.9 refuse (KAFKA-17011); version 4 has them.
//!
//! Deviations: only keys that work are listed. Versions that Kafka 4.0 removed are served and not listed, unless `legacy.clients`
//! says otherwise; Produce is listed from 0 in any case (KAFKA-18659). To an unknown
//! version Kafka lists ApiVersions alone; we list everything.

use super::SERVED;
use crate::front::Patience;
use crate::limits::CLIENT_SOFTWARE_BYTES_MAX;
use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use protocol::messages::keys::VERSIONS;
use protocol::{ApiVersionRow, ErrorCode};

/// A feature level of Kafka: what is supported, and what is switched on.
struct Feature {
    name: &'static str,
    min: i16,
    max: i16,
    finalized: i16,
}

/// Tools derive the cluster's version from metadata.version; 30 is 4.3-IV0, 7 is 3.3-IV3, the lowest that 4.3 supports. What we
/// do not have yet is supported at level 0, which is "off".
const FEATURES: &[Feature] = &[
    Feature { name: "metadata.version", min: 7, max: 30, finalized: 30 },
    Feature { name: "kraft.version", min: 0, max: 0, finalized: 0 },
    Feature { name: "transaction.version", min: 0, max: 0, finalized: 0 },
    Feature { name: "group.version", min: 0, max: 1, finalized: 1 },
    Feature { name: "eligible.leader.replicas.version", min: 0, max: 0, finalized: 0 },
    Feature { name: "share.version", min: 0, max: 0, finalized: 0 },
    Feature { name: "streams.version", min: 0, max: 0, finalized: 0 },
];

/// Answers an ApiVersions request of any version.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let known = ApiVersionsRequest::VERSIONS.contains(request.header.version);
    if !known {
        let response = response(broker, ErrorCode::UnsupportedVersion, 0, -1);
        broker.respond(request.origin, &request.header, |writer, _| response.encode(writer, 0));
        return Ok(());
    }
    let body = request.body(ApiVersionsRequest::decode)?;
    let named =
        request.header.version < 3 || (is_valid(&body.client_software_name) && is_valid(&body.client_software_version));
    let response = if named {
        if let Some(conn) = broker.front.conns.get_mut(&request.origin.conn) {
            conn.patience = Patience::of(&body.client_software_name);
        }
        response(broker, ErrorCode::None, request.header.version, broker.image.version())
    } else {
        ApiVersionsResponse { error_code: ErrorCode::InvalidRequest.code(), ..ApiVersionsResponse::default() }
    };
    broker.respond(request.origin, &request.header, |writer, version| response.encode(writer, version));
    Ok(())
}

fn response<S: Store>(
    broker: &Broker<S>,
    code: ErrorCode,
    version: i16,
    features_epoch: i64,
) -> ApiVersionsResponse<'static> {
    let lowest = |row: &ApiVersionRow| broker.settings.legacy_clients.advertised_min(row.key, row.min);
    let served = VERSIONS.iter().filter(|row| SERVED.contains(&row.key));
    let listed = FEATURES.iter().filter(|feature| version >= 4 || feature.min > 0);
    ApiVersionsResponse {
        error_code: code.code(),
        api_keys: served
            .map(|row| ApiVersion { api_key: row.key as i16, min_version: lowest(row), max_version: row.max })
            .collect(),
        supported_features: listed
            .map(|feature| SupportedFeatureKey {
                name: feature.name.into(),
                min_version: feature.min,
                max_version: feature.max,
            })
            .collect(),
        finalized_features_epoch: features_epoch,
        finalized_features: FEATURES
            .iter()
            .filter(|feature| feature.finalized > 0)
            .map(|feature| FinalizedFeatureKey {
                name: feature.name.into(),
                max_version_level: feature.finalized,
                min_version_level: feature.finalized,
            })
            .collect(),
        ..ApiVersionsResponse::default()
    }
}

/// Letters, digits, `-` and `.`, with a letter or digit at both ends.
fn is_valid(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    bytes.len() <= CLIENT_SOFTWARE_BYTES_MAX
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn client_software_names() {
        for good in ["apache-kafka-java", "4.3.1", "a", "librdkafka", "2.15.0-RC1"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "a_b", "é", "1.", &"x".repeat(2000)] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
