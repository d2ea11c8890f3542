//! Which partition of `__consumer_offsets` holds a group. Clients and tools compute the same (Burrow, kafka-dump-log),
//! so it is Java's `String.hashCode`, over UTF-16 units.

/// The partition, out of a positive number of them. The one hash without a positive counterpart, `i32::MIN`, counts as 0, as
/// in Kafka's `Utils.abs`.
pub(crate) fn partition_of(group: &str, partitions: i32) -> i32 {
    assert!(partitions > 0, "__consumer_offsets has at least one partition");
    let hash = java_hash(group);
    hash.checked_abs().unwrap_or(0) % partitions
}

/// `s[0]*31^(n-1) + … + s[n-1]`, wrapping.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_javas() {
        // Computed with another implementation of java.lang.String.hashCode.
        let table =
            [("", 0), ("a", 97), ("hello", 99_162_322), ("group", 98_629_247), ("\u{e9}", 233), ("😀", 1_772_899)];
        for (text, hash) in table {
            assert_eq!(java_hash(text), hash, "{text:?}");
        }
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
    }

    #[test]
    fn partition_is_never_negative() {
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        assert_eq!(partition_of("group", 50), 98_629_247 % 50);
        assert_eq!(partition_of("console-consumer-1", 1), 0);
    }
}
