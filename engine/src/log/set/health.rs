//! What happens when the disk fails or is full.
//!
//! A failed write or flush is never repeated: the kernel may have dropped the pages, and a second try would only look
//! like a success. The log is fenced until a restart has read back what the device holds. A full disk is different:
//! nothing that was acknowledged is lost, so what could not be written is dropped, and appends resume with the space.

use super::LogSet;
use super::outcome::{CutEnd, Result};
use crate::io::Op;
use crate::log::config::LogId;
use crate::log::event::LogEvent;
use crate::log::files::is_full;
use crate::log::limits::{FULL_PROBE_MS, FULL_RESERVE_BYTES};
use crate::log::names;
use crate::log::space::grow_to;
use crate::log::state::{Cut, Health, Log};
use crate::log::writer::Writer;
use std::io;

/// What failed, where.
pub(super) struct Trouble {
    what: &'static str,
    base: i64,
    error: io::Error,
}

impl Trouble {
    pub(super) fn at_segment(what: &'static str, base: i64, error: io::Error) -> Trouble {
        Trouble { what, base, error }
    }
}

impl LogSet {
    /// Decides what an error means for the log.
    pub(super) fn trouble(&mut self, id: LogId, trouble: Trouble) {
        if !is_full(&trouble.error) {
            return self.fence(id, &trouble);
        }
        let Some(log) = self.any_log_mut(id) else { return };
        let drains = matches!(log.health, Health::Draining { .. } | Health::Cutting { why: Cut::Full { .. }, .. });
        if drains && log.writers.iter().any(Writer::is_behind_journal) {
            // Its place was reserved: a disk that refuses to fill it does not keep its word.
            return self.fence(id, &trouble);
        }
        let appended = log.writer_mut(trouble.base).map_or(0, |writer| writer.appended);
        let cutting = match log.health {
            Health::Cutting { to, why: Cut::Asked, started: false } => Some(to),
            Health::Switching { .. } => log.truncate_to,
            _ => None,
        };
        if matches!(log.health, Health::Good | Health::Switching { started: false }) || cutting.is_some() {
            LogSet::restart_relocation(log);
            log.truncate_to = cutting;
            tracing::warn!(log = %log.name.dir.display(), error = %trouble.error, "disk full: appends are refused until there is room");
            log.health = Health::Draining { needed: grow_to(0, appended, &log.config).min(appended.max(1 << 20)) };
        }
    }

    pub(super) fn fence(&mut self, id: LogId, trouble: &Trouble) {
        let Some(mut log) = self.logs.get_mut(id.0 as usize).and_then(Option::take) else { return };
        self.fence_held(id, &mut log, trouble);
        self.logs[id.0 as usize] = Some(log);
    }

    /// As [`LogSet::fence`], for a log that the caller holds.
    pub(super) fn fence_held(&mut self, id: LogId, log: &mut Log, trouble: &Trouble) {
        if matches!(log.health, Health::Fenced | Health::Deleting { .. }) {
            return;
        }
        let file = names::segment(&log.name.dir, trouble.base);
        let error = format!("{}: {}: {}", file.display(), trouble.what, trouble.error);
        tracing::error!(%error, "the log is fenced until a restart has verified it");
        log.health = Health::Fenced;
        let unwritten: u64 = log.writers.iter_mut().map(Writer::forget_unwritten).sum();
        self.unwritten -= unwritten;
        self.events.push_back(LogEvent::Fenced { id, error });
    }

    /// Everything in flight has finished on a full disk: what is not on the device is dropped.
    pub(super) fn drop_unwritten(&mut self, id: LogId, log: &mut Log, needed: u64) {
        let unfinished = log.writers.iter().find(|writer| !writer.is_written() || writer.unnamed);
        let to = unfinished.map_or(log.end, |writer| writer.last_written_mark().offset);
        if let Some(writer) = unfinished.filter(|_| to < log.durable) {
            // The journal has it, and its place in the segment was reserved: a disk that refuses it does not keep its word.
            let error = io::ErrorKind::StorageFull.into();
            return self.fence_held(id, log, &Trouble::at_segment("fill", writer.base, error));
        }
        let to = to.max(log.durable).min(log.truncate_to.unwrap_or(i64::MAX));
        log.health = Health::Cutting { to, why: Cut::Full { needed }, started: false };
    }

    /// After a cut: what its reason wants next.
    pub(super) fn after_cut(&mut self, id: LogId, why: Cut, end: i64) {
        let probe_at = self.now.plus_millis(FULL_PROBE_MS);
        let Some(log) = self.any_log_mut(id) else { return };
        match why {
            Cut::Asked => {
                log.health = Health::Good;
                self.events.push_back(LogEvent::Truncated { id, end });
            }
            Cut::Full { needed } => {
                log.health = Health::Full { probe_at, probing: false, needed };
                let asked = log.truncate_to.take().is_some();
                self.timers.insert((probe_at, id));
                self.events.push_back(LogEvent::Rejected { id, from: end });
                if asked {
                    self.events.push_back(LogEvent::Truncated { id, end });
                }
            }
        }
    }

    pub(super) fn cut_done(&mut self, id: LogId, base: i64, result: io::Result<CutEnd>) {
        match result {
            Ok(end) => self.apply_cut(id, base, end),
            Err(error) => self.fence(id, &Trouble::at_segment("cut", base, error)),
        }
    }

    /// Asks how much room there is, once a second while a log is full.
    pub(super) fn probe(&mut self, id: LogId, log: &mut Log) {
        let Health::Full { probe_at, probing, .. } = &mut log.health else { return };
        if *probing || *probe_at > self.now {
            return;
        }
        *probing = true;
        let (io, path) = (self.io.clone(), log.name.data_dir().to_owned());
        self.start_on(id, log, async move {
            let done = io.call(Op::FreeSpace { path, free: 0, total: 0 }).await;
            let Op::FreeSpace { free, .. } = done.op else { unreachable!("a completion returns its op") };
            Result::Probed(done.result.map(|_| free))
        });
    }

    pub(super) fn probed(&mut self, id: LogId, free: io::Result<u64>) {
        let next = self.now.plus_millis(FULL_PROBE_MS);
        let Some(log) = self.any_log_mut(id) else { return };
        let Health::Full { needed, .. } = log.health else { return };
        if free.is_ok_and(|free| free >= needed + FULL_RESERVE_BYTES) {
            tracing::info!(log = %log.name.dir.display(), "the disk has room again");
            log.health = Health::Good;
            log.writers.iter_mut().for_each(|writer| writer.no_ahead = true);
            self.events.push_back(LogEvent::Healed { id });
        } else {
            log.health = Health::Full { probe_at: next, probing: false, needed };
            self.timers.insert((next, id));
        }
    }
}
