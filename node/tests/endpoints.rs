//! One port and one broker id for each core (`core.endpoints`): what clients are told, where their requests go, and that a
//! request at the wrong core is served all the same. Without it, clients would be sent to brokers that are not there.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, Client, DRIVERS, folder, refused, ringlog};
use protocol::ApiKey;
use protocol::messages::{describe_cluster, find_coordinator, list_groups, metadata};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

const ENDPOINTS: &str = "core.endpoints=true";

fn start(data: &Path, driver: &str, shards: usize) -> Broker {
    Broker::start(data, &["--io", driver, "--shards", &shards.to_string(), "--override", ENDPOINTS])
}

/// Brokers with their addresses, and the leader of each partition of a topic, as Metadata tells them.
fn told(client: &mut Client, topic: &str) -> (BTreeMap<i32, SocketAddr>, Vec<i32>) {
    let version = 9;
    let asked = metadata::MetadataRequestTopic { name: Some(topic.to_owned().into()), ..Default::default() };
    let request = metadata::MetadataRequest { topics: Some(vec![asked]), ..Default::default() };
    client.ask(
        ApiKey::Metadata,
        version,
        |writer| request.encode(writer, version),
        |reader| {
            let answer = metadata::MetadataResponse::decode(reader, version)?;
            let address = |host: &str, port: i32| format!("{host}:{port}").parse().expect("an address");
            let brokers = answer.brokers.iter().map(|at| (at.node_id, address(&at.host, at.port))).collect();
            let partitions = answer.topics[0].partitions.iter();
            let leaders = partitions.map(|partition| {
                assert_eq!(partition.replica_nodes, [partition.leader_id]);
                assert_eq!(partition.isr_nodes, [partition.leader_id]);
                partition.leader_id
            });
            Ok((brokers, leaders.collect()))
        },
    )
}

fn coordinator(client: &mut Client, group: &str) -> (i16, i32, i32) {
    let version = 3;
    let request = find_coordinator::FindCoordinatorRequest { key: group.to_owned().into(), ..Default::default() };
    client.ask(
        ApiKey::FindCoordinator,
        version,
        |writer| request.encode(writer, version),
        |reader| {
            let answer = find_coordinator::FindCoordinatorResponse::decode(reader, version)?;
            Ok((answer.error_code, answer.node_id, answer.port))
        },
    )
}

#[test]
fn a_client_that_follows_its_metadata_never_crosses() {
    for driver in DRIVERS {
        let data = folder();
        let broker = start(data.path(), driver, 2);
        let mut client = broker.client();
        assert_eq!(client.create_topic("t", 6), 0);
        let (brokers, leaders) = told(&mut client, "t");
        assert_eq!(brokers.keys().copied().collect::<Vec<_>>(), [1, 1_000_001]);
        assert_eq!(brokers[&1], broker.address, "core 0 is where the listener is");
        assert!([1, 1_000_001].iter().all(|core| leaders.iter().filter(|id| *id == core).count() == 3), "{leaders:?}");
        let mut clients: BTreeMap<i32, Client> = brokers.iter().map(|(id, at)| (*id, Client::connect(*at))).collect();
        for (id, at) in &brokers {
            assert_eq!(told(&mut Client::connect(*at), "t").0, brokers, "broker {id} says the same");
        }
        let done = broker.counted(2, || {
            for (partition, leader) in (0..).zip(&leaders) {
                let client = clients.get_mut(leader).expect("it was told");
                assert_eq!(client.produce("t", partition, &["near"]), (0, 0));
                assert_eq!(client.fetch("t", partition, 0), (0, vec!["near".to_owned()]));
            }
        });
        assert!(done.iter().all(|done| done["mail"] == 0 && done["produced_bytes"] > 0), "over {driver}: {done:?}");
        let done = broker.counted(2, || {
            for (partition, leader) in (0..).zip(&leaders) {
                let (_, far) = clients.iter_mut().find(|(id, _)| *id != leader).expect("there are two");
                assert_eq!(far.produce("t", partition, &["far"]), (0, 1), "no NOT_LEADER");
            }
        });
        assert_eq!(done.iter().map(|done| done["mail"]).sum::<u64>(), 12, "each crossed once, and back");
        broker.stop();
    }
}

