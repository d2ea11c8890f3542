//! The commands about groups.

use bench::members::{self, Figures, MembersError, Plan, Protocol};
use clap::Args;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Args)]
pub(crate) struct Groups {
    /// The broker.
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: SocketAddr,
    /// An existing topic.
    #[arg(long, default_value = "bench")]
    topic: String,
    /// Its partitions.
    #[arg(long, default_value_t = 1_000)]
    partitions: i32,
    /// Groups; `settle` has one.
    #[arg(long, default_value_t = 1)]
    groups: usize,
    /// Members of each.
    #[arg(long, default_value_t = 100)]
    members: usize,
    /// Which protocol they speak.
    #[arg(long, value_enum, default_value_t = Protocol::Classic)]
    protocol: Protocol,
    /// Milliseconds between heartbeats in the classic protocol; in the consumer protocol the broker says.
    #[arg(long, default_value_t = 3_000)]
    heartbeat_ms: u64,
    /// Measured seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds before that.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// Print `begin` when the warm-up is over.
    #[arg(long)]
    json: bool,
}

impl Groups {
    pub(crate) fn settle(&self) -> Result<(), String> {
        self.tell(members::settle(&Plan { groups: 1, ..self.plan() }, || self.begun()))
    }

    pub(crate) fn live(&self) -> Result<(), String> {
        self.tell(members::heartbeats(&self.plan(), || self.begun()))
    }

    fn plan(&self) -> Plan {
        Plan {
            address: self.bootstrap,
            groups: self.groups,
            members: self.members,
            protocol: self.protocol,
            topic: self.topic.clone(),
            partitions: self.partitions,
            heartbeat: Duration::from_millis(self.heartbeat_ms),
            warm_up: Duration::from_secs(self.warm_up),
            duration: Duration::from_secs(self.seconds),
        }
    }

    fn begun(&self) {
        if self.json {
            println!("{}", bench::measure::BEGIN);
        }
    }

    fn tell(&self, figures: Result<Figures, MembersError>) -> Result<(), String> {
        println!("{}", figures.map_err(|e| e.to_string())?);
        Ok(())
    }
}
