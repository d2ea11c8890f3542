//! The classic protocol of groups: members join, one of them divides the partitions, all learn their share.

use super::assign::{Assignor, Place, Subscriber};
use super::member::{Beat, GroupSettings, Link, Protocol, Shared};
use crate::client::{Client, Error, Topics};
use protocol::messages::consumer_protocol::TopicPartition;
use protocol::messages::join_group::{JoinGroupRequestProtocol, JoinGroupResponse};
use protocol::messages::leave_group::MemberIdentity;
use protocol::messages::sync_group::SyncGroupRequestAssignment;
use protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    SyncGroupRequest,
};
use protocol::{ErrorCode, Reader, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What all members of a consumer group call their protocol.
const PROTOCOL_TYPE: &str = "consumer";
/// The version of subscriptions and assignments that is written: the newest, which older readers take for theirs.
const VERSION: i16 = 3;
/// Pause before a question is put again.
const PAUSE: Duration = Duration::from_millis(100);

/// A member of the classic protocol.
#[derive(Debug)]
pub(super) struct Classic {
    settings: GroupSettings,
    shared: Arc<Shared>,
    member: String,
    generation: i32,
}

/// How an attempt to join ended without a share.
enum Step {
    /// Another attempt may work.
    Again,
    Failed(Error),
}

impl From<Error> for Step {
    fn from(error: Error) -> Self {
        Step::Failed(error)
    }
}

impl Classic {
    pub(super) fn new(settings: &GroupSettings, shared: Arc<Shared>) -> Self {
        Classic { settings: settings.clone(), shared, member: String::new(), generation: -1 }
    }

    fn set_member(&mut self, member: &str) {
        member.clone_into(&mut self.member);
        self.shared.set_id(member);
    }

    fn join_once(&mut self, link: &mut Link, topics: &[String], owned: &[Place]) -> Result<Vec<Place>, Step> {
        let subscription = subscription(topics, owned, self.generation);
        let protocols = self.settings.assignors.iter().map(|assignor| JoinGroupRequestProtocol {
            name: assignor.name().into(),
            metadata: subscription.clone().into(),
        });
        let request = JoinGroupRequest {
            group_id: self.settings.group.clone().into(),
            session_timeout_ms: millis(self.settings.session_timeout),
            rebalance_timeout_ms: millis(self.settings.max_poll_interval),
            member_id: self.member.clone().into(),
            group_instance_id: self.settings.instance.clone().map(Into::into),
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: protocols.collect::<Vec<JoinGroupRequestProtocol<'static>>>(),
            reason: None,
        };
        let within = self.settings.max_poll_interval + link.client.settings().request_timeout;
        let coordinator = link.coordinator()?;
        let answer = link.client.broker_within(coordinator, &request, within)?;
        let response = answer.read();
        if ErrorCode::MemberIdRequired.code() == response.error_code {
            self.set_member(&response.member_id);
            return Err(Step::Again);
        }
        self.verify(response.error_code, "joining")?;
        self.set_member(&response.member_id);
        self.generation = response.generation_id;
        let shares = if response.leader == response.member_id && !response.skip_assignment {
            divide(&mut link.client, &response)?
        } else {
            Vec::new()
        };
        self.sync(link, &response, &shares)
    }

    fn sync(
        &mut self,
        link: &mut Link,
        joined: &JoinGroupResponse<'_>,
        shares: &[(String, Vec<u8>)],
    ) -> Result<Vec<Place>, Step> {
        let assignments = shares.iter().map(|(member, bytes)| SyncGroupRequestAssignment {
            member_id: member.clone().into(),
            assignment: bytes.clone().into(),
        });
        let request = SyncGroupRequest {
            group_id: self.settings.group.clone().into(),
            generation_id: self.generation,
            member_id: self.member.clone().into(),
            group_instance_id: self.settings.instance.clone().map(Into::into),
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol_name: joined.protocol_name.as_ref().map(|name| name.to_string().into()),
            assignments: assignments.collect::<Vec<SyncGroupRequestAssignment<'static>>>(),
        };
        let within = self.settings.max_poll_interval + link.client.settings().request_timeout;
        let coordinator = link.coordinator()?;
        let answer = link.client.broker_within(coordinator, &request, within)?;
        let response = answer.read();
        self.verify(response.error_code, "taking its share")?;
        Ok(crate::groups::assigned(&response.assignment))
    }

    /// Sorts errors into those after which another attempt may work and those that are final.
    fn verify(&mut self, code: i16, what: &str) -> Result<(), Step> {
        let Err(error) = Error::check(code, None, || format!("{what} in group `{}`", self.settings.group)) else {
            return Ok(());
        };
        match error.code() {
            Some(ErrorCode::UnknownMemberId) => {
                self.set_member("");
                self.generation = -1;
                Err(Step::Again)
            }
            Some(ErrorCode::IllegalGeneration) => {
                self.generation = -1;
                Err(Step::Again)
            }
            Some(ErrorCode::RebalanceInProgress) => Err(Step::Again),
            _ => Err(Step::Failed(error)),
        }
    }
}

impl Protocol for Classic {
    fn join(&mut self, link: &mut Link, topics: &[String], owned: &[Place]) -> Result<Option<Vec<Place>>, Error> {
        let mut troubled = None;
        loop {
            match self.join_once(link, topics, owned) {
                Ok(places) => return Ok(Some(places)),
                Err(_) if self.shared.is_closing() => return Ok(None),
                Err(Step::Again) => troubled = None,
                Err(Step::Failed(error)) => {
                    let since = *troubled.get_or_insert_with(Instant::now);
                    if !link.is_elsewhere(&error) || since.elapsed() > link.client.settings().request_timeout {
                        return Err(error);
                    }
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn owns(&mut self, _: &[Place]) {}

    fn beat(&mut self, link: &mut Link) -> Beat {
        let request = HeartbeatRequest {
            group_id: self.settings.group.clone().into(),
            generation_id: self.generation,
            member_id: self.member.as_str().into(),
            group_instance_id: self.settings.instance.as_deref().map(Into::into),
        };
        let outcome = link.coordinator().and_then(|coordinator| {
            let answer = link.client.broker(coordinator, &request)?;
            Error::check(answer.read().error_code, None, || format!("group `{}`", self.settings.group))
        });
        let Err(error) = outcome else { return Beat::Fine };
        match error.code() {
            Some(ErrorCode::RebalanceInProgress) => Beat::Rebalance,
            Some(ErrorCode::UnknownMemberId) => {
                self.set_member("");
                self.generation = -1;
                Beat::Lost("the coordinator does not know it any more".to_owned())
            }
            Some(ErrorCode::IllegalGeneration) => {
                self.generation = -1;
                Beat::Lost("the group went on without it".to_owned())
            }
            _ if link.is_elsewhere(&error) => Beat::Fine,
            _ => Beat::Failed(error),
        }
    }

    fn interval(&self) -> Duration {
        self.settings.heartbeat_interval
    }

    fn identity(&self) -> (String, i32) {
        (self.member.clone(), self.generation)
    }

    fn leave(&mut self, link: &mut Link) -> Result<(), Error> {
        // A static member that stops may come back; the others go on without it only when its session has ended.
        if self.member.is_empty() || self.settings.instance.is_some() {
            return Ok(());
        }
        let coordinator = link.coordinator()?;
        leave(&mut link.client, coordinator, &self.settings.group, &self.member)?;
        self.set_member("");
        self.generation = -1;
        Ok(())
    }
}

/// Takes a member out of a group.
pub(super) fn leave(client: &mut Client, coordinator: i32, group: &str, member: &str) -> Result<(), Error> {
    let several = client.home()?.version_for::<LeaveGroupRequest<'_>>()? >= 3;
    let identity = MemberIdentity { member_id: member.into(), ..MemberIdentity::default() };
    let request = LeaveGroupRequest {
        group_id: group.into(),
        member_id: if several { "".into() } else { member.into() },
        members: if several { vec![identity] } else { Vec::new() },
    };
    let answer = client.broker(coordinator, &request)?;
    Error::check(answer.read().error_code, None, || format!("leaving group `{group}`"))
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn by_topic(places: &[Place]) -> Vec<TopicPartition<'_>> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    places.iter().for_each(|(topic, partition)| topics.entry(topic).or_default().push(*partition));
    topics.into_iter().map(|(topic, partitions)| TopicPartition { topic: topic.into(), partitions }).collect()
}

fn subscription(topics: &[String], owned: &[Place], generation: i32) -> Vec<u8> {
    let message = ConsumerProtocolSubscription {
        topics: topics.iter().map(|topic| topic.as_str().into()).collect(),
        owned_partitions: by_topic(owned),
        generation_id: generation,
        ..ConsumerProtocolSubscription::default()
    };
    versioned(|writer| message.encode(writer, VERSION))
}

fn share(places: &[Place]) -> Vec<u8> {
    let message = ConsumerProtocolAssignment { assigned_partitions: by_topic(places), user_data: None };
    versioned(|writer| message.encode(writer, VERSION))
}

fn versioned(encode: impl FnOnce(&mut Writer) -> Result<(), protocol::EncodeError>) -> Vec<u8> {
    let mut bytes = VERSION.to_be_bytes().to_vec();
    let mut writer = Writer::new();
    #[expect(clippy::expect_used, reason = "names of topics that a broker gave fit into their length fields")]
    encode(&mut writer).expect("a message of the newest version");
    #[expect(clippy::expect_used, reason = "nothing external was put in")]
    bytes.extend(writer.into_bytes().expect("plain bytes"));
    bytes
}

/// As the leader: who gets what, in the form that members read.
fn divide(client: &mut Client, joined: &JoinGroupResponse<'_>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let members: Vec<Subscriber> = joined
        .members
        .iter()
        .map(|member| {
            let instance = member.group_instance_id.as_ref().map(ToString::to_string);
            Subscriber { id: member.member_id.to_string(), instance, ..subscriber(&member.metadata) }
        })
        .collect();
    let topics: BTreeSet<&str> = members.iter().flat_map(|member| member.topics.iter().map(String::as_str)).collect();
    let topics: Vec<&str> = topics.into_iter().collect();
    let cluster = client.metadata(Topics::Named(&topics))?;
    let count = |len: usize| i32::try_from(len).unwrap_or(i32::MAX);
    let counts = cluster.topics.iter().map(|topic| (topic.name.clone(), count(topic.partitions.len()))).collect();
    let chosen = joined.protocol_name.as_deref().unwrap_or_default();
    let strategy = Assignor::by_name(chosen).unwrap_or(Assignor::Range);
    Ok(strategy.assign(&members, &counts).into_iter().map(|(id, places)| (id, share(&places))).collect())
}

/// What a member subscribes to. One whose bytes are no subscription gets nothing.
fn subscriber(bytes: &[u8]) -> Subscriber {
    let mut reader = Reader::new(bytes);
    let Ok(version) = reader.i16() else { return Subscriber::default() };
    let version = version.clamp(0, VERSION);
    let Ok(message) = ConsumerProtocolSubscription::decode(&mut reader, version) else { return Subscriber::default() };
    let owned = message.owned_partitions.iter();
    Subscriber {
        topics: message.topics.iter().map(ToString::to_string).collect(),
        owned: owned.flat_map(|row| row.partitions.iter().map(|p| (row.topic.to_string(), *p))).collect(),
        generation: message.generation_id,
        ..Subscriber::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_comes_back() {
        let owned = [("a".to_owned(), 1), ("b".to_owned(), 0), ("a".to_owned(), 2)];
        let bytes = subscription(&["a".to_owned(), "b".to_owned()], &owned, 7);
        let read = subscriber(&bytes);
        assert_eq!(read.topics, ["a", "b"]);
        assert_eq!(read.owned, [("a".to_owned(), 1), ("a".to_owned(), 2), ("b".to_owned(), 0)]);
        assert_eq!(read.generation, 7);
        assert_eq!(subscriber(&[0]), Subscriber::default());
    }

    /// The bytes that Kafka 4.3.1's consumer sends for a topic `abc`, and gets for its three partitions.
    #[test]
    fn bytes_are_kafkas() {
        let text = "\0\x03\0\0\0\x01\0\x03abc\u{ff}\u{ff}\u{ff}\u{ff}\0\0\0\0\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}\u{ff}";
        let expect: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).expect("latin")).collect();
        assert_eq!(subscription(&["abc".to_owned()], &[], -1), expect);
        let places: Vec<Place> = (0..3).map(|partition| ("abc".to_owned(), partition)).collect();
        assert_eq!(crate::groups::assigned(&share(&places)), places);
    }
}
