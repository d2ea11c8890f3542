//! The configuration keys of a broker: all of Kafka 4.3.1's public ones and our own, each with type, rule, default and what
//! becomes of it here. Nothing is ignored in silence: a key has an effect, or a notice says why not, or the start is refused
//! because going on without it would remove protection or data.
//!
//! Reading them from a file is the `node` crate's business.

pub mod dynamic;
mod history;
mod keys;
mod why;

#[cfg(test)]
mod tests;

use super::value::{Kind, Refusal, Rule, check};

/// Whether and for whom a key can be changed at run time, as Kafka has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// With a restart only.
    Fixed,
    /// For one broker.
    Broker,
    /// For one broker or all.
    Cluster,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has an effect.
    Used,
    /// It is taken and has no effect; the text says why that is fine.
    Notice(&'static str),
    /// Any value but the default stops the start; the text says what would be lost.
    Refused(&'static str),
}

/// One broker configuration key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BrokerKey {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// What its value must satisfy.
    pub rule: Rule,
    /// Kafka's default; `None` where it has none.
    pub default: Option<&'static str>,
    /// Who may change it at run time.
    pub scope: Scope,
    /// What becomes of it.
    pub fate: Fate,
    /// What it is for.
    pub about: &'static str,
}

impl BrokerKey {
    /// What a reader is told about it: what it is for, and what becomes of it here where that is something else.
    pub fn doc(&self) -> String {
        let about = self.about;
        match self.fate {
            Fate::Used => about.to_owned(),
            Fate::Notice(why) => format!("{about} Without effect here: {why}."),
            Fate::Refused(why) => format!("{about} Only the default is taken: {why}."),
        }
    }
}

/// All keys, by family and name.
pub fn keys() -> impl Iterator<Item = &'static BrokerKey> {
    keys::FAMILIES.iter().copied().flatten()
}

/// The key of that name.
pub fn find(name: &str) -> Option<&'static BrokerKey> {
    keys().find(|key| key.name == name)
}

/// Keys that Kafka has and does not list: they are described only where somebody set them.
const UNLISTED: &[&str] = &[
    "allow.everyone.if.no.acl.found",
    "follower.replication.throttled.rate",
    "group.consumer.regex.refresh.interval.ms",
    "leader.replication.throttled.rate",
    "log.initial.task.delay.ms",
    "producer.id.expiration.check.interval.ms",
    "remote.log.metadata.topic.min.isr",
    "remote.log.metadata.topic.num.partitions",
    "remote.log.metadata.topic.replication.factor",
    "replica.alter.log.dirs.io.max.bytes.per.second",
    "super.users",
    "unclean.leader.election.interval.ms",
    "unstable.api.versions.enable",
    "unstable.feature.versions.enable",
];

/// The key whose values a name of one listener takes (`listener.name.NAME.KEY`, with a SASL mechanism before some keys); the key
/// itself for every other name.
pub fn base(name: &str) -> Option<&'static BrokerKey> {
    const OF_MECHANISMS: &[&str] = &[
        "connections.max.reauth.ms",
        "sasl.jaas.config",
        "sasl.login.callback.handler.class",
        "sasl.login.class",
        "sasl.server.callback.handler.class",
    ];
    let Some((_, rest)) = name.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.')) else {
        return find(name);
    };
    find(OF_MECHANISMS.iter().find(|key| rest.ends_with(**key)).unwrap_or(&rest))
}

/// Whether a key is described even where nobody set it.
pub fn is_listed(name: &str) -> bool {
    !UNLISTED.contains(&name)
}

/// The keys that supply the value of `name`, itself first: units, for the most part.
pub fn synonyms(name: &'static str) -> &'static [&'static str] {
    const OTHERS: &[&[&str]] = &[
        &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
        &["log.roll.ms", "log.roll.hours"],
        &["log.roll.jitter.ms", "log.roll.jitter.hours"],
        &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
    ];
    OTHERS.iter().find(|keys| keys[0] == name).copied().unwrap_or(&[])
}

/// What becomes of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has an effect, or says what is so anyway.
    Used,
    /// It has none, for this reason.
    Notice(&'static str),
    /// It is of Kafka before 4.0; the text says what replaced it.
    Historic(&'static str),
    /// The start stops, for this reason.
    Refused(&'static str),
    /// Nobody knows it.
    Unknown,
}

/// Judges one setting. An error: the value is not one that the key takes.
pub fn judge(name: &str, value: &str) -> Result<Standing, Refusal> {
    let Some(key) = find(name) else { return Ok(judge_others(name)) };
    let value = value.trim();
    let free = matches!(key.kind, Kind::String | Kind::List | Kind::Class | Kind::Password);
    if free && value.is_empty() && key.default.unwrap_or_default().is_empty() {
        return Ok(Standing::Used);
    }
    check(name, key.kind, key.rule, value)?;
    Ok(match key.fate {
        Fate::Used => Standing::Used,
        Fate::Notice(why) => Standing::Notice(why),
        Fate::Refused(_) if key.default.is_some_and(|default| value.eq_ignore_ascii_case(default)) => Standing::Used,
        Fate::Refused(why) => Standing::Refused(why),
    })
}

/// Names outside the table: families of names, and what Kafka had before 4.0.
fn judge_others(name: &str) -> Standing {
    let of_listener = name.strip_prefix("listener.name.").unwrap_or_default();
    if of_listener.contains("ssl.") || name.starts_with("ssl.") {
        Standing::Refused(why::NO_TLS)
    } else if of_listener.contains("sasl.") || name.starts_with("sasl.") {
        Standing::Refused(why::NO_SASL)
    } else if !of_listener.is_empty() {
        Standing::Notice("settings of a single listener have no effect yet")
    } else if name.starts_with("rsm.config.") || name.starts_with("rlmm.config.") {
        Standing::Notice(why::TIERED)
    } else if let Some(replaced) = history::find(name) {
        Standing::Historic(replaced)
    } else {
        Standing::Unknown
    }
}
