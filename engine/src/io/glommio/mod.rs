//! The `glommio` driver: io_uring as glommio 0.9 drives it, a thread-per-core executor made for direct I/O.
//!
//! ```text
//!  submit ─ sockets, reads, writes, syncs ─▶ queue ── tasks ─▶ executor ─▶ reap
//!         ─ paths, lengths, space ────────▶ helper thread ── adopt files ─▶ reap
//!         ─ timers ─▶ a table here; park runs the executor no longer than to the earliest
//! ```
//! The crate's ops belong to its executor, which runs only inside park and reap: there each op becomes a task, and tasks
//! go on. A reap that did not just wait runs the executor for one round: everything to the kernel, everything back from it.
//!
//! What the crate cannot do, and what stands in for it:
//! * it moves file bytes in buffers of its own: one copy for each read and write;
//! * a write that waits for the device: a write and a flush after it;
//! * vectored sends, receives into memory that nobody has written yet, accepting on a listener that several executors share:
//!   non-blocking system calls, once its stream says that there is something to do;
//! * making a direct file of an open one, or with O_EXCL: the helper thread opens, the crate opens `/proc/self/fd/N` again;
//! * finding out whether a device can be polled (an empty file misleads it): a file without a name is tried first;
//! * reserving space that does not begin at byte 0, and its truncation is a thread of its own anyway: the helper thread;
//! * holding files (it keeps its three rings to itself): the rings are found by their descriptors, see `kernel/rings.rs`.
//!
//! Its executor may go to sleep over a task that is ready, if its own timer for interrupting tasks comes due just then; so
//! that timer is set to a day.
//!
//! An error of the ring that the crate does not expect makes it panic, which ends the process.

mod files;
mod shared;
mod signal;
mod sockets;

use super::kernel::helper::{Helper, Reply};
use super::kernel::timers::Timers;
use super::kernel::{clock, rings, socket};
use super::limits::{LET_GO_MS, RING_ENTRIES};
use super::uring::{UringRefused, setup};
use super::{Caps, Done, Driver, ListenerId, Op, Token, Waker};
use crate::mem::BLOCK;
use crate::time::{Mono, Wall};
use glommio::timer::Timer;
use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, Placement};
use io_uring::opcode;
use shared::{Shared, Start};
use signal::Signal;
use std::future::poll_fn;
use std::io;
use std::mem::ManuallyDrop;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// The executor's registered memory, in bytes. It counts against the locked-memory limit, which is often 8 MiB for all
/// shards together; what does not fit is allocated.
const REGISTERED_BYTES: usize = 1 << 20;

/// Rings that an executor has.
const RINGS: usize = 3;

/// After how long the executor interrupts its tasks. Ours are short, and an interruption that comes due before the first of
/// them has run makes the executor sleep over those that are ready, so it is to come never.
const PREEMPT: Duration = Duration::from_secs(24 * 3600);

/// Longest park with more ops under way than a ring has entries. So many completions at once interrupt the tasks, too, with
/// the same effect.
const CROWDED_PARK: Duration = Duration::from_millis(5);

/// What the crate asks of the kernel; it ends the process where something is missing, so we ask first.
const NEEDED: &[(u8, &str)] = &[
    (opcode::ReadFixed::CODE, "read_fixed"),
    (opcode::WriteFixed::CODE, "write_fixed"),
    (opcode::PollAdd::CODE, "poll_add"),
    (opcode::RecvMsg::CODE, "recvmsg"),
    (opcode::Timeout::CODE, "timeout"),
    (opcode::TimeoutRemove::CODE, "timeout_remove"),
    (opcode::LinkTimeout::CODE, "link_timeout"),
    (opcode::Connect::CODE, "connect"),
    (opcode::Fallocate::CODE, "fallocate"),
    (opcode::OpenAt::CODE, "openat"),
    (opcode::Close::CODE, "close"),
    (opcode::Statx::CODE, "statx"),
    (opcode::Write::CODE, "write"),
    (opcode::Send::CODE, "send"),
];

/// One shard's driver over a glommio executor. Make it on the thread that uses it.
pub struct GlommioDriver {
    /// Leaked by [`Drop`] when the kernel does not let go of memory.
    executor: ManuallyDrop<LocalExecutor>,
    shared: Rc<Shared>,
    /// Not begun yet: that takes the executor.
    starts: Vec<Start>,
    /// Wakes whoever polls it in the executor's next round, see [`round`].
    round: Pin<Box<dyn Future<Output = ()>>>,
    /// The executor went round in the park just before, so that a reap need not.
    went_round: bool,
    /// The executor's rings, if they were found.
    rings: Vec<RawFd>,
    /// Entries of each.
    entries: usize,
    helper: Helper,
    timers: Timers,
    signal: Arc<Signal>,
    peers: Vec<Arc<dyn Waker>>,
    caps: Caps,
}

