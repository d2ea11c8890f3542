//! Appends of the broker's own: group offsets and metadata records, followed by a call back once they are durable.

use crate::Broker;
use crate::partition::{METADATA_LOG, Parked, PartitionKey, Waiter};
use crate::store::Store;
use protocol::ErrorCode;

/// Whom to tell once an internal append is durable or has failed; the number is the asker's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// This shard's group coordinator.
    Group(u64),
    /// The controller, on shard 0.
    Controller(u64),
}

impl<S: Store> Broker<S> {
    /// Appends one batch of our own to a partition of this shard. Offsets are assigned here; `then` is called back exactly
    /// once, never from inside this call.
    pub fn append_then(&mut self, target: PartitionKey, batch: Vec<u8>, then: Then) {
        let Some(partition) = self.partitions.get_mut(&target) else {
            self.own_done.push_back((then, Err(ErrorCode::NotLeaderOrFollower)));
            return;
        };
        if !partition.parked.is_empty() {
            partition.parked.push_back(Parked::Own(batch, then));
            return;
        }
        self.append_own(target, batch, then);
    }

    /// Appends to the metadata log of shard 0. See [`Broker::append_then`].
    pub fn append_metadata(&mut self, batch: Vec<u8>, then: Then) {
        self.append_then(METADATA_LOG, batch, then);
    }

    /// Tells the askers of internal appends how they ended.
    pub(crate) fn call_back(&mut self) {
        while let Some((then, result)) = self.own_done.pop_front() {
            match then {
                Then::Group(token) => self.group_appended(token, result),
                Then::Controller(token) => self.controller_appended(token, result),
            }
        }
    }

    pub(crate) fn fail_waiter(&mut self, waiter: Waiter, code: ErrorCode) {
        match waiter {
            Waiter::Produce(ticket, _) => self.tell_produced(ticket, Err(code.into())),
            Waiter::Then(then) => self.own_done.push_back((then, Err(code))),
        }
    }
}
