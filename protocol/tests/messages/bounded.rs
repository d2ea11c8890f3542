//! Hostile bytes cost no more memory than 16 times what arrived and 64 KiB, in every decoder, and never panic.

use protocol::{Reader, RequestHeader, Writer, messages::*};

use crate::counting::allocated_by;
use crate::sample::{Rng, Sample};
use crate::samples::each_message;

/// Longest input that is damaged at every byte.
const DAMAGED_BYTES_MAX: usize = 600;

/// 2³¹−1 as a classic count, as a varint, and as the varint of a compact count.
const COUNTS: [&[u8]; 4] =
    [&[0x7f, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xff, 0x07], &[0x80, 0x80, 0x80, 0x80, 0x08], &[0x7f, 0xff]];

fn check<T>(what: &str, bytes: &[u8], decode: impl FnOnce(&mut Reader<'_>) -> T) {
    let (_, allocated) = allocated_by(|| decode(&mut Reader::new(bytes)));
    let bound = 16 * bytes.len() + 64 * 1024;
    assert!(allocated <= bound, "{what}: {allocated} bytes of memory for {}", bytes.len());
}

/// The bytes with each of `COUNTS` written over them at each position.
fn damaged(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len().min(DAMAGED_BYTES_MAX)).flat_map(move |at| {
        COUNTS.iter().map(move |count| {
            let mut bytes = bytes.to_vec();
            bytes.truncate(at.max(bytes.len().saturating_sub(count.len())));
            bytes.splice(at..at, count.iter().copied());
            bytes
        })
    })
}

/// Frames that are all lists: one byte repeated, so that counts nest as deep as the message does.
fn dense() -> Vec<Vec<u8>> {
    let sizes = [1000, 100_000];
    (0..=4u8).chain([0x10, 0x7f]).flat_map(|byte| sizes.map(|size| vec![byte; size])).collect()
}

/// A frame that begins with a count which just fits, for lists whose items are smaller on the wire than in memory.
fn just_fits() -> Vec<Vec<u8>> {
    let fill = |count: u32| {
        let mut bytes = vec![1; 200_000];
        bytes[..4].copy_from_slice(&count.to_be_bytes());
        bytes
    };
    [10_000, 30_000, 66_000, 100_000, 199_000].map(fill).to_vec()
}

macro_rules! bounded {
    ($module:ident, $message:ident) => {{
        let name = stringify!($message);
        for version in $module::$message::VERSIONS.iter() {
            let decode = |bytes: &[u8]| check(name, bytes, |r| drop($module::$message::decode(r, version)));
            for seed in 0..2 {
                let mut w = Writer::new();
                $module::$message::sample(&mut Rng::new(seed), version).encode(&mut w, version).unwrap();
                damaged(&w.into_bytes().unwrap()).for_each(|bytes| decode(&bytes));
            }
            dense().iter().chain(&just_fits()).for_each(|bytes| decode(bytes));
            let mut rng = Rng::new(9);
            for len in 0..60 {
                let bytes: Vec<u8> = (0..len).map(|_| rng.next() as u8).collect();
                decode(&bytes);
            }
        }
    }};
}

#[test]
fn memory_of_every_decoder() {
    each_message!(bounded);
}

#[test]
fn memory_of_the_request_header() {
    let mut rng = Rng::new(1);
    for len in 0..2000 {
        let mut bytes: Vec<u8> = (0..len % 100).map(|_| rng.next() as u8).collect();
        bytes.splice(0..0, [0, rng.below(93) as u8, 0, 12]);
        check("header", &bytes, |r| drop(RequestHeader::decode(r)));
    }
}

/// The counter counts: a list that fits is seen.
#[test]
fn the_proof_is_not_vacuous() {
    let mut bytes = vec![0, 0, 0, 1, 0, 0, 100, 0];
    bytes.resize(8 + 25_600 * 4, 0);
    let (items, allocated) = allocated_by(|| Reader::new(&bytes[4..]).array(false, 4, Reader::i32).unwrap());
    assert_eq!((items.len(), allocated), (25_600, 102_400));
}
