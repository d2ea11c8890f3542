//! Topics whose logs another broker left in the data folder, such as Kafka before a move to this one. Their files are
//! there, their settings are not: they are kept without limit until somebody sets one.

use super::super::producer_ids;
use super::super::record::{PartitionRecord, Record, Resource};
use super::super::seat::CONTROLLER;
use super::{Plan, Rejection};
use crate::{Broker, Store};
use protocol::Uuid;

/// A topic as its folders tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTopic {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: Uuid,
    /// By partition index, the leader epoch that this broker begins with: above any that the files know.
    pub leader_epochs: Vec<i32>,
}

/// What a topic of unknown settings is given: nothing is deleted.
const KEEP: [(&str, &str); 2] = [("retention.ms", "-1"), ("retention.bytes", "-1")];

impl Plan {
    /// Plans a topic under the id that its files have.
    fn take_over(&mut self, found: &FoundTopic) -> Result<(), Rejection> {
        self.check_new_name(&found.name)?;
        self.push(Record::Topic { name: found.name.clone(), id: found.id });
        let replicas = self.replicas(1);
        for (index, leader_epoch) in found.leader_epochs.iter().enumerate() {
            self.push(Record::Partition(PartitionRecord {
                topic: found.id,
                partition: i32::try_from(index).unwrap_or(i32::MAX),
                leader: replicas.first().copied().unwrap_or(-1),
                leader_epoch: *leader_epoch,
                isr: replicas.clone(),
                replicas: replicas.clone(),
            }));
        }
        for (key, value) in KEEP {
            let (resource, value) = (Resource::Topic(found.id), Some(value.to_owned()));
            self.push(Record::Config { resource, key: key.to_owned(), value });
        }
        Ok(())
    }
}

impl<S: Store> Broker<S> {
    /// Makes topics of `found` that the metadata does not know. On shard 0, once [`Broker::is_ready`]; they are there when
    /// the image lists their ids, which are the answer. Names that are taken or not allowed are left alone. `producer_id` is
    /// the highest in any log: ids that are in use must not be given out again.
    pub fn take_over(&mut self, found: &[FoundTopic], producer_id: Option<i64>) -> Vec<Uuid> {
        assert!(self.me == CONTROLLER, "only the controller's shard changes metadata");
        let Some(controller) = self.seat.controller() else { return Vec::new() };
        let mut plan = controller.plan();
        let mut taken = Vec::new();
        for topic in found {
            if plan.image().topic_by_id(topic.id).is_some() {
                continue;
            }
            match plan.take_over(topic) {
                Ok(()) => {
                    let (name, partitions) = (&topic.name, topic.leader_epochs.len());
                    tracing::warn!(
                        "topic {name} ({partitions} partitions) was found without its settings: it is served, and nothing \
                         of it is deleted until you set retention.ms or retention.bytes"
                    );
                    taken.push(topic.id);
                }
                Err(rejection) => tracing::warn!("the files of topic {} are left alone: {rejection}", topic.name),
            }
        }
        if let Some(used) = producer_id.filter(|_| !taken.is_empty()) {
            producer_ids::pass(&mut plan, used);
        }
        controller.stage(plan);
        self.drive_controller();
        taken
    }
}
