//! Walks the batches of a segment file and proves each: what recovery, truncation and verification stand on. It says
//! where the valid part ends and why; what to do about it is the decision table's business.

use super::files::OpenFile;
use super::index::{Indexed, SegmentIndex};
use super::limits::{BLOCK_BYTES, READ_BYTES};
use crate::io::Op;
use crate::mem::Buf;
use crate::shard::Io;
use protocol::batch::layout::HEADER_LEN;
use protocol::batch::{BatchHeader, BatchView};
use std::fmt;
use std::io;

/// Bytes of the smallest message of format 0 behind its length: checksum, magic, attributes, and two lengths.
const OLD_MESSAGE_MIN: i32 = 14;

/// How far and how strictly to walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanLimits {
    pub(super) interval_bytes: u32,
    /// Stop before the first batch that reaches this offset.
    pub(super) upto: i64,
    /// A bad batch below this offset is damage to report and step over, not the end.
    pub(super) floor: i64,
    /// Whether a batch may begin past the expected offset, as compaction leaves them.
    pub(super) gaps: bool,
    /// What the chained checksum of the headers must be at this offset.
    pub(super) proof: Option<(i64, u32)>,
    /// Compaction may have taken the batch that ended at the floor.
    pub(super) compacted: bool,
}

impl Default for ScanLimits {
    fn default() -> ScanLimits {
        ScanLimits { interval_bytes: 4096, upto: i64::MAX, floor: i64::MIN, gaps: true, proof: None, compacted: false }
    }
}

/// What a walk found.
#[derive(Clone, Debug)]
pub(super) struct Scanned {
    /// Index of the valid part.
    pub(super) index: SegmentIndex,
    /// Bytes of the block that the valid part has begun.
    pub(super) carry: Vec<u8>,
    /// Why it ended at `index.bytes`.
    pub(super) stop: Stop,
    /// Bad batches that were stepped over.
    pub(super) damage: Vec<Damage>,
    /// Behind the valid part nothing but zeros was seen up to the end of the file, which ends with a block.
    pub(super) is_clear_behind: bool,
}

/// A batch that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins in its file, in bytes.
    pub position: u64,
    /// How many bytes cannot be believed.
    pub bytes: u64,
    /// Its base offset as expected or as it says.
    pub base_offset: i64,
    /// Exclusive end of the offsets that cannot be believed, as far as is known.
    pub end_offset: i64,
    /// What is wrong.
    pub reason: String,
}

impl Damage {
    /// True when the batch at `position` is part of it.
    pub(super) fn covers(&self, position: u64) -> bool {
        (self.position..self.position.saturating_add(self.bytes.max(1))).contains(&position)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { position, bytes, base_offset, end_offset, reason } = self;
        write!(f, "byte {position} (+{bytes}), offsets {base_offset}..{end_offset}: {reason}")
    }
}

/// Why a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The file ends with a batch.
    EndOfFile,
    /// Zeros follow: space that was never written.
    Zeros,
    /// The file ends inside a batch.
    Short,
    /// No header can look like this.
    BadHeader(String),
    /// The checksum does not match.
    BadCrc,
    /// A batch of another place: what was in the file before, or what a cut left behind.
    WrongOffset {
        /// What its header says.
        got: i64,
        /// What follows the batch before it.
        expected: i64,
    },
    /// A message format before v2.
    OldFormat {
        /// Its magic byte, 0 or 1.
        magic: i8,
    },
    /// The offset to stop at was reached.
    Limit,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::EndOfFile => f.write_str("end of file"),
            Stop::Zeros => f.write_str("zeros"),
            Stop::Short => f.write_str("the file ends inside a batch"),
            Stop::BadHeader(reason) => f.write_str(reason),
            Stop::BadCrc => f.write_str("the checksum does not match"),
            Stop::WrongOffset { got, expected } => write!(f, "base offset {got}, expected {expected}"),
            Stop::OldFormat { magic } => write!(f, "message format {magic}; only format 2 is supported"),
            Stop::Limit => f.write_str("limit reached"),
        }
    }
}

/// What the bytes at one position are.
pub(super) enum Next<'a> {
    Batch(BatchView<'a>),
    /// A header that may be right, whose batch needs this many bytes.
    Partial(usize),
    Bad(Stop),
}

