//! Showing what is in a file: for `ringlog dump-log` and for people with a broken disk. Plain blocking reads, because no
//! shard is involved; nothing is changed and nothing is believed.

use super::compact::mark::{FoundMark, Mark};
use super::envelope::{self, Kind};
use super::floor::FloorFile;
use super::index::SegmentIndex;
use super::names::FileKind;
use super::scan::{Next, judge};
use protocol::batch::{BatchHeader, BatchView, Limits};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes of one read of a segment; a larger batch is read whole.
const WINDOW: usize = 1 << 20;

/// What can be shown, for people who name something else.
pub const UNDERSTOOD: &str = "understood are segments (.log, .log.deleted, .log.cleaned, .log.swap), sealed indexes (.ridx), \
                              snapshots (.rsnap), what is remembered of compaction (ringlog.compacted) and \
                              durable-offset checkpoints (.rckp)";

/// How a dump ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DumpEnd {
    /// The file is good to its last byte, or to the zeros that follow a log's end.
    Good,
    /// The first byte that cannot be right.
    Bad {
        /// Where it is, in bytes from the start of the file.
        position: u64,
        /// What is wrong there.
        reason: String,
    },
}

/// Why a file was not shown.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// It cannot be read, or what was found cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The name says that it is something else.
    #[error("this is no file that can be shown; {UNDERSTOOD}")]
    UnknownKind,
}

/// Prints `path` to `out`: batches and, with `records`, their records for a `.log`; the entries of a `.ridx`; the logs of
/// a checkpoint; the size of a snapshot. Which it is, the name says, as everywhere else. The last lines are the count of
/// what was shown and the first bad byte, if there is one.
pub fn dump(path: &Path, records: bool, out: &mut dyn Write) -> Result<DumpEnd, DumpError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut out = BufWriter::new(out);
    let end = match FileKind::of(&name) {
        FileKind::Index(_) => dump_index(&std::fs::read(path)?, &mut out)?,
        FileKind::Snapshot(_) => dump_snapshot(&std::fs::read(path)?, &mut out)?,
        FileKind::Segment(base) => dump_segment(path, base, records, &mut out)?,
        _ if name.ends_with(super::names::FLOOR) => dump_floor(&std::fs::read(path)?, &mut out)?,
        // A copy under another name, or a segment that waits for its removal.
        FileKind::Swap(_) | FileKind::Cleaned(_) => dump_segment(path, i64::MIN, records, &mut out)?,
        FileKind::Compacted => dump_mark(&std::fs::read(path)?, &mut out)?,
        _ if name.ends_with(".log") || name.ends_with(".log.deleted") => {
            dump_segment(path, i64::MIN, records, &mut out)?
        }
        _ => return Err(DumpError::UnknownKind),
    };
    if let DumpEnd::Bad { position, reason } = &end {
        writeln!(out, "first bad byte at {position}: {reason}")?;
    }
    out.flush()?;
    Ok(end)
}

/// What a walk over a segment has seen.
#[derive(Debug, Default)]
struct Tally {
    batches: u64,
    records: u64,
    /// First offset, and the one past the last.
    offsets: Option<(i64, i64)>,
    /// Bytes up to here are batches.
    bytes: u64,
    /// The first batch whose checksum is right and whose records are not.
    bad: Option<(u64, String)>,
}

impl Tally {
    fn note(&mut self, view: &BatchView<'_>) {
        self.batches += 1;
        self.records += u64::try_from(view.header().record_count).unwrap_or(0);
        let first = self.offsets.map_or(view.base_offset(), |(first, _)| first);
        self.offsets = Some((first, view.next_offset()));
        self.bytes += view.size_bytes() as u64;
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Tally { batches, records, bytes, .. } = self;
        write!(out, "{batches} batches, {records} records, {bytes} bytes")?;
        match self.offsets {
            Some((first, end)) => writeln!(out, ", offsets {first}..{end}"),
            None => writeln!(out),
        }
    }
}

fn dump_segment(path: &Path, base: i64, records: bool, out: &mut impl Write) -> io::Result<DumpEnd> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut tally = Tally::default();
    let mut expected = base;
    let mut wanted = WINDOW;
    let stop = 'walk: loop {
        let window = read_window(&mut file, tally.bytes, wanted)?;
        let mut at = 0;
        loop {
            let remaining = len.saturating_sub(tally.bytes);
            match judge(&window[at..], remaining, expected, true) {
                Next::Batch(view) => {
                    if let Err(reason) = print_batch(&view, tally.bytes, records, out)? {
                        tally.bad.get_or_insert((tally.bytes, reason));
                    }
                    tally.note(&view);
                    expected = view.next_offset();
                    at += view.size_bytes();
                }
                Next::Partial(needed) => {
                    wanted = needed.max(WINDOW);
                    break;
                }
                Next::Bad(_) if (window.len() - at) < protocol::batch::HEADER_LEN && at > 0 && remaining > 0 => {
                    wanted = WINDOW;
                    break;
                }
                Next::Bad(stop) => break 'walk stop,
            }
        }
    };
    let end = end_of_segment(&mut file, tally.bytes, len, &stop, out)?;
    tally.print(out)?;
    Ok(tally.bad.map_or(end, |(position, reason)| DumpEnd::Bad { position, reason }))
}

