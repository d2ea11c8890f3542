//! Listeners and connections, with the ops that wait on each.

use super::epoll::{Epoll, Source};
use crate::io::kernel::slots::Slots;
use crate::io::kernel::{count, socket, vectors};
use crate::io::limits::{ANY_BYTES, CROWD, CROWD_COPIED_MAX};
use crate::io::{ConnId, Done, ListenerId, Op, RecvInto, Token};
use crate::mem::{Buf, Slice};
use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

struct Listener {
    socket: TcpListener,
    waiting: VecDeque<(Token, Op)>,
}

struct Conn {
    socket: OwnedFd,
    recv: Option<Receiving>,
    send: Option<Sending>,
}

struct Receiving {
    token: Token,
    into: RecvInto,
    /// Bytes received so far.
    got: usize,
}

struct Sending {
    token: Token,
    bufs: Vec<Slice>,
    /// Bytes sent so far.
    sent: usize,
}

/// The sockets of one driver.
pub(super) struct Sockets {
    listeners: Slots<Listener>,
    conns: Slots<Conn>,
    /// A buffer for a receive into `Any` that turned out to be too early, or brought little to a crowd; kept for the next.
    spare: Option<Buf>,
    /// Bytes that were copied out of buffers, ever.
    copied: u64,
    iovecs: Vec<libc::iovec>,
}

/// What an attempt came to: finished with a count or an error, or must wait for the socket.
enum Attempt {
    Finished(io::Result<u32>),
    Waits,
}

impl Attempt {
    fn failed(error: io::Error) -> Attempt {
        match error.kind() {
            io::ErrorKind::WouldBlock => Attempt::Waits,
            _ => Attempt::Finished(Err(error)),
        }
    }
}

impl Sockets {
    pub(super) fn new() -> Sockets {
        Sockets { listeners: Slots::new(), conns: Slots::new(), spare: None, copied: 0, iovecs: Vec::new() }
    }

    pub(super) fn adopt(&mut self, socket: TcpListener, epoll: &Epoll) -> io::Result<ListenerId> {
        let fd = socket.as_raw_fd();
        let id = ListenerId(self.listeners.insert(Listener { socket, waiting: VecDeque::new() }));
        epoll.watch_edges(fd, Source::Listener(id)).map(|()| id)
    }

    pub(super) fn accept(&mut self, listener: ListenerId, token: Token, op: Op) {
        #[expect(clippy::expect_used, reason = "a ListenerId is made by adopt only and never dies")]
        self.listeners.get_mut(listener.0).expect("the listener is open").waiting.push_back((token, op));
    }

    /// Accepts while ops wait and connections are there.
    pub(super) fn try_accept(&mut self, listener: ListenerId, epoll: &Epoll, out: &mut Vec<Done>) {
        let Some(state) = self.listeners.get_mut(listener.0) else { return };
        while let Some((token, mut op)) = state.waiting.pop_front() {
            let result = match socket::accept(state.socket.as_raw_fd()) {
                Ok(socket) => accepted(&mut self.conns, socket, epoll, &mut op),
                Err(error) => Err(error),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    state.waiting.push_front((token, op));
                    return;
                }
                // That client left while it waited; the next may be there.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => state.waiting.push_front((token, op)),
                result => out.push(Done { token, result, op }),
            }
        }
    }

    #[expect(clippy::expect_used, reason = "a ConnId is made by accept only and dies in close")]
    fn conn(&mut self, conn: ConnId) -> &mut Conn {
        self.conns.get_mut(conn.0).expect("the connection is open")
    }

    pub(super) fn fd(&mut self, conn: ConnId) -> RawFd {
        self.conn(conn).socket.as_raw_fd()
    }

    pub(super) fn recv(&mut self, conn: ConnId, token: Token, into: RecvInto) {
        let state = self.conn(conn);
        assert!(state.recv.is_none(), "one receive at a time on a connection");
        state.recv = Some(Receiving { token, into, got: 0 });
    }

    pub(super) fn send(&mut self, conn: ConnId, token: Token, bufs: Vec<Slice>) {
        let state = self.conn(conn);
        assert!(state.send.is_none(), "one send at a time on a connection");
        state.send = Some(Sending { token, bufs, sent: 0 });
    }

    /// Goes on with what waits on `conn`.
    pub(super) fn try_conn(&mut self, conn: ConnId, out: &mut Vec<Done>) {
        // An event may tell of a connection that was closed in the same turn.
        let Some(state) = self.conns.get_mut(conn.0) else { return };
        let fd = state.socket.as_raw_fd();
        if let Some(receiving) = &mut state.recv
            && let Attempt::Finished(result) = try_recv(fd, receiving, &mut self.spare)
            && let Some(Receiving { token, mut into, .. }) = state.recv.take()
        {
            if out.len() >= CROWD {
                self.copied += copy_few(&mut into, &mut self.spare) as u64;
            }
            out.push(Done { token, result, op: Op::Recv { conn, into } });
        }
        if let Some(sending) = &mut state.send
            && let Attempt::Finished(result) = try_send(fd, sending, &mut self.iovecs)
            && let Some(Sending { token, bufs, .. }) = state.send.take()
        {
            out.push(Done { token, result, op: Op::Send { conn, bufs } });
        }
    }

    /// Takes a connection out.
    #[expect(clippy::expect_used, reason = "a ConnId is made by accept or adopt_conn and dies here")]
    pub(super) fn take(&mut self, conn: ConnId) -> OwnedFd {
        let state = self.conns.remove(conn.0).expect("a connection is closed once");
        let idle = state.recv.is_none() && state.send.is_none();
        assert!(idle, "a connection is given up when nothing is pending on it");
        state.socket
    }

    /// Takes over a connection of another driver.
    pub(super) fn adopt_conn(&mut self, socket: OwnedFd, epoll: &Epoll) -> io::Result<ConnId> {
        watched(&mut self.conns, socket, epoll).map(ConnId)
    }

    /// Bytes that were copied out of buffers, ever.
    pub(super) fn copied_bytes(&self) -> u64 {
        self.copied
    }

    /// Takes the op with this token out of its wait.
    pub(super) fn cancel(&mut self, token: Token) -> Option<Op> {
        for id in self.listeners.ids().collect::<Vec<_>>() {
            let waiting = &mut self.listeners.get_mut(id)?.waiting;
            if let Some(index) = waiting.iter().position(|(waits, _)| *waits == token) {
                return waiting.remove(index).map(|(_, op)| op);
            }
        }
        for id in self.conns.ids().collect::<Vec<_>>() {
            let (conn, state) = (ConnId(id), self.conns.get_mut(id)?);
            if state.recv.as_ref().is_some_and(|recv| recv.token == token) {
                return state.recv.take().map(|Receiving { into, .. }| Op::Recv { conn, into });
            }
            if state.send.as_ref().is_some_and(|send| send.token == token) {
                return state.send.take().map(|Sending { bufs, .. }| Op::Send { conn, bufs });
            }
        }
        None
    }
}

