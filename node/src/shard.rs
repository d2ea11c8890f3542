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

use crate::links::Links;
use crate::stop::{DRAIN_MS, Stop};
use crate::store::{self, EngineStore, Mem};
use broker::io::ReplyPart;
use broker::{Broker, Effect, Input, Now};
use engine::io::{Done, ListenerId, Owner};
use engine::log::LogEvent;
use engine::mem::Slice;
use engine::shard::Io;
use engine::time::Mono;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use transport_tcp::{CloseReason, ConnId, Event, TcpTransport};

/// What the loop does after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something is due already: take the next turn at once.
    Again,
    /// Nothing to do before this time, unless something completes.
    Park(Option<Mono>),
    /// The shard has stopped and its logs are closed.
    Finished,
}

/// How far stopping has come.
enum Phase {
    Serving,
    /// No new connection; open ones may get their answers until then.
    Draining { until: Mono },
    /// Ready; other shards may still need answers.
    Drained,
    /// The logs are flushed and marked clean.
    Closing { done: Rc<RefCell<bool>> },
}

/// One core of the broker.
pub struct Shard {
    io: Io,
    transport: TcpTransport,
    broker: Broker<EngineStore>,
    links: Links,
    stop: Arc<Stop>,
    phase: Phase,
    /// What tasks found, for the broker.
    found: Rc<RefCell<VecDeque<Input<Mem>>>>,
    dones: Vec<Done>,
}

impl Shard {
    /// A shard whose broker has adopted its partitions.
    pub fn new(
        io: Io,
        transport: TcpTransport,
        broker: Broker<EngineStore>,
        links: Links,
        stop: Arc<Stop>,
    ) -> Shard {
        Shard { io, transport, broker, links, stop, phase: Phase::Serving, found: Rc::default(), dones: Vec::new() }
    }

    /// Accepts connections of `listener`.
    pub fn listen(&mut self, listener: ListenerId) {
        self.transport.listen(listener);
    }

    /// Turns and parks until the shard has stopped.
    pub fn run(&mut self) {
        loop {
            match self.turn() {
                Turn::Again => {}
                Turn::Park(until) => self.io.park(until),
                Turn::Finished => return,
            }
        }
    }

    /// One turn.
    pub fn turn(&mut self) -> Turn {
        let mut dones = std::mem::take(&mut self.dones);
        self.io.turn(&mut dones);
        let now = self.io.now();
        for done in dones.drain(..) {
            match done.token.owner() {
                Owner::Log => self.broker.store_mut().logs.handle(done),
                Owner::Net => self.transport.handle(done, now),
                Owner::Task | Owner::Node => unreachable!("tasks get theirs from Io, and the node submits none"),
            }
        }
        self.dones = dones;
        if self.transport.next_deadline().is_some_and(|at| at <= now) {
            self.transport.tick(now);
        }
        self.advance_stop(now);
        self.inputs(now);
        self.settle(now);
        while let Some((token, op)) = self.transport.poll_op() {
            self.io.submit(token, op);
        }
        self.links.flush(&self.io);
        self.next(now)
    }

