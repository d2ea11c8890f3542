//! Power cuts at every moment. A run appends, truncates, retains and recycles from a seed until the power fails; then the
//! log is opened again and must hold a prefix of what was appended that covers everything durable, with nothing that was
//! taken back. Then it goes on and fails again, because recovery's own leftovers are where phantoms come from.

use crate::rig::{Rig, limits, small, verify};
use engine::io::sim::{Rng, SimWorld};
use engine::log::{LogConfig, LogEvent, LogId, LogLimits, ReadError};
use std::path::Path;

/// What the log must be, as the workload knows it.
#[derive(Default)]
pub(crate) struct Model {
    /// Base, last offset and serial number of each batch.
    batches: Vec<(i64, i64, i64)>,
    pub(crate) durable: i64,
    start: i64,
    /// A truncation that was asked for and is not yet said to be done.
    truncating: Option<i64>,
    pub(crate) serial: i64,
}

impl Model {
    /// An empty log whose batches are told from those of this one.
    pub(crate) fn anew(&self) -> Model {
        Model { serial: self.serial, ..Model::default() }
    }

    fn end(&self) -> i64 {
        self.batches.last().map_or(0, |&(_, last, _)| last + 1)
    }

    fn cut(&mut self, end: i64) {
        self.batches.retain(|&(_, last, _)| last < end);
        self.durable = self.durable.min(end);
    }

    pub(crate) fn learn(&mut self, events: &[LogEvent]) {
        for event in events {
            match *event {
                LogEvent::Durable { upto, .. } => self.durable = upto,
                LogEvent::StartMoved { start, .. } => self.start = start,
                LogEvent::Truncated { end, .. } => {
                    self.truncating = None;
                    self.cut(end);
                }
                LogEvent::Rejected { from, .. } => self.cut(from),
                _ => {}
            }
        }
    }

    /// Checks a recovered log, and takes its end for the model's.
    pub(crate) fn check(&mut self, rig: &mut Rig, id: LogId, label: &str) {
        let offsets = rig.set().offsets(id);
        let promised = self.truncating.map_or(self.durable, |to| self.durable.min(to - 3));
        assert!(offsets.end >= promised, "{label}: durable {promised}, recovered {offsets:?} {:?}", rig.reports);
        assert!(offsets.start <= self.start.max(0) + 100_000, "{label}: start");
        let mut seen = Vec::new();
        let mut at = offsets.start;
        while at < offsets.end {
            let slices = match rig.fetch(id, at, 64 << 10) {
                // Retention goes on while we look.
                Err(ReadError::Gone) => {
                    seen.clear();
                    at = rig.set().offsets(id).start;
                    continue;
                }
                fetched => fetched.unwrap_or_else(|error| panic!("{label}: {error}: {:?}", rig.reports)),
            };
            let found = verify(&slices);
            let Some(&(_, last)) = found.last() else {
                panic!("{label}: nothing at {at} of {offsets:?}: {:?}", rig.reports)
            };
            let serials = slices.iter().flat_map(|slice| protocol::batch::iter_batches(slice));
            seen.extend(
                serials.map(|view| view.unwrap()).map(|v| (v.base_offset(), v.last_offset(), v.max_timestamp())),
            );
            at = last + 1;
        }
        let from = seen.first().map_or(0, |&(base, _, _)| self.batches.partition_point(|batch| batch.0 < base));
        let known = &self.batches[from..];
        for (seen, known) in seen.iter().zip(known) {
            assert_eq!(seen, known, "{label}: not what was appended there; {offsets:?} {:?}", rig.reports);
        }
        assert!(seen.len() <= known.len(), "{label}: {} batches, {} were appended", seen.len(), known.len());
        assert!(rig.reports.iter().all(|report| !report.contains("ReadOnly")), "{label}: {:?}", rig.reports);
        self.truncating = None;
        self.cut(offsets.end);
        self.durable = offsets.end;
    }
}

pub(crate) fn hot() -> LogLimits {
    // Every log counts as hot, so that removed segments are recycled.
    LogLimits { spare_rate_min: 0, retention_check_ms: 2, ..limits() }
}

pub(crate) fn config(rng: &mut Rng) -> LogConfig {
    let retention_bytes = if rng.coin() { 60 << 10 } else { -1 };
    LogConfig { segment_bytes: 16 << 10, retention_bytes, ..small() }
}

