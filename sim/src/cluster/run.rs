//! One run: a node, its clients and its misfortunes in virtual time, until the faults stop and everything has settled.

mod end;
mod life;
mod look;
mod staff;
mod strike;

use super::admin::Admin;
use super::client::Client;
use super::nemesis::Nemesis;
use super::plan::Plan;
use super::process::{DATA, NEVER, Phase, Process, Setup};
use super::remote::{Ctx, Remote};
use super::truth::{Ended, Standing, Truth};
use super::violation::Violation;
use engine::io::sim::{Chance, Rng, SimWorld};
use engine::time::Mono;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How long everything may take to settle once the faults have stopped, in virtual seconds.
const SETTLE_S: u64 = 120;

/// Turns at one moment of virtual time before the node counts as spinning.
const TURNS_MAX: u64 = 2_000_000;

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Virtual time that passed.
    pub time: Duration,
    /// Kills, those during a start included.
    pub kills: u64,
    /// Power cuts, those during a start included.
    pub power_cuts: u64,
    /// Kills and power cuts before the node served again.
    pub crashes_at_start: u64,
    /// Clean restarts.
    pub restarts: u64,
    /// Requests of clients that were answered.
    pub answers: u64,
    /// Batches acknowledged.
    pub acknowledged: u64,
    /// Batches read and checked.
    pub read: u64,
    /// Faults by kind.
    pub faults: BTreeMap<String, u64>,
    /// Hash over everything that happened.
    pub trace: u64,
}

/// A violation, and when it showed.
#[derive(Debug, thiserror::Error)]
#[error("seed {seed} at {at:.3?}: {violation}")]
pub struct Finding {
    /// The run's seed.
    pub seed: u64,
    /// Virtual time.
    pub at: Duration,
    /// What was wrong.
    pub violation: Violation,
}

/// Runs a plan to its end. `tell` hears what happens to the node.
pub fn run(plan: &Plan, tell: &mut dyn FnMut(&str)) -> Result<Summary, Box<Finding>> {
    let mut run = Run::new(plan);
    run.make_folders();
    run.hire_operator();
    let outcome = run.go(tell);
    let at = Duration::from_nanos(run.world.now().0);
    let seed = plan.seed;
    outcome.map_err(|violation| Box::new(Finding { seed, at, violation }))?;
    Ok(run.into_summary())
}

struct Run {
    plan: Plan,
    world: SimWorld,
    setup: Setup,
    process: Option<Process>,
    truth: Truth,
    admin: Admin,
    clients: Vec<Client>,
    nemesis: Nemesis,
    rng: Rng,
    /// Counts clients, which gives each its own stream.
    made: u32,
    operators: u32,
    starts: u64,
    /// Flushes that had failed at the last start.
    failed_syncs: u64,
    is_calm: bool,
    calm_since: Mono,
    /// Everybody is to look at his connection.
    wakes_everybody: bool,
    /// Each op of the disk takes milliseconds.
    is_slow: bool,
    summary: Summary,
}

impl Run {
    fn new(plan: &Plan) -> Run {
        let world = SimWorld::new(plan.rng("world").next_u64());
        world.take_the_clock();
        world.spare(&[".ringlog/cluster", "__consumer_offsets", ".rckp", ".rjnl"]);
        let mut rng = plan.rng("run");
        let slow = rng.below(3);
        world.faults(|faults| {
            faults.disk_latency_ns =
                [20_000..200_000, 100_000..2_000_000, 1_000_000..20_000_000][slow as usize].clone();
            faults.net_latency_ns = [1_000..50_000, 100_000..3_000_000][rng.below(2) as usize].clone();
        });
        Run {
            setup: plan.setup(),
            process: None,
            truth: Truth::default(),
            admin: Admin::new(Remote::new("the administrator".to_owned(), plan.rng("admin")), plan.duties()),
            clients: Vec::new(),
            nemesis: Nemesis::new(plan),
            rng,
            made: 0,
            operators: 0,
            starts: 0,
            failed_syncs: 0,
            is_calm: false,
            calm_since: Mono(0),
            wakes_everybody: false,
            is_slow: slow == 2,
            summary: Summary::default(),
            plan: plan.clone(),
            world,
        }
    }

    /// The disk is empty: the data folders are made.
    fn make_folders(&self) {
        for folder in &DATA[..self.setup.folders] {
            let made = self.world.write_file(Path::new(folder).join(".keep"), b"");
            #[expect(clippy::expect_used, reason = "the disk is empty and works")]
            made.expect("an empty disk takes a file");
        }
    }

