//! Fetching from leaders, ahead of what is printed, and what to do when one does not give what was asked for.

use super::{Consumer, PAUSE, Reset, STEP};
use crate::client::{Error, FetchFrom, FetchLimits, Fetched, Pipe, await_any, fetch_request};
use crate::console::assign::Place;
use crate::console::decode::Chunk;
use crate::failure::Failure;
use protocol::ErrorCode;
use protocol::messages::FetchRequest;
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes that came and were not printed beyond which nothing more is asked for.
const AHEAD_MAX: usize = 16 << 20;

/// Where partitions are read from.
type Wanted = Vec<(Place, i64)>;

/// A connection to each leader that is read from, with one request on its way.
#[derive(Default)]
pub(super) struct Fetcher {
    pipes: BTreeMap<i32, Pipe<FetchRequest<'static>>>,
    /// What each was asked for.
    asked: BTreeMap<i32, Wanted>,
}

impl Consumer<'_> {
    /// Asks leaders for what is next and takes what has come; waits for that so long, or not at all.
    pub(super) fn fetch(&mut self, wait: Option<Duration>) -> Result<(), Failure> {
        self.ask()?;
        if let Some(wait) = wait {
            if self.fetcher.asked.is_empty() {
                std::thread::sleep(PAUSE.min(wait));
            } else {
                await_any(self.fetcher.pipes.values(), None, wait);
            }
        }
        self.take_answers()?;
        self.ask()
    }

    /// Sends a request to each leader that has none.
    fn ask(&mut self) -> Result<(), Failure> {
        if self.queue.iter().map(Chunk::size_bytes).sum::<usize>() > AHEAD_MAX {
            return Ok(());
        }
        let mut by_leader: BTreeMap<i32, Wanted> = BTreeMap::new();
        let mut is_headless = false;
        for (place, position) in &self.positions {
            if position.until.is_some_and(|until| position.fetch >= until) {
                continue;
            }
            match self.cluster.leader(&place.0, place.1) {
                Ok(leader) if self.fetcher.asked.contains_key(&leader) => {}
                Ok(leader) => by_leader.entry(leader).or_default().push((place.clone(), position.fetch)),
                Err(_) => is_headless = true,
            }
        }
        if is_headless {
            self.refreshed = None;
        }
        by_leader.into_iter().try_for_each(|(leader, wanted)| self.ask_one(leader, wanted))
    }

    fn ask_one(&mut self, leader: i32, wanted: Wanted) -> Result<(), Failure> {
        let max_wait = self.plan.limits.max_wait.min(STEP);
        let limits = FetchLimits { max_wait, ..self.plan.limits };
        let within = max_wait + self.client.settings().request_timeout;
        let from = wanted.iter().map(|((topic, partition), offset)| FetchFrom {
            topic,
            partition: *partition,
            offset: *offset,
        });
        let request = fetch_request(&from.collect::<Vec<_>>(), &limits);
        let pipes = &mut self.fetcher.pipes;
        let sent = match pipes.get_mut(&leader) {
            Some(pipe) => pipe.send(&request, within).map(|_| ()),
            None => self.client.pipe(leader).and_then(|mut pipe| {
                let sent = pipe.send(&request, within).map(|_| ());
                pipes.insert(leader, pipe);
                sent
            }),
        };
        match sent {
            Ok(()) => {
                self.fetcher.asked.insert(leader, wanted);
                Ok(())
            }
            Err(error) => self.broke(leader, error),
        }
    }

    /// Takes the answers that are there.
    fn take_answers(&mut self) -> Result<(), Failure> {
        let leaders: Vec<i32> = self.fetcher.asked.keys().copied().collect();
        for leader in leaders {
            let Some(pipe) = self.fetcher.pipes.get_mut(&leader) else { continue };
            match pipe.progress() {
                Ok(None) => {}
                Ok(Some((_, answer))) => {
                    let wanted = self.fetcher.asked.remove(&leader).unwrap_or_default();
                    let response = answer.read();
                    Error::check(response.error_code, None, || "fetch".to_owned())?;
                    let rows = Fetched::all(&response);
                    rows.into_iter().try_for_each(|row| self.take(row, &wanted))?;
                }
                Err(error) => self.broke(leader, error)?,
            }
        }
        Ok(())
    }

    /// A leader that cannot be read from: another look at the cluster says what there is to do.
    fn broke(&mut self, leader: i32, error: Error) -> Result<(), Failure> {
        self.fetcher.pipes.remove(&leader);
        self.fetcher.asked.remove(&leader);
        let may_help = matches!(error, Error::Late { .. } | Error::Unreachable(_) | Error::UnknownBroker { .. });
        if !may_help && !error.is_retriable() {
            return Err(error.into());
        }
        self.refreshed = None;
        std::thread::sleep(PAUSE);
        Ok(())
    }

    fn take(&mut self, row: Fetched, wanted: &Wanted) -> Result<(), Failure> {
        let place = (row.topic.clone(), row.partition);
        let asked = wanted.iter().find(|(wanted, _)| *wanted == place).map(|(_, offset)| *offset);
        // It may have been given up meanwhile, or be read from elsewhere since.
        let Some(position) = self.positions.get_mut(&place).filter(|position| Some(position.fetch) == asked) else {
            return Ok(());
        };
        let Some(error) = &row.error else {
            let chunk = Chunk::open(row, position.fetch).map_err(|error| Failure::failed(error.to_string()))?;
            position.fetch = chunk.next();
            if !chunk.is_empty() {
                self.queue.push_back(chunk);
            }
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
