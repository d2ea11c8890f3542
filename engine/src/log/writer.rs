//! The write side of one segment as a pure machine: which bytes may be written next, what is contiguous, what is
//! flushed, and which offset that makes durable. It does no I/O.
//!
//! ```text
//!   0        synced      written       submitted        appended      reserved
//!   | flushed   | on the device |  in flight  |  in memory   |   space     |
//! ```

use super::files::OpenFile;
use super::limits::{BLOCK_BYTES, JOURNAL_FILL, STOPPER_BYTES};
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

/// Full blocks are written beside a write in flight only in pieces of at least this many bytes: less is better shared
/// with the next write.
const PARALLEL_MIN: u64 = 64 << 10;

pub(super) struct Writer {
    /// Base offset of the segment.
    pub(super) base: i64,
    pub(super) file: WriterFile,
    /// True while the file's name in the log's folder is not yet durable; nothing of it is then.
    pub(super) unnamed: bool,
    /// Space that writes may use, in bytes.
    pub(super) reserved: u64,
    pub(super) reserving: bool,
    /// True once reserving ahead failed for want of space: only what is needed is asked for.
    pub(super) no_ahead: bool,
    /// True for a recycled file: behind the end lie old batches instead of zeros.
    pub(super) stale: bool,
    /// True while nobody has seen to what lies in the file's last block behind its end: a crash that took a length back may have
    /// left bytes there, which growing would show. It is cut before it is written.
    pub(super) rough: bool,
    pub(super) appended: u64,
    submitted: u64,
    written: u64,
    synced: u64,
    syncing: bool,
    flights: VecDeque<Flight>,
    /// Ends of batches that are not yet durable, or not yet written.
    marks: VecDeque<Mark>,
    /// The last batch end that is both.
    settled: Mark,
    /// The last batch end that is durable.
    durable: Mark,
    /// Everything below has to be written and flushed here; what lies above becomes durable in the journal first.
    direct_upto: u64,
    /// What the journal has of the segment.
    cover: Cover,
    /// True once the segment takes no more batches.
    pub(super) closed: bool,
    /// Bytes of memory accounted as unwritten and not yet given back.
    unwritten_from: u64,
}

/// Bytes of a segment in the journal: `from..durable` is durable there, `durable..submitted` on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cover {
    from: u64,
    durable: u64,
    submitted: u64,
}

pub(super) enum WriterFile {
    Closed,
    Opening,
    Open(Rc<OpenFile>),
}

/// The end of a batch, as bytes and as offset, and the chained checksum of the headers up to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) position: u64,
    pub(super) offset: i64,
    pub(super) header_crc: u32,
}

struct Flight {
    range: Range<u64>,
    /// A zero block was written behind the range.
    stopper: bool,
    /// It completes once it is durable.
    synced: bool,
    done: bool,
}

/// A write to submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WritePlan {
    pub(super) range: Range<u64>,
    /// Write one more block of zeros behind the range: old bytes must not follow the end.
    pub(super) stopper: bool,
    /// Somebody waits for it to be durable.
    pub(super) synced: bool,
}

/// The shape of writes here.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteShape {
    pub(super) direct: bool,
    pub(super) bytes_max: u64,
    pub(super) in_flight_max: usize,
    /// What somebody waits for is flushed as part of its write.
    pub(super) synced: bool,
}

impl Writer {
    /// The write side of a segment whose first `end.position` bytes are on the device, flushed.
    pub(super) fn new(base: i64, end: Mark) -> Writer {
        let at = end.position;
        Writer {
            base,
            file: WriterFile::Closed,
            unnamed: false,
            reserved: 0,
            reserving: false,
            no_ahead: false,
            stale: false,
            rough: false,
            appended: at,
            submitted: at,
            written: at,
            synced: at,
            syncing: false,
            flights: VecDeque::new(),
            marks: VecDeque::new(),
            settled: end,
            durable: end,
            direct_upto: at,
            cover: Cover { from: at, durable: at, submitted: at },
            closed: false,
            unwritten_from: at,
        }
    }

    /// A batch was appended that ends at `offset`, and its header joined the chained checksum.
    pub(super) fn appended(&mut self, len: u64, offset: i64, header_crc: u32) {
        assert!(!self.closed, "a rolled segment takes no batches");
        self.appended += len;
        self.marks.push_back(Mark { position: self.appended, offset, header_crc });
    }

    /// The last batch end that is durable.
    pub(super) fn durable(&self) -> Mark {
        self.durable
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.flights.is_empty() && !self.syncing && !self.reserving && !matches!(self.file, WriterFile::Opening)
    }

