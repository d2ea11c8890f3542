//! Entry point: one command, one exit code.

use clap::{CommandFactory, Parser};
use node::args::{Cli, Command};
use node::{boot, dump, logging, verify};
use std::ffi::OsString;
use std::process::ExitCode;

/// Requests are many small allocations that live for a turn or two on one core.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    end_on_panic();
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Some(ended) = cli::applet::run_as_called(&args) {
        return ended;
    }
    if let Some((word, meant)) = args.get(1).and_then(|word| Some((word, Cli::nearest_command(word)?))) {
        eprintln!("error: there is no command `{}`\nhint: did you mean `{meant}`?", word.display());
        return ExitCode::from(2);
    }
    logging::init();
    match Cli::parse_from(cli::applet::normal(args)).into_command() {
        Command::Start(args) => match boot::start(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => {
                eprintln!("ringlog: {reason}");
                ExitCode::FAILURE
            }
        },
        Command::DumpLog { files } => ExitCode::from(dump::print_all(&files).exit_code()),
        Command::Client(command) => command.main(Cli::command()),
        Command::Verify { dirs } => ExitCode::from(verify::verify_all(&dirs).exit_code()),
    }
}

/// A broken invariant of one shard ends the process: nothing it holds can be believed any more.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}
