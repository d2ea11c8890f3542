//! The parsers under test, each as a function that must return for any bytes.

use protocol::batch::{
    BatchBuilder, BatchView, Depth, HEADER_LEN, Limits, ProduceRules, iter_batches, layout, validate_produce,
};
use protocol::compress::{self, Codec, CompressError};
use protocol::{Reader, RequestHeader};

use crate::requests;

/// Plain bytes a decompressor may produce here.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// Memory of a decompressor: its output twice while that grows, and an lz4 block of 4 MiB with its history, also twice.
pub const DECODER_BYTES_MAX: usize = 2 * OUTPUT_BYTES_MAX + 10 * (1 << 20);

const LIMITS: Limits = Limits { decompressed_bytes_max: OUTPUT_BYTES_MAX };

/// The header at the front of a request frame.
pub fn request_header(data: &[u8]) {
    let mut reader = Reader::new(data);
    if RequestHeader::decode(&mut reader).is_ok() {
        assert!(reader.position() >= 8, "a header has at least key, version and correlation id");
    }
}

/// A whole request frame: the header says which decoder and which version.
pub fn request(data: &[u8]) {
    let mut reader = Reader::new(data);
    let Ok(header) = RequestHeader::decode(&mut reader) else { return };
    let _ = requests::decode(header.api_key, header.api_version, &mut reader);
}

/// A record set: once as it is, once with its checksum made right so that the records are reached.
pub fn record_batch(data: &[u8]) {
    for batch in iter_batches(data).flatten() {
        read_records(&batch);
    }
    produce(data);
    if data.len() >= HEADER_LEN {
        produce(&resealed(data));
    }
}

fn produce(data: &[u8]) {
    let rules = ProduceRules { limits: LIMITS, ..ProduceRules::new(usize::MAX, Depth::Deep) };
    let Ok(validated) = validate_produce(data, &rules) else { return };
    assert!(read_records(&validated.batch), "accepted, but cannot be read");
}

fn read_records(batch: &BatchView<'_>) -> bool {
    let Ok(records) = batch.records(&LIMITS) else { return false };
    records.iter().all(|record| record.is_ok_and(|record| record.headers().len() == record.headers().count()))
}

fn resealed(data: &[u8]) -> Vec<u8> {
    let mut batch = data.to_vec();
    let length = (batch.len() - layout::LENGTH_PREFIX_LEN) as u32;
    batch[layout::BATCH_LENGTH..layout::LEADER_EPOCH].copy_from_slice(&length.to_be_bytes());
    let crc = protocol::crc::crc32c(&batch[layout::ATTRIBUTES..]);
    batch[layout::CRC..layout::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// gzip members.
pub fn gzip(data: &[u8]) {
    decompress(Codec::Gzip, data);
}

/// snappy, xerial or raw.
pub fn snappy(data: &[u8]) {
    decompress(Codec::Snappy, data);
}

/// lz4 frames.
pub fn lz4(data: &[u8]) {
    decompress(Codec::Lz4, data);
}

/// zstd frames.
pub fn zstd(data: &[u8]) {
    decompress(Codec::Zstd, data);
}

fn decompress(codec: Codec, data: &[u8]) {
    match compress::decompress_capped(codec, data, OUTPUT_BYTES_MAX) {
        Ok(plain) => assert!(plain.len() <= OUTPUT_BYTES_MAX),
        Err(CompressError::TooLarge { cap_bytes }) => assert_eq!(cap_bytes, OUTPUT_BYTES_MAX),
        Err(_) => {}
    }
}

/// A small batch with something of everything, for the seeds.
#[must_use]
pub fn sample_batch(codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new().producer(1, 0, 0).compression(codec, None);
    let header = protocol::batch::Header { key: b"trace", value: Some(b"1") };
    builder.append(1_000, Some(b"key"), Some(b"a value that is a value that is long"), &[header, header]);
    builder.append(900, None, None, &[]);
    builder.append(1_100, Some(b""), Some(&[0; 200]), &[protocol::batch::Header { key: b"", value: None }]);
    builder.build()
}
