//! Damaged and hostile batches: every flipped byte is noticed, every truncation is told apart, nothing panics.
//!
//! If this breaks, a torn write or a bad client reaches a consumer, or takes the broker down.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod batch_support;

use batch_support::Rng;
use protocol::batch::{
    BatchBuilder, BatchError, BatchHeader, BatchView, Depth, HEADER_LEN, Header, Limits, ProduceRules, iter_batches,
    layout, patch, set_log_append_time, validate_produce,
};
use protocol::compress::Codec;

fn batch(codec: Codec, records: usize) -> Vec<u8> {
    let mut rng = Rng(records as u64);
    let mut builder = BatchBuilder::new().producer(1, 0, 0).compression(codec, None);
    for index in 0..records {
        let value = rng.text(50 + index);
        builder.append(
            1_000 + index as i64,
            Some(b"key"),
            Some(&value),
            &[Header { key: b"trace", value: Some(b"1") }],
        );
    }
    builder.build()
}

#[test]
fn every_changed_byte_under_the_crc_is_noticed() {
    for codec in Codec::ALL {
        let good = batch(codec, 8);
        for at in layout::ATTRIBUTES..good.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                let verdict = validate_produce(&bad, &ProduceRules::new(usize::MAX, Depth::Shallow));
                assert!(verdict.is_err(), "{codec:?}: byte {at} ^ {flip:#x} went unnoticed");
            }
        }
    }
}

#[test]
fn every_truncation_is_a_partial_batch() {
    for codec in Codec::ALL {
        let good = batch(codec, 3);
        for len in 0..good.len() {
            let error = BatchView::parse(&good[..len]).unwrap_err();
            assert!(error.is_partial(), "{codec:?} cut to {len}: {error}");
        }
    }
}

#[test]
fn a_fetch_body_ends_in_a_partial_batch() {
    let mut log = Vec::new();
    for base_offset in [0, 8, 16] {
        let mut next = batch(Codec::Lz4, 8);
        patch(&mut next, base_offset, 4);
        log.extend_from_slice(&next);
    }
    let whole = log.len();
    log.extend_from_slice(&batch(Codec::None, 2)[..70]);

    let mut batches = iter_batches(&log);
    let offsets: Vec<_> = batches.by_ref().map_while(Result::ok).map(|batch| batch.base_offset()).collect();
    assert_eq!(offsets, [0, 8, 16]);
    assert_eq!(batches.position(), whole);
    assert!(iter_batches(&log).last().unwrap().unwrap_err().is_partial());

    log.truncate(whole);
    assert!(iter_batches(&log).all(|batch| batch.unwrap().check_crc().is_ok()));
    log[batch(Codec::Lz4, 8).len() + layout::MAGIC] = 1;
    let items: Vec<_> = iter_batches(&log).collect();
    assert_eq!(items.len(), 2);
    assert_eq!(items[1], Err(BatchError::Magic { got: 1 }));
}

/// Random damage with the checksum made right again, so that the records themselves are reached.
#[test]
fn no_input_panics() {
    let mut rng = Rng(0x0ba7_c400);
    let limits = Limits { decompressed_bytes_max: 1 << 20 };
    let rules = ProduceRules { limits, ..ProduceRules::new(usize::MAX, Depth::Deep) };
    for round in 0..20_000 {
        let mut bytes = batch(Codec::ALL[round % 5], 1 + rng.below(5));
        for _ in 0..=rng.below(4) {
            let at = if rng.below(3) == 0 { rng.below(HEADER_LEN) } else { rng.below(bytes.len()) };
            bytes[at] = rng.next() as u8;
        }
        if rng.below(8) == 0 {
            bytes.truncate(rng.below(bytes.len()));
        }
        if bytes.len() >= HEADER_LEN && rng.below(8) > 0 {
            set_log_append_time(&mut bytes, 5);
            let attributes = layout::ATTRIBUTES + 1;
            bytes[attributes] &= !8;
            let crc = protocol::crc::crc32c(&bytes[layout::ATTRIBUTES..]);
            bytes[layout::CRC..layout::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
        }
        let deep = validate_produce(&bytes, &rules);
        let Ok((view, _)) = BatchView::parse(&bytes) else { continue };
        let read = view.records(&limits).map(|records| records.iter().all(|record| record.is_ok()));
        if deep.is_ok() {
            assert_eq!(read, Ok(true), "round {round}: accepted, but cannot be read");
        }
    }
}

#[test]
fn header_decodes_any_bytes_and_encodes_them_back() {
    let mut rng = Rng(3);
    for _ in 0..1_000 {
        let bytes: [u8; HEADER_LEN] = rng.bytes(HEADER_LEN).try_into().unwrap();
        let header = BatchHeader::decode(&bytes);
        assert_eq!(header.encode(), bytes);
        let _ = (header.size_bytes(), header.last_offset(), header.next_offset());
    }
}
