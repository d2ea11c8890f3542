//! One data folder from its first start to its last check: turns of start, look, load and fault.

use crate::check::Violation;
use crate::consumer::{self, GROUP};
use crate::disk::{Disk, DiskError, FileSystem, NAME};
use crate::history::History;
use crate::node::{Node, NodeError, NodeOptions};
use crate::places::{Place, TOPICS, places};
use crate::producer::{Producer, Target};
use crate::random::Random;
use crate::read_back::{Look, look};
use crate::requests;
use crate::wire::{Connection, PATIENCE, WireError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PRODUCERS: u32 = 5;
/// Faults of each kind in a hundred; the rest meet a node under load.
const AT_START_PERCENT: u64 = 20;
const IN_STOP_PERCENT: u64 = 15;
/// The longest load before most faults.
const SHORT_MS_MAX: u64 = 250;
/// So many loads in a hundred last longer and go to the logs that retention shortens: only a log that was written fast for
/// a while gets its old files back and its next one ahead.
const LONG_PERCENT: u64 = 12;
const LONG_MS_MIN: u64 = 700;
const LONG_MS_MAX: u64 = 1_500;
/// A clean stop takes about as long.
const STOP_US_MAX: u64 = 40_000;
/// How long a node goes on without its disk before its process ends too.
const DARK_US_MAX: u64 = 20_000;

/// What happens to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, in a folder of an existing file system.
    Kill,
    /// A power cut, then SIGKILL, on a file system of the rig's own.
    PowerCut(FileSystem),
}

/// What a fault met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A start, recovery included.
    Start,
    /// A node under load.
    Load,
    /// A clean stop under load.
    Stop,
}

/// What a life needs.
#[derive(Clone, Debug)]
pub struct LifeOptions {
    /// Which faults.
    pub fault: Fault,
    /// Where data folders and disks are made.
    pub folder: PathBuf,
    /// How nodes are started; driver and cores differ from start to start unless `io` is fixed.
    pub node: NodeOptions,
    /// The value of `--io`, if it is not to change.
    pub io: Option<&'static str>,
    /// Where a copy of the data goes when something is wrong with it.
    pub keep: Option<PathBuf>,
}

