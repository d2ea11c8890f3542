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
    /// True when every batch begins where the one before it ends and carries the epoch that `epochs` has for it, so that
    /// both can be checked batch by batch. Not where compaction left gaps.
    pub plain: bool,
}

/// [`SegmentIndex`] as version 1 wrote it.
#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct SegmentIndexV1 {
    base_offset: i64,
    end_offset: i64,
    bytes: u64,
    batches: u64,
    first_timestamp: i64,
    max_timestamp: i64,
    offset_of_max_timestamp: i64,
    header_crc: u32,
    entries: Vec<IndexEntry>,
    epochs: Vec<(i32, i64)>,
}

impl From<SegmentIndexV1> for SegmentIndex {
    /// Nobody took note of gaps then, so there may be some.
    fn from(old: SegmentIndexV1) -> SegmentIndex {
        SegmentIndex {
            base_offset: old.base_offset,
            end_offset: old.end_offset,
            bytes: old.bytes,
            batches: old.batches,
            first_timestamp: old.first_timestamp,
            max_timestamp: old.max_timestamp,
            offset_of_max_timestamp: old.offset_of_max_timestamp,
            header_crc: old.header_crc,
            entries: old.entries,
            epochs: old.epochs,
            plain: false,
        }
    }
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
            plain: true,
        }
    }

    /// Takes note of the batch at the end of the segment; true where Kafka would add an entry to its indexes. It takes the
    /// same batches as we do, but for the first.
    pub(super) fn note(&mut self, batch: &Indexed<'_>, interval_bytes: u32) -> bool {
        let far =
            self.entries.last().is_none_or(|last| self.bytes - u64::from(last.position) > u64::from(interval_bytes));
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
        let follows = batch.base_offset == self.end_offset;
        self.plain &= follows && batch.leader_epoch == self.epochs.last().map_or(-1, |&(epoch, _)| epoch);
        self.header_crc = chain(self.header_crc, batch.header);
        self.batches += 1;
        self.bytes += batch.len as u64;
        self.end_offset = batch.last_offset + 1;
        far && self.batches > 1
    }

    /// Where to begin looking for the batch that contains `offset`.
    pub(super) fn start_before(&self, offset: i64) -> Start {
        let after = self.entries.partition_point(|entry| self.offset_at(entry) <= offset);
        let after = if marks::planted!("engine: look behind the indexed batch") { after + 1 } else { after };
        self.start_at(self.entries.get(after.saturating_sub(1)))
    }

    /// Where to begin looking for the first batch whose largest timestamp is at or past `timestamp`.
    pub(super) fn start_before_time(&self, timestamp: i64) -> Start {
        let after = self.entries.partition_point(|entry| entry.max_timestamp_before < timestamp);
        self.start_at(self.entries.get(after.saturating_sub(1)))
    }

    /// The last indexed batch.
    pub(super) fn start_of_last(&self) -> Start {
        self.start_at(self.entries.last())
    }

    /// Base offset of an entry's batch.
    pub(super) fn offset_at(&self, entry: &IndexEntry) -> i64 {
        self.base_offset + i64::from(entry.relative_offset)
    }

    fn start_at(&self, entry: Option<&IndexEntry>) -> Start {
        let (position, offset) =
            entry.map_or((0, self.base_offset), |entry| (u64::from(entry.position), self.offset_at(entry)));
        Start { position, rule: HeaderRule { next: offset, epochs: self.exact_epochs() } }
    }

    /// The epochs, where every batch obeys them.
    pub(super) fn exact_epochs(&self) -> Option<Vec<(i32, i64)>> {
        self.plain.then(|| self.epochs.clone())
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
        let (version, payload) = envelope::open_version(Kind::Index, file)?;
        let mut aligned = rkyv::util::AlignedVec::<16>::with_capacity(payload.len());
        aligned.extend_from_slice(payload);
        let index = match version {
            1 => rkyv::from_bytes::<SegmentIndexV1, rkyv::rancor::Error>(&aligned).map(SegmentIndex::from),
            _ => rkyv::from_bytes::<SegmentIndex, rkyv::rancor::Error>(&aligned),
        };
        let index = index.map_err(|error| EnvelopeError::Payload(error.to_string()))?;
        index.check().map_err(|reason| EnvelopeError::Payload(reason.to_owned()))?;
        Ok(index)
    }

    /// True when a valid file is of the newest version.
    pub(super) fn is_of_today(file: &[u8]) -> bool {
        envelope::open_version(Kind::Index, file).is_ok_and(|(version, _)| version == Kind::Index.version())
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

/// Where a walk through a segment begins.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// Of the first batch to look at, in bytes.
    pub(super) position: u64,
    /// What that batch and the next ones must be.
    pub(super) rule: HeaderRule,
}

