//! How a step of a consumer group reaches the log, and its answer the client: behind its records, and behind all records of the
//! group before them, so that nobody is told what a restart could take back.
//!
//! What was refused is not undone in memory: members heard nothing of it, and may repeat themselves. Instead the next step writes the
//! whole group again.

use super::records;
use super::state::{ConsumerGroup, Turn};
use crate::group::effects::{Effects, Reply, Then, append_error};
use crate::group::ids::{AppendToken, GroupId, Ticket};
use crate::group::join::JoinReply;
use crate::group::records::{Record, batches};
use crate::group::state::Group;
use crate::group::sync::SyncReply;
use protocol::ErrorCode;

/// An answer that waits for records.
#[derive(Debug)]
pub(crate) struct Held {
    /// The request.
    pub(crate) to: Ticket,
    /// The answer if they become durable.
    pub(crate) reply: Reply,
}

impl Held {
    /// Answers.
    pub(crate) fn settle(self, fx: &mut Effects, result: Result<(), ErrorCode>) {
        let reply = match result {
            Ok(()) => self.reply,
            Err(error) => failed(self.reply, append_error(error, ErrorCode::UnknownServerError)),
        };
        fx.reply(self.to, reply);
    }
}

fn failed(reply: Reply, error: ErrorCode) -> Reply {
    match reply {
        Reply::ConsumerHeartbeat(_) => Reply::ConsumerHeartbeat(Err(error.into())),
        Reply::Join(join) => Reply::Join(JoinReply::error(&join.member, error)),
        Reply::Sync(_) => Reply::Sync(SyncReply::error(error)),
        other => other,
    }
}

impl ConsumerGroup {
    /// Records are durable, or were refused.
    pub(crate) fn on_stored(&mut self, group: &GroupId, token: AppendToken, result: Result<(), ErrorCode>) {
        match result {
            Err(error) => {
                tracing::warn!(%group, ?error, "a change of a consumer group was not stored");
                self.unsaved = true;
            }
            Ok(()) if self.last_append == Some(token) && !self.unsaved => self.gone.clear(),
            Ok(()) => {}
        }
    }
}

impl Group {
    /// Does one step of a consumer group, and writes down what it says.
    pub(super) fn step<T>(
        &mut self,
        fx: &mut Effects,
        step: impl FnOnce(&mut ConsumerGroup, &mut Turn<'_>) -> T,
    ) -> Option<T> {
        let state = self.consumer.as_mut()?;
        let mut turn = Turn::new(fx, &self.id);
        let outcome = step(state, &mut turn);
        let records = turn.records;
        self.store(fx, records, None);
        Some(outcome)
    }

    /// Appends records of the group; the answer follows once they are durable, and without records once those before are.
    pub(crate) fn store(&mut self, fx: &mut Effects, mut records: Vec<Record>, held: Option<Held>) {
        let Some(state) = self.consumer.as_mut() else { return self.append_last(fx, records, held) };
        if state.unsaved {
            state.unsaved = false;
            // A member that is gone is in no snapshot, and would be there again after a restart.
            records.retain(|record| record.value.is_none());
            let gone = state.gone.iter().filter(|id| !state.members.contains_key(*id));
            records.extend(gone.flat_map(|id| records::member_tombstones(&self.id, id)));
            records.extend(records::snapshot(&self.id, state));
        }
        let last = state.last_append;
        match held {
            Some(held) if records.is_empty() => match last.and_then(|token| fx.held_by(token)) {
                Some(others) => others.push(held),
                None => held.settle(fx, Ok(())),
            },
            held => self.append_last(fx, records, held),
        }
    }

    /// Appends in as many batches as it takes; the last one carries the answer.
    fn append_last(&mut self, fx: &mut Effects, records: Vec<Record>, held: Option<Held>) {
        let mut batches = batches(records, fx.settings.batch_bytes_max);
        let Some(last) = batches.pop() else {
            return held.into_iter().for_each(|held| held.settle(fx, Ok(())));
        };
        for batch in batches {
            fx.append(self.partition, batch, self.pending(Then::Consumer { held: Vec::new() }));
        }
        let token = fx.append(self.partition, last, self.pending(Then::Consumer { held: held.into_iter().collect() }));
        if let Some(state) = self.consumer.as_mut() {
            state.last_append = Some(token);
        }
    }
}
