//! What a start tells the operator, on standard output: where it serves, from what, how, and how safe an
//! acknowledgement is.

use crate::crew::Contents;
use crate::driver::Choice;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything worth a line.
#[derive(Debug)]
pub struct Report<'a> {
    /// Where clients are served, by listener name.
    pub listeners: &'a [(String, SocketAddr)],
    /// Data folders.
    pub data_dirs: &'a [PathBuf],
    /// The cluster's id.
    pub cluster_id: &'a str,
    /// This node's id.
    pub node_id: i32,
    /// Driver and reason.
    pub driver: &'a Choice,
    /// What the driver says of itself.
    pub driver_notes: &'a [String],
    /// Number of shards.
    pub shards: usize,
    /// Their cores, where each has its own.
    pub cores: Option<&'a [usize]>,
    /// Memory that the broker was sized for, in bytes.
    pub memory_bytes: u64,
    /// When an append is acknowledged.
    pub durability: &'a str,
}

impl Report<'_> {
    /// The lines before the last one.
    pub fn text(&self) -> String {
        let mut out = format!("ringlog {}\n", env!("CARGO_PKG_VERSION"));
        let mut line = |name: &str, value: String| {
            let _ = writeln!(out, "  {name:<11} {value}");
        };
        for (name, address) in self.listeners {
            line("address", format!("{name}://{address}"));
        }
        for dir in self.data_dirs {
            line("data folder", dir.display().to_string());
        }
        line("identity", format!("node {} of cluster {}", self.node_id, self.cluster_id));
        line("I/O driver", self.driver_line());
        line("shards", self.shards_line());
        line("durability", self.durability.to_owned());
        out
    }

    /// The last line.
    pub fn ready(&self, contents: Contents) -> String {
        let addresses: Vec<String> = self.listeners.iter().map(|(_, address)| address.to_string()).collect();
        let (topics, partitions) = (counted(contents.topics, "topic"), counted(contents.partitions, "partition"));
        format!("ready: Kafka clients can connect to {} ({topics}, {partitions})", addresses.join(", "))
    }

    fn driver_line(&self) -> String {
        let name = self.driver.kind.name();
        let notes =
            if self.driver_notes.is_empty() { String::new() } else { format!("; {}", self.driver_notes.join(", ")) };
        format!("{name} ({}){notes}", self.driver.why)
    }

    fn shards_line(&self) -> String {
        let count = counted(self.shards, "shard");
        let place = match self.cores {
            Some(cores) => {
                let cores: Vec<String> = cores.iter().map(ToString::to_string).collect();
                format!("pinned to core {}", cores.join(", "))
            }
            None => "more than cores, not pinned".to_owned(),
        };
        format!("{count}, {place}; sized for {} MiB of memory", self.memory_bytes >> 20)
    }
}

fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Kind;

    #[test]
    fn lines() {
        let driver = Choice { kind: Kind::Posix, why: "asked for with --io".into(), warning: None };
        let report = Report {
            listeners: &[("PLAINTEXT".into(), ([127, 0, 0, 1], 9092).into())],
            data_dirs: &["/data".into()],
            cluster_id: "c",
            node_id: 1,
            driver: &driver,
            driver_notes: &["epoll".into()],
            shards: 2,
            cores: Some(&[0, 1]),
            memory_bytes: 2 << 30,
            durability: "fsync",
        };
        let expect = format!(
            "ringlog {}
  address     PLAINTEXT://127.0.0.1:9092
  data folder /data
  identity    node 1 of cluster c
  I/O driver  posix (asked for with --io); epoll
  shards      2 shards, pinned to core 0, 1; sized for 2048 MiB of memory
  durability  fsync
",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(report.text(), expect);
        let contents = Contents { topics: 1, partitions: 2 };
        assert_eq!(
            report.ready(contents),
            "ready: Kafka clients can connect to 127.0.0.1:9092 (1 topic, 2 partitions)"
        );
    }
}
