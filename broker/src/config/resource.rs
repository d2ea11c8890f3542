//! What can have a configuration, with Kafka's numbers (`ConfigResource.Type`).

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i8)]
pub enum ResourceType {
    /// A topic.
    Topic = 2,
    /// A broker by its number, or what all brokers share, by the empty name.
    Broker = 4,
    /// The log levels of a broker.
    BrokerLogger = 8,
    /// A subscription to metrics of clients (KIP-714).
    ClientMetrics = 16,
    /// A group (KIP-848, KIP-932, KIP-1071).
    Group = 32,
}

impl ResourceType {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Topic, Self::Broker, Self::BrokerLogger, Self::ClientMetrics, Self::Group];

    /// The kind of that number.
    pub fn of(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i8 == number)
    }
}
