//! Kafka's error codes, as numbers on the wire. Errors of the codec itself are in `error`.
//!
//! Codes, names and what is worth a retry are Kafka 4.3.1's (`org.apache.kafka.common.protocol.Errors`); the messages are
//! ours.

/// One row a code: variant, number, Kafka's constant, whether a client may retry, message.
macro_rules! error_codes {
    ($($variant:ident = $code:literal, $name:literal, $retry:ident, $message:literal;)*) => {
        /// The outcome of a request or of a part of it, as responses carry it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ErrorCode {
            $(
                #[doc = concat!("`", $name, "`: ", $message, ".")]
                $variant = $code,
            )*
        }

        impl ErrorCode {
            /// Every code, lowest first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Kafka's name of the constant.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What went wrong, for an operator.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)*
                }
            }

            /// Whether Kafka's clients try again.
            #[must_use]
            pub const fn is_retriable(self) -> bool {
                match self {
                    $(Self::$variant => error_codes!(@$retry),)*
                }
            }
        }

        impl TryFrom<i16> for ErrorCode {
            type Error = UnknownErrorCode;

            fn try_from(code: i16) -> Result<Self, UnknownErrorCode> {
                match code {
                    $($code => Ok(Self::$variant),)*
                    got => Err(UnknownErrorCode { got }),
                }
            }
        }
    };
    (@retry) => { true };
    (@fatal) => { false };
}

