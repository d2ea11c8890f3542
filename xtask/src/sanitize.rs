//! `cargo xtask sanitize` and `miri`: buffers, mailboxes and drivers under the compiler's own examiners. They need parts of
//! the toolchain that not every machine has. What is missing is asked of rustup once; where it cannot be had, the command
//! says what, and how to get it, and fails.

use crate::check::{run, step};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `cargo test` is to run: buffers, mailboxes and executor; the conformance of the kernel's drivers; the
/// mailbox under load.
const TESTS: &[&[&str]] = &[
    &["-p", "engine", "--lib", "--", "mem::", "mailbox::", "shard::", "log::chunk"],
    &["-p", "engine", "--test", "drivers", "--", "--skip", "::sim::"],
    &["-p", "loom-tests", "--test", "stress", "--test", "scripts"],
];

/// What miri runs of it: it has no io_uring, and is some hundred times slower.
const MIRI_TESTS: &[&[&str]] =
    &[&["-p", "engine", "--lib", "--", "mem::", "mailbox::", "log::chunk"], &["-p", "loom-tests", "--test", "stress"]];

/// A sanitizer and what it takes.
struct Sanitizer {
    name: &'static str,
    flags: &'static str,
    /// Rebuilds the standard library: its own accesses count as well, and a reference count's fence, which the sanitizer
    /// cannot see, becomes a load.
    rebuilds_std: bool,
}

const SANITIZERS: [Sanitizer; 2] = [
    Sanitizer { name: "address", flags: "-Zsanitizer=address --cfg asan", rebuilds_std: false },
    Sanitizer { name: "thread", flags: "-Zsanitizer=thread", rebuilds_std: true },
];

/// Both sanitizers, or the named one.
pub(crate) fn sanitize(root: &Path, only: Option<&str>) -> Result<(), String> {
    let chosen: Vec<_> = SANITIZERS.iter().filter(|s| only.is_none_or(|name| name == s.name)).collect();
    if chosen.is_empty() {
        return Err(format!("no sanitizer is called {only:?}; there are address and thread"));
    }
    for sanitizer in chosen {
        needs(sanitizer)?;
        step(&format!("{} sanitizer", sanitizer.name), || under(root, sanitizer))?;
    }
    Ok(())
}

fn needs(sanitizer: &Sanitizer) -> Result<(), String> {
    if sanitizer.rebuilds_std { source_of_std(&[]) } else { Ok(()) }
}

fn under(root: &Path, sanitizer: &Sanitizer) -> Result<(), String> {
    let target = root.join("target").join(format!("{}-sanitizer", sanitizer.name)).display().to_string();
    let env = [
        // The flag is no stable one; the compiler is the project's all the same, not another version.
        ("RUSTC_BOOTSTRAP", "1"),
        ("RUSTFLAGS", sanitizer.flags),
        ("CARGO_TARGET_DIR", target.as_str()),
        ("TSAN_OPTIONS", "halt_on_error=1"),
        // A driver that is dropped leaks on purpose what the kernel still holds.
        ("ASAN_OPTIONS", "detect_leaks=0"),
    ];
    // With a target named, the flags do not reach build scripts and macros.
    let host = crate::fuzz::host()?;
    let build: &[&str] = &["test", "--quiet", "--target", &host];
    let std: &[&str] = if sanitizer.rebuilds_std { &["-Zbuild-std"] } else { &[] };
    TESTS.iter().try_for_each(|tests| run(root, "cargo", &[build, std, tests].concat(), &env))
}

/// Buffers and mailboxes in an interpreter that knows the language's rules: provenance, initialisation, races.
pub(crate) fn miri(root: &Path) -> Result<(), String> {
    let miri = || Command::new("cargo").args(["+nightly", "miri", "--version"]).output();
    component(&sysroot(&["+nightly"])?, "miri", || miri().is_ok_and(|output| output.status.success()))?;
    source_of_std(&["+nightly"])?;
    let target = root.join("target/miri").display().to_string();
    // Isolation forbids the clock, with which tests bound their waits.
    let env = [("MIRIFLAGS", "-Zmiri-disable-isolation"), ("CARGO_TARGET_DIR", target.as_str())];
    MIRI_TESTS.iter().try_for_each(|tests| run(root, "cargo", &[&["+nightly", "miri", "test"], *tests].concat(), &env))
}

/// Where the toolchain of `rustc` with these arguments lives; the folder has its name.
fn sysroot(rustc: &[&str]) -> Result<PathBuf, String> {
    let output = Command::new("rustc").args(rustc).args(["--print", "sysroot"]).output();
    let output = output.map_err(|error| format!("rustc: {error}; is it installed?"))?;
    if output.status.success() {
        return Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("cannot run here: `rustc {} --print sysroot` says: {why}", rustc.join(" ")))
}

fn source_of_std(rustc: &[&str]) -> Result<(), String> {
    let sysroot = sysroot(rustc)?;
    component(&sysroot, "rust-src", || sysroot.join("lib/rustlib/src/rust/library/std/src/lib.rs").exists())
}

/// Asks rustup for a component that is not there.
fn component(sysroot: &Path, name: &str, is_there: impl Fn() -> bool) -> Result<(), String> {
    if is_there() {
        return Ok(());
    }
    let toolchain = sysroot.file_name().unwrap_or_default().to_string_lossy();
    let add = ["component", "add", name, "--toolchain", &toolchain];
    eprintln!("{name} of {toolchain} is not installed; asking rustup for it");
    let asked = Command::new("rustup").args(add).output();
    if is_there() {
        return Ok(());
    }
    let why =
        asked.map_or_else(|error| error.to_string(), |out| String::from_utf8_lossy(&out.stderr).trim().to_owned());
    Err(format!("cannot run here: {toolchain} has no {name}, and `rustup {}` did not bring it: {why}", add.join(" ")))
}
