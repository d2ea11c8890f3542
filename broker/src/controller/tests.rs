//! The controller against a log that exists in the test alone.

use super::plan::{Layout, NewTopic, auto_topic};
use super::*;
use crate::settings::BrokerSettings;
use crate::store::Durability;

fn empty() -> MetadataImage {
    MetadataImage::new(Arc::new(BrokerSettings::default()))
}

fn started(shards: u16) -> Controller {
    let mut controller = Controller::new(Arc::new(empty()), shards, 7);
    controller.start();
    settle(&mut controller, shards);
    controller
}

/// How a request ended.
type Ended = (Ticket, Result<(), ErrorCode>);

/// Makes every append durable and every shard follow; returns what was done, and the log.
fn settle(controller: &mut Controller, shards: u16) -> (Vec<Ended>, Vec<Vec<u8>>) {
    let (mut done, mut log) = (Vec::new(), Vec::new());
    while let Some(output) = controller.poll() {
        match output {
            Output::Append { ticket, batch } => {
                log.push(batch);
                controller.appended(ticket, Ok(()));
            }
            Output::Publish(image) => (0..shards).for_each(|shard| controller.applied(ShardId(shard), image.version())),
            Output::Done { ticket, result } => done.push((ticket, result)),
        }
    }
    (done, log)
}

fn counted(name: &str, partitions: Option<i32>, factor: Option<i16>) -> NewTopic {
    let layout = Layout::Count { partitions, replication_factor: factor };
    NewTopic { name: name.to_owned(), layout, configs: Default::default() }
}

fn stage(controller: &mut Controller, new: &NewTopic) -> Ticket {
    let mut plan = controller.plan();
    plan.create_topic(new, controller.random()).expect("the topic is fine");
    controller.stage(plan).expect("there are records")
}

fn code_of(new: &NewTopic) -> Option<ErrorCode> {
    let mut controller = started(1);
    stage(&mut controller, &counted("there.is", None, None));
    let mut plan = controller.plan();
    plan.create_topic(new, controller.random()).err().map(|rejection| rejection.code)
}

#[test]
fn the_first_start_names_the_cluster_and_later_ones_keep_it() {
    let mut controller = Controller::new(Arc::new(empty()), 1, 7);
    controller.start();
    let (_, log) = settle(&mut controller, 1);
    let id = controller.newest().cluster_id().expect("named").to_owned();
    assert_eq!(id.len(), 22);
    let mut again = Controller::new(Arc::new(empty()), 1, 8);
    let (batch, _) = BatchView::parse(&log[0]).expect("a batch");
    again.replay(&batch).expect("it fits");
    again.start();
    assert_eq!(settle(&mut again, 1).1, Vec::<Vec<u8>>::new(), "nothing to write");
    assert_eq!(again.newest().cluster_id(), Some(&*id));
}

#[test]
fn a_change_is_done_once_durable_and_applied_on_every_shard() {
    let mut controller = started(2);
    let ticket = stage(&mut controller, &counted("t", Some(3), None));
    let Some(Output::Append { .. }) = controller.poll() else { panic!("appended first") };
    assert_eq!(controller.poll(), None);
    controller.appended(ticket, Ok(()));
    let Some(Output::Publish(image)) = controller.poll() else { panic!("then published") };
    assert_eq!(image.topic("t").expect("there").partitions.len(), 3);
    controller.applied(ShardId(0), image.version());
    assert_eq!(controller.poll(), None, "shard 1 is missing");
    controller.applied(ShardId(1), image.version());
    assert_eq!(controller.poll(), Some(Output::Done { ticket, result: Ok(()) }));
}

#[test]
fn overlapping_changes_see_each_other_and_fail_together() {
    let mut controller = started(1);
    let first = stage(&mut controller, &counted("a", None, None));
    let second = stage(&mut controller, &counted("b", None, None));
    let mut plan = controller.plan();
    let taken = plan.create_topic(&counted("a", None, None), controller.random());
    assert_eq!(taken.expect_err("staged").code, ErrorCode::TopicAlreadyExists);
    let appends: Vec<Output> = std::iter::from_fn(|| controller.poll()).collect();
    assert!(matches!(appends[..], [Output::Append { ticket, .. }] if ticket == first), "one at a time: {appends:?}");
    controller.appended(first, Err(ErrorCode::KafkaStorageError));
    let failed = |ticket| Output::Done { ticket, result: Err(ErrorCode::KafkaStorageError) };
    assert_eq!([controller.poll(), controller.poll()], [Some(failed(first)), Some(failed(second))]);
    assert_eq!(controller.newest().topic_count(), 0);
    controller.appended(second, Ok(()));
    assert_eq!(controller.poll(), None, "it was given up");
    stage(&mut controller, &counted("a", None, None));
    assert_eq!(settle(&mut controller, 1).0.len(), 1);
}

#[test]
fn replay_makes_the_same_image_with_and_without_a_snapshot() {
    let mut controller = Controller::new(Arc::new(empty()), 1, 7);
    controller.start();
    let mut log = settle(&mut controller, 1).1;
    stage(&mut controller, &counted("a", Some(2), None));
    log.extend(settle(&mut controller, 1).1);
    let middle = (controller.newest().version(), snapshot::encode(controller.newest()));
    let mut plan = controller.plan();
    let topic = Arc::clone(plan.image().topic("a").expect("there"));
    plan.delete_topic(&topic).expect("not internal");
    plan.create_topic(&counted("b", None, None), controller.random()).expect("fine");
    controller.stage(plan);
    log.extend(settle(&mut controller, 1).1);
    let views = || log.iter().map(|batch| BatchView::parse(batch).expect("a batch").0);
    let whole = replay(empty(), None, views()).expect("replays");
    assert_eq!(whole, **controller.newest());
    assert_eq!(replay(empty(), Some((middle.0, &middle.1)), views()), Ok(whole));
    let gap = replay(empty(), None, views().skip(1)).expect_err("the first batch is missing");
    assert_eq!(gap, ReplayError::Gap { expected: 0, got: 1 });
    for cut in 0..middle.1.len() {
        let _ = replay(empty(), Some((middle.0, &middle.1[..cut])), []);
    }
}

