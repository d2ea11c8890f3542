//! What a fetch brought, as records: batches checked, unpacked, without what was asked to be left out; handed out where they lie.

use super::record::Consumed;
use crate::client::Fetched;
use protocol::batch::{BatchError, BatchView, ControlRecord, Limits, TimestampType, iter_batches};
use std::borrow::Cow;
use std::collections::HashSet;
use std::iter::Peekable;
use std::vec::IntoIter;
use thiserror::Error;

/// Records of one partition out of one answer, from some offset on.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Topic and partition.
    place: (String, i32),
    bytes: Vec<u8>,
    /// Where the batch that is next begins.
    at: usize,
    /// The first offset that was not handed out.
    from: i64,
    /// Where the next answer begins.
    next: i64,
    /// Aborted transactions that begin later: first offset and producer.
    aborted: Peekable<IntoIter<(i64, i64)>>,
    /// Producers whose records are left out at present.
    dropping: HashSet<i64>,
}

/// A batch that is damaged.
#[derive(Debug, Error)]
#[error("{topic}-{partition}: a record batch at or after offset {offset} is damaged: {cause}")]
pub(super) struct DecodeError {
    topic: String,
    partition: i32,
    offset: i64,
    cause: BatchError,
}

/// Whether whoever takes records wants the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Go,
    Stop,
}

/// Why records were not handed out.
#[derive(Debug, Error)]
pub(super) enum EachError<E> {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    Taker(E),
}

impl Chunk {
    /// The records from offset `from` on. What was cut short at the answer's end comes with the next one.
    pub(super) fn open(fetched: Fetched, from: i64) -> Result<Chunk, DecodeError> {
        let place = (fetched.topic, fetched.partition);
        let mut next = from;
        for batch in iter_batches(&fetched.records) {
            match batch {
                Ok(batch) => next = next.max(batch.next_offset()),
                // Not a whole batch: the answer ended here.
                Err(_) if next > from => break,
                Err(cause) => return Err(damaged(&place, next, cause)),
            }
        }
        let mut aborted: Vec<(i64, i64)> =
            fetched.aborted.iter().map(|(producer, first)| (*first, *producer)).collect();
        aborted.sort_unstable();
        let aborted = aborted.into_iter().peekable();
        Ok(Chunk { place, bytes: fetched.records, at: 0, from, next, aborted, dropping: HashSet::new() })
    }

    /// Topic and partition.
    pub(super) fn place(&self) -> &(String, i32) {
        &self.place
    }

