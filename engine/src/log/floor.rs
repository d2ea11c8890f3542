//! The durable-offset checkpoint of one shard: how far each log was durable at least, and where it starts. Below the
//! floor a bad checksum is rot; above it, tearing.

use super::envelope::{self, EnvelopeError, Kind};

/// Bytes of the payload's head: incarnation, clean flag and count.
const HEAD_LEN: usize = 16;
/// Bytes of one entry.
const ENTRY_LEN: usize = 48;

/// A checkpoint file's contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FloorFile {
    /// Which start of the data folder wrote it.
    pub incarnation: u64,
    /// True when it was the last act of a clean shutdown.
    pub clean: bool,
    /// One entry a log.
    pub entries: Vec<FloorEntry>,
}

/// What was promised of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloorEntry {
    /// Topic id.
    pub uid: [u8; 16],
    /// Partition.
    pub partition: i32,
    /// First readable offset.
    pub start: i64,
    /// Everything below is durable.
    pub durable: i64,
    /// Bytes of the active segment at a clean shutdown, else 0.
    pub active_bytes: u64,
}

impl FloorFile {
    /// The file's bytes.
    pub(super) fn to_file(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(HEAD_LEN + ENTRY_LEN * self.entries.len());
        payload.extend_from_slice(&self.incarnation.to_le_bytes());
        payload.extend_from_slice(&u32::from(self.clean).to_le_bytes());
        payload.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            payload.extend_from_slice(&entry.uid);
            payload.extend_from_slice(&entry.partition.to_le_bytes());
            payload.extend_from_slice(&[0; 4]);
            payload.extend_from_slice(&entry.start.to_le_bytes());
            payload.extend_from_slice(&entry.durable.to_le_bytes());
            payload.extend_from_slice(&entry.active_bytes.to_le_bytes());
        }
        envelope::seal(Kind::Floor, &payload)
    }

    /// Reads a file; nothing is believed that the envelope's checksum does not cover.
    pub fn from_file(file: &[u8]) -> Result<FloorFile, EnvelopeError> {
        let payload = envelope::open(Kind::Floor, file)?;
        let bad = || EnvelopeError::Payload(format!("{} bytes are no whole number of entries", payload.len()));
        let (head, rest) = payload.split_first_chunk::<HEAD_LEN>().ok_or_else(bad)?;
        let (incarnation, flags) = head.split_at(8);
        let count = u32::from_le_bytes(array(flags, 4)) as usize;
        if rest.len() % ENTRY_LEN != 0 || rest.len() / ENTRY_LEN != count {
            return Err(bad());
        }
        let entry = |bytes: &[u8]| FloorEntry {
            uid: array(bytes, 0),
            partition: i32::from_le_bytes(array(bytes, 16)),
            start: i64::from_le_bytes(array(bytes, 24)),
            durable: i64::from_le_bytes(array(bytes, 32)),
            active_bytes: u64::from_le_bytes(array(bytes, 40)),
        };
        Ok(FloorFile {
            incarnation: u64::from_le_bytes(array(incarnation, 0)),
            clean: u32::from_le_bytes(array(flags, 0)) & 1 == 1,
            entries: rest.chunks_exact(ENTRY_LEN).map(entry).collect(),
        })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back() {
        let entry = FloorEntry { uid: [7; 16], partition: 3, start: -1, durable: 1 << 40, active_bytes: 99 };
        for entries in [vec![], vec![entry], vec![entry; 5]] {
            let floor = FloorFile { incarnation: 8, clean: entries.len() == 1, entries };
            assert_eq!(FloorFile::from_file(&floor.to_file()), Ok(floor));
        }
    }

    #[test]
    fn a_wrong_count_is_refused() {
        let payload = [&1u64.to_le_bytes()[..], &0u32.to_le_bytes(), &u32::MAX.to_le_bytes()].concat();
        assert!(FloorFile::from_file(&envelope::seal(Kind::Floor, &payload)).is_err());
    }
}
