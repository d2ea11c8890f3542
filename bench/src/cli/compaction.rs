//! `compaction`: what compacting costs, ours and Kafka's.

use super::host::Host;
use bench::compaction::{self, Figures, Plan};
use bench::peers::Contender;
use bench::peers::contender::{KAFKA, RINGLOG};
use bench::scenario::Timing;
use clap::Args;
use protocol::compress::Codec;
use std::process::Command;
use std::time::Duration;

/// What is asked: ours by theirs at least, and how much slower others may get.
const CPU_GOAL: f64 = 3.0;
const P99_GOAL: f64 = 1.5;

#[derive(Args)]
pub(crate) struct Compaction {
    /// Gigabytes to compact, twice; one record in ten is the newest of its key. The goal is on 2.
    #[arg(long, default_value_t = 0.5)]
    gigabytes: f64,
    /// Bytes of a batch before its compression.
    #[arg(long, default_value_t = Plan::default().batch_bytes)]
    batch: usize,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = Plan::default().record_bytes)]
    record: usize,
    /// Codecs of the batches.
    #[arg(long, value_delimiter = ',', default_value = "none,lz4", value_parser = codec)]
    codecs: Vec<Codec>,
    /// Bytes of a segment.
    #[arg(long, default_value_t = Plan::default().segment_bytes)]
    segment: u64,
    /// Requests a second that others send meanwhile.
    #[arg(long, default_value_t = Plan::default().rate)]
    rate: f64,
    /// Seconds in which these are measured before.
    #[arg(long, default_value_t = Plan::default().idle.as_secs())]
    idle: u64,
    /// Times.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only ours.
    #[arg(long)]
    ours_only: bool,
    #[command(flatten)]
    host: Host,
}

fn codec(word: &str) -> Result<Codec, String> {
    let found = Codec::ALL.into_iter().find(|codec| codec.name() == word);
    found.ok_or_else(|| format!("{word} is no codec; there are {}", Codec::ALL.map(Codec::name).join(", ")))
}

impl Compaction {
    pub(crate) fn run(&self) -> Result<(), String> {
        let context = self.host.context(Timing::FULL);
        bench::measure::present(&context.tools.ringlog, "`cargo build --release -p node` first")?;
        bench::peers::process::sweep(&context.dir);
        stay_on(context.load_cpu)?;
        let contenders: &[Contender] = if self.ours_only { &[RINGLOG] } else { &[RINGLOG, KAFKA] };
        println!("{HEAD}");
        for &codec in &self.codecs {
            let plan = self.plan(codec);
            let mut rounds = Vec::new();
            for round in 0..self.rounds {
                // A B, B A, …: what a disk or a host does over time is for both.
                let mut order = contenders.to_vec();
                order.rotate_left(round % contenders.len());
                for contender in order {
                    let figures = compaction::run(contender, &context.tools, context.broker_cpu, &context.dir, &plan);
                    let figures = figures.map_err(|error| format!("{}: {error}", contender.name()))?;
                    println!("{}", row(contender, codec, &figures));
                    rounds.push((contender, figures));
                }
            }
            println!("{}", verdict(codec, &rounds));
        }
        Ok(())
    }

    fn plan(&self, codec: Codec) -> Plan {
        Plan {
            bytes: (self.gigabytes * 1e9) as u64,
            batch_bytes: self.batch,
            record_bytes: self.record,
            codec,
            segment_bytes: self.segment,
            rate: self.rate,
            idle: Duration::from_secs(self.idle),
        }
    }
}

/// Puts this process on one processor. The brokers choose their own.
fn stay_on(cpu: usize) -> Result<(), String> {
    let words = ["-pc".to_owned(), cpu.to_string(), std::process::id().to_string()];
    let output = Command::new("taskset").args(words).output().map_err(|error| format!("taskset: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

const HEAD: &str = "\
                  sealed MB                        MB per      others, p99 in ms: produced      delivered, slowest
contender   codec   before    left      s  CPU s   CPU s    s   before  meanwhile   before  meanwhile  meanwhile";

fn row(contender: Contender, codec: Codec, figures: &Figures) -> String {
    let Figures { before, after, seconds, cpu_s, seconds_beside, idle, busy } = figures;
    let (before, after) = (*before as f64 / 1e6, *after as f64 / 1e6);
    let ms = |us: u64| us as f64 / 1e3;
    let (id, name, mb) = (contender.id(), codec.name(), figures.mb_per_cpu_s());
    let cost = format!("{id:<11} {name:<6} {before:>7.0} {after:>7.0} {seconds:>6.1} {cpu_s:>6.2} {mb:>7.0}");
    let others = format!(
        "{seconds_beside:>4.1} {:>8.2} {:>10.2} {:>8.2} {:>10.2} {:>10.2}",
        ms(idle.produced_p99_us),
        ms(busy.produced_p99_us),
        ms(idle.delivered_p99_us),
        ms(busy.delivered_p99_us),
        ms(busy.slowest_us),
    );
    format!("{cost} {others}")
}

/// Medians of the rounds against what is asked.
fn verdict(codec: Codec, rounds: &[(Contender, Figures)]) -> String {
    let of = |contender: Contender, figure: fn(&Figures) -> f64| {
        median(rounds.iter().filter(|(of, _)| *of == contender).map(|(_, figures)| figure(figures)).collect())
    };
    let word = |is_met: bool| if is_met { "met" } else { "missed" };
    let mut text = format!("{}: ", codec.name());
    if let (Some(ours), Some(theirs)) = (of(RINGLOG, Figures::mb_per_cpu_s), of(KAFKA, Figures::mb_per_cpu_s)) {
        let ratio = ours / theirs;
        text += &format!("{ratio:.2} × Kafka's MB per CPU second (≥ {CPU_GOAL}: {}), ", word(ratio >= CPU_GOAL));
    }
    if let Some(slower) = of(RINGLOG, Figures::slower) {
        text += &format!("p99 of others {slower:.2} × idle (≤ {P99_GOAL}: {})", word(slower <= P99_GOAL));
    }
    if let Some(slower) = of(KAFKA, Figures::slower) {
        text += &format!("; Kafka's {slower:.2} ×");
    }
    text + "; medians"
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let at = values.len() / 2;
    let upper = *values.get(at)?;
    Some(if values.len().is_multiple_of(2) { f64::midpoint(values[at - 1], upper) } else { upper })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench::compaction::Noticed;

    #[test]
    fn goals_are_judged_by_medians() {
        let figures = |cpu_s: f64, busy: u64| Figures {
            before: 100_000_000,
            after: 10_000_000,
            seconds: 1.0,
            cpu_s,
            seconds_beside: 1.0,
            idle: Noticed { produced_p99_us: 100, delivered_p99_us: 200, slowest_us: 300 },
            busy: Noticed { produced_p99_us: busy, delivered_p99_us: 200, slowest_us: 900 },
        };
        let rounds = [(RINGLOG, 0.1, 120), (KAFKA, 0.4, 400), (RINGLOG, 0.2, 150), (RINGLOG, 9.0, 999)];
        let rounds = rounds.map(|(contender, cpu_s, busy)| (contender, figures(cpu_s, busy)));
        let said = verdict(Codec::Lz4, &rounds);
        let expected = "lz4: 2.00 × Kafka's MB per CPU second (≥ 3: missed), p99 of others 1.50 × idle (≤ 1.5: met); \
                        Kafka's 4.00 ×; medians";
        assert_eq!(said, expected);
    }
}
