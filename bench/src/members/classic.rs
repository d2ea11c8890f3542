//! A member of the classic protocol as the Java consumer is one: joins, is told its id, joins with it, syncs, and says from time to
//! time that it lives, each time a heartbeat's interval after the last, whether that was answered or not. The leader deals out all
//! partitions in ranges.

use super::{MembersError, Next, Place, REBALANCE_TIMEOUT_MS, RETRY, SESSION_TIMEOUT_MS};
use crate::frames::{self, AnswerError};
use protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};
use protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};
use protocol::{ApiKey, DecodeError, Reader};
use std::collections::VecDeque;
use std::time::Duration;

/// The last versions without flexible encoding.
const JOIN: i16 = 5;
const SYNC: i16 = 3;
const HEARTBEAT: i16 = 3;
const LEAVE: i16 = 3;

/// What it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be let in.
    Joining,
    /// To be told its partitions.
    Syncing,
    /// For a change.
    Stable,
    /// For the answer to its last words.
    Leaving,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Classic {
    group: String,
    topic: String,
    partitions: i32,
    heartbeat: Duration,
    id: String,
    generation: i32,
    owned: usize,
    state: State,
    /// What each request under way was sent in.
    sent: VecDeque<State>,
}

/// What to do about an error of the coordinator.
enum Cure {
    /// Ask again in a moment.
    Again,
    /// Join again; forget who one was if so.
    Join { forget: bool },
}

impl Classic {
    /// One that is about to join.
    pub(super) fn new(group: &str, topic: &str, partitions: i32, heartbeat: Duration) -> Classic {
        let (group, topic) = (group.to_owned(), topic.to_owned());
        Classic {
            group,
            topic,
            partitions,
            heartbeat,
            id: String::new(),
            generation: -1,
            owned: 0,
            state: State::Joining,
            sent: VecDeque::new(),
        }
    }

    pub(super) fn interval(&self) -> Duration {
        self.heartbeat
    }

    pub(super) fn overlaps(&self) -> Option<Duration> {
        (self.state == State::Stable).then_some(self.heartbeat)
    }

    pub(super) fn place(&self) -> Option<Place> {
        (self.state == State::Stable).then_some(Place { generation: self.generation, partitions: self.owned })
    }

    pub(super) fn due(&mut self) -> Result<Vec<u8>, MembersError> {
        match self.state {
            State::Joining => self.join(),
            State::Syncing => self.sync(&[]),
            State::Stable | State::Leaving => self.sign_of_life(),
        }
    }

    pub(super) fn answered(&mut self, answer: &[u8]) -> Result<Next, MembersError> {
        match self.sent.pop_front().unwrap_or(self.state) {
            // A heartbeat was behind the one that told of the rebalance.
            State::Stable if self.state != State::Stable => Ok(Next::Wait),
            State::Joining => self.joined(answer),
            State::Syncing => self.synced(answer),
            State::Stable => self.heard(answer),
            State::Leaving => {
                let left = decode("LeaveGroup", answer, |r| LeaveGroupResponse::decode(r, LEAVE))?;
                let of_member = left.members.first().map_or(0, |m| m.error_code);
                refused("LeaveGroup", left.error_code.max(of_member))?;
                Ok(Next::Nothing)
            }
        }
    }

    pub(super) fn leave(&mut self) -> Result<Vec<u8>, MembersError> {
        self.state = State::Leaving;
        self.sent.push_back(State::Leaving);
        let members = vec![MemberIdentity { member_id: self.id.as_str().into(), ..Default::default() }];
        let request = LeaveGroupRequest { group_id: self.group.as_str().into(), members, ..Default::default() };
        Ok(frames::frame(ApiKey::LeaveGroup, LEAVE, |w| request.encode(w, LEAVE))?)
    }

    fn join(&mut self) -> Result<Vec<u8>, MembersError> {
        self.sent.push_back(State::Joining);
        let protocol = JoinGroupRequestProtocol { name: "range".into(), metadata: self.subscription().into() };
        let request = JoinGroupRequest {
            group_id: self.group.as_str().into(),
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            member_id: self.id.as_str().into(),
            protocol_type: "consumer".into(),
            protocols: vec![protocol],
            ..Default::default()
        };
        Ok(frames::frame(ApiKey::JoinGroup, JOIN, |w| request.encode(w, JOIN))?)
    }

