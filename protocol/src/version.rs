//! Ranges of API versions. The table of them is generated into `messages::keys`.

use std::fmt;

use crate::messages::keys::ApiKey;

/// Versions `min..=max` of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionRange {
    /// Lowest version.
    pub min: i16,
    /// Highest version, included.
    pub max: i16,
}

impl VersionRange {
    /// The range `min..=max`.
    #[must_use]
    pub const fn new(min: i16, max: i16) -> Self {
        Self { min, max }
    }

    /// Whether `version` lies in the range.
    #[must_use]
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Every version of the range, lowest first.
    pub fn iter(self) -> impl Iterator<Item = i16> {
        self.min..=self.max
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}

/// One row of the table that a stock Kafka 4.3.1 broker answers to ApiVersions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiVersionRow {
    /// The API.
    pub key: ApiKey,
    /// Lowest advertised version; for Produce lower than what is served (KAFKA-18659).
    pub min: i16,
    /// Highest advertised version.
    pub max: i16,
}
