//! The consumer protocol of groups (KIP-848): the broker divides, and a member learns its share from heartbeats.

use super::assign::Place;
use super::member::{Beat, GroupSettings, Link, Protocol, Shared};
use crate::client::{Client, Error, Topics};
use protocol::messages::ConsumerGroupHeartbeatRequest;
use protocol::messages::consumer_group_heartbeat::{Assignment, TopicPartitions};
use protocol::{ErrorCode, Uuid};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The epoch with which a member joins, and with which it leaves.
const JOINING: i32 = 0;
const LEAVING: i32 = -1;
/// What a static member leaves with: it may come back.
const LEAVING_STATIC: i32 = -2;
/// Pause before a question is put again.
const PAUSE: Duration = Duration::from_millis(100);

/// A member of the consumer protocol.
#[derive(Debug)]
pub(super) struct Modern {
    settings: GroupSettings,
    shared: Arc<Shared>,
    member: String,
    epoch: i32,
    interval: Duration,
    topics: Vec<String>,
    owned: Vec<Place>,
    /// What the broker must hear with the next heartbeat; it keeps what it heard before.
    news: News,
    /// Names of topics by their ids, and back.
    ids: HashMap<Uuid, String>,
    /// The share that the consumer was told of.
    told: Option<Vec<Place>>,
}

/// What changed since the last heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct News {
    everything: bool,
    topics: bool,
    owned: bool,
}

impl Modern {
    pub(super) fn new(settings: &GroupSettings, shared: Arc<Shared>) -> Self {
        Modern {
            settings: settings.clone(),
            shared,
            member: random_id(),
            epoch: LEAVING,
            interval: settings.heartbeat_interval,
            topics: Vec::new(),
            owned: Vec::new(),
            news: News::default(),
            ids: HashMap::new(),
            told: None,
        }
    }

    fn request(&self, epoch: i32) -> ConsumerGroupHeartbeatRequest<'static> {
        let all = self.news.everything;
        let timeout = i32::try_from(self.settings.max_poll_interval.as_millis()).unwrap_or(i32::MAX);
        ConsumerGroupHeartbeatRequest {
            group_id: self.settings.group.clone().into(),
            member_id: self.member.clone().into(),
            member_epoch: epoch,
            instance_id: self.settings.instance.clone().map(Into::into),
            rebalance_timeout_ms: if all { timeout } else { -1 },
            subscribed_topic_names: (all || self.news.topics)
                .then(|| self.topics.iter().map(|topic| topic.clone().into()).collect()),
            server_assignor: self.settings.remote_assignor.clone().filter(|_| all).map(Into::into),
            topic_partitions: (all || self.news.owned).then(|| self.owned_by_id()),
            ..ConsumerGroupHeartbeatRequest::default()
        }
    }

    fn owned_by_id(&self) -> Vec<TopicPartitions> {
        let id_of: HashMap<&str, Uuid> = self.ids.iter().map(|(id, name)| (name.as_str(), *id)).collect();
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        self.owned.iter().for_each(|(topic, partition)| topics.entry(topic).or_default().push(*partition));
        let known = topics.into_iter().filter_map(|(topic, partitions)| Some((*id_of.get(topic)?, partitions)));
        known.map(|(topic_id, partitions)| TopicPartitions { topic_id, partitions }).collect()
    }

    /// One heartbeat; the share if it came with the answer.
    fn exchange(&mut self, link: &mut Link, epoch: i32) -> Result<Option<Vec<Place>>, Error> {
        let coordinator = link.coordinator()?;
        let answer = link.client.broker(coordinator, &self.request(epoch))?;
        let response = answer.read();
        let what = || format!("group `{}`", self.settings.group);
        Error::check(response.error_code, response.error_message.as_deref(), what)?;
        if let Some(id) = response.member_id.as_deref() {
            id.clone_into(&mut self.member);
        }
        self.shared.set_id(&self.member);
        self.epoch = response.member_epoch;
        if let Ok(ms) = u64::try_from(response.heartbeat_interval_ms) {
            self.interval = Duration::from_millis(ms.max(1));
        }
        self.news = News::default();
        response.assignment.map(|assignment| self.named(&mut link.client, &assignment)).transpose()
    }

    /// The assignment with names. A topic that was deleted meanwhile has none.
    fn named(&mut self, client: &mut Client, assignment: &Assignment) -> Result<Vec<Place>, Error> {
        if assignment.topic_partitions.iter().any(|row| !self.ids.contains_key(&row.topic_id)) {
            let names: Vec<&str> = self.topics.iter().map(String::as_str).collect();
            let cluster = client.metadata(Topics::Named(&names))?;
            self.ids.extend(cluster.topics.into_iter().map(|topic| (topic.id, topic.name)));
        }
        let known = assignment.topic_partitions.iter().filter_map(|row| Some((self.ids.get(&row.topic_id)?, row)));
        Ok(known.flat_map(|(name, row)| row.partitions.iter().map(move |p| (name.clone(), *p))).collect())
    }

    /// Says a share to the consumer once.
    fn tell(&mut self, share: Option<Vec<Place>>) -> Option<Vec<Place>> {
        let share = share.filter(|share| self.told.as_ref() != Some(share))?;
        self.told = Some(share.clone());
        Some(share)
    }
}

