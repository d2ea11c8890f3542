//! Control records: what brokers write between the producers' batches, and consumers never hand out.
//!
//! ```text
//! key:                  version i16 = 0 | type i16
//! value of abort, commit: version i16 = 0 | coordinator epoch i32
//! ```
//! The values of the quorum's own types are messages with a schema, and live with the messages.

const KEY_LEN: usize = 4;
const END_TXN_LEN: usize = 6;
/// The version that is written; later ones only append fields, so all from here on are read.
const VERSION: i16 = 0;

/// The type of a control record (Kafka's `ControlRecordType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlRecord {
    /// The producer's open transaction on this partition was aborted.
    Abort,
    /// The producer's open transaction on this partition was committed.
    Commit,
    /// A quorum leader was elected.
    LeaderChange,
    /// The first record of a metadata snapshot.
    SnapshotHeader,
    /// The last record of a metadata snapshot.
    SnapshotFooter,
    /// The finalized `kraft.version`.
    KraftVersion,
    /// The quorum's voters.
    KraftVoters,
    /// A type from a later version; readers pass over it.
    Unknown(i16),
}

/// Why bytes are no control record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Fewer bytes than the fields take.
    #[error("a control record of {got} bytes, at least {expected} expected")]
    Short {
        /// Bytes that are there.
        got: usize,
        /// Bytes the fields take.
        expected: usize,
    },
    /// A version below zero.
    #[error("control record version {got}")]
    Version {
        /// The version.
        got: i16,
    },
}

impl ControlRecord {
    /// Reads the key of a control record.
    pub fn decode_key(key: &[u8]) -> Result<Self, ControlError> {
        let [version_high, version_low, type_high, type_low] = prefix::<KEY_LEN>(key)?;
        check_version(i16::from_be_bytes([version_high, version_low]))?;
        Ok(Self::from_id(i16::from_be_bytes([type_high, type_low])))
    }

    /// The key of a control record of this type.
    #[must_use]
    pub fn encode_key(self) -> [u8; KEY_LEN] {
        let [version_high, version_low] = VERSION.to_be_bytes();
        let [type_high, type_low] = self.id().to_be_bytes();
        [version_high, version_low, type_high, type_low]
    }

    /// The type with this number.
    #[must_use]
    pub fn from_id(id: i16) -> Self {
        match id {
            0 => ControlRecord::Abort,
            1 => ControlRecord::Commit,
            2 => ControlRecord::LeaderChange,
            3 => ControlRecord::SnapshotHeader,
            4 => ControlRecord::SnapshotFooter,
            5 => ControlRecord::KraftVersion,
            6 => ControlRecord::KraftVoters,
            id => ControlRecord::Unknown(id),
        }
    }

    /// The number of this type.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            ControlRecord::Abort => 0,
            ControlRecord::Commit => 1,
            ControlRecord::LeaderChange => 2,
            ControlRecord::SnapshotHeader => 3,
            ControlRecord::SnapshotFooter => 4,
            ControlRecord::KraftVersion => 5,
            ControlRecord::KraftVoters => 6,
            ControlRecord::Unknown(id) => id,
        }
    }
}

/// The value of [`ControlRecord::Abort`] and [`ControlRecord::Commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTxnMarker {
    /// Epoch of the transaction coordinator that wrote the marker.
    pub coordinator_epoch: i32,
}

impl EndTxnMarker {
    /// Reads the value.
    pub fn decode(value: &[u8]) -> Result<Self, ControlError> {
        let [version_high, version_low, epoch @ ..] = prefix::<END_TXN_LEN>(value)?;
        check_version(i16::from_be_bytes([version_high, version_low]))?;
        Ok(EndTxnMarker { coordinator_epoch: i32::from_be_bytes(epoch) })
    }

    /// The value's bytes.
    #[must_use]
    pub fn encode(self) -> [u8; END_TXN_LEN] {
        let [version_high, version_low] = VERSION.to_be_bytes();
        let [a, b, c, d] = self.coordinator_epoch.to_be_bytes();
        [version_high, version_low, a, b, c, d]
    }
}

fn prefix<const N: usize>(bytes: &[u8]) -> Result<[u8; N], ControlError> {
    bytes.first_chunk().copied().ok_or(ControlError::Short { got: bytes.len(), expected: N })
}

fn check_version(got: i16) -> Result<(), ControlError> {
    if got < VERSION { Err(ControlError::Version { got }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::{ControlError, ControlRecord, EndTxnMarker};

    #[test]
    fn keys_are_kafkas() {
        assert_eq!(ControlRecord::Abort.encode_key(), [0, 0, 0, 0]);
        assert_eq!(ControlRecord::Commit.encode_key(), [0, 0, 0, 1]);
        for id in -1..9 {
            assert_eq!(ControlRecord::decode_key(&ControlRecord::from_id(id).encode_key()).unwrap().id(), id);
        }
        assert_eq!(ControlRecord::decode_key(&[0, 3, 0, 1, 9]), Ok(ControlRecord::Commit), "later versions append");
        assert_eq!(ControlRecord::decode_key(&[0, 0, 0]), Err(ControlError::Short { got: 3, expected: 4 }));
        assert_eq!(ControlRecord::decode_key(&[0xff, 0xff, 0, 0]), Err(ControlError::Version { got: -1 }));
    }

    #[test]
    fn marker_value() {
        let marker = EndTxnMarker { coordinator_epoch: 0x0102_0304 };
        assert_eq!(marker.encode(), [0, 0, 1, 2, 3, 4]);
        assert_eq!(EndTxnMarker::decode(&marker.encode()), Ok(marker));
        assert_eq!(EndTxnMarker::decode(&[0; 5]), Err(ControlError::Short { got: 5, expected: 6 }));
    }
}
