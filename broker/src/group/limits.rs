//! Bounds of the coordinator that Kafka does not have or does not make configurable.

/// Bytes of one member's protocols (subscription, user data), all protocols together. Kafka Streams sends megabytes;
/// Kafka itself has no bound but that of the request.
pub(crate) const MEMBER_PROTOCOLS_BYTES_MAX: usize = 16 << 20;

/// Bytes that a member costs besides what it says: its entries in tables, timers and records.
pub(crate) const MEMBER_OVERHEAD_BYTES: usize = 1 << 10;

/// Member ids handed out by MEMBER_ID_REQUIRED that have not joined yet, a group. Each lives one session timeout.
pub(crate) const PENDING_MEMBERS_MAX: usize = 10_000;

/// Bytes that a record takes in a batch besides key and value: length, attributes, deltas and counts, at their longest.
pub(crate) const RECORD_OVERHEAD_BYTES_MAX: usize = 32;

/// Bytes of any text that ends up in a record of a group: its lengths have 16 bits, those of flexible requests 32.
pub(crate) const RECORD_TEXT_BYTES_MAX: usize = protocol::limits::CLASSIC_STRING_BYTES_MAX;

/// Bytes that a member's id adds to the client's or the instance's own name: a dash and a UUID.
pub(crate) const MEMBER_ID_SUFFIX_BYTES: usize = 1 + 36;

/// Least milliseconds of a further wait after a join phase to which nobody came back. Static members keep their group in it,
/// and with a rebalance timeout of 0 the shard would do nothing but end that phase again.
pub(crate) const REJOIN_WAIT_MS_MIN: u64 = 1_000;

/// Least milliseconds by which the answer to a heartbeat that waits comes before the client's next one is due: the way there and
/// back, and the Java client's `retry.backoff.ms`, which it keeps between an answer and the next request.
pub(crate) const HOLD_MARGIN_MS_MIN: u64 = 100;

/// Milliseconds after which a member is to be heard of again that waits for what others have to give up.
pub(crate) const AWAIT_MS: u64 = 500;

/// A heartbeat that could wait less milliseconds than this does not wait: it would be work for nothing.
pub(crate) const HOLD_MS_MIN: u64 = 50;

/// Milliseconds that a new member's JoinGroup may wait before the member is taken for gone: it cannot send heartbeats
/// before it knows its id. Kafka's `classicGroupNewMemberJoinTimeoutMs`.
pub(crate) const NEW_MEMBER_JOIN_TIMEOUT_MS: u64 = 5 * 60 * 1000;

/// Bytes of a consumer group member's subscription and of everything else that its record tells. One record must fit into a batch of
/// `__consumer_offsets` with room to spare.
pub(crate) const SUBSCRIPTION_BYTES_MAX: usize = 256 << 10;

/// Bytes of a subscription's regular expression.
pub(crate) const PATTERN_BYTES_MAX: usize = 4_096;

/// Bytes of the program that a regular expression over ASCII compiles to. With it the time for a topic's name is bounded too.
pub(crate) const PATTERN_PROGRAM_BYTES_MAX: usize = 64 << 10;

/// The same, for a regular expression that names classes of Unicode.
pub(crate) const PATTERN_UNICODE_PROGRAM_BYTES_MAX: usize = 256 << 10;

/// Different regular expressions in one group; each is matched against all topics.
pub(crate) const PATTERNS_MAX: usize = 100;

/// Least milliseconds between two times that a group's regular expressions are matched against all topics because topics changed.
pub(crate) const PATTERN_REFRESH_MS_MIN: u64 = 1_000;

const _: () = assert!(PATTERN_BYTES_MAX < SUBSCRIPTION_BYTES_MAX);
