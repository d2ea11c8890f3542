//! Deleting groups and offsets, by hand, by topic and by age (KIP-211, 496). Broken, this means consumers that start from the
//! beginning, or offsets that outlive what they point into.

use super::*;
use crate::group::delete::{OffsetDeleteReply, OffsetDeleteTopic};

const WEEK_MS: u64 = 7 * DAY_MS;

impl Scene {
    fn delete(&mut self) -> Ticket {
        let ticket = self.ticket();
        self.coordinator.delete_group(self.now, ticket, &"g".into());
        self.pump();
        ticket
    }

    #[track_caller]
    fn deleted(&mut self, ticket: Ticket) -> ErrorCode {
        match self.replies.remove(&ticket) {
            Some(Reply::Deleted(error)) => error,
            other => panic!("no answer to DeleteGroups but {other:?}"),
        }
    }

    #[track_caller]
    fn delete_offset(&mut self, topic: &str, partition: i32) -> OffsetDeleteReply {
        let ticket = self.ticket();
        let topics = vec![OffsetDeleteTopic { name: topic.into(), partitions: vec![(partition, ErrorCode::None)] }];
        self.coordinator.delete_offsets(self.now, ticket, &"g".into(), topics);
        self.pump();
        match self.replies.remove(&ticket) {
            Some(Reply::OffsetsDeleted(reply)) => reply,
            other => panic!("no answer to OffsetDelete but {other:?}"),
        }
    }
}

#[test]
fn an_empty_group_is_deleted_with_its_offsets_for_good() {
    let mut s = Scene::new();
    s.commit("", -1, 5);
    let ticket = s.delete();
    assert_eq!((s.deleted(ticket), s.state()), (ErrorCode::None, "Dead"));
    s.restart();
    assert_eq!((s.state(), s.committed(0)), ("Dead", None));
    let again = s.delete();
    assert_eq!(s.deleted(again), ErrorCode::GroupIdNotFound);
}

#[test]
fn a_group_with_members_is_not_deleted() {
    let mut s = Scene::new();
    s.stable(1);
    let ticket = s.delete();
    assert_eq!(s.deleted(ticket), ErrorCode::NonEmptyGroup);
}

#[test]
fn a_deletion_that_cannot_be_stored_brings_the_group_back() {
    let mut s = Scene::new();
    s.commit("", -1, 5);
    s.disk(Disk::Stalled);
    let ticket = s.delete();
    let commit = s.commit("", -1, 6);
    s.disk(Disk::Failing(ErrorCode::KafkaStorageError));
    assert_eq!(s.deleted(ticket), ErrorCode::NotCoordinator);
    assert_eq!(s.committed_as(commit), ErrorCode::NotCoordinator);
    assert_eq!(s.committed(0), Some(5));
}

#[test]
fn a_deletion_also_covers_offsets_that_are_being_written() {
    let mut s = Scene::new();
    s.commit_with(commit_request("", -1, &[("t", 1, 1)]));
    s.disk(Disk::Stalled);
    let commit = s.commit("", -1, 5);
    let delete = s.delete();
    s.disk(Disk::Fine);
    assert_eq!((s.committed_as(commit), s.deleted(delete)), (ErrorCode::None, ErrorCode::None));
    s.restart();
    assert_eq!((s.committed(0), s.committed(1), s.state()), (None, None, "Dead"));
}

#[test]
fn offsets_of_topics_that_nobody_reads_can_be_deleted() {
    let mut s = Scene::new();
    s.commit_with(commit_request("", -1, &[("t", 0, 1), ("u", 0, 2)]));
    s.stable(1);
    assert_eq!(s.delete_offset("t", 0).topics[0].partitions, [(0, ErrorCode::GroupSubscribedToTopic)]);
    assert_eq!(s.delete_offset("u", 0).topics[0].partitions, [(0, ErrorCode::None)]);
    assert_eq!(s.delete_offset("never", 0).topics[0].partitions, [(0, ErrorCode::None)]);
    let all = s.coordinator.committed_offsets(&"g".into());
    assert_eq!(all.len(), 1);
}

#[test]
fn offset_delete_needs_a_group_whose_reading_is_known() {
    let mut s = Scene::new();
    assert_eq!(s.delete_offset("t", 0).error, ErrorCode::GroupIdNotFound);
    s.enter(Join::new().protocol_type("connect"));
    assert_eq!(s.delete_offset("t", 0).error, ErrorCode::NonEmptyGroup);
}

#[test]
fn a_deleted_topic_takes_its_offsets_along() {
    let mut s = Scene::new();
    s.commit_with(commit_request("", -1, &[("t", 0, 1), ("t", 1, 1), ("u", 0, 2)]));
    s.coordinator.on_topic_deleted(s.now, "t");
    s.pump();
    s.restart();
    assert_eq!(s.coordinator.committed_offsets(&"g".into()).len(), 1);
}

#[test]
fn offsets_of_a_simple_group_end_a_week_after_the_last_commit() {
    let mut s = Scene::new();
    s.commit("", -1, 1);
    s.wait(WEEK_MS - DAY_MS);
    s.commit_with(commit_request("", -1, &[("t", 1, 2)]));
    s.wait(2 * DAY_MS);
    assert_eq!((s.committed(0), s.committed(1)), (None, Some(2)));
    s.wait(WEEK_MS);
    assert_eq!(s.state(), "Dead");
    s.restart();
    assert_eq!(s.state(), "Dead");
}

