//! Inputs that reach deep, for the mutator to damage.

use protocol::compress::{Codec, compress};
use protocol::messages::ProduceRequest;
use protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use protocol::{Records, RequestHeader, Str, Uuid, Writer, legacy, supported};

use crate::messages::sample;
use crate::recovery;
use crate::requests::KEYS;
use crate::targets::sample_batch;

/// Every request in every version: two of random values, and some over bodies whose repetition reads as something in most fields: zeros are empty arrays,
/// `02` is a compact array of one or a string of one letter, `00 00 00 01` is a classic array of one.
#[must_use]
pub fn requests() -> Vec<Vec<u8>> {
    let bodies: [&[u8]; 4] = [&[0], &[2], &[0, 0, 0, 1], &[0, 1]];
    let mut seeds = Vec::new();
    for key in KEYS {
        for version in [legacy(*key), supported(*key)].into_iter().flatten().flat_map(|range| range.iter()) {
            for body in bodies {
                let mut frame = header(*key as i16, version);
                frame.extend(body.iter().cycle().take(120));
                seeds.push(frame);
            }
            let samples = (0..2).filter_map(|seed| sample(&format!("{}Request", key.name()), version, seed));
            seeds.extend(samples.map(|body| [header(*key as i16, version), body].concat()));
        }
    }
    seeds
}

/// Produce requests of one partition behind the count of bytes that are there, in every version.
#[must_use]
pub fn large_produces() -> Vec<Vec<u8>> {
    let request = |version: i16, bytes: usize| {
        let records = vec![9; bytes];
        let partition = PartitionProduceData { index: 5, records: Records::Bytes(&records) };
        let topic =
            TopicProduceData { name: "orders".into(), topic_id: Uuid([7; 16]), partition_data: vec![partition] };
        let request = ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 1000, topic_data: vec![topic] };
        let mut writer = Writer::from_vec(header(0, version));
        request.encode(&mut writer, version).expect("a request of ours can be encoded");
        [&[0, 200][..], &writer.into_bytes().unwrap_or_default()].concat()
    };
    (3..=13).flat_map(|version| [0, 300].map(|bytes| request(version, bytes))).collect()
}

/// Headers of answers, classic and flexible.
#[must_use]
pub fn response_headers() -> Vec<Vec<u8>> {
    vec![
        vec![1, 4, 0, 0, 0, 7],
        vec![1, 12, 0, 0, 0, 7, 0],
        vec![1, 12, 0, 0, 0, 7, 1, 5, 2, 1, 2],
        vec![18, 3, 0, 0, 0, 7],
    ]
}

/// Keys and values of control records.
#[must_use]
pub fn control_records() -> Vec<Vec<u8>> {
    vec![vec![0, 0, 0, 1], vec![0, 0, 0, 0], vec![0, 0, 0, 0, 0, 9], vec![0, 1, 0, 6, 1, 2, 3]]
}

/// Text and zeros for each codec.
#[must_use]
pub fn plains() -> Vec<Vec<u8>> {
    let plains = [vec![], text(1), text(300), vec![0; 5000], text(70_000)];
    (0..5).flat_map(|codec| plains.iter().map(move |plain| [&[codec, codec], &plain[..]].concat())).collect()
}

/// Frames of many sizes in a row, behind a byte that says how they arrive.
#[must_use]
pub fn streams_of_frames() -> Vec<Vec<u8>> {
    let frame = |len: usize| [&(len as i32).to_be_bytes()[..], &vec![7; len]].concat();
    let streams = [vec![1, 2, 3], vec![5, 30_000, 5], vec![20_000, 1], vec![100; 30]];
    let bytes = streams.map(|lens| lens.into_iter().flat_map(frame).collect::<Vec<u8>>());
    (0..16).flat_map(|piece| bytes.iter().map(move |bytes| [&[piece], &bytes[..]].concat())).collect()
}

/// A good segment and other files of a partition, behind a byte that says which file it is and what is known of it.
#[must_use]
pub fn folders() -> Vec<Vec<u8>> {
    let segment = recovery::segment();
    let half = segment[..segment.len() / 2].to_vec();
    let padded = [&segment[..], &[0; 5000]].concat();
    let repeated = [&segment[..], &segment].concat();
    let checkpoint = b"0\n2\n4 0\n5 3\n".to_vec();
    let files = [segment, half, padded, repeated, checkpoint];
    (0..16).flat_map(|choice| files.iter().map(move |file| [&[choice], &file[..]].concat())).collect()
}

fn header(api_key: i16, api_version: i16) -> Vec<u8> {
    let mut writer = Writer::new();
    let header = RequestHeader { api_key, api_version, correlation_id: 1, client_id: Some(Str::from("fuzz")) };
    header.encode(&mut writer).expect("a short client id fits");
    writer.into_bytes().unwrap_or_default()
}

/// One batch of each codec, and two in a row.
#[must_use]
pub fn batches() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = Codec::ALL.map(sample_batch).into();
    seeds.push([sample_batch(Codec::None), sample_batch(Codec::Lz4)].concat());
    seeds
}

/// gzip: short, long and two members.
#[must_use]
pub fn gzip() -> Vec<Vec<u8>> {
    streams(Codec::Gzip)
}

/// snappy in xerial framing, and a raw block.
#[must_use]
pub fn snappy() -> Vec<Vec<u8>> {
    let mut seeds = streams(Codec::Snappy);
    // The first block of a xerial stream, behind header and length, is a raw block.
    let raw = seeds[0][20..].to_vec();
    seeds.push(raw);
    seeds
}

/// lz4 frames: ours, and the same with the flag of linked blocks and its header checksum.
#[must_use]
pub fn lz4() -> Vec<Vec<u8>> {
    let mut seeds = streams(Codec::Lz4);
    let mut linked = seeds[1].clone();
    (linked[4], linked[6]) = (0x40, 0xc0);
    seeds.push(linked);
    seeds
}

/// zstd frames, at the default level and the highest.
#[must_use]
pub fn zstd() -> Vec<Vec<u8>> {
    let mut seeds = streams(Codec::Zstd);
    seeds.push(compress(Codec::Zstd, Some(22), &text(5_000)));
    seeds
}

fn streams(codec: Codec) -> Vec<Vec<u8>> {
    let [short, long, zeros] = [text(100), text(100_000), vec![0; 3 << 20]].map(|plain| compress(codec, None, &plain));
    let two = [short.as_slice(), &short].concat();
    vec![short, long, zeros, two]
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|index| b"offset partition leader epoch "[index * index % 30]).collect()
}
