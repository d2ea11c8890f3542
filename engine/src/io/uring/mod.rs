//! The `uring` driver: one io_uring for a shard's files and sockets, and the default where the kernel allows it.
//!
//! ```text
//!  submit ─ sockets, reads, writes, syncs ─▶ queue ─▶ kernel ─▶ reap
//!         ─ paths (open, rename, list, …) ─▶ helper thread ───▶ reap
//!         ─ timers ─▶ a table here; the wait in park ends in time for the earliest
//! ```
//! Ops on paths take the helper thread: the kernel would hand them to a worker of its own anyway, and an open must also
//! ask for the size. Accept is one entry for each [`Op::Accept`], so that a shard that takes no connections accepts none.

mod bufring;
mod end;
mod entry;
mod queue;
pub(super) mod setup;
mod zero_copy;

pub use setup::UringRefused;

use super::kernel::files::Files;
use super::kernel::flight::{Flight, Flush, Scratch, Step};
use super::kernel::helper::Helper;
use super::kernel::slots::Slots;
use super::kernel::timers::Timers;
use super::kernel::wake::EventWaker;
use super::kernel::{clock, rings, socket, vectors};
use super::limits::{ANY_BYTES, CROWD, UNTAKEN_MS};
use super::{Caps, ConnId, Done, Driver, ListenerId, Loose, LooseSocket, Op, RecvInto, Token, Waker};
use crate::mem::{BLOCK, Buf, Slice};
use crate::time::{Mono, Wall};
use bufring::BufRing;
use io_uring::{Probe, cqueue, opcode, types};
use queue::{Completion, Queue};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use zero_copy::ZeroCopy;

/// User data of the read that waits for wakers; flights use their slot.
const WAKE: u64 = u64::MAX;
/// User data of cancellations, whose own completions mean nothing.
const CANCEL: u64 = u64::MAX - 1;

/// One shard's driver over its own ring. Make it on the thread that uses it: the kernel takes entries from that thread
/// only.
pub struct UringDriver {
    /// Dropped first, after [`Drop`] has seen to the flights.
    queue: Queue,
    flights: Slots<Flight>,
    /// Kept apart from flights so that it is reused.
    #[expect(clippy::vec_box, reason = "their box is what keeps their address while they fly")]
    scratches: Vec<Box<Scratch>>,
    /// `None` on kernels before 5.19: each waiting receive then brings its buffer.
    bufring: Option<BufRing>,
    probe: Probe,
    files: Files,
    listeners: Slots<TcpListener>,
    conns: Slots<Conn>,
    helper: Helper,
    timers: Timers,
    waker: Arc<EventWaker>,
    /// Where the ring reads the waker's counter to.
    wake_count: Box<u64>,
    /// The read is under way.
    wake_armed: bool,
    peers: Vec<Arc<dyn Waker>>,
    zero_copy: ZeroCopy,
    ready: Vec<Done>,
    completions: Vec<Completion>,
    caps: Caps,
}

/// A connected socket and whether an op is under way in each direction.
struct Conn {
    socket: OwnedFd,
    receiving: bool,
    sending: bool,
    /// Whether large sends go from where the bytes lie; found out at the first.
    zero_copy: Option<bool>,
}

impl UringDriver {
    /// A driver for the calling thread, or why there cannot be one.
    pub fn new() -> Result<UringDriver, UringRefused> {
        let (made, _) = rings::watched(setup::make);
        let setup::Made { ring, probe, mut notes } = made?;
        let bufring = match BufRing::register(&ring) {
            Ok(bufring) => Some(bufring),
            Err(error) => {
                notes.push(format!("no buffer ring ({error}): connections hold a buffer while they wait"));
                None
            }
        };
        let sends_zero_copy = probe.is_supported(opcode::SendMsgZc::CODE);
        if sends_zero_copy {
            notes.push("zero-copy sends of 16 KiB and more to network cards".to_owned());
        }
        let waker = Arc::new(EventWaker::new(0).map_err(UringRefused::Other)?);
        let mut driver = UringDriver {
            queue: Queue::new(ring),
            flights: Slots::new(),
            scratches: Vec::new(),
            bufring,
            probe,
            files: Files::new(),
            listeners: Slots::new(),
            conns: Slots::new(),
            helper: Helper::start(Arc::<EventWaker>::clone(&waker)).map_err(UringRefused::Other)?,
            timers: Timers::default(),
            waker,
            wake_count: Box::new(0),
            wake_armed: false,
            peers: Vec::new(),
            zero_copy: ZeroCopy::new(sends_zero_copy),
            ready: Vec::new(),
            completions: Vec::new(),
            caps: Caps { name: "uring", direct: true, block: BLOCK as u32, notes },
        };
        driver.arm_wake();
        Ok(driver)
    }

