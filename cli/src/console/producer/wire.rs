//! The connections of a producer: a pipe to each leader that has something to take, as many requests on each as are allowed, one
//! batch of a partition in each request.

use super::batch::Flight;
use super::lane::Lane;
use super::trouble::{Remedy, Trouble};
use super::{ProducerSettings, Tally};
use crate::client::{Client, Error, Pipe, ProduceTo, Produced, Topic, await_any, produce_request};
use crate::failure::Failure;
use protocol::ErrorCode;
use protocol::messages::{ProduceRequest, ProduceResponse};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Bytes that the kernel has not taken beyond which a leader gets nothing more.
const UNSENT_MAX: usize = 4 << 20;

type Lanes = BTreeMap<i32, Lane>;
type ProducePipe = Pipe<ProduceRequest<'static>>;

/// See the module.
pub(super) struct Wire {
    /// Within which an answer must come.
    answer_within: Duration,
    /// By leader.
    pipes: BTreeMap<i32, ProducePipe>,
    /// Whether the user was told that a leader cannot be reached.
    is_troubled: bool,
    notice: Option<String>,
}

impl Wire {
    pub(super) fn new(answer_within: Duration) -> Self {
        Wire { answer_within, pipes: BTreeMap::new(), is_troubled: false, notice: None }
    }

    /// Whether the kernel has taken everything.
    pub(super) fn is_idle(&self) -> bool {
        self.unsent_bytes() == 0
    }

    pub(super) fn unsent_bytes(&self) -> usize {
        self.pipes.values().map(Pipe::unsent_bytes).sum()
    }

    /// When a request will be too old.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pipes.values().filter_map(Pipe::deadline).min()
    }

    /// Until a pipe can go on, or the input can be read, which is the answer.
    pub(super) fn wait(&self, input: Option<BorrowedFd<'_>>, within: Duration) -> bool {
        await_any(self.pipes.values(), input, within)
    }

    /// Something the user should know.
    pub(super) fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// Takes the answers that are there. True if something went wrong that a new look at the cluster may mend.
    pub(super) fn read(&mut self, lanes: &mut Lanes, settings: &ProducerSettings, tally: &mut Tally) -> bool {
        let mut broken = Vec::new();
        let mut is_wrong = false;
        for (&leader, pipe) in &mut self.pipes {
            loop {
                match pipe.progress() {
                    Ok(None) => break,
                    Ok(Some((number, answer))) => {
                        let flight = Flight { leader, number };
                        is_wrong |= answered(flight, &answer.read(), lanes, settings, tally);
                    }
                    Err(error) => {
                        broken.push((leader, error));
                        break;
                    }
                }
            }
        }
        is_wrong |= !broken.is_empty();
        broken.into_iter().for_each(|(leader, error)| self.broke(leader, error, lanes, settings, tally));
        is_wrong
    }

    /// Sends what can be sent. True if a leader is not known or cannot be reached.
    pub(super) fn send(
        &mut self,
        client: &mut Client,
        topic: &Topic,
        lanes: &mut Lanes,
        settings: &ProducerSettings,
        tally: &mut Tally,
    ) -> bool {
        let (now, within) = (Instant::now(), self.answer_within);
        let mut is_wrong = false;
        for (leader, partitions) in by_leader(topic, lanes, now) {
            let pipe = leader.ok_or_else(|| no_leader(&topic.name)).and_then(|leader| self.pipe(client, leader));
            let outcome =
                pipe.and_then(|(leader, pipe)| fill((leader, pipe, within), &partitions, lanes, settings, tally));
            if let Err(error) = outcome {
                is_wrong = true;
                match (leader, &error) {
                    (Some(leader), Error::Lost { .. }) => self.broke(leader, error, lanes, settings, tally),
                    _ => self.unreachable(error, &partitions, lanes, now + settings.retry_backoff),
                }
            }
        }
        is_wrong
    }

    fn pipe(&mut self, client: &mut Client, leader: i32) -> Result<(i32, &mut ProducePipe), Error> {
        let pipe = match self.pipes.entry(leader) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => {
                let pipe = place.insert(client.pipe(leader)?);
                if std::mem::take(&mut self.is_troubled) {
                    self.notice = Some("the cluster is back".to_owned());
                }
                pipe
            }
        };
        Ok((leader, pipe))
    }

    /// A connection is of no more use; of what flew on it nobody knows what became of it.
    fn broke(&mut self, leader: i32, error: Error, lanes: &mut Lanes, settings: &ProducerSettings, tally: &mut Tally) {
        self.pipes.remove(&leader);
        self.tell(&error);
        if settings.acks == 0 {
            self.notice = Some(format!("{error}; with acks=0 nobody knows which of the last records were written"));
        }
        let outcome = Err(Trouble::from(error));
        let now = Instant::now();
        let flies = |flight: Flight| flight.leader == leader;
        lanes.values_mut().for_each(|lane| lane.answered(flies, &outcome, now, settings, tally));
    }

    fn unreachable(&mut self, error: Error, partitions: &[i32], lanes: &mut Lanes, until: Instant) {
        self.tell(&error);
        let failure = Failure::from(error);
        for partition in partitions {
            if let Some(lane) = lanes.get_mut(partition) {
                lane.hold(until, &failure);
            }
        }
    }

    fn tell(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.is_troubled, true) {
            self.notice = Some(format!("{error}; trying again"));
        }
    }
}

