//! The controller: the only writer of the metadata log. It lives on shard 0 and is a machine of its own.
//!
//! [`record`] is what it writes, [`plan`] decides what a request comes to, [`snapshot`] is the whole image in one piece.
//! How the broker drives it is in `seat`; what clients ask and are answered is in `api`.

pub(crate) mod keep;
pub mod limits;
pub mod names;
pub mod plan;
pub mod producer_ids;
pub mod random;
pub mod record;
pub(crate) mod seat;

pub mod snapshot;

use crate::image::{ApplyError, MetadataImage, cluster_id};
use crate::io::ShardId;
use plan::Plan;
use protocol::ErrorCode;
use protocol::batch::{BatchBuilder, BatchError, BatchView, Limits};
use random::Random;
use record::{Record, RecordError};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One change of the metadata under way. Numbers rise in the order of the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What the controller wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Append this v2 batch to the metadata log, then call [`Controller::appended`].
    Append {
        /// Comes back in [`Controller::appended`].
        ticket: Ticket,
        /// The batch, its offsets set.
        batch: Vec<u8>,
    },
    /// Give this image to every shard; each answers by [`Controller::applied`].
    Publish(Arc<MetadataImage>),
    /// The change is durable and every shard acts on it, or it failed and nothing of it remains.
    Done {
        /// Which change.
        ticket: Ticket,
        /// How it ended.
        result: Result<(), ErrorCode>,
    },
}

/// Why the metadata log cannot be understood. The broker must not start on what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The batch at this offset is damaged.
    #[error("the metadata log's batch at offset {offset} is damaged: {error}")]
    Batch {
        /// Its base offset.
        offset: i64,
        /// What is wrong.
        error: BatchError,
    },
    /// Batches must follow each other without a gap.
    #[error("the metadata log goes on at offset {got}, and {expected} comes next")]
    Gap {
        /// The next offset.
        expected: i64,
        /// The offset found.
        got: i64,
    },
    /// A record cannot be read.
    #[error("the metadata record at offset {offset} cannot be read: {error}")]
    Record {
        /// Its offset.
        offset: i64,
        /// Why.
        error: RecordError,
    },
    /// A record contradicts those before it.
    #[error("the metadata record at offset {offset} does not fit those before it: {error}")]
    Apply {
        /// Its offset.
        offset: i64,
        /// Why.
        error: ApplyError,
    },
}

/// A change on its way into the log.
#[derive(Clone, Debug)]
struct Staged {
    ticket: Ticket,
    /// The metadata with it.
    image: Arc<MetadataImage>,
    /// Taken when it goes to the log.
    batch: Vec<u8>,
}

/// The controller.
///
/// Calling order: [`Controller::new`], [`Controller::restore`] if there is a snapshot, [`Controller::replay`] for each batch of the log, [`Controller::start`]; then a
/// [`Plan`] from [`Controller::plan`] is handed to [`Controller::stage`], and after every call [`Controller::poll`] is
/// asked until it is `None`. Changes may overlap: each is planned on top of those staged before it.
#[derive(Debug)]
pub struct Controller {
    random: Random,
    next_ticket: u64,
    /// With everything that was staged. Never older than `durable`.
    newest: Arc<MetadataImage>,
    /// With everything that the log has for certain; what was published last.
    durable: Arc<MetadataImage>,
    /// Staged and not yet durable, oldest first; the last one's image is `newest`. Only the first is with the log: were the
    /// second there too, it could outlive the first, on which it was planned.
    in_flight: VecDeque<Staged>,
    /// Published and not yet applied everywhere, by version.
    published: BTreeMap<i64, Ticket>,
    /// The version that each shard has applied.
    applied: Vec<i64>,
    outputs: VecDeque<Output>,
}

