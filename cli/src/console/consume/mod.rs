//! Reading records: which partitions, from where, until when; as a member of a group or alone. What becomes of a record is the
//! caller's business.

mod begin;
mod cluster;
mod fetch;
mod group;

use self::fetch::Fetcher;
use super::assign::Place;
use super::decode::{Chunk, EachError, Flow};
use super::interrupt::Interrupt;
use super::member::{GroupSettings, Member};
use super::record::Consumed;
use crate::client::{At, Client, Cluster, CoordinatorKind, FetchLimits};
use crate::failure::Failure;
use crate::topic_filter::TopicFilter;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Which records.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Everything of these topics.
    Topics(Vec<String>),
    /// Everything of the topics that match, also of those that come later.
    Matching(TopicFilter),
    /// One partition.
    Partition(Place),
}

/// Where to begin where nothing is committed, or what was asked for is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reset {
    Earliest,
    Latest,
    /// Fail rather than guess.
    None,
}

/// A bound of what is read, in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    At(At),
    Offset(i64),
    /// So many records behind the beginning.
    AfterBegin(i64),
    /// So many records before the end.
    BeforeEnd(i64),
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) source: Source,
    /// Where partitions that are read without a group begin; otherwise as `reset` says.
    pub(crate) from: Option<Bound>,
    /// Before which offset to stop.
    pub(crate) until: Option<Bound>,
    pub(crate) reset: Reset,
    pub(crate) group: Option<GroupSettings>,
    /// How often to commit; none for never.
    pub(crate) auto_commit: Option<Duration>,
    pub(crate) limits: FetchLimits,
    pub(crate) max_messages: Option<u64>,
    /// How long to wait for a record before that is the end.
    pub(crate) timeout: Option<Duration>,
    pub(crate) metadata_max_age: Duration,
    /// Whether a missing topic is asked for in a way that creates it.
    pub(crate) auto_create: bool,
}

/// What takes the records.
pub(crate) trait Sink {
    /// A record. `Ok(false)` for one that is enough.
    fn take(&mut self, record: &Consumed<'_>) -> Result<bool, Failure>;
    /// Nothing else is there right now: what was taken shall be seen. `Ok(false)` where nobody looks any more.
    fn flush(&mut self) -> Result<bool, Failure>;
    /// Something the user should know.
    fn notice(&mut self, text: String);
}

/// How far a partition is read.
#[derive(Clone, Copy, Debug)]
struct Position {
    /// The next offset to fetch.
    fetch: i64,
    /// The next offset to hand out, which is what is committed.
    next: i64,
    /// Where to stop.
    until: Option<i64>,
}

/// Reads until the plan's end, an interrupt, or a failure.
pub(crate) fn run(client: Client, plan: Plan, interrupt: &Interrupt, sink: &mut dyn Sink) -> Result<(), Failure> {
    let member = plan.group.clone().map(|settings| Member::start(settings, client.settings().clone()));
    let cluster =
        Cluster { id: None, controller: -1, brokers: vec![], topics: vec![], as_answered: vec![], failed: vec![] };
    let mut consumer = Consumer {
        client,
        plan,
        interrupt,
        sink,
        member,
        cluster,
        refreshed: None,
        subscribed: Vec::new(),
        positions: BTreeMap::new(),
        queue: VecDeque::new(),
        fetcher: Fetcher::default(),
        committed: BTreeMap::new(),
        commit_due: Instant::now(),
        is_committing: false,
        is_settled: false,
        taken: 0,
        troubled: false,
    };
    let outcome = consumer.consume();
    let closed = consumer.close();
    outcome.and(closed)
}

struct Consumer<'a> {
    client: Client,
    plan: Plan,
    interrupt: &'a Interrupt,
    sink: &'a mut dyn Sink,
    member: Option<Member>,
    cluster: Cluster,
    /// When the picture of the cluster was taken; none if it is known to be wrong.
    refreshed: Option<Instant>,
    subscribed: Vec<String>,
    positions: BTreeMap<Place, Position>,
    /// What came and was not handed out.
    queue: VecDeque<Chunk>,
    fetcher: Fetcher,
    committed: BTreeMap<Place, i64>,
    commit_due: Instant,
    is_committing: bool,
    /// Whether partitions were assigned, or found, since the last change.
    is_settled: bool,
    taken: u64,
    /// Whether the user was told that the cluster cannot be reached.
    troubled: bool,
}

