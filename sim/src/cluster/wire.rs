//! A client's connection: Kafka frames over a simulated peer, answers in the order of the requests.

use super::violation::Violation;
use engine::io::ConnId;
use engine::io::sim::SimPeer;
use engine::time::Mono;
use protocol::{ApiKey, DecodeError, EncodeError, Reader, RequestHeader, ResponseHeader, Writer};
use std::collections::VecDeque;

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) correlation: i32,
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) at: Mono,
}

/// An answer's frame and what it answers.
pub(crate) struct Answer {
    pub(crate) asked: Asked,
    frame: Vec<u8>,
}

impl Answer {
    /// Decodes the body.
    pub(crate) fn body<T>(
        &self,
        who: &str,
        what: &'static str,
        decode: impl for<'a> FnOnce(&mut Reader<'a>, i16) -> Result<T, DecodeError>,
    ) -> Result<T, Violation> {
        let wrong = |error: DecodeError| Violation::Answer { who: who.to_owned(), what, error: error.to_string() };
        let Asked { key, version, .. } = self.asked;
        let mut reader = Reader::new(&self.frame);
        ResponseHeader::decode(&mut reader, key, version).map_err(wrong)?;
        let body = decode(&mut reader, version).map_err(wrong)?;
        reader.finish().map_err(wrong)?;
        Ok(body)
    }
}

/// One connection of one client.
pub(crate) struct Link {
    peer: SimPeer,
    inbox: Vec<u8>,
    next: i32,
    pending: VecDeque<Asked>,
}

impl Link {
    pub(crate) fn new(peer: SimPeer) -> Link {
        Link { peer, inbox: Vec::new(), next: 0, pending: VecDeque::new() }
    }

    pub(crate) fn id(&self) -> ConnId {
        self.peer.id()
    }

    pub(crate) fn peer(&self) -> &SimPeer {
        &self.peer
    }

    /// Requests without an answer.
    pub(crate) fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// When the oldest unanswered request was sent.
    pub(crate) fn waits_since(&self) -> Option<Mono> {
        self.pending.front().map(|asked| asked.at)
    }

    /// What the oldest unanswered request is.
    pub(crate) fn waits_for(&self) -> Option<ApiKey> {
        self.pending.front().map(|asked| asked.key)
    }

    /// Sends a request that is to be answered.
    pub(crate) fn ask(
        &mut self,
        now: Mono,
        key: ApiKey,
        version: i16,
        body: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) {
        let correlation = self.tell(key, version, body);
        self.pending.push_back(Asked { correlation, key, version, at: now });
    }

    /// Sends a request that gets no answer; its correlation id.
    pub(crate) fn tell(
        &mut self,
        key: ApiKey,
        version: i16,
        body: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> i32 {
        let correlation = self.next;
        self.next += 1;
        let mut writer = Writer::new();
        let start = writer.begin_frame();
        let header = RequestHeader {
            api_key: key as i16,
            api_version: version,
            correlation_id: correlation,
            client_id: Some("sim".into()),
        };
        let written =
            header.encode(&mut writer).and_then(|()| body(&mut writer)).and_then(|()| writer.end_frame(start));
        #[expect(clippy::expect_used, reason = "requests of ours are small, valid, and hold their own records")]
        let bytes = written.ok().and_then(|()| writer.into_bytes().ok()).expect("a request of ours can be written");
        self.peer.write(&bytes);
        correlation
    }

    /// The next answer, if all of it is there.
    pub(crate) fn poll(&mut self, who: &str) -> Result<Option<Answer>, Violation> {
        let new = self.peer.read(usize::MAX);
        self.inbox.extend_from_slice(&new);
        let Some((len, rest)) = self.inbox.split_first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_be_bytes(*len) as usize;
        if rest.len() < len {
            return Ok(None);
        }
        let frame = rest[..len].to_vec();
        self.inbox.drain(..4 + len);
        let got = frame.first_chunk::<4>().map_or(-1, |bytes| i32::from_be_bytes(*bytes));
        let expected = self.pending.front().map_or(-2, |asked| asked.correlation);
        match self.pending.pop_front().filter(|asked| asked.correlation == got) {
            Some(asked) => Ok(Some(Answer { asked, frame })),
            None => Err(Violation::AnswersOutOfOrder { who: who.to_owned(), expected, got }),
        }
    }

    /// True once nothing more can come.
    pub(crate) fn is_dead(&self) -> bool {
        self.peer.is_closed()
    }
}
