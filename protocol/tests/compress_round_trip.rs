//! Every codec gives back what it was given, through the vector and through the reader, in every framing that we read.
//!
//! If this breaks, compressed topics lose data or clients with other framings than ours are refused.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod batch_support;

use std::io::{Read, Write};

use batch_support::Rng;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use protocol::compress::{Codec, Decoder, compress, decompress_capped};

const CODECS: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn inputs() -> Vec<Vec<u8>> {
    let mut rng = Rng(11);
    let mut inputs = vec![vec![], vec![7], vec![0; 300_000], rng.bytes(100_000)];
    for len in [15, 16, 4_095, 32_768, 32_769, 65_536, 65_537, 1_000_000] {
        inputs.push(rng.text(len));
    }
    inputs
}

#[track_caller]
fn check(codec: Codec, compressed: &[u8], plain: &[u8]) {
    let whole = decompress_capped(codec, compressed, plain.len());
    assert!(whole.as_deref() == Ok(plain), "{codec:?}, {} bytes: {:?}", plain.len(), whole.map(|bytes| bytes.len()));
    let mut pieces = Vec::new();
    let mut piece = [0; 777];
    let mut decoder = Decoder::new(codec, compressed, usize::MAX).unwrap();
    loop {
        match decoder.read(&mut piece).unwrap() {
            0 => break,
            count => pieces.extend_from_slice(&piece[..count]),
        }
    }
    assert!(pieces == plain, "{codec:?}: the reader differs from the vector");
}

#[test]
fn every_codec() {
    for plain in inputs() {
        for codec in CODECS {
            check(codec, &compress(codec, None, &plain), &plain);
        }
        assert_eq!(decompress_capped(Codec::None, &plain, plain.len()).unwrap(), plain);
    }
}

#[test]
fn levels_are_clamped() {
    let plain = Rng(5).text(20_000);
    for codec in CODECS {
        for level in [i32::MIN, -1, 0, 1, 9, 19, 22, i32::MAX] {
            check(codec, &compress(codec, Some(level), &plain), &plain);
        }
    }
}

#[test]
fn streams_in_a_row_are_one() {
    let mut rng = Rng(8);
    let (first, second) = (rng.text(50_000), rng.text(70_000));
    for codec in CODECS {
        let joined = [compress(codec, None, &first), compress(codec, None, &second)].concat();
        check(codec, &joined, &[first.as_slice(), &second].concat());
    }
}

#[test]
fn snappy_without_framing() {
    for plain in inputs() {
        check(Codec::Snappy, &snap::raw::Encoder::new().compress_vec(&plain).unwrap(), &plain);
    }
}

#[test]
fn lz4_frames_of_every_kind() {
    for plain in inputs() {
        for size in [BlockSize::Max64KB, BlockSize::Max4MB] {
            for mode in [BlockMode::Independent, BlockMode::Linked] {
                for hashes in [0, 3, 4] {
                    let frame = FrameInfo::new()
                        .block_size(size)
                        .block_mode(mode)
                        .block_checksums(hashes & 1 != 0)
                        .content_checksum(hashes & 2 != 0)
                        .content_size((hashes & 4 != 0).then_some(plain.len() as u64));
                    let mut encoder = FrameEncoder::with_frame_info(frame, Vec::new());
                    // In pieces, so that linked frames have small blocks.
                    for piece in plain.chunks(if hashes == 0 { 3_000 } else { usize::MAX }) {
                        encoder.write_all(piece).unwrap();
                        encoder.flush().unwrap();
                    }
                    check(Codec::Lz4, &encoder.finish().unwrap(), &plain);
                }
            }
        }
    }
}

#[test]
fn lz4_skippable_frames_are_skipped() {
    let frame = compress(Codec::Lz4, None, b"plain");
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
    check(Codec::Lz4, &[&skippable[..], &frame, &skippable].concat(), b"plain");
}
