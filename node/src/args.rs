//! The command line. What the values mean together is decided in [`boot`](crate::boot); properties are `config`'s.

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Ringlog: a log broker that speaks the Apache Kafka protocol.
///
/// Without arguments it serves 127.0.0.1:9092 from ./ringlog-data; there is no format step.
#[derive(Debug, Parser)]
#[command(name = "ringlog", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do; starting a broker if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to start.
    #[command(flatten)]
    pub start: StartArgs,
}

const EXAMPLES: &str = "Examples:
  ringlog                                       serve 127.0.0.1:9092 from ./ringlog-data
  ringlog server.properties                     take a Kafka broker's settings
  ringlog --listen 0.0.0.0:9092 --data-dir /var/lib/ringlog
  ringlog --override num.partitions=8 --override log.retention.hours=24
  ringlog dump-log ringlog-data/orders-0/00000000000000000000.log
  ringlog verify /var/lib/ringlog
  ringlog topics create orders --partitions 3
  ringlog kafka-topics --bootstrap-server 127.0.0.1:9092 --describe

Settings are taken from flags first, then --override, then the file, then defaults.
RUST_LOG sets what is logged to stderr, e.g. RUST_LOG=debug or RUST_LOG=node=debug.";

/// The things the program can do.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, for as long as the process lives")]
pub enum Command {
    /// Start a broker (the default).
    Start(StartArgs),
    /// Print the batches, records and indexes of log files, and the first bad byte if there is one.
    ///
    /// Ends with 0 when every byte is right, with 1 when a file has a bad one, with 2 when a file cannot be read.
    DumpLog {
        /// Files of a data folder: .log, .ridx, .rsnap, .rckp.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Prove every byte that the data folders of a stopped broker depend on, and say what is wrong where.
    ///
    /// Changes nothing. Ends with 0 when all is right, with 1 when something is not, with 2 when something cannot be
    /// read or a broker is running on the folder.
    Verify {
        /// Data folders.
        #[arg(default_value = "ringlog-data", value_name = "DIR")]
        dirs: Vec<PathBuf>,
    },
    /// What talks to a running cluster.
    #[command(flatten)]
    Client(cli::Command),
}

/// How to start a broker.
#[derive(Clone, Debug, Default, Args)]
pub struct StartArgs {
    /// A file with Kafka's property names (server.properties).
    #[arg(value_name = "server.properties")]
    pub properties: Option<PathBuf>,
    /// One property, stronger than the file's; may be repeated.
    #[arg(long = "override", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// What clients connect over.
    #[arg(long, value_enum, default_value_t = Transport::Tcp)]
    pub transport: Transport,
    /// Address to serve; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Folder of the logs; made if missing. A folder of Kafka's can be opened.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How to talk to the kernel; auto takes io_uring where it works.
    #[arg(long, value_enum, default_value_t = IoChoice::Auto)]
    pub io: IoChoice,
    /// Cores to use; by default all that this process may run on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub shards: Option<u16>,
}

/// Transports that clients can be served over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Kafka's protocol over TCP.
    #[default]
    Tcp,
}

/// Which driver is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum IoChoice {
    /// io_uring where the kernel allows it, else posix.
    #[default]
    Auto,
    /// io_uring, or no start.
    Uring,
    /// epoll and a thread for files.
    Posix,
    /// io_uring as tokio-uring drives it, or no start.
    TokioUring,
    /// io_uring as glommio drives it, or no start.
    Glommio,
}

impl Cli {
    /// The command that was meant by a first word that is none. Such a word counts as a properties file, unless no such file
    /// exists and a command has nearly the same name.
    pub fn nearest_command(word: &OsStr) -> Option<String> {
        let word = word.to_str().filter(|word| !word.starts_with('-') && !Path::new(word).exists())?;
        let program = Cli::command();
        let names: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).chain(["help"]).collect();
        if names.contains(&word) {
            return None;
        }
        cli::suggest::nearest(word, names).map(str::to_owned)
    }

    /// The one thing to do.
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Start(self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(line: &str) -> StartArgs {
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap_or_else(|error| panic!("{line}: {error}"));
        match cli.into_command() {
            Command::Start(args) => args,
            Command::DumpLog { .. } | Command::Verify { .. } | Command::Client(_) => panic!("{line} starts nothing"),
        }
    }

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_first_word_that_is_no_command() {
        for (word, expect) in [
            ("topcis", Some("topics")),
            ("topic", Some("topics")),
            ("kafka-topic", Some("kafka-topics")),
            ("verfy", Some("verify")),
            ("topics", None),
            ("help", None),
            ("--list", None),
            ("server.properties", None),
            ("Cargo.toml", None),
        ] {
            assert_eq!(Cli::nearest_command(OsStr::new(word)).as_deref(), expect, "{word}");
        }
    }

    #[test]
    fn start_is_the_default() {
        for line in ["ringlog", "ringlog start"] {
            let args = start(line);
            assert_eq!((args.properties, args.listen, args.data_dir), (None, None, None), "{line}");
            assert_eq!((args.io, args.shards, args.transport), (IoChoice::Auto, None, Transport::Tcp), "{line}");
        }
    }

    #[test]
    fn everything_with_and_without_the_word_start() {
        let rest = "server.properties --override a=b --override c= --transport tcp --listen [::1]:0 --data-dir /d --io posix --shards 2";
        for line in [format!("ringlog {rest}"), format!("ringlog start {rest}")] {
            let args = start(&line);
            assert_eq!(args.properties, Some("server.properties".into()), "{line}");
            assert_eq!(args.overrides, ["a=b", "c="], "{line}");
            assert_eq!((args.listen, args.data_dir), (Some("[::1]:0".into()), Some("/d".into())), "{line}");
            assert_eq!((args.io, args.shards), (IoChoice::Posix, Some(2)), "{line}");
        }
    }

    #[test]
    fn every_driver_by_its_name() {
        for (name, io) in [
            ("auto", IoChoice::Auto),
            ("uring", IoChoice::Uring),
            ("posix", IoChoice::Posix),
            ("tokio-uring", IoChoice::TokioUring),
            ("glommio", IoChoice::Glommio),
        ] {
            assert_eq!(start(&format!("ringlog --io {name}")).io, io);
        }
    }

    #[test]
    fn refused_lines() {
        for line in [
            "ringlog --shards 0",
            "ringlog --io kqueue",
            "ringlog --transport quic",
            "ringlog a.properties b.properties",
            "ringlog dump-log",
        ] {
            assert!(Cli::try_parse_from(line.split_whitespace()).is_err(), "{line}");
        }
    }

    #[test]
    fn dump_log_takes_files() {
        let cli = Cli::try_parse_from(["ringlog", "dump-log", "a.log", "b.ridx"]).expect("it is documented");
        assert!(matches!(cli.into_command(), Command::DumpLog { files } if files.len() == 2));
    }

    #[test]
    fn verify_takes_folders_or_the_default_one() {
        for (line, expect) in [("ringlog verify", &["ringlog-data"][..]), ("ringlog verify /a /b", &["/a", "/b"])] {
            let cli = Cli::try_parse_from(line.split_whitespace()).expect("it is documented");
            let Command::Verify { dirs } = cli.into_command() else { panic!("{line}") };
            assert_eq!(dirs, expect.iter().map(PathBuf::from).collect::<Vec<_>>());
        }
    }
}
