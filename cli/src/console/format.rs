//! Records as text: Kafka's message formatters, chosen by the names of their classes.

use super::deserialize::{DeserializeError, Deserializer};
use super::internal;
use super::record::Consumed;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use thiserror::Error;

/// What a record is printed as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Formatter {
    kind: Kind,
    columns: Columns,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Columns.
    Default,
    /// Columns, and a line on standard error.
    Logging,
    /// Nothing: records are only counted.
    NoOp,
    /// Commits out of `__consumer_offsets`, as JSON.
    Offsets,
    /// Groups out of `__consumer_offsets`, as JSON.
    GroupMetadata,
}

/// The classes, without package.
const KINDS: &[(&str, Kind)] = &[
    ("DefaultMessageFormatter", Kind::Default),
    ("LoggingMessageFormatter", Kind::Logging),
    ("NoOpMessageFormatter", Kind::NoOp),
    ("OffsetsMessageFormatter", Kind::Offsets),
    ("GroupMetadataMessageFormatter", Kind::GroupMetadata),
];

/// Packages that these classes have or had.
const PACKAGES: &[&str] = &[
    "org.apache.kafka.tools.consumer.",
    "kafka.tools.",
    "kafka.coordinator.group.GroupMetadataManager$",
    "kafka.coordinator.group.GroupMetadataManager\\$",
];

/// Properties with a value of their own; `key.deserializer.x` and the like belong to the deserializers and are passed over.
const PROPERTIES: &[&str] = &[
    "print.timestamp",
    "print.key",
    "print.offset",
    "print.delivery",
    "print.epoch",
    "print.partition",
    "print.headers",
    "print.value",
    "key.separator",
    "line.separator",
    "headers.separator",
    "null.literal",
    "key.deserializer",
    "value.deserializer",
    "headers.deserializer",
];

/// The columns of the default formatter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Columns {
    timestamp: bool,
    partition: bool,
    offset: bool,
    delivery: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    separator: String,
    line_separator: String,
    headers_separator: String,
    null: String,
    key_deserializer: Option<Deserializer>,
    value_deserializer: Option<Deserializer>,
    headers_deserializer: Option<Deserializer>,
}

/// Why a formatter cannot be had.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum FormatterError {
    /// No class that is known here.
    #[error("there is no formatter {name} here; there are {}", KINDS.iter().map(|k| k.0).collect::<Vec<_>>().join(", "))]
    Unknown { name: String },
    /// No property that the formatter has.
    #[error("the formatter has no property {name}{hint}")]
    Property { name: String, hint: String },
    /// A deserializer that is not known here.
    #[error(transparent)]
    Deserializer(#[from] DeserializeError),
}

/// Why a record was not printed.
#[derive(Debug, Error)]
pub(crate) enum WriteError {
    /// The output is closed or full.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
    /// The record is not what its deserializer reads.
    #[error("{topic}-{partition}, offset {offset}, {part}: {cause}")]
    Record { topic: String, partition: i32, offset: i64, part: &'static str, cause: DeserializeError },
}

impl Formatter {
    /// The formatter of this class with these properties.
    pub(crate) fn new(class: Option<&str>, properties: &BTreeMap<String, String>) -> Result<Self, FormatterError> {
        let kind = class.map_or(Ok(Kind::Default), kind_of)?;
        Ok(Formatter { kind, columns: Columns::new(properties)? })
    }

