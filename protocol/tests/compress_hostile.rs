//! Compressed bytes from someone who means harm: bombs stop at the cap, lengths are not believed, nothing panics.
//!
//! If this breaks, a few bytes on the wire take memory or time far beyond what they are worth.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod batch_support;

use batch_support::{Rng, hex};
use protocol::compress::{Codec, CompressError, compress, decompress_capped};

const CODECS: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

#[test]
fn bombs_stop_at_the_cap() {
    let plain = vec![0; 20 << 20];
    for codec in Codec::ALL {
        let bomb = compress(codec, None, &plain);
        for cap_bytes in [0, 1, 4_096, 65_536, 1 << 20, plain.len() - 1] {
            let verdict = decompress_capped(codec, &bomb, cap_bytes);
            assert_eq!(verdict, Err(CompressError::TooLarge { cap_bytes }), "{codec:?}");
        }
        assert_eq!(decompress_capped(codec, &bomb, plain.len()).unwrap().len(), plain.len(), "{codec:?}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let plain = Rng(3).text(3_000);
    for codec in CODECS {
        let good = compress(codec, None, &plain);
        // A xerial stream may end behind any block, its header included: snappy says nowhere how much there is.
        let may_end_at = |len: usize| codec == Codec::Snappy && len == 16;
        for len in (0..good.len()).filter(|len| !may_end_at(*len)) {
            assert!(decompress_capped(codec, &good[..len], 1 << 20).is_err(), "{codec:?} cut to {len}");
        }
    }
}

#[test]
fn lengths_are_not_believed() {
    let snappy_header = "82534e4150505900 00000001 00000001";
    let cases: [(&str, Codec, String); 12] = [
        ("raw snappy of 4 GiB in six bytes", Codec::Snappy, "ffffffff0f 00".into()),
        ("raw snappy whose length never ends", Codec::Snappy, "ffffffffffff".into()),
        ("xerial block of 2 GiB", Codec::Snappy, format!("{snappy_header} 7fffffff 00")),
        ("xerial block of negative length", Codec::Snappy, format!("{snappy_header} ffffffff 00")),
        ("xerial block that declares 4 GiB", Codec::Snappy, format!("{snappy_header} 00000006 ffffffff0f00")),
        ("xerial block without bytes", Codec::Snappy, format!("{snappy_header} 00000000")),
        ("lz4 block of 2 GiB", Codec::Lz4, "04224d18 6070 73 ffffff7f".into()),
        ("lz4 stored block of 2 GiB", Codec::Lz4, "04224d18 6070 73 ffffffff".into()),
        ("lz4 frame with a dictionary", Codec::Lz4, "04224d18 6170 00000000 00".into()),
        ("lz4 legacy frame", Codec::Lz4, "02214c18 ffffff7f".into()),
        ("zstd window of 2^41", Codec::Zstd, "28b52ffd 00f8 010000".into()),
        ("gzip without a member", Codec::Gzip, "1f8b0800000000000000".into()),
    ];
    for (name, codec, digits) in cases {
        let verdict = decompress_capped(codec, &hex(&digits), 1 << 20);
        assert!(verdict.is_err(), "{name}: {verdict:?}");
    }
    for codec in CODECS {
        assert_eq!(decompress_capped(codec, &[], 10), Err(CompressError::Truncated { codec }));
    }
}

#[test]
fn no_input_panics() {
    let mut rng = Rng(0xdec0de);
    let seeds: Vec<_> = CODECS.map(|codec| (codec, compress(codec, None, &Rng(1).text(400)))).into();
    for round in 0..20_000 {
        let (codec, seed) = &seeds[round % seeds.len()];
        let mut bytes = seed.clone();
        for _ in 0..=rng.below(6) {
            let at = if rng.below(2) == 0 { rng.below(24) } else { rng.below(bytes.len()) };
            bytes[at] = rng.next() as u8;
        }
        bytes.truncate(1 + rng.below(2 * bytes.len()));
        if let Ok(plain) = decompress_capped(*codec, &bytes, 1 << 16) {
            assert!(plain.len() <= 1 << 16);
        }
    }
}

/// Changed bytes inside frames that carry checksums are always noticed.
#[test]
fn checksums_are_checked() {
    let plain = Rng(2).text(2_000);
    let gzip = compress(Codec::Gzip, None, &plain);
    for at in 10..gzip.len() {
        let mut bad = gzip.clone();
        bad[at] ^= 0x10;
        let verdict = decompress_capped(Codec::Gzip, &bad, 1 << 20);
        assert!(verdict.is_err() || verdict.as_deref() == Ok(&plain), "byte {at}");
    }
    let lz4 = lz4_with_checksums(&plain);
    for at in 4..lz4.len() {
        let mut bad = lz4.clone();
        bad[at] ^= 0x10;
        assert!(decompress_capped(Codec::Lz4, &bad, 1 << 20).is_err(), "byte {at}");
    }
}

fn lz4_with_checksums(plain: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let frame = lz4_flex::frame::FrameInfo::new().content_checksum(true).block_checksums(true);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(frame, Vec::new());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}
