//! Looking at everything while nobody else acts, and what the disk did behind the node's back.

use super::{Run, SETTLE_S};
use crate::cluster::auditor::{Auditor, reader_of_all};
use crate::cluster::client::Client;
use crate::cluster::remote::Ctx;
use crate::cluster::truth::{Ended, Part};
use crate::cluster::violation::Violation;
use engine::time::Mono;
use std::path::Path;

impl Run {
    /// Looks at everything while nobody else acts; false if the process ended meanwhile.
    pub(super) fn audit(&mut self, ended: Ended) -> Result<bool, Violation> {
        self.note_damage();
        let parts = self.truth.parts();
        let remote = self.remote("the auditor");
        let mut auditor = Client::Auditor(Auditor::new(remote, parts.clone(), ended));
        if !self.alone(&mut auditor)? {
            return Ok(false);
        }
        if self.is_calm || self.rng.below(3) == 0 {
            let whole = |part: &Part| !self.truth.look(*part).is_damaged;
            let parts: Vec<Part> = parts.into_iter().filter(whole).collect();
            let remote = self.remote("the reader");
            let mut reader = Client::Consumer(reader_of_all(remote, &parts));
            let lives = self.alone(&mut reader)?;
            if let Client::Consumer(reader) = &reader
                && lives
                && reader.has_read_all(&self.truth)
            {
                self.truth.check_debts(&parts)?;
            }
            return Ok(lives);
        }
        Ok(true)
    }

    /// Lets one client act alone until it has settled; false if the process ended before.
    fn alone(&mut self, client: &mut Client) -> Result<bool, Violation> {
        let began = self.world.now();
        let bound = if self.nemesis.is_troubled && !self.is_calm { 10 * SETTLE_S } else { SETTLE_S };
        loop {
            let ran = self.process.as_mut().is_some_and(|process| process.step(&self.world));
            if self.process_has_ended() {
                return Ok(false);
            }
            let now = self.world.now();
            let none = Vec::new();
            let listeners = self.process.as_ref().map_or(&none, |process| &process.listeners);
            let touched = self.world.take_touched();
            let heard = client.remote().conn().is_some_and(|conn| touched.contains(&conn));
            let mut ctx = Ctx {
                world: &self.world,
                listeners,
                truth: &mut self.truth,
                now,
                wall_ms: self.world.wall_ms(),
                is_calm: true,
                calm_since: began,
                life: self.starts,
                is_troubled: self.nemesis.is_troubled,
            };
            let acts = heard || client.due() <= now;
            if acts {
                client.act(&mut ctx)?;
            }
            if client.is_settled(&ctx) {
                return Ok(true);
            }
            if now > began.plus_millis(bound * 1_000) {
                if self.nemesis.is_troubled && !self.is_calm {
                    return Ok(true);
                }
                return Err(Violation::Stuck { who: client.plight(&ctx), seconds: bound });
            }
            if !ran && !acts {
                let next = self.world.next_time().map_or(client.due(), |at| at.min(client.due()));
                self.world.advance_to(next.max(Mono(now.0 + 1)));
            }
        }
    }

    /// Files that the disk changed belong to partitions of which less can be asked.
    pub(super) fn note_damage(&mut self) {
        for path in self.world.damaged() {
            for part in self.parts_in(&path) {
                self.truth.partition(part).is_damaged = true;
            }
        }
    }

    /// A bit of a file has flipped while no process ran. After a clean stop all that was promised was flushed, and is known to have
    /// been.
    pub(super) fn note_rot(&mut self, file: &Path, ended: Ended) {
        for part in self.parts_in(file) {
            let is_segment = file.extension().is_some_and(|kind| kind == "log");
            let partition = self.truth.partition(part);
            if is_segment && ended == Ended::Cleanly && !partition.is_damaged {
                partition.kept_below = partition.promised.max(partition.high);
            }
            partition.is_damaged = true;
        }
    }

    /// Whose file it is, also in a copy that another folder has of it.
    fn parts_in(&self, file: &Path) -> Vec<Part> {
        let path = file.to_string_lossy();
        let is_in = |part: &Part| {
            let folder = format!("/{}-{}", self.truth.topics[part.topic].name, part.index);
            path.contains(&format!("{folder}/")) || path.contains(&format!("{folder}."))
        };
        self.truth.parts().into_iter().filter(is_in).collect()
    }
}