impl Controller {
    /// A controller for `shards` shards with nothing replayed. `image` is the empty image over the static configuration.
    pub fn new(image: Arc<MetadataImage>, shards: u16, seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            next_ticket: 0,
            newest: Arc::clone(&image),
            durable: image,
            in_flight: VecDeque::new(),
            published: BTreeMap::new(),
            applied: vec![0; usize::from(shards)],
            outputs: VecDeque::new(),
        }
    }

    /// Takes up a snapshot, before anything is replayed; what follows it begins at offset `upto`. Bytes that are no snapshot
    /// change nothing.
    pub fn restore(&mut self, upto: i64, bytes: &[u8]) -> Result<(), ReplayError> {
        let image = snapshot::decode(MetadataImage::clone(&self.newest), upto, bytes)?;
        self.newest = Arc::new(image);
        Ok(())
    }

    /// Applies one batch of the log. Batches that the image contains already are passed over.
    pub fn replay(&mut self, batch: &BatchView<'_>) -> Result<(), ReplayError> {
        replay_batch(Arc::make_mut(&mut self.newest), batch)
    }

    /// Begins to serve after the last batch. A log without a cluster id is given one.
    pub fn start(&mut self) {
        self.durable = Arc::clone(&self.newest);
        self.outputs.push_back(Output::Publish(Arc::clone(&self.durable)));
        if self.newest.cluster_id().is_none() {
            let mut plan = self.plan();
            let known = self.newest.settings().cluster_id.clone();
            let id = known.unwrap_or_else(|| cluster_id(&mut || self.random.draw()));
            plan.push(Record::ClusterId(id));
            self.stage(plan);
        }
    }

    /// The newest metadata, with changes that are not durable yet: what the next change is checked against.
    pub fn newest(&self) -> &Arc<MetadataImage> {
        &self.newest
    }

    /// An empty change on top of the newest metadata.
    pub fn plan(&self) -> Plan {
        Plan::new(MetadataImage::clone(&self.newest))
    }

    /// The newest change that is not done yet.
    pub fn last_unfinished(&self) -> Option<Ticket> {
        let published = || self.published.values().next_back().copied();
        self.in_flight.back().map(|staged| staged.ticket).or_else(published)
    }

    /// Where new ids come from.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Sends a change to the log. `None`: it holds no record, there is nothing to wait for.
    pub fn stage(&mut self, plan: Plan) -> Option<Ticket> {
        let (records, image) = plan.finish()?;
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let batch = encode_batch(self.newest.version(), &records);
        self.newest = Arc::new(image);
        self.in_flight.push_back(Staged { ticket, image: Arc::clone(&self.newest), batch });
        if self.in_flight.len() == 1 {
            self.append_first();
        }
        Some(ticket)
    }

    fn append_first(&mut self) {
        if let Some(first) = self.in_flight.front_mut() {
            let batch = std::mem::take(&mut first.batch);
            self.outputs.push_back(Output::Append { ticket: first.ticket, batch });
        }
    }

    /// The log has, or has not, taken a batch. A failure takes back every change staged since, too: they were planned on
    /// top of it.
    pub fn appended(&mut self, ticket: Ticket, result: Result<(), ErrorCode>) {
        let Some(first) = self.in_flight.pop_front_if(|first| first.ticket == ticket) else { return };
        match result {
            Ok(()) => {
                self.published.insert(first.image.version(), ticket);
                self.durable = first.image;
                self.outputs.push_back(Output::Publish(Arc::clone(&self.durable)));
                self.append_first();
            }
            Err(code) => {
                let failed = std::iter::once(ticket).chain(self.in_flight.drain(..).map(|staged| staged.ticket));
                self.outputs.extend(failed.map(|ticket| Output::Done { ticket, result: Err(code) }));
                self.newest = Arc::clone(&self.durable);
            }
        }
    }

    /// A shard acts on the image of that version from now on.
    pub fn applied(&mut self, shard: ShardId, version: i64) {
        if let Some(applied) = self.applied.get_mut(usize::from(shard.0)) {
            *applied = version.max(*applied);
        }
        let everywhere = self.applied.iter().copied().min().unwrap_or_default();
        while let Some(entry) = self.published.first_entry().filter(|entry| *entry.key() <= everywhere) {
            self.outputs.push_back(Output::Done { ticket: entry.remove(), result: Ok(()) });
        }
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

fn encode_batch(base_offset: i64, records: &[Record]) -> Vec<u8> {
    let mut builder = BatchBuilder::new().position(base_offset, 0);
    for record in records {
        builder.append(limits::NO_TIMESTAMP, None, Some(&record.encode()), &[]);
    }
    builder.build()
}

fn replay_batch(image: &mut MetadataImage, batch: &BatchView<'_>) -> Result<(), ReplayError> {
    let base = batch.base_offset();
    if batch.next_offset() <= image.version() {
        return Ok(());
    }
    if base != image.version() {
        return Err(ReplayError::Gap { expected: image.version(), got: base });
    }
    let damaged = |error| ReplayError::Batch { offset: base, error };
    batch.check_crc().map_err(damaged)?;
    let mut decoded = Vec::new();
    for (offset, record) in (base..).zip(batch.records(&Limits::default()).map_err(damaged)?.iter()) {
        let record = record.map_err(damaged)?;
        let record =
            Record::decode(record.value.unwrap_or_default()).map_err(|error| ReplayError::Record { offset, error })?;
        decoded.push((offset, record));
    }
    for (offset, record) in decoded {
        image.apply(&record).map_err(|error| ReplayError::Apply { offset, error })?;
    }
    image.advance(batch.next_offset());
    Ok(())
}

/// The image of a log: a snapshot, if there is one, and the batches behind it. `snapshot` is the offset that it covers up
/// to and its bytes.
pub fn replay<'a>(
    empty: MetadataImage,
    snapshot: Option<(i64, &[u8])>,
    batches: impl IntoIterator<Item = BatchView<'a>>,
) -> Result<MetadataImage, ReplayError> {
    let mut image = match snapshot {
        Some((upto, bytes)) => snapshot::decode(empty, upto, bytes)?,
        None => empty,
    };
    for batch in batches {
        replay_batch(&mut image, &batch)?;
    }
    Ok(image)
}

#[cfg(test)]
mod tests;