    /// For tests: sends without the kernel's copy to every peer, until the kernel says that it copied.
    pub fn zero_copy_everywhere(&mut self) {
        self.zero_copy.reach_everywhere();
    }

    fn complete(&mut self, token: Token, result: io::Result<u32>, op: Op) {
        self.ready.push(Done { token, result, op });
    }

    fn arm_wake(&mut self) {
        let counter = (&raw mut *self.wake_count).cast();
        let entry = opcode::Read::new(types::Fd(self.waker.fd()), counter, 8).build().user_data(WAKE);
        // SAFETY: the counter is boxed; Drop waits for this read or leaks the box.
        unsafe { self.queue.push(entry) };
        self.wake_armed = true;
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
        self.fly_as(token, op, fd, false);
    }

    fn fly_as(&mut self, token: Token, op: Op, fd: RawFd, zero_copy: bool) {
        let scratch = self.scratches.pop().unwrap_or_else(Scratch::new);
        let flush = Flush::of(&op, &self.files);
        let slot = self.flights.insert(Flight { token, op, fd, moved: 0, cancelled: false, zero_copy, flush, scratch });
        self.start(slot);
    }

    /// Starts the op in `slot`, or goes on with it.
    fn start(&mut self, slot: u32) {
        if let Some(flight) = self.flights.get_mut(slot) {
            let entry = entry::of(flight.fd, flight.call()).user_data(u64::from(slot));
            // SAFETY: the entry points to buffers and scratch memory of the flight, which leave `flights` only with the
            // completion of this entry; Drop waits for that or leaks them.
            unsafe { self.queue.push(entry) };
        }
    }

    fn submit_recv(&mut self, token: Token, conn: ConnId, mut into: RecvInto) {
        if self.bufring.is_none() && matches!(into, RecvInto::Any) {
            into = RecvInto::Buf(Buf::with_capacity(ANY_BYTES));
        }
        let state = self.conn(conn);
        assert!(!std::mem::replace(&mut state.receiving, true), "one receive at a time on a connection");
        let fd = state.socket.as_raw_fd();
        self.fly(token, Op::Recv { conn, into }, fd);
    }

    fn submit_send(&mut self, token: Token, conn: ConnId, bufs: Vec<Slice>) {
        let state = self.conn(conn);
        assert!(!std::mem::replace(&mut state.sending, true), "one send at a time on a connection");
        let fd = state.socket.as_raw_fd();
        let zero_copy = self.zero_copy.is_worth(vectors::total(&bufs)) && self.sends_zero_copy(conn);
        self.fly_as(token, Op::Send { conn, bufs }, fd, zero_copy);
    }

    fn sends_zero_copy(&mut self, conn: ConnId) -> bool {
        let state = self.conn(conn);
        let (known, fd) = (state.zero_copy, state.socket.as_raw_fd());
        known.unwrap_or_else(|| {
            let reaches = self.zero_copy.reaches(socket::local(fd), socket::peer(fd));
            self.conn(conn).zero_copy = Some(reaches);
            reaches
        })
    }

    /// Whether the ring does this op of the disk here.
    fn flies(&self, op: &Op) -> Option<RawFd> {
        let (code, file) = match op {
            Op::Read { file, .. } => (opcode::Read::CODE, file),
            Op::WriteV { file, .. } | Op::WriteSynced { file, .. } => (opcode::Writev::CODE, file),
            Op::SyncData { file } => (opcode::Fsync::CODE, file),
            Op::Allocate { file, .. } => (opcode::Fallocate::CODE, file),
            Op::SetLen { file, .. } => (opcode::Ftruncate::CODE, file),
            Op::Close { file } => (opcode::Close::CODE, file),
            _ => return None,
        };
        self.probe.is_supported(code).then(|| self.files.fd(*file))
    }

    fn submit_disk(&mut self, token: Token, op: Op) {
        match (self.flies(&op), &op) {
            (Some(_), Op::Close { file }) => {
                let fd = self.files.remove(*file).into_raw_fd();
                self.fly(token, op, fd);
            }
            (Some(fd), _) => self.fly(token, op, fd),
            (None, _) => self.helper.submit(token, op, &mut self.files),
        }
    }

    fn cancel(&mut self, token: Token) {
        if let Some(at) = self.timers.cancel(token) {
            return self.complete(token, Err(io::ErrorKind::Interrupted.into()), Op::Timer { at });
        }
        let ours = |slot: &u32| self.flights.get(*slot).is_some_and(|flight| flight.token == token);
        let slot = self.flights.ids().find(ours);
        if let Some(slot) = slot {
            self.cancel_flight(slot);
        }
    }

