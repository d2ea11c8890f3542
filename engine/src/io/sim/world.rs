//! The state of a simulated world: its clock, the ops under way, and how each kind of op happens.

use super::super::{Done, FileId, Op, OpenMode, Token, Waker};
use super::disk::Disk;
use super::faults::{Chance, SimFaults};
use super::file::FileMoment;
use super::names::NodeId;
use super::net::{Net, Waiting};
use super::rng::Rng;
use crate::io::ConnId;
use crate::mem::{BLOCK, Slice};
use crate::time::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long TCP waits before it sends a lost segment again at first, in nanoseconds, and at most.
const RETRANSMIT_NS: u64 = 200_000_000;
const RETRANSMIT_NS_MAX: u64 = 8 * RETRANSMIT_NS;

/// The waker of a simulated driver: a flag that its next park sees.
#[derive(Default)]
pub(super) struct SimWaker(AtomicBool);

impl SimWaker {
    fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

impl Waker for SimWaker {
    fn wake(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What the world knows of one driver.
pub(super) struct DriverState {
    pub(super) alive: bool,
    pub(super) ready: Vec<Done>,
    pub(super) waker: Arc<SimWaker>,
    pub(super) peers: Vec<Arc<dyn Waker>>,
    /// Set while it is parked: until when, if it said so.
    parked: Option<Option<Mono>>,
}

impl DriverState {
    fn is_idle(&self) -> bool {
        !self.alive || (self.parked.is_some() && self.ready.is_empty() && !self.waker.is_set())
    }
}

struct Handle {
    driver: usize,
    node: NodeId,
    mode: OpenMode,
}

/// What a sync covers, taken when it is submitted.
enum Covered {
    Nothing,
    Data(FileMoment),
    Names(u64),
}

struct Pending {
    driver: usize,
    token: Token,
    op: Op,
    covered: Covered,
    fails: Option<i32>,
}

enum Event {
    Op(Pending),
    Net(ConnId),
}

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: Mono,
    pub(super) faults: SimFaults,
    pub(super) disk: Disk,
    pub(super) net: Net,
    pub(super) drivers: Vec<DriverState>,
    /// A hash over everything that completed, when, and how.
    pub(super) trace: u64,
    /// Completions so far.
    pub(super) completions: u64,
    /// At which completion the process ends, if it is to end at one.
    pub(super) ends_at: Option<(u64, End)>,
    /// At which change of a name from here on the process ends, if it is to end at one.
    pub(super) ends_at_name: Option<(u64, End)>,
    /// How the last process ended.
    pub(super) last_end: Option<End>,
    /// Whoever holds the world lets time pass; parking does not.
    pub(super) is_manual: bool,
    /// What the wall clock is ahead of virtual time, in milliseconds, and how fast that grows per million.
    pub(super) wall_ahead_ms: i64,
    pub(super) wall_drift_ppm: i64,
    /// Files that hold something else than what was written to them, or will not say.
    pub(super) damaged: BTreeSet<NodeId>,
    /// Paths that contain one of these are never damaged.
    pub(super) spared: Vec<&'static str>,
    handles: BTreeMap<u32, Handle>,
    next_handle: u32,
    /// What will happen, by time and then by order of planning.
    events: BTreeMap<(Mono, u64), Event>,
    planned: u64,
}

/// How a process can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is killed.
    Kill,
    /// The power fails.
    PowerCut,
}

type Outcome = io::Result<u32>;

fn joined(bufs: &[Slice]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(bufs.iter().map(|buf| buf.len()).sum());
    bufs.iter().for_each(|buf| bytes.extend_from_slice(buf));
    bytes
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        World {
            rng: Rng::new(seed),
            now: Mono(0),
            faults: SimFaults::default(),
            disk: Disk::new(),
            net: Net::default(),
            drivers: Vec::new(),
            trace: 0xCBF2_9CE4_8422_2325,
            completions: 0,
            ends_at: None,
            ends_at_name: None,
            last_end: None,
            is_manual: false,
            wall_ahead_ms: 0,
            wall_drift_ppm: 0,
            damaged: BTreeSet::new(),
            spared: Vec::new(),
            handles: BTreeMap::new(),
            next_handle: 0,
            events: BTreeMap::new(),
            planned: 0,
        }
    }

    pub(super) fn add_driver(&mut self) -> usize {
        self.drivers.push(DriverState {
            alive: true,
            ready: Vec::new(),
            waker: Arc::default(),
            peers: Vec::new(),
            parked: None,
        });
        self.drivers.len() - 1
    }

