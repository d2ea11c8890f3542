//! `kafka-configs`: Kafka 4.3.1's options and standard output.
//!
//! Deviations, all of them outside standard output: `--help` ends with 0, a wrong command line with 2, something that is not
//! there with 5; no stack traces. Quotas and SCRAM credentials (users, clients, ips) are refused.

mod args;

pub use args::ConfigsArgs;

use super::resource::{self, Change, Entry, Kind, Resource, Strange};
use crate::client::{Client, Error};
use crate::failure::{Failure, Outcome};
use crate::io::Io;
use crate::java;
use args::Entity;
use protocol::ErrorCode;

/// Runs the tool.
pub fn run(args: &ConfigsArgs, io: &mut Io<'_>) -> Outcome {
    if args.cluster.version {
        return crate::applet::print_version(io);
    }
    if args.bootstrap_controller.is_some() {
        return Err(Failure::usage("--bootstrap-controller is not supported")
            .hint("use --bootstrap-server: brokers answer everything"));
    }
    if args.describe == args.alter {
        return Err(Failure::usage("exactly one of --describe and --alter is needed"));
    }
    let entity = args.entity()?;
    if args.describe {
        args.check_describe(&entity)?;
        let mut client = args.cluster.connect(io)?;
        return describe(&mut client, &entity, args.all, io);
    }
    let (resource, changes) = args.changes(entity)?;
    let mut client = args.cluster.connect(io)?;
    alter(&mut client, &resource, &changes, io)
}

fn describe(client: &mut Client, entity: &Entity, all: bool, io: &mut Io<'_>) -> Outcome {
    let names = match &entity.name {
        Some(name) => {
            let resource = Resource::new(entity.kind, name.clone());
            if !all && !resource.exists(client)? {
                return absent(client, &resource, io);
            }
            vec![name.clone()]
        }
        None => every(client, entity.kind)?,
    };
    for name in names {
        let resource = Resource::new(entity.kind, name);
        writeln!(io.out, "{}", title(&resource, all))?;
        for entry in resource.read(client, all)? {
            writeln!(io.out, "{}", line(&entry))?;
        }
    }
    Ok(())
}

/// Every resource of a kind, in the order in which Kafka's tool shows them; the defaults of brokers last.
fn every(client: &mut Client, kind: Kind) -> Result<Vec<String>, Error> {
    let mut names = resource::list(client, kind)?;
    match kind {
        Kind::Topics => java::hash_order(&mut names, 16, |name| java::string_hash(name)),
        Kind::Groups => java::set_order(&mut names, |name| java::string_hash(name)),
        Kind::Brokers => names.push(String::new()),
        Kind::BrokerLoggers | Kind::ClientMetrics => {}
    }
    Ok(names)
}

/// Kafka's tool says so on standard output and ends with 0; the words stay, the code tells the truth.
fn absent(client: &mut Client, resource: &Resource, io: &mut Io<'_>) -> Outcome {
    writeln!(
        io.out,
        "The {} '{}' doesn't exist and doesn't have dynamic config.",
        resource.kind.singular(),
        resource.name
    )?;
    let known = resource::list(client, resource.kind)?;
    let failure = Failure::not_found("").did_you_mean(&resource.name, known.iter().map(String::as_str));
    Err(failure)
}

fn title(resource: &Resource, all: bool) -> String {
    match resource.name.as_str() {
        "" => format!("Default configs for {} in the cluster are:", resource.kind.plural()),
        name => format!("{} configs for {} {name} are:", if all { "All" } else { "Dynamic" }, resource.kind.singular()),
    }
}

fn line(entry: &Entry) -> String {
    let synonyms = entry
        .synonyms
        .iter()
        .map(|(source, name, value)| format!("{}:{name}={}", source.name(), value.as_deref().unwrap_or("null")));
    format!(
        "  {}={} sensitive={} synonyms={{{}}}",
        entry.name,
        entry.value.as_deref().unwrap_or("null"),
        entry.is_sensitive,
        synonyms.collect::<Vec<_>>().join(", ")
    )
}

fn alter(client: &mut Client, resource: &Resource, changes: &[Change], io: &mut Io<'_>) -> Outcome {
    if resource.kind == Kind::BrokerLoggers {
        check_loggers(client, resource, changes)?;
    }
    let strange = resource.strange(client, changes)?;
    change(client, resource, changes, false)?;
    for Strange { name, nearest } in strange {
        let nearest = nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"));
        io.notice(format_args!("brokers have no setting `{name}`: it is stored, and nobody acts on it{nearest}"));
    }
    match resource.name.as_str() {
        "" => writeln!(io.out, "Completed updating default config for {} in the cluster.", resource.kind.plural())?,
        name => writeln!(io.out, "Completed updating config for {} {name}.", resource.kind.singular())?,
    }
    Ok(())
}

/// A logger that does not exist is refused before anything is changed.
fn check_loggers(client: &mut Client, resource: &Resource, changes: &[Change]) -> Outcome {
    let known: Vec<String> = resource.read(client, true)?.into_iter().map(|entry| entry.name).collect();
    let unknown = changes.iter().map(Change::name).find(|name| !known.iter().any(|logger| logger == name));
    match unknown {
        None => Ok(()),
        Some(name) => {
            let words = format!("broker {} has no logger `{name}`", resource.name);
            Err(Failure::not_found(words).did_you_mean(name, known.iter().map(String::as_str)))
        }
    }
}

/// Changes settings; a refused name gets the nearest one that the broker knows.
pub(in crate::configs) fn change(
    client: &mut Client,
    resource: &Resource,
    changes: &[Change],
    validate_only: bool,
) -> Outcome {
    let Err(error) = resource.change(client, changes, validate_only) else { return Ok(()) };
    let is_config = error.code() == Some(ErrorCode::InvalidConfig);
    let is_missing = error.code() == Some(ErrorCode::UnknownTopicOrPartition);
    let failure = Failure::from(error);
    // What may help is asked for on the same connection; if that fails too, the first error is the one to tell.
    if is_missing {
        let known = resource::list(client, resource.kind).unwrap_or_default();
        return Err(failure.did_you_mean(&resource.name, known.iter().map(String::as_str)));
    }
    if !is_config {
        return Err(failure);
    }
    let known = resource.read(client, true).unwrap_or_default();
    let is_unknown = |name: &&str| !known.iter().any(|entry| entry.name == **name);
    match changes.iter().map(Change::name).find(is_unknown) {
        Some(name) => Err(failure.did_you_mean(name, known.iter().map(|entry| entry.name.as_str()))),
        None => Err(failure),
    }
}
