//! Options that several commands have: where the cluster is, and how answers are printed.

use crate::client::{Client, Settings, address, read_file};
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::progress::Signs;
use crate::properties::Entry;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// The variable that stands in for `--bootstrap-server`.
pub const BOOTSTRAP_VARIABLE: &str = "KAFKA_BOOTSTRAP_SERVERS";

/// Where the cluster is, for our own commands.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Addresses to connect to first [default: $KAFKA_BOOTSTRAP_SERVERS, else 127.0.0.1:9092].
    #[arg(short = 'b', long, value_name = "HOST:PORT,…")]
    pub bootstrap_server: Option<String>,
    /// A file of client properties (bootstrap.servers, client.id, request.timeout.ms, …).
    #[arg(long, value_name = "FILE")]
    pub command_config: Option<PathBuf>,
    /// Milliseconds to find a broker in, all addresses together [default: 3000].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub connect_timeout: Option<u64>,
}

/// Where the cluster is, for the tools with Kafka's names.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct KafkaArgs {
    /// Addresses to connect to first; required unless $KAFKA_BOOTSTRAP_SERVERS names them.
    #[arg(long, value_name = "HOST:PORT,…", allow_hyphen_values = true)]
    pub bootstrap_server: Option<String>,
    /// A file of client properties (client.id, request.timeout.ms, …).
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub command_config: Option<PathBuf>,
    /// Milliseconds to find a broker in, all addresses together [default: 3000].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub connect_timeout: Option<u64>,
    /// What Kafka's tools took before 3.0; refused with what to write in its place.
    #[arg(long, value_name = "HOST:PORT,…", hide = true, allow_hyphen_values = true)]
    pub zookeeper: Option<String>,
    /// Print which Kafka the tool behaves like.
    #[arg(long)]
    pub version: bool,
}

/// How a read is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON document for programs; `schema` names its shape and version.
    Json,
}

/// Prints one JSON document, a field a line.
pub fn print_json(io: &mut Io<'_>, document: &serde_json::Value) -> Outcome {
    Ok(writeln!(io.out, "{document:#}")?)
}

impl ClusterArgs {
    /// Connects, telling the user about settings without effect.
    pub fn connect(&self, io: &mut Io<'_>) -> Result<Client, Failure> {
        let (settings, _) = self.settings(io, &[])?;
        Ok(Client::connect(settings)?)
    }

    /// What to connect with, and the entries of the properties file whose keys are in `also_known`.
    pub fn settings(&self, io: &mut Io<'_>, also_known: &[&str]) -> Result<(Settings, Vec<Entry>), Failure> {
        let signs = if io.watched { Signs::Terminal } else { Signs::Lines };
        let mut settings = Settings { signs, ..Settings::default() };
        if let Ok(list) = std::env::var(BOOTSTRAP_VARIABLE) {
            settings.bootstrap =
                address::parse_list(&list).map_err(|e| Failure::usage(format!("${BOOTSTRAP_VARIABLE}: {e}")))?;
        }
        let mut rest = Vec::new();
        if let Some(path) = &self.command_config {
            let (left, notices) = settings.apply(read_file(path)?, also_known)?;
            notices.iter().for_each(|notice| io.notice(format!("{}: {notice}", path.display())));
            rest = left;
        }
        if let Some(list) = &self.bootstrap_server {
            let wrong = |error| Failure::usage(format!("--bootstrap-server: {error}"));
            settings.bootstrap = address::parse_list(list).map_err(wrong)?;
        }
        if let Some(ms) = self.connect_timeout {
            settings.connect_timeout = Duration::from_millis(ms);
        }
        Ok((settings, rest))
    }
}

impl KafkaArgs {
    /// The same, with an address that an older spelling of `--bootstrap-server` gave.
    #[must_use]
    pub fn or_older(&self, option: &str, given: Option<&str>, io: &mut Io<'_>) -> KafkaArgs {
        let Some(given) = given else { return self.clone() };
        io.notice(format!("{option} is now called --bootstrap-server"));
        let bootstrap_server = self.bootstrap_server.clone().or_else(|| Some(given.to_owned()));
        KafkaArgs { bootstrap_server, ..self.clone() }
    }

    /// Connects, telling the user about settings without effect.
    pub fn connect(&self, io: &mut Io<'_>) -> Result<Client, Failure> {
        let (settings, _) = self.settings(io, &[])?;
        Ok(Client::connect(settings)?)
    }

    /// What to connect with; as [`ClusterArgs::settings`], but an address is demanded, as Kafka's tools do. An address in the
    /// properties file does not count there either.
    pub fn settings(&self, io: &mut Io<'_>, also_known: &[&str]) -> Result<(Settings, Vec<Entry>), Failure> {
        self.refuse_zookeeper()?;
        if self.bootstrap_server.is_none() && std::env::var_os(BOOTSTRAP_VARIABLE).is_none() {
            return Err(Failure::usage("--bootstrap-server is missing").hint("add --bootstrap-server HOST:PORT"));
        }
        self.as_ours().settings(io, also_known)
    }

    fn refuse_zookeeper(&self) -> Result<(), Failure> {
        match &self.zookeeper {
            None => Ok(()),
            Some(_) => {
                Err(Failure::usage("--zookeeper: there is no ZooKeeper; Kafka's tools dropped the option in 3.0")
                    .hint("use --bootstrap-server HOST:PORT with the address of a broker"))
            }
        }
    }

    fn as_ours(&self) -> ClusterArgs {
        ClusterArgs {
            bootstrap_server: self.bootstrap_server.clone(),
            command_config: self.command_config.clone(),
            connect_timeout: self.connect_timeout,
        }
    }
}
