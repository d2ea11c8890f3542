//! Seeds in short. What would break without it: the log's promises under crashes that nobody thought of, and the simulator's
//! own, that a seed says everything.

use sim::run;

const STEPS: u64 = 150;

#[test]
fn a_seed_runs_the_same_way_twice() {
    for seed in 1..=6 {
        let outcome = || run(seed, STEPS, |_| ()).map_err(|finding| finding.to_string());
        assert_eq!(outcome(), outcome(), "seed {seed}");
    }
}

#[test]
fn other_seeds_run_other_ways() {
    let trace = |seed| run(seed, 30, |_| ()).map(|summary| summary.trace).map_err(|finding| finding.to_string());
    assert_ne!(trace(2), trace(4));
}

/// Fails as of its first day, on 7 of the 50 seeds: a start inside or above a suffix that is cut stays above the end, or the
/// cut never ends; and once recovery did not tell a producer's last batch. It joins the others once the log is mended.
#[test]
#[ignore = "finds violations in engine::log that are not mended yet"]
fn fifty_seeds_break_no_promise() {
    let findings: Vec<_> = (1..=50).filter_map(|seed| run(seed, STEPS, |_| ()).err()).collect();
    let lines: Vec<_> = findings.iter().map(|finding| finding.to_string()).collect();
    assert!(lines.is_empty(), "{} of 50 seeds:\n{}", lines.len(), lines.join("\n"));
}
