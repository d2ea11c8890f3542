//! How partitions come and go: what recovery found, what the metadata image says, and what storage reports.

use super::accept::AppendRules;
use super::producers::{Producers, Sequenced};
use super::{METADATA_LOG, Partition, PartitionKey, snapshot};
use crate::Broker;
use crate::config::topic_settings::{CompressionType, TimestampType};
use crate::config::{CleanerSettings, TopicSettings};
use crate::controller::limits::SEGMENT_BYTES;
use crate::controller::seat::CONTROLLER;
use crate::front::Message;
use crate::front::message::{Fetched, Tell};
use crate::group::wiring::OFFSETS_TOPIC;
use crate::image::{Change, MetadataImage, PartitionChange, TopicImage, diff, shard_of};
use crate::io::Effect;
use crate::limits::PRODUCER_CHECK_INTERVAL_MS;
use crate::replay::ReplayOf;
use crate::store::{Home, LogId, LogSettings, LogSpec, Store, StoreEvent};
use protocol::batch::{BatchHeader, HEADER_LEN, NO_PRODUCER_ID};
use protocol::compress::Codec;
use protocol::{ErrorCode, Uuid};
use std::sync::Arc;

/// A log that recovery found, for [`Broker::adopt`].
#[derive(Clone, Debug)]
pub struct RecoveredLog {
    /// The open log.
    pub log: LogId,
    /// The topic's id as the files have it.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// The newest usable state that [`Store::put_snapshot`] kept, with the offset that it covers up to.
    pub snapshot: Option<(i64, Vec<u8>)>,
    /// The headers of all batches from the snapshot's offset on, or of all batches.
    pub headers: Vec<[u8; HEADER_LEN]>,
}

/// A recovered log that the metadata image has not named yet.
#[derive(Debug)]
pub(crate) struct Adopted {
    log: LogId,
    producers: Producers,
    /// The offset that the snapshot they came from covers up to.
    snapshot: Option<i64>,
    is_offline: bool,
}

impl Adopted {
    fn of(log: LogId) -> Adopted {
        Adopted { log, producers: Producers::default(), snapshot: None, is_offline: false }
    }
}

impl<S: Store> Broker<S> {
    /// Takes over a log that recovery found. Call it for all of this shard's logs before [`Broker::start`].
    pub fn adopt(&mut self, found: &RecoveredLog) {
        let key = PartitionKey { topic: found.topic_id, index: found.partition };
        if key == METADATA_LOG {
            self.seat.keep.found(found.snapshot.clone());
            self.adopted.insert(key, Adopted::of(found.log));
            return;
        }
        let producers = recover_producers(found, self.now.wall_ms);
        let snapshot = found.snapshot.as_ref().map(|(upto, _)| *upto);
        self.adopted.insert(key, Adopted { producers, snapshot, ..Adopted::of(found.log) });
    }

    /// Takes over a log that recovery found and could not read: its clients get KAFKA_STORAGE_ERROR (56), as for an offline
    /// log folder of Kafka's, until a start that can. Call it as [`Broker::adopt`].
    pub fn adopt_unreadable(&mut self, log: LogId, topic_id: Uuid, partition: i32) {
        let key = PartitionKey { topic: topic_id, index: partition };
        self.adopted.insert(key, Adopted { is_offline: true, ..Adopted::of(log) });
    }

