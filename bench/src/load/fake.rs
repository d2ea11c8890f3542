//! A broker for tests of the generator: partitions in vectors, a thread a connection, Produce 7, Fetch 11 and OffsetCommit 7 only. It checks
//! what it is sent, and can be told to answer late or to refuse.

use crate::frames::testing;
use protocol::messages::{FetchRequest, OffsetCommitRequest, ProduceRequest};
use protocol::{Reader, RequestHeader};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Topic and partition.
type Key = (String, i32);

/// What the connections share.
#[derive(Default)]
pub(super) struct Logs {
    /// Each partition's batches, as they would be fetched, with the offset after each.
    pub batches: BTreeMap<Key, Vec<(Vec<u8>, i64)>>,
    /// Commits by group.
    pub commits: BTreeMap<String, usize>,
    /// Before each answer.
    pub delay: Duration,
    /// Produce requests from here on are refused with error 2.
    pub refuse_after: Option<usize>,
    produced: usize,
}

/// A running fake; its threads end with the test's process.
pub(super) struct Fake {
    pub address: SocketAddr,
    pub logs: Arc<Mutex<Logs>>,
}

impl Fake {
    pub(super) fn start() -> Fake {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let logs = Arc::new(Mutex::new(Logs::default()));
        let shared = Arc::clone(&logs);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(socket, &shared));
            }
        });
        Fake { address, logs }
    }

    /// Writes `count` equal batches to a partition.
    pub(super) fn fill(&self, topic: &str, partition: i32, batch: &[u8], count: usize) {
        let mut logs = self.logs.lock().unwrap();
        for _ in 0..count {
            logs.append(topic, partition, batch);
        }
    }

    /// Batches that a partition has.
    pub(super) fn count(&self, topic: &str, partition: i32) -> usize {
        self.logs.lock().unwrap().batches.get(&(topic.to_owned(), partition)).map_or(0, Vec::len)
    }
}

impl Logs {
    fn append(&mut self, topic: &str, partition: i32, batch: &[u8]) -> i64 {
        let log = self.batches.entry((topic.to_owned(), partition)).or_default();
        let base = log.last().map_or(0, |(_, end)| *end);
        let last_delta = i32::from_be_bytes(batch[23..27].try_into().unwrap());
        let mut batch = batch.to_vec();
        batch[..8].copy_from_slice(&base.to_be_bytes());
        log.push((batch, base + i64::from(last_delta) + 1));
        base
    }

    fn produce(&mut self, body: &mut Reader<'_>) -> Vec<u8> {
        let request = ProduceRequest::decode(body, 7).unwrap();
        let topic = &request.topic_data[0];
        let partition = &topic.partition_data[0];
        let batch = partition.records.bytes().unwrap();
        let crc = u32::from_be_bytes(batch[17..21].try_into().unwrap());
        assert_eq!(protocol::crc::crc32c(&batch[21..]), crc, "the batch came whole");
        self.produced += 1;
        if self.refuse_after.is_some_and(|n| self.produced > n) {
            return testing::produce_answer(2, -1);
        }
        testing::produce_answer(0, self.append(&topic.name, partition.index, batch))
    }

    fn commit(&mut self, body: &mut Reader<'_>) -> Vec<u8> {
        let request = OffsetCommitRequest::decode(body, 7).unwrap();
        *self.commits.entry(request.group_id.to_string()).or_default() += 1;
        testing::commit_answer(&request.topics[0].name)
    }

    fn fetch(&self, body: &mut Reader<'_>) -> Vec<u8> {
        let request = FetchRequest::decode(body, 11).unwrap();
        let topic = &request.topics[0];
        let wanted = &topic.partitions[0];
        let none = Vec::new();
        let log = self.batches.get(&(topic.topic.to_string(), wanted.partition)).unwrap_or(&none);
        let end = log.last().map_or(0, |(_, end)| *end);
        let mut records = Vec::new();
        for (batch, _) in log.iter().filter(|(_, end)| *end > wanted.fetch_offset) {
            if !records.is_empty() && records.len() + batch.len() > wanted.partition_max_bytes as usize {
                // As Kafka does: the answer ends in the middle of the batch that has no room.
                records.extend_from_slice(&batch[..batch.len() / 2]);
                break;
            }
            records.extend_from_slice(batch);
        }
        testing::fetch_answer(0, end, &records)
    }
}

fn serve(mut socket: TcpStream, logs: &Mutex<Logs>) {
    let mut prefix = [0; 4];
    while socket.read_exact(&mut prefix).is_ok() {
        let mut frame = vec![0; u32::from_be_bytes(prefix) as usize];
        socket.read_exact(&mut frame).unwrap();
        let mut body = Reader::new(&frame);
        let header = RequestHeader::decode(&mut body).unwrap();
        let (answer, delay) = {
            let mut logs = logs.lock().unwrap();
            let answer = match header.api_key {
                0 => logs.produce(&mut body),
                8 => logs.commit(&mut body),
                _ => logs.fetch(&mut body),
            };
            (answer, logs.delay)
        };
        // A long poll that finds nothing would wait, too.
        let empty = header.api_key == 1 && answer.len() < 100;
        std::thread::sleep(if empty { Duration::from_millis(2) } else { delay });
        if socket.write_all(&answer).is_err() {
            return;
        }
    }
}
