//! Looks at a folder as a start, `verify` and consumers do, in a simulated world: a thousand folders a minute, and nothing
//! that one of them repairs is left for the next.

use crate::written::File;
use engine::io::sim::SimWorld;
use engine::io::{Done, Owner};
use engine::log::{
    Finding, LogConfig, LogEvent, LogId, LogLimits, LogSet, Read, ReadError, ShardDir, Verified, recover, scan_data_dir,
};
use engine::mem::Slice;
use engine::shard::Io;
use protocol::batch::iter_batches;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub(crate) const DATA: &str = "/data";
/// The metadata's home, a data folder of its own.
pub(crate) const HOME: &str = "/data/.ringlog/cluster";

/// What there is to see of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) uid: [u8; 16],
    pub(crate) start: i64,
    pub(crate) end: i64,
    epochs: Vec<(i32, i64)>,
    /// Segment's base offset, its bytes.
    pub(crate) segments: Vec<(i64, i64, u64)>,
    /// By base offset.
    pub(crate) batches: BTreeMap<i64, Vec<u8>>,
}

/// Everything that a start and consumers see.
#[derive(Default)]
pub(crate) struct Look {
    pub(crate) logs: BTreeMap<PathBuf, Seen>,
    /// What the start says.
    pub(crate) reports: BTreeSet<String>,
    /// Files and offsets that reads refused.
    pub(crate) refused: Vec<(PathBuf, i64)>,
    /// What the scrub says.
    pub(crate) scrubbed: Vec<(PathBuf, i64)>,
    /// State that the owner gets back, by log and offset.
    pub(crate) snapshots: BTreeMap<(PathBuf, i64), Vec<u8>>,
}

/// A world whose disk holds these files.
pub(crate) fn world(files: &[File]) -> SimWorld {
    let world = SimWorld::new(1);
    for file in files {
        world.write_file(Path::new(DATA).join(&file.path), &file.bytes).expect("a new world has room");
    }
    world
}

pub(crate) fn verify(world: &SimWorld) -> Verified {
    let io = Io::new(Box::new(world.driver()));
    let task_io = io.clone();
    let task = async move { engine::log::verify(&task_io, Path::new(DATA)).await };
    let verified = io.block_on(task, |_| {}).expect("it can be listed");
    io.abandon_tasks();
    verified
}

/// True when this is what the finding is about.
pub(crate) fn names(finding: &Finding, file: &Path, offset: Option<i64>) -> bool {
    let of_file = finding.file == Path::new(DATA).join(file);
    of_file && offset.is_none_or(|offset| finding.offsets.as_ref().is_some_and(|range| range.contains(&offset)))
}

/// Starts on the world and reads everything. `truth` says where batches begin, once that is known.
pub(crate) fn look(world: &SimWorld, truth: Option<&Look>) -> Look {
    let io = Io::new(Box::new(world.driver()));
    let mut look = Look::default();
    let dirs: Vec<PathBuf> = [DATA, HOME].into_iter().map(PathBuf::from).collect();
    let dirs = dirs.into_iter().filter(|dir| world.fs_list().iter().any(|(path, _)| path.starts_with(dir)));
    let mut shard = Shard::new(&io, dirs.collect(), &mut look);
    let ids = shard.ids.clone();
    for (dir, id) in ids {
        shard.read_all(&dir, id, truth.and_then(|truth| truth.logs.get(&dir)), &mut look);
    }
    shard.finish_scrub(&mut look);
    io.abandon_tasks();
    look
}

struct Shard {
    io: Io,
    set: LogSet,
    ids: Vec<(PathBuf, LogId)>,
    damaged: Vec<(PathBuf, i64)>,
}