    /// Writes a record; `log` gets what is not part of the output.
    pub(crate) fn write(&self, record: &Consumed, out: &mut dyn Write, log: &mut dyn Write) -> Result<(), WriteError> {
        match self.kind {
            Kind::Default => self.columns.write(record, out),
            Kind::Logging => {
                self.columns.write(record, out)?;
                Ok(log.write_all(log_line(record).as_bytes())?)
            }
            Kind::NoOp => Ok(()),
            Kind::Offsets => Ok(out.write_all(internal::commit_json(record).as_bytes())?),
            Kind::GroupMetadata => Ok(out.write_all(internal::group_json(record).as_bytes())?),
        }
    }
}

fn kind_of(class: &str) -> Result<Kind, FormatterError> {
    let short = PACKAGES.iter().find_map(|package| class.strip_prefix(package)).unwrap_or(class);
    let known = KINDS.iter().find(|(name, _)| *name == short);
    known.map(|(_, kind)| *kind).ok_or_else(|| FormatterError::Unknown { name: class.to_owned() })
}

fn log_line(record: &Consumed) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let key = record.key.as_deref().map_or("null ".to_owned(), |key| text(key) + ", ");
    let value = record.value.as_deref().map_or("null".to_owned(), text);
    format!("{}:{}, key:{key}value:{value}\n", record.timestamp_type(), record.timestamp_ms)
}

impl Columns {
    fn new(properties: &BTreeMap<String, String>) -> Result<Self, FormatterError> {
        if let Some(name) = properties.keys().find(|name| !is_known(name)) {
            let near = crate::suggest::nearest(name, PROPERTIES.iter().copied());
            let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return Err(FormatterError::Property { name: name.clone(), hint });
        }
        let is = |name: &str, default| {
            properties.get(name).map_or(default, |value| value.trim().eq_ignore_ascii_case("true"))
        };
        let text = |name: &str, default: &str| properties.get(name).map_or(default, String::as_str).to_owned();
        let deserializer = |name: &str| properties.get(name).map(|class| Deserializer::by_name(class)).transpose();
        Ok(Columns {
            timestamp: is("print.timestamp", false),
            partition: is("print.partition", false),
            offset: is("print.offset", false),
            delivery: is("print.delivery", false),
            epoch: is("print.epoch", false),
            headers: is("print.headers", false),
            key: is("print.key", false),
            value: is("print.value", true),
            separator: text("key.separator", "\t"),
            line_separator: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            null: text("null.literal", "null"),
            key_deserializer: deserializer("key.deserializer")?,
            value_deserializer: deserializer("value.deserializer")?,
            headers_deserializer: deserializer("headers.deserializer")?,
        })
    }

    fn write(&self, record: &Consumed, out: &mut dyn Write) -> Result<(), WriteError> {
        let mut line: Vec<Vec<u8>> = Vec::new();
        if self.timestamp && record.timestamp_ms >= 0 {
            line.push(format!("{}:{}", record.timestamp_type(), record.timestamp_ms).into_bytes());
        } else if self.timestamp {
            line.push(b"NO_TIMESTAMP".to_vec());
        }
        if self.partition {
            line.push(format!("Partition:{}", record.partition).into_bytes());
        }
        if self.offset {
            line.push(format!("Offset:{}", record.offset).into_bytes());
        }
        // Kafka's console consumer prints these two of records that it made itself, which have neither.
        if self.delivery {
            line.push(b"Delivery:NOT_PRESENT".to_vec());
        }
        if self.epoch {
            line.push(b"Epoch:NOT_PRESENT".to_vec());
        }
        if self.headers {
            line.push(self.header_column(record)?);
        }
        if self.key {
            let key = self.text(record, "key", record.key.as_deref(), self.key_deserializer)?;
            line.push(key.into_owned());
        }
        if self.value {
            let value = self.text(record, "value", record.value.as_deref(), self.value_deserializer)?;
            line.push(value.into_owned());
        }
        if line.is_empty() {
            return Ok(());
        }
        let mut bytes = line.join(self.separator.as_bytes());
        bytes.extend_from_slice(self.line_separator.as_bytes());
        Ok(out.write_all(&bytes)?)
    }

    fn header_column(&self, record: &Consumed) -> Result<Vec<u8>, WriteError> {
        if record.headers.is_empty() {
            return Ok(b"NO_HEADERS".to_vec());
        }
        let mut parts = Vec::new();
        for (name, value) in &record.headers {
            let value = self.text(record, "a header", value.as_deref(), self.headers_deserializer)?;
            parts.push([name.as_bytes(), b":", &value].concat());
        }
        Ok(parts.join(self.headers_separator.as_bytes()))
    }

