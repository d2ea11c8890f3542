//! The `sim` driver: a world in one thread, made from one seed. A virtual clock that advances only when every driver is
//! parked, a disk that loses what was not synced, a network that delivers in pieces, and faults on demand.
//!
//! The world is shared by its drivers; tests hold it too and look into it, crash it, and play the network's other end.
//! What is deliberately absent: real time, real sockets, and (until clusters come) links between nodes.

mod allowed;
mod disk;
mod faults;
mod file;
mod names;
mod net;
mod rng;
mod world;

pub use allowed::Seen;
pub use faults::{Chance, OpKind, SimFaults};
pub use rng::Rng;

use super::{Caps, ConnId, Done, Driver, ListenerId, Loose, LooseSocket, Op, Token, Waker};
use crate::mem::BLOCK;
use crate::time::{Mono, Wall};
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
pub use world::End;
use world::World;

/// The wall clock of every world at its start: 14 November 2023, 22:13:20 UTC.
const WALL_START_MS: i64 = 1_700_000_000_000;

/// A simulated world. Clones are the same world.
#[derive(Clone)]
pub struct SimWorld(Rc<RefCell<World>>);

impl SimWorld {
    /// A world with an empty disk. Everything in it follows from `seed` and from what is done to it.
    pub fn new(seed: u64) -> SimWorld {
        SimWorld(Rc::new(RefCell::new(World::new(seed))))
    }

    /// A driver of this world, one for each shard.
    pub fn driver(&self) -> SimDriver {
        let index = self.0.borrow_mut().add_driver();
        let caps = Caps { name: "sim", direct: true, block: BLOCK as u32, notes: Vec::new() };
        SimDriver { world: self.clone(), index, caps }
    }

    /// Changes the plan of misfortunes.
    pub fn faults(&self, change: impl FnOnce(&mut SimFaults)) {
        change(&mut self.0.borrow_mut().faults);
    }

    /// The power fails: all drivers stop for ever, unsynced sectors and names are lost, kept or mixed. Go on with
    /// [`SimWorld::restart`].
    pub fn crash(&self) {
        self.0.borrow_mut().crash();
    }

    /// The process is killed: all drivers stop for ever, ops under way happen in part, the page cache stays.
    pub fn kill(&self) {
        self.0.borrow_mut().kill();
    }

    /// A new driver over the surviving disk, after a crash.
    pub fn restart(&self) -> SimDriver {
        self.driver()
    }

    /// Virtual time.
    pub fn now(&self) -> Mono {
        self.0.borrow().now
    }

    /// Lets time pass although drivers are not parked.
    pub fn advance(&self, by: Duration) {
        let mut world = self.0.borrow_mut();
        let target = world.now + by;
        world.advance_to(target);
    }

    /// From now on time passes only by [`SimWorld::advance`] and [`SimWorld::advance_to`], not by parking.
    pub fn take_the_clock(&self) {
        self.0.borrow_mut().is_manual = true;
    }

    /// True when the driver of this number has something to do, or its time has come.
    pub fn is_awake(&self, driver: usize) -> bool {
        self.0.borrow().is_awake(driver)
    }

    /// False once the process of the driver of this number has ended.
    pub fn is_alive(&self, driver: usize) -> bool {
        self.0.borrow().drivers[driver].alive
    }

    /// How the last process ended.
    pub fn last_end(&self) -> Option<End> {
        self.0.borrow().last_end
    }

    /// The wall clock, in milliseconds since 1970.
    pub fn wall_ms(&self) -> i64 {
        WALL_START_MS + self.0.borrow().wall_ms()
    }

    /// Bytes of the disk that are in use.
    pub fn used_bytes(&self) -> u64 {
        self.0.borrow().disk.used()
    }

    /// When the next thing happens that is planned, or that a parked driver waits for.
    pub fn next_time(&self) -> Option<Mono> {
        self.0.borrow().next_time()
    }

    /// Lets time pass up to `target`.
    pub fn advance_to(&self, target: Mono) {
        self.0.borrow_mut().advance_to(target);
    }

    /// The process ends in this way at the `nth` completion from now on, in the middle of whatever it does then.
    pub fn end_after(&self, nth: u64, end: End) {
        let mut world = self.0.borrow_mut();
        let at = world.completions + nth;
        world.ends_at = Some((at, end));
    }

    /// The process ends in this way at the `nth` change of a name from now on: in the middle of putting one file in the place of
    /// another, or of removing some.
    pub fn end_after_names(&self, nth: u64, end: End) {
        self.0.borrow_mut().ends_at_name = Some((nth, end));
    }

