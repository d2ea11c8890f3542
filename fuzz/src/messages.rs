//! Every message of the protocol in every version, requests and answers and records alike: what was decoded is encoded
//! again, and from then on nothing changes. The list of messages is generated with the samples of the protocol's tests.

use protocol::messages::*;
use protocol::{Reader, VersionRange, Writer};
use std::sync::LazyLock;

use crate::meter;
use crate::sample::{Rng, Sample};
use crate::samples::each_message;

/// One message's codec behind plain functions.
pub struct Message {
    /// Its name in the schema.
    pub name: &'static str,
    /// Versions that it has.
    pub versions: VersionRange,
    /// Bytes that a decoder took; none where they are no such message.
    decode: fn(&[u8], i16) -> Option<usize>,
    /// As bytes again.
    encode: fn(&[u8], i16) -> Vec<u8>,
    /// Bytes of a random value.
    sample: fn(u64, i16) -> Vec<u8>,
}

/// All of them.
pub static MESSAGES: LazyLock<Vec<Message>> = LazyLock::new(messages);

fn messages() -> Vec<Message> {
    let mut all = Vec::new();
    macro_rules! row {
        ($module:ident, $message:ident) => {
            all.push(Message {
                name: stringify!($message),
                versions: $module::$message::VERSIONS,
                decode: |bytes, version| {
                    let mut reader = Reader::new(bytes);
                    $module::$message::decode(&mut reader, version).ok().map(|_| reader.position())
                },
                encode: |bytes, version| {
                    let value = $module::$message::decode(&mut Reader::new(bytes), version);
                    let value = value.expect("it was decoded before");
                    let mut writer = Writer::new();
                    value.encode(&mut writer, version).expect("what was decoded can be encoded");
                    writer.into_bytes().expect("decoded values have their bytes")
                },
                sample: |seed, version| {
                    let value = $module::$message::sample(&mut Rng::new(seed), version);
                    let mut writer = Writer::new();
                    value.encode(&mut writer, version).expect("samples can be encoded");
                    writer.into_bytes().expect("samples have their bytes")
                },
            });
        };
    }
    each_message!(row);
    all
}

/// The first byte says which message, the second which of its versions, the others are the message.
pub fn message(data: &[u8]) {
    let &[which, version, ref bytes @ ..] = data else { return };
    let message = &MESSAGES[usize::from(which) % MESSAGES.len()];
    let versions = message.versions;
    let version = versions.min + i16::from(version) % (versions.max - versions.min + 1);
    let Some(taken) = (message.decode)(bytes, version) else { return };
    meter::unmeasured(|| {
        let what = || format!("{} v{version}", message.name);
        let first = (message.encode)(bytes, version);
        assert!(first.len() <= taken, "{}: {taken} bytes came back as {}", what(), first.len());
        assert_eq!((message.decode)(&first, version), Some(first.len()), "{}", what());
        assert_eq!((message.encode)(&first, version), first, "{}", what());
    });
}

/// Some values of every version of every message.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (which, message) in MESSAGES.iter().enumerate() {
        for version in message.versions.iter() {
            let place = [which as u8, (version - message.versions.min) as u8];
            seeds.extend((0..2).map(|seed| [&place[..], &(message.sample)(seed, version)].concat()));
        }
    }
    seeds
}

/// Bytes that the decoder of the message with this name took.
#[must_use]
pub fn decoded(name: &str, version: i16, bytes: &[u8]) -> Option<usize> {
    let message = MESSAGES.iter().find(|message| message.name == name)?;
    (message.decode)(bytes, version)
}

/// Bytes of a random value of `version` of the message with this name.
#[must_use]
pub fn sample(name: &str, version: i16, seed: u64) -> Option<Vec<u8>> {
    let message = MESSAGES.iter().find(|message| message.name == name)?;
    message.versions.contains(version).then(|| (message.sample)(seed, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A byte chooses among them.
    #[test]
    fn all_messages_can_be_chosen() {
        assert!(MESSAGES.len() <= 256);
        assert!(MESSAGES.iter().all(|message| message.versions.max - message.versions.min < 256));
    }
}
