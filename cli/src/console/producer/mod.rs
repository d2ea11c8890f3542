//! Writing records: batches by partition, several requests on their way to each leader, and what failed sent again where that can
//! help. Idempotent, as Kafka's producer is: what was sent twice is written once, and the order stays.
//!
//! ```text
//! send(record) ─► Lane (one a partition: grows, queues, decides what failed) ─► Wire (one pipe a leader) ─► broker
//!                   ▲                                                            │
//!                   └──────────────── pump(): answers, deadlines ────────────────┘
//! ```
//!
//! Nobody waits in here but in [`Producer::wait`]; how records are read is in [`typing`](super::typing).

mod batch;
mod lane;
#[cfg(test)]
mod tests;
mod trouble;
mod wire;

use self::lane::{Identity, Lane};
use self::wire::Wire;
use super::partition::{self, Sticky};
use super::reader::Typed;
use crate::client::{Client, Error, Topic, Topics};
use crate::failure::Failure;
use protocol::compress::Codec;
use protocol::messages::InitProducerIdRequest;
use protocol::{ApiKey, ErrorCode};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How to write.
#[derive(Clone, Debug)]
pub(crate) struct ProducerSettings {
    pub(crate) topic: String,
    /// All records go here, if it is set.
    pub(crate) partition: Option<i32>,
    /// −1 for all, 1, or 0.
    pub(crate) acks: i16,
    pub(crate) codec: Codec,
    /// Bytes of a batch, before compression.
    pub(crate) batch_size: usize,
    /// How long a record waits for others.
    pub(crate) linger: Duration,
    pub(crate) retries: u32,
    pub(crate) retry_backoff: Duration,
    pub(crate) request_timeout: Duration,
    /// Within which a batch is written, retries included, or given up.
    pub(crate) delivery_timeout: Duration,
    /// How long to wait for the topic.
    pub(crate) max_block: Duration,
    pub(crate) metadata_max_age: Duration,
    pub(crate) max_request_size: usize,
    /// Bytes that may wait here; reading stops until there is room.
    pub(crate) buffer_memory: usize,
    /// Requests on their way to one leader.
    pub(crate) in_flight_max: usize,
    pub(crate) idempotent: bool,
    /// Each record by itself, acknowledged before the next is read.
    pub(crate) sync: bool,
}

/// How long a broker may take to create a topic that is asked for.
const CREATION: Duration = Duration::from_secs(5);
/// Pause between two looks at a topic that is coming.
const PAUSE: Duration = Duration::from_millis(50);

/// What became of records.
#[derive(Debug, Default)]
struct Tally {
    written: u64,
    /// What was not written, and why.
    lost: Vec<(u64, Failure)>,
}

/// See the module.
pub(crate) struct Producer {
    client: Client,
    settings: ProducerSettings,
    topic: Topic,
    /// Partitions that records without a key may go to.
    available: Vec<u32>,
    looked: Instant,
    /// By partition.
    lanes: BTreeMap<i32, Lane>,
    wire: Wire,
    sticky: Sticky,
    /// What lanes begin with, if they are idempotent.
    identity: Option<Identity>,
    /// About how many bytes wait here.
    held: usize,
    tally: Tally,
    notices: Vec<String>,
}

impl Producer {
    /// Finds the topic, and gets a producer id if one is needed.
    pub(crate) fn start(mut client: Client, settings: ProducerSettings) -> Result<Self, Failure> {
        let topic = find_topic(&mut client, &settings)?;
        if let Some(partition) = settings.partition
            && !topic.partitions.iter().any(|known| known.index == partition)
        {
            let text = format!("topic `{}` has no partition {partition}", settings.topic);
            return Err(Failure::not_found(text).hint(format!("it has {}", topic.partitions.len())));
        }
        let is_served = client.home()?.served().has(ApiKey::InitProducerId);
        let identity = if settings.idempotent && is_served { Some(identify(&mut client)?) } else { None };
        let seed = u64::from(std::process::id()) ^ u64::try_from(now_ms()).unwrap_or(1);
        Ok(Producer {
            // The broker may wait for replicas as long as it is told, and has as long as any request takes besides.
            wire: Wire::new(settings.request_timeout + client.settings().request_timeout),
            client,
            available: available(&topic),
            topic,
            looked: Instant::now(),
            lanes: BTreeMap::new(),
            sticky: Sticky::new(seed),
            identity,
            held: 0,
            tally: Tally::default(),
            notices: Vec::new(),
            settings,
        })
    }

    /// Records that were acknowledged; with `acks=0`, sent.
    pub(crate) fn written(&self) -> u64 {
        self.tally.written
    }

    /// What was not written since this was last asked, in words.
    pub(crate) fn take_lost(&mut self) -> Vec<(u64, Failure)> {
        std::mem::take(&mut self.tally.lost)
    }

    /// What the user should know and is no failure yet.
    pub(crate) fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Whether another record may be given.
    pub(crate) fn has_room(&self) -> bool {
        if self.settings.sync { self.is_idle() } else { self.held < self.settings.buffer_memory }
    }

    /// Whether everything that was given was written or given up.
    pub(crate) fn is_idle(&self) -> bool {
        self.lanes.values().all(Lane::is_empty) && self.wire.is_idle()
    }

    /// Records that are neither written nor given up.
    pub(crate) fn waiting(&self) -> u64 {
        self.lanes.values().map(Lane::waiting).sum()
    }

    /// The longest line that can become a record.
    pub(crate) fn record_bytes_max(&self) -> usize {
        self.settings.max_request_size
    }

