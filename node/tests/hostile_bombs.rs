//! Compression bombs: a megabyte that expands to gigabytes, in each codec and framing, against topics that must look inside,
//! recompress, stamp or demand keys. Each is refused with Kafka's code for a batch that is too large (which makes the Java producer
//! split it) in bounded time and memory, its neighbours in the same request are stored, and the connection goes on.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::memory::MOVES_MAX_KIB;
use common::{Broker, Client, folder};
use protocol::batch::{BatchBuilder, layout};
use protocol::compress::{Codec, compress};
use protocol::crc::crc32c;
use protocol::{ApiKey, ErrorCode};
use std::time::{Duration, Instant};

const NOW_MS: i64 = 1_700_000_000_000;

/// About what a bomb weighs: just below the default `max.message.bytes`.
const BOMB_BYTES: usize = 1_000_000;

/// Plain bytes of one of the pieces that a bomb consists of.
const PIECE_BYTES: usize = 4 << 20;

/// Longest that a refusal may take in a release build; a build without optimisation gets as long as it takes.
const REFUSED_WITHIN: Duration =
    if cfg!(debug_assertions) { Duration::from_secs(5) } else { Duration::from_millis(50) };

/// What begins a record whose value is two gigabytes: length, attributes, two deltas, null key, length of the value.
fn record_head() -> Vec<u8> {
    let huge = [0xFE, 0xFF, 0xFF, 0xFF, 0x0F];
    let value = [0x80, 0x80, 0x80, 0xFE, 0x0F];
    [&huge[..], &[0, 0, 0, 1], &value].concat()
}

