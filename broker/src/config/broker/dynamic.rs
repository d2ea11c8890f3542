//! Which broker keys change at run time, and which values they take then. A key that cannot change is refused with the
//! reason; so is one that would be stored without anybody acting on it although somebody would count on that.

use super::{BrokerKey, Scope, Standing, find, judge};
use crate::config::layers::Values;
use crate::config::value::Refusal;
use std::collections::HashMap;
use std::net::IpAddr;

/// For whom values are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// One broker.
    One,
    /// All brokers.
    All,
}

/// Keys that Kafka changes at run time and that are read once here.
const AT_START: &[&str] = &["listeners", "listener.security.protocol.map"];

/// Checks all values that are to be set at run time.
pub fn validate(values: &Values, whose: Whose) -> Result<(), Refusal> {
    let known = values.keys().filter_map(|name| find(name));
    refuse_all(known.clone().filter(|key| key.scope == Scope::Fixed), "Cannot update these configs dynamically")?;
    if whose == Whose::All {
        let of_one = known.filter(|key| key.scope == Scope::Broker);
        refuse_all(of_one, "Cannot update these configs at default cluster level, broker id must be specified")?;
    }
    values.iter().try_for_each(|(name, value)| validate_one(name, value))
}

fn refuse_all<'a>(keys: impl Iterator<Item = &'a BrokerKey>, why: &str) -> Result<(), Refusal> {
    let names: Vec<&str> = keys.map(|key| key.name).collect();
    match names.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!("{why}: [{}]", names.join(", "));
            Err(Refusal::saying(first, "", message, "it changes with a restart only"))
        }
    }
}

fn validate_one(name: &str, value: &str) -> Result<(), Refusal> {
    let refused = |why: &str| {
        Err(Refusal::saying(name, value, format!("Configuration {name} cannot be changed at run time: {why}"), why))
    };
    match judge(name, value)? {
        Standing::Refused(why) | Standing::Historic(why) => refused(why),
        Standing::Unknown(nearest) => {
            let hint = nearest.map_or(String::new(), |nearest| format!("; did you mean {nearest}?"));
            let message = format!("Unknown broker config name: {name}{hint}");
            Err(Refusal::saying(name, value, message, "this is not a configuration of brokers"))
        }
        Standing::Notice(why) if find(name).is_none() => refused(why),
        Standing::Used if AT_START.contains(&name) => refused("it is read when the broker starts"),
        Standing::Used if name == PER_IP_OVERRIDES => per_ip_overrides(value).map(drop),
        Standing::Used | Standing::Notice(_) => Ok(()),
    }
}

/// The key of [`per_ip_overrides`].
pub const PER_IP_OVERRIDES: &str = "max.connections.per.ip.overrides";

/// The pairs of address and number of `max.connections.per.ip.overrides`. Addresses are numeric: a name would have to be looked
/// up where nothing may wait.
pub fn per_ip_overrides(value: &str) -> Result<HashMap<IpAddr, usize>, Refusal> {
    let pair = |text: &str| {
        let (host, count) = text.rsplit_once(':')?;
        let host = host.trim().trim_start_matches('[').trim_end_matches(']');
        Some((host.parse().ok()?, count.trim().parse().ok()?))
    };
    let pairs: Option<HashMap<IpAddr, usize>> =
        value.split(',').map(str::trim).filter(|text| !text.is_empty()).map(pair).collect();
    pairs.ok_or_else(|| Refusal::new(PER_IP_OVERRIDES, value, "a list of ADDRESS:NUMBER is allowed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(whose: Whose, pairs: &[(&str, &str)], expect: Result<(), &str>) {
        let values: Values = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let got = validate(&values, whose).map_err(|refusal| refusal.message);
        assert_eq!(got, expect.map_err(str::to_owned), "{pairs:?}");
    }

    #[test]
    fn what_changes_at_run_time_and_what_does_not() {
        use Whose::{All, One};
        check(One, &[("log.retention.ms", "5")], Ok(()));
        check(All, &[("log.retention.ms", "5"), ("num.io.threads", "5")], Ok(()));
        let fixed = "Cannot update these configs dynamically: [auto.create.topics.enable, num.partitions]";
        check(One, &[("num.partitions", "2"), ("auto.create.topics.enable", "false")], Err(fixed));
        let of_one = "Cannot update these configs at default cluster level, broker id must be specified: [listeners]";
        check(All, &[("listeners", "PLAINTEXT://:9")], Err(of_one));
        let number = "Invalid value x for configuration log.retention.ms: Not a number of type LONG";
        check(One, &[("log.retention.ms", "x")], Err(number));
        let unknown = "Unknown broker config name: log.retention.mss; did you mean log.retention.ms?";
        check(One, &[("log.retention.mss", "1")], Err(unknown));
        let listeners = "Configuration listeners cannot be changed at run time: it is read when the broker starts";
        check(One, &[("listeners", "PLAINTEXT://:9")], Err(listeners));
        assert!(validate_one("ssl.keystore.location", "/k").is_err());
        assert!(validate_one("listener.name.out.max.connections", "5").is_err(), "nobody would act on it");
        assert!(validate_one("zookeeper.connect", "z").is_err());
        assert!(validate_one(PER_IP_OVERRIDES, "127.0.0.1:5, [::1]:6").is_ok());
        assert!(validate_one(PER_IP_OVERRIDES, "host:5").is_err());
    }
}
