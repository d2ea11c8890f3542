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

use crate::cold::{ColdRead, ColdReads, LOOK_AGAIN_MS, Patience, WAIT_MS};
use crate::counts::Counts;
use crate::crew::Contents;
use crate::links::{Arrival, Links, Mail};
use crate::live::Outside;
use crate::peer_log::PeerLog;
use crate::place;
use crate::stages::{DRAIN_MS, FLUSH_MS, Stages};
use crate::store::{self, EngineStore, Mem};
use broker::controller::plan::FoundTopic;
use broker::io::{ReadFault, ReplyPart};
use broker::log_dirs::Volume;
use broker::store::{LogId, Store};
use broker::{Baggage, Broker, Effect, Input, Now, ShardId};
use engine::io::{Done, ListenerId, Op, Owner};
use engine::log::{LogEvent, Read, ReadError, Shutdown, ShutdownError};
use engine::mailbox::Parking;
use engine::mem::Slice;
use engine::shard::Io;
use engine::time::Mono;
use protocol::Uuid;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use transport_tcp::{CloseReason, ConnId, Event, Leaving, TcpTransport};

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

/// How far stopping has come.
enum Phase {
    Serving,
    /// No new connection; open ones may get their answers until then. None once they were told to go.
    Draining {
        until: Option<Mono>,
    },
    /// No connection is left; other shards may still need answers.
    Drained,
    /// No shard has a connection: the logs flush everything and are marked clean.
    Closing(Box<Shutdown>),
    /// Nothing is left to do.
    Ended(Option<Result<(), ShutdownError>>),
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

