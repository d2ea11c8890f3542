//! The order in which Java's `HashMap` gives its entries back, which is the order of lines in what several of Kafka's tools
//! print. It follows from the hash code of the keys and the size of the table, both of which Java specifies. Likewise for the sets
//! of Scala, in which one tool is written. And the names of Kafka's exceptions, which they print as well.

use protocol::ErrorCode;
use std::collections::BTreeMap;

/// `String.hashCode`: over the UTF-16 units, 31 times the sum so far plus the unit.
pub fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The hash code of Kafka's `TopicPartition`.
pub fn topic_partition_hash(topic: &str, partition: i32) -> i32 {
    31i32.wrapping_add(partition).wrapping_mul(31).wrapping_add(string_hash(topic))
}

/// Sorts items as a `HashMap` would give them back after they were put in this order. `capacity` is what the map was made
/// with: 16 if nothing was said.
pub fn hash_order<T>(items: &mut [T], capacity: usize, hash: impl Fn(&T) -> i32) {
    let mut size = capacity.max(1).next_power_of_two();
    // It grows once it holds more than three quarters.
    while items.len() * 4 > size * 3 {
        size *= 2;
    }
    let bucket = |hash: i32| {
        let hash = hash.cast_unsigned();
        (hash ^ (hash >> 16)) as usize & (size - 1)
    };
    // Stable: what shares a bucket stays in the order it was put.
    items.sort_by_key(|item| bucket(hash(item)));
}

/// Sorts items as Scala's immutable `Set` gives them back, in which one of Kafka's tools collects what it shows: as they were put
/// while there are four at most, and then by a tree over five bits of the mixed hash code at a time, what stands alone in its place
/// before what shares one.
pub fn set_order<T>(items: &mut Vec<T>, hash: impl Fn(&T) -> i32) {
    if items.len() > SMALL_SET {
        let hashed = std::mem::take(items).into_iter().map(|item| (mixed(hash(&item)), item)).collect();
        walk(hashed, 0, items);
    }
}

/// Sets of so many items are no trees.
const SMALL_SET: usize = 4;

/// Bits of a hash code that choose a place in one node of the tree.
const PLACE_BITS: u32 = 5;

fn walk<T>(hashed: Vec<(u32, T)>, shift: u32, sorted: &mut Vec<T>) {
    if shift >= u32::BITS {
        return sorted.extend(hashed.into_iter().map(|(_, item)| item));
    }
    let mut places: BTreeMap<u32, Vec<(u32, T)>> = BTreeMap::new();
    for (hash, item) in hashed {
        places.entry((hash >> shift) & ((1 << PLACE_BITS) - 1)).or_default().push((hash, item));
    }
    let (alone, shared): (Vec<_>, Vec<_>) = places.into_values().partition(|items| items.len() == 1);
    sorted.extend(alone.into_iter().flatten().map(|(_, item)| item));
    shared.into_iter().for_each(|items| walk(items, shift + PLACE_BITS, sorted));
}

/// Scala's mixing of a hash code.
fn mixed(hash: i32) -> u32 {
    let hash = hash.cast_unsigned();
    let hash = hash.wrapping_add(!(hash << 9));
    let hash = hash ^ (hash >> 14);
    let hash = hash.wrapping_add(hash << 4);
    hash ^ (hash >> 10)
}

