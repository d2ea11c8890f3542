//! Named workloads: what is driven, between whom, and what is asked of the outcome. The scenarios themselves are in
//! [`table`]; how each kind is carried out is in [`measure`](crate::measure).

pub mod table;

use crate::goal::Goal;
use crate::load::Pace;
use crate::members::Protocol;
use crate::peers::Contender;
use std::time::Duration;

/// One scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: String,
    /// The row of the table of goals; 0 for figures without a goal there.
    pub row: u8,
    /// For people.
    pub title: String,
    /// What is done.
    pub work: Work,
    /// Us.
    pub ours: Contender,
    /// Whom the ratio is taken with.
    pub rival: Option<Contender>,
    /// Who is measured beside them for information, where asked for.
    pub others: Vec<Contender>,
    /// What is asked of it.
    pub goals: Vec<Goal>,
    /// Part of `--quick`.
    pub quick: bool,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Produce.
    Produce(Produce),
    /// Fetch what is in memory, round and round.
    Fetch {
        /// Most bytes of an answer.
        max_bytes: i32,
        /// Consumers of the one partition.
        consumers: usize,
    },
    /// OffsetCommit for one partition, a group a connection.
    Commits {
        /// Connections, and groups.
        connections: usize,
        /// Requests that each keeps outstanding.
        depth: usize,
    },
    /// A group that a member joins and leaves.
    Settle {
        /// Members that stay.
        members: usize,
        /// Partitions that they share.
        partitions: i32,
        /// Which protocol they speak.
        protocol: Protocol,
    },
    /// So many groups of one member each that only says that it lives.
    Groups(usize),
    /// Read a log larger than the memory while others produce.
    Cold,
    /// Kafka's own Java producer at a fixed rate; then end to end at the same rate.
    Java,
    /// SIGKILL under load, then start with large logs.
    RestartLogs,
    /// SIGKILL, then start with many partitions.
    RestartPartitions(i32),
    /// Make so many partitions, and do nothing with them.
    CreatePartitions(i32),
    /// Nothing.
    Idle,
    /// Nothing, with so many connections.
    Connections(usize),
    /// Appends to the engine in one process; the same with fio.
    Append {
        /// Bytes of a batch.
        block: usize,
        /// Batches that are under way at once.
        depth: usize,
    },
}

/// A produce load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Produce {
    /// Partitions of the topic, all of them written to.
    pub partitions: i32,
    /// Connections.
    pub connections: usize,
    /// When requests are sent.
    pub pace: Pace,
    /// Bytes of a batch.
    pub batch: usize,
    /// Bytes of a record's value.
    pub record: usize,
    /// Small segments and retention by size, so that files are recycled during the run; else the log grows.
    pub steady: bool,
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Counted seconds of a run.
    pub seconds: u64,
    /// Least seconds of warm-up for what is compiled beforehand.
    pub warm_s: u64,
    /// Least seconds of warm-up for a JVM.
    pub warm_jvm_s: u64,
    /// Least requests of warm-up for a JVM.
    pub warm_jvm_requests: u64,
    /// Its most.
    pub warm_jvm_max_s: u64,
    /// Seconds that fio writes before each pair.
    pub fio_s: u64,
    /// Logs before a restart, in bytes.
    pub restart_bytes: u64,
    /// What a cold consumer reads, in bytes.
    pub cold_bytes: u64,
    /// The memory that broker and page cache get then, in bytes.
    pub cold_limit: u64,
}

impl Timing {
    /// For figures that are published.
    pub const FULL: Timing = Timing {
        seconds: 30,
        warm_s: 5,
        warm_jvm_s: 20,
        warm_jvm_requests: 200_000,
        warm_jvm_max_s: 60,
        fio_s: 4,
        restart_bytes: 20_000_000_000,
        cold_bytes: 2_684_354_560,
        cold_limit: 1 << 30,
    };

    /// For a look within a quarter of an hour.
    pub const QUICK: Timing = Timing {
        seconds: 5,
        warm_s: 2,
        warm_jvm_s: 6,
        warm_jvm_requests: 20_000,
        warm_jvm_max_s: 10,
        fio_s: 2,
        restart_bytes: 4_000_000_000,
        cold_bytes: 2_684_354_560,
        cold_limit: 1 << 30,
    };

    /// How long one run of `work` will take, roughly: for the plan, never for a figure.
    pub fn expect(&self, work: &Work, contender: Contender) -> Duration {
        use crate::peers::Peer;
        let jvm = contender.peer == Peer::Kafka;
        let (start, warm) = if jvm { (6, (self.warm_jvm_s + self.warm_jvm_max_s) / 2) } else { (1, self.warm_s) };
        let fill = |bytes: u64| bytes / if jvm { 250_000_000 } else { 600_000_000 };
        let seconds = match work {
            Work::Produce(_) | Work::Fetch { .. } | Work::Commits { .. } => start + warm + self.seconds,
            Work::Cold => start + fill(self.cold_bytes) + warm + 3 * self.seconds,
            Work::Java => start + 2 * (warm + self.seconds) + 4,
            Work::RestartLogs => start + fill(self.restart_bytes) * 3 / 2 + if jvm { 12 } else { 2 },
            Work::RestartPartitions(_) => start + 33 + if jvm { 90 } else { 15 },
            Work::CreatePartitions(_) => start + if jvm { 90 } else { 15 },
            Work::Settle { .. } | Work::Groups(_) => start + 10 + warm + self.seconds,
            Work::Idle | Work::Connections(_) => start + 5,
            Work::Append { .. } => warm + self.seconds,
        };
        Duration::from_secs(seconds)
    }
}
