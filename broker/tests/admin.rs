//! Topics, configurations, cluster and producer ids as clients manage them, on one shard and on three, in every version. If this
//! breaks, topics are made twice, vanish, or are announced before they can be written to.

use broker::ConnId;
use broker::settings::BrokerSettings;
use broker::testing::{Call, World, body_of};
use protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic};
use protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};
use protocol::messages::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse, DescribeConfigsResult,
};
use protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};
use protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use protocol::messages::keys::ApiKey;
use protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use protocol::{ErrorCode, Reader, Uuid};

const OK: i16 = 0;

/// Asks one request and decodes the answer.
macro_rules! ask {
    ($world:expr, $conn:expr, $version:expr, $request:expr, $response:ident) => {{
        let version: i16 = $version;
        let frame = Call::new($response::KEY, version).frame(|writer, version| $request.encode(writer, version));
        let outcome = $world.ask($conn, frame);
        let body = body_of(&outcome, $response::KEY, version).to_vec();
        let body: &'static [u8] = body.leak();
        $response::decode(&mut Reader::new(body), version).unwrap()
    }};
}

/// Started brokers of one and of three shards, with a connection at the last shard.
fn worlds() -> impl Iterator<Item = (World, ConnId)> {
    [(1, 1), (3, 2), (3, 3)].into_iter().map(|(shards, seed)| started(shards, seed, BrokerSettings::default()))
}

fn started(shards: u16, seed: u64, settings: BrokerSettings) -> (World, ConnId) {
    let mut world = World::with(shards, seed, settings);
    let now = world.now;
    world.brokers.iter_mut().for_each(|broker| broker.start(now));
    world.run();
    assert!(world.brokers.iter().all(broker::Broker::is_ready));
    let conn = world.connect(usize::from(shards) - 1);
    (world, conn)
}

fn create(name: &str, partitions: i32) -> CreateTopicsRequest<'_> {
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: -1,
        ..CreatableTopic::default()
    };
    CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() }
}

fn make(world: &mut World, conn: ConnId, name: &str, partitions: i32) -> Uuid {
    let made = ask!(world, conn, 7, create(name, partitions), CreateTopicsResponse);
    assert_eq!(made.topics[0].error_code, OK, "{:?}", made.topics[0]);
    made.topics[0].topic_id
}

fn fresh_producer() -> InitProducerIdRequest<'static> {
    InitProducerIdRequest { transactional_id: None, producer_id: -1, producer_epoch: -1, ..Default::default() }
}

fn by_name(name: &str) -> MetadataRequest<'_> {
    let topic = MetadataRequestTopic { topic_id: Uuid::ZERO, name: Some(name.into()) };
    MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() }
}

#[test]
fn topics_are_made_shown_and_deleted_in_every_version() {
    for (mut world, conn) in worlds() {
        for version in 2..=7 {
            let name = format!("t{version}");
            let made = ask!(world, conn, version, create(&name, 3), CreateTopicsResponse);
            let [topic] = &made.topics[..] else { panic!("{made:?}") };
            assert_eq!((topic.error_code, &*topic.name), (OK, &*name));
            assert_eq!(topic.topic_id.is_zero(), version < 7);
            assert_eq!(topic.num_partitions, if version < 5 { -1 } else { 3 });
            let again = ask!(world, conn, version, create(&name, 3), CreateTopicsResponse);
            assert_eq!(again.topics[0].error_code, ErrorCode::TopicAlreadyExists.code());
        }
        for version in 0..=13 {
            let shown = ask!(world, conn, version, by_name("t7"), MetadataResponse);
            let [topic] = &shown.topics[..] else { panic!("{shown:?}") };
            assert_eq!((topic.error_code, topic.partitions.len()), (OK, 3), "version {version}");
            assert_eq!(topic.topic_id.is_zero(), version < 10);
            assert_eq!(shown.brokers[0].port, 9092);
            assert_eq!(topic.partitions[2].leader_id, 1);
        }
        for version in 1..=6 {
            let name = format!("t{}", version + 1);
            let names = if version < 6 { vec![name.clone().into()] } else { Vec::new() };
            let topics = vec![DeleteTopicState { name: Some(name.clone().into()), topic_id: Uuid::ZERO }];
            let topics = if version < 6 { Vec::new() } else { topics };
            let request = DeleteTopicsRequest { topics, topic_names: names, timeout_ms: 1000 };
            for code in [OK, ErrorCode::UnknownTopicOrPartition.code()] {
                let deleted = ask!(world, conn, version, request, DeleteTopicsResponse);
                assert_eq!(deleted.responses[0].error_code, code, "version {version}");
            }
        }
    }
}

