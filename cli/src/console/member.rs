//! Membership of a consumer group: a thread with a connection of its own joins, sends heartbeats, commits and leaves, so that
//! a terminal that does not take output for a while does not cost the membership.
//!
//! ```text
//! consumer                     member's thread
//!   join(topics, owned)  ──►   JoinGroup, SyncGroup           (or ConsumerGroupHeartbeat, KIP-848)
//!   ◄── Assigned               Heartbeat … Heartbeat
//!   ◄── Rebalance              (the consumer commits, gives up what it must, and joins again)
//!   commit(offsets)      ──►   OffsetCommit ──► Committed
//!   leave()              ──►   LeaveGroup
//! ```
//! What the two protocols say is in [`classic`](super::classic) and [`heartbeat`](super::heartbeat).

use super::assign::{Assignor, Place};
use super::classic::Classic;
use super::heartbeat::Modern;
use crate::client::{Client, CoordinatorKind, Error, Settings};
use protocol::ErrorCode;
use protocol::messages::OffsetCommitRequest;
use protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How to be a member.
#[derive(Clone, Debug)]
pub(crate) struct GroupSettings {
    pub(crate) group: String,
    /// Makes it a static member.
    pub(crate) instance: Option<String>,
    /// `group.protocol=consumer`.
    pub(crate) is_modern: bool,
    /// The broker's assignor, of the modern protocol.
    pub(crate) remote_assignor: Option<String>,
    /// The members' strategies, the preferred one first.
    pub(crate) assignors: Vec<Assignor>,
    pub(crate) session_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    /// How long a rebalance waits for this member, and how long the consumer may not ask for anything.
    pub(crate) max_poll_interval: Duration,
}

/// What the consumer asks of the thread.
#[derive(Debug)]
enum Ask {
    Join { topics: Vec<String>, owned: Vec<Place> },
    Owns(Vec<Place>),
    Commit(Vec<(Place, i64)>),
    Leave,
}

/// What the thread tells the consumer.
#[derive(Debug)]
pub(crate) enum Event {
    /// These are its partitions now.
    Assigned(Vec<Place>),
    /// The others wait for it to join again.
    Rebalance,
    /// It is no member any more, and what it owned may be another's already.
    Lost(String),
    /// A commit is done, or has failed.
    Committed(Result<(), Error>),
    /// It cannot be a member.
    Failed(Error),
}