/// The class of the exception that Kafka's Java clients throw for an error, which its tools print.
pub fn exception_class(code: ErrorCode) -> String {
    use ErrorCode as E;
    let name = match code {
        E::UnknownServerError => "UnknownServerException",
        E::CorruptMessage => "CorruptRecordException",
        E::RequestTimedOut => "TimeoutException",
        E::MessageTooLarge => "RecordTooLargeException",
        E::StaleControllerEpoch => "ControllerMovedException",
        E::OffsetMetadataTooLarge => "OffsetMetadataTooLarge",
        E::NetworkException => "NetworkException",
        E::InvalidTopicException => "InvalidTopicException",
        E::RecordListTooLarge => "RecordBatchTooLargeException",
        E::TopicAuthorizationFailed => "TopicAuthorizationException",
        E::GroupAuthorizationFailed => "GroupAuthorizationException",
        E::ClusterAuthorizationFailed => "ClusterAuthorizationException",
        E::TopicAlreadyExists => "TopicExistsException",
        E::InvalidConfig => "InvalidConfigurationException",
        E::OutOfOrderSequenceNumber => "OutOfOrderSequenceException",
        E::DuplicateSequenceNumber => "DuplicateSequenceException",
        E::InvalidProducerIdMapping => "InvalidPidMappingException",
        E::InvalidTransactionTimeout => "InvalidTxnTimeoutException",
        E::TransactionalIdAuthorizationFailed => "TransactionalIdAuthorizationException",
        E::KafkaStorageError => "KafkaStorageException",
        E::SaslAuthenticationFailed => "SaslAuthenticationException",
        E::DelegationTokenAuthDisabled => "DelegationTokenDisabledException",
        E::DelegationTokenRequestNotAllowed => "UnsupportedByAuthenticationException",
        E::DelegationTokenAuthorizationFailed => "DelegationTokenAuthorizationException",
        E::NonEmptyGroup => "GroupNotEmptyException",
        E::PrincipalDeserializationFailure => "PrincipalDeserializationException",
        E::FetchSessionTopicIdError => "FetchSessionTopicIdException",
        E::InvalidRegularExpression => "InvalidRegularExpression",
        other => return format!("{PACKAGE}.{other:?}Exception"),
    };
    format!("{PACKAGE}.{name}")
}

const PACKAGE: &str = "org.apache.kafka.common.errors";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_codes_that_java_gives() {
        for (text, expect) in [("", 0), ("a", 97), ("retention.ms", -1_339_220_362), ("ä😀", 1_992_007)] {
            assert_eq!(string_hash(text), expect, "{text}");
        }
        assert_eq!(topic_partition_hash("a", 2), 33 * 31 + 97);
    }

    /// What Java 17 prints for maps that these keys were put into in this order.
    #[test]
    fn the_order_of_maps() {
        let mut keys = ["brokers", "error", "logDir", "partitions", "version"];
        hash_order(&mut keys, 16, |key| string_hash(key));
        assert_eq!(keys, ["partitions", "brokers", "error", "version", "logDir"]);
        let mut keys: Vec<String> = (0..30).map(|n| format!("topic-{}", n * 7)).collect();
        hash_order(&mut keys, 16, |key| string_hash(key));
        let begins =
            ["topic-7", "topic-126", "topic-203", "topic-147", "topic-91", "topic-168", "topic-70", "topic-189"];
        assert_eq!(keys[..8], begins);
        assert_eq!(keys[28..], ["topic-35", "topic-14"]);
    }

    /// What Scala 2.13 prints for sets that these were put into in this order.
    #[test]
    fn the_order_of_sets() {
        let check = |count: usize, begins: &[&str]| {
            let mut names: Vec<String> = (0..count).map(|n| format!("group-{}", n * 7)).collect();
            set_order(&mut names, |name| string_hash(name));
            assert_eq!(names[..begins.len()], *begins);
            assert_eq!(names.len(), count);
        };
        check(3, &["group-0", "group-7", "group-14"]);
        check(5, &["group-28", "group-14", "group-21", "group-0", "group-7"]);
        check(30, &["group-56", "group-168", "group-196", "group-42", "group-21", "group-140", "group-49"]);
        check(200, &["group-1211", "group-1029", "group-1330", "group-1078", "group-294", "group-1204"]);
    }

    #[test]
    fn exceptions_by_rule_and_by_exception() {
        for (code, name) in [
            (ErrorCode::OffsetOutOfRange, "OffsetOutOfRangeException"),
            (ErrorCode::KafkaStorageError, "KafkaStorageException"),
            (ErrorCode::UnknownServerError, "UnknownServerException"),
        ] {
            assert_eq!(exception_class(code), format!("org.apache.kafka.common.errors.{name}"));
        }
    }
}