    /// Disk ops run to their end; what waits for a peer is cut short.
    fn cancel_flight(&mut self, slot: u32) {
        let Some(flight) = self.flights.get_mut(slot) else { return };
        if matches!(flight.op, Op::Accept { .. } | Op::Recv { .. } | Op::Send { .. }) {
            flight.cancelled = true;
            let entry = opcode::AsyncCancel::new(u64::from(slot)).build().user_data(CANCEL);
            // SAFETY: the entry points to nothing.
            unsafe { self.queue.push(entry) };
        }
    }

    fn take_completions(&mut self) {
        let mut completions = std::mem::take(&mut self.completions);
        self.queue.drain(&mut completions);
        for (user_data, result, flags) in completions.drain(..) {
            match user_data {
                CANCEL => {}
                WAKE => {
                    self.waker.clear();
                    self.arm_wake();
                }
                slot => self.land(slot as u32, result, flags),
            }
        }
        self.completions = completions;
    }

    /// Takes the completion of the flight in `slot` in.
    fn land(&mut self, slot: u32, result: i32, flags: u32) {
        if cqueue::notif(flags) {
            if let Some(over) = self.zero_copy.noticed(slot, result) {
                self.finish(slot, over);
            }
            return;
        }
        self.zero_copy.expect(slot, flags);
        let (count, is_crowd) = (usize::try_from(result).unwrap_or(0), self.ready.len() >= CROWD);
        let picked = self.bufring.as_mut().and_then(|ring| ring.take(flags, count, is_crowd));
        let Some(flight) = self.flights.get_mut(slot) else { unreachable!("a slot is kept until its completion") };
        match flight.step(result, picked) {
            Step::Finished(result) => {
                if let Some(over) = self.zero_copy.over(slot, result) {
                    self.finish(slot, over);
                }
            }
            Step::LostDirect => {
                self.caps.direct = false;
                self.start(slot);
            }
            Step::LostZeroCopy => {
                self.zero_copy.switch_off();
                self.start(slot);
            }
            Step::Again => self.start(slot),
        }
    }

    fn finish(&mut self, slot: u32, result: io::Result<u32>) {
        let Some(Flight { token, mut op, scratch, .. }) = self.flights.remove(slot) else { return };
        self.scratches.push(scratch);
        let result = match (&mut op, result) {
            (Op::Accept { peer, local, .. }, Ok(fd)) => {
                // SAFETY: the kernel just gave us this descriptor in the completion.
                let socket = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
                socket::set_no_delay(&socket);
                (*peer, *local) = (socket::peer(socket.as_raw_fd()), socket::local(socket.as_raw_fd()));
                Ok(self.conns.insert(Conn { socket, receiving: false, sending: false, zero_copy: None }))
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

impl Driver for UringDriver {
    fn submit(&mut self, token: Token, op: Op) {
        match op {
            Op::Accept { listener, .. } => {
                let fd = self.listener_fd(listener);
                self.fly(token, op, fd);
            }
            Op::Recv { conn, into } => self.submit_recv(token, conn, into),
            Op::Send { conn, bufs } => self.submit_send(token, conn, bufs),
            Op::Shutdown { conn } => {
                let (fd, zero_copy) = (self.conn(conn).socket.as_raw_fd(), self.conn(conn).zero_copy);
                if zero_copy == Some(true) {
                    socket::give_up_after(fd, UNTAKEN_MS);
                }
                socket::shutdown(fd);
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
        self.queue.submit();
        self.take_completions();
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
        if self.ready.is_empty() {
            let until = until.into_iter().chain(self.timers.next()).min();
            self.queue.wait(until.map(|at| at.since(clock::mono())));
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

    fn hold(&mut self, files: &[Arc<std::fs::File>]) -> io::Result<()> {
        // A ring outlives a killed process until its last op has ended, and its registered files live as long.
        let descriptors: Vec<RawFd> = files.iter().map(|file| file.as_raw_fd()).collect();
        rings::hold(self.queue.ring().as_raw_fd(), &descriptors)
    }

    fn copied_bytes(&self) -> u64 {
        self.bufring.as_ref().map_or(0, BufRing::copied_bytes)
    }

    fn hands_over(&self) -> bool {
        true
    }

    fn release_conn(&mut self, conn: ConnId) -> Option<Loose> {
        Some(Loose(LooseSocket::Kernel(self.take_conn(conn))))
    }

    fn adopt_conn(&mut self, socket: Loose) -> io::Result<ConnId> {
        let LooseSocket::Kernel(socket) = socket.0 else { return Err(io::ErrorKind::Unsupported.into()) };
        Ok(ConnId(self.conns.insert(Conn { socket, receiving: false, sending: false, zero_copy: None })))
    }

    /// The socket is made blocking: a ring waits for connections, but not on a non-blocking socket.
    fn adopt_listener(&mut self, listener: TcpListener) -> io::Result<ListenerId> {
        listener.set_nonblocking(false)?;
        Ok(ListenerId(self.listeners.insert(listener)))
    }
}
