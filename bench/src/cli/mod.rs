//! The commands: [`drive`] is the load generator, [`groups`] its members of groups, [`comparison`] what compares and reports,
//! [`drivers`] compares our own; [`host`] says where things are.

mod compaction;
mod comparison;
mod drive;
mod drivers;
mod groups;
mod host;

use clap::{Parser, Subcommand};

/// Drives any Kafka broker, and compares Ringlog with Kafka 4.3.1 and others on the same core.
#[derive(Parser)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Subcommand)]
enum Cmd {
    /// Produce as fast as the broker answers (closed loop), or at a fixed rate (open loop).
    Produce(drive::Produce),
    /// Commit offsets, each connection for a group of its own.
    Commit(drive::Commit),
    /// One group: measure how long it takes to come to rest after a member joins or leaves.
    Settle(groups::Groups),
    /// Groups whose members only say that they live.
    Live(groups::Groups),
    /// Read partitions from their start, again and again.
    Fetch(drive::Fetch),
    /// Produce at a fixed rate and measure until a long-polling consumer has each record. The topic must be empty.
    EndToEnd(drive::Produce),
    /// Produce at a fixed rate while another topic is read once from its start.
    CatchUp(drive::CatchUp),
    /// Append to our engine in this process, without broker and network.
    Append(drive::Append),
    /// Fill a compacted topic, and measure what compacting it costs, ours and Kafka's.
    Compaction(compaction::Compaction),
    /// Run scenarios on Ringlog and its rivals in turn; print a table, write an HTML report. Goes on where it stopped.
    Compare(Box<comparison::Compare>),
    /// Run scenarios on each of our I/O drivers in turn and print the table of the four.
    Drivers(drivers::Drivers),
    /// Write the table and the report of results that are there.
    Report(comparison::Report),
}

impl Cli {
    pub(crate) fn run(self) -> Result<(), String> {
        match self.command {
            Cmd::Produce(args) => args.produce(),
            Cmd::Commit(args) => args.run(),
            Cmd::Settle(args) => args.settle(),
            Cmd::Live(args) => args.live(),
            Cmd::Fetch(args) => args.run(),
            Cmd::EndToEnd(args) => args.end_to_end(),
            Cmd::CatchUp(args) => args.run(),
            Cmd::Append(args) => args.run(),
            Cmd::Compaction(args) => args.run(),
            Cmd::Compare(args) => args.run(),
            Cmd::Drivers(args) => args.run(),
            Cmd::Report(args) => args.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
