//! Systems, each with what its acknowledgement means: no figure is printed without it.

/// A system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Ours.
    Ringlog,
    /// Apache Kafka 4.3.1.
    Kafka,
    /// NATS JetStream.
    Nats,
    /// Our engine alone, without broker and network.
    Engine,
    /// fio: what the disk gives.
    Fio,
}

/// What an acknowledgement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The device has it.
    Fsync,
    /// Nothing was flushed: Kafka's default is the page cache, `durability=none` of ours a completed direct write.
    NoSync,
}

/// A system in one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contender {
    /// The system.
    pub peer: Peer,
    /// Its class.
    pub class: Class,
}

/// Ours as it comes.
pub const RINGLOG: Contender = Contender { peer: Peer::Ringlog, class: Class::Fsync };
/// Ours with `durability=none`.
pub const RINGLOG_NONE: Contender = Contender { peer: Peer::Ringlog, class: Class::NoSync };
/// Kafka as it comes.
pub const KAFKA: Contender = Contender { peer: Peer::Kafka, class: Class::NoSync };
/// Kafka with `flush.messages=1` on the topic.
pub const KAFKA_FSYNC: Contender = Contender { peer: Peer::Kafka, class: Class::Fsync };
/// JetStream with `sync_interval: always`.
pub const NATS: Contender = Contender { peer: Peer::Nats, class: Class::Fsync };
/// Our engine in a process of its own.
pub const ENGINE: Contender = Contender { peer: Peer::Engine, class: Class::Fsync };
/// fio, direct and unsynced.
pub const FIO: Contender = Contender { peer: Peer::Fio, class: Class::NoSync };

impl Contender {
    /// Its name in results, on one word.
    pub fn id(self) -> &'static str {
        match (self.peer, self.class) {
            (Peer::Ringlog, Class::Fsync) => "ringlog",
            (Peer::Ringlog, Class::NoSync) => "ringlog-none",
            (Peer::Kafka, Class::NoSync) => "kafka",
            (Peer::Kafka, Class::Fsync) => "kafka-fsync",
            (Peer::Nats, _) => "nats",
            (Peer::Engine, _) => "engine",
            (Peer::Fio, _) => "fio",
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self.peer {
            Peer::Ringlog => "Ringlog",
            Peer::Kafka => "Kafka 4.3.1",
            Peer::Nats => "NATS JetStream",
            Peer::Engine => "engine alone",
            Peer::Fio => "fio",
        }
    }

    /// What its acknowledgement means.
    pub fn durability(self) -> &'static str {
        match (self.peer, self.class) {
            (Peer::Ringlog, Class::Fsync) => "fsync before ack",
            (Peer::Ringlog, Class::NoSync) => "durability=none: written, not synced",
            (Peer::Kafka, Class::NoSync) => "page cache, not synced",
            (Peer::Kafka, Class::Fsync) => "flush.messages=1: fsync before ack",
            (Peer::Nats, _) => "sync_interval always: fsync before ack",
            (Peer::Engine, _) => "fsync before it counts",
            (Peer::Fio, _) => "O_DIRECT, not synced",
        }
    }

    /// Topic settings that make its class.
    pub fn topic_settings(self) -> Option<(&'static str, &'static str)> {
        match (self.peer, self.class) {
            (Peer::Ringlog, Class::NoSync) => Some(("durability", "none")),
            (Peer::Kafka, Class::Fsync) => Some(("flush.messages", "1")),
            _ => None,
        }
    }
}
