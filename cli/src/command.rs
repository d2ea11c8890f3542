//! Our own commands, and the tools with Kafka's names among them. The binary's command line flattens this into its own.

use crate::applet::Applet;
use crate::failure::Outcome;
use crate::io::{self, Io};
use crate::{console, groups, topics};
use clap::Subcommand;
use std::process::ExitCode;

/// Everything that talks to a running cluster.
#[derive(Clone, Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one a process")]
pub enum Command {
    /// List, describe, create, alter and delete topics.
    Topics(topics::TopicsArgs),
    /// List, describe, judge, reset and delete consumer groups.
    Groups(groups::GroupsArgs),
    /// Write lines or files to a topic.
    Produce(console::ProduceArgs),
    /// Print the records of topics.
    Consume(console::ConsumeArgs),
    /// The tools with Kafka's names.
    #[command(flatten)]
    Kafka(Applet),
}

impl Command {
    /// Does what was asked on the given outputs.
    pub fn run(self, io: &mut Io<'_>) -> Outcome {
        match self {
            Command::Topics(args) => topics::run(&args, io),
            Command::Groups(args) => groups::run(&args, io),
            Command::Produce(args) => console::produce(&args, io),
            Command::Consume(args) => console::consume(&args, io),
            Command::Kafka(applet) => applet.run(io),
        }
    }

    /// Does what was asked on the process's outputs.
    pub fn main(self) -> ExitCode {
        io::on_process(|io| self.run(io))
    }
}