    /// Flushes everything, marks the logs clean, and ends the shard.
    fn begin_close(&mut self, now: Mono) {
        self.broker.keep_snapshots();
        tracing::debug!("counts of shard {}: {}", self.links.me().0, self.counts());
        let logs = self.broker.store_mut().take_logs(&self.io);
        self.phase = Phase::Closing(Box::new(logs.begin_shutdown(now.plus_millis(FLUSH_MS))));
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

    fn turn_closing(&mut self, now: Mono) -> Turn {
        // What the others still say concerns nobody here any more.
        while let Some((_, mail)) = self.links.receive() {
            self.turn_away(mail);
        }
        let Phase::Closing(logs) = &mut self.phase else { return Turn::Finished };
        match logs.poll(now, self.io.wall()) {
            None => Turn::Park(Some(logs.next_deadline())),
            Some(result) => {
                self.phase = Phase::Ended(Some(result));
                self.io.abandon_tasks();
                Turn::Finished
            }
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

    /// Connections that other shards are to have leave.
    fn send_connections(&mut self) {
        while let Some(Leaving { to, conn, socket, moving }) = self.transport.poll_leaving() {
            let baggage = conn.map_or_else(Baggage::default, |conn| self.broker.depart(broker::ConnId(conn.0)));
            let Some(socket) = self.io.with_driver(|driver| driver.release_conn(socket)) else {
                unreachable!("only a driver that hands over shares its connections")
            };
            if conn.is_some() {
                marks::reached!("node: a connection moved to another shard");
            }
            let to = ShardId(u16::try_from(to).unwrap_or_else(|_| unreachable!("shards have 16 bits")));
            if let Err(arrival) = self.links.send_connection(to, Box::new(Arrival { socket, moving, baggage })) {
                self.turn_away(Mail::Connection(arrival));
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival, mono: Mono, now: Now) {
        let Arrival { socket, moving, baggage } = arrival;
        let (peer, local) = (moving.peer, moving.local);
        let socket = match self.io.with_driver(|driver| driver.adopt_conn(socket)) {
            Ok(socket) => socket,
            Err(error) => {
                self.transport.lose(&moving);
                return tracing::error!(%peer, "a connection was lost between two shards: {error}");
            }
        };
        if let Some(conn) = self.transport.adopt(socket, moving, mono) {
            self.broker.handle(Input::Arrived { conn: broker::ConnId(conn.0), peer, local, baggage }, now);
        }
    }

    /// Closes a connection that nobody will serve any more.
    fn turn_away(&mut self, mail: Mail) {
        if let Mail::Connection(arrival) = mail
            && let Ok(conn) = self.io.with_driver(|driver| driver.adopt_conn(arrival.socket))
        {
            self.io.detach(Op::CloseConn { conn });
        }
    }

    fn transport_event(&mut self, event: Event, now: Now) {
        let input = match event {
            Event::Opened { conn, peer, local } => {
                tracing::debug!(%peer, "connected");
                Input::Opened { conn: broker::ConnId(conn.0), peer, local }
            }
            Event::Frame { conn, seq, frame } => {
                Input::Frame { conn: broker::ConnId(conn.0), seq, frame: Mem::Slice(frame) }
            }
            Event::Placed { conn, seq, head, rest } => place::input(broker::ConnId(conn.0), seq, &head, rest),
            Event::Closed { conn, peer, reason } => {
                self.note_end("disconnected", peer, &reason);
                Input::Closed { conn: broker::ConnId(conn.0) }
            }
            Event::Refused { peer, reason } => return self.note_end("connection refused", peer, &reason),
            Event::AcceptFailed(error) => return self.note_accept(&error),
        };
        self.broker.handle(input, now);
    }

    /// A peer's mistake is worth a warning, its coming and going is not.
    fn note_end(&mut self, what: &str, peer: SocketAddr, reason: &CloseReason) {
        let is_mistake = match reason {
            CloseReason::PeerClosed | CloseReason::Idle { .. } | CloseReason::Stopping => {
                return tracing::debug!(%peer, "{what}: {reason}");
            }
            CloseReason::Io(_) | CloseReason::PeerClosedInFrame { .. } => false,
            CloseReason::FrameLength { .. }
            | CloseReason::Slow { .. }
            | CloseReason::Requested(_)
            | CloseReason::TooMany { .. }
            | CloseReason::TooManyFromIp { .. } => true,
        };
        match self.peer_log.admit(self.io.now()) {
            Some(hidden) if is_mistake => tracing::warn!(%peer, "{what}: {reason}{hidden}"),
            Some(hidden) => tracing::info!(%peer, "{what}: {reason}{hidden}"),
            None => {}
        }
    }

    fn note_accept(&mut self, error: &std::io::Error) {
        if let Some(hidden) = self.peer_log.admit(self.io.now()) {
            tracing::error!("cannot accept connections, trying again: {error}{hidden}");
        }
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

    /// Begins the reads for which there is memory, and says what the others wait for.
    fn begin_reads(&mut self) {
        let again = self.searches.take();
        again.into_iter().for_each(|(ticket, log, timestamp)| self.find_time(ticket, log, timestamp));
        loop {
            let held_bytes = self.broker.store().logs.read_held_bytes();
            let Some(read) = self.cold.borrow_mut().next(held_bytes) else { break };
            self.read_disk(read);
        }
        while let Some(ticket) = self.cold.borrow_mut().give_up(self.io.now()) {
            self.found.borrow_mut().push_back(Input::ReadDone { ticket, result: Ok(Vec::new()) });
        }
        let wanted_bytes = self.cold.borrow().waiting_bytes();
        self.stages.want(self.wanted_bytes, wanted_bytes);
        self.wanted_bytes = wanted_bytes;
        self.transport.set_wanted(self.stages.wanted_bytes());
    }

    fn read_disk(&mut self, cold_read: ColdRead) {
        let ColdRead { ticket, log, range, cost_bytes, .. } = cold_read;
        let store = self.broker.store_mut();
        let result = match store.look(log, range) {
            Read::Bytes(slices) => Ok(store::chunks(slices)),
            Read::End => Ok(Vec::new()),
            Read::OutOfRange => Err(ReadFault::Gone),
            Read::Disk(plan) => {
                let read = store.logs.read_disk(plan);
                let (found, cold) = (Rc::clone(&self.found), Rc::clone(&self.cold));
                return self.io.spawn(async move {
                    let result = read.await;
                    cold.borrow_mut().done(cost_bytes);
                    if let Err(ReadError::Gone) = result {
                        marks::reached!("node: a read met a segment that was replaced");
                        return cold.borrow_mut().ask_again(cold_read);
                    }
                    let result = result.map(store::chunks).map_err(store::fault);
                    found.borrow_mut().push_back(Input::ReadDone { ticket, result });
                });
            }
        };
        self.cold.borrow_mut().done(cost_bytes);
        self.found.borrow_mut().push_back(Input::ReadDone { ticket, result });
    }

    fn measure_dirs(&mut self, ticket: u64) {
        let dirs = self.broker.store().dirs().to_vec();
        let (io, found) = (self.io.clone(), Rc::clone(&self.found));
        self.io.spawn(async move {
            let mut volumes = Vec::new();
            for dir in dirs {
                let done = io.call(Op::FreeSpace { path: dir.path, free: 0, total: 0 }).await;
                let measured = done.result.is_ok() && dir.is_online;
                let Op::FreeSpace { free, total, .. } = done.op else { unreachable!("a completion returns its op") };
                volumes.push(measured.then_some(Volume { total_bytes: total, usable_bytes: free }));
            }
            found.borrow_mut().push_back(Input::DirsMeasured { ticket, volumes });
        });
    }

    fn find_time(&mut self, ticket: u64, log: LogId, timestamp: i64) {
        let search = self.broker.store_mut().logs.lookup_time(store::engine_id(log), timestamp);
        let (found, searches) = (Rc::clone(&self.found), Rc::clone(&self.searches));
        self.io.spawn(async move {
            let result = search.await;
            if let Err(ReadError::Gone) = result {
                return searches.borrow_mut().push((ticket, log, timestamp));
            }
            let result = result.map(|hit| hit.map(|hit| Mem::Slice(hit.bytes))).map_err(store::fault);
            found.borrow_mut().push_back(Input::TimeFound { ticket, result });
        });
    }

    fn advance_stop(&mut self, now: Mono) {
        if matches!(self.phase, Phase::Serving) && self.stages.is_stop_requested() {
            self.transport.stop();
            self.broker.handle(Input::Stopping, self.clock(now));
            self.phase = Phase::Draining { until: Some(now.plus_millis(DRAIN_MS)) };
        }
        if let Phase::Draining { until } = &mut self.phase {
            if until.take_if(|until| *until <= now).is_some() {
                self.transport.close_all();
            }
            if self.transport.connection_count() == 0 {
                self.phase = Phase::Drained;
                self.stages.note_drained();
            }
        }
        if matches!(self.phase, Phase::Drained) && self.stages.is_drained() {
            self.begin_close(now);
        }
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
