//! When an acknowledgement may be sent: the setting, and which of several settings wins.
//!
//! Deviation from Kafka: there an acknowledgement never waits for the device. Here it does unless someone asked for less.

use crate::store::Durability;

/// The `durability` of a topic or a broker, as written in configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurabilityClass {
    /// Acknowledged once the device has it.
    Fsync,
    /// Acknowledged once written; flushed every `flush.ms`.
    Interval,
    /// Acknowledged once written; flushed when the system sees fit.
    None,
}

impl DurabilityClass {
    /// The words that the setting takes.
    pub const WORDS: &'static [&'static str] = &["fsync", "interval", "none"];

    /// Reads one of [`WORDS`](Self::WORDS).
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "fsync" => Some(Self::Fsync),
            "interval" => Some(Self::Interval),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

/// What was said about one topic's durability. `explicit_*` are values that someone set, on the topic or on the broker;
/// Kafka's defaults do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// Internal topics are always flushed.
    pub internal: bool,
    /// The topic's own `durability`.
    pub topic: Option<DurabilityClass>,
    /// `flush.messages`, if set.
    pub explicit_flush_messages: Option<i64>,
    /// `flush.ms`, if set.
    pub explicit_flush_ms: Option<i64>,
    /// The broker's `durability`.
    pub broker: DurabilityClass,
}

/// The flush interval where `interval` was asked for without a `flush.ms`, in milliseconds.
pub const DEFAULT_INTERVAL_MS: u64 = 1_000;

/// Decides: internal topics, then topic `durability`, then an explicit `flush.messages` or `flush.ms`, then the broker. Whoever wants a
/// flush every so many records gets one before every acknowledgement: that is never later.
pub fn choose(wishes: Wishes) -> Durability {
    let messages = wishes.explicit_flush_messages.filter(|messages| *messages != i64::MAX);
    let ms = wishes.explicit_flush_ms.filter(|ms| *ms != i64::MAX).map(i64::unsigned_abs);
    let class = match wishes {
        Wishes { internal: true, .. } => DurabilityClass::Fsync,
        Wishes { topic: Some(class), .. } => class,
        Wishes { .. } if messages.is_some() => DurabilityClass::Fsync,
        Wishes { .. } if ms.is_some() => DurabilityClass::Interval,
        Wishes { broker, .. } => broker,
    };
    match class {
        DurabilityClass::Fsync => Durability::Fsync,
        DurabilityClass::Interval => Durability::Interval { ms: ms.unwrap_or(DEFAULT_INTERVAL_MS) },
        DurabilityClass::None => Durability::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DurabilityClass as Class;

    #[test]
    fn precedence() {
        let nothing = Wishes {
            internal: false,
            topic: None,
            explicit_flush_messages: None,
            explicit_flush_ms: None,
            broker: Class::Fsync,
        };
        for (wishes, expect) in [
            (nothing, Durability::Fsync),
            (Wishes { broker: Class::None, ..nothing }, Durability::None),
            (Wishes { broker: Class::Interval, ..nothing }, Durability::Interval { ms: DEFAULT_INTERVAL_MS }),
            (Wishes { explicit_flush_ms: Some(50), ..nothing }, Durability::Interval { ms: 50 }),
            (Wishes { explicit_flush_ms: Some(i64::MAX), ..nothing }, Durability::Fsync),
            (Wishes { explicit_flush_ms: Some(50), explicit_flush_messages: Some(1), ..nothing }, Durability::Fsync),
            (Wishes { explicit_flush_messages: Some(10_000), broker: Class::None, ..nothing }, Durability::Fsync),
            (Wishes { explicit_flush_messages: Some(i64::MAX), broker: Class::None, ..nothing }, Durability::None),
            (Wishes { topic: Some(Class::None), explicit_flush_messages: Some(1), ..nothing }, Durability::None),
            (
                Wishes { topic: Some(Class::Interval), explicit_flush_ms: Some(7), ..nothing },
                Durability::Interval { ms: 7 },
            ),
            (Wishes { internal: true, topic: Some(Class::None), ..nothing }, Durability::Fsync),
        ] {
            assert_eq!(choose(wishes), expect, "{wishes:?}");
        }
    }
}
