//! The node in its world, and its clock: one shard, booted, turned and ended as production does it.

use broker::BrokerSettings;
use broker::config::Values;
use broker::settings::ListenerSettings;
use engine::io::sim::{Rng, SimPeer, SimWorld};
use engine::log::LogLimits;
use engine::time::Mono;
use sim::cluster::process::{DATA, Phase, Process, Setup};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;

/// Virtual milliseconds that a start may take, and a stop.
const PATIENCE_MS: u64 = 60_000;
/// Turns at one moment of virtual time before the node counts as spinning.
const TURNS_MAX: usize = 100_000;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Clean,
    Kill,
    PowerCut,
}

/// The node and its world.
pub(super) struct Host {
    pub(super) world: SimWorld,
    /// None between an end and the next start.
    process: Option<Process>,
    starts: u64,
}

/// Small enough that segments roll and memory runs short within a script.
static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let log_limits = LogLimits {
        tail_cache_bytes: 256 << 10,
        unwritten_bytes_max: 1 << 20,
        segment_bytes_max: 16 << 10,
        retention_check_ms: 1_000,
        checkpoint_ms: 500,
        ..LogLimits::default()
    };
    let bind = SocketAddr::from(([127, 0, 0, 1], 9092));
    let listeners = vec![ListenerSettings { name: "PLAINTEXT".to_owned(), bind, advertised: None }];
    let statics = [
        ("offsets.topic.num.partitions", "1"),
        ("offsets.topic.replication.factor", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.min.session.timeout.ms", "100"),
        ("max.incremental.fetch.session.cache.slots", "2"),
    ];
    let statics = Values::from(statics.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let mut broker = BrokerSettings::new(1, listeners, statics);
    broker.cluster_id = Some("a simulated cluster 00".to_owned());
    Setup { shards: 1, folders: 1, log_limits, network_bytes: 4 << 20, broker }
});

impl Host {
    /// A world with an empty disk, and a node that serves.
    pub(super) fn boot() -> Host {
        let world = SimWorld::new(1);
        world.take_the_clock();
        // The folder itself is made before any shard runs.
        world.write_file(Path::new(DATA[0]).join(".keep"), b"").expect("an empty disk takes a file");
        let mut host = Host { world, process: None, starts: 0 };
        host.start();
        host
    }

    /// Starts the node on what the disk holds.
    pub(super) fn start(&mut self) {
        self.starts += 1;
        self.process = Some(Process::start(&self.world, &SETUP, Rng::new(self.starts)));
        let serves = self.run_until(PATIENCE_MS, |host| host.phase() >= Phase::Serving);
        assert!(serves && self.phase() == Phase::Serving, "{:?}: {:?}", self.phase(), self.process().failure());
    }

    /// Ends it; a clean end has nothing to say.
    pub(super) fn end(&mut self, ending: Ending) {
        match ending {
            Ending::Clean => {
                self.process_mut().request_stop();
                assert!(self.run_until(PATIENCE_MS, |host| host.phase() == Phase::Ended), "it does not stop");
                assert_eq!(self.process().failure(), None);
            }
            Ending::Kill => self.world.kill(),
            Ending::PowerCut => self.world.crash(),
        }
        self.process = None;
    }

    /// A connection to the node.
    pub(super) fn connect(&self) -> SimPeer {
        self.world.connect(self.process().listeners[0]).expect("the node listens as long as it runs")
    }

    /// Lets virtual time pass.
    pub(super) fn run_for(&mut self, ms: u64) {
        let end = self.world.now().plus_millis(ms);
        self.run_to(end, |_| false);
    }

    /// Lets virtual time pass until something is so; false when it did not come within `ms`.
    pub(super) fn run_until(&mut self, ms: u64, done: impl FnMut(&Host) -> bool) -> bool {
        let end = self.world.now().plus_millis(ms);
        self.run_to(end, done)
    }

    fn run_to(&mut self, end: Mono, mut done: impl FnMut(&Host) -> bool) -> bool {
        let mut turns = 0;
        loop {
            if done(self) {
                return true;
            }
            let Host { world, process, .. } = self;
            if process.as_mut().is_some_and(|process| process.step(world)) {
                turns += 1;
                assert!(turns < TURNS_MAX, "the node is busy and time stands still");
                continue;
            }
            turns = 0;
            let now = self.world.now();
            if now >= end {
                return false;
            }
            let next = self.world.next_time().unwrap_or(end);
            self.world.advance_to(next.max(Mono(now.0 + 1)).min(end));
        }
    }

    fn phase(&self) -> Phase {
        self.process().phase()
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("it was started")
    }

    fn process_mut(&mut self) -> &mut Process {
        self.process.as_mut().expect("it was started")
    }
}
