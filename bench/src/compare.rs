//! The comparison: which pairs are still to be measured, in which order, within which time.
//!
//! A pair is ours and theirs (and others) one right after the other; from round to round their order turns (A B, B A, …), because
//! a shared machine drifts. Rounds go over all scenarios before the next begins, so that an interrupted comparison has a
//! little of everything. Never do two things run at once.

use crate::disk::Fio;
use crate::measure::{self, Context};
use crate::peers::{Contender, Peer};
use crate::results::{Pair, Results};
use crate::scenario::Scenario;
use crate::{machine, report};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What is compared.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where and how.
    pub context: Context,
    /// Which, in order.
    pub scenarios: Vec<Scenario>,
    /// Pairs of each.
    pub rounds: usize,
    /// Who takes part beside ours.
    pub peers: Vec<Peer>,
    /// No pair begins that would not end within this time.
    pub budget: Option<Duration>,
}

impl Plan {
    /// Who is measured in a scenario, ours first.
    pub fn contenders(&self, scenario: &Scenario) -> Vec<Contender> {
        let takes_part =
            |c: &Contender| matches!(c.peer, Peer::Ringlog | Peer::Engine | Peer::Fio) || self.peers.contains(&c.peer);
        let others = scenario.rival.iter().chain(&scenario.others).copied().filter(takes_part);
        std::iter::once(scenario.ours).chain(others).collect()
    }

    /// How long a pair will take.
    pub fn expect(&self, scenario: &Scenario) -> Duration {
        let timing = &self.context.timing;
        let runs: Duration = self.contenders(scenario).iter().map(|c| timing.expect(&scenario.work, *c)).sum();
        runs + Duration::from_secs(timing.fio_s + 2)
    }

    /// How long all of it will take.
    pub fn expect_all(&self) -> Duration {
        let once: Duration = self.scenarios.iter().map(|s| self.expect(s)).sum();
        once * u32::try_from(self.rounds).unwrap_or(u32::MAX)
    }

    /// What makes two sessions comparable: the same programs, times and processors.
    pub fn session(&self) -> String {
        let c = &self.context;
        let text = format!(
            "{:?} {} {} {:?} {} {} {}",
            c.timing,
            c.tools.io,
            machine::fingerprint(&c.tools.ringlog),
            c.tools.kafka,
            c.broker_cpu,
            c.load_cpu,
            c.dir.display(),
        );
        format!("{:08x}", protocol::crc::crc32c(text.as_bytes()))
    }
}

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Pairs that failed, with the reason.
    pub failed: Vec<String>,
    /// Pairs for which there was no time.
    pub left: usize,
}

/// Measures what `results` does not have yet.
pub fn run(plan: &Plan, results: &mut Results) -> std::io::Result<Outcome> {
    let begin = Instant::now();
    let mut outcome = Outcome::default();
    for round in 0..plan.rounds {
        for scenario in &plan.scenarios {
            let contenders = plan.contenders(scenario);
            let ids: Vec<&str> = contenders.iter().map(|c| c.id()).collect();
            if results.has(&scenario.name, round, &ids) {
                continue;
            }
            if plan.budget.is_some_and(|b| begin.elapsed() + plan.expect(scenario) > b) {
                outcome.left += 1;
                continue;
            }
            println!("round {} of {}: {} ({})", round + 1, plan.rounds, scenario.title, scenario.name);
            match pair(plan, scenario, &contenders, round) {
                Ok(pair) => results.add(pair)?,
                Err(reason) => {
                    println!("    {reason}");
                    outcome.failed.push(format!("{} round {}: {reason}", scenario.name, round + 1));
                }
            }
        }
    }
    Ok(outcome)
}

/// One pair, in the order that the round asks for.
fn pair(plan: &Plan, scenario: &Scenario, contenders: &[Contender], round: usize) -> Result<Pair, String> {
    let context = &plan.context;
    let timing = context.timing;
    let fio = Fio { block: 1 << 20, depth: 8, ramp_s: 0, seconds: timing.fio_s };
    let fio_mb_per_s = fio.mb_per_s(&context.dir, context.broker_cpu);
    println!("    fio, same minute: {}", fio_mb_per_s.map_or("not installed".into(), |d| format!("{d:.0} MB/s")));
    let mut order = contenders.to_vec();
    if round % 2 == 1 {
        order.reverse();
    }
    let mut runs = Vec::new();
    for contender in order {
        let figures = measure::run(context, scenario, contender)
            .map_err(|error| format!("{} failed: {error}", contender.name()))?;
        println!("    {}", report::line(contender, &figures));
        runs.push((contender.id().to_owned(), figures));
    }
    Ok(Pair { scenario: scenario.name.clone(), round, fio_mb_per_s, runs, facts: facts(context) })
}

/// What a pair was measured on, and when.
pub(crate) fn facts(context: &Context) -> Value {
    let mut facts = machine::facts(&context.tools.ringlog);
    let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    facts["at_unix"] = json!(at);
    facts["seconds"] = json!(context.timing.seconds);
    facts["io"] = json!(context.tools.io);
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::Tools;
    use crate::scenario::{Timing, table};

    fn plan(timing: Timing, scenarios: Vec<Scenario>, rounds: usize) -> Plan {
        let tools = Tools {
            ringlog: "ringlog".into(),
            io: "auto".into(),
            kafka_libs: "libs".into(),
            kafka: Default::default(),
            nats: "nats-server".into(),
        };
        let context = Context { tools, dir: ".".into(), broker_cpu: 0, load_cpu: 1, timing };
        Plan { context, scenarios, rounds, peers: vec![Peer::Kafka], budget: None }
    }

    #[test]
    fn a_quick_run_fits_a_quarter_of_an_hour() {
        let quick: Vec<Scenario> = table::all().into_iter().filter(|s| s.quick).collect();
        let expected = plan(Timing::QUICK, quick, 1).expect_all();
        assert!(expected <= Duration::from_secs(15 * 60), "{} s", expected.as_secs());
        assert!(expected >= Duration::from_secs(5 * 60), "{} s leave room for more", expected.as_secs());
    }

    #[test]
    fn peers_that_were_not_asked_for_do_not_take_part() {
        let all = table::all();
        let find = |name: &str| all.iter().find(|s| s.name == name).unwrap();
        let mut plan = plan(Timing::FULL, Vec::new(), 5);
        let ids = |plan: &Plan, name| plan.contenders(find(name)).iter().map(|c| c.id()).collect::<Vec<_>>();
        assert_eq!(ids(&plan, "16k-4p"), ["ringlog", "kafka"]);
        plan.peers.push(Peer::Nats);
        assert_eq!(ids(&plan, "16k-4p"), ["ringlog", "kafka", "nats"]);
        plan.peers.clear();
        assert_eq!(ids(&plan, "16k-4p"), ["ringlog"]);
        assert_eq!(ids(&plan, "tax-16k"), ["ringlog", "ringlog-none"], "our own classes always do");
    }

    #[test]
    fn a_session_is_another_when_what_is_measured_is() {
        let a = plan(Timing::FULL, Vec::new(), 5);
        assert_eq!(a.session(), plan(Timing::FULL, table::all(), 3).session(), "more of the same is the same");
        assert_ne!(a.session(), plan(Timing::QUICK, Vec::new(), 5).session());
    }
}
