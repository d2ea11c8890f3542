//! The advertised table against what stock brokers of 4.3.1 answer, row by row.

use protocol::messages::keys::{CONTROLLER_VERSIONS, TELEMETRY_VERSIONS};
use protocol::{ApiKey, VERSIONS, VersionRange, legacy, supported};

/// Key, name, lowest and highest version, first flexible version (-1: none), as captured from `apache/kafka:4.3.1`.
const CAPTURED: &[(i16, &str, i16, i16, i16)] = &[
    (0, "Produce", 0, 13, 9),
    (1, "Fetch", 4, 18, 12),
    (2, "ListOffsets", 1, 11, 6),
    (3, "Metadata", 0, 13, 9),
    (8, "OffsetCommit", 2, 10, 8),
    (9, "OffsetFetch", 1, 10, 6),
    (10, "FindCoordinator", 0, 6, 3),
    (11, "JoinGroup", 0, 9, 6),
    (12, "Heartbeat", 0, 4, 4),
    (13, "LeaveGroup", 0, 5, 4),
    (14, "SyncGroup", 0, 5, 4),
    (15, "DescribeGroups", 0, 6, 5),
    (16, "ListGroups", 0, 5, 3),
    (17, "SaslHandshake", 0, 1, -1),
    (18, "ApiVersions", 0, 4, 3),
    (19, "CreateTopics", 2, 7, 5),
    (20, "DeleteTopics", 1, 6, 4),
    (21, "DeleteRecords", 0, 2, 2),
    (22, "InitProducerId", 0, 5, 2),
    (23, "OffsetForLeaderEpoch", 2, 4, 4),
    (24, "AddPartitionsToTxn", 0, 5, 3),
    (25, "AddOffsetsToTxn", 0, 4, 3),
    (26, "EndTxn", 0, 5, 3),
    (27, "WriteTxnMarkers", 1, 2, 1),
    (28, "TxnOffsetCommit", 0, 5, 3),
    (29, "DescribeAcls", 1, 3, 2),
    (30, "CreateAcls", 1, 3, 2),
    (31, "DeleteAcls", 1, 3, 2),
    (32, "DescribeConfigs", 1, 4, 4),
    (33, "AlterConfigs", 0, 2, 2),
    (34, "AlterReplicaLogDirs", 1, 2, 2),
    (35, "DescribeLogDirs", 1, 5, 2),
    (36, "SaslAuthenticate", 0, 2, 2),
    (37, "CreatePartitions", 0, 3, 2),
    (38, "CreateDelegationToken", 1, 3, 2),
    (39, "RenewDelegationToken", 1, 2, 2),
    (40, "ExpireDelegationToken", 1, 2, 2),
    (41, "DescribeDelegationToken", 1, 3, 2),
    (42, "DeleteGroups", 0, 2, 2),
    (43, "ElectLeaders", 0, 2, 2),
    (44, "IncrementalAlterConfigs", 0, 1, 1),
    (45, "AlterPartitionReassignments", 0, 1, 0),
    (46, "ListPartitionReassignments", 0, 0, 0),
    (47, "OffsetDelete", 0, 0, -1),
    (48, "DescribeClientQuotas", 0, 1, 1),
    (49, "AlterClientQuotas", 0, 1, 1),
    (50, "DescribeUserScramCredentials", 0, 0, 0),
    (51, "AlterUserScramCredentials", 0, 0, 0),
    (55, "DescribeQuorum", 0, 2, 0),
    (57, "UpdateFeatures", 0, 2, 0),
    (60, "DescribeCluster", 0, 2, 0),
    (61, "DescribeProducers", 0, 0, 0),
    (64, "UnregisterBroker", 0, 0, 0),
    (65, "DescribeTransactions", 0, 0, 0),
    (66, "ListTransactions", 0, 2, 0),
    (68, "ConsumerGroupHeartbeat", 0, 1, 0),
    (69, "ConsumerGroupDescribe", 0, 1, 0),
    (74, "ListConfigResources", 0, 1, 0),
    (75, "DescribeTopicPartitions", 0, 0, 0),
    (76, "ShareGroupHeartbeat", 1, 1, 0),
    (77, "ShareGroupDescribe", 1, 1, 0),
    (78, "ShareFetch", 1, 2, 0),
    (79, "ShareAcknowledge", 1, 2, 0),
    (80, "AddRaftVoter", 0, 1, 0),
    (81, "RemoveRaftVoter", 0, 0, 0),
    (83, "InitializeShareGroupState", 0, 0, 0),
    (84, "ReadShareGroupState", 0, 0, 0),
    (85, "WriteShareGroupState", 0, 1, 0),
    (86, "DeleteShareGroupState", 0, 0, 0),
    (87, "ReadShareGroupStateSummary", 0, 1, 0),
    (88, "StreamsGroupHeartbeat", 0, 0, 0),
    (89, "StreamsGroupDescribe", 0, 0, 0),
    (90, "DescribeShareGroupOffsets", 0, 1, 0),
    (91, "AlterShareGroupOffsets", 0, 0, 0),
    (92, "DeleteShareGroupOffsets", 0, 0, 0),
];