/// Zeros to the end of the file are space that was reserved; anything else is bad.
fn end_of_segment(
    file: &mut File,
    position: u64,
    len: u64,
    stop: &super::scan::Stop,
    out: &mut impl Write,
) -> io::Result<DumpEnd> {
    let bad_at = first_non_zero(file, position)?;
    match bad_at {
        None if position == len => Ok(DumpEnd::Good),
        None => {
            writeln!(out, "{} bytes of reserved space follow the last batch at {position}", len - position)?;
            Ok(DumpEnd::Good)
        }
        // The first bad byte is where the batch that is missing would begin, not where the rest of it was left.
        Some(at) if *stop == super::scan::Stop::Zeros => {
            Ok(DumpEnd::Bad { position, reason: format!("zeros, but bytes again at {at}") })
        }
        Some(_) => Ok(DumpEnd::Bad { position, reason: stop.to_string() }),
    }
}

fn first_non_zero(file: &mut File, mut position: u64) -> io::Result<Option<u64>> {
    loop {
        let window = read_window(file, position, WINDOW)?;
        if let Some(at) = window.iter().position(|&byte| byte != 0) {
            return Ok(Some(position + at as u64));
        }
        if window.is_empty() {
            return Ok(None);
        }
        position += window.len() as u64;
    }
}

fn read_window(file: &mut File, position: u64, len: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(position))?;
    let mut window = Vec::new();
    file.take(len as u64).read_to_end(&mut window)?;
    Ok(window)
}

/// One line for the batch and one for each record; the inner error says what is wrong with the records.
fn print_batch(
    view: &BatchView<'_>,
    position: u64,
    records: bool,
    out: &mut impl Write,
) -> io::Result<Result<(), String>> {
    let header: &BatchHeader = view.header();
    writeln!(
        out,
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} producerId: {} producerEpoch: {} \
         partitionLeaderEpoch: {} isTransactional: {} isControl: {} position: {position} maxTimestamp: {} size: {} \
         magic: {} codec: {} crc: {:#010x}",
        header.base_offset,
        header.last_offset(),
        header.record_count,
        header.base_sequence,
        header.producer_id,
        header.producer_epoch,
        header.leader_epoch,
        view.is_transactional(),
        view.is_control(),
        header.max_timestamp,
        view.size_bytes(),
        header.magic,
        format!("{:?}", view.codec()).to_lowercase(),
        header.crc,
    )?;
    if records { print_records(view, out) } else { Ok(Ok(())) }
}

fn print_records(view: &BatchView<'_>, out: &mut impl Write) -> io::Result<Result<(), String>> {
    let opened = match view.records(&Limits::default()) {
        Ok(opened) => opened,
        Err(error) => return Ok(Err(format!("records of the batch: {error}"))),
    };
    for record in &opened {
        let record = match record {
            Ok(record) => record,
            Err(error) => return Ok(Err(format!("a record of the batch: {error}"))),
        };
        let (key, value) = (text(record.key), text(record.value));
        write!(out, "  offset: {} timestamp: {} key: {key} value: {value}", record.offset, record.timestamp)?;
        for header in record.headers() {
            write!(out, " header: {}={}", text(Some(header.key)), text(header.value))?;
        }
        writeln!(out)?;
    }
    Ok(Ok(()))
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "null".to_owned(), |bytes| bytes.escape_ascii().to_string())
}

fn dump_index(file: &[u8], out: &mut impl Write) -> io::Result<DumpEnd> {
    let index = match SegmentIndex::from_file(file) {
        Ok(index) => index,
        Err(error) => return Ok(DumpEnd::Bad { position: 0, reason: error.to_string() }),
    };
    let SegmentIndex { base_offset, end_offset, bytes, batches, max_timestamp, header_crc, .. } = &index;
    writeln!(
        out,
        "offsets: {base_offset}..{end_offset} bytes: {bytes} batches: {batches} maxTimestamp: {max_timestamp} \
         headerCrc: {header_crc:#010x} epochs: {:?}",
        index.epochs
    )?;
    for entry in &index.entries {
        let offset = base_offset + i64::from(entry.relative_offset);
        writeln!(
            out,
            "  offset: {offset} position: {} maxTimestampBefore: {}",
            entry.position, entry.max_timestamp_before
        )?;
    }
    writeln!(out, "{} entries", index.entries.len())?;
    Ok(DumpEnd::Good)
}

