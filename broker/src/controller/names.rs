//! What a topic may be called: Kafka's rules, because names become folder and metric names.

use super::limits::TOPIC_NAME_BYTES_MAX;

/// Kafka's own metadata topic; nobody else may have it.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    /// Folders of the file system.
    #[error("Topic name is invalid: '{name}' is not allowed")]
    Dots {
        /// One or two of them.
        name: String,
    },
    /// It would not fit a file name.
    #[error(
        "Topic name is invalid: the length of '{name}' is longer than the max allowed length {TOPIC_NAME_BYTES_MAX}"
    )]
    Long {
        /// The name.
        name: String,
    },
    /// A character that is not allowed.
    #[error(
        "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    )]
    Character {
        /// The name.
        name: String,
    },
}

/// Checks a topic name.
pub fn validate(name: &str) -> Result<(), NameError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match name {
        "" => Err(NameError::Empty),
        "." | ".." => Err(NameError::Dots { name: name.to_owned() }),
        _ if name.len() > TOPIC_NAME_BYTES_MAX => Err(NameError::Long { name: name.to_owned() }),
        _ if !name.bytes().all(legal) => Err(NameError::Character { name: name.to_owned() }),
        _ => Ok(()),
    }
}

/// Whether two names that differ become one in metrics, where a dot is written as an underscore.
pub fn collide(one: &str, other: &str) -> bool {
    let same = |a: u8, b: u8| a == b || (matches!(a, b'.' | b'_') && matches!(b, b'.' | b'_'));
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(a, b)| same(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "A-b_c.9", "...", "__consumer_offsets", &"x".repeat(249)] {
            assert_eq!(validate(good), Ok(()), "{good}");
        }
        for (bad, expect) in [
            ("", NameError::Empty),
            (".", NameError::Dots { name: ".".to_owned() }),
            ("..", NameError::Dots { name: "..".to_owned() }),
            ("a b", NameError::Character { name: "a b".to_owned() }),
            ("a/b", NameError::Character { name: "a/b".to_owned() }),
            ("ä", NameError::Character { name: "ä".to_owned() }),
            ("a\0", NameError::Character { name: "a\0".to_owned() }),
        ] {
            assert_eq!(validate(bad), Err(expect));
        }
        let long = "x".repeat(250);
        assert_eq!(validate(&long), Err(NameError::Long { name: long.clone() }));
    }

    #[test]
    fn dots_and_underscores_collide() {
        assert!(collide("a.b", "a_b"));
        assert!(collide("a.b_c", "a_b.c"));
        assert!(!collide("a.b", "a-b"));
        assert!(!collide("a.b", "a.bc"));
    }
}
