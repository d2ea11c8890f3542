//! All connections of one shard: accepting and answering in order. Reading while the budget lasts is in `read`, the ways in which a
//! connection ends are in `end`, those between shards in `moves`.

mod end;
mod moves;
mod read;

use crate::admission::Admission;
use crate::conn::{Conn, Phase};
use crate::event::{CloseReason, ConnId, Event};
use crate::inbound::Whole;
use crate::limits::{ACCEPT_RETRY_MS, Limits, PLACED_MAX, SLOT_BITS, STALLED_CHECK_MS};
use crate::moving::{Leaving, Moving};
use crate::replies::Answer;
use crate::tally::Tally;
use engine::io::{ConnId as Socket, Done, ListenerId, Op, Owner, Token};
use engine::mem::{Buf, Slice};
use engine::time::Mono;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// What an op was for; the upper part of its token's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
enum Kind {
    Accept = 0,
    Recv = 1,
    Send = 2,
    Shutdown = 3,
    Close = 4,
    /// Gives back the socket of a refused connection.
    Refuse = 5,
    Cancel = 6,
}

const KINDS: [Kind; 7] =
    [Kind::Accept, Kind::Recv, Kind::Send, Kind::Shutdown, Kind::Close, Kind::Refuse, Kind::Cancel];

fn token(kind: Kind, index: usize) -> Token {
    Token::new(Owner::Net, (kind as u64) << 32 | index as u64)
}

fn kind_and_index(token: Token) -> (Kind, usize) {
    let payload = token.payload();
    (KINDS[(payload >> 32) as usize], (payload & 0xFFFF_FFFF) as usize)
}

/// A listening socket and its one pending accept.
#[derive(Debug)]
struct Listener {
    id: ListenerId,
    accept_pending: bool,
    /// Not before this time, after a failure.
    retry_at: Option<Mono>,
}

/// The transport of one shard.
///
/// Calling order in a turn: [`handle`](Self::handle) for every completion of [`Owner::Net`], [`tick`](Self::tick) once
/// [`next_deadline`](Self::next_deadline) has passed, drain [`poll_event`](Self::poll_event), answer with
/// [`reply`](Self::reply), [`no_reply`](Self::no_reply) or [`close`](Self::close), [`place`](Self::place) large frames if
/// there is a better place for them, and last submit what [`poll_op`](Self::poll_op) gives: all answers of a turn to one
/// connection leave in one send.
#[derive(Debug)]
pub struct TcpTransport {
    limits: Limits,
    admission: Arc<Admission>,
    listeners: Vec<Listener>,
    conns: Vec<Option<Conn>>,
    free: Vec<usize>,
    opened: u64,
    /// Sum of what all connections hold, in bytes.
    spent_bytes: usize,
    /// Requests of all connections without an answer.
    waiting: usize,
    /// Somebody else's memory is short: start no new frame.
    is_pressed: bool,
    /// What others wait for that may be held by answers of ours, in bytes.
    wanted_bytes: usize,
    /// Takes no connection any more.
    is_stopping: bool,
    /// The one connection that may grow its frame past the budget, so that a budget spent on halves of frames frees itself.
    favoured: Option<ConnId>,
    dirty: Vec<usize>,
    paused: VecDeque<usize>,
    idle: BinaryHeap<Reverse<(Mono, ConnId)>>,
    /// When to look at frames under way; a connection is in here at most once.
    timed: BinaryHeap<Reverse<(Mono, ConnId)>>,
    /// The latest time that was told.
    now: Mono,
    /// When to look for peers that take nothing; only while the budget is spent.
    stalled_check_at: Option<Mono>,
    events: VecDeque<Event>,
    ops: VecDeque<(Token, Op)>,
    frames: Vec<Whole>,
    /// Connections with the front of a large frame, since the ops were last taken.
    large: VecDeque<ConnId>,
    /// Frames in a place that was given, until they are handed out.
    placed: usize,
    /// Receives under way for the head of a large frame.
    heads: usize,
    tally: Tally,
    /// Our number among the shards, where connections may go from one to another.
    me: Option<usize>,
    leaving: VecDeque<Leaving>,
}

