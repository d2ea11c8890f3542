//! Message sets of magic 0 and 1, made into batches and back, against frames of kafka-python 1.4.7's own encoder. If this
//! breaks, clients before 0.11 write or read other records than they should, or a broker takes damage for records.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests, too, end the test")]

use protocol::batch::message_set::{Down, DownRules, First, Magic, Message, UpRules, down, messages, up};
use protocol::batch::{BatchBuilder, BatchError, BatchView, Header, Limits, set_log_append_time};
use protocol::compress::{Codec, Decoder, compress};
use std::io::Read;

/// kafka-python 1.4.7, `LegacyRecordBatchBuilder(magic, codec)`: ("a", "one", 1000 ms), (null, "two", 999 ms), ("c", null,
/// 1002 ms). Rows: magic, codec, bytes.
const GOLDEN: [(u8, Codec, &str); 8] = [
    (
        0,
        Codec::None,
        "0000000000000000000000124d193dac00000000000161000000036f6e650000000000000001000000116732f40b0000ffffffff0000000374776f00000000000000020000000fa0f24f3700000000000163ffffffff",
    ),
    (
        0,
        Codec::Gzip,
        "0000000000000000000000554430cbd50001ffffffff000000471f8b0800d696076b02ff63608003215f49db35601663229060cecf4b85ca3002b160bad1176e0686ff4000922c29cf874a320131ff824ffee610a5c9201500fde749ed56000000",
    ),
    (
        0,
        Codec::Snappy,
        "00000000000000000000006a2652f6100002ffffffff0000005c82534e4150505900000000010000000100000048560000190110124d193dac050f200161000000036f6e65050e40000001000000116732f40b0000ffffffff011d0874776f0d1d4c020000000fa0f24f3700000000000163ffffffff",
    ),
    (
        0,
        Codec::Lz4,
        "000000000000000000000069e046a0d90003ffffffff0000005b04224d1860401a4c0000001600010051124d193dac0f00910161000000036f6e650e00f002000001000000116732f40b0000ffffffff1d003074776f1a00f008000000020000000fa0f24f3700000000000163ffffffff00000000",
    ),
    (
        1,
        Codec::None,
        "00000000000000000000001aab5898b4010000000000000003e80000000161000000036f6e65000000000000000100000019375f7235010000000000000003e7ffffffff0000000374776f0000000000000002000000177fbd4c55010000000000000003ea0000000163ffffffff",
    ),
    (
        1,
        Codec::Gzip,
        "00000000000000000000006500780a7c01010000000000000000ffffffff0000004f1f8b0800d696076b02ff63608003a9d51133b6304239cc2f8004632288959f970a1504494a9ac71799c2553dff0f04204649793e548c0988c5ebf7fa84c215bd02694d06a90400bc5253b36e000000",
    ),
    (
        1,
        Codec::Snappy,
        "00000000000000000000007faec7e67601020000000000000000ffffffff0000006982534e41505059000000000100000001000000556e00001901141aab5898b4010d103403e80000000161000000036f6e650d15011d1019375f7235010901013003e7ffffffff0000000374776f01112c00000002000000177fbd4c55152524ea0000000163ffffffff",
    ),
    (
        1,
        Codec::Lz4,
        "00000000000000000000008238dfba2201030000000000000000ffffffff0000006c04224d1868406e00000000000000155500000016000100631aab5898b4011000e303e80000000161000000036f6e651500001d005019375f723509000002006003e7ffffffff25003074776f1100c500000002000000177fbd4c552500a0ea0000000163ffffffff00000000",
    ),
];

type Row = (i64, Option<&'static [u8]>, Option<&'static [u8]>);
const ROWS: [Row; 3] = [(1000, Some(b"a"), Some(b"one")), (999, None, Some(b"two")), (1002, Some(b"c"), None)];

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn golden(magic: u8, codec: Codec) -> Vec<u8> {
    unhex(GOLDEN.iter().find(|row| (row.0, row.1) == (magic, codec)).unwrap().2)
}

