//! The parsers under test, each as a function that must return for any bytes.

use protocol::batch::{
    BatchBuilder, BatchHeader, BatchView, ControlRecord, Depth, EndTxnMarker, HEADER_LEN, Limits, ProduceRules, Record,
    iter_batches, layout, patch, validate_produce,
};
use protocol::compress::{self, Codec, CompressError};
use protocol::large_produce::{LargeProduce, TopicRef};
use protocol::messages::ProduceRequest;
use protocol::{ApiKey, Reader, RequestHeader, ResponseHeader, Writer};

use crate::meter::unmeasured;
use crate::requests;

/// Plain bytes a decompressor may produce here.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// Memory of a decompressor: its output twice while that grows, and an lz4 block of 4 MiB with its history, also twice.
pub const DECODER_BYTES_MAX: usize = 2 * OUTPUT_BYTES_MAX + 10 * (1 << 20);

const LIMITS: Limits = Limits { decompressed_bytes_max: OUTPUT_BYTES_MAX };

/// The header at the front of a request frame.
pub fn request_header(data: &[u8]) {
    let mut reader = Reader::new(data);
    let Ok(header) = RequestHeader::decode(&mut reader) else { return };
    let taken = reader.position();
    unmeasured(|| {
        let mut writer = Writer::new();
        header.encode(&mut writer).expect("what was decoded can be encoded");
        let again = writer.into_bytes().expect("a header has its bytes");
        // Unknown tagged fields, and their lengths, are all that is not written again.
        assert!(again.len() <= taken && again.len() >= 8, "{taken} bytes came back as {}", again.len());
        assert_eq!(RequestHeader::decode(&mut Reader::new(&again)), Ok(header));
    });
}

/// The header at the front of an answer: API, version, then the bytes.
pub fn response_header(data: &[u8]) {
    let Some((&[key, version], bytes)) = data.split_first_chunk() else { return };
    let (Ok(key), version) = (ApiKey::try_from(i16::from(key)), i16::from(version)) else { return };
    let mut reader = Reader::new(bytes);
    let Ok(header) = ResponseHeader::decode(&mut reader, key, version) else { return };
    let mut writer = Writer::new();
    header.encode(&mut writer, key, version).expect("what was decoded can be encoded");
    let again = writer.into_bytes().expect("a header has its bytes");
    assert_eq!(ResponseHeader::decode(&mut Reader::new(&again), key, version), Ok(header));
    assert!(again.len() <= reader.position());
}

/// The look into a Produce request that has begun to arrive: two bytes say how much of the frame is there, the others are
/// the frame. What is seen early is what the whole request says.
pub fn large_produce(data: &[u8]) {
    let Some((front, frame)) = data.split_first_chunk::<2>() else { return };
    let front = usize::from(u16::from_be_bytes(*front)).min(frame.len());
    let Some(seen) = LargeProduce::peek(&frame[..front], frame.len()) else { return };
    assert!(seen.length_at < seen.records.start && seen.records.start <= front && seen.records.end <= frame.len());
    // The transport hands over exactly what precedes the records, and says how long the frame was.
    assert_eq!(LargeProduce::peek(&frame[..seen.records.start], frame.len()).as_ref(), Some(&seen));
    let emptied = seen.without_records(&frame[..seen.records.start], &frame[seen.records.end..]);
    unmeasured(|| match (produce_of(frame), produce_of(&emptied)) {
        (Some((whole, records)), Some((rest, none))) => {
            assert_eq!((records, none), (seen.records.len(), 0));
            assert_eq!(whole, rest);
            let name = match &seen.topic {
                TopicRef::Name(name) => name.to_string(),
                TopicRef::Id(id) => id.to_string(),
            };
            assert_eq!((name, seen.partition), (whole.0, whole.1));
        }
        (None, None) => {}
        (whole, rest) => panic!("with records {whole:?}, without {rest:?}"),
    });
}

