//! Deleting a whole log: its folder gets Kafka's `-delete` name at once and goes after the delay.

use super::LogSet;
use super::outcome::Result;
use crate::io::Op;
use crate::log::config::LogId;
use crate::log::event::LogEvent;
use crate::log::state::{Health, Log};
use crate::log::writer::Writer;
use crate::log::{names, tasks};
use crate::shard::Io;
use std::io;
use std::path::{Path, PathBuf};

impl LogSet {
    /// Takes the log out of service; `Deleted` follows once its files are gone, after the configured delay. A new log
    /// may take the name at once.
    pub fn delete(&mut self, id: LogId) {
        let Some(log) = self.log_mut(id) else { return };
        log.health = Health::Deleting { started: false };
        log.stop_compaction();
        for segment in &log.segments {
            segment.alive.set(false);
        }
        let (freed, dir) = (log.tail.reset(Vec::new()), log.name.dir.clone());
        let unwritten: u64 = log.writers.iter_mut().map(Writer::forget_unwritten).sum();
        self.held -= freed;
        self.unwritten -= unwritten;
        self.files.borrow_mut().forget_log(id);
        self.indexes.borrow_mut().forget_log(id);
        self.leaving.insert(dir);
        self.mark_dirty(id);
    }

    /// Nothing is in flight any more.
    pub(super) fn start_delete(&mut self, id: LogId, log: &mut Log) {
        log.health = Health::Deleting { started: true };
        log.writers.clear();
        let copy = log.relocation.take().map(|moving| moving.folder().to_owned());
        let spares: Vec<_> = log.recycled.drain(..).chain(log.prepared.take().map(|made| made.path)).collect();
        let (io, from) = (self.io.clone(), log.name.dir.clone());
        let to = names::deleted_folder(&from, &log.uid);
        self.start_on(id, log, async move {
            if let Some(copy) = copy {
                // What stays of it goes at the next start.
                let _ = remove_folder(&io, &copy).await;
            }
            Result::FolderRenamed(rename_folder(&io, &from, &to, &spares).await)
        });
    }

    pub(super) fn folder_renamed(&mut self, id: LogId, result: io::Result<()>) {
        let Some(log) = self.any_log_mut(id) else { return };
        let (dir, delay_ms) = (log.name.dir.clone(), log.config.file_delete_delay_ms);
        let folder = names::deleted_folder(&dir, &log.uid);
        if let Err(error) = result {
            tracing::error!(folder = %dir.display(), %error, "a deleted log could not be moved out of the way");
        }
        self.leaving.remove(&dir);
        self.forget_in_journal(id);
        self.checkpoint_now(id);
        let waiting = |log: &&Log| log.name.dir == dir && !matches!(log.health, Health::Deleting { .. });
        let successor = self.logs.iter().position(|log| log.as_deref().as_ref().is_some_and(waiting));
        successor.into_iter().for_each(|at| self.mark_dirty(LogId(at as u32)));
        let io = self.io.clone();
        self.start(id, async move {
            io.sleep_until(io.now().plus_millis(delay_ms)).await;
            if let Err(error) = remove_folder(&io, &folder).await {
                tracing::warn!(folder = %folder.display(), %error, "a deleted log's folder is left for the next start");
            }
            Result::Deleted
        });
    }

    pub(super) fn deleted(&mut self, id: LogId) {
        if let Some(log) = self.logs.get_mut(id.0 as usize) {
            *log = None;
        }
        self.events.push_back(LogEvent::Deleted { id });
    }
}

async fn rename_folder(io: &Io, from: &Path, to: &Path, spares: &[PathBuf]) -> io::Result<()> {
    for spare in spares {
        tasks::unlink(io, spare).await?;
    }
    // The log may have been moved away from here and back a moment ago.
    remove_folder(io, to).await?;
    match tasks::rename(io, from, to).await {
        // Never written, so there never was a folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    tasks::sync_dir(io, from.parent().unwrap_or(Path::new("."))).await
}

/// Removes a folder of files; one that is not there is fine.
pub(in crate::log) async fn remove_folder(io: &Io, folder: &Path) -> io::Result<()> {
    let done = io.call(Op::List { path: folder.to_owned(), entries: Vec::new() }).await;
    match done.result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed?,
    };
    let Op::List { entries, .. } = done.op else { unreachable!("a completion returns its op") };
    for entry in entries {
        tasks::unlink(io, &folder.join(entry.name)).await?;
    }
    io.call(Op::RemoveDir { path: folder.to_owned() }).await.result?;
    tasks::sync_dir(io, folder.parent().unwrap_or(Path::new("."))).await
}