/// A number that Kafka 4.3.1 has no error for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error code {got} is unknown")]
pub struct UnknownErrorCode {
    /// The number.
    pub got: i16,
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

error_codes! {
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", fatal, "the broker failed in a way that has no code of its own";
    None = 0, "NONE", fatal, "success";
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", fatal, "the offset lies outside what the partition holds";
    CorruptMessage = 2, "CORRUPT_MESSAGE", retry, "a record batch is damaged: checksum, size or structure";
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION", retry, "this broker does not host such a topic or partition";
    InvalidFetchSize = 4, "INVALID_FETCH_SIZE", fatal, "the fetch size cannot be served";
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", retry, "the partition has no leader at the moment";
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER", retry, "this broker holds no usable replica of the partition for the request";
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", retry, "the request's time ran out before it was done";
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE", fatal, "the broker cannot be reached";
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE", retry, "the replica cannot be reached or is not there";
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", fatal, "a record batch exceeds the size that the topic accepts";
    StaleControllerEpoch = 11, "STALE_CONTROLLER_EPOCH", fatal, "a newer controller has taken over";
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE", fatal, "the text stored with an offset is too long";
    NetworkException = 13, "NETWORK_EXCEPTION", retry, "the connection broke before the answer";
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS", retry, "the coordinator is still reading its state";
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", retry, "no coordinator can be named now";
    NotCoordinator = 16, "NOT_COORDINATOR", retry, "another broker coordinates this group or transaction";
    InvalidTopicException = 17, "INVALID_TOPIC_EXCEPTION", fatal, "the topic's name or kind does not allow the operation";
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE", fatal, "the record set exceeds a segment";
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS", retry, "fewer replicas are in sync than the topic demands";
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", retry, "the records were written, but to fewer in-sync replicas than the topic demands";
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", fatal, "acks must be 0, 1 or -1";
    IllegalGeneration = 22, "ILLEGAL_GENERATION", fatal, "the group has moved to another generation";
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL", fatal, "the member's protocols share nothing with the group's";
    InvalidGroupId = 24, "INVALID_GROUP_ID", fatal, "the group id is not acceptable";
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID", fatal, "the group knows no such member";
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT", fatal, "the session timeout lies outside the broker's limits";
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS", fatal, "the group is rebalancing; the member must rejoin";
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE", fatal, "the commit exceeds what one record may hold";
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED", fatal, "not authorized for the topic";
    GroupAuthorizationFailed = 30, "GROUP_AUTHORIZATION_FAILED", fatal, "not authorized for the group";
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED", fatal, "not authorized for the cluster";
    InvalidTimestamp = 32, "INVALID_TIMESTAMP", fatal, "a record's timestamp lies outside what the topic accepts";
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM", fatal, "the SASL mechanism is not enabled";
    IllegalSaslState = 34, "ILLEGAL_SASL_STATE", fatal, "the request does not fit the state of authentication";
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", fatal, "this version of the API is not supported";
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", fatal, "a topic of this name exists";
    InvalidPartitions = 37, "INVALID_PARTITIONS", fatal, "the number of partitions is not acceptable";
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", fatal, "the replication factor is below 1 or above the number of brokers";
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", fatal, "the replica assignment is not acceptable";
    InvalidConfig = 40, "INVALID_CONFIG", fatal, "a configuration key or value is not acceptable";
    NotController = 41, "NOT_CONTROLLER", retry, "another node is the controller";
    InvalidRequest = 42, "INVALID_REQUEST", fatal, "the request contradicts itself or the protocol";
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", fatal, "the stored message format lacks what was asked for";
    PolicyViolation = 44, "POLICY_VIOLATION", fatal, "a policy of the cluster forbids it";
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", fatal, "the producer's sequence leaves a gap";
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER", fatal, "the producer's batch was appended before";
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", fatal, "a newer epoch of this producer exists";
    InvalidTxnState = 48, "INVALID_TXN_STATE", fatal, "the transaction is in a state that forbids the operation";
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING", fatal, "the transactional id belongs to another producer id";
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT", fatal, "the transaction timeout exceeds the broker's limit";
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS", retry, "an earlier transaction of this producer is still being completed";
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED", fatal, "a newer coordinator has taken over the transaction";
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", fatal, "not authorized for the transactional id";
    SecurityDisabled = 54, "SECURITY_DISABLED", fatal, "security features are switched off";
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED", fatal, "not tried, because another part of the request failed";
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", retry, "the disk failed under the partition";
    LogDirNotFound = 57, "LOG_DIR_NOT_FOUND", fatal, "the broker has no such log directory";
    SaslAuthenticationFailed = 58, "SASL_AUTHENTICATION_FAILED", fatal, "authentication failed";
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", fatal, "the partition has no state of this producer";
    ReassignmentInProgress = 60, "REASSIGNMENT_IN_PROGRESS", fatal, "the partition is being reassigned";
    DelegationTokenAuthDisabled = 61, "DELEGATION_TOKEN_AUTH_DISABLED", fatal, "delegation tokens are switched off";
    DelegationTokenNotFound = 62, "DELEGATION_TOKEN_NOT_FOUND", fatal, "no such delegation token";
    DelegationTokenOwnerMismatch = 63, "DELEGATION_TOKEN_OWNER_MISMATCH", fatal, "the delegation token belongs to someone else";
    DelegationTokenRequestNotAllowed = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", fatal, "delegation tokens cannot be handled on this kind of connection";
    DelegationTokenAuthorizationFailed = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", fatal, "not authorized for the delegation token";
    DelegationTokenExpired = 66, "DELEGATION_TOKEN_EXPIRED", fatal, "the delegation token has expired";
    InvalidPrincipalType = 67, "INVALID_PRINCIPAL_TYPE", fatal, "the principal's type is not supported";
    NonEmptyGroup = 68, "NON_EMPTY_GROUP", fatal, "the group still has members";
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND", fatal, "no such group";
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", retry, "no such fetch session";
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH", retry, "the fetch session is at another epoch";
    ListenerNotFound = 72, "LISTENER_NOT_FOUND", retry, "the leader has no listener of the name that was asked";
    TopicDeletionDisabled = 73, "TOPIC_DELETION_DISABLED", fatal, "topics cannot be deleted on this cluster";
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", retry, "the client's leader epoch is older than the broker's";
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", retry, "the client's leader epoch is newer than the broker's";
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", fatal, "the compression is not supported by this version of the API";
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH", fatal, "the broker has registered again since";
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE", retry, "the new leader does not know the high watermark yet";
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED", fatal, "join again with the member id of this answer";
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE", retry, "the preferred leader is not available";
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED", fatal, "the group is full";
    FencedInstanceId = 82, "FENCED_INSTANCE_ID", fatal, "another member uses this group instance id";
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", retry, "no replica may become leader now";
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED", retry, "the partition already has the wanted leader";
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS", fatal, "the partition is not being reassigned";
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC", fatal, "the group still consumes the topic";
    InvalidRecord = 87, "INVALID_RECORD", fatal, "a record breaks a rule of the topic";
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT", retry, "a transaction over these offsets is still open";
    ThrottlingQuotaExceeded = 89, "THROTTLING_QUOTA_EXCEEDED", retry, "a quota is used up";
    ProducerFenced = 90, "PRODUCER_FENCED", fatal, "a newer producer uses the same transactional id";
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND", fatal, "no such resource";
    DuplicateResource = 92, "DUPLICATE_RESOURCE", fatal, "the resource exists or is named twice";
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL", fatal, "the credential does not meet the requirements";
    InconsistentVoterSet = 94, "INCONSISTENT_VOTER_SET", fatal, "the sides know different voters";
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", fatal, "the update carries an unexpected version";
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED", fatal, "the features could not be changed";
    PrincipalDeserializationFailure = 97, "PRINCIPAL_DESERIALIZATION_FAILURE", fatal, "the forwarded principal cannot be read";
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND", fatal, "no such snapshot";
    PositionOutOfRange = 99, "POSITION_OUT_OF_RANGE", fatal, "the position lies outside the snapshot";
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", retry, "this broker hosts no topic of that id";
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION", fatal, "the broker id is in use";
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED", fatal, "no broker of that id is registered";
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID", retry, "the topic's id is not the one that the log has";
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID", fatal, "the request comes from another cluster";
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND", fatal, "no such transactional id";
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR", retry, "the fetch session mixes topic names and topic ids";
    IneligibleReplica = 107, "INELIGIBLE_REPLICA", fatal, "the replica may not join the in-sync replicas";
    NewLeaderElected = 108, "NEW_LEADER_ELECTED", fatal, "the change of replicas made another broker the leader";
    OffsetMovedToTieredStorage = 109, "OFFSET_MOVED_TO_TIERED_STORAGE", fatal, "the offset is in tiered storage only";
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH", fatal, "the group fenced this member's epoch; join again";
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID", fatal, "another member still holds this group instance id";
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR", fatal, "the assignor is not one of the group's";
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH", fatal, "the member's epoch is behind; retry after the next heartbeat";
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE", fatal, "the request went to the wrong kind of endpoint";
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE", fatal, "this kind of endpoint is unknown here";
    UnknownControllerId = 116, "UNKNOWN_CONTROLLER_ID", fatal, "no such controller";
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID", fatal, "the telemetry subscription has changed";
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE", fatal, "the telemetry exceeds the broker's limit";
    InvalidRegistration = 119, "INVALID_REGISTRATION", fatal, "the registration is not acceptable";
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE", fatal, "the transaction failed; abort it, then go on";
    InvalidRecordState = 121, "INVALID_RECORD_STATE", fatal, "the record is not in a state that allows this acknowledgement";
    ShareSessionNotFound = 122, "SHARE_SESSION_NOT_FOUND", retry, "no such share session";
    InvalidShareSessionEpoch = 123, "INVALID_SHARE_SESSION_EPOCH", retry, "the share session is at another epoch";
    FencedStateEpoch = 124, "FENCED_STATE_EPOCH", fatal, "the share group state has a newer epoch";
    InvalidVoterKey = 125, "INVALID_VOTER_KEY", fatal, "the voter's id and directory do not match";
    DuplicateVoter = 126, "DUPLICATE_VOTER", fatal, "the voter is in the set";
    VoterNotFound = 127, "VOTER_NOT_FOUND", fatal, "the voter is not in the set";
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION", fatal, "the regular expression is not valid";
    RebootstrapRequired = 129, "REBOOTSTRAP_REQUIRED", fatal, "the client's metadata is useless; it must start from its bootstrap servers";
    StreamsInvalidTopology = 130, "STREAMS_INVALID_TOPOLOGY", fatal, "the streams topology is not acceptable";
    StreamsInvalidTopologyEpoch = 131, "STREAMS_INVALID_TOPOLOGY_EPOCH", fatal, "the streams topology epoch is not acceptable";
    StreamsTopologyFenced = 132, "STREAMS_TOPOLOGY_FENCED", fatal, "the streams topology epoch is outdated";
    ShareSessionLimitReached = 133, "SHARE_SESSION_LIMIT_REACHED", retry, "the broker has no room for another share session";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_dense_and_come_back() {
        let codes: Vec<i16> = ErrorCode::ALL.iter().map(|e| e.code()).collect();
        assert_eq!(codes, (-1..=133).collect::<Vec<i16>>());
        for &error in ErrorCode::ALL {
            assert_eq!(ErrorCode::try_from(error.code()), Ok(error));
        }
        assert_eq!(ErrorCode::try_from(134), Err(UnknownErrorCode { got: 134 }));
    }

    #[test]
    fn what_clients_rely_on() {
        let table = [
            (ErrorCode::None, 0, "NONE", false),
            (ErrorCode::NotLeaderOrFollower, 6, "NOT_LEADER_OR_FOLLOWER", true),
            (ErrorCode::UnsupportedVersion, 35, "UNSUPPORTED_VERSION", false),
            (ErrorCode::KafkaStorageError, 56, "KAFKA_STORAGE_ERROR", true),
            (ErrorCode::MemberIdRequired, 79, "MEMBER_ID_REQUIRED", false),
        ];
        for (error, code, name, retriable) in table {
            assert_eq!((error.code(), error.name(), error.is_retriable()), (code, name, retriable));
        }
    }
}
