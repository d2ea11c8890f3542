//! Broker processes under measurement: started on one core with a fresh folder, asked for their CPU time and memory, killed by
//! pid, started again on what they left.

use super::{Contender, MemoryGroup, Peer, kafka, nats, ringlog};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Kernel clock ticks a second in /proc/PID/stat; fixed at 100 in Linux's user interface.
const TICKS_PER_S: f64 = 100.0;

/// Folders of brokers begin like this, the id of the process that made them follows.
const FOLDER_PREFIX: &str = "ringlog-bench-";

/// How long a broker may take until it listens, in seconds: Kafka reads every begun segment of a killed one's logs.
const LISTENS_WITHIN_S: u64 = 600;

/// The programs.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Our binary.
    pub ringlog: PathBuf,
    /// Its `--io`.
    pub io: String,
    /// The folder with Kafka's jars.
    pub kafka_libs: PathBuf,
    /// How Kafka is tuned.
    pub kafka: KafkaTuning,
    /// nats-server.
    pub nats: PathBuf,
}

/// What of Kafka is worth tuning on one core; `bench tune-kafka` tries others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KafkaTuning {
    /// Heap in MiB.
    pub heap_mib: u64,
    /// `num.network.threads`.
    pub network_threads: u32,
    /// `num.io.threads`.
    pub io_threads: u32,
}

impl Default for KafkaTuning {
    fn default() -> KafkaTuning {
        KafkaTuning { heap_mib: 2048, network_threads: 2, io_threads: 4 }
    }
}

/// How one broker is started.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Which.
    pub contender: Contender,
    /// The programs.
    pub tools: &'a Tools,
    /// The processor that it gets.
    pub cpu: usize,
    /// Where its folder is made.
    pub parent: &'a Path,
    /// Broker settings under Kafka's names; JetStream has none of them.
    pub properties: &'a [(String, String)],
    /// Where its memory is bounded.
    pub group: Option<&'a MemoryGroup>,
    /// Kafka's heap.
    pub kafka_heap_mib: u64,
}

/// Why a broker could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A program could not be started.
    #[error("starting {what}: {error}")]
    Start {
        /// Which program.
        what: String,
        /// The cause.
        error: io::Error,
    },
    /// It ended or never listened.
    #[error("{what} does not listen after {seconds} s; its output is in {log}")]
    NotListening {
        /// Which program.
        what: String,
        /// How long it was waited for.
        seconds: u64,
        /// Where its output went.
        log: String,
    },
    /// A file could not be written or read.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// The cause.
        error: io::Error,
    },
}

impl BrokerError {
    pub(super) fn file(path: &Path, error: io::Error) -> BrokerError {
        BrokerError::File { path: path.display().to_string(), error }
    }
}

/// A running broker. Dropping it kills the process and removes its folder.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    words: Vec<String>,
    what: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its data; removed on drop.
    folder: tempfile::TempDir,
}

/// What a broker process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time in seconds, all threads.
    pub cpu_s: f64,
    /// Resident memory in bytes.
    pub resident: u64,
}

impl Broker {
    /// Starts a broker with a folder of its own and waits until it listens.
    pub fn start(setup: &Setup<'_>) -> Result<Broker, BrokerError> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("{FOLDER_PREFIX}{}-", std::process::id()))
            .tempdir_in(setup.parent)
            .map_err(|e| BrokerError::file(setup.parent, e))?;
        let port = free_port().map_err(|e| BrokerError::file(Path::new("a free port on 127.0.0.1"), e))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let program = match setup.contender.peer {
            Peer::Kafka => kafka::command(setup, folder.path(), address)?,
            Peer::Nats => nats::command(setup, folder.path(), address)?,
            Peer::Ringlog | Peer::Engine | Peer::Fio => ringlog::command(setup, folder.path(), address),
        };
        let words = confined(program, setup.cpu, setup.group);
        let what = setup.contender.name();
        let child = spawn(&words, &folder.path().join("output.log"), what)?;
        let mut broker = Broker { child, words, what, address, folder };
        broker.wait_for_port()?;
        Ok(broker)
    }

