//! A record that was read, with where it was.

use super::reader::Headers;
use std::borrow::Cow;

/// See the module. It borrows from the answer that it came in, so that reading it costs no allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consumed<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970; negative for none.
    pub(crate) timestamp_ms: i64,
    /// Whether the broker gave the timestamp rather than the producer.
    pub(crate) is_append_time: bool,
    pub(crate) key: Option<Cow<'a, [u8]>>,
    pub(crate) value: Option<Cow<'a, [u8]>>,
    pub(crate) headers: Headers<'a>,
}

impl Consumed<'_> {
    /// Kafka's name of where the timestamp comes from.
    pub(crate) fn timestamp_type(&self) -> &'static str {
        if self.is_append_time { "LogAppendTime" } else { "CreateTime" }
    }
}

#[cfg(test)]
pub(crate) fn sample<'a>(key: Option<&'a str>, value: Option<&'a str>) -> Consumed<'a> {
    let bytes = |text: Option<&'a str>| text.map(|text| Cow::Borrowed(text.as_bytes()));
    Consumed {
        topic: "t",
        partition: 1,
        offset: 7,
        timestamp_ms: 99,
        is_append_time: false,
        key: bytes(key),
        value: bytes(value),
        headers: Vec::new(),
    }
}
