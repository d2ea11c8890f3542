//! How fast compaction goes about, as somebody set it: the `log.cleaner.*` keys that Kafka changes at run time and that are not
//! a topic's. What nobody set is storage's to know.

use super::layers::{Layers, Source};

/// See the module. Of all shards together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanerSettings {
    /// `log.cleaner.backoff.ms`.
    pub backoff_ms: Option<u64>,
    /// `log.cleaner.dedupe.buffer.size`, in bytes.
    pub keys_bytes: Option<u64>,
    /// `log.cleaner.io.max.bytes.per.second`.
    pub bytes_per_s: Option<u64>,
}

impl CleanerSettings {
    /// What these layers say.
    pub fn resolve(layers: Layers<'_>) -> CleanerSettings {
        let number = |name| {
            let (value, source) = layers.broker_value(name)?;
            // Kafka counts the bytes a second in fractions; nothing is lost by leaving these out.
            value.trim().parse::<f64>().ok().filter(|_| source != Source::Default).map(|number| number as u64)
        };
        CleanerSettings {
            backoff_ms: number("log.cleaner.backoff.ms"),
            keys_bytes: number("log.cleaner.dedupe.buffer.size"),
            bytes_per_s: number("log.cleaner.io.max.bytes.per.second"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::Values;

    #[test]
    fn what_somebody_set_counts_and_nothing_else() {
        let values = |pairs: &[(&str, &str)]| -> Values {
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let [broker, cluster, statics] = [
            values(&[("log.cleaner.backoff.ms", "7")]),
            values(&[("log.cleaner.backoff.ms", "8"), ("log.cleaner.io.max.bytes.per.second", "1.5E6")]),
            values(&[("log.cleaner.dedupe.buffer.size", "9000000000")]),
        ];
        let set = CleanerSettings::resolve(Layers { broker: &broker, cluster: &cluster, statics: &statics });
        let expected =
            CleanerSettings { backoff_ms: Some(7), keys_bytes: Some(9_000_000_000), bytes_per_s: Some(1_500_000) };
        assert_eq!(set, expected);
        let none = Values::new();
        let unset = CleanerSettings::resolve(Layers { broker: &none, cluster: &none, statics: &none });
        assert_eq!(unset, CleanerSettings::default());
    }
}