    /// Takes a record, which goes with others. One that is too large is lost, with those behind it unharmed.
    pub(crate) fn send(&mut self, record: &Typed<'_>, timestamp_ms: Option<i64>) {
        let size = record.size_bytes();
        if size > self.settings.max_request_size {
            return self.too_large(size as u64);
        }
        let partition = self.settings.partition.unwrap_or_else(|| self.choose(record));
        let identity = self.identity;
        let lane = self.lanes.entry(partition).or_insert_with(|| Lane::new(identity));
        self.held += size;
        if lane.append(record, size, timestamp_ms.unwrap_or_else(now_ms), &self.settings) {
            self.sticky.full();
            self.pump();
        }
        if self.settings.sync || !self.has_room() {
            self.complete();
        }
    }

    /// Notes a record that is larger than a request may be.
    pub(crate) fn too_large(&mut self, bytes: u64) {
        let max = self.settings.max_request_size;
        let text = format!("a record of {bytes} bytes is larger than max.request.size, {max} bytes");
        let hint = "raise max.request.size here, and max.message.bytes of the topic";
        self.tally.lost.push((1, Failure::failed(text).hint(hint)));
    }

    /// Ends all batches, so that they are sent whatever the linger.
    pub(crate) fn complete(&mut self) {
        self.lanes.values_mut().for_each(|lane| lane.complete());
        self.pump();
    }

    /// Does what can be done without waiting: answers, deadlines, sending.
    pub(crate) fn pump(&mut self) {
        let now = Instant::now();
        for lane in self.lanes.values_mut() {
            if lane.complete_if_due(now, &self.settings) {
                self.sticky.full();
            }
        }
        let mut trouble = self.wire.read(&mut self.lanes, &self.settings, &mut self.tally);
        self.lanes.values_mut().for_each(|lane| lane.expire(now, &self.settings, &mut self.tally));
        self.renew();
        trouble |= self.wire.send(&mut self.client, &self.topic, &mut self.lanes, &self.settings, &mut self.tally);
        self.notices.extend(self.wire.take_notice());
        if trouble || self.looked.elapsed() > self.settings.metadata_max_age {
            self.look();
        }
        self.held = self.lanes.values().map(Lane::size_bytes).sum::<usize>() + self.wire.unsent_bytes();
    }

    /// Waits until [`pump`](Self::pump) has something to do or the input can be read, which is the answer.
    pub(crate) fn wait(&self, input: Option<BorrowedFd<'_>>, at_most: Duration) -> bool {
        let lanes = self.lanes.values().filter_map(|lane| lane.deadline(&self.settings));
        let until = lanes.chain(self.wire.deadline()).min();
        let within = until.map_or(at_most, |until| until.saturating_duration_since(Instant::now()).min(at_most));
        self.wire.wait(input, within)
    }

    fn choose(&mut self, record: &Typed<'_>) -> i32 {
        let at = match &record.key {
            Some(key) => partition::for_key(key, u32::try_from(self.topic.partitions.len()).unwrap_or(u32::MAX)),
            None => self.sticky.choose(&self.available),
        };
        // Numbers of partitions come from 31 bits.
        at.cast_signed()
    }

    /// New ids for the lanes that cannot go on with theirs.
    fn renew(&mut self) {
        for lane in self.lanes.values_mut().filter(|lane| lane.needs_identity()) {
            // If this fails the lane stays where it is, and its batches run out of time.
            if let Ok(identity) = identify(&mut self.client) {
                lane.renew(identity, &self.settings);
            }
        }
    }

    /// Looks for the leaders anew. If that fails, the next attempt to send says so.
    fn look(&mut self) {
        self.looked = Instant::now();
        let name = self.settings.topic.clone();
        if let Ok(cluster) = self.client.metadata(Topics::Named(&[&name]))
            && let Some(topic) = cluster.topic(&name)
        {
            self.available = available(topic);
            self.topic = topic.clone();
        }
    }
}

/// Partitions whose leader answers; all of them if none does. Never empty.
fn available(topic: &Topic) -> Vec<u32> {
    let index = |index: i32| u32::try_from(index).ok();
    let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
    let led: Vec<u32> = led.filter_map(|partition| index(partition.index)).collect();
    if led.is_empty() { topic.partitions.iter().filter_map(|partition| index(partition.index)).collect() } else { led }
}

fn identify(client: &mut Client) -> Result<Identity, Error> {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdRequest::default()
    };
    client.retrying(|client| {
        let answer = client.any(&request)?;
        let response = answer.read();
        Error::check(response.error_code, None, || "a producer id".to_owned())?;
        Ok(Identity { id: response.producer_id, epoch: response.producer_epoch })
    })
}

fn now_ms() -> i64 {
    crate::groups::now_ms()
}

/// The topic, which the broker may create; waits until it has partitions with leaders.
fn find_topic(client: &mut Client, settings: &ProducerSettings) -> Result<Topic, Failure> {
    let name = settings.topic.as_str();
    let begun = Instant::now();
    loop {
        let cluster = client.metadata(Topics::Create(&[name]))?;
        let error = match cluster.require(name) {
            Ok(topic) if topic.partitions.iter().any(|partition| partition.leader.is_some()) => {
                return Ok(topic.clone());
            }
            Ok(_) => {
                Error::Refused { what: format!("topic `{name}`"), code: ErrorCode::LeaderNotAvailable, message: None }
            }
            Err(error) => error,
        };
        let limit = match error.code() {
            Some(ErrorCode::LeaderNotAvailable) => settings.max_block,
            Some(ErrorCode::UnknownTopicOrPartition) => settings.max_block.min(CREATION),
            _ => return Err(error.into()),
        };
        if begun.elapsed() > limit {
            let all = client.metadata(Topics::All)?;
            let names: BTreeSet<&str> = all.topics.iter().map(|topic| topic.name.as_str()).collect();
            return Err(Failure::from(error).did_you_mean(name, names));
        }
        std::thread::sleep(PAUSE);
    }
}
