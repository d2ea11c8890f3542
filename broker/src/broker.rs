//! The machine of one shard: what it holds, and the one place where inputs are told apart. What each request means is in
//! `api`, how requests are split and gathered in `front`, what a partition does in `partition`.

use crate::api;
use crate::append_then::Then;
use crate::controller::seat::Seat;
use crate::disk::Disk;
use crate::front::message::{TellPart, Ticket};
use crate::front::patience::{Ending, Patience};
use crate::front::sessions::Sessions;
use crate::front::traffic::REQUEST_BYTES;
use crate::front::{Baggage, Conn, Front, Message};
use crate::group::wiring::Groups;
use crate::image::MetadataImage;
use crate::io::{ConnId, Effect, Input, Now, Origin, ReadFault, ShardId};
use crate::limits::{PARKED_RETRY_MS, PRODUCER_CHECK_INTERVAL_MS};
use crate::log_dirs::LogDirs;
use crate::partition::lifecycle::Adopted;
use crate::partition::{Partition, PartitionKey};
use crate::replay::{Replay, ReplayOf};
use crate::request::{Refusal, Request};
use crate::settings::BrokerSettings;
use crate::store::{LogId, Store};
use protocol::ErrorCode;
use protocol::batch::BatchView;
use protocol::large_produce::TopicRef;
use protocol::messages::keys::ApiKey;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// The metadata of the last run is known; what comes after is new.
    pub(crate) has_image: bool,
    pub(crate) front: Front<S::Chunk>,
    pub(crate) sessions: Sessions,
    pub(crate) partitions: BTreeMap<PartitionKey, Partition<S::Chunk>>,
    pub(crate) by_log: BTreeMap<LogId, PartitionKey>,
    /// Logs that recovery found and no image has named yet.
    pub(crate) adopted: BTreeMap<PartitionKey, Adopted>,
    /// Partitions with parked appends.
    pub(crate) parked: BTreeSet<PartitionKey>,
    /// The watches of each fetch, by the shard that gathers it and its gather.
    pub(crate) watching: BTreeMap<(ShardId, u64), Vec<(Ticket, PartitionKey)>>,
    pub(crate) disk: Disk<S::Chunk>,
    pub(crate) replays: BTreeMap<LogId, Replay>,
    /// Internal appends that ended and whose asker was not called yet.
    pub(crate) own_done: VecDeque<(Then, Result<(), ErrorCode>)>,
    /// What this turn has to tell other shards.
    pub(crate) outbox: BTreeMap<ShardId, Vec<TellPart<S::Chunk>>>,
    pub(crate) groups: Groups,
    /// What is known and asked of log directories.
    pub(crate) dirs: LogDirs,
    pub(crate) producers_checked_ms: u64,
    /// Administration.
    pub(crate) seat: Seat<S::Chunk>,
    pub(crate) effects: VecDeque<Effect<S::Chunk>>,
}

impl<S: Store> Broker<S> {
    /// The broker of shard `me` out of `shards`, without connections and without partitions.
    pub fn new(store: S, me: ShardId, shards: u16, settings: Arc<BrokerSettings>) -> Self {
        assert!(me.0 < shards, "shard {} of {shards}", me.0);
        let slots = settings.fetch_session_slots;
        Broker {
            store,
            now: Now::default(),
            me,
            shards,
            image: Arc::new(MetadataImage::new(Arc::clone(&settings))),
            has_image: false,
            front: Front::new(),
            sessions: Sessions::new(slots.div_ceil(usize::from(shards)), settings.incarnation, me, shards),
            partitions: BTreeMap::new(),
            by_log: BTreeMap::new(),
            adopted: BTreeMap::new(),
            parked: BTreeSet::new(),
            watching: BTreeMap::new(),
            disk: Disk::new(),
            replays: BTreeMap::new(),
            own_done: VecDeque::new(),
            outbox: BTreeMap::new(),
            groups: Groups::new(&settings, me, shards),
            dirs: LogDirs::default(),
            producers_checked_ms: 0,
            seat: Seat::new(settings.loggers.clone()),
            effects: VecDeque::new(),
            settings,
        }
    }

