//! CRC-32C (Castagnoli), the checksum of record batches, and CRC-32 (IEEE 802.3), that of the messages before them.
//!
//! One function each, so that the implementation is chosen in one place; where the checksum lies in a batch is
//! `batch::layout`'s business. `crc-fast` serves every size: at 16 KiB and 1 MiB it took half the `crc32c`
//! crate's time (`benches/crc.rs`, one run on a busy machine). Up to 1 KiB that run could not tell them apart: there
//! `crc-fast` measured twice differed by as much from itself.

/// CRC-32C of `bytes`: reflected polynomial 0x82F63B78, initial and final value all ones (RFC 3720, Kafka's `Crc32C`).
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// A running CRC-32 of IEEE 802.3: reflected polynomial 0xEDB88320, initial and final value all ones (zlib's `crc32`,
/// Java's `CRC32`).
pub(crate) struct Crc32(crc_fast::Digest);

impl Crc32 {
    pub(crate) fn new() -> Self {
        Crc32(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32IsoHdlc))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(&self) -> u32 {
        self.0.finalize() as u32
    }
}

/// CRC-32 of `bytes`.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(bytes);
    crc.finish()
}

#[cfg(test)]
mod tests {
    use super::{Crc32, crc32, crc32c};

    /// The check value of every catalogue of checksums, whole and in pieces.
    #[test]
    fn published_value_of_crc32() {
        assert_eq!((crc32(b"123456789"), crc32(b"")), (0xcbf4_3926, 0));
        let mut crc = Crc32::new();
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!(crc.finish(), 0xcbf4_3926);
    }

    /// The four vectors of RFC 3720, appendix B.4, as numbers rather than in wire order.
    #[test]
    fn published_vectors() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&ascending), 0x46dd_794e);
        assert_eq!(crc32c(&descending), 0x113f_db5c);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    /// Every length around the widths where vector code changes its path, at every alignment of a 16-byte lane.
    #[test]
    fn agrees_with_a_second_implementation() {
        let data: Vec<u8> = (0..70_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for len in (0..600).chain([1023, 1024, 1025, 4096, 16_384, 65_535, 65_536]) {
            for start in 0..16 {
                let bytes = &data[start..start + len];
                assert_eq!(crc32c(bytes), ::crc32c::crc32c(bytes), "start {start} len {len}");
            }
        }
    }
}
