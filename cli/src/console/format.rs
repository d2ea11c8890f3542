//! Records as text: Kafka's message formatters, chosen by the names of their classes.

use super::deserialize::{DeserializeError, Deserializer};
use super::internal;
use super::record::Consumed;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use thiserror::Error;

/// What a record is printed as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Formatter {
    kind: Kind,
    columns: Columns,
    /// The line that is being put together: one that cannot be finished is not begun on the output.
    line: Vec<u8>,
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
        Ok(Formatter { kind, columns: Columns::new(properties)?, line: Vec::new() })
    }

    /// Writes a record; `log` gets what is not part of the output.
    pub(crate) fn write(
        &mut self,
        record: &Consumed<'_>,
        out: &mut dyn Write,
        log: &mut dyn Write,
    ) -> Result<(), WriteError> {
        match self.kind {
            Kind::Default | Kind::Logging => {
                self.line.clear();
                self.columns.put(record, &mut self.line)?;
                out.write_all(&self.line)?;
            }
            Kind::NoOp => {}
            Kind::Offsets => out.write_all(internal::commit_json(record).as_bytes())?,
            Kind::GroupMetadata => out.write_all(internal::group_json(record).as_bytes())?,
        }
        if self.kind == Kind::Logging {
            log.write_all(log_line(record).as_bytes())?;
        }
        Ok(())
    }
}

fn kind_of(class: &str) -> Result<Kind, FormatterError> {
    let short = PACKAGES.iter().find_map(|package| class.strip_prefix(package)).unwrap_or(class);
    let known = KINDS.iter().find(|(name, _)| *name == short);
    known.map(|(_, kind)| *kind).ok_or_else(|| FormatterError::Unknown { name: class.to_owned() })
}

fn log_line(record: &Consumed<'_>) -> String {
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

    /// Appends the columns with separators between them, and the end of the line.
    fn put(&self, record: &Consumed<'_>, line: &mut Vec<u8>) -> Result<(), WriteError> {
        if self.timestamp && record.timestamp_ms >= 0 {
            self.say(line, format_args!("{}:{}", record.timestamp_type(), record.timestamp_ms))?;
        } else if self.timestamp {
            self.say(line, format_args!("NO_TIMESTAMP"))?;
        }
        if self.partition {
            self.say(line, format_args!("Partition:{}", record.partition))?;
        }
        if self.offset {
            self.say(line, format_args!("Offset:{}", record.offset))?;
        }
        // Kafka's console consumer prints these two of records that it made itself, which have neither.
        if self.delivery {
            self.say(line, format_args!("Delivery:NOT_PRESENT"))?;
        }
        if self.epoch {
            self.say(line, format_args!("Epoch:NOT_PRESENT"))?;
        }
        if self.headers {
            self.put_headers(record, line)?;
            line.extend_from_slice(self.separator.as_bytes());
        }
        if self.key {
            line.extend_from_slice(&self.text(record, "key", record.key.as_deref(), self.key_deserializer)?);
            line.extend_from_slice(self.separator.as_bytes());
        }
        if self.value {
            line.extend_from_slice(&self.text(record, "value", record.value.as_deref(), self.value_deserializer)?);
            line.extend_from_slice(self.separator.as_bytes());
        }
        if self.has_columns() {
            // Each column brought the separator behind it; behind the last one the line ends.
            line.truncate(line.len() - self.separator.len());
            line.extend_from_slice(self.line_separator.as_bytes());
        }
        Ok(())
    }

    fn has_columns(&self) -> bool {
        let of_place = self.timestamp || self.partition || self.offset || self.delivery || self.epoch;
        of_place || self.headers || self.key || self.value
    }

    fn say(&self, line: &mut Vec<u8>, column: fmt::Arguments<'_>) -> io::Result<()> {
        line.write_fmt(column)?;
        line.write_all(self.separator.as_bytes())
    }

    fn put_headers(&self, record: &Consumed<'_>, line: &mut Vec<u8>) -> Result<(), WriteError> {
        if record.headers.is_empty() {
            line.extend_from_slice(b"NO_HEADERS");
        }
        for (at, (name, value)) in record.headers.iter().enumerate() {
            if at > 0 {
                line.extend_from_slice(self.headers_separator.as_bytes());
            }
            line.extend_from_slice(name.as_bytes());
            line.push(b':');
            line.extend_from_slice(&self.text(record, "a header", value.as_deref(), self.headers_deserializer)?);
        }
        Ok(())
    }

    /// Null is the null literal, also where the deserializer could not read that, at which Kafka stops.
    fn text<'a>(
        &'a self,
        record: &Consumed<'_>,
        part: &'static str,
        bytes: Option<&'a [u8]>,
        deserializer: Option<Deserializer>,
    ) -> Result<Cow<'a, [u8]>, WriteError> {
        let Some(bytes) = bytes else { return Ok(Cow::Borrowed(self.null.as_bytes())) };
        let Some(deserializer) = deserializer else { return Ok(Cow::Borrowed(bytes)) };
        deserializer.text(bytes).map_err(|cause| WriteError::Record {
            topic: record.topic.to_owned(),
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

    fn check(class: Option<&str>, properties: &[(&str, &str)], record: &Consumed<'_>, expect: &str) {
        let properties = properties.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let got = match Formatter::new(class, &properties) {
            Err(error) => error.to_string(),
            Ok(mut formatter) => match formatter.write(record, &mut out, &mut log) {
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
        record.headers = vec![("a".into(), Some(b"1"[..].into())), ("b".into(), None)];
        check(None, &[("print.headers", "true"), ("null.literal", "NIL")], &record, "a:1,b:NIL\tNIL\n");
        let separators = [("print.key", "true"), ("key.separator", "|"), ("line.separator", ";")];
        check(None, &separators, &record, "k|null;");
    }

    #[test]
    fn deserializers() {
        let mut record = sample(None, Some("12345678"));
        let long = [("value.deserializer", "org.apache.kafka.common.serialization.LongDeserializer")];
        check(None, &long, &record, "3544952156018063160\n");
        record.value = Some(Cow::Borrowed(b"x"));
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