fn up_rules() -> UpRules {
    UpRules { batch_bytes_max: 1 << 20, plain_bytes_max: 32 << 20, message_bytes_max: 4 << 20, codec: None }
}

fn down_rules(magic: Magic) -> DownRules {
    let limits = Limits::default();
    DownRules { magic, from: 0, bytes_max: 1 << 20, first: First::Cut, room_bytes: 4 << 20, limits }
}

/// Offset, timestamp, key and value.
type Shown = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);

/// Every record of one batch.
fn records(batch: &[u8]) -> Vec<Shown> {
    let (view, rest) = BatchView::parse(batch).unwrap();
    assert!(rest.is_empty());
    view.check_crc().unwrap();
    let records = view.records(&Limits::default()).unwrap();
    let row = |r: protocol::batch::Record<'_>| {
        (r.offset, r.timestamp, r.key.map(<[u8]>::to_vec), r.value.map(<[u8]>::to_vec))
    };
    records.iter().map(|record| row(record.unwrap())).collect()
}

fn batch(codec: Codec, base_offset: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new().compression(codec, None).position(base_offset, 3).producer(9, 1, 5);
    for (timestamp, key, value) in ROWS {
        builder.append(timestamp, key, value, &[Header { key: b"h", value: Some(b"dropped") }]);
    }
    builder.build()
}

fn convert(batch: &[u8], rules: &DownRules) -> Down {
    down([batch], rules).unwrap()
}

/// The plain set in the only message of `set`.
fn unwrapped(set: &[u8], codec: Codec) -> (i64, i64, Vec<u8>) {
    let all: Vec<_> = messages(set).map(Result::unwrap).collect();
    let [wrapper] = all.as_slice() else { panic!("{} messages", all.len()) };
    assert_eq!((wrapper.codec(), wrapper.key), (codec.id(), None));
    let value = wrapper.value.unwrap();
    let mut decoder = match wrapper.magic {
        Magic::V0 => Decoder::for_magic_0(codec, value, 1 << 20).unwrap(),
        Magic::V1 => Decoder::new(codec, value, 1 << 20).unwrap(),
    };
    let mut plain = Vec::new();
    decoder.read_to_end(&mut plain).unwrap();
    (wrapper.offset, wrapper.timestamp, plain)
}

#[test]
fn kafka_pythons_sets_become_batches() {
    for (magic, codec, hex) in GOLDEN {
        let batch = up(&unhex(hex), &up_rules()).unwrap();
        let (view, _) = BatchView::parse(&batch).unwrap();
        assert_eq!((view.codec(), view.base_offset(), view.has_producer_id()), (codec, 0, false), "{magic} {codec:?}");
        let expect = (0..).zip(ROWS).map(|(offset, (timestamp, key, value))| {
            (offset, if magic == 0 { -1 } else { timestamp }, key.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec))
        });
        assert_eq!(records(&batch), expect.collect::<Vec<_>>(), "{magic} {codec:?}");
        assert_eq!(view.max_timestamp(), if magic == 0 { -1 } else { 1002 });
    }
}

#[test]
fn batches_become_kafka_pythons_sets() {
    for magic in [Magic::V0, Magic::V1] {
        let plain = golden(magic as u8, Codec::None);
        assert_eq!(
            convert(&batch(Codec::None, 0), &down_rules(magic)),
            Down { set: plain.clone(), next_offset: Some(3) }
        );
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4] {
            let set = convert(&batch(codec, 0), &down_rules(magic)).set;
            let max = if magic == Magic::V0 { -1 } else { 1002 };
            assert_eq!(unwrapped(&set, codec), (2, max, plain.clone()), "{magic} {codec:?}");
        }
    }
}

