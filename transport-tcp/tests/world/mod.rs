//! Scripted peers: a transport, its pending ops, and a clock that only the test moves.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of the world")]
#![allow(clippy::expect_used, reason = "a broken script should fail its test")]

use engine::io::{ConnId as Socket, Done, ListenerId, Op, RecvInto, Token};
use engine::mem::{Buf, Slice};
use engine::time::Mono;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use transport_tcp::{Admission, ConnId, Event, Limits, TcpTransport};

/// Size of the buffers that the world's driver picks for `RecvInto::Any`.
pub const ANY_BYTES: usize = 16 << 10;

/// One scripted peer, by its socket.
#[derive(Default)]
pub struct Peer {
    /// Bytes on their way to the transport.
    pub outgoing: VecDeque<u8>,
    /// Bytes that the transport sent.
    pub incoming: Vec<u8>,
    /// The peer closed its side.
    pub is_closed: bool,
    /// The peer reads nothing: sends stay pending.
    pub is_stalled: bool,
    /// The transport shut the connection down.
    pub was_shut_down: bool,
    /// The transport gave the socket back.
    pub was_given_back: bool,
    /// Vectored sends so far.
    pub sends: usize,
}

/// Everything around one transport.
pub struct World {
    pub transport: TcpTransport,
    pub now: Mono,
    pub peers: BTreeMap<u32, Peer>,
    pub conns: HashMap<u32, ConnId>,
    pub frames: Vec<(ConnId, u64, Slice)>,
    /// Frames of which a part was placed: head and rest.
    pub placed: Vec<(ConnId, u64, Slice, Buf)>,
    /// Where large frames are cut in two, if they are.
    pub place_at: Option<usize>,
    pub log: Vec<String>,
    accepts: VecDeque<Token>,
    waiting: VecDeque<u32>,
    pending: Vec<(Token, Op)>,
    /// Largest room that any receive was given, in bytes.
    pub room_max: usize,
}

/// A frame as it travels.
pub fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as i32).to_be_bytes()[..], body].concat()
}

impl World {
    pub fn new(limits: Limits) -> World {
        World::admitting(limits, Admission::unlimited())
    }

    pub fn admitting(limits: Limits, admission: impl Into<Arc<Admission>>) -> World {
        let mut transport = TcpTransport::new(limits, admission.into());
        transport.listen(ListenerId(0));
        World {
            transport,
            now: Mono(1_000_000_000),
            peers: BTreeMap::new(),
            conns: HashMap::new(),
            frames: Vec::new(),
            placed: Vec::new(),
            place_at: None,
            log: Vec::new(),
            accepts: VecDeque::new(),
            waiting: VecDeque::new(),
            pending: Vec::new(),
            room_max: 0,
        }
    }

    /// A new peer connects; its socket number is the answer.
    pub fn connect(&mut self) -> u32 {
        let socket = self.connect_quietly();
        self.run();
        socket
    }

    /// As `connect`, and the world hears of it with the next run.
    pub fn connect_quietly(&mut self) -> u32 {
        let socket = self.peers.len() as u32;
        self.peers.insert(socket, Peer::default());
        self.waiting.push_back(socket);
        socket
    }

    pub fn peer(&mut self, socket: u32) -> &mut Peer {
        self.peers.get_mut(&socket).expect("the peer connected")
    }

    pub fn conn(&self, socket: u32) -> ConnId {
        self.conns[&socket]
    }

    /// The peer sends bytes and the transport takes what it wants of them.
    pub fn send(&mut self, socket: u32, bytes: &[u8]) {
        self.peer(socket).outgoing.extend(bytes);
        self.run();
    }

    pub fn reply(&mut self, socket: u32, seq: u64, body: &[u8]) {
        let conn = self.conn(socket);
        self.transport.reply(conn, seq, vec![Slice::from(framed(body))]);
    }

    pub fn advance_ms(&mut self, ms: u64) {
        self.now = self.now.plus_millis(ms);
        if self.transport.next_deadline().is_some_and(|at| at <= self.now) {
            self.transport.tick(self.now);
        }
        self.run();
    }

    /// Turns until nothing moves any more.
    pub fn run(&mut self) {
        loop {
            self.place_large();
            while let Some((token, op)) = self.transport.poll_op() {
                match op {
                    Op::Accept { .. } => self.accepts.push_back(token),
                    op => self.pending.push((token, op)),
                }
            }
            let moved = self.deliver();
            while let Some(event) = self.transport.poll_event() {
                self.note(event);
            }
            if !moved {
                return;
            }
        }
    }

