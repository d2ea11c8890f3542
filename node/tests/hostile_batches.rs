//! Record sets that must not be appended: Kafka's error code for their partition, nothing appended there, and the other
//! partitions of the same request unharmed.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::memory::MOVES_MAX_KIB;
use common::{Broker, Client, folder};
use protocol::batch::{BatchBuilder, layout};
use protocol::compress::{Codec, compress};
use protocol::crc::crc32c;
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use protocol::{ApiKey, ErrorCode, Records};

const NOW_MS: i64 = 1_700_000_000_000;

fn good() -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for value in ["a", "b", "c"] {
        builder.append(NOW_MS, None, Some(value.as_bytes()), &[]);
    }
    builder.build()
}

/// A good batch with `bytes` at `at`, its checksum made right again.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = good();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    sealed(batch)
}

/// Makes length and checksum right.
fn sealed(mut batch: Vec<u8>) -> Vec<u8> {
    let length = i32::try_from(batch.len() - layout::LENGTH_PREFIX_LEN).expect("small");
    batch[layout::BATCH_LENGTH..layout::LEADER_EPOCH].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c(&batch[layout::ATTRIBUTES..]);
    batch[layout::CRC..layout::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// The same without touching the checksum.
fn unsealed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = good();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    batch
}

/// One record whose value is `len` zeros, compressed: some kilobytes that say they are much.
fn bomb(codec: Codec, len: usize) -> Vec<u8> {
    let varint = |number: usize| {
        let (mut zigzag, mut bytes) = (number << 1, Vec::new());
        while zigzag >= 0x80 {
            bytes.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        bytes.push(zigzag as u8);
        bytes
    };
    // Attributes, timestamp delta, offset delta, null key; the value; no headers.
    let body = [&[0, 0, 0, 1][..], &varint(len), &vec![0; len], &[0]].concat();
    let plain = [varint(body.len()), body].concat();
    let mut batch = BatchBuilder::new();
    batch.append(NOW_MS, None, Some(b""), &[]);
    let mut batch = batch.build();
    batch[layout::ATTRIBUTES + 1] = codec.id();
    batch.truncate(layout::HEADER_LEN);
    batch.extend(compress(codec, None, &plain));
    sealed(batch)
}

/// Produces these record sets, one a partition, in one request; each partition's error code and base offset.
fn produce(client: &mut Client, topic: &str, version: i16, sets: &[&[u8]]) -> Vec<(i16, i64)> {
    let data = |(index, set): (usize, &&'static [u8])| PartitionProduceData {
        index: index as i32,
        records: Records::Bytes(set),
    };
    let leaked: Vec<&'static [u8]> = sets.iter().map(|set| &*set.to_vec().leak()).collect();
    let partition_data = leaked.iter().enumerate().map(data).collect();
    let topic = TopicProduceData { name: topic.to_owned().into(), partition_data, ..Default::default() };
    let request = ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 10_000, topic_data: vec![topic] };
    client.ask(
        ApiKey::Produce,
        version,
        |writer| request.encode(writer, version),
        |reader| {
            let response = ProduceResponse::decode(reader, version)?;
            let partitions = &response.responses[0].partition_responses;
            Ok(partitions.iter().map(|partition| (partition.error_code, partition.base_offset)).collect())
        },
    )
}

/// Between two good ones, a bad record set gets `expect` and nothing else happens.
fn check(client: &mut Client, what: &str, bad: &[u8], expect: ErrorCode) {
    let ends: Vec<i64> = (0..3).map(|partition| client.list_offset("t", partition, -1).1).collect();
    let got = produce(client, "t", 9, &[&good(), bad, &good()]);
    assert_eq!(got, [(0, ends[0]), (expect.code(), -1), (0, ends[2])], "{what}");
    let after: Vec<i64> = (0..3).map(|partition| client.list_offset("t", partition, -1).1).collect();
    assert_eq!(after, [ends[0] + 3, ends[1], ends[2] + 3], "{what}");
}

#[test]
fn a_damaged_batch_is_refused_for_itself() {
    use layout::*;
    let huge = i32::MAX.to_be_bytes();
    let cases: Vec<(&str, Vec<u8>, ErrorCode)> = vec![
        ("crc", unsealed(CRC, &[1, 2, 3, 4]), ErrorCode::CorruptMessage),
        ("a flipped bit in a record", unsealed(HEADER_LEN + 5, &[0xFF]), ErrorCode::CorruptMessage),
        ("magic 0", unsealed(MAGIC, &[0]), ErrorCode::InvalidRecord),
        ("magic 1", unsealed(MAGIC, &[1]), ErrorCode::InvalidRecord),
        ("magic 3", unsealed(MAGIC, &[3]), ErrorCode::CorruptMessage),
        ("magic -1", unsealed(MAGIC, &[0xFF]), ErrorCode::CorruptMessage),
        ("length 0", unsealed(BATCH_LENGTH, &[0; 4]), ErrorCode::CorruptMessage),
        ("length -1", unsealed(BATCH_LENGTH, &[0xFF; 4]), ErrorCode::CorruptMessage),
        (
            "length one less",
            unsealed(BATCH_LENGTH, &((good().len() - 13) as i32).to_be_bytes()),
            ErrorCode::InvalidRecord,
        ),
        (
            "length one more",
            unsealed(BATCH_LENGTH, &((good().len() - 11) as i32).to_be_bytes()),
            ErrorCode::InvalidRecord,
        ),
        ("length of 2 GiB", unsealed(BATCH_LENGTH, &huge), ErrorCode::InvalidRecord),
        ("a record count one more", with(RECORD_COUNT, &4i32.to_be_bytes()), ErrorCode::InvalidRecord),
        ("a record count one less", with(RECORD_COUNT, &2i32.to_be_bytes()), ErrorCode::InvalidRecord),
        ("no records", with(RECORD_COUNT, &[0; 4]), ErrorCode::InvalidRecord),
        ("a negative record count", with(RECORD_COUNT, &[0xFF; 4]), ErrorCode::InvalidRecord),
        ("a record count of 2 GiB", with(RECORD_COUNT, &huge), ErrorCode::InvalidRecord),
        ("2 Gi records, last offset agreeing", counts(i32::MAX), ErrorCode::InvalidRecord),
        ("2 records, last offset agreeing, 3 there", counts(2), ErrorCode::InvalidRecord),
        ("4 records, last offset agreeing, 3 there", counts(4), ErrorCode::InvalidRecord),
        ("last offset delta", with(LAST_OFFSET_DELTA, &7i32.to_be_bytes()), ErrorCode::InvalidRecord),
        ("last offset delta of 2 GiB", with(LAST_OFFSET_DELTA, &huge), ErrorCode::InvalidRecord),
        ("base offset", unsealed(BASE_OFFSET, &5i64.to_be_bytes()), ErrorCode::InvalidRecord),
        ("a record's offset delta", with(HEADER_LEN + 3, &[6]), ErrorCode::InvalidRecord),
        ("a record's length", with(HEADER_LEN, &[0x7F]), ErrorCode::InvalidRecord),
        ("a negative length of a record", with(HEADER_LEN, &[1]), ErrorCode::InvalidRecord),
        ("a control batch", with(ATTRIBUTES, &[0, 0x20]), ErrorCode::InvalidRecord),
        ("a codec that does not exist", with(ATTRIBUTES, &[0, 5]), ErrorCode::UnsupportedCompressionType),
        ("log append time", with(ATTRIBUTES, &[0, 8]), ErrorCode::InvalidTimestamp),
        ("what is no gzip", with(ATTRIBUTES, &[0, 1]), ErrorCode::CorruptMessage),
        ("what is no snappy", with(ATTRIBUTES, &[0, 2]), ErrorCode::CorruptMessage),
        ("what is no lz4", with(ATTRIBUTES, &[0, 3]), ErrorCode::CorruptMessage),
        ("what is no zstd", with(ATTRIBUTES, &[0, 4]), ErrorCode::CorruptMessage),
        ("nothing", Vec::new(), ErrorCode::InvalidRecord),
        ("three bytes", vec![0; 3], ErrorCode::InvalidRecord),
        ("a header alone", good()[..HEADER_LEN].to_vec(), ErrorCode::InvalidRecord),
        ("two batches", [good(), good()].concat(), ErrorCode::InvalidRecord),
        ("a batch and a half", [&good()[..], &good()[..40]].concat(), ErrorCode::InvalidRecord),
    ];
    let data = folder();
    let broker = Broker::start(data.path(), &["--shards", "2"]);
    let mut client = broker.client();
    assert_eq!(client.create_topic("t", 3), 0);
    broker.peak_holds(|| cases.iter().for_each(|(what, bad, expect)| check(&mut client, what, bad, *expect)));
    assert_eq!(client.fetch_all("t", 1), [""; 0]);
}

fn counts(records: i32) -> Vec<u8> {
    let mut batch = with(layout::RECORD_COUNT, &records.to_be_bytes());
    batch[layout::LAST_OFFSET_DELTA..layout::BASE_TIMESTAMP].copy_from_slice(&(records - 1).to_be_bytes());
    sealed(batch)
}

/// Bombs are looked at in a stream: they cost time, but no memory.
#[test]
fn what_expands_beyond_the_cap_is_refused() {
    const BEYOND_CAP: usize = (128 << 20) + 1;
    let data = folder();
    let broker = Broker::start(data.path(), &["--shards", "1", "--override", "message.max.bytes=16777216"]);
    let mut client = broker.client();
    assert_eq!(client.create_topic("t", 3), 0);
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bad = bomb(codec, BEYOND_CAP);
        let allowed = MOVES_MAX_KIB + 5 * (bad.len() as u64 >> 10);
        let before = broker.peak_kib();
        check(&mut client, codec.name(), &bad, ErrorCode::MessageTooLarge);
        let moved = broker.peak_kib() - before;
        println!("{}: {} bytes moved the peak by {moved} KiB", codec.name(), bad.len());
        assert!(moved <= allowed, "{}: {moved} KiB", codec.name());
    }
    // The same codecs are good for what is below the cap.
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let end = client.list_offset("t", 1, -1).1;
        assert_eq!(produce(&mut client, "t", 9, &[&good(), &bomb(codec, 1000)]).last(), Some(&(0, end)));
    }
}
