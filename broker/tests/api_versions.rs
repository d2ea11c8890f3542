//! Negotiation: what a client learns first. If this breaks, clients disconnect, or silently do without what they could have.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests, too, end the test")]

use broker::testing::{Call, Outcome, World, body_of};
use protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use protocol::messages::keys::{ApiKey, VERSIONS};
use protocol::{ErrorCode, Reader, Writer};

fn ask(version: i16, name: &str, software_version: &str) -> Outcome {
    let mut world = World::new(1, 1);
    let conn = world.connect(0);
    let request =
        ApiVersionsRequest { client_software_name: name.into(), client_software_version: software_version.into() };
    let frame = Call::new(ApiKey::ApiVersions, version).frame(|writer: &mut Writer, version| match version {
        0..=4 => request.encode(writer, version),
        _ => request.encode(writer, 4),
    });
    world.ask(conn, frame)
}

fn read(outcome: &Outcome, version: i16) -> ApiVersionsResponse<'_> {
    let body = body_of(outcome, ApiKey::ApiVersions, version);
    let mut reader = Reader::new(body);
    let response = ApiVersionsResponse::decode(&mut reader, version).unwrap();
    reader.finish().unwrap();
    response
}

#[test]
fn every_known_version_lists_what_is_served() {
    for version in 0..=4 {
        let outcome = ask(version, "test", "1.0");
        let response = read(&outcome, version);
        assert_eq!(response.error_code, 0);
        for row in &response.api_keys {
            let key = ApiKey::try_from(row.api_key).unwrap();
            let known = VERSIONS.iter().find(|known| known.key == key).unwrap();
            assert_eq!((row.min_version, row.max_version), (known.min, known.max), "{key:?} as in Kafka 4.3.1");
        }
        let range_of =
            |key: ApiKey| response.api_keys.iter().find(|row| row.api_key == key as i16).map(|row| row.min_version);
        assert_eq!(range_of(ApiKey::Produce), Some(0), "KAFKA-18659");
        assert_eq!(range_of(ApiKey::AddPartitionsToTxn), None, "what does not work is not listed");
    }
}

#[test]
fn an_unknown_version_gets_version_0_and_all_keys() {
    for version in [5, 99, i16::MAX] {
        let outcome = ask(version, "test", "1.0");
        let response = read(&outcome, 0);
        assert_eq!(response.error_code, ErrorCode::UnsupportedVersion.code());
        assert!(response.api_keys.iter().any(|row| row.api_key == 18 && row.max_version == 4));
    }
}

#[test]
fn features() {
    let outcome = ask(3, "test", "1.0");
    let response = read(&outcome, 3);
    assert!(response.supported_features.iter().all(|feature| feature.min_version > 0), "KAFKA-17011");
    let outcome = ask(4, "test", "1.0");
    let response = read(&outcome, 4);
    assert!(response.supported_features.iter().any(|feature| feature.min_version == 0));
    let finalized: Vec<_> = response.finalized_features.iter().map(|f| (&*f.name, f.max_version_level)).collect();
    assert_eq!(finalized, [("metadata.version", 30), ("group.version", 1)]);
    assert!(response.finalized_features_epoch >= 0);
}

#[test]
fn client_names_follow_the_pattern() {
    for (name, version) in [("bad name", "1"), ("", "1"), ("ok", ""), ("ok", "-1")] {
        let outcome = ask(3, name, version);
        assert_eq!(read(&outcome, 3).error_code, ErrorCode::InvalidRequest.code(), "{name:?} {version:?}");
    }
    assert_eq!(read(&ask(2, "", ""), 2).error_code, 0, "older versions do not say");
}

#[test]
fn keys_that_are_not_served_close_the_connection() {
    let mut world = World::new(1, 1);
    let conn = world.connect(0);
    for (key, version) in [(ApiKey::Envelope, 0), (ApiKey::Vote, 0), (ApiKey::Fetch, 3), (ApiKey::Fetch, 19)] {
        let outcome = world.ask(conn, Call::new(key, version).frame(|_, _| Ok(())));
        assert!(matches!(outcome, Outcome::Close(_)), "{key:?} {version}: {outcome:?}");
    }
}

#[test]
fn a_body_that_is_cut_closes_the_connection() {
    let mut world = World::new(1, 1);
    let conn = world.connect(0);
    let request = ApiVersionsRequest { client_software_name: "a".into(), client_software_version: "1".into() };
    let frame = Call::new(ApiKey::ApiVersions, 3).frame(|writer, version| request.encode(writer, version));
    for len in 0..frame.len() {
        assert!(matches!(world.ask(conn, frame[..len].to_vec()), Outcome::Close(_)), "{len} bytes");
    }
}