    fn place_large(&mut self) {
        while let Some(conn) = self.transport.poll_large() {
            if let (Some(at), Some((_, len))) = (self.place_at, self.transport.large_front(conn)) {
                self.transport.place(conn, at, Buf::with_capacity(len - at));
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Opened { conn, peer, .. } => {
                self.conns.insert(u32::from(peer.port()), conn);
                self.log.push(format!("opened {}", peer.port()));
            }
            Event::Frame { conn, seq, frame } => self.frames.push((conn, seq, frame)),
            Event::Placed { conn, seq, head, rest } => self.placed.push((conn, seq, head, rest)),
            Event::Closed { peer, reason, .. } => self.log.push(format!("closed {}: {reason}", peer.port())),
            Event::Refused { peer, reason } => self.log.push(format!("refused {}: {reason}", peer.port())),
            Event::AcceptFailed(error) => self.log.push(format!("accept failed: {error}")),
        }
    }

    fn deliver(&mut self) -> bool {
        let mut moved = false;
        while !self.accepts.is_empty() && !self.waiting.is_empty() {
            let (token, socket) =
                (self.accepts.pop_front().expect("checked"), self.waiting.pop_front().expect("checked"));
            let peer = SocketAddr::from(([10, 0, 0, (socket % 3) as u8], socket as u16));
            let local = SocketAddr::from(([10, 0, 0, 9], 9092));
            let op = Op::Accept { listener: ListenerId(0), peer: Some(peer), local: Some(local) };
            self.transport.handle(Done { token, result: Ok(socket), op }, self.now);
            moved = true;
        }
        for (token, op) in std::mem::take(&mut self.pending) {
            if let Op::Cancel(other) = op {
                self.cancel(other);
                self.transport.handle(Done { token, result: Ok(0), op }, self.now);
                moved = true;
                continue;
            }
            match self.act(op) {
                Ok((result, op)) => {
                    self.transport.handle(Done { token, result, op }, self.now);
                    moved = true;
                }
                Err(op) => self.pending.push((token, op)),
            }
        }
        moved
    }

    /// Receives end early; accepts here do not.
    fn cancel(&mut self, token: Token) {
        let is_it = |(of, op): &(Token, Op)| *of == token && matches!(op, Op::Recv { .. });
        if let Some(at) = self.pending.iter().position(is_it) {
            let (token, op) = self.pending.remove(at);
            self.transport.handle(Done { token, result: Err(io::ErrorKind::Interrupted.into()), op }, self.now);
        }
    }

    /// What the kernel and the peer make of an op; the op itself while it cannot complete.
    fn act(&mut self, op: Op) -> Result<(io::Result<u32>, Op), Op> {
        match op {
            Op::Recv { conn: Socket(socket), into } => {
                let (peer, room_max) = (self.peers.get_mut(&socket).expect("known"), &mut self.room_max);
                receive(peer, into, room_max)
                    .map(|(count, into)| (Ok(count), Op::Recv { conn: Socket(socket), into }))
                    .map_err(|into| Op::Recv { conn: Socket(socket), into })
            }
            Op::Send { conn, bufs } => {
                let peer = self.peer(conn.0);
                if peer.was_shut_down {
                    return Ok((Err(io::ErrorKind::BrokenPipe.into()), Op::Send { conn, bufs }));
                }
                if peer.is_stalled {
                    return Err(Op::Send { conn, bufs });
                }
                peer.sends += 1;
                bufs.iter().for_each(|part| peer.incoming.extend_from_slice(part));
                Ok((Ok(0), Op::Send { conn, bufs }))
            }
            Op::Shutdown { conn } => {
                self.peer(conn.0).was_shut_down = true;
                Ok((Ok(0), Op::Shutdown { conn }))
            }
            Op::CloseConn { conn } => {
                let mine = |op: &Op| matches!(op, Op::Recv { conn: c, .. } | Op::Send { conn: c, .. } if *c == conn);
                assert!(!self.pending.iter().any(|(_, op)| mine(op)), "a socket is given back with ops pending");
                self.peer(conn.0).was_given_back = true;
                Ok((Ok(0), Op::CloseConn { conn }))
            }
            other => panic!("a transport has no business with {other:?}"),
        }
    }
}

fn receive(peer: &mut Peer, into: RecvInto, room_max: &mut usize) -> Result<(u32, RecvInto), RecvInto> {
    let over = peer.is_closed || peer.was_shut_down;
    let (mut buf, wants_all): (Buf, bool) = match into {
        RecvInto::Any if peer.outgoing.is_empty() && !over => return Err(RecvInto::Any),
        RecvInto::Any => (Buf::with_capacity(ANY_BYTES), false),
        RecvInto::Buf(buf) => (buf, false),
        RecvInto::Fill(buf) => (buf, true),
    };
    *room_max = (*room_max).max(buf.capacity());
    let take = peer.outgoing.len().min(buf.spare_len());
    let is_due = over || if wants_all { take == buf.spare_len() } else { take > 0 };
    if !is_due {
        return Err(if wants_all { RecvInto::Fill(buf) } else { RecvInto::Buf(buf) });
    }
    let bytes: Vec<u8> = peer.outgoing.drain(..take).collect();
    buf.extend_from_slice(&bytes);
    Ok((take as u32, if wants_all { RecvInto::Fill(buf) } else { RecvInto::Buf(buf) }))
}
