//! The table of all broker keys, a file for each family: all of Kafka 4.3.1's public ones and our own. A row says a key's type,
//! name, default, rule and who may change it at run time; then what becomes of it here, and what it is for, in our own words.
//!
//! What the table is asked is in the module above.

mod authorization;
mod cleaner;
mod consumer_groups;
mod groups;
mod log;
mod metadata;
mod metrics;
mod network;
mod node;
mod quorum;
mod quotas;
mod replication;
mod sasl;
mod share_groups;
mod streams_groups;
mod tiered;
mod tls;
mod transactions;

use super::{BrokerKey, Fate, Scope};
use crate::config::value::{Kind, Rule};

/// All families.
pub(super) const FAMILIES: &[&[BrokerKey]] = &[
    node::KEYS,
    network::KEYS,
    replication::KEYS,
    quorum::KEYS,
    quotas::KEYS,
    metrics::KEYS,
    log::KEYS,
    cleaner::KEYS,
    metadata::KEYS,
    groups::KEYS,
    consumer_groups::KEYS,
    share_groups::KEYS,
    streams_groups::KEYS,
    transactions::KEYS,
    authorization::KEYS,
    sasl::KEYS,
    tls::KEYS,
    tiered::KEYS,
];

/// The first half of a row.
struct Row {
    name: &'static str,
    kind: Kind,
    rule: Rule,
    default: Option<&'static str>,
    scope: Scope,
}

impl Row {
    /// It has an effect.
    const fn used(self, about: &'static str) -> BrokerKey {
        self.becomes(Fate::Used, about)
    }

    /// It is taken and has no effect, for this reason.
    const fn unused(self, why: &'static str, about: &'static str) -> BrokerKey {
        self.becomes(Fate::Notice(why), about)
    }

    /// Any value but the default stops the start, for this reason.
    const fn refused(self, why: &'static str, about: &'static str) -> BrokerKey {
        self.becomes(Fate::Refused(why), about)
    }

    const fn becomes(self, fate: Fate, about: &'static str) -> BrokerKey {
        let Self { name, kind, rule, default, scope } = self;
        BrokerKey { name, kind, rule, default, scope, fate, about }
    }
}

/// Defines one function a type, called like it, that begins a row.
macro_rules! types {
    ($($function:ident $kind:ident),*) => {$(
        const fn $function(name: &'static str, default: Option<&'static str>, rule: Rule, scope: Scope) -> Row {
            Row { name, kind: Kind::$kind, rule, default, scope }
        }
    )*};
}

types!(boolean Boolean, string String, int Int, short Short, long Long, double Double, list List, class Class, password Password);