impl GlommioDriver {
    /// A driver for the calling thread, or why there cannot be one.
    pub fn new() -> Result<GlommioDriver, UringRefused> {
        setup::require(NEEDED)?;
        let (made, rings) = rings::watched(executor);
        let (executor, entries) = made?;
        let rings = if rings.len() == RINGS { rings } else { Vec::new() };
        let signal = Arc::new(Signal::default());
        let notes = notes(entries, &rings);
        Ok(GlommioDriver {
            executor: ManuallyDrop::new(executor),
            shared: Shared::new(),
            starts: Vec::new(),
            round: Box::pin(round()),
            went_round: false,
            rings,
            entries,
            helper: Helper::start(Arc::<Signal>::clone(&signal)).map_err(UringRefused::Other)?,
            timers: Timers::default(),
            signal,
            peers: Vec::new(),
            caps: Caps { name: "glommio", direct: true, block: BLOCK as u32, notes },
        })
    }

    fn submit_disk(&mut self, token: Token, op: Op) {
        match &op {
            Op::Read { .. } | Op::WriteV { .. } | Op::WriteSynced { .. } | Op::SyncData { .. } | Op::Close { .. } => {
                self.starts.push(Start::Op(token, op))
            }
            Op::Allocate { file, .. } | Op::SetLen { file, .. } => {
                let fd = self.shared.file(*file).fd();
                self.helper.run(token, op, fd);
            }
            _ => self.helper.run(token, op, -1),
        }
    }

    fn cancel(&mut self, token: Token) {
        if let Some(at) = self.timers.cancel(token) {
            self.shared.complete(token, Err(io::ErrorKind::Interrupted.into()), Op::Timer { at });
        } else {
            self.starts.push(Start::Cut(token));
        }
    }

    /// Takes over what the helper thread has done; files that it opened still have to become the executor's.
    fn take_replies(&mut self) {
        while let Some(Reply { token, op, performed }) = self.helper.next() {
            let direct = &self.shared.devices.direct;
            direct.set(direct.get() && !performed.lost_direct);
            match performed.opened {
                Some(file) => self.starts.push(Start::Adopt(token, op, file, !performed.lost_direct)),
                None => self.shared.complete(token, performed.result, op),
            }
        }
    }

    /// Runs the executor for one round.
    fn pass(&mut self) {
        let (shared, starts, round) = (&self.shared, std::mem::take(&mut self.starts), self.round.as_mut());
        self.executor.run(go_round(shared, starts, round));
    }