    fn go(&mut self, tell: &mut dyn FnMut(&str)) -> Result<(), Violation> {
        self.start(tell, Ended::Cleanly)?;
        let chances = self.plan.chances();
        self.world.faults(|faults| chances.iter().for_each(|(chance, odds)| faults.set_odds(*chance, *odds)));
        let end = Mono(self.plan.seconds * 1_000_000_000);
        while self.world.now() < end {
            self.work_until(end)?;
            self.look_after_process(tell)?;
            if self.nemesis.due() <= self.world.now() {
                self.strike(tell)?;
            }
        }
        self.settle(tell)
    }

    fn into_summary(self) -> Summary {
        let mut faults = self.nemesis.counts.clone();
        for (chance, count) in self.world.struck() {
            faults.insert(format!("{chance:?}"), count);
        }
        Summary {
            time: Duration::from_nanos(self.world.now().0),
            answers: self.truth.answered,
            acknowledged: self.truth.acknowledged,
            read: self.truth.read,
            trace: self.world.trace() ^ self.truth.acknowledged.rotate_left(32) ^ self.truth.read,
            faults,
            ..self.summary
        }
    }

    /// Lets the node and its clients act until the process ends, a misfortune is due, or `end` has come.
    fn work_until(&mut self, end: Mono) -> Result<(), Violation> {
        let mut spins = 0;
        loop {
            let ran = self.process.as_mut().is_some_and(|process| process.step(&self.world));
            let acted = self.clients_act()?;
            let now = self.world.now();
            if self.process_has_ended() || now >= end || self.nemesis.due() <= now {
                return Ok(());
            }
            if ran || acted {
                spins += 1;
                if spins > TURNS_MAX {
                    return Err(Violation::Stuck { who: "the node, which turns without end".to_owned(), seconds: 0 });
                }
                continue;
            }
            spins = 0;
            let next = self.next_client_due().min(end).min(self.nemesis.due());
            let next = self.world.next_time().map_or(next, |at| at.min(next));
            self.world.advance_to(next.max(Mono(now.0 + 1)));
        }
    }

    fn process_has_ended(&self) -> bool {
        self.process.as_ref().is_none_or(|process| process.phase() == Phase::Ended || !process.lives(&self.world))
    }

    /// Lets everybody act who hears something or whose time has come; true if anybody did.
    fn clients_act(&mut self) -> Result<bool, Violation> {
        let touched = self.world.take_touched();
        let now = self.world.now();
        let heard = |remote: &Remote| remote.conn().is_some_and(|conn| touched.contains(&conn));
        let mut acted = false;
        let (truth, world) = (&mut self.truth, &self.world);
        let none = Vec::new();
        let listeners = self.process.as_ref().map_or(&none, |process| &process.listeners);
        let mut ctx = Ctx {
            world,
            listeners,
            truth,
            now,
            wall_ms: world.wall_ms(),
            is_calm: self.is_calm,
            calm_since: self.calm_since,
            life: self.starts,
            is_troubled: self.nemesis.is_troubled,
        };
        // While the auditor was alone with the node, nobody else heard that his connection had ended.
        let everybody = std::mem::take(&mut self.wakes_everybody);
        if everybody || heard(&self.admin.remote) || self.admin.due() <= now {
            acted = true;
            self.admin.act(&mut ctx)?;
        }
        for client in &mut self.clients {
            if everybody || heard(client.remote()) || client.due() <= now {
                acted = true;
                client.act(&mut ctx)?;
            }
        }
        if acted {
            self.employ();
        }
        Ok(acted)
    }

    fn next_client_due(&self) -> Mono {
        let clients = self.clients.iter().map(Client::due);
        clients.chain([self.admin.due()]).min().unwrap_or(NEVER)
    }
}

/// Chances that make storage errors right, as opposed to mere delays.
pub(crate) fn troubles(chance: Chance) -> bool {
    !matches!(chance, Chance::PacketLoss | Chance::Reset)
}

impl Truth {
    /// The disk was replaced: what was there counts as deleted, by an operator who knew.
    fn everything_is_gone(&mut self) {
        for topic in &mut self.topics {
            topic.standing = Standing::Deleted;
        }
        self.producer_ids.clear();
        self.groups.clear();
        self.ledger.clear();
        self.other_configs.clear();
    }

    fn has_damage(&self) -> bool {
        self.topics.iter().flat_map(|topic| &topic.partitions).any(|partition| partition.is_damaged)
    }
}
