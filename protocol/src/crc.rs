//! CRC-32C (Castagnoli), the checksum of record batches.
//!
//! One function, so that the implementation is chosen in one place; where the checksum lies in a batch is
//! `batch::layout`'s business. `crc-fast` serves every size: at 16 KiB and 1 MiB it took half the `crc32c`
//! crate's time (`benches/crc.rs`, one run on a busy machine). Up to 1 KiB that run could not tell them apart: there
//! `crc-fast` measured twice differed by as much from itself.

/// CRC-32C of `bytes`: reflected polynomial 0x82F63B78, initial and final value all ones (RFC 3720, Kafka's `Crc32C`).
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

#[cfg(test)]
mod tests {
    use super::crc32c;

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
