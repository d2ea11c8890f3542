//! `drivers`: the same scenarios on each of our I/O drivers.

use super::host::Host;
use bench::drivers::{self, DRIVERS, SCENARIOS};
use bench::results::Results;
use bench::scenario::{Scenario, Timing, table};
use bench::{machine, measure};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Drivers {
    /// Scenario names; those that tell drivers apart when none is given.
    scenarios: Vec<String>,
    /// Values of `--io` to compare.
    #[arg(long = "with", value_delimiter = ',', default_values_t = DRIVERS.iter().map(|d| (*d).to_owned()))]
    drivers: Vec<String>,
    /// Rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measured seconds a run.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Least seconds of warm-up.
    #[arg(long, default_value_t = 5)]
    warm: u64,
    /// Forget what this session has measured already.
    #[arg(long)]
    fresh: bool,
    /// Results, one JSON line a round of a scenario.
    #[arg(long, default_value = "target/bench/drivers.jsonl")]
    results: PathBuf,
    #[command(flatten)]
    host: Host,
}

impl Drivers {
    pub(crate) fn run(&self) -> Result<(), String> {
        let timing = Timing { seconds: self.seconds, warm_s: self.warm, ..Timing::FULL };
        let context = self.host.context(timing);
        measure::present(&context.tools.ringlog, "`cargo build --release -p node` first")?;
        machine::raise_file_limit();
        bench::peers::process::sweep(&context.dir);
        let scenarios = self.chosen()?;
        let (works, refused) = drivers::usable(&context, &self.drivers);
        refused.iter().for_each(|reason| println!("{reason}"));
        if works.is_empty() {
            return Err("no driver works here".into());
        }
        let binary = machine::fingerprint(&context.tools.ringlog);
        let session = format!("{binary}-{}-{}", self.seconds, self.warm);
        let mut results = Results::open(&self.results, &session, self.fresh)
            .map_err(|e| format!("{}: {e}", self.results.display()))?;
        drivers::run(&context, &scenarios, &works, self.rounds, &mut results)?;
        println!("\n{}", drivers::table(&scenarios, &works, &results));
        refused.iter().for_each(|reason| println!("{reason}"));
        Ok(())
    }

    fn chosen(&self) -> Result<Vec<Scenario>, String> {
        let all = table::all();
        let names: Vec<&str> = match self.scenarios.as_slice() {
            [] => SCENARIOS.to_vec(),
            named => named.iter().map(String::as_str).collect(),
        };
        let find = |name: &&str| {
            all.iter()
                .find(|s| s.name == **name)
                .cloned()
                .ok_or_else(|| format!("no scenario '{name}'; see compare --list"))
        };
        names.iter().map(find).collect()
    }
}
