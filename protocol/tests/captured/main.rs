//! Frames that unmodified clients sent to Kafka 4.3.1, and its answers: each decodes to its last byte, and encodes to the same.
//!
//! What would break without it: agreement with ourselves and with one other crate instead of with clients. Round trips
//! cannot see a field that both sides of us misread. The frames are recorded by `node/tests/clients/capture.py`, which says
//! how they were chosen.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod frames;

use std::collections::BTreeSet;

use frames::{Captured, captured};
use protocol::batch::{Depth, Limits, ProduceRules, iter_batches, validate_produce};
use protocol::compress::Codec;
use protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use protocol::{ApiKey, DecodeError, Reader, RequestHeader, ResponseHeader, Writer, messages};

const CLIENTS: [&str; 6] = ["aiokafka", "java", "kafka-python", "kafkajs", "kcat", "librdkafka"];

/// Decodes and encodes one side of an exchange; what is behind the message is an error.
macro_rules! codec {
    ($side:ident: $($key:ident => $message:ident,)*) => {
        fn $side(key: ApiKey, version: i16, mut r: Reader<'_>, w: &mut Writer) -> Result<(), DecodeError> {
            match key {
                $(ApiKey::$key => {
                    let message = messages::$message::decode(&mut r, version)?;
                    message.encode(w, version).unwrap_or_else(|error| panic!("{key:?} v{version}: {error}"));
                })*
                _ => panic!("{key:?}: name its messages here"),
            }
            r.finish()
        }
    };
}

codec! { request:
    Produce => ProduceRequest,
    Fetch => FetchRequest,
    ListOffsets => ListOffsetsRequest,
    Metadata => MetadataRequest,
    OffsetCommit => OffsetCommitRequest,
    OffsetFetch => OffsetFetchRequest,
    FindCoordinator => FindCoordinatorRequest,
    JoinGroup => JoinGroupRequest,
    Heartbeat => HeartbeatRequest,
    LeaveGroup => LeaveGroupRequest,
    SyncGroup => SyncGroupRequest,
    DescribeGroups => DescribeGroupsRequest,
    ListGroups => ListGroupsRequest,
    ApiVersions => ApiVersionsRequest,
    CreateTopics => CreateTopicsRequest,
    DeleteTopics => DeleteTopicsRequest,
    InitProducerId => InitProducerIdRequest,
    DescribeConfigs => DescribeConfigsRequest,
    CreatePartitions => CreatePartitionsRequest,
    DeleteGroups => DeleteGroupsRequest,
    DescribeCluster => DescribeClusterRequest,
    DescribeTopicPartitions => DescribeTopicPartitionsRequest,
}

codec! { response:
    Produce => ProduceResponse,
    Fetch => FetchResponse,
    ListOffsets => ListOffsetsResponse,
    Metadata => MetadataResponse,
    OffsetCommit => OffsetCommitResponse,
    OffsetFetch => OffsetFetchResponse,
    FindCoordinator => FindCoordinatorResponse,
    JoinGroup => JoinGroupResponse,
    Heartbeat => HeartbeatResponse,
    LeaveGroup => LeaveGroupResponse,
    SyncGroup => SyncGroupResponse,
    DescribeGroups => DescribeGroupsResponse,
    ListGroups => ListGroupsResponse,
    ApiVersions => ApiVersionsResponse,
    CreateTopics => CreateTopicsResponse,
    DeleteTopics => DeleteTopicsResponse,
    InitProducerId => InitProducerIdResponse,
    DescribeConfigs => DescribeConfigsResponse,
    CreatePartitions => CreatePartitionsResponse,
    DeleteGroups => DeleteGroupsResponse,
    DescribeCluster => DescribeClusterResponse,
    DescribeTopicPartitions => DescribeTopicPartitionsResponse,
}

/// The request as we would have sent it.
fn request_again(exchange: &Captured) -> Result<Vec<u8>, DecodeError> {
    let mut r = Reader::new(&exchange.request);
    let header = RequestHeader::decode(&mut r)?;
    assert_eq!((header.api_key, header.api_version), (exchange.key as i16, exchange.version), "{}", exchange.name);
    let mut w = Writer::new();
    header.encode(&mut w).unwrap();
    request(exchange.key, exchange.version, r, &mut w)?;
    Ok(w.into_bytes().unwrap())
}

/// The response as we would have sent it.
fn response_again(exchange: &Captured) -> Result<Vec<u8>, DecodeError> {
    let (key, version) = (exchange.key, exchange.version);
    let mut r = Reader::new(&exchange.response);
    let header = ResponseHeader::decode(&mut r, key, version)?;
    let mut w = Writer::new();
    header.encode(&mut w, key, version).unwrap();
    response(key, version, r, &mut w)?;
    Ok(w.into_bytes().unwrap())
}

