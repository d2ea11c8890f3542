//! `cargo xtask fuzz` and `fuzz-long`: builds the fuzz targets with the compiler's counters, which a stable toolchain can,
//! and runs them. What they check is said in `fuzz/README.md`.

use std::path::Path;
use std::process::Command;

/// Counters at every edge: LLVM's pass and its level.
const COUNTERS: &str = "-C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=3 \
                        -C llvm-args=-sanitizer-coverage-inline-8bit-counters";

/// Every target for `seconds`.
pub(crate) fn brief(root: &Path, seconds: &str) -> Result<(), String> {
    run(root, &["all", "--seconds", seconds])
}

/// All targets in turns of equal time until `executions` inputs were run in all; `rest` may hold `--seed N`.
pub(crate) fn long(root: &Path, executions: &str, rest: &[&str]) -> Result<(), String> {
    run(root, &[&["all", "--executions", executions], rest].concat())
}

/// Inputs that once broke something, and the runner's own tests.
pub(crate) fn tests(root: &Path) -> Result<(), String> {
    finish(cargo(root).args(["test", "--quiet"]).args(build(&host()?)))
}

fn run(root: &Path, args: &[&str]) -> Result<(), String> {
    finish(cargo(root).args(["run", "--quiet"]).args(build(&host()?)).arg("--").args(args))
}

/// Where and how; the same for tests and runs, so that nothing is built twice. With a target named, the flags do not reach
/// build scripts and macros, which nobody would give counters.
fn build(host: &str) -> [&str; 5] {
    ["--release", "--manifest-path", "fuzz/Cargo.toml", "--target", host]
}

fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).env("CARGO_TARGET_DIR", root.join("target/fuzz")).env("RUSTFLAGS", COUNTERS);
    cargo
}

fn finish(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cargo: {error}; is it installed?"))?;
    if status.success() { Ok(()) } else { Err(format!("the fuzz targets ended with {status}")) }
}

/// The machine's own target triple.
pub(crate) fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| format!("`rustc -vV` names no host:\n{text}"))
}