impl Protocol for Modern {
    fn join(&mut self, link: &mut Link, topics: &[String], owned: &[Place]) -> Result<Option<Vec<Place>>, Error> {
        topics.clone_into(&mut self.topics);
        let is_member = self.epoch > 0;
        owned.clone_into(&mut self.owned);
        self.news = News { everything: !is_member, topics: true, owned: true };
        if !is_member {
            self.owned.clear();
            self.told = None;
        }
        let epoch = if is_member { self.epoch } else { JOINING };
        let begun = Instant::now();
        loop {
            match self.exchange(link, epoch) {
                Ok(share) => return Ok(self.tell(share)),
                Err(_) if self.shared.is_closing() => return Ok(None),
                Err(error) => {
                    if !link.is_elsewhere(&error) || begun.elapsed() > link.client.settings().request_timeout {
                        return Err(error);
                    }
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn owns(&mut self, places: &[Place]) {
        places.clone_into(&mut self.owned);
        self.news.owned = true;
    }

    fn beat(&mut self, link: &mut Link) -> Beat {
        let error = match self.exchange(link, self.epoch) {
            Ok(share) => return self.tell(share).map_or(Beat::Fine, Beat::Assigned),
            Err(error) => error,
        };
        match error.code() {
            Some(ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch) => {
                self.epoch = LEAVING;
                Beat::Lost("the coordinator does not know it any more".to_owned())
            }
            _ if link.is_elsewhere(&error) => Beat::Fine,
            _ => Beat::Failed(error),
        }
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn identity(&self) -> (String, i32) {
        (self.member.clone(), self.epoch)
    }

    fn leave(&mut self, link: &mut Link) -> Result<(), Error> {
        if self.epoch <= 0 {
            return Ok(());
        }
        let epoch = if self.settings.instance.is_some() { LEAVING_STATIC } else { LEAVING };
        let left = self.exchange(link, epoch).map(|_| ());
        self.epoch = LEAVING;
        left
    }
}

/// An id that no other member has. It does not begin like an option, for those who paste it into a shell.
fn random_id() -> String {
    loop {
        let word = || RandomState::new().hash_one(std::process::id()).to_be_bytes();
        let (high, low) = (word(), word());
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high);
        bytes[8..].copy_from_slice(&low);
        let text = Uuid(bytes).to_string();
        if !text.starts_with('-') {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        let ids: std::collections::BTreeSet<String> = (0..100).map(|_| random_id()).collect();
        assert_eq!(ids.len(), 100);
    }
}