#[test]
fn a_log_of_a_newer_version_is_refused() {
    let mut builder = BatchBuilder::new();
    builder.append(-1, None, Some(&[1, 99, 0]), &[]);
    let bytes = builder.build();
    let (batch, _) = BatchView::parse(&bytes).expect("a batch");
    let error = replay(empty(), None, [batch]).expect_err("an unknown record");
    assert_eq!(error, ReplayError::Record { offset: 0, error: RecordError::UnknownType { got: 99 } });
    assert!(error.to_string().contains("newer version"));
}

#[test]
fn what_a_new_topic_may_not_be() {
    let manual = |assignments: &[&[i32]]| NewTopic {
        layout: Layout::Manual(assignments.iter().map(|brokers| brokers.to_vec()).collect()),
        ..counted("t", None, None)
    };
    let configured = |key: &str, value: &str| NewTopic {
        configs: [(key.to_owned(), value.to_owned())].into(),
        ..counted("t", None, None)
    };
    for (new, expect) in [
        (counted("t", None, None), None),
        (counted("t", Some(3), Some(1)), None),
        (counted("there.is", None, None), Some(ErrorCode::TopicAlreadyExists)),
        (counted("there_is", None, None), Some(ErrorCode::InvalidTopicException)),
        (counted("a b", None, None), Some(ErrorCode::InvalidTopicException)),
        (counted("", None, None), Some(ErrorCode::InvalidTopicException)),
        (counted("__cluster_metadata", None, None), Some(ErrorCode::InvalidRequest)),
        (counted("t", Some(0), None), Some(ErrorCode::InvalidPartitions)),
        (counted("t", Some(-2), None), Some(ErrorCode::InvalidPartitions)),
        (counted("t", Some(i32::MAX), None), Some(ErrorCode::PolicyViolation)),
        (counted("t", None, Some(0)), Some(ErrorCode::InvalidReplicationFactor)),
        (counted("t", None, Some(3)), Some(ErrorCode::InvalidReplicationFactor)),
        (manual(&[&[1], &[1]]), None),
        (manual(&[&[]]), Some(ErrorCode::InvalidReplicaAssignment)),
        (manual(&[&[1, 1]]), Some(ErrorCode::InvalidReplicaAssignment)),
        (manual(&[&[2]]), Some(ErrorCode::InvalidReplicaAssignment)),
        (configured("retention.ms", "1"), None),
        (configured("retention.ms", "soon"), Some(ErrorCode::InvalidConfig)),
        (configured("no.such.key", "1"), Some(ErrorCode::InvalidConfig)),
    ] {
        assert_eq!(code_of(&new), expect, "{new:?}");
    }
}

#[test]
fn partitions_grow_and_never_shrink() {
    let mut controller = started(1);
    stage(&mut controller, &counted("t", Some(3), None));
    for (name, count, manual, expect) in [
        ("t", 4, None, None),
        ("t", 5, Some(vec![vec![1], vec![1]]), None),
        ("t", 3, None, Some(ErrorCode::InvalidPartitions)),
        ("t", 2, None, Some(ErrorCode::InvalidPartitions)),
        ("t", -1, None, Some(ErrorCode::InvalidPartitions)),
        ("t", i32::MAX, None, Some(ErrorCode::PolicyViolation)),
        ("t", 5, Some(vec![vec![1]]), Some(ErrorCode::InvalidReplicaAssignment)),
        ("t", 4, Some(vec![vec![9]]), Some(ErrorCode::InvalidReplicaAssignment)),
        ("u", 4, None, Some(ErrorCode::UnknownTopicOrPartition)),
    ] {
        let grown = controller.plan().grow_topic(name, count, manual);
        assert_eq!(grown.err().map(|rejection| rejection.code), expect, "{name} {count}");
    }
}

#[test]
fn the_offsets_topic_is_compacted_durable_and_not_deletable() {
    let mut controller = started(1);
    let new = auto_topic(controller.newest(), "__consumer_offsets");
    stage(&mut controller, &new);
    let topic = Arc::clone(controller.newest().topic("__consumer_offsets").expect("there"));
    assert!(topic.internal);
    assert_eq!(topic.partitions.len(), 50);
    assert_eq!(topic.partitions[0].replicas, [1]);
    assert_eq!(topic.settings.segment_bytes, 104_857_600);
    assert!(topic.settings.cleanup_policy.compact && !topic.settings.cleanup_policy.delete);
    assert_eq!(topic.settings.durability, Durability::Fsync);
    let refused = controller.plan().delete_topic(&topic).expect_err("internal");
    assert_eq!(refused.code, ErrorCode::InvalidTopicException);
}

#[test]
fn producer_ids_survive_a_restart_without_repeating() {
    let mut controller = started(1);
    let mut plan = controller.plan();
    assert_eq!(producer_ids::reserve(&mut plan), 0);
    controller.stage(plan);
    let (_, log) = settle(&mut controller, 1);
    let (batch, _) = BatchView::parse(&log[0]).expect("a batch");
    let image = empty().with(&[Record::ClusterId("x".to_owned())], 1).expect("fits");
    let again = replay(image, None, [batch]).expect("replays");
    assert_eq!(producer_ids::reserve(&mut Plan::new(again)), 1000);
}
