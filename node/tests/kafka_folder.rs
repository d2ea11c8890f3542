//! A folder that Kafka wrote opens: its topics are served under their ids, nothing of them is deleted, appends go on.
//! Without this, moving to ringlog would mean copying every record.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, files, folder};
use std::fs;
use std::path::Path;

/// Leaves of a folder what Kafka would have written: segments, `partition.metadata`, `meta.properties`, a checkpoint of
/// epochs, its own metadata log, and things that are no logs at all.
fn as_kafka_left_it(data: &Path) {
    fs::remove_dir_all(data.join(".ringlog")).expect("ours");
    for path in files(data) {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let is_kafkas = name.ends_with(".log") || name == "partition.metadata" || name == "meta.properties";
        if !is_kafkas {
            fs::remove_file(&path).expect("ours");
        }
    }
    fs::write(data.join("old-0/leader-epoch-checkpoint"), "0\n1\n4 0\n").expect("writable");
    fs::create_dir_all(data.join("__cluster_metadata-0")).expect("writable");
    fs::write(data.join("__cluster_metadata-0/00000000000000000000.log"), "not ours to read").expect("writable");
    // The id is the one that ours has, too.
    let known = "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n";
    fs::write(data.join("__cluster_metadata-0/partition.metadata"), known).expect("writable");
    fs::create_dir_all(data.join("lost+found")).expect("writable");
}

#[test]
fn topics_of_kafka_are_served() {
    let data = folder();
    let broker = Broker::start(data.path(), &[]);
    let mut client = broker.client();
    assert_eq!(client.create_topic("old", 2), 0);
    for partition in 0..2 {
        assert_eq!(client.produce("old", partition, &["a", "b"]), (0, 0));
    }
    broker.stop();
    as_kafka_left_it(data.path());
    for round in 0..2i64 {
        let broker = Broker::start(data.path(), &["--shards", "2"]);
        let log = broker.log_so_far().join("\n");
        assert!(log.contains("__cluster_metadata-0 is Kafka's metadata log"), "{log}");
        assert_eq!(log.contains("topic old (2 partitions) was found without its settings"), round == 0, "{log}");
        let mut client = broker.client();
        assert_eq!(client.metadata("old"), (0, vec![0, 1]));
        for partition in 0..2 {
            assert_eq!(client.produce("old", partition, &["c"]), (0, 2 + round));
            let all = client.fetch_all("old", partition);
            assert_eq!(all[..3], ["a", "b", "c"], "round {round}");
        }
        broker.stop();
    }
    let kafkas = data.path().join("__cluster_metadata-0/00000000000000000000.log");
    assert_eq!(fs::read(kafkas).expect("left alone"), b"not ours to read");
}

#[test]
fn a_start_that_was_cut_short_is_made_up_for() {
    let data = folder();
    let broker = Broker::start(data.path(), &[]);
    assert_eq!(broker.client().create_topic("old", 1), 0);
    assert_eq!(broker.client().produce("old", 0, &["a"]), (0, 0));
    broker.stop();
    let metadata = fs::read_to_string(data.path().join("old-0/partition.metadata")).expect("it is there");
    let id = metadata.lines().last().and_then(|line| line.split_once(": ")).expect("topic_id: …").1;
    // The checkpoint knows the log, the metadata does not: so it is when the first start ended before its topics were made.
    fs::remove_dir_all(data.path().join(".ringlog/cluster")).expect("ours");
    let pending = data.path().join(".ringlog/take-over");
    fs::write(&pending, format!("{id}\n")).expect("writable");
    let broker = Broker::start(data.path(), &[]);
    assert_eq!(broker.client().metadata("old"), (0, vec![0]));
    assert_eq!(broker.client().produce("old", 0, &["b"]), (0, 1));
    assert!(!pending.exists(), "it is done");
    broker.stop();
}

#[test]
fn a_node_id_of_another_broker_is_refused() {
    let data = folder();
    fs::write(data.path().join("meta.properties"), "version=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\nnode.id=7\n")
        .expect("new");
    let text = common::refused(common::ringlog(data.path(), &["--override", "node.id=8"]));
    assert!(text.contains("node.id is 7") && text.contains("meta.properties"), "{text}");
    let broker = Broker::start(data.path(), &[]);
    let text = broker.started.join("\n");
    assert!(text.contains("node 7 of cluster MkU3OEVBNTcwNTJENDM2Qg"), "{text}");
    broker.stop();
}
