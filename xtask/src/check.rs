//! `cargo xtask check`: everything CI checks, in the order in which a mistake is cheapest to find. Changes nothing.

use crate::{codegen, fuzz, layering, models, tidy};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Format, text rules, layers, generated code, clippy, every Rust test, the models under loom, shards under shuttle.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    step("format", || run(root, "cargo", &["fmt", "--all", "--check"], &[]))?;
    step("tidy", || tidy::check(root))?;
    step("layers", || layering::check(root))?;
    step("generated code", || codegen::check(root))?;
    step("clippy", || {
        run(root, "cargo", &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])
    })?;
    let tests = ["test", "--quiet", "--workspace", "--no-fail-fast"];
    all([
        step("tests", || run(root, "cargo", &tests, &[])),
        step("loom", || models::loom(root)),
        step("shuttle, briefly", || models::shuttle(root, None)),
    ])
}

/// What failed of steps that do not need each other: one run tells everything.
fn all<const N: usize>(steps: [Result<(), String>; N]) -> Result<(), String> {
    let failed: Vec<String> = steps.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// Writes what `check` would complain about and a machine can mend.
pub(crate) fn fix(root: &Path) -> Result<(), String> {
    codegen::write(root)?;
    run(root, "cargo", &["fmt", "--all"], &[])
}

/// Every test there is: `check`, the schema against Kafka's own, and the unmodified clients on a release build.
pub(crate) fn test(root: &Path) -> Result<(), String> {
    all([
        check(root),
        step("install clients", || clients_install(root)),
        step("schema against Kafka 4.3.1", || crate::validate_schema::run(root, None)),
        crate::sanitize::sanitize(root, Some("address")),
        step("simulate, briefly", || crate::simulate::brief(root)),
        step("rigs, briefly", || crate::rigs::short(root)),
        step("fuzz, briefly", || fuzz::tests(root).and_then(|()| fuzz::brief(root, "2"))),
        step("clients", || clients(root, &[])),
    ])
}

/// Installs the clients into `.cache/`.
pub(crate) fn clients_install(root: &Path) -> Result<(), String> {
    run(root, "bash", &["node/tests/clients/install.sh"], &[])
}

/// Runs the client suite with `args` for pytest against a release build of the broker.
pub(crate) fn clients(root: &Path, args: &[&str]) -> Result<(), String> {
    run(root, "cargo", &["build", "--quiet", "--release", "-p", "node"], &[])?;
    let binary = root.join("target/release/ringlog").display().to_string();
    let python = root.join(".cache/venv/bin/python").display().to_string();
    let mut all = vec!["-m", "pytest", "-p", "no:cacheprovider", "node/tests/clients"];
    all.extend_from_slice(args);
    run(root, &python, &all, &[("RINGLOG_BIN", binary.as_str())])
}

/// Names a step, times it.
pub(crate) fn step(name: &str, what: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    eprintln!("== {name}");
    let start = Instant::now();
    what().map_err(|reason| format!("{reason}\n== {name}: failed"))?;
    eprintln!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

pub(crate) fn run(root: &Path, program: &str, args: &[&str], env: &[(&str, &str)]) -> Result<(), String> {
    let status = Command::new(program)
        .args(args)
        .envs(env.iter().copied())
        .current_dir(root)
        .status()
        .map_err(|error| format!("{program}: {error}; is it installed?"))?;
    if status.success() { Ok(()) } else { Err(format!("`{program} {}` ended with {status}", args.join(" "))) }
}
