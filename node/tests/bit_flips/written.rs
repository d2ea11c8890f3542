//! What the tests flip bits in: a folder that a real node wrote, with several topics, small segments, recycled files,
//! indexes, snapshots and committed offsets.

use crate::common::{Broker, Client, files, folder};
use protocol::ApiKey;
use protocol::batch::BatchBuilder;
use protocol::messages::{create_topics, find_coordinator, offset_commit};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longer than a checkpoint waits: behind it everything that was acknowledged is known to have been durable.
const CHECKPOINT: Duration = Duration::from_millis(6_500);

/// A file, relative to its data folder.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

/// How the node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stopped,
    Killed,
}

/// Lets a node write, ends it, and returns every file that it left.
pub(crate) fn written(end: End) -> Vec<File> {
    let dir = folder();
    let args = ["--shards", "2", "--override", "offsets.topic.num.partitions=2"];
    let args = [&args[..], &["--override", "log.retention.check.interval.ms=50"]].concat();
    let broker = Broker::start(dir.path(), &args);
    let mut client = broker.client();
    create(&mut client, "wide", 2, &[("segment.bytes", "1048576"), ("retention.ms", "-1")]);
    create(&mut client, "narrow", 1, &[("retention.ms", "-1")]);
    let hot = [
        ("segment.bytes", "1048576"),
        ("retention.bytes", "1048576"),
        ("retention.ms", "-1"),
        ("file.delete.delay.ms", "0"),
    ];
    create(&mut client, "hot", 1, &hot);
    for n in 0..44 {
        produce(&mut client, "wide", n % 2, &batch(n, 60_000));
        produce(&mut client, "narrow", 0, &batch(n, 200));
    }
    heat(&mut client, dir.path());
    commit(&mut client, &[("wide", 0, 7), ("narrow", 0, 20)]);
    match end {
        End::Stopped => stop(broker, dir.path()),
        End::Killed => {
            std::thread::sleep(CHECKPOINT);
            broker.kill();
        }
    }
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).expect("ours");
        File { path: path.strip_prefix(dir.path()).expect("inside").to_owned(), bytes }
    };
    files(dir.path()).into_iter().map(read).collect()
}

/// Stops it cleanly, which a busy disk may not let it do in time; then the next start, with less to flush, does.
fn stop(mut broker: Broker, data: &Path) {
    for _ in 0..5 {
        broker.signal("TERM");
        if broker.wait().success() {
            return;
        }
        broker = Broker::start(data, &["--shards", "2"]);
    }
    panic!("no stop was clean");
}

fn create(client: &mut Client, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let config = |&(name, value): &(&str, &str)| create_topics::CreatableTopicConfig {
        name: name.to_owned().into(),
        value: Some(value.to_owned().into()),
    };
    let topic = create_topics::CreatableTopic {
        name: name.to_owned().into(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    };
    let request = create_topics::CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, validate_only: false };
    let error = client.ask(
        ApiKey::CreateTopics,
        5,
        |writer| request.encode(writer, 5),
        |reader| Ok(create_topics::CreateTopicsResponse::decode(reader, 5)?.topics[0].error_code),
    );
    assert_eq!(error, 0, "{name}");
}

/// Three records, about `bytes` in all, which follow from `n`.
fn batch(n: i32, bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for record in 0..3 {
        let value: Vec<u8> = (0..bytes / 3).map(|at| (at * 31 + record * 7 + n as usize) as u8).collect();
        builder.append(1_700_000_000_000 + i64::from(n), None, Some(&value), &[]);
    }
    builder.build()
}

fn produce(client: &mut Client, topic: &str, partition: i32, batch: &[u8]) {
    let (error, _) = client.produce_batch(topic, partition, batch);
    assert_eq!(error, 0, "{topic}-{partition}");
}

/// Produces until a segment that retention removed is used again, or as long as that can take.
fn heat(client: &mut Client, data: &Path) {
    let end = Instant::now() + Duration::from_secs(8);
    let large = batch(1, 600_000);
    let mut was_recycled = false;
    let mut rounds = 0;
    while Instant::now() < end && !(was_recycled && rounds % 3 == 0) {
        produce(client, "hot", 0, &large);
        rounds += 1;
        let spares = std::fs::read_dir(data.join(".ringlog/spare")).expect("it is there").flatten();
        was_recycled |= spares.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".recycled"));
    }
    println!("{rounds} large batches; a segment was recycled: {was_recycled}");
}

fn commit(client: &mut Client, offsets: &[(&str, i32, i64)]) {
    let request = find_coordinator::FindCoordinatorRequest { key: "group".into(), ..Default::default() };
    client.send(ApiKey::FindCoordinator, 2, |writer| request.encode(writer, 2));
    client.receive();
    let topics = offsets.iter().map(|&(topic, partition_index, committed_offset)| {
        let partition = offset_commit::OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            committed_leader_epoch: 0,
            committed_metadata: None,
            ..Default::default()
        };
        let name = topic.to_owned().into();
        offset_commit::OffsetCommitRequestTopic { name, partitions: vec![partition], ..Default::default() }
    });
    let topics: Vec<_> = topics.collect();
    let end = Instant::now() + crate::common::PATIENCE;
    loop {
        let request = offset_commit::OffsetCommitRequest {
            group_id: "group".into(),
            topics: topics.clone(),
            ..Default::default()
        };
        let error = client.ask(
            ApiKey::OffsetCommit,
            7,
            |writer| request.encode(writer, 7),
            |reader| Ok(offset_commit::OffsetCommitResponse::decode(reader, 7)?.topics[0].partitions[0].error_code),
        );
        if error == 0 {
            return;
        }
        assert!(Instant::now() < end, "the offsets are not committed: error {error}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