/// Everything that is wrong, so that one run shows all of it. Kafka's protocol leaves some freedom (unknown tagged fields,
/// null or empty lists); no client here uses it, and one that does has to be named here with the reason.
fn check(side: &str, theirs: fn(&Captured) -> &[u8], again: fn(&Captured) -> Result<Vec<u8>, DecodeError>) {
    let mut wrong = Vec::new();
    for exchange in captured() {
        let name = format!("{}.{side}", exchange.name);
        match again(&exchange) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(ours) if ours != theirs(&exchange) => {
                let theirs = theirs(&exchange);
                let at = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
                wrong.push(format!("{name}: ours {} bytes, theirs {}, same up to {at}", ours.len(), theirs.len()));
            }
            Ok(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{} frames:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn requests_decode_and_encode_to_the_same_bytes() {
    check("request", |exchange| &exchange.request, request_again);
}

#[test]
fn responses_decode_and_encode_to_the_same_bytes() {
    check("response", |exchange| &exchange.response, response_again);
}

#[test]
fn every_client_produced_fetched_and_joined_a_group() {
    let seen: BTreeSet<_> = captured().map(|exchange| (exchange.client, exchange.key)).collect();
    let needed = [ApiKey::ApiVersions, ApiKey::Metadata, ApiKey::Produce, ApiKey::Fetch, ApiKey::FindCoordinator];
    let group = [ApiKey::JoinGroup, ApiKey::SyncGroup, ApiKey::Heartbeat, ApiKey::OffsetCommit, ApiKey::LeaveGroup];
    for client in CLIENTS {
        for key in needed.into_iter().chain(group) {
            assert!(seen.contains(&(client.to_owned(), key)), "{client} has no {key:?}");
        }
    }
}

#[test]
fn their_batches_are_accepted_in_every_codec() {
    let mut seen = BTreeSet::new();
    for exchange in captured().filter(|exchange| exchange.key == ApiKey::Produce) {
        let mut r = Reader::new(&exchange.request);
        RequestHeader::decode(&mut r).unwrap();
        let request = messages::ProduceRequest::decode(&mut r, exchange.version).unwrap();
        for partition in request.topic_data.iter().flat_map(|topic| &topic.partition_data) {
            let rules = ProduceRules::new(1 << 20, Depth::Deep);
            let checked = validate_produce(partition.records.bytes().unwrap(), &rules);
            let batch = checked.unwrap_or_else(|error| panic!("{}: {error}", exchange.name)).batch;
            seen.insert((exchange.client.clone(), batch.codec() as u8));
        }
    }
    for client in CLIENTS {
        for codec in Codec::ALL {
            assert!(seen.contains(&(client.to_owned(), codec as u8)), "{client} sent no {codec:?}");
        }
    }
}

#[test]
fn fetched_batches_are_readable() {
    for exchange in captured().filter(|exchange| exchange.key == ApiKey::Fetch) {
        let mut r = Reader::new(&exchange.response);
        ResponseHeader::decode(&mut r, exchange.key, exchange.version).unwrap();
        let response = messages::FetchResponse::decode(&mut r, exchange.version).unwrap();
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            for batch in iter_batches(partition.records.bytes().unwrap_or_default()) {
                let batch = batch.unwrap_or_else(|error| panic!("{}: {error}", exchange.name));
                batch.check_crc().unwrap();
                assert!(batch.records(&Limits::default()).unwrap().iter().all(|record| record.is_ok()));
            }
        }
    }
}

#[test]
fn subscriptions_and_assignments_inside_are_kafkas() {
    for exchange in captured() {
        let mut r = Reader::new(&exchange.request);
        RequestHeader::decode(&mut r).unwrap();
        match exchange.key {
            ApiKey::JoinGroup => {
                let request = messages::JoinGroupRequest::decode(&mut r, exchange.version).unwrap();
                request.protocols.iter().for_each(|protocol| subscription(&exchange.name, &protocol.metadata));
            }
            ApiKey::SyncGroup => {
                let request = messages::SyncGroupRequest::decode(&mut r, exchange.version).unwrap();
                request.assignments.iter().for_each(|member| assignment(&exchange.name, &member.assignment));
            }
            _ => {}
        }
    }
}

fn subscription(name: &str, bytes: &[u8]) {
    let mut r = Reader::new(bytes);
    let version = r.i16().unwrap();
    let got = ConsumerProtocolSubscription::decode(&mut r, version).unwrap_or_else(|error| panic!("{name}: {error}"));
    r.finish().unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(got.topics.iter().all(|topic| topic.starts_with("captured-")), "{name}: {got:?}");
}

fn assignment(name: &str, bytes: &[u8]) {
    let mut r = Reader::new(bytes);
    let version = r.i16().unwrap();
    let got = ConsumerProtocolAssignment::decode(&mut r, version).unwrap_or_else(|error| panic!("{name}: {error}"));
    r.finish().unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(got.assigned_partitions.iter().all(|topic| !topic.partitions.is_empty()), "{name}: {got:?}");
}