/// Judges the bytes at a position where `remaining` bytes of the file are left and `expected` is the next offset.
pub(super) fn judge(bytes: &[u8], remaining: u64, expected: i64, gaps: bool) -> Next<'_> {
    let Some(raw) = bytes.first_chunk::<HEADER_LEN>() else {
        if bytes.iter().all(|&byte| byte == 0) {
            return Next::Bad(if bytes.is_empty() { Stop::EndOfFile } else { Stop::Zeros });
        }
        return Next::Bad(Stop::Short);
    };
    let header = BatchHeader::decode(raw);
    if raw.iter().all(|&byte| byte == 0) {
        return Next::Bad(Stop::Zeros);
    }
    if is_old_message(&header, expected) {
        return Next::Bad(Stop::OldFormat { magic: header.magic });
    }
    if header.magic != 2 {
        return Next::Bad(Stop::BadHeader(format!("magic {}", header.magic)));
    }
    let fits = header.base_offset == expected || (header.base_offset > expected && gaps);
    if !fits && !marks::planted!("engine: trust a stale recycled block") {
        return Next::Bad(Stop::WrongOffset { got: header.base_offset, expected });
    }
    let Some(size) = header.size_bytes().filter(|_| header.last_offset_delta >= 0) else {
        return Next::Bad(Stop::BadHeader(format!(
            "length {}, last offset delta {}",
            header.batch_length, header.last_offset_delta
        )));
    };
    if size as u64 > remaining {
        return Next::Bad(Stop::Short);
    }
    if size > bytes.len() {
        return Next::Partial(size);
    }
    match BatchView::parse(&bytes[..size]) {
        Err(error) => Next::Bad(Stop::BadHeader(error.to_string())),
        Ok((view, _)) if view.check_crc().is_err() && !marks::planted!("engine: trust a torn batch") => {
            Next::Bad(Stop::BadCrc)
        }
        Ok((view, _)) => Next::Batch(view),
    }
}

/// True for what can begin a message of format 0 or 1. One bit that flipped in space full of zeros cannot.
fn is_old_message(header: &BatchHeader, expected: i64) -> bool {
    let is_old = header.magic == 0 || header.magic == 1;
    is_old && header.base_offset >= expected && header.batch_length >= OLD_MESSAGE_MIN
}

/// Walks `file` from where `index` ends, telling `each` the header and position of every good batch.
pub(super) async fn scan_segment(
    io: &Io,
    file: &OpenFile,
    index: SegmentIndex,
    limits: &ScanLimits,
    mut each: impl FnMut(&BatchHeader, u64),
) -> io::Result<Scanned> {
    let from = (index.bytes, index.end_offset);
    let mut scan = Scan { index, limits, from, damage: Vec::new(), or_end: None, jump: None, len: file.len };
    let mut wanted = READ_BYTES;
    loop {
        let at = scan.index.bytes - scan.index.bytes % BLOCK_BYTES;
        let buf = read_at(io, file, at, wanted).await?;
        let skip = (scan.index.bytes - at) as usize;
        match scan.walk(buf.as_slice().get(skip..).unwrap_or(&[]), &mut each) {
            Walked::More(needed) => wanted = (skip + needed).next_multiple_of(BLOCK_BYTES as usize).max(READ_BYTES),
            Walked::Stopped(stop) => {
                let end = scan.index.bytes;
                let (begun, behind) = split_at_end(buf.as_slice(), at, end);
                let carry = if begun.is_empty() { read_begun(io, file, end).await? } else { begun.to_vec() };
                let is_all_seen = at + buf.len() as u64 >= file.len && file.len.is_multiple_of(BLOCK_BYTES);
                let is_clear_behind = is_all_seen && behind.iter().all(|&byte| byte == 0);
                return Ok(Scanned { index: scan.index, carry, stop, damage: scan.damage, is_clear_behind });
            }
        }
        io.yield_now().await;
    }
}

