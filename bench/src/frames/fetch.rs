//! Fetch: a request whose offset is patched in place, and what stands in front of an answer's records.

use super::{AnswerError, frame, i16_at, i32_at, i64_at};
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use protocol::{ApiKey, EncodeError};

pub(super) const FETCH_VERSION: i16 = 11;

/// A Fetch request for one partition, and where in it the wanted offset lies.
#[derive(Clone, Debug)]
pub struct FetchTemplate {
    bytes: Vec<u8>,
    offset_at: usize,
}

impl FetchTemplate {
    /// A sessionless Fetch of one partition.
    pub fn new(topic: &str, partition: i32, max_bytes: i32, max_wait_ms: i32) -> Result<FetchTemplate, EncodeError> {
        let with = |offset: i64| {
            let request = FetchRequest {
                replica_id: -1,
                max_wait_ms,
                min_bytes: 1,
                max_bytes,
                session_epoch: -1,
                topics: vec![FetchTopic {
                    topic: topic.into(),
                    partitions: vec![FetchPartition {
                        partition,
                        fetch_offset: offset,
                        current_leader_epoch: -1,
                        log_start_offset: -1,
                        partition_max_bytes: max_bytes,
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            };
            frame(ApiKey::Fetch, FETCH_VERSION, |w| request.encode(w, FETCH_VERSION))
        };
        // The field is found by encoding two offsets that differ in their first byte.
        let (bytes, other) = (with(0)?, with(0x7f << 56)?);
        let offset_at = bytes.iter().zip(&other).position(|(a, b)| a != b).unwrap_or_default();
        Ok(FetchTemplate { bytes, offset_at })
    }

    /// The request for `offset`.
    pub fn at(&mut self, offset: i64) -> &[u8] {
        self.bytes[self.offset_at..self.offset_at + 8].copy_from_slice(&offset.to_be_bytes());
        &self.bytes
    }
}

/// What a Fetch answer's front says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchHead {
    /// The partition's high watermark.
    pub high_watermark: i64,
    /// Length of the records in bytes, a cut last batch included.
    pub records_len: usize,
    /// The first batch, where there is one.
    pub first: Option<FirstBatch>,
}

/// The first batch of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstBatch {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Its length in bytes, header included.
    pub len: usize,
    /// Offsets that it covers.
    pub records: i64,
}

/// Reads the front of an answer of `len` bytes (without its length prefix) from as much of it as is there. `None`: more
/// must come first.
pub fn fetch_head(front: &[u8], len: usize) -> Result<Option<FetchHead>, AnswerError> {
    match read_head(front) {
        Err(AnswerError::Short(_)) if front.len() < len => Ok(None),
        other => other.map(Some),
    }
}

fn read_head(front: &[u8]) -> Result<FetchHead, AnswerError> {
    // correlation, throttle, error, session, topic count, name, partition count, index, error
    let top = i16_at(front, 8)?;
    if top != 0 {
        return Err(AnswerError::Code(top));
    }
    let name = i16_at(front, 18)?.max(0) as usize;
    let at = 20 + name + 4 + 4;
    let code = i16_at(front, at)?;
    if code != 0 {
        return Err(AnswerError::Code(code));
    }
    let high_watermark = i64_at(front, at + 2)?;
    // high watermark, last stable offset, log start, aborted transactions (16 bytes each), preferred replica, length
    let aborted = i32_at(front, at + 26)?.max(0) as usize;
    let len_at = at + 30 + aborted * 16 + 4;
    let records_len = i32_at(front, len_at)?.max(0) as usize;
    let first = if records_len < protocol::batch::HEADER_LEN { None } else { Some(first_batch(front, len_at + 4)?) };
    Ok(FetchHead { high_watermark, records_len, first })
}

fn first_batch(front: &[u8], at: usize) -> Result<FirstBatch, AnswerError> {
    Ok(FirstBatch {
        base_offset: i64_at(front, at)?,
        len: 12 + i32_at(front, at + 8)?.max(0) as usize,
        records: i64::from(i32_at(front, at + 23)?) + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{batch, testing::fetch_answer};
    use super::*;

    #[test]
    fn the_front_says_what_comes_and_asks_for_more_until_it_is_there() {
        let (one, count) = batch(1000, 100, 0);
        let answer = fetch_answer(0, 500, &[&one[..], &one].concat());
        let first = FirstBatch { base_offset: 0, len: one.len(), records: count as i64 };
        let expected = FetchHead { high_watermark: 500, records_len: 2 * one.len(), first: Some(first) };
        let body = &answer[4..];
        let enough = (0..body.len()).find(|n| fetch_head(&body[..*n], body.len()).unwrap().is_some()).unwrap();
        assert!(enough < 200, "{enough} bytes were needed");
        for n in enough..body.len() {
            assert_eq!(fetch_head(&body[..n], body.len()).unwrap(), Some(expected));
        }
        let short = fetch_head(&body[..30], 30);
        assert!(matches!(short, Err(AnswerError::Short(30))), "an answer that ends early is one: {short:?}");
    }

    #[test]
    fn an_error_is_seen_before_records_are_looked_for() {
        let answer = fetch_answer(3, 0, &[]);
        assert!(matches!(fetch_head(&answer[4..], answer.len() - 4), Err(AnswerError::Code(3))));
    }

    #[test]
    fn the_wanted_offset_is_patched_in_place() {
        let mut template = FetchTemplate::new("t", 0, 1 << 20, 100).unwrap();
        let (a, b) = (template.at(1).to_vec(), template.at(2).to_vec());
        assert_eq!(a.iter().zip(&b).filter(|(x, y)| x != y).count(), 1);
    }
}