    pub(super) fn running(&mut self, driver: usize) -> &mut DriverState {
        let state = &mut self.drivers[driver];
        state.parked = None;
        state
    }

    fn plan(&mut self, at: Mono, event: Event) {
        self.planned += 1;
        self.events.insert((at, self.planned), event);
    }

    fn later(&mut self, range: Range<u64>) -> Mono {
        let width = range.end.saturating_sub(range.start).max(1);
        self.now + Duration::from_nanos(range.start + self.rng.below(width))
    }

    fn complete(&mut self, driver: usize, done: Done) {
        let result = match &done.result {
            Ok(count) => u64::from(*count),
            Err(error) => 1 << 32 | error.raw_os_error().unwrap_or(0) as u64,
        };
        for word in [self.now.0, driver as u64, done.token.0, result] {
            self.trace = (self.trace ^ word).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(23);
        }
        let changes_names = matches!(done.op, Op::Rename { .. } | Op::Unlink { .. } | Op::RemoveDir { .. });
        if self.drivers[driver].alive {
            self.drivers[driver].ready.push(done);
        }
        self.completions += 1;
        let by_names = self.ends_at_name.take_if(|(left, _)| {
            *left -= u64::from(changes_names && *left > 0);
            *left == 0
        });
        let by_count = self.ends_at.take_if(|(at, _)| *at <= self.completions);
        if let Some((_, end)) = by_count.or(by_names) {
            match end {
                End::Kill => self.kill(),
                End::PowerCut => self.crash(),
            }
        }
    }

    pub(super) fn submit(&mut self, driver: usize, token: Token, op: Op) {
        if !self.running(driver).alive {
            return;
        }
        let fails = self.faults.strike(&op, &mut self.rng);
        match op {
            Op::Timer { at } => {
                let at = at.max(self.now);
                self.plan(at, Event::Op(Pending { driver, token, op, covered: Covered::Nothing, fails: None }));
            }
            Op::Accept { .. } | Op::Recv { .. } | Op::Send { .. } if fails.is_none() => {
                self.submit_net(Waiting { driver, token, op });
            }
            Op::Shutdown { conn } => {
                self.net.conn(conn).node_closed = true;
                self.plan_step(conn);
                self.complete(driver, Done { token, result: Ok(0), op });
            }
            Op::CloseConn { conn } => {
                self.net.close(conn);
                self.complete(driver, Done { token, result: Ok(0), op });
            }
            Op::Wake(shard) => {
                if let Some(peer) = self.drivers[driver].peers.get(usize::from(shard.0)) {
                    peer.wake();
                }
                self.complete(driver, Done { token, result: Ok(0), op });
            }
            Op::Cancel(other) => {
                self.cancel(driver, other);
                self.complete(driver, Done { token, result: Ok(0), op });
            }
            op => self.submit_disk(driver, token, op, fails),
        }
    }

    fn submit_net(&mut self, waiting: Waiting) {
        match waiting.op {
            Op::Accept { listener, .. } => {
                self.net.accept(waiting, listener);
                self.match_accepts();
            }
            Op::Recv { conn, .. } => {
                self.net.recv(conn, waiting);
                self.plan_step(conn);
            }
            Op::Send { conn, .. } => {
                self.net.send(conn, waiting);
                self.plan_step(conn);
            }
            _ => unreachable!("the caller passes socket ops only"),
        }
    }

    pub(super) fn match_accepts(&mut self) {
        for (driver, done) in self.net.match_accepts() {
            self.complete(driver, done);
        }
    }

    /// Plans a look at `conn` unless one is planned.
    pub(super) fn plan_step(&mut self, conn: ConnId) {
        if self.net.peer_conn(conn).is_none_or(|state| std::mem::replace(&mut state.planned, true)) {
            return;
        }
        if self.faults.draw(Chance::Reset, &mut self.rng)
            && let Some(state) = self.net.peer_conn(conn)
        {
            state.reset = true;
        }
        let mut at = self.later(self.faults.net_latency_ns.clone());
        let mut wait = RETRANSMIT_NS;
        while wait <= RETRANSMIT_NS_MAX && self.faults.draw(Chance::PacketLoss, &mut self.rng) {
            at = at + Duration::from_nanos(wait);
            wait *= 2;
        }
        let held = self.net.peer_conn(conn).map_or(Mono(0), |state| state.held_until());
        self.plan(at.max(held), Event::Net(conn));
    }

