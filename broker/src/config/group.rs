//! The configuration keys of a group: those of the consumer (KIP-848), share (KIP-932) and streams (KIP-1071) protocols. Each has
//! broker keys that supply its value and others that bound it, so that one group cannot ask for what the operator forbids.

use super::layers::{Layers, Said, Source, Values};
use super::value::{Kind, Refusal, Rule, check};

/// A broker key that bounds a group's value, and its default.
pub type Bound = Option<(&'static str, i64)>;

/// One group configuration key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupKey {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// What its value must satisfy.
    pub rule: Rule,
    /// The value when nobody says anything.
    pub default: &'static str,
    /// The broker key that supplies the value where the group says nothing, if there is one.
    pub synonym: Option<&'static str>,
    /// The broker key with the least value, and its default.
    pub least: Bound,
    /// The broker key with the largest value, and its default.
    pub most: Bound,
    /// What it means.
    pub doc: &'static str,
}

impl GroupKey {
    /// The value that counts for a group, and where it came from.
    pub fn value<'a>(&self, layers: Layers<'a>, overrides: Option<&'a Values>) -> Said<'a> {
        if let Some(value) = overrides.and_then(|values| values.get(self.name)) {
            return (value.into(), Source::Group);
        }
        let said = layers.said(self.synonym.into_iter()).next();
        said.map_or((self.default.into(), Source::Default), |(_, value, source)| (value.into(), source))
    }
}

/// The key of that name.
pub fn find(name: &str) -> Option<&'static GroupKey> {
    KEYS.iter().find(|key| key.name == name)
}

/// Checks all values of one group.
pub fn validate(layers: Layers<'_>, values: &Values) -> Result<(), Refusal> {
    for (name, value) in values {
        let Some(key) = find(name) else {
            let message = format!("Unknown group config name: {name}");
            return Err(Refusal::saying(name, value, message, "this is not a configuration of groups"));
        };
        check(name, key.kind, key.rule, value)?;
        check_reset(key, value)?;
        check_bounds(layers, key, value)?;
    }
    for (session, heartbeat) in SESSIONS {
        check_session(layers, values, session, heartbeat)?;
    }
    Ok(())
}

fn check_bounds(layers: Layers<'_>, key: &GroupKey, value: &str) -> Result<(), Refusal> {
    let Ok(number) = value.trim().parse::<i64>() else { return Ok(()) };
    let bound = |(name, default): (&'static str, i64)| {
        let said = layers.said([name].into_iter()).next();
        (name, said.and_then(|(_, value, _)| value.trim().parse().ok()).unwrap_or(default))
    };
    let refused = |than: &str, name: &str, bound: i64| {
        let message = format!("{} must be {than} than or equal to {name}", key.name);
        Err(Refusal::saying(key.name, value, message, format!("the broker allows {than} than or equal to {bound}")))
    };
    match (key.least.map(bound), key.most.map(bound)) {
        (Some((name, least)), _) if number < least => refused("greater", name, least),
        (_, Some((name, most))) if number > most => refused("less", name, most),
        _ => Ok(()),
    }
}

/// A member that is expected to heartbeat more rarely than its session lasts would be thrown out all the time.
const SESSIONS: [(&str, &str); 3] = [
    ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"),
    ("share.session.timeout.ms", "share.heartbeat.interval.ms"),
    ("streams.session.timeout.ms", "streams.heartbeat.interval.ms"),
];

fn check_session(layers: Layers<'_>, values: &Values, session: &str, heartbeat: &str) -> Result<(), Refusal> {
    if !values.contains_key(session) && !values.contains_key(heartbeat) {
        return Ok(());
    }
    let number = |name: &str| {
        let (value, _) = find(name)?.value(layers, Some(values));
        value.trim().parse::<i64>().ok()
    };
    match (number(session), number(heartbeat)) {
        (Some(timeout), Some(interval)) if timeout <= interval => {
            let message = format!("{session} must be greater than {heartbeat}");
            Err(Refusal::saying(session, &timeout.to_string(), message, format!("more than {interval} is allowed")))
        }
        _ => Ok(()),
    }
}

/// `share.auto.offset.reset` is a word or `by_duration:` and an ISO 8601 duration.
fn check_reset(key: &GroupKey, value: &str) -> Result<(), Refusal> {
    if key.name != RESET {
        return Ok(());
    }
    let value = value.trim();
    let known = ["earliest", "latest"].contains(&value) || value.strip_prefix("by_duration:").is_some_and(is_duration);
    if known {
        return Ok(());
    }
    let message = format!(
        "Invalid value {value} for configuration {RESET}: Invalid value `{value}` for configuration {RESET}. The value must be \
         either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
    );
    Err(Refusal::saying(RESET, value, message, "earliest, latest or by_duration:<PnDTnHnMn.nS> is allowed"))
}

const RESET: &str = "share.auto.offset.reset";