#[test]
fn offsets_of_a_group_end_a_week_after_its_last_member_left() {
    let mut s = Scene::new();
    let ids = s.stable(1);
    s.commit(&ids[0], 1, 1);
    for _ in 0..(2 * WEEK_MS / 9_000) {
        s.wait(9_000);
        s.heartbeat(&ids[0], 1).unwrap();
    }
    assert_eq!(s.committed(0), Some(1));
    s.leave(&[(&ids[0], None)]).unwrap().remove(0).unwrap();
    s.wait(WEEK_MS - DAY_MS);
    assert_eq!(s.committed(0), Some(1));
    s.wait(2 * DAY_MS);
    assert_eq!((s.committed(0), s.state()), (None, "Dead"));
}

#[test]
fn a_stable_consumer_group_loses_old_offsets_of_topics_it_no_longer_reads() {
    let mut s = Scene::new();
    let ids = s.stable(1);
    s.commit_with(commit_request(&ids[0], 1, &[("t", 0, 1), ("u", 0, 2)]));
    for _ in 0..(8 * DAY_MS / 9_000) {
        s.wait(9_000);
        s.heartbeat(&ids[0], 1).unwrap();
    }
    let all = s.coordinator.committed_offsets(&"g".into());
    assert_eq!(all.iter().map(|(t, ..)| &**t).collect::<Vec<_>>(), ["t"]);
}

#[test]
fn a_retention_that_the_client_asked_for_counts() {
    let mut s = Scene::new();
    let mut request = commit_request("", -1, &[("t", 0, 1)]);
    request.retention_ms = Some(DAY_MS as i64);
    s.commit_with(request);
    s.restart();
    s.wait(DAY_MS - 1);
    assert_eq!(s.committed(0), Some(1));
    s.wait(3_600_000);
    assert_eq!(s.committed(0), None);
}

#[test]
fn a_group_that_nobody_used_disappears() {
    let mut s = Scene::new();
    s.join(Join::new());
    assert_eq!(s.state(), "Empty");
    s.wait(2 * 600_000);
    assert_eq!(s.state(), "Dead");
}

/// Settings with which a hundred tombstones take several batches.
fn small_batches() -> Scene {
    Scene::with(|settings| settings.batch_bytes_max = 500)
}

fn commit_many(s: &mut Scene, topic: &str, count: i32) {
    for partition in 0..count {
        s.commit_with(commit_request("", -1, &[(topic, partition, 1)]));
    }
}

#[test]
fn a_group_of_more_offsets_than_a_batch_holds_is_deleted_all_the_same() {
    let mut s = small_batches();
    commit_many(&mut s, "t", 100);
    let ticket = s.delete();
    assert_eq!(s.deleted(ticket), ErrorCode::None);
    s.restart();
    assert_eq!((s.state(), s.coordinator.committed_offsets(&"g".into()).len()), ("Dead", 0));
}

#[test]
fn what_a_half_stored_deletion_left_is_there_again() {
    let mut s = small_batches();
    commit_many(&mut s, "t", 100);
    s.disk(Disk::Stalled);
    let ticket = s.delete();
    // The first batch is refused, the others are not.
    let (token, records) = s.waiting.pop_front().unwrap();
    s.coordinator.appended(s.now, token, Err(ErrorCode::KafkaStorageError));
    s.disk(Disk::Fine);
    assert_eq!(s.deleted(ticket), ErrorCode::CoordinatorNotAvailable);
    let left = s.coordinator.committed_offsets(&"g".into());
    assert_eq!(left.len(), records.len());
    s.restart();
    assert_eq!(s.coordinator.committed_offsets(&"g".into()), left);
    let again = s.delete();
    assert_eq!(s.deleted(again), ErrorCode::None);
}

#[test]
fn a_deleted_topic_of_many_partitions_takes_all_its_offsets_along() {
    let mut s = small_batches();
    commit_many(&mut s, "t", 100);
    commit_many(&mut s, "u", 1);
    s.coordinator.on_topic_deleted(s.now, "t");
    s.pump();
    s.restart();
    assert_eq!(s.coordinator.committed_offsets(&"g".into()).len(), 1);
}

#[test]
fn many_offsets_expire_like_few() {
    let mut s = small_batches();
    commit_many(&mut s, "t", 100);
    s.wait(WEEK_MS - DAY_MS);
    commit_many(&mut s, "u", 1);
    s.wait(2 * DAY_MS);
    assert_eq!(s.coordinator.committed_offsets(&"g".into()).len(), 1);
    s.wait(WEEK_MS);
    assert_eq!(s.state(), "Dead");
}

#[test]
fn a_group_whose_deletion_fails_with_its_partition_does_not_come_back() {
    let mut s = Scene::new();
    s.commit("", -1, 5);
    s.disk(Disk::Stalled);
    let ticket = s.delete();
    s.coordinator.unload(s.now, 0);
    s.disk(Disk::Failing(ErrorCode::NotLeaderOrFollower));
    assert_eq!(s.deleted(ticket), ErrorCode::NotCoordinator);
    s.coordinator.begin_load(0);
    s.coordinator.finish_load(s.now, 0);
    assert_eq!(s.committed(0), None, "the log that was read says nothing of it");
}
