//! One shard's loop over a simulated world, as the node runs it: scan, recover, adopt, turn, stop.

use super::limits::{SHUTDOWN_MS, TURNS_MAX};
use super::model::Recovered;
use super::violation::Violation;
use engine::io::sim::SimWorld;
use engine::log::{LogLimits, LogSet, RecoveredLog, ShardDir, ShutdownError, recover, scan_data_dir, settle_moves};
use engine::shard::Io;
use std::cell::RefCell;
use std::future::Future;
use std::path::Path;
use std::rc::Rc;

/// The data folders; most worlds have the first only.
pub(crate) const DATA: [&str; 3] = ["/data", "/data2", "/data3"];

/// A running shard. Dropping it is a process that ends without a word.
pub(crate) struct Shard {
    pub(crate) io: Io,
    /// `None` once it was stopped.
    set: Option<LogSet>,
}

/// A log that recovery brought back, not yet in service.
pub(crate) struct Found {
    /// The folder's name.
    pub(crate) name: String,
    pub(crate) recovered: Recovered,
    pub(crate) log: RecoveredLog,
}

impl Shard {
    /// Opens everything in the first `folders` data folders, within so many turns; `None` when they did not suffice.
    pub(crate) fn boot(
        world: &SimWorld,
        limits: LogLimits,
        folders: usize,
        turns: usize,
    ) -> Result<Option<(Shard, Vec<Found>)>, Violation> {
        let io = Io::new(Box::new(world.restart()));
        let Some(opened) = block_on(&io, turns, open(io.clone(), &DATA[..folders])) else {
            io.abandon_tasks();
            return Ok(None);
        };
        let (dirs, logs) = opened.map_err(Violation::Boot)?;
        let set = Some(LogSet::new(io.clone(), limits, 0, dirs));
        Ok(Some((Shard { io, set }, logs.into_iter().map(Found::new).collect())))
    }

    #[expect(clippy::expect_used, reason = "only stop takes the set, and it takes the shard too")]
    pub(crate) fn set(&mut self) -> &mut LogSet {
        self.set.as_mut().expect("a shard that runs has its set")
    }

    /// One turn of the loop; its events wait in the set.
    pub(crate) fn turn(&mut self) {
        let mut dones = Vec::new();
        self.io.turn(&mut dones);
        dones.into_iter().for_each(|done| self.set().handle(done));
        let (now, wall) = (self.io.now(), self.io.wall());
        self.set().pump(now, wall);
        let deadline = self.set().next_deadline();
        self.io.park(deadline);
    }

    /// Starts a task, and returns where its value will be.
    pub(crate) fn start<T: 'static>(&self, task: impl Future<Output = T> + 'static) -> Rc<RefCell<Option<T>>> {
        start(&self.io, task)
    }

    /// Stops cleanly.
    pub(crate) fn stop(mut self) -> Result<(), ShutdownError> {
        let deadline = self.io.now().plus_millis(SHUTDOWN_MS);
        self.set.take().map_or(Ok(()), |set| set.shutdown(deadline, |_| {}))
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.io.abandon_tasks();
    }
}

impl Found {
    fn new(mut log: RecoveredLog) -> Found {
        let recovered = Recovered {
            snapshot: log.snapshot.take(),
            producers: log.batches_after_snapshot.iter().map(|(header, _)| header.base_offset).collect(),
            read_only: log.read_only,
            report: log.report.iter().map(|repair| format!("{:?}: {}", repair.action, repair.reason)).collect(),
        };
        let name = log.name.dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Found { name, recovered, log }
    }
}

async fn open(io: Io, folders: &[&str]) -> Result<(Vec<ShardDir>, Vec<RecoveredLog>), String> {
    let mut found = Vec::new();
    for folder in folders {
        found.push(scan_data_dir(&io, Path::new(folder)).await.map_err(|error| error.to_string())?);
    }
    settle_moves(&io, &mut found).await.map_err(|error| error.to_string())?;
    let (mut dirs, mut logs) = (Vec::new(), Vec::new());
    for dir in found {
        dirs.push(ShardDir { path: dir.path, incarnation: dir.incarnation });
        for log in dir.logs {
            logs.push(recover(&io, log.name, log.hints).await.map_err(|error| error.to_string())?);
        }
    }
    Ok((dirs, logs))
}

fn start<T: 'static>(io: &Io, task: impl Future<Output = T> + 'static) -> Rc<RefCell<Option<T>>> {
    let slot = Rc::new(RefCell::new(None));
    let result = Rc::clone(&slot);
    io.spawn(async move {
        let value = task.await;
        slot.replace(Some(value));
    });
    result
}

fn block_on<T: 'static>(io: &Io, turns: usize, task: impl Future<Output = T> + 'static) -> Option<T> {
    let result = start(io, task);
    let mut dones = Vec::new();
    for _ in 0..turns.min(TURNS_MAX) {
        io.turn(&mut dones);
        if let Some(value) = result.take() {
            return Some(value);
        }
        io.park(None);
    }
    None
}
