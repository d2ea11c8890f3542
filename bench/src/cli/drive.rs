//! The load generator's commands.

use bench::append;
use bench::load::{self, Goes, Pace, Plan, Readers, Sends, Window, Writers, nats};
use bench::stats::Stats;
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args)]
struct Target {
    /// The broker.
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: SocketAddr,
    /// An existing topic.
    #[arg(long, default_value = "bench")]
    topic: String,
    /// How many partitions of it to use.
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Print one JSON object instead of a sentence, and `begin` before it when the warm-up is over.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Times {
    /// Measured seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds before that which are not counted, at least.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// Answers before that, at least.
    #[arg(long, default_value_t = 0)]
    warm_up_requests: u64,
    /// Seconds after which the warm-up ends whatever was answered.
    #[arg(long, default_value_t = 60)]
    warm_up_max: u64,
    /// Bytes after which it does.
    #[arg(long, default_value_t = u64::MAX)]
    warm_up_bytes_max: u64,
    /// Ends the run early after this many bytes.
    #[arg(long, default_value_t = u64::MAX)]
    bytes_max: u64,
}

impl Times {
    fn window(&self) -> Window {
        Window {
            warm_up: Duration::from_secs(self.warm_up),
            warm_up_requests: self.warm_up_requests,
            warm_up_max: Duration::from_secs(self.warm_up_max),
            warm_up_bytes_max: self.warm_up_bytes_max,
            duration: Duration::from_secs(self.seconds),
            bytes_max: self.bytes_max,
        }
    }
}

#[derive(Args)]
struct Records {
    /// Bytes of a batch; 1 for one record a batch.
    #[arg(long, default_value_t = 16_000)]
    batch: usize,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 100)]
    record: usize,
    /// Outstanding requests a connection, closed loop.
    #[arg(long, default_value_t = 1)]
    depth: usize,
    /// Requests a second over all connections; without it, closed loop.
    #[arg(long)]
    rate: Option<f64>,
    /// The acks field: 0, 1 or -1.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    acks: i16,
}

impl Records {
    fn writers(&self, target: &Target) -> Writers {
        Writers {
            topic: target.topic.clone(),
            partitions: target.partitions,
            connections: target.connections,
            pace: self.rate.map_or(Pace::Closed { depth: self.depth }, |per_s| Pace::Open { per_s }),
            batch_bytes: self.batch,
            record_bytes: self.record,
            acks: self.acks,
            sends: Sends::Batches,
        }
    }

    fn needs_a_rate(&self, what: &str) -> Result<(), String> {
        self.rate.map(|_| ()).ok_or_else(|| format!("{what} needs --rate: a closed loop would measure its own queue"))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// Kafka's.
    #[default]
    Kafka,
    /// NATS JetStream's; `--partitions` counts streams, which `compare` makes.
    Nats,
}

#[derive(Args)]
pub(crate) struct Produce {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    records: Records,
    /// What the server speaks.
    #[arg(long, value_enum, default_value_t = Protocol::Kafka)]
    protocol: Protocol,
}

impl Produce {
    pub(crate) fn produce(&self) -> Result<(), String> {
        let writers = self.records.writers(&self.target);
        let window = self.times.window();
        let json = self.target.json;
        let stats = match self.protocol {
            Protocol::Kafka => {
                let plan = Plan { address: self.target.bootstrap, writers: Some(writers), readers: None, window };
                load::run(&plan, || begun(json))
            }
            Protocol::Nats => nats::run(self.target.bootstrap, &writers, window, || begun(json)),
        };
        tell(stats.map_err(|e| e.to_string())?, json)
    }

