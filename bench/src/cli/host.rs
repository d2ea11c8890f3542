//! Where the programs are, and which cores and which disk they get.

use bench::measure::Context;
use bench::peers::Tools;
use bench::peers::process::KafkaTuning;
use bench::scenario::Timing;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Host {
    /// Our binary.
    #[arg(long, default_value = "target/release/ringlog")]
    ringlog: PathBuf,
    /// Our I/O driver.
    #[arg(long, default_value = "auto")]
    io: String,
    /// Folder with Kafka's jars, as `cargo xtask install` leaves them.
    #[arg(long, default_value = ".cache/kafka/libs")]
    kafka: PathBuf,
    /// Kafka's heap in MiB.
    #[arg(long, default_value_t = KafkaTuning::default().heap_mib)]
    kafka_heap: u64,
    /// Kafka's num.network.threads.
    #[arg(long, default_value_t = KafkaTuning::default().network_threads)]
    kafka_network_threads: u32,
    /// Kafka's num.io.threads.
    #[arg(long, default_value_t = KafkaTuning::default().io_threads)]
    kafka_io_threads: u32,
    /// nats-server, as `cargo xtask install-peers` leaves it.
    #[arg(long, default_value = ".cache/bin/nats-server")]
    nats: PathBuf,
    /// Folder on the disk to be measured.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Processor of the broker.
    #[arg(long, default_value_t = 0)]
    broker_cpu: usize,
    /// Processor of the load.
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
}

impl Host {
    pub(super) fn context(&self, timing: Timing) -> Context {
        Context {
            tools: self.tools(),
            dir: self.dir.clone(),
            broker_cpu: self.broker_cpu,
            load_cpu: self.load_cpu,
            timing,
        }
    }

    fn tools(&self) -> Tools {
        let kafka = KafkaTuning {
            heap_mib: self.kafka_heap,
            network_threads: self.kafka_network_threads,
            io_threads: self.kafka_io_threads,
        };
        Tools {
            ringlog: self.ringlog.clone(),
            io: self.io.clone(),
            kafka_libs: self.kafka.clone(),
            kafka,
            nats: self.nats.clone(),
        }
    }
}