#[test]
fn a_restart_remembers_and_ids_do_not_repeat() {
    let (mut world, conn) = started(3, 5, BrokerSettings::default());
    let id = make(&mut world, conn, "kept", 4);
    let first = ask!(world, conn, 4, fresh_producer(), InitProducerIdResponse);
    let cluster = world.brokers[0].image().cluster_id().map(str::to_owned);
    world.restart_from_metadata(2);
    let conn = world.connect(1);
    assert_eq!(world.brokers[1].image().cluster_id().map(str::to_owned), cluster);
    assert_eq!(world.brokers[1].image().topic("kept").unwrap().id, id);
    let next = ask!(world, conn, 4, fresh_producer(), InitProducerIdResponse);
    assert!(next.producer_id > first.producer_id, "{next:?} after {first:?}");
}

#[test]
fn metadata_names_lists_and_ids() {
    for (mut world, conn) in worlds() {
        let id = make(&mut world, conn, "a", 1);
        make(&mut world, conn, "b", 1);
        let all = MetadataRequest { topics: None, ..MetadataRequest::default() };
        let none = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        assert_eq!(ask!(world, conn, 0, none, MetadataResponse).topics.len(), 2, "version 0: empty is all");
        assert_eq!(ask!(world, conn, 1, none, MetadataResponse).topics.len(), 0);
        assert_eq!(ask!(world, conn, 1, all, MetadataResponse).topics.len(), 2);
        for (asked, version, code) in [
            (id, 12, ErrorCode::None),
            (Uuid([9; 16]), 13, ErrorCode::UnknownTopicId),
            (id, 11, ErrorCode::InvalidRequest),
        ] {
            let topic = MetadataRequestTopic { topic_id: asked, name: (version < 12).then(|| "a".into()) };
            let request = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
            let answer = ask!(world, conn, version, request, MetadataResponse);
            assert_eq!(answer.topics[0].error_code, code.code(), "version {version}");
        }
        let invalid = ask!(world, conn, 9, by_name("no spaces"), MetadataResponse);
        assert_eq!(invalid.topics[0].error_code, ErrorCode::InvalidTopicException.code());
    }
}

