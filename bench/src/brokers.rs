//! Broker processes under measurement: started on one core with a fresh folder, asked for their CPU time and memory,
//! stopped by pid.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Kernel clock ticks a second in /proc/PID/stat; fixed at 100 in Linux's user interface.
const TICKS_PER_S: f64 = 100.0;

/// Which broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Ringlog {
        /// The binary.
        binary: PathBuf,
        /// The `--io` flag.
        io: String,
    },
    /// Kafka 4.3.1, KRaft combined mode, tuned: 4 GiB heap, G1, page cache untouched, never syncing (its default).
    Kafka {
        /// The folder with its jars.
        libs: PathBuf,
    },
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

/// A running broker. Dropping it stops the process and removes its folder.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its data; removed on drop.
    _folder: tempfile::TempDir,
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
    /// Starts a broker on processor `cpu` with its data under `parent`; `properties` are Kafka's.
    pub fn start(
        kind: &Kind,
        cpu: usize,
        parent: &Path,
        properties: &[(String, String)],
    ) -> Result<Broker, BrokerError> {
        let file = |path: &Path, error| BrokerError::File { path: path.display().to_string(), error };
        let folder =
            tempfile::Builder::new().prefix("ringlog-bench-").tempdir_in(parent).map_err(|e| file(parent, e))?;
        let port = free_port().map_err(|e| file(Path::new("a free port on 127.0.0.1"), e))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let log = folder.path().join("output.log");
        let (mut command, what) = match kind {
            Kind::Ringlog { binary, io } => (ringlog(binary, io, cpu, folder.path(), port, properties), "ringlog"),
            Kind::Kafka { libs } => (kafka(libs, cpu, folder.path(), port, properties)?, "Kafka"),
        };
        let output = fs::File::create(&log).map_err(|e| file(&log, e))?;
        let errors = output.try_clone().map_err(|e| file(&log, e))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| BrokerError::Start { what: what.into(), error })?;
        let mut broker = Broker { child, address, _folder: folder };
        let seconds = 60;
        if broker.listens_within(Duration::from_secs(seconds)) {
            return Ok(broker);
        }
        let kept = std::env::temp_dir().join(format!("{what}-output.log"));
        fs::copy(&log, &kept).map_err(|e| file(&kept, e))?;
        Err(BrokerError::NotListening { what: what.into(), seconds, log: kept.display().to_string() })
    }

    fn listens_within(&mut self, limit: Duration) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < limit && matches!(self.child.try_wait(), Ok(None)) {
            if TcpStream::connect_timeout(&self.address, Duration::from_millis(200)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
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

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn pinned(cpu: usize, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(cpu.to_string()).arg(program);
    command
}

fn ringlog(binary: &Path, io: &str, cpu: usize, folder: &Path, port: u16, properties: &[(String, String)]) -> Command {
    let mut command = pinned(cpu, &binary.display().to_string());
    command.args(["start", "--listen", &format!("127.0.0.1:{port}"), "--io", io, "--shards", "1", "--data-dir"]);
    command.arg(folder.join("data"));
    for (key, value) in properties {
        command.arg("--override").arg(format!("{key}={value}"));
    }
    command
}

fn kafka(
    libs: &Path,
    cpu: usize,
    folder: &Path,
    port: u16,
    extra: &[(String, String)],
) -> Result<Command, BrokerError> {
    let file = |path: &Path, error| BrokerError::File { path: path.display().to_string(), error };
    let controller = free_port().map_err(|e| file(folder, e))?;
    let config = folder.join("server.properties");
    let mut text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\nlog.dirs={}\n\
         offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\nnum.network.threads=2\nnum.io.threads=4\n\
         socket.send.buffer.bytes=1048576\nsocket.receive.buffer.bytes=1048576\n",
        folder.join("data").display()
    );
    for (key, value) in extra {
        text.push_str(&format!("{key}={value}\n"));
    }
    fs::write(&config, text).map_err(|e| file(&config, e))?;
    let classpath = format!("{}/*", libs.display());
    let format = Command::new("java")
        .args(["-cp", &classpath, "kafka.tools.StorageTool", "format", "-t", "Ringlog_bench_cluster0", "-c"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    format.map_err(|error| BrokerError::Start { what: "Kafka's storage tool".into(), error })?;
    let mut command = pinned(cpu, "java");
    command.args(["-Xms4g", "-Xmx4g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-cp", &classpath, "kafka.Kafka"]);
    command.arg(&config);
    Ok(command)
}

/// Megabytes (10^6) a second that fio writes straight to the disk under `parent` for a few seconds; `None` without fio.
/// Not synced: the ceiling of any log that writes once.
pub fn disk_mb_per_s(parent: &Path, cpu: usize) -> Option<f64> {
    let folder = tempfile::Builder::new().prefix("ringlog-fio-").tempdir_in(parent).ok()?;
    let output = pinned(cpu, "fio")
        .args(["--name=w", "--rw=write", "--bs=1m", "--size=2g", "--ioengine=io_uring", "--iodepth=8", "--direct=1"])
        .args(["--overwrite=1", "--time_based", "--runtime=4", "--output-format=json"])
        .arg(format!("--directory={}", folder.path().display()))
        .output()
        .ok()?;
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    json["jobs"][0]["write"]["bw_bytes"].as_f64().map(|bytes| bytes / 1e6)
}