/// Topic, partition and acks of a Produce request of one partition, and the length of its records.
fn produce_of(frame: &[u8]) -> Option<((String, i32, i16), usize)> {
    let mut reader = Reader::new(frame);
    let version = RequestHeader::decode(&mut reader).ok()?.api_version;
    let request = ProduceRequest::decode(&mut reader, version).ok()?;
    let topic = request.topic_data.first()?;
    let partition = topic.partition_data.first()?;
    let name = if topic.name.is_empty() && version >= 13 { topic.topic_id.to_string() } else { topic.name.to_string() };
    Some(((name, partition.index, request.acks), partition.records.len()))
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
    unmeasured(|| {
        let shallow = ProduceRules { depth: Depth::Shallow, ..rules };
        assert!(validate_produce(data, &shallow).is_ok(), "a deep look sees more than a shallow one");
        placed(&validated.batch);
        rebuilt(&validated.batch);
    });
}

/// What a log does to a batch: offset and epoch change, and nothing that the checksum covers.
fn placed(batch: &BatchView<'_>) {
    let mut bytes = batch.bytes().to_vec();
    let header = bytes.first_chunk().expect("a batch has a header");
    assert_eq!(BatchHeader::decode(header).encode(), *header);
    patch(&mut bytes, 1 << 40, 7);
    let (view, rest) = BatchView::parse(&bytes).expect("a batch that was placed");
    assert_eq!((view.base_offset(), view.leader_epoch(), view.check_crc(), rest.len()), (1 << 40, 7, Ok(()), 0));
    assert_eq!(view.next_offset() - view.base_offset(), batch.next_offset() - batch.base_offset());
}

/// A batch of the same records, built anew.
fn rebuilt(batch: &BatchView<'_>) {
    let records = batch.records(&LIMITS).expect("read before");
    let mut builder = BatchBuilder::new();
    for record in records.iter() {
        let record = record.expect("read before");
        let Record { timestamp, key, value, .. } = record;
        let headers: Vec<_> = record.headers().collect();
        builder.append(timestamp, key, value, &headers);
    }
    let bytes = builder.build();
    let (view, _) = BatchView::parse(&bytes).expect("a batch that was built");
    let again = view.records(&LIMITS).expect("plain records");
    let pairs = records.iter().zip(again.iter());
    for (one, other) in pairs.map(|(one, other)| (one.expect("read before"), other.expect("just written"))) {
        assert_eq!((one.timestamp, one.key, one.value), (other.timestamp, other.key, other.value));
        assert!(one.headers().eq(other.headers()));
        assert_eq!(one.offset - batch.base_offset(), other.offset - view.base_offset());
    }
    assert_eq!(view.record_count(), batch.record_count());
}

/// Key and value of a control record.
pub fn control_record(data: &[u8]) {
    if let Ok(record) = ControlRecord::decode_key(data) {
        assert_eq!(ControlRecord::decode_key(&record.encode_key()), Ok(record));
    }
    if let Ok(marker) = EndTxnMarker::decode(data) {
        assert_eq!(EndTxnMarker::decode(&marker.encode()), Ok(marker));
    }
}

/// The checksum, against its definition bit by bit.
pub fn crc(data: &[u8]) {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let bit = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc));
    assert_eq!(protocol::crc::crc32c(data), !data.iter().fold(u32::MAX, byte));
}

/// Plain bytes behind a codec and a level: what is compressed comes back, also where the cap is exactly its size.
pub fn compression(data: &[u8]) {
    let Some((&[codec, level], plain)) = data.split_first_chunk() else { return };
    let codec = Codec::ALL[usize::from(codec) % Codec::ALL.len()];
    let levels = match codec {
        Codec::Gzip => 1..=9,
        Codec::Zstd => -5..=5,
        _ => 1..=17,
    };
    let level = (level != 0).then(|| levels.start() + i32::from(level) % (levels.end() - levels.start() + 1));
    let packed = compress::compress(codec, level, plain);
    assert_eq!(compress::decompress_capped(codec, &packed, plain.len()).as_deref(), Ok(plain), "{codec:?} {level:?}");
    if let Some(less) = plain.len().checked_sub(1) {
        assert!(compress::decompress_capped(codec, &packed, less).is_err(), "{codec:?}: a cap of {less}");
    }
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
