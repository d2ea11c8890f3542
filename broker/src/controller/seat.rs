//! How a broker drives the controller, and what it keeps for requests that wait for a change of the metadata.
//!
//! Shard 0 has the controller; the others forward what changes metadata and receive images and blocks of producer ids.

use super::keep::Keep;
use super::plan::auto_topic;
use super::producer_ids::{Block, reserve};
use super::{Controller, Output, Ticket};
use crate::api::{answer::Answer, k03_metadata, k22_init_producer_id};
use crate::append_then::Then;
use crate::front::Message;
use crate::io::{Effect, ReadFault};
use crate::loggers::Loggers;
use crate::request::{Header, Request};
use crate::{Broker, Origin, ShardId, Store};
use protocol::ErrorCode;
use protocol::batch::BatchView;
use std::collections::BTreeMap;

/// The shard that has the controller.
pub(crate) const CONTROLLER: ShardId = ShardId(0);

/// What happens when a change is done.
#[derive(Debug)]
enum Waiter<C> {
    /// This answer leaves.
    Answer { origin: Origin, header: Header, answer: Answer },
    /// This Metadata request is answered with what is there then.
    Metadata(Request<C>),
    /// A shard may hand out the producer ids from `first` on.
    ProducerIds { shard: ShardId, first: i64 },
}

#[derive(Debug)]
struct Waiting<C> {
    ticket: Ticket,
    deadline_ms: u64,
    waiter: Waiter<C>,
}

/// A broker's part in administration.
#[derive(Debug)]
pub(crate) struct Seat<C> {
    /// On shard 0, while the log is replayed and after.
    controller: Option<Controller>,
    /// The log was replayed to its end.
    serving: bool,
    /// What the log has beyond its last snapshot.
    pub(crate) keep: Keep,
    /// Why the metadata log cannot be served.
    failure: Option<String>,
    /// By order of arrival.
    waiting: BTreeMap<u64, Waiting<C>>,
    next_waiting: u64,
    /// Requests that came before the first image did.
    early: Vec<Request<C>>,
    ids: Block,
    /// A block of ids is on its way.
    ids_asked: bool,
    want_ids: Vec<(Origin, Header)>,
    /// The levels of our loggers. On shard 0.
    pub(crate) loggers: Loggers,
}

impl<C> Seat<C> {
    pub(crate) fn new(loggers: Loggers) -> Self {
        Self {
            controller: None,
            serving: false,
            keep: Keep::default(),
            failure: None,
            waiting: BTreeMap::new(),
            next_waiting: 0,
            early: Vec::new(),
            ids: Block::default(),
            ids_asked: false,
            want_ids: Vec::new(),
            loggers,
        }
    }

    fn wait(&mut self, ticket: Ticket, deadline_ms: u64, waiter: Waiter<C>) {
        self.waiting.insert(self.next_waiting, Waiting { ticket, deadline_ms, waiter });
        self.next_waiting += 1;
    }

    fn take(&mut self, wanted: impl Fn(&Waiting<C>) -> bool) -> Vec<Waiter<C>> {
        self.waiting.extract_if(.., |_, waiting| wanted(waiting)).map(|(_, waiting)| waiting.waiter).collect()
    }

    /// When the first waiting request gives up, in monotonic milliseconds.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.waiting.values().map(|waiting| waiting.deadline_ms).min()
    }

    /// Puts a controller there that has taken up a snapshot.
    pub(crate) fn set_controller(&mut self, controller: Controller) {
        self.controller = Some(controller);
    }

    /// The controller, once it serves.
    pub(crate) fn controller(&mut self) -> Option<&mut Controller> {
        self.controller.as_mut().filter(|_| self.serving)
    }
}

impl<S: Store> Broker<S> {
    /// Whether the metadata is there: before that, no request can be answered truthfully.
    pub fn is_ready(&self) -> bool {
        self.image.cluster_id().is_some()
    }

    /// Why the metadata log of this shard cannot be served. The process must say so and end.
    pub fn start_failure(&self) -> Option<&str> {
        self.seat.failure.as_deref()
    }

    /// Makes a topic that someone needs, with the defaults for its name. It is there when an image says so; asking again
    /// does no harm.
    pub(crate) fn ensure_topic(&mut self, name: &str) {
        if self.image.topic(name).is_some() {
            return;
        }
        if self.me != CONTROLLER {
            let msg = Message::EnsureTopic { name: name.into() };
            self.effects.push_back(Effect::Send { to: CONTROLLER, msg });
            return;
        }
        self.create_missing(&[name.to_owned()]);
        self.drive_controller();
    }

