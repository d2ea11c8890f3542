//! Names that no topic may have, through every door by which topics are made.

mod common;

use common::{Broker, files, folder};

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC_EXCEPTION: i16 = 17;

fn refused() -> Vec<String> {
    let long = "x".repeat(250);
    let names = ["", ".", "..", "a/b", "../up", "a b", "a\\b", "a:b", "a\0", "ä", "日本", "a\n", "\u{202e}a", &long];
    names.map(str::to_owned).to_vec()
}

#[test]
fn names_that_kafka_refuses() {
    let data = folder();
    let broker = Broker::start(data.path(), &[]);
    let mut client = broker.client();
    for name in refused() {
        assert_eq!(client.create_topic(&name, 1), INVALID_TOPIC_EXCEPTION, "create {name:?}");
        assert_eq!(client.metadata(&name), (INVALID_TOPIC_EXCEPTION, vec![]), "auto-create {name:?}");
    }
    for (first, second) in [("a.b", "a_b"), ("a_c", "a.c")] {
        assert_eq!(client.create_topic(first, 1), 0);
        assert_eq!(client.create_topic(second, 1), INVALID_TOPIC_EXCEPTION, "{second} collides with {first}");
        // As Kafka, whose client only learns that the topic still is not there.
        assert_eq!(client.metadata(second), (UNKNOWN_TOPIC_OR_PARTITION, vec![]), "{second} collides with {first}");
    }
    let longest = "x".repeat(249);
    assert_eq!(client.create_topic(&longest, 1), 0);
    assert_eq!(client.produce(&longest, 0, &["x"]), (0, 0));
    broker.stop();
    let made = files(data.path());
    let names = ["a.b-0".to_owned(), "a_c-0".to_owned(), format!("{longest}-0")];
    for path in made.iter().filter(|path| path.extension().is_some_and(|end| end == "log")) {
        let name = path.parent().and_then(|dir| dir.file_name()).unwrap_or_default().to_string_lossy().into_owned();
        assert!(names.contains(&name) || name == "metadata-0", "{} was made", path.display());
    }
}