    fn cancel(&mut self, driver: usize, token: Token) {
        let interrupted = || Err(io::Error::from(io::ErrorKind::Interrupted));
        if let Some(waiting) = self.net.cancel(driver, token) {
            let (driver, done) = waiting.done(interrupted());
            return self.complete(driver, done);
        }
        let timer = self.events.iter().find_map(|(key, event)| match event {
            Event::Op(Pending { driver: d, token: t, op: Op::Timer { .. }, .. }) if (*d, *t) == (driver, token) => {
                Some(*key)
            }
            _ => None,
        });
        if let Some(Event::Op(timer)) = timer.and_then(|key| self.events.remove(&key)) {
            self.complete(driver, Done { token, result: interrupted(), op: timer.op });
        }
    }

    fn submit_disk(&mut self, driver: usize, token: Token, op: Op, fails: Option<i32>) {
        self.check_alignment(&op);
        let covered = match &op {
            Op::SyncData { file } => {
                let node = self.handle(*file).node;
                Covered::Data(self.disk.moment(node))
            }
            Op::SyncDir { .. } => Covered::Names(self.disk.names.moment()),
            _ => Covered::Nothing,
        };
        let at = self.disk_done_at();
        self.plan(at, Event::Op(Pending { driver, token, op, covered, fails }));
    }

    fn disk_done_at(&mut self) -> Mono {
        let Range { start, end } = self.faults.disk_latency_ns;
        let slowness = self.faults.disk_slowness;
        self.later(start * slowness..end * slowness).max(self.faults.disk_stuck_until)
    }

    #[expect(clippy::expect_used, reason = "a FileId is made by Open only and dies in Close")]
    fn handle(&self, file: FileId) -> &Handle {
        self.handles.get(&file.0).expect("the file is open")
    }

    /// Direct I/O is whole blocks in the file and in memory; the kernel would answer EINVAL on some file systems only.
    fn check_alignment(&self, op: &Op) {
        let block = BLOCK as u64;
        let is_direct = |file| {
            matches!(self.handle(file).mode, OpenMode::ReadDirect | OpenMode::WriteDirect | OpenMode::CreateDirect)
        };
        match op {
            Op::WriteV { file, at, bufs } | Op::WriteSynced { file, at, bufs } if is_direct(*file) => {
                assert!(at.is_multiple_of(block), "a direct write at {at} is not block-aligned");
                assert!(bufs.iter().all(crate::mem::Slice::is_aligned), "a direct write of unaligned memory: {bufs:?}");
            }
            Op::Read { file, at, buf } if is_direct(*file) => {
                assert!(at.is_multiple_of(block), "a direct read at {at} is not block-aligned");
                let whole = buf.len().is_multiple_of(BLOCK) && buf.spare_len().is_multiple_of(BLOCK);
                assert!(whole, "a direct read into {buf:?} is not whole blocks");
            }
            _ => {}
        }
    }

    /// Marks `driver` as parked; if all are, time goes on to the next thing that happens.
    pub(super) fn park(&mut self, driver: usize, until: Option<Mono>) {
        let state = &mut self.drivers[driver];
        if !state.alive || !state.ready.is_empty() || state.waker.take() || until.is_some_and(|at| at <= self.now) {
            state.parked = None;
            return;
        }
        state.parked = Some(until);
        if self.is_manual || !self.drivers.iter().all(DriverState::is_idle) {
            return;
        }
        let limits = self.drivers.iter().filter(|state| state.alive).filter_map(|state| state.parked.flatten());
        let next = self.events.first_key_value().map(|(key, _)| key.0);
        if let Some(target) = limits.chain(next).min() {
            self.advance_to(target);
        }
    }

