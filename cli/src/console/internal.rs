//! Records of `__consumer_offsets` as the JSON that Kafka's `OffsetsMessageFormatter` and `GroupMetadataMessageFormatter`
//! print. Neither ends a record with a new line.

use super::record::Consumed;
use protocol::Reader;
use protocol::messages::group_metadata_record::{GroupMetadataKey, GroupMetadataValue, MemberMetadata};
use protocol::messages::offset_commit_record::{OffsetCommitKey, OffsetCommitValue};

/// A commit, or nothing if the record is none.
pub(crate) fn commit_json(record: &Consumed<'_>) -> String {
    let Some((kind, mut reader)) = record.key.as_deref().and_then(versioned) else { return String::new() };
    if !(0..=OffsetCommitKey::RECORD_TYPE).contains(&kind) {
        return String::new();
    }
    let Ok(key) = OffsetCommitKey::decode(&mut reader, 0) else { return String::new() };
    let key =
        format!(r#"{{"group":{},"topic":{},"partition":{}}}"#, quoted(&key.group), quoted(&key.topic), key.partition);
    document(kind, &key, record.value.as_deref(), commit_value)
}

/// A group, or nothing if the record is none.
pub(crate) fn group_json(record: &Consumed<'_>) -> String {
    let Some((kind, mut reader)) = record.key.as_deref().and_then(versioned) else { return String::new() };
    if kind != GroupMetadataKey::RECORD_TYPE {
        return String::new();
    }
    let Ok(key) = GroupMetadataKey::decode(&mut reader, 0) else { return String::new() };
    let key = format!(r#"{{"group":{}}}"#, quoted(&key.group));
    document(kind, &key, record.value.as_deref(), group_value)
}

/// The number that every key and value begins with, and what follows it.
fn versioned(bytes: &[u8]) -> Option<(i16, Reader<'_>)> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16().ok()?;
    Some((version, reader))
}

fn document(kind: i16, key: &str, value: Option<&[u8]>, read: fn(&mut Reader<'_>, i16) -> Option<String>) -> String {
    let value = match value.and_then(versioned) {
        None => "null".to_owned(),
        Some((version, mut reader)) => {
            let data = read(&mut reader, version).unwrap_or_else(|| "\"unknown\"".to_owned());
            format!(r#"{{"version":{version},"data":{data}}}"#)
        }
    };
    format!(r#"{{"key":{{"type":{kind},"data":{key}}},"value":{value}}}"#)
}

fn commit_value(reader: &mut Reader<'_>, version: i16) -> Option<String> {
    let value = OffsetCommitValue::decode(reader, version).ok()?;
    let mut fields = vec![format!(r#""offset":{}"#, value.offset)];
    if version >= 3 {
        fields.push(format!(r#""leaderEpoch":{}"#, value.leader_epoch));
    }
    fields.push(format!(r#""metadata":{}"#, quoted(&value.metadata)));
    fields.push(format!(r#""commitTimestamp":{}"#, value.commit_timestamp));
    if version == 1 {
        fields.push(format!(r#""expireTimestamp":{}"#, value.expire_timestamp));
    }
    if version >= 4 {
        fields.push(format!(r#""topicId":"{}""#, value.topic_id));
    }
    Some(format!("{{{}}}", fields.join(",")))
}

fn group_value(reader: &mut Reader<'_>, version: i16) -> Option<String> {
    let value = GroupMetadataValue::decode(reader, version).ok()?;
    let text = |text: &Option<protocol::Str<'_>>| text.as_ref().map_or("null".to_owned(), |text| quoted(text));
    let mut fields = vec![
        format!(r#""protocolType":{}"#, quoted(&value.protocol_type)),
        format!(r#""generation":{}"#, value.generation),
        format!(r#""protocol":{}"#, text(&value.protocol)),
        format!(r#""leader":{}"#, text(&value.leader)),
    ];
    if version >= 2 {
        fields.push(format!(r#""currentStateTimestamp":{}"#, value.current_state_timestamp));
    }
    let members: Vec<_> = value.members.iter().map(|member| member_json(member, version)).collect();
    fields.push(format!(r#""members":[{}]"#, members.join(",")));
    Some(format!("{{{}}}", fields.join(",")))
}

fn member_json(member: &MemberMetadata<'_>, version: i16) -> String {
    let mut fields = vec![format!(r#""memberId":{}"#, quoted(&member.member_id))];
    if version >= 3 {
        let instance = member.group_instance_id.as_ref().map_or("null".to_owned(), |id| quoted(id));
        fields.push(format!(r#""groupInstanceId":{instance}"#));
    }
    fields.push(format!(r#""clientId":{}"#, quoted(&member.client_id)));
    fields.push(format!(r#""clientHost":{}"#, quoted(&member.client_host)));
    if version >= 1 {
        fields.push(format!(r#""rebalanceTimeout":{}"#, member.rebalance_timeout));
    }
    fields.push(format!(r#""sessionTimeout":{}"#, member.session_timeout));
    fields.push(format!(r#""subscription":"{}""#, base64(&member.subscription)));
    fields.push(format!(r#""assignment":"{}""#, base64(&member.assignment)));
    format!("{{{}}}", fields.join(","))
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Base64 with padding (RFC 4648, section 4), which is how JSON carries bytes.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let at = (word >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= chunk.len() { char::from(ALPHABET[at]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::record::sample;
    use protocol::Writer;
    use std::borrow::Cow;

    fn bytes(
        version: i16,
        encode: impl FnOnce(&mut Writer) -> Result<(), protocol::EncodeError>,
    ) -> Option<Cow<'static, [u8]>> {
        let mut writer = Writer::new();
        encode(&mut writer).expect("a good message");
        let mut bytes = version.to_be_bytes().to_vec();
        bytes.extend(writer.into_bytes().expect("plain"));
        Some(Cow::Owned(bytes))
    }

    /// As Kafka 4.3.1 printed commits of a group g1.
    #[test]
    fn a_commit() {
        let mut record = sample(None, None);
        let key = OffsetCommitKey { group: "g1".into(), topic: "abc".into(), partition: 2 };
        record.key = bytes(1, |w| key.encode(w, 0));
        assert_eq!(
            commit_json(&record),
            r#"{"key":{"type":1,"data":{"group":"g1","topic":"abc","partition":2}},"value":null}"#
        );
        let mut value = OffsetCommitValue { offset: 2, commit_timestamp: 1_795_658_836_594, ..Default::default() };
        value.leader_epoch = 0;
        record.value = bytes(3, |w| value.encode(w, 3));
        assert_eq!(
            commit_json(&record),
            r#"{"key":{"type":1,"data":{"group":"g1","topic":"abc","partition":2}},"value":{"version":3,"data":{"offset":2,"leaderEpoch":0,"metadata":"","commitTimestamp":1795658836594}}}"#
        );
        assert_eq!(group_json(&record), "");
        record.value = Some(Cow::Borrowed(&[0, 99]));
        assert!(commit_json(&record).ends_with(r#""value":{"version":99,"data":"unknown"}}"#));
    }

    #[test]
    fn a_group() {
        let mut record = sample(None, None);
        record.key = bytes(2, |w| GroupMetadataKey { group: "g\"1".into() }.encode(w, 0));
        let member = MemberMetadata { member_id: "m".into(), subscription: vec![0, 3, 0].into(), ..Default::default() };
        let value =
            GroupMetadataValue { protocol_type: "consumer".into(), members: vec![member], ..Default::default() };
        record.value = bytes(3, |w| value.encode(w, 3));
        let json = group_json(&record);
        assert!(
            json.starts_with(
                r#"{"key":{"type":2,"data":{"group":"g\"1"}},"value":{"version":3,"data":{"protocolType":"consumer","#
            ),
            "{json}"
        );
        assert!(
            json.contains(
                r#""members":[{"memberId":"m","groupInstanceId":null,"clientId":"","clientHost":"","rebalanceTimeout":"#
            ),
            "{json}"
        );
        assert!(json.contains(r#""subscription":"AAMA","assignment":""}"#), "{json}");
        assert_eq!(commit_json(&record), "");
    }

    #[test]
    fn base64_pads() {
        assert_eq!([&b""[..], b"f", b"fo", b"foo", b"foob"].map(base64), ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }
}