/// A member, as the consumer holds it.
#[derive(Debug)]
pub(crate) struct Member {
    asks: Sender<Ask>,
    events: Receiver<Event>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What both sides look at.
#[derive(Debug)]
pub(super) struct Shared {
    id: Mutex<String>,
    polled: Mutex<Instant>,
    /// The consumer ends. An attempt to join that is refused after this, because somebody left in the thread's stead, is not
    /// repeated: it would leave a member behind that nobody is.
    closing: AtomicBool,
}

impl Shared {
    pub(super) fn set_id(&self, id: &str) {
        id.clone_into(&mut self.id.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn id(&self) -> String {
        self.id.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn idle(&self) -> Duration {
        self.polled.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn poll(&self) {
        *self.polled.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Member {
    /// Starts the thread; nothing is said to the broker yet.
    pub(crate) fn start(settings: GroupSettings, client: Settings) -> Self {
        let (asks, asked) = mpsc::channel();
        let (tell, events) = mpsc::channel();
        let shared = Arc::new(Shared {
            id: Mutex::default(),
            polled: Mutex::new(Instant::now()),
            closing: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serve(&settings, client, &asked, &tell, &theirs));
        Member { asks, events, shared, thread: Some(thread) }
    }

    /// What has happened, if anything; says that the consumer lives.
    pub(crate) fn poll(&self) -> Option<Event> {
        self.shared.poll();
        self.events.try_recv().ok()
    }

    /// Waits for what happens next.
    pub(crate) fn wait(&self, within: Duration) -> Option<Event> {
        self.shared.poll();
        self.events.recv_timeout(within).ok()
    }

    /// Joins, or joins again. Answered by [`Event::Assigned`].
    pub(crate) fn join(&self, topics: Vec<String>, owned: Vec<Place>) {
        let _ = self.asks.send(Ask::Join { topics, owned });
    }

    /// Says what the consumer reads after an assignment.
    pub(crate) fn owns(&self, places: Vec<Place>) {
        let _ = self.asks.send(Ask::Owns(places));
    }

    /// Answered by [`Event::Committed`].
    pub(crate) fn commit(&self, offsets: Vec<(Place, i64)>) {
        let _ = self.asks.send(Ask::Commit(offsets));
    }

    /// The id that the coordinator gave, for whoever has to leave in the thread's stead.
    pub(crate) fn id(&self) -> String {
        self.shared.id()
    }

    /// Leaves the group. True if the thread got to it within `within`; it may hang in a rebalance.
    pub(crate) fn leave(mut self, within: Duration) -> bool {
        self.shared.closing.store(true, Ordering::Release);
        let _ = self.asks.send(Ask::Leave);
        let end = Instant::now() + within;
        let Some(thread) = self.thread.take() else { return true };
        while !thread.is_finished() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        thread.is_finished()
    }
}

/// What a protocol must be able to do; the thread's loop is the same for both.
pub(super) trait Protocol {
    /// Becomes a member, or one of the next generation. None if the partitions come later.
    fn join(&mut self, link: &mut Link, topics: &[String], owned: &[Place]) -> Result<Option<Vec<Place>>, Error>;
    /// The consumer reads these now.
    fn owns(&mut self, places: &[Place]);
    /// Says that the member lives.
    fn beat(&mut self, link: &mut Link) -> Beat;
    /// How long until the next heartbeat.
    fn interval(&self) -> Duration;
    /// Member id, and generation or epoch.
    fn identity(&self) -> (String, i32);
    /// Ends the membership.
    fn leave(&mut self, link: &mut Link) -> Result<(), Error>;
}

/// What a heartbeat brought.
#[derive(Debug)]
pub(super) enum Beat {
    Fine,
    Assigned(Vec<Place>),
    Rebalance,
    Lost(String),
    Failed(Error),
}

/// The way to the coordinator.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) group: String,
    coordinator: Option<i32>,
}

impl Link {
    /// The coordinator's broker id.
    pub(super) fn coordinator(&mut self) -> Result<i32, Error> {
        if let Some(id) = self.coordinator {
            return Ok(id);
        }
        let id = self.client.coordinator(CoordinatorKind::Group, &self.group)?;
        self.coordinator = Some(id);
        Ok(id)
    }

    /// Looks for the coordinator anew before the next request.
    pub(super) fn forget(&mut self) {
        self.coordinator = None;
    }

    /// Whether an error says to look for the coordinator anew, which this then does.
    pub(super) fn is_elsewhere(&mut self, error: &Error) -> bool {
        let elsewhere =
            [ErrorCode::NotCoordinator, ErrorCode::CoordinatorNotAvailable, ErrorCode::CoordinatorLoadInProgress];
        let is = match error {
            Error::Lost { .. } | Error::Late { .. } | Error::Unreachable(_) => true,
            error => error.code().is_some_and(|code| elsewhere.contains(&code)),
        };
        if is {
            self.forget();
        }
        is
    }
}

fn serve(
    settings: &GroupSettings,
    client: Settings,
    asked: &Receiver<Ask>,
    tell: &Sender<Event>,
    shared: &Arc<Shared>,
) {
    let client = match Client::connect(client) {
        Ok(client) => client,
        Err(error) => {
            let _ = tell.send(Event::Failed(error));
            return;
        }
    };
    let link = Link { client, group: settings.group.clone(), coordinator: None };
    let protocol: Box<dyn Protocol> = if settings.is_modern {
        Box::new(Modern::new(settings, Arc::clone(shared)))
    } else {
        Box::new(Classic::new(settings, Arc::clone(shared)))
    };
    Actor { settings, link, protocol, tell, shared, next_beat: None }.run(asked);
}

/// The thread's state.
struct Actor<'a> {
    settings: &'a GroupSettings,
    link: Link,
    protocol: Box<dyn Protocol>,
    tell: &'a Sender<Event>,
    shared: &'a Arc<Shared>,
    /// None while it is no member.
    next_beat: Option<Instant>,
}

impl Actor<'_> {
    fn run(&mut self, asked: &Receiver<Ask>) {
        loop {
            let wait =
                self.next_beat.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
            match asked.recv_timeout(wait) {
                Ok(Ask::Join { topics, owned }) => self.join(&topics, &owned),
                Ok(Ask::Owns(places)) => {
                    self.protocol.owns(&places);
                    self.beat();
                }
                Ok(Ask::Commit(offsets)) => {
                    let outcome = self.commit(&offsets);
                    self.say(Event::Committed(outcome));
                }
                Ok(Ask::Leave) => {
                    // A membership that cannot be ended ends by itself when its session does.
                    let _ = self.protocol.leave(&mut self.link);
                    return;
                }
                Err(RecvTimeoutError::Timeout) => self.beat_if_alive(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn say(&self, event: Event) {
        let _ = self.tell.send(event);
    }

    fn join(&mut self, topics: &[String], owned: &[Place]) {
        match self.protocol.join(&mut self.link, topics, owned) {
            Ok(places) => {
                self.next_beat = Some(Instant::now() + self.protocol.interval());
                if let Some(places) = places {
                    self.say(Event::Assigned(places));
                }
            }
            Err(error) => {
                self.next_beat = None;
                self.say(Event::Failed(error));
            }
        }
    }

    /// A consumer that has not asked for anything for too long gives its partitions to those who do.
    fn beat_if_alive(&mut self) {
        if self.next_beat.is_some() && self.shared.idle() > self.settings.max_poll_interval {
            let _ = self.protocol.leave(&mut self.link);
            self.next_beat = None;
            let limit = self.settings.max_poll_interval.as_millis();
            self.say(Event::Lost(format!("its output was not taken for {limit} ms (max.poll.interval.ms)")));
            return;
        }
        self.beat();
    }

    fn beat(&mut self) {
        if self.next_beat.is_none() {
            return;
        }
        self.next_beat = Some(Instant::now() + self.protocol.interval());
        match self.protocol.beat(&mut self.link) {
            Beat::Fine => {}
            Beat::Assigned(places) => self.say(Event::Assigned(places)),
            Beat::Rebalance => self.say(Event::Rebalance),
            Beat::Lost(why) => {
                self.next_beat = None;
                self.say(Event::Lost(why));
            }
            Beat::Failed(error) => {
                self.next_beat = None;
                self.say(Event::Failed(error));
            }
        }
    }

    fn commit(&mut self, offsets: &[(Place, i64)]) -> Result<(), Error> {
        let (member, generation) = self.protocol.identity();
        let instance = self.settings.instance.clone();
        let end = Instant::now() + self.link.client.settings().request_timeout;
        loop {
            let request = commit_request(&self.settings.group, &member, generation, instance.as_deref(), offsets);
            match commit_once(&mut self.link, &request) {
                Err(error) if self.link.is_elsewhere(&error) && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                outcome => return outcome,
            }
        }
    }
}

fn commit_once(link: &mut Link, request: &OffsetCommitRequest<'_>) -> Result<(), Error> {
    let coordinator = link.coordinator()?;
    let answer = link.client.broker(coordinator, request)?;
    for topic in &answer.read().topics {
        for partition in &topic.partitions {
            let what = || format!("commit of {}-{}", topic.name, partition.partition_index);
            Error::check(partition.error_code, None, what)?;
        }
    }
    Ok(())
}

fn commit_request<'a>(
    group: &'a str,
    member: &'a str,
    generation: i32,
    instance: Option<&'a str>,
    offsets: &'a [(Place, i64)],
) -> OffsetCommitRequest<'a> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition<'_>>> = BTreeMap::new();
    for ((topic, partition), offset) in offsets {
        topics.entry(topic).or_default().push(OffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: *offset,
            committed_metadata: Some("".into()),
            ..OffsetCommitRequestPartition::default()
        });
    }
    let topics = topics.into_iter().map(|(name, partitions)| OffsetCommitRequestTopic {
        name: name.into(),
        partitions,
        ..OffsetCommitRequestTopic::default()
    });
    OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: generation,
        member_id: member.into(),
        group_instance_id: instance.map(Into::into),
        topics: topics.collect(),
        ..OffsetCommitRequest::default()
    }
}