#[test]
fn groups_are_coordinated_and_listed_by_their_core() {
    let data = folder();
    let broker = start(data.path(), "posix", 2);
    let mut client = broker.client();
    assert_eq!(client.create_topic("t", 1), 0);
    let end = std::time::Instant::now() + common::PATIENCE;
    while coordinator(&mut client, "g0").0 != 0 {
        assert!(std::time::Instant::now() < end, "there is no coordinator");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let (brokers, _) = told(&mut client, "__consumer_offsets");
    let mut by_core: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for at in 0..10 {
        let group = format!("g{at}");
        let (error, id, port) = coordinator(&mut client, &group);
        assert_eq!((error, port), (0, i32::from(brokers[&id].port())));
        client.commit_in_time(&group, "t", 5);
        by_core.entry(id).or_default().push(group);
    }
    assert_eq!(by_core.len(), 2, "ten groups fall on both: {by_core:?}");
    for (id, groups) in &by_core {
        let version = 4;
        let mut listed: Vec<String> = Client::connect(brokers[id]).ask(
            ApiKey::ListGroups,
            version,
            |writer| list_groups::ListGroupsRequest::default().encode(writer, version),
            |reader| {
                let answer = list_groups::ListGroupsResponse::decode(reader, version)?;
                Ok(answer.groups.iter().map(|group| group.group_id.to_string()).collect())
            },
        );
        listed.sort_unstable();
        assert_eq!(&listed, groups, "of core {id}, each once over all cores");
    }
    let version = 0;
    let described = client.ask(
        ApiKey::DescribeCluster,
        version,
        |writer| describe_cluster::DescribeClusterRequest::default().encode(writer, version),
        |reader| {
            let answer = describe_cluster::DescribeClusterResponse::decode(reader, version)?;
            let ids = answer.brokers.iter().map(|broker| (broker.broker_id, broker.port));
            Ok((answer.controller_id, ids.collect::<Vec<_>>()))
        },
    );
    let ports = brokers.iter().map(|(id, at)| (*id, i32::from(at.port()))).collect();
    assert_eq!(described, (1, ports));
    broker.stop();
}

#[test]
fn another_number_of_cores_serves_the_same_records() {
    let data = folder();
    for (round, shards) in [2, 3, 1, 2].into_iter().enumerate() {
        let broker = start(data.path(), "posix", shards);
        let mut client = broker.client();
        if round == 0 {
            assert_eq!(client.create_topic("t", 6), 0);
        }
        let (brokers, leaders) = told(&mut client, "t");
        assert_eq!(brokers.len(), shards);
        for (partition, leader) in (0..).zip(leaders) {
            let mut client = Client::connect(brokers[&leader]);
            assert_eq!(client.produce("t", partition, &[&format!("round {round}")]), (0, round as i64));
            assert_eq!(client.fetch_all("t", partition), (0..=round).map(|r| format!("round {r}")).collect::<Vec<_>>());
        }
        broker.stop();
    }
}

#[test]
fn bad_combinations_stop_the_start() {
    for (args, said) in [
        (
            &["--override", "core.connection.moves=true"][..],
            "core.connection.moves=true: only false goes with core.endpoints",
        ),
        (&["--override", "node.id=1000000"][..], "node.id is 1000000, and must be below 1000000"),
    ] {
        let data = folder();
        let text = refused(ringlog(data.path(), &[args, &["--shards", "2", "--override", ENDPOINTS]].concat()));
        assert!(text.contains(said), "{text}");
    }
    let data = folder();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ringlog"));
    command
        .args(["--listen", "127.0.0.1:65535", "--shards", "2", "--override", ENDPOINTS, "--data-dir"])
        .arg(data.path());
    command.stdin(std::process::Stdio::null()).env_remove("RUST_LOG");
    let text = refused(command);
    assert!(text.contains("needs the ports 65535 to 65536 for 2 cores"), "{text}");
}
