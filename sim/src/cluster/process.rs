//! The node's process in a world: all its shards in one thread, brought up, turned and stopped as `node` does with threads.
//!
//! ```text
//!  Scanning ─► Opening ─► Loading ─► TakingOver ─► Serving ─► Ended
//! ```
//! A shard gets a turn when its driver says that there is something to do, or its time has come, and sleeps otherwise:
//! a wake-up that gets lost here is lost as it would be on a machine.

use broker::controller::plan::FoundTopic;
use broker::log_dirs::LogDir;
use broker::{Broker, BrokerSettings, ShardId};
use engine::io::ListenerId;
use engine::io::sim::{Rng, SimDriver, SimWorld};
use engine::log::LogLimits;
use engine::mailbox::Parking;
use engine::shard::Io;
use engine::time::Mono;
use node::cold::ColdReads;
use node::crew::Orders;
use node::links::{self, Links};
use node::live::Live;
use node::recover::{self, Found};
use node::shard::{Shard, Turn};
use node::stages::Stages;
use node::store::EngineStore;
use protocol::Uuid;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use transport_tcp::{Admission, Limits, TcpTransport};

/// The data folders; most worlds have the first only.
pub const DATA: [&str; 3] = ["/data", "/data2", "/data3"];

/// What a process is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many.
    pub shards: usize,
    /// Of each shard's logs.
    pub log_limits: LogLimits,
    /// How many data folders.
    pub folders: usize,
    /// Bytes that a shard's connections may hold.
    pub network_bytes: usize,
    /// What the broker is told; each start gets an incarnation of its own.
    pub broker: BrokerSettings,
}

/// How far the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Shard 0 lists the data folder.
    Scanning,
    /// The shards recover their logs.
    Opening,
    /// The metadata is read.
    Loading,
    /// Topics that another broker wrote become known.
    TakingOver,
    /// Clients are let in.
    Serving,
    /// All shards have ended, or the start failed.
    Ended,
}

type Slot<T> = Rc<RefCell<Option<T>>>;
type Opened = Result<Broker<EngineStore>, recover::RecoverError>;

/// One shard of the process.
struct Member {
    io: Io,
    /// Of its driver in the world.
    number: usize,
    links: Option<Links>,
    opening: Slot<Opened>,
    shard: Option<Shard>,
    asleep: Option<Parking>,
    has_ended: bool,
}

/// A running process. Dropping it without [`Process::request_stop`] is a process that ends without a word.
pub struct Process {
    orders: Orders,
    stages: Arc<Stages>,
    members: Vec<Member>,
    phase: Phase,
    scanned: Slot<Result<Found, recover::RecoverError>>,
    found_topics: Vec<FoundTopic>,
    taken_over: Vec<Uuid>,
    /// The highest producer id in any log.
    producer_id: Option<i64>,
    /// Where clients may connect, one a shard. Bound from the start: who comes early waits.
    pub listeners: Vec<ListenerId>,
    failure: Option<String>,
    /// Keeps every other turn of a random shard back for a while.
    rng: Rng,
}

