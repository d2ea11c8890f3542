//! Writing records: batches by partition, sent when they are full or have waited long enough, and sent again where that can
//! help. Idempotent, as Kafka's producer is: what was sent twice is written once.

use super::partition::{self, Sticky};
use super::reader::Typed;
use crate::client::{Client, Error, ProduceTo, Topic, Topics};
use crate::failure::Failure;
use protocol::batch::{BatchBuilder, Header};
use protocol::compress::Codec;
use protocol::messages::InitProducerIdRequest;
use protocol::{ApiKey, ErrorCode};
use std::collections::{BTreeMap, BTreeSet};
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
    pub(crate) buffer_memory: usize,
    pub(crate) idempotent: bool,
    /// Each record by itself, acknowledged before the next is read.
    pub(crate) sync: bool,
}

/// How long a broker may take to create a topic that is asked for.
const CREATION: Duration = Duration::from_secs(5);
/// Pause between two looks at a topic that is coming.
const PAUSE: Duration = Duration::from_millis(50);

/// A batch that grows.
struct Growing {
    builder: BatchBuilder,
    since: Instant,
}

/// A batch that is complete.
struct Ready {
    partition: i32,
    records: i32,
    batch: Vec<u8>,
}

/// Batches that were not written, and why.
type Refused = Vec<(Ready, Error)>;

