//! The node's lives in a run: it is started, ends, lies on its disk for a while, and is started again.

use super::Run;
use crate::cluster::process::{Phase, Process};
use crate::cluster::truth::Ended;
use crate::cluster::violation::Violation;
use engine::io::sim::{Chance, End};
use engine::time::Mono;

/// How long a start may take on a disk that works, in virtual seconds.
const START_S: u64 = 120;

/// Starts in a row that a disk in trouble may prevent before an operator mends it: faults take their course only while the node
/// serves.
const FAILED_STARTS_MAX: u64 = 30;

impl Run {
    pub(super) fn count_failed_syncs(&self) -> u64 {
        let failed = self.world.struck().into_iter().filter(|(chance, _)| *chance == Chance::SyncError);
        failed.map(|(_, count)| count).sum()
    }

    /// Starts the node and looks at everything in it, unless it ends before that.
    pub(super) fn start(&mut self, tell: &mut dyn FnMut(&str), ended: Ended) -> Result<(), Violation> {
        let (mut ended, mut failed) = (ended, 0);
        loop {
            self.starts += 1;
            let rng = self.plan.rng(&format!("start {}", self.starts));
            self.process = Some(Process::start(&self.world, &self.setup, rng));
            if let Some((nth, end)) = self.nemesis.crash_at_start() {
                self.world.end_after(nth, end);
            }
            self.serve()?;
            self.world.end_not();
            let Some(process) = &self.process else { continue };
            if !process.lives(&self.world) {
                self.summary.crashes_at_start += 1;
                ended = ended.max(self.count_end());
                tell(&format!("{:?} ended while it started", self.world.now()));
                self.process = None;
                continue;
            }
            if let Some(reason) = process.failure() {
                if !self.nemesis.is_troubled || self.is_calm {
                    return Err(Violation::NoStart(reason.to_owned()));
                }
                tell(&format!("{:?} does not start: {reason}", self.world.now()));
                self.end_process(End::Kill);
                ended = ended.max(Ended::Killed);
                self.world.advance_to(self.world.now().plus_millis(1_000));
                failed += 1;
                if failed == FAILED_STARTS_MAX {
                    self.world.faults(|faults| faults.end_all());
                }
                continue;
            }
            tell(&format!("{:?} serves", self.world.now()));
            let failed_syncs = self.count_failed_syncs();
            if std::mem::replace(&mut self.failed_syncs, failed_syncs) != failed_syncs {
                // What a failed flush covered is gone as after a power cut, where the topic had not waited for it.
                ended = Ended::PowerCut;
            }
            self.wakes_everybody = true;
            if self.audit(ended)? {
                return Ok(());
            }
            ended = ended.max(self.count_end());
            self.process = None;
        }
    }

    /// Turns until the process serves or has ended.
    fn serve(&mut self) -> Result<(), Violation> {
        let began = self.world.now();
        while let Some(process) = self.process.as_mut().filter(|process| process.phase() < Phase::Serving) {
            let ran = process.step(&self.world);
            if !process.lives(&self.world) {
                return Ok(());
            }
            let now = self.world.now();
            let patience = if self.nemesis.is_troubled && !self.is_calm { 10 * START_S } else { START_S };
            let late = began.plus_millis(patience * 1_000);
            if !ran {
                match self.world.next_time() {
                    Some(at) if at < late => self.world.advance_to(at.max(Mono(now.0 + 1))),
                    _ => return Err(Violation::NoStart(format!("it waits in {:?}", process.phase()))),
                }
            }
        }
        Ok(())
    }

    /// Counts how the world's last process ended.
    fn count_end(&mut self) -> Ended {
        if self.world.last_end() == Some(End::PowerCut) {
            self.summary.power_cuts += 1;
            Ended::PowerCut
        } else {
            self.summary.kills += 1;
            Ended::Killed
        }
    }

    pub(super) fn end_process(&mut self, end: End) {
        match end {
            End::Kill => self.world.kill(),
            End::PowerCut => self.world.crash(),
        }
        self.process = None;
    }

    /// Starts the node again if it has ended.
    pub(super) fn look_after_process(&mut self, tell: &mut dyn FnMut(&str)) -> Result<(), Violation> {
        if !self.process_has_ended() {
            return Ok(());
        }
        let Some(process) = self.process.take() else { return self.start(tell, Ended::Killed) };
        if process.lives(&self.world) {
            // It ended by itself: a clean stop, or one that came too late.
            if let Some(reason) = process.failure()
                && !self.nemesis.is_troubled
                && !(self.is_slow && reason.contains("in time"))
            {
                return Err(Violation::Stop(reason.to_owned()));
            }
            let failed = process.failure().is_some();
            tell(&format!("{:?} has stopped: {:?}", self.world.now(), process.failure()));
            self.summary.restarts += 1;
            drop(process);
            let power = self.nemesis.power_fails_after_stop();
            self.end_process(if power { End::PowerCut } else { End::Kill });
            // A clean stop has flushed everything, whatever the topics promise; one that failed has not.
            let ended = match (failed, power) {
                (false, _) => Ended::Cleanly,
                (true, true) => Ended::PowerCut,
                (true, false) => Ended::Killed,
            };
            self.rest(tell, ended);
            return self.start(tell, ended);
        }
        drop(process);
        let ended = self.count_end();
        tell(&format!("{:?} {ended:?}", self.world.now()));
        self.rest(tell, ended);
        self.start(tell, ended)
    }

    /// What happens to a disk while no process runs.
    fn rest(&mut self, tell: &mut dyn FnMut(&str), ended: Ended) {
        self.note_damage();
        if let Some(file) = self.nemesis.rots(&self.world) {
            tell(&format!("{:?} a bit of {} has flipped", self.world.now(), file.display()));
            self.note_rot(&file, ended);
        }
        if self.nemesis.wipes() {
            tell(&format!("{:?} the disk was replaced", self.world.now()));
            self.world.wipe();
            self.make_folders();
            self.truth.everything_is_gone();
            self.clients.clear();
            self.hire_operator();
        }
    }
}
