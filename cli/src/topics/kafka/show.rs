//! What `kafka-topics --describe` prints: a line a topic, a line a partition.

use super::super::read::Described;
use super::TopicsArgs;
use crate::client::{Cluster, Partition};
use crate::io::Io;
use crate::java;

pub(super) fn print_topic(
    args: &TopicsArgs,
    topic: &Described,
    cluster: &Cluster,
    io: &mut Io<'_>,
) -> std::io::Result<()> {
    let troubles = args.troubles();
    let has_overrides = topic.configs.iter().any(|setting| !setting.is_default);
    if troubles.is_empty() && (!args.topics_with_overrides || has_overrides) {
        writeln!(io.out, "{}", head(topic))?;
    }
    if args.topics_with_overrides {
        return Ok(());
    }
    for partition in &topic.topic.partitions {
        if troubles.is_empty() || troubles.iter().any(|trouble| trouble.is_that_of(topic, partition, cluster)) {
            writeln!(io.out, "{}", line(topic, partition))?;
        }
    }
    Ok(())
}

/// A topic's first line.
fn head(topic: &Described) -> String {
    let mut settings: Vec<_> = topic.configs.iter().collect();
    java::hash_order(&mut settings, 16, |setting| java::string_hash(&setting.name));
    let changed = settings.iter().filter(|setting| !setting.is_default);
    let changed: Vec<String> =
        changed.map(|setting| format!("{}={}", setting.name, setting.value.as_deref().unwrap_or("null"))).collect();
    let id = if topic.topic.id.is_zero() { String::new() } else { format!("\tTopicId: {}", topic.topic.id) };
    let replicas = topic.topic.partitions.first().map_or(0, |partition| topic.replica_count(partition));
    format!(
        "Topic: {}{id}\tPartitionCount: {}\tReplicationFactor: {replicas}\tConfigs: {}",
        topic.topic.name,
        topic.topic.partitions.len(),
        changed.join(",")
    )
}

/// A partition's line.
fn line(topic: &Described, partition: &Partition) -> String {
    let leader = partition.leader.map_or_else(|| "none".to_owned(), |id| id.to_string());
    let elr = topic.elr.get(&partition.index);
    let moving = topic.moving.get(&partition.index).map_or_else(String::new, |moving| {
        format!("\tAdding Replicas: {}\tRemoving Replicas: {}", ids(&moving.adding), ids(&moving.removing))
    });
    format!(
        "\tTopic: {}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}{moving}\tElr: {}\tLastKnownElr: {}",
        topic.topic.name,
        partition.index,
        ids(&partition.replicas),
        ids(&partition.isr),
        elr.map_or_else(|| "N/A".to_owned(), |elr| ids(&elr.eligible)),
        elr.map_or_else(|| "N/A".to_owned(), |elr| ids(&elr.last_known)),
    )
}

fn ids(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::super::super::read::{Elr, Moving, Setting};
    use super::*;
    use crate::client::Topic;
    use std::collections::BTreeMap;

    fn setting(name: &str, value: Option<&str>, is_default: bool) -> Setting {
        Setting { name: name.to_owned(), value: value.map(str::to_owned), is_default }
    }

    fn topic() -> Described {
        let partition = |index, leader| Partition {
            index,
            leader,
            leader_epoch: 0,
            replicas: vec![1, 2],
            isr: vec![1],
            offline: vec![],
        };
        Described {
            topic: Topic {
                name: "t1".into(),
                id: "aXT7qwddSlKLrBKfS6NqUw".parse().unwrap(),
                is_internal: false,
                partitions: vec![partition(0, Some(1)), partition(1, None)],
            },
            elr: BTreeMap::from([(0, Elr { eligible: vec![2], last_known: vec![] })]),
            configs: vec![
                setting("retention.ms", Some("5000"), false),
                setting("segment.ms", Some("1"), true),
                setting("cleanup.policy", Some("compact"), false),
            ],
            moving: BTreeMap::from([(1, Moving { replicas: vec![1, 2], adding: vec![2], removing: vec![] })]),
        }
    }

    #[test]
    fn the_line_of_a_topic() {
        let mut topic = topic();
        let expect = "Topic: t1\tTopicId: aXT7qwddSlKLrBKfS6NqUw\tPartitionCount: 2\tReplicationFactor: 2\t\
                      Configs: cleanup.policy=compact,retention.ms=5000";
        assert_eq!(head(&topic), expect);
        topic.topic.id = protocol::Uuid::default();
        assert!(head(&topic).starts_with("Topic: t1\tPartitionCount: 2"), "a broker without topic ids");
    }

    #[test]
    fn the_lines_of_partitions() {
        let topic = topic();
        let [first, second] = &topic.topic.partitions[..] else { panic!("two partitions") };
        assert_eq!(
            line(&topic, first),
            "\tTopic: t1\tPartition: 0\tLeader: 1\tReplicas: 1,2\tIsr: 1\tElr: 2\tLastKnownElr: "
        );
        assert_eq!(
            line(&topic, second),
            "\tTopic: t1\tPartition: 1\tLeader: none\tReplicas: 1,2\tIsr: 1\tAdding Replicas: 2\tRemoving Replicas: \tElr: N/A\t\
             LastKnownElr: N/A"
        );
    }
}
