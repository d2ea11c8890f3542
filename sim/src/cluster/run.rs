//! One run: a node, its clients and its misfortunes in virtual time, until the faults stop and everything has settled.

use super::admin::Admin;
use super::auditor::{Auditor, reader_of_all};
use super::client::Client;
use super::consumer::Consumer;
use super::member::Member;
use super::nemesis::{Deed, Nemesis};
use super::plan::{Feature, Plan};
use super::process::{DATA, NEVER, Phase, Process, Setup};
use super::producer::{Habits, Kind, Producer};
use super::remote::{Ctx, Remote};
use super::truth::{Ended, Part, Standing, Truth};
use super::violation::Violation;
use engine::io::sim::{Chance, End, Rng, SimWorld};
use engine::time::Mono;
use protocol::compress::Codec;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How long a start may take on a disk that works, in virtual seconds.
const START_S: u64 = 120;

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
        #[expect(clippy::expect_used, reason = "the disk is empty and works")]
        world.write_file(Path::new(DATA).join(".keep"), b"").expect("an empty disk takes a file");
        Run {
            setup: plan.setup(),
            process: None,
            truth: Truth::default(),
            admin: Admin::new(Remote::new("the administrator".to_owned(), plan.rng("admin")), plan.duties()),
            clients: Vec::new(),
            nemesis: Nemesis::new(plan),
            rng,
            made: 0,
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

    // ---- the loop

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

    /// Gives new topics and partitions somebody who uses them.
    fn employ(&mut self) {
        let born = std::mem::take(&mut self.admin.born);
        let grown = std::mem::take(&mut self.admin.grown);
        self.clients.retain(|client| !client.is_out_of_work(&self.truth));
        for topic in born {
            let parts = (0..self.truth.topics[topic].partitions.len()).map(|index| Part { topic, index: index as i32 });
            let parts: Vec<Part> = parts.collect();
            parts.iter().for_each(|part| self.hire_producer(*part));
            if self.plan.has(Feature::Groups) && self.rng.coin() {
                let is_modern = self.plan.rng(&format!("group protocol {topic}")).coin();
                for _ in 0..1 + self.rng.below(3) {
                    let remote = self.remote("member");
                    let member = Member::new(remote, format!("g{topic}"), topic);
                    self.hire(Client::Member(if is_modern { member.modern() } else { member }));
                }
            }
            if self.plan.has(Feature::Consumers) {
                let remote = self.remote("consumer");
                self.hire(Client::Consumer(Consumer::new(remote, &parts)));
            }
        }
        grown.into_iter().for_each(|part| self.hire_producer(part));
    }

    fn hire(&mut self, client: Client) {
        if self.clients.len() < self.plan.clients {
            self.clients.push(client);
        }
    }

    fn remote(&mut self, what: &str) -> Remote {
        self.made += 1;
        let who = format!("{what} {}", self.made);
        let rng = self.plan.rng(&who);
        Remote::new(who, rng)
    }

    fn hire_producer(&mut self, part: Part) {
        let mut remote = self.remote("producer");
        let rng = &mut remote.rng;
        let plain = self.plan.has(Feature::Plain) && (rng.coin() || !self.plan.has(Feature::Idempotent));
        let kind = match rng.below(6) {
            _ if !plain => Kind::Idempotent,
            0 => Kind::Plain { acks: 0 },
            1 | 2 => Kind::Plain { acks: 1 },
            _ => Kind::Plain { acks: -1 },
        };
        let large = self.plan.has(Feature::LargeBatches) && rng.below(4) == 0;
        let habits = Habits {
            kind,
            window: 1 + rng.below(5) as usize,
            gap_ms: 5 + rng.below(40),
            record_bytes: if large { 40_000 } else { [30, 300, 3_000][rng.below(3) as usize] },
            codec: if rng.below(4) == 0 { Codec::Lz4 } else { Codec::None },
            compacts: self.truth.topics[part.topic].compacts.is_some(),
        };
        let number = self.made;
        self.hire(Client::Producer(Producer::new(remote, number, part, habits)));
    }

    // ---- the process

    /// Starts the node and looks at everything in it, unless it ends before that.
    fn count_failed_syncs(&self) -> u64 {
        let failed = self.world.struck().into_iter().filter(|(chance, _)| *chance == Chance::SyncError);
        failed.map(|(_, count)| count).sum()
    }

    fn start(&mut self, tell: &mut dyn FnMut(&str), ended: Ended) -> Result<(), Violation> {
        let mut ended = ended;
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

    /// Looks at everything while nobody else acts; false if the process ended meanwhile.
    fn audit(&mut self, ended: Ended) -> Result<bool, Violation> {
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
    fn note_damage(&mut self) {
        for path in self.world.damaged() {
            let path = path.to_string_lossy().into_owned();
            for part in self.truth.parts() {
                let folder = format!("/{}-{}/", self.truth.topics[part.topic].name, part.index);
                if path.contains(&folder) {
                    self.truth.partition(part).is_damaged = true;
                }
            }
        }
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

    fn end_process(&mut self, end: End) {
        match end {
            End::Kill => self.world.kill(),
            End::PowerCut => self.world.crash(),
        }
        self.process = None;
    }

    /// Starts the node again if it has ended.
    fn look_after_process(&mut self, tell: &mut dyn FnMut(&str)) -> Result<(), Violation> {
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
            self.rest(tell)?;
            // A clean stop has flushed everything, whatever the topics promise; one that failed has not.
            return self.start(
                tell,
                if !failed {
                    Ended::Cleanly
                } else if power {
                    Ended::PowerCut
                } else {
                    Ended::Killed
                },
            );
        }
        drop(process);
        let ended = self.count_end();
        tell(&format!("{:?} {ended:?}", self.world.now()));
        self.rest(tell)?;
        self.start(tell, ended)
    }

    /// What happens to a disk while no process runs.
    fn rest(&mut self, tell: &mut dyn FnMut(&str)) -> Result<(), Violation> {
        self.note_damage();
        if let Some(file) = self.nemesis.rots(&self.world) {
            tell(&format!("{:?} a bit of {} has flipped", self.world.now(), file.display()));
            self.note_damage_of(&file);
        }
        if self.nemesis.wipes() {
            tell(&format!("{:?} the disk was replaced", self.world.now()));
            self.world.wipe();
            #[expect(clippy::expect_used, reason = "the disk is empty and works")]
            self.world.write_file(Path::new(DATA).join(".keep"), b"").expect("an empty disk takes a file");
            self.truth.everything_is_gone();
            self.clients.clear();
        }
        Ok(())
    }

    fn note_damage_of(&mut self, file: &Path) {
        let path = file.to_string_lossy();
        for part in self.truth.parts() {
            let folder = format!("/{}-{}/", self.truth.topics[part.topic].name, part.index);
            if path.contains(&folder) {
                self.truth.partition(part).is_damaged = true;
            }
        }
    }

    // ---- misfortunes

    fn strike(&mut self, tell: &mut dyn FnMut(&str)) -> Result<(), Violation> {
        let now = self.world.now();
        let Some(deed) = self.nemesis.strike(now) else { return Ok(()) };
        tell(&format!("{now:?} {deed:?}"));
        match deed {
            Deed::EndAfter { nth, end } => self.world.end_after(nth, end),
            Deed::Stop => {
                if let Some(process) = &mut self.process {
                    process.request_stop();
                }
            }
            Deed::Disk { slowness, stuck_ms } => self.world.faults(|faults| {
                faults.disk_slowness = slowness;
                faults.disk_stuck_until = now.plus_millis(stuck_ms);
            }),
            Deed::Full { spare } => {
                let used = self.world.used_bytes();
                self.world.faults(|faults| faults.capacity = spare.map_or(u64::MAX, |spare| used + spare));
            }
            Deed::Hold { to_node_ms, to_peer_ms } => {
                let count = self.clients.len() as u64;
                let held = |client: &mut Client| {
                    client.remote_mut().hold(now.plus_millis(to_node_ms), now.plus_millis(to_peer_ms));
                };
                if count > 0 {
                    let at = self.rng.below(count) as usize;
                    held(&mut self.clients[at]);
                }
            }
            Deed::JumpWall { by_ms } => self.world.jump_wall(by_ms),
            Deed::DriftWall { ppm } => self.world.drift_wall(ppm),
        }
        Ok(())
    }

    // ---- the end

    /// Ends all faults, lets everybody finish, and looks at everything, before and after a clean restart.
    fn settle(&mut self, tell: &mut dyn FnMut(&str)) -> Result<(), Violation> {
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
    }

    fn has_damage(&self) -> bool {
        self.topics.iter().flat_map(|topic| &topic.partitions).any(|partition| partition.is_damaged)
    }
}
