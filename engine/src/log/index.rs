//! The index of one segment: where to begin looking for an offset or a timestamp. The same type grows with the active
//! segment and is archived when the segment is sealed; it can always be rebuilt from the batches.

use super::envelope::{self, EnvelopeError, Kind};
use super::epochs::Epochs;
use protocol::batch::layout::{ATTRIBUTES, HEADER_LEN};
use protocol::crc::crc32c;

/// Everything worth knowing about a segment without reading it. `FORMAT.md` has the archive's layout.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct SegmentIndex {
    /// First offset.
    pub base_offset: i64,
    /// Exclusive end.
    pub end_offset: i64,
    /// Bytes of batches that this index covers, from the start of the file.
    pub bytes: u64,
    /// Number of batches.
    pub batches: u64,
    /// Largest timestamp of the first batch, in milliseconds; -1 where it has none. Kafka rolls by this one.
    pub first_timestamp: i64,
    /// Largest timestamp, in milliseconds; -1 where there is none.
    pub max_timestamp: i64,
    /// Offset that goes with it.
    pub offset_of_max_timestamp: i64,
    /// Chained checksum of the header bytes that no batch checksum covers.
    pub header_crc: u32,
    /// Sparse entries, ascending.
    pub entries: Vec<IndexEntry>,
    /// Epoch and first offset of it in this segment, ascending.
    pub epochs: Vec<(i32, i64)>,
}

/// One indexed batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct IndexEntry {
    /// Base offset of the batch less the segment's.
    pub relative_offset: u32,
    /// Where the batch begins, in bytes.
    pub position: u32,
    /// Largest timestamp of every batch before this one, in milliseconds; -1 where there is none.
    pub max_timestamp_before: i64,
}

/// What an index takes note of for each batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Indexed<'a> {
    pub(super) header: &'a [u8; HEADER_LEN],
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) max_timestamp: i64,
    pub(super) offset_of_max_timestamp: i64,
    pub(super) len: usize,
}

impl SegmentIndex {
    pub(super) fn new(base_offset: i64) -> SegmentIndex {
        SegmentIndex {
            base_offset,
            end_offset: base_offset,
            bytes: 0,
            batches: 0,
            first_timestamp: -1,
            max_timestamp: -1,
            offset_of_max_timestamp: -1,
            header_crc: 0,
            entries: Vec::new(),
            epochs: Vec::new(),
        }
    }

    /// Takes note of the batch at the end of the segment.
    pub(super) fn note(&mut self, batch: &Indexed<'_>, interval_bytes: u32) {
        let far =
            self.entries.last().is_none_or(|last| self.bytes - u64::from(last.position) >= u64::from(interval_bytes));
        let place = (u32::try_from(batch.base_offset - self.base_offset), u32::try_from(self.bytes));
        if let (true, (Ok(relative_offset), Ok(position))) = (far, place) {
            let max_timestamp_before = self.max_timestamp;
            self.entries.push(IndexEntry { relative_offset, position, max_timestamp_before });
        }
        if self.batches == 0 {
            self.first_timestamp = batch.max_timestamp;
        }
        if batch.max_timestamp > self.max_timestamp {
            self.max_timestamp = batch.max_timestamp;
            self.offset_of_max_timestamp = batch.offset_of_max_timestamp;
        }
        if batch.leader_epoch >= 0 && self.epochs.last().is_none_or(|&(epoch, _)| batch.leader_epoch > epoch) {
            self.epochs.push((batch.leader_epoch, batch.base_offset));
        }
        self.header_crc = chain(self.header_crc, batch.header);
        self.batches += 1;
        self.bytes += batch.len as u64;
        self.end_offset = batch.last_offset + 1;
    }

    /// A position at or before the batch that contains `offset`.
    pub(super) fn position_before(&self, offset: i64) -> u64 {
        let after = self.entries.partition_point(|entry| self.base_offset + i64::from(entry.relative_offset) <= offset);
        self.entries.get(after.saturating_sub(1)).map_or(0, |entry| u64::from(entry.position))
    }