    /// A ConsumerProtocolSubscription, version 0: one topic, no user data.
    fn subscription(&self) -> Vec<u8> {
        let name = self.topic.as_bytes();
        let mut out = vec![0, 0, 0, 0, 0, 1];
        out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        out
    }

    /// A ConsumerProtocolAssignment, version 0: the `index`-th of `count` ranges.
    fn range(&self, index: usize, count: usize) -> Vec<u8> {
        let (all, name) = (usize::try_from(self.partitions).unwrap_or(0), self.topic.as_bytes());
        let (from, to) = (all * index / count, all * (index + 1) / count);
        let mut out = vec![0, 0, 0, 0, 0, 1];
        out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(&u32::try_from(to - from).unwrap_or(0).to_be_bytes());
        (from..to).for_each(|p| out.extend_from_slice(&u32::try_from(p).unwrap_or(0).to_be_bytes()));
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        out
    }

    fn joined(&mut self, answer: &[u8]) -> Result<Next, MembersError> {
        let joined = decode("JoinGroup", answer, |r| JoinGroupResponse::decode(r, JOIN))?;
        // MEMBER_ID_REQUIRED
        if joined.error_code == 79 {
            self.id = joined.member_id.into_owned();
            return Ok(Next::Send(self.join()?));
        }
        if let Some(cure) = cure("JoinGroup", joined.error_code)? {
            return self.cured(cure);
        }
        self.state = State::Syncing;
        self.generation = joined.generation_id;
        self.id = joined.member_id.into_owned();
        let members: Vec<&str> = joined.members.iter().map(|m| &*m.member_id).collect();
        Ok(Next::Send(self.sync(&members)?))
    }

    /// SyncGroup; `members` are all of them where this one leads, else none.
    fn sync(&mut self, members: &[&str]) -> Result<Vec<u8>, MembersError> {
        self.sent.push_back(State::Syncing);
        let assignments = members.iter().enumerate().map(|(index, member)| SyncGroupRequestAssignment {
            member_id: (*member).into(),
            assignment: self.range(index, members.len()).into(),
        });
        let request = SyncGroupRequest {
            group_id: self.group.as_str().into(),
            generation_id: self.generation,
            member_id: self.id.as_str().into(),
            assignments: assignments.collect(),
            ..Default::default()
        };
        Ok(frames::frame(ApiKey::SyncGroup, SYNC, |w| request.encode(w, SYNC))?)
    }

    fn synced(&mut self, answer: &[u8]) -> Result<Next, MembersError> {
        let synced = decode("SyncGroup", answer, |r| SyncGroupResponse::decode(r, SYNC))?;
        if let Some(cure) = cure("SyncGroup", synced.error_code)? {
            return self.cured(cure);
        }
        // Behind the version, one topic and its name: how many partitions.
        let at = 8 + self.topic.len();
        let count = synced.assignment.get(at..at + 4).and_then(|b| b.first_chunk::<4>()).copied();
        self.owned = count.map_or(0, |c| u32::from_be_bytes(c) as usize);
        self.state = State::Stable;
        Ok(Next::After(self.heartbeat))
    }

    fn sign_of_life(&mut self) -> Result<Vec<u8>, MembersError> {
        self.sent.push_back(State::Stable);
        let request = HeartbeatRequest {
            group_id: self.group.as_str().into(),
            generation_id: self.generation,
            member_id: self.id.as_str().into(),
            ..Default::default()
        };
        Ok(frames::frame(ApiKey::Heartbeat, HEARTBEAT, |w| request.encode(w, HEARTBEAT))?)
    }

    fn heard(&mut self, answer: &[u8]) -> Result<Next, MembersError> {
        let heard = decode("Heartbeat", answer, |r| HeartbeatResponse::decode(r, HEARTBEAT))?;
        match cure("Heartbeat", heard.error_code)? {
            None => Ok(Next::Wait),
            Some(cure) => self.cured(cure),
        }
    }

    fn cured(&mut self, cure: Cure) -> Result<Next, MembersError> {
        match cure {
            // The next heartbeat is due as it is.
            Cure::Again if self.state == State::Stable => Ok(Next::Wait),
            Cure::Again => Ok(Next::After(RETRY)),
            Cure::Join { forget } => {
                if forget {
                    self.id.clear();
                }
                self.state = State::Joining;
                Ok(Next::Send(self.join()?))
            }
        }
    }
}

