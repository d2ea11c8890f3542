//! The `posix` driver: epoll for sockets, a helper thread for the disk. For kernels without io_uring and containers
//! whose seccomp profile blocks it; chosen by itself there.
//!
//! Sockets are tried at once when an op is submitted; only what would block waits for an edge of epoll.

mod epoll;
mod sockets;

use super::kernel::files::Files;
use super::kernel::helper::Helper;
use super::kernel::timers::Timers;
use super::kernel::wake::EventWaker;
use super::kernel::{clock, socket};
use super::{Caps, ConnId, Done, Driver, ListenerId, Loose, LooseSocket, Op, Token, Waker};
use crate::mem::BLOCK;
use crate::time::{Mono, Wall};
use epoll::{Epoll, Source};
use sockets::Sockets;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// One shard's driver over epoll and a helper thread.
pub struct PosixDriver {
    epoll: Epoll,
    sockets: Sockets,
    files: Files,
    helper: Helper,
    timers: Timers,
    waker: Arc<EventWaker>,
    peers: Vec<Arc<dyn Waker>>,
    /// Completions that the next reap hands out.
    ready: Vec<Done>,
    caps: Caps,
}

impl PosixDriver {
    /// A driver for the calling thread. Fails where the process is out of descriptors or threads.
    pub fn new() -> io::Result<PosixDriver> {
        let epoll = Epoll::new()?;
        let waker = Arc::new(EventWaker::new(libc::EFD_NONBLOCK)?);
        epoll.watch_level(waker.fd(), Source::Waker)?;
        let notes = vec!["epoll, 1 helper thread for the disk".to_owned()];
        Ok(PosixDriver {
            epoll,
            sockets: Sockets::new(),
            files: Files::new(),
            helper: Helper::start(Arc::<EventWaker>::clone(&waker))?,
            timers: Timers::default(),
            waker,
            peers: Vec::new(),
            ready: Vec::new(),
            caps: Caps { name: "posix", direct: true, block: BLOCK as u32, notes },
        })
    }

    fn complete(&mut self, token: Token, result: io::Result<u32>, op: Op) {
        self.ready.push(Done { token, result, op });
    }

    fn cancel(&mut self, token: Token) {
        if let Some(at) = self.timers.cancel(token) {
            self.complete(token, Err(io::ErrorKind::Interrupted.into()), Op::Timer { at });
        } else if let Some(op) = self.sockets.cancel(token) {
            self.complete(token, Err(io::ErrorKind::Interrupted.into()), op);
        }
    }

    fn take_events(&mut self) {
        for source in self.epoll.ready() {
            match source {
                Source::Waker => self.waker.drain(),
                Source::Listener(listener) => self.sockets.try_accept(listener, &self.epoll, &mut self.ready),
                Source::Conn(conn) => self.sockets.try_conn(conn, &mut self.ready),
            }
        }
    }
}

impl Driver for PosixDriver {
    fn submit(&mut self, token: Token, op: Op) {
        match op {
            Op::Accept { listener, .. } => {
                self.sockets.accept(listener, token, op);
                self.sockets.try_accept(listener, &self.epoll, &mut self.ready);
            }
            Op::Recv { conn, into } => {
                self.sockets.recv(conn, token, into);
                self.sockets.try_conn(conn, &mut self.ready);
            }
            Op::Send { conn, bufs } => {
                self.sockets.send(conn, token, bufs);
                self.sockets.try_conn(conn, &mut self.ready);
            }
            Op::Shutdown { conn } => {
                socket::shutdown(self.sockets.fd(conn));
                self.complete(token, Ok(0), op);
                self.sockets.try_conn(conn, &mut self.ready);
            }
            Op::CloseConn { conn } => {
                drop(self.sockets.take(conn));
                self.complete(token, Ok(0), op);
            }
            Op::Timer { at } => self.timers.insert(at, token),
            Op::Wake(shard) => {
                if let Some(peer) = self.peers.get(usize::from(shard.0)) {
                    peer.wake();
                }
                self.complete(token, Ok(0), op);
            }
            Op::Cancel(other) => {
                self.cancel(other);
                self.complete(token, Ok(0), op);
            }
            disk => self.helper.submit(token, disk, &mut self.files),
        }
    }

    fn reap(&mut self, out: &mut Vec<Done>) -> usize {
        let before = out.len();
        self.take_events();
        self.helper.reap(&mut self.files, &mut self.caps.direct, &mut self.ready);
        let now = clock::mono();
        while let Some((at, token)) = self.timers.pop_due(now) {
            self.complete(token, Ok(0), Op::Timer { at });
        }
        out.append(&mut self.ready);
        out.len() - before
    }

    fn park(&mut self, until: Option<Mono>) {
        if self.ready.is_empty() {
            let until = until.into_iter().chain(self.timers.next()).min();
            self.epoll.wait(until.map(|at| at.since(clock::mono())));
        }
    }

    fn now(&self) -> Mono {
        clock::mono()
    }

    fn wall(&self) -> Wall {
        clock::wall()
    }

    fn random(&mut self) -> u64 {
        clock::random()
    }

    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn waker(&self) -> Arc<dyn Waker> {
        Arc::<EventWaker>::clone(&self.waker)
    }

    fn set_peers(&mut self, peers: Vec<Arc<dyn Waker>>) {
        self.peers = peers;
    }

    fn copied_bytes(&self) -> u64 {
        self.sockets.copied_bytes()
    }

    fn hands_over(&self) -> bool {
        true
    }

    fn release_conn(&mut self, conn: ConnId) -> Option<Loose> {
        let socket = self.sockets.take(conn);
        self.epoll.forget(socket.as_raw_fd());
        Some(Loose(LooseSocket::Kernel(socket)))
    }

    fn adopt_conn(&mut self, socket: Loose) -> io::Result<ConnId> {
        let LooseSocket::Kernel(socket) = socket.0 else { return Err(io::ErrorKind::Unsupported.into()) };
        self.sockets.adopt_conn(socket, &self.epoll)
    }

    fn adopt_listener(&mut self, listener: std::net::TcpListener) -> io::Result<ListenerId> {
        listener.set_nonblocking(true)?;
        self.sockets.adopt(listener, &self.epoll)
    }
}
