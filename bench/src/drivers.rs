//! The same scenarios on each of our I/O drivers, in turn: the figures behind the choice of the default.

use crate::compare::facts;
use crate::measure::{self, Context};
use crate::peers::{Broker, BrokerError, Setup, contender::RINGLOG};
use crate::report::number;
use crate::results::{Pair, Results, estimate};
use crate::scenario::Scenario;
use std::fmt::Write;

/// The values of `--io`, the default first.
pub const DRIVERS: &[&str] = &["uring", "posix", "tokio-uring", "glommio"];

/// The scenarios that tell drivers apart: large and small batches, single records, latency at a rate, fetch.
pub const SCENARIOS: &[&str] = &["1m-1", "16k-4p", "100b", "open-16k", "fetch-1m"];

/// What is shown of each.
const SHOWN: &[(&str, &str)] = &[
    ("mb_per_s", "MB/s"),
    ("requests_per_s", "requests/s"),
    ("cpu_s_per_gb", "CPU s/GB"),
    ("p50_us", "p50 µs"),
    ("p99_us", "p99 µs"),
];

/// The drivers that the binary starts with, and why it does not with the others.
pub fn usable(context: &Context, wanted: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut works, mut refused) = (Vec::new(), Vec::new());
    for io in wanted {
        match try_start(&with_io(context, io)) {
            Ok(()) => works.push(io.clone()),
            Err(reason) => refused.push(format!("{io}: skipped: {reason}")),
        }
    }
    (works, refused)
}

fn try_start(context: &Context) -> Result<(), String> {
    let setup = Setup {
        contender: RINGLOG,
        tools: &context.tools,
        cpu: context.broker_cpu,
        parent: &context.dir,
        properties: &[],
        group: None,
        kafka_heap_mib: 0,
    };
    match Broker::start(&setup) {
        Ok(_) => Ok(()),
        Err(BrokerError::NotListening { log, .. }) => {
            Err(first_words(&std::fs::read_to_string(&log).unwrap_or_default()))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The line that says why, of a program's output.
fn first_words(output: &str) -> String {
    let says = |line: &&str| line.to_lowercase().contains("error") || line.contains("refused");
    let line = output.lines().find(says).or_else(|| output.lines().rfind(|l| !l.trim().is_empty()));
    line.unwrap_or("it ended without a word").trim().to_owned()
}

fn with_io(context: &Context, io: &str) -> Context {
    let mut context = context.clone();
    io.clone_into(&mut context.tools.io);
    context
}

/// Measures what `results` does not have yet: every driver once a round, forwards and backwards in turn.
pub fn run(
    context: &Context,
    scenarios: &[Scenario],
    drivers: &[String],
    rounds: usize,
    results: &mut Results,
) -> Result<(), String> {
    for round in 0..rounds {
        for scenario in scenarios {
            let ids: Vec<&str> = drivers.iter().map(String::as_str).collect();
            if results.has(&scenario.name, round, &ids) {
                continue;
            }
            println!("round {} of {rounds}: {} ({})", round + 1, scenario.title, scenario.name);
            let mut order = ids;
            if round % 2 == 1 {
                order.reverse();
            }
            let mut runs = Vec::new();
            for io in order {
                let figures =
                    measure::run(&with_io(context, io), scenario, RINGLOG).map_err(|e| format!("{io}: {e}"))?;
                println!("    {io:<12} {}", crate::report::line(RINGLOG, &figures));
                runs.push((io.to_owned(), figures));
            }
            let pair = Pair { scenario: scenario.name.clone(), round, fio_mb_per_s: None, runs, facts: facts(context) };
            results.add(pair).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

/// Medians by scenario and driver, as a Markdown table.
pub fn table(scenarios: &[Scenario], drivers: &[String], results: &Results) -> String {
    let mut out = String::from("| workload | driver |");
    SHOWN.iter().for_each(|(_, title)| out.push_str(&format!(" {title} |")));
    out.push_str("\n|---|---|");
    out.push_str(&"---|".repeat(SHOWN.len()));
    out.push('\n');
    for scenario in scenarios {
        let pairs = results.of(&scenario.name);
        for io in drivers.iter().filter(|io| pairs.iter().any(|p| p.of(io).is_some())) {
            let _ = write!(out, "| {} | {io} |", scenario.title);
            for (key, _) in SHOWN {
                let cell = estimate(&pairs, io, key).map_or("–".to_owned(), |e| number(e.median));
                let _ = write!(out, " {cell} |");
            }
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::table::all;
    use serde_json::json;

    #[test]
    fn the_scenarios_that_tell_drivers_apart_exist() {
        let all = all();
        assert!(SCENARIOS.iter().all(|name| all.iter().any(|s| s.name == *name)));
    }

    #[test]
    fn a_refusal_is_told_in_its_own_words() {
        let clap = "error: invalid value 'glommio' for '--io <IO>'\n  [possible values: auto, uring, posix]\n";
        assert_eq!(first_words(clap), "error: invalid value 'glommio' for '--io <IO>'");
        assert_eq!(first_words("starting\nno such thing\n\n"), "no such thing");
        assert_eq!(first_words(""), "it ended without a word");
    }

    #[test]
    fn the_table_has_a_line_for_each_driver_that_was_measured() {
        let folder = tempfile::tempdir().unwrap();
        let mut results = Results::open(&folder.path().join("r"), "s", false).unwrap();
        let runs =
            vec![("uring".to_owned(), json!({"mb_per_s": 900.0})), ("posix".to_owned(), json!({"mb_per_s": 700.0}))];
        let pair = Pair { scenario: "1m-1".into(), round: 0, fio_mb_per_s: None, runs, facts: json!({}) };
        results.add(pair).unwrap();
        let scenarios: Vec<Scenario> = all().into_iter().filter(|s| s.name == "1m-1").collect();
        let drivers: Vec<String> = DRIVERS.iter().map(|d| (*d).to_owned()).collect();
        let text = table(&scenarios, &drivers, &results);
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains("| uring | 900 |") && text.contains("| posix | 700 |"));
    }
}