    /// Plans topics that are not there yet and may be; returns what to wait for.
    fn create_missing(&mut self, names: &[String]) -> Option<Ticket> {
        let controller = self.seat.controller()?;
        let mut plan = controller.plan();
        for name in names {
            let new = auto_topic(plan.image(), name);
            if let Err(rejection) = plan.create_topic(&new, controller.random()) {
                tracing::debug!(topic = name, %rejection, "topic not made on demand");
            }
        }
        controller.stage(plan).or_else(|| controller.last_unfinished())
    }

    /// Makes the missing topics of a Metadata request and answers it when they are there. On shard 0.
    pub(crate) fn metadata_after(&mut self, request: &Request<S::Chunk>, names: &[String]) -> bool {
        let Some(ticket) = self.create_missing(names) else { return false };
        let deadline_ms = self.now.mono_ms.saturating_add(u64::from(self.settings.request_timeout_ms.unsigned_abs()));
        self.seat.wait(ticket, deadline_ms, Waiter::Metadata(request.clone()));
        self.drive_controller();
        true
    }

    /// Keeps a request for when the first image is there.
    pub(crate) fn keep_early(&mut self, request: &Request<S::Chunk>) {
        self.seat.early.push(request.clone());
    }

    /// Sends a request on to the controller's shard, or keeps it until the controller serves. `true`: it is taken care of.
    pub(crate) fn forward_to_controller(&mut self, request: &Request<S::Chunk>) -> bool {
        if self.me != CONTROLLER {
            let Request { origin, ref frame, local, peer, patience, .. } = *request;
            let msg = Message::Forward { origin, frame: frame.clone(), local, peer, patience };
            self.effects.push_back(Effect::Send { to: CONTROLLER, msg });
            return true;
        }
        if !self.is_ready() || !self.seat.serving {
            self.keep_early(request);
            return true;
        }
        false
    }

    /// Answers at once where there is nothing to wait for, else when the change is done or `timeout_ms` have passed.
    pub(crate) fn answer_after(
        &mut self,
        ticket: Option<Ticket>,
        timeout_ms: i32,
        request: &Request<S::Chunk>,
        answer: Answer,
    ) {
        let ticket = ticket.filter(|_| !marks::planted!("broker: answer a change before it is durable"));
        let Some(ticket) = ticket else {
            self.drive_controller();
            return self.respond_admin(request.origin, &request.header, &answer);
        };
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or_default();
        let deadline_ms = self.now.mono_ms.saturating_add(timeout_ms);
        let (origin, header) = (request.origin, request.header.clone());
        self.seat.wait(ticket, deadline_ms, Waiter::Answer { origin, header, answer });
        self.drive_controller();
    }

    fn respond_admin(&mut self, origin: Origin, header: &Header, answer: &Answer) {
        self.respond(origin, header, |writer, version| answer.encode(writer, version));
    }

    /// A producer id for this request, now or when a block is there.
    pub(crate) fn give_producer_id(&mut self, origin: Origin, header: Header) {
        match self.seat.ids.take() {
            Some(id) => k22_init_producer_id::give(self, origin, &header, Ok(id)),
            None => {
                self.seat.want_ids.push((origin, header));
                self.ask_for_ids();
            }
        }
    }

    fn ask_for_ids(&mut self) {
        if std::mem::replace(&mut self.seat.ids_asked, true) {
            return;
        }
        if self.me == CONTROLLER {
            self.reserve_ids(self.me);
        } else {
            self.effects.push_back(Effect::Send { to: CONTROLLER, msg: Message::WantProducerIds });
        }
    }

    /// Reserves a block for a shard. On shard 0.
    pub(crate) fn reserve_ids(&mut self, shard: ShardId) {
        let Some(controller) = self.seat.controller() else { return self.grant_ids(shard, None) };
        let mut plan = controller.plan();
        let first = reserve(&mut plan);
        let ticket = controller.stage(plan);
        if let Some(ticket) = ticket {
            self.seat.wait(ticket, u64::MAX, Waiter::ProducerIds { shard, first });
        }
        self.drive_controller();
    }

    fn grant_ids(&mut self, shard: ShardId, first: Option<i64>) {
        if shard == self.me {
            self.ids_granted(first);
        } else {
            self.effects.push_back(Effect::Send { to: shard, msg: Message::ProducerIds { first } });
        }
    }

