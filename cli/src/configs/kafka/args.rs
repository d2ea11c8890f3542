//! The options of `kafka-configs`: which entity is meant, and what shall change.

use super::super::grammar;
use super::super::resource::{Change, Kind, Resource};
use crate::client::read_file;
use crate::failure::{Failure, Outcome};
use crate::options::KafkaArgs;
use clap::Args;
use std::path::PathBuf;

/// The options of `kafka-configs`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = crate::exit::EXIT_CODES)]
pub struct ConfigsArgs {
    #[command(flatten)]
    pub(super) cluster: KafkaArgs,
    /// A controller's address; not supported, brokers answer everything.
    #[arg(long, value_name = "HOST:PORT,…", num_args = 0..=1, default_missing_value = "", hide = true)]
    pub(super) bootstrap_controller: Option<String>,
    /// Print settings.
    #[arg(long, help_heading = "Actions (exactly one)")]
    pub(super) describe: bool,
    /// Change settings.
    #[arg(long, help_heading = "Actions (exactly one)")]
    pub(super) alter: bool,
    /// With --describe: also settings that were not made on the entity itself.
    #[arg(long)]
    pub(super) all: bool,
    /// With --alter: settings to make; brackets around values with commas.
    #[arg(long, value_name = "NAME=VALUE,…", allow_hyphen_values = true)]
    pub(super) add_config: Option<String>,
    /// With --alter: a properties file of settings to make.
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub(super) add_config_file: Option<PathBuf>,
    /// With --alter: settings to take back.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', allow_hyphen_values = true)]
    pub(super) delete_config: Vec<String>,
    /// topics, brokers, broker-loggers, client-metrics or groups.
    #[arg(long, value_name = "TYPE", help_heading = "Entities", allow_hyphen_values = true)]
    pub(super) entity_type: Vec<String>,
    /// The name that goes with --entity-type.
    #[arg(long, value_name = "NAME", help_heading = "Entities", allow_hyphen_values = true)]
    pub(super) entity_name: Vec<String>,
    /// The defaults of all entities of the type; brokers have them.
    #[arg(long, help_heading = "Entities")]
    pub(super) entity_default: bool,
    /// A topic.
    #[arg(long, value_name = "NAME", help_heading = "Entities", allow_hyphen_values = true)]
    pub(super) topic: Option<String>,
    /// A broker.
    #[arg(long, value_name = "ID", help_heading = "Entities", allow_hyphen_values = true)]
    pub(super) broker: Option<String>,
    /// The defaults of all brokers.
    #[arg(long, help_heading = "Entities")]
    pub(super) broker_defaults: bool,
    /// A broker's loggers.
    #[arg(long, value_name = "ID", help_heading = "Entities", allow_hyphen_values = true)]
    pub(super) broker_logger: Option<String>,
    /// A subscription of client metrics.
    #[arg(long, value_name = "NAME", help_heading = "Entities", allow_hyphen_values = true)]
    pub(super) client_metrics: Option<String>,
    /// A group.
    #[arg(long, value_name = "NAME", help_heading = "Entities", allow_hyphen_values = true)]
    pub(super) group: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub(super) client: Option<String>,
    #[arg(long, hide = true)]
    pub(super) client_defaults: bool,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub(super) user: Option<String>,
    #[arg(long, hide = true)]
    pub(super) user_defaults: bool,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub(super) ip: Option<String>,
    #[arg(long, hide = true)]
    pub(super) ip_defaults: bool,
    /// Accepted for old scripts; nothing asks.
    #[arg(long, hide = true)]
    pub(super) force: bool,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub(super) zk_tls_config_file: Option<String>,
}

/// What the options name: a kind, and one of it or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) kind: Kind,
    /// Empty for the defaults.
    pub(super) name: Option<String>,
}

impl ConfigsArgs {
    /// The one entity that is meant. Users, clients and ips have quotas and credentials, which are another thing.
    pub(super) fn entity(&self) -> Result<Entity, Failure> {
        let short = self.short_forms();
        let is_long = !self.entity_type.is_empty() || !self.entity_name.is_empty() || self.entity_default;
        if is_long && !short.is_empty() {
            return Err(Failure::usage(
                "--entity-type, --entity-name and --entity-default do not go with --topic, --broker and the like",
            ));
        }
        let mut named = short.into_iter();
        match (named.next(), named.next()) {
            (None, _) => self.long_form(),
            (Some((kind, name)), None) => Ok(Entity { kind: kind_named(kind)?, name: Some(name) }),
            (Some((first, _)), Some((second, _))) if first == second => {
                Err(Failure::usage(format!("{first} are named twice")))
            }
            (Some((first, _)), Some((second, _))) => Err(two_kinds(first, second)),
        }
    }

