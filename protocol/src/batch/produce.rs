//! What Kafka demands of the record set of one partition in a Produce request, version 3 and later.
//!
//! The rules are those of `ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords` and `LogValidator` of
//! Kafka 4.3.1, for batches that are appended as they came. Not here: whether the producer's epoch and sequence follow what
//! the partition knows, and whether the principal may.
//!
//! Deviations: bytes behind the batch are refused even where they are too few for a batch (Kafka cuts them off); a
//! transactional batch without a producer id is refused (Kafka appends it); a maximum timestamp that is not the records' is
//! not corrected, since that would rebuild the batch: [`Validated::max_timestamp`] has the true one after a deep check.

use crate::compress::Codec;

use super::fields::Fields;
use super::header::TimestampType;
use super::{BatchError, BatchView, Limits, check};

/// How far the check looks.
///
/// Kafka looks at every record, and only a deep check refuses records that do not parse or that expand beyond the cap. What it
/// costs more, in two runs of `benches/batch.rs` on a busy machine, plain batches of 1 MB: 16 and 19 times a shallow check
/// with records of 100 bytes, 2.4 and 2.8 times with 1,000. Compressed batches pay for their decompression on top. Absolute
/// figures moved threefold between the runs; take them on a quiet machine before choosing a default by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The header and the checksum: the batch is what the producer sent, and its producer is believed about the records.
    Shallow,
    /// Every record as well, decompressed in a stream where need be: its memory does not grow with the batch.
    Deep,
}

/// Timestamps that a topic accepts, milliseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampWindow {
    /// The earliest accepted.
    pub earliest_ms: i64,
    /// The latest accepted.
    pub latest_ms: i64,
}

impl TimestampWindow {
    /// The window of `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms` around `now_ms`.
    #[must_use]
    pub fn around(now_ms: i64, before_max_ms: i64, after_max_ms: i64) -> Self {
        TimestampWindow {
            earliest_ms: now_ms.saturating_sub(before_max_ms),
            latest_ms: now_ms.saturating_add(after_max_ms),
        }
    }

    fn check(&self, got_ms: i64) -> Result<(), BatchError> {
        let TimestampWindow { earliest_ms, latest_ms } = *self;
        if got_ms == super::NO_TIMESTAMP || (earliest_ms..=latest_ms).contains(&got_ms) {
            return Ok(());
        }
        Err(BatchError::Timestamp { got_ms, earliest_ms, latest_ms })
    }
}

/// What the topic and the request allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProduceRules {
    /// `max.message.bytes`, compared with the whole batch as it came.
    pub batch_bytes_max: usize,
    /// The accepted timestamps; `None` where the topic uses LogAppendTime or accepts all.
    pub timestamp_window: Option<TimestampWindow>,
    /// Whether the topic is compacted, so that every record needs a key. Only a deep check can tell.
    pub keys_required: bool,
    /// Whether zstd may be used: from Produce 7 on (KIP-110).
    pub zstd_allowed: bool,
    /// How far to look.
    pub depth: Depth,
    /// What a deep check may cost.
    pub limits: Limits,
}

impl ProduceRules {
    /// Rules with a size and nothing else to forbid, checked to `depth`.
    #[must_use]
    pub fn new(batch_bytes_max: usize, depth: Depth) -> Self {
        ProduceRules {
            batch_bytes_max,
            timestamp_window: None,
            keys_required: false,
            zstd_allowed: true,
            depth,
            limits: Limits::for_batches_of(batch_bytes_max),
        }
    }
}

/// A batch that may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated<'a> {
    /// The batch.
    pub batch: BatchView<'a>,
    /// The largest timestamp, milliseconds: of the records after a deep check, else what the header claims.
    pub max_timestamp: i64,
}

/// Checks the record set of one partition. The error names its Kafka code: [`BatchError::kafka_error`].
pub fn validate_produce<'a>(bytes: &'a [u8], rules: &ProduceRules) -> Result<Validated<'a>, BatchError> {
    if bytes.is_empty() {
        return Err(BatchError::Empty);
    }
    let (batch, rest) = BatchView::parse(bytes)?;
    if !rest.is_empty() {
        return Err(BatchError::NotOneBatch { extra_bytes: rest.len() });
    }
    check_request(&batch, rules)?;
    batch.check_crc()?;
    check_origin(&batch)?;
    check_counts(&batch)?;
    check_producer(&batch)?;
    check_timestamps(&batch, rules)?;
    let max_timestamp = match rules.depth {
        Depth::Shallow => batch.max_timestamp(),
        Depth::Deep => check_records(&batch, rules)?,
    };
    Ok(Validated { batch, max_timestamp })
}

fn check_request(batch: &BatchView<'_>, rules: &ProduceRules) -> Result<(), BatchError> {
    if batch.codec() == Codec::Zstd && !rules.zstd_allowed {
        return Err(BatchError::CodecNotAllowed { got: Codec::Zstd.id() });
    }
    if batch.base_offset() != 0 {
        return Err(BatchError::BaseOffset { got: batch.base_offset() });
    }
    if batch.size_bytes() > rules.batch_bytes_max {
        return Err(BatchError::TooLarge { got_bytes: batch.size_bytes(), max_bytes: rules.batch_bytes_max });
    }
    Ok(())
}

fn check_origin(batch: &BatchView<'_>) -> Result<(), BatchError> {
    if batch.is_control() {
        return Err(BatchError::ControlFromClient);
    }
    if batch.timestamp_type() == TimestampType::LogAppendTime {
        return Err(BatchError::LogAppendTimeFromClient);
    }
    Ok(())
}

fn check_counts(batch: &BatchView<'_>) -> Result<(), BatchError> {
    let (records, last_offset_delta) = (batch.record_count(), batch.last_offset_delta());
    if records > 0 && last_offset_delta == records - 1 {
        return Ok(());
    }
    Err(BatchError::Counts { records, last_offset_delta, base_offset: batch.base_offset() })
}

fn check_producer(batch: &BatchView<'_>) -> Result<(), BatchError> {
    let consistent = if batch.has_producer_id() {
        batch.producer_epoch() >= 0 && batch.base_sequence() >= 0
    } else {
        !batch.is_transactional()
    };
    if consistent {
        return Ok(());
    }
    Err(BatchError::Sequence {
        producer_id: batch.producer_id(),
        producer_epoch: batch.producer_epoch(),
        base_sequence: batch.base_sequence(),
    })
}

/// The two timestamps in the header: the largest, and the first record's, from which every client counts.
fn check_timestamps(batch: &BatchView<'_>, rules: &ProduceRules) -> Result<(), BatchError> {
    let Some(window) = &rules.timestamp_window else { return Ok(()) };
    if rules.depth == Depth::Shallow {
        window.check(batch.base_timestamp())?;
    }
    window.check(batch.max_timestamp())
}

/// Looks at every record and returns the largest timestamp.
fn check_records(batch: &BatchView<'_>, rules: &ProduceRules) -> Result<i64, BatchError> {
    let base_timestamp = batch.base_timestamp();
    let mut max_timestamp = i64::MIN;
    check::each_record(batch, &rules.limits, |index: i32, fields: &Fields<()>| {
        let timestamp = base_timestamp.wrapping_add(fields.timestamp_delta);
        max_timestamp = max_timestamp.max(timestamp);
        if let Some(window) = &rules.timestamp_window {
            window.check(timestamp)?;
        }
        if rules.keys_required && fields.key.is_none() {
            return Err(BatchError::KeyMissing { index });
        }
        Ok(())
    })?;
    Ok(max_timestamp)
}
