//! The end of a run: the faults stop, and everybody gets what he waits for.

use super::{Run, SETTLE_S};
use crate::cluster::process::Phase;
use crate::cluster::remote::Ctx;
use crate::cluster::truth::Ended;
use crate::cluster::violation::Violation;
use engine::io::sim::End;
use engine::time::Mono;

impl Run {
    /// Ends all faults, lets everybody finish, and looks at everything, before and after a clean restart.
    pub(super) fn settle(&mut self, tell: &mut dyn FnMut(&str)) -> Result<(), Violation> {
        self.world.end_not();
        self.world.faults(|faults| faults.end_all());
        self.world.drift_wall(0);
        let now = self.world.now();
        self.clients.iter_mut().for_each(|client| client.remote_mut().hold(now, now));
        let was_troubled = self.nemesis.is_troubled;
        self.nemesis.end();
        self.look_after_process(tell)?;
        self.note_damage();
        if was_troubled {
            // What was fenced by an error is verified and served again by a restart, as an operator would do it.
            self.end_process(End::Kill);
            self.start(tell, Ended::Killed)?;
        }
        self.nemesis.is_troubled = self.truth.has_damage();
        (self.is_calm, self.calm_since) = (true, self.world.now());
        tell(&format!("{:?} calm", self.world.now()));
        self.let_settle(tell)?;
        let ended = self.stop_cleanly(tell)?;
        self.clients.clear();
        self.start(tell, ended)
    }

    fn let_settle(&mut self, tell: &mut dyn FnMut(&str)) -> Result<(), Violation> {
        let until = self.world.now().plus_millis(SETTLE_S * 1_000);
        while !self.everybody_settled() {
            let now = self.world.now();
            if now >= until {
                let who = self.unsettled();
                return Err(Violation::Stuck { who, seconds: SETTLE_S });
            }
            self.work_until(Mono(now.0 + 100_000_000).min(until))?;
            // A stop that was asked for before may end only now.
            self.look_after_process(tell)?;
        }
        Ok(())
    }

    fn everybody_settled(&mut self) -> bool {
        self.unsettled().is_empty()
    }

    fn unsettled(&mut self) -> String {
        let ctx = Ctx {
            world: &self.world,
            listeners: &[],
            truth: &mut self.truth,
            now: self.world.now(),
            wall_ms: 0,
            is_calm: true,
            calm_since: self.calm_since,
            life: self.starts,
            is_troubled: false,
        };
        let busy = self.clients.iter().filter(|client| !client.is_settled(&ctx));
        let mut names: Vec<String> = busy.map(|client| client.plight(&ctx)).collect();
        if !self.admin.is_settled() {
            names.push(self.admin.remote.who.clone());
        }
        names.join(", ")
    }

    /// Stops the node, and says whether it was in time.
    fn stop_cleanly(&mut self, tell: &mut dyn FnMut(&str)) -> Result<Ended, Violation> {
        if let Some(process) = &mut self.process {
            process.request_stop();
        }
        self.work_until(self.world.now().plus_millis(10_000))?;
        match self.process.as_ref().map(|process| (process.phase(), process.failure().map(str::to_owned))) {
            Some((Phase::Ended, None)) => {}
            Some((Phase::Ended, Some(_))) if self.truth.has_damage() => {}
            // A slow disk does not flush many logs within the time that a stop has; the next start verifies them.
            Some((Phase::Ended, Some(reason))) if self.is_slow && reason.contains("in time") => {
                self.end_process(End::PowerCut);
                return Ok(Ended::PowerCut);
            }
            Some((Phase::Ended, Some(reason))) => return Err(Violation::Stop(reason)),
            _ => return Err(Violation::Stop("it takes more than ten seconds".to_owned())),
        }
        self.summary.restarts += 1;
        tell(&format!("{:?} stopped", self.world.now()));
        self.end_process(End::PowerCut);
        Ok(Ended::Cleanly)
    }
}