#[test]
fn asking_for_a_topic_makes_it_where_both_sides_allow_it() {
    for (mut world, conn) in worlds() {
        let kept = MetadataRequest { allow_auto_topic_creation: false, ..by_name("auto") };
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        assert_eq!(ask!(world, conn, 12, kept, MetadataResponse).topics[0].error_code, unknown);
        let made = ask!(world, conn, 12, by_name("auto"), MetadataResponse);
        assert_eq!((made.topics[0].error_code, made.topics[0].partitions.len()), (OK, 1));
        let offsets = ask!(world, conn, 12, by_name("__consumer_offsets"), MetadataResponse);
        assert_eq!((offsets.topics[0].is_internal, offsets.topics[0].partitions.len()), (true, 50));
    }
    let strict = BrokerSettings { auto_create_topics_enable: false, ..BrokerSettings::default() };
    let (mut world, conn) = started(1, 1, strict);
    let answer = ask!(world, conn, 12, by_name("auto"), MetadataResponse);
    assert_eq!(answer.topics[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
}

#[test]
fn an_answer_waits_for_the_disk_and_gives_up_in_time() {
    let (mut world, conn) = started(1, 1, BrokerSettings::default());
    world.flushes = false;
    let request = CreateTopicsRequest { timeout_ms: 500, ..create("late", 1) };
    let seq =
        world.send(conn, Call::new(ApiKey::CreateTopics, 7).frame(|writer, version| request.encode(writer, version)));
    world.run();
    assert_eq!(world.outcome(conn, seq), None, "nothing is durable yet");
    world.advance(499);
    assert_eq!(world.outcome(conn, seq), None);
    world.advance(1);
    let outcome = world.outcome(conn, seq).cloned().unwrap();
    let body = body_of(&outcome, ApiKey::CreateTopics, 7).to_vec();
    let answer = CreateTopicsResponse::decode(&mut Reader::new(&body), 7).unwrap();
    assert_eq!(answer.topics[0].error_code, ErrorCode::RequestTimedOut.code());
}

#[test]
fn requests_that_change_nothing() {
    for (mut world, conn) in worlds() {
        let dry = CreateTopicsRequest { validate_only: true, ..create("dry", 2) };
        assert_eq!(ask!(world, conn, 7, dry, CreateTopicsResponse).topics[0].error_code, OK);
        let twice =
            CreateTopicsRequest { topics: [create("x", 1).topics, create("x", 1).topics].concat(), ..create("x", 1) };
        let answer = ask!(world, conn, 7, twice, CreateTopicsResponse);
        assert_eq!((answer.topics.len(), answer.topics[0].error_code), (1, ErrorCode::InvalidRequest.code()));
        let null = CreatableTopicConfig { name: "retention.ms".into(), value: None };
        let mut configured = create("x", 1);
        configured.topics[0].configs = vec![null];
        let answer = ask!(world, conn, 7, configured, CreateTopicsResponse);
        assert_eq!(answer.topics[0].error_code, ErrorCode::InvalidConfig.code());
        assert_eq!(world.brokers[0].image().topic_count(), 0);
    }
    let kept = BrokerSettings { delete_topic_enable: false, ..BrokerSettings::default() };
    let (mut world, conn) = started(1, 1, kept);
    make(&mut world, conn, "t", 1);
    for (version, code) in [(1, ErrorCode::InvalidRequest), (3, ErrorCode::TopicDeletionDisabled)] {
        let request = DeleteTopicsRequest { topic_names: vec!["t".into()], ..DeleteTopicsRequest::default() };
        let answer = ask!(world, conn, version, request, DeleteTopicsResponse);
        assert_eq!(answer.responses[0].error_code, code.code());
    }
}

#[test]
fn partitions_are_added_on_every_shard() {
    for (mut world, conn) in worlds() {
        let id = make(&mut world, conn, "t", 1);
        for (version, count, code) in [
            (0, 2, ErrorCode::None),
            (1, 3, ErrorCode::None),
            (2, 6, ErrorCode::None),
            (3, 6, ErrorCode::InvalidPartitions),
            (3, 1, ErrorCode::InvalidPartitions),
        ] {
            let topic = CreatePartitionsTopic { name: "t".into(), count, assignments: None };
            let request = CreatePartitionsRequest { topics: vec![topic], timeout_ms: 1000, validate_only: false };
            let answer = ask!(world, conn, version, request, CreatePartitionsResponse);
            assert_eq!(answer.results[0].error_code, code.code(), "version {version}");
        }
        for partition in 0..6 {
            world.log_of(id, partition);
        }
    }
}

#[test]
fn producer_ids_are_new_on_every_shard() {
    let (mut world, _) = started(3, 4, BrokerSettings::default());
    let mut ids = Vec::new();
    for version in 0..=5 {
        for shard in 0..3 {
            let conn = world.connect(shard);
            let request = fresh_producer();
            let answer = ask!(world, conn, version, request, InitProducerIdResponse);
            assert_eq!((answer.error_code, answer.producer_epoch), (OK, 0), "version {version}");
            ids.push(answer.producer_id);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 18);
    let conn = world.connect(0);
    for (transactional_id, producer_id, producer_epoch, code) in [
        (None, 5, 3, ErrorCode::None),
        (None, 5, -1, ErrorCode::InvalidRequest),
        (None, -1, 3, ErrorCode::InvalidRequest),
        (Some("tx".into()), -1, -1, ErrorCode::InvalidRequest),
    ] {
        let request = InitProducerIdRequest { transactional_id, producer_id, producer_epoch, ..Default::default() };
        let answer = ask!(world, conn, 4, request, InitProducerIdResponse);
        assert_eq!(answer.error_code, code.code());
    }
}

fn described(world: &mut World, conn: ConnId, version: i16, kind: i8, name: &str) -> DescribeConfigsResult<'static> {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned().into(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: version >= 3,
    };
    ask!(world, conn, version, request, DescribeConfigsResponse).results.remove(0)
}

#[test]
fn configurations_say_where_they_come_from() {
    let statics = [("log.retention.hours".to_owned(), "1".to_owned())].into();
    let settings = BrokerSettings::new(1, BrokerSettings::default().listeners, statics);
    let (mut world, conn) = started(2, 1, settings);
    let mut configured = create("t", 1);
    configured.topics[0].configs =
        vec![CreatableTopicConfig { name: "cleanup.policy".into(), value: Some("compact".into()) }];
    assert_eq!(ask!(world, conn, 7, configured, CreateTopicsResponse).topics[0].error_code, OK);
    for version in 1..=4 {
        let topic = described(&mut world, conn, version, 2, "t");
        assert_eq!((topic.error_code, topic.configs.len()), (OK, 33), "durability is shown only where set");
        let of = |name: &str| topic.configs.iter().find(|config| config.name == name).unwrap();
        let seen = |name: &str| (of(name).value.as_deref().unwrap().to_owned(), of(name).config_source);
        assert_eq!(seen("cleanup.policy"), ("compact".to_owned(), 1));
        assert_eq!(seen("retention.ms"), ("3600000".to_owned(), 4));
        assert_eq!(seen("segment.ms"), ("604800000".to_owned(), 5));
        assert!(version < 3 || of("retention.ms").documentation.is_some());
        assert!(!of("retention.ms").synonyms.is_empty());
        let broker = described(&mut world, conn, version, 4, "1");
        assert!(broker.configs.len() > 300);
        let secret = broker.configs.iter().find(|config| config.name == "ssl.key.password").unwrap();
        assert!(secret.is_sensitive && secret.value.is_none());
    }
    for (kind, name, code) in [
        (2, "nope", ErrorCode::UnknownTopicOrPartition),
        (2, "no spaces", ErrorCode::InvalidTopicException),
        (4, "", ErrorCode::None),
        (4, "2", ErrorCode::InvalidRequest),
        (4, "x", ErrorCode::InvalidRequest),
        (8, "1", ErrorCode::None),
        (16, "m", ErrorCode::None),
        (32, "g", ErrorCode::None),
        (3, "t", ErrorCode::InvalidRequest),
    ] {
        assert_eq!(described(&mut world, conn, 4, kind, name).error_code, code.code(), "{kind} {name}");
    }
}

#[test]
fn the_cluster_is_described() {
    for (mut world, conn) in worlds() {
        for (version, endpoint_type, code) in [
            (0, 1, ErrorCode::None),
            (1, 1, ErrorCode::None),
            (2, 1, ErrorCode::None),
            (1, 2, ErrorCode::MismatchedEndpointType),
            (2, 7, ErrorCode::UnsupportedEndpointType),
        ] {
            let request = DescribeClusterRequest {
                include_cluster_authorized_operations: true,
                endpoint_type,
                include_fenced_brokers: false,
            };
            let answer = ask!(world, conn, version, request, DescribeClusterResponse);
            assert_eq!(answer.error_code, code.code());
            if code == ErrorCode::None {
                assert_eq!(Some(&*answer.cluster_id), world.brokers[0].image().cluster_id());
                assert_eq!((answer.controller_id, answer.cluster_authorized_operations), (1, 8096));
            }
        }
    }
}

#[test]
fn partitions_are_described_page_by_page() {
    for (mut world, conn) in worlds() {
        make(&mut world, conn, "a", 2);
        make(&mut world, conn, "b", 3);
        let page = |names: &[&str], response_partition_limit: i32, cursor: Option<(&str, i32)>| {
            DescribeTopicPartitionsRequest {
                topics: names.iter().map(|name| TopicRequest { name: (*name).to_owned().into() }).collect(),
                response_partition_limit,
                cursor: cursor
                    .map(|(name, partition_index)| Cursor { topic_name: name.to_owned().into(), partition_index }),
            }
        };
        type Seen<'a> = (&'a [(&'a str, usize)], Option<(&'a str, i32)>);
        let table: [(DescribeTopicPartitionsRequest<'_>, Seen<'_>); 5] = [
            (page(&[], 2000, None), (&[("a", 2), ("b", 3)], None)),
            (page(&[], 3, None), (&[("a", 2), ("b", 1)], Some(("b", 1)))),
            (page(&[], 2, None), (&[("a", 2)], Some(("b", 0)))),
            (page(&[], 3, Some(("b", 1))), (&[("b", 2)], None)),
            (page(&["b", "zz"], 9, None), (&[("b", 3), ("zz", 0)], None)),
        ];
        for (request, (topics, cursor)) in table {
            let answer = ask!(world, conn, 0, request, DescribeTopicPartitionsResponse);
            let got: Vec<(&str, usize)> =
                answer.topics.iter().map(|topic| (topic.name.as_deref().unwrap(), topic.partitions.len())).collect();
            assert_eq!(got, topics);
            let next = answer.next_cursor.as_ref().map(|cursor| (&*cursor.topic_name, cursor.partition_index));
            assert_eq!(next, cursor);
        }
        let answer = ask!(world, conn, 0, page(&["a"], 0, None), DescribeTopicPartitionsResponse);
        assert_eq!(answer.topics[0].error_code, ErrorCode::InvalidRequest.code());
    }
}