    /// Begins to serve, after all recovered logs were adopted: shard 0 reads the metadata log and tells the others.
    pub fn start(&mut self, now: Now) {
        self.now = now;
        self.producers_checked_ms = now.mono_ms;
        if self.me == ShardId(0) {
            self.open_metadata();
        }
        self.settle();
    }

    /// Takes one input, as of `now`.
    pub fn handle(&mut self, input: Input<S::Chunk>, now: Now) {
        self.now = now;
        match input {
            Input::Opened { conn, peer, local } => {
                self.front.conns.insert(conn, Conn::new(peer, local));
            }
            Input::Arrived { conn, peer, local, baggage } => self.arrive(conn, Conn::new(peer, local), baggage),
            Input::Closed { conn } => {
                self.end_wait(conn, Ending::Closed);
                self.front.conns.remove(&conn);
                self.drop_polls(conn);
            }
            Input::Frame { conn, seq, frame } => self.frame(conn, seq, frame),
            Input::SplitFrame { conn, seq, frame, records } => self.split_frame(conn, seq, frame, records),
            Input::Peer { from, msg } => self.peer(from, msg),
            Input::Store(event) => self.stored(event),
            Input::ReadDone { ticket, result } => self.read_done(ticket, result),
            Input::TimeFound { ticket, result } => self.time_found(ticket, result),
            Input::DirsMeasured { ticket, volumes } => self.dirs_measured(ticket, volumes),
            Input::Stopping => self.end_all_holds(),
            Input::Tick => self.tick(),
        }
        self.settle();
    }

    /// A connection goes to another shard. None of its requests is under way; later answers to it would be lost.
    pub fn depart(&mut self, conn: ConnId) -> Baggage {
        let Some(known) = self.front.conns.remove(&conn) else { return Baggage::default() };
        let session = known.session.and_then(|id| Some((id, self.sessions.take(id)?)));
        Baggage { session, patience: known.patience }
    }

    fn arrive(&mut self, conn: ConnId, mut known: Conn, baggage: Baggage) {
        known.patience = baggage.patience;
        if let Some((id, session)) = baggage.session
            && self.sessions.put(id, session, self.now.mono_ms)
        {
            known.session = Some(id);
        }
        self.front.conns.insert(conn, known);
    }

    /// Notes whose partitions a connection of ours works on, and lets it go there if that is nearly all it does.
    pub(crate) fn note_traffic(&mut self, origin: Origin, owner: ShardId, bytes: usize) {
        if !self.settings.core_connection_moves || self.shards == 1 || origin.shard != self.me {
            return;
        }
        let window = self.settings.core_connection_moves_bytes;
        let Some(conn) = self.front.conns.get_mut(&origin.conn) else { return };
        if let Some(to) = conn.traffic.note(owner, bytes as u64 + REQUEST_BYTES, window)
            && to != self.me
        {
            self.effects.push_back(Effect::Move { conn: origin.conn, to });
            // It goes when nothing of it is under way, and reads nothing until then.
            self.end_wait(origin.conn, Ending::NextRequest);
        }
    }

    /// The next effect, until there is none.
    pub fn poll_effect(&mut self) -> Option<Effect<S::Chunk>> {
        self.effects.pop_front()
    }

