//! The `tokio-uring` driver: io_uring as tokio-uring 0.5 drives it, for hosts that live on tokio and for the comparison.
//!
//! ```text
//!  submit ─ sockets, reads, writes, syncs ─▶ queue ── futures ─▶ runtime ─▶ reap
//!         ─ paths, file lengths ──────────▶ helper thread ────────────────▶ reap
//!         ─ timers ─▶ a table here; park runs the runtime no longer than to the earliest
//! ```
//! The crate's ops belong to its runtime, which runs only inside park and reap: there queued ops start and completed ones
//! land. The runtime waits in epoll, for the ring and for the wakers' eventfd; it looks at completions only after the ring
//! has become readable, and hands entries over only when it is about to wait. So a reap that did not just wait sends an
//! entry through the ring that does nothing, and is done when that comes back.
//!
//! What the crate cannot do, and what stands in for it:
//! * vectored sends and receives into a part of a buffer: entries of our own through its `UnsubmittedOneshot`;
//! * a ring of provided buffers (it drives ops that complete once): the older kind, an entry for each buffer;
//! * cancelling an op (it keeps its number to itself): cancelling by descriptor (Linux 5.19); what was not meant starts again;
//! * ftruncate, which its version of the ring's crate does not know: the helper thread;
//! * holding files (it keeps its ring to itself): the ring is found by its descriptor, see `kernel/rings.rs`.
//!
//! A kernel that has no memory for a request makes the crate panic, which ends the process.

mod air;
mod entry;
mod lent;
mod shot;
mod woken;

use super::kernel::files::Files;
use super::kernel::flight::{Flight, Flush, Scratch};
use super::kernel::helper::Helper;
use super::kernel::slots::Slots;
use super::kernel::timers::Timers;
use super::kernel::wake::EventWaker;
use super::kernel::{clock, rings, socket};
use super::limits::{LET_GO_MS, RING_ENTRIES};
use super::uring::{UringRefused, setup};
use super::{Caps, ConnId, Done, Driver, ListenerId, Loose, LooseSocket, Op, Token, Waker};
use crate::mem::BLOCK;
use crate::time::{Mono, Wall};
use air::{Air, Arrival, Until};
use std::future::poll_fn;
use std::io;
use std::mem::ManuallyDrop;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_uring::Runtime;

/// One shard's driver over a tokio-uring runtime. Make it on the thread that uses it.
pub struct TokioUringDriver {
    /// Leaked by [`Drop`] when the kernel does not let go of memory.
    runtime: ManuallyDrop<Runtime>,
    air: ManuallyDrop<Air>,
    /// The runtime went round in the park just before, so that a reap need not.
    went_round: bool,
    /// The runtime's ring, if it was found.
    ring: Option<RawFd>,
    files: Files,
    listeners: Slots<TcpListener>,
    conns: Slots<Conn>,
    helper: Helper,
    timers: Timers,
    waker: Arc<EventWaker>,
    peers: Vec<Arc<dyn Waker>>,
    /// Kept apart from flights so that it is reused.
    #[expect(clippy::vec_box, reason = "their box is what keeps their address while they fly")]
    scratches: Vec<Box<Scratch>>,
    ready: Vec<Done>,
    caps: Caps,
}

/// A connected socket and whether an op is under way in each direction.
struct Conn {
    socket: OwnedFd,
    receiving: bool,
    sending: bool,
}

impl TokioUringDriver {
    /// A driver for the calling thread, or why there cannot be one.
    pub fn new() -> Result<TokioUringDriver, UringRefused> {
        setup::require(&[(io_uring::opcode::Socket::CODE, "cancel by descriptor (Linux 5.19)")])?;
        let (made, mut rings) = rings::watched(runtime);
        let (runtime, entries) = made?;
        let ring = if rings.len() == 1 { rings.pop() } else { None };
        let waker = Arc::new(EventWaker::new(libc::EFD_NONBLOCK).map_err(UringRefused::Other)?);
        let air = runtime.block_on(async { Air::new(&waker) }).map_err(UringRefused::Other)?;
        Ok(TokioUringDriver {
            runtime: ManuallyDrop::new(runtime),
            air: ManuallyDrop::new(air),
            went_round: false,
            ring,
            files: Files::new(),
            listeners: Slots::new(),
            conns: Slots::new(),
            helper: Helper::start(Arc::<EventWaker>::clone(&waker)).map_err(UringRefused::Other)?,
            timers: Timers::default(),
            waker,
            peers: Vec::new(),
            scratches: Vec::new(),
            ready: Vec::new(),
            caps: Caps { name: "tokio-uring", direct: true, block: BLOCK as u32, notes: notes(entries, ring) },
        })
    }

    fn complete(&mut self, token: Token, result: io::Result<u32>, op: Op) {
        self.ready.push(Done { token, result, op });
    }

    #[expect(clippy::expect_used, reason = "a ConnId is made by Accept only and dies in CloseConn")]
    fn conn(&mut self, conn: ConnId) -> &mut Conn {
        self.conns.get_mut(conn.0).expect("the connection is open")
    }