#[test]
fn the_advertised_table() {
    let ours: Vec<_> = VERSIONS.iter().map(|row| (row.key as i16, row.key.name(), row.min, row.max)).collect();
    let captured: Vec<_> = CAPTURED.iter().map(|&(key, name, min, max, _)| (key, name, min, max)).collect();
    assert_eq!(ours, captured);
    assert_eq!(ours.len(), 75);
}

/// A version below the first flexible one that Kafka still serves decides between two encodings; where all served
/// versions are flexible the exact number means nothing.
#[test]
fn flexible_versions() {
    for &(key, name, min, max, flexible) in CAPTURED {
        let key = ApiKey::try_from(key).unwrap();
        for version in min..=max {
            assert_eq!(key.is_flexible(version), flexible >= 0 && version >= flexible, "{name} v{version}");
        }
    }
}

/// KAFKA-18659 and KAFKA-19444: librdkafka draws conclusions from these two minima.
#[test]
fn minima_that_clients_draw_conclusions_from() {
    let row = |key| VERSIONS.iter().find(|row| row.key == key).map(|row| (row.min, row.max));
    assert_eq!(row(ApiKey::Produce), Some((0, 13)));
    assert_eq!(row(ApiKey::JoinGroup), Some((0, 9)));
    assert_eq!(supported(ApiKey::Produce), Some(VersionRange::new(3, 13)));
}

#[test]
fn what_is_decoded_is_what_is_advertised_save_for_produce() {
    for row in VERSIONS.iter().filter(|row| row.key != ApiKey::Produce) {
        if let Some(versions) = supported(row.key) {
            assert_eq!((versions.min, versions.max), (row.min, row.max), "{}", row.key.name());
        }
    }
}

/// KIP-896: what Kafka 4.0 removed of the keys that we decode.
#[test]
fn removed_versions() {
    let removed: Vec<_> =
        VERSIONS.iter().filter_map(|row| legacy(row.key).map(|old| (row.key as i16, old.min, old.max))).collect();
    let table = [(0, 0, 2), (1, 0, 3), (2, 0, 0), (8, 0, 1), (9, 0, 0), (19, 0, 1), (20, 0, 0), (23, 0, 1), (32, 0, 0)];
    for row in table {
        assert!(removed.contains(&row), "{row:?} in {removed:?}");
    }
    for (key, _, max) in removed {
        let now = supported(ApiKey::try_from(key).unwrap()).unwrap();
        assert_eq!(max + 1, now.min, "key {key}: no gap and no overlap");
    }
}

#[test]
fn keys_that_brokers_do_not_advertise() {
    let telemetry: Vec<i16> = TELEMETRY_VERSIONS.iter().map(|row| row.key as i16).collect();
    assert_eq!(telemetry, [71, 72]);
    let controller: Vec<i16> = CONTROLLER_VERSIONS.iter().map(|row| row.key as i16).collect();
    assert_eq!(controller, [52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82]);
    for gone in [4, 5, 6, 7] {
        assert!(ApiKey::try_from(gone).is_err());
    }
}
