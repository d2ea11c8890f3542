//! `compaction`: what compacting costs, ours and Kafka's.

use super::host::Host;
use bench::compaction::{self, Figures, Plan};
use bench::peers::Contender;
use bench::peers::contender::{KAFKA, RINGLOG};
use bench::scenario::Timing;
use clap::Args;
use std::time::Duration;

#[derive(Args)]
pub(crate) struct Compaction {
    /// Gigabytes to compact; one record in ten is the newest of its key.
    #[arg(long, default_value_t = 2.0)]
    gigabytes: f64,
    /// Bytes of a batch.
    #[arg(long, default_value_t = 16_000)]
    batch: usize,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 100)]
    record: usize,
    /// Bytes of a segment.
    #[arg(long, default_value_t = 64 << 20)]
    segment: u64,
    /// Requests a second that somebody else sends meanwhile.
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Seconds in which these are measured before.
    #[arg(long, default_value_t = 10)]
    idle: u64,
    /// Times.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Only ours.
    #[arg(long)]
    ours_only: bool,
    #[command(flatten)]
    host: Host,
}

impl Compaction {
    pub(crate) fn run(&self) -> Result<(), String> {
        let context = self.host.context(Timing::FULL);
        bench::measure::present(&context.tools.ringlog, "`cargo build --release -p node` first")?;
        bench::peers::process::sweep(&context.dir);
        let plan = Plan {
            bytes: (self.gigabytes * 1e9) as u64,
            batch_bytes: self.batch,
            record_bytes: self.record,
            segment_bytes: self.segment,
            rate: self.rate,
            idle: Duration::from_secs(self.idle),
        };
        println!("contender      dirty MB   left MB   seconds   CPU s   MB per CPU s   p99 before   meanwhile (ms)");
        let contenders: &[Contender] = if self.ours_only { &[RINGLOG] } else { &[RINGLOG, KAFKA] };
        for _ in 0..self.rounds {
            for &contender in contenders {
                let figures = compaction::run(contender, &context.tools, context.broker_cpu, &context.dir, &plan);
                print(contender, &figures.map_err(|error| format!("{}: {error}", contender.name()))?);
            }
        }
        Ok(())
    }
}

fn print(contender: Contender, figures: &Figures) {
    let Figures { before, after, seconds, cpu_s, idle_p99_us, busy_p99_us } = figures;
    let (before, after) = (*before as f64 / 1e6, *after as f64 / 1e6);
    let (idle, busy) = (*idle_p99_us as f64 / 1e3, *busy_p99_us as f64 / 1e3);
    println!(
        "{:<14} {before:>8.0}  {after:>8.0}  {seconds:>8.1}  {cpu_s:>6.2}  {:>13.0}  {idle:>11.2}  {busy:>10.2}",
        contender.id(),
        figures.mb_per_cpu_s()
    );
}
