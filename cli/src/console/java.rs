//! The little of Java that shows in what Kafka's tools print: string hashes, the order of a `HashMap`, floating point
//! numbers, the parts of a date.

/// `String.hashCode`: over UTF-16 code units, as Java's strings have them.
#[must_use]
pub(crate) fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// `TopicPartition.hashCode`.
#[must_use]
pub(crate) fn topic_partition_hash(topic: &str, partition: i32) -> i32 {
    31_i32.wrapping_mul(31_i32.wrapping_add(partition)).wrapping_add(string_hash(topic))
}

/// Brings `items`, given in the order of their insertion, into the order in which a Java `HashMap` that grew with them
/// hands them out. Kafka's tools print several tables in that order.
pub(crate) fn sort_as_hash_map<T>(items: &mut [T], hash: impl Fn(&T) -> i32) {
    let buckets = buckets_for(items.len());
    items.sort_by_key(|item| {
        let hash = hash(item).cast_unsigned();
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
}

/// How many buckets a `HashMap` with so many entries has: it starts with 16 and doubles when three quarters are exceeded.
fn buckets_for(len: usize) -> usize {
    let mut buckets = 16;
    while len > buckets / 4 * 3 {
        buckets *= 2;
    }
    buckets
}

/// `Double.toString`.
#[must_use]
pub(crate) fn double(value: f64) -> String {
    if !value.is_finite() || value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return special(value.is_nan(), value.is_infinite(), value < 0.0).unwrap_or_else(|| format!("{value:?}"));
    }
    scientific(&format!("{value:e}"))
}

/// `Float.toString`.
#[must_use]
pub(crate) fn float(value: f32) -> String {
    if !value.is_finite() || value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return special(value.is_nan(), value.is_infinite(), value < 0.0).unwrap_or_else(|| format!("{value:?}"));
    }
    scientific(&format!("{value:e}"))
}

fn special(is_nan: bool, is_infinite: bool, is_negative: bool) -> Option<String> {
    match (is_nan, is_infinite, is_negative) {
        (true, ..) => Some("NaN".to_owned()),
        (_, true, true) => Some("-Infinity".to_owned()),
        (_, true, false) => Some("Infinity".to_owned()),
        _ => None,
    }
}

/// Rust's `1e10` and `1.5e-7` as Java's `1.0E10` and `1.5E-7`.
fn scientific(text: &str) -> String {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        assert_eq!(string_hash("abc"), 96_354);
        assert_eq!(string_hash(""), 0);
        assert_eq!(string_hash("\u{1F600}"), 1_772_899);
        assert_eq!(topic_partition_hash("abc", 0), 97_315);
    }

    #[test]
    fn a_hash_maps_order() {
        let mut partitions = [0, 1, 2];
        sort_as_hash_map(&mut partitions, |&partition| topic_partition_hash("abc", partition));
        // As kafka-consumer-groups --reset-offsets prints a topic abc of three partitions.
        assert_eq!(partitions, [2, 0, 1]);
        assert_eq!(buckets_for(12), 16);
        assert_eq!(buckets_for(13), 32);
    }

    #[test]
    fn numbers_look_like_javas() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (1.5e-7, "1.5E-7"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (-123_456_789.5, "-1.234567895E8"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(double(value), text);
        }
        assert_eq!(double(f64::NAN), "NaN");
        assert_eq!(float(0.1), "0.1");
        assert_eq!(float(3.4e38), "3.4E38");
    }
}