/// KAFKA-3160: the byte behind magic, FLG 0x60 and BD 0x40 is 0x1a in a message of magic 0, as kafka-python has it, else 0x82.
#[test]
fn lz4_in_magic_0_has_the_checksum_that_old_clients_insist_on() {
    let head = |magic| {
        let set = convert(&batch(Codec::Lz4, 0), &down_rules(magic)).set;
        let all: Vec<_> = messages(&set).map(Result::unwrap).collect();
        all[0].value.unwrap()[4..7].to_vec()
    };
    assert_eq!(head(Magic::V0), [0x60, 0x40, 0x1a]);
    assert_eq!(head(Magic::V1), [0x60, 0x40, 0x82]);
}

#[test]
fn offsets_stay_absolute_in_magic_0_and_relative_in_wrappers_of_magic_1() {
    let compacted = {
        let mut builder = BatchBuilder::new().compression(Codec::Gzip, None).position(5_000_000_000, 0);
        builder.append_at(2, 7, None, Some(b"x"), &[]);
        builder.append_at(9, 8, None, Some(b"y"), &[]);
        builder.build()
    };
    for (magic, inside) in [(Magic::V0, [5_000_000_002, 5_000_000_009]), (Magic::V1, [2, 9])] {
        let set = convert(&compacted, &down_rules(magic)).set;
        let (offset, _, plain) = unwrapped(&set, Codec::Gzip);
        let offsets: Vec<_> = messages(&plain).map(|message| message.unwrap().offset).collect();
        assert_eq!((offset, offsets.as_slice()), (5_000_000_009, inside.as_slice()), "{magic}");
    }
}

#[test]
fn append_time_is_told_to_magic_1() {
    for codec in [Codec::None, Codec::Gzip] {
        let mut stamped = batch(codec, 0);
        set_log_append_time(&mut stamped, 77_000);
        let set = convert(&stamped, &down_rules(Magic::V1)).set;
        let first = messages(&set).next().unwrap().unwrap();
        assert!(first.has_append_time() && first.timestamp == 77_000, "{codec:?} {first:?}");
        let old = convert(&stamped, &down_rules(Magic::V0)).set;
        assert!(messages(&old).all(|message| message.unwrap().attributes & 8 == 0));
    }
}

#[test]
fn what_old_clients_cannot_have_is_left_out_or_refused() {
    let mut marker = BatchBuilder::new().position(3, 0).producer(9, 1, -1).transactional().control();
    marker.append(5, Some(&[0, 0, 0, 1]), Some(&[0; 6]), &[]);
    let marker = marker.build();
    let emptied = BatchBuilder::new().position(4, 0).build();
    let run = [batch(Codec::None, 0), marker.clone(), emptied, batch(Codec::None, 5)].concat();
    let found = convert(&run, &down_rules(Magic::V1));
    let offsets: Vec<_> = messages(&found.set).map(|message| message.unwrap().offset).collect();
    assert_eq!((offsets, found.next_offset), (vec![0, 1, 2, 5, 6, 7], Some(8)));
    assert_eq!(convert(&marker, &down_rules(Magic::V1)), Down { set: Vec::new(), next_offset: Some(4) });

    let zstd = batch(Codec::Zstd, 0);
    let refused = down([&zstd[..]], &down_rules(Magic::V1)).unwrap_err();
    assert_eq!((refused.clone(), refused.kafka_error()), (BatchError::CodecNotAllowed { got: 4 }, 76));
    let behind = [batch(Codec::Gzip, 0), batch(Codec::Zstd, 3)].concat();
    assert_eq!(convert(&behind, &down_rules(Magic::V1)).next_offset, Some(3), "what comes before it is served");
}

