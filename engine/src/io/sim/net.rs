//! The simulated network: bytes arrive in pieces of random size, a little later, in order.
//!
//! ```text
//!  SimPeer::write → wire → (events) → inbox → Recv        Send → outbox, bounded → SimPeer::read
//! ```

use super::super::{ConnId, Done, ListenerId, Op, RecvInto, Token};
use super::rng::Rng;
use crate::mem::{Buf, Slice};
use crate::time::Mono;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;

/// Bytes that a connection takes from sends before its peer must read, as a socket buffer would.
pub(super) const OUTBOX_BYTES_MAX: usize = 256 << 10;

/// Size of the buffer that a receive into [`RecvInto::Any`] gets, in bytes.
const ANY_BYTES: usize = 32 << 10;

/// An op that waits, and for whom.
pub(super) struct Waiting {
    pub(super) driver: usize,
    pub(super) token: Token,
    pub(super) op: Op,
}

impl Waiting {
    pub(super) fn done(self, result: io::Result<u32>) -> (usize, Done) {
        (self.driver, Done { token: self.token, result, op: self.op })
    }
}

#[derive(Default)]
pub(super) struct Conn {
    /// Written by the peer, not yet arrived.
    wire: VecDeque<u8>,
    inbox: VecDeque<u8>,
    pub(super) outbox: VecDeque<u8>,
    recv: Option<Waiting>,
    /// Bytes that the buffer of the waiting receive held at first.
    recv_had: usize,
    send: Option<Waiting>,
    /// Bytes of the waiting send that went out already.
    sent: usize,
    /// The peer will write no more.
    pub(super) peer_closed: bool,
    /// The connection broke.
    pub(super) reset: bool,
    /// The node shut it down or closed it.
    pub(super) node_closed: bool,
    /// A step is already planned.
    pub(super) planned: bool,
    /// Nothing from the peer arrives before; nothing to the peer leaves before.
    pub(super) to_node_held: Mono,
    pub(super) to_peer_held: Mono,
    /// Nobody holds the peer's end any more; it may have said goodbye or not.
    pub(super) peer_gone: bool,
    /// The node has given the socket back.
    released: bool,
}

pub(super) struct Listener {
    pub(super) driver: usize,
    pub(super) address: SocketAddr,
    backlog: VecDeque<ConnId>,
    accepts: VecDeque<Waiting>,
}

/// All sockets of one world. Connection ids are never reused here, which shows who uses one too long.
#[derive(Default)]
pub(super) struct Net {
    listeners: BTreeMap<u32, Listener>,
    conns: BTreeMap<u32, Conn>,
    next: u32,
    /// Connections that look different to their peers since somebody asked.
    touched: Vec<ConnId>,
}

impl Conn {
    /// Until when nothing can happen of what waits in either direction.
    pub(super) fn held_until(&self) -> Mono {
        if self.reset || self.node_closed {
            return Mono(0);
        }
        let arrives = (!self.wire.is_empty() || self.peer_closed).then_some(self.to_node_held);
        let leaves = self.send.is_some().then_some(self.to_peer_held);
        arrives.into_iter().chain(leaves).min().unwrap_or(Mono(0))
    }

    fn eof(&self) -> bool {
        self.node_closed || (self.peer_closed && self.wire.is_empty() && self.inbox.is_empty())
    }

    /// Lets a random piece of what is on the wire arrive.
    fn arrive(&mut self, rng: &mut Rng) {
        let count = piece(self.wire.len(), rng);
        let arrived = take_front(&mut self.wire, count);
        self.inbox.extend(arrived);
    }

    fn try_recv(&mut self) -> Option<(usize, Done)> {
        let waiting = self.recv.as_mut()?;
        let Op::Recv { into, .. } = &mut waiting.op else { unreachable!("only receives wait here") };
        if self.reset {
            return self.recv.take().map(|waiting| waiting.done(Err(os(libc::ECONNRESET))));
        }
        if !self.node_closed && !self.inbox.is_empty() {
            if matches!(into, RecvInto::Any) {
                *into = RecvInto::Buf(Buf::with_capacity(ANY_BYTES));
            }
            let (RecvInto::Buf(buf) | RecvInto::Fill(buf)) = into else { unreachable!("Any was replaced") };
            take(&mut self.inbox, buf);
        }
        let count = held(into) - self.recv_had;
        let full = match into {
            RecvInto::Fill(buf) => buf.spare_len() == 0,
            RecvInto::Any | RecvInto::Buf(_) => count > 0,
        };
        if full || self.eof() { self.recv.take().map(|waiting| waiting.done(Ok(count as u32))) } else { None }
    }

