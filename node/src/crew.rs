//! The shards' threads: started, brought up together, stopped together. What a shard does once it runs is
//! [`shard`](crate::shard); what it finds on disk before is [`recover`](crate::recover).
//!
//! ```text
//!  main:    spawn ── all wakers ──► Begin ── folders of shard 0 ──► Adopt ── print ──► Serve ────── wait
//!  shard:   driver ─► Up          ► scan (shard 0) ─► Scanned     ► recover ─► Adopted  ► Serving ─► Finished
//! ```

use crate::cold::ColdReads;
use crate::driver::{self, Kind, OpenError};
use crate::endpoints::Bound;
use crate::links::{self, Links};
use crate::live::{Live, Outside};
use crate::recover::{self, Found, RecoverError};
use crate::shard::Shard;
use crate::stages::{END_MS, Stages};
use crate::sys::{self, Signal, Signals};
use broker::{BrokerSettings, ShardId};
use engine::io::{Caps, Waker};
use engine::log::{LogLimits, ShutdownError};
use engine::shard::Io;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use transport_tcp::{Limits, TcpTransport};

/// What the shards are to be.
#[derive(Clone, Debug)]
pub struct Orders {
    /// How many.
    pub shards: usize,
    /// One core for each, where there are enough.
    pub cores: Option<Vec<usize>>,
    /// Their driver.
    pub driver: Kind,
    /// Data folders that can be used, absolute and locked; the first holds the metadata.
    pub data_dirs: Vec<PathBuf>,
    /// All folders of `log.dirs`, in order, as [`BrokerSettings::log_dirs`] has them: where the usable ones really are.
    pub log_dirs: Vec<PathBuf>,
    /// Files whose locks last as long as any driver works, see [`DataDir::running`](crate::data_dir::DataDir::running).
    pub running: Vec<Arc<File>>,
    /// Bounds of the logs of each.
    pub log_limits: LogLimits,
    /// What reads from disk may hold on each, in bytes.
    pub cold_bytes: usize,
    /// Bounds of each transport.
    pub limits: Limits,
    /// What follows configuration at run time: connections of all, among others.
    pub live: Live,
    /// Connections go to the shard with fewest, and may move; else each stays where its client put it.
    pub share_connections: bool,
    /// The broker's settings.
    pub broker: Arc<BrokerSettings>,
}

/// Why the shards do not run, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    /// A thread or a descriptor could not be had.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        error: io::Error,
    },
    /// A shard has no driver.
    #[error(transparent)]
    Driver(#[from] OpenError),
    /// The data could not be opened.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The metadata log is unusable.
    #[error("the metadata cannot be used, nothing was changed: {0}")]
    Metadata(String),
    /// The logs did not close cleanly.
    #[error("not stopped cleanly, the next start verifies the logs: {0}")]
    Close(#[from] ShutdownError),
    /// Flushing took too long.
    #[error("not everything was flushed within {END_MS} ms; the next start verifies the logs")]
    SlowStop,
    /// A shard's thread is gone without a word.
    #[error("a shard ended unexpectedly")]
    Gone,
    /// A signal came before the start was complete.
    #[error("stopped by a signal while starting")]
    StoppedEarly,
}

/// From the shards and the signal thread to the main thread.
enum Report {
    Up {
        shard: usize,
        waker: Arc<dyn Waker>,
        caps: Caps,
    },
    Scanned(Found),
    /// With the highest producer id in the logs of that shard.
    Adopted(Option<i64>),
    Serving(Contents),
    Finished,
    Failed(CrewError),
    StopSignal,
    /// Something to be done here, because it is nobody else's.
    Outside(Outside),
}

/// From the main thread to one shard.
enum Order {
    Begin {
        wakers: Vec<Arc<dyn Waker>>,
        stages: Arc<Stages>,
        scan: bool,
    },
    Adopt(Found),
    /// With the highest producer id in the logs of all shards.
    Serve(Option<i64>),
}

/// The running shards.
pub struct Crew {
    orders: Vec<Sender<Order>>,
    reports: Receiver<Report>,
    /// When the process must have ended; set by a signal.
    end: Option<Instant>,
    /// The highest producer id in any log.
    producer_id: Option<i64>,
    live: Live,
    /// What the driver said of itself.
    pub caps: Caps,
}

/// How much is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Topics.
    pub topics: usize,
    /// Partitions of all of them.
    pub partitions: usize,
}