    #[expect(clippy::expect_used, reason = "a ListenerId is made by adopt_listener only and never dies")]
    fn listener_fd(&self, listener: ListenerId) -> RawFd {
        self.listeners.get(listener.0).expect("the listener is open").as_raw_fd()
    }

    fn fly(&mut self, token: Token, op: Op, fd: RawFd) {
        let scratch = self.scratches.pop().unwrap_or_else(Scratch::new);
        let flush = Flush::of(&op, &self.files);
        let flight = Flight { token, op, fd, moved: 0, cancelled: false, zero_copy: false, flush, scratch };
        self.air.queue(Box::new(flight));
    }

    fn submit_disk(&mut self, token: Token, op: Op) {
        match &op {
            Op::Read { file, .. }
            | Op::WriteV { file, .. }
            | Op::WriteSynced { file, .. }
            | Op::SyncData { file }
            | Op::Allocate { file, .. } => {
                let fd = self.files.fd(*file);
                self.fly(token, op, fd);
            }
            Op::Close { file } => {
                let fd = self.files.remove(*file).into_raw_fd();
                self.fly(token, op, fd);
            }
            _ => self.helper.submit(token, op, &mut self.files),
        }
    }

    fn cancel(&mut self, token: Token) {
        match self.timers.cancel(token) {
            Some(at) => self.complete(token, Err(io::ErrorKind::Interrupted.into()), Op::Timer { at }),
            None => self.air.cancel(token),
        }
    }

    /// Runs the runtime until everything queued is with the kernel.
    fn pass(&mut self) {
        let (air, mut until) = (&mut self.air, Until::Passed(None));
        self.runtime.block_on(poll_fn(|cx| air.poll(cx, &mut until)));
    }

    /// Runs the runtime until something happens, at most for `limit`; says whether it had to wait.
    fn wait(&mut self, limit: Option<Duration>) -> bool {
        let (air, mut looks) = (&mut self.air, 0);
        self.runtime.block_on(async {
            let mut limit = pin!(limit.map(tokio::time::sleep));
            let mut until = Until::Event(limit.as_mut().as_pin_mut());
            poll_fn(|cx| {
                looks += 1;
                air.poll(cx, &mut until)
            })
            .await;
        });
        looks > 1
    }

    fn take_arrivals(&mut self) {
        let mut arrived = std::mem::take(&mut self.air.arrived);
        for Arrival { flight, result } in arrived.drain(..) {
            let Flight { token, op, scratch, .. } = *flight;
            self.scratches.push(scratch);
            self.finish(token, op, result);
        }
        self.air.arrived = arrived;
        self.caps.direct &= !self.air.lost_direct;
    }

    fn finish(&mut self, token: Token, mut op: Op, result: io::Result<u32>) {
        let result = match (&mut op, result) {
            (Op::Accept { peer, local, .. }, Ok(fd)) => {
                // SAFETY: the kernel just gave us this descriptor in the completion.
                let socket = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
                socket::set_no_delay(&socket);
                (*peer, *local) = (socket::peer(socket.as_raw_fd()), socket::local(socket.as_raw_fd()));
                Ok(self.conns.insert(Conn { socket, receiving: false, sending: false }))
            }
            (Op::Recv { conn, .. }, result) => {
                self.conn(*conn).receiving = false;
                result
            }
            (Op::Send { conn, .. }, result) => {
                self.conn(*conn).sending = false;
                result
            }
            (_, result) => result,
        };
        self.complete(token, result, op);
    }

    /// Takes a connection out.
    #[expect(clippy::expect_used, reason = "a ConnId is made by Accept or adopt_conn and dies here")]
    fn take_conn(&mut self, conn: ConnId) -> OwnedFd {
        let state = self.conns.remove(conn.0).expect("a connection is closed once");
        assert!(!state.receiving && !state.sending, "a connection is given up when nothing is pending on it");
        state.socket
    }
}

/// The runtime, and the entries of its ring: fewer while the kernel has no memory for more.
fn runtime() -> Result<(Runtime, u32), UringRefused> {
    let mut ring = tokio_uring::uring_builder();
    // Deferred task work would need waits in the ring, and the runtime waits in epoll.
    ring.dontfork().setup_single_issuer().setup_coop_taskrun().setup_submit_all().setup_clamp();
    let mut entries = *RING_ENTRIES.end();
    loop {
        let mut builder = tokio_uring::builder();
        builder.entries(entries).uring_builder(ring.setup_cqsize(entries * 4));
        match Runtime::new(&builder) {
            Ok(runtime) => return Ok((runtime, entries)),
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && entries > *RING_ENTRIES.start() => entries /= 2,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                return Err(UringRefused::TooOld("single issuer (Linux 6.0)"));
            }
            Err(error) => return Err(setup::refusal(error, entries)),
        }
    }
}

