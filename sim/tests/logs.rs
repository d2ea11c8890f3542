//! Seeds in short. What would break without it: the log's promises under crashes that nobody thought of, and the simulator's
//! own, that a seed says everything.

use sim::logs::{run, run_moving};

const STEPS: u64 = 150;

#[test]
fn a_seed_runs_the_same_way_twice() {
    for seed in 1..=6 {
        let outcome = || run(seed, STEPS, |_| ()).map_err(|finding| finding.to_string());
        assert_eq!(outcome(), outcome(), "seed {seed}");
    }
}

#[test]
fn logs_survive_their_moves_between_folders() {
    let outcomes: Vec<_> = (1..=30).map(|seed| run_moving(seed, STEPS, |_| ())).collect();
    let lines: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(|f| f.to_string()).collect();
    assert!(lines.is_empty(), "{} of 30 seeds:\n{}", lines.len(), lines.join("\n"));
    let moves: u64 = outcomes.iter().flatten().map(|summary| summary.moves).sum();
    assert!(moves > 50, "only {moves} logs arrived");
}

#[test]
fn other_seeds_run_other_ways() {
    let trace = |seed| run(seed, 30, |_| ()).map(|summary| summary.trace).map_err(|finding| finding.to_string());
    assert_ne!(trace(2), trace(4));
}

#[test]
fn fifty_seeds_break_no_promise() {
    let findings: Vec<_> = (1..=50).filter_map(|seed| run(seed, STEPS, |_| ()).err()).collect();
    let lines: Vec<_> = findings.iter().map(|finding| finding.to_string()).collect();
    assert!(lines.is_empty(), "{} of 50 seeds:\n{}", lines.len(), lines.join("\n"));
}

/// Seeds that found something once: a torn tail that came back in a file of the right length (1134), a clean stop that met
/// retention (141, 300), a deleted log that was judged by an old checkpoint (2063), an index that came back beside a half-done cut (7246), and a
/// search by time that began behind what was written and took that for damage (65).
#[test]
fn what_was_found_stays_mended() {
    for (seed, steps) in [(1134, 250), (141, 300), (300, 300), (2063, 250), (7246, 200), (65, 300)] {
        let outcome = run(seed, steps, |_| ()).map_err(|finding| finding.to_string());
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}
