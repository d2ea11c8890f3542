//! `kafka-delete-records`: Kafka 4.3.1's options and standard output.
//!
//! Deviations: a partition that fails makes the exit code tell, where Kafka's tool ends with 0; a partition that does not exist is
//! reported at once, where Kafka's tool waits a minute; the words behind an exception's name are ours.

use super::{plan, purge};
use crate::client::Error;
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::java;
use crate::options::KafkaArgs;
use clap::Args;
use std::path::PathBuf;

/// The options of `kafka-delete-records`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct DeleteRecordsArgs {
    #[command(flatten)]
    cluster: KafkaArgs,
    /// A file: {"version": 1, "partitions": [{"topic": "a", "partition": 0, "offset": 42}]}; offset -1 is the end.
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    offset_json_file: Option<PathBuf>,
}

/// Runs the tool.
pub fn run(args: &DeleteRecordsArgs, io: &mut Io<'_>) -> Outcome {
    if args.cluster.version {
        return crate::applet::print_version(io);
    }
    let path = args.offset_json_file.as_ref().ok_or_else(|| Failure::usage("--offset-json-file is missing"))?;
    let mut client = args.cluster.connect(io)?;
    let plan = plan::read(path).map_err(|error| Failure::failed(format!("--offset-json-file: {error}")))?;
    writeln!(io.out, "Executing records delete operation")?;
    // Kafka's tool prints them in an order of chance, anew each time; here it is the file's.
    let done = purge::purge(&mut client, &plan)?;
    writeln!(io.out, "Records delete operation completed:")?;
    let mut failures = Vec::new();
    for row in done {
        match row.result {
            Ok(first) => writeln!(io.out, "partition: {}-{}\tlow_watermark: {first}", row.topic, row.partition)?,
            Err(error) => {
                writeln!(io.out, "partition: {}-{}\terror: {}", row.topic, row.partition, exception(&error))?;
                failures.push(Failure::from(error));
            }
        }
    }
    crate::failure::all(failures)
}

/// The error as Java shows an exception.
fn exception(error: &Error) -> String {
    match error {
        Error::Refused { code, message, .. } => {
            format!("{}: {}", java::exception_class(*code), message.as_deref().unwrap_or(code.message()))
        }
        other => other.to_string(),
    }
}