/// The partitions that have something to send, by leader; who has waited longest comes first.
fn by_leader(topic: &Topic, lanes: &Lanes, now: Instant) -> BTreeMap<Option<i32>, Vec<i32>> {
    let mut ready: Vec<(Instant, i32)> = lanes
        .iter()
        .filter_map(|(&partition, lane)| lane.sendable(now).map(|batch| (batch.since, partition)))
        .collect();
    ready.sort_unstable();
    let mut by_leader: BTreeMap<Option<i32>, Vec<i32>> = BTreeMap::new();
    for (_, partition) in ready {
        let at = topic.partitions.binary_search_by_key(&partition, |known| known.index);
        let leader = at.ok().and_then(|at| topic.partitions[at].leader);
        by_leader.entry(leader).or_default().push(partition);
    }
    by_leader
}

/// Sends requests to a leader until it has as many as it may have, or there is nothing left for it.
fn fill(
    (leader, pipe, within): (i32, &mut ProducePipe, Duration),
    partitions: &[i32],
    lanes: &mut Lanes,
    settings: &ProducerSettings,
    tally: &mut Tally,
) -> Result<(), Error> {
    let now = Instant::now();
    while pipe.asked() < settings.in_flight_max && pipe.unsent_bytes() < UNSENT_MAX {
        let mut bytes = 0;
        let mut batches = Vec::new();
        for partition in partitions {
            let Some(batch) = lanes.get(partition).and_then(|lane| lane.sendable(now)) else { continue };
            bytes += batch.bytes.len();
            if bytes > settings.max_request_size && !batches.is_empty() {
                break;
            }
            batches.push(ProduceTo { topic: &settings.topic, partition: *partition, batch: &batch.bytes });
        }
        if batches.is_empty() {
            return Ok(());
        }
        let sent: Vec<i32> = batches.iter().map(|to| to.partition).collect();
        let request = produce_request(settings.acks, settings.request_timeout, &batches);
        let number = match settings.acks {
            0 => pipe.send_only(&request)?,
            _ => pipe.send(&request, within)?,
        };
        for partition in &sent {
            let Some(lane) = lanes.get_mut(partition) else { continue };
            match settings.acks {
                0 => lane.sent_unanswered(tally),
                _ => lane.sent(Flight { leader, number }),
            }
        }
    }
    Ok(())
}

/// Hands the rows of an answer to their lanes. True if one of them says that the picture of the cluster is old.
fn answered(
    flight: Flight,
    response: &ProduceResponse<'_>,
    lanes: &mut Lanes,
    settings: &ProducerSettings,
    tally: &mut Tally,
) -> bool {
    let now = Instant::now();
    let mut is_wrong = false;
    let mut outcomes: BTreeMap<i32, Result<(), Trouble>> =
        Produced::all(response).into_iter().map(|row| (row.partition, outcome(row.result))).collect();
    let flies = |other: Flight| other == flight;
    for (partition, lane) in lanes.iter_mut().filter(|(_, lane)| lane.flies(flies)) {
        let missing = || Err(Trouble::from(no_leader(&settings.topic)));
        let outcome = outcomes.remove(partition).unwrap_or_else(missing);
        is_wrong |= matches!(&outcome, Err(trouble) if trouble.remedy == Remedy::Again);
        lane.answered(flies, &outcome, now, settings, tally);
    }
    is_wrong
}

fn outcome(result: Result<i64, Error>) -> Result<(), Trouble> {
    match result {
        // An earlier attempt was written, only its answer was lost.
        Err(error) if error.code() == Some(ErrorCode::DuplicateSequenceNumber) => Ok(()),
        result => result.map(|_| ()).map_err(Trouble::from),
    }
}

fn no_leader(topic: &str) -> Error {
    Error::Refused { what: format!("topic `{topic}`"), code: ErrorCode::LeaderNotAvailable, message: None }
}