    /// A block of producer ids is there, or there is none to be had now.
    pub(crate) fn ids_granted(&mut self, first: Option<i64>) {
        self.seat.ids_asked = false;
        self.seat.ids = first.map(Block::starting).unwrap_or_default();
        for (origin, header) in std::mem::take(&mut self.seat.want_ids) {
            match first {
                Some(_) => self.give_producer_id(origin, header),
                None => {
                    k22_init_producer_id::give(self, origin, &header, Err(ErrorCode::CoordinatorLoadInProgress));
                }
            }
        }
    }

    /// A batch of the metadata log, while it is replayed.
    pub(crate) fn metadata_replayed(&mut self, batch: &BatchView<'_>) {
        if self.seat.failure.is_some() {
            return;
        }
        let (image, shards, seed) = (&self.image, self.shards, self.settings.incarnation);
        let controller = self.seat.controller.get_or_insert_with(|| Controller::new(image.clone(), shards, seed));
        self.seat.keep.appended(batch.size_bytes());
        if let Err(error) = controller.replay(batch) {
            self.seat.failure = Some(error.to_string());
        }
    }

    /// The metadata log was read to its end, or cannot be.
    pub(crate) fn metadata_replay_done(&mut self, result: Result<(), ReadFault>) {
        if let Err(fault) = result {
            self.seat.failure.get_or_insert(format!("the metadata log cannot be read: {fault:?}"));
        }
        if let Some(failure) = &self.seat.failure {
            tracing::error!(failure, "the metadata is unusable; nothing is served");
            return;
        }
        let (image, shards, seed) = (&self.image, self.shards, self.settings.incarnation);
        let controller = self.seat.controller.get_or_insert_with(|| Controller::new(image.clone(), shards, seed));
        controller.start();
        self.seat.serving = true;
        self.drive_controller();
    }

    /// The metadata log took a batch, or did not.
    pub(crate) fn controller_appended(&mut self, token: u64, result: Result<(), ErrorCode>) {
        if let Some(controller) = self.seat.controller() {
            controller.appended(Ticket(token), result);
        }
        self.drive_controller();
    }

    /// A shard acts on the image of that version.
    pub(crate) fn image_applied(&mut self, from: ShardId, version: i64) {
        if let Some(controller) = self.seat.controller() {
            controller.applied(from, version);
        }
        self.drive_controller();
    }

    /// Does what the controller wants until it wants nothing.
    pub(crate) fn drive_controller(&mut self) {
        while let Some(output) = self.seat.controller().and_then(Controller::poll) {
            match output {
                Output::Append { ticket, batch } => {
                    self.seat.keep.appended(batch.len());
                    self.append_metadata(batch, Then::Controller(ticket.0));
                }
                Output::Publish(image) => {
                    self.publish_image(&image);
                    let me = self.me;
                    if let Some(controller) = self.seat.controller() {
                        controller.applied(me, image.version());
                    }
                    self.keep_metadata_if_due();
                }
                Output::Done { ticket, result } => {
                    for waiter in self.seat.take(|waiting| waiting.ticket == ticket) {
                        self.resolve(waiter, result);
                    }
                }
            }
        }
    }

    fn resolve(&mut self, waiter: Waiter<S::Chunk>, result: Result<(), ErrorCode>) {
        match waiter {
            Waiter::Answer { origin, header, mut answer } => {
                if let Err(code) = result {
                    answer.fail(code);
                }
                self.respond_admin(origin, &header, &answer);
            }
            Waiter::Metadata(request) => {
                if let Err(refusal) = k03_metadata::answer(self, &request) {
                    self.close(request.origin, &refusal);
                }
            }
            Waiter::ProducerIds { shard, first } => self.grant_ids(shard, result.ok().map(|()| first)),
        }
    }

    /// Ends the waiting of requests whose time is over, and serves those that came too early. Once a turn.
    pub(crate) fn settle_admin(&mut self) {
        let now_ms = self.now.mono_ms;
        if self.seat.deadline().is_some_and(|deadline_ms| deadline_ms <= now_ms) {
            for waiter in self.seat.take(|waiting| waiting.deadline_ms <= now_ms) {
                self.resolve(waiter, Err(ErrorCode::RequestTimedOut));
            }
        }
        let serving = self.me != CONTROLLER || self.seat.serving;
        if self.is_ready() && serving && !self.seat.early.is_empty() {
            for request in std::mem::take(&mut self.seat.early) {
                self.serve_request(&request);
            }
        }
    }
}