    /// Logs that were adopted and that no image has named so far: of topics deleted while this broker was down, or put here by
    /// something else. They are left alone.
    pub fn strays(&self) -> impl Iterator<Item = LogId> + '_ {
        self.adopted.values().map(|adopted| adopted.log)
    }

    /// The highest producer id in the logs that were adopted and not named yet.
    pub fn highest_producer_id(&self) -> Option<i64> {
        self.adopted.values().filter_map(|adopted| adopted.producers.iter().map(|(id, _)| id).max()).max()
    }

    /// Shard 0 opens its metadata log, made anew at the very first start, and replays it.
    pub(crate) fn open_metadata(&mut self) {
        let settings = TopicSettings::resolve(self.image.layers(), &Default::default(), true);
        // Retention is for topics: whoever deletes metadata deletes the cluster.
        let settings = LogSettings {
            segment_bytes: SEGMENT_BYTES,
            delete_policy: false,
            compact_policy: false,
            retention_ms: -1,
            retention_bytes: -1,
            preallocate: false,
            ..settings.log_settings()
        };
        let spec = LogSpec {
            topic: "__cluster_metadata".to_owned(),
            topic_id: METADATA_LOG.topic.0,
            partition: METADATA_LOG.index,
            settings,
            home: Home::Any,
        };
        let rules = AppendRules::default();
        self.open_partition(METADATA_LOG, Arc::from(spec.topic.as_str()), &spec, rules, 0);
        let from = self.restore_metadata();
        self.start_replay(METADATA_LOG, ReplayOf::Controller, from);
    }

    /// Makes `image` current on this shard: makes, configures and deletes its partitions.
    pub fn apply_image(&mut self, image: Arc<MetadataImage>) {
        let changes = diff(&self.image, &image);
        let old = std::mem::replace(&mut self.image, image);
        self.groups_follow_image(&old);
        if !self.image.has_same_broker_configs(&old) {
            self.store.set_cleaner(&CleanerSettings::resolve(self.image.layers()));
            if self.me == CONTROLLER {
                self.effects.push_back(Effect::Reconfigured);
            }
        }
        for PartitionChange { topic, partition, what } in changes {
            if shard_of(topic.id, partition, self.shards) != self.me {
                continue;
            }
            let key = PartitionKey { topic: topic.id, index: partition };
            match what {
                Change::Created => self.create_partition(key, &topic),
                Change::Changed => self.configure_partition(key, &topic),
                Change::Removed => self.remove_partition(key),
            }
        }
        self.has_image = true;
    }

    /// Makes `image` current here and sends it to all other shards, each of which answers `ImageApplied`.
    pub fn publish_image(&mut self, image: &Arc<MetadataImage>) {
        self.apply_image(Arc::clone(image));
        for to in (0..self.shards).map(crate::ShardId).filter(|shard| *shard != self.me) {
            self.effects.push_back(Effect::Send { to, msg: Message::Image(Arc::clone(image)) });
        }
    }

    fn create_partition(&mut self, key: PartitionKey, topic: &TopicImage) {
        let spec = LogSpec {
            topic: topic.name.to_string(),
            topic_id: topic.id.0,
            partition: key.index,
            settings: topic.settings.log_settings(),
            home: self.home_of(key, &topic.name),
        };
        let epoch = topic.partition(key.index).map_or(0, |partition| partition.leader_epoch);
        self.open_partition(key, Arc::clone(&topic.name), &spec, rules_of(&topic.settings), epoch);
        if &*topic.name == OFFSETS_TOPIC {
            self.group_load_begins(key.index);
            self.start_replay(key, ReplayOf::Offsets(key.index), 0);
        }
    }

    /// Where the log of a partition goes that was not found. One that the metadata knew at the start may lie in a directory that
    /// cannot be read: an empty log in its place would be taken for all there ever was.
    fn home_of(&mut self, key: PartitionKey, topic: &Arc<str>) -> Home {
        let may_be_hidden = !self.has_image && self.settings.log_dirs.iter().any(|dir| dir.is_offline);
        if may_be_hidden && !self.adopted.contains_key(&key) {
            return Home::Offline;
        }
        self.dirs.take_wish(topic, key.index).map_or(Home::Any, Home::Dir)
    }

    fn open_partition(&mut self, key: PartitionKey, name: Arc<str>, spec: &LogSpec, rules: AppendRules, epoch: i32) {
        let adopted = match self.adopted.remove(&key) {
            Some(adopted) => {
                self.store.configure(adopted.log, &spec.settings);
                adopted
            }
            None => Adopted { is_offline: spec.home == Home::Offline, ..Adopted::of(self.store.create(spec)) },
        };
        let log = adopted.log;
        let mut partition = Partition::new(name, log, rules, epoch, self.store.offsets(log));
        partition.producers = adopted.producers;
        partition.snapshots.kept = adopted.snapshot;
        partition.is_offline = adopted.is_offline;
        self.by_log.insert(log, key);
        self.partitions.insert(key, partition);
    }

    fn configure_partition(&mut self, key: PartitionKey, topic: &TopicImage) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        partition.rules = rules_of(&topic.settings);
        if let Some(image) = topic.partition(key.index) {
            partition.leader_epoch = image.leader_epoch;
        }
        if !marks::planted!("broker: keep the settings of logs as they were") {
            self.store.configure(partition.log, &topic.settings.log_settings());
        }
    }

    fn remove_partition(&mut self, key: PartitionKey) {
        let Some(partition) = self.partitions.remove(&key) else { return };
        self.by_log.remove(&partition.log);
        self.parked.remove(&key);
        self.replays.remove(&partition.log);
        self.store.delete(partition.log);
        for pending in partition.pending {
            self.fail_waiter(pending.waiter, ErrorCode::UnknownTopicOrPartition);
        }
        for parked in partition.parked {
            self.fail_parked(parked, ErrorCode::UnknownTopicOrPartition);
        }
        for ticket in partition.watches.into_keys() {
            self.tell(ticket, Tell::Fetched(Fetched::failed(ErrorCode::UnknownTopicOrPartition)));
        }
    }

    /// Storage found something out.
    pub(crate) fn stored(&mut self, event: StoreEvent) {
        let (StoreEvent::Durable { log, .. }
        | StoreEvent::Fenced { log }
        | StoreEvent::Rejected { log, .. }
        | StoreEvent::StartMoved { log, .. }
        | StoreEvent::Sealed { log }
        | StoreEvent::Uncompacted { log }) = event;
        let Some(key) = self.by_log.get(&log).copied() else { return };
        match event {
            StoreEvent::Durable { upto, .. } => self.durable(key, upto),
            StoreEvent::Fenced { .. } => self.fenced(key),
            StoreEvent::Rejected { from, .. } => self.rejected(key, from),
            StoreEvent::StartMoved { start, .. } => self.start_moved(key, start),
            StoreEvent::Sealed { .. } => self.sealed(key),
            StoreEvent::Uncompacted { .. } => self.compact(key),
        }
        self.retry_parked();
    }

    fn start_moved(&mut self, key: PartitionKey, start: i64) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        partition.offsets.start = partition.offsets.start.max(start);
        // A fetch that waits below the new start has to learn that its offset is gone.
        self.wake_watches(key);
    }

    fn sealed(&mut self, key: PartitionKey) {
        if key == METADATA_LOG {
            return self.keep_metadata();
        }
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        let end = partition.offsets.end;
        if partition.snapshots.kept == Some(end) {
            return;
        }
        partition.take_snapshot();
        if end <= partition.offsets.durable {
            self.keep_snapshot(key);
        }
    }

    /// What is below the high watermark may be compacted; a producer's last batch stays, for its sequence numbers.
    fn compact(&mut self, key: PartitionKey) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        let last_batches = partition.producers.last_offsets().collect();
        self.store.compact(partition.log, partition.offsets.durable, last_batches);
    }

    fn keep_snapshot(&mut self, key: PartitionKey) {
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        if let Some((covers, state)) = partition.snapshots.taken.take() {
            partition.snapshots.kept = Some(covers);
            self.store.put_snapshot(partition.log, covers, state);
        }
    }

    /// Before a clean end: keeps the metadata and every partition's producer state, so that the next start need not read the logs.
    pub fn keep_snapshots(&mut self) {
        let keys: Vec<_> = self.partitions.keys().copied().collect();
        for key in keys {
            self.sealed(key);
        }
    }

    /// Forgets producers that were silent too long, now and then.
    pub(crate) fn expire_producers(&mut self) {
        if self.now.mono_ms < self.producers_checked_ms + PRODUCER_CHECK_INTERVAL_MS {
            return;
        }
        self.producers_checked_ms = self.now.mono_ms;
        let Some(expiration_ms) = self.image.layers().broker_parsed("producer.id.expiration.ms") else { return };
        for partition in self.partitions.values_mut() {
            partition.producers.expire(self.now.wall_ms, expiration_ms);
        }
    }
}

