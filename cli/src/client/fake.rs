//! A broker for tests, on a real socket: it answers what every client asks first, and leaves the rest to the test.

use super::Address;
use protocol::messages::api_versions::ApiVersion;
use protocol::messages::metadata::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use protocol::messages::{ApiVersionsResponse, InitProducerIdResponse, MetadataResponse};
use protocol::{ApiKey, Reader, RequestHeader, ResponseHeader, Writer};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A request that came.
pub(crate) struct Asked {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    correlation: i32,
    frame: Vec<u8>,
    body: usize,
}

impl Asked {
    pub(crate) fn body(&self) -> Reader<'_> {
        Reader::new(&self.frame[self.body..])
    }
}

/// The client at the other end of a connection.
pub(crate) struct Peer {
    stream: TcpStream,
}

impl Peer {
    /// The next request; none when the client has hung up.
    pub(crate) fn next(&mut self) -> Option<Asked> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        self.stream.read_exact(&mut frame).ok()?;
        let mut reader = Reader::new(&frame);
        let header = RequestHeader::decode(&mut reader).expect("a header of ours");
        let key = ApiKey::try_from(header.api_key).expect("a key of ours");
        let (version, correlation, body) = (header.api_version, header.correlation_id, reader.position());
        Some(Asked { key, version, correlation, frame, body })
    }

    pub(crate) fn answer(&mut self, asked: &Asked, body: impl FnOnce(&mut Writer, i16)) {
        let mut writer = Writer::new();
        let start = writer.begin_frame();
        let header = ResponseHeader { correlation_id: asked.correlation };
        header.encode(&mut writer, asked.key, asked.version).expect("a header");
        body(&mut writer, asked.version);
        writer.end_frame(start).expect("a frame");
        // A client that has hung up meanwhile is what some tests want.
        let _ = self.stream.write_all(&writer.into_bytes().expect("plain bytes"));
    }
}

/// Serves `topic` with so many partitions, all led by broker 1, which is this one. `other` gets the requests that no helper here
/// answers, on a thread for each connection, and ends the connection by saying false. The broker lives as long as the test does.
pub(crate) fn serve(
    topic: &'static str,
    partitions: i32,
    other: impl Fn(&mut Peer, &Asked) -> bool + Send + Sync + 'static,
) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = Address::new("127.0.0.1", listener.local_addr().expect("bound").port());
    let shared = Arc::new((other, AtomicI64::new(100)));
    let port = i32::from(address.port);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                let mut peer = Peer { stream };
                while let Some(asked) = peer.next() {
                    let (other, ids) = (&shared.0, &shared.1);
                    if !basics(&mut peer, &asked, topic, partitions, port, ids) && !other(&mut peer, &asked) {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn basics(peer: &mut Peer, asked: &Asked, topic: &str, partitions: i32, port: i32, ids: &AtomicI64) -> bool {
    match asked.key {
        ApiKey::ApiVersions => peer.answer(asked, |w, version| versions().encode(w, version).expect("versions")),
        ApiKey::Metadata => {
            peer.answer(asked, |w, version| metadata(topic, partitions, port).encode(w, version).expect("metadata"));
        }
        ApiKey::InitProducerId => {
            let producer_id = ids.fetch_add(1, Ordering::Relaxed);
            let response =
                InitProducerIdResponse { producer_id, producer_epoch: 0, ..InitProducerIdResponse::default() };
            peer.answer(asked, |w, version| response.encode(w, version).expect("an id"));
        }
        _ => return false,
    }
    true
}

fn versions() -> ApiVersionsResponse<'static> {
    let row = |key: ApiKey, max| ApiVersion { api_key: key as i16, min_version: 0, max_version: max };
    let api_keys = vec![
        row(ApiKey::Produce, 12),
        row(ApiKey::Fetch, 12),
        row(ApiKey::ListOffsets, 8),
        row(ApiKey::Metadata, 12),
        row(ApiKey::InitProducerId, 5),
        row(ApiKey::ApiVersions, 3),
    ];
    ApiVersionsResponse { api_keys, ..ApiVersionsResponse::default() }
}

fn metadata(topic: &str, partitions: i32, port: i32) -> MetadataResponse<'_> {
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: 1,
        replica_nodes: vec![1],
        isr_nodes: vec![1],
        ..MetadataResponsePartition::default()
    };
    MetadataResponse {
        brokers: vec![MetadataResponseBroker { node_id: 1, host: "127.0.0.1".into(), port, rack: None }],
        topics: vec![MetadataResponseTopic {
            name: Some(topic.into()),
            partitions: (0..partitions).map(partition).collect(),
            ..MetadataResponseTopic::default()
        }],
        ..MetadataResponse::default()
    }
}
