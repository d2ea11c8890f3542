//! The process under test: the binary `ringlog`, found, started, waited for, killed.

use crate::sys;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest that a start may take, recovery included.
const START_MAX: Duration = Duration::from_secs(30);
/// Lines of its log that a report shows.
const LOG_LINES_MAX: usize = 200;
/// Names the binary, where it does not lie beside the rig's own.
pub const BINARY_VARIABLE: &str = "RINGLOG_BIN";

/// How a node is started.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The binary.
    pub binary: PathBuf,
    /// `fsync`, `interval` or `none`.
    pub durability: String,
    /// The value of `--io`.
    pub io: &'static str,
    /// Cores to use.
    pub shards: u64,
    /// A bug to plant, in a binary built for it.
    pub planted: Option<String>,
}

/// A started process; killed when dropped.
#[derive(Debug)]
pub struct Node {
    child: Child,
    lines: Receiver<String>,
    log: Arc<Mutex<VecDeque<String>>>,
}

/// Why a node does not serve.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// It cannot be started at all: the rig's own trouble.
    #[error("{binary}: {error}; build it with `cargo build -p node`, or name another with {BINARY_VARIABLE}")]
    Spawn {
        /// The binary.
        binary: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
    /// It ended, or did not get ready.
    #[error("{what}; its log ends with:\n{log}")]
    NotReady {
        /// What happened.
        what: String,
        /// The end of its log.
        log: String,
    },
}

/// The binary that `BINARY_VARIABLE` names, or the one in the folder of this program or the one above it, where cargo
/// puts the binaries of a profile.
pub fn find_binary() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(BINARY_VARIABLE) {
        return Some(named.into());
    }
    let me = std::env::current_exe().ok()?;
    me.ancestors().skip(1).take(2).map(|folder| folder.join("ringlog")).find(|path| path.is_file())
}

impl Node {
    /// Starts the process with `data` as its folder and does not wait for it.
    pub fn spawn(options: &NodeOptions, data: &Path) -> Result<Node, NodeError> {
        let mut command = Command::new(&options.binary);
        command.args(["--listen", "127.0.0.1:0", "--io", options.io, "--shards", &options.shards.to_string()]);
        command.arg("--data-dir").arg(data);
        for property in [
            format!("durability={}", options.durability),
            "log.retention.check.interval.ms=20".to_owned(),
            "group.initial.rebalance.delay.ms=0".to_owned(),
            "offsets.topic.num.partitions=4".to_owned(),
        ] {
            command.args(["--override", &property]);
        }
        if let Some(bug) = &options.planted {
            command.env("RINGLOG_PLANTED", bug);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        sys::dies_with_us(&mut command);
        let spawned = command.spawn();
        let mut child = spawned.map_err(|error| NodeError::Spawn { binary: options.binary.clone(), error })?;
        let log = Arc::new(Mutex::new(VecDeque::new()));
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                BufReader::new(stderr).lines().map_while(Result::ok).for_each(|l| keep(&log, l))
            });
        }
        let (to_lines, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                BufReader::new(stdout).lines().map_while(Result::ok).all(|l| to_lines.send(l).is_ok())
            });
        }
        Ok(Node { child, lines, log })
    }

    /// Waits until it serves, and says where.
    pub fn ready(&mut self) -> Result<SocketAddr, NodeError> {
        let end = Instant::now() + START_MAX;
        loop {
            let what = match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => match line.strip_prefix("ready: ").and_then(address_in) {
                    Some(address) => return Ok(address),
                    None => continue,
                },
                Err(RecvTimeoutError::Timeout) => format!("not ready after {} s", START_MAX.as_secs()),
                Err(RecvTimeoutError::Disconnected) => format!("it ended at its start with {:?}", self.child.wait()),
            };
            return Err(NodeError::NotReady { what, log: self.log() });
        }
    }

    /// The status with which it ended by itself, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to stop, and does not wait.
    pub fn terminate(&mut self) {
        if self.ended().is_none() {
            sys::terminate(self.child.id());
        }
    }

    /// SIGKILL, and no more of it afterwards.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let lines = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("    {line}\n")).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn keep(log: &Mutex<VecDeque<String>>, line: String) {
    let mut lines = log.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push_back(line);
    if lines.len() > LOG_LINES_MAX {
        lines.pop_front();
    }
}

/// The address in a line like `Kafka clients can connect to 127.0.0.1:9092`.
fn address_in(line: &str) -> Option<SocketAddr> {
    line.split(|c: char| c.is_whitespace() || c == ',').find_map(|word| word.parse().ok())
}
