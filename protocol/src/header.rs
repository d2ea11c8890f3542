//! Headers of requests and responses, and which of their versions an API version has.
//!
//! The rules (KIP-482, KIP-511) differ from the bodies' in two places: the client id keeps its classic length in flexible
//! headers, and the answer to ApiVersions never has a flexible header, because a client that guessed a version too high
//! must still read it.

use crate::error::{DecodeError, EncodeError};
use crate::messages::header;
use crate::messages::keys::ApiKey;
use crate::reader::Reader;
use crate::types::Str;
use crate::writer::Writer;

/// The header of a request, whatever its version on the wire.
///
/// ```text
/// v1   api_key i16 | api_version i16 | correlation_id i32 | client_id nullable string, i16 length
/// v2   v1 | tagged fields
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// The API, as the number that came: it may be one we do not serve.
    pub api_key: i16,
    /// Version of the body; decides the header's own version.
    pub api_version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// What the client calls itself, for logs and quotas.
    pub client_id: Option<Str<'a>>,
}

impl<'a> RequestHeader<'a> {
    /// Reads a header, whose version follows from its first four bytes.
    ///
    /// An unknown key is [`DecodeError::ApiKey`]: nobody can say where its header ends. An unknown version of a known
    /// key is not an error here.
    pub fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let key = ApiKey::try_from(r.peek_i16(0)?)?;
        let version = key.request_header_version(r.peek_i16(2)?);
        let wire = header::RequestHeader::decode(r, version)?;
        Ok(Self {
            api_key: wire.request_api_key,
            api_version: wire.request_api_version,
            correlation_id: wire.correlation_id,
            client_id: wire.client_id,
        })
    }

    /// Appends the header in the version that its key and version call for.
    pub fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        let version = ApiKey::try_from(self.api_key).map_or(1, |key| key.request_header_version(self.api_version));
        let wire = header::RequestHeader {
            request_api_key: self.api_key,
            request_api_version: self.api_version,
            correlation_id: self.correlation_id,
            client_id: self.client_id.clone(),
        };
        wire.encode(w, version)
    }
}

/// The header of a response: v0 is the correlation id, v1 has tagged fields behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The request's.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Appends the header of an answer to `api_version` of `key`.
    pub fn encode(&self, w: &mut Writer, key: ApiKey, api_version: i16) -> Result<(), EncodeError> {
        let wire = header::ResponseHeader { correlation_id: self.correlation_id };
        wire.encode(w, key.response_header_version(api_version))
    }

    /// Reads the header of an answer to `api_version` of `key`.
    pub fn decode(r: &mut Reader<'_>, key: ApiKey, api_version: i16) -> Result<Self, DecodeError> {
        let wire = header::ResponseHeader::decode(r, key.response_header_version(api_version))?;
        Ok(Self { correlation_id: wire.correlation_id })
    }
}

impl ApiKey {
    /// Whether `version` of the API has compact lengths and tagged fields.
    #[must_use]
    pub const fn is_flexible(self, version: i16) -> bool {
        matches!(self.flexible_from(), Some(from) if version >= from)
    }

    /// The version of the header in front of requests of `version`.
    #[must_use]
    pub const fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the header in front of responses of `version`.
    #[must_use]
    pub const fn response_header_version(self, version: i16) -> i16 {
        match self {
            Self::ApiVersions => 0,
            _ if self.is_flexible(version) => 1,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(key: ApiKey, api_version: i16) -> Vec<u8> {
        let mut w = Writer::new();
        let client_id = Some("kcat".into());
        RequestHeader { api_key: key as i16, api_version, correlation_id: 7, client_id }.encode(&mut w).unwrap();
        w.into_bytes().unwrap()
    }

    #[test]
    fn the_client_id_stays_classic_in_flexible_headers() {
        let classic = [0, 0, 0, 8, 0, 0, 0, 7, 0, 4, b'k', b'c', b'a', b't'];
        assert_eq!(encoded(ApiKey::Produce, 8), classic);
        let flexible = [0, 0, 0, 9, 0, 0, 0, 7, 0, 4, b'k', b'c', b'a', b't', 0];
        assert_eq!(encoded(ApiKey::Produce, 9), flexible);
    }

    #[test]
    fn headers_come_back() {
        for (key, version) in [(ApiKey::Fetch, 11), (ApiKey::Fetch, 12), (ApiKey::ApiVersions, 99)] {
            let bytes = encoded(key, version);
            let mut r = Reader::new(&bytes);
            let header = RequestHeader::decode(&mut r).unwrap();
            assert_eq!((header.api_key, header.api_version, header.correlation_id), (key as i16, version, 7));
            assert_eq!(header.client_id.as_deref(), Some("kcat"));
            r.finish().unwrap();
        }
    }

    #[test]
    fn keys_nobody_knows() {
        for got in [-1, 4, 7, 93, 500] {
            let bytes = [got; 8].map(i16::to_be_bytes).concat();
            assert_eq!(RequestHeader::decode(&mut Reader::new(&bytes)), Err(DecodeError::ApiKey { got }));
        }
    }

    #[test]
    fn a_header_cut_short() {
        let bytes = encoded(ApiKey::Fetch, 12);
        for len in 0..bytes.len() {
            let error = RequestHeader::decode(&mut Reader::new(&bytes[..len])).unwrap_err();
            assert!(matches!(error, DecodeError::Truncated { .. }), "{len}: {error}");
        }
    }

    #[test]
    fn header_versions() {
        let table = [
            (ApiKey::Produce, 8, 1, 0),
            (ApiKey::Produce, 9, 2, 1),
            // The answer to ApiVersions is readable whatever version the client guessed.
            (ApiKey::ApiVersions, 2, 1, 0),
            (ApiKey::ApiVersions, 3, 2, 0),
            (ApiKey::ApiVersions, 99, 2, 0),
            // Never flexible.
            (ApiKey::SaslHandshake, 1, 1, 0),
            (ApiKey::SaslHandshake, 9, 1, 0),
            (ApiKey::OffsetDelete, 0, 1, 0),
            (ApiKey::OffsetDelete, 9, 1, 0),
            // Flexible from the start.
            (ApiKey::DescribeCluster, 0, 2, 1),
        ];
        for (key, version, request, response) in table {
            assert_eq!(key.request_header_version(version), request, "{key:?} {version}");
            assert_eq!(key.response_header_version(version), response, "{key:?} {version}");
        }
    }
}
