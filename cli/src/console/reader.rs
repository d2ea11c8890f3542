//! Lines of standard input as records: Kafka's `LineMessageReader` with all of its properties.

use protocol::batch::Header;
use std::borrow::Cow;
use std::collections::BTreeMap;
use thiserror::Error;

/// Names and values of headers.
pub(crate) type Headers<'a> = Vec<TypedHeader<'a>>;
/// One of them.
type TypedHeader<'a> = (Cow<'a, str>, Option<Cow<'a, [u8]>>);
/// What is before and behind a separator.
type Cut<'a> = (&'a [u8], &'a [u8]);

/// A record as it was typed; it borrows from its line, so that a line costs no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Typed<'a> {
    /// Its key.
    pub(crate) key: Option<Cow<'a, [u8]>>,
    /// Its value; none is a tombstone.
    pub(crate) value: Option<Cow<'a, [u8]>>,
    /// Names and values in the order in which they were typed.
    pub(crate) headers: Headers<'a>,
}

/// What Kafka's own estimate of a record's size adds for its lengths and numbers.
const AROUND: usize = 21;
/// The same for a header's.
const AROUND_HEADER: usize = 10;

impl Typed<'_> {
    /// About what it takes in a batch.
    pub(crate) fn size_bytes(&self) -> usize {
        let len = |bytes: &Option<Cow<'_, [u8]>>| bytes.as_ref().map_or(0, |bytes| bytes.len());
        let headers = self.headers.iter().map(|(key, value)| key.len() + len(value) + AROUND_HEADER);
        len(&self.key) + len(&self.value) + headers.sum::<usize>() + AROUND
    }

    /// Its headers as batches take them.
    pub(crate) fn headers(&self) -> Vec<Header<'_>> {
        self.headers.iter().map(|(key, value)| Header { key: key.as_bytes(), value: value.as_deref() }).collect()
    }
}

/// How a line is taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineReader {
    parse_key: bool,
    key_separator: String,
    parse_headers: bool,
    headers_delimiter: String,
    headers_separator: String,
    headers_key_separator: String,
    ignore_error: bool,
    null_marker: Option<String>,
    /// Key and headers of records whose line does not say them.
    like: Typed<'static>,
}

/// Why the properties of the reader or a line cannot be taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// Two separators are the same.
    #[error("{one} and {other} may not be equal: both are '{value}'; choose another for one of them")]
    SameSeparators { one: &'static str, other: &'static str, value: String },
    /// A property that the reader does not know.
    #[error("the reader has no property '{name}'; it knows {known}", known = KNOWN.join(", "))]
    UnknownProperty { name: String },
    /// The line does not contain what ends its key or its headers.
    #[error("No {what} found on line number {line}: '{text}'")]
    NoSeparator { what: &'static str, line: u64, text: String },
    /// A header without name or value.
    #[error("No header key separator found in pair '{pair}' on line number {line}")]
    NoHeaderSeparator { pair: String, line: u64 },
    /// A header's name is the null marker.
    #[error("Header keys should not be equal to the null marker '{marker}' as they can't be null (line number {line})")]
    NullHeaderKey { marker: String, line: u64 },
}

/// The properties, in Kafka's spelling.
const KNOWN: &[&str] = &[
    "parse.key",
    "key.separator",
    "parse.headers",
    "headers.delimiter",
    "headers.separator",
    "headers.key.separator",
    "ignore.error",
    "null.marker",
];

