//! The configuration keys of a subscription to metrics of clients (KIP-714): which metrics, from which clients, how often.

use super::layers::Values;
use super::value::{Kind, Refusal, Rule, check};

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientMetricsKey {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// The value when nobody says anything.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// All keys, sorted by name: Kafka 4.3.1's `ClientMetricsConfigs`.
pub const KEYS: &[ClientMetricsKey] = &[
    ClientMetricsKey {
        name: "interval.ms",
        kind: Kind::Int,
        default: "300000",
        doc: "Time between two pushes of metrics by a client, in milliseconds.",
    },
    ClientMetricsKey {
        name: "match",
        kind: Kind::List,
        default: "",
        doc: "Which clients are meant: selector=pattern pairs that must all hold. None: every client.",
    },
    ClientMetricsKey {
        name: "metrics",
        kind: Kind::List,
        default: "",
        doc: "Prefixes of the names of metrics that are wanted. * asks for all, none asks for none.",
    },
];

/// What a client can be selected by.
pub const SELECTORS: [&str; 6] = [
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// Least and largest `interval.ms`.
pub const INTERVAL_MS: (i64, i64) = (100, 3_600_000);

/// Groups in a pattern may be nested so deep.
const NESTING_MAX: u32 = 50;

/// A value that is refused, and how: a refusal of Kafka's that is of the request rather than of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// INVALID_CONFIG.
    Config(Refusal),
    /// INVALID_REQUEST.
    Request(Refusal),
}

/// The key of that name.
pub fn find(name: &str) -> Option<&'static ClientMetricsKey> {
    KEYS.iter().find(|key| key.name == name)
}

/// Checks all values of one subscription.
pub fn validate(values: &Values) -> Result<(), Fault> {
    values.iter().try_for_each(|(name, value)| validate_one(name, value))
}

fn validate_one(name: &str, value: &str) -> Result<(), Fault> {
    let Some(key) = find(name) else {
        let message = format!("Unknown client metrics configuration: {name}");
        return Err(Fault::Request(Refusal::saying(
            name,
            value,
            message,
            "this is not a configuration of client metrics",
        )));
    };
    check(name, key.kind, Rule::Any, value).map_err(Fault::Config)?;
    match name {
        "interval.ms" => check_interval(name, value).map_err(Fault::Request),
        "match" => check_match(name, value).map_err(Fault::Config),
        _ => Ok(()),
    }
}

fn check_interval(name: &str, value: &str) -> Result<(), Refusal> {
    let (least, most) = INTERVAL_MS;
    let value = value.trim();
    if value.parse::<i64>().is_ok_and(|interval| (least..=most).contains(&interval)) {
        return Ok(());
    }
    let message = format!("Invalid value {value} for {name}, interval must be between {least} and {most} (1 hour)");
    Err(Refusal::saying(name, value, message, format!("{least} to {most} is allowed")))
}

fn check_match(name: &str, value: &str) -> Result<(), Refusal> {
    let pairs = value.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    for pair in pairs {
        let fits = pair.split_once('=').is_some_and(|(selector, pattern)| {
            SELECTORS.contains(&selector.trim()) && !pattern.trim().is_empty() && is_pattern(pattern.trim())
        });
        if !fits {
            let message = format!("Illegal client matching pattern: {pair}");
            let allowed = format!("selector=pattern is allowed, where a selector is one of {}", SELECTORS.join(", "));
            return Err(Refusal::saying(name, value, message, allowed));
        }
    }
    Ok(())
}

/// Whether the text is a regular expression. Java's look-around and back references are not: they take unbounded time.
fn is_pattern(text: &str) -> bool {
    regex_syntax::ParserBuilder::new().nest_limit(NESTING_MAX).build().parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_refusals() {
        let config = |message: &str| Some((true, message.to_owned()));
        let request = |message: &str| Some((false, message.to_owned()));
        let bounds = "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)";
        for (name, value, expect) in [
            ("interval.ms", "100", None),
            ("interval.ms", "99", request(bounds)),
            ("interval.ms", "x", config("Invalid value x for configuration interval.ms: Not a number of type INT")),
            ("metrics", "*", None),
            ("metrics", "", None),
            ("match", "", None),
            ("match", "client_id=a.*,client_source_port=[0-9]+", None),
            ("match", "foo=bar", config("Illegal client matching pattern: foo=bar")),
            ("match", "client_id=", config("Illegal client matching pattern: client_id=")),
            ("match", "client_id", config("Illegal client matching pattern: client_id")),
            ("match", "client_id=[a", config("Illegal client matching pattern: client_id=[a")),
            ("no", "x", request("Unknown client metrics configuration: no")),
        ] {
            let got = validate_one(name, value).err().map(|fault| match fault {
                Fault::Config(refusal) => (true, refusal.message),
                Fault::Request(refusal) => (false, refusal.message),
            });
            assert_eq!(got, expect, "{name}={value}");
        }
        let deep = format!("client_id={}a{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(validate_one("match", &deep).is_err(), "nesting is bounded");
    }
}
