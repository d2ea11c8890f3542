//! The durable-offset checkpoint of one shard: how far each log was durable at least, and where it starts. Below the
//! floor a bad checksum is rot; above it, tearing. Of a log whose segments are all gone it is the only memory, so a file
//! holds everything twice.

use super::copies::first_difference;
use super::envelope::{self, EnvelopeError, Kind};

/// Bytes of the payload's head: incarnation, clean flag and count.
const HEAD_LEN: usize = 16;
/// Bytes of one entry, by version.
const ENTRY_LEN_V1: usize = 48;
const ENTRY_LEN: usize = 64;
/// Where each of the two copies begins: a multiple of this many bytes.
const COPY_ALIGN: usize = 4096;
/// Stands for no segment.
const NONE: i64 = -1;

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
    /// Base offset of the segment that ends at `durable`, as far as that is promised, and the chained checksum of its
    /// headers up to there: until it has an index nothing else vouches for their leader epochs.
    pub header_proof: Option<(i64, u32)>,
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
            let (base, header_crc) = entry.header_proof.unwrap_or((NONE, 0));
            payload.extend_from_slice(&base.to_le_bytes());
            payload.extend_from_slice(&header_crc.to_le_bytes());
            payload.extend_from_slice(&[0; 4]);
        }
        let mut file = envelope::seal(Kind::Floor, &payload);
        file.resize(file.len().next_multiple_of(COPY_ALIGN), 0);
        file.extend_from_within(..);
        file
    }

    /// Reads a file by whichever of its copies can be believed; the second value says what is wrong with the other one,
    /// and where it begins or differs.
    pub fn from_file(file: &[u8]) -> Result<(FloorFile, Option<(usize, String)>), EnvelopeError> {
        let (first, second) = file.split_at(file.len() / 2);
        let is_double = first.len() == second.len() && first.len().is_multiple_of(COPY_ALIGN);
        let (Some(second), false) = (Some(second).filter(|_| is_double), first.is_empty()) else {
            return FloorFile::from_copy(file).map(|floor| (floor, None));
        };
        match (FloorFile::from_copy(first), FloorFile::from_copy(second)) {
            (Ok(floor), Ok(_)) => Ok((floor, first_difference(first, second).map(|at| (at, "padding".to_owned())))),
            (Ok(floor), Err(error)) => Ok((floor, Some((first.len(), error.to_string())))),
            (Err(error), Ok(floor)) => Ok((floor, Some((0, error.to_string())))),
            // Version 1 kept one copy only, of any length.
            (Err(error), Err(_)) => FloorFile::from_copy(file).map(|floor| (floor, None)).map_err(|_| error),
        }
    }

    /// Reads one copy; nothing is believed that the envelope's checksum does not cover.
    fn from_copy(file: &[u8]) -> Result<FloorFile, EnvelopeError> {
        let (version, payload) = envelope::open_version(Kind::Floor, file)?;
        let entry_len = if version == 1 { ENTRY_LEN_V1 } else { ENTRY_LEN };
        let bad = || EnvelopeError::Payload(format!("{} bytes are no whole number of entries", payload.len()));
        let (head, rest) = payload.split_first_chunk::<HEAD_LEN>().ok_or_else(bad)?;
        let (incarnation, flags) = head.split_at(8);
        let count = u32::from_le_bytes(array(flags, 4)) as usize;
        if rest.len() % entry_len != 0 || rest.len() / entry_len != count {
            return Err(bad());
        }
        let entry = |bytes: &[u8]| FloorEntry {
            uid: array(bytes, 0),
            partition: i32::from_le_bytes(array(bytes, 16)),
            start: i64::from_le_bytes(array(bytes, 24)),
            durable: i64::from_le_bytes(array(bytes, 32)),
            active_bytes: u64::from_le_bytes(array(bytes, 40)),
            header_proof: (version > 1)
                .then(|| (i64::from_le_bytes(array(bytes, 48)), u32::from_le_bytes(array(bytes, 56))))
                .filter(|&(base, _)| base != NONE),
        };
        Ok(FloorFile {
            incarnation: u64::from_le_bytes(array(incarnation, 0)),
            clean: u32::from_le_bytes(array(flags, 0)) & 1 == 1,
            entries: rest.chunks_exact(entry_len).map(entry).collect(),
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

    fn floor() -> FloorFile {
        let header_proof = Some((12, 0xDEAD_BEEF));
        let entry =
            FloorEntry { uid: [7; 16], partition: 3, start: -1, durable: 1 << 40, active_bytes: 99, header_proof };
        FloorFile {
            incarnation: 8,
            clean: true,
            entries: vec![entry, FloorEntry { header_proof: None, partition: 4, ..entry }],
        }
    }

    #[test]
    fn a_checkpoint_comes_back() {
        for floor in [floor(), FloorFile { entries: Vec::new(), clean: false, ..floor() }] {
            assert_eq!(FloorFile::from_file(&floor.to_file()), Ok((floor, None)));
        }
    }

    #[test]
    fn every_flipped_bit_is_found_and_costs_nothing() {
        let (floor, file) = (floor(), floor().to_file());
        for bit in 0..file.len() * 8 {
            let mut bad = file.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let (read, wrong) = FloorFile::from_file(&bad).unwrap();
            assert!(read == floor && wrong.is_some(), "bit {bit}: {wrong:?}");
        }
        for len in 0..file.len() {
            assert!(FloorFile::from_file(&file[..len]).is_ok_and(|read| read.0 == floor) || len < 180, "{len}");
        }
    }

    #[test]
    fn version_1_opens() {
        let floor = floor();
        let mut payload = [&8u64.to_le_bytes()[..], &1u32.to_le_bytes(), &1u32.to_le_bytes()].concat();
        payload.extend([7; 16]);
        payload.extend([3, 0, 0, 0, 0, 0, 0, 0]);
        for field in [-1, 1i64 << 40, 99] {
            payload.extend(field.to_le_bytes());
        }
        let mut file = envelope::seal(Kind::Floor, &payload);
        file[8] = 1;
        let end = file.len() - 4;
        let crc = protocol::crc::crc32c(&file[..end]);
        file[end..].copy_from_slice(&crc.to_le_bytes());
        let entries = vec![FloorEntry { header_proof: None, ..floor.entries[0] }];
        assert_eq!(FloorFile::from_file(&file), Ok((FloorFile { entries, ..floor }, None)));
    }

    #[test]
    fn a_wrong_count_is_refused() {
        let payload = [&1u64.to_le_bytes()[..], &0u32.to_le_bytes(), &u32::MAX.to_le_bytes()].concat();
        assert!(FloorFile::from_file(&envelope::seal(Kind::Floor, &payload)).is_err());
    }
}
