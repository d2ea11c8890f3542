//! What consumers of the classic protocol say to each other through the broker, which reads it when a group changes its protocol.

use crate::cluster::truth::Part;
use protocol::messages::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition};
use protocol::{DecodeError, EncodeError, Reader, Writer};

/// Version 1 has everything that a member here has to say.
const VERSION: i16 = 1;

/// A member that reads one topic, and owns nothing while it joins.
pub(super) fn subscription(topic: &str) -> Vec<u8> {
    let subscription = ConsumerProtocolSubscription { topics: vec![topic.into()], ..Default::default() };
    written(|writer| subscription.encode(writer, VERSION))
}

/// Some partitions of one topic.
pub(super) fn assignment(topic: &str, partitions: Vec<i32>) -> Vec<u8> {
    let assigned_partitions = vec![TopicPartition { topic: topic.into(), partitions }];
    let assignment = ConsumerProtocolAssignment { assigned_partitions, user_data: None };
    written(|writer| assignment.encode(writer, VERSION))
}

fn written(body: impl FnOnce(&mut Writer) -> Result<(), EncodeError>) -> Vec<u8> {
    let mut writer = Writer::new();
    let written = body(&mut writer).ok().and_then(|()| writer.into_bytes().ok());
    #[expect(clippy::expect_used, reason = "a topic's name and a few numbers can be written")]
    let bytes = written.expect("a few names and numbers can be written");
    [&VERSION.to_be_bytes()[..], &bytes].concat()
}

/// What an assignment gives, by topic; nothing where there are no bytes.
pub(crate) fn assigned(bytes: &[u8]) -> Result<Vec<(String, i32)>, DecodeError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(bytes);
    let version = reader.i16()?;
    let assignment = ConsumerProtocolAssignment::decode(&mut reader, version)?;
    let topics = assignment.assigned_partitions.iter();
    Ok(topics.flat_map(|topic| topic.partitions.iter().map(|part| (topic.topic.to_string(), *part))).collect())
}

/// As the share of a member that reads one topic.
pub(super) fn share(topic: usize, assigned: &[(String, i32)]) -> Vec<Part> {
    assigned.iter().map(|(_, index)| Part { topic, index: *index }).collect()
}
