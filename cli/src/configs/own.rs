//! `ringlog configs`: describe, set, unset.

use super::kafka::change;
use super::resource::{self, Change, Entry, Kind, Resource, Strange};
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::options::{ClusterArgs, Output, print_json};
use crate::table::Table;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

/// `ringlog configs`.
#[derive(Clone, Debug, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct ConfigsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Print settings: those that were made on the entity, or all.
    Describe {
        #[command(flatten)]
        cluster: ClusterArgs,
        #[command(flatten)]
        entity: EntityArgs,
        /// Also settings that were not made on the entity itself.
        #[arg(long)]
        all: bool,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Make settings.
    Set {
        #[command(flatten)]
        cluster: ClusterArgs,
        #[command(flatten)]
        entity: EntityArgs,
        /// What to set.
        #[arg(value_name = "NAME=VALUE", required = true)]
        settings: Vec<String>,
        /// Only ask the broker whether it would take them.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take settings back: the defaults count again.
    Unset {
        #[command(flatten)]
        cluster: ClusterArgs,
        #[command(flatten)]
        entity: EntityArgs,
        /// What to take back.
        #[arg(value_name = "NAME", required = true)]
        settings: Vec<String>,
        /// Only ask the broker whether it would.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Clone, Debug, Args)]
struct EntityArgs {
    /// What has the settings.
    #[arg(value_enum)]
    kind: KindArg,
    /// Its name or id; `default` for what counts on all brokers.
    name: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindArg {
    Topic,
    Broker,
    BrokerLogger,
    ClientMetrics,
    Group,
}

impl EntityArgs {
    fn resource(&self) -> Result<Resource, Failure> {
        let kind = match self.kind {
            KindArg::Topic => Kind::Topics,
            KindArg::Broker if self.name == "default" => return Ok(Resource::new(Kind::Brokers, "")),
            KindArg::Broker => Kind::Brokers,
            KindArg::BrokerLogger => Kind::BrokerLoggers,
            KindArg::ClientMetrics => Kind::ClientMetrics,
            KindArg::Group => Kind::Groups,
        };
        if matches!(kind, Kind::Brokers | Kind::BrokerLoggers) && self.name.parse::<i32>().is_err() {
            return Err(Failure::usage(format!(
                "{} is no broker's id; expected an integer, or `broker default`",
                self.name
            )));
        }
        Ok(Resource::new(kind, self.name.clone()))
    }
}

/// Does what was asked.
pub fn run(args: &ConfigsArgs, io: &mut Io<'_>) -> Outcome {
    match &args.action {
        Action::Describe { cluster, entity, all, output } => {
            let resource = entity.resource()?;
            describe(&mut cluster.connect(io)?, &resource, *all, *output, io)
        }
        Action::Set { cluster, entity, settings, dry_run } => {
            let changes = settings.iter().map(|text| set(text)).collect::<Result<Vec<_>, _>>()?;
            apply(cluster, &entity.resource()?, &changes, *dry_run, io)
        }
        Action::Unset { cluster, entity, settings, dry_run } => {
            let changes: Vec<Change> = settings.iter().map(|name| Change::Delete(name.clone())).collect();
            apply(cluster, &entity.resource()?, &changes, *dry_run, io)
        }
    }
}

fn set(text: &str) -> Result<Change, Failure> {
    let (name, value) = text.split_once('=').ok_or_else(|| Failure::usage(format!("{text}: expected NAME=VALUE")))?;
    Ok(Change::Set(name.trim().to_owned(), value.trim().to_owned()))
}

fn describe(client: &mut Client, resource: &Resource, all: bool, output: Output, io: &mut Io<'_>) -> Outcome {
    // Groups may have settings before they exist, and so may subscriptions of metrics.
    let must_exist = matches!(resource.kind, Kind::Topics | Kind::Brokers | Kind::BrokerLoggers);
    if must_exist && !resource.exists(client)? {
        let known = resource::list(client, resource.kind)?;
        let failure = Failure::not_found(format!("{} does not exist", resource.shown()));
        return Err(failure.did_you_mean(&resource.name, known.iter().map(String::as_str)));
    }
    let entries = resource.read(client, all)?;
    if output == Output::Json {
        let configs: Vec<Value> = entries.iter().map(document).collect();
        let name = &resource.name;
        return print_json(
            io,
            &json!({ "schema": "ringlog.configs/v1", "type": resource.kind.singular(), "name": name, "configs": configs }),
        );
    }
    let mut table = Table::new(&["NAME", "VALUE", "SOURCE"]);
    for entry in &entries {
        table.row(vec![entry.name.clone(), shown(entry), entry.source.name().to_owned()]);
    }
    Ok(table.print(io.out)?)
}

fn shown(entry: &Entry) -> String {
    match &entry.value {
        Some(value) => value.clone(),
        None if entry.is_sensitive => "(secret)".to_owned(),
        None => "-".to_owned(),
    }
}

fn document(entry: &Entry) -> Value {
    let synonyms = entry
        .synonyms
        .iter()
        .map(|(source, name, value)| json!({ "source": source.name(), "name": name, "value": value }));
    json!({
        "name": entry.name, "value": entry.value, "source": entry.source.name(), "sensitive": entry.is_sensitive,
        "read_only": entry.is_read_only, "synonyms": synonyms.collect::<Vec<_>>(),
    })
}

fn apply(cluster: &ClusterArgs, resource: &Resource, changes: &[Change], dry_run: bool, io: &mut Io<'_>) -> Outcome {
    let mut client = cluster.connect(io)?;
    if let Some(Strange { name, nearest }) = resource.strange(&mut client, changes)?.into_iter().next() {
        let failure = Failure::not_found(format!("brokers have no setting `{name}`"));
        return Err(failure.did_you_mean(&name, nearest.as_deref()).hint("kafka-configs stores it all the same"));
    }
    change(&mut client, resource, changes, dry_run)?;
    let verb = if dry_run { "could change" } else { "changed" };
    Ok(writeln!(io.out, "{} of {} {verb}.", count(changes.len()), resource.shown())?)
}

fn count(settings: usize) -> String {
    if settings == 1 { "1 setting".to_owned() } else { format!("{settings} settings") }
}
