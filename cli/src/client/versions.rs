//! What a broker serves: its answer to ApiVersions, kept for as long as the connection.

use protocol::messages::ApiVersionsResponse;
use protocol::{ApiKey, VersionRange};
use std::collections::BTreeMap;

/// The versions of each API that a broker serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    ranges: BTreeMap<i16, VersionRange>,
}

impl Served {
    /// Takes the table of an answer.
    pub fn new(answer: &ApiVersionsResponse<'_>) -> Self {
        let row = |row: &protocol::messages::api_versions::ApiVersion| {
            (row.api_key, VersionRange::new(row.min_version, row.max_version))
        };
        Served { ranges: answer.api_keys.iter().map(row).collect() }
    }

    /// The versions of one API.
    pub fn range(&self, key: ApiKey) -> Option<VersionRange> {
        self.ranges.get(&(key as i16)).copied()
    }

    /// Whether the broker serves the API at all.
    pub fn has(&self, key: ApiKey) -> bool {
        self.ranges.contains_key(&(key as i16))
    }
}
