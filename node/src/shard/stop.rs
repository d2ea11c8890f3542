//! How a shard stops: no new connections, the last answers, the logs flushed and marked clean.

use super::{Shard, Turn};
use crate::stages::{DRAIN_MS, FLUSH_MS};
use broker::Input;
use engine::log::{Shutdown, ShutdownError};
use engine::time::Mono;

/// How far stopping has come.
pub(super) enum Phase {
    Serving,
    /// No new connection; open ones may get their answers until then. None once they were told to go.
    Draining {
        until: Option<Mono>,
    },
    /// No connection is left; other shards may still need answers.
    Drained,
    /// No shard has a connection: the logs flush everything and are marked clean.
    Closing(Box<Shutdown>),
    /// Nothing is left to do.
    Ended(Option<Result<(), ShutdownError>>),
}

impl Shard {
    /// Flushes everything, marks the logs clean, and ends the shard.
    pub(super) fn begin_close(&mut self, now: Mono) {
        self.broker.keep_snapshots();
        tracing::debug!("counts of shard {}: {}", self.links.me().0, self.counts());
        let logs = self.broker.store_mut().take_logs(&self.io);
        self.phase = Phase::Closing(Box::new(logs.begin_shutdown(now.plus_millis(FLUSH_MS))));
    }

    pub(super) fn turn_closing(&mut self, now: Mono) -> Turn {
        // What the others still say concerns nobody here any more.
        while let Some((_, mail)) = self.links.receive() {
            self.turn_away(mail);
        }
        let Phase::Closing(logs) = &mut self.phase else { return Turn::Finished };
        match logs.poll(now, self.io.wall()) {
            None => Turn::Park(Some(logs.next_deadline())),
            Some(result) => {
                self.phase = Phase::Ended(Some(result));
                self.io.abandon_tasks();
                Turn::Finished
            }
        }
    }

    pub(super) fn advance_stop(&mut self, now: Mono) {
        if matches!(self.phase, Phase::Serving) && self.stages.is_stop_requested() {
            self.transport.stop();
            self.broker.handle(Input::Stopping, self.clock(now));
            self.phase = Phase::Draining { until: Some(now.plus_millis(DRAIN_MS)) };
        }
        if let Phase::Draining { until } = &mut self.phase {
            if until.take_if(|until| *until <= now).is_some() {
                self.transport.close_all();
            }
            if self.transport.connection_count() == 0 {
                self.phase = Phase::Drained;
                self.stages.note_drained();
            }
        }
        if matches!(self.phase, Phase::Drained) && self.stages.is_drained() {
            self.begin_close(now);
        }
    }
}