    fn short_forms(&self) -> Vec<(&'static str, String)> {
        let defaults = |given: bool| given.then(String::new);
        let given = [
            ("topics", self.topic.clone()),
            ("brokers", self.broker.clone()),
            ("brokers", defaults(self.broker_defaults)),
            ("broker-loggers", self.broker_logger.clone()),
            ("client-metrics", self.client_metrics.clone()),
            ("groups", self.group.clone()),
            ("clients", self.client.clone()),
            ("clients", defaults(self.client_defaults)),
            ("users", self.user.clone()),
            ("users", defaults(self.user_defaults)),
            ("ips", self.ip.clone()),
            ("ips", defaults(self.ip_defaults)),
        ];
        given.into_iter().filter_map(|(kind, name)| Some((kind, name?))).collect()
    }

    fn long_form(&self) -> Result<Entity, Failure> {
        let kind = match self.entity_type.as_slice() {
            [] => {
                return Err(
                    Failure::usage("an entity is missing").hint("add --topic NAME, --broker ID, --group NAME, …")
                );
            }
            [kind] => kind_named(kind)?,
            [first, second, ..] => return Err(two_kinds(first, second)),
        };
        let name = match (self.entity_name.as_slice(), self.entity_default) {
            ([], false) => None,
            ([], true) => Some(String::new()),
            ([name], false) => Some(name.clone()),
            _ => return Err(Failure::usage("one of --entity-name and --entity-default goes with an --entity-type")),
        };
        Ok(Entity { kind, name })
    }

    pub(super) fn check_describe(&self, entity: &Entity) -> Outcome {
        if self.add_config.is_some() || self.add_config_file.is_some() || !self.delete_config.is_empty() {
            return Err(Failure::usage("--add-config, --add-config-file and --delete-config go with --alter"));
        }
        check_name(entity)?;
        let is_named = entity.name.as_ref().is_some_and(|name| !name.is_empty());
        if entity.kind == Kind::BrokerLoggers && !is_named {
            return Err(Failure::usage("--describe of broker-loggers needs a broker's id"));
        }
        if entity.name.as_deref() == Some("") && entity.kind != Kind::Brokers {
            return Err(Failure::usage(format!(
                "--entity-default does not go with --describe of {}",
                entity.kind.plural()
            )));
        }
        Ok(())
    }

    pub(super) fn changes(&self, entity: Entity) -> Result<(Resource, Vec<Change>), Failure> {
        if self.all {
            return Err(Failure::usage("--all goes with --describe"));
        }
        check_name(&entity)?;
        let name = entity.name.filter(|name| !name.is_empty() || entity.kind == Kind::Brokers);
        let missing = || Failure::usage(format!("--alter of {} needs a name", entity.kind.plural()));
        let resource = Resource::new(entity.kind, name.ok_or_else(missing)?);
        let add = match (&self.add_config, &self.add_config_file) {
            (Some(_), Some(_)) => return Err(Failure::usage("--add-config and --add-config-file do not go together")),
            (Some(list), None) => {
                grammar::parse(list).map_err(|error| Failure::usage(format!("--add-config: {error}")))?
            }
            (None, Some(path)) => from_file(path)?,
            (None, None) => Vec::new(),
        };
        let set = add.into_iter().map(|(name, value)| Change::Set(name, value));
        let delete = self.delete_config.iter().map(|name| Change::Delete(name.trim().to_owned()));
        let changes: Vec<Change> = set.chain(delete).collect();
        if changes.is_empty() {
            return Err(Failure::usage("--alter needs --add-config, --add-config-file or --delete-config"));
        }
        Ok((resource, changes))
    }
}

fn kind_named(name: &str) -> Result<Kind, Failure> {
    let kinds = [Kind::Topics, Kind::Brokers, Kind::BrokerLoggers, Kind::ClientMetrics, Kind::Groups];
    if let Some(kind) = kinds.into_iter().find(|kind| kind.plural() == name) {
        return Ok(kind);
    }
    if matches!(name, "users" | "clients" | "ips") {
        let words = format!("{name}: quotas and SCRAM credentials are not supported (UNSUPPORTED_VERSION)");
        return Err(
            Failure::failed(words).hint("topics, brokers, broker-loggers, client-metrics and groups have settings")
        );
    }
    let known = kinds.map(Kind::plural);
    Err(Failure::usage(format!("--entity-type {name}: expected one of {}", known.join(", "))).did_you_mean(name, known))
}