impl Shard {
    fn new(io: &Io, dirs: Vec<PathBuf>, look: &mut Look) -> Shard {
        let (task_io, paths) = (io.clone(), dirs);
        let task = async move {
            let (mut dirs, mut logs, mut reports) = (Vec::new(), Vec::new(), Vec::new());
            for path in paths {
                let found = scan_data_dir(&task_io, &path).await.expect("it can be listed");
                dirs.push(ShardDir { path, incarnation: found.incarnation });
                reports.extend(found.report);
                for log in found.logs {
                    logs.push(recover(&task_io, log.name, log.hints).await.expect("it can be read"));
                }
            }
            (dirs, logs, reports)
        };
        let (dirs, logs, reports) = io.block_on(task, |_| {});
        let limits = LogLimits { scrub_interval_ms: 1000, scrub_bytes_per_s: 1 << 40, ..LogLimits::default() };
        let mut set = LogSet::new(io.clone(), limits, 0, dirs);
        let said = reports.iter().chain(logs.iter().flat_map(|log| &log.report));
        look.reports = said.map(|repair| format!("{} {:?}", repair.file.display(), repair)).collect();
        let mut ids = Vec::new();
        for mut log in logs {
            let dir = log.name.dir.clone();
            let seen = Seen {
                uid: log.uid,
                start: log.start,
                end: log.end,
                epochs: log.epochs.entries().to_vec(),
                segments: log.segments(),
                batches: BTreeMap::new(),
            };
            look.logs.insert(dir.clone(), seen);
            if let Some((upto, state)) = log.snapshot.take() {
                look.snapshots.insert((dir.clone(), upto), state);
            }
            ids.push((dir, set.adopt(log, LogConfig { retention_ms: -1, ..LogConfig::default() })));
        }
        Shard { io: io.clone(), set, ids, damaged: Vec::new() }
    }

    fn turn(&mut self) {
        let mut dones: Vec<Done> = Vec::new();
        self.io.turn(&mut dones);
        for done in dones {
            assert_eq!(done.token.owner(), Owner::Log);
            self.set.handle(done);
        }
        let (now, wall) = (self.io.now(), self.io.wall());
        self.set.pump(now, wall);
        while let Some(event) = self.set.poll_event() {
            if let LogEvent::Damaged { file, damage, .. } = event {
                self.damaged.push((file, damage.base_offset));
            }
        }
        let deadline = self.set.next_deadline();
        self.io.park(deadline);
    }

    fn run<T: 'static>(&mut self, task: impl Future<Output = T> + 'static) -> T {
        let slot = Rc::new(RefCell::new(None));
        let result = Rc::clone(&slot);
        self.io.spawn(async move {
            let value = task.await;
            result.replace(Some(value));
        });
        loop {
            if let Some(value) = slot.take() {
                return value;
            }
            self.turn();
        }
    }

    fn fetch(&mut self, id: LogId, from: i64) -> Result<Vec<Slice>, ReadError> {
        match self.set.read(id, from, 1 << 20, i64::MAX, true) {
            Read::Bytes(slices) => Ok(slices),
            Read::Disk(plan) => {
                let task = self.set.read_disk(plan);
                self.run(task)
            }
            Read::End | Read::OutOfRange => Ok(Vec::new()),
        }
    }

    /// Every batch that is served, from the start to the end; behind one that is refused it goes on with the next.
    fn read_all(&mut self, dir: &Path, id: LogId, truth: Option<&Seen>, look: &mut Look) {
        let Some(mut seen) = look.logs.remove(dir) else { return };
        let mut at = seen.start;
        while at < seen.end {
            match self.fetch(id, at) {
                Ok(slices) if slices.is_empty() => break,
                Ok(slices) => {
                    for view in slices.iter().flat_map(|slice| iter_batches(slice)) {
                        let view = view.expect("only whole batches are handed out");
                        seen.batches.insert(view.base_offset(), view.bytes().to_vec());
                        at = view.next_offset();
                    }
                }
                Err(error) => {
                    let next = truth.and_then(|truth| truth.batches.range(at + 1..).next());
                    let ReadError::Corrupt { file, .. } = error else { panic!("reading {at}: {error}") };
                    look.refused.push((file, at));
                    at = next.map_or(seen.end, |(&base, _)| base);
                }
            }
        }
        look.logs.insert(dir.to_owned(), seen);
    }

    /// Lets the scrub get through everything once.
    fn finish_scrub(&mut self, look: &mut Look) {
        let end = self.io.now().plus_millis(1500);
        let io = self.io.clone();
        self.run(async move { io.sleep_until(end).await });
        look.scrubbed = std::mem::take(&mut self.damaged);
    }
}
