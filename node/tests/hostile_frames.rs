//! Counts of 2³¹−1 wherever a count can stand, in every request that the broker serves, in every version: each costs its
//! connection at most, never memory and never the process. The decoders' own bound is proven in `protocol`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a broken set-up should fail its test")]

mod common;
#[path = "../../protocol/tests/messages/sample.rs"]
mod sample;
#[allow(unused_imports, unused_macros, reason = "its list of all messages serves the protocol crate's tests")]
#[path = "../../protocol/tests/messages/samples.rs"]
mod samples;

use common::memory::MOVES_MAX_KIB;
use common::{Broker, DRIVERS, folder, ringlog};
use protocol::messages::{api_versions, *};
use protocol::{ApiKey, DecodeError, Reader, RequestHeader, Str, Writer};
use sample::{Rng, Sample};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

/// 2³¹−1 as a classic count, as a compact one and as a number of tagged fields; 2¹⁵−1 as the length of a classic string.
const COUNTS: [&[u8]; 4] =
    [&[0x7f, 0xff, 0xff, 0xff], &[0x80, 0x80, 0x80, 0x80, 0x08], &[0xff, 0xff, 0xff, 0xff, 0x07], &[0x7f, 0xff]];

/// Connections at a time.
const AT_ONCE: usize = 16;

/// One request: its key, its versions, sample bodies, and whether a body decodes.
struct Served {
    key: ApiKey,
    versions: Vec<i16>,
    body: fn(u64, i16) -> Vec<u8>,
    decode: fn(&[u8], i16) -> Result<(), DecodeError>,
}

macro_rules! served {
    ($($key:ident => $module:ident::$message:ident,)*) => {
        vec![$(Served {
            key: ApiKey::$key,
            versions: $module::$message::VERSIONS.iter().collect(),
            body: |seed, version| {
                let mut writer = Writer::new();
                $module::$message::sample(&mut Rng::new(seed), version).encode(&mut writer, version).unwrap();
                writer.into_bytes().unwrap()
            },
            decode: |body, version| $module::$message::decode(&mut Reader::new(body), version).map(drop),
        },)*]
    };
}

fn served() -> Vec<Served> {
    served! {
        Produce => produce::ProduceRequest,
        Fetch => fetch::FetchRequest,
        ListOffsets => list_offsets::ListOffsetsRequest,
        Metadata => metadata::MetadataRequest,
        OffsetCommit => offset_commit::OffsetCommitRequest,
        OffsetFetch => offset_fetch::OffsetFetchRequest,
        FindCoordinator => find_coordinator::FindCoordinatorRequest,
        JoinGroup => join_group::JoinGroupRequest,
        Heartbeat => heartbeat::HeartbeatRequest,
        LeaveGroup => leave_group::LeaveGroupRequest,
        SyncGroup => sync_group::SyncGroupRequest,
        DescribeGroups => describe_groups::DescribeGroupsRequest,
        ListGroups => list_groups::ListGroupsRequest,
        ApiVersions => api_versions::ApiVersionsRequest,
        CreateTopics => create_topics::CreateTopicsRequest,
        DeleteTopics => delete_topics::DeleteTopicsRequest,
        DeleteRecords => delete_records::DeleteRecordsRequest,
        InitProducerId => init_producer_id::InitProducerIdRequest,
        OffsetForLeaderEpoch => offset_for_leader_epoch::OffsetForLeaderEpochRequest,
        DescribeConfigs => describe_configs::DescribeConfigsRequest,
        AlterConfigs => alter_configs::AlterConfigsRequest,
        DescribeLogDirs => describe_log_dirs::DescribeLogDirsRequest,
        CreatePartitions => create_partitions::CreatePartitionsRequest,
        DeleteGroups => delete_groups::DeleteGroupsRequest,
        IncrementalAlterConfigs => incremental_alter_configs::IncrementalAlterConfigsRequest,
        OffsetDelete => offset_delete::OffsetDeleteRequest,
        DescribeCluster => describe_cluster::DescribeClusterRequest,
        DescribeTopicPartitions => describe_topic_partitions::DescribeTopicPartitionsRequest,
        AlterReplicaLogDirs => alter_replica_log_dirs::AlterReplicaLogDirsRequest,
        DescribeProducers => describe_producers::DescribeProducersRequest,
        UnregisterBroker => unregister_broker::UnregisterBrokerRequest,
        ConsumerGroupHeartbeat => consumer_group_heartbeat::ConsumerGroupHeartbeatRequest,
        ConsumerGroupDescribe => consumer_group_describe::ConsumerGroupDescribeRequest,
        ListConfigResources => list_config_resources::ListConfigResourcesRequest,
    }
}

fn header(key: ApiKey, version: i16) -> Vec<u8> {
    let mut writer = Writer::new();
    let client_id = Some(Str::from("hostile"));
    let header = RequestHeader { api_key: key as i16, api_version: version, correlation_id: 1, client_id };
    header.encode(&mut writer).unwrap();
    writer.into_bytes().unwrap()
}

