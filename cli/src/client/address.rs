//! Where brokers are said to be: `host:port` and lists of them. Whether anybody answers there is found out in
//! [`connect`](super::connect).

use std::fmt;
use std::str::FromStr;

/// The port of an address that names none.
pub const DEFAULT_PORT: u16 = 9092;

/// A broker's host and port, as it was written or as metadata named it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl Address {
    /// An address from its parts.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Address { host: host.into(), port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing between two commas, or nothing at all.
    #[error("an address is missing in `{list}`; expected HOST:PORT, several with commas between them")]
    Empty {
        /// The list as it was given.
        list: String,
    },
    /// The part behind the last colon is no port.
    #[error("`{got}` has no usable port; expected HOST:PORT with a port from 1 to 65535")]
    Port {
        /// The address as it was given.
        got: String,
    },
    /// Characters that no host name has.
    #[error("`{got}` names no host; expected HOST:PORT, an IPv6 host in brackets")]
    Host {
        /// The address as it was given.
        got: String,
    },
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `host`, `host:port`, `[v6]:port` and any of them behind `LISTENER://`, as Kafka does.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (host, port) = split(bare);
        let fits = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
        if host.is_empty() || !host.chars().all(fits) {
            return Err(AddressError::Host { got: text.to_owned() });
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) => {
                digits.parse().ok().filter(|port| *port > 0).ok_or(AddressError::Port { got: text.to_owned() })?
            }
        };
        Ok(Address::new(host, port))
    }
}

/// Host and port, brackets off. Colons without brackets around them belong to an IPv6 host only when there are several.
fn split(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        return (host, rest.strip_prefix(':').or(if rest.is_empty() { None } else { Some(rest) }));
    }
    match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

/// Reads a list with commas between its addresses.
pub fn parse_list(list: &str) -> Result<Vec<Address>, AddressError> {
    let parts: Vec<&str> = list.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err(AddressError::Empty { list: list.to_owned() });
    }
    parts.into_iter().map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        for (text, host, port) in [
            ("localhost:9092", "localhost", 9092),
            ("localhost", "localhost", 9092),
            ("10.0.0.1:1", "10.0.0.1", 1),
            ("[::1]:9093", "::1", 9093),
            ("[::1]", "::1", 9092),
            ("::1:9093", "::1", 9093),
            ("PLAINTEXT://kafka-1.example:29092", "kafka-1.example", 29092),
        ] {
            assert_eq!(text.parse(), Ok(Address::new(host, port)), "{text}");
        }
    }

    #[test]
    fn addresses_that_are_none() {
        for text in ["localhost:", "localhost:0", "localhost:65536", "localhost:x", "[::1]x"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Port { got: text.to_owned() }));
        }
        for text in [":9092", "a b:1", "http://a/b:1"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Host { got: text.to_owned() }));
        }
    }

    #[test]
    fn lists() {
        let two = vec![Address::new("a", 1), Address::new("b", 9092)];
        assert_eq!(parse_list("a:1, b"), Ok(two.clone()));
        assert_eq!(parse_list("a:1,b,"), Ok(two));
        assert_eq!(parse_list(" , "), Err(AddressError::Empty { list: " , ".to_owned() }));
    }

    #[test]
    fn an_address_is_shown_as_it_is_read() {
        for text in ["a:1", "[::1]:9093"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }
}