    /// Everything that happened outside, to the broker.
    fn inputs(&mut self, mono: Mono) {
        let now = self.clock(mono);
        while let Some((from, msg)) = self.links.receive() {
            self.broker.handle(Input::Peer { from, msg }, now);
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
        if matches!(&self.phase, Phase::Closing { done } if *done.borrow()) {
            return Turn::Finished;
        }
        if !self.found.borrow().is_empty() || self.links.has_mail() {
            return Turn::Again;
        }
        let broker = self.broker.next_deadline().map(|at| Mono(at.saturating_mul(1_000_000)));
        let drain = match self.phase {
            Phase::Draining { until } => Some(until),
            _ => None,
        };
        let logs = self.broker.store().logs.next_deadline();
        let until = [self.transport.next_deadline(), broker, logs, drain].into_iter().flatten().min();
        if until.is_some_and(|at| at <= now) { Turn::Again } else { Turn::Park(until) }
    }

    /// Both clocks. The broker's millisecond is rounded down, so that its deadlines are never seen early.
    fn clock(&self, mono: Mono) -> Now {
        Now { mono_ms: mono.0 / 1_000_000, wall_ms: self.io.wall().0 }
    }

    fn transport_event(&mut self, event: Event, now: Now) {
        let input = match event {
            Event::Opened { conn, peer, local } => {
                tracing::debug!(%peer, "connected");
                Input::Opened { conn: broker::ConnId(conn.0), peer, local }
            }
            Event::Frame { conn, seq, frame } => Input::Frame { conn: broker::ConnId(conn.0), seq, frame: Mem(frame) },
            Event::Closed { conn, peer, reason } => {
                note_close(peer, &reason);
                Input::Closed { conn: broker::ConnId(conn.0) }
            }
            Event::Refused { peer, reason } => return tracing::warn!(%peer, "connection refused: {reason}"),
            Event::AcceptFailed(error) => return tracing::error!("cannot accept connections, trying again: {error}"),
        };
        self.broker.handle(input, now);
    }

    fn act(&mut self, effect: Effect<Mem>) {
        match effect {
            Effect::Reply { conn, seq, parts } => {
                let parts = parts.into_iter().map(slice_of).collect();
                self.transport.reply(ConnId(conn.0), seq, parts);
            }
            Effect::NoReply { conn, seq } => self.transport.no_reply(ConnId(conn.0), seq),
            Effect::Close { conn, seq, reason } => self.transport.close(ConnId(conn.0), seq, reason),
            Effect::Send { to, msg } => self.links.send(to, msg),
            Effect::ReadDisk { ticket, log, range } => {
                let read = self.broker.store().logs.read_disk(store::engine_id(log), store::engine_range(range));
                let found = Rc::clone(&self.found);
                self.io.spawn(async move {
                    let result = read.await.map(|slices| slices.into_iter().map(Mem).collect());
                    found.borrow_mut().push_back(Input::ReadDone { ticket, result: result.map_err(store::fault) });
                });
            }
            Effect::FindTime { ticket, log, timestamp } => {
                let search = self.broker.store().logs.lookup_time(store::engine_id(log), timestamp);
                let found = Rc::clone(&self.found);
                self.io.spawn(async move {
                    let result = search.await.map(|batch| batch.map(Mem)).map_err(store::fault);
                    found.borrow_mut().push_back(Input::TimeFound { ticket, result });
                });
            }
        }
    }

    fn advance_stop(&mut self, now: Mono) {
        if matches!(self.phase, Phase::Serving) && self.stop.is_requested() {
            self.transport.stop();
            self.phase = Phase::Draining { until: now.plus_millis(DRAIN_MS) };
        }
        if let Phase::Draining { until } = self.phase {
            if until <= now {
                self.transport.close_all();
            }
            if self.transport.connection_count() == 0 {
                self.phase = Phase::Drained;
                self.stop.note_drained();
            }
        }
        if matches!(self.phase, Phase::Drained) && self.stop.is_drained() {
            let done = Rc::new(RefCell::new(false));
            let closing = self.broker.store_mut().logs.shutdown();
            let flag = Rc::clone(&done);
            self.io.spawn(async move {
                closing.await;
                flag.replace(true);
            });
            self.phase = Phase::Closing { done };
        }
    }
}

fn slice_of(part: ReplyPart<Mem>) -> Slice {
    match part {
        ReplyPart::Bytes(bytes) => Slice::from(bytes),
        ReplyPart::Chunk(Mem(slice)) => slice,
    }
}

/// A peer's mistake is worth a warning, its coming and going is not.
fn note_close(peer: std::net::SocketAddr, reason: &CloseReason) {
    match reason {
        CloseReason::PeerClosed | CloseReason::Idle { .. } | CloseReason::Stopping | CloseReason::PeerClosedInFrame { .. } => {
            tracing::debug!(%peer, "disconnected: {reason}");
        }
        CloseReason::Io(_) => tracing::info!(%peer, "disconnected: {reason}"),
        CloseReason::FrameLength { .. }
        | CloseReason::Requested(_)
        | CloseReason::TooMany { .. }
        | CloseReason::TooManyFromIp { .. } => tracing::warn!(%peer, "disconnected: {reason}"),
    }
}

/// Storage trouble goes to the operator's log here; clients hear of it from the broker.
fn note(event: &LogEvent) {
    match event {
        LogEvent::Fenced { error, .. } => {
            tracing::error!("a partition is out of service until a restart has verified it: {error}");
        }
        LogEvent::Rejected { id, from } => {
            tracing::error!(log = id.0, "the disk is full: records from offset {from} on were not stored; make room");
        }
        LogEvent::Healed { id } => tracing::info!(log = id.0, "the disk has room again"),
        LogEvent::Durable { .. }
        | LogEvent::StartMoved { .. }
        | LogEvent::Sealed { .. }
        | LogEvent::Truncated { .. }
        | LogEvent::Deleted { .. } => {}
    }
}
