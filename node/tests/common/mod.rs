//! The real binary on a free port with a folder of its own, and a small Kafka client on a plain socket.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a broken start should fail its test")]

mod admin;
mod client;
pub mod counts;
pub mod faulty;
pub mod groups;
pub mod memory;
pub mod witness;

pub use client::Client;
#[allow(unused_imports, reason = "each test binary takes what it needs")]
pub use groups::Join;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest that anything here may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// All drivers, for the tests of what a user would miss first.
pub const EVERY_DRIVER: [&str; 4] = ["posix", "uring", "tokio-uring", "glommio"];

/// The drivers that `--io auto` may take. The engine's tests hold all four to one behaviour, so that not everything has to be
/// run four times here. `RINGLOG_DRIVERS=uring,glommio` names others, `RINGLOG_DRIVERS=all` is all.
pub const DRIVERS: Drivers = Drivers;

/// See [`DRIVERS`].
pub struct Drivers;

impl IntoIterator for Drivers {
    type Item = &'static str;
    type IntoIter = std::vec::IntoIter<&'static str>;

    fn into_iter(self) -> Self::IntoIter {
        let wish = std::env::var("RINGLOG_DRIVERS").unwrap_or_else(|_| "posix,uring".to_owned());
        let wished = |driver: &&str| wish == "all" || wish.split(',').any(|name| name == *driver);
        let drivers: Vec<_> = EVERY_DRIVER.into_iter().filter(wished).collect();
        assert!(!drivers.is_empty(), "RINGLOG_DRIVERS={wish} names none of {EVERY_DRIVER:?}");
        drivers.into_iter()
    }
}

/// A running broker; killed when dropped.
pub struct Broker {
    child: Child,
    /// Where it serves.
    pub address: SocketAddr,
    /// What it printed until it was ready.
    pub started: Vec<String>,
    /// Lines that it logs.
    log: Receiver<String>,
}

/// The binary with a free port and `data` as its folder.
pub fn ringlog(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringlog"));
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(data).args(args);
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

impl Broker {
    /// Starts one and waits until it is ready.
    pub fn start(data: &Path, args: &[&str]) -> Broker {
        Broker::spawn(ringlog(data, args))
    }

    /// Starts `command` and waits until it is ready.
    pub fn spawn(mut command: Command) -> Broker {
        let (to_log, log) = channel();
        let (to_lines, lines) = channel();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut broker = Broker { child, address: ([0, 0, 0, 0], 0).into(), started: Vec::new(), log };
        let stderr = BufReader::new(broker.child.stderr.take().expect("piped"));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("ringlog: {line}");
                let _ = to_log.send(line);
            }
        });
        let stdout = BufReader::new(broker.child.stdout.take().expect("piped"));
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| drop(to_lines.send(line))));
        loop {
            let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("not ready, but: {:#?}", broker.started));
            let ready = line.strip_prefix("ready: ").map(address_in);
            broker.started.push(line);
            if let Some(address) = ready {
                broker.address = address;
                return broker;
            }
        }
    }

    /// A new connection.
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, e.g. `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.expect("kill is there").success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// Ends it as an operator does, which must succeed.
    pub fn stop(mut self) {
        self.signal("TERM");
        let status = self.wait();
        assert!(status.success(), "ended with {status}");
    }

    /// Ends it without warning.
    pub fn kill(mut self) {
        self.child.kill().expect("it is our child");
        self.wait();
    }

    /// The next log line that contains `text`.
    pub fn logged(&self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left).unwrap_or_else(|_| panic!("nothing logged with {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Everything logged so far.
    pub fn log_so_far(&self) -> Vec<String> {
        self.log.try_iter().collect()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command that must end by itself, unsuccessfully; what it wrote to stderr is the answer.
pub fn refused(mut command: Command) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let status = wait(&mut child);
    let mut text = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut text).expect("it is text");
    assert!(!status.success(), "it started");
    text
}

fn wait(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    panic!("the process did not end");
}

/// The address in a line like `Kafka clients can connect to 127.0.0.1:9092`.
fn address_in(line: &str) -> SocketAddr {
    let words = line.split(|c: char| c.is_whitespace() || c == ',');
    words.filter_map(|word| word.parse().ok()).next().unwrap_or_else(|| panic!("no address in {line:?}"))
}

/// A folder that goes with the test.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A folder in memory, where the system has such, for tests that measure how long clients wait for anything but the disk: with
/// others at work on it, that takes half a second for a flush now and then.
pub fn memory_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| folder())
}

/// Every file below `dir`.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("it exists").map(|entry| entry.expect("readable").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
