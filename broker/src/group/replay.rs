//! The records of `__consumer_offsets`, batch by batch, into the coordinator. Kafka may have written the log: offsets that were
//! committed in a transaction (KIP-98) count from its commit marker on, and not at all without one.

use super::coordinator::Coordinator;
use super::wiring::OFFSETS_TOPIC;
use crate::Broker;
use crate::store::Store;
use protocol::batch::{BatchView, ControlRecord, Limits};
use std::collections::BTreeMap;

/// What a batch of a log that we wrote, or Kafka did, may unpack to.
const BATCH_LIMITS: Limits = Limits { decompressed_bytes_max: 64 << 20 };

type KeyValue = (Vec<u8>, Option<Vec<u8>>);

/// Records of transactions whose marker has not come, by partition and producer id.
#[derive(Debug, Default)]
pub(crate) struct OpenTransactions(BTreeMap<(i32, i64), Vec<KeyValue>>);

impl OpenTransactions {
    /// The replay of a partition is over; transactions without a marker never happened.
    pub(super) fn forget(&mut self, partition: i32) {
        self.0.retain(|(of, _), _| *of != partition);
    }
}

impl<S: Store> Broker<S> {
    /// One batch of a partition of `__consumer_offsets`. Records that cannot be read are reported and passed over.
    pub(crate) fn group_replayed(&mut self, partition: i32, batch: &BatchView<'_>) {
        let groups = &mut self.groups;
        if let Err(error) = replay_batch(&mut groups.coordinator, &mut groups.transactions, partition, batch) {
            let offset = batch.base_offset();
            tracing::error!(partition, offset, error, "records of {OFFSETS_TOPIC} passed over");
        }
    }
}

/// Fails with the last of its records that cannot be read, after all others were taken in.
fn replay_batch(
    coordinator: &mut Coordinator,
    open: &mut OpenTransactions,
    partition: i32,
    batch: &BatchView<'_>,
) -> Result<(), String> {
    let records = batch.records(&BATCH_LIMITS).map_err(|error| error.to_string())?;
    let transaction = (partition, batch.producer_id());
    let mut outcome = Ok(());
    for record in records.iter() {
        let record = record.map_err(|error| error.to_string())?;
        let key = record.key.unwrap_or_default();
        if batch.is_control() {
            let finished = open.0.remove(&transaction).unwrap_or_default();
            if ControlRecord::decode_key(key) == Ok(ControlRecord::Commit) {
                for (key, value) in finished {
                    outcome = replay(coordinator, partition, &key, value.as_deref()).and(outcome);
                }
            }
        } else if batch.is_transactional() {
            let kept = (key.to_vec(), record.value.map(<[u8]>::to_vec));
            open.0.entry(transaction).or_default().push(kept);
        } else {
            outcome = replay(coordinator, partition, key, record.value).and(outcome);
        }
    }
    outcome
}

fn replay(coordinator: &mut Coordinator, partition: i32, key: &[u8], value: Option<&[u8]>) -> Result<(), String> {
    coordinator.replay(partition, key, value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Now;
    use crate::group::settings::GroupSettings;
    use protocol::batch::BatchBuilder;

    const KEY: &[u8] = b"\0\x01\0\x01g\0\x01t\0\0\0\0";

    fn value(offset: u8) -> Vec<u8> {
        let mut value = b"\0\x03\0\0\0\0\0\0\0".to_vec();
        value.push(offset);
        value.extend(b"\0\0\0\0\0\0\0\0\0\0\0\0\0\x01");
        value
    }

    /// A plain offset, an offset of a producer's transaction, or its marker.
    enum Step {
        Plain(u8),
        InTransaction(i64, u8),
        Marker(i64, ControlRecord),
    }

    fn committed_after(steps: &[Step]) -> Option<i64> {
        let mut coordinator = Coordinator::new(GroupSettings::default(), 1, Now::default());
        coordinator.set_partition_count(1);
        coordinator.begin_load(0);
        let mut open = OpenTransactions::default();
        for step in steps {
            let mut builder = match step {
                Step::Plain(_) => BatchBuilder::new(),
                Step::InTransaction(producer, _) => BatchBuilder::new().producer(*producer, 0, 0).transactional(),
                Step::Marker(producer, _) => BatchBuilder::new().producer(*producer, 0, -1).transactional().control(),
            };
            match step {
                Step::Plain(offset) | Step::InTransaction(_, offset) => {
                    builder.append(0, Some(KEY), Some(&value(*offset)), &[]);
                }
                Step::Marker(_, marker) => builder.append(0, Some(&marker.encode_key()), Some(&[0; 6]), &[]),
            }
            let bytes = builder.build();
            let (batch, _) = BatchView::parse(&bytes).unwrap();
            replay_batch(&mut coordinator, &mut open, 0, &batch).unwrap();
        }
        coordinator.finish_load(Now::default(), 0);
        coordinator.committed_offset(&"g".into(), "t", 0).map(|c| c.offset)
    }

    #[test]
    fn offsets_of_transactions_count_from_their_commit_on() {
        use ControlRecord::{Abort, Commit};
        use Step::{InTransaction, Marker, Plain};
        let table: [(&[Step], Option<i64>); 6] = [
            (&[Plain(1)], Some(1)),
            (&[Plain(1), InTransaction(7, 2)], Some(1)),
            (&[Plain(1), InTransaction(7, 2), Marker(7, Commit)], Some(2)),
            (&[Plain(1), InTransaction(7, 2), Marker(7, Abort)], Some(1)),
            (&[InTransaction(7, 2), Plain(3), Marker(7, Commit)], Some(2)),
            (&[InTransaction(7, 2), InTransaction(8, 9), Marker(8, Abort), Marker(7, Commit)], Some(2)),
        ];
        for (i, (steps, offset)) in table.into_iter().enumerate() {
            assert_eq!(committed_after(steps), offset, "row {i}");
        }
    }
}
