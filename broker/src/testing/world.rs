//! All shards of one broker, driven together: effects become inputs, in an order that the seed chooses. Between two shards messages
//! keep their order, as in a mailbox; everything else may overtake everything.

use super::store::{Memory, MemoryChunk};
use crate::controller::record::{PartitionRecord, Record, Resource};
use crate::image::{MetadataImage, shard_of};
use crate::io::{ConnId, Effect, Input, Now, ReadFault, ReplyPart, ShardId};
use crate::log_dirs::Volume;
use crate::loggers::Loggers;
use crate::partition::METADATA_LOG;
use crate::partition::lifecycle::RecoveredLog;
use crate::settings::BrokerSettings;
use crate::store::{Chunk, LogId, ReadRange, Store, StoreEvent};
use crate::{Broker, Message, PartitionKey, Then};
use protocol::Uuid;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer, without its length prefix.
    Reply(Vec<u8>),
    /// No answer is due.
    NoReply,
    /// The connection was closed, for this reason.
    Close(String),
}

/// Something that is under way to a shard.
#[derive(Debug)]
enum Underway {
    Read { ticket: u64, log: LogId, range: ReadRange },
    Find { ticket: u64, log: LogId, timestamp: i64 },
    Measure { ticket: u64 },
}

/// One broker of several shards, its storage and its clock.
#[derive(Debug)]
pub struct World {
    /// The shards.
    pub brokers: Vec<Broker<Memory>>,
    /// What time it is.
    pub now: Now,
    /// Whether [`World::run`] flushes by itself.
    pub flushes: bool,
    /// How often broker configuration changed for others than the broker.
    pub reconfigured: usize,
    /// The levels that our loggers were given last.
    pub loggers: Loggers,
    settings: Arc<BrokerSettings>,
    image: Arc<MetadataImage>,
    mail: BTreeMap<(ShardId, ShardId), VecDeque<Message<MemoryChunk>>>,
    events: Vec<VecDeque<StoreEvent>>,
    disk: Vec<VecDeque<Underway>>,
    outcomes: BTreeMap<(ConnId, u64), Outcome>,
    conns: BTreeMap<ConnId, (usize, u64)>,
    random: u64,
}

/// What [`World::step`] may do next.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Mail(ShardId, ShardId),
    Event(usize),
    Disk(usize),
}

impl World {
    /// A broker of `shards` shards with default settings; `seed` orders what is not ordered.
    pub fn new(shards: u16, seed: u64) -> World {
        World::with(shards, seed, BrokerSettings::default())
    }

    /// As [`World::new`], with these settings.
    pub fn with(shards: u16, seed: u64, settings: BrokerSettings) -> World {
        let settings = Arc::new(settings);
        let image = Arc::new(MetadataImage::new(Arc::clone(&settings)));
        let stores = (0..shards).map(|_| Memory::default()).collect();
        let mut world = World {
            brokers: Vec::new(),
            now: Now { mono_ms: 1_000, wall_ms: 1_700_000_000_000 },
            flushes: true,
            reconfigured: 0,
            loggers: Loggers::default(),
            settings,
            image,
            mail: BTreeMap::new(),
            events: (0..shards).map(|_| VecDeque::new()).collect(),
            disk: (0..shards).map(|_| VecDeque::new()).collect(),
            outcomes: BTreeMap::new(),
            conns: BTreeMap::new(),
            random: seed,
        };
        world.boot(stores);
        world
    }

    fn boot(&mut self, stores: Vec<Memory>) {
        let shards = stores.len() as u16;
        let start = |(shard, store)| Broker::new(store, ShardId(shard), shards, Arc::clone(&self.settings));
        self.brokers = (0..shards).zip(stores).map(start).collect();
    }

    /// Makes a topic and waits until all shards have it.
    pub fn topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Uuid {
        let id = Uuid(u128::from(self.draw()).to_be_bytes());
        let mut records = vec![Record::Topic { name: name.to_owned(), id }];
        records.extend((0..partitions).map(|partition| partition_record(id, partition, 0)));
        records.extend(configs.iter().map(|(key, value)| Record::Config {
            resource: Resource::Topic(id),
            key: (*key).to_owned(),
            value: Some((*value).to_owned()),
        }));
        self.change(&records);
        id
    }

    /// Raises the leader epoch of a partition.
    pub fn new_epoch(&mut self, topic: Uuid, partition: i32, epoch: i32) {
        self.change(&[partition_record(topic, partition, epoch)]);
    }

    /// Applies metadata records everywhere.
    pub fn change(&mut self, records: &[Record]) {
        let next = self.image.with(records, self.image.version() + records.len() as i64);
        self.image = Arc::new(next.expect("the records fit the image"));
        self.publish();
    }

    fn publish(&mut self) {
        let image = Arc::clone(&self.image);
        self.brokers[0].publish_image(&image);
        self.run();
    }

