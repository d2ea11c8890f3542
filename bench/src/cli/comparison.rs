//! `compare` and `report`.

use super::host::Host;
use bench::compare::{self, Outcome, Plan};
use bench::measure;
use bench::peers::Peer;
use bench::results::Results;
use bench::scenario::{Scenario, Timing, Work, table};
use bench::{machine, report};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A quick comparison's whole time, in minutes.
const QUICK_MINUTES: u64 = 15;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rival {
    /// Apache Kafka 4.3.1.
    Kafka,
    /// NATS JetStream with sync_interval always, for produce scenarios.
    Nats,
}

impl Rival {
    fn peer(self) -> Peer {
        match self {
            Rival::Kafka => Peer::Kafka,
            Rival::Nats => Peer::Nats,
        }
    }
}

#[derive(Args)]
pub(crate) struct Compare {
    /// Scenario names, or beginnings of names (16k); all when none is given.
    scenarios: Vec<String>,
    /// Only these rows of the table of goals.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<u8>,
    /// A look within a quarter of an hour: fewer scenarios, short runs.
    #[arg(long)]
    quick: bool,
    /// Print the scenarios with their goals, and how long they will take; measure nothing.
    #[arg(long)]
    list: bool,
    /// Who takes part.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "kafka", num_args = 0..)]
    peers: Vec<Rival>,
    /// Pairs a scenario [default: 5, quick: 2].
    #[arg(long)]
    rounds: Option<usize>,
    /// Measured seconds a run [default: 30, quick: 5].
    #[arg(long)]
    seconds: Option<u64>,
    /// Least seconds of warm-up of ours [default: 5, quick: 2].
    #[arg(long)]
    warm: Option<u64>,
    /// Least seconds of warm-up of a JVM [default: 20, quick: 6].
    #[arg(long)]
    warm_jvm: Option<u64>,
    /// Gigabytes of logs before a restart [default: 20, quick: 4].
    #[arg(long)]
    restart_gb: Option<f64>,
    /// Begin no pair that would not end within so many minutes [default: none, quick: 15].
    #[arg(long)]
    minutes: Option<u64>,
    /// Forget what this session has measured already.
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    host: Host,
}

#[derive(Args)]
pub(crate) struct Files {
    /// Results, one JSON line a pair; the comparison goes on behind what is in it.
    #[arg(long, default_value = "target/bench/results.jsonl")]
    results: PathBuf,
    /// The report.
    #[arg(long, default_value = "target/bench/report.html")]
    html: PathBuf,
    /// Verdicts and medians for machines.
    #[arg(long, default_value = "target/bench/report.json")]
    out: PathBuf,
}

#[derive(Args)]
pub(crate) struct Report {
    #[command(flatten)]
    files: Files,
    /// Which session of the file; the newest when none is given.
    #[arg(long)]
    session: Option<String>,
}

impl Compare {
    pub(crate) fn run(&self) -> Result<(), String> {
        let scenarios = self.chosen()?;
        let plan = self.plan(scenarios);
        if self.list {
            list(&plan);
            return Ok(());
        }
        self.check_programs(&plan)?;
        machine::raise_file_limit();
        bench::peers::process::sweep(&plan.context.dir);
        let session = plan.session();
        let mut results = Results::open(&self.files.results, &session, self.fresh)
            .map_err(|e| format!("{}: {e}", self.files.results.display()))?;
        announce(&plan, &results, &session);
        let outcome = compare::run(&plan, &mut results).map_err(|e| e.to_string())?;
        self.files.tell(&results, &session)?;
        conclude(&outcome)
    }

    fn chosen(&self) -> Result<Vec<Scenario>, String> {
        let all = table::all();
        for name in &self.scenarios {
            if !all.iter().any(|s| s.name.starts_with(name.as_str())) {
                let names: Vec<&str> = all.iter().map(|s| s.name.as_str()).collect();
                return Err(format!("no scenario begins with '{name}'; there are: {}", names.join(", ")));
            }
        }
        let named = |s: &Scenario| {
            let exact = self.scenarios.contains(&s.name);
            let begins = |n: &String| s.name.starts_with(n.as_str()) && !all.iter().any(|other| other.name == *n);
            self.scenarios.is_empty() || exact || self.scenarios.iter().any(begins)
        };
        let of_row = |s: &Scenario| self.rows.is_empty() || self.rows.contains(&s.row);
        // Whoever is named is wanted, quick or not.
        let fits = |s: &Scenario| !self.quick || s.quick || !self.scenarios.is_empty() || !self.rows.is_empty();
        Ok(all.iter().filter(|s| named(s) && of_row(s) && fits(s)).cloned().collect())
    }

