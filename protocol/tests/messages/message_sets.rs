//! Converting message sets costs the memory that the caller allows, whatever expands out of them.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests, too, end the test")]

use crate::counting::peak_of;
use protocol::batch::message_set::{Down, DownRules, First, Magic, MessageSetError, UpRules, down, up};
use protocol::batch::{BatchBuilder, Limits};
use protocol::compress::{Codec, compress};

/// What codecs and buffers take, however little they are given.
const FIXED: usize = 2 << 20;

fn up_rules() -> UpRules {
    UpRules { batch_bytes_max: 1 << 20, plain_bytes_max: 32 << 20, message_bytes_max: 4 << 20, codec: None }
}

fn down_rules() -> DownRules {
    let limits = Limits::default();
    DownRules { magic: Magic::V0, from: 0, bytes_max: 1 << 20, first: First::Cut, room_bytes: 4 << 20, limits }
}

/// One message of magic 1 with this value.
fn message(codec: Codec, value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.append(1000, None, Some(value), &[]);
    let rules = DownRules { magic: Magic::V1, bytes_max: usize::MAX, room_bytes: usize::MAX, ..down_rules() };
    let mut set = down([&builder.build()[..]], &rules).unwrap().set;
    if codec != Codec::None {
        set[17] = codec.id();
        let crc = crc_of(&set[16..]);
        set[12..16].copy_from_slice(&crc.to_be_bytes());
    }
    set
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc_of(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

fn wrapper(codec: Codec, inner: &[u8]) -> Vec<u8> {
    message(codec, &compress(codec, None, inner))
}

#[test]
fn bombs_cost_what_the_rules_allow() {
    let zeros = vec![0; 24 << 20];
    let large = message(Codec::None, &zeros);
    let many = message(Codec::None, &[0; 100]).repeat(100_000);
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4] {
        let one = wrapper(codec, &large);
        let (result, peak) = peak_of(|| up(&one, &up_rules()));
        assert_eq!(result.unwrap_err(), MessageSetError::TooLarge { max_bytes: 4 << 20 }, "{codec:?}");
        assert!(peak < 2 * (4 << 20) + FIXED, "{codec:?}: {peak}");

        let set = wrapper(codec, &many);
        let rules = UpRules { batch_bytes_max: 1 << 20, codec: Some((Codec::None, None)), ..up_rules() };
        let (result, peak) = peak_of(|| up(&set, &rules));
        assert_eq!(result.unwrap_err(), MessageSetError::TooLarge { max_bytes: 1 << 20 }, "{codec:?}");
        assert!(peak < 4 * (1 << 20) + FIXED, "{codec:?}: {peak}");
        let rules = UpRules { plain_bytes_max: 1 << 20, ..up_rules() };
        assert_eq!(up(&set, &rules).unwrap_err().kafka_error(), 10, "{codec:?}");

        let mut builder = BatchBuilder::new().compression(codec, None);
        builder.append(0, None, Some(&zeros), &[]);
        let stored = builder.build();
        let rules = DownRules { room_bytes: 1 << 20, ..down_rules() };
        let (result, peak) = peak_of(|| down([&stored[..]], &rules));
        assert_eq!(result.unwrap(), Down::default());
        assert!(peak < 4 * (1 << 20) + FIXED, "{codec:?}: {peak}");
    }
}
