//! The one thing the coordinator reads inside a consumer's metadata: the topics it subscribes to.

/// Topics of a `ConsumerProtocolSubscription`, any version: version 0 is a prefix of all of them. `None` when the bytes are
/// not one.
///
/// ```text
/// version i16 │ count i32 │ (length i16, UTF-8) × count │ … later fields, not looked at
/// ```
pub(crate) fn topics_of(metadata: &[u8]) -> Option<Vec<String>> {
    let (version, rest) = metadata.split_first_chunk::<2>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    let count = usize::try_from(i32::from_be_bytes(*count)).ok()?;
    // A topic takes at least its length field, so that a false count ends here and not in an allocation.
    if count > rest.len() / 2 {
        return None;
    }
    let mut topics = Vec::new();
    for _ in 0..count {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (name, tail) = tail.split_at_checked(usize::try_from(i16::from_be_bytes(*length)).ok()?)?;
        topics.push(std::str::from_utf8(name).ok()?.to_owned());
        rest = tail;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_come_out_and_damage_does_not() {
        let one = b"\0\x01\0\0\0\x01\0\x03abc\xff\xff\xff\xff\0\0\0\0";
        assert_eq!(topics_of(one), Some(vec!["abc".to_owned()]));
        assert_eq!(topics_of(b"\0\0\0\0\0\0"), Some(vec![]));
        for damaged in [
            &b""[..],
            b"\0",
            b"\0\0\x7f\xff\xff\xff",
            b"\0\0\xff\xff\xff\xff",
            b"\0\0\0\0\0\x01\0\x05ab",
            b"\xff\xff\0\0\0\0",
        ] {
            assert_eq!(topics_of(damaged), None, "{damaged:?}");
        }
    }
}