impl LineReader {
    /// Takes the properties; those that are missing have Kafka's defaults.
    pub(crate) fn new(properties: &BTreeMap<String, String>) -> Result<Self, ReadError> {
        if let Some(name) = properties.keys().find(|name| !KNOWN.contains(&name.as_str()) && *name != "topic") {
            return Err(ReadError::UnknownProperty { name: name.clone() });
        }
        let is = |name: &str| properties.get(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let text = |name: &str, default: &str| properties.get(name).map_or(default, String::as_str).to_owned();
        let reader = Self {
            parse_key: is("parse.key"),
            key_separator: text("key.separator", "\t"),
            parse_headers: is("parse.headers"),
            headers_delimiter: text("headers.delimiter", "\t"),
            headers_separator: text("headers.separator", ","),
            headers_key_separator: text("headers.key.separator", ":"),
            ignore_error: is("ignore.error"),
            null_marker: properties.get("null.marker").cloned(),
            like: Typed::default(),
        };
        reader.check()?;
        Ok(reader)
    }

    /// Records whose lines have no key, or no headers, get these.
    pub(crate) fn like(self, like: Typed<'static>) -> Self {
        LineReader { like, ..self }
    }

    fn check(&self) -> Result<(), ReadError> {
        let null = self.null_marker.as_ref();
        let pairs = [
            ("headers.delimiter", Some(&self.headers_delimiter), "headers.separator", &self.headers_separator),
            ("headers.delimiter", Some(&self.headers_delimiter), "headers.key.separator", &self.headers_key_separator),
            ("headers.separator", Some(&self.headers_separator), "headers.key.separator", &self.headers_key_separator),
            ("null.marker", null, "key.separator", &self.key_separator),
            ("null.marker", null, "headers.separator", &self.headers_separator),
            ("null.marker", null, "headers.delimiter", &self.headers_delimiter),
            ("null.marker", null, "headers.key.separator", &self.headers_key_separator),
        ];
        match pairs.into_iter().find(|(_, one, _, other)| *one == Some(*other)) {
            Some((one, _, other, value)) => Err(ReadError::SameSeparators { one, other, value: value.clone() }),
            None => Ok(()),
        }
    }

    /// Takes line number `line`, without its end, apart.
    pub(crate) fn parse<'a>(&'a self, text: &'a [u8], line: u64) -> Result<Typed<'a>, ReadError> {
        let headers = self.cut(self.parse_headers, text, &self.headers_delimiter, "headers delimiter", line, text)?;
        let rest = headers.map_or(text, |(_, rest)| rest);
        let key = self.cut(self.parse_key, rest, &self.key_separator, "key separator", line, text)?;
        let value = key.map_or(rest, |(_, rest)| rest);
        let headers = match headers {
            Some((headers, _)) if !self.is_null(headers) => self.headers(headers, line)?,
            _ => self.like.headers.clone(),
        };
        let key = key.map_or_else(|| self.like.key.clone(), |(key, _)| self.bytes(key));
        Ok(Typed { key, value: self.bytes(value), headers })
    }

    /// `(before, after)` the separator; none when it is not looked for, or is missing and that is to be ignored.
    fn cut<'a>(
        &self,
        wanted: bool,
        text: &'a [u8],
        separator: &str,
        what: &'static str,
        line: u64,
        whole: &[u8],
    ) -> Result<Option<Cut<'a>>, ReadError> {
        if !wanted {
            return Ok(None);
        }
        match split_once(text, separator) {
            Some(parts) => Ok(Some(parts)),
            None if self.ignore_error => Ok(None),
            None => Err(ReadError::NoSeparator { what, line, text: shown(whole) }),
        }
    }

    fn headers<'a>(&self, text: &'a [u8], line: u64) -> Result<Headers<'a>, ReadError> {
        let mut pairs = split(text, &self.headers_separator);
        // As Java's split does: what is empty at the end is no header.
        while pairs.len() > 1 && pairs.last().is_some_and(|pair| pair.is_empty()) {
            pairs.pop();
        }
        pairs.into_iter().map(|pair| self.header(pair, line)).collect()
    }

    fn header<'a>(&self, pair: &'a [u8], line: u64) -> Result<TypedHeader<'a>, ReadError> {
        match split_once(pair, &self.headers_key_separator) {
            Some((key, _)) if self.is_null(key) => {
                Err(ReadError::NullHeaderKey { marker: self.null_marker.clone().unwrap_or_default(), line })
            }
            Some((key, value)) => Ok((String::from_utf8_lossy(key), self.bytes(value))),
            None if self.ignore_error => Ok((String::from_utf8_lossy(pair), None)),
            None => Err(ReadError::NoHeaderSeparator { pair: shown(pair), line }),
        }
    }

    fn is_null(&self, text: &[u8]) -> bool {
        self.null_marker.as_ref().is_some_and(|marker| marker.as_bytes() == text)
    }

    fn bytes<'a>(&self, text: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        (!self.is_null(text)).then_some(Cow::Borrowed(text))
    }
}

