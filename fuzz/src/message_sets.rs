//! Message sets of magic 0 and 1: what clients before 0.11 send, and what they are given of stored batches.

use protocol::batch::message_set::{Down, DownRules, First, Magic, Message, UpRules, down, messages, up};
use protocol::batch::{BatchView, Depth, Limits, ProduceRules, iter_batches, layout, validate_produce};
use protocol::compress::{Codec, Decoder, compress};
use std::io::Read as _;

use crate::meter::unmeasured;
use crate::targets::{DECODER_BYTES_MAX, OUTPUT_BYTES_MAX, sample_batch};

/// Memory of a conversion: a decoder, a message or a record in it, what is compressed again, and the result, each while it grows.
pub const MEMORY_BYTES_MAX: usize = DECODER_BYTES_MAX + 8 * OUTPUT_BYTES_MAX;

/// Bytes of a message: prefix and checksum, up to the magic.
const TO_MAGIC: usize = layout::MAGIC;
/// Where the attributes are.
const ATTRIBUTES: usize = TO_MAGIC + 1;

fn up_rules() -> UpRules {
    let max = OUTPUT_BYTES_MAX;
    UpRules { batch_bytes_max: max, plain_bytes_max: max, message_bytes_max: max, codec: None }
}

fn down_rules(magic: Magic) -> DownRules {
    DownRules {
        magic,
        from: 0,
        bytes_max: usize::MAX,
        first: First::Whole,
        room_bytes: 4 * OUTPUT_BYTES_MAX,
        limits: Limits { decompressed_bytes_max: OUTPUT_BYTES_MAX },
    }
}

/// A produced set: as it is, with the checksums of its messages made right, and as what a wrapper has in it.
pub fn produced(data: &[u8]) {
    take(data);
    let sealed = unmeasured(|| resealed(data));
    take(&sealed);
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4] {
        let wrapped = unmeasured(|| wrapper(codec, &sealed));
        take(&wrapped);
    }
}

fn take(set: &[u8]) {
    let shown = messages(set).take_while(Result::is_ok).count();
    assert!(shown <= set.len() / 26, "{shown} messages of {} bytes", set.len());
    let Ok(batch) = up(set, &up_rules()) else { return };
    unmeasured(|| {
        let rules = ProduceRules::new(usize::MAX, Depth::Deep);
        let rules = ProduceRules { limits: Limits { decompressed_bytes_max: 4 * OUTPUT_BYTES_MAX }, ..rules };
        let valid = validate_produce(&batch, &rules).expect("what was converted is a batch as producers send it");
        let magic = if set[TO_MAGIC] == 0 { Magic::V0 } else { Magic::V1 };
        there_and_back(&batch, &valid.batch, magic);
    });
}

/// A batch that was a set is one again, and the batch of that is the same.
fn there_and_back(batch: &[u8], view: &BatchView<'_>, magic: Magic) {
    let rules = DownRules { limits: Limits { decompressed_bytes_max: 4 * OUTPUT_BYTES_MAX }, ..down_rules(magic) };
    let Down { set, next_offset } = down([batch], &rules).expect("records that were just written can be read");
    assert_eq!(next_offset, Some(view.next_offset()));
    let wide = UpRules { plain_bytes_max: 4 * OUTPUT_BYTES_MAX, batch_bytes_max: 4 * OUTPUT_BYTES_MAX, ..up_rules() };
    let again = up(&set, &UpRules { message_bytes_max: 4 * OUTPUT_BYTES_MAX, ..wide }).expect("a set of ours");
    let (again, _) = BatchView::parse(&again).expect("a batch of ours");
    assert_eq!((again.codec(), again.record_count()), (view.codec(), view.record_count()));
    let plain = |view: &BatchView<'_>| {
        view.records(&Limits { decompressed_bytes_max: 4 * OUTPUT_BYTES_MAX })
            .expect("records of ours")
            .bytes()
            .to_vec()
    };
    assert_eq!(plain(&again), plain(view));
}

