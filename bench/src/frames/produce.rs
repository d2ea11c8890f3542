//! Produce: batches, the request around them, and its answer.

use super::{AnswerError, frame, i16_at, i64_at};
use protocol::batch::BatchBuilder;
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::{ApiKey, EncodeError, Records};

pub(super) const PRODUCE_VERSION: i16 = 7;

/// One uncompressed batch of at most `batch_bytes` bytes (or a single record of `record_bytes`), and its record count.
pub fn batch(batch_bytes: usize, record_bytes: usize, timestamp_ms: i64) -> (Vec<u8>, usize) {
    let mut builder = BatchBuilder::new();
    let mut count = 0;
    // Incompressible enough that no file system or link gains from it, equal from run to run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while count == 0 || builder.plain_size_bytes() + record_bytes <= batch_bytes {
        let value: Vec<u8> = (0..record_bytes)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        builder.append(timestamp_ms, None, Some(&value), &[]);
        count += 1;
    }
    (builder.build(), count)
}

/// A Produce request with one batch for one partition.
pub fn produce(topic: &str, partition: i32, acks: i16, records: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let request = ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            partition_data: vec![PartitionProduceData { index: partition, records: Records::Bytes(records) }],
            ..Default::default()
        }],
    };
    frame(ApiKey::Produce, PRODUCE_VERSION, |w| request.encode(w, PRODUCE_VERSION))
}

/// The same request without its records, which lie at its end: they are the same for every partition.
pub fn produce_head(topic: &str, partition: i32, acks: i16, records: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let mut whole = produce(topic, partition, acks, records)?;
    assert!(whole.ends_with(records), "a Produce {PRODUCE_VERSION} request ends with its records");
    whole.truncate(whole.len() - records.len());
    Ok(whole)
}

/// Checks a Produce answer (without its length prefix) and returns the base offset.
pub fn produced(answer: &[u8]) -> Result<i64, AnswerError> {
    // correlation, topic count, name, partition count, index, error, base offset
    let name = i16_at(answer, 8)?.max(0) as usize;
    let at = 10 + name + 4 + 4;
    match i16_at(answer, at)? {
        0 => i64_at(answer, at + 2),
        code => Err(AnswerError::Code(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::produce_answer;
    use super::*;

    #[test]
    fn a_produce_answer_gives_its_offset_or_its_error() {
        assert_eq!(produced(&produce_answer(0, 77)[4..]).unwrap(), 77);
        assert!(matches!(produced(&produce_answer(10, 77)[4..]), Err(AnswerError::Code(10))));
        let whole = produce_answer(0, 77);
        assert!((4..24).all(|cut| produced(&whole[4..cut]).is_err()));
    }

    #[test]
    fn heads_and_the_shared_batch_make_whole_requests() {
        let (records, _) = batch(5_000, 100, 7);
        for partition in [0, 9_999] {
            let head = produce_head("topic", partition, -1, &records).unwrap();
            assert_eq!([head, records.clone()].concat(), produce("topic", partition, -1, &records).unwrap());
        }
    }

    #[test]
    fn a_batch_keeps_to_its_size_and_holds_at_least_one_record() {
        let (records, count) = batch(16_000, 1_000, 0);
        assert!(records.len() <= 16_000 && count == 15, "{} bytes, {count} records", records.len());
        assert_eq!(batch(1, 100, 0).1, 1);
    }
}