    /// When [`Input::Tick`] is due at the latest, in monotonic milliseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        let waits = self.front.deadlines.first().map(|(deadline_ms, _)| *deadline_ms);
        let parked = (!self.parked.is_empty()).then_some(self.now.mono_ms + PARKED_RETRY_MS);
        let producers = Some(self.producers_checked_ms + PRODUCER_CHECK_INTERVAL_MS);
        let groups = self.groups.coordinator.next_deadline();
        [waits, parked, producers, groups, self.seat.deadline()].into_iter().flatten().min()
    }

    fn tick(&mut self) {
        while let Some(id) = self.front.late(self.now.mono_ms) {
            self.late(id);
        }
        self.retry_parked();
        self.expire_producers();
        self.groups_on_time();
    }

    /// Ends a turn: calls back our own askers and sends what is to be told.
    fn settle(&mut self) {
        self.call_back();
        self.settle_admin();
        self.flush_outbox();
    }

    /// The current metadata.
    pub fn image(&self) -> &Arc<MetadataImage> {
        &self.image
    }

    /// The log that a large batch for this partition would be appended to, if that is one of this shard which takes
    /// batches as they come, now: there, room may be made for it while it arrives.
    pub fn place_of(&self, topic: &TopicRef<'_>, partition: i32, batch_bytes: usize) -> Option<LogId> {
        api::k00_produce::place_of(self, topic, partition, batch_bytes)
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
        self.end_wait(conn, Ending::NextRequest);
        let Some(known) = self.front.conns.get(&conn).cloned() else { return };
        let origin = Origin { shard: self.me, conn, seq };
        self.serve(origin, frame, known.local, known.peer, known.patience);
    }

    fn split_frame(&mut self, conn: ConnId, seq: u64, frame: S::Chunk, records: S::Chunk) {
        self.end_wait(conn, Ending::NextRequest);
        let Some(known) = self.front.conns.get(&conn).cloned() else { return };
        let origin = Origin { shard: self.me, conn, seq };
        let served = Request::decode(origin, frame, known.local, known.peer, known.patience)
            .and_then(|request| api::k00_produce::handle_split(self, &request, records));
        if let Err(refusal) = served {
            self.close(origin, &refusal);
        }
    }

    fn serve(&mut self, origin: Origin, frame: S::Chunk, local: SocketAddr, peer: SocketAddr, patience: Patience) {
        match Request::decode(origin, frame, local, peer, patience) {
            Ok(request) => self.serve_request(&request),
            Err(refusal) => self.close(origin, &refusal),
        }
    }

    /// Serves a request whose header is known.
    pub(crate) fn serve_request(&mut self, request: &Request<S::Chunk>) {
        if let Err(refusal) = self.dispatch(request) {
            self.close(request.origin, &refusal);
        }
    }

    /// The one table of what is served. ApiVersions answers any version; everything else what Kafka 4.3.1 serves,
    /// and what it removed where `legacy.clients` says so.
    fn dispatch(&mut self, request: &Request<S::Chunk>) -> Result<(), Refusal> {
        let (key, version) = (request.header.key, request.header.version);
        if !api::SERVED.contains(&key) {
            return api::unserved::handle(self, request);
        }
        if key != ApiKey::ApiVersions && !self.settings.legacy_clients.serves(key, version) {
            return Err(Refusal::Version { key, version });
        }
        match key {
            ApiKey::Produce => api::k00_produce::handle(self, request),
            ApiKey::Fetch => api::k01_fetch::handle(self, request),
            ApiKey::ListOffsets => api::k02_list_offsets::handle(self, request),
            ApiKey::OffsetCommit => api::k08_offset_commit::handle(self, request),
            ApiKey::OffsetFetch => api::k09_offset_fetch::handle(self, request),
            ApiKey::FindCoordinator => api::k10_find_coordinator::handle(self, request),
            ApiKey::JoinGroup => api::k11_join_group::handle(self, request),
            ApiKey::Heartbeat => api::k12_heartbeat::handle(self, request),
            ApiKey::LeaveGroup => api::k13_leave_group::handle(self, request),
            ApiKey::SyncGroup => api::k14_sync_group::handle(self, request),
            ApiKey::DescribeGroups => api::k15_describe_groups::handle(self, request),
            ApiKey::ListGroups => api::k16_list_groups::handle(self, request),
            ApiKey::ApiVersions => api::k18_api_versions::handle(self, request),
            ApiKey::DeleteRecords => api::k21_delete_records::handle(self, request),
            ApiKey::OffsetForLeaderEpoch => api::k23_offset_for_leader_epoch::handle(self, request),
            ApiKey::DeleteGroups => api::k42_delete_groups::handle(self, request),
            ApiKey::OffsetDelete => api::k47_offset_delete::handle(self, request),
            ApiKey::Metadata => api::k03_metadata::handle(self, request),
            ApiKey::CreateTopics => api::k19_create_topics::handle(self, request),
            ApiKey::DeleteTopics => api::k20_delete_topics::handle(self, request),
            ApiKey::InitProducerId => api::k22_init_producer_id::handle(self, request),
            ApiKey::DescribeConfigs => api::k32_describe_configs::handle(self, request),
            ApiKey::AlterConfigs => api::k33_alter_configs::handle(self, request),
            ApiKey::IncrementalAlterConfigs => api::k44_incremental_alter_configs::handle(self, request),
            ApiKey::AlterReplicaLogDirs => api::k34_alter_replica_log_dirs::handle(self, request),
            ApiKey::DescribeLogDirs => api::k35_describe_log_dirs::handle(self, request),
            ApiKey::CreatePartitions => api::k37_create_partitions::handle(self, request),
            ApiKey::DescribeCluster => api::k60_describe_cluster::handle(self, request),
            ApiKey::DescribeProducers => api::k61_describe_producers::handle(self, request),
            ApiKey::UnregisterBroker => api::k64_unregister_broker::handle(self, request),
            ApiKey::ListConfigResources => api::k74_list_config_resources::handle(self, request),
            ApiKey::ConsumerGroupHeartbeat => api::k68_consumer_group_heartbeat::handle(self, request),
            ApiKey::ConsumerGroupDescribe => api::k69_consumer_group_describe::handle(self, request),
            ApiKey::DescribeTopicPartitions => api::k75_describe_topic_partitions::handle(self, request),
            _ => Err(Refusal::Key { key: key as i16 }),
        }
    }

    fn peer(&mut self, from: ShardId, msg: Message<S::Chunk>) {
        match msg {
            Message::Forward { origin, frame, local, peer, patience } => {
                self.serve(origin, frame, local, peer, patience);
            }
            Message::EndHold { conn, ending } => self.end_hold(from, conn, ending),
            Message::Answer { origin, parts } => self.answer(origin, parts),
            Message::Close { origin, reason } => {
                self.effects.push_back(Effect::Close { conn: origin.conn, seq: origin.seq, reason });
            }
            Message::Ask { gather, parts } => self.asked(from, gather, parts),
            Message::Tell { parts } => {
                for (ticket, tell) in parts {
                    self.told(from, ticket, tell);
                }
            }
            Message::Unwatch { gather } => self.unwatch(from, gather),
            Message::GroupAsk { ticket, ask } => self.group_asked(ticket, ask),
            Message::GroupTell { ticket, tell } => self.group_told(ticket, tell),
            Message::DirsAsk { gather, wanted } => {
                let replicas = self.replicas_here(&wanted);
                self.effects.push_back(Effect::Send { to: from, msg: Message::DirsTell { gather, replicas } });
            }
            Message::DirsTell { gather, replicas } => self.dirs_told(gather, replicas),
            Message::DirWish(wish) => self.wished(wish),
            Message::Image(image) => {
                let version = image.version();
                self.apply_image(image);
                self.effects.push_back(Effect::Send { to: from, msg: Message::ImageApplied { version } });
            }
            Message::ImageApplied { version } => self.image_applied(from, version),
            Message::EnsureTopic { name } => self.ensure_topic(&name),
            Message::WantProducerIds => self.reserve_ids(from),
            Message::ProducerIds { first } => self.ids_granted(first),
        }
    }

    /// A batch of an internal log that is being replayed.
    pub(crate) fn replayed(&mut self, of: ReplayOf, batch: &BatchView<'_>) {
        match of {
            ReplayOf::Offsets(partition) => self.group_replayed(partition, batch),
            ReplayOf::Controller => self.metadata_replayed(batch),
        }
    }

    /// A replay is over: all batches were handed out, or the log cannot be read.
    pub(crate) fn replay_done(&mut self, of: ReplayOf, result: Result<(), ReadFault>) {
        match of {
            ReplayOf::Offsets(partition) => self.group_replay_done(partition, result),
            ReplayOf::Controller => self.metadata_replay_done(result),
        }
    }
}