    /// Takes back what [`SimWorld::end_after`] and [`SimWorld::end_after_names`] planned; false when it has happened already.
    pub fn end_not(&self) -> bool {
        let mut world = self.0.borrow_mut();
        let planned = (world.ends_at.take(), world.ends_at_name.take());
        planned.0.is_some() || planned.1.is_some()
    }

    /// Completions so far.
    pub fn completions(&self) -> u64 {
        self.0.borrow().completions
    }

    /// Sets the wall clock forward or back, at once.
    pub fn jump_wall(&self, by_ms: i64) {
        self.0.borrow_mut().wall_ahead_ms += by_ms;
    }

    /// Lets the wall clock run fast or slow from here on, in parts per million.
    pub fn drift_wall(&self, ppm: i64) {
        let mut world = self.0.borrow_mut();
        let before = world.wall_ms();
        world.wall_drift_ppm = ppm;
        let after = world.wall_ms();
        world.wall_ahead_ms += before - after;
    }

    /// How often each misfortune came by chance.
    pub fn struck(&self) -> Vec<(Chance, u64)> {
        self.0.borrow().faults.struck.iter().map(|(chance, count)| (*chance, *count)).collect()
    }

    /// Paths that contain one of `parts` are never damaged by chance.
    pub fn spare(&self, parts: &[&'static str]) {
        self.0.borrow_mut().spared = parts.to_vec();
    }

    /// Files that hold something else than what was written to them, or do not give it back.
    pub fn damaged(&self) -> Vec<PathBuf> {
        let world = self.0.borrow();
        if world.damaged.is_empty() { Vec::new() } else { world.disk.paths_of(&world.damaged) }
    }

    /// The disk is replaced by a new one. Only while no process runs.
    pub fn wipe(&self) {
        self.0.borrow_mut().disk.wipe();
    }

    /// Connections that look different to their peers since the last call, by [`SimPeer::id`].
    pub fn take_touched(&self) -> Vec<ConnId> {
        self.0.borrow_mut().net.take_touched()
    }

    /// A hash over all completions so far: equal for equal seeds and equal deeds.
    pub fn trace(&self) -> u64 {
        self.0.borrow().trace
    }

    /// Every file with its length as the system sees it, sorted by path.
    pub fn fs_list(&self) -> Vec<(PathBuf, u64)> {
        self.0.borrow().disk.tree()
    }

    /// What the system sees in a file.
    pub fn read_file(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let mut world = self.0.borrow_mut();
        let node = world.disk.names.find(path.as_ref())?;
        if world.disk.names.is_folder(node) {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        }
        let len = world.disk.len(node) as usize;
        world.disk.read(node, 0, len)
    }

    /// Makes a durable file with this content, and the folders on the way, as if it had always been there.
    pub fn write_file(&self, path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().disk.plant(path.as_ref(), bytes)
    }

    /// Bit rot: flips a bit of byte `at` of a file.
    pub fn flip_bit(&self, path: impl AsRef<Path>, at: u64, bit: u8) -> io::Result<()> {
        self.0.borrow_mut().disk.flip_bit(path.as_ref(), at, bit)
    }

    /// Connects to a listener of this world; fails with ECONNREFUSED when nobody listens there any more.
    pub fn connect(&self, listener: ListenerId) -> io::Result<SimPeer> {
        let mut world = self.0.borrow_mut();
        let conn = world.net.connect(listener).ok_or_else(|| io::Error::from_raw_os_error(libc::ECONNREFUSED))?;
        world.match_accepts();
        Ok(SimPeer { world: self.clone(), conn })
    }
}

/// The far end of a connection, in the hands of a test.
pub struct SimPeer {
    world: SimWorld,
    conn: ConnId,
}

impl SimPeer {
    /// Sends bytes; they arrive in pieces as time passes.
    pub fn write(&self, bytes: &[u8]) {
        let mut world = self.world.0.borrow_mut();
        world.net.peer_write(self.conn, bytes);
        world.plan_step(self.conn);
    }

    /// Takes up to `max` bytes that the node has sent.
    pub fn read(&self, max: usize) -> Vec<u8> {
        let mut world = self.world.0.borrow_mut();
        let Some(conn) = world.net.peer_conn(self.conn) else { return Vec::new() };
        let count = conn.outbox.len().min(max);
        let bytes = net::take_front(&mut conn.outbox, count);
        if count > 0 {
            world.plan_step(self.conn);
        }
        bytes
    }

    /// Its number, as in [`SimWorld::take_touched`].
    pub fn id(&self) -> ConnId {
        self.conn
    }

