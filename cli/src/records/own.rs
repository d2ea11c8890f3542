//! `ringlog delete-records`: `TOPIC:PARTITION:OFFSET` on the command line, or Kafka's file.

use super::plan::{self, Until};
use super::purge;
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::options::ClusterArgs;
use clap::Args;
use std::path::PathBuf;

/// `ringlog delete-records`.
#[derive(Clone, Debug, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct DeleteRecordsArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Partitions with the offset that becomes the first; `end` empties the partition.
    #[arg(value_name = "TOPIC:PARTITION:OFFSET", required_unless_present = "file", value_parser = until)]
    partitions: Vec<Until>,
    /// The same from a file in the form of kafka-delete-records.
    #[arg(long, value_name = "FILE", conflicts_with = "partitions")]
    file: Option<PathBuf>,
}

fn until(text: &str) -> Result<Until, String> {
    let parts: Vec<&str> = text.rsplitn(3, ':').collect();
    let [offset, partition, topic] = parts[..] else { return Err("expected TOPIC:PARTITION:OFFSET".to_owned()) };
    let partition =
        partition.parse().ok().filter(|number| *number >= 0).ok_or("the partition is a number from 0 on")?;
    let offset = match offset {
        "end" => -1,
        digits => {
            digits.parse().ok().filter(|number| *number >= 0).ok_or("the offset is a number from 0 on, or `end`")?
        }
    };
    Ok(Until { topic: topic.to_owned(), partition, offset })
}

/// Does what was asked.
pub fn run(args: &DeleteRecordsArgs, io: &mut Io<'_>) -> Outcome {
    let plan = match &args.file {
        Some(path) => plan::read(path).map_err(|error| Failure::usage(format!("--file: {error}")))?,
        None => args.partitions.clone(),
    };
    let mut client = args.cluster.connect(io)?;
    let mut failures = Vec::new();
    for row in purge::purge(&mut client, &plan)? {
        match row.result {
            Ok(first) => writeln!(io.out, "{}-{} begins at {first}.", row.topic, row.partition)?,
            Err(error) => failures.push(Failure::from(error)),
        }
    }
    crate::failure::all(failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_on_the_command_line() {
        let expect = |topic: &str, partition, offset| Until { topic: topic.to_owned(), partition, offset };
        assert_eq!(until("a:0:42"), Ok(expect("a", 0, 42)));
        assert_eq!(until("a:3:end"), Ok(expect("a", 3, -1)));
        for text in ["a", "a:0", "a:x:1", "a:-1:1", "a:0:-1", "a:0:x"] {
            assert!(until(text).is_err(), "{text}");
        }
    }
}