fn notes(entries: u32, ring: Option<RawFd>) -> Vec<String> {
    let mut notes = vec![
        format!("tokio-uring 0.5, {entries} entries, cooperative task work"),
        "1 helper thread for paths and file lengths".to_owned(),
        "timers by the millisecond".to_owned(),
    ];
    if ring.is_none() {
        notes.push("its ring was not found: after a kill, its last writes may end under the next start".to_owned());
    }
    notes
}

impl Driver for TokioUringDriver {
    fn submit(&mut self, token: Token, op: Op) {
        self.went_round = false;
        match op {
            Op::Accept { listener, .. } => {
                let fd = self.listener_fd(listener);
                self.fly(token, op, fd);
            }
            Op::Recv { conn, .. } => {
                let state = self.conn(conn);
                assert!(!std::mem::replace(&mut state.receiving, true), "one receive at a time on a connection");
                let fd = state.socket.as_raw_fd();
                self.fly(token, op, fd);
            }
            Op::Send { conn, .. } => {
                let state = self.conn(conn);
                assert!(!std::mem::replace(&mut state.sending, true), "one send at a time on a connection");
                let fd = state.socket.as_raw_fd();
                self.fly(token, op, fd);
            }
            Op::Shutdown { conn } => {
                socket::shutdown(self.conn(conn).socket.as_raw_fd());
                self.complete(token, Ok(0), op);
            }
            Op::CloseConn { conn } => {
                drop(self.take_conn(conn));
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
            disk => self.submit_disk(token, disk),
        }
    }

    fn reap(&mut self, out: &mut Vec<Done>) -> usize {
        let before = out.len();
        let went_round = std::mem::take(&mut self.went_round);
        let has_work = !self.air.is_empty() || !self.air.is_started();
        if has_work && !went_round {
            self.pass();
        }
        self.take_arrivals();
        self.helper.reap(&mut self.files, &mut self.caps.direct, &mut self.ready);
        if self.timers.next().is_some() {
            let now = clock::mono();
            while let Some((at, token)) = self.timers.pop_due(now) {
                self.complete(token, Ok(0), Op::Timer { at });
            }
        }
        out.append(&mut self.ready);
        out.len() - before
    }

    fn park(&mut self, until: Option<Mono>) {
        if !self.ready.is_empty() || !self.air.arrived.is_empty() {
            return;
        }
        let until = until.into_iter().chain(self.timers.next()).min();
        let limit = until.map(|at| at.since(clock::mono()));
        if limit != Some(Duration::ZERO) {
            self.went_round = self.wait(limit);
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

    /// Nothing happens where the ring was not found, which the notes say.
    fn hold(&mut self, files: &[Arc<std::fs::File>]) -> io::Result<()> {
        let descriptors: Vec<RawFd> = files.iter().map(|file| file.as_raw_fd()).collect();
        self.ring.map_or(Ok(()), |ring| rings::hold(ring, &descriptors))
    }

    fn hands_over(&self) -> bool {
        true
    }

    fn release_conn(&mut self, conn: ConnId) -> Option<Loose> {
        Some(Loose(LooseSocket::Kernel(self.take_conn(conn))))
    }

    fn adopt_conn(&mut self, socket: Loose) -> io::Result<ConnId> {
        let LooseSocket::Kernel(socket) = socket.0 else { return Err(io::ErrorKind::Unsupported.into()) };
        Ok(ConnId(self.conns.insert(Conn { socket, receiving: false, sending: false })))
    }

    /// The socket is made blocking: a ring waits for connections, but not on a non-blocking socket.
    fn adopt_listener(&mut self, listener: TcpListener) -> io::Result<ListenerId> {
        listener.set_nonblocking(false)?;
        Ok(ListenerId(self.listeners.insert(listener)))
    }
}

impl Drop for TokioUringDriver {
    /// Cuts short what waits for peers and lets disk ops end. After that the runtime's own end would wait for whatever is
    /// left, however long that takes; so it is leaked then, with the memory that the kernel still holds.
    fn drop(&mut self) {
        self.air.cancel_all();
        let deadline = clock::mono().plus_millis(LET_GO_MS);
        while !self.air.is_empty() && clock::mono() < deadline {
            self.air.arrived.drain(..).for_each(drop_arrival);
            self.wait(Some(Duration::from_millis(10)));
        }
        self.air.arrived.drain(..).for_each(drop_arrival);
        if !self.air.is_empty() {
            tracing::warn!("the kernel still holds buffers of a driver that is dropped; their memory is leaked");
            return;
        }
        // SAFETY: neither is used again. The air goes first: its eventfd is registered with the runtime.
        unsafe {
            ManuallyDrop::drop(&mut self.air);
            ManuallyDrop::drop(&mut self.runtime);
        }
    }
}

/// Ends an op that nobody wants to hear of; a connection that it accepted is closed.
fn drop_arrival(arrival: Arrival) {
    if let (Op::Accept { .. }, Ok(fd)) = (&arrival.flight.op, arrival.result) {
        // SAFETY: the kernel just gave us this descriptor in the completion.
        drop(unsafe { OwnedFd::from_raw_fd(fd as RawFd) });
    }
}