    fn try_send(&mut self, rng: &mut Rng) -> Option<(usize, Done)> {
        let waiting = self.send.as_mut()?;
        let Op::Send { bufs, .. } = &waiting.op else { unreachable!("only sends wait here") };
        if self.reset || self.node_closed || self.peer_closed && self.outbox.len() >= OUTBOX_BYTES_MAX {
            let code = if self.reset { libc::ECONNRESET } else { libc::EPIPE };
            return self.send.take().map(|waiting| waiting.done(Err(os(code))));
        }
        let whole: usize = bufs.iter().map(|buf| buf.len()).sum();
        let room = OUTBOX_BYTES_MAX.saturating_sub(self.outbox.len());
        let count = piece((whole - self.sent).min(room), rng);
        copy_range(bufs, self.sent, count, &mut self.outbox);
        self.sent += count;
        if self.sent == whole { self.send.take().map(|waiting| waiting.done(Ok(whole as u32))) } else { None }
    }

    /// True when another step would find something to do, now or once nothing is held any more.
    fn is_busy(&self) -> bool {
        let sends = self.send.is_some() && self.outbox.len() < OUTBOX_BYTES_MAX;
        !self.wire.is_empty() || sends || (self.recv.is_some() && (self.reset || self.eof()))
    }
}

/// Appends `count` bytes of all `bufs` together, from byte `from` on.
fn copy_range(bufs: &[Slice], from: usize, count: usize, out: &mut VecDeque<u8>) {
    let (mut skip, mut left) = (from, count);
    for buf in bufs {
        let begin = skip.min(buf.len());
        let end = buf.len().min(begin + left);
        out.extend(&buf[begin..end]);
        skip -= begin;
        left -= end - begin;
    }
}

