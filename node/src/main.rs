//! Entry point: one command, one exit code.

use clap::Parser;
use node::args::{Cli, Command};
use node::{boot, dump, logging};
use std::process::ExitCode;

fn main() -> ExitCode {
    logging::init();
    let result = match Cli::parse().into_command() {
        Command::Start(args) => boot::start(&args).map_err(|error| error.to_string()),
        Command::DumpLog { files } => dump::print_all(&files),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("ringlog: {reason}");
            ExitCode::FAILURE
        }
    }
}
