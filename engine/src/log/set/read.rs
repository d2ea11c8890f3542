//! Reading: from memory at once, else a plan for the disk; and finding a timestamp.

use super::LogSet;
use crate::log::chunk::Found;
use crate::log::config::LogId;
use crate::log::event::ReadError;
use crate::log::index::{SegmentIndex, Start};
use crate::log::limits::PLAN_SEGMENTS_MAX;
use crate::log::reader::{PlanSegment, Read, ReadPlan, Reader, TimeHit};
use crate::log::state::{Health, Log, Segment, SegmentIndexState};
use crate::log::writer::Writer;
use crate::mem::Slice;
use std::rc::Rc;

impl LogSet {
    /// Whole batches from the one that contains `from`, none that reaches `upto` (exclusive), at most `max_bytes` unless
    /// the first alone is larger and `at_least_one` is set. Past an I/O error nothing above the durable offset is read.
    pub fn read(&self, id: LogId, from: i64, max_bytes: usize, upto: i64, at_least_one: bool) -> Read {
        let Some(log) = self.log(id) else { return Read::OutOfRange };
        if from < log.start || from > log.end {
            return Read::OutOfRange;
        }
        let upto = upto.min(log.readable_end());
        if from >= upto {
            return Read::End;
        }
        match log.tail.read(from, upto, max_bytes, at_least_one) {
            Found::Bytes(slices) => Read::Bytes(slices),
            Found::Nothing => Read::End,
            Found::Below => {
                let segments = log.plan(from);
                if segments.is_empty() {
                    return Read::End;
                }
                Read::Disk(ReadPlan { id, segments, from, upto, max_bytes, at_least_one })
            }
        }
    }

    /// Carries a plan out in a task. Every batch's checksum is verified before it is handed out; an empty answer means
    /// that nothing at or past the offset is there any more.
    pub fn read_disk(&mut self, plan: ReadPlan) -> impl Future<Output = Result<Vec<Slice>, ReadError>> + 'static {
        self.reader().read(plan)
    }

    /// The first batch whose largest timestamp is at or past `timestamp`, in milliseconds; which record of it is for
    /// the caller to find, as is whether the batch is below its high watermark. To be awaited in a task.
    pub fn lookup_time(
        &mut self,
        id: LogId,
        timestamp: i64,
    ) -> impl Future<Output = Result<Option<TimeHit>, ReadError>> + 'static {
        let log = self.log(id);
        let start = log.map_or(0, |log| log.start);
        let in_memory = log.and_then(|log| log.time_in_memory(timestamp));
        let on_disk = log.map_or_else(Vec::new, |log| log.time_plan(timestamp));
        let reader = self.reader();
        async move {
            for segment in &on_disk {
                let hit = reader.find_time(id, segment, start, timestamp).await?;
                if hit.is_some() {
                    return Ok(hit);
                }
            }
            Ok(in_memory)
        }
    }

    /// Memory of what was read from disk and is still held by somebody, on whatever thread, in bytes.
    pub fn read_held_bytes(&self) -> usize {
        self.read_held.bytes()
    }

    fn reader(&self) -> Reader {
        let (files, indexes) = (Rc::clone(&self.files), Rc::clone(&self.indexes));
        Reader { io: self.io.clone(), class: self.catch_up.clone(), files, indexes, held: self.read_held.clone() }
    }
}

impl Log {
    fn readable_end(&self) -> i64 {
        match self.health {
            Health::Good | Health::Switching { .. } => self.end,
            _ => self.durable,
        }
    }

    /// Segments on disk in which the batch of `from` may lie, and where to look in them.
    fn plan(&self, from: i64) -> Vec<PlanSegment> {
        let at = self.segment_of(from).unwrap_or(0);
        let segments = self.segments.iter().skip(at);
        let planned = segments.filter_map(|segment| self.plan_segment(segment, |index| index.start_before(from)));
        planned.take(PLAN_SEGMENTS_MAX).collect()
    }

    pub(super) fn plan_segment(
        &self,
        segment: &Segment,
        start: impl FnOnce(&SegmentIndex) -> Start,
    ) -> Option<PlanSegment> {
        // Only what was written may be read; the rest is in memory anyway.
        let writer = self.writers.iter().find(|writer| writer.base == segment.base);
        let written = writer.map(Writer::last_written_mark);
        let (limit, end) = written.map_or((segment.bytes, segment.end), |mark| (mark.position, mark.offset));
        (limit > 0 && segment.alive.get()).then(|| PlanSegment {
            base: segment.base,
            path: segment.path.clone(),
            limit,
            end,
            alive: Rc::clone(&segment.alive),
            open: segment.unsettled.clone(),
            damage: Rc::clone(&segment.damage),
            start: match &segment.index {
                SegmentIndexState::Memory(index) => Some(start(index)),
                SegmentIndexState::File => None,
            },
        })
    }

    fn time_in_memory(&self, timestamp: i64) -> Option<TimeHit> {
        let (batch, bytes) = self.tail.first_at_or_after(self.start, timestamp)?;
        Some(TimeHit {
            base_offset: batch.base_offset,
            last_offset: batch.last_offset,
            max_timestamp: batch.max_timestamp,
            bytes,
        })
    }

    /// The segments to look at on disk: those that have such a timestamp and begin below what memory covers.
    fn time_plan(&self, timestamp: i64) -> Vec<PlanSegment> {
        let covered = self.tail.first_offset().unwrap_or(i64::MAX);
        let on_disk = |segment: &&Segment| segment.base < covered && segment.end > self.start;
        let wanted = self.segments.iter().filter(on_disk).filter(|segment| segment.max_timestamp >= timestamp);
        let plan = |segment| self.plan_segment(segment, |index| index.start_before_time(timestamp));
        wanted.filter_map(plan).take(PLAN_SEGMENTS_MAX).collect()
    }
}
