//! A connection that misbehaves: what it sent, and whether what comes back can be the answers.

use engine::io::sim::SimPeer;
use protocol::messages::metadata::MetadataResponseTopic;
use protocol::messages::{FetchResponse, InitProducerIdResponse, JoinGroupResponse, MetadataResponse, ProduceRequest};
use protocol::{ApiKey, Reader, RequestHeader, ResponseHeader, Uuid, legacy, supported};
use std::collections::VecDeque;

use crate::messages;

/// The most that a frame may hold, as the node is set up.
const FRAME_BYTES_MAX: usize = 100 << 20;

/// What the node told, for requests that are nearly right.
#[derive(Default)]
pub(super) struct Learned {
    pub(super) member: String,
    pub(super) generation: i32,
    pub(super) producer: (i64, i16),
    pub(super) session: (i32, i32),
    pub(super) topic_id: Uuid,
}

/// A request that was sent whole.
struct Asked {
    correlation: i32,
    key: i16,
    version: i16,
}

/// The connection.
pub(super) struct Rogue {
    pub(super) peer: SimPeer,
    /// Sent, and not a whole frame yet.
    unfinished: Vec<u8>,
    /// Something was sent that is no frame: nothing after it is a request.
    broken: bool,
    asked: VecDeque<Asked>,
    inbox: Vec<u8>,
}

impl Rogue {
    pub(super) fn new(peer: SimPeer) -> Rogue {
        Rogue { peer, unfinished: Vec::new(), broken: false, asked: VecDeque::new(), inbox: Vec::new() }
    }

    /// Sends a frame behind its length.
    pub(super) fn send_frame(&mut self, frame: &[u8]) {
        self.send(&[&(frame.len() as i32).to_be_bytes()[..], frame].concat());
    }

    /// Sends bytes, and takes note of the requests that they complete.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.peer.write(bytes);
        self.unfinished.extend_from_slice(bytes);
        while !self.broken {
            let Some((len, rest)) = self.unfinished.split_first_chunk() else { return };
            let len = i32::from_be_bytes(*len);
            if !(1..=FRAME_BYTES_MAX as i32).contains(&len) {
                self.broken = true;
            } else if rest.len() < len as usize {
                return;
            } else {
                let frame: Vec<u8> = self.unfinished.drain(..4 + len as usize).skip(4).collect();
                match frame.first_chunk::<8>() {
                    Some(_) if is_silent(&frame) => {}
                    Some(&[k, key, v, version, a, b, c, d]) => self.asked.push_back(Asked {
                        key: i16::from_be_bytes([k, key]),
                        version: i16::from_be_bytes([v, version]),
                        correlation: i32::from_be_bytes([a, b, c, d]),
                    }),
                    None => self.broken = true,
                }
            }
        }
    }

    /// Takes what came back: each answer belongs to a request, and they come in the order of the requests.
    pub(super) fn read(&mut self, learned: &mut Learned) {
        self.inbox.extend(self.peer.read(usize::MAX));
        while let Some((len, rest)) = self.inbox.split_first_chunk() {
            let len = usize::try_from(i32::from_be_bytes(*len)).expect("an answer's length is not negative");
            if rest.len() < len {
                return;
            }
            let frame: Vec<u8> = self.inbox.drain(..4 + len).skip(4).collect();
            self.answered(&frame, learned);
        }
    }

    fn answered(&mut self, frame: &[u8], learned: &mut Learned) {
        let correlation = i32::from_be_bytes(*frame.first_chunk().expect("an answer has a correlation id"));
        let asked = self.asked.pop_front().unwrap_or_else(|| panic!("nobody asked for {correlation}"));
        assert_eq!(asked.correlation, correlation, "answers are in the order of the requests");
        check_answer(&asked, frame, learned);
    }
}

/// Produce with acks=0, the one request without an answer.
fn is_silent(frame: &[u8]) -> bool {
    let mut reader = Reader::new(frame);
    let Ok(header) = RequestHeader::decode(&mut reader) else { return false };
    let produce = header.api_key == ApiKey::Produce as i16;
    produce && ProduceRequest::decode(&mut reader, header.api_version).is_ok_and(|request| request.acks == 0)
}

/// The whole answer is what its API and version say.
fn check_answer(asked: &Asked, frame: &[u8], learned: &mut Learned) {
    let key = ApiKey::try_from(asked.key).expect("what is answered is known");
    let served = supported(key).expect("what is answered is served");
    let is_old = legacy(key).is_some_and(|old| old.contains(asked.version));
    // A client that asks for too new a version of ApiVersions is told so in the oldest.
    let version = if served.contains(asked.version) || is_old { asked.version } else { 0 };
    assert!(version == asked.version || key == ApiKey::ApiVersions, "{key:?} v{} was answered", asked.version);
    let mut reader = Reader::new(frame);
    ResponseHeader::decode(&mut reader, key, version).expect("an answer's header");
    let body = &frame[reader.position()..];
    let taken = messages::decoded(&format!("{}Response", key.name()), version, body);
    assert_eq!(taken, Some(body.len()), "{key:?} v{version}: {body:02x?}");
    learned.note(key, version, body);
}

impl Learned {
    fn note(&mut self, key: ApiKey, version: i16, body: &[u8]) {
        let mut reader = Reader::new(body);
        match key {
            ApiKey::JoinGroup => {
                if let Ok(answer) = JoinGroupResponse::decode(&mut reader, version)
                    && !answer.member_id.is_empty()
                {
                    self.member = answer.member_id.into_owned();
                    self.generation = answer.generation_id;
                }
            }
            ApiKey::InitProducerId => {
                if let Ok(answer) = InitProducerIdResponse::decode(&mut reader, version) {
                    self.producer = (answer.producer_id, answer.producer_epoch);
                }
            }
            ApiKey::Fetch => {
                if let Ok(answer) = FetchResponse::decode(&mut reader, version)
                    && answer.session_id != 0
                {
                    self.session = (answer.session_id, self.session.1 + 1);
                }
            }
            ApiKey::Metadata => {
                // The honest client's topic is out of bounds: by its id it could be written to, or deleted.
                let usable = |topic: &&MetadataResponseTopic<'_>| {
                    topic.error_code == 0 && topic.name.as_deref() != Some(super::honest::TOPIC)
                };
                if let Ok(answer) = MetadataResponse::decode(&mut reader, version)
                    && let Some(topic) = answer.topics.iter().find(usable)
                {
                    self.topic_id = topic.topic_id;
                }
            }
            _ => {}
        }
    }
}

/// A request's header and body.
pub(super) fn frame(key: ApiKey, version: i16, correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let mut writer = protocol::Writer::new();
    let header =
        RequestHeader { api_key: key as i16, api_version: version, correlation_id, client_id: Some("rogue".into()) };
    header.encode(&mut writer).expect("a short client id fits");
    [writer.into_bytes().unwrap_or_default(), body.to_vec()].concat()
}