    /// Where the next answer begins.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Whether there is nothing in it at all.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What it takes in memory.
    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Hands out records until the taker wants no more; true when none is left. It goes on behind the last one when it is called
    /// again.
    pub(super) fn each<E>(
        &mut self,
        mut take: impl FnMut(&Consumed<'_>) -> Result<Flow, E>,
    ) -> Result<bool, EachError<E>> {
        let Chunk { place, bytes, at, from, aborted, dropping, next } = self;
        while *from < *next {
            let damaged = |cause| damaged(place, *from, cause);
            let (batch, _) = BatchView::parse(&bytes[*at..]).map_err(damaged)?;
            let damaged = |cause| self::damaged(place, batch.base_offset(), cause);
            batch.check_crc().map_err(damaged)?;
            while let Some((_, producer)) = aborted.next_if(|(first, _)| *first <= batch.last_offset()) {
                dropping.insert(producer);
            }
            if !each_of(&batch, place, from, dropping, &mut take).map_err(|error| match error {
                Stopped::Damaged(cause) => EachError::Decode(damaged(cause)),
                Stopped::Taker(error) => EachError::Taker(error),
            })? {
                return Ok(false);
            }
            *from = (*from).max(batch.next_offset());
            *at += batch.size_bytes();
        }
        Ok(true)
    }
}

enum Stopped<E> {
    Damaged(BatchError),
    Taker(E),
}

/// False if the taker wants no more.
fn each_of<E>(
    batch: &BatchView<'_>,
    (topic, partition): &(String, i32),
    from: &mut i64,
    dropping: &mut HashSet<i64>,
    take: &mut impl FnMut(&Consumed<'_>) -> Result<Flow, E>,
) -> Result<bool, Stopped<E>> {
    let records = batch.records(&Limits::default()).map_err(Stopped::Damaged)?;
    if batch.is_control() {
        let first = records.iter().next().transpose().map_err(Stopped::Damaged)?;
        let kind = first.and_then(|record| ControlRecord::decode_key(record.key?).ok());
        if kind == Some(ControlRecord::Abort) {
            dropping.remove(&batch.producer_id());
        }
        return Ok(true);
    }
    if batch.is_transactional() && dropping.contains(&batch.producer_id()) {
        return Ok(true);
    }
    let is_append_time = batch.timestamp_type() == TimestampType::LogAppendTime;
    for record in &records {
        let record = record.map_err(Stopped::Damaged)?;
        if record.offset < *from {
            continue;
        }
        let consumed = Consumed {
            topic,
            partition: *partition,
            offset: record.offset,
            timestamp_ms: record.timestamp,
            is_append_time,
            key: record.key.map(Cow::Borrowed),
            value: record.value.map(Cow::Borrowed),
            headers: record
                .headers()
                .map(|header| (String::from_utf8_lossy(header.key), header.value.map(Cow::Borrowed)))
                .collect(),
        };
        *from = record.offset + 1;
        if take(&consumed).map_err(Stopped::Taker)? == Flow::Stop {
            return Ok(false);
        }
    }
    Ok(true)
}

fn damaged((topic, partition): &(String, i32), offset: i64, cause: BatchError) -> DecodeError {
    DecodeError { topic: topic.clone(), partition: *partition, offset, cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::batch::BatchBuilder;

    fn fetched(records: Vec<u8>, aborted: &[(i64, i64)]) -> Fetched {
        Fetched {
            topic: "t".to_owned(),
            partition: 0,
            error: None,
            high_watermark: 0,
            last_stable_offset: 0,
            log_start_offset: 0,
            aborted: aborted.to_vec(),
            records,
        }
    }

    fn batch(base: i64, producer: i64, values: &[&str]) -> Vec<u8> {
        let mut builder = BatchBuilder::new().position(base, 0);
        if producer >= 0 {
            builder = builder.producer(producer, 0, 0).transactional();
        }
        values.iter().for_each(|value| builder.append(1, None, Some(value.as_bytes()), &[]));
        builder.build()
    }

    fn marker(base: i64, producer: i64, kind: u8) -> Vec<u8> {
        let mut builder = BatchBuilder::new().position(base, 0).producer(producer, 0, -1).transactional().control();
        builder.append(1, Some(&[0, 0, 0, kind]), Some(&[0, 0, 0, 0, 0, 0]), &[]);
        builder.build()
    }

    fn check(bytes: Vec<u8>, aborted: &[(i64, i64)], from: i64, expect: &str, next: i64) {
        // However often it is interrupted.
        for at_once in [1, 2, usize::MAX] {
            let mut chunk = Chunk::open(fetched(bytes.clone(), aborted), from).expect("good batches");
            let mut values = Vec::new();
            let mut is_ended = false;
            while !is_ended {
                let mut taken = 0;
                is_ended = chunk
                    .each(|r| {
                        taken += 1;
                        let value = String::from_utf8_lossy(r.value.as_deref().unwrap_or_default());
                        values.push(format!("{}{value}", r.offset));
                        Ok::<_, ()>(if taken >= at_once { Flow::Stop } else { Flow::Go })
                    })
                    .expect("good records");
            }
            assert_eq!(values.join(" "), expect);
            assert_eq!(chunk.next(), next);
        }
    }

    #[test]
    fn records_from_the_offset_on() {
        check([batch(0, -1, &["a", "b", "c"]), batch(3, -1, &["d"])].concat(), &[], 1, "1b 2c 3d", 4);
        check(Vec::new(), &[], 5, "", 5);
    }

    #[test]
    fn what_is_cut_short_comes_later_and_what_is_damaged_is_said() {
        let mut bytes = [batch(0, -1, &["a"]), batch(1, -1, &["b"])].concat();
        bytes.truncate(bytes.len() - 3);
        check(bytes.clone(), &[], 0, "0a", 1);
        bytes[64] ^= 1;
        let mut chunk = Chunk::open(fetched(bytes, &[]), 0).expect("whole");
        let error = chunk.each(|_| Ok::<_, String>(Flow::Go)).expect_err("damaged");
        assert!(error.to_string().starts_with("t-0: a record batch at or after offset 0 is damaged"), "{error}");
    }

    #[test]
    fn aborted_transactions_and_markers_are_left_out() {
        let abort = 0;
        let bytes = [batch(0, 7, &["x"]), batch(1, 8, &["y"]), marker(2, 7, abort), batch(3, 7, &["z"])].concat();
        check(bytes.clone(), &[(7, 0)], 0, "1y 3z", 4);
        check(bytes, &[], 0, "0x 1y 3z", 4);
    }
}
