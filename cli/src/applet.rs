//! The tools that go by Kafka's names: which there are, and how the program finds that it was called by one.
//!
//! `kafka-topics`, `kafka-topics.sh` and `ringlog kafka-topics` are the same. Options are parsed by clap after two habits of
//! Kafka's parser were smoothed over: a long option may have one dash only, and prefixes of options are not options.

use crate::failure::Outcome;
use crate::io::{self, Io};
use crate::{configs, console, groups, log_dirs, offsets, records, topics};
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

/// The Kafka whose tools these behave like.
pub const KAFKA_VERSION: &str = "4.3.1";

/// The tools.
#[derive(Clone, Debug, Subcommand)]
pub enum Applet {
    /// Create, list, describe, alter and delete topics, as Kafka's tool does.
    #[command(name = "kafka-topics")]
    Topics(topics::kafka::TopicsArgs),
    /// List, describe and delete consumer groups; set where they go on.
    #[command(name = "kafka-consumer-groups")]
    ConsumerGroups(groups::kafka::GroupsArgs),
    /// Write lines of standard input to a topic.
    #[command(name = "kafka-console-producer")]
    ConsoleProducer(console::kafka_producer::ProducerArgs),
    /// Print the records of topics.
    #[command(name = "kafka-console-consumer")]
    ConsoleConsumer(console::kafka_consumer::ConsumerArgs),
    /// Show and change settings of topics, brokers, loggers, client metrics and groups, as Kafka's tool does.
    #[command(name = "kafka-configs")]
    Configs(configs::kafka::ConfigsArgs),
    /// Print offsets of partitions, as Kafka's tool does.
    #[command(name = "kafka-get-offsets")]
    GetOffsets(offsets::kafka::GetOffsetsArgs),
    /// Delete records from the front of partitions, as Kafka's tool does.
    #[command(name = "kafka-delete-records")]
    DeleteRecords(records::kafka::DeleteRecordsArgs),
    /// Print brokers' folders and what is in them, as Kafka's tool does.
    #[command(name = "kafka-log-dirs")]
    LogDirs(log_dirs::kafka::LogDirsArgs),
}

impl Applet {
    /// Does what was asked.
    pub fn run(self, io: &mut Io<'_>) -> Outcome {
        match self {
            Applet::Topics(args) => topics::kafka::run(&args, io),
            Applet::ConsumerGroups(args) => groups::kafka::run(&args, io),
            Applet::ConsoleProducer(args) => console::kafka_producer::run(&args, io),
            Applet::ConsoleConsumer(args) => console::kafka_consumer::run(&args, io),
            Applet::Configs(args) => configs::kafka::run(&args, io),
            Applet::GetOffsets(args) => offsets::kafka::run(&args, io),
            Applet::DeleteRecords(args) => records::kafka::run(&args, io),
            Applet::LogDirs(args) => log_dirs::kafka::run(&args, io),
        }
    }
}

/// What clap calls a program whose name is the sub-command.
#[derive(Debug, Parser)]
#[command(multicall = true)]
struct Called {
    #[command(subcommand)]
    applet: Applet,
}

/// The names of the tools, as they are linked.
pub fn names() -> Vec<String> {
    Called::command().get_subcommands().map(|tool| tool.get_name().to_owned()).collect()
}

/// The options of a tool, under its own name.
pub fn definition(name: &str) -> Option<clap::Command> {
    Called::command().find_subcommand(name).cloned()
}

/// The tool that a program of this name is, whatever folder it lies in, with or without `.sh`.
pub fn named(program: &OsStr) -> Option<String> {
    let name = Path::new(program).file_name()?.to_str()?;
    let name = name.strip_suffix(".sh").unwrap_or(name);
    if !name.starts_with("kafka-") {
        return None;
    }
    names().into_iter().find(|known| known == name)
}

/// Runs the tool whose name the program was called by, if it was.
pub fn run_as_called(args: &[OsString]) -> Option<ExitCode> {
    let name = named(args.first()?)?;
    let mut line = vec![OsString::from(&name)];
    line.extend(two_dashes(&name, &args[1..]));
    Some(match Called::try_parse_from(line) {
        Ok(called) => io::on_process(|io| called.applet.run(io)),
        Err(error) => answer(&error),
    })
}

/// What `--version` prints: the Kafka that a script may count on, and who it is really.
pub fn print_version(io: &mut Io<'_>) -> Outcome {
    io.notice(format!("this is ringlog {}", env!("CARGO_PKG_VERSION")));
    Ok(writeln!(io.out, "{KAFKA_VERSION}")?)
}

/// Prints what clap has to say, help or a usage error, and ends with its code: 0 or 2.
fn answer(error: &clap::Error) -> ExitCode {
    // A closed output has nobody to tell.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// The command line with [`two_dashes`] applied where it names a tool: `ringlog kafka-topics -list`.
pub fn normal(args: Vec<OsString>) -> Vec<OsString> {
    match args.get(1).and_then(|name| name.to_str()).and_then(|name| names().into_iter().find(|known| known == name)) {
        Some(name) => {
            let rest = two_dashes(&name, &args[2..]);
            args.into_iter().take(2).chain(rest).collect()
        }
        None => args,
    }
}

/// Kafka's parser takes `-topic` for `--topic`. Rewrites exactly the options that the tool has.
pub fn two_dashes(tool: &str, args: &[OsString]) -> Vec<OsString> {
    let command = Called::command();
    let tool = command.find_subcommand(tool);
    let is_option = |name: &str| tool.is_some_and(|tool| tool.get_arguments().any(|arg| arg.get_long() == Some(name)));
    let rewrite = |arg: &OsString| match arg.to_str().and_then(|text| text.strip_prefix('-')) {
        Some(text) if is_option(text.split('=').next().unwrap_or(text)) => OsString::from(format!("--{text}")),
        _ => arg.clone(),
    };
    args.iter().map(rewrite).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_consistent() {
        Called::command().debug_assert();
    }

    #[test]
    fn a_tool_by_any_of_its_names() {
        for name in ["kafka-topics", "kafka-topics.sh", "/opt/kafka/bin/kafka-topics.sh", "./kafka-topics"] {
            assert_eq!(named(OsStr::new(name)).as_deref(), Some("kafka-topics"), "{name}");
        }
        for name in ["ringlog", "kafka-topics.bat", "topics", "kafka", ""] {
            assert_eq!(named(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn one_dash_is_enough_for_the_options_that_there_are() {
        let args = ["-topic", "-list", "-topic=a", "--topic", "-1", "-t", "x"].map(OsString::from);
        let expect = ["--topic", "--list", "--topic=a", "--topic", "-1", "-t", "x"].map(OsString::from);
        assert_eq!(two_dashes("kafka-topics", &args), expect);
    }
}
