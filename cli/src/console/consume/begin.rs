//! Where partitions begin and where to stop: what is committed, what was asked for, what is left.

use super::{Bound, Consumer, Position, Reset};
use crate::client::{At, Error};
use crate::console::assign::Place;
use crate::failure::Failure;
use std::collections::BTreeMap;

impl Consumer<'_> {
    pub(super) fn begin(&mut self, places: &[Place]) -> Result<(), Failure> {
        if places.is_empty() {
            return Ok(());
        }
        if self.member.is_some() && places.iter().any(|(topic, _)| self.cluster.topic(topic).is_none()) {
            self.cluster = self.look()?;
        }
        let committed = self.committed_of(places)?;
        let without: Vec<Place> = places.iter().filter(|place| !committed.contains_key(*place)).cloned().collect();
        if self.plan.reset == Reset::None && self.plan.from.is_none() && !without.is_empty() {
            let (topic, partition) = &without[0];
            let text = format!("nothing is committed for {topic}-{partition}, and auto.offset.reset is none");
            return Err(
                Failure::failed(text).hint("say --from-beginning, or commit an offset with kafka-consumer-groups")
            );
        }
        let from = self.plan.from.unwrap_or(Bound::At(self.reset_point()));
        let mut starts = self.offsets(&without, from)?;
        starts.extend(committed);
        let untils = match self.plan.until {
            Some(bound) => self.offsets(places, bound)?,
            None => BTreeMap::new(),
        };
        for (place, offset) in starts {
            let until = untils.get(&place).copied();
            if self.plan.group.is_some() && !without.contains(&place) {
                self.committed.insert(place.clone(), offset);
            }
            self.positions.insert(place, Position { fetch: offset, next: offset, until });
        }
        Ok(())
    }

    pub(super) fn reset_point(&self) -> At {
        if self.plan.reset == Reset::Earliest { At::Earliest } else { At::Latest }
    }

    pub(super) fn committed_of(&mut self, places: &[Place]) -> Result<BTreeMap<Place, i64>, Failure> {
        let Some(settings) = &self.plan.group else { return Ok(BTreeMap::new()) };
        let group = settings.group.clone();
        let all = crate::groups::committed_offsets(&mut self.client, &group)?;
        Ok(all.into_iter().filter(|(place, _)| places.contains(place)).collect())
    }

    /// The offset of each partition that a bound stands for; a time that no record has reached is the end.
    pub(super) fn offsets(&mut self, places: &[Place], bound: Bound) -> Result<BTreeMap<Place, i64>, Failure> {
        let points = |consumer: &mut Self, at| consumer.points(places, at);
        match bound {
            Bound::Offset(offset) => Ok(places.iter().map(|place| (place.clone(), offset)).collect()),
            Bound::AfterBegin(n) => {
                let begins = points(self, At::Earliest)?;
                Ok(begins.into_iter().map(|(place, begin)| (place, begin.saturating_add(n))).collect())
            }
            Bound::BeforeEnd(n) => {
                let begins = points(self, At::Earliest)?;
                let ends = points(self, At::Latest)?;
                let back = |(place, end): (Place, i64)| {
                    let begin = begins.get(&place).copied().unwrap_or(0);
                    (place, end.saturating_sub(n).max(begin))
                };
                Ok(ends.into_iter().map(back).collect())
            }
            Bound::At(at) => {
                let mut found = points(self, at)?;
                if found.values().any(|offset| *offset < 0) {
                    let ends = points(self, At::Latest)?;
                    found.iter_mut().filter(|(_, offset)| **offset < 0).for_each(|(place, offset)| {
                        *offset = ends.get(place).copied().unwrap_or(0);
                    });
                }
                Ok(found)
            }
        }
    }

    pub(super) fn points(&mut self, places: &[Place], at: At) -> Result<BTreeMap<Place, i64>, Failure> {
        if places.is_empty() {
            return Ok(BTreeMap::new());
        }
        let isolation = self.plan.limits.isolation;
        let wanted: Vec<_> = places.iter().map(|(topic, partition)| (topic.as_str(), *partition, at)).collect();
        let cluster = self.cluster.clone();
        let rows = self.client.retrying(|client| {
            let rows = client.list_offsets(&cluster, &wanted, isolation)?;
            rows.into_iter().map(|row| Ok(((row.topic, row.partition), row.result?.0))).collect::<Result<_, Error>>()
        });
        Ok(rows?)
    }
}