/// Why a rig cannot go on. What the node does wrong is no such error but a violation.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The process.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The folder.
    #[error("a folder in {path}: {error}")]
    Folder {
        /// In which.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// The topics.
    #[error("making the topics: {0}")]
    Topics(#[from] WireError),
}

enum Ground {
    Folder(TempDir),
    Disk(Disk),
}

/// See the module. Call [`Life::turn`] for each fault, then [`Life::finish`].
pub struct Life {
    options: LifeOptions,
    ground: Ground,
    random: Random,
    places: Vec<Place>,
    history: History,
    producers: Vec<Producer>,
    has_topics: bool,
    /// The last start that came to its end.
    start: Duration,
    /// The end of the log of the node that met the last fault.
    last_words: String,
}

impl Life {
    /// A new, empty folder or disk.
    pub fn begin(options: &LifeOptions, seed: u64) -> Result<Life, LifeError> {
        let folder = || {
            let prefix = format!("{NAME}{}-", std::process::id());
            let made = tempfile::Builder::new().prefix(&prefix).tempdir_in(&options.folder);
            made.map_err(|error| LifeError::Folder { path: options.folder.clone(), error })
        };
        let ground = match options.fault {
            Fault::Kill => Ground::Folder(folder()?),
            Fault::PowerCut(file_system) => Ground::Disk(Disk::make(&options.folder, file_system)?),
        };
        let places = places();
        let mut random = Random::new(seed);
        let producers = (0..PRODUCERS).map(|number| Producer::new(number, places.len(), random.bits())).collect();
        Ok(Life {
            options: options.clone(),
            ground,
            history: History::new(random.bits(), places.len()),
            producers,
            random,
            places,
            has_topics: false,
            start: Duration::from_millis(50),
            last_words: String::new(),
        })
    }

    /// One fault, and what the start before it showed of the faults before it. With a violation in that, this life is over
    /// and no fault happened.
    pub fn turn(&mut self) -> Result<(Look, Option<Moment>), LifeError> {
        if self.has_topics && self.random.chance(AT_START_PERCENT) {
            self.strike_a_start()?;
            return Ok((Look::default(), Some(Moment::Start)));
        }
        let (mut node, address, look) = match self.start_and_look()? {
            Ok(started) => started,
            Err(violation) => return Ok((Look { violations: vec![violation], ..Look::default() }, None)),
        };
        if !look.violations.is_empty() {
            return Ok((look, None));
        }
        let moment = self.load_and_strike(&mut node, address)?;
        Ok((look, Some(moment)))
    }

    /// The last look.
    pub fn finish(mut self) -> Result<Look, LifeError> {
        Ok(match self.start_and_look()? {
            Ok((_, _, look)) => look,
            Err(violation) => Look { violations: vec![violation], ..Look::default() },
        })
    }

    fn data(&self) -> PathBuf {
        match &self.ground {
            Ground::Folder(folder) => folder.path().join("data"),
            Ground::Disk(disk) => disk.path().join("data"),
        }
    }

    /// A start that meets its fault before it may be done.
    fn strike_a_start(&mut self) -> Result<(), LifeError> {
        let mut node = self.spawn()?;
        let most = (self.start.as_micros() as u64 * 5 / 4).max(1000);
        std::thread::sleep(Duration::from_micros(self.random.below(most)));
        self.strike(&mut node)
    }

    fn start_and_look(&mut self) -> Result<Result<(Node, SocketAddr, Look), Violation>, LifeError> {
        let begun = Instant::now();
        let mut node = self.spawn()?;
        let address = match node.ready() {
            Ok(address) => address,
            Err(error) => return Ok(Err(Violation::Node(error.to_string()))),
        };
        self.start = begun.elapsed();
        if !self.has_topics {
            make_topics(address, &self.options.node.durability)?;
            self.has_topics = true;
            return Ok(Ok((node, address, Look::default())));
        }
        let mut look = look(address, &self.places, &self.history);
        if !look.violations.is_empty() {
            look.evidence = self.evidence(&node);
        }
        Ok(Ok((node, address, look)))
    }

    /// What helps to find out how it came: the logs before and after the fault, and a copy of the data as recovery left it.
    fn evidence(&self, node: &Node) -> String {
        let mut evidence = format!("before the fault:\n{}after it:\n{}", self.last_words, node.log());
        if let Some(keep) = &self.options.keep {
            let copied = Command::new("cp").arg("-a").args([&self.data(), keep]).status();
            evidence += &format!("data copied to {}: {copied:?}\n", keep.display());
        }
        evidence
    }

    fn spawn(&mut self) -> Result<Node, LifeError> {
        let io = self.options.io.unwrap_or(if self.random.chance(50) { "uring" } else { "posix" });
        let options = NodeOptions { io, shards: 1 + self.random.below(2), ..self.options.node.clone() };
        Ok(Node::spawn(&options, &self.data())?)
    }

    fn load_and_strike(&mut self, node: &mut Node, address: SocketAddr) -> Result<Moment, LifeError> {
        let (stop, is_long) = (AtomicBool::new(false), self.random.chance(LONG_PERCENT));
        let load = match is_long {
            true => Duration::from_millis(LONG_MS_MIN + self.random.below(LONG_MS_MAX - LONG_MS_MIN)),
            false => Duration::from_micros(5_000 + self.random.below(SHORT_MS_MAX * 1000)),
        };
        let stopping = self.random.chance(IN_STOP_PERCENT).then(|| self.random.below(STOP_US_MAX));
        let (consumer_seed, admin_seed) = (self.random.bits(), self.random.bits());
        let dark_us = self.random.below(DARK_US_MAX);
        let mut producers = std::mem::take(&mut self.producers);
        let struck = std::thread::scope(|scope| {
            let target = Target { address, places: &self.places, history: &self.history, stop: &stop, is_long };
            producers.iter_mut().for_each(|producer| drop(scope.spawn(move || producer.run(target))));
            scope.spawn(move || consumer::consume(target, consumer_seed));
            scope.spawn(move || consumer::administer(target, admin_seed));
            std::thread::sleep(load);
            self.report_if_ended(node);
            if let Some(later) = stopping {
                node.terminate();
                std::thread::sleep(Duration::from_micros(later));
            }
            let struck = strike(&self.ground, node, &self.history, dark_us);
            stop.store(true, Ordering::Relaxed);
            struck
        });
        self.producers = producers;
        self.last_words = node.log();
        struck?;
        self.power_up()?;
        Ok(if stopping.is_some() { Moment::Stop } else { Moment::Load })
    }

    fn report_if_ended(&self, node: &mut Node) {
        if let Some(status) = node.ended() {
            let what = format!("ended by itself with {status} under load; its log ends with:\n{}", node.log());
            self.history.report(Violation::Node(what));
        }
    }

    fn strike(&mut self, node: &mut Node) -> Result<(), LifeError> {
        let struck = strike(&self.ground, node, &self.history, self.random.below(DARK_US_MAX));
        self.last_words += &node.log();
        struck?;
        self.power_up()
    }

    fn power_up(&self) -> Result<(), LifeError> {
        match &self.ground {
            Ground::Folder(_) => Ok::<_, LifeError>(()),
            Ground::Disk(disk) => Ok(disk.power_up()?),
        }?;
        self.history.is_lit_again();
        Ok(())
    }
}

/// The fault itself. After a power cut the process lives on for a moment, as a process in a dying machine does.
fn strike(ground: &Ground, node: &mut Node, history: &History, dark_us: u64) -> Result<(), DiskError> {
    if let Ground::Disk(disk) = ground {
        history.goes_dark();
        disk.cut_power()?;
        std::thread::sleep(Duration::from_micros(dark_us));
    }
    node.kill();
    Ok(())
}

fn make_topics(address: SocketAddr, durability: &str) -> Result<(), WireError> {
    let mut connection = Connection::open(address)?;
    for topic in TOPICS {
        let configs = [topic.configs, &[("durability", durability)]].concat();
        let code = requests::create_topic(&mut connection, topic.name, topic.partitions, &configs)?;
        requests::expect_ok(&format!("CreateTopics of {}", topic.name), code)?;
    }
    let until = Instant::now() + PATIENCE;
    while requests::find_coordinator(&mut connection, GROUP)? != 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Whether this machine can have such faults; if not, the reason.
pub fn missing(fault: Fault, folder: &Path) -> Option<String> {
    match fault {
        Fault::PowerCut(file_system) => file_system.missing(),
        Fault::Kill if !folder.is_dir() => Some(format!("{} is no folder", folder.display())),
        Fault::Kill => None,
    }
}
