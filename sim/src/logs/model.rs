//! What one log must be: every batch that was appended and not taken back, and what was promised of it.

use super::batches::Batch;
use super::violation::Violation;
use engine::log::{LogConfig, LogOffsets};
use engine::mem::Slice;
use protocol::batch::iter_batches;
use protocol::crc::crc32c;
use std::collections::BTreeMap;
use std::fmt;

/// See the module. Batches below the start stay until a restart shows what is left of them.
pub(crate) struct Model {
    name: String,
    pub(crate) uid: [u8; 16],
    pub(crate) config: LogConfig,
    batches: Vec<Batch>,
    /// Highest first offset that was reported.
    pub(crate) start: i64,
    /// Everything below was reported durable.
    pub(crate) durable: i64,
    pub(crate) end: i64,
    /// A truncation that is not yet reported done.
    pub(crate) cutting: Option<i64>,
    pub(crate) deleting: bool,
    /// Snapshots that recovery may hand back.
    snapshots: BTreeMap<i64, Vec<u8>>,
}

/// What recovery said of one log, besides its offsets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) snapshot: Option<(i64, Vec<u8>)>,
    /// Base offsets of the batches of idempotent producers behind the snapshot.
    pub(crate) producers: Vec<i64>,
    pub(crate) read_only: bool,
    pub(crate) report: Vec<String>,
}

/// How the last life of the log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Cleanly,
    Crashed,
}

impl Model {
    pub(crate) fn new(name: String, uid: [u8; 16], config: LogConfig) -> Model {
        let (batches, snapshots) = (Vec::new(), BTreeMap::new());
        Model { name, uid, config, batches, start: 0, durable: 0, end: 0, cutting: None, deleting: false, snapshots }
    }

    pub(crate) fn appended(&mut self, batch: Batch) {
        self.end = batch.last + 1;
        self.batches.push(batch);
    }

    /// The state that belongs to `upto`, remembered as put: other batches below it make another state. `None` where the
    /// last batch below is not known any more.
    pub(crate) fn snapshot(&mut self, upto: i64) -> Option<Vec<u8>> {
        let state = crc32c(&self.batch_of(upto - 1)?.bytes).to_be_bytes().to_vec();
        self.snapshots.insert(upto, state.clone());
        Some(state)
    }

    /// The set was stopped: what was under way is done, and everything is durable.
    pub(crate) fn was_stopped(&mut self) {
        let end = self.end_after_stop();
        self.take_back(end);
        (self.cutting, self.durable) = (None, end);
    }

    /// Holds what a log in service says of itself against what was done to it, once all its events are known.
    pub(crate) fn check_offsets(&self, got: LogOffsets) -> Result<(), Violation> {
        let log = self.name.clone();
        match (self.deleting || self.cutting.is_some(), got.end == self.end) {
            (true, _) => Ok(()),
            (false, false) => Err(Violation::Phantom { log, end: got.end, appended: self.end }),
            (false, true) if got.start != self.start => {
                Err(Violation::Start { log, got: got.start, expected: self.start })
            }
            (false, true) if got.durable != self.durable => {
                Err(Violation::Durable { log, upto: got.durable, durable: self.durable, end: self.end })
            }
            (false, true) => Ok(()),
        }
    }

    /// Durable was reported.
    pub(crate) fn became_durable(&mut self, upto: i64) -> Result<(), Violation> {
        if upto < self.durable.min(self.cutting.map_or(i64::MAX, |to| self.end_when_cut(to))) || upto > self.end {
            let log = self.name.clone();
            return Err(Violation::Durable { log, upto, durable: self.durable, end: self.end });
        }
        self.durable = self.durable.max(upto);
        Ok(())
    }

    /// A truncation was reported done.
    pub(crate) fn was_cut(&mut self, end: i64) -> Result<(), Violation> {
        let expected = self.cutting.take().map_or(self.end, |to| self.end_when_cut(to));
        if end != expected {
            return Err(Violation::Cut { log: self.name.clone(), got: end, expected });
        }
        self.take_back(end);
        Ok(())
    }

    /// Where the log ends once every batch that reaches `to` is removed.
    fn end_when_cut(&self, to: i64) -> i64 {
        self.batches.iter().find(|batch| batch.last >= to).map_or(self.end, |batch| batch.base)
    }

    /// Forgets everything from `end` on.
    fn take_back(&mut self, end: i64) {
        self.batches.retain(|batch| batch.last < end);
        self.snapshots.retain(|&upto, _| upto <= end);
        (self.end, self.durable, self.start) = (end, self.durable.min(end), self.start.min(end));
    }

    /// What has to be there after a crash.
    pub(crate) fn promised(&self) -> i64 {
        self.cutting.map_or(self.durable, |to| self.durable.min(self.end_when_cut(to)))
    }

