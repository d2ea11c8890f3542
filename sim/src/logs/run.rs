//! One run: steps from a seed, each checked against the models.

use super::batches::batch;
use super::limits::{LOGS_MAX, READ_BYTES_MAX, RECOVERY_TURNS_MAX, TURNS_MAX};
use super::model::{Ended, Model};
use super::shard::{DATA, Found, Shard};
use super::step::{Step, log_config, log_limits};
use super::violation::Violation;
use engine::io::sim::{Rng, SimWorld};
use engine::log::{Append, AppendError, LogEvent, LogId, LogLimits, LogName, LogOffsets, Read, ReadError};
use protocol::batch::patch;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// What a run without a violation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Virtual time that passed.
    pub time: Duration,
    /// Power cuts and kills, those during a recovery included.
    pub crashes: u64,
    /// Clean restarts.
    pub stops: u64,
    /// Logs that arrived in another data folder.
    pub moves: u64,
    /// Appends, reads, cuts and whatever else was asked of the logs.
    pub ops: u64,
    /// Hash over everything that happened; equal for equal seeds and steps.
    pub trace: u64,
}

/// A violation and how to see it again: `sim --seed SEED --steps STEP`.
#[derive(Debug, thiserror::Error)]
#[error("seed {seed}, step {step}: {violation}")]
pub struct Finding {
    /// The run's seed.
    pub seed: u64,
    /// Steps that were carried out.
    pub step: u64,
    /// What was wrong after the last of them.
    pub violation: Violation,
}

/// Runs `steps` steps from `seed`, then cuts the power and checks once more. Says each step before it is carried out,
/// with `name start..durable..end` of every log.
pub fn run(seed: u64, steps: u64, mut tell: impl FnMut(&str)) -> Result<Summary, Box<Finding>> {
    run_in(seed, steps, 1, &mut tell)
}

/// As [`run`], with three data folders, between which logs are moved all the time.
pub fn run_moving(seed: u64, steps: u64, mut tell: impl FnMut(&str)) -> Result<Summary, Box<Finding>> {
    run_in(seed, steps, DATA.len(), &mut tell)
}

/// As a campaign runs a seed: every third moves logs between folders.
pub fn run_drawn(seed: u64, steps: u64, mut tell: impl FnMut(&str)) -> Result<Summary, Box<Finding>> {
    run_in(seed, steps, if seed.is_multiple_of(3) { DATA.len() } else { 1 }, &mut tell)
}

fn run_in(seed: u64, steps: u64, folders: usize, tell: &mut dyn FnMut(&str)) -> Result<Summary, Box<Finding>> {
    let found = |step, violation| Box::new(Finding { seed, step, violation });
    let mut run = Run::new(seed, folders).map_err(|violation| found(0, violation))?;
    for step in 1..=steps {
        run.step(tell).map_err(|violation| found(step, violation))?;
    }
    run.crash(true).map_err(|violation| found(steps, violation))?;
    Ok(Summary { time: Duration::from_nanos(run.world.now().0), trace: run.world.trace(), ..run.summary })
}

struct Run {
    world: SimWorld,
    rng: Rng,
    /// Draws what concerns the folders, so that runs with one folder stay as they are.
    moves: Rng,
    folders: usize,
    limits: LogLimits,
    /// `None` only between two lives.
    shard: Option<Shard>,
    logs: BTreeMap<String, Model>,
    ids: BTreeMap<String, LogId>,
    /// Counts the lives, and is the leader epoch of what each appends.
    epoch: i32,
    serial: u64,
    summary: Summary,
}

