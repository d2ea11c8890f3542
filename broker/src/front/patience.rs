//! Which clients may be kept waiting for the answer to a heartbeat that has nothing to tell them (`group.heartbeat.hold.ms`), by
//! the name that they give with ApiVersions, and the heartbeat of a connection that may be waiting. Who waits for what, and how
//! long, is `group::hold`.
//!
//! Only clients whose handling of heartbeats was read and tried are here; all others are answered at once, as by Kafka. Waiting
//! would stop kafkajs, which awaits its heartbeats between batches, and franz-go, sarama and kafka-go leave a group only after
//! the answer to the heartbeat before.

use super::message::Message;
use crate::Broker;
use crate::io::{ConnId, Effect, ShardId};
use crate::request::Request;
use crate::store::Store;

/// What a client does while a heartbeat of it is not answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// It is not known, or does nothing else.
    #[default]
    None,
    /// In the classic protocol it sends the next one all the same when its time has come; in the consumer protocol it does
    /// not. Requests of other kinds it always sends.
    Overlapping,
    /// It sends requests of other kinds, and no heartbeat.
    OneByOne,
}

impl Patience {
    /// Of the client whose software has this name (KIP-511).
    pub(crate) fn of(software: &str) -> Patience {
        match software {
            "apache-kafka-java" => Patience::Overlapping,
            "librdkafka" | "confluent-kafka-python" | "confluent-kafka-go" | "confluent-kafka-dotnet" => {
                Patience::OneByOne
            }
            _ => Patience::None,
        }
    }
}

/// What ends the wait of a heartbeat on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Another request came behind it, whose answer cannot overtake.
    NextRequest,
    /// The connection is gone. It may be that the client would not wait.
    Closed,
}

/// A heartbeat of a connection that was not answered yet, and may be waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenBeat {
    /// The request.
    pub(crate) seq: u64,
    /// The shard of its group.
    pub(crate) owner: ShardId,
}

impl<S: Store> Broker<S> {
    /// Notes that the answer to a heartbeat may take its time.
    pub(crate) fn note_beat(&mut self, request: &Request<S::Chunk>, group: &str) {
        if request.patience == Patience::None || request.origin.shard != self.me {
            return;
        }
        let owner = self.ask_about_group(group);
        if let Some(conn) = self.front.conns.get_mut(&request.origin.conn) {
            conn.beat = Some(OpenBeat { seq: request.origin.seq, owner });
        }
    }

    /// Ends the wait of a connection's heartbeat, if one waits. Whoever holds it hears of this behind the heartbeat.
    pub(crate) fn end_wait(&mut self, conn: ConnId, ending: Ending) {
        let beat = self.front.conns.get_mut(&conn).and_then(|known| known.beat.take());
        match beat {
            Some(beat) if beat.owner == self.me => self.end_hold(self.me, conn, ending),
            Some(beat) => {
                self.effects.push_back(Effect::Send { to: beat.owner, msg: Message::EndHold { conn, ending } });
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clients_that_were_looked_at_wait() {
        for (software, patience) in [
            ("apache-kafka-java", Patience::Overlapping),
            ("librdkafka", Patience::OneByOne),
            ("confluent-kafka-python", Patience::OneByOne),
            ("kafkajs", Patience::None),
            ("aiokafka", Patience::None),
            ("kafka-python", Patience::None),
            ("sarama", Patience::None),
            ("kgo", Patience::None),
            ("", Patience::None),
        ] {
            assert_eq!(Patience::of(software), patience, "{software}");
        }
    }
}