    pub(super) fn has_unsubmitted(&self) -> bool {
        self.submitted < self.appended
    }

    pub(super) fn is_written(&self) -> bool {
        self.written == self.appended
    }

    pub(super) fn is_synced(&self) -> bool {
        self.synced == self.appended && !self.unnamed
    }

    pub(super) fn needs_sync(&self) -> bool {
        self.synced < self.written && self.synced < self.direct_upto && !self.syncing
    }

    /// Everything below is flushed.
    pub(super) fn synced(&self) -> u64 {
        self.synced
    }

    /// Bytes at the end of which nobody has decided yet how they become durable.
    pub(super) fn unrouted(&self) -> u64 {
        self.appended - self.direct_upto.max(self.cover.submitted)
    }

    /// Some of that was written already, together with what the journal has: memory need not have it any more.
    pub(super) fn is_unrouted_written(&self) -> bool {
        self.submitted > self.appended - self.unrouted()
    }

    /// Gives back the room of lists that are empty while nothing is appended.
    pub(super) fn shrink(&mut self) {
        self.flights.shrink_to_fit();
        self.marks.shrink_to_fit();
    }

    /// Everything appended so far is written and flushed here.
    pub(super) fn take_directly(&mut self) {
        self.direct_upto = self.appended;
    }

    /// Nothing is left to the journal.
    pub(super) fn is_all_direct(&self) -> bool {
        self.direct_upto == self.appended
    }

    /// What the journal has of the segment is written and flushed here, too.
    pub(super) fn fill(&mut self) {
        self.direct_upto = self.direct_upto.max(self.cover.submitted);
    }

    /// Whether the journal may make durable what was appended: its place in the file is there for certain, and nothing but
    /// zeros lies behind.
    pub(super) fn may_be_filled_later(&self) -> bool {
        !self.unnamed && !self.stale && self.appended <= self.reserved
    }

    /// `range` is on its way into the journal.
    pub(super) fn journaled(&mut self, range: Range<u64>) {
        if self.cover.submitted != range.start {
            self.cover = Cover { from: range.start, durable: range.start, submitted: range.start };
        }
        self.cover.submitted = range.end;
    }

    /// The journal has everything below `upto` that it was given.
    pub(super) fn journal_landed(&mut self, upto: u64) {
        self.cover.durable = self.cover.durable.max(upto.min(self.cover.submitted));
    }

    /// What was on its way into the journal is lost there.
    pub(super) fn journal_lost(&mut self) {
        self.cover.submitted = self.cover.durable;
    }

    /// The journal made something durable that is not flushed here.
    pub(super) fn is_behind_journal(&self) -> bool {
        self.cover.from < self.cover.submitted && self.synced < self.cover.submitted
    }

    /// True while there is something to write that should not wait.
    pub(super) fn wants_write(&self) -> bool {
        self.submitted < self.appended.min(self.direct_upto) || self.cover.submitted >= self.submitted + JOURNAL_FILL
    }

    /// The durable end: flushed here, or flushed here and from there on in the journal.
    fn flushed(&self) -> u64 {
        if self.cover.from <= self.synced { self.synced.max(self.cover.durable) } else { self.synced }
    }

    /// The next write, if one may start now. At most one write is in flight a block.
    pub(super) fn next_write(&self, shape: &WriteShape) -> Option<WritePlan> {
        let end = self.writable_end();
        if !self.wants_write() || end <= self.submitted || self.flights.len() >= shape.in_flight_max {
            return None;
        }
        let synced = shape.synced && self.submitted < self.direct_upto;
        if !shape.direct {
            let range = self.submitted..end.min(self.submitted + shape.bytes_max);
            return Some(WritePlan { range, stopper: false, synced });
        }
        let start = self.submitted - self.submitted % BLOCK_BYTES;
        let most = start + shape.bytes_max;
        if self.flights.is_empty() {
            let range = start..end.min(most);
            let stopper = self.needs_stopper(&range);
            return Some(WritePlan { range, stopper, synced });
        }
        let begun_block_in_flight = start != self.submitted || self.flights.iter().any(|flight| flight.stopper);
        let whole = end - end % BLOCK_BYTES;
        if begun_block_in_flight || whole < start + PARALLEL_MIN {
            return None;
        }
        Some(WritePlan { range: start..whole.min(most), stopper: false, synced })
    }

    /// The write was submitted, up to `end` (a driver takes only so many slices at once).
    pub(super) fn submitted(&mut self, plan: &WritePlan, end: u64) {
        let range = plan.range.start..end;
        self.flights.push_back(Flight { range, stopper: plan.stopper, synced: plan.synced, done: false });
        self.submitted = end;
    }

