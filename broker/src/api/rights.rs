//! What a client may do, as the bit fields of KIP-430. Without an authorizer that is everything the resource has.
//! Bits are numbered by Kafka's `AclOperation` codes.

const READ: u32 = 3;
const WRITE: u32 = 4;
const CREATE: u32 = 5;
const DELETE: u32 = 6;
const ALTER: u32 = 7;
const DESCRIBE: u32 = 8;
const CLUSTER_ACTION: u32 = 9;
const DESCRIBE_CONFIGS: u32 = 10;
const ALTER_CONFIGS: u32 = 11;
const IDEMPOTENT_WRITE: u32 = 12;

/// Nobody asked.
pub(crate) const NOT_ASKED: i32 = i32::MIN;

const fn bits(operations: &[u32]) -> i32 {
    let mut field = 0;
    let mut index = 0;
    while index < operations.len() {
        field |= 1 << operations[index];
        index += 1;
    }
    field
}

/// What a client may do with a topic.
pub(crate) const TOPIC: i32 = bits(&[READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS]);

/// What a client may do with the cluster.
pub(crate) const CLUSTER: i32 =
    bits(&[CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE]);

/// `field`, if it was asked for.
pub(crate) fn asked(asked: bool, field: i32) -> i32 {
    if asked { field } else { NOT_ASKED }
}

const _: () = assert!(TOPIC == 3576 && CLUSTER == 8096, "as Kafka 4.3.1 answers");
