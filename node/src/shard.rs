//! The one loop: a shard's machines around its driver, turn by turn.
//!
//! ```text
//!            ┌────────────── completions ───────────────┐
//!   driver ──┼─► transport ── frames ──► broker ── replies ─► transport ── sends, receives ─► driver
//!            ├─► logs ─────── durable ──►   │  ├─ appends (in the call) ─► logs ── writes ────► driver
//!            ├─► tasks ────── read ─────►   │  └─ reads ──► tasks ── reads ───────────────────► driver
//!   mailbox ─┴─────────────── messages ─►   └──── messages ─► mailbox
//! ```
//! Everything of a turn is batched: one reap, one send a connection, one wake-up a peer, one submit. Meaning is the
//! broker's, bytes are the engine's; here is only the order of things.

mod peers;
mod reads;
mod stop;

use crate::cold::{ColdRead, ColdReads, LOOK_AGAIN_MS, Patience, WAIT_MS};
use crate::counts::Counts;
use crate::crew::Contents;
use crate::links::{Arrival, Links, Mail};
use crate::live::Outside;
use crate::peer_log::PeerLog;
use crate::place;
use crate::stages::Stages;
use crate::store::{self, EngineStore, Mem};
use broker::controller::plan::FoundTopic;
use broker::io::ReplyPart;
use broker::store::{LogId, Store};
use broker::{Broker, Effect, Input, Now};
use engine::io::{Done, ListenerId, Owner};
use engine::log::{LogEvent, ShutdownError};
use engine::mailbox::Parking;
use engine::mem::Slice;
use engine::shard::Io;
use engine::time::Mono;
use protocol::Uuid;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use stop::Phase;
use transport_tcp::{ConnId, TcpTransport};

/// What the loop does after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something is due already: take the next turn at once.
    Again,
    /// Nothing to do before this time, unless something completes.
    Park(Option<Mono>),
    /// The shard has ended; [`Shard::ended`] says how.
    Finished,
}

/// One core of the broker.
pub struct Shard {
    io: Io,
    transport: TcpTransport,
    broker: Broker<EngineStore>,
    links: Links,
    stages: Arc<Stages>,
    phase: Phase,
    /// What tasks found, for the broker.
    found: Rc<RefCell<VecDeque<Input<Mem>>>>,
    /// Reads that wait for memory.
    cold: Rc<RefCell<ColdReads>>,
    /// Searches by time that met a segment which left service meanwhile: ticket, log, timestamp.
    searches: Rc<RefCell<Vec<(u64, LogId, i64)>>>,
    /// What this shard last said that it waits for, in bytes.
    wanted_bytes: usize,
    peer_log: PeerLog,
    /// Of records, in answers.
    fetched: Fetched,
    /// Connections that came before the metadata was known here.
    early: Vec<Arrival>,
    /// How often somebody had asked for the counts when they were last logged.
    counts_told: usize,
    dones: Vec<Done>,
    /// Takes what is to be done outside the shards.
    outside: Box<dyn FnMut(Outside)>,
}

/// Record bytes in answers, and those of them that had to be copied.
#[derive(Clone, Copy, Debug, Default)]
struct Fetched {
    bytes: u64,
    copied_bytes: u64,
}

impl Shard {
    /// A shard whose broker has adopted its partitions.
    pub fn new(
        io: Io,
        transport: TcpTransport,
        broker: Broker<EngineStore>,
        links: Links,
        stages: Arc<Stages>,
        cold: ColdReads,
    ) -> Shard {
        let (phase, found, cold, dones) = (Phase::Serving, Rc::default(), Rc::new(RefCell::new(cold)), Vec::new());
        let (wanted_bytes, peer_log, fetched, counts_told) = (0, PeerLog::default(), Fetched::default(), 0);
        let mut shard = Shard {
            io,
            transport,
            broker,
            links,
            stages,
            phase,
            found,
            cold,
            searches: Rc::default(),
            wanted_bytes,
            peer_log,
            fetched,
            early: Vec::new(),
            counts_told,
            dones,
            outside: Box::new(drop),
        };
        let now = shard.clock(shard.io.now());
        shard.broker.start(now);
        shard
    }

    /// Lets connections be dealt out among the shards that say so, and move between them, where the driver can do that.
    pub fn share_connections(&mut self) {
        if self.io.with_driver(|driver| driver.hands_over()) {
            self.transport.share(usize::from(self.links.me().0));
        }
    }

    /// Gives what is to be done outside the shards to `outside`, instead of dropping it.
    pub fn tell_outside(&mut self, outside: impl FnMut(Outside) + 'static) {
        self.outside = Box::new(outside);
    }

    /// Accepts connections of `listener`.
    pub fn listen(&mut self, listener: ListenerId) {
        self.transport.listen(listener);
    }

    /// True once the metadata is known here, or known to be unusable: before, every topic would look unknown.
    pub fn is_loaded(&self) -> bool {
        self.broker.is_ready() || self.broker.start_failure().is_some()
    }