    /// Opens a connection at a shard.
    pub fn connect(&mut self, shard: usize) -> ConnId {
        let conn = ConnId(self.conns.len() as u64);
        self.conns.insert(conn, (shard, 0));
        let address = SocketAddr::from(([127, 0, 0, 1], 9092));
        self.brokers[shard].handle(Input::Opened { conn, peer: address, local: address }, self.now);
        conn
    }

    /// Closes a connection.
    pub fn disconnect(&mut self, conn: ConnId) {
        let (shard, _) = self.conns[&conn];
        self.brokers[shard].handle(Input::Closed { conn }, self.now);
    }

    /// Sends a request frame and returns its place on the connection. Nothing else happens yet.
    pub fn send(&mut self, conn: ConnId, frame: Vec<u8>) -> u64 {
        let (shard, next) = self.conns.get_mut(&conn).expect("the connection is open");
        let (shard, seq) = (*shard, *next);
        *next += 1;
        self.brokers[shard].handle(Input::Frame { conn, seq, frame: MemoryChunk::from_vec(frame) }, self.now);
        self.drain(shard);
        seq
    }

    /// How a request ended, if it did.
    pub fn outcome(&self, conn: ConnId, seq: u64) -> Option<&Outcome> {
        self.outcomes.get(&(conn, seq))
    }

    /// Sends a request, runs, and returns how it ended.
    pub fn ask(&mut self, conn: ConnId, frame: Vec<u8>) -> Outcome {
        let seq = self.send(conn, frame);
        self.run();
        self.outcome(conn, seq).cloned().expect("the request has ended")
    }

    /// Lets time pass and ticks every shard.
    pub fn advance(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms as i64;
        for shard in 0..self.brokers.len() {
            self.brokers[shard].handle(Input::Tick, self.now);
        }
        self.run();
    }

    /// Tells every shard that the process stops.
    pub fn stop(&mut self) {
        for shard in 0..self.brokers.len() {
            self.brokers[shard].handle(Input::Stopping, self.now);
        }
        self.run();
    }

    /// Goes on until nothing is under way.
    pub fn run(&mut self) {
        loop {
            while self.step() {}
            if !self.flushes || !self.brokers.iter().any(|broker| broker.store().is_dirty()) {
                return;
            }
            self.flush();
        }
    }

    /// Makes everything durable that was appended; the shards hear of it in [`World::run`].
    pub fn flush(&mut self) {
        for broker in &mut self.brokers {
            broker.store_mut().flush();
        }
    }

    /// The shard and log of a partition.
    pub fn log_of(&self, topic: Uuid, partition: i32) -> (usize, LogId) {
        let shard = usize::from(shard_of(topic, partition, self.brokers.len() as u16).0);
        (shard, self.brokers[shard].store().log_of(topic.0, partition).expect("the partition exists"))
    }

    /// Appends a batch of the broker's own, such as a marker, to a partition.
    pub fn append_own(&mut self, topic: Uuid, partition: i32, batch: Vec<u8>) {
        let (shard, _) = self.log_of(topic, partition);
        // No coordinator waits under this number.
        let then = Then::Group(u64::MAX);
        self.brokers[shard].append_then(PartitionKey { topic, index: partition }, batch, then);
        self.run();
    }

    /// Loses power: what was not durable is gone, and the shards, as many as `shards` now, start from what storage has.
    pub fn restart(&mut self, shards: u16) {
        self.reboot(shards);
        self.publish();
    }

    /// As [`World::restart`], with the metadata that the controller wrote into its log.
    pub fn restart_from_metadata(&mut self, shards: u16) {
        self.reboot(shards);
        for broker in &mut self.brokers {
            broker.start(self.now);
        }
        self.run();
    }

    fn reboot(&mut self, shards: u16) {
        let mut logs = Vec::new();
        for broker in self.brokers.drain(..) {
            let mut store = broker.store().clone();
            store.crash();
            logs.extend(store.logs.into_values());
        }
        self.mail.clear();
        self.outcomes.clear();
        self.conns.clear();
        self.events = (0..shards).map(|_| VecDeque::new()).collect();
        self.disk = (0..shards).map(|_| VecDeque::new()).collect();
        self.boot((0..shards).map(|_| Memory::default()).collect());
        for log in logs {
            let topic_id = Uuid(log.spec.topic_id);
            let partition = log.spec.partition;
            let metadata = topic_id == METADATA_LOG.topic;
            let shard = if metadata { 0 } else { usize::from(shard_of(topic_id, partition, shards).0) };
            let broker = &mut self.brokers[shard];
            let id = broker.store_mut().create(&log.spec.clone());
            let snapshot = log.snapshot.clone();
            broker.store_mut().logs.insert(id, log);
            let upto = snapshot.as_ref().map_or(0, |(upto, _)| *upto);
            let headers = broker.store().headers_from(id, upto);
            broker.adopt(&RecoveredLog { log: id, topic_id, partition, snapshot, headers });
        }
    }