#[test]
fn a_set_ends_where_the_limits_end_it() {
    let two = [batch(Codec::None, 0), batch(Codec::None, 3)].concat();
    let whole = convert(&two, &down_rules(Magic::V1)).set;
    let len = |bytes_max, first| convert(&two, &DownRules { bytes_max, first, ..down_rules(Magic::V1) }).set.len();
    let first_message = 38;
    assert_eq!(len(whole.len(), First::Cut), whole.len());
    assert_eq!(len(whole.len() - 1, First::Cut), whole.len() - 35, "the last message is left out");
    assert_eq!(len(first_message, First::Cut), first_message);
    assert_eq!(len(10, First::Cut), 10, "cut, so that the client sees that it wants too little");
    assert_eq!(len(10, First::Whole), first_message);
    let gzip = batch(Codec::Gzip, 0);
    let wrapper = convert(&gzip, &down_rules(Magic::V1)).set.len();
    assert!(wrapper > gzip.len() || wrapper > 100, "a wrapper of {wrapper} for {}", gzip.len());
    let limited = DownRules { bytes_max: wrapper - 1, ..down_rules(Magic::V1) };
    let expect = if gzip.len() < wrapper { wrapper } else { wrapper - 1 };
    assert_eq!(convert(&gzip, &limited).set.len(), expect, "whole if the batch as stored would have fitted");
    let later = DownRules { from: 1, ..down_rules(Magic::V1) };
    assert_eq!(messages(&convert(&two, &later).set).next().unwrap().unwrap().offset, 1);
    let no_room = DownRules { room_bytes: 30, ..down_rules(Magic::V1) };
    assert_eq!(convert(&two, &no_room), Down::default());
    assert_eq!(convert(&gzip, &no_room), Down::default());
}

