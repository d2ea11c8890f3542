//! One file per API key, named as the key: versions, behaviour, KIPs and deviations at its head, its handler below.

pub mod k18_api_versions;

use protocol::messages::keys::ApiKey;

/// The keys that work, which are the keys that are advertised. A client takes "advertised" for "works".
pub const SERVED: &[ApiKey] = &[ApiKey::ApiVersions];