fn frame(request: &[u8]) -> Vec<u8> {
    [&u32::try_from(request.len()).unwrap().to_be_bytes()[..], request].concat()
}

/// `body` with each of [`COUNTS`] over each of its places. Where a count stands, nothing can follow what it promises; those
/// that hit no count, and so still decode, are left out: they say something else, which other tests are about.
fn hostile<'a>(served: &'a Served, version: i16, body: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + 'a {
    let places = (0..body.len()).flat_map(|at| COUNTS.iter().map(move |count| (at, *count)));
    let damaged = places.map(move |(at, count)| {
        let rest = body.get(at + count.len()..).unwrap_or_default();
        [&body[..at], count, rest].concat()
    });
    damaged.filter(move |body| (served.decode)(body, version).is_err())
}

/// The smallest sample that has something in its lists.
fn sample_body(served: &Served, version: i16) -> Vec<u8> {
    let bodies: Vec<Vec<u8>> = (0..8).map(|seed| (served.body)(seed, version)).collect();
    let enough = |body: &&Vec<u8>| (40..160).contains(&body.len());
    bodies.iter().find(enough).or(bodies.iter().max_by_key(|body| body.len().min(300))).unwrap().clone()
}

/// Sends each on a connection of its own; the broker must close every one.
fn send_all(broker: &Broker, frames: &[Vec<u8>], what: &str) {
    for some in frames.chunks(AT_ONCE) {
        let mut peers: Vec<TcpStream> = some.iter().map(|_| broker.client().stream).collect();
        for (peer, frame) in peers.iter_mut().zip(some) {
            // It may be closed on the way.
            let _ = peer.write_all(frame);
            let _ = peer.shutdown(Shutdown::Write);
        }
        for (mut peer, frame) in peers.into_iter().zip(some) {
            let mut answer = Vec::new();
            if let Err(error) = peer.read_to_end(&mut answer) {
                let is_over = error.kind() == std::io::ErrorKind::ConnectionReset;
                assert!(is_over, "{what}: {error} after {frame:?}");
            }
        }
    }
}

#[test]
fn counts_of_two_gi_in_every_request() {
    let served = served();
    for driver in DRIVERS {
        let data = folder();
        // Each refused frame is a warning: not for a test's output.
        let mut command = ringlog(data.path(), &["--io", driver, "--shards", "1"]);
        command.env("RUST_LOG", "error");
        let broker = Broker::spawn(command);
        let mut witness = broker.client();
        assert_eq!(witness.create_topic("t", 1), 0);
        assert_eq!(witness.produce("t", 0, &["x"]), (0, 0));
        send_all(&broker, &vec![frame(&[0x7f, 0xff, 0, 0, 0, 0, 0, 0]); 2 * AT_ONCE], "warm-up");
        let (before, mut sent) = (broker.peak_kib(), 0);
        for (number, served) in served.iter().enumerate() {
            for version in &served.versions {
                let head = header(served.key, *version);
                let body = sample_body(served, *version);
                let frames: Vec<_> =
                    hostile(served, *version, &body).map(|body| frame(&[&head[..], &body].concat())).collect();
                send_all(&broker, &frames, &format!("{driver} {} v{version}", served.key.name()));
                sent += frames.len();
            }
            assert_eq!(witness.produce("t", 0, &["x"]), (0, number as i64 + 1), "{driver}: {}", served.key.name());
        }
        let moved = broker.peak_kib() - before;
        println!("{driver}: {sent} frames moved the peak by {moved} KiB");
        assert!(sent > 50_000 && moved <= MOVES_MAX_KIB, "{driver}: {sent} frames, {moved} KiB");
        assert_eq!(witness.fetch_all("t", 0).len(), served.len() + 1);
    }
}

/// Request bodies of one byte repeated, so that lists nest as deep and long as their bytes allow: they may decode, and then
/// are answered; memory stays in proportion.
#[test]
fn frames_that_are_nothing_but_lists() {
    const BODY_BYTES: usize = 30_000;
    let data = folder();
    let mut command = ringlog(data.path(), &["--shards", "1"]);
    command.env("RUST_LOG", "error");
    let broker = Broker::spawn(command);
    let mut witness = broker.client();
    assert_eq!(witness.create_topic("t", 1), 0);
    assert_eq!(witness.produce("t", 0, &["x"]), (0, 0));
    let before = broker.peak_kib();
    for served in served() {
        for version in [served.versions[0], served.versions[served.versions.len() - 1]] {
            for byte in [0, 1, 2, 0x10, 0x7f] {
                let request = [header(served.key, version), vec![byte; BODY_BYTES]].concat();
                send_all(&broker, &[frame(&request)], &format!("{} v{version} of {byte}", served.key.name()));
            }
        }
    }
    let moved = broker.peak_kib() - before;
    println!("frames of lists moved the peak by {moved} KiB");
    assert!(moved <= MOVES_MAX_KIB, "{moved} KiB");
    assert_eq!(witness.produce("t", 0, &["y"]), (0, 1));
}

