//! New ids: random 128-bit numbers that tools can print and take back.

use protocol::Uuid;

/// Kafka reserves it for its own metadata topic.
const ONE: u128 = 1;

/// A random (version 4) id that is none of Kafka's reserved ones and whose base64 form does not start with a dash, which
/// command lines would take for an option. `random` is asked again until that holds.
pub fn random_uuid(random: &mut impl FnMut() -> u128) -> Uuid {
    loop {
        let mut bytes = random().to_be_bytes();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let id = Uuid(bytes);
        if !id.is_zero() && bytes != ONE.to_be_bytes() && !id.to_string().starts_with('-') {
            return id;
        }
    }
}

/// A new cluster id: 22 characters of base64, as Kafka's `kafka-storage random-uuid` prints.
pub fn cluster_id(random: &mut impl FnMut() -> u128) -> String {
    random_uuid(random).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_starts_with_a_dash() {
        let mut seeds = [0xf8 << 120, 42].into_iter();
        let mut asked = 0;
        let id = random_uuid(&mut || {
            asked += 1;
            seeds.next().expect("two are enough")
        });
        assert_eq!(asked, 2, "the first would have been {}", Uuid((0xf8_u128 << 120).to_be_bytes()));
        assert_eq!((id.0[6] >> 4, id.0[8] >> 6), (4, 2), "version and variant");
    }
}
