//! Batches byte for byte as the Java client 4.3.1 writes them, one for each codec and one commit marker.
//!
//! If these break, no Kafka client reads what we build, or we misread what all of them send.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod batch_support;

use batch_support::hex;
use protocol::batch::{BatchBuilder, BatchView, ControlRecord, EndTxnMarker, Header, Limits, TimestampType};
use protocol::compress::Codec;

/// The uncompressed batch, field by field.
const PLAIN: &str = "
    0000000000000000  000000b7  ffffffff  02     | base offset 0, 183 bytes follow, no leader epoch, magic 2
    254902c6  0000  00000002                     | CRC-32C, attributes, last offset delta
    0000018bcfe56800  0000018bcfe5692c           | base and largest timestamp
    0000000000001234  0005  00000007  00000003   | producer id, epoch, sequence, three records
    20 00 00 00   02 6b  04 7631                 | 16 bytes, attributes, two deltas, key k, value v1,
    04  02 68 02 78  02 68 01                    | two headers: h=x, h=null
    0c 00 13 02   01 01  00                      | 6 bytes, timestamp 10 ms before the first, key and value null, no header
    d801 00 d804 04  00  c801                    | 108 bytes, 300 ms after, empty key, value of a hundred zeros
    00000000000000000000 00000000000000000000 00000000000000000000 00000000000000000000 00000000000000000000
    00000000000000000000 00000000000000000000 00000000000000000000 00000000000000000000 00000000000000000000
    00";

/// The same batch under each codec, as Java's libraries compressed it.
const COMPRESSED: [(Codec, &str); 4] = [
    (
        Codec::Gzip,
        "000000000000000000000067ffffffff02d2791fd40001000000020000018bcfe568000000018bcfe5692c0000000000001234000500000007
         000000031f8b08000000000000ff5360606060ca6629336461ca60aa60ca60e4611066626464b801442c2c0c271819e80100b1a21f7886000000",
    ),
    (
        Codec::Snappy,
        "000000000000000000000071ffffffff028444fb110002000000020000018bcfe568000000018bcfe5692c0000000000001234000500000007
         0000000382534e415050590000000001000000010000002c86018820000000026b04763104026802780268010c001302010100d80100d80404
         00c8010000fe02008a0200",
    ),
    (
        Codec::Lz4,
        "00000000000000000000006dffffffff0273342cf10003000000020000018bcfe568000000018bcfe5692c0000000000001234000500000007
         0000000304224d186040822d000000ff1320000000026b04763104026802780268010c001302010100d80100d8040400c8010001004c500000
         00000000000000",
    ),
    (
        Codec::Zstd,
        "000000000000000000000067ffffffff028d4217ec0004000000020000018bcfe568000000018bcfe5692c0000000000001234000500000007
         0000000328b52ffd0058540100240220000000026b04763104026802780268010c001302010100d80100d8040400c8010001000a2978020100
         00",
    ),
];

fn plain() -> Vec<u8> {
    let data = |line: &'static str| line.split('|').next().unwrap_or_default();
    hex(&PLAIN.lines().map(data).collect::<String>())
}

fn builder() -> BatchBuilder {
    let mut builder = BatchBuilder::new().producer(0x1234, 5, 7);
    let headers = [Header { key: b"h", value: Some(b"x") }, Header { key: b"h", value: None }];
    builder.append(1_700_000_000_000, Some(b"k"), Some(b"v1"), &headers);
    builder.append(1_699_999_999_990, None, None, &[]);
    builder.append(1_700_000_000_300, Some(b""), Some(&[0; 100]), &[]);
    builder
}

#[test]
fn we_write_what_java_writes() {
    assert_eq!(builder().build(), plain());
}

#[test]
fn we_read_what_java_writes() {
    let check = |codec: Codec, bytes: &[u8]| {
        let (batch, rest) = BatchView::parse(bytes).unwrap();
        assert_eq!(rest, []);
        batch.check_crc().unwrap();
        assert_eq!(batch.codec(), codec);
        assert_eq!(batch.timestamp_type(), TimestampType::CreateTime);
        assert_eq!((batch.base_offset(), batch.last_offset(), batch.next_offset()), (0, 2, 3));
        assert_eq!((batch.producer_id(), batch.producer_epoch(), batch.base_sequence()), (0x1234, 5, 7));
        assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (1_700_000_000_000, 1_700_000_000_300));
        let records = batch.records(&Limits::default()).unwrap();
        let all: Vec<_> = records.iter().collect::<Result<_, _>>().unwrap();
        let [first, second, third] = all.as_slice() else { panic!("{} records", all.len()) };
        assert_eq!((first.offset, first.timestamp), (0, 1_700_000_000_000));
        assert_eq!((first.key, first.value), (Some(&b"k"[..]), Some(&b"v1"[..])));
        let headers: Vec<_> = first.headers().map(|header| (header.key, header.value)).collect();
        assert_eq!(headers, [(&b"h"[..], Some(&b"x"[..])), (b"h", None)]);
        assert_eq!((second.offset, second.timestamp, second.key, second.value), (1, 1_699_999_999_990, None, None));
        assert_eq!((third.offset, third.timestamp), (2, 1_700_000_000_300));
        assert_eq!((third.key, third.value), (Some(&b""[..]), Some(&[0; 100][..])));
    };
    check(Codec::None, &plain());
    for (codec, digits) in COMPRESSED {
        check(codec, &hex(digits));
    }
}

#[test]
fn our_compressed_batches_hold_the_same_records() {
    for (codec, digits) in COMPRESSED {
        let ours = builder().compression(codec, None).build();
        let javas = hex(digits);
        let body =
            |bytes: &[u8]| BatchView::parse(bytes).unwrap().0.records(&Limits::default()).unwrap().bytes().to_vec();
        assert_eq!(body(&ours), body(&javas), "{codec:?}");
    }
}

/// `MemoryRecords.withEndTransactionMarker` at offset 42 in leader epoch 3, coordinator epoch 9.
#[test]
fn commit_marker() {
    let javas = hex(
        "000000000000002a000000420000000302b483393c0030000000000000018bcfe568000000018bcfe5680000000000000012340005ffffffff
         000000012000000008000000010c00000000000900",
    );
    let marker = EndTxnMarker { coordinator_epoch: 9 };
    let mut builder = BatchBuilder::new().position(42, 3).producer(0x1234, 5, -1).transactional().control();
    builder.append(1_700_000_000_000, Some(&ControlRecord::Commit.encode_key()), Some(&marker.encode()), &[]);
    assert_eq!(builder.build(), javas);

    let (batch, _) = BatchView::parse(&javas).unwrap();
    assert!(batch.is_control() && batch.is_transactional());
    let records = batch.records(&Limits::default()).unwrap();
    let record = records.iter().next().unwrap().unwrap();
    assert_eq!(ControlRecord::decode_key(record.key.unwrap()), Ok(ControlRecord::Commit));
    assert_eq!(EndTxnMarker::decode(record.value.unwrap()), Ok(marker));
}
