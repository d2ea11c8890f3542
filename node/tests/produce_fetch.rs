//! What is produced is fetched, in order, over every driver and number of shards.

mod common;

use common::{Broker, EVERY_DRIVER, folder};

fn everywhere(check: impl Fn(&[&str])) {
    for driver in EVERY_DRIVER {
        for shards in ["1", "2"] {
            check(&["--io", driver, "--shards", shards]);
        }
    }
}

#[test]
fn a_round_trip() {
    everywhere(|args| {
        let data = folder();
        let broker = Broker::start(data.path(), args);
        let mut client = broker.client();
        assert_eq!(client.create_topic("orders", 4), 0);
        for partition in 0..4 {
            assert_eq!(client.produce("orders", partition, &["a", "b"]), (0, 0), "{args:?} partition {partition}");
            assert_eq!(client.produce("orders", partition, &["c"]), (0, 2), "{args:?} partition {partition}");
            assert_eq!(client.fetch_all("orders", partition), ["a", "b", "c"], "{args:?} partition {partition}");
            assert_eq!(client.list_offset("orders", partition, -1), (0, 3));
            assert_eq!(client.list_offset("orders", partition, -2), (0, 0));
        }
        broker.stop();
    });
}

#[test]
fn asking_makes_a_topic() {
    let data = folder();
    let broker = Broker::start(data.path(), &["--override", "num.partitions=3"]);
    let mut client = broker.client();
    assert_eq!(client.metadata("made"), (0, vec![0, 1, 2]));
    assert_eq!(client.produce("made", 2, &["x"]), (0, 0));
    broker.stop();
}

#[test]
fn a_batch_of_a_megabyte() {
    everywhere(|args| {
        let data = folder();
        let broker = Broker::start(data.path(), args);
        let mut client = broker.client();
        assert_eq!(client.create_topic("big", 1), 0);
        let value = "x".repeat(1_000_000);
        for i in 0..5 {
            assert_eq!(client.produce("big", 0, &[&value]), (0, i), "{args:?}");
        }
        let all = client.fetch_all("big", 0);
        assert!(all.len() == 5 && all.iter().all(|got| *got == value), "{args:?}");
    });
}
