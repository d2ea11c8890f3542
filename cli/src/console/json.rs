//! A record as one line of JSON, as `ringlog consume --output json` prints it and `ringlog produce --input json` reads it.
//!
//! ```text
//! {"topic":"t","partition":0,"offset":7,"timestamp":1795658834902,"timestamp_type":"CreateTime",
//!  "key":"k","value":null,"headers":[{"key":"h","value":"v"}]}
//! ```
//! Bytes that are no UTF-8 have a name of their own: `"value_base64":"/w=="`.

use super::internal::base64;
use super::reader::Typed;
use super::record::Consumed;
use super::typing::Parsed;
use crate::failure::Failure;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The line, without its end.
pub(super) fn line(record: &Consumed<'_>) -> String {
    let mut object = Map::new();
    object.insert("topic".to_owned(), json!(record.topic));
    object.insert("partition".to_owned(), json!(record.partition));
    object.insert("offset".to_owned(), json!(record.offset));
    object.insert("timestamp".to_owned(), json!(record.timestamp_ms));
    object.insert("timestamp_type".to_owned(), json!(record.timestamp_type()));
    put(&mut object, "key", record.key.as_deref());
    put(&mut object, "value", record.value.as_deref());
    let header = |(key, value): &(Cow<'_, str>, Option<Cow<'_, [u8]>>)| {
        let mut header = Map::new();
        header.insert("key".to_owned(), json!(key));
        put(&mut header, "value", value.as_deref());
        Value::Object(header)
    };
    object.insert("headers".to_owned(), record.headers.iter().map(header).collect());
    Value::Object(object).to_string()
}

fn put(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => object.insert(name.to_owned(), Value::Null),
        Some((_, Ok(text))) => object.insert(name.to_owned(), json!(text)),
        Some((bytes, Err(_))) => object.insert(format!("{name}_base64"), json!(base64(bytes))),
    };
}

/// A record of a line; `topic`, `partition` and `offset` are passed over.
pub(super) fn parse(line: &[u8], number: u64) -> Parsed<'static> {
    let wrong = |what: String| Failure::failed(format!("line {number}: {what}"));
    let value: Value = serde_json::from_slice(line).map_err(|error| wrong(format!("no JSON: {error}")))?;
    let object = value.as_object().ok_or_else(|| wrong("expected an object such as {\"value\":\"…\"}".to_owned()))?;
    let timestamp = match object.get("timestamp") {
        None | Some(Value::Null) => None,
        Some(value) => {
            Some(value.as_i64().ok_or_else(|| wrong("timestamp: expected milliseconds since 1970".to_owned()))?)
        }
    };
    let mut typed = Typed {
        key: take(object, "key").map_err(wrong)?,
        value: take(object, "value").map_err(wrong)?,
        headers: vec![],
    };
    let none = Vec::new();
    let headers = match object.get("headers") {
        None | Some(Value::Null) => &none,
        Some(value) => value.as_array().ok_or_else(|| wrong("headers: expected a list".to_owned()))?,
    };
    for header in headers {
        let key = header.get("key").and_then(Value::as_str);
        let (Some(header), Some(key)) = (header.as_object(), key) else {
            return Err(wrong("headers: expected {\"key\":\"…\",\"value\":\"…\"}".to_owned()));
        };
        typed.headers.push((Cow::Owned(key.to_owned()), take(header, "value").map_err(wrong)?));
    }
    Ok((typed, timestamp))
}

fn take(object: &Map<String, Value>, name: &str) -> Result<Option<Cow<'static, [u8]>>, String> {
    let encoded = format!("{name}_base64");
    match (object.get(name), object.get(&encoded)) {
        (None | Some(Value::Null), None | Some(Value::Null)) => Ok(None),
        (Some(Value::String(text)), None) => Ok(Some(Cow::Owned(text.clone().into_bytes()))),
        (None, Some(Value::String(text))) => {
            from_base64(text).map(|bytes| Some(Cow::Owned(bytes))).ok_or(format!("{encoded}: no base64"))
        }
        (Some(other), None) => Ok(Some(Cow::Owned(other.to_string().into_bytes()))),
        _ => Err(format!("{name}: expected text, or {encoded}, not both")),
    }
}

/// Standard base64, with or without padding.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(digit).collect::<Option<_>>()?;
    let mut bytes = Vec::new();
    for chunk in digits.chunks(4) {
        let word = chunk.iter().fold(0_u32, |word, &digit| word << 6 | u32::from(digit)) << (6 * (4 - chunk.len()));
        let all = word.to_be_bytes();
        // Four digits are three bytes, three are two, two are one; one alone is none.
        bytes.extend_from_slice(all.get(1..chunk.len()).filter(|_| chunk.len() > 1)?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::record::sample;

    #[test]
    fn what_is_printed_is_read_again() {
        let mut record = sample(Some("k\"1"), Some("v"));
        record.headers = vec![("h".into(), Some(b"x"[..].into())), ("n".into(), None)];
        for value in [Some(&[0xff, 0, 1][..]), Some(b"text"), None, Some(&[0xff])] {
            record.value = value.map(Cow::Borrowed);
            let (typed, timestamp) = parse(line(&record).as_bytes(), 1).expect("its own line");
            assert_eq!(typed.headers, record.headers);
            assert_eq!((typed.key, typed.value), (record.key.clone(), record.value.clone()));
            assert_eq!(timestamp, Some(99));
        }
    }

    #[test]
    fn what_is_no_record_is_said_with_its_line() {
        for (text, expect) in [
            ("x", "line 3: no JSON: expected value at line 1 column 1"),
            ("[]", "line 3: expected an object such as {\"value\":\"…\"}"),
            ("{\"timestamp\":\"now\"}", "line 3: timestamp: expected milliseconds since 1970"),
            ("{\"value_base64\":\"!\"}", "line 3: value_base64: no base64"),
            ("{\"headers\":[{}]}", "line 3: headers: expected {\"key\":\"…\",\"value\":\"…\"}"),
        ] {
            assert_eq!(parse(text.as_bytes(), 3).expect_err("wrong").message, expect);
        }
        assert_eq!(
            parse(b"{\"value\":{\"a\":1}}", 1).expect("an object").0.value,
            Some(Cow::Borrowed(&b"{\"a\":1}"[..]))
        );
    }
}