    fn plan(&self, scenarios: Vec<Scenario>) -> Plan {
        let base = if self.quick { Timing::QUICK } else { Timing::FULL };
        let timing = Timing {
            seconds: self.seconds.unwrap_or(base.seconds),
            warm_s: self.warm.unwrap_or(base.warm_s),
            warm_jvm_s: self.warm_jvm.unwrap_or(base.warm_jvm_s),
            warm_jvm_max_s: base.warm_jvm_max_s.max(self.warm_jvm.unwrap_or(0)),
            restart_bytes: self.restart_gb.map_or(base.restart_bytes, |gb| (gb * 1e9) as u64),
            ..base
        };
        let context = self.host.context(timing);
        let minutes = self.minutes.or(self.quick.then_some(QUICK_MINUTES));
        Plan {
            context,
            scenarios,
            rounds: self.rounds.unwrap_or(if self.quick { 2 } else { 5 }),
            peers: self.peers.iter().map(|p| p.peer()).collect(),
            budget: minutes.map(|m| Duration::from_secs(m * 60)),
        }
    }

    fn check_programs(&self, plan: &Plan) -> Result<(), String> {
        let tools = &plan.context.tools;
        measure::present(&tools.ringlog, "`cargo build --release -p node` first")?;
        let needs_jars = plan.peers.contains(&Peer::Kafka) || plan.scenarios.iter().any(|s| s.work == Work::Java);
        if needs_jars {
            measure::present(&tools.kafka_libs, "`cargo xtask install` fetches Kafka 4.3.1")?;
        }
        if plan.peers.contains(&Peer::Nats) {
            measure::present(&tools.nats, "`cargo xtask install-peers` builds it")?;
        }
        Ok(())
    }
}

impl Report {
    pub(crate) fn run(&self) -> Result<(), String> {
        let path = &self.files.results;
        let failed = |e: std::io::Error| format!("{}: {e}", path.display());
        let session = match &self.session {
            Some(session) => session.clone(),
            None => Results::newest_session(path).map_err(failed)?.ok_or("no results yet")?,
        };
        let results = Results::open(path, &session, false).map_err(failed)?;
        self.files.tell(&results, &session)
    }
}

impl Files {
    fn tell(&self, results: &Results, session: &str) -> Result<(), String> {
        let scenarios = table::all();
        let rows = report::summarize(&scenarios, results);
        println!("{}", report::table(&rows));
        write(&self.html, &report::page(&rows, session))?;
        write(&self.out, &format!("{:#}\n", report::machine_readable(&rows, session)))?;
        println!(
            "results: {}; report: {}; verdicts: {}",
            self.results.display(),
            self.html.display(),
            self.out.display()
        );
        Ok(())
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

fn list(plan: &Plan) {
    for s in &plan.scenarios {
        let goals: Vec<String> = s.goals.iter().map(bench::goal::Goal::text).collect();
        let who: Vec<&str> = plan.contenders(s).iter().map(|c| c.id()).collect();
        let row = if s.row == 0 { "-".to_owned() } else { s.row.to_string() };
        println!("{row:>3}  {:<18} {} [{}]", s.name, s.title, who.join(", "));
        println!("     {:<18} about {} s a pair; {}", "", plan.expect(s).as_secs(), goals.join("; "));
    }
    let minutes = plan.expect_all().as_secs().div_ceil(60);
    println!("{} scenarios, {} rounds: about {minutes} minutes", plan.scenarios.len(), plan.rounds);
}

fn announce(plan: &Plan, results: &Results, session: &str) {
    let c = &plan.context;
    println!(
        "broker on core {}, load on core {}, runs of {} s, {} rounds, about {} minutes in all; session {session}",
        c.broker_cpu,
        c.load_cpu,
        c.timing.seconds,
        plan.rounds,
        plan.expect_all().as_secs().div_ceil(60)
    );
    if !results.pairs.is_empty() {
        println!("goes on: {} pairs of this session are there (--fresh forgets them)", results.pairs.len());
    }
    if results.foreign > 0 {
        println!("{} pairs in the file are of other binaries or settings and are not used", results.foreign);
    }
}

fn conclude(outcome: &Outcome) -> Result<(), String> {
    if outcome.left > 0 {
        println!("{} pairs did not fit into the time; run again to go on", outcome.left);
    }
    if outcome.failed.is_empty() {
        return Ok(());
    }
    Err(format!("{} pairs failed:\n  {}", outcome.failed.len(), outcome.failed.join("\n  ")))
}
