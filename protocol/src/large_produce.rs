//! A look at the front of a large Produce request that is still arriving: where its one record set will lie. What does not
//! look exactly like that is left to the ordinary decoder; errors are its to report.

use crate::header::RequestHeader;
use crate::messages::keys::{ApiKey, supported};
use crate::reader::Reader;
use crate::types::Str;
use crate::uuid::Uuid;
use std::ops::Range;

/// First version whose encoding is flexible (KIP-482).
const FLEXIBLE_FROM: i16 = 9;

/// First version that names topics by id (KIP-516).
const IDS_FROM: i16 = 13;

/// Most bytes behind the record set: tagged fields of partition, topic and request, of which Kafka has none.
const REST_MAX: usize = 64;

/// The topic of a [`LargeProduce`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRef<'a> {
    /// Up to version 12.
    Name(Str<'a>),
    /// From version 13 on.
    Id(Uuid),
}

/// A Produce request of one topic and one partition, without a transaction.
///
/// ```text
/// 0                      length_at      records.start        records.end        frame_len
/// | headers, topic, index | length      | record set          | tagged fields    |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeProduce<'a> {
    /// The topic, as the client names it.
    pub topic: TopicRef<'a>,
    /// Partition index.
    pub partition: i32,
    /// Where the length of the record set is encoded, in bytes of the frame.
    pub length_at: usize,
    /// Where the record set lies, in bytes of the frame.
    pub records: Range<usize>,
    is_flexible: bool,
}

impl<'a> LargeProduce<'a> {
    /// Reads `front`, the first bytes of a frame of `frame_len` bytes, at least up to where the record set begins. None
    /// for any other request, and for one that does not end shortly behind its record set.
    pub fn peek(front: &'a [u8], frame_len: usize) -> Option<LargeProduce<'a>> {
        let mut reader = Reader::new(front);
        let header = RequestHeader::decode(&mut reader).ok()?;
        let version = header.api_version;
        // Older versions carry message sets, which are converted and never taken over where they lie.
        if header.api_key != ApiKey::Produce as i16 || !supported(ApiKey::Produce)?.contains(version) {
            return None;
        }
        let is_flexible = version >= FLEXIBLE_FROM;
        let transactional_id = reader.string_opt(is_flexible).ok()?;
        reader.take(ACKS_AND_TIMEOUT_BYTES).ok()?;
        if transactional_id.is_some() || !is_one(&mut reader, is_flexible)? {
            return None;
        }
        let topic = if version >= IDS_FROM {
            TopicRef::Id(reader.uuid().ok()?)
        } else {
            TopicRef::Name(reader.string(is_flexible).ok()?)
        };
        if !is_one(&mut reader, is_flexible)? {
            return None;
        }
        let partition = reader.i32().ok()?;
        let length_at = reader.position();
        let len = length(&mut reader, is_flexible)?;
        let records = reader.position()..reader.position().checked_add(len)?;
        let rest = frame_len.checked_sub(records.end)?;
        (rest <= REST_MAX).then_some(LargeProduce { topic, partition, length_at, records, is_flexible })
    }

    /// The request with an empty record set; the records travel apart. `front` is what was peeked into, `rest` what
    /// follows the records.
    pub fn without_records(&self, front: &[u8], rest: &[u8]) -> Vec<u8> {
        // A compact length is one more than the length.
        let empty: &[u8] = if self.is_flexible { &[1] } else { &[0; 4] };
        [&front[..self.length_at], empty, rest].concat()
    }
}

/// `acks` and `timeout_ms`.
const ACKS_AND_TIMEOUT_BYTES: usize = 2 + 4;

fn is_one(reader: &mut Reader<'_>, is_flexible: bool) -> Option<bool> {
    Some(length(reader, is_flexible)? == 1)
}

/// The length of an array or of bytes; None where it is null.
fn length(reader: &mut Reader<'_>, is_flexible: bool) -> Option<usize> {
    if is_flexible {
        usize::try_from(reader.varint().ok()?).ok()?.checked_sub(1)
    } else {
        usize::try_from(reader.i32().ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
    use crate::types::Records;
    use crate::writer::Writer;

    const ID: Uuid = Uuid([7; 16]);

    fn request(version: i16, topics: usize, partitions: usize, transactional: bool, records: &[u8]) -> Vec<u8> {
        let data = |index| PartitionProduceData { index: index as i32, records: Records::Bytes(records) };
        let topic = TopicProduceData {
            name: "orders".into(),
            topic_id: ID,
            partition_data: (5..5 + partitions).map(data).collect(),
        };
        let request = ProduceRequest {
            transactional_id: transactional.then(|| "t".into()),
            acks: -1,
            timeout_ms: 1000,
            topic_data: vec![topic; topics],
        };
        let client_id = Some("a client".into());
        let header = RequestHeader { api_key: 0, api_version: version, correlation_id: 1, client_id };
        let mut writer = Writer::new();
        header.encode(&mut writer).expect("a header");
        request.encode(&mut writer, version).expect("a request");
        writer.into_bytes().expect("one piece")
    }

    #[test]
    fn every_version_is_found_and_emptied_as_the_decoder_sees_it() {
        for version in 3..=13 {
            let frame = request(version, 1, 1, false, &[9; 40_000]);
            let seen = LargeProduce::peek(&frame[..200], frame.len()).unwrap_or_else(|| panic!("version {version}"));
            let topic = if version < 13 { TopicRef::Name("orders".into()) } else { TopicRef::Id(ID) };
            assert_eq!((seen.topic.clone(), seen.partition), (topic, 5), "version {version}");
            assert!(frame[seen.records.clone()] == [9; 40_000], "version {version}");
            let emptied = seen.without_records(&frame[..seen.records.start], &frame[seen.records.end..]);
            assert_eq!(emptied, request(version, 1, 1, false, &[]), "version {version}");
        }
    }

    /// Versions that carry message sets are for the ordinary way; theirs are not batches that a log could take over.
    #[test]
    fn versions_before_record_batches_are_left_alone() {
        for version in 0..3 {
            let frame = request(version, 1, 1, false, &[9; 40_000]);
            assert_eq!(LargeProduce::peek(&frame[..200], frame.len()), None, "version {version}");
        }
    }

    #[test]
    fn anything_else_is_left_alone() {
        for version in [3, 8, 9, 12, 13] {
            for (topics, partitions, transactional) in [(2, 1, false), (1, 2, false), (0, 0, false), (1, 1, true)] {
                let frame = request(version, topics, partitions, transactional, &[9; 100]);
                assert_eq!(LargeProduce::peek(&frame, frame.len()), None, "version {version}");
            }
            let frame = request(version, 1, 1, false, &[9; 100]);
            let start = LargeProduce::peek(&frame, frame.len()).expect("it is one").records.start;
            for cut in 0..start {
                assert_eq!(LargeProduce::peek(&frame[..cut], frame.len()), None, "version {version} cut at {cut}");
            }
            for wrong in [0, start + 99, frame.len() + REST_MAX + 1, usize::MAX] {
                assert_eq!(LargeProduce::peek(&frame, wrong), None, "version {version}, a frame of {wrong} bytes");
            }
            let mut other = frame.clone();
            other[1] = 1;
            assert_eq!(LargeProduce::peek(&other, other.len()), None, "not a produce request");
            let mut newer = frame;
            newer[3] = 14;
            assert_eq!(LargeProduce::peek(&newer, newer.len()), None, "a version that does not exist");
        }
    }
}
