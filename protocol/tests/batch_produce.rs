//! What a Produce request's record set must be, and the error code for each way of being something else.
//!
//! If this breaks, clients retry what can never succeed or give up on what would, or a bad batch is appended.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod batch_support;

use batch_support::Rng;
use protocol::batch::{
    Attributes, BatchBuilder, BatchError, Depth, Limits, ProduceRules, TimestampWindow, layout, patch,
    set_log_append_time, validate_produce,
};
use protocol::compress::Codec;

const NONE: i16 = 0;
const CORRUPT_MESSAGE: i16 = 2;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_TIMESTAMP: i16 = 32;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
const INVALID_RECORD: i16 = 87;

fn good() -> Vec<u8> {
    let mut builder = BatchBuilder::new().producer(1, 0, 0);
    builder.append(1_000, Some(b"a"), Some(b"1"), &[]);
    builder.append(1_005, None, Some(b"2"), &[]);
    builder.build()
}

/// Writes `field` at `at` and makes the checksum right again.
fn with(at: usize, field: &[u8]) -> Vec<u8> {
    let mut bytes = good();
    bytes[at..at + field.len()].copy_from_slice(field);
    sealed(bytes)
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = protocol::crc::crc32c(&bytes[layout::ATTRIBUTES..]);
    bytes[layout::CRC..layout::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    bytes
}

#[track_caller]
fn check(bytes: &[u8], rules: &ProduceRules, expect: i16) {
    let verdict = validate_produce(bytes, rules);
    let code = verdict.as_ref().err().map_or(NONE, BatchError::kafka_error);
    assert_eq!(code, expect, "{verdict:?}");
}

#[test]
fn header_rules() {
    let (at, flags) = (layout::ATTRIBUTES, |bits: i16| bits.to_be_bytes());
    let mut wrong_crc = good();
    wrong_crc[layout::CRC] ^= 1;
    let mut two = good();
    two.extend_from_slice(&good());
    let cases: Vec<(&str, Vec<u8>, i16)> = vec![
        ("as it should be", good(), NONE),
        ("no bytes", vec![], INVALID_RECORD),
        ("half a batch", good()[..70].to_vec(), INVALID_RECORD),
        ("less than a length", good()[..11].to_vec(), INVALID_RECORD),
        ("two batches", two, INVALID_RECORD),
        ("a byte behind", [good(), vec![0]].concat(), INVALID_RECORD),
        ("length negative", with(layout::BATCH_LENGTH, &(-1_i32).to_be_bytes()), CORRUPT_MESSAGE),
        ("length zero", with(layout::BATCH_LENGTH, &0_i32.to_be_bytes()), CORRUPT_MESSAGE),
        ("length below a header", with(layout::BATCH_LENGTH, &48_i32.to_be_bytes()), CORRUPT_MESSAGE),
        ("length 2 GiB", with(layout::BATCH_LENGTH, &i32::MAX.to_be_bytes()), INVALID_RECORD),
        ("magic 0", with(layout::MAGIC, &[0]), INVALID_RECORD),
        ("magic 1", with(layout::MAGIC, &[1]), INVALID_RECORD),
        ("magic 3", with(layout::MAGIC, &[3]), CORRUPT_MESSAGE),
        ("magic -1", with(layout::MAGIC, &[0xff]), CORRUPT_MESSAGE),
        ("checksum", wrong_crc, CORRUPT_MESSAGE),
        ("base offset 1", with(layout::BASE_OFFSET, &1_i64.to_be_bytes()), INVALID_RECORD),
        ("base offset -1", with(layout::BASE_OFFSET, &(-1_i64).to_be_bytes()), INVALID_RECORD),
        ("base offset at the end", with(layout::BASE_OFFSET, &i64::MAX.to_be_bytes()), INVALID_RECORD),
        ("count 0", with(layout::RECORD_COUNT, &0_i32.to_be_bytes()), INVALID_RECORD),
        ("count negative", with(layout::RECORD_COUNT, &(-2_i32).to_be_bytes()), INVALID_RECORD),
        ("count 1 of 2", with(layout::RECORD_COUNT, &1_i32.to_be_bytes()), INVALID_RECORD),
        ("count 2^31-1", with(layout::RECORD_COUNT, &i32::MAX.to_be_bytes()), INVALID_RECORD),
        ("delta negative", with(layout::LAST_OFFSET_DELTA, &(-1_i32).to_be_bytes()), INVALID_RECORD),
        ("delta beyond the count", with(layout::LAST_OFFSET_DELTA, &2_i32.to_be_bytes()), INVALID_RECORD),
        ("codec 5", with(at, &flags(5)), UNSUPPORTED_COMPRESSION_TYPE),
        ("codec 7", with(at, &flags(7)), UNSUPPORTED_COMPRESSION_TYPE),
        ("a control batch", with(at, &flags(Attributes::CONTROL)), INVALID_RECORD),
        ("log append time", with(at, &flags(Attributes::LOG_APPEND_TIME)), INVALID_TIMESTAMP),
        ("producer without sequence", with(layout::BASE_SEQUENCE, &(-1_i32).to_be_bytes()), INVALID_RECORD),
        ("producer without epoch", with(layout::PRODUCER_EPOCH, &(-1_i16).to_be_bytes()), INVALID_RECORD),
    ];
    for depth in [Depth::Shallow, Depth::Deep] {
        for (name, bytes, expect) in &cases {
            println!("{name}, {depth:?}");
            check(bytes, &ProduceRules::new(1 << 20, depth), *expect);
        }
    }
}

#[test]
fn a_transaction_needs_a_producer() {
    let build = |builder: BatchBuilder| {
        let mut builder = builder.transactional();
        builder.append(0, None, None, &[]);
        builder.build()
    };
    let rules = ProduceRules::new(1 << 20, Depth::Shallow);
    check(&build(BatchBuilder::new().producer(1, 0, 0)), &rules, NONE);
    check(&build(BatchBuilder::new()), &rules, INVALID_RECORD);
}

#[test]
fn size_is_that_of_the_batch() {
    let rules = |max| ProduceRules::new(max, Depth::Shallow);
    check(&good(), &rules(good().len()), NONE);
    check(&good(), &rules(good().len() - 1), MESSAGE_TOO_LARGE);
}

#[test]
fn zstd_by_version() {
    let mut builder = BatchBuilder::new().compression(Codec::Zstd, None);
    builder.append(0, None, Some(b"value"), &[]);
    let batch = builder.build();
    let rules = ProduceRules::new(1 << 20, Depth::Deep);
    check(&batch, &rules, NONE);
    check(&batch, &ProduceRules { zstd_allowed: false, ..rules }, UNSUPPORTED_COMPRESSION_TYPE);
}

/// The batch holds 1000 ms, then 1005 ms; a timestamp of -1 is none at all and always passes.
#[test]
fn timestamps_within_the_window() {
    let window = |before, after| TimestampWindow::around(1_002, before, after);
    for depth in [Depth::Shallow, Depth::Deep] {
        let rules = |window| ProduceRules { timestamp_window: Some(window), ..ProduceRules::new(1 << 20, depth) };
        check(&good(), &rules(window(i64::MAX, i64::MAX)), NONE);
        check(&good(), &rules(window(2, 3)), NONE);
        check(&good(), &rules(window(1, 3)), INVALID_TIMESTAMP);
        check(&good(), &rules(window(2, 2)), INVALID_TIMESTAMP);
        let mut builder = BatchBuilder::new();
        builder.append(-1, None, None, &[]);
        check(&builder.build(), &rules(window(0, 0)), NONE);
    }
}

#[test]
fn only_a_deep_check_sees_the_records() {
    let shallow = ProduceRules::new(1 << 20, Depth::Shallow);
    let deep = ProduceRules { depth: Depth::Deep, ..shallow };
    let first = layout::HEADER_LEN;
    // The first record: length, attributes, timestamp delta, offset delta, key length, key, value length, value, headers.
    let cases: [(&str, usize, u8); 6] = [
        ("length too long", first, 0x20),
        ("length negative", first, 0x01),
        ("offset delta 1 comes first", first + 3, 0x02),
        ("key length -2", first + 4, 0x03),
        ("value runs out of the record", first + 6, 0x7e),
        ("headers without room", first + 8, 0x7e),
    ];
    for (name, at, byte) in cases {
        println!("{name}");
        check(&with(at, &[byte]), &shallow, NONE);
        check(&with(at, &[byte]), &deep, INVALID_RECORD);
    }
    check(&good(), &ProduceRules { keys_required: true, ..shallow }, NONE);
    check(&good(), &ProduceRules { keys_required: true, ..deep }, INVALID_RECORD);
}

#[test]
fn the_true_largest_timestamp() {
    let lying = with(layout::MAX_TIMESTAMP, &9_999_i64.to_be_bytes());
    let max = |depth| validate_produce(&lying, &ProduceRules::new(1 << 20, depth)).unwrap().max_timestamp;
    assert_eq!((max(Depth::Shallow), max(Depth::Deep)), (9_999, 1_005));
}

#[test]
fn compressed_records() {
    let deep = ProduceRules::new(64 << 20, Depth::Deep);
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut builder = BatchBuilder::new().compression(codec, None);
        for index in 0..100 {
            builder.append(index, Some(b"key"), Some(&Rng(index as u64).text(1_000)), &[]);
        }
        let batch = builder.build();
        check(&batch, &deep, NONE);
        let mut cut = batch.clone();
        cut.truncate(batch.len() - 5);
        let length = (cut.len() - layout::LENGTH_PREFIX_LEN) as i32;
        cut[layout::BATCH_LENGTH..layout::LEADER_EPOCH].copy_from_slice(&length.to_be_bytes());
        check(&sealed(cut), &deep, CORRUPT_MESSAGE);
        // About 100 KB of records: a cap below them stops the stream.
        let limits = Limits { decompressed_bytes_max: 50_000 };
        check(&batch, &ProduceRules { limits, ..deep }, MESSAGE_TOO_LARGE);
        let exact = protocol::batch::BatchView::parse(&batch).unwrap().0.records(&Limits::default()).unwrap();
        let limits = Limits { decompressed_bytes_max: exact.bytes().len() };
        check(&batch, &ProduceRules { limits, ..deep }, NONE);
    }
}

#[test]
fn patching_keeps_the_checksum() {
    let mut batch = good();
    patch(&mut batch, 12_345_678_901, 17);
    let (view, _) = protocol::batch::BatchView::parse(&batch).unwrap();
    view.check_crc().unwrap();
    assert_eq!((view.base_offset(), view.next_offset(), view.leader_epoch()), (12_345_678_901, 12_345_678_903, 17));
    set_log_append_time(&mut batch, 77_000);
    let (view, _) = protocol::batch::BatchView::parse(&batch).unwrap();
    view.check_crc().unwrap();
    let records = view.records(&Limits::default()).unwrap();
    assert!(records.iter().all(|record| record.unwrap().timestamp == 77_000));
    assert_eq!(view.max_timestamp(), 77_000);
}
