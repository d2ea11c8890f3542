//! OffsetCommit and OffsetFetch. Broken, this means records read twice or never.

use super::*;

#[test]
fn an_offset_is_visible_and_acknowledged_once_it_is_durable() {
    let mut s = Scene::new();
    let ids = s.stable(1);
    s.disk(Disk::Stalled);
    let ticket = s.commit(&ids[0], 1, 10);
    assert!(s.is_waiting(ticket));
    assert_eq!(s.committed(0), None);
    s.disk(Disk::Fine);
    assert_eq!(s.committed_as(ticket), ErrorCode::None);
    assert_eq!(s.committed(0), Some(10));
    s.restart();
    assert_eq!(s.committed(0), Some(10));
}

#[test]
fn a_commit_that_cannot_be_stored_leaves_the_old_offset() {
    let table = [
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::UnknownTopicOrPartition, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::MessageTooLarge, ErrorCode::InvalidCommitOffsetSize),
    ];
    for (disk, told) in table {
        let mut s = Scene::new();
        s.commit("", -1, 10);
        s.disk(Disk::Failing(disk));
        let ticket = s.commit("", -1, 20);
        assert_eq!(s.committed_as(ticket), told);
        assert_eq!(s.committed(0), Some(10));
    }
}

#[test]
fn who_manages_partitions_itself_may_commit_to_an_empty_group_only() {
    let mut s = Scene::new();
    let ticket = s.commit("", -1, 7);
    assert_eq!(s.committed_as(ticket), ErrorCode::None);
    assert_eq!(s.state(), "Empty");
    s.stable(1);
    let ticket = s.commit("", -1, 8);
    assert_eq!(s.committed_as(ticket), ErrorCode::UnknownMemberId);
    assert_eq!(s.committed(0), Some(7));
}

#[test]
fn what_a_commit_is_refused_for() {
    let mut s = Scene::new();
    let ticket = s.commit("a", 3, 1);
    assert_eq!(s.committed_as(ticket), ErrorCode::IllegalGeneration);
    let mut modern = commit_request("a", 3, &[("t", 0, 1)]);
    modern.version = 9;
    let ticket = s.commit_with(modern);
    assert_eq!(s.committed_as(ticket), ErrorCode::GroupIdNotFound);
    let ids = s.stable(1);
    for (member, generation, error) in [
        ("stranger", 1, ErrorCode::UnknownMemberId),
        (ids[0].as_str(), 0, ErrorCode::IllegalGeneration),
        (ids[0].as_str(), 2, ErrorCode::IllegalGeneration),
        (ids[0].as_str(), -1, ErrorCode::IllegalGeneration),
    ] {
        let ticket = s.commit(member, generation, 1);
        assert_eq!(s.committed_as(ticket), error, "{member} {generation}");
    }
}

#[test]
fn in_a_rebalance_commits_are_taken_until_the_next_generation_is_formed() {
    let mut s = Scene::new();
    let ids = s.stable(2);
    let leader = s.join(Join::new().member(&ids[0]));
    let ticket = s.commit(&ids[1], 1, 5);
    assert_eq!(s.committed_as(ticket), ErrorCode::None);
    s.join(Join::new().member(&ids[1]));
    assert_eq!(s.joined(leader).generation, 2);
    let ticket = s.commit(&ids[1], 2, 6);
    assert_eq!(s.committed_as(ticket), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut s = Scene::new();
    let ids = s.stable(1);
    for offset in 0..3 {
        s.wait(9_000);
        s.commit(&ids[0], 1, offset);
    }
    assert_eq!(s.heartbeat(&ids[0], 1), Ok(()));
}

#[test]
fn each_partition_has_its_own_outcome() {
    let mut s = Scene::with(|settings| settings.offset_metadata_units_max = 3);
    let mut request = commit_request("", -1, &[("t", 0, 1), ("t", 1, 2), ("t", 2, 3)]);
    request.topics[1].partitions[0].metadata = "four".into();
    request.topics[2].partitions[0].refused = Some(ErrorCode::UnknownTopicOrPartition);
    let ticket = s.commit_with(request);
    let outcomes: Vec<_> = s.commit_reply(ticket).topics.iter().map(|t| t.partitions[0]).collect();
    let expected =
        [(0, ErrorCode::None), (1, ErrorCode::OffsetMetadataTooLarge), (2, ErrorCode::UnknownTopicOrPartition)];
    assert_eq!(outcomes, expected);
    assert_eq!((s.committed(0), s.committed(1), s.committed(2)), (Some(1), None, None));
}

/// Flexible versions carry texts of any length, records do not: an answer must come of it, not a panic.
#[test]
fn texts_that_no_record_can_carry_are_refused() {
    let long = "x".repeat(32_768);
    let mut s = Scene::with(|settings| settings.offset_metadata_units_max = 100_000);
    let mut request = commit_request("", -1, &[("t", 0, 1)]);
    request.topics[0].partitions[0].metadata = long.as_str().into();
    let ticket = s.commit_with(request);
    assert_eq!(s.committed_as(ticket), ErrorCode::OffsetMetadataTooLarge);
    let mut request = commit_request("", -1, &[("t", 0, 1)]);
    request.group = long.as_str().into();
    let ticket = s.commit_with(request);
    assert_eq!(s.committed_as(ticket), ErrorCode::InvalidGroupId);
    let mut request = commit_request("", -1, &[("t", 0, 1)]);
    request.topics[0].partitions[0].metadata = long[1..].into();
    let ticket = s.commit_with(request);
    assert_eq!(s.committed_as(ticket), ErrorCode::None);
}

#[test]
fn a_commit_larger_than_a_batch_may_be_is_refused() {
    let mut s = Scene::with(|settings| settings.batch_bytes_max = 500);
    let offsets: Vec<_> = (0..100).map(|p| ("t", p, 1)).collect();
    let ticket = s.commit_with(commit_request("", -1, &offsets));
    assert_eq!(s.committed_as(ticket), ErrorCode::InvalidCommitOffsetSize);
    assert_eq!(s.committed(0), None);
    assert!(s.log.is_empty());
}

#[test]
fn all_offsets_of_a_group_can_be_listed() {
    let mut s = Scene::new();
    s.commit_with(commit_request("", -1, &[("t", 1, 11), ("s", 0, 12), ("t", 0, 13)]));
    let all = s.coordinator.committed_offsets(&"g".into());
    let all: Vec<_> = all.iter().map(|(topic, partition, c)| (&**topic, *partition, c.offset)).collect();
    assert_eq!(all, [("s", 0, 12), ("t", 0, 13), ("t", 1, 11)]);
    assert!(s.coordinator.committed_offsets(&"other".into()).is_empty());
}
