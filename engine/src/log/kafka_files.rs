//! Kafka's small text files beside the logs: `partition.metadata`, `leader-epoch-checkpoint` and the checkpoints of a
//! data folder. Read where present; of these we write only `partition.metadata`.

use super::epochs::Epochs;

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Most lines of a checkpoint that are believed: one a partition of a very large broker.
const LINES_MAX: usize = 1 << 20;

/// The text of `partition.metadata`.
pub(super) fn partition_metadata(uid: &[u8; 16]) -> String {
    format!("version: 0\ntopic_id: {}\n", base64_url(uid))
}

/// The topic id in a `partition.metadata`, if it is one.
pub(super) fn topic_id(text: &str) -> Option<[u8; 16]> {
    let mut version = None;
    let mut id = None;
    for line in text.lines() {
        match line.split_once(':').map(|(key, value)| (key.trim(), value.trim()))? {
            ("version", value) => version = Some(value),
            ("topic_id", value) => id = from_base64_url(value),
            _ => {}
        }
    }
    version.filter(|version| *version == "0").and(id)
}

/// Leader epochs of a `leader-epoch-checkpoint`: version 0, a count, then an epoch and its first offset a line.
pub(super) fn leader_epochs(text: &str) -> Option<Epochs> {
    let mut epochs = Epochs::default();
    for fields in checkpoint_lines(text)? {
        let (epoch, offset) = fields.split_once(' ')?;
        epochs.note(epoch.parse().ok()?, offset.parse().ok()?);
    }
    Some(epochs)
}

/// Topic, partition and offset of each line of a data folder's checkpoint.
pub(super) fn offsets(text: &str) -> Option<Vec<(String, i32, i64)>> {
    let line = |fields: &str| {
        let mut fields = fields.split(' ');
        let parsed = (fields.next()?.to_owned(), fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        fields.next().is_none().then_some(parsed)
    };
    checkpoint_lines(text)?.into_iter().map(line).collect()
}

fn checkpoint_lines(text: &str) -> Option<Vec<&str>> {
    let mut lines = text.lines();
    if lines.next()?.trim() != "0" {
        return None;
    }
    let count: usize = lines.next()?.trim().parse().ok().filter(|&count| count <= LINES_MAX)?;
    let entries: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    (entries.len() == count).then_some(entries)
}

/// 16 bytes as Kafka writes a Uuid: URL-safe base 64 without padding, 22 characters.
pub fn base64_url(uid: &[u8; 16]) -> String {
    let number = u128::from_be_bytes(*uid);
    // 22 characters are 132 bits: the value stands at the top, four zero bits below.
    let digit = |n: usize| if n < 21 { (number >> (122 - 6 * n)) & 63 } else { (number << 4) & 63 };
    (0..22).map(|n| BASE64_URL[digit(n) as usize] as char).collect()
}

fn from_base64_url(text: &str) -> Option<[u8; 16]> {
    if text.len() != 22 {
        return None;
    }
    let mut number: u128 = 0;
    for (n, byte) in text.bytes().enumerate() {
        let value = BASE64_URL.iter().position(|&known| known == byte)? as u128;
        number = if n < 21 { number << 6 | value } else { number << 2 | value >> 4 };
    }
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_id_reads_as_kafka_writes_it() {
        let uid: [u8; 16] = std::array::from_fn(|n| (n * 17) as u8);
        assert_eq!(base64_url(&uid), "ABEiM0RVZneImaq7zN3u_w");
        assert_eq!(topic_id(&partition_metadata(&uid)), Some(uid));
        for bad in ["", "version: 1\ntopic_id: ABEiM0RVZneImaq7zN3u_w\n", "version: 0\ntopic_id: x\n", "nonsense"] {
            assert_eq!(topic_id(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn checkpoints_are_believed_only_when_complete() {
        assert_eq!(leader_epochs("0\n2\n0 0\n4 100\n").unwrap().entries(), [(0, 0), (4, 100)]);
        assert_eq!(offsets("0\n1\na-b 3 77\n"), Some(vec![("a-b".to_owned(), 3, 77)]));
        for bad in ["", "1\n0\n", "0\n2\n0 0\n", "0\n1\nx y\n", "0\n999999999999\n"] {
            assert!(leader_epochs(bad).is_none(), "{bad:?}");
        }
    }
}
