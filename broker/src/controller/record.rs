//! The records of the metadata log and their bytes. The layout is stated in `broker/METADATA.md`; this is its code.

use protocol::Uuid;

/// Which configuration a [`Record::Config`] belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// A topic; its configuration ends with it.
    Topic(Uuid),
    /// One broker.
    Broker(i32),
    /// All brokers that say nothing themselves.
    DefaultBroker,
    /// A group, whether it exists or not.
    Group(String),
    /// A subscription to metrics of clients.
    ClientMetrics(String),
}

/// Where one partition lives, as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    /// The topic.
    pub topic: Uuid,
    /// Partition index.
    pub partition: i32,
    /// The broker that leads it; -1 when none does.
    pub leader: i32,
    /// Raised with every change of the leader.
    pub leader_epoch: i32,
    /// Brokers that hold a replica, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub isr: Vec<i32>,
}

/// One change of the cluster's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Names the cluster; the first record of all.
    ClusterId(String),
    /// Makes a topic without partitions.
    Topic {
        /// Its name.
        name: String,
        /// Its id.
        id: Uuid,
    },
    /// Makes the next partition of a topic, or changes one.
    Partition(PartitionRecord),
    /// Removes a topic with its partitions and configuration.
    RemoveTopic {
        /// Its id.
        id: Uuid,
    },
    /// Sets or removes one configuration value.
    Config {
        /// Whose.
        resource: Resource,
        /// The key.
        key: String,
        /// The value; `None` removes it.
        value: Option<String>,
    },
    /// Producer ids below `next` are handed out or will never be.
    ProducerIds {
        /// The first id that is free.
        next: i64,
    },
}

/// Bytes that are no record this version understands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Another layout altogether.
    #[error("record format {got}, and this version knows {FORMAT}: the metadata was written by a newer version")]
    Format {
        /// The format byte.
        got: u8,
    },
    /// A type that this version does not know. Skipping it would lose what it says.
    #[error("record type {got} is not known: the metadata was written by a newer version")]
    UnknownType {
        /// The type byte.
        got: u8,
    },
    /// The bytes end inside a field, or a field holds what it cannot hold.
    #[error("a record of type {record_type} is malformed at byte {position}")]
    Malformed {
        /// The type byte.
        record_type: u8,
        /// Where in the record.
        position: usize,
    },
}

/// First byte of every record.
const FORMAT: u8 = 1;
/// Third byte: the minor version of each record type this version writes. A newer one has more fields at the end.
const MINOR: u8 = 0;

/// Type bytes. Those from 7 on are set aside in METADATA.md.
mod types {
    pub(super) const CLUSTER_ID: u8 = 1;
    pub(super) const TOPIC: u8 = 2;
    pub(super) const PARTITION: u8 = 3;
    pub(super) const REMOVE_TOPIC: u8 = 4;
    pub(super) const CONFIG: u8 = 5;
    pub(super) const PRODUCER_IDS: u8 = 6;
}

const RESOURCE_DEFAULT_BROKER: u8 = 1;
const RESOURCE_BROKER: u8 = 2;
const RESOURCE_TOPIC: u8 = 3;
const RESOURCE_GROUP: u8 = 4;
const RESOURCE_CLIENT_METRICS: u8 = 5;

/// A text longer than its length field can say was not checked where it came in.
const TOO_LONG: &str = "names, keys and values are bounded by their validators and by the request frame";

