//! Which broker keys change at run time, and which values they take then. A key that cannot change is refused with the
//! reason; so is one that would be stored without anybody acting on it although somebody would count on that.
//!
//! A name that nobody knows is stored, as in Kafka, where plug-ins have keys of their own: tools may count on it. It is shown like a
//! secret.

use super::{BrokerKey, Scope, Standing, base, find, judge};
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

/// Names of their own that a broker, or all brokers, may have at a time. Kafka sets no bound.
pub const UNKNOWN_MAX: usize = 1_000;

/// Checks all values that are to be set at run time.
pub fn validate(values: &Values, whose: Whose) -> Result<(), Refusal> {
    let known = values.keys().filter_map(|name| find(name));
    refuse_all(known.clone().filter(|key| key.scope == Scope::Fixed), "Cannot update these configs dynamically")?;
    let of_listeners = known.clone().filter(|key| key.name.starts_with("ssl."));
    refuse_all(
        of_listeners,
        "These security configs can be dynamically updated only per-listener using the listener prefix",
    )?;
    if whose == Whose::All {
        let of_one = known.filter(|key| key.scope == Scope::Broker);
        refuse_all(of_one, "Cannot update these configs at default cluster level, broker id must be specified")?;
    }
    values.iter().try_for_each(|(name, value)| validate_one(name, value))?;
    let unknown = values.keys().filter(|name| find(name).is_none()).count();
    if unknown > UNKNOWN_MAX {
        let message = format!("{unknown} configs that are no broker's would be stored; at most {UNKNOWN_MAX} are");
        return Err(Refusal::saying("", "", message, "delete some first"));
    }
    Ok(())
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
        Standing::Refused(why) => refused(why),
        Standing::Notice(why) if find(name).is_none() && base(name).is_some() => refused(why),
        Standing::Unknown | Standing::Historic(_) => Ok(()),
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
        for unknown in ["my.plug.in", "log.retention.mss", "zookeeper.connect", "rsm.config.x", "listener.name.a.b", ""]
        {
            check(One, &[(unknown, "1")], Ok(()));
            check(All, &[(unknown, "")], Ok(()));
        }
        let of_listeners = "These security configs can be dynamically updated only per-listener using the listener prefix: \
                            [ssl.keystore.location]";
        check(One, &[("ssl.keystore.location", "/k")], Err(of_listeners));
        let listeners = "Configuration listeners cannot be changed at run time: it is read when the broker starts";
        check(One, &[("listeners", "PLAINTEXT://:9")], Err(listeners));
        assert!(validate_one("listener.name.out.ssl.keystore.location", "/k").is_err());
        assert!(validate_one("sasl.jaas.config", "x").is_err());
        assert!(validate_one("listener.name.out.max.connections", "5").is_err(), "nobody would act on it");
        assert!(validate_one(PER_IP_OVERRIDES, "127.0.0.1:5, [::1]:6").is_ok());
        assert!(validate_one(PER_IP_OVERRIDES, "host:5").is_err());
    }

    #[test]
    fn names_that_nobody_knows_are_bounded() {
        let many = |count: usize| (0..count).map(|n| (format!("my.{n}"), "x".to_owned())).collect::<Values>();
        assert_eq!(validate(&many(UNKNOWN_MAX), Whose::One), Ok(()));
        assert!(validate(&many(UNKNOWN_MAX + 1), Whose::One).is_err());
    }
}
