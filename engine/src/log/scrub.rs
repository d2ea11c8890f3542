//! Reading one segment again, slowly, to find what went bad while nobody asked for it. Which segment, and what follows
//! from what is found, is the set's business (`set/scrub.rs`).

use super::check::{Check, Known, Pace, check_segment};
use super::config::LogId;
use super::envelope::{self, Kind};
use super::files::{OpenFile, read_mode};
use super::index::{HeaderRule, SegmentIndex, Start};
use super::limits::{INDEX_BYTES_MAX, STATE_BYTES_MAX};
use super::reader::PlanSegment;
use super::scan::Damage;
use super::tasks::read_whole;
use crate::shard::{Class, Io, Permit};
use crate::time::Mono;
use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What a file costs besides its bytes, as bytes: many small segments are no burst either.
const FILE_COST_BYTES: usize = 64 << 10;

/// One segment to read again.
pub(super) struct Job {
    pub(super) id: LogId,
    pub(super) segment: PlanSegment,
    /// Its index file where it has one.
    pub(super) index: Option<PathBuf>,
    /// Snapshots of its log, looked at along the way.
    pub(super) snapshots: Vec<PathBuf>,
}

/// What was found in which file.
pub(super) struct Outcome {
    pub(super) id: LogId,
    pub(super) segment: PlanSegment,
    /// Bytes read.
    pub(super) bytes: u64,
    /// Records that are not what was written.
    pub(super) damage: Vec<Damage>,
    /// Files that follow from others and cannot be believed, and what is wrong with them.
    pub(super) others: Vec<(PathBuf, String)>,
}

/// Never faster than so many bytes a second, never ahead of other background work, and never beside a clean stop.
#[derive(Clone)]
pub(super) struct Slowly {
    pub(super) class: Class,
    pub(super) bytes_per_s: u64,
    /// When the next bytes may be read; shared by all jobs of a shard.
    pub(super) next: Rc<Cell<Mono>>,
    pub(super) closing: Rc<Cell<bool>>,
}

/// [`Slowly`] for one segment, as long as that is in service.
struct Turns {
    pace: Slowly,
    alive: Rc<Cell<bool>>,
    bytes: u64,
    permit: Option<Permit>,
}

impl Pace for Turns {
    async fn turn(&mut self, io: &Io, bytes: usize) -> bool {
        drop(self.permit.take());
        let at = self.pace.next.get();
        if at > io.now() {
            io.sleep_until(at).await;
        }
        let cost_ns = (bytes as u64).saturating_mul(1_000_000_000) / self.pace.bytes_per_s.max(1);
        self.pace.next.set(Mono(io.now().0.saturating_add(cost_ns)));
        self.permit = Some(self.pace.class.acquire().await);
        self.bytes += bytes as u64;
        self.alive.get() && !self.pace.closing.get()
    }
}

impl Job {
    /// Reads everything and says what is wrong with it; what could not be read is wrong, too.
    pub(super) async fn run(self, io: &Io, pace: Slowly) -> Outcome {
        let Job { id, segment, index, snapshots } = self;
        let mut turns = Turns { pace, alive: Rc::clone(&segment.alive), bytes: 0, permit: None };
        let mut others = Vec::new();
        for path in snapshots {
            let _ = turns.turn(io, FILE_COST_BYTES).await;
            if let Err(reason) = check_snapshot(io, &path).await {
                others.push((path, reason));
            }
        }
        let check = match &index {
            None => Check::new(known(&segment), segment.base, first(&segment)),
            Some(path) => {
                let _ = turns.turn(io, FILE_COST_BYTES).await;
                match load(io, path, &segment).await {
                    Ok(index) => Check::whole(&index),
                    Err(reason) => {
                        others.push((path.clone(), reason));
                        let start = Start { position: 0, rule: HeaderRule::loose(segment.base) };
                        Check::new(known(&segment), segment.base, start)
                    }
                }
            }
        };
        let damage = match read(io, &segment, check, &mut turns).await {
            Ok(damage) => damage.unwrap_or_default(),
            Err(error) => {
                others.push((segment.path.clone(), error.to_string()));
                Vec::new()
            }
        };
        Outcome { id, bytes: turns.bytes, segment, damage, others }
    }
}

async fn read(io: &Io, segment: &PlanSegment, check: Check, turns: &mut Turns) -> io::Result<Option<Vec<Damage>>> {
    let file = OpenFile::open(io, &segment.path, read_mode(io)).await?;
    check_segment(io, &file, check, turns).await
}

fn known(segment: &PlanSegment) -> Known {
    Known::part(segment.limit, segment.end)
}

fn first(segment: &PlanSegment) -> Start {
    let first = || Start { position: 0, rule: HeaderRule::loose(segment.base) };
    segment.start.clone().unwrap_or_else(first)
}

async fn load(io: &Io, path: &Path, segment: &PlanSegment) -> Result<SegmentIndex, String> {
    let file = read_whole(io, path, INDEX_BYTES_MAX).await.map_err(|error| error.to_string())?;
    let index = SegmentIndex::from_file(&file).map_err(|error| error.to_string())?;
    let is_of = index.base_offset == segment.base && index.bytes == segment.limit && index.end_offset == segment.end;
    is_of.then_some(index).ok_or_else(|| "it is the index of something else".to_owned())
}

/// One that is gone was replaced by a newer one meanwhile.
async fn check_snapshot(io: &Io, path: &Path) -> Result<(), String> {
    match read_whole(io, path, STATE_BYTES_MAX).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.to_string()),
        Ok(file) => envelope::open(Kind::Snapshot, &file).map(drop).map_err(|error| error.to_string()),
    }
}