impl TcpTransport {
    /// A transport without listeners.
    pub fn new(limits: Limits, admission: Arc<Admission>) -> TcpTransport {
        TcpTransport {
            limits,
            admission,
            listeners: Vec::new(),
            conns: Vec::new(),
            free: Vec::new(),
            opened: 0,
            spent_bytes: 0,
            waiting: 0,
            is_pressed: false,
            wanted_bytes: 0,
            is_stopping: false,
            favoured: None,
            dirty: Vec::new(),
            paused: VecDeque::new(),
            idle: BinaryHeap::new(),
            timed: BinaryHeap::new(),
            now: Mono(0),
            stalled_check_at: None,
            events: VecDeque::new(),
            ops: VecDeque::new(),
            frames: Vec::new(),
            large: VecDeque::new(),
            placed: 0,
            heads: 0,
            tally: Tally::default(),
            me: None,
            leaving: VecDeque::new(),
        }
    }

    /// Accepts connections of `listener` from now on.
    pub fn listen(&mut self, listener: ListenerId) {
        self.listeners.push(Listener { id: listener, accept_pending: false, retry_at: None });
        self.accept(self.listeners.len() - 1);
    }

    /// Takes the completion of an op that [`TcpTransport::poll_op`] gave.
    pub fn handle(&mut self, done: Done, now: Mono) {
        self.now = now;
        let (kind, index) = kind_and_index(done.token);
        match (kind, done.op) {
            (Kind::Accept, Op::Accept { peer, local, .. }) => self.accepted(index, done.result, peer, local, now),
            (Kind::Recv, Op::Recv { into, .. }) => self.received(index, done.result, into, now),
            (Kind::Send, Op::Send { bufs, .. }) => self.sent(index, done.result, &bufs, now),
            (Kind::Shutdown, _) => self.was_shut_down(index),
            (Kind::Close, _) => self.closed(index),
            (Kind::Refuse | Kind::Cancel, _) => {}
            (kind, op) => unreachable!("a {kind:?} token came back with {op:?}"),
        }
        if self.stalled_check_at.is_none() && self.over_bytes() > 0 {
            self.stalled_check_at = Some(now.plus_millis(STALLED_CHECK_MS));
        }
    }

    /// What happened since the last call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Answers a request; `parts` start with the frame's length prefix.
    pub fn reply(&mut self, conn: ConnId, seq: u64, parts: Vec<Slice>) {
        self.answer(conn, seq, Answer::Send(parts));
    }

    /// The request gets no answer; later ones need not wait for it.
    pub fn no_reply(&mut self, conn: ConnId, seq: u64) {
        self.answer(conn, seq, Answer::Silence);
    }

    /// Closes the connection in place of an answer, after the answers before it were sent.
    pub fn close(&mut self, conn: ConnId, seq: u64, reason: String) {
        self.answer(conn, seq, Answer::Close(reason));
    }

    /// The next connection on which a large frame has begun. Its rest goes into memory of ours unless
    /// [`TcpTransport::place`] says better before the next [`TcpTransport::poll_op`].
    pub fn poll_large(&mut self) -> Option<ConnId> {
        self.large.pop_front()
    }

    /// What arrived of a large frame, and its length in bytes, both without the prefix. None if it cannot be placed.
    pub fn large_front(&self, conn: ConnId) -> Option<(&[u8], usize)> {
        let slot = self.slot_of(conn).filter(|_| self.placed < PLACED_MAX)?;
        let conn = self.conn(slot);
        let (front, len) = conn.inbound.front().filter(|_| conn.phase == Phase::Open && !conn.recv_pending)?;
        (self.spent_bytes + len <= self.limits.budget_bytes).then_some((front, len))
    }

    /// The rest of a large frame, from byte `at` on, goes straight into `room`, which has room for just that; it comes back
    /// in [`Event::Placed`], or is dropped if the connection ends before. `at` lies in what
    /// [`TcpTransport::large_front`] showed.
    pub fn place(&mut self, conn: ConnId, at: usize, room: Buf) {
        assert!(self.large_front(conn).is_some_and(|(front, _)| at <= front.len()), "placed as the front showed");
        let Some(slot) = self.slot_of(conn) else { return };
        let Some(conn) = self.conns[slot].as_mut() else { return };
        let before = conn.inbound.held_bytes();
        let moved_bytes = conn.inbound.moved_bytes();
        conn.inbound.place(at, room);
        self.tally.moved_bytes += conn.inbound.moved_bytes() - moved_bytes;
        self.spent_bytes = self.spent_bytes - before + conn.inbound.held_bytes();
        self.placed += 1;
    }