    /// Nothing of what this end sends arrives before `to_node`, nothing of what the node sends before `to_peer`.
    pub fn hold(&self, to_node: Mono, to_peer: Mono) {
        let mut world = self.world.0.borrow_mut();
        if let Some(conn) = world.net.peer_conn(self.conn) {
            (conn.to_node_held, conn.to_peer_held) = (to_node, to_peer);
            // The look that is planned may be too late by now.
            conn.planned = false;
        }
        world.plan_step(self.conn);
    }

    /// Sends no more; the node reads what is under way and then the end.
    pub fn close(&self) {
        self.change(|conn| conn.peer_closed = true);
    }

    /// Breaks the connection.
    pub fn reset(&self) {
        self.change(|conn| conn.reset = true);
    }

    /// True once the node has closed or shut down its side, or the connection broke.
    pub fn is_closed(&self) -> bool {
        let mut world = self.world.0.borrow_mut();
        world.net.peer_conn(self.conn).is_none_or(|conn| conn.node_closed || conn.reset)
    }

    fn change(&self, change: impl FnOnce(&mut net::Conn)) {
        let mut world = self.world.0.borrow_mut();
        if let Some(conn) = world.net.peer_conn(self.conn) {
            change(conn);
        }
        world.plan_step(self.conn);
    }
}

impl Drop for SimPeer {
    /// The peer vanishes. Without [`SimPeer::close`] or [`SimPeer::reset`] before, the node is not told.
    fn drop(&mut self) {
        if let Ok(mut world) = self.world.0.try_borrow_mut() {
            world.net.forget_peer(self.conn);
        }
    }
}

/// One shard's driver in a [`SimWorld`].
///
/// [`Driver::park`] never blocks: it returns at once, and time has passed if every driver of the world is parked and has
/// nothing to do. So N shards take turns in one thread, each ending its turn with a park.
pub struct SimDriver {
    world: SimWorld,
    index: usize,
    caps: Caps,
}

impl SimDriver {
    /// Its number in the world, as in [`SimWorld::is_awake`].
    pub fn number(&self) -> usize {
        self.index
    }

    /// The world this driver acts on.
    pub fn world(&self) -> SimWorld {
        self.world.clone()
    }

    /// A listening socket of the simulated network.
    pub fn listen(&mut self, address: SocketAddr) -> ListenerId {
        self.world.0.borrow_mut().net.listen(self.index, address)
    }
}

impl Drop for SimDriver {
    fn drop(&mut self) {
        self.world.0.borrow_mut().leave(self.index);
    }
}

impl Driver for SimDriver {
    fn submit(&mut self, token: Token, op: Op) {
        self.world.0.borrow_mut().submit(self.index, token, op);
    }

    fn reap(&mut self, out: &mut Vec<Done>) -> usize {
        let mut world = self.world.0.borrow_mut();
        let ready = &mut world.running(self.index).ready;
        let count = ready.len();
        out.append(ready);
        count
    }

    fn park(&mut self, until: Option<Mono>) {
        self.world.0.borrow_mut().park(self.index, until);
    }

    fn now(&self) -> Mono {
        self.world.now()
    }

    fn wall(&self) -> Wall {
        Wall(self.world.wall_ms())
    }

    fn random(&mut self) -> u64 {
        self.world.0.borrow_mut().rng.next_u64()
    }

    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn waker(&self) -> Arc<dyn Waker> {
        let world = self.world.0.borrow();
        Arc::<world::SimWaker>::clone(&world.drivers[self.index].waker)
    }

    fn set_peers(&mut self, peers: Vec<Arc<dyn Waker>>) {
        self.world.0.borrow_mut().drivers[self.index].peers = peers;
    }

    fn hands_over(&self) -> bool {
        true
    }

    fn release_conn(&mut self, conn: ConnId) -> Option<Loose> {
        self.world.0.borrow_mut().net.assert_idle(conn);
        Some(Loose(LooseSocket::Sim(conn)))
    }

    /// Sockets belong to the world; whose op waits on one is its driver.
    fn adopt_conn(&mut self, socket: Loose) -> io::Result<ConnId> {
        let LooseSocket::Sim(conn) = socket.0 else { return Err(io::ErrorKind::Unsupported.into()) };
        self.world.0.borrow_mut().running(self.index);
        Ok(conn)
    }

    /// Listens at the same address in the simulated network; the real socket is closed.
    fn adopt_listener(&mut self, listener: std::net::TcpListener) -> io::Result<ListenerId> {
        Ok(self.listen(listener.local_addr()?))
    }
}