/// A connection that was just accepted, with what its op wants to know of it.
fn accepted(conns: &mut Slots<Conn>, socket: OwnedFd, epoll: &Epoll, op: &mut Op) -> io::Result<u32> {
    let Op::Accept { peer, local, .. } = op else { unreachable!("only accepts wait on a listener") };
    socket::set_no_delay(&socket);
    (*peer, *local) = (socket::peer(socket.as_raw_fd()), socket::local(socket.as_raw_fd()));
    watched(conns, socket, epoll)
}

fn watched(conns: &mut Slots<Conn>, socket: OwnedFd, epoll: &Epoll) -> io::Result<u32> {
    let fd = socket.as_raw_fd();
    let id = conns.insert(Conn { socket, recv: None, send: None });
    let watching = epoll.watch_edges(fd, Source::Conn(ConnId(id)));
    if watching.is_err() {
        conns.remove(id);
    }
    watching.map(|()| id)
}

fn try_recv(fd: RawFd, receiving: &mut Receiving, spare: &mut Option<Buf>) -> Attempt {
    match &mut receiving.into {
        RecvInto::Any => {
            let mut buf = spare.take().unwrap_or_else(|| Buf::with_capacity(ANY_BYTES));
            match again(|| socket::recv(fd, &mut buf)) {
                Ok(0) => {
                    *spare = Some(buf);
                    Attempt::Finished(Ok(0))
                }
                Ok(got) => {
                    receiving.into = RecvInto::Buf(buf);
                    Attempt::Finished(Ok(count(got)))
                }
                Err(error) => {
                    *spare = Some(buf);
                    Attempt::failed(error)
                }
            }
        }
        RecvInto::Buf(buf) => match again(|| socket::recv(fd, buf)) {
            Ok(got) => Attempt::Finished(Ok(count(got))),
            Err(error) => Attempt::failed(error),
        },
        RecvInto::Fill(buf) => loop {
            match again(|| if buf.spare_len() == 0 { Ok(0) } else { socket::recv(fd, buf) }) {
                Ok(0) => return Attempt::Finished(Ok(count(receiving.got))),
                Ok(got) => receiving.got += got,
                Err(error) => return Attempt::failed(error),
            }
        },
    }
}

/// Copies few bytes out of a large buffer, which is kept for the next receive; how many.
fn copy_few(into: &mut RecvInto, spare: &mut Option<Buf>) -> usize {
    let RecvInto::Buf(buf) = into else { return 0 };
    let few = buf.len();
    if few > CROWD_COPIED_MAX || buf.capacity() != ANY_BYTES {
        return 0;
    }
    let mut small = Buf::with_capacity(few);
    small.extend_from_slice(buf.as_slice());
    let mut large = std::mem::replace(buf, small);
    large.clear();
    *spare = Some(large);
    few
}

fn try_send(fd: RawFd, sending: &mut Sending, iovecs: &mut Vec<libc::iovec>) -> Attempt {
    let total = vectors::total(&sending.bufs);
    while sending.sent < total {
        match again(|| socket::send(fd, &sending.bufs, sending.sent, iovecs)) {
            Ok(sent) => sending.sent += sent,
            Err(error) => return Attempt::failed(error),
        }
    }
    Attempt::Finished(Ok(count(total)))
}

/// Repeats a call that a signal interrupted.
fn again(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