/// Whether the text is an ISO 8601 duration of days, hours, minutes and seconds that is not negative.
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['P', 'p']) else { return false };
    let (days, time) = match rest.split_once(['T', 't']) {
        Some((days, time)) => (days, Some(time)),
        None => (rest, None),
    };
    let days_fit = days.is_empty() || are_parts(days, &['D']);
    let time_fits = time.is_none_or(|time| !time.is_empty() && are_parts(time, &['H', 'M', 'S']));
    days_fit && time_fits && !(days.is_empty() && time.is_none())
}

/// Numbers, each before one of `units`, in their order. Only seconds have a fraction.
fn are_parts(mut text: &str, mut units: &[char]) -> bool {
    while !text.is_empty() {
        let Some(at) = text.find(|letter: char| letter.is_ascii_alphabetic()) else { return false };
        let (number, unit) = (&text[..at], text.as_bytes()[at].to_ascii_uppercase() as char);
        let Some(place) = units.iter().position(|known| *known == unit) else { return false };
        units = &units[place + 1..];
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = match number.split_once('.') {
            Some((whole, fraction)) => unit == 'S' && digits(whole) && digits(fraction),
            None => digits(number),
        };
        if !fits {
            return false;
        }
        text = &text[at + 1..];
    }
    true
}

const fn number(
    name: &'static str,
    least: i64,
    default: &'static str,
    synonym: &'static str,
    bounds: (Bound, Bound),
    doc: &'static str,
) -> GroupKey {
    GroupKey {
        name,
        kind: Kind::Int,
        rule: Rule::Min(least),
        default,
        synonym: Some(synonym),
        least: bounds.0,
        most: bounds.1,
        doc,
    }
}

const fn own(name: &'static str, kind: Kind, rule: Rule, default: &'static str, doc: &'static str) -> GroupKey {
    GroupKey { name, kind, rule, default, synonym: None, least: None, most: None, doc }
}