/// Tagged fields that nobody knows, `count` of them: one tag again and again, or ever lower ones, with one byte each.
fn unknown_tags(count: u32, is_repeated: bool) -> Vec<u8> {
    let mut bytes = varint(count);
    for number in (0..count).rev() {
        bytes.extend(varint(if is_repeated { 90 } else { 90 + number }));
        bytes.extend([1, 7]);
    }
    bytes
}

fn varint(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Thousands of unknown tagged fields behind every struct of every flexible request, its header too (CVE-2026-111115 was two
/// bytes each in the header of ApiVersions). They are skipped, as KIP-482 wants, and so cost nothing but their bytes; where they
/// do not fit they end the connection.
#[test]
fn tagged_fields_by_the_thousand() {
    const COUNT: u32 = 2_000;
    let data = folder();
    let mut command = ringlog(data.path(), &["--shards", "1"]);
    command.env("RUST_LOG", "error");
    let broker = Broker::spawn(command);
    let mut witness = broker.client();
    assert_eq!(witness.create_topic("t", 1), 0);
    let tags = [unknown_tags(COUNT, true), unknown_tags(COUNT, false)];
    // Tags that claim 2 GiB: of them, and of one's value.
    let lies = [vec![0xff, 0xff, 0xff, 0xff, 0x07], vec![1, 90, 0xff, 0xff, 0xff, 0xff, 0x07]];
    send_all(&broker, &vec![frame(&tags[0]); 2 * AT_ONCE], "warm-up");
    let (before, mut nested) = (broker.peak_kib(), 0);
    for served in served() {
        let Some(version) = served.versions.iter().copied().rfind(|version| served.key.is_flexible(*version)) else {
            continue;
        };
        let (head, body) = (header(served.key, version), sample_body(&served, version));
        let mut frames = Vec::new();
        for tags in tags.iter().chain(&lies) {
            // A flexible header ends with the number of its tagged fields.
            frames.push(frame(&[&head[..head.len() - 1], tags, &body].concat()));
            for at in (0..body.len()).filter(|at| body[*at] == 0) {
                let grown = [&body[..at], tags, &body[at + 1..]].concat();
                nested += usize::from((served.decode)(&grown, version).is_ok());
                frames.push(frame(&[&head[..], &grown].concat()));
            }
        }
        send_all(&broker, &frames, &format!("{} v{version}", served.key.name()));
    }
    let moved = broker.peak_kib() - before;
    println!("{nested} requests with tags where tags may stand moved the peak by {moved} KiB");
    assert!(nested > 100 && moved <= MOVES_MAX_KIB, "{nested} of them, {moved} KiB");
    assert_eq!(witness.produce("t", 0, &["x"]), (0, 0));
}

/// What is served is advertised: a request that the broker learns has to be added above.
#[test]
fn every_served_request_is_here() {
    let data = folder();
    let broker = Broker::start(data.path(), &[]);
    let advertised: Vec<i16> = broker.client().ask(
        ApiKey::ApiVersions,
        0,
        |writer| ApiVersionsRequest::default().encode(writer, 0),
        |reader| Ok(ApiVersionsResponse::decode(reader, 0)?.api_keys.iter().map(|key| key.api_key).collect()),
    );
    let known: Vec<i16> = served().iter().map(|served| served.key as i16).collect();
    let missing: Vec<_> = advertised.iter().filter(|key| !known.contains(key)).collect();
    assert!(!advertised.is_empty() && missing.is_empty(), "add to served(): {missing:?}");
}

/// Keys and versions that nobody serves end their connection and are named in the log; ApiVersions alone answers any version.
#[test]
fn unknown_keys_and_versions() {
    let data = folder();
    let broker = Broker::start(data.path(), &[]);
    for (key, version, said) in [
        (-1, 0, "API key -1"),
        (9999, 0, "9999"),
        (ApiKey::Produce as i16, 99, "Produce version 99"),
        (ApiKey::Fetch as i16, -1, "Fetch version -1"),
        (ApiKey::Metadata as i16, i16::MAX, "Metadata version 32767"),
        // Controllers speak it among themselves.
        (ApiKey::Vote as i16, 0, "Vote version 0"),
    ] {
        let mut peer = broker.client();
        let request =
            [&key.to_be_bytes()[..], &i16::to_be_bytes(version), &[0, 0, 0, 1], &[0xFF, 0xFF], &[0; 8]].concat();
        peer.stream.write_all(&frame(&request)).expect("it reads");
        assert!(peer.is_closed(), "key {key} version {version}");
        let line = broker.logged(said);
        assert!(line.contains("WARN"), "{line}");
    }
    let mut peer = broker.client();
    let request = [&18i16.to_be_bytes()[..], &i16::MAX.to_be_bytes(), &[0, 0, 0, 1], &[0xFF, 0xFF], &[0; 8]].concat();
    peer.stream.write_all(&frame(&request)).expect("it reads");
    let answer = peer.receive();
    // Version 0 of the answer: correlation id, UNSUPPORTED_VERSION.
    assert_eq!(answer[..6], [0, 0, 0, 1, 0, 35]);
}
