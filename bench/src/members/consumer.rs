//! A member of the consumer protocol (KIP-848): one request for everything, as the Java client sends it. An assignment is taken
//! at once, given-up partitions first, and acknowledged with the next heartbeat, which does not wait. Other heartbeats come an interval
//! after the last was sent, and not before that is answered.

use super::{MembersError, Next, Place, REBALANCE_TIMEOUT_MS, RETRY};
use crate::frames::{self, AnswerError};
use protocol::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use protocol::{ApiKey, Reader, ResponseHeader};
use std::time::Duration;

const VERSION: i16 = 1;

/// The epoch with which a member leaves.
const LEAVES: i32 = -1;

/// See the module.
#[derive(Debug)]
pub(super) struct Consumer {
    group: String,
    topic: String,
    id: String,
    /// 0 until it was let in.
    epoch: i32,
    owned: Vec<TopicPartitions>,
    /// Whether it has not told the broker yet that it owns these.
    unsaid: bool,
    /// What the broker asks for.
    interval: Duration,
    /// Heartbeats under way before its last words.
    under_way: usize,
}

impl Consumer {
    /// One that is about to join; `number` makes its id.
    pub(super) fn new(group: &str, topic: &str, number: usize) -> Consumer {
        // As a client does: an id of its own, in a UUID's form.
        let id = format!("00000000-0000-4000-8000-{:012x}", number + 1);
        let (group, topic) = (group.to_owned(), topic.to_owned());
        Consumer { group, topic, id, epoch: 0, owned: Vec::new(), unsaid: true, interval: Duration::ZERO, under_way: 0 }
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    pub(super) fn place(&self) -> Option<Place> {
        let partitions = self.owned.iter().map(|t| t.partitions.len()).sum();
        (self.epoch > 0 && !self.unsaid).then_some(Place { generation: self.epoch, partitions })
    }

    pub(super) fn due(&mut self) -> Result<Vec<u8>, MembersError> {
        self.under_way += 1;
        let joins = self.epoch == 0;
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group.as_str().into(),
            member_id: self.id.as_str().into(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: if joins { REBALANCE_TIMEOUT_MS } else { -1 },
            subscribed_topic_names: joins.then(|| vec![self.topic.as_str().into()]),
            topic_partitions: self.unsaid.then(|| self.owned.clone()),
            ..Default::default()
        };
        self.unsaid = false;
        Ok(frames::frame(ApiKey::ConsumerGroupHeartbeat, VERSION, |w| request.encode(w, VERSION))?)
    }

    pub(super) fn answered(&mut self, answer: &[u8]) -> Result<Next, MembersError> {
        self.under_way = self.under_way.saturating_sub(1);
        if self.epoch == LEAVES && self.under_way > 0 {
            return Ok(Next::Wait);
        }
        let response = decode(answer)?;
        match response.error_code {
            0 => {}
            // COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR
            14..=16 => {
                self.unsaid = true;
                return Ok(Next::After(RETRY));
            }
            // UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH: a client begins anew.
            25 | 110 => {
                (self.epoch, self.owned, self.unsaid) = (0, Vec::new(), true);
                return Ok(Next::After(RETRY));
            }
            code => return Err(failed(AnswerError::Code(code))),
        }
        if self.epoch == LEAVES {
            return Ok(Next::Nothing);
        }
        // The first one is acknowledged even if there is nothing in it, as the Java client does.
        let is_first = self.epoch == 0;
        self.epoch = response.member_epoch;
        self.interval = Duration::from_millis(u64::try_from(response.heartbeat_interval_ms).unwrap_or(0));
        match response.assignment {
            Some(assignment) if is_first || assignment.topic_partitions != self.owned => {
                self.owned = assignment.topic_partitions;
                self.unsaid = true;
                Ok(Next::Send(self.due()?))
            }
            Some(_) | None => Ok(Next::Since(self.interval)),
        }
    }

    pub(super) fn leave(&mut self) -> Result<Vec<u8>, MembersError> {
        (self.epoch, self.unsaid) = (LEAVES, false);
        self.due()
    }
}

fn failed(error: AnswerError) -> MembersError {
    MembersError::Answer { what: "ConsumerGroupHeartbeat", error }
}

fn decode(answer: &[u8]) -> Result<ConsumerGroupHeartbeatResponse<'_>, MembersError> {
    let mut r = Reader::new(answer);
    let header = ResponseHeader::decode(&mut r, ApiKey::ConsumerGroupHeartbeat, VERSION);
    let response = header.and_then(|_| ConsumerGroupHeartbeatResponse::decode(&mut r, VERSION));
    response.map_err(|error| failed(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::messages::consumer_group_heartbeat::Assignment;
    use protocol::{RequestHeader, Uuid, Writer};

    fn answer(epoch: i32, assignment: Option<&[i32]>) -> Vec<u8> {
        let of = |partitions: &[i32]| {
            let topic = TopicPartitions { topic_id: Uuid([7; 16]), partitions: partitions.to_vec() };
            Assignment { topic_partitions: vec![topic] }
        };
        let response = ConsumerGroupHeartbeatResponse {
            member_epoch: epoch,
            heartbeat_interval_ms: 5_000,
            assignment: assignment.map(of),
            ..Default::default()
        };
        let mut w = Writer::new();
        ResponseHeader { correlation_id: 1 }.encode(&mut w, ApiKey::ConsumerGroupHeartbeat, VERSION).unwrap();
        response.encode(&mut w, VERSION).unwrap();
        w.into_bytes().unwrap()
    }

    fn said(frame: &[u8]) -> (i32, Option<usize>, bool) {
        let mut r = Reader::new(&frame[4..]);
        RequestHeader::decode(&mut r).unwrap();
        let request = ConsumerGroupHeartbeatRequest::decode(&mut r, VERSION).unwrap();
        let owned = request.topic_partitions.map(|t| t.iter().map(|t| t.partitions.len()).sum());
        (request.member_epoch, owned, request.subscribed_topic_names.is_some())
    }

    #[test]
    fn it_acknowledges_an_assignment_at_once_and_then_says_only_that_it_lives() {
        let mut member = Consumer::new("g", "t", 0);
        assert_eq!(said(&member.due().unwrap()), (0, Some(0), true));
        let Next::Send(ack) = member.answered(&answer(3, Some(&[1, 2, 3]))).unwrap() else { panic!("no ack") };
        assert_eq!(said(&ack), (3, Some(3), false));
        assert_eq!(member.place(), Some(Place { generation: 3, partitions: 3 }));
        assert_eq!(member.answered(&answer(3, None)).unwrap(), Next::Since(Duration::from_secs(5)));
        assert_eq!(said(&member.due().unwrap()), (3, None, false));
        assert_eq!(said(&member.leave().unwrap()), (LEAVES, None, false));
        assert_eq!(member.answered(&answer(3, None)).unwrap(), Next::Wait, "of the heartbeat before");
        assert_eq!(member.answered(&answer(LEAVES, None)).unwrap(), Next::Nothing);
    }
}