fn dump_snapshot(file: &[u8], out: &mut impl Write) -> io::Result<DumpEnd> {
    match envelope::open(Kind::Snapshot, file).map(|payload| payload.split_first_chunk::<8>()) {
        Ok(Some((upto, state))) => {
            writeln!(out, "snapshot of everything below offset {}: {} bytes", i64::from_le_bytes(*upto), state.len())?;
            Ok(DumpEnd::Good)
        }
        Ok(None) => Ok(DumpEnd::Bad { position: 0, reason: "no offset in it".to_owned() }),
        Err(error) => Ok(DumpEnd::Bad { position: 0, reason: error.to_string() }),
    }
}

fn dump_mark(file: &[u8], out: &mut impl Write) -> io::Result<DumpEnd> {
    match Mark::from_file(file) {
        Ok(FoundMark { mark: Mark { gaps_below, first_dirty }, wrong }) => {
            writeln!(out, "compacted below offset {first_dirty}; gaps between offsets only below {gaps_below}")?;
            Ok(match wrong {
                None => DumpEnd::Good,
                Some((at, reason)) => DumpEnd::Bad { position: at as u64, reason },
            })
        }
        Err(error) => Ok(DumpEnd::Bad { position: 0, reason: error.to_string() }),
    }
}

fn dump_floor(file: &[u8], out: &mut impl Write) -> io::Result<DumpEnd> {
    let (floor, wrong) = match FloorFile::from_file(file) {
        Ok(read) => read,
        Err(error) => return Ok(DumpEnd::Bad { position: 0, reason: error.to_string() }),
    };
    writeln!(out, "incarnation: {} clean: {}", floor.incarnation, floor.clean)?;
    for entry in &floor.entries {
        let topic = super::kafka_files::base64_url(&entry.uid);
        writeln!(
            out,
            "  topicId: {topic} partition: {} start: {} durable: {}",
            entry.partition, entry.start, entry.durable
        )?;
    }
    writeln!(out, "{} logs", floor.entries.len())?;
    Ok(wrong.map_or(DumpEnd::Good, |(position, reason)| DumpEnd::Bad {
        position: position as u64,
        reason: format!("one of the two copies: {reason}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::batch::{HEADER_LEN, layout};

    fn batch(base: i64) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[layout::BASE_OFFSET..8].copy_from_slice(&base.to_be_bytes());
        bytes[layout::BATCH_LENGTH..12].copy_from_slice(&((HEADER_LEN - 12) as i32).to_be_bytes());
        bytes[layout::MAGIC] = 2;
        let crc = protocol::crc::crc32c(&bytes[layout::ATTRIBUTES..]);
        bytes[layout::CRC..layout::CRC + 4].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn check(bytes: &[u8], expect: DumpEnd, lines: usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000000000000000000.log");
        std::fs::write(&path, bytes).unwrap();
        let mut out = Vec::new();
        assert_eq!(dump(&path, true, &mut out).unwrap(), expect);
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), lines);
    }

    #[test]
    fn batches_are_shown_up_to_the_first_bad_byte() {
        let mut bytes = [batch(0), batch(1)].concat();
        check(&bytes, DumpEnd::Good, 3);
        bytes.extend([0; 5000]);
        check(&bytes, DumpEnd::Good, 4);
        bytes.push(1);
        check(&bytes, DumpEnd::Bad { position: 122, reason: "zeros, but bytes again at 5122".to_owned() }, 4);
        bytes[61 + 30] ^= 1;
        check(&bytes, DumpEnd::Bad { position: 61, reason: "the checksum does not match".to_owned() }, 3);
        check(&[], DumpEnd::Good, 1);
        check(&[0; 3], DumpEnd::Good, 2);
    }

    #[test]
    fn any_bytes_are_survived() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["00000000000000000000.log", "00000000000000000000.ridx", "a.rckp", "00000000000000000000.rsnap"] {
            for seed in 0..50_u32 {
                let bytes: Vec<u8> =
                    (0..seed * 7).map(|at| (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8).collect();
                let path = folder.path().join(name);
                std::fs::write(&path, &bytes).unwrap();
                dump(&path, true, &mut Vec::new()).unwrap();
            }
        }
    }
}