impl Record {
    /// Its bytes. Config values longer than 64 KiB are cut nowhere: their length field has 32 bits.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder(vec![FORMAT, self.type_byte(), MINOR]);
        match self {
            Self::ClusterId(id) => out.text(id),
            Self::Topic { name, id } => {
                out.text(name);
                out.bytes(&id.0);
            }
            Self::Partition(record) => {
                out.bytes(&record.topic.0);
                for number in [record.partition, record.leader, record.leader_epoch] {
                    out.bytes(&number.to_be_bytes());
                }
                out.brokers(&record.replicas);
                out.brokers(&record.isr);
            }
            Self::RemoveTopic { id } => out.bytes(&id.0),
            Self::Config { resource, key, value } => {
                out.resource(resource);
                out.text(key);
                out.0.push(u8::from(value.is_some()));
                out.text(value.as_deref().unwrap_or_default());
            }
            Self::ProducerIds { next } => out.bytes(&next.to_be_bytes()),
        }
        out.0
    }

    /// Reads one record, which the bytes hold whole. Fields that a newer minor version added are skipped.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let &[format, record_type, minor, ref body @ ..] = bytes else {
            return Err(RecordError::Malformed { record_type: 0, position: bytes.len() });
        };
        if format != FORMAT {
            return Err(RecordError::Format { got: format });
        }
        let mut from = Decoder { body, position: 0 };
        let record = match record_type {
            types::CLUSTER_ID => from.text().map(Self::ClusterId),
            types::TOPIC => from.topic(),
            types::PARTITION => from.partition().map(Self::Partition),
            types::REMOVE_TOPIC => from.id().map(|id| Self::RemoveTopic { id }),
            types::CONFIG => from.config(),
            types::PRODUCER_IDS => from.array().map(|next| Self::ProducerIds { next: i64::from_be_bytes(next) }),
            got => return Err(RecordError::UnknownType { got }),
        };
        let whole = minor > MINOR || from.position == body.len();
        record.filter(|_| whole).ok_or(RecordError::Malformed { record_type, position: from.position + 3 })
    }

    fn type_byte(&self) -> u8 {
        match self {
            Self::ClusterId(_) => types::CLUSTER_ID,
            Self::Topic { .. } => types::TOPIC,
            Self::Partition(_) => types::PARTITION,
            Self::RemoveTopic { .. } => types::REMOVE_TOPIC,
            Self::Config { .. } => types::CONFIG,
            Self::ProducerIds { .. } => types::PRODUCER_IDS,
        }
    }
}

struct Encoder(Vec<u8>);

impl Encoder {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn count(&mut self, count: usize) {
        #[expect(clippy::expect_used, reason = "see TOO_LONG")]
        let count = u32::try_from(count).expect(TOO_LONG);
        self.bytes(&count.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.bytes(text.as_bytes());
    }

    fn brokers(&mut self, brokers: &[i32]) {
        self.count(brokers.len());
        brokers.iter().for_each(|broker| self.bytes(&broker.to_be_bytes()));
    }

    fn resource(&mut self, resource: &Resource) {
        match resource {
            Resource::DefaultBroker => self.0.push(RESOURCE_DEFAULT_BROKER),
            Resource::Broker(id) => {
                self.0.push(RESOURCE_BROKER);
                self.bytes(&id.to_be_bytes());
            }
            Resource::Topic(id) => {
                self.0.push(RESOURCE_TOPIC);
                self.bytes(&id.0);
            }
            Resource::Group(name) => {
                self.0.push(RESOURCE_GROUP);
                self.text(name);
            }
            Resource::ClientMetrics(name) => {
                self.0.push(RESOURCE_CLIENT_METRICS);
                self.text(name);
            }
        }
    }
}

/// Reads fields off a record. Nothing is allocated beyond the bytes that are there.
struct Decoder<'a> {
    body: &'a [u8],
    position: usize,
}