/// The producers as of the log's end: the snapshot, and the batches behind it.
fn recover_producers(found: &RecoveredLog, now_ms: i64) -> Producers {
    let mut producers = Producers::default();
    let mut from = 0;
    if let Some((upto, state)) = &found.snapshot {
        match snapshot::decode(state) {
            Ok(decoded) => (producers, from) = (decoded, *upto),
            Err(error) => tracing::warn!(log = found.log.0, upto, %error, "producer snapshot not usable"),
        }
    }
    for bytes in &found.headers {
        let header = BatchHeader::decode(bytes);
        if marks::planted!("broker: forget the batches behind a snapshot") && from > 0 {
            continue;
        }
        if header.base_offset < from || header.producer_id == NO_PRODUCER_ID || header.base_sequence < 0 {
            continue;
        }
        let last = header.base_sequence.wrapping_add(header.last_offset_delta) & i32::MAX;
        let batch = Sequenced {
            producer_id: header.producer_id,
            epoch: header.producer_epoch,
            first: header.base_sequence,
            last,
        };
        producers.record(&batch, header.base_offset, header.max_timestamp, now_ms);
    }
    if marks::planted!("broker: forget the producers at a start") { Producers::default() } else { producers }
}

/// What appends need of a topic's settings.
fn rules_of(settings: &TopicSettings) -> AppendRules {
    let codec = match settings.compression_type {
        CompressionType::Producer => None,
        CompressionType::Uncompressed => Some((Codec::None, None)),
        CompressionType::Gzip => Some((Codec::Gzip, Some(settings.compression_gzip_level).filter(|level| *level >= 0))),
        CompressionType::Snappy => Some((Codec::Snappy, None)),
        CompressionType::Lz4 => Some((Codec::Lz4, Some(settings.compression_lz4_level))),
        CompressionType::Zstd => Some((Codec::Zstd, Some(settings.compression_zstd_level))),
    };
    AppendRules {
        batch_bytes_max: settings.max_message_bytes.unsigned_abs() as usize,
        segment_bytes: settings.segment_bytes.unsigned_abs() as usize,
        before_max_ms: settings.message_timestamp_before_max_ms,
        after_max_ms: settings.message_timestamp_after_max_ms,
        log_append_time: settings.message_timestamp_type == TimestampType::LogAppendTime,
        keys_required: settings.cleanup_policy.compact,
        codec,
    }
}