/// Works until `turns` turns went by.
fn work(rig: &mut Rig, id: LogId, model: &mut Model, rng: &mut Rng, turns: u64) {
    for _ in 0..turns {
        act(rig, id, model, rng);
        rig.turn();
        model.learn(&std::mem::take(&mut rig.events));
    }
}

/// What a client does to a log before a turn.
pub(crate) fn act(rig: &mut Rig, id: LogId, model: &mut Model, rng: &mut Rng) {
    for _ in 0..rng.below(4) {
        let most = if rng.below(5) == 0 { 9000 } else { 900 };
        let (records, bytes) = (1 + rng.below(3) as i32, 100 + rng.below(most));
        // Ends on and near block boundaries are where old bytes could join.
        let position = rig.set().segments(id).last().map_or(0, |last| last.2);
        let bytes = if rng.below(8) == 0 { (8192 - position % 4096 - rng.below(62)).max(100) } else { bytes };
        let base = rig.set().offsets(id).end;
        model.serial += 1;
        if rig.append_at(id, records, bytes as usize, model.serial).is_ok() {
            model.batches.push((base, base + i64::from(records) - 1, model.serial));
        }
    }
    if rng.below(60) == 0 && model.truncating.is_none() && model.end() > 0 {
        let offsets = rig.set().offsets(id);
        let to = offsets.start + rng.below((offsets.end - offsets.start).max(1) as u64) as i64;
        if to < offsets.end {
            model.truncating = Some(to);
            rig.set().truncate_suffix(id, to);
        }
    }
    if rng.below(80) == 0 {
        let to = rig.set().offsets(id).durable - rng.below(40) as i64;
        rig.set().advance_start(id, to);
    }
}

fn run(seed: u64, turns: u64, kill: bool) {
    let world = SimWorld::new(seed);
    world.write_file("/data/.keep", b"").unwrap();
    let mut rng = Rng::new(seed ^ turns << 20);
    let config = config(&mut rng);
    let mut model = Model::default();
    for round in 0..4 {
        let label = format!("seed {seed}, {turns} turns, round {round}");
        let mut rig = Rig::boot(Box::new(world.restart()), Path::new("/data"), &config, hot());
        let id = match rig.logs.get("t-0") {
            Some(&id) => {
                model.check(&mut rig, id, &label);
                id
            }
            None => {
                assert_eq!(model.durable, 0, "{label}: the whole log is gone");
                model = model.anew();
                rig.create("t-0", config.clone())
            }
        };
        work(&mut rig, id, &mut model, &mut rng, turns / (round + 1));
        if kill {
            world.kill();
        } else {
            world.crash();
        }
    }
}

#[test]
fn a_power_cut_at_any_moment_leaves_what_was_durable_and_no_phantom() {
    for seed in 0..12 {
        for turns in (1..120).step_by(3).chain([200, 400, 700]) {
            run(seed, turns, false);
        }
    }
}

#[test]
fn a_kill_at_any_moment_likewise() {
    for seed in 100..104 {
        for turns in (1..120).step_by(7).chain([300]) {
            run(seed, turns, true);
        }
    }
}

#[test]
fn a_crash_while_recovering_is_one_crash_more() {
    for seed in 0..20 {
        let world = SimWorld::new(seed);
        world.write_file("/data/.keep", b"").unwrap();
        let mut rng = Rng::new(seed);
        let config = config(&mut rng);
        let mut model = Model::default();
        let mut rig = Rig::boot(Box::new(world.restart()), Path::new("/data"), &config, hot());
        let id = rig.create("t-0", config.clone());
        work(&mut rig, id, &mut model, &mut rng, 150);
        world.crash();
        drop(rig);
        for turns in (1..60).step_by(4) {
            let io = engine::shard::Io::new(Box::new(world.restart()));
            let task_io = io.clone();
            let _ = crate::rig::block_on(&io, turns, async move {
                let found =
                    engine::log::scan_data_dir(&task_io, Path::new("/data")).await.map_err(|e| e.to_string())?;
                for log in found.logs {
                    engine::log::recover(&task_io, log.name, log.hints).await.map_err(|e| e.to_string())?;
                }
                Ok(())
            });
            world.crash();
            io.abandon_tasks();
        }
        let mut rig = Rig::boot(Box::new(world.restart()), Path::new("/data"), &config, hot());
        let id = rig.logs["t-0"];
        model.check(&mut rig, id, &format!("seed {seed}"));
    }
}