impl Crew {
    /// Starts the threads and opens all logs.
    pub fn assemble(orders: &Orders, sockets: &[Bound], signals: Signals) -> Result<Crew, CrewError> {
        let (to_main, reports) = channel();
        let mut crew = Crew {
            orders: Vec::new(),
            reports,
            end: None,
            producer_id: None,
            live: orders.live.clone(),
            caps: Caps::default(),
        };
        for (shard, links) in links::mesh(orders.shards).into_iter().enumerate() {
            let listeners: io::Result<Vec<_>> =
                sockets.iter().map(|bound| bound.socket_of(shard).try_clone()).collect();
            let listeners = listeners.map_err(system("share a socket"))?;
            let (to_shard, inbox) = channel();
            let member = Member { shard, orders: orders.clone(), links, listeners, inbox, to_main: to_main.clone() };
            thread::Builder::new()
                .name(format!("shard-{shard}"))
                .spawn(move || member.live())
                .map_err(system("start a thread"))?;
            crew.orders.push(to_shard);
        }
        crew.bring_up(orders, signals, to_main)?;
        Ok(crew)
    }

    fn bring_up(&mut self, orders: &Orders, signals: Signals, to_main: Sender<Report>) -> Result<(), CrewError> {
        let mut wakers: Vec<Option<Arc<dyn Waker>>> = vec![None; orders.shards];
        for _ in 0..orders.shards {
            if let Report::Up { shard, waker, caps } = self.next()? {
                wakers[shard] = Some(waker);
                self.caps = caps;
            }
        }
        let wakers: Vec<_> = wakers.into_iter().flatten().collect();
        let stages = Arc::new(Stages::new(wakers.clone()));
        watch_signals(signals, Arc::clone(&stages), to_main)?;
        for (shard, inbox) in self.orders.iter().enumerate() {
            self.send(inbox, Order::Begin { wakers: wakers.clone(), stages: Arc::clone(&stages), scan: shard == 0 })?;
        }
        let Report::Scanned(found) = self.next()? else { return Err(CrewError::Gone) };
        for (inbox, share) in self.orders.iter().zip(found.shares(orders.shards)) {
            self.send(inbox, Order::Adopt(share))?;
        }
        for _ in 0..orders.shards {
            if let Report::Adopted(highest) = self.next()? {
                self.producer_id = self.producer_id.max(highest);
            }
        }
        Ok(())
    }

    /// Lets clients in, and returns once every shard serves.
    pub fn serve(&mut self) -> Result<Contents, CrewError> {
        for inbox in &self.orders {
            self.send(inbox, Order::Serve(self.producer_id))?;
        }
        let mut contents = Contents::default();
        for _ in 0..self.orders.len() {
            if let Report::Serving(seen) = self.next()? {
                contents = seen;
            }
        }
        Ok(contents)
    }

    /// Waits for a signal, if none came yet, and for the shards to end.
    pub fn wait(mut self) -> Result<(), CrewError> {
        let mut running = self.orders.len();
        while running > 0 {
            match self.receive()? {
                Report::Finished => running -= 1,
                Report::Failed(error) => return Err(error),
                Report::Up { .. }
                | Report::Scanned(_)
                | Report::Adopted(_)
                | Report::Serving(_)
                | Report::StopSignal
                | Report::Outside(_) => {}
            }
        }
        tracing::info!("stopped cleanly");
        Ok(())
    }

    /// The next report of a start.
    fn next(&mut self) -> Result<Report, CrewError> {
        match self.receive()? {
            Report::Failed(error) => Err(error),
            Report::StopSignal => Err(CrewError::StoppedEarly),
            report => Ok(report),
        }
    }

    /// The next report, no later than the process must have ended. What is to be done outside the shards is done meanwhile.
    fn receive(&mut self) -> Result<Report, CrewError> {
        loop {
            match self.receive_one()? {
                Report::Outside(change) => self.live.apply(&change),
                report => return Ok(report),
            }
        }
    }

    fn receive_one(&mut self) -> Result<Report, CrewError> {
        let report = match self.end {
            None => self.reports.recv().map_err(|_| CrewError::Gone)?,
            Some(end) => match self.reports.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(report) => report,
                Err(RecvTimeoutError::Timeout) => return Err(CrewError::SlowStop),
                Err(RecvTimeoutError::Disconnected) => return Err(CrewError::Gone),
            },
        };
        if matches!(report, Report::StopSignal) {
            self.end = Some(Instant::now() + Duration::from_millis(END_MS));
        }
        Ok(report)
    }

    fn send(&self, inbox: &Sender<Order>, order: Order) -> Result<(), CrewError> {
        // A shard that is gone has said why.
        inbox.send(order).map_err(|_| match self.reports.try_recv() {
            Ok(Report::Failed(error)) => error,
            _ => CrewError::Gone,
        })
    }
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> CrewError {
    move |error| CrewError::System { what, error }
}

