//! One file per API key, named as the key: versions, behaviour, KIPs and deviations at its head, its handler below.

pub mod k00_produce;
pub mod k01_fetch;
pub mod k02_list_offsets;
pub mod k18_api_versions;
pub mod k21_delete_records;
pub mod k23_offset_for_leader_epoch;

use protocol::messages::keys::ApiKey;

/// The keys that work, which are the keys that are advertised. A client takes "advertised" for "works".
pub const SERVED: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::ApiVersions,
    ApiKey::DeleteRecords,
    ApiKey::OffsetForLeaderEpoch,
];