impl Run {
    fn new(seed: u64, folders: usize) -> Result<Run, Violation> {
        let world = SimWorld::new(seed);
        for folder in &DATA[..folders] {
            let kept = world.write_file(Path::new(folder).join(".keep"), b"");
            kept.map_err(|error| Violation::Boot(error.to_string()))?;
        }
        let mut moves = Rng::new(seed ^ 0x6D6F_7665);
        let mut rng = Rng::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 1);
        if rng.coin() {
            world.faults(|faults| faults.disk_latency_ns = 100_000..20_000_000);
        }
        let mut limits = log_limits(&mut rng);
        if folders > 1 && moves.coin() {
            limits.relocate_bytes_per_s = 1 << (12 + moves.below(10));
        }
        let (logs, ids) = (BTreeMap::new(), BTreeMap::new());
        let (shard, epoch, serial, summary) = (None, 0, 0, Summary::default());
        let mut run = Run { world, rng, moves, folders, limits, shard, logs, ids, epoch, serial, summary };
        run.boot(Ended::Crashed)?;
        run.create();
        Ok(run)
    }

    fn step(&mut self, tell: &mut dyn FnMut(&str)) -> Result<(), Violation> {
        let step = Step::choose(&mut self.rng);
        tell(&format!("{step:?} {}", self.logs.values().map(Model::to_string).collect::<Vec<_>>().join(" ")));
        self.summary.ops += 1;
        match step {
            Step::Create => self.create(),
            Step::Append { batches } => self.append(batches)?,
            Step::Read => self.read_somewhere()?,
            Step::FindTime => self.find_time()?,
            Step::Cut => self.cut(),
            Step::AdvanceStart => self.advance_start(),
            Step::Snapshot => self.snapshot(),
            Step::Delete => self.delete(),
            Step::Wait { ms } => self.wait(ms)?,
            Step::Stop { then_power_fails } => self.stop(then_power_fails)?,
            Step::Kill => self.crash(false)?,
            Step::PowerFails => self.crash(true)?,
        }
        self.relocate()?;
        self.listen()?;
        for _ in 0..self.rng.below(5) {
            self.turn()?;
        }
        Ok(())
    }

    #[expect(clippy::expect_used, reason = "stop and crash put a shard back before they return")]
    fn shard(&mut self) -> &mut Shard {
        self.shard.as_mut().expect("a shard runs")
    }

    fn turn(&mut self) -> Result<(), Violation> {
        self.shard().turn();
        self.listen()
    }

    /// Learns what happened, and holds where each log stands against it.
    fn listen(&mut self) -> Result<(), Violation> {
        while let Some(event) = self.shard().set().poll_event() {
            self.learn(event)?;
        }
        for (name, id) in self.ids.clone() {
            let offsets = self.shard().set().offsets(id);
            self.model(&name).check_offsets(offsets)?;
        }
        Ok(())
    }

    /// Turns until the slot is filled.
    fn until<T>(&mut self, what: &str, slot: &Rc<RefCell<Option<T>>>) -> Result<T, Violation> {
        for _ in 0..TURNS_MAX {
            if let Some(value) = slot.take() {
                return Ok(value);
            }
            self.turn()?;
        }
        Err(Violation::Stuck(what.to_owned()))
    }

    fn learn(&mut self, event: LogEvent) -> Result<(), Violation> {
        let id = match &event {
            LogEvent::Durable { id, .. }
            | LogEvent::Rejected { id, .. }
            | LogEvent::Healed { id }
            | LogEvent::Fenced { id, .. }
            | LogEvent::StartMoved { id, .. }
            | LogEvent::Sealed { id, .. }
            | LogEvent::Uncompacted { id }
            | LogEvent::Damaged { id, .. }
            | LogEvent::Truncated { id, .. }
            | LogEvent::Relocated { id, .. }
            | LogEvent::NotRelocated { id, .. }
            | LogEvent::Deleted { id } => *id,
        };
        let Some(name) = self.ids.iter().find(|(_, known)| **known == id).map(|(name, _)| name.clone()) else {
            return Err(Violation::Stuck(format!("an owner of {event:?}")));
        };
        let Some(model) = self.logs.get_mut(&name) else { return Ok(()) };
        match event {
            LogEvent::Durable { upto, .. } => model.became_durable(upto),
            LogEvent::Truncated { end, .. } => model.was_cut(end),
            LogEvent::StartMoved { start, .. } => {
                model.start = model.start.max(start);
                Ok(())
            }
            LogEvent::Deleted { .. } => {
                self.logs.remove(&name);
                self.ids.remove(&name);
                Ok(())
            }
            // No bit is flipped here: what the scrub calls damaged was only busy.
            LogEvent::Rejected { .. }
            | LogEvent::Fenced { .. }
            | LogEvent::Damaged { .. }
            | LogEvent::NotRelocated { .. } => Err(Violation::OutOfService { log: name, reason: format!("{event:?}") }),
            LogEvent::Relocated { .. } => {
                self.summary.moves += 1;
                Ok(())
            }
            LogEvent::Sealed { .. } | LogEvent::Healed { .. } | LogEvent::Uncompacted { .. } => Ok(()),
        }
    }

    /// One of the logs in service; with `settled`, one that is not being cut either.
    fn pick(&mut self, settled: bool) -> Option<(String, LogId)> {
        let usable = |model: &Model| !(model.deleting || settled && model.cutting.is_some());
        let names: Vec<&String> = self.logs.iter().filter(|(_, model)| usable(model)).map(|(name, _)| name).collect();
        let name = (*names.get(self.rng.below(names.len().max(1) as u64) as usize)?).clone();
        let id = self.ids[&name];
        Some((name, id))
    }

    fn create(&mut self) {
        let name = (0..LOGS_MAX).map(|at| format!("t-{at}")).find(|name| !self.logs.contains_key(name));
        let Some(name) = name else { return };
        self.serial += 1;
        let config = log_config(&mut self.rng);
        let mut uid = *b"a topic's id \0\0\0";
        uid[8..].copy_from_slice(&self.serial.to_be_bytes());
        let partition = name[2..].parse().unwrap_or_default();
        let dir = self.folder().join(&name);
        let id = self.shard().set().create(LogName { dir }, uid, partition, config.clone(), 0);
        self.logs.insert(name.clone(), Model::new(name.clone(), uid, config));
        self.ids.insert(name, id);
    }

    /// One of the data folders.
    fn folder(&mut self) -> &'static Path {
        let at = if self.folders > 1 { self.moves.below(self.folders as u64) as usize } else { 0 };
        Path::new(DATA[at])
    }

    /// Now and then begins to move a log, perhaps to where it is.
    fn relocate(&mut self) -> Result<(), Violation> {
        if self.folders == 1 || self.moves.below(12) > 0 {
            return Ok(());
        }
        let usable = |model: &Model| !model.deleting;
        let names: Vec<String> =
            self.logs.iter().filter(|(_, model)| usable(model)).map(|(name, _)| name.clone()).collect();
        let Some(name) = names.get(self.moves.below(names.len().max(1) as u64) as usize).cloned() else {
            return Ok(());
        };
        let (to, id) = (self.folder(), self.ids[&name]);
        let moved = self.shard().set().relocate(id, to);
        moved.map_err(|error| Violation::OutOfService { log: name, reason: error.to_string() })?;
        // Most are overtaken by something else; some are let come to their end, or near it.
        for _ in 0..if self.moves.coin() { self.moves.below(400) } else { 0 } {
            if self.shard().set().future(id).is_none() {
                break;
            }
            self.turn()?;
        }
        Ok(())
    }

    fn append(&mut self, batches: u64) -> Result<(), Violation> {
        let Some((name, id)) = self.pick(true) else { return Ok(()) };
        for _ in 0..batches {
            self.summary.ops += 1;
            self.serial += 1;
            let wall = self.shard().io.wall().0;
            let written = self.shard().set().segments(id).last().map_or(0, |&(_, _, bytes)| bytes);
            // Ends near a block's border are where old bytes could join on to new ones.
            let fill = (self.rng.below(6) == 0).then(|| 8100 - written % 4096 - self.rng.below(120));
            let base = self.logs[&name].end;
            let batch = batch(&mut self.rng, base, self.epoch, self.serial, wall, fill);
            let mut sent = batch.bytes.clone();
            patch(&mut sent, 0, -1);
            let append = Append {
                bytes: &sent,
                base_offset: base,
                last_offset: batch.last,
                leader_epoch: self.epoch,
                max_timestamp: batch.max_timestamp,
                offset_of_max_timestamp: batch.last,
            };
            match self.shard().set().append(id, append) {
                Ok(_) => self.model(&name).appended(batch),
                Err(AppendError::Busy) => return Ok(()),
                Err(error) => return Err(Violation::OutOfService { log: name, reason: error.to_string() }),
            }
        }
        Ok(())
    }

    #[expect(clippy::expect_used, reason = "a log in service has an id and a model, or neither")]
    fn model(&mut self, name: &str) -> &mut Model {
        self.logs.get_mut(name).expect("the log has a model")
    }

    fn read_somewhere(&mut self) -> Result<(), Violation> {
        let Some((name, id)) = self.pick(true) else { return Ok(()) };
        let offsets = self.shard().set().offsets(id);
        if offsets.start < offsets.end {
            let from = offsets.start + self.rng.below((offsets.end - offsets.start) as u64) as i64;
            let max_bytes = self.rng.below(READ_BYTES_MAX) as usize;
            self.read(&name, id, from, max_bytes)?;
        }
        Ok(())
    }

    /// Reads and compares; returns the offset behind it, `None` when the log's start went past `from` meanwhile.
    fn read(&mut self, name: &str, id: LogId, from: i64, max_bytes: usize) -> Result<Option<i64>, Violation> {
        let slices = match self.shard().set().read(id, from, max_bytes, i64::MAX, true) {
            Read::Bytes(slices) => slices,
            Read::Disk(plan) => {
                let task = self.shard().set().read_disk(plan);
                let slot = self.shard().start(task);
                match self.until("a read", &slot)? {
                    Err(ReadError::Gone) => return Ok(None),
                    answer => answer.map_err(|error| self.model(name).read_error(from, &error))?,
                }
            }
            Read::End | Read::OutOfRange => Vec::new(),
        };
        if slices.is_empty() && self.shard().set().offsets(id).start > from {
            return Ok(None);
        }
        self.model(name).check_read(from, &slices).map(Some)
    }

    /// Reads everything that a log holds.
    fn read_all(&mut self, name: &str, id: LogId) -> Result<(), Violation> {
        let mut at = 0;
        loop {
            let offsets = self.shard().set().offsets(id);
            at = offsets.start.max(at);
            if at >= offsets.end {
                return Ok(());
            }
            at = self.read(name, id, at, READ_BYTES_MAX as usize)?.unwrap_or(at);
        }
    }

    fn find_time(&mut self) -> Result<(), Violation> {
        let Some((name, id)) = self.pick(true) else { return Ok(()) };
        let timestamp = self.shard().io.wall().0 - self.rng.below(5_000) as i64;
        let start = self.shard().set().offsets(id).start;
        let task = self.shard().set().lookup_time(id, timestamp);
        let slot = self.shard().start(task);
        let hit = match self.until("a search", &slot)? {
            Err(ReadError::Gone) => return Ok(()),
            hit => hit.map_err(|error| self.model(&name).read_error(start, &error))?,
        };
        if self.shard().set().offsets(id).start != start {
            return Ok(());
        }
        self.model(&name).check_time(start, timestamp, hit.map(|hit| hit.base_offset))
    }

    fn cut(&mut self) {
        let Some((name, id)) = self.pick(true) else { return };
        let offsets = self.shard().set().offsets(id);
        if offsets.start < offsets.end {
            let to = offsets.start + self.rng.below((offsets.end - offsets.start) as u64) as i64;
            self.shard().set().truncate_suffix(id, to);
            self.model(&name).cutting = Some(to);
        }
    }

    fn advance_start(&mut self) {
        let Some((_, id)) = self.pick(false) else { return };
        let to = self.shard().set().offsets(id).durable - self.rng.below(40) as i64;
        self.shard().set().advance_start(id, to);
    }

    fn snapshot(&mut self) {
        let Some((name, id)) = self.pick(true) else { return };
        let upto = self.shard().set().offsets(id).durable;
        if let Some(state) = self.model(&name).snapshot(upto) {
            self.shard().set().put_snapshot(id, upto, state);
        }
    }

    fn delete(&mut self) {
        let Some((name, id)) = self.pick(true) else { return };
        self.shard().set().delete(id);
        self.model(&name).deleting = true;
    }

    fn wait(&mut self, ms: u64) -> Result<(), Violation> {
        let io = self.shard().io.clone();
        let until = io.now().plus_millis(ms);
        let slot = self.shard().start(async move { io.sleep_until(until).await });
        self.until("a timer", &slot)
    }

    fn stop(&mut self, then_power_fails: bool) -> Result<(), Violation> {
        self.summary.stops += 1;
        self.shard.take().map_or(Ok(()), Shard::stop)?;
        self.logs.values_mut().filter(|model| !model.deleting).for_each(Model::was_stopped);
        if then_power_fails {
            self.world.crash();
        } else {
            self.world.kill();
        }
        self.boot(Ended::Cleanly)
    }

    fn crash(&mut self, power_fails: bool) -> Result<(), Violation> {
        self.end_life(power_fails);
        let mut turns = self.rng.below(3);
        while turns > 0 {
            turns -= 1;
            let most = 1 + self.rng.below(RECOVERY_TURNS_MAX) as usize;
            if let Some(booted) = Shard::boot(&self.world, self.limits.clone(), self.folders, most)? {
                return self.adopt(booted, Ended::Crashed);
            }
            let power_fails = self.rng.coin();
            self.end_life(power_fails);
        }
        self.boot(Ended::Crashed)
    }

    fn end_life(&mut self, power_fails: bool) {
        self.summary.crashes += 1;
        if power_fails {
            self.world.crash();
        } else {
            self.world.kill();
        }
        self.shard = None;
    }

    fn boot(&mut self, ended: Ended) -> Result<(), Violation> {
        match Shard::boot(&self.world, self.limits.clone(), self.folders, TURNS_MAX)? {
            Some(booted) => self.adopt(booted, ended),
            None => Err(Violation::Stuck("recovery".to_owned())),
        }
    }

    /// Holds everything that came back against the models, and goes on with it.
    fn adopt(&mut self, (mut shard, found): (Shard, Vec<Found>), ended: Ended) -> Result<(), Violation> {
        self.epoch += 1;
        self.ids.clear();
        for Found { name, recovered, log } in found {
            let Some(model) = self.logs.get_mut(&name) else { return Err(Violation::Resurrected { log: name }) };
            if log.uid != model.uid && model.durable == 0 {
                // A crash while the folder was made left it without its identity. Nothing in it was promised: its owner
                // removes it, as it removes any folder of a topic that it does not know.
                model.deleting = true;
                let id = shard.set().adopt(log, model.config.clone());
                shard.set().delete(id);
                self.ids.insert(name, id);
                continue;
            }
            let offsets = LogOffsets { start: log.start, durable: log.end, end: log.end };
            let ended = if model.deleting { Ended::Crashed } else { ended };
            model.check_recovered(offsets, &recovered, ended)?;
            model.settle(offsets);
            let id = shard.set().adopt(log, model.config.clone());
            self.ids.insert(name, id);
        }
        self.shard = Some(shard);
        for (name, model) in std::mem::take(&mut self.logs) {
            if self.ids.contains_key(&name) {
                self.logs.insert(name, model);
            } else if model.durable > 0 && !model.deleting {
                return Err(Violation::LogLost { log: name, durable: model.durable });
            }
        }
        let mut kept = self.ids.clone();
        kept.retain(|name, _| self.logs.get(name).is_some_and(|model| !model.deleting));
        kept.iter().try_for_each(|(name, id)| self.read_all(name, *id))
    }
}
