//! What a fetch brought, as records: batches checked, unpacked, without what was asked to be left out.

use super::record::Consumed;
use crate::client::Fetched;
use protocol::batch::{BatchError, BatchView, ControlRecord, Limits, TimestampType, iter_batches};
use std::collections::HashSet;
use thiserror::Error;

/// Records of one answer, and where the next begins.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) records: Vec<Consumed>,
    pub(super) next: i64,
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

/// The records from offset `from` on. What was cut short at the answer's end comes with the next one.
pub(super) fn records(fetched: &Fetched, from: i64) -> Result<Decoded, DecodeError> {
    let mut decoded = Decoded { records: Vec::new(), next: from };
    let mut aborted = fetched.aborted.clone();
    aborted.sort_by_key(|(_, first)| *first);
    let mut aborted = aborted.into_iter().peekable();
    let mut dropping: HashSet<i64> = HashSet::new();
    let damaged =
        |offset, cause| DecodeError { topic: fetched.topic.clone(), partition: fetched.partition, offset, cause };
    for batch in iter_batches(&fetched.records) {
        let batch = match batch {
            Ok(batch) => batch,
            // Not a whole batch: the answer ended here.
            Err(_) if decoded.next > from => break,
            Err(cause) => return Err(damaged(decoded.next, cause)),
        };
        batch.check_crc().map_err(|cause| damaged(batch.base_offset(), cause))?;
        while let Some((producer, _)) = aborted.next_if(|(_, first)| *first <= batch.last_offset()) {
            dropping.insert(producer);
        }
        take(&batch, fetched, from, &mut dropping, &mut decoded)
            .map_err(|cause| damaged(batch.base_offset(), cause))?;
        decoded.next = decoded.next.max(batch.next_offset());
    }
    Ok(decoded)
}

fn take(
    batch: &BatchView<'_>,
    fetched: &Fetched,
    from: i64,
    dropping: &mut HashSet<i64>,
    into: &mut Decoded,
) -> Result<(), BatchError> {
    let records = batch.records(&Limits::default())?;
    if batch.is_control() {
        let first = records.iter().next().transpose()?;
        let kind = first.and_then(|record| ControlRecord::decode_key(record.key?).ok());
        if kind == Some(ControlRecord::Abort) {
            dropping.remove(&batch.producer_id());
        }
        return Ok(());
    }
    if batch.is_transactional() && dropping.contains(&batch.producer_id()) {
        return Ok(());
    }
    for record in &records {
        let record = record?;
        if record.offset < from {
            continue;
        }
        let headers = record
            .headers()
            .map(|header| (String::from_utf8_lossy(header.key).into_owned(), header.value.map(<[u8]>::to_vec)));
        into.records.push(Consumed {
            topic: fetched.topic.clone(),
            partition: fetched.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp,
            is_append_time: batch.timestamp_type() == TimestampType::LogAppendTime,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: headers.collect(),
        });
    }
    Ok(())
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
        let decoded = records(&fetched(bytes, aborted), from).expect("good batches");
        let values = decoded
            .records
            .iter()
            .map(|r| format!("{}{}", r.offset, String::from_utf8_lossy(r.value.as_deref().unwrap_or_default())));
        assert_eq!(values.collect::<Vec<_>>().join(" "), expect);
        assert_eq!(decoded.next, next);
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
        let error = records(&fetched(bytes, &[]), 0).expect_err("damaged");
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
