//! Keys that Kafka 4.3.1 has and this broker does not serve: each is refused in its own answer, so that a client which asks
//! without looking at ApiVersions learns what is missing instead of losing its connection.
//!
//! Answers that carry one code are in `whole`, those that carry one for each thing asked about in `each`. Which keys are served is
//! [`SERVED`](super::SERVED). Keys that Kafka does not have, or speaks among controllers only, end the connection, as there.

mod each;
mod whole;

use crate::request::{Refusal, Request};
use crate::{Broker, Store};
use protocol::messages::keys::{ApiKey, supported};
use protocol::types::Str;
use protocol::{DecodeError, EncodeError, ErrorCode, Reader, Writer};

/// What a refusal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Why {
    /// The code.
    code: ErrorCode,
    /// What is missing and what to do, for answers that have room for it.
    message: String,
}

impl Why {
    /// The code that Kafka itself has for a broker without the feature, or UNSUPPORTED_VERSION.
    fn of(key: ApiKey) -> Self {
        let (code, missing) = match key {
            ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => (ErrorCode::IllegalSaslState, "SASL"),
            ApiKey::DescribeAcls | ApiKey::CreateAcls | ApiKey::DeleteAcls => {
                (ErrorCode::SecurityDisabled, "an authorizer")
            }
            ApiKey::CreateDelegationToken
            | ApiKey::RenewDelegationToken
            | ApiKey::ExpireDelegationToken
            | ApiKey::DescribeDelegationToken => (ErrorCode::DelegationTokenAuthDisabled, "delegation tokens"),
            _ => (ErrorCode::UnsupportedVersion, key.name()),
        };
        let message = format!("this broker does not have {missing}; ApiVersions lists what it serves");
        Self { code, message }
    }

    /// The message as a field of an answer.
    fn text(&self) -> Option<Str<'static>> {
        Some(Str::Owned(self.message.clone()))
    }
}

/// An answer, ready to be written in the request's version.
pub(crate) type Answer = Box<dyn FnOnce(&mut Writer, i16) -> Result<(), EncodeError>>;

/// Refuses a request for a key that is not served.
pub(crate) fn handle<S: Store>(broker: &mut Broker<S>, request: &Request<S::Chunk>) -> Result<(), Refusal> {
    let (key, version) = (request.header.key, request.header.version);
    if !supported(key).is_some_and(|range| range.contains(version)) {
        return Err(Refusal::Version { key, version });
    }
    let why = Why::of(key);
    let answer = request.body(|reader, version| refuse(key, reader, version, &why))?;
    let Some(answer) = answer else { return Err(Refusal::Key { key: key as i16 }) };
    tracing::debug!(api = key.name(), version, peer = %request.peer, "not served; refused");
    broker.respond(request.origin, &request.header, answer);
    Ok(())
}

/// The refusal of one request, or nothing for a key that clients cannot send.
fn refuse(key: ApiKey, r: &mut Reader<'_>, version: i16, why: &Why) -> Result<Option<Answer>, DecodeError> {
    match whole::refuse(key, r, version, why)? {
        Some(answer) => Ok(Some(answer)),
        None => each::refuse(key, r, version, why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::SERVED;
    use protocol::messages::keys::VERSIONS;

    /// Every key that clients may send is either served or refused in its own words, in every version.
    #[test]
    fn nothing_falls_between_served_and_refused() {
        let mut refused = 0;
        for row in VERSIONS.iter().filter(|row| !SERVED.contains(&row.key)) {
            for version in row.min..=row.max {
                // A count of nothing is 0 in the classic encoding and 1 in the compact one, so that a row of one of them
                // is a request of any kind.
                let why = Why::of(row.key);
                let zeros = refuse(row.key, &mut Reader::new(&[0; 256]), version, &why);
                let answer = zeros.or_else(|_| refuse(row.key, &mut Reader::new(&[1; 256]), version, &why));
                let name = row.key.name();
                let answer = answer.unwrap_or_else(|e| panic!("{name} v{version}: {e}"));
                let answer = answer.unwrap_or_else(|| panic!("{name} v{version} has no refusal"));
                let mut w = Writer::new();
                answer(&mut w, version).unwrap_or_else(|e| panic!("{name} v{version}: {e}"));
                refused += 1;
            }
        }
        assert!(refused > 0, "when everything is served, this module can go");
    }

    /// A refusal that nobody can get goes when its key is served.
    #[test]
    fn what_is_served_has_no_refusal() {
        for row in VERSIONS.iter().filter(|row| SERVED.contains(&row.key)) {
            let why = Why::of(row.key);
            let found = [[0; 256], [1; 256]].map(|bytes| refuse(row.key, &mut Reader::new(&bytes), row.max, &why));
            assert!(found.iter().all(|found| matches!(found, Ok(None))), "{}", row.key.name());
        }
    }

    #[test]
    fn the_codes_are_those_of_a_broker_without_the_feature() {
        for (key, code) in [
            (ApiKey::SaslHandshake, ErrorCode::IllegalSaslState),
            (ApiKey::CreateAcls, ErrorCode::SecurityDisabled),
            (ApiKey::RenewDelegationToken, ErrorCode::DelegationTokenAuthDisabled),
            (ApiKey::ShareFetch, ErrorCode::UnsupportedVersion),
        ] {
            assert_eq!(Why::of(key).code, code, "{}", key.name());
        }
    }
}
