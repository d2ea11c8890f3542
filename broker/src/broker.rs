//! The machine of one shard: what it holds, and the one place where inputs are told apart. What each request means is in
//! `api`, how requests are split and gathered in `front`, what a partition does in `partition`.

use crate::api;
use crate::front::{Conn, Front, Message};
use crate::image::MetadataImage;
use crate::io::{ConnId, Effect, Input, Now, Origin, ShardId};
use crate::request::{Refusal, Request};
use crate::settings::BrokerSettings;
use crate::store::Store;
use protocol::messages::keys::{ApiKey, supported};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// One shard's broker.
///
/// Calling order: [`Broker::new`], then for every turn [`Broker::handle`] for each input, [`Broker::poll_effect`] until it is
/// `None`, and a [`Input::Tick`] no later than [`Broker::next_deadline`]. Answers may leave in another order than their requests
/// came: the transport puts them in order by `seq`.
#[derive(Debug)]
pub struct Broker<S: Store> {
    pub(crate) store: S,
    pub(crate) now: Now,
    pub(crate) me: ShardId,
    pub(crate) shards: u16,
    pub(crate) settings: Arc<BrokerSettings>,
    pub(crate) image: Arc<MetadataImage>,
    pub(crate) front: Front<S::Chunk>,
    pub(crate) effects: VecDeque<Effect<S::Chunk>>,
}

impl<S: Store> Broker<S> {
    /// The broker of shard `me` out of `shards`, without connections and without partitions.
    pub fn new(store: S, me: ShardId, shards: u16, settings: Arc<BrokerSettings>) -> Self {
        assert!(me.0 < shards, "shard {} of {shards}", me.0);
        Broker {
            store,
            now: Now::default(),
            me,
            shards,
            image: Arc::new(MetadataImage::new(Arc::clone(&settings))),
            settings,
            front: Front::new(),
            effects: VecDeque::new(),
        }
    }

    /// Takes one input, as of `now`.
    pub fn handle(&mut self, input: Input<S::Chunk>, now: Now) {
        self.now = now;
        match input {
            Input::Opened { conn, peer, local } => {
                self.front.conns.insert(conn, Conn { peer, local });
            }
            Input::Closed { conn } => {
                self.front.conns.remove(&conn);
            }
            Input::Frame { conn, seq, frame } => self.frame(conn, seq, frame),
            Input::Peer { from, msg } => self.peer(from, msg),
            Input::Store(_) | Input::ReadDone { .. } | Input::TimeFound { .. } | Input::Tick => {}
        }
    }

    /// The next effect, until there is none.
    pub fn poll_effect(&mut self) -> Option<Effect<S::Chunk>> {
        self.effects.pop_front()
    }

    /// When [`Input::Tick`] is due at the latest, in monotonic milliseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        self.front.deadlines.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// The storage of this shard.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The storage of this shard.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    fn frame(&mut self, conn: ConnId, seq: u64, frame: S::Chunk) {
        let Some(known) = self.front.conns.get(&conn).cloned() else { return };
        let origin = Origin { shard: self.me, conn, seq };
        self.serve(origin, frame, known.local, known.peer);
    }

    fn serve(&mut self, origin: Origin, frame: S::Chunk, local: SocketAddr, peer: SocketAddr) {
        let served = Request::decode(origin, frame, local, peer).and_then(|request| self.dispatch(&request));
        if let Err(refusal) = served {
            self.close(origin, &refusal);
        }
    }

    /// The one table of what is served. ApiVersions answers any version; everything else only what is advertised.
    fn dispatch(&mut self, request: &Request<S::Chunk>) -> Result<(), Refusal> {
        let (key, version) = (request.header.key, request.header.version);
        if !api::SERVED.contains(&key) {
            return Err(Refusal::Key { key: key as i16 });
        }
        if key != ApiKey::ApiVersions && !supported(key).is_some_and(|range| range.contains(version)) {
            return Err(Refusal::Version { key, version });
        }
        match key {
            ApiKey::ApiVersions => api::k18_api_versions::handle(self, request),
            _ => Err(Refusal::Key { key: key as i16 }),
        }
    }

    fn peer(&mut self, _from: ShardId, msg: Message<S::Chunk>) {
        match msg {
            Message::Forward { origin, frame, local, peer } => self.serve(origin, frame, local, peer),
            Message::Answer { origin, parts } => self.answer(origin, parts),
            Message::Close { origin, reason } => {
                self.effects.push_back(Effect::Close { conn: origin.conn, seq: origin.seq, reason });
            }
            Message::Ask { .. }
            | Message::Tell { .. }
            | Message::Unwatch { .. }
            | Message::Image(_)
            | Message::ImageApplied { .. } => {}
        }
    }
}