    pub(crate) fn end_to_end(&self) -> Result<(), String> {
        self.records.needs_a_rate("end-to-end")?;
        let writers = self.records.writers(&self.target);
        let readers = Readers {
            topic: self.target.topic.clone(),
            partitions: self.target.partitions,
            connections: usize::try_from(self.target.partitions).unwrap_or(1),
            max_bytes: 1 << 20,
            goes: Goes::Follow,
        };
        drive(&self.target, Some(writers), Some(readers), self.times.window())
    }
}

#[derive(Args)]
pub(crate) struct Commit {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    times: Times,
    /// Outstanding requests a connection.
    #[arg(long, default_value_t = 1)]
    depth: usize,
}

impl Commit {
    pub(crate) fn run(&self) -> Result<(), String> {
        let writers = Writers {
            topic: self.target.topic.clone(),
            partitions: self.target.partitions,
            connections: self.target.connections,
            pace: Pace::Closed { depth: self.depth },
            batch_bytes: 0,
            record_bytes: 0,
            acks: -1,
            sends: Sends::Commits,
        };
        drive(&self.target, Some(writers), None, self.times.window())
    }
}

#[derive(Args)]
pub(crate) struct Fetch {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    times: Times,
    /// Most bytes an answer may hold.
    #[arg(long, default_value_t = 1_000_000)]
    max_bytes: i32,
}

impl Fetch {
    pub(crate) fn run(&self) -> Result<(), String> {
        let readers = Readers {
            topic: self.target.topic.clone(),
            partitions: self.target.partitions,
            connections: self.target.connections,
            max_bytes: self.max_bytes,
            goes: Goes::Round,
        };
        drive(&self.target, None, Some(readers), self.times.window())
    }
}

#[derive(Args)]
pub(crate) struct CatchUp {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    records: Records,
    /// The topic that is read, one connection a partition; the run ends when all of it was.
    #[arg(long)]
    cold_topic: String,
    /// Its partitions.
    #[arg(long, default_value_t = 1)]
    cold_partitions: i32,
    /// Most bytes an answer may hold.
    #[arg(long, default_value_t = 1_000_000)]
    max_bytes: i32,
}

impl CatchUp {
    pub(crate) fn run(&self) -> Result<(), String> {
        self.records.needs_a_rate("catch-up")?;
        let readers = Readers {
            topic: self.cold_topic.clone(),
            partitions: self.cold_partitions,
            connections: usize::try_from(self.cold_partitions).unwrap_or(1),
            max_bytes: self.max_bytes,
            goes: Goes::Once,
        };
        drive(&self.target, Some(self.records.writers(&self.target)), Some(readers), self.times.window())
    }
}

#[derive(Args)]
pub(crate) struct Append {
    /// Bytes of a batch.
    #[arg(long, default_value_t = 65_536)]
    block: usize,
    /// Batches appended and not yet durable.
    #[arg(long, default_value_t = 16)]
    depth: usize,
    /// Measured seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds before that.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// auto, uring or posix.
    #[arg(long, default_value = "auto")]
    io: String,
    /// Folder on the disk to be measured.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Print one JSON object instead of a sentence.
    #[arg(long)]
    json: bool,
}

impl Append {
    pub(crate) fn run(&self) -> Result<(), String> {
        let plan = append::Plan {
            block: self.block,
            depth: self.depth,
            warm_up: Duration::from_secs(self.warm_up),
            duration: Duration::from_secs(self.seconds),
            io: self.io.clone(),
        };
        let stats = append::run(&plan, &self.dir).map_err(|e| e.to_string())?;
        if self.json {
            println!("{}", append::to_json(&stats));
        } else {
            println!("{stats}");
        }
        Ok(())
    }
}

fn drive(target: &Target, writers: Option<Writers>, readers: Option<Readers>, window: Window) -> Result<(), String> {
    let plan = Plan { address: target.bootstrap, writers, readers, window };
    tell(load::run(&plan, || begun(target.json)).map_err(|e| e.to_string())?, target.json)
}

/// Tells the comparison that counting begins.
fn begun(json: bool) {
    if json {
        println!("{}", bench::measure::BEGIN);
    }
}

fn tell(stats: Stats, json: bool) -> Result<(), String> {
    if json {
        println!("{}", stats.to_json());
    } else {
        println!("{stats}");
    }
    Ok(())
}