/// How long a request may hold up a user who wants an end, or a group that changes.
const STEP: Duration = Duration::from_millis(100);
/// Records that are handed out before anything else is looked at.
const SLICE: u64 = 256;
/// Pause where there is nothing to ask for.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a topic that does not exist is looked for.
const MISSING_TOPIC_AGE: Duration = Duration::from_secs(1);

impl Consumer<'_> {
    fn consume(&mut self) -> Result<(), Failure> {
        let mut last = Instant::now();
        while !self.interrupt.is_asked() && !self.is_done() {
            self.follow_group()?;
            if !self.queue.is_empty() {
                last = Instant::now();
                if !self.hand_out()? {
                    return Ok(());
                }
                self.commit_if_due();
                // What is next comes while this is printed.
                self.fetch(None)?;
                continue;
            }
            if !self.sink.flush()? {
                return Ok(());
            }
            self.refresh_if_old()?;
            self.commit_if_due();
            if self.plan.timeout.is_some_and(|timeout| last.elapsed() > timeout) {
                return Ok(());
            }
            let left = self.plan.timeout.map_or(STEP, |timeout| timeout.saturating_sub(last.elapsed()));
            self.fetch(Some(left.min(STEP)))?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let enough = self.plan.max_messages.is_some_and(|max| self.taken >= max);
        let passed = |position: &Position| position.until.is_some_and(|until| position.next >= until);
        let is_at_end = self.plan.until.is_some()
            && self.is_settled
            && self.queue.is_empty()
            && self.positions.values().all(passed);
        enough || is_at_end
    }

    /// Hands out some records of what came first. False if the taker has enough.
    fn hand_out(&mut self) -> Result<bool, Failure> {
        let Some(chunk) = self.queue.front_mut() else { return Ok(true) };
        let place = chunk.place().clone();
        let Some(position) = self.positions.get_mut(&place) else {
            self.queue.pop_front();
            return Ok(true);
        };
        let most = self.plan.max_messages.map_or(SLICE, |max| max.saturating_sub(self.taken).min(SLICE));
        let end = self.taken + most;
        let (sink, taken, interrupt) = (&mut self.sink, &mut self.taken, self.interrupt);
        let (mut is_enough, mut is_over) = (false, false);
        let is_ended = chunk.each(|record| {
            is_over = position.until.is_some_and(|until| record.offset >= until);
            if is_over {
                position.next = position.next.max(record.offset);
                return Ok(Flow::Stop);
            }
            // Also a record that cannot be printed was handed out: it is not to come again with the next start.
            position.next = record.offset + 1;
            *taken += 1;
            is_enough = !sink.take(record)?;
            let is_last = is_enough || *taken >= end || interrupt.is_asked();
            Ok(if is_last { Flow::Stop } else { Flow::Go })
        });
        let is_ended = is_ended.map_err(|error| match error {
            EachError::Decode(error) => Failure::failed(error.to_string()),
            EachError::Taker(failure) => failure,
        })?;
        if is_ended {
            // Behind the last record may be what is none: markers, and what compaction took.
            position.next = position.next.max(chunk.next());
        }
        if is_ended || is_over {
            self.queue.pop_front();
        }
        Ok(!is_enough)
    }

    /// Commits what was handed out and leaves the group.
    fn close(&mut self) -> Result<(), Failure> {
        let flushed = self.sink.flush().map(drop);
        if flushed.is_ok() && self.is_settled {
            self.commit_and_wait()?;
        }
        let Some(member) = self.member.take() else { return flushed };
        let (id, settings) = (member.id(), self.plan.group.clone());
        if member.leave(Duration::from_secs(1)) {
            return flushed;
        }
        // The thread waits for a rebalance that others hold up: leave in its stead.
        if let Some(settings) = settings.filter(|s| !id.is_empty() && s.instance.is_none() && !s.is_modern) {
            let coordinator = self.client.coordinator(CoordinatorKind::Group, &settings.group)?;
            super::classic::leave(&mut self.client, coordinator, &settings.group, &id)?;
        }
        flushed
    }
}
