//! The topics that a life has, and their partitions as one numbered list of places.

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its topic.
    pub topic: &'static str,
    /// Its index.
    pub partition: i32,
    /// What retention leaves at least, in bytes; `None` where everything is kept.
    pub retained_bytes: Option<u64>,
}

/// A topic and its configuration.
#[derive(Clone, Copy, Debug)]
pub struct Topic {
    /// Its name.
    pub name: &'static str,
    /// How many partitions.
    pub partitions: i32,
    /// Configuration keys and values, besides durability.
    pub configs: &'static [(&'static str, &'static str)],
    /// What retention leaves at least, in bytes.
    pub retained_bytes: Option<u64>,
}

/// Kafka's smallest segment.
const SEGMENT_BYTES: &str = "1048576";
/// The records are as old as their timestamps, which are no part of this.
const EVER: (&str, &str) = ("retention.ms", "-1");

/// Growing logs of one segment, logs that roll all the time, and logs that retention shortens and whose files come back.
pub const TOPICS: &[Topic] = &[
    Topic { name: "growing", partitions: 4, configs: &[EVER], retained_bytes: None },
    Topic { name: "rolling", partitions: 3, configs: &[EVER, ("segment.bytes", SEGMENT_BYTES)], retained_bytes: None },
    Topic {
        name: "retained",
        partitions: 2,
        configs: &[
            EVER,
            ("segment.bytes", SEGMENT_BYTES),
            ("retention.bytes", "1500000"),
            ("file.delete.delay.ms", "0"),
        ],
        retained_bytes: Some(1_500_000),
    },
];

/// Every partition of every topic.
pub fn places() -> Vec<Place> {
    let of = |topic: &'static Topic| {
        let Topic { name, partitions, retained_bytes, .. } = *topic;
        (0..partitions).map(move |partition| Place { topic: name, partition, retained_bytes })
    };
    TOPICS.iter().flat_map(of).collect()
}