fn cure(what: &'static str, code: i16) -> Result<Option<Cure>, MembersError> {
    match code {
        0 => Ok(None),
        // COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR
        14..=16 => Ok(Some(Cure::Again)),
        // ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS
        22 | 27 => Ok(Some(Cure::Join { forget: false })),
        // UNKNOWN_MEMBER_ID
        25 => Ok(Some(Cure::Join { forget: true })),
        code => refused(what, code).map(|()| None),
    }
}

fn refused(what: &'static str, code: i16) -> Result<(), MembersError> {
    if code == 0 { Ok(()) } else { Err(MembersError::Answer { what, error: AnswerError::Code(code) }) }
}

/// An answer behind its correlation id.
fn decode<'a, T>(
    what: &'static str,
    answer: &'a [u8],
    body: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<T, MembersError> {
    let bytes = answer.get(4..).ok_or(MembersError::Answer { what, error: AnswerError::Short(answer.len()) })?;
    body(&mut Reader::new(bytes)).map_err(|error| MembersError::Answer { what, error: error.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::testing::answer;
    use protocol::RequestHeader;
    use protocol::messages::join_group::JoinGroupResponseMember;

    fn member() -> Classic {
        Classic::new("g", "topic", 10, Duration::from_secs(3))
    }

    fn sent(next: Next) -> Vec<u8> {
        let Next::Send(frame) = next else { panic!("{next:?}") };
        frame
    }

    fn told(member: &mut Classic, bytes: Vec<u8>) -> Next {
        member.answered(&bytes[4..]).unwrap()
    }

    fn join_answer(code: i16, id: &str, members: &[&str]) -> Vec<u8> {
        let members = members.iter().map(|m| JoinGroupResponseMember { member_id: (*m).into(), ..Default::default() });
        let response = JoinGroupResponse {
            error_code: code,
            generation_id: 7,
            protocol_name: Some("range".into()),
            member_id: id.into(),
            members: members.collect(),
            ..Default::default()
        };
        answer(|w| response.encode(w, JOIN))
    }

    #[test]
    fn it_joins_with_the_id_that_it_was_told_and_deals_out_every_partition() {
        let mut member = member();
        assert!(member.place().is_none());
        told(&mut member, join_answer(79, "me", &[]));
        let sync = sent(told(&mut member, join_answer(0, "me", &["me", "you", "they"])));
        let mut r = Reader::new(&sync[4..]);
        RequestHeader::decode(&mut r).unwrap();
        let request = SyncGroupRequest::decode(&mut r, SYNC).unwrap();
        assert_eq!((request.generation_id, &*request.member_id), (7, "me"));
        let counts: Vec<usize> = request.assignments.iter().map(|a| (a.assignment.len() - 12 - 5 - 4) / 4).collect();
        assert_eq!(counts, [3, 3, 4]);
        let mine = SyncGroupResponse { assignment: request.assignments[2].assignment.clone(), ..Default::default() };
        let bytes = answer(|w| mine.encode(w, SYNC));
        assert_eq!(told(&mut member, bytes), Next::After(Duration::from_secs(3)));
        assert_eq!(member.place(), Some(Place { generation: 7, partitions: 4 }));
    }

    #[test]
    fn heartbeats_overlap_and_what_is_behind_a_rebalance_is_ignored() {
        let mut member = member();
        (member.state, member.id) = (State::Stable, "me".to_owned());
        member.due().unwrap();
        member.due().unwrap();
        assert_eq!(member.overlaps(), Some(Duration::from_secs(3)));
        let beaten =
            |code| answer(|w| HeartbeatResponse { error_code: code, ..Default::default() }.encode(w, HEARTBEAT));
        sent(told(&mut member, beaten(27)));
        assert_eq!(member.overlaps(), None);
        assert_eq!(told(&mut member, beaten(27)), Next::Wait);
        told(&mut member, join_answer(0, "me", &["me"]));
        assert_eq!(member.state, State::Syncing);
        member.leave().unwrap();
    }

    #[test]
    fn a_rebalance_makes_it_join_again_and_a_refusal_ends_the_run() {
        let mut member = member();
        (member.state, member.id) = (State::Stable, "me".to_owned());
        let rebalance = HeartbeatResponse { error_code: 27, ..Default::default() };
        let join = sent(told(&mut member, answer(|w| rebalance.encode(w, HEARTBEAT))));
        assert!(member.place().is_none() && join.windows(2).any(|w| w == b"me"));
        let error = member.answered(&join_answer(30, "", &[])[4..]).unwrap_err();
        assert_eq!(error.to_string(), "JoinGroup: the broker answered error 30 (GROUP_AUTHORIZATION_FAILED)");
    }
}
