//! Bytes of keys, values and headers as text, by the names of Kafka's deserializer classes.

use super::numbers;
use std::borrow::Cow;
use thiserror::Error;

/// How bytes become text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deserializer {
    String,
    Long,
    Integer,
    Short,
    Double,
    Float,
    Boolean,
    Uuid,
    /// The bytes as they are. Java prints the identity of the array, which tells nobody anything.
    Bytes,
    /// Printable characters as they are, others as `\xNN`.
    Escaped,
    Void,
}

/// Class names without package and `Deserializer`.
const NAMES: &[(&str, Deserializer)] = &[
    ("String", Deserializer::String),
    ("Long", Deserializer::Long),
    ("Integer", Deserializer::Integer),
    ("Short", Deserializer::Short),
    ("Double", Deserializer::Double),
    ("Float", Deserializer::Float),
    ("Boolean", Deserializer::Boolean),
    ("UUID", Deserializer::Uuid),
    ("ByteArray", Deserializer::Bytes),
    ("ByteBuffer", Deserializer::Bytes),
    ("Bytes", Deserializer::Escaped),
    ("Void", Deserializer::Void),
];

/// The package of Kafka's own.
const PACKAGE: &str = "org.apache.kafka.common.serialization.";

/// Why there is no text.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum DeserializeError {
    /// No class that is known here.
    #[error("there is no deserializer {name} here; there are {} (with or without {PACKAGE})", names())]
    Unknown { name: String },
    /// Another number of bytes than the type has.
    #[error("{class}Deserializer: expected {expected} bytes, got {got}")]
    Size { class: &'static str, expected: usize, got: usize },
    /// Bytes that the type does not have.
    #[error("{class}Deserializer: {text} is not {expected}")]
    Content { class: &'static str, text: String, expected: &'static str },
}

fn names() -> String {
    NAMES.iter().map(|(name, _)| format!("{name}Deserializer")).collect::<Vec<_>>().join(", ")
}

impl Deserializer {
    /// By the name of its class, with or without its package.
    pub(crate) fn by_name(name: &str) -> Result<Self, DeserializeError> {
        let class = name.strip_prefix(PACKAGE).unwrap_or(name);
        let short = class.strip_suffix("Deserializer").unwrap_or(class);
        let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(short));
        known.map(|(_, it)| *it).ok_or_else(|| DeserializeError::Unknown { name: name.to_owned() })
    }

    /// The text of `bytes`, as Java's `toString` has it.
    pub(crate) fn text<'a>(self, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, DeserializeError> {
        let text = match self {
            Deserializer::Bytes => return Ok(Cow::Borrowed(bytes)),
            Deserializer::String => String::from_utf8_lossy(bytes).into_owned(),
            Deserializer::Long => i64::from_be_bytes(exactly("Long", bytes)?).to_string(),
            Deserializer::Integer => i32::from_be_bytes(exactly("Integer", bytes)?).to_string(),
            Deserializer::Short => i16::from_be_bytes(exactly("Short", bytes)?).to_string(),
            Deserializer::Double => numbers::double(f64::from_be_bytes(exactly("Double", bytes)?)),
            Deserializer::Float => numbers::float(f32::from_be_bytes(exactly("Float", bytes)?)),
            Deserializer::Boolean => boolean(bytes)?.to_string(),
            Deserializer::Uuid => uuid(bytes)?,
            Deserializer::Escaped => escaped(bytes),
            Deserializer::Void => {
                let [] = exactly("Void", bytes)?;
                "null".to_owned()
            }
        };
        Ok(Cow::Owned(text.into_bytes()))
    }
}

fn exactly<const N: usize>(class: &'static str, bytes: &[u8]) -> Result<[u8; N], DeserializeError> {
    bytes.try_into().map_err(|_| DeserializeError::Size { class, expected: N, got: bytes.len() })
}

fn boolean(bytes: &[u8]) -> Result<bool, DeserializeError> {
    match exactly("Boolean", bytes)? {
        [0] => Ok(false),
        [1] => Ok(true),
        [other] => Err(DeserializeError::Content { class: "Boolean", text: other.to_string(), expected: "0 or 1" }),
    }
}

/// Kafka writes UUIDs as text; Java's reads them leniently and prints them in full.
fn uuid(bytes: &[u8]) -> Result<String, DeserializeError> {
    let text = String::from_utf8_lossy(bytes);
    let wrong = || DeserializeError::Content {
        class: "UUID",
        text: format!("'{text}'"),
        expected: "a UUID such as 123e4567-e89b-12d3-a456-426614174000",
    };
    let widths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    if parts.len() != widths.len() {
        return Err(wrong());
    }
    let mut full = Vec::new();
    for (part, width) in parts.iter().zip(widths) {
        let is_hex = !part.is_empty() && part.len() <= width && part.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hex {
            return Err(wrong());
        }
        full.push(format!("{:0>width$}", part.to_ascii_lowercase()));
    }
    Ok(full.join("-"))
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, bytes: &[u8], expect: &str) {
        let text = match Deserializer::by_name(name).and_then(|it| it.text(bytes).map(Cow::into_owned)) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(text, expect);
    }

    #[test]
    fn classes_by_name() {
        let package = "org.apache.kafka.common.serialization.";
        check(&format!("{package}LongDeserializer"), &[0, 0, 0, 0, 0, 0, 1, 0], "256");
        check("IntegerDeserializer", &[255, 255, 255, 255], "-1");
        check("short", &[1, 2], "258");
        check("DoubleDeserializer", &1e10_f64.to_be_bytes(), "1.0E10");
        check("FloatDeserializer", &1.5_f32.to_be_bytes(), "1.5");
        check("BooleanDeserializer", &[1], "true");
        check("BytesDeserializer", b"a\\\x00\xff", "a\\\\\\x00\\xFF");
        check("StringDeserializer", b"a\xffb", "a\u{fffd}b");
        check("VoidDeserializer", b"", "null");
        let uuid = "123E4567-e89b-12d3-a456-426614174000";
        check("UUIDDeserializer", uuid.as_bytes(), &uuid.to_lowercase());
    }

    #[test]
    fn what_does_not_fit_is_said() {
        check("LongDeserializer", b"null", "LongDeserializer: expected 8 bytes, got 4");
        check("BooleanDeserializer", &[7], "BooleanDeserializer: 7 is not 0 or 1");
        check(
            "UUIDDeserializer",
            b"x",
            "UUIDDeserializer: 'x' is not a UUID such as 123e4567-e89b-12d3-a456-426614174000",
        );
        assert!(Deserializer::by_name("com.acme.Avro").expect_err("unknown").to_string().contains("LongDeserializer"));
    }
}
