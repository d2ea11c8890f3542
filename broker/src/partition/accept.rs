//! Whether a partition takes a record set, and as which bytes: a pure decision, nothing is stored here.
//!
//! A batch goes into the log as it came, but for three named exceptions that rebuild it: `message.timestamp.type` =
//! LogAppendTime (timestamp and checksum, in a copy), and a `compression.type` that is not the producer's.

use super::producers::{Producers, Remembered, SequenceError, Sequenced};
use crate::front::message::Failure;
use protocol::ErrorCode;
use protocol::batch::{
    BatchError, BatchView, Depth, Limits, NO_TIMESTAMP, ProduceRules, TimestampWindow, recompress, set_log_append_time,
    validate_produce,
};
use protocol::compress::Codec;
use std::borrow::Cow;

/// What a topic's configuration says about appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendRules {
    /// `max.message.bytes`.
    pub batch_bytes_max: usize,
    /// `segment.bytes`: no batch can be larger.
    pub segment_bytes: usize,
    /// `message.timestamp.before.max.ms`.
    pub before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub after_max_ms: i64,
    /// `message.timestamp.type` is LogAppendTime.
    pub log_append_time: bool,
    /// Every record needs a key: the topic is compacted.
    pub keys_required: bool,
    /// Recompress to this codec and level; `None` keeps the producer's.
    pub codec: Option<(Codec, Option<i32>)>,
}

impl Default for AppendRules {
    fn default() -> Self {
        AppendRules {
            batch_bytes_max: 1_048_588,
            segment_bytes: 1 << 30,
            before_max_ms: i64::MAX,
            after_max_ms: 3_600_000,
            log_append_time: false,
            keys_required: false,
            codec: None,
        }
    }
}

/// A record set that may be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// One batch, base offset still 0.
    pub bytes: Cow<'a, [u8]>,
    /// Offset of the last record less that of the first.
    pub last_offset_delta: i32,
    /// Largest timestamp, milliseconds.
    pub max_timestamp: i64,
    /// The broker's time where the topic uses it, else -1.
    pub append_time_ms: i64,
    /// The idempotent producer's fields.
    pub sequenced: Option<Sequenced>,
}

/// What becomes of a record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Append it.
    Append(Accepted<'a>),
    /// The producer sent it before; it is in the log already.
    Repeated(Remembered),
}

/// Decides about `records` as of `now_ms`.
pub fn accept<'a>(
    records: &'a [u8],
    zstd_allowed: bool,
    rules: &AppendRules,
    producers: &Producers,
    now_ms: i64,
) -> Result<Verdict<'a>, Failure> {
    let window = TimestampWindow::around(now_ms, rules.before_max_ms, rules.after_max_ms);
    let checks = ProduceRules {
        timestamp_window: (!rules.log_append_time).then_some(window),
        keys_required: rules.keys_required,
        zstd_allowed,
        ..ProduceRules::new(rules.batch_bytes_max, Depth::Deep)
    };
    let valid = validate_produce(records, &checks).map_err(|error| located(records, &error))?;
    let batch = valid.batch;
    if batch.size_bytes() > rules.segment_bytes {
        let message = format!("a batch of {} bytes exceeds a segment of {}", batch.size_bytes(), rules.segment_bytes);
        return Err(failure(ErrorCode::RecordListTooLarge, message));
    }
    if batch.is_transactional() {
        return Err(failure(ErrorCode::InvalidTxnState, "transactions are not supported".to_owned()));
    }
    let sequenced = sequenced(&batch);
    if let Some(sequenced) = &sequenced
        && let Some(earlier) = producers.check(sequenced).map_err(|error| misplaced(&error))?
    {
        return Ok(Verdict::Repeated(earlier));
    }
    let bytes = rebuilt(&batch, rules, valid.max_timestamp, now_ms)?;
    let append_time_ms = if rules.log_append_time { now_ms } else { NO_TIMESTAMP };
    Ok(Verdict::Append(Accepted {
        bytes,
        last_offset_delta: batch.last_offset_delta(),
        max_timestamp: if rules.log_append_time { now_ms } else { valid.max_timestamp },
        append_time_ms,
        sequenced,
    }))
}

/// The producer fields of a batch, if it has them.
pub fn sequenced(batch: &BatchView<'_>) -> Option<Sequenced> {
    batch.has_producer_id().then(|| Sequenced {
        producer_id: batch.producer_id(),
        epoch: batch.producer_epoch(),
        first: batch.base_sequence(),
        last: batch.last_sequence(),
    })
}

/// The bytes to store: the producer's own wherever the topic allows.
fn rebuilt<'a>(
    batch: &BatchView<'a>,
    rules: &AppendRules,
    max_timestamp: i64,
    now_ms: i64,
) -> Result<Cow<'a, [u8]>, Failure> {
    let mut bytes = match rules.codec {
        Some((codec, level)) if codec != batch.codec() => {
            let limits = Limits::for_batches_of(rules.batch_bytes_max);
            let rebuilt = recompress(batch, codec, level, max_timestamp, rules.batch_bytes_max, &limits);
            Cow::Owned(rebuilt.map_err(|error| invalid(&error))?)
        }
        _ => Cow::Borrowed(batch.bytes()),
    };
    if rules.log_append_time {
        set_log_append_time(bytes.to_mut(), now_ms);
    }
    Ok(bytes)
}

fn failure(code: ErrorCode, message: String) -> Failure {
    Failure { code, message: Some(message), record: None }
}