/// Of bytes that begin at `at` in a file whose valid part ends at `end`: the block that this part has begun, and what follows it.
fn split_at_end(bytes: &[u8], at: u64, end: u64) -> (&[u8], &[u8]) {
    let (valid, behind) = bytes.split_at(((end - at) as usize).min(bytes.len()));
    let begun = (end % BLOCK_BYTES) as usize;
    (valid.get(valid.len().saturating_sub(begun)..).unwrap_or_default(), behind)
}

struct Scan<'a> {
    index: SegmentIndex,
    limits: &'a ScanLimits,
    /// Position and offset where the walk began.
    from: (u64, i64),
    damage: Vec<Damage>,
    /// Behind a bad batch: where it ends if its number of records is right and its last offset delta is not.
    or_end: Option<i64>,
    /// The last batch, if it began past the offset that was expected.
    jump: Option<Jump>,
    len: u64,
}

/// A batch with a gap before it. Its checksum is right and leaves its base offset out.
struct Jump {
    position: u64,
    bytes: u64,
    /// Where the batch before it ended.
    expected: i64,
    got: i64,
}

enum Walked {
    /// Continue at `index.bytes` with at least this many bytes.
    More(usize),
    Stopped(Stop),
}

impl Scan<'_> {
    fn walk(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&BatchHeader, u64)) -> Walked {
        loop {
            let remaining = self.len.saturating_sub(self.index.bytes);
            if bytes.len() < HEADER_LEN && (bytes.len() as u64) < remaining {
                return Walked::More(HEADER_LEN);
            }
            self.settle_end(bytes);
            let step = match judge(bytes, remaining, self.index.end_offset, self.limits.gaps) {
                Next::Partial(needed) => return Walked::More(needed),
                Next::Bad(Stop::WrongOffset { got, .. }) if self.take_back_jump(got) => continue,
                Next::Bad(stop) => match self.step_over(bytes, &stop) {
                    Some(step) => step,
                    None => return Walked::Stopped(stop),
                },
                Next::Batch(view) if view.last_offset() >= self.limits.upto => return Walked::Stopped(Stop::Limit),
                Next::Batch(view) if self.jumps_the_floor(view.header()) => {
                    self.step_over_jump(bytes, view.header());
                    view.size_bytes()
                }
                Next::Batch(view) => {
                    let (expected, got) = (self.index.end_offset, view.base_offset());
                    let (position, bytes_len) = (self.index.bytes, view.size_bytes() as u64);
                    self.jump = (got > expected).then_some(Jump { position, bytes: bytes_len, expected, got });
                    each(view.header(), self.index.bytes);
                    self.note(bytes, view.header());
                    view.size_bytes()
                }
            };
            bytes = &bytes[step..];
        }
    }

    /// The floor is where a batch ended: none begins below it and reaches past it, or leaves it in a gap.
    fn jumps_the_floor(&self, header: &BatchHeader) -> bool {
        let (expected, floor) = (self.index.end_offset, self.limits.floor);
        !self.limits.compacted && header.base_offset > expected && expected < floor && header.next_offset() > floor
    }

    /// A batch below the floor whose base offset is not what was written.
    fn step_over_jump(&mut self, bytes: &[u8], header: &BatchHeader) {
        let expected = self.index.end_offset;
        let end_offset = expected.saturating_add(i64::from(header.last_offset_delta) + 1).min(self.limits.floor);
        self.damage.push(Damage {
            position: self.index.bytes,
            bytes: header.size_bytes().unwrap_or(0) as u64,
            base_offset: expected,
            end_offset,
            reason: Stop::WrongOffset { got: header.base_offset, expected }.to_string(),
        });
        self.note_until(bytes, &BatchHeader { base_offset: expected, ..*header }, end_offset - 1);
    }

    /// True when the batch at `got` shows that the gap before the last one is none: its base offset is not what was written.
    fn take_back_jump(&mut self, got: i64) -> bool {
        let is_refuted = |jump: &mut Jump| jump.expected < got && got <= self.limits.floor;
        let Some(jump) = self.jump.take_if(is_refuted) else { return false };
        let Jump { position, bytes, expected, .. } = jump;
        let reason = Stop::WrongOffset { got: jump.got, expected }.to_string();
        self.damage.push(Damage { position, bytes, base_offset: expected, end_offset: got, reason });
        self.index.end_offset = got;
        self.index.entries.pop_if(|entry| u64::from(entry.position) == position);
        true
    }

    /// Rot below the floor whose header still says where the next batch begins.
    fn step_over(&mut self, bytes: &[u8], stop: &Stop) -> Option<usize> {
        let header = BatchHeader::decode(bytes.first_chunk()?);
        let size = header.size_bytes()?;
        let in_place = header.base_offset == self.index.end_offset && header.last_offset_delta >= 0;
        if *stop != Stop::BadCrc || !in_place || header.base_offset >= self.limits.floor || size > bytes.len() {
            return None;
        }
        // What is below the floor ends there at the latest, whatever the bad bytes say.
        let by_count = header.base_offset.saturating_add(i64::from(header.record_count.max(1)));
        let end_offset = header.next_offset().min(self.limits.floor);
        self.damage.push(Damage {
            position: self.index.bytes,
            bytes: size as u64,
            base_offset: header.base_offset,
            end_offset,
            reason: stop.to_string(),
        });
        self.note_until(bytes, &header, end_offset - 1);
        self.or_end = Some(by_count).filter(|&end| end != end_offset && end <= self.limits.floor);
        Some(size)
    }

    /// Tells by the batch behind a bad one where that one ended.
    fn settle_end(&mut self, bytes: &[u8]) {
        let Some(end) = self.or_end.take() else { return };
        let Some(raw) = bytes.first_chunk() else { return };
        if BatchHeader::decode(raw).base_offset == end {
            self.index.end_offset = end;
            self.damage.iter_mut().last().into_iter().for_each(|bad| bad.end_offset = end);
        }
    }

    fn note(&mut self, bytes: &[u8], header: &BatchHeader) {
        self.note_until(bytes, header, header.last_offset());
    }

    fn note_until(&mut self, bytes: &[u8], header: &BatchHeader, last_offset: i64) {
        let (Some(raw), Some(len)) = (bytes.first_chunk(), header.size_bytes()) else { return };
        let indexed = Indexed {
            header: raw,
            base_offset: header.base_offset,
            last_offset,
            leader_epoch: header.leader_epoch,
            max_timestamp: header.max_timestamp,
            offset_of_max_timestamp: last_offset,
            len,
        };
        self.index.note(&indexed, self.limits.interval_bytes);
        self.prove();
    }

    /// Every batch is good by itself, but a header may lie where no batch's checksum looks.
    fn prove(&mut self) {
        let at_proof = |&(offset, _): &(i64, u32)| offset == self.index.end_offset && self.damage.is_empty();
        let Some((_, header_crc)) = self.limits.proof.filter(at_proof) else { return };
        if header_crc != self.index.header_crc {
            let (position, base_offset) = self.from;
            self.damage.push(Damage {
                position,
                bytes: self.index.bytes - position,
                base_offset,
                end_offset: self.index.end_offset,
                reason: "a leader epoch is not what the checkpoint vouches for, which batch's is not known".to_owned(),
            });
        }
    }
}

/// Up to `len` bytes from `at`, which is a block boundary; fewer only at the end of the file.
pub(super) async fn read_at(io: &Io, file: &OpenFile, at: u64, len: usize) -> io::Result<Buf> {
    let left = file.len.saturating_sub(at).next_multiple_of(BLOCK_BYTES);
    let len = left.min(len as u64) as usize;
    if len == 0 {
        return Ok(Buf::with_capacity(0));
    }
    let done = io.call(Op::Read { file: file.id, at, buf: Buf::with_capacity(len) }).await;
    done.result?;
    let Op::Read { mut buf, .. } = done.op else { unreachable!("a completion returns its op") };
    buf.truncate(file.len.saturating_sub(at).min(usize::MAX as u64) as usize);
    Ok(buf)
}

/// The bytes of the block that a file of `end` valid bytes has begun.
pub(super) async fn read_begun(io: &Io, file: &OpenFile, end: u64) -> io::Result<Vec<u8>> {
    let begun = (end % BLOCK_BYTES) as usize;
    if begun == 0 {
        return Ok(Vec::new());
    }
    let buf = read_at(io, file, end - begun as u64, BLOCK_BYTES as usize).await?;
    buf.as_slice().get(..begun).map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