    /// The write that began at `start` and ended at `end` completed.
    pub(super) fn completed(&mut self, range: &Range<u64>) {
        let flight = self.flights.iter_mut().find(|flight| !flight.done && flight.range == *range);
        let Some(flight) = flight else { panic!("write {range:?} of segment {} was not in flight", self.base) };
        flight.done = true;
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.done) {
            self.written = self.written.max(flight.range.end);
            // What lies before it may have been written without a flush.
            if flight.synced && flight.range.start <= self.synced {
                self.synced = self.synced.max(flight.range.end);
            }
        }
    }

    /// The write failed and is not repeated.
    pub(super) fn failed(&mut self, range: &Range<u64>) {
        self.flights.retain(|flight| flight.range != *range);
    }

    /// A flush starts; it covers what is returned.
    pub(super) fn begin_sync(&mut self) -> u64 {
        self.syncing = true;
        self.written
    }

    pub(super) fn end_sync(&mut self, upto: Option<u64>) {
        self.syncing = false;
        self.synced = self.synced.max(upto.unwrap_or(0));
    }

    /// Where durability stands now; the offset moved if it differs from the last answer.
    pub(super) fn advance_durable(&mut self, needs_flush: bool) -> i64 {
        let upto = if needs_flush { self.flushed() } else { self.written };
        let upto = if marks::planted!("engine: acknowledge before the write") { self.appended } else { upto };
        if !self.unnamed {
            let below = self.marks.partition_point(|mark| mark.position <= upto);
            self.durable = below.checked_sub(1).and_then(|last| self.marks.get(last)).copied().unwrap_or(self.durable);
            let settled = self.durable.position.min(self.written);
            while let Some(mark) = self.marks.pop_front_if(|mark| mark.position <= settled) {
                self.settled = mark;
            }
        }
        self.durable.offset
    }

    /// Bytes that became written since the last call.
    pub(super) fn take_newly_written(&mut self) -> u64 {
        let newly = self.written.saturating_sub(self.unwritten_from);
        self.unwritten_from = self.unwritten_from.max(self.written);
        newly
    }

    /// The last batch end that is on the device: what survives when the rest has to be dropped.
    pub(super) fn last_written_mark(&self) -> Mark {
        let written = self.marks.partition_point(|mark| mark.position <= self.written);
        written.checked_sub(1).and_then(|at| self.marks.get(at)).copied().unwrap_or(self.settled)
    }

    /// Bytes that never became written and are not counted any more: the log is given up.
    pub(super) fn forget_unwritten(&mut self) -> u64 {
        let unwritten = self.appended - self.unwritten_from;
        self.unwritten_from = self.appended;
        unwritten
    }

    /// Whole batches that fit the reserved space.
    fn writable_end(&self) -> u64 {
        if self.appended <= self.reserved {
            return self.appended;
        }
        let fit = self.marks.partition_point(|mark| mark.position <= self.reserved);
        fit.checked_sub(1).and_then(|at| self.marks.get(at)).map_or(self.submitted, |mark| mark.position)
    }

    fn needs_stopper(&self, range: &Range<u64>) -> bool {
        let padded = range.end.next_multiple_of(BLOCK_BYTES);
        self.stale && padded - range.end < STOPPER_BYTES && padded + BLOCK_BYTES <= self.reserved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: WriteShape = WriteShape { direct: true, bytes_max: 1 << 20, in_flight_max: 3, synced: false };

    fn writer(appends: &[u64]) -> Writer {
        let mut writer = Writer::new(0, Mark { position: 0, offset: 0, header_crc: 0 });
        writer.reserved = 64 << 20;
        for (n, &len) in appends.iter().enumerate() {
            writer.appended(len, n as i64 + 1, 0);
        }
        writer
    }

    fn start(writer: &mut Writer) -> Option<Range<u64>> {
        start_with(writer, &SHAPE)
    }

    fn start_with(writer: &mut Writer, shape: &WriteShape) -> Option<Range<u64>> {
        writer.take_directly();
        let plan = writer.next_write(shape)?;
        writer.submitted(&plan, plan.range.end);
        Some(plan.range)
    }

    #[test]
    fn a_begun_block_is_rewritten_only_after_its_write() {
        let mut writer = writer(&[5000]);
        assert_eq!(start(&mut writer), Some(0..5000));
        writer.appended(3_000_000, 2, 0);
        assert_eq!(start(&mut writer), None);
        writer.completed(&(0..5000));
        assert_eq!(start(&mut writer), Some(4096..4096 + (1 << 20)));
        assert_eq!(start(&mut writer), Some(4096 + (1 << 20)..4096 + (2 << 20)), "whole blocks go side by side");
    }

    #[test]
    fn only_what_is_contiguous_counts_as_written() {
        let mut writer = writer(&[1 << 20, 1 << 20, 100]);
        let (a, b) = (start(&mut writer).unwrap(), start(&mut writer).unwrap());
        writer.completed(&b);
        assert_eq!((writer.written(), writer.advance_durable(false)), (0, 0));
        writer.completed(&a);
        assert_eq!((writer.written(), writer.advance_durable(false)), (2 << 20, 2));
        assert_eq!(writer.advance_durable(true), 2, "durability does not go back");
    }

    #[test]
    fn nothing_is_durable_before_its_flush_and_its_name() {
        let mut writer = writer(&[100]);
        writer.unnamed = true;
        let range = start(&mut writer).unwrap();
        writer.completed(&range);
        assert_eq!(writer.advance_durable(true), 0);
        let upto = writer.begin_sync();
        writer.end_sync(Some(upto));
        assert_eq!(writer.advance_durable(true), 0);
        writer.unnamed = false;
        assert_eq!(writer.advance_durable(true), 1);
    }

    #[test]
    fn writes_stop_at_the_last_batch_that_fits_the_space() {
        let mut writer = writer(&[3000, 3000]);
        writer.reserved = 4096;
        assert_eq!(start(&mut writer), Some(0..3000));
        writer.completed(&(0..3000));
        assert_eq!(start(&mut writer), None);
        assert_eq!(writer.last_written_mark(), Mark { position: 3000, offset: 1, header_crc: 0 });
        assert_eq!((writer.take_newly_written(), writer.forget_unwritten()), (3000, 3000));
    }

    #[test]
    fn old_bytes_never_follow_the_end_of_a_recycled_file() {
        for (len, stopper) in [(4096, true), (4096 - 60, true), (4096 - 61, false), (100, false)] {
            let mut writer = writer(&[len]);
            writer.stale = true;
            writer.take_directly();
            assert_eq!(writer.next_write(&SHAPE).unwrap().stopper, stopper, "{len} bytes");
            writer.reserved = 4096;
            assert!(!writer.next_write(&SHAPE).unwrap().stopper, "nothing follows the end of the file");
        }
    }

    #[test]
    fn a_synced_write_needs_no_flush_unless_something_before_it_has_none() {
        let synced = WriteShape { synced: true, ..SHAPE };
        let mut writer = writer(&[5000]);
        let range = start_with(&mut writer, &synced).unwrap();
        writer.completed(&range);
        assert_eq!((writer.advance_durable(true), writer.needs_sync()), (1, false));
        writer.appended(300_000, 2, 0);
        writer.journaled(5000..305_000);
        let plan = writer.next_write(&synced).unwrap();
        assert!(!plan.synced, "nobody waits for what the journal has");
        writer.submitted(&plan, plan.range.end);
        writer.completed(&plan.range);
        assert!(!writer.needs_sync());
        writer.appended(100, 3, 0);
        let range = start_with(&mut writer, &synced).unwrap();
        writer.completed(&range);
        assert_eq!((writer.advance_durable(true), writer.needs_sync()), (1, true));
    }

    #[test]
    fn the_journal_makes_durable_what_continues_what_is_flushed() {
        let mut writer = writer(&[100, 100, 100]);
        writer.journaled(0..100);
        assert_eq!(writer.unrouted(), 200);
        writer.journal_landed(100);
        assert_eq!((writer.advance_durable(true), writer.wants_write()), (1, false));
        writer.direct_upto = 200;
        assert_eq!(writer.unrouted(), 100);
        writer.journaled(200..300);
        writer.journal_landed(300);
        assert_eq!(writer.advance_durable(true), 1, "the second batch is on neither side");
        let range = writer.next_write(&SHAPE).unwrap().range;
        writer.submitted(&WritePlan { range: range.clone(), stopper: false, synced: false }, range.end);
        writer.completed(&range);
        assert_eq!(writer.last_written_mark().offset, 3, "what is written is told from what is durable");
        let upto = writer.begin_sync();
        writer.end_sync(Some(upto));
        assert_eq!(writer.advance_durable(true), 3);
    }

    #[test]
    fn what_the_journal_lost_is_to_be_routed_anew() {
        let mut writer = writer(&[100, 100]);
        writer.journaled(0..100);
        writer.journal_landed(100);
        writer.journaled(100..200);
        writer.journal_lost();
        assert_eq!((writer.unrouted(), writer.advance_durable(true)), (100, 1));
        assert!(writer.is_behind_journal());
        writer.fill();
        assert!(writer.wants_write() && writer.unrouted() == 100);
    }
}
