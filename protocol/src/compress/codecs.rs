//! The codecs for whoever goes through many batches one after the other: what a call needs besides the bytes, the next one finds
//! ready. A context of zstd alone is more memory to make than most batches are.
//!
//! Deliberately not here: limits. The caller says how much there is room for; where that is too little, or something is wrong,
//! the answer is none, and a [`Decoder`] tells which.

use std::io::Read;

use ::zstd::zstd_safe::{CCtx, DCtx};
use lz4_flex::block::CompressTable;

use super::{Codec, Decoder, lz4, zstd};

/// See the module. It holds what the largest batch needed, within some hundred kilobytes.
#[derive(Default)]
pub struct Codecs {
    zstd_in: Option<DCtx<'static>>,
    zstd_out: Option<CCtx<'static>>,
    lz4: CompressTable,
}

impl Codecs {
    /// All plain bytes of `input` to the front of `out`, and how many they are. `None` if they are more than there is room for
    /// or cannot be had: a [`Decoder`] tells.
    pub fn unpack(&mut self, codec: Codec, input: &[u8], out: &mut [u8]) -> Option<usize> {
        match codec {
            Codec::Zstd => self.zstd_in.get_or_insert_with(DCtx::create).decompress(out, input).ok(),
            Codec::Lz4 => lz4::unpack(input, out).ok(),
            Codec::None | Codec::Gzip | Codec::Snappy => stream(codec, input, out),
        }
    }

    /// `input` compressed behind `out`, as [`compress`](super::compress) does it without a level.
    pub fn pack(&mut self, codec: Codec, input: &[u8], out: &mut Vec<u8>) {
        match codec {
            Codec::Zstd => zstd::pack(input, out, self.zstd_out.get_or_insert_with(CCtx::create)),
            Codec::Lz4 => lz4::pack(input, out, &mut self.lz4),
            Codec::None | Codec::Gzip | Codec::Snappy => out.extend_from_slice(&super::compress(codec, None, input)),
        }
    }
}

impl std::fmt::Debug for Codecs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codecs").finish_non_exhaustive()
    }
}

fn stream(codec: Codec, input: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut decoder = Decoder::new(codec, input, out.len()).ok()?;
    let mut filled = 0;
    loop {
        // At the end of the room one more byte is asked for: there must be none.
        let mut probe = [0];
        let room = if filled < out.len() { &mut out[filled..] } else { &mut probe[..] };
        match decoder.read(room).ok()? {
            0 => return Some(filled),
            count => filled += count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{compress, decompress_capped};
    use super::*;

    /// Digits that repeat, and some that do not.
    fn plain(len: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let digit = |at: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if at % 64 < 40 { (at % 40) as u8 } else { (state >> 60) as u8 }
        };
        (0..len).map(digit).collect()
    }

    #[test]
    fn what_the_first_call_left_changes_nothing_for_the_next() {
        let mut codecs = Codecs::default();
        let mut room = vec![0; 300_000];
        for (seed, len) in [1, 70_000, 300_000, 10, 65_536, 65_535, 1_000].into_iter().enumerate() {
            let plain = plain(len, seed as u64);
            for codec in Codec::ALL {
                let mut packed = b"before".to_vec();
                codecs.pack(codec, &plain, &mut packed);
                let packed = &packed[6..];
                assert_eq!(decompress_capped(codec, packed, len).as_ref(), Ok(&plain), "{codec:?} {len}");
                let streamed = compress(codec, None, &plain);
                let at_most = streamed.len() + streamed.len() / 16 + 16;
                assert!(packed.len() <= at_most, "{codec:?} {len}: {} {}", packed.len(), streamed.len());
                for packed in [packed, &streamed] {
                    assert_eq!(codecs.unpack(codec, packed, &mut room), Some(len), "{codec:?} {len}");
                    assert!(room[..len] == plain, "{codec:?} {len}");
                    assert_eq!(codecs.unpack(codec, packed, &mut room[..len]), Some(len), "just enough room");
                    assert_eq!(codecs.unpack(codec, packed, &mut room[..len - 1]), None, "{codec:?} {len}");
                }
            }
        }
    }

    #[test]
    fn incompressible_bytes_are_stored() {
        let noise: Vec<u8> = (0..1000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for codec in [Codec::Lz4, Codec::Zstd] {
            let mut packed = Vec::new();
            Codecs::default().pack(codec, &noise, &mut packed);
            assert!(packed.len() <= noise.len() + 32, "{codec:?}: {}", packed.len());
        }
    }

    #[test]
    fn linked_blocks_and_several_frames_are_one_stream() {
        use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
        use std::io::Write;
        let mut joined = Vec::new();
        let mut whole = Vec::new();
        for (seed, len) in [200_000, 5, 150_000].into_iter().enumerate() {
            let info = FrameInfo::new()
                .block_size(BlockSize::Max64KB)
                .block_mode(BlockMode::Linked)
                .block_checksums(true)
                .content_checksum(true);
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            let plain = plain(len, seed as u64);
            encoder.write_all(&plain).unwrap();
            joined.extend(encoder.finish().unwrap());
            whole.extend(plain);
        }
        let mut room = vec![0; whole.len()];
        assert_eq!(Codecs::default().unpack(Codec::Lz4, &joined, &mut room), Some(whole.len()));
        assert!(room == whole);
        for at in (0..joined.len()).step_by(997) {
            let mut bad = joined.clone();
            bad[at] ^= 0x10;
            assert_eq!(Codecs::default().unpack(Codec::Lz4, &bad, &mut room), None, "byte {at}");
            assert_eq!(Codecs::default().unpack(Codec::Lz4, &joined[..at], &mut room).filter(|_| at > 0), None);
        }
    }
}
