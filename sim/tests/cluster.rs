//! A few seeds of the whole node. What would break without it: what clients were promised, under faults that nobody chose;
//! and the simulator's own promise, that a seed says everything.

use sim::campaign::caught_plan;
use sim::cluster::{Feature, Plan, run};

/// Short enough for a debug build.
fn brief(seed: u64) -> Plan {
    Plan { seconds: 12, ..Plan::draw(seed) }
}

#[test]
fn a_seed_runs_the_same_way_twice() {
    for seed in [1, 4, 7] {
        let outcome = || run(&brief(seed), &mut |_| ()).map_err(|finding| finding.to_string());
        assert_eq!(outcome(), outcome(), "seed {seed}");
    }
}

#[test]
fn other_seeds_run_other_ways() {
    let trace =
        |seed| run(&brief(seed), &mut |_| ()).map(|summary| summary.trace).map_err(|finding| finding.to_string());
    assert_ne!(trace(2), trace(3));
}

#[test]
fn a_dozen_seeds_break_no_promise() {
    let findings: Vec<String> = (1..=12).filter_map(|seed| caught_plan(&brief(seed)).err()).map(|f| f.text).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn a_run_without_faults_does_work() {
    let mut plan = brief(3);
    plan.features = [Feature::Idempotent, Feature::Consumers, Feature::Groups].into();
    let done = run(&plan, &mut |_| ()).expect("nothing goes wrong");
    assert!(done.acknowledged > 100 && done.read > done.acknowledged, "{done:?}");
    assert_eq!((done.kills, done.power_cuts), (0, 0));
}