/// All keys, sorted by name: Kafka 4.3.1's `GroupConfig`.
pub const KEYS: &[GroupKey] = &[
    number(
        "consumer.assignment.interval.ms",
        0,
        "1000",
        "group.consumer.assignment.interval.ms",
        (
            Some(("group.consumer.min.assignment.interval.ms", 0)),
            Some(("group.consumer.max.assignment.interval.ms", 15_000)),
        ),
        "Least time between two computations of the group's assignment.",
    ),
    number(
        "consumer.heartbeat.interval.ms",
        1,
        "5000",
        "group.consumer.heartbeat.interval.ms",
        (
            Some(("group.consumer.min.heartbeat.interval.ms", 5_000)),
            Some(("group.consumer.max.heartbeat.interval.ms", 15_000)),
        ),
        "How often members of the group are told to send a heartbeat.",
    ),
    number(
        "consumer.session.timeout.ms",
        1,
        "45000",
        "group.consumer.session.timeout.ms",
        (
            Some(("group.consumer.min.session.timeout.ms", 45_000)),
            Some(("group.consumer.max.session.timeout.ms", 60_000)),
        ),
        "A member that is silent for so long is taken out of the group.",
    ),
    number(
        "share.assignment.interval.ms",
        0,
        "1000",
        "group.share.assignment.interval.ms",
        (Some(("group.share.min.assignment.interval.ms", 0)), Some(("group.share.max.assignment.interval.ms", 15_000))),
        "Least time between two computations of the share group's assignment.",
    ),
    own(
        RESET,
        Kind::String,
        Rule::Any,
        "latest",
        "Where a share group begins in a partition that it has no place in yet: \"earliest\", \"latest\", or \
         \"by_duration:\" and an ISO 8601 duration before now.",
    ),
    number(
        "share.delivery.count.limit",
        2,
        "5",
        "group.share.delivery.count.limit",
        (Some(("group.share.min.delivery.count.limit", 2)), Some(("group.share.max.delivery.count.limit", 10))),
        "How often a record is handed to the share group before it is given up.",
    ),
    number(
        "share.heartbeat.interval.ms",
        1,
        "5000",
        "group.share.heartbeat.interval.ms",
        (
            Some(("group.share.min.heartbeat.interval.ms", 5_000)),
            Some(("group.share.max.heartbeat.interval.ms", 15_000)),
        ),
        "How often members of the share group are told to send a heartbeat.",
    ),
    own(
        "share.isolation.level",
        Kind::String,
        Rule::OneOf(&["read_committed", "read_uncommitted"]),
        "read_uncommitted",
        "Whether the share group is handed records of transactions that are open or were aborted.",
    ),
    number(
        "share.partition.max.record.locks",
        100,
        "2000",
        "group.share.partition.max.record.locks",
        (
            Some(("group.share.min.partition.max.record.locks", 100)),
            Some(("group.share.max.partition.max.record.locks", 4_000)),
        ),
        "Records of one partition that may be out with members of the share group at a time.",
    ),
    number(
        "share.record.lock.duration.ms",
        1_000,
        "30000",
        "group.share.record.lock.duration.ms",
        (
            Some(("group.share.min.record.lock.duration.ms", 15_000)),
            Some(("group.share.max.record.lock.duration.ms", 60_000)),
        ),
        "How long a record is out with one member of the share group before it may go to another.",
    ),
    own(
        "share.renew.acknowledge.enable",
        Kind::Boolean,
        Rule::Any,
        "true",
        "Whether members of the share group may ask for more time with a record.",
    ),
    number(
        "share.session.timeout.ms",
        1,
        "45000",
        "group.share.session.timeout.ms",
        (Some(("group.share.min.session.timeout.ms", 45_000)), Some(("group.share.max.session.timeout.ms", 60_000))),
        "A member that is silent for so long is taken out of the share group.",
    ),
    number(
        "streams.assignment.interval.ms",
        0,
        "1000",
        "group.streams.assignment.interval.ms",
        (
            Some(("group.streams.min.assignment.interval.ms", 0)),
            Some(("group.streams.max.assignment.interval.ms", 15_000)),
        ),
        "Least time between two computations of the streams group's assignment.",
    ),
    number(
        "streams.heartbeat.interval.ms",
        1,
        "5000",
        "group.streams.heartbeat.interval.ms",
        (
            Some(("group.streams.min.heartbeat.interval.ms", 5_000)),
            Some(("group.streams.max.heartbeat.interval.ms", 15_000)),
        ),
        "How often members of the streams group are told to send a heartbeat.",
    ),
    number(
        "streams.initial.rebalance.delay.ms",
        0,
        "3000",
        "group.streams.initial.rebalance.delay.ms",
        (None, None),
        "How long a new streams group waits for more members before its first assignment.",
    ),
    number(
        "streams.num.standby.replicas",
        0,
        "0",
        "group.streams.num.standby.replicas",
        (None, Some(("group.streams.max.standby.replicas", 2))),
        "Standby copies of each task of the streams group.",
    ),
    number(
        "streams.session.timeout.ms",
        1,
        "45000",
        "group.streams.session.timeout.ms",
        (
            Some(("group.streams.min.session.timeout.ms", 45_000)),
            Some(("group.streams.max.session.timeout.ms", 60_000)),
        ),
        "A member that is silent for so long is taken out of the streams group.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::broker;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn check(given: &[(&str, &str)], statics: &[(&str, &str)], expect: Result<(), &str>) {
        let (none, statics) = (Values::new(), values(statics));
        let layers = Layers { broker: &none, cluster: &none, statics: &statics };
        let got = validate(layers, &values(given)).map_err(|refusal| refusal.message);
        assert_eq!(got, expect.map_err(str::to_owned), "{given:?}");
    }

    #[test]
    fn the_table_is_kafkas_and_fits_the_brokers() {
        assert_eq!(KEYS.len(), 17);
        assert!(KEYS.is_sorted_by_key(|key| key.name));
        for key in KEYS {
            check(&[(key.name, key.default)], &[], Ok(()));
            assert!(key.doc.ends_with('.'));
            let supplied = key.synonym.map(|name| broker::find(name).unwrap_or_else(|| panic!("{name}")));
            assert!(supplied.is_none_or(|synonym| synonym.default == Some(key.default)), "{}", key.name);
            for (name, default) in key.least.into_iter().chain(key.most) {
                let bound = broker::find(name).unwrap_or_else(|| panic!("{name}"));
                assert_eq!(bound.default, Some(default.to_string().as_str()), "{name}");
            }
        }
    }

    #[test]
    fn what_the_broker_bounds() {
        let session = "consumer.session.timeout.ms";
        let heartbeat = "consumer.heartbeat.interval.ms";
        let low = "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms";
        let high = "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms";
        check(&[(session, "50000"), (heartbeat, "6000")], &[], Ok(()));
        check(&[(session, "1")], &[], Err(low));
        check(&[(session, "70000")], &[], Err(high));
        check(&[(session, "70000")], &[("group.consumer.max.session.timeout.ms", "80000")], Ok(()));
        let statics = [("group.consumer.min.session.timeout.ms", "1000")];
        let message = "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms";
        check(&[(session, "5000")], &statics, Err(message));
        check(&[("nokey", "1")], &[], Err("Unknown group config name: nokey"));
        let low = "Invalid value 1 for configuration share.record.lock.duration.ms: Value must be at least 1000";
        check(&[("share.record.lock.duration.ms", "1")], &[], Err(low));
    }

    #[test]
    fn durations() {
        for good in ["P1D", "PT1H", "PT1.5S", "P2DT3H4M5S", "pt0s"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "P", "PT", "P1DT", "1D", "PT1", "PT1S2H", "PT1.5H", "P-1D", "PT-1S", "xx", "PTS", "PT1.S"] {
            assert!(!is_duration(bad), "{bad}");
        }
    }
}
