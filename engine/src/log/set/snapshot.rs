//! Snapshots of the owner's state: opaque bytes in files beside the log.

use super::LogSet;
use super::outcome::Result;
use crate::log::config::LogId;
use crate::log::envelope::{self, Kind};
use crate::log::limits::SNAPSHOTS_KEPT;
use crate::log::state::{Health, Log};
use crate::log::{names, tasks};

impl LogSet {
    /// Keeps the owner's state as of offset `upto`; recovery hands back the newest one not above the recovered end.
    /// Written in the background; of several in a row the last one counts. A log that was never written keeps none:
    /// there is nothing that the state could be about.
    pub fn put_snapshot(&mut self, id: LogId, upto: i64, bytes: Vec<u8>) {
        let Some(log) = self.log_mut(id) else { return };
        log.snapshot = Some((upto, bytes));
        self.mark_dirty(id);
    }

    pub(super) fn start_snapshot(&mut self, id: LogId, log: &mut Log) {
        if log.snapshot_writing || !log.has_folder || !matches!(log.health, Health::Good) {
            return;
        }
        let Some((upto, bytes)) = log.snapshot.take() else { return };
        log.snapshot_writing = true;
        log.snapshots.retain(|&known| known != upto);
        log.snapshots.push(upto);
        log.snapshots.sort_unstable();
        let excess = log.snapshots.len().saturating_sub(SNAPSHOTS_KEPT);
        let obsolete: Vec<_> = log.snapshots.drain(..excess).map(|old| names::snapshot(&log.name.dir, old)).collect();
        let path = names::snapshot(&log.name.dir, upto);
        let (io, class) = (self.io.clone(), self.background.clone());
        self.start_on(id, log, async move {
            let _turn = class.acquire().await;
            let payload = [&upto.to_le_bytes()[..], &bytes].concat();
            let written = tasks::replace(&io, &path, envelope::seal(Kind::Snapshot, &payload)).await;
            if let Err(error) = written {
                tracing::warn!(file = %path.display(), %error, "snapshot not written: recovery reads more of the log instead");
                return Result::Snapshot;
            }
            for old in obsolete {
                // One too many does no harm; the next start lists it.
                let _ = tasks::unlink(&io, &old).await;
            }
            Result::Snapshot
        });
    }

    pub(super) fn snapshot_written(&mut self, id: LogId) {
        if let Some(log) = self.any_log_mut(id) {
            log.snapshot_writing = false;
        }
    }
}
