//! What is encoded comes back, in every version of every message, and no cut of it decodes.

use protocol::{EncodeError, Reader, Writer, messages::*};

use crate::sample::{Rng, Sample};
use crate::samples::each_message;

const SAMPLES: u64 = 20;

macro_rules! round_trip {
    ($module:ident, $message:ident) => {{
        let name = stringify!($message);
        for version in $module::$message::VERSIONS.iter() {
            let check = |value: &$module::$message, bytes: &[u8]| {
                let mut r = Reader::new(bytes);
                assert_eq!($module::$message::decode(&mut r, version).as_ref(), Ok(value), "{name} v{version}");
                r.finish().unwrap();
                for len in (0..bytes.len()).step_by(1 + bytes.len() / 50) {
                    let cut = $module::$message::decode(&mut Reader::new(&bytes[..len]), version);
                    assert!(cut.is_err(), "{name} v{version}: {len} of {} bytes decode", bytes.len());
                }
            };
            let encoded = |value: &$module::$message| {
                let mut w = Writer::new();
                value.encode(&mut w, version).map(|()| w.into_bytes().unwrap())
            };
            let default = $module::$message::default();
            match encoded(&default) {
                Ok(bytes) => check(&default, &bytes),
                // Some versions have no null for a field that is null by default.
                Err(EncodeError::Null { .. }) => {}
                Err(error) => panic!("{name} v{version}: {error}"),
            }
            for seed in 0..SAMPLES {
                let value = $module::$message::sample(&mut Rng::new(seed), version);
                let bytes = encoded(&value).unwrap_or_else(|e| panic!("{name} v{version} seed {seed}: {e}"));
                check(&value, &bytes);
            }
        }
    }};
}

#[test]
fn every_message_in_every_version() {
    each_message!(round_trip);
}

#[test]
fn versions_outside_the_table() {
    let known = produce::ProduceRequest::VERSIONS;
    for got in [-1, 14, i16::MAX] {
        let decoded = ProduceRequest::decode(&mut Reader::new(&[]), got);
        assert_eq!(decoded, Err(protocol::DecodeError::Version { got, known }));
        let encoded = ProduceRequest::default().encode(&mut Writer::new(), got);
        assert_eq!(encoded, Err(EncodeError::Version { got, known }));
    }
}

#[test]
fn a_value_that_the_version_cannot_carry_is_refused_and_nothing_written() {
    let request = FetchRequest { rack_id: "r1".into(), ..Default::default() };
    let mut w = Writer::new();
    assert_eq!(request.encode(&mut w, 11), Ok(()));
    let request = OffsetFetchRequest { require_stable: true, group_id: "g".into(), ..Default::default() };
    let mut w = Writer::new();
    let error = request.encode(&mut w, 6).unwrap_err();
    assert_eq!(error, EncodeError::FieldNotInVersion { field: "RequireStable", version: 6 });
    assert!(w.is_empty());
}

#[test]
fn ignorable_values_are_dropped_by_older_versions() {
    let response = HeartbeatResponse { throttle_time_ms: 5, error_code: 27 };
    let mut w = Writer::new();
    response.encode(&mut w, 0).unwrap();
    assert_eq!(w.into_bytes().unwrap(), [0, 27]);
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    // Heartbeat v4 with tag 9 of three bytes.
    let bytes = [2, b'g', 0, 0, 0, 1, 2, b'm', 0, 1, 9, 3, 1, 2, 3];
    let mut r = Reader::new(&bytes);
    let request = HeartbeatRequest::decode(&mut r, 4).unwrap();
    assert_eq!((&*request.group_id, request.generation_id, &*request.member_id), ("g", 1, "m"));
    r.finish().unwrap();
}

#[test]
fn a_produce_request_says_where_its_records_lie() {
    let partition = produce::PartitionProduceData { index: 3, records: protocol::Records::Bytes(b"batch") };
    let topic = produce::TopicProduceData { name: "t".into(), partition_data: vec![partition], ..Default::default() };
    let request = ProduceRequest { acks: -1, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() };
    let mut w = Writer::new();
    request.encode(&mut w, 9).unwrap();
    let frame = w.into_bytes().unwrap();
    let decoded = ProduceRequest::decode(&mut Reader::new(&frame), 9).unwrap();
    let range = decoded.topic_data[0].partition_data[0].records.range_in(&frame).unwrap();
    assert_eq!(&frame[range], b"batch");
}
