//! `cargo xtask hostile`: the tests with hostile peers in their long form, on a release build, and the figures they measure.

use std::path::Path;
use std::process::{Command, Stdio};

/// Tests of the node that print figures, one process each and one after the other: each would be the other's noise.
const TESTS: [&str; 4] = ["hostile_crowd", "hostile_flood", "hostile_bombs", "hostile_readers"];

/// Ten thousand connections, and floods of as many seconds as show a leak.
const LONG: [(&str, &str); 2] = [("RINGLOG_CROWD", "10000"), ("RINGLOG_FLOOD_SECONDS", "10")];

/// Runs them and prints what follows `figure:` in their output.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let mut failed = Vec::new();
    for test in TESTS {
        eprintln!("== {test}");
        let output = Command::new("cargo")
            .args(["test", "--quiet", "--release", "-p", "node", "--test", test, "--", "--nocapture"])
            .envs(LONG)
            .current_dir(root)
            .stderr(Stdio::piped())
            .output()
            .map_err(|error| format!("cargo: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        // A test's name may stand before its first line.
        let figures = text.lines().filter_map(|line| line.split_once("figure: "));
        figures.for_each(|(_, figure)| println!("{test}: {figure}"));
        if !output.status.success() {
            eprintln!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
            failed.push(test);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}