    /// Holds what recovery found against the promises; the batches are read and compared after it.
    pub(crate) fn check_recovered(
        &self,
        offsets: LogOffsets,
        found: &Recovered,
        ended: Ended,
    ) -> Result<(), Violation> {
        let log = self.name.clone();
        if found.read_only {
            return Err(Violation::OutOfService { log, reason: found.report.join("; ") });
        }
        let promised = if ended == Ended::Cleanly { self.end_after_stop() } else { self.promised() };
        if offsets.end < promised {
            return Err(Violation::Lost { log, promised, end: offsets.end });
        }
        let appended = if ended == Ended::Cleanly { promised } else { self.end };
        if offsets.end > appended {
            return Err(Violation::Phantom { log, end: offsets.end, appended });
        }
        let wrong = match ended {
            Ended::Cleanly => offsets.start != self.start,
            Ended::Crashed => offsets.start > self.start,
        };
        if wrong {
            return Err(Violation::Start { log, got: offsets.start, expected: self.start });
        }
        self.check_snapshot(offsets, found)
    }

    fn end_after_stop(&self) -> i64 {
        self.cutting.map_or(self.end, |to| self.end_when_cut(to))
    }

    fn check_snapshot(&self, offsets: LogOffsets, found: &Recovered) -> Result<(), Violation> {
        let log = self.name.clone();
        if let Some((upto, state)) = &found.snapshot
            && (*upto > offsets.end || self.snapshots.get(upto) != Some(state))
        {
            return Err(Violation::Snapshot { log, upto: *upto });
        }
        let from = found.snapshot.as_ref().map_or(offsets.start, |(upto, _)| offsets.start.max(*upto));
        let behind = self.batches.iter().filter(|batch| batch.base >= from && batch.last < offsets.end);
        let expected: Vec<i64> = behind.filter(|batch| batch.has_producer).map(|batch| batch.base).collect();
        // The batch that holds `from` in its middle may be told or not.
        let got: Vec<i64> = found.producers.iter().copied().filter(|&base| base >= from).collect();
        if got == expected { Ok(()) } else { Err(Violation::Producers { log, from, got, expected }) }
    }

    /// Takes what survived for the truth from here on.
    pub(crate) fn settle(&mut self, offsets: LogOffsets) {
        self.cutting = None;
        self.deleting = false;
        self.take_back(offsets.end);
        self.batches.retain(|batch| batch.last >= offsets.start);
        (self.start, self.durable) = (offsets.start, offsets.end);
    }

    /// Compares what a read from `from` gave; returns the offset behind it.
    pub(crate) fn check_read(&self, from: i64, slices: &[Slice]) -> Result<i64, Violation> {
        let mut next = None;
        for view in slices.iter().flat_map(|slice| iter_batches(slice)) {
            let view = view.map_err(|error| self.read_error(next.unwrap_or(from), &error))?;
            let expected = next.unwrap_or_else(|| self.batch_of(from).map_or(from, |batch| batch.base));
            if view.base_offset() != expected {
                return Err(self.hole(expected, Some(view.base_offset())));
            }
            if self.batch_of(expected).is_none_or(|batch| batch.bytes != view.bytes()) {
                return Err(Violation::Changed { log: self.name.clone(), offset: expected });
            }
            next = Some(view.next_offset());
        }
        next.ok_or_else(|| self.hole(from, None))
    }

    /// Checks which batch a search for `timestamp` found while the log began at `start`.
    pub(crate) fn check_time(&self, start: i64, timestamp: i64, got: Option<i64>) -> Result<(), Violation> {
        let mut readable = self.batches.iter().filter(|batch| batch.last >= start);
        let expected = readable.find(|batch| batch.max_timestamp >= timestamp).map(|batch| batch.base);
        let log = self.name.clone();
        if got == expected { Ok(()) } else { Err(Violation::Time { log, timestamp, got, expected }) }
    }

    pub(crate) fn read_error(&self, offset: i64, error: &dyn std::fmt::Display) -> Violation {
        Violation::Read { log: self.name.clone(), offset, error: error.to_string() }
    }

    fn hole(&self, expected: i64, got: Option<i64>) -> Violation {
        Violation::Hole { log: self.name.clone(), expected, got }
    }

    fn batch_of(&self, offset: i64) -> Option<&Batch> {
        let at = self.batches.partition_point(|batch| batch.last < offset);
        self.batches.get(at).filter(|batch| batch.base <= offset)
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}..{}..{}", self.name, self.start, self.durable, self.end)?;
        self.cutting.map_or(Ok(()), |to| write!(f, " cut to {to}"))?;
        f.write_str(if self.deleting { " deleted" } else { "" })
    }
}
