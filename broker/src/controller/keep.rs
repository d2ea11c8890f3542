//! When the whole metadata goes to disk in one piece, and how a start takes it up again. The layout of the piece is
//! [`snapshot`](super::snapshot)'s; replaying what follows it is [`replay`](crate::replay)'s.
//!
//! Only what is durable in the log goes into a snapshot, so that none is ever ahead of its log; and the log keeps everything
//! that a snapshot covers, so that a snapshot which is lost or damaged costs a longer replay and nothing else.

use super::Controller;
use super::limits::SNAPSHOT_EVERY_BYTES;
use crate::partition::METADATA_LOG;
use crate::{Broker, Store};

/// How much of the metadata log has no snapshot yet. On shard 0.
#[derive(Debug, Default)]
pub(crate) struct Keep {
    /// What recovery found: the offset that it covers up to, and its bytes. Taken at start.
    found: Option<(i64, Vec<u8>)>,
    /// The version of the newest one.
    upto: i64,
    /// Its size.
    bytes: usize,
    /// Appended since.
    since: usize,
}

impl Keep {
    /// Recovery found this.
    pub(crate) fn found(&mut self, snapshot: Option<(i64, Vec<u8>)>) {
        self.found = snapshot;
    }

    /// A batch went to the log.
    pub(crate) fn appended(&mut self, bytes: usize) {
        self.since += bytes;
    }

    /// Writing a large snapshot has to be earned by as many bytes of changes: then all of them together cost no more than
    /// the log itself.
    fn is_due(&self) -> bool {
        self.since >= self.bytes.max(SNAPSHOT_EVERY_BYTES)
    }
}

impl<S: Store> Broker<S> {
    /// Takes up the snapshot that recovery found, and returns the offset from which the log has to be replayed.
    pub(crate) fn restore_metadata(&mut self) -> i64 {
        let Some((upto, bytes)) = self.seat.keep.found.take() else { return 0 };
        let mut controller = Controller::new(self.image.clone(), self.shards, self.settings.incarnation);
        match controller.restore(upto, &bytes) {
            Ok(()) => {
                self.seat.keep = Keep { upto, bytes: bytes.len(), ..Keep::default() };
                self.seat.set_controller(controller);
                upto
            }
            Err(error) => {
                tracing::warn!(upto, %error, "the metadata snapshot is not usable: the whole log is replayed");
                0
            }
        }
    }

    /// Keeps a snapshot if enough has changed since the last one.
    pub(crate) fn keep_metadata_if_due(&mut self) {
        if self.seat.keep.is_due() {
            self.keep_metadata();
        }
    }

    /// Keeps a snapshot of everything that is durable, unless there is one of just that.
    pub(crate) fn keep_metadata(&mut self) {
        let Some(log) = self.partitions.get(&METADATA_LOG).map(|partition| partition.log) else { return };
        let upto = self.image.version();
        // Before the controller serves, the image here is empty and not what the log says.
        if self.seat.controller().is_none() || upto <= self.seat.keep.upto {
            return;
        }
        let bytes = super::snapshot::encode(&self.image);
        self.seat.keep = Keep { upto, bytes: bytes.len(), ..Keep::default() };
        self.store.put_snapshot(log, upto, bytes);
    }
}