fn invalid(error: &BatchError) -> Failure {
    let code = ErrorCode::try_from(error.kafka_error()).unwrap_or(ErrorCode::CorruptMessage);
    let record = match error {
        BatchError::Record { index, .. } | BatchError::KeyMissing { index } => Some(*index),
        _ => None,
    };
    Failure { code, message: Some(error.to_string()), record }
}

/// As [`invalid`], and looks for the record with the refused timestamp, which the error does not name.
fn located(records: &[u8], error: &BatchError) -> Failure {
    let mut failure = invalid(error);
    if let BatchError::Timestamp { got_ms, .. } = error
        && let Ok((batch, _)) = BatchView::parse(records)
    {
        let base = batch.base_offset();
        let mut found = None;
        // What cannot be read to its end may have it before that.
        let _ = batch.each_timestamp(&Limits::default(), |offset, timestamp| {
            if timestamp == *got_ms && found.is_none() {
                found = Some(offset - base);
            }
        });
        failure.record = found.and_then(|index| i32::try_from(index).ok());
    }
    failure
}

fn misplaced(error: &SequenceError) -> Failure {
    let code = match error {
        SequenceError::StaleEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        SequenceError::OutOfOrder { .. } => ErrorCode::OutOfOrderSequenceNumber,
        SequenceError::Forgotten { .. } => ErrorCode::DuplicateSequenceNumber,
    };
    failure(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::batch::BatchBuilder;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn batch(timestamps: &[i64], codec: Codec) -> Vec<u8> {
        let mut builder = BatchBuilder::new().compression(codec, None).producer(7, 0, 0);
        for timestamp in timestamps {
            let headers = [protocol::batch::Header { key: b"h", value: Some(b"1") }; 2];
            builder.append(*timestamp, Some(b"key"), Some(&[b'v'; 100]), &headers);
        }
        builder.build()
    }

    fn check(bytes: &[u8], rules: AppendRules) -> Result<Verdict<'_>, ErrorCode> {
        accept(bytes, true, &rules, &Producers::default(), NOW_MS).map_err(|failure| failure.code)
    }

    fn accepted(bytes: &[u8], rules: AppendRules) -> Accepted<'_> {
        match check(bytes, rules) {
            Ok(Verdict::Append(accepted)) => accepted,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_batch_is_stored_as_it_came() {
        let bytes = batch(&[NOW_MS - 5, NOW_MS], Codec::Lz4);
        let accepted = accepted(&bytes, AppendRules::default());
        assert!(matches!(accepted.bytes, Cow::Borrowed(_)));
        assert_eq!((accepted.last_offset_delta, accepted.max_timestamp, accepted.append_time_ms), (1, NOW_MS, -1));
    }

    #[test]
    fn log_append_time_rewrites_a_copy() {
        let bytes = batch(&[5, 6], Codec::None);
        let rules = AppendRules { log_append_time: true, ..AppendRules::default() };
        let accepted = accepted(&bytes, rules);
        let (view, _) = BatchView::parse(&accepted.bytes).unwrap();
        view.check_crc().unwrap();
        let stamps: Vec<_> = view.records(&Limits::default()).unwrap().iter().map(|r| r.unwrap().timestamp).collect();
        assert_eq!((stamps, accepted.append_time_ms), (vec![NOW_MS, NOW_MS], NOW_MS));
    }

    #[test]
    fn recompression_keeps_records_headers_and_producer() {
        let bytes = batch(&[NOW_MS - 7, NOW_MS], Codec::None);
        let rules = AppendRules { codec: Some((Codec::Zstd, Some(3))), ..AppendRules::default() };
        let accepted = accepted(&bytes, rules);
        let (stored, _) = BatchView::parse(&accepted.bytes).unwrap();
        stored.check_crc().unwrap();
        let (sent, _) = BatchView::parse(&bytes).unwrap();
        assert_eq!(stored.codec(), Codec::Zstd);
        assert_eq!(sequenced(&stored), sequenced(&sent));
        let limits = Limits::default();
        assert_eq!(stored.records(&limits).unwrap().bytes(), sent.records(&limits).unwrap().bytes());
    }

    #[test]
    fn what_is_refused() {
        let good = batch(&[NOW_MS], Codec::None);
        let size = good.len();
        let mut crc = good.clone();
        crc[size - 1] ^= 1;
        let mut builder = BatchBuilder::new().producer(7, 0, 0).transactional();
        builder.append(NOW_MS, None, Some(b"v"), &[]);
        let transactional = builder.build();
        let rules = AppendRules::default();
        let table = [
            (crc.as_slice(), rules, ErrorCode::CorruptMessage),
            (&good, AppendRules { batch_bytes_max: size - 1, ..rules }, ErrorCode::MessageTooLarge),
            (&good, AppendRules { segment_bytes: size - 1, ..rules }, ErrorCode::RecordListTooLarge),
            (&batch(&[NOW_MS + 3_600_001], Codec::None), rules, ErrorCode::InvalidTimestamp),
            (
                &batch(&[NOW_MS - 11], Codec::None),
                AppendRules { before_max_ms: 10, ..rules },
                ErrorCode::InvalidTimestamp,
            ),
            (&transactional, rules, ErrorCode::InvalidTxnState),
            (&transactional, AppendRules { keys_required: true, ..rules }, ErrorCode::InvalidRecord),
            (&[], rules, ErrorCode::InvalidRecord),
            (&[good.as_slice(), &good].concat(), rules, ErrorCode::InvalidRecord),
        ];
        for (bytes, rules, code) in table {
            assert_eq!(check(bytes, rules).unwrap_err(), code);
        }
    }
}