    /// Lets time pass up to `target` and everything happen that is planned until then.
    pub(super) fn advance_to(&mut self, target: Mono) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= target) {
            self.now = self.now.max(entry.key().0);
            let event = entry.remove();
            self.happen(event);
        }
        self.now = self.now.max(target);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Net(conn) => {
                let (done, more) = self.net.step(conn, self.now, &mut self.rng);
                for (driver, done) in done {
                    self.complete(driver, done);
                }
                if more {
                    self.plan_step(conn);
                }
            }
            Event::Op(Pending { driver, token, mut op, covered, fails }) => {
                let result = match fails {
                    Some(code) => self.fail(&op, &covered, code),
                    None => self.perform(driver, &mut op, covered),
                };
                self.complete(driver, Done { token, result, op });
            }
        }
    }

    fn fail(&mut self, op: &Op, covered: &Covered, code: i32) -> Outcome {
        match (op, covered) {
            (Op::SyncData { file }, Covered::Data(moment)) => {
                let (node, mode) = (self.handle(*file).node, self.handle(*file).mode);
                let is_direct = matches!(mode, OpenMode::WriteDirect | OpenMode::CreateDirect);
                self.disk.sync_failed(node, moment, is_direct, &mut self.rng);
            }
            (Op::WriteV { .. } | Op::WriteSynced { .. }, _) if code == libc::EIO => self.tear(op),
            _ => {}
        }
        Err(io::Error::from_raw_os_error(code))
    }

    fn tear(&mut self, op: &Op) {
        if let Op::WriteV { file, at, bufs } | Op::WriteSynced { file, at, bufs } = op {
            let node = self.handle(*file).node;
            self.disk.tear(node, *at, &joined(bufs), &mut self.rng);
        }
    }

    fn perform(&mut self, driver: usize, op: &mut Op, covered: Covered) -> Outcome {
        let capacity = self.faults.capacity;
        match op {
            Op::Open { path, mode, len } => {
                let node = self.disk.open(path, *mode)?;
                *len = self.disk.len(node);
                self.disk.hold(node);
                self.next_handle += 1;
                self.handles.insert(self.next_handle, Handle { driver, node, mode: *mode });
                return Ok(self.next_handle);
            }
            Op::Close { file } => {
                let handle = self.handles.remove(&file.0);
                assert!(handle.as_ref().is_some_and(|handle| handle.driver == driver), "{file:?} is not open here");
                handle.into_iter().for_each(|handle| self.disk.let_go(handle.node));
            }
            Op::Read { file, at, buf } => {
                let node = self.handle(*file).node;
                let bytes = self.disk.read(node, *at, buf.spare_len())?;
                buf.extend_from_slice(&bytes);
                return Ok(bytes.len() as u32);
            }
            Op::WriteV { file, at, bufs } => {
                let node = self.handle(*file).node;
                let (at, bytes) = (*at, joined(bufs));
                self.write(node, at, &bytes)?;
                return Ok(bytes.len() as u32);
            }
            Op::WriteSynced { file, at, bufs } => {
                let node = self.handle(*file).node;
                let (at, bytes) = (*at, joined(bufs));
                self.write(node, at, &bytes)?;
                self.disk.sync_range(node, at, bytes.len() as u64);
                return Ok(bytes.len() as u32);
            }
            Op::SyncData { file } => {
                let node = self.handle(*file).node;
                let Covered::Data(moment) = covered else { unreachable!("taken when it was submitted") };
                self.disk.sync(node, moment);
            }
            Op::Allocate { file, at, len } => {
                let node = self.handle(*file).node;
                self.disk.allocate(node, *at + *len, capacity)?;
            }
            Op::SetLen { file, len } => {
                let node = self.handle(*file).node;
                self.disk.set_len(node, *len, capacity)?;
            }
            Op::Rename { from, to } => self.disk.rename(from, to)?,
            Op::Unlink { path } => self.disk.unlink(path)?,
            Op::MakeDir { path } => self.disk.make_dir(path)?,
            Op::RemoveDir { path } => self.disk.remove_dir(path)?,
            Op::SyncDir { path } => {
                let folder = self.disk.names.find(path)?;
                let Covered::Names(moment) = covered else { unreachable!("taken when it was submitted") };
                self.disk.sync_names(folder, moment);
            }
            Op::List { path, entries } => *entries = self.disk.list(path)?,
            Op::FreeSpace { path, free, total } => {
                self.disk.names.find(path)?;
                // An endless disk need not be counted.
                let used = if capacity == u64::MAX { 0 } else { self.disk.used() };
                (*free, *total) = (capacity.saturating_sub(used), capacity);
            }
            Op::Timer { .. } => {}
            Op::Accept { .. } | Op::Recv { .. } | Op::Send { .. } => {
                unreachable!("sockets wait in Net unless they fail")
            }
            Op::Shutdown { .. } | Op::CloseConn { .. } => unreachable!("done when submitted"),
            Op::Wake(_) | Op::Cancel(_) => unreachable!("done when submitted"),
        }
        Ok(0)
    }

    /// A write, or what becomes of it where nobody is told.
    fn write(&mut self, node: NodeId, at: u64, bytes: &[u8]) -> io::Result<()> {
        let (capacity, len) = (self.faults.capacity, bytes.len() as u64);
        match self.damage(node) {
            Some(Chance::Phantom) => {}
            Some(Chance::Misdirected) => match self.disk.elsewhere(node, at, len, &mut self.rng) {
                Some(other) => self.disk.write(node, other, bytes, capacity)?,
                None => self.disk.write(node, at, bytes, capacity)?,
            },
            Some(Chance::BitFlip) => {
                self.disk.write(node, at, bytes, capacity)?;
                let (byte, bit) = (at + self.rng.below(len.max(1)), self.rng.below(8) as u8);
                self.disk.flip_bit_of(node, byte, bit);
            }
            Some(Chance::LatentSector) => {
                self.disk.write(node, at, bytes, capacity)?;
                self.disk.lose_sector(node, at, len, &mut self.rng);
            }
            _ => self.disk.write(node, at, bytes, capacity)?,
        }
        Ok(())
    }

    /// Whether and how a write to `node` goes wrong unnoticed.
    fn damage(&mut self, node: NodeId) -> Option<Chance> {
        let kinds = [Chance::LatentSector, Chance::BitFlip, Chance::Misdirected, Chance::Phantom];
        let struck = kinds.into_iter().find(|kind| self.faults.draw(*kind, &mut self.rng))?;
        let paths = self.disk.paths_of(&BTreeSet::from([node]));
        let is_spared = |path: &std::path::PathBuf| {
            let path = path.to_string_lossy();
            self.spared.iter().any(|part| path.contains(part))
        };
        if paths.iter().any(is_spared) {
            return None;
        }
        self.damaged.insert(node);
        Some(struck)
    }

    /// The wall clock, in milliseconds beyond its start.
    pub(super) fn wall_ms(&self) -> i64 {
        let ms = (self.now.0 / 1_000_000) as i64;
        ms + self.wall_ahead_ms + (i128::from(ms) * i128::from(self.wall_drift_ppm) / 1_000_000) as i64
    }

    /// True when `driver` has something to do, or its time has come.
    pub(super) fn is_awake(&self, driver: usize) -> bool {
        let state = &self.drivers[driver];
        let due = state.parked.is_none_or(|until| until.is_some_and(|at| at <= self.now));
        state.alive && (due || !state.ready.is_empty() || state.waker.is_set())
    }

    /// When the next thing happens that is planned, or that a parked driver waits for.
    pub(super) fn next_time(&self) -> Option<Mono> {
        let limits = self.drivers.iter().filter(|state| state.alive).filter_map(|state| state.parked.flatten());
        limits.chain(self.events.first_key_value().map(|(key, _)| key.0)).min()
    }

    /// The processes of this world end. Ops under way happen in part; the page cache stays.
    pub(super) fn kill(&mut self) {
        self.last_end = Some(End::Kill);
        let under_way = std::mem::take(&mut self.events);
        for event in under_way.into_values() {
            if let Event::Op(pending) = event {
                self.tear(&pending.op);
            }
        }
        for state in &mut self.drivers {
            state.alive = false;
            state.ready.clear();
        }
        for handle in std::mem::take(&mut self.handles).into_values() {
            self.disk.let_go(handle.node);
        }
        self.net.crash();
    }

    /// A driver is gone, and its process with it: its disk ops under way happen in part, its files are closed, and it does not
    /// hold the clock.
    pub(super) fn leave(&mut self, driver: usize) {
        self.drivers[driver].alive = false;
        let is_its = |event: &Event| matches!(event, Event::Op(pending) if pending.driver == driver);
        let under_way: Vec<_> = self.events.extract_if(.., |_, event| is_its(event)).collect();
        for (_, event) in under_way {
            if let Event::Op(pending) = event {
                self.tear(&pending.op);
            }
        }
        let closed: Vec<_> = self.handles.extract_if(.., |_, handle| handle.driver == driver).collect();
        closed.into_iter().for_each(|(_, handle)| self.disk.let_go(handle.node));
    }

    /// The power fails.
    pub(super) fn crash(&mut self) {
        self.kill();
        self.last_end = Some(End::PowerCut);
        self.disk.crash(&mut self.rng);
    }
}
