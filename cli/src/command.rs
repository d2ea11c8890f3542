//! Our own commands, and the tools with Kafka's names among them. The binary's command line flattens this into its own.

use crate::applet::Applet;
use crate::failure::Outcome;
use crate::io::{self, Io};
use crate::{completions, configs, console, groups, links, log_dirs, offsets, records, topics};
use clap::Subcommand;
use std::process::ExitCode;

/// Everything that talks to a running cluster.
#[expect(clippy::large_enum_variant, reason = "there is one, for as long as the process lives")]
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// List, describe, create, alter and delete topics.
    Topics(topics::TopicsArgs),
    /// List, describe, judge, reset and delete consumer groups.
    Groups(groups::GroupsArgs),
    /// Write lines or files to a topic.
    Produce(console::ProduceArgs),
    /// Print the records of topics.
    Consume(console::ConsumeArgs),
    /// Show and change settings of topics, brokers, loggers, client metrics and groups.
    Configs(configs::ConfigsArgs),
    /// Print first and last offsets of partitions.
    Offsets(offsets::OffsetsArgs),
    /// Delete records from the front of partitions.
    DeleteRecords(records::DeleteRecordsArgs),
    /// Print what each folder of each broker holds.
    LogDirs(log_dirs::LogDirsArgs),
    /// Link the tools with Kafka's names into a folder.
    InstallLinks(links::InstallLinksArgs),
    /// Print a script that completes commands and options in a shell.
    Completions(completions::CompletionsArgs),
    /// The tools with Kafka's names.
    #[command(flatten)]
    Kafka(Applet),
}

impl Command {
    /// Does what was asked on the given outputs. `program` is the whole command line, for completions.
    pub fn run(self, program: clap::Command, io: &mut Io<'_>) -> Outcome {
        match self {
            Command::Topics(args) => topics::run(&args, io),
            Command::Groups(args) => groups::run(&args, io),
            Command::Produce(args) => console::produce(&args, io),
            Command::Consume(args) => console::consume(&args, io),
            Command::Configs(args) => configs::run(&args, io),
            Command::Offsets(args) => offsets::run(&args, io),
            Command::DeleteRecords(args) => records::run(&args, io),
            Command::LogDirs(args) => log_dirs::run(&args, io),
            Command::InstallLinks(args) => links::run(&args, io),
            Command::Completions(args) => completions::run(&args, program, io),
            Command::Kafka(applet) => applet.run(io),
        }
    }

    /// Does what was asked on the process's outputs.
    pub fn main(self, program: clap::Command) -> ExitCode {
        io::on_process(|io| self.run(program, io))
    }
}