/// One message of `magic`, checksum included.
fn message(magic: u8, attributes: u8, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Vec<u8> {
    let mut body = vec![magic, attributes];
    if magic == 1 {
        body.extend_from_slice(&1000_i64.to_be_bytes());
    }
    for bytes in [key, value] {
        body.extend_from_slice(&bytes.map_or(-1, |bytes| bytes.len() as i32).to_be_bytes());
        body.extend_from_slice(bytes.unwrap_or_default());
    }
    sealed(offset, &body)
}

fn sealed(offset: i64, body: &[u8]) -> Vec<u8> {
    let size = (body.len() + 4) as i32;
    [&offset.to_be_bytes()[..], &size.to_be_bytes(), &crc32(body).to_be_bytes(), body].concat()
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

fn wrapper(magic: u8, codec: Codec, inner: &[u8]) -> Vec<u8> {
    message(magic, codec.id(), 0, None, Some(&compress(codec, None, inner)))
}

#[test]
fn bad_sets() {
    let good = message(1, 0, 0, Some(b"k"), Some(b"v"));
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let last = good.len() - 1;
    let gzip = |inner: &[u8]| wrapper(1, Codec::Gzip, inner);
    let mut broken_inside = good.clone();
    broken_inside[last] ^= 1;
    let table: Vec<(&str, Vec<u8>, i16, &str)> = vec![
        ("nothing", vec![], 87, "the message set is empty"),
        ("a flipped bit", with(last, b'w'), 2, "CRC-32"),
        ("magic 3", with(16, 3), 2, "magic 3"),
        ("magic -1", with(16, 255), 2, "magic -1"),
        ("a negative size", with(8, 255), 2, "has size"),
        ("a size below a message's", [&[0; 8][..], &[0, 0, 0, 13], &[0; 13]].concat(), 2, "has size 13"),
        ("a size beyond the bytes", with(10, 1), 2, "needs"),
        ("half a message behind", [&good[..], &good[..20]].concat(), 2, "needs"),
        ("a few bytes behind", [&good[..], &[1, 2, 3]].concat(), 2, "needs"),
        ("magic 0 behind 1", [good.clone(), message(0, 0, 1, None, None)].concat(), 87, "magic 0 in a set of magic 1"),
        ("a batch behind 1", [good.clone(), batch(Codec::None, 0)].concat(), 87, "magic 2 in a set of magic 1"),
        (
            "a key that is too long",
            sealed(0, &[0, 0, 0, 0, 0, 9, 1, 255, 255, 255, 255]),
            87,
            "shorter than its lengths",
        ),
        ("a key of length -2", sealed(0, &[0, 0, 255, 255, 255, 254, 0, 0, 0, 0]), 87, "below -1"),
        ("bytes behind the value", sealed(0, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]), 87, "longer than its key and value"),
        ("LogAppendTime", message(1, 8, 0, None, None), 32, "LogAppendTime"),
        ("zstd", message(1, 4, 0, None, Some(b"x")), 76, "compression type 4"),
        ("codec 7", message(1, 7, 0, None, Some(b"x")), 76, "compression type 7"),
        ("a wrapper without value", message(1, 1, 0, None, None), 87, "no messages in it"),
        ("a wrapper of nothing", gzip(&[]), 87, "no messages in it"),
        ("a wrapper behind another", [gzip(&good), gzip(&good)].concat(), 87, "one compressed message or none"),
        ("a wrapper behind a message", [good.clone(), gzip(&good)].concat(), 87, "one compressed message or none"),
        ("a wrapper in a wrapper", gzip(&gzip(&good)), 87, "is compressed itself"),
        ("LogAppendTime inside", gzip(&message(1, 8, 0, None, None)), 32, "LogAppendTime"),
        ("a flipped bit inside", gzip(&broken_inside), 2, "CRC-32"),
        ("magic 0 inside 1", gzip(&message(0, 0, 0, None, None)), 87, "magic 0 in a set of magic 1"),
        ("half a message inside", gzip(&good[..20]), 2, "needs"),
        ("a few bytes inside", gzip(&[&good[..], &[1, 2, 3]].concat()), 2, "needs"),
        ("no gzip", message(1, 1, 0, None, Some(b"not gzip at all, really")), 2, "gzip"),
        ("a cut stream", message(1, 1, 0, None, Some(&compress(Codec::Gzip, None, &good)[..15])), 2, "gzip"),
        (
            "lz4 with a wrong checksum",
            {
                let mut frame = compress(Codec::Lz4, None, &good);
                frame[6] ^= 1;
                message(1, 3, 0, None, Some(&frame))
            },
            2,
            "header checksum",
        ),
    ];
    for (what, bytes, code, text) in table {
        let error = up(&bytes, &up_rules()).unwrap_err();
        assert!(
            error.to_string().contains(text) && error.kafka_error() == code,
            "{what}: {error} {}",
            error.kafka_error()
        );
    }
}

/// Some clients wrote absolute or descending offsets into wrappers of magic 1; what they sent is in the right order.
#[test]
fn offsets_of_producers_mean_nothing() {
    let inner: Vec<u8> = [7, 7, 3, -1].map(|offset| message(1, 0, offset, None, Some(b"v"))).concat();
    let stored = up(&wrapper(1, Codec::Snappy, &inner), &up_rules()).unwrap();
    assert_eq!(records(&stored).iter().map(|record| record.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn a_topics_own_codec_is_applied_at_once() {
    for codec in Codec::ALL {
        let rules = UpRules { codec: Some((codec, None)), ..up_rules() };
        let stored = up(&golden(1, Codec::Gzip), &rules).unwrap();
        assert_eq!(BatchView::parse(&stored).unwrap().0.codec(), codec);
        assert_eq!(records(&stored).len(), 3);
    }
}

/// Any records survive the way up and down and up again.
#[test]
fn there_and_back() {
    let mut state = 1_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for round in 0..300 {
        let codec = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4][round % 4];
        let magic = [Magic::V0, Magic::V1][round / 4 % 2];
        let mut builder = BatchBuilder::new().compression(codec, None);
        for _ in 0..1 + next(40) {
            let bytes: Vec<u8> = (0..next(300)).map(|_| next(256) as u8).collect();
            let (key, value) = (&bytes[..bytes.len() / 3], &bytes[bytes.len() / 3..]);
            let timestamp = if magic == Magic::V0 { -1 } else { next(1 << 40) as i64 };
            builder.append(timestamp, (next(4) > 0).then_some(key), (next(4) > 0).then_some(value), &[]);
        }
        let stored = builder.build();
        let set = convert(&stored, &down_rules(magic)).set;
        let again = up(&set, &up_rules()).unwrap();
        assert_eq!(records(&again), records(&stored), "round {round}");
        let shown: Vec<Message<'_>> = messages(&set).map(Result::unwrap).collect();
        assert!(shown.iter().all(|message| message.magic == magic));
    }
}
