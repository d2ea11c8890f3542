//! Clients that Kafka 4.0 turned away (KIP-896): which versions they are served, and their message sets, which become
//! batches when they are produced and messages again when they are fetched. The formats themselves are `protocol`'s.
//!
//! Beside compaction this is the only place that rebuilds batches. It has a budget of its own: [`room`] says what a conversion
//! may take of it, and what it made counts ([`Store::hold_rebuilt`]) until its last holder lets go, be that a socket.

use crate::front::message::{Failure, Fetched};
use crate::front::sessions::Want;
use crate::partition::accept::AppendRules;
use crate::settings::BrokerSettings;
use crate::store::Store;
use protocol::batch::message_set::{Down, DownRules, First, Magic, UpRules, down, magic_of, up};
use protocol::batch::{Limits, MAGIC};
use protocol::{ApiKey, ErrorCode, legacy, supported};

/// From this version on Produce carries record batches.
pub(crate) const PRODUCE_BATCHES_SINCE: i16 = 3;
/// From this version on Fetch answers record batches.
pub(crate) const FETCH_BATCHES_SINCE: i16 = 4;
/// From this version on Fetch has one limit for all partitions, and returns a first message that is larger (KIP-74).
pub(crate) const FETCH_WHOLE_FIRST_SINCE: i16 = 3;
/// From this version on clients know timestamps (KIP-32), for Produce and Fetch alike.
const MAGIC_1_SINCE: i16 = 2;

/// `legacy.clients`: whether versions that Kafka 4.0 removed are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LegacyClients {
    /// To whoever asks for them; ApiVersions does not list them, so that clients that negotiate do not.
    #[default]
    Unadvertised,
    /// And listed.
    Advertised,
    /// Refused, as Kafka 4.3.1 does.
    Off,
}

impl LegacyClients {
    /// The words of the configuration.
    pub const WORDS: &'static [&'static str] = &["unadvertised", "advertised", "off"];

    /// By its word; `None` for any other.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "unadvertised" => LegacyClients::Unadvertised,
            "advertised" => LegacyClients::Advertised,
            "off" => LegacyClients::Off,
            _ => return None,
        })
    }

    /// Whether requests of this key and version are served.
    pub(crate) fn serves(self, key: ApiKey, version: i16) -> bool {
        let old = || self != LegacyClients::Off && legacy(key).is_some_and(|range| range.contains(version));
        supported(key).is_some_and(|range| range.contains(version)) || old()
    }

    /// The lowest version that ApiVersions lists, given what Kafka 4.3.1 lists.
    pub(crate) fn advertised_min(self, key: ApiKey, min: i16) -> i16 {
        match self {
            LegacyClients::Advertised => legacy(key).map_or(min, |old| old.min.min(min)),
            LegacyClients::Unadvertised | LegacyClients::Off => min,
        }
    }
}

/// What one conversion may take, in bytes: a part of what is left of the budget, since key, value, message and set of a record
/// may be in memory side by side while it is converted.
pub(crate) fn room<S: Store>(store: &S, settings: &BrokerSettings) -> usize {
    settings.legacy_bytes_max.saturating_sub(store.rebuilt_bytes()) / SIDE_BY_SIDE
}

/// How much of a record is in memory at a time, in records.
const SIDE_BY_SIDE: usize = 4;

/// What becomes of a record set that a client before 0.11 produced.
pub(crate) enum Raised<C> {
    /// The same as one batch.
    Batch(C),
    /// It is a batch already, in a version that had none: Kafka took that, and so do we.
    AsItCame,
    /// There is no memory now; there will be.
    Later,
    /// It is none that can be taken.
    Refused(Failure),
}

/// Makes a produced message set one batch.
pub(crate) fn raise<S: Store>(
    store: &mut S,
    settings: &BrokerSettings,
    set: &[u8],
    rules: &AppendRules,
) -> Raised<S::Chunk> {
    if magic_of(set) == Some(MAGIC) {
        return Raised::AsItCame;
    }
    let room = room(store, settings);
    // One may always be under way, and with the whole budget for itself it must be enough.
    if store.rebuilt_bytes() > 0 && room < rules.batch_bytes_max.min(settings.legacy_bytes_max / SIDE_BY_SIDE / 2) {
        return Raised::Later;
    }
    let limits = Limits::for_batches_of(rules.batch_bytes_max);
    let up_rules = UpRules {
        batch_bytes_max: rules.batch_bytes_max.min(room),
        plain_bytes_max: limits.decompressed_bytes_max,
        message_bytes_max: room,
        codec: rules.codec,
    };
    match up(set, &up_rules) {
        Ok(batch) => Raised::Batch(store.hold_rebuilt(batch)),
        Err(error) => {
            let code = ErrorCode::try_from(error.kafka_error()).unwrap_or(ErrorCode::CorruptMessage);
            Raised::Refused(Failure { code, message: Some(error.to_string()), record: None })
        }
    }
}

/// What became of one partition's batches.
pub(crate) enum Lowered<C> {
    /// The answer.
    Told(Fetched<C>),
    /// There was nothing in them for this client: it has to be looked for from this offset on.
    Onward(i64),
}

/// Makes what one partition was read the message set that a fetch of `version` has.
pub(crate) fn lower<S: Store>(
    store: &mut S,
    settings: &BrokerSettings,
    version: i16,
    want: &Want,
    fetched: &Fetched<S::Chunk>,
    pieces: &[S::Chunk],
) -> Lowered<S::Chunk> {
    let mut told = Fetched { pieces: Vec::new(), ..fetched.clone() };
    let bytes_max = want.bytes_max.max(0).unsigned_abs() as usize;
    let first = if version >= FETCH_WHOLE_FIRST_SINCE { First::Whole } else { First::Cut };
    if pieces.is_empty() || (first == First::Cut && bytes_max == 0) {
        return Lowered::Told(told);
    }
    let room_bytes = room(store, settings);
    let rules = DownRules {
        magic: if version >= MAGIC_1_SINCE { Magic::V1 } else { Magic::V0 },
        from: want.offset,
        bytes_max,
        first,
        room_bytes,
        limits: Limits::default(),
    };
    match down(pieces.iter().map(|piece| &piece[..]), &rules) {
        Ok(Down { set, next_offset: Some(next) }) if set.is_empty() => Lowered::Onward(next),
        Ok(Down { set, .. }) if set.is_empty() => {
            // While others hold memory the client finds nothing and asks again; alone it would do so for ever.
            if store.rebuilt_bytes() == 0 {
                told = Fetched::failed(ErrorCode::MessageTooLarge);
                tracing::warn!(
                    offset = want.offset,
                    room_bytes,
                    "a batch is too large to be converted for an old client"
                );
            }
            Lowered::Told(told)
        }
        Ok(Down { set, .. }) => {
            told.pieces.push(store.hold_rebuilt(set));
            Lowered::Told(told)
        }
        Err(error) => {
            let code = ErrorCode::try_from(error.kafka_error()).unwrap_or(ErrorCode::CorruptMessage);
            Lowered::Told(Fetched::failed(code))
        }
    }
}