/// Names of headers and pieces of error messages are text.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is before and behind the first separator. A line is bytes: what is no UTF-8 stays what it is, where Kafka's tool
/// replaces it.
fn split_once<'a>(text: &'a [u8], separator: &str) -> Option<(&'a [u8], &'a [u8])> {
    if separator.is_empty() {
        return Some((&[], text));
    }
    let at = text.windows(separator.len()).position(|window| window == separator.as_bytes())?;
    Some((&text[..at], &text[at + separator.len()..]))
}

fn split<'a>(mut text: &'a [u8], separator: &str) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some((before, after)) = split_once(text, separator).filter(|_| !separator.is_empty()) {
        parts.push(before);
        text = after;
    }
    parts.push(text);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[(&str, &str)]) -> Result<LineReader, ReadError> {
        LineReader::new(&properties.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    /// A record as `headers|key|value`, with `~` for null.
    fn check(properties: &[(&str, &str)], line: &str, expect: &str) {
        let text = |bytes: &Option<Cow<'_, [u8]>>| {
            bytes.as_ref().map_or("~".to_owned(), |b| String::from_utf8_lossy(b).into_owned())
        };
        let reader = reader(properties);
        let got = match reader.as_ref().map_err(Clone::clone).and_then(|reader| reader.parse(line.as_bytes(), 1)) {
            Ok(typed) => {
                let headers: Vec<_> = typed.headers.iter().map(|(k, v)| format!("{k}={}", text(v))).collect();
                format!("{}|{}|{}", headers.join(" "), text(&typed.key), text(&typed.value))
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expect);
    }

    #[test]
    fn a_line_is_a_value() {
        check(&[], "a\tb", "|~|a\tb");
        check(&[], "", "|~|");
    }

    #[test]
    fn keys() {
        let key = ("parse.key", "true");
        check(&[key], "k\tv\tw", "|k|v\tw");
        check(&[key, ("key.separator", "::")], "k::v", "|k|v");
        check(&[key], "kv", "No key separator found on line number 1: 'kv'");
        check(&[key, ("ignore.error", "TRUE")], "kv", "|~|kv");
        check(&[key, ("null.marker", "N")], "N\tN", "|~|~");
    }

    #[test]
    fn headers() {
        let (headers, key) = (("parse.headers", "true"), ("parse.key", "true"));
        check(&[headers, key], "h1:v1,h2:v2\tk\tv", "h1=v1 h2=v2|k|v");
        check(&[headers], "h1:v1,h1:v2,,\tv", "h1=v1 h1=v2|~|v");
        check(&[headers], "h1\tv", "No header key separator found in pair 'h1' on line number 1");
        check(&[headers, ("ignore.error", "true")], "h1\tv", "h1=~|~|v");
        check(&[headers, ("null.marker", "N")], "h1:N\tN", "h1=~|~|~");
        check(&[headers, ("null.marker", "N")], "N\tv", "|~|v");
        let null_key = "Header keys should not be equal to the null marker 'N' as they can't be null (line number 1)";
        check(&[headers, ("null.marker", "N")], "N:v\tv", null_key);
        check(&[headers, key], "h:v\tkv", "No key separator found on line number 1: 'h:v\tkv'");
    }

    #[test]
    fn separators_must_differ_and_names_be_known() {
        let same = reader(&[("headers.delimiter", ",")]).expect_err("the same");
        assert!(same.to_string().starts_with("headers.delimiter and headers.separator may not be equal"), "{same}");
        assert!(reader(&[("null.marker", ":")]).is_err());
        let unknown = reader(&[("parse.keys", "true")]).expect_err("unknown");
        assert!(unknown.to_string().contains("parse.key,"), "{unknown}");
    }
}