    /// Times at which something is to be looked at.
    pub fn time_count(&self) -> usize {
        self.idle.len() + self.timed.len()
    }

    /// Open or still closing connections.
    pub fn connection_count(&self) -> usize {
        self.conns.len() - self.free.len()
    }

    /// What was done so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Bytes that all connections hold: requests without an answer and answers not taken.
    pub fn spent_bytes(&self) -> usize {
        self.spent_bytes
    }

    /// When [`TcpTransport::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Mono> {
        let first = |heap: &BinaryHeap<Reverse<(Mono, ConnId)>>| heap.peek().map(|Reverse((at, _))| *at);
        let checks = [first(&self.idle), first(&self.timed), self.stalled_check_at];
        self.listeners.iter().map(|listener| listener.retry_at).chain(checks).flatten().min()
    }

    /// Acts on time that has passed: connections end that are idle or whose frame does not come on, failed accepts are tried
    /// again.
    pub fn tick(&mut self, now: Mono) {
        self.now = now;
        for index in 0..self.listeners.len() {
            if self.listeners[index].retry_at.is_some_and(|at| at <= now) {
                self.listeners[index].retry_at = None;
                self.accept(index);
            }
        }
        while let Some(Reverse((at, id))) = self.idle.peek().copied()
            && at <= now
        {
            self.idle.pop();
            self.check_idle(id, now);
        }
        while let Some(Reverse((at, id))) = self.timed.peek().copied()
            && at <= now
        {
            self.timed.pop();
            self.check_pace(id, now);
        }
        if self.stalled_check_at.is_some_and(|at| at <= now) {
            self.end_stalled(now);
        }
    }

    /// The next op to submit.
    pub fn poll_op(&mut self) -> Option<(Token, Op)> {
        if self.ops.is_empty() {
            self.large.clear();
            self.resume();
            while let Some(slot) = self.dirty.pop() {
                self.advance(slot);
            }
        }
        self.ops.pop_front()
    }

    fn accept(&mut self, index: usize) {
        if self.is_stopping {
            return;
        }
        let listener = &mut self.listeners[index];
        listener.accept_pending = true;
        let op = Op::Accept { listener: listener.id, peer: None, local: None };
        self.ops.push_back((token(Kind::Accept, index), op));
    }

    fn accepted(
        &mut self,
        index: usize,
        result: io::Result<u32>,
        peer: Option<SocketAddr>,
        local: Option<SocketAddr>,
        now: Mono,
    ) {
        self.listeners[index].accept_pending = false;
        match result {
            Ok(socket) => {
                self.open(Socket(socket), peer, local, now);
                self.accept(index);
            }
            Err(_) if self.is_stopping => {}
            Err(error) if is_of_the_peer(&error) => self.accept(index),
            Err(error) => {
                self.listeners[index].retry_at = Some(now.plus_millis(ACCEPT_RETRY_MS));
                self.events.push_back(Event::AcceptFailed(error));
            }
        }
    }

    fn open(&mut self, socket: Socket, peer: Option<SocketAddr>, local: Option<SocketAddr>, now: Mono) {
        let (Some(peer), Some(local), false) = (peer, local, self.is_stopping) else {
            return self.refuse(socket);
        };
        if let Err(reason) = self.admission.enter(peer.ip()) {
            self.events.push_back(Event::Refused { peer, reason });
            return self.refuse(socket);
        }
        let moving = Moving::fresh(peer, local, &self.limits, now);
        if let Some(me) = self.me
            && let to = self.admission.deal(me)
            && to != me
        {
            self.tally.moved_away += 1;
            return self.leaving.push_back(Leaving { to, conn: None, socket, moving });
        }
        let conn = self.enter(socket, moving, now);
        self.events.push_back(Event::Opened { conn, peer, local });
    }

    /// Gives a connection a slot.
    fn enter(&mut self, socket: Socket, moving: Moving, now: Mono) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.conns.push(None);
            self.conns.len() - 1
        });
        assert!(slot < 1 << SLOT_BITS, "descriptors run out long before slots");
        let id = ConnId(self.opened << SLOT_BITS | slot as u64);
        self.opened += 1;
        let mut conn = Conn::new(id, socket, moving);
        self.spent_bytes += conn.cost_bytes();
        conn.is_timed = conn.pace.begun_at().is_some();
        if conn.is_timed {
            self.timed.push(Reverse((conn.pace.deadline(), id)));
        }
        self.conns[slot] = Some(conn);
        if let Some(ms) = self.limits.idle_ms {
            self.idle.push(Reverse((now.plus_millis(ms), id)));
        }
        self.mark(slot);
        id
    }

    fn refuse(&mut self, socket: Socket) {
        self.ops.push_back((token(Kind::Refuse, 0), Op::CloseConn { conn: socket }));
    }

    fn sent(&mut self, slot: usize, result: io::Result<u32>, bufs: &[Slice], now: Mono) {
        let Some(conn) = self.conns[slot].as_mut() else { unreachable!("a connection outlives its ops") };
        conn.send_pending = false;
        let bytes = bufs.iter().map(|part| part.len()).sum();
        if matches!(conn.phase, Phase::Open | Phase::LastWords) {
            conn.sent(bytes);
            conn.moved_at = now;
            self.spent_bytes -= bytes;
        }
        self.hand_out(slot);
        self.mark(slot);
        if let Err(error) = result {
            self.end(slot, if is_of_the_peer(&error) { CloseReason::PeerClosed } else { CloseReason::Io(error) });
        }
    }

    fn answer(&mut self, id: ConnId, seq: u64, answer: Answer) {
        let Some(slot) = self.slot_of(id) else { return };
        let Some(conn) = self.conns[slot].as_mut().filter(|conn| conn.phase == Phase::Open) else { return };
        let before = conn.cost_bytes();
        self.tally.answers += u64::from(matches!(answer, Answer::Send(_)));
        let close = conn.answer(seq, answer);
        self.waiting -= 1;
        self.spent_bytes = self.spent_bytes - before + conn.cost_bytes();
        if let Some(reason) = close {
            conn.phase = Phase::LastWords;
            self.waiting -= conn.asked();
            let (conn, peer) = (conn.id, conn.peer);
            self.events.push_back(Event::Closed { conn, peer, reason: CloseReason::Requested(reason) });
        }
        self.mark(slot);
    }

    /// Submits what the connection can do now.
    fn advance(&mut self, slot: usize) {
        let Some(conn) = self.conns[slot].as_mut() else { return };
        conn.is_dirty = false;
        if matches!(conn.phase, Phase::Open | Phase::LastWords) && !conn.send_pending {
            let bufs = conn.next_send();
            if !bufs.is_empty() {
                conn.send_pending = true;
                self.tally.sends += 1;
                self.tally.sent_bytes += bufs.iter().map(|part| part.len() as u64).sum::<u64>();
                self.ops.push_back((token(Kind::Send, slot), Op::Send { conn: conn.socket, bufs }));
            }
        }
        match conn.phase {
            Phase::Open if self.is_stopping && conn.is_quiet() => self.end(slot, CloseReason::Stopping),
            Phase::Open if let Some(to) = conn.moves_to.filter(|_| !self.is_stopping) => self.depart(slot, to),
            Phase::Open if !conn.recv_pending && !self.is_stopping => self.read(slot),
            Phase::LastWords if conn.is_flushed() => self.shut_down(slot),
            Phase::Ending if conn.is_idle_in_kernel() => {
                conn.phase = Phase::Closing;
                self.ops.push_back((token(Kind::Close, slot), Op::CloseConn { conn: conn.socket }));
            }
            Phase::Open | Phase::LastWords | Phase::Ending | Phase::Closing => {}
        }
    }

    fn mark(&mut self, slot: usize) {
        if let Some(conn) = self.conns[slot].as_mut()
            && !std::mem::replace(&mut conn.is_dirty, true)
        {
            self.dirty.push(slot);
        }
    }

    fn slot_of(&self, id: ConnId) -> Option<usize> {
        let slot = slot_in(id);
        self.conns.get(slot)?.as_ref().filter(|conn| conn.id == id).map(|_| slot)
    }

    fn conn(&self, slot: usize) -> &Conn {
        #[expect(clippy::expect_used, reason = "a slot is taken until the last op of its connection has returned")]
        self.conns[slot].as_ref().expect("a connection outlives its ops")
    }
}

/// The slot that an id names.
fn slot_in(id: ConnId) -> usize {
    (id.0 & ((1 << SLOT_BITS) - 1)) as usize
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | Interrupted)
}