    /// SIGKILL, then at once the same command again. Returns when the new process was started; it does not listen yet.
    pub fn kill_and_restart(&mut self) -> Result<Instant, BrokerError> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let begin = Instant::now();
        self.child = spawn(&self.words, &self.folder.path().join("output.log"), self.what)?;
        Ok(begin)
    }

    /// Fails when the process has ended or does not listen for very long.
    pub fn wait_for_port(&mut self) -> Result<(), BrokerError> {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(LISTENS_WITHIN_S) && matches!(self.child.try_wait(), Ok(None)) {
            if TcpStream::connect_timeout(&self.address, Duration::from_millis(200)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let kept = std::env::temp_dir().join(format!("{}-output.log", self.what.replace(' ', "-")));
        let log = self.folder.path().join("output.log");
        fs::copy(&log, &kept).map_err(|e| BrokerError::file(&kept, e))?;
        let seconds = begin.elapsed().as_secs();
        Err(BrokerError::NotListening { what: self.what.into(), seconds, log: kept.display().to_string() })
    }

    /// Its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// CPU time and memory up to now. Zero once the process is gone.
    pub fn usage(&self) -> Usage {
        let base = PathBuf::from(format!("/proc/{}", self.child.id()));
        let stat = fs::read_to_string(base.join("stat")).unwrap_or_default();
        // The command in parentheses may hold blanks; utime and stime are the 12th and 13th field after it.
        let after: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |i: usize| after.get(i).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
        let status = fs::read_to_string(base.join("status")).unwrap_or_default();
        let resident_kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|v| v.split_whitespace().next())
            .and_then(|v| v.parse::<u64>().ok())
            .unwrap_or(0);
        Usage { cpu_s: (ticks(11) + ticks(12)) / TICKS_PER_S, resident: resident_kib * 1024 }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // The folder goes with it, so there is nothing to shut down gently for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command on its core, and in its group. Each step replaces the process, so that its id stays the one we know.
fn confined(program: Vec<String>, cpu: usize, group: Option<&MemoryGroup>) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(group) = group {
        let enter = format!("echo $$ > '{}' && exec \"$@\"", group.procs().display());
        words.extend(["sh".to_owned(), "-c".to_owned(), enter, "sh".to_owned()]);
    }
    // It ends with us, however we end.
    words.extend(["setpriv", "--pdeathsig", "KILL", "taskset", "-c", &cpu.to_string()].map(str::to_owned));
    words.extend(program);
    words
}

/// Removes the folders that comparisons left which were killed.
pub fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let pid = name.strip_prefix(FOLDER_PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn spawn(words: &[String], log: &Path, what: &str) -> Result<Child, BrokerError> {
    let output = fs::File::create(log).map_err(|e| BrokerError::file(log, e))?;
    let errors = output.try_clone().map_err(|e| BrokerError::file(log, e))?;
    Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|error| BrokerError::Start { what: what.into(), error })
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confined_command_runs_as_the_process_that_was_started() {
        let words = confined(vec!["sh".into(), "-c".into(), "echo $$".into()], 0, None);
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("out");
        let mut child = spawn(&words, &log, "echo").unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(fs::read_to_string(log).unwrap().trim(), child.id().to_string());
    }

    #[test]
    fn only_the_folders_of_the_dead_are_swept() {
        let parent = tempfile::tempdir().unwrap();
        let mine = format!("{FOLDER_PREFIX}{}-abc", std::process::id());
        // Process ids end below this.
        for name in [&mine, "ringlog-bench-4194999-abc", "ringlog-bench-notes", "data"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        sweep(parent.path());
        let mut left: Vec<String> =
            fs::read_dir(parent.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["data".to_owned(), mine, "ringlog-bench-notes".to_owned()]);
    }
}
