//! Batches exchanged with the `kafka-protocol` crate, both ways, under every codec.
//!
//! If this breaks, our reading of the format and another author's differ. Duplicate header keys are left out: the oracle's
//! map cannot hold them (`batch_golden.rs` has Java's).
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod batch_support;

use batch_support::Rng;
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record as Theirs, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use protocol::batch::{BatchBuilder, BatchView, Depth, Header, Limits, ProduceRules, validate_produce};
use protocol::compress::Codec;

const CODECS: [(Codec, Compression); 5] = [
    (Codec::None, Compression::None),
    (Codec::Gzip, Compression::Gzip),
    (Codec::Snappy, Compression::Snappy),
    (Codec::Lz4, Compression::Lz4),
    (Codec::Zstd, Compression::Zstd),
];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sample {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn optional(rng: &mut Rng, len_max: usize) -> Option<Vec<u8>> {
    (rng.below(4) > 0).then(|| {
        let len = rng.below(len_max);
        rng.text(len)
    })
}

fn samples(rng: &mut Rng) -> Vec<Sample> {
    let sample = |rng: &mut Rng| Sample {
        timestamp: 1_700_000_000_000 + rng.below(2_000_000) as i64 - 1_000_000,
        key: optional(rng, 40),
        value: optional(rng, 3000),
        headers: (0..rng.below(4)).map(|index| (format!("header-{index}"), optional(rng, 200))).collect(),
    };
    (0..=rng.below(60)).map(|_| sample(rng)).collect()
}

fn build(samples: &[Sample], codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new().producer(9, 1, 0).compression(codec, None);
    for sample in samples {
        let header = |(key, value): &'_ (String, Option<Vec<u8>>)| (key.clone(), value.clone());
        let owned: Vec<_> = sample.headers.iter().map(header).collect();
        let headers: Vec<_> =
            owned.iter().map(|(key, value)| Header { key: key.as_bytes(), value: value.as_deref() }).collect();
        builder.append(sample.timestamp, sample.key.as_deref(), sample.value.as_deref(), &headers);
    }
    builder.build()
}

#[test]
fn they_read_what_we_write() {
    let mut rng = Rng(1);
    for round in 0..60 {
        let samples = samples(&mut rng);
        let (codec, theirs) = CODECS[round % CODECS.len()];
        let bytes = build(&samples, codec);
        let set = RecordBatchDecoder::decode(&mut bytes.as_slice()).unwrap();
        assert_eq!((set.compression, set.version), (theirs, 2));
        let read: Vec<_> = set.records.iter().map(from_theirs).collect();
        assert_eq!(read, samples, "round {round} {codec:?}");
        assert!(set.records.iter().enumerate().all(|(index, record)| record.offset == index as i64));
    }
}

fn from_theirs(record: &Theirs) -> Sample {
    let header = |(key, value): (&StrBytes, &Option<_>)| (key.to_string(), value.as_deref().map(<[u8]>::to_vec));
    Sample {
        timestamp: record.timestamp,
        key: record.key.as_deref().map(<[u8]>::to_vec),
        value: record.value.as_deref().map(<[u8]>::to_vec),
        headers: record.headers.iter().map(header).collect(),
    }
}

#[test]
fn we_read_what_they_write() {
    let mut rng = Rng(2);
    for round in 0..60 {
        let samples = samples(&mut rng);
        let (codec, compression) = CODECS[round % CODECS.len()];
        let records: Vec<_> = samples.iter().enumerate().map(|(index, sample)| to_theirs(index, sample)).collect();
        let mut bytes = Vec::new();
        RecordBatchEncoder::encode(&mut bytes, &records, &RecordEncodeOptions { version: 2, compression }).unwrap();

        let rules = ProduceRules::new(usize::MAX, Depth::Deep);
        let batch = validate_produce(&bytes, &rules).unwrap_or_else(|error| panic!("{codec:?}: {error}")).batch;
        assert_eq!(batch, BatchView::parse(&bytes).unwrap().0);
        let read = batch.records(&Limits::default()).unwrap();
        let read: Vec<_> = read.iter().map(|record| from_ours(&record.unwrap())).collect();
        assert_eq!(read, samples, "round {round} {codec:?}");
    }
}

fn to_theirs(index: usize, sample: &Sample) -> Theirs {
    let header =
        |(key, value): &(String, Option<Vec<u8>>)| (StrBytes::from_string(key.clone()), value.clone().map(Into::into));
    Theirs {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: 9,
        producer_epoch: 1,
        timestamp_type: TimestampType::Creation,
        offset: index as i64,
        sequence: index as i32,
        timestamp: sample.timestamp,
        key: sample.key.clone().map(Into::into),
        value: sample.value.clone().map(Into::into),
        headers: sample.headers.iter().map(header).collect::<IndexMap<_, _>>(),
    }
}

fn from_ours(record: &protocol::batch::Record<'_>) -> Sample {
    let header =
        |header: Header<'_>| (String::from_utf8(header.key.to_vec()).unwrap(), header.value.map(<[u8]>::to_vec));
    Sample {
        timestamp: record.timestamp,
        key: record.key.map(<[u8]>::to_vec),
        value: record.value.map(<[u8]>::to_vec),
        headers: record.headers().map(header).collect(),
    }
}