/// What a batch's header must say where its checksum does not look: base offset and leader epoch were patched after the
/// producer had computed it.
#[derive(Clone, Debug)]
pub(super) struct HeaderRule {
    /// Base offset of the next batch; where there are gaps, the lowest that it may have.
    pub(super) next: i64,
    /// Epochs and their first offsets that every batch obeys; `None` where that is not known or there are gaps.
    pub(super) epochs: Option<Vec<(i32, i64)>>,
}

impl HeaderRule {
    /// For a segment of which only the first offset is known.
    pub(super) fn loose(base: i64) -> HeaderRule {
        HeaderRule { next: base, epochs: None }
    }

    /// True when offsets follow each other without gaps.
    pub(super) fn is_exact(&self) -> bool {
        self.epochs.is_some()
    }

    /// What is wrong with a batch at this place.
    pub(super) fn check(&self, base_offset: i64, leader_epoch: i32) -> Result<(), String> {
        let Some(epochs) = &self.epochs else {
            return if base_offset >= self.next { Ok(()) } else { Err(wrong_offset(base_offset, self.next)) };
        };
        if base_offset != self.next {
            return Err(wrong_offset(base_offset, self.next));
        }
        let after = epochs.partition_point(|&(_, from)| from <= base_offset);
        let expected = after.checked_sub(1).and_then(|at| epochs.get(at)).map_or(-1, |&(epoch, _)| epoch);
        if leader_epoch == expected {
            return Ok(());
        }
        Err(format!("leader epoch {leader_epoch}, expected {expected}"))
    }

    /// The batch that ends at `next_offset` is behind.
    pub(super) fn passed(&mut self, next_offset: i64) {
        self.next = next_offset;
    }
}

fn wrong_offset(got: i64, expected: i64) -> String {
    format!("base offset {got}, expected {expected}")
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
        let positions = [100, 103, 104, 107, 108, 999].map(|offset| index.start_before(offset).position);
        assert_eq!(positions, [0, 0, 2000, 2000, 4000, 4000]);
        let times = [0, 10, 30, 31, 50, 51].map(|timestamp| index.start_before_time(timestamp).position);
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

    #[test]
    fn version_1_opens_and_promises_less() {
        let index = index();
        assert!(index.plain);
        let SegmentIndex { base_offset, end_offset, bytes, batches, first_timestamp, .. } = index;
        let SegmentIndex { max_timestamp, offset_of_max_timestamp, header_crc, .. } = index;
        let (entries, epochs) = (index.entries.clone(), index.epochs.clone());
        let old = SegmentIndexV1 {
            base_offset,
            end_offset,
            bytes,
            batches,
            first_timestamp,
            max_timestamp,
            offset_of_max_timestamp,
            header_crc,
            entries,
            epochs,
        };
        let payload = rkyv::to_bytes::<rkyv::rancor::Error>(&old).unwrap();
        let mut file = envelope::seal(Kind::Index, &payload);
        file[8] = 1;
        let end = file.len() - 4;
        let crc = crc32c(&file[..end]);
        file[end..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentIndex::from_file(&file), Ok(SegmentIndex { plain: false, ..index }));
    }

    #[test]
    fn a_rule_knows_each_batch_of_a_plain_segment() {
        let mut rule = index().start_before(104).rule;
        assert_eq!(rule.check(104, 1), Ok(()));
        assert_eq!(rule.check(105, 1), Err("base offset 105, expected 104".to_owned()));
        assert_eq!(rule.check(104, 3), Err("leader epoch 3, expected 1".to_owned()));
        rule.passed(108);
        assert_eq!(rule.check(108, 2), Ok(()));
        let loose = HeaderRule::loose(100);
        assert!(loose.check(120, 9).is_ok() && loose.check(99, 0).is_err());
    }

    #[test]
    fn gaps_and_epochs_that_fall_are_not_plain() {
        for (base_offset, leader_epoch) in [(111, 2), (110, 1), (110, -1)] {
            let mut index = index();
            let header = &[0; HEADER_LEN];
            let last_offset = base_offset;
            let (max_timestamp, offset_of_max_timestamp, len) = (0, base_offset, 1000);
            let batch =
                Indexed { header, base_offset, last_offset, leader_epoch, max_timestamp, offset_of_max_timestamp, len };
            index.note(&batch, 1500);
            assert!(!index.plain, "{base_offset} {leader_epoch}");
        }
    }
}
