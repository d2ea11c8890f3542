//! What we keep beside Kafka's small files, which have no checksum of their own: for `partition.metadata` what it says, for
//! others a copy. A flipped bit in either is found, and which of the two is right is known. Only bytes here; who reads and
//! mends them is recovery, the node, and verification.

use super::envelope::{self, EnvelopeError, Kind};
use super::kafka_files;
use protocol::crc::crc32c;

/// Bytes of a seal's payload: topic id, partition, checksum.
const TOPIC_LEN: usize = 24;

/// What a log's `partition.metadata` was when it was last accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSeal {
    pub(super) uid: [u8; 16],
    pub(super) partition: i32,
    /// CRC-32C of the file.
    pub(super) crc: u32,
}

impl TopicSeal {
    /// For a log whose `partition.metadata` is ours.
    pub(super) fn of(uid: [u8; 16], partition: i32) -> TopicSeal {
        TopicSeal::with_text(uid, partition, kafka_files::partition_metadata(&uid).as_bytes())
    }

    /// For a log whose `partition.metadata` reads like this.
    pub(super) fn with_text(uid: [u8; 16], partition: i32, text: &[u8]) -> TopicSeal {
        TopicSeal { uid, partition, crc: crc32c(text) }
    }

    /// The file's bytes.
    pub(super) fn to_file(self) -> Vec<u8> {
        let payload = [&self.uid[..], &self.partition.to_le_bytes(), &self.crc.to_le_bytes()].concat();
        envelope::seal(Kind::Topic, &payload)
    }

    /// The seal in a file; `None` in an empty one, as older versions left them.
    pub(super) fn from_file(file: &[u8]) -> Result<Option<TopicSeal>, EnvelopeError> {
        if file.is_empty() {
            return Ok(None);
        }
        let payload = envelope::open(Kind::Topic, file)?;
        let bad = || EnvelopeError::Payload(format!("{} bytes, expected {TOPIC_LEN}", payload.len()));
        let (uid, rest) = payload.split_first_chunk::<16>().ok_or_else(bad)?;
        let (partition, rest) = rest.split_first_chunk::<4>().ok_or_else(bad)?;
        let crc = <[u8; 4]>::try_from(rest).map_err(|_| bad())?;
        let (partition, crc) = (i32::from_le_bytes(*partition), u32::from_le_bytes(crc));
        Ok(Some(TopicSeal { uid: *uid, partition, crc }))
    }

    /// True when this is the file that was sealed.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        crc32c(text) == self.crc
    }
}

/// A private file that holds a copy of `bytes`.
pub fn seal_copy(bytes: &[u8]) -> Vec<u8> {
    envelope::seal(Kind::Copy, bytes)
}

/// What [`seal_copy`] was given, proven to be that.
pub fn open_copy(file: &[u8]) -> Result<&[u8], EnvelopeError> {
    envelope::open(Kind::Copy, file)
}

/// The first byte in which two files differ.
pub fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    let common = a.iter().zip(b).position(|(a, b)| a != b);
    common.or((a.len() != b.len()).then_some(a.len().min(b.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_comes_back_and_knows_its_file() {
        let seal = TopicSeal::of([7; 16], 3);
        assert_eq!(TopicSeal::from_file(&seal.to_file()), Ok(Some(seal)));
        assert_eq!(TopicSeal::from_file(&[]), Ok(None));
        let text = kafka_files::partition_metadata(&[7; 16]);
        assert!(seal.matches(text.as_bytes()));
        for bit in 0..text.len() * 8 {
            let mut bad = text.clone().into_bytes();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!seal.matches(&bad), "bit {bit}");
        }
        assert!(TopicSeal::from_file(&envelope::seal(Kind::Topic, &[0; 23])).is_err());
    }

    #[test]
    fn differences_have_a_place() {
        for (a, b, at) in [("", "", None), ("abc", "abd", Some(2)), ("ab", "abc", Some(2)), ("x", "", Some(0))] {
            assert_eq!(first_difference(a.as_bytes(), b.as_bytes()), at);
        }
        assert_eq!(open_copy(&seal_copy(b"text")), Ok(&b"text"[..]));
    }
}
