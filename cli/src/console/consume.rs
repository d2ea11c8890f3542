//! Reading records: which partitions, from where, until when; as a member of a group or alone. What becomes of a record is the
//! caller's business.

use super::assign::Place;
use super::decode;
use super::interrupt::Interrupt;
use super::member::{Event, GroupSettings, Member};
use super::record::Consumed;
use crate::client::{At, Client, Cluster, CoordinatorKind, Error, FetchFrom, FetchLimits, Topics};
use crate::failure::Failure;
use crate::topic_filter::TopicFilter;
use protocol::ErrorCode;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    fn take(&mut self, record: &Consumed) -> Result<bool, Failure>;
    /// Nothing else is there right now: what was taken shall be seen.
    fn flush(&mut self) -> Result<(), Failure>;
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
    queue: VecDeque<Consumed>,
    committed: BTreeMap<Place, i64>,
    commit_due: Instant,
    is_committing: bool,
    /// Whether partitions were assigned, or found, since the last change.
    is_settled: bool,
    taken: u64,
    /// Whether the user was told that the cluster cannot be reached.
    troubled: bool,
}

/// How long a request may hold up a user who wants an end.
const STEP: Duration = Duration::from_millis(250);
/// Pause where there is nothing to ask for.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a topic that does not exist is looked for.
const MISSING_TOPIC_AGE: Duration = Duration::from_secs(1);