    /// Runs the executor until something happens, at most for `limit`; says whether it had to wait.
    fn wait(&mut self, limit: Option<Duration>) -> bool {
        let (shared, starts, signal) = (&self.shared, std::mem::take(&mut self.starts), &self.signal);
        let mut looks = 0;
        self.executor.run(async {
            starts.into_iter().for_each(|start| shared.begin(start));
            let mut limit = limit.map(Timer::new);
            poll_fn(|cx| {
                looks += 1;
                *shared.root.borrow_mut() = Some(cx.waker().clone());
                let over = limit.as_mut().is_some_and(|limit| Pin::new(limit).poll(cx).is_ready());
                let happened = signal.take(cx.waker()) || over || !shared.ready.borrow().is_empty();
                if happened { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            signal.forget();
            shared.root.take();
        });
        looks > 1
    }
}

/// Begins `starts` and lets the executor go round once: it looks after its rings between the two polls.
async fn go_round(shared: &Rc<Shared>, starts: Vec<Start>, mut round: Pin<&mut dyn Future<Output = ()>>) {
    starts.into_iter().for_each(|start| shared.begin(start));
    let mut looked = false;
    poll_fn(|cx| {
        let done = std::mem::replace(&mut looked, true) || round.as_mut().poll(cx).is_ready();
        if done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Never done, and woken in each round: a channel whose other end does not connect. It is the one thing that the executor
/// looks at in every round without a system call; a task that merely yields is run again before the rings are looked at.
async fn round() {
    let (sender, other_end) = glommio::channels::shared_channel::new_bounded::<()>(1);
    sender.connect().await;
    drop(other_end);
}

/// The executor, and the entries of its rings: fewer while the kernel has no memory for more.
fn executor() -> Result<(LocalExecutor, usize), UringRefused> {
    let mut entries = *RING_ENTRIES.end();
    loop {
        let builder = LocalExecutorBuilder::new(Placement::Unbound).io_memory(REGISTERED_BYTES).preempt_timer(PREEMPT);
        match builder.ring_depth(entries as usize).make() {
            Ok(executor) => return Ok((executor, entries as usize)),
            Err(GlommioError::IoError(error)) => match error.raw_os_error() {
                Some(libc::ENOMEM) if entries > *RING_ENTRIES.start() => entries /= 2,
                _ => return Err(setup::refusal(error, entries)),
            },
            Err(other) => return Err(UringRefused::Other(io::Error::other(other.to_string()))),
        }
    }
}

fn notes(entries: usize, rings: &[RawFd]) -> Vec<String> {
    let mut notes = vec![
        format!("glommio 0.9, {RINGS} rings of {entries} entries"),
        "file bytes are copied through its buffers".to_owned(),
        "accept, vectored sends and long receives by system call".to_owned(),
        "1 helper thread for paths, lengths and space".to_owned(),
    ];
    if rings.is_empty() {
        notes.push("its rings were not found: after a kill, its last writes may end under the next start".to_owned());
    }
    notes
}

impl Driver for GlommioDriver {
    fn submit(&mut self, token: Token, op: Op) {
        self.went_round = false;
        match op {
            Op::Recv { conn, .. } => {
                let receiving = self.shared.conn(conn).receiving.replace(true);
                assert!(!receiving, "one receive at a time on a connection");
                self.starts.push(Start::Op(token, op));
            }
            Op::Send { conn, .. } => {
                let sending = self.shared.conn(conn).sending.replace(true);
                assert!(!sending, "one send at a time on a connection");
                self.starts.push(Start::Op(token, op));
            }
            Op::Accept { .. } => self.starts.push(Start::Op(token, op)),
            Op::Shutdown { conn } => {
                socket::shutdown(self.shared.conn(conn).fd());
                self.shared.complete(token, Ok(0), op);
            }
            Op::CloseConn { conn } => {
                self.shared.close_conn(conn);
                self.shared.complete(token, Ok(0), op);
            }
            Op::Timer { at } => self.timers.insert(at, token),
            Op::Wake(shard) => {
                if let Some(peer) = self.peers.get(usize::from(shard.0)) {
                    peer.wake();
                }
                self.shared.complete(token, Ok(0), op);
            }
            Op::Cancel(other) => {
                self.cancel(other);
                self.shared.complete(token, Ok(0), op);
            }
            disk => self.submit_disk(token, disk),
        }
    }

    fn reap(&mut self, out: &mut Vec<Done>) -> usize {
        let before = out.len();
        self.take_replies();
        if !std::mem::take(&mut self.went_round) || !self.starts.is_empty() {
            self.pass();
        }
        self.caps.direct = self.shared.devices.direct.get();
        if self.timers.next().is_some() {
            let now = clock::mono();
            while let Some((at, token)) = self.timers.pop_due(now) {
                self.shared.complete(token, Ok(0), Op::Timer { at });
            }
        }
        out.append(&mut self.shared.ready.borrow_mut());
        out.len() - before
    }

    fn park(&mut self, until: Option<Mono>) {
        if !self.shared.ready.borrow().is_empty() {
            return;
        }
        let until = until.into_iter().chain(self.timers.next()).min();
        let limit = until.map(|at| at.since(clock::mono()));
        let is_crowded = self.shared.running.get() >= self.entries;
        let limit = if is_crowded { Some(limit.map_or(CROWDED_PARK, |limit| limit.min(CROWDED_PARK))) } else { limit };
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
        Arc::<Signal>::clone(&self.signal)
    }

    fn set_peers(&mut self, peers: Vec<Arc<dyn Waker>>) {
        self.peers = peers;
    }

    /// Nothing happens where the rings were not found, which the notes say.
    fn hold(&mut self, files: &[Arc<std::fs::File>]) -> io::Result<()> {
        let descriptors: Vec<RawFd> = files.iter().map(|file| file.as_raw_fd()).collect();
        self.rings.iter().try_for_each(|ring| rings::hold(*ring, &descriptors))
    }

    /// The socket is non-blocking: shards that share it race for its connections.
    fn adopt_listener(&mut self, listener: TcpListener) -> io::Result<ListenerId> {
        listener.set_nonblocking(true)?;
        Ok(self.shared.insert_listener(listener))
    }
}

impl Drop for GlommioDriver {
    /// Cuts short what waits for peers and lets disk ops end. What the kernel has not let go of by then is leaked, with the
    /// executor that owns it: its own end would free memory that the kernel writes to.
    fn drop(&mut self) {
        self.starts.retain(|start| matches!(start, Start::Adopt(..)));
        let shared = Rc::clone(&self.shared);
        self.executor.run(async move { shared.cut_all() });
        let deadline = clock::mono().plus_millis(LET_GO_MS);
        while (self.shared.running.get() > 0 || !self.starts.is_empty()) && clock::mono() < deadline {
            self.shared.ready.borrow_mut().clear();
            self.wait(Some(Duration::from_millis(10)));
        }
        if self.shared.running.get() > 0 {
            tracing::warn!("the kernel still holds buffers of a driver that is dropped; their memory is leaked");
            return;
        }
        let shared = Rc::clone(&self.shared);
        self.executor.run(async move { shared.clear() });
        // Closing is an op as well, which the executor hands over in its next round.
        self.pass();
        // SAFETY: it is not used again.
        unsafe { ManuallyDrop::drop(&mut self.executor) };
    }
}