/// Batches for an old client, behind three bytes: magic and what becomes of a large first message, and the limit.
pub fn fetched(data: &[u8]) {
    let Some((&[choice, high, low], batches)) = data.split_first_chunk() else { return };
    let magic = if choice & 1 == 0 { Magic::V0 } else { Magic::V1 };
    let first = if choice & 2 == 0 { First::Cut } else { First::Whole };
    let bytes_max = usize::from(u16::from_be_bytes([high, low]));
    let from = i64::from(choice >> 2);
    let rules = DownRules { bytes_max, first, from, room_bytes: OUTPUT_BYTES_MAX, ..down_rules(magic) };
    let Ok(Down { set, next_offset }) = down([batches], &rules) else { return };
    unmeasured(|| {
        let mut all = messages(&set);
        let whole: Vec<Message<'_>> = all.by_ref().map_while(Result::ok).collect();
        assert!(whole.iter().all(|message| message.magic == magic));
        let len: usize = whole.iter().map(message_len).sum();
        let cut = len < set.len();
        assert!(!cut || (whole.is_empty() && set.len() == bytes_max), "only a first message is cut, and at the limit");
        assert!(set.len() <= bytes_max || whole.len() == 1, "{} bytes for {bytes_max}", set.len());
        let ends: Vec<i64> = iter_batches(batches).flatten().map(|batch| batch.next_offset()).collect();
        assert!(next_offset.is_none_or(|next| ends.contains(&next)), "{next_offset:?} of {ends:?}");
    });
}

fn message_len(message: &Message<'_>) -> usize {
    let stamp = if message.magic == Magic::V1 { 8 } else { 0 };
    ATTRIBUTES + 1 + stamp + 8 + message.key.map_or(0, <[u8]>::len) + message.value.map_or(0, <[u8]>::len)
}

/// The set with the checksum of every message made right, as far as sizes lead; those in wrappers as well.
fn resealed(data: &[u8]) -> Vec<u8> {
    let mut set = data.to_vec();
    let mut at = 0;
    while let Some(size) = set.get(at + 8..at + 12).and_then(|size| size.first_chunk()) {
        let end = at.saturating_add(12).saturating_add(i32::from_be_bytes(*size).max(0) as usize);
        if end > set.len() || end < at + ATTRIBUTES + 1 {
            break;
        }
        let crc = crc32(&set[at + TO_MAGIC..end]);
        set[at + 12..at + TO_MAGIC].copy_from_slice(&crc.to_be_bytes());
        at = end;
    }
    set
}

/// One message of magic 1 with `inner`, compressed, as its value.
fn wrapper(codec: Codec, inner: &[u8]) -> Vec<u8> {
    let value = compress(codec, None, inner);
    let head = [&[1, codec.id()][..], &[0; 8], &(-1_i32).to_be_bytes(), &(value.len() as i32).to_be_bytes()].concat();
    let size = (4 + head.len() + value.len()) as i32;
    resealed(&[&[0; 8][..], &size.to_be_bytes(), &[0; 4], &head, &value].concat())
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

/// A set of each magic and codec, two messages in a row, and what is in a wrapper.
#[must_use]
pub fn sets() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for magic in [Magic::V0, Magic::V1] {
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4] {
            let set = down([&sample_batch(codec)[..]], &down_rules(magic)).expect("a sample of ours").set;
            if let Some(Ok(Message { value: Some(value), .. })) = messages(&set).next()
                && codec == Codec::Gzip
            {
                let mut inner = Vec::new();
                let mut decoder = Decoder::new(codec, value, OUTPUT_BYTES_MAX).expect("a stream of ours");
                decoder.read_to_end(&mut inner).expect("a stream of ours");
                seeds.push(inner);
            }
            seeds.push([&set[..], &set].concat());
            seeds.push(set);
        }
    }
    seeds
}

/// Batches behind each choice and some limits.
#[must_use]
pub fn choices() -> Vec<Vec<u8>> {
    let limits: [[u8; 2]; 4] = [[0, 10], [0, 100], [1, 0], [255, 255]];
    let batches = crate::seeds::batches();
    let choice = |choice: u8| limits.map(|[high, low]| [choice, high, low]);
    let heads: Vec<[u8; 3]> = (0..8).flat_map(choice).collect();
    heads.iter().flat_map(|head| batches.iter().map(move |batch| [&head[..], batch].concat())).collect()
}