    /// How much the metadata lists.
    pub fn contents(&self) -> Contents {
        let image = self.broker.image();
        Contents { topics: image.topic_count(), partitions: image.partition_count() }
    }

    /// Why this shard cannot serve.
    pub fn failure(&self) -> Option<&str> {
        self.broker.start_failure()
    }

    /// Makes topics of the logs that the metadata does not know; they exist once [`Shard::knows`] their ids. For shard 0.
    /// `producer_id` is the highest in the logs of any shard.
    pub fn take_over(&mut self, found: &[FoundTopic], producer_id: Option<i64>) -> Vec<Uuid> {
        self.broker.take_over(found, producer_id)
    }

    /// True once the metadata here lists all of `topics`.
    pub fn knows(&self, topics: &[Uuid]) -> bool {
        topics.iter().all(|id| self.broker.image().topic_by_id(*id).is_some())
    }

    /// Turns and parks until `enough`, or until the shard has nothing left to do; true in the first case.
    pub fn run_until(&mut self, enough: impl Fn(&Shard) -> bool) -> bool {
        loop {
            match self.turn() {
                Turn::Finished => return false,
                _ if enough(self) => return true,
                Turn::Again => {}
                Turn::Park(until) => {
                    if let Some(_asleep) = self.fall_asleep() {
                        self.io.park(until);
                    }
                }
            }
        }
    }

    /// Turns and parks until the shard has ended.
    pub fn run(mut self) -> Result<(), ShutdownError> {
        while self.run_until(|_| false) {}
        self.ended().unwrap_or(Ok(()))
    }

    /// Announces that this shard sleeps until something completes or its time comes; senders of mail wake it while the
    /// guard lives. `None` when there is mail already: take the next turn.
    pub fn fall_asleep(&mut self) -> Option<Parking> {
        self.links.park()
    }

    /// How the shard ended; to be asked once, after [`Turn::Finished`].
    pub fn ended(&mut self) -> Option<Result<(), ShutdownError>> {
        match &mut self.phase {
            Phase::Ended(result) => result.take(),
            _ => None,
        }
    }

    /// One turn.
    pub fn turn(&mut self) -> Turn {
        let mut dones = std::mem::take(&mut self.dones);
        self.io.turn(&mut dones);
        let now = self.io.now();
        for done in dones.drain(..) {
            match done.token.owner() {
                Owner::Log => self.log_done(done),
                Owner::Net => self.transport.handle(done, now),
                Owner::Task | Owner::Node => unreachable!("tasks get theirs from Io, and the node submits none"),
            }
        }
        self.dones = dones;
        if matches!(self.phase, Phase::Closing(_) | Phase::Ended(_)) {
            return self.turn_closing(now);
        }
        if self.transport.next_deadline().is_some_and(|at| at <= now) {
            self.transport.tick(now);
        }
        self.advance_stop(now);
        if matches!(self.phase, Phase::Closing(_)) {
            return Turn::Again;
        }
        self.inputs(now);
        self.settle(now);
        self.begin_reads();
        place::large_frames(&mut self.transport, &mut self.broker);
        self.transport.set_read_pressure(self.links.is_congested());
        while let Some((token, op)) = self.transport.poll_op() {
            self.io.submit(token, op);
        }
        self.send_connections();
        self.links.flush(&self.io);
        self.tell_counts();
        self.next(now)
    }

