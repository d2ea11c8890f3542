//! The envelope around every private file that is written whole: magic, version, kind, length, checksum.
//!
//! Bytes from disk are `&[u8]` until [`open`] has proven them; only then does anybody look inside.

use protocol::crc::crc32c;

/// First bytes of every private file.
pub(super) const MAGIC: [u8; 8] = *b"RINGLOG\0";
/// Oldest version that is read.
const VERSION_OLDEST: u16 = 1;

const VERSION_AT: usize = 8;
const KIND_AT: usize = 10;
const LENGTH_AT: usize = 16;
/// Where the payload begins; a multiple of 16, so that archives are aligned in an aligned buffer.
pub(super) const HEADER_LEN: usize = 32;
const CRC_LEN: usize = 4;
/// Bytes that the envelope adds.
pub(super) const OVERHEAD: usize = HEADER_LEN + CRC_LEN;

/// What the payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Kind {
    /// A sealed index, `.ridx`.
    Index = 1,
    /// The owner's opaque state, `.rsnap`.
    Snapshot = 2,
    /// Durable offsets of one shard.
    Floor = 3,
    /// Which topic id and partition a folder holds. 4 is the journal's.
    Topic = 5,
    /// A copy of a small file of Kafka's.
    Copy = 6,
    /// What is remembered of a log's compaction.
    Compaction = 7,
}

impl Kind {
    /// The version that is written; all from [`VERSION_OLDEST`] on are read.
    pub(super) fn version(self) -> u16 {
        match self {
            Kind::Index | Kind::Floor => 2,
            Kind::Snapshot | Kind::Topic | Kind::Copy | Kind::Compaction => 1,
        }
    }
}

/// Why a private file cannot be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Shorter than its header or its length field say.
    #[error("{got} bytes, {needed} expected")]
    Short {
        /// Bytes that are there.
        got: usize,
        /// Bytes that should be.
        needed: u64,
    },
    /// Not a file of ours.
    #[error("the file does not begin with RINGLOG")]
    Magic,
    /// Written by another version of ringlog.
    #[error("format version {got}, this program knows {VERSION_OLDEST} to {newest}")]
    Version {
        /// What the file says.
        got: u16,
        /// The newest that this program knows.
        newest: u16,
    },
    /// Another kind of private file.
    #[error("kind {got}, expected {expected}")]
    Kind {
        /// What the file says.
        got: u16,
        /// What was wanted.
        expected: u16,
    },
    /// The checksum does not match.
    #[error("CRC-32C {computed:#010x}, the file says {stored:#010x}")]
    Crc {
        /// In the file.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// The checksum matches but the payload makes no sense.
    #[error("the payload is not valid: {0}")]
    Payload(String),
}

/// Wraps `payload`.
pub(super) fn seal(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut file = vec![0; HEADER_LEN];
    file[..MAGIC.len()].copy_from_slice(&MAGIC);
    file[VERSION_AT..VERSION_AT + 2].copy_from_slice(&kind.version().to_le_bytes());
    file[KIND_AT..KIND_AT + 2].copy_from_slice(&(kind as u16).to_le_bytes());
    file[LENGTH_AT..LENGTH_AT + 8].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    file.extend_from_slice(payload);
    let crc = crc32c(&file);
    file.extend_from_slice(&crc.to_le_bytes());
    file
}

/// Makes a sealed file one of another version.
#[cfg(feature = "testing")]
pub(super) fn set_version(file: &mut [u8], version: u16) {
    file[VERSION_AT..VERSION_AT + 2].copy_from_slice(&version.to_le_bytes());
    let end = file.len() - CRC_LEN;
    let crc = crc32c(&file[..end]);
    file[end..].copy_from_slice(&crc.to_le_bytes());
}

/// The payload of `file`, proven to be what was sealed. Bytes behind the envelope are ignored.
pub(super) fn open(kind: Kind, file: &[u8]) -> Result<&[u8], EnvelopeError> {
    open_version(kind, file).map(|(_, payload)| payload)
}

/// As [`open`], with the version that wrote the file.
pub(super) fn open_version(kind: Kind, file: &[u8]) -> Result<(u16, &[u8]), EnvelopeError> {
    let short = |needed: u64| EnvelopeError::Short { got: file.len(), needed };
    let header: &[u8; HEADER_LEN] = file.first_chunk().ok_or(short(OVERHEAD as u64))?;
    if header[..MAGIC.len()] != MAGIC {
        return Err(EnvelopeError::Magic);
    }
    let version = u16::from_le_bytes([header[VERSION_AT], header[VERSION_AT + 1]]);
    let got = u16::from_le_bytes([header[KIND_AT], header[KIND_AT + 1]]);
    if got != kind as u16 {
        return Err(EnvelopeError::Kind { got, expected: kind as u16 });
    }
    if !(VERSION_OLDEST..=kind.version()).contains(&version) {
        return Err(EnvelopeError::Version { got: version, newest: kind.version() });
    }
    let mut length = [0; 8];
    length.copy_from_slice(&header[LENGTH_AT..LENGTH_AT + 8]);
    let needed = u64::from_le_bytes(length).saturating_add(OVERHEAD as u64);
    let end = usize::try_from(needed).map_err(|_| short(needed))?.checked_sub(CRC_LEN).ok_or(short(needed))?;
    let (body, crc) = file.split_at_checked(end).ok_or(short(needed))?;
    let stored = u32::from_le_bytes(*crc.first_chunk().ok_or(short(needed))?);
    let computed = crc32c(body);
    if stored != computed {
        return Err(EnvelopeError::Crc { stored, computed });
    }
    Ok((version, &body[HEADER_LEN..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_comes_back() {
        let mut file = seal(Kind::Snapshot, b"state");
        assert_eq!(open(Kind::Snapshot, &file), Ok(&b"state"[..]));
        file.extend_from_slice(&[0; 100]);
        assert_eq!(open(Kind::Snapshot, &file), Ok(&b"state"[..]), "padding behind it is ignored");
        assert_eq!(open(Kind::Floor, &file), Err(EnvelopeError::Kind { got: 2, expected: 3 }));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_goes_unnoticed() {
        let file = seal(Kind::Index, b"payload");
        for bit in 0..file.len() * 8 {
            let mut bad = file.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open(Kind::Index, &bad).is_err(), "bit {bit}");
        }
        for len in 0..file.len() {
            assert!(open(Kind::Index, &file[..len]).is_err(), "{len} bytes");
        }
    }
}
