//! Writing the durable-offset checkpoint, a file a shard and data folder.

use super::LogSet;
use crate::log::config::LogId;
use crate::log::floor::{FloorEntry, FloorFile};
use crate::log::names;
use crate::log::state::{Health, Log};
use crate::log::tasks::FloorJob;
use std::path::{Path, PathBuf};
use std::rc::Rc;

impl LogSet {
    /// The log's durable offset or start changed.
    pub(super) fn note_checkpoint(&mut self, id: LogId) {
        let Some(data) = self.any_log_mut(id).map(|log| log.name.data_dir().to_owned()) else { return };
        let due = self.now.plus_millis(self.limits.checkpoint_ms);
        self.dirs.get_mut(&data).into_iter().for_each(|dir| _ = dir.checkpoint_at.get_or_insert(due));
    }

    /// As [`LogSet::note_checkpoint`] for a log that the caller holds.
    pub(super) fn note_checkpoint_of(&mut self, log: &Log) {
        let due = self.now.plus_millis(self.limits.checkpoint_ms);
        self.dirs.get_mut(log.name.data_dir()).into_iter().for_each(|dir| _ = dir.checkpoint_at.get_or_insert(due));
    }

    /// The change should not wait.
    pub(super) fn checkpoint_now(&mut self, id: LogId) {
        let Some(data) = self.any_log_mut(id).map(|log| log.name.data_dir().to_owned()) else { return };
        let now = self.now;
        self.dirs.get_mut(&data).into_iter().for_each(|dir| dir.checkpoint_at = Some(now));
    }

    /// Starts every checkpoint that is due.
    pub(super) fn write_checkpoints(&mut self) {
        if self.closing.get() {
            // The clean stop writes the last one; two that replace the same file would tear it.
            self.dirs.values_mut().for_each(|dir| dir.checkpoint_at = None);
            return;
        }
        let due =
            |dir: &super::DirState| dir.checkpoint_at.is_some_and(|at| at <= self.now) && !dir.checkpointing.get();
        let due: Vec<_> = self.dirs.iter().filter(|(_, dir)| due(dir)).map(|(data, _)| data.clone()).collect();
        for data in due {
            self.write_checkpoint(data);
        }
    }

    fn write_checkpoint(&mut self, data: PathBuf) {
        let Some(job) = self.floor_job(&data, None, false) else { return };
        let Some(dir) = self.dirs.get_mut(&data) else { return };
        dir.checkpoint_at = None;
        dir.checkpointing.set(true);
        let flag = Rc::clone(&dir.checkpointing);
        let io = self.io.clone();
        self.io.spawn(async move {
            if let Err(error) = job.run(&io).await {
                tracing::warn!(data = %data.display(), %error, "checkpoint not written: a restart will verify more");
            }
            flag.set(false);
        });
    }

    /// The checkpoint as of now, with the log that the caller holds. `clean` when nothing but it is left to do.
    pub(super) fn floor_job(&self, data: &Path, held: Option<&Log>, clean: bool) -> Option<FloorJob> {
        Some(FloorJob {
            lock: self.dirs.get(data)?.lock.clone(),
            data: data.to_owned(),
            path: names::floor(data, self.shard),
            bytes: self.encode_floor(data, held, clean),
        })
    }

    fn encode_floor(&self, data: &Path, held: Option<&Log>, clean: bool) -> Vec<u8> {
        // A log that is deleted is there until its folder has another name; without its entry an older checkpoint would
        // speak for it.
        let is_gone =
            |log: &Log| matches!(log.health, Health::Deleting { .. }) && !self.leaving.contains(&log.name.dir);
        // For a log that could not be read, an older checkpoint must go on speaking.
        let is_due = |log: &Log| matches!(log.health, Health::Switching { started: true });
        let arrives = |log: &Log| is_due(log) && log.relocation.as_ref().is_some_and(|moving| moving.goal() == data);
        let here = |log: &&Log| (log.name.data_dir() == data || arrives(log)) && !is_gone(log) && !log.unreadable;
        let entry = |log: &Log| {
            let (start, durable) = log.promise(clean);
            let durable =
                if marks::planted!("engine: the checkpoint promises the log's end") { log.end } else { durable };
            let active_bytes = if clean { log.segments.back().map_or(0, |active| active.bytes) } else { 0 };
            let header_proof = log.header_proof(durable);
            FloorEntry { uid: log.uid, partition: log.partition, start, durable, active_bytes, header_proof }
        };
        let logs = self.logs.iter().filter_map(Option::as_deref).chain(held);
        let entries = logs.filter(here).map(entry).collect();
        let incarnation = self.dirs.get(data).map_or(0, |dir| dir.incarnation);
        FloorFile { incarnation, clean, entries }.to_file()
    }
}
