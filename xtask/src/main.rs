//! The project's own commands: `cargo xtask <command>`.
//!
//! Only the table of commands is here; each command has a file of its own.

mod agreement;
mod bench;
mod check;
mod codegen;
mod codegen_keys;
mod codegen_model;
mod codegen_parse;
mod codegen_rust;
mod codegen_samples;
mod fuzz;
mod hostile;
mod layering;
mod models;
mod rigs;
mod sanitize;
mod simulate;
mod tidy;
mod validate_schema;
mod validate_schema_jar;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <command>
  check                         format, text rules, layers, generated code, clippy, Rust tests, loom models, shuttle; changes nothing
  fix                           write what check would complain about: generated code, format
  test                          check, then everything with real clients, after installing them into .cache/
  clients [PYTEST ARGS]         only the client suite, e.g. `clients -k groups`, `clients --against kafka`
  install                       install the clients and Kafka 4.3.1 into .cache/
  install-peers                 build NATS JetStream's server into .cache/bin, for the comparison; needs Go
  bench-regress [--save] [PERCENT]  criterion's benches of the hot path: keep them as baseline, or fail when one is slower by more than so much (15)
  loom                          only the models of the lock-free parts
  shuttle [RUNS]                whole shards under random schedules, so many for each test
  sanitize [address|thread]     buffers, mailboxes and drivers under the address and the thread sanitizer
  miri                          buffers and mailboxes under miri; needs a nightly toolchain with it
  fuzz SECONDS                  every fuzz target for that long
  agreement SEEDS [FIRST]       power cuts after every operation on the simulated disk and on real ones; needs root
  sim MINUTES                   simulated clusters on all cores for so long
  planted [NAME] [ARGS]         plants each known bug in turn and shows that the simulator catches it
  rigs short|long               kill -9 and power cuts on real file systems, negative controls included; cuts need root
  hostile                       10,000 hostile connections, floods, bombs, readers that read nothing: the long tests and their figures
  fuzz-long INPUTS [--seed N]   all of them in turns of equal time, until so many inputs were run in all
  codegen [--check]             write protocol/src/messages from protocol/schema; --check: only say whether it is stale
  validate-schema [--jar PATH]  compare protocol/schema with the definitions inside Kafka's own jars";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["check"] => check::check(&root()),
        ["fix"] => check::fix(&root()),
        ["test"] => check::test(&root()),
        ["clients", rest @ ..] => check::clients(&root(), rest),
        ["install"] => check::clients_install(&root()),
        ["loom"] => models::loom(&root()),
        ["shuttle"] => models::shuttle(&root(), None),
        ["shuttle", runs] => models::shuttle(&root(), Some(runs)),
        ["sanitize"] => sanitize::sanitize(&root(), None),
        ["sanitize", only] => sanitize::sanitize(&root(), Some(only)),
        ["miri"] => sanitize::miri(&root()),
        ["install-peers"] => bench::install_peers(&root()),
        ["bench-regress", "--save"] => bench::regress(&root(), true, 0.0),
        ["bench-regress"] => bench::regress(&root(), false, 15.0),
        ["bench-regress", percent] => percent
            .parse()
            .map_err(|error| format!("{percent}: {error}"))
            .and_then(|p| bench::regress(&root(), false, p)),
        ["agreement", seeds] => agreement::run(&root(), seeds, "0"),
        ["agreement", seeds, first] => agreement::run(&root(), seeds, first),
        ["sim", minutes] => simulate::campaign(&root(), minutes),
        ["planted"] => simulate::planted(&root(), "", &[]),
        ["planted", name, rest @ ..] => simulate::planted(&root(), name, rest),
        ["rigs", "short"] => rigs::short(&root()),
        ["rigs", "long"] => rigs::long(&root()),
        ["hostile"] => hostile::run(&root()),
        ["fuzz", seconds] => fuzz::brief(&root(), seconds),
        ["fuzz-long", executions, rest @ ..] => fuzz::long(&root(), executions, rest),
        ["codegen"] => codegen::write(&root()),
        ["codegen", "--check"] => codegen::check(&root()),
        ["validate-schema"] => validate_schema::run(&root(), None),
        ["validate-schema", "--jar", jar] => validate_schema::run(&root(), Some(Path::new(jar))),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
