//! Choosing what is read again next, and refusing what was found bad. One segment at a time, log by log; a pass over all
//! of them begins every `scrub_interval_ms`. The first begins at a log picked by chance, so that a broker which is often
//! started anew gets to all of them in time.

use super::LogSet;
use crate::log::config::{LogId, LogLimits};
use crate::log::event::LogEvent;
use crate::log::limits::SCRUB_FIRST_MS;
use crate::log::names;
use crate::log::scan::Damage;
use crate::log::scrub::{Job, Outcome, Slowly};
use crate::log::state::{Health, Log, Segment, SegmentIndexState};
use crate::shard::{Class, Io};
use crate::time::Mono;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;

/// Where the scrub stands.
pub(super) struct Scrub {
    /// When the next segment is due; none when it is off or at work.
    at: Option<Mono>,
    /// What was found, to be taken in the next pump.
    done: Rc<RefCell<VecDeque<Outcome>>>,
    /// The next log, and the lowest base offset of its next segment.
    next: (usize, i64),
    is_first: bool,
    pace: Slowly,
    pass: Pass,
}

/// One time through all segments.
#[derive(Default)]
struct Pass {
    began: Mono,
    segments: u64,
    bytes: u64,
    findings: u64,
}

impl Scrub {
    pub(super) fn new(io: &Io, limits: &LogLimits, class: Class, closing: Rc<Cell<bool>>) -> Scrub {
        let first = io.now().plus_millis(limits.scrub_interval_ms.min(SCRUB_FIRST_MS));
        let is_on = limits.scrub_interval_ms > 0 && limits.scrub_bytes_per_s > 0;
        let pace = Slowly { class, bytes_per_s: limits.scrub_bytes_per_s, next: Rc::default(), closing };
        Scrub {
            at: is_on.then_some(first),
            done: Rc::default(),
            next: (0, 0),
            is_first: true,
            pace,
            pass: Pass::default(),
        }
    }

    /// When the set has to look again.
    pub(super) fn deadline(&self, now: Mono) -> Option<Mono> {
        if self.done.borrow().is_empty() { self.at } else { Some(now) }
    }
}

impl LogSet {
    /// Takes what was found, and goes on to the next segment once it is due.
    pub(super) fn scrub(&mut self) {
        loop {
            let Some(outcome) = self.scrub.done.borrow_mut().pop_front() else { break };
            self.scrubbed(outcome);
            self.scrub.at = Some(self.now);
        }
        if self.closing.get() || self.scrub.at.is_none_or(|at| at > self.now) {
            return;
        }
        if std::mem::take(&mut self.scrub.is_first) && !self.logs.is_empty() {
            self.scrub.next = ((self.io.random() % self.logs.len() as u64) as usize, 0);
        }
        if self.scrub.next.1 == 0 && self.scrub.pass.segments == 0 {
            self.scrub.pass.began = self.now;
        }
        match self.next_job() {
            Some(job) => self.start_scrub(job),
            None => self.end_pass(),
        }
    }

    fn start_scrub(&mut self, job: Job) {
        self.scrub.at = None;
        let (io, pace, done) = (self.io.clone(), self.scrub.pace.clone(), Rc::clone(&self.scrub.done));
        self.io.spawn(async move {
            let outcome = job.run(&io, pace).await;
            done.borrow_mut().push_back(outcome);
        });
    }

    fn end_pass(&mut self) {
        let Pass { began, segments, bytes, findings } = std::mem::take(&mut self.scrub.pass);
        if segments > 0 {
            tracing::info!(segments, bytes, findings, "stored records were read again and verified");
        }
        self.scrub.next = (0, 0);
        let due = began.plus_millis(self.limits.scrub_interval_ms);
        // Something is always left to breathe: an empty set would be due again at once.
        self.scrub.at = Some(due.max(self.now.plus_millis(1)));
    }

    /// The next segment at or behind the cursor, which moves past it.
    fn next_job(&mut self) -> Option<Job> {
        let (mut at, mut base) = self.scrub.next;
        while at < self.logs.len() {
            let id = LogId(at as u32);
            if let Some(job) = self.log(id).and_then(|log| log.scrub_job(id, base)) {
                self.scrub.next = (at, job.segment.base + 1);
                return Some(job);
            }
            (at, base) = (at + 1, 0);
        }
        None
    }

    fn scrubbed(&mut self, outcome: Outcome) {
        let Outcome { id, segment, bytes, damage, others } = outcome;
        self.scrub.pass.segments += 1;
        self.scrub.pass.bytes += bytes;
        // A file that left service meanwhile may hold anything, and one that changes its folder may not be found.
        let is_switching = self.log(id).is_some_and(|log| matches!(log.health, Health::Switching { .. }));
        if !segment.alive.get() || is_switching || self.closing.get() {
            return;
        }
        for (file, reason) in others {
            let lost = Damage { position: 0, bytes: 0, base_offset: segment.base, end_offset: segment.base, reason };
            self.report_damage(id, file, lost);
        }
        for found in damage {
            let is_known = segment.damage.borrow().contains(&found);
            if !is_known {
                segment.damage.borrow_mut().push(found.clone());
                self.report_damage(id, segment.path.clone(), found);
            }
        }
    }

    fn report_damage(&mut self, id: LogId, file: PathBuf, damage: Damage) {
        self.scrub.pass.findings += 1;
        self.events.push_back(LogEvent::Damaged { id, file, damage });
    }
}

impl Log {
    /// The first segment from `base` on that has something on the device.
    fn scrub_job(&self, id: LogId, base: i64) -> Option<Job> {
        if !self.has_folder
            || matches!(self.health, Health::Cutting { .. } | Health::Switching { .. } | Health::Deleting { .. })
        {
            return None;
        }
        let dir = &self.name.dir;
        let is_due = |segment: &&Segment| segment.base >= base && segment.unsettled.is_none();
        let segments = self.segments.iter().filter(is_due);
        let planned = segments.filter_map(|segment| {
            let index = matches!(segment.index, SegmentIndexState::File).then(|| names::index(dir, segment.base));
            self.plan_segment(segment, |index| index.start_before(segment.base)).map(|plan| (plan, index))
        });
        let (segment, index) = planned.into_iter().next()?;
        let snapshots = if base == 0 { &self.snapshots[..] } else { &[] };
        let snapshots = snapshots.iter().map(|&upto| names::snapshot(dir, upto)).collect();
        Some(Job { id, segment, index, snapshots })
    }
}
