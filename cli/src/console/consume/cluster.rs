//! Which topics and partitions there are, looked at again and again: leaders move, topics come and grow.

use super::{Consumer, MISSING_TOPIC_AGE, PAUSE, Source};
use crate::client::{Cluster, Error, Topics};
use crate::console::assign::Place;
use crate::failure::Failure;
use protocol::ErrorCode;
use std::time::Instant;

impl Consumer<'_> {
    /// Looks at the cluster anew when it is time, or when the picture is known to be wrong.
    pub(super) fn refresh_if_old(&mut self) -> Result<(), Failure> {
        let age = if self.cluster.failed.is_empty() { self.plan.metadata_max_age } else { MISSING_TOPIC_AGE };
        if self.refreshed.is_some_and(|at| at.elapsed() < age) {
            return Ok(());
        }
        match self.look() {
            Ok(cluster) => {
                if std::mem::take(&mut self.troubled) {
                    self.sink.notice("the cluster is back".to_owned());
                }
                self.refreshed = Some(Instant::now());
                self.on_cluster(cluster)
            }
            Err(error @ (Error::Unreachable(_) | Error::Lost { .. } | Error::Late { .. })) => {
                if !std::mem::replace(&mut self.troubled, true) {
                    self.sink.notice(format!("{error}; trying again"));
                }
                std::thread::sleep(PAUSE);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn look(&mut self) -> Result<Cluster, Error> {
        let names = match &self.plan.source {
            Source::Matching(_) => return self.client.metadata(Topics::All),
            Source::Topics(names) => names.clone(),
            Source::Partition((topic, _)) => vec![topic.clone()],
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.client.metadata(if self.plan.auto_create { Topics::Create(&names) } else { Topics::Named(&names) })
    }

    pub(super) fn on_cluster(&mut self, cluster: Cluster) -> Result<(), Failure> {
        for failed in &cluster.failed {
            let code = ErrorCode::try_from(failed.code).unwrap_or(ErrorCode::UnknownServerError);
            let may_come = [ErrorCode::UnknownTopicOrPartition, ErrorCode::LeaderNotAvailable].contains(&code);
            if !may_come {
                Error::check(failed.code, None, || format!("topic `{}`", failed.name))?;
            }
            if self.cluster.failed.is_empty() && code == ErrorCode::UnknownTopicOrPartition {
                self.sink.notice(format!("topic `{}` does not exist; waiting for it", failed.name));
            }
        }
        let count = |cluster: &Cluster, name: &String| cluster.topic(name).map_or(0, |topic| topic.partitions.len());
        let before: Vec<usize> = self.subscribed.iter().map(|name| count(&self.cluster, name)).collect();
        let wanted = self.wanted(&cluster);
        let after: Vec<usize> = wanted.iter().map(|name| count(&cluster, name)).collect();
        let is_first = self.subscribed.is_empty();
        let is_same = self.subscribed == wanted && before == after;
        self.cluster = cluster;
        if is_same && !is_first {
            return Ok(());
        }
        self.subscribed = wanted;
        if self.member.is_none() {
            return self.read_alone();
        }
        if !is_first {
            self.commit_and_wait()?;
        }
        self.rejoin();
        Ok(())
    }

    pub(super) fn wanted(&self, cluster: &Cluster) -> Vec<String> {
        match &self.plan.source {
            Source::Topics(names) => names.clone(),
            Source::Partition((topic, _)) => vec![topic.clone()],
            Source::Matching(filter) => {
                let matching = cluster.topics.iter().filter(|topic| !topic.is_internal && filter.matches(&topic.name));
                matching.map(|topic| topic.name.clone()).collect()
            }
        }
    }

    /// Without a group: every partition, or the one that was asked for.
    pub(super) fn read_alone(&mut self) -> Result<(), Failure> {
        let places: Vec<Place> = match &self.plan.source {
            Source::Partition(place) => {
                let Some(topic) = self.cluster.topic(&place.0) else { return Ok(()) };
                if !topic.partitions.iter().any(|partition| partition.index == place.1) {
                    let text = format!("topic `{}` has no partition {}", place.0, place.1);
                    return Err(Failure::not_found(text).hint(format!("it has {}", topic.partitions.len())));
                }
                vec![place.clone()]
            }
            _ => {
                let topics = self.subscribed.iter().filter_map(|name| self.cluster.topic(name));
                topics.flat_map(|t| t.partitions.iter().map(|p| (t.name.clone(), p.index))).collect()
            }
        };
        let new: Vec<Place> = places.into_iter().filter(|place| !self.positions.contains_key(place)).collect();
        self.begin(&new)?;
        self.is_settled = !self.positions.is_empty();
        Ok(())
    }
}