fn os(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

/// A random share of `count`, at least 1: mostly what a segment or some of them hold, sometimes a few bytes.
fn piece(count: usize, rng: &mut Rng) -> usize {
    let scale = if rng.below(8) == 0 { rng.below(10) } else { 8 + rng.below(10) };
    if count == 0 { 0 } else { count.min(1 + rng.below(1 << scale) as usize) }
}

fn held(into: &RecvInto) -> usize {
    match into {
        RecvInto::Any => 0,
        RecvInto::Fill(buf) | RecvInto::Buf(buf) => buf.len(),
    }
}

fn take(inbox: &mut VecDeque<u8>, buf: &mut Buf) {
    let count = inbox.len().min(buf.spare_len());
    buf.extend_from_slice(&take_front(inbox, count));
}

/// The first `count` bytes of a queue, out of it.
pub(super) fn take_front(queue: &mut VecDeque<u8>, count: usize) -> Vec<u8> {
    let (front, back) = queue.as_slices();
    let from_front = count.min(front.len());
    let mut bytes = Vec::with_capacity(count);
    bytes.extend_from_slice(&front[..from_front]);
    bytes.extend_from_slice(&back[..count - from_front]);
    queue.drain(..count);
    bytes
}

impl Net {
    pub(super) fn listen(&mut self, driver: usize, address: SocketAddr) -> ListenerId {
        self.next += 1;
        let listener = Listener { driver, address, backlog: VecDeque::new(), accepts: VecDeque::new() };
        self.listeners.insert(self.next, listener);
        ListenerId(self.next)
    }

    /// A new connection to `listener`, in its backlog; nothing when nobody listens.
    pub(super) fn connect(&mut self, listener: ListenerId) -> Option<ConnId> {
        let backlog = &mut self.listeners.get_mut(&listener.0)?.backlog;
        self.next += 1;
        self.conns.insert(self.next, Conn::default());
        backlog.push_back(ConnId(self.next));
        Some(ConnId(self.next))
    }

    pub(super) fn accept(&mut self, waiting: Waiting, listener: ListenerId) {
        #[expect(clippy::expect_used, reason = "a ListenerId is made by listen only")]
        let listener = self.listeners.get_mut(&listener.0).expect("the listener is open");
        assert!(listener.driver == waiting.driver, "a listener belongs to the driver that adopted it");
        listener.accepts.push_back(waiting);
    }

    /// Accepts that have found a connection.
    pub(super) fn match_accepts(&mut self) -> Vec<(usize, Done)> {
        let mut done = Vec::new();
        for listener in self.listeners.values_mut() {
            while !listener.backlog.is_empty()
                && let Some(mut waiting) = listener.accepts.pop_front()
                && let Some(conn) = listener.backlog.pop_front()
            {
                let Op::Accept { peer, local, .. } = &mut waiting.op else { unreachable!("only accepts wait here") };
                *peer = Some(SocketAddr::from(([127, 0, 0, 1], 40_000 + (conn.0 % 20_000) as u16)));
                *local = Some(listener.address);
                done.push(waiting.done(Ok(conn.0)));
            }
        }
        done
    }

    #[expect(clippy::expect_used, reason = "a ConnId is made by connect only and dies in close")]
    pub(super) fn conn(&mut self, conn: ConnId) -> &mut Conn {
        self.conns.get_mut(&conn.0).expect("the connection is open")
    }

    /// The connection for its peer, who may look at one that the node has closed.
    pub(super) fn peer_conn(&mut self, conn: ConnId) -> Option<&mut Conn> {
        self.conns.get_mut(&conn.0)
    }

    pub(super) fn recv(&mut self, conn: ConnId, waiting: Waiting) {
        let conn = self.conn(conn);
        assert!(conn.recv.is_none(), "one receive at a time on a connection");
        let Op::Recv { into, .. } = &waiting.op else { unreachable!("only receives come here") };
        conn.recv_had = held(into);
        conn.recv = Some(waiting);
    }

    pub(super) fn send(&mut self, conn: ConnId, waiting: Waiting) {
        let conn = self.conn(conn);
        assert!(conn.send.is_none(), "one send at a time on a connection");
        conn.sent = 0;
        conn.send = Some(waiting);
    }

    /// Lets something happen on `conn`: what finished, and whether there is more to do.
    pub(super) fn step(&mut self, conn: ConnId, now: Mono, rng: &mut Rng) -> (Vec<(usize, Done)>, bool) {
        let id = conn;
        let Some(conn) = self.conns.get_mut(&id.0) else { return (Vec::new(), false) };
        conn.planned = false;
        let broken = conn.reset || conn.node_closed;
        if conn.to_node_held <= now {
            conn.arrive(rng);
        }
        let received = if broken || conn.to_node_held <= now { conn.try_recv() } else { None };
        let held = conn.outbox.len();
        let sent = if broken || conn.to_peer_held <= now { conn.try_send(rng) } else { None };
        if broken || conn.outbox.len() > held {
            self.touched.push(id);
        }
        (received.into_iter().chain(sent).collect(), conn.is_busy())
    }

    /// Connections that look different to their peers since the last call.
    pub(super) fn take_touched(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.touched)
    }

    /// Nobody will look at the peer's end again.
    pub(super) fn forget_peer(&mut self, conn: ConnId) {
        let Some(state) = self.peer_conn(conn) else { return };
        state.peer_gone = true;
        if state.released {
            self.conns.remove(&conn.0);
        }
    }

    pub(super) fn peer_write(&mut self, conn: ConnId, bytes: &[u8]) {
        if let Some(conn) = self.peer_conn(conn) {
            conn.wire.extend(bytes);
        }
    }

    /// A connection changes its driver only when nothing is pending on it.
    pub(super) fn assert_idle(&mut self, conn: ConnId) {
        let conn = self.conn(conn);
        assert!(conn.recv.is_none() && conn.send.is_none(), "a connection is given up when nothing is pending on it");
    }

    /// The node gives the socket back; what it had sent can still be read by the peer.
    pub(super) fn close(&mut self, id: ConnId) {
        let conn = self.conn(id);
        assert!(conn.recv.is_none() && conn.send.is_none(), "a connection is closed once nothing is pending on it");
        (conn.node_closed, conn.released) = (true, true);
        self.touched.push(id);
        let conn = self.conn(id);
        if conn.peer_gone {
            self.conns.remove(&id.0);
        }
    }

    /// Takes the waiting receive or accept of `driver` with this token out.
    pub(super) fn cancel(&mut self, driver: usize, token: Token) -> Option<Waiting> {
        let ours = |waiting: &Waiting| waiting.driver == driver && waiting.token == token;
        for listener in self.listeners.values_mut() {
            if let Some(index) = listener.accepts.iter().position(&ours) {
                return listener.accepts.remove(index);
            }
        }
        self.conns.values_mut().find_map(
            |conn| {
                if conn.recv.as_ref().is_some_and(&ours) { conn.recv.take() } else { None }
            },
        )
    }

    /// The machine stops: every connection breaks, nobody listens.
    pub(super) fn crash(&mut self) {
        self.listeners.clear();
        for conn in self.conns.values_mut() {
            (conn.recv, conn.send) = (None, None);
            (conn.reset, conn.node_closed, conn.released) = (true, true, true);
        }
        self.touched.extend(self.conns.keys().map(|id| ConnId(*id)));
        self.conns.retain(|_, conn| !conn.peer_gone);
    }
}