fn two_kinds(first: &str, second: &str) -> Failure {
    match kind_named(first).and_then(|_| kind_named(second)) {
        // Users and clients may stand together in Kafka; they are refused for what they are.
        Err(failure) => failure,
        Ok(_) => Failure::usage(format!("{first} and {second}: one kind of entity at a time")),
    }
}

fn check_name(entity: &Entity) -> Outcome {
    let is_broker = matches!(entity.kind, Kind::Brokers | Kind::BrokerLoggers);
    match entity.name.as_deref() {
        Some(name) if is_broker && !name.is_empty() && name.parse::<i32>().is_err() => {
            Err(Failure::usage(format!("{name} is no broker's id; expected an integer")))
        }
        _ => Ok(()),
    }
}

fn from_file(path: &std::path::Path) -> Result<Vec<(String, String)>, Failure> {
    let named = |entry: crate::properties::Entry| Ok((grammar::checked_name(&entry.key)?, entry.value));
    let pairs: Result<Vec<_>, grammar::GrammarError> = read_file(path)?.into_iter().map(named).collect();
    let pairs = pairs.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Ok(grammar::last_of_each(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ConfigsArgs,
    }

    fn args(line: &str) -> ConfigsArgs {
        Line::try_parse_from(["kafka-configs"].into_iter().chain(line.split_whitespace())).expect(line).args
    }

    #[test]
    fn entities_in_either_form() {
        for (line, kind, name) in [
            ("--topic a", Kind::Topics, Some("a")),
            ("--entity-type topics --entity-name a", Kind::Topics, Some("a")),
            ("--entity-type topics", Kind::Topics, None),
            ("--broker 1", Kind::Brokers, Some("1")),
            ("--broker-defaults", Kind::Brokers, Some("")),
            ("--entity-type brokers --entity-default", Kind::Brokers, Some("")),
            ("--broker-logger 1", Kind::BrokerLoggers, Some("1")),
            ("--client-metrics m", Kind::ClientMetrics, Some("m")),
            ("--group g", Kind::Groups, Some("g")),
        ] {
            let expect = Entity { kind, name: name.map(str::to_owned) };
            assert_eq!(args(line).entity().expect(line), expect, "{line}");
        }
    }

    #[test]
    fn entities_that_make_no_sense() {
        for line in [
            "",
            "--entity-type topic",
            "--topic a --entity-type topics",
            "--topic a --broker 1",
            "--entity-type topics --entity-type brokers",
            "--entity-type topics --entity-name a --entity-name b",
        ] {
            assert_eq!(args(line).entity().expect_err(line).exit, crate::exit::Exit::Usage, "{line}");
        }
    }

    #[test]
    fn quotas_are_refused_for_what_they_are() {
        for line in
            ["--user u", "--entity-type users --entity-type clients", "--ip-defaults", "--client-defaults --user u"]
        {
            let failure = args(line).entity().expect_err(line);
            assert!(
                failure.message.contains("quotas and SCRAM credentials are not supported"),
                "{line}: {}",
                failure.message
            );
        }
    }

    #[test]
    fn alterations_that_make_no_sense() {
        for line in [
            "--topic a",
            "--topic a --add-config x=1 --add-config-file f",
            "--entity-type topics --add-config x=1",
            "--broker x --add-config x=1",
            "--topic a --all --add-config x=1",
            "--topic a --add-config x",
        ] {
            let args = args(line);
            let failure = args.changes(args.entity().expect(line)).expect_err(line);
            assert_eq!(failure.exit, crate::exit::Exit::Usage, "{line}");
        }
    }

    #[test]
    fn what_is_set_and_what_is_taken_back() {
        let args = args("--topic a --add-config x=[1,2],y=3 --delete-config p,q");
        let (resource, changes) = args.changes(args.entity().unwrap()).unwrap();
        assert_eq!(resource, Resource::new(Kind::Topics, "a"));
        let set = |name: &str, value: &str| Change::Set(name.to_owned(), value.to_owned());
        let delete = |name: &str| Change::Delete(name.to_owned());
        assert_eq!(changes, [set("x", "1,2"), set("y", "3"), delete("p"), delete("q")]);
    }
}