/// The first signal stops the shards, a second one ends the process at once.
fn watch_signals(signals: Signals, stages: Arc<Stages>, to_main: Sender<Report>) -> Result<(), CrewError> {
    let stop = move |stages: &Stages| loop {
        match signals.wait() {
            Signal::Stop(name) => return name,
            Signal::Counts => stages.ask_counts(),
        }
    };
    let watch = move || {
        let name = stop(&stages);
        tracing::info!("{name}: finishing requests, flushing, then ending");
        let _ = to_main.send(Report::StopSignal);
        stages.request_stop();
        let name = stop(&stages);
        tracing::warn!("{name} again: ending at once; the next start verifies the logs");
        std::process::exit(1);
    };
    thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(system("start a thread"))?;
    Ok(())
}

/// One shard's thread.
struct Member {
    shard: usize,
    orders: Orders,
    links: Links,
    listeners: Vec<TcpListener>,
    inbox: Receiver<Order>,
    to_main: Sender<Report>,
}

impl Member {
    fn live(self) {
        let to_main = self.to_main.clone();
        let end = match self.work() {
            Ok(()) => Report::Finished,
            Err(error) => Report::Failed(error),
        };
        let _ = to_main.send(end);
    }

    fn work(self) -> Result<(), CrewError> {
        let Member { shard, orders, links, listeners, inbox, to_main } = self;
        if let Some(cores) = &orders.cores
            && let Err(error) = sys::pin_to(cores[shard])
        {
            tracing::info!("shard {shard} is not pinned to core {}: {error}", cores[shard]);
        }
        let mut driver = driver::open(orders.driver)?;
        driver.hold(&orders.running).map_err(system("register the data folders' locks"))?;
        let report = |report| to_main.send(report).map_err(|_| CrewError::Gone);
        report(Report::Up { shard, waker: driver.waker(), caps: driver.caps().clone() })?;
        let Ok(Order::Begin { wakers, stages, scan }) = inbox.recv() else { return Err(CrewError::Gone) };
        driver.set_peers(wakers);
        let io = Io::new(driver);
        if scan {
            let (task_io, dirs) = (io.clone(), orders.data_dirs.clone());
            report(Report::Scanned(io.block_on(async move { recover::scan(&task_io, &dirs).await }, |_| {})?))?;
        }
        let Ok(Order::Adopt(found)) = inbox.recv() else { return Err(CrewError::Gone) };
        let me = ShardId(u16::try_from(shard).unwrap_or_else(|_| unreachable!("the command line allows 1024")));
        let topics = found.topics.clone();
        let (task_io, task_orders) = (io.clone(), orders.clone());
        let broker = io.block_on(async move { recover::open(&task_io, me, &task_orders, found).await }, |_| {})?;
        report(Report::Adopted(broker.highest_producer_id()))?;
        let Ok(Order::Serve(producer_id)) = inbox.recv() else { return Err(CrewError::Gone) };
        let transport = TcpTransport::new(orders.limits.clone(), Arc::clone(&orders.live.admission));
        let cold = ColdReads::new(orders.cold_bytes);
        let mut shard = Shard::new(io.clone(), transport, broker, links, Arc::clone(&stages), cold);
        let outside = to_main.clone();
        // Main is gone only when the process is.
        shard.tell_outside(move |change| drop(outside.send(Report::Outside(change))));
        if orders.share_connections {
            shard.share_connections();
        }
        let loaded = shard.run_until(Shard::is_loaded);
        if let Some(reason) = shard.failure() {
            return Err(CrewError::Metadata(reason.to_owned()));
        }
        if loaded && scan {
            let taken = shard.take_over(&topics, producer_id);
            if shard.run_until(|shard| shard.knows(&taken)) {
                let (task_io, dir) = (io.clone(), orders.data_dirs[0].clone());
                io.spawn(async move { recover::taken_over(&task_io, &dir).await });
                stages.open();
            }
        }
        if shard.run_until(|_| stages.is_open()) {
            for listener in listeners {
                let id = io.with_driver(|driver| driver.adopt_listener(listener)).map_err(system("listen"))?;
                shard.listen(id);
            }
            report(Report::Serving(shard.contents()))?;
        }
        Ok(shard.run()?)
    }
}
