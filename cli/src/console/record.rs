//! A record that was read, with where it was.

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consumed {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970; negative for none.
    pub(crate) timestamp_ms: i64,
    /// Whether the broker gave the timestamp rather than the producer.
    pub(crate) is_append_time: bool,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Consumed {
    /// Kafka's name of where the timestamp comes from.
    pub(crate) fn timestamp_type(&self) -> &'static str {
        if self.is_append_time { "LogAppendTime" } else { "CreateTime" }
    }
}

#[cfg(test)]
pub(crate) fn sample(key: Option<&str>, value: Option<&str>) -> Consumed {
    let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
    Consumed {
        topic: "t".to_owned(),
        partition: 1,
        offset: 7,
        timestamp_ms: 99,
        is_append_time: false,
        key: bytes(key),
        value: bytes(value),
        headers: Vec::new(),
    }
}