impl Consumer<'_> {
    fn consume(&mut self) -> Result<(), Failure> {
        let mut last = Instant::now();
        while !self.interrupt.is_asked() && !self.is_done() {
            self.follow_group()?;
            if let Some(record) = self.queue.pop_front() {
                last = Instant::now();
                if !self.hand_out(&record)? {
                    return Ok(());
                }
                self.commit_if_due();
                continue;
            }
            self.sink.flush()?;
            self.refresh_if_old()?;
            self.commit_if_due();
            if self.plan.timeout.is_some_and(|timeout| last.elapsed() > timeout) {
                return Ok(());
            }
            self.fetch(self.plan.timeout.map_or(STEP, |timeout| timeout.saturating_sub(last.elapsed()).min(STEP)))?;
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

    /// False if the taker has enough.
    fn hand_out(&mut self, record: &Consumed) -> Result<bool, Failure> {
        let place = (record.topic.clone(), record.partition);
        let Some(position) = self.positions.get_mut(&place) else { return Ok(true) };
        if position.until.is_some_and(|until| record.offset >= until) {
            position.next = position.next.max(record.offset);
            return Ok(true);
        }
        // Also a record that cannot be printed was handed out: it is not to come again with the next start.
        position.next = record.offset + 1;
        self.taken += 1;
        self.sink.take(record)
    }

    // --- the group ---

    fn follow_group(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.member.as_ref().and_then(Member::poll) {
            self.on_event(event)?;
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Assigned(places) => self.assign(places),
            Event::Rebalance => {
                self.commit_and_wait()?;
                self.rejoin();
                Ok(())
            }
            Event::Lost(why) => {
                self.sink.notice(format!("left the group: {why}; joining again"));
                self.drop_all();
                self.join(Vec::new());
                Ok(())
            }
            Event::Committed(outcome) => {
                self.is_committing = false;
                if let Err(error) = outcome {
                    self.sink.notice(format!("offsets were not committed: {error}"));
                    self.committed.clear();
                }
                Ok(())
            }
            Event::Failed(error) => Err(error.into()),
        }
    }

    fn is_cooperative(&self) -> bool {
        use super::assign::Assignor::CooperativeSticky;
        let settings = self.plan.group.as_ref();
        settings.is_some_and(|s| s.is_modern || s.assignors.iter().all(|assignor| *assignor == CooperativeSticky))
    }

    /// Joins again: with what it has, where nobody can get that meanwhile, or without anything.
    fn rejoin(&mut self) {
        if self.is_cooperative() {
            self.join(self.positions.keys().cloned().collect());
        } else {
            self.drop_all();
            self.join(Vec::new());
        }
    }

    fn join(&mut self, owned: Vec<Place>) {
        self.is_settled = false;
        if let Some(member) = &self.member {
            member.join(self.subscribed.clone(), owned);
        }
    }

    fn drop_all(&mut self) {
        self.positions.clear();
        self.queue.clear();
        self.committed.clear();
    }

    fn assign(&mut self, places: Vec<Place>) -> Result<(), Failure> {
        let wanted: BTreeSet<Place> = places.iter().cloned().collect();
        let given_up: Vec<Place> = self.positions.keys().filter(|place| !wanted.contains(*place)).cloned().collect();
        if !given_up.is_empty() {
            self.commit_and_wait()?;
            self.give_up(&given_up);
        }
        let new: Vec<Place> = wanted.into_iter().filter(|place| !self.positions.contains_key(place)).collect();
        self.begin(&new)?;
        self.is_settled = true;
        let Some(member) = &self.member else { return Ok(()) };
        if self.plan.group.as_ref().is_some_and(|settings| settings.is_modern) {
            member.owns(places);
        } else if !given_up.is_empty() && self.is_cooperative() {
            // What was given up can be assigned to others only now.
            self.rejoin();
        }
        Ok(())
    }

    fn give_up(&mut self, places: &[Place]) {
        self.positions.retain(|place, _| !places.contains(place));
        self.queue.retain(|record| !places.iter().any(|(t, p)| *t == record.topic && *p == record.partition));
        self.committed.retain(|place, _| !places.contains(place));
    }

    // --- commits ---

    fn to_commit(&self) -> Vec<(Place, i64)> {
        let moved = |(place, position): (&Place, &Position)| {
            (self.committed.get(place) != Some(&position.next)).then(|| (place.clone(), position.next))
        };
        self.positions.iter().filter_map(moved).collect()
    }

    fn commit_if_due(&mut self) {
        let Some(every) = self.plan.auto_commit else { return };
        if !self.is_committing && Instant::now() >= self.commit_due {
            self.commit_due = Instant::now() + every;
            self.commit();
        }
    }

    fn commit(&mut self) {
        let offsets = self.to_commit();
        if let Some(member) = self.member.as_ref().filter(|_| !offsets.is_empty() && self.is_settled) {
            self.committed.extend(offsets.iter().cloned());
            member.commit(offsets);
            self.is_committing = true;
        }
    }

    /// Commits what was handed out, and waits until that is done: the partitions may be another's after this.
    fn commit_and_wait(&mut self) -> Result<(), Failure> {
        if self.plan.auto_commit.is_none() {
            return Ok(());
        }
        self.sink.flush()?;
        let end = Instant::now() + self.client.settings().request_timeout;
        self.wait_for_commit(end)?;
        self.commit();
        self.wait_for_commit(end)
    }

    fn wait_for_commit(&mut self, end: Instant) -> Result<(), Failure> {
        while self.is_committing && Instant::now() < end {
            match self.member.as_ref().and_then(|member| member.wait(PAUSE)) {
                // A rebalance is what this waits for, or will be said again by the next heartbeat.
                None | Some(Event::Rebalance) => {}
                Some(event @ (Event::Committed(_) | Event::Failed(_))) => self.on_event(event)?,
                Some(Event::Lost(why)) => {
                    self.is_committing = false;
                    return self.on_event(Event::Lost(why));
                }
                Some(Event::Assigned(places)) => return self.assign(places),
            }
        }
        Ok(())
    }

    // --- the cluster ---

    /// Looks at the cluster anew when it is time, or when the picture is known to be wrong.
    fn refresh_if_old(&mut self) -> Result<(), Failure> {
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

    fn look(&mut self) -> Result<Cluster, Error> {
        let names = match &self.plan.source {
            Source::Matching(_) => return self.client.metadata(Topics::All),
            Source::Topics(names) => names.clone(),
            Source::Partition((topic, _)) => vec![topic.clone()],
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.client.metadata(if self.plan.auto_create { Topics::Create(&names) } else { Topics::Named(&names) })
    }

    fn on_cluster(&mut self, cluster: Cluster) -> Result<(), Failure> {
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

    fn wanted(&self, cluster: &Cluster) -> Vec<String> {
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
    fn read_alone(&mut self) -> Result<(), Failure> {
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

    // --- where to begin and to stop ---

    fn begin(&mut self, places: &[Place]) -> Result<(), Failure> {
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

    fn reset_point(&self) -> At {
        if self.plan.reset == Reset::Earliest { At::Earliest } else { At::Latest }
    }

    fn committed_of(&mut self, places: &[Place]) -> Result<BTreeMap<Place, i64>, Failure> {
        let Some(settings) = &self.plan.group else { return Ok(BTreeMap::new()) };
        let group = settings.group.clone();
        let all = crate::groups::committed_offsets(&mut self.client, &group)?;
        Ok(all.into_iter().filter(|(place, _)| places.contains(place)).collect())
    }

    /// The offset of each partition that a bound stands for; a time that no record has reached is the end.
    fn offsets(&mut self, places: &[Place], bound: Bound) -> Result<BTreeMap<Place, i64>, Failure> {
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

    fn points(&mut self, places: &[Place], at: At) -> Result<BTreeMap<Place, i64>, Failure> {
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

    // --- fetching ---

    fn fetch(&mut self, wait: Duration) -> Result<(), Failure> {
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

    fn fetch_from(&mut self, leader: i32, wanted: &[(Place, i64)], wait: Duration) -> Result<(), Failure> {
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

    fn take(&mut self, row: crate::client::Fetched) -> Result<(), Failure> {
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

    fn out_of_range(&mut self, place: &Place) -> Result<(), Failure> {
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

    // --- the end ---

    /// Commits what was handed out and leaves the group.
    fn close(&mut self) -> Result<(), Failure> {
        let flushed = self.sink.flush();
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