    /// A position at or before the first batch whose largest timestamp is at or past `timestamp`.
    pub(super) fn position_before_time(&self, timestamp: i64) -> u64 {
        let after = self.entries.partition_point(|entry| entry.max_timestamp_before < timestamp);
        self.entries.get(after.saturating_sub(1)).map_or(0, |entry| u64::from(entry.position))
    }

    /// Adds this segment's epochs to those of the log before it.
    pub(super) fn add_epochs(&self, epochs: &mut Epochs) {
        self.epochs.iter().for_each(|&(epoch, offset)| epochs.note(epoch, offset));
    }

    /// The sealed file.
    pub(super) fn to_file(&self) -> Result<Vec<u8>, rkyv::rancor::Error> {
        let payload = rkyv::to_bytes::<rkyv::rancor::Error>(self)?;
        Ok(envelope::seal(Kind::Index, &payload))
    }

    /// The index in a sealed file, validated.
    pub(super) fn from_file(file: &[u8]) -> Result<SegmentIndex, EnvelopeError> {
        let payload = envelope::open(Kind::Index, file)?;
        let mut aligned = rkyv::util::AlignedVec::<16>::with_capacity(payload.len());
        aligned.extend_from_slice(payload);
        let index = rkyv::from_bytes::<SegmentIndex, rkyv::rancor::Error>(&aligned)
            .map_err(|error| EnvelopeError::Payload(error.to_string()))?;
        index.check().map_err(|reason| EnvelopeError::Payload(reason.to_owned()))?;
        Ok(index)
    }

    fn check(&self) -> Result<(), &'static str> {
        let ascending =
            |a: &IndexEntry, b: &IndexEntry| a.position < b.position && a.relative_offset <= b.relative_offset;
        if self.end_offset < self.base_offset || self.base_offset < 0 {
            return Err("offsets run backwards");
        }
        if self.entries.windows(2).any(|pair| !ascending(&pair[0], &pair[1])) {
            return Err("entries are not ascending");
        }
        if self.entries.last().is_some_and(|last| u64::from(last.position) >= self.bytes) {
            return Err("an entry lies past the end");
        }
        Ok(())
    }
}

/// Next value of the chained checksum: CRC-32C over the value so far (4 bytes, little-endian) and the header bytes that
/// precede the attributes.
pub(super) fn chain(so_far: u32, header: &[u8; HEADER_LEN]) -> u32 {
    let mut bytes = [0; 4 + ATTRIBUTES];
    bytes[..4].copy_from_slice(&so_far.to_le_bytes());
    bytes[4..].copy_from_slice(&header[..ATTRIBUTES]);
    crc32c(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> SegmentIndex {
        let mut index = SegmentIndex::new(100);
        for (n, timestamp) in [10, 30, 20, 50, 40].into_iter().enumerate() {
            let base_offset = 100 + 2 * n as i64;
            index.note(
                &Indexed {
                    header: &[n as u8; HEADER_LEN],
                    base_offset,
                    last_offset: base_offset + 1,
                    leader_epoch: n as i32 / 2,
                    max_timestamp: timestamp,
                    offset_of_max_timestamp: base_offset + 1,
                    len: 1000,
                },
                1500,
            );
        }
        index
    }

    #[test]
    fn looks_begin_at_or_before_the_batch() {
        let index = index();
        let positions = [100, 103, 104, 107, 108, 999].map(|offset| index.position_before(offset));
        assert_eq!(positions, [0, 0, 2000, 2000, 4000, 4000]);
        let times = [0, 10, 30, 31, 50, 51].map(|timestamp| index.position_before_time(timestamp));
        assert_eq!(times, [0, 0, 0, 2000, 2000, 4000]);
        assert_eq!((index.first_timestamp, index.max_timestamp, index.offset_of_max_timestamp), (10, 50, 107));
        assert_eq!(index.epochs, [(0, 100), (1, 104), (2, 108)]);
    }

    #[test]
    fn a_sealed_file_is_proven_before_it_is_believed() {
        let index = index();
        let file = index.to_file().unwrap();
        assert_eq!(SegmentIndex::from_file(&file), Ok(index.clone()));
        let lying = SegmentIndex { bytes: 10, ..index };
        let refused = SegmentIndex::from_file(&lying.to_file().unwrap());
        assert_eq!(refused, Err(EnvelopeError::Payload("an entry lies past the end".to_owned())));
    }
}
