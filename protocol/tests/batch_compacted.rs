//! Batches as compaction leaves them: gaps between offsets, or no records at all. Readers have to take them as they are.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use protocol::batch::{BatchBuilder, BatchError, BatchView, Limits, iter_batches};

#[test]
fn gaps_between_offsets() {
    let mut builder = BatchBuilder::new().position(100, 2);
    builder.append_at(3, 50, Some(b"a"), None, &[]);
    builder.append_at(9, 40, Some(b"b"), Some(b""), &[]);
    let bytes = builder.build();
    let (batch, _) = BatchView::parse(&bytes).unwrap();
    assert_eq!((batch.record_count(), batch.last_offset(), batch.next_offset()), (2, 109, 110));
    assert_eq!(batch.max_timestamp(), 50);
    let records = batch.records(&Limits::default()).unwrap();
    let seen: Vec<_> = records.iter().map(|record| record.map(|record| (record.offset, record.timestamp))).collect();
    assert_eq!(seen, [Ok((103, 50)), Ok((109, 40))]);
}

#[test]
fn an_emptied_batch_keeps_its_producer() {
    let bytes = BatchBuilder::new().position(7, 0).producer(3, 1, 20).build();
    assert_eq!(bytes.len(), protocol::batch::HEADER_LEN);
    let (batch, _) = BatchView::parse(&bytes).unwrap();
    batch.check_crc().unwrap();
    assert_eq!((batch.record_count(), batch.producer_id(), batch.last_sequence()), (0, 3, 20));
    assert_eq!(batch.records(&Limits::default()).unwrap().iter().count(), 0);
    assert_eq!(iter_batches(&bytes).count(), 1);
}

#[test]
fn an_offset_outside_the_batch_is_a_flaw() {
    let mut builder = BatchBuilder::new();
    builder.append(0, None, None, &[]);
    let mut bytes = builder.build();
    let offset_delta = protocol::batch::HEADER_LEN + 3;
    bytes[offset_delta] = 2;
    let (batch, _) = BatchView::parse(&bytes).unwrap();
    let records = batch.records(&Limits::default()).unwrap();
    let verdicts: Vec<_> = records.iter().map(Result::unwrap_err).collect();
    assert_eq!(verdicts, [BatchError::Record { index: 0, reason: "its offset lies outside the batch" }]);
}

#[test]
fn sequences_wrap() {
    let last = |base_sequence: i32, records: i32| {
        let mut builder = BatchBuilder::new().producer(1, 0, base_sequence);
        (0..records).for_each(|_| builder.append(0, None, None, &[]));
        BatchView::parse(&builder.build()).unwrap().0.last_sequence()
    };
    assert_eq!(last(0, 3), 2);
    assert_eq!(last(i32::MAX, 1), i32::MAX);
    assert_eq!(last(i32::MAX, 2), 0);
    assert_eq!(last(i32::MAX - 1, 4), 1);
    assert_eq!(last(-1, 1), -1);
}