    /// Null is the null literal, also where the deserializer could not read that, at which Kafka stops.
    fn text<'a>(
        &'a self,
        record: &Consumed,
        part: &'static str,
        bytes: Option<&'a [u8]>,
        deserializer: Option<Deserializer>,
    ) -> Result<Cow<'a, [u8]>, WriteError> {
        let Some(bytes) = bytes else { return Ok(Cow::Borrowed(self.null.as_bytes())) };
        let Some(deserializer) = deserializer else { return Ok(Cow::Borrowed(bytes)) };
        deserializer.text(bytes).map_err(|cause| WriteError::Record {
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            part,
            cause,
        })
    }
}

fn is_known(name: &str) -> bool {
    let of_a_deserializer = ["key.deserializer.", "value.deserializer.", "headers.deserializer."];
    PROPERTIES.contains(&name) || of_a_deserializer.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::record::sample;

    fn check(class: Option<&str>, properties: &[(&str, &str)], record: &Consumed, expect: &str) {
        let properties = properties.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let got = match Formatter::new(class, &properties) {
            Err(error) => error.to_string(),
            Ok(formatter) => match formatter.write(record, &mut out, &mut log) {
                Err(error) => error.to_string(),
                Ok(()) => String::from_utf8_lossy(&out).into_owned() + &String::from_utf8_lossy(&log),
            },
        };
        assert_eq!(got, expect);
    }

    /// Lines that Kafka 4.3.1 printed for the same records.
    #[test]
    fn columns() {
        let mut record = sample(Some("k"), None);
        check(None, &[], &record, "null\n");
        check(None, &[("print.key", "true"), ("print.value", "false")], &record, "k\n");
        check(None, &[("print.value", "false")], &record, "");
        let all = ["print.key", "print.partition", "print.offset", "print.timestamp", "print.headers", "print.epoch"];
        let all: Vec<_> = all.iter().chain(["print.delivery"].iter()).map(|name| (*name, " TRUE ")).collect();
        let line =
            "CreateTime:99\tPartition:1\tOffset:7\tDelivery:NOT_PRESENT\tEpoch:NOT_PRESENT\tNO_HEADERS\tk\tnull\n";
        check(None, &all, &record, line);
        record.headers = vec![("a".into(), Some(b"1".to_vec())), ("b".into(), None)];
        check(None, &[("print.headers", "true"), ("null.literal", "NIL")], &record, "a:1,b:NIL\tNIL\n");
        let separators = [("print.key", "true"), ("key.separator", "|"), ("line.separator", ";")];
        check(None, &separators, &record, "k|null;");
    }

    #[test]
    fn deserializers() {
        let mut record = sample(None, Some("12345678"));
        let long = [("value.deserializer", "org.apache.kafka.common.serialization.LongDeserializer")];
        check(None, &long, &record, "3544952156018063160\n");
        record.value = Some(b"x".to_vec());
        check(None, &long, &record, "t-1, offset 7, value: LongDeserializer: expected 8 bytes, got 1");
        record.value = None;
        check(None, &long, &record, "null\n");
    }

    #[test]
    fn classes() {
        let record = sample(Some("k"), Some("v"));
        check(Some("org.apache.kafka.tools.consumer.NoOpMessageFormatter"), &[], &record, "");
        check(Some("kafka.tools.LoggingMessageFormatter"), &[], &record, "v\nCreateTime:99, key:k, value:v\n");
        let unknown = Formatter::new(Some("a.B"), &BTreeMap::new()).expect_err("unknown");
        assert!(unknown.to_string().contains("DefaultMessageFormatter"));
        check(
            None,
            &[("print.keys", "true")],
            &record,
            "the formatter has no property print.keys; did you mean print.key?",
        );
    }
}