/// A batch of one record with this compressed body.
fn batch(codec: Codec, body: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.append(NOW_MS, None, Some(b""), &[]);
    let mut batch = builder.build();
    batch.truncate(layout::HEADER_LEN);
    batch.extend_from_slice(body);
    batch[layout::ATTRIBUTES + 1] = codec.id();
    let length = i32::try_from(batch.len() - layout::LENGTH_PREFIX_LEN).expect("small");
    batch[layout::BATCH_LENGTH..layout::LEADER_EPOCH].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c(&batch[layout::ATTRIBUTES..]);
    batch[layout::CRC..layout::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// Members or frames one behind the other, which every one of these codecs takes for one stream.
fn in_pieces(codec: Codec) -> Vec<u8> {
    let piece = compress(codec, None, &vec![0; PIECE_BYTES]);
    let mut body = compress(codec, None, &record_head());
    while body.len() + piece.len() < BOMB_BYTES {
        body.extend_from_slice(&piece);
    }
    batch(codec, &body)
}

/// One zstd frame with a window of 2^27 whose blocks say "this byte, 128 Ki times": 32 GiB.
fn zstd_window() -> Vec<u8> {
    let head = record_head();
    let raw_block = ((head.len() as u32) << 3).to_le_bytes();
    let repeated = ((128u32 << 10) << 3 | 1 << 1).to_le_bytes();
    let mut body = [&[0x28, 0xB5, 0x2F, 0xFD, 0, 17 << 3][..], &raw_block[..3], &head].concat();
    while body.len() < BOMB_BYTES {
        body.extend_from_slice(&repeated[..3]);
        body.push(0);
    }
    batch(Codec::Zstd, &body)
}

/// Snappy without framing: the length, then copies of 64 bytes that take three each.
fn snappy_raw(claimed: u32) -> Vec<u8> {
    let mut body = Vec::new();
    let mut rest = claimed;
    while rest >= 0x80 {
        body.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    body.push(rest as u8);
    let head = [record_head(), vec![0; 46]].concat();
    body.push(59 << 2);
    body.extend_from_slice(&head);
    while body.len() < BOMB_BYTES {
        body.extend_from_slice(&[63 << 2 | 2, 1, 0]);
    }
    batch(Codec::Snappy, &body)
}

fn good() -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.append(NOW_MS, Some(b"k"), Some(b"v"), &[]);
    builder.build()
}

/// Makes a topic with settings.
fn topic(client: &mut Client, name: &str, settings: &[(&str, &str)]) {
    use protocol::messages::create_topics::{
        CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
    };
    let config = |(name, value): &(&'static str, &'static str)| CreatableTopicConfig {
        name: (*name).into(),
        value: Some((*value).into()),
    };
    let settings: Vec<(&'static str, &'static str)> =
        settings.iter().map(|(name, value)| (&*name.to_string().leak(), &*value.to_string().leak())).collect();
    let topic = CreatableTopic {
        name: name.to_owned().into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: settings.iter().map(config).collect(),
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, validate_only: false };
    let code = client.ask(
        ApiKey::CreateTopics,
        5,
        |writer| request.encode(writer, 5),
        |reader| Ok(CreateTopicsResponse::decode(reader, 5)?.topics[0].error_code),
    );
    assert_eq!(code, 0, "{name}");
}

#[test]
fn bombs_are_refused_in_time_and_cost_no_memory() {
    let data = folder();
    let broker = Broker::start(data.path(), &["--shards", "1"]);
    let mut client = broker.client();
    let topics = [
        ("plain", vec![]),
        ("recompressed", vec![("compression.type", "zstd")]),
        ("uncompressed", vec![("compression.type", "uncompressed")]),
        ("stamped", vec![("message.timestamp.type", "LogAppendTime")]),
        ("compacted", vec![("cleanup.policy", "compact")]),
    ];
    for (name, settings) in &topics {
        topic(&mut client, name, settings);
    }
    let too_large = ErrorCode::MessageTooLarge.code();
    // Snappy holds 21 times its bytes at most, which is allowed: what its record claims then is not there. Nor can a block be
    // 4 GiB, and Kafka calls that corrupt.
    let bombs = [
        ("gzip", in_pieces(Codec::Gzip), too_large),
        ("snappy", in_pieces(Codec::Snappy), ErrorCode::InvalidRecord.code()),
        ("raw snappy that claims 4 GiB", snappy_raw(u32::MAX), ErrorCode::CorruptMessage.code()),
        ("raw snappy of 20 MiB", snappy_raw(20 << 20), too_large),
        ("lz4", in_pieces(Codec::Lz4), too_large),
        ("zstd", in_pieces(Codec::Zstd), too_large),
        ("zstd with a large window", zstd_window(), too_large),
    ];
    // Buffers for a megabyte that comes and goes.
    let warm_up = [&good()[..], &vec![0; BOMB_BYTES]].concat();
    (0..3).for_each(|_| assert_ne!(client.produce_batch("plain", 0, &warm_up).0, 0));
    for (what, bomb, code) in &bombs {
        let before_kib = broker.peak_kib();
        let mut slowest = Duration::ZERO;
        for (name, _) in &topics {
            let begin = Instant::now();
            assert_eq!(client.produce_batch(name, 0, bomb), (*code, -1), "{what} to {name}");
            slowest = slowest.max(begin.elapsed());
            let (error, _) = client.produce_batch(name, 0, &good());
            assert_eq!(error, 0, "after {what} to {name}");
        }
        let moved_kib = broker.peak_kib() - before_kib;
        println!(
            "figure: {what}: {} bytes moved the peak by {moved_kib} KiB, refused within {slowest:.1?}",
            bomb.len()
        );
        assert!(moved_kib <= MOVES_MAX_KIB, "{what}: {moved_kib} KiB");
        assert!(slowest <= REFUSED_WITHIN, "{what}: {slowest:?}");
    }
    for (name, _) in &topics {
        assert_eq!(client.fetch_all(name, 0).len(), bombs.len(), "{name}");
    }
}

/// What expands much but within the cap is stored, and looked into without being there as a whole.
#[test]
fn what_is_just_allowed_is_looked_into_in_a_stream() {
    let data = folder();
    let broker = Broker::start(data.path(), &["--shards", "1"]);
    let mut client = broker.client();
    topic(&mut client, "plain", &[]);
    topic(&mut client, "recompressed", &[("compression.type", "gzip")]);
    assert_eq!(client.produce_batch("plain", 0, &good()).0, 0);
    for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
        let mut builder = BatchBuilder::new().compression(codec, None);
        let value = vec![0; 1 << 20];
        for record in 0..30 {
            builder.append(NOW_MS + record, None, Some(&value), &[]);
        }
        let large = builder.build();
        let before_kib = broker.peak_kib();
        for name in ["plain", "recompressed"] {
            let (error, base) = client.produce_batch(name, 0, &large);
            assert_eq!(error, 0, "{}", codec.name());
            let (error, offset) = client.list_offset(name, 0, NOW_MS + 29);
            assert!(error == 0 && (29..base + 30).contains(&offset), "{}: {offset} of {base}", codec.name());
        }
        let moved_kib = broker.peak_kib() - before_kib;
        println!("figure: {}: 30 MiB in {} bytes moved the peak by {moved_kib} KiB", codec.name(), large.len());
        assert!(moved_kib <= MOVES_MAX_KIB, "{}: {moved_kib} KiB", codec.name());
    }
}
