//! The parsers of this module's files, one function each, for the fuzz targets. Behind the feature `testing`; nothing that
//! ships uses it. What the bytes mean is said where the parsers are.

use super::copies::TopicSeal;
use super::envelope::{self, EnvelopeError, Kind};
use super::epochs::Epochs;
use super::floor::FloorFile;
use super::index::SegmentIndex;
use super::kafka_files;
use super::names::{self, FileKind};
use super::peek::Peek;
use super::scan::{self, Next, Stop};

use std::path::Path;

/// What stands at one position of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// A whole batch of so many bytes, whose checksum is right.
    Batch(usize),
    /// A header whose batch needs so many bytes.
    Partial(usize),
    /// The end, and why.
    Bad(Stop),
}

/// A sealed index, read.
pub fn index(file: &[u8]) -> Result<SegmentIndex, EnvelopeError> {
    SegmentIndex::from_file(file)
}

/// A sealed index, written; `None` where the archive cannot be made.
pub fn index_file(index: &SegmentIndex) -> Option<Vec<u8>> {
    index.to_file().ok()
}

/// Where a reader of the indexed segment begins to look for an offset, and for a timestamp.
pub fn positions(index: &SegmentIndex, offset: i64, timestamp: i64) -> (u64, u64) {
    (index.start_before(offset).position, index.start_before_time(timestamp).position)
}

/// A checkpoint, written.
pub fn floor_file(floor: &FloorFile) -> Vec<u8> {
    floor.to_file()
}

/// A snapshot's payload: eight bytes of offset, then the owner's state.
pub fn snapshot(file: &[u8]) -> Result<&[u8], EnvelopeError> {
    envelope::open(Kind::Snapshot, file)
}

/// What seals a `partition.metadata`, read and written again; `None` in an empty file.
pub fn topic_seal(file: &[u8]) -> Result<Option<Vec<u8>>, EnvelopeError> {
    Ok(TopicSeal::from_file(file)?.map(TopicSeal::to_file))
}

/// An envelope that is right around a payload that may be anything: of an index, a snapshot, a checkpoint, a seal or a
/// copy, in this kind's version or an older one.
pub fn sealed(kind: u8, version: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let kinds = [Kind::Index, Kind::Snapshot, Kind::Floor, Kind::Topic, Kind::Copy];
    let mut file = envelope::seal(kinds[usize::from(kind) % kinds.len()], payload);
    if let Some(version) = version {
        envelope::set_version(&mut file, version);
    }
    file
}

/// The topic id in a `partition.metadata`.
pub fn topic_id(text: &str) -> Option<[u8; 16]> {
    kafka_files::topic_id(text)
}

/// The text of a `partition.metadata`.
pub fn partition_metadata(uid: &[u8; 16]) -> String {
    kafka_files::partition_metadata(uid)
}

/// The epochs in a `leader-epoch-checkpoint`.
pub fn leader_epochs(text: &str) -> Option<Epochs> {
    kafka_files::leader_epochs(text)
}

/// Topic, partition and offset of each line of a `log-start-offset-checkpoint`.
pub fn starts(text: &str) -> Option<Vec<(String, i32, i64)>> {
    kafka_files::offsets(text)
}

/// The offset in a file's name, and the name that we give to a file of that kind and offset.
pub fn named_offset(name: &str) -> Option<(i64, String)> {
    let (offset, path) = match FileKind::of(name) {
        FileKind::Segment(base) => (base, names::segment(Path::new(""), base)),
        FileKind::Index(base) => (base, names::index(Path::new(""), base)),
        FileKind::Snapshot(upto) => (upto, names::snapshot(Path::new(""), upto)),
        _ => return None,
    };
    Some((offset, path.display().to_string()))
}

/// Topic and partition in a folder's name.
pub fn topic_partition(folder: &str) -> Option<(&str, i32)> {
    names::topic_partition(folder)
}

/// Base offset, last offset, largest timestamp and bytes of the batch at the front, as the hot path reads them from
/// batches that were validated before.
pub fn peek(bytes: &[u8]) -> Option<(i64, i64, i64, usize)> {
    Peek::at(bytes).map(|peek| (peek.base_offset, peek.last_offset, peek.max_timestamp, peek.len))
}

/// What recovery takes the bytes for, `remaining` bytes before the end of the file.
pub fn judge(bytes: &[u8], remaining: u64, expected: i64, gaps: bool) -> Judged {
    match scan::judge(bytes, remaining, expected, gaps) {
        Next::Batch(view) => Judged::Batch(view.size_bytes()),
        Next::Partial(needed) => Judged::Partial(needed),
        Next::Bad(stop) => Judged::Bad(stop),
    }
}