impl Process {
    /// Starts one on what the world's disk holds.
    pub fn start(world: &SimWorld, setup: &Setup, mut rng: Rng) -> Process {
        let seed = rng.next_u64();
        let orders = orders(setup, seed);
        let links = links::mesh(setup.shards);
        let address = SocketAddr::from(([127, 0, 0, 1], 9092));
        let mut drivers: Vec<SimDriver> = links.iter().map(|_| world.driver()).collect();
        let listeners = drivers.iter_mut().map(|driver| driver.listen(address)).collect();
        let members: Vec<Member> = drivers.into_iter().zip(links).map(|(d, links)| Member::new(d, links)).collect();
        let wakers: Vec<_> = members.iter().map(|member| member.io.with_driver(|driver| driver.waker())).collect();
        for member in &members {
            member.io.with_driver(|driver| driver.set_peers(wakers.clone()));
        }
        let scanned: Slot<_> = Rc::default();
        let (io, dirs, slot) = (members[0].io.clone(), orders.data_dirs.clone(), Rc::clone(&scanned));
        members[0].io.spawn(async move {
            let found = recover::scan(&io, &dirs).await;
            slot.replace(Some(found));
        });
        Process {
            orders,
            stages: Arc::new(Stages::new(wakers)),
            members,
            phase: Phase::Scanning,
            scanned,
            found_topics: Vec::new(),
            taken_over: Vec::new(),
            producer_id: None,
            listeners,
            failure: None,
            rng,
        }
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Why it gave up, if it did: the data cannot be opened, or a clean stop failed.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// False once it was killed or the power failed.
    pub(crate) fn lives(&self, world: &SimWorld) -> bool {
        self.members.iter().all(|member| world.is_alive(member.number))
    }

    /// As SIGTERM.
    pub fn request_stop(&mut self) {
        self.stages.request_stop();
    }

    /// Gives a turn to every shard that has something to do; false when none had.
    pub fn step(&mut self, world: &SimWorld) -> bool {
        let first = self.rng.below(self.members.len() as u64) as usize;
        let mut ran = false;
        for at in 0..self.members.len() {
            let at = (first + at) % self.members.len();
            let member = &mut self.members[at];
            if member.has_ended || !world.is_awake(member.number) {
                continue;
            }
            member.asleep = None;
            ran = true;
            // A core that belongs to somebody else for a moment.
            if self.members.len() > 1 && self.rng.below(16) == 0 {
                continue;
            }
            if let Some(failure) = self.members[at].turn() {
                self.failure.get_or_insert(failure);
            }
        }
        if ran {
            self.advance();
        }
        ran
    }

    fn advance(&mut self) {
        match self.phase {
            Phase::Scanning => self.share_out(),
            Phase::Opening => self.collect_opened(),
            Phase::Loading => self.take_over(),
            Phase::TakingOver => self.open(),
            Phase::Serving => {}
            Phase::Ended => return,
        }
        if self.failure.is_some() || self.members.iter().all(|member| member.has_ended) {
            self.phase = Phase::Ended;
        }
    }

    fn share_out(&mut self) {
        let found = match self.scanned.take() {
            None => return,
            Some(Err(error)) => return self.failure = Some(error.to_string()),
            Some(Ok(found)) => found,
        };
        self.found_topics.clone_from(&found.topics);
        for (at, (member, share)) in self.members.iter().zip(found.shares(self.orders.shards)).enumerate() {
            let (io, orders, slot) = (member.io.clone(), self.orders.clone(), Rc::clone(&member.opening));
            let me = ShardId(at as u16);
            member.io.spawn(async move {
                let opened = recover::open(&io, me, &orders, share).await;
                slot.replace(Some(opened));
            });
        }
        self.wake_all();
        self.phase = Phase::Opening;
    }

    fn collect_opened(&mut self) {
        if self.members.iter().any(|member| member.opening.borrow().is_none()) {
            return;
        }
        let opened: Result<Vec<_>, _> = self.members.iter().filter_map(|member| member.opening.take()).collect();
        let brokers = match opened {
            Err(error) => return self.failure = Some(error.to_string()),
            Ok(brokers) => brokers,
        };
        self.producer_id = brokers.iter().filter_map(Broker::highest_producer_id).max();
        for (member, broker) in self.members.iter_mut().zip(brokers) {
            let transport = TcpTransport::new(self.orders.limits.clone(), Arc::clone(&self.orders.live.admission));
            let Some(links) = member.links.take() else { continue };
            let (io, cold) = (member.io.clone(), ColdReads::new(self.orders.cold_bytes));
            let mut shard = Shard::new(io, transport, broker, links, Arc::clone(&self.stages), cold);
            shard.share_connections();
            member.shard = Some(shard);
        }
        self.wake_all();
        self.phase = Phase::Loading;
    }

    fn take_over(&mut self) {
        if !self.shards().all(|shard| shard.is_loaded()) {
            return;
        }
        let failure = self.shards().find_map(|shard| shard.failure().map(str::to_owned));
        if let Some(reason) = failure {
            return self.failure = Some(format!("the metadata cannot be used: {reason}"));
        }
        let topics = std::mem::take(&mut self.found_topics);
        if let Some(first) = &mut self.members[0].shard {
            self.taken_over = first.take_over(&topics, self.producer_id);
        }
        self.wake_all();
        self.phase = Phase::TakingOver;
    }

    fn open(&mut self) {
        let taken = &self.taken_over;
        if !self.members[0].shard.as_ref().is_some_and(|shard| shard.knows(taken)) {
            return;
        }
        let (io, dir) = (self.members[0].io.clone(), self.orders.data_dirs[0].clone());
        self.members[0].io.spawn(async move { recover::taken_over(&io, &dir).await });
        self.stages.open();
        for (member, listener) in self.members.iter_mut().zip(&self.listeners) {
            if let Some(shard) = &mut member.shard {
                shard.listen(*listener);
            }
        }
        self.wake_all();
        self.phase = Phase::Serving;
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.members.iter().filter_map(|member| member.shard.as_ref())
    }

    fn wake_all(&self) {
        self.members.iter().for_each(|member| member.io.with_driver(|driver| driver.waker()).wake());
    }
}

impl Member {
    fn new(driver: SimDriver, links: Links) -> Member {
        let number = driver.number();
        let (opening, shard, asleep) = (Slot::default(), None, None);
        Member { io: Io::new(Box::new(driver)), number, links: Some(links), opening, shard, asleep, has_ended: false }
    }

    /// One turn, and sleep if there is nothing left to do; why the shard failed, if it did.
    fn turn(&mut self) -> Option<String> {
        let Some(shard) = &mut self.shard else {
            let mut dones = Vec::new();
            self.io.turn(&mut dones);
            assert!(dones.is_empty(), "before a shard runs, all ops are its tasks'");
            self.io.park(None);
            return None;
        };
        match shard.turn() {
            Turn::Again => None,
            Turn::Park(until) => {
                self.asleep = shard.fall_asleep();
                if self.asleep.is_some() {
                    self.io.park(until);
                }
                None
            }
            Turn::Finished => {
                self.has_ended = true;
                shard.ended().and_then(Result::err).map(|error| error.to_string())
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.io.abandon_tasks();
    }
}

fn orders(setup: &Setup, incarnation: u64) -> Orders {
    let folders = &DATA[..setup.folders];
    let log_dirs = folders.iter().map(|path| LogDir { path: (*path).to_owned(), is_offline: false }).collect();
    let paths: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    let broker = BrokerSettings { incarnation, log_dirs, ..setup.broker.clone() };
    Orders {
        shards: setup.shards,
        cores: None,
        driver: node::driver::Kind::Posix,
        data_dirs: paths.clone(),
        log_dirs: paths,
        running: Vec::new(),
        log_limits: setup.log_limits.clone(),
        cold_bytes: setup.network_bytes / 4,
        limits: Limits {
            budget_bytes: setup.network_bytes,
            is_large_ask: node::boot::is_large_ask,
            is_brief: node::boot::is_brief,
            ..Limits::default()
        },
        live: Live { admission: Arc::new(Admission::unlimited()), descriptors: usize::MAX },
        share_connections: true,
        broker: Arc::new(broker),
    }
}

/// A moment that is never reached.
pub(crate) const NEVER: Mono = Mono(u64::MAX);