impl Decoder<'_> {
    fn take(&mut self, len: usize) -> Option<&[u8]> {
        let bytes = self.body.get(self.position..self.position.checked_add(len)?)?;
        self.position += len;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn int(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.array()?)).ok()
    }

    fn text(&mut self) -> Option<String> {
        let len = self.count()?;
        std::str::from_utf8(self.take(len)?).ok().map(str::to_owned)
    }

    fn id(&mut self) -> Option<Uuid> {
        self.array().map(Uuid)
    }

    fn brokers(&mut self) -> Option<Vec<i32>> {
        let len = self.count()?.checked_mul(4)?;
        let (numbers, _) = self.take(len)?.as_chunks();
        Some(numbers.iter().map(|number| i32::from_be_bytes(*number)).collect())
    }

    fn topic(&mut self) -> Option<Record> {
        Some(Record::Topic { name: self.text()?, id: self.id()? })
    }

    fn partition(&mut self) -> Option<PartitionRecord> {
        Some(PartitionRecord {
            topic: self.id()?,
            partition: self.int()?,
            leader: self.int()?,
            leader_epoch: self.int()?,
            replicas: self.brokers()?,
            isr: self.brokers()?,
        })
    }

    fn config(&mut self) -> Option<Record> {
        let resource = match self.array()? {
            [RESOURCE_DEFAULT_BROKER] => Resource::DefaultBroker,
            [RESOURCE_BROKER] => Resource::Broker(self.int()?),
            [RESOURCE_TOPIC] => Resource::Topic(self.id()?),
            [RESOURCE_GROUP] => Resource::Group(self.text()?),
            [RESOURCE_CLIENT_METRICS] => Resource::ClientMetrics(self.text()?),
            _ => return None,
        };
        let key = self.text()?;
        let present = self.array()?;
        let value = self.text()?;
        let value = match present {
            [0] if value.is_empty() => None,
            [1] => Some(value),
            _ => return None,
        };
        Some(Record::Config { resource, key, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid([9; 16]);

    fn every_kind() -> Vec<Record> {
        let config = |resource: Resource, value: Option<&str>| Record::Config {
            resource,
            key: "retention.ms".to_owned(),
            value: value.map(str::to_owned),
        };
        vec![
            Record::ClusterId("MkU3OEVBNTcwNTJENDM2Qg".to_owned()),
            Record::Topic { name: "t".to_owned(), id: ID },
            Record::Partition(PartitionRecord {
                topic: ID,
                partition: 3,
                leader: -1,
                leader_epoch: 7,
                replicas: vec![1, 2, 3],
                isr: vec![2],
            }),
            Record::RemoveTopic { id: ID },
            config(Resource::Topic(ID), Some("1")),
            config(Resource::Broker(1), Some("")),
            config(Resource::DefaultBroker, None),
            config(Resource::Group("g".to_owned()), Some("1")),
            config(Resource::ClientMetrics(String::new()), None),
            Record::ProducerIds { next: 1 << 40 },
        ]
    }

    #[test]
    fn every_record_comes_back() {
        for record in every_kind() {
            assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn golden_bytes() {
        assert_eq!(Record::ProducerIds { next: 258 }.encode(), [1, 6, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        let topic = Record::Topic { name: "ab".to_owned(), id: ID }.encode();
        assert_eq!(topic[..9], [1, 2, 0, 0, 0, 0, 2, b'a', b'b']);
        assert_eq!(topic[9..], [9; 16]);
    }

    #[test]
    fn cut_bytes_are_malformed_and_never_panic() {
        for record in every_kind() {
            let bytes = record.encode();
            for len in 0..bytes.len() {
                assert!(matches!(Record::decode(&bytes[..len]), Err(RecordError::Malformed { .. })), "{record:?}");
            }
        }
    }

    #[test]
    fn a_newer_minor_version_may_add_fields() {
        for record in every_kind() {
            let mut bytes = record.encode();
            bytes.extend_from_slice(b"more");
            assert!(matches!(Record::decode(&bytes), Err(RecordError::Malformed { .. })), "same version");
            bytes[2] = MINOR + 1;
            assert_eq!(Record::decode(&bytes), Ok(record), "newer version");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(Record::decode(&[2, 1, 0]), Err(RecordError::Format { got: 2 }));
        assert_eq!(Record::decode(&[1, 200, 0]), Err(RecordError::UnknownType { got: 200 }));
        let huge_count = [&[1, 3, 0][..], &[0; 28], &[255; 4]].concat();
        assert!(matches!(Record::decode(&huge_count), Err(RecordError::Malformed { record_type: 3, .. })));
    }
}