    fn log_done(&mut self, done: Done) {
        match &mut self.phase {
            Phase::Closing(logs) => logs.handle(done),
            _ => self.broker.store_mut().logs.handle(done),
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        let store = self.broker.store();
        Counts {
            net: self.transport.tally(),
            connections: self.transport.connection_count(),
            driver_bytes: self.io.with_driver(|driver| driver.copied_bytes()),
            produced_bytes: store.produced_bytes(),
            tail_bytes: store.logs.copied_bytes(),
            edge_bytes: store.logs.edge_bytes(),
            fetched_bytes: self.fetched.bytes,
            fetch_copied_bytes: self.fetched.copied_bytes,
            mail: self.links.sent(),
        }
    }

    fn tell_counts(&mut self) {
        let asks = self.stages.count_asks();
        if std::mem::replace(&mut self.counts_told, asks) != asks {
            tracing::info!("counts of shard {}: {}", self.links.me().0, self.counts());
        }
    }

    /// Everything that happened outside, to the broker.
    fn inputs(&mut self, mono: Mono) {
        let now = self.clock(mono);
        while let Some((from, mail)) = self.links.receive() {
            match mail {
                Mail::Message(msg) => self.broker.handle(Input::Peer { from, msg }, now),
                Mail::Connection(arrival) => self.early.push(*arrival),
            }
        }
        if self.is_loaded() {
            std::mem::take(&mut self.early).into_iter().for_each(|arrival| self.arrive(arrival, mono, now));
        }
        while let Some(event) = self.transport.poll_event() {
            self.transport_event(event, now);
        }
        loop {
            let Some(input) = self.found.borrow_mut().pop_front() else { break };
            self.broker.handle(input, now);
        }
        if self.broker.next_deadline().is_some_and(|at| at <= now.mono_ms) {
            self.broker.handle(Input::Tick, now);
        }
    }

    /// Effects to where they belong, and what the logs have to say to them, until both are quiet.
    fn settle(&mut self, mono: Mono) {
        let now = self.clock(mono);
        loop {
            while let Some(effect) = self.broker.poll_effect() {
                self.act(effect);
            }
            let logs = &mut self.broker.store_mut().logs;
            logs.pump(mono, engine::time::Wall(now.wall_ms));
            let mut quiet = true;
            while let Some(event) = self.broker.store_mut().logs.poll_event() {
                note(&event);
                if let LogEvent::Relocated { from, to, .. } = &event {
                    self.broker.store_mut().recount(from, to);
                }
                if let Some(event) = store::store_event(&event) {
                    self.broker.handle(Input::Store(event), now);
                    quiet = false;
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn next(&self, now: Mono) -> Turn {
        if !self.found.borrow().is_empty() {
            return Turn::Again;
        }
        let broker = self.broker.next_deadline().map(|at| Mono(at.saturating_mul(1_000_000)));
        let drain = match self.phase {
            Phase::Draining { until } => until,
            _ => None,
        };
        let logs = self.broker.store().logs.next_deadline();
        let cold = (self.wanted_bytes > 0).then(|| now.plus_millis(LOOK_AGAIN_MS));
        let until = [self.transport.next_deadline(), broker, logs, drain, cold].into_iter().flatten().min();
        if until.is_some_and(|at| at <= now) { Turn::Again } else { Turn::Park(until) }
    }

    /// Both clocks. The broker's millisecond is rounded down, so that its deadlines are never seen early.
    fn clock(&self, mono: Mono) -> Now {
        Now { mono_ms: mono.0 / 1_000_000, wall_ms: self.io.wall().0 }
    }

    fn act(&mut self, effect: Effect<Mem>) {
        match effect {
            Effect::Reply { conn, seq, parts } => {
                let parts = parts.into_iter().map(|part| self.slice_of(part)).collect();
                self.transport.reply(ConnId(conn.0), seq, parts);
            }
            Effect::NoReply { conn, seq } => self.transport.no_reply(ConnId(conn.0), seq),
            Effect::Close { conn, seq, reason } => self.transport.close(ConnId(conn.0), seq, reason),
            Effect::Move { conn, to } => self.transport.move_to(ConnId(conn.0), usize::from(to.0)),
            Effect::Send { to, msg } => self.links.send(to, msg),
            Effect::ReadDisk { ticket, log, range, may_be_empty } => {
                let log_bytes = self.broker.store().size_bytes(log);
                let patience =
                    if may_be_empty { Patience::Until(self.io.now().plus_millis(WAIT_MS)) } else { Patience::Endless };
                self.cold.borrow_mut().ask(ColdRead { ticket, log, range, patience, cost_bytes: 0 }, log_bytes);
            }
            Effect::MeasureDirs { ticket } => self.measure_dirs(ticket),
            Effect::FindTime { ticket, log, timestamp } => self.find_time(ticket, log, timestamp),
            Effect::Reconfigured => (self.outside)(Outside::Configs(Arc::clone(self.broker.image()))),
            Effect::Loggers(loggers) => (self.outside)(Outside::Loggers(loggers)),
        }
    }

    fn slice_of(&mut self, part: ReplyPart<Mem>) -> Slice {
        let chunk = match part {
            ReplyPart::Bytes(bytes) => return Slice::from(bytes),
            ReplyPart::Chunk(chunk) => chunk,
        };
        self.fetched.bytes += chunk.len() as u64;
        self.fetched.copied_bytes += if matches!(chunk, Mem::Slice(_)) { 0 } else { chunk.len() as u64 };
        chunk.into_slice()
    }
}

/// Storage trouble goes to the operator's log here; clients hear of it from the broker.
fn note(event: &LogEvent) {
    match event {
        LogEvent::Fenced { error, .. } => {
            marks::reached!("node: a log was fenced");
            tracing::error!("a partition is out of service until a restart has verified it: {error}");
        }
        LogEvent::Rejected { id, from } => {
            tracing::error!(log = id.0, "the disk is full: records from offset {from} on were not stored; make room");
        }
        LogEvent::Damaged { file, damage, .. } => {
            tracing::error!("{}: {damage}; these records are not served: restore the file", file.display());
        }
        LogEvent::Healed { id } => {
            marks::reached!("node: a full log healed");
            tracing::info!(log = id.0, "the disk has room again");
        }
        LogEvent::Relocated { id, from, to } => {
            marks::reached!("node: a log was moved to another directory");
            tracing::info!(log = id.0, "moved from {} to {}", from.display(), to.display());
        }
        LogEvent::NotRelocated { id, error } => {
            tracing::error!(log = id.0, "not moved to another log directory, it is served where it was: {error}");
        }
        LogEvent::Durable { .. }
        | LogEvent::StartMoved { .. }
        | LogEvent::Sealed { .. }
        | LogEvent::Uncompacted { .. }
        | LogEvent::Truncated { .. }
        | LogEvent::Deleted { .. } => {}
    }
}
