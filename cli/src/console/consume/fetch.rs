//! Fetching from leaders, and what to do when one does not give what was asked for.

use super::{Consumer, PAUSE, Reset};
use crate::client::{Error, FetchFrom, FetchLimits, Fetched};
use crate::console::assign::Place;
use crate::console::decode;
use crate::failure::Failure;
use protocol::ErrorCode;
use std::collections::BTreeMap;
use std::time::Duration;

impl Consumer<'_> {
    pub(super) fn fetch(&mut self, wait: Duration) -> Result<(), Failure> {
        let mut by_leader: BTreeMap<i32, Vec<(Place, i64)>> = BTreeMap::new();
        let mut is_headless = false;
        for (place, position) in &self.positions {
            if position.until.is_some_and(|until| position.fetch >= until) {
                continue;
            }
            match self.cluster.leader(&place.0, place.1) {
                Ok(leader) => by_leader.entry(leader).or_default().push((place.clone(), position.fetch)),
                Err(_) => is_headless = true,
            }
        }
        if is_headless {
            self.refreshed = None;
        }
        if by_leader.is_empty() {
            std::thread::sleep(PAUSE.min(wait));
            return Ok(());
        }
        let share = wait / u32::try_from(by_leader.len()).unwrap_or(1);
        for (leader, wanted) in by_leader {
            self.fetch_from(leader, &wanted, share)?;
        }
        Ok(())
    }

    pub(super) fn fetch_from(&mut self, leader: i32, wanted: &[(Place, i64)], wait: Duration) -> Result<(), Failure> {
        let from = wanted.iter().map(|((topic, partition), offset)| FetchFrom {
            topic,
            partition: *partition,
            offset: *offset,
        });
        let from: Vec<_> = from.collect();
        let limits = FetchLimits { max_wait: wait.min(self.plan.limits.max_wait), ..self.plan.limits };
        match self.client.fetch(leader, &from, &limits) {
            Ok(rows) => rows.into_iter().try_for_each(|row| self.take(row)),
            Err(error) if error.is_retriable() || matches!(error, Error::Late { .. } | Error::Unreachable(_)) => {
                self.refreshed = None;
                std::thread::sleep(PAUSE);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn take(&mut self, row: Fetched) -> Result<(), Failure> {
        let place = (row.topic.clone(), row.partition);
        let Some(position) = self.positions.get_mut(&place) else { return Ok(()) };
        let Some(error) = &row.error else {
            let decoded = decode::records(&row, position.fetch).map_err(|error| Failure::failed(error.to_string()))?;
            position.fetch = decoded.next;
            if decoded.records.is_empty() && !self.queue.iter().any(|r| r.topic == place.0 && r.partition == place.1) {
                position.next = position.next.max(decoded.next);
            }
            self.queue.extend(decoded.records);
            return Ok(());
        };
        match error.code() {
            Some(ErrorCode::OffsetOutOfRange) => self.out_of_range(&place),
            // The leader moved, or the topic is gone; a new picture of the cluster tells which.
            _ if error.is_retriable() || error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                self.refreshed = None;
                std::thread::sleep(PAUSE);
                Ok(())
            }
            _ => Err(row.error.map_or_else(|| Failure::failed("fetch"), Failure::from)),
        }
    }

    pub(super) fn out_of_range(&mut self, place: &Place) -> Result<(), Failure> {
        let asked = self.positions.get(place).map_or(0, |position| position.fetch);
        let (topic, partition) = place;
        if self.plan.reset == Reset::None {
            let text = format!("{topic}-{partition} has no offset {asked}, and auto.offset.reset is none");
            return Err(Failure::failed(text));
        }
        let places = [place.clone()];
        let offset = self.points(&places, self.reset_point())?.get(place).copied().unwrap_or(0);
        self.sink.notice(format!("{topic}-{partition} has no offset {asked}; going on at {offset}"));
        if let Some(position) = self.positions.get_mut(place) {
            (position.fetch, position.next) = (offset, offset);
        }
        Ok(())
    }
}