    /// Does one thing that is under way, chosen by the seed. False when there is nothing.
    fn step(&mut self) -> bool {
        for shard in 0..self.brokers.len() {
            self.drain(shard);
        }
        let mut choices: Vec<Choice> = Vec::new();
        choices.extend(
            self.mail.iter().filter(|(_, queue)| !queue.is_empty()).map(|((from, to), _)| Choice::Mail(*from, *to)),
        );
        choices.extend((0..self.events.len()).filter(|shard| !self.events[*shard].is_empty()).map(Choice::Event));
        choices.extend((0..self.disk.len()).filter(|shard| !self.disk[*shard].is_empty()).map(Choice::Disk));
        if choices.is_empty() {
            return false;
        }
        let choice = choices[self.draw() as usize % choices.len()];
        let (shard, input) = self.take(choice);
        self.brokers[shard].handle(input, self.now);
        self.drain(shard);
        true
    }

    fn take(&mut self, choice: Choice) -> (usize, Input<MemoryChunk>) {
        match choice {
            Choice::Mail(from, to) => {
                let msg = self.mail.get_mut(&(from, to)).and_then(VecDeque::pop_front).expect("there is mail");
                (usize::from(to.0), Input::Peer { from, msg })
            }
            Choice::Event(shard) => (shard, Input::Store(self.events[shard].pop_front().expect("there is an event"))),
            Choice::Disk(shard) => {
                let at = self.draw() as usize % self.disk[shard].len();
                let underway = self.disk[shard].remove(at).expect("a read is under way");
                let store = self.brokers[shard].store();
                let input = match underway {
                    Underway::Read { ticket, log, range } => {
                        Input::ReadDone { ticket, result: store.read_disk(log, range) }
                    }
                    Underway::Measure { ticket } => {
                        let volume = |total_bytes: u64| Volume { total_bytes, usable_bytes: total_bytes / 2 };
                        let volumes = (1..).take(self.settings.log_dirs.len());
                        Input::DirsMeasured { ticket, volumes: volumes.map(|nth| Some(volume(nth << 30))).collect() }
                    }
                    Underway::Find { ticket, log, timestamp } => {
                        let result: Result<Option<MemoryChunk>, ReadFault> = store.find_time(log, timestamp);
                        Input::TimeFound { ticket, result }
                    }
                };
                (shard, input)
            }
        }
    }

    /// Takes what a shard wants done.
    fn drain(&mut self, shard: usize) {
        while let Some(effect) = self.brokers[shard].poll_effect() {
            match effect {
                Effect::Reply { conn, seq, parts } => {
                    self.end(conn, seq, Outcome::Reply(joined(parts)));
                }
                Effect::NoReply { conn, seq } => self.end(conn, seq, Outcome::NoReply),
                Effect::Close { conn, seq, reason } => self.end(conn, seq, Outcome::Close(reason)),
                Effect::Move { .. } => {}
                Effect::Reconfigured => self.reconfigured += 1,
                Effect::Loggers(loggers) => self.loggers = loggers,
                Effect::Send { to, msg } => {
                    let from = ShardId(shard as u16);
                    assert_ne!(from, to, "no shard writes to itself");
                    self.mail.entry((from, to)).or_default().push_back(msg);
                }
                Effect::ReadDisk { ticket, log, range, .. } => {
                    self.disk[shard].push_back(Underway::Read { ticket, log, range });
                }
                Effect::MeasureDirs { ticket } => self.disk[shard].push_back(Underway::Measure { ticket }),
                Effect::FindTime { ticket, log, timestamp } => {
                    self.disk[shard].push_back(Underway::Find { ticket, log, timestamp });
                }
            }
        }
        let events = self.brokers[shard].store_mut().take_events();
        self.events[shard].extend(events);
    }

    fn end(&mut self, conn: ConnId, seq: u64, outcome: Outcome) {
        let before = self.outcomes.insert((conn, seq), outcome);
        assert_eq!(before, None, "a request ends once");
    }

    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) >> 8
    }
}

fn partition_record(topic: Uuid, partition: i32, leader_epoch: i32) -> Record {
    Record::Partition(PartitionRecord { topic, partition, leader: 1, leader_epoch, replicas: vec![1], isr: vec![1] })
}

/// The frame behind its length prefix, which is checked.
fn joined(parts: Vec<ReplyPart<MemoryChunk>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            ReplyPart::Bytes(own) => bytes.extend(own),
            ReplyPart::Chunk(chunk) => bytes.extend_from_slice(&chunk),
        }
    }
    let (prefix, frame) = bytes.split_first_chunk::<4>().expect("a frame has a length");
    assert_eq!(i32::from_be_bytes(*prefix) as usize, frame.len(), "the length prefix");
    frame.to_vec()
}