/// See the module.
pub(crate) struct Producer {
    client: Client,
    settings: ProducerSettings,
    topic: Topic,
    looked: Instant,
    growing: BTreeMap<i32, Growing>,
    sticky: Sticky,
    /// Producer id and epoch, if it is idempotent.
    identity: Option<(i64, i16)>,
    /// The next sequence of each partition.
    sequences: BTreeMap<i32, i32>,
    written: u64,
    /// What was not written, and why.
    lost: Vec<(u64, Failure)>,
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
        let seed = u64::from(std::process::id()) ^ u64::try_from(now_ms()).unwrap_or(1);
        let mut producer = Producer {
            client,
            settings,
            topic,
            looked: Instant::now(),
            growing: BTreeMap::new(),
            sticky: Sticky::new(seed),
            identity: None,
            sequences: BTreeMap::new(),
            written: 0,
            lost: Vec::new(),
        };
        producer.identify()?;
        Ok(producer)
    }

    /// Records that were acknowledged; with `acks=0`, sent.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// What was not written since this was last asked, in words.
    pub(crate) fn take_lost(&mut self) -> Vec<(u64, Failure)> {
        std::mem::take(&mut self.lost)
    }

    /// When [`poll`](Self::poll) has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.growing.values().map(|growing| growing.since + self.settings.linger).min()
    }

    /// Takes a record; it is sent with others, or at once if each goes by itself.
    pub(crate) fn send(&mut self, record: &Typed, timestamp_ms: Option<i64>) -> Result<(), Failure> {
        self.check_size(record)?;
        let partition = self.settings.partition.map_or_else(|| self.choose(record), Ok)?;
        let headers: Vec<_> =
            record.headers.iter().map(|(key, value)| Header { key: key.as_bytes(), value: value.as_deref() }).collect();
        let size = size_of(record);
        if self.growing.get(&partition).is_some_and(|g| g.builder.plain_size_bytes() + size > self.settings.batch_size)
        {
            self.complete(&[partition]);
        }
        let growing = self.growing.entry(partition).or_insert_with(|| Growing {
            builder: BatchBuilder::new().compression(self.settings.codec, None),
            since: Instant::now(),
        });
        let timestamp_ms = timestamp_ms.unwrap_or_else(now_ms);
        growing.builder.append(timestamp_ms, record.key.as_deref(), record.value.as_deref(), &headers);
        let is_full = growing.builder.plain_size_bytes() >= self.settings.batch_size;
        let held: usize = self.growing.values().map(|growing| growing.builder.plain_size_bytes()).sum();
        if self.settings.sync || held > self.settings.buffer_memory {
            self.flush();
        } else if is_full {
            self.complete(&[partition]);
        }
        Ok(())
    }

    /// Sends what has waited long enough.
    pub(crate) fn poll(&mut self) {
        let now = Instant::now();
        let due = |growing: &Growing| growing.since + self.settings.linger <= now;
        let due: Vec<i32> = self.growing.iter().filter(|(_, growing)| due(growing)).map(|(p, _)| *p).collect();
        if !due.is_empty() {
            self.complete(&due);
        }
        if self.looked.elapsed() > self.settings.metadata_max_age {
            self.look();
        }
    }

    /// Sends everything.
    pub(crate) fn flush(&mut self) {
        let all: Vec<i32> = self.growing.keys().copied().collect();
        self.complete(&all);
    }

    fn check_size(&self, record: &Typed) -> Result<(), Failure> {
        let (got, max) = (size_of(record), self.settings.max_request_size);
        if got <= max {
            return Ok(());
        }
        let text = format!("a record of {got} bytes is larger than max.request.size, {max} bytes");
        Err(Failure::failed(text).hint("raise max.request.size here, and max.message.bytes of the topic"))
    }

    fn choose(&mut self, record: &Typed) -> Result<i32, Failure> {
        let count = u32::try_from(self.topic.partitions.len()).unwrap_or(u32::MAX);
        let at = match &record.key {
            Some(key) => partition::for_key(key, count),
            None => {
                let led = self.topic.partitions.iter().filter(|partition| partition.leader.is_some());
                let led: Vec<u32> = led.filter_map(|partition| u32::try_from(partition.index).ok()).collect();
                let all: Vec<u32> = (0..count).collect();
                self.sticky.choose(if led.is_empty() { &all } else { &led })
            }
        };
        i32::try_from(at).map_err(|_| Failure::failed("a topic with more partitions than Kafka allows"))
    }

    fn identify(&mut self) -> Result<(), Failure> {
        let is_served = self.client.home()?.served().has(ApiKey::InitProducerId);
        if !self.settings.idempotent || !is_served {
            return Ok(());
        }
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdRequest::default()
        };
        let identity = self.client.retrying(|client| {
            let answer = client.any(&request)?;
            let response = answer.read();
            Error::check(response.error_code, None, || "a producer id".to_owned())?;
            Ok((response.producer_id, response.producer_epoch))
        })?;
        self.identity = Some(identity);
        self.sequences.clear();
        Ok(())
    }

    /// Ends the batches of these partitions and writes them.
    fn complete(&mut self, partitions: &[i32]) {
        let mut ready = Vec::new();
        for &partition in partitions {
            let Some(growing) = self.growing.remove(&partition) else { continue };
            let records = growing.builder.record_count();
            let builder = match self.identity {
                None => growing.builder,
                Some((id, epoch)) => {
                    let sequence = self.sequences.entry(partition).or_insert(0);
                    let base = *sequence;
                    // Sequences go round; the sign bit is never theirs.
                    *sequence = sequence.wrapping_add(records) & i32::MAX;
                    growing.builder.producer(id, epoch, base)
                }
            };
            ready.push(Ready { partition, records, batch: builder.build() });
        }
        self.sticky.full();
        self.deliver(ready);
    }

    fn deliver(&mut self, mut left: Vec<Ready>) {
        let begun = Instant::now();
        let mut attempt = 0;
        while !left.is_empty() {
            let (again, given_up) = self.attempt(left);
            let is_last = attempt >= self.settings.retries || begun.elapsed() > self.settings.delivery_timeout;
            self.give_up(given_up);
            if is_last {
                self.give_up(again);
                return;
            }
            left = again.into_iter().map(|(ready, _)| ready).collect();
            if !left.is_empty() {
                attempt += 1;
                std::thread::sleep(self.settings.retry_backoff);
                self.look();
            }
        }
    }

    /// One request to each leader; the batches that may be sent again and those that may not, with the reason.
    fn attempt(&mut self, batches: Vec<Ready>) -> (Refused, Refused) {
        let (mut again, mut given_up) = (Vec::new(), Vec::new());
        let mut by_leader: BTreeMap<i32, Vec<Ready>> = BTreeMap::new();
        for ready in batches {
            let known = self.topic.partitions.iter().find(|partition| partition.index == ready.partition);
            match known.and_then(|partition| partition.leader) {
                Some(leader) => by_leader.entry(leader).or_default().push(ready),
                None => {
                    let error = self.no_leader(ready.partition);
                    again.push((ready, error));
                }
            }
        }
        for (leader, batches) in by_leader {
            for (ready, outcome) in self.request(leader, batches) {
                match outcome {
                    Ok(()) => self.written += u64::try_from(ready.records).unwrap_or(0),
                    Err(error) if may_help(&error) => again.push((ready, error)),
                    Err(error) => given_up.push((ready, error)),
                }
            }
        }
        (again, given_up)
    }

    fn no_leader(&self, partition: i32) -> Error {
        let what = format!("{}-{partition}", self.settings.topic);
        Error::Refused { what, code: ErrorCode::LeaderNotAvailable, message: None }
    }

    fn request(&mut self, leader: i32, batches: Vec<Ready>) -> Vec<(Ready, Result<(), Error>)> {
        let topic = self.settings.topic.clone();
        let rows: Vec<_> = batches
            .iter()
            .map(|ready| ProduceTo { topic: &topic, partition: ready.partition, batch: &ready.batch })
            .collect();
        let answer = self.client.produce(leader, self.settings.acks, self.settings.request_timeout, &rows);
        match answer {
            Err(error) => {
                let text = error.to_string();
                let mut first = Some(error);
                let again = |text: &str| Error::Refused {
                    what: String::new(),
                    code: ErrorCode::NetworkException,
                    message: Some(text.to_owned()),
                };
                batches.into_iter().map(|ready| (ready, Err(first.take().unwrap_or_else(|| again(&text))))).collect()
            }
            Ok(_) if self.settings.acks == 0 => batches.into_iter().map(|ready| (ready, Ok(()))).collect(),
            Ok(rows) => {
                let mut outcomes: BTreeMap<i32, Result<i64, Error>> =
                    rows.into_iter().map(|row| (row.partition, row.result)).collect();
                let mut of = |partition: i32| match outcomes.remove(&partition) {
                    None => Err(self.no_leader(partition)),
                    // An earlier attempt was written, only its answer was lost.
                    Some(Err(error)) if error.code() == Some(ErrorCode::DuplicateSequenceNumber) => Ok(()),
                    Some(outcome) => outcome.map(|_| ()),
                };
                batches
                    .into_iter()
                    .map(|ready| {
                        let outcome = of(ready.partition);
                        (ready, outcome)
                    })
                    .collect()
            }
        }
    }

    fn give_up(&mut self, batches: Refused) {
        if batches.is_empty() {
            return;
        }
        for (ready, error) in batches {
            self.lost.push((u64::try_from(ready.records).unwrap_or(0), error.into()));
        }
        // The broker would wait for the sequences that now never come.
        if self.identity.is_some() && self.identify().is_err() {
            self.identity = None;
        }
    }

    /// Looks for the leaders anew. If that fails, the next attempt to send says so.
    fn look(&mut self) {
        self.looked = Instant::now();
        let name = self.settings.topic.clone();
        if let Ok(cluster) = self.client.metadata(Topics::Named(&[&name]))
            && let Some(topic) = cluster.topic(&name)
        {
            self.topic = topic.clone();
        }
    }
}

/// Whether sending a batch again may work: a leader that moved, an answer that was lost.
fn may_help(error: &Error) -> bool {
    let is_lost = matches!(error, Error::Late { .. } | Error::Unreachable(_) | Error::UnknownBroker { .. });
    is_lost || error.is_retriable() || error.code() == Some(ErrorCode::UnknownTopicOrPartition)
}

fn size_of(record: &Typed) -> usize {
    let len = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    // What Kafka's own estimate adds for a record's lengths and numbers.
    const AROUND: usize = 21;
    let headers: usize = record.headers.iter().map(|(key, value)| key.len() + len(value) + 10).sum();
    len(&record.key) + len(&record.value) + headers + AROUND
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
