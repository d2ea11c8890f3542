//! Listening sockets. They are bound first of all, so that the port answers while logs are still being recovered: clients
//! wait in the backlog. One socket is shared by all shards, each with a descriptor of its own; without SO_REUSEPORT, so
//! that a second broker on the port fails.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long a port may stay taken after the process that had it was killed.
const PREDECESSOR: Duration = Duration::from_millis(500);

/// Why there is no listening socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be understood.
    #[error("cannot listen on {text}: expected HOST:PORT, e.g. 127.0.0.1:9092 or [::1]:9092{detail}")]
    Address {
        /// What was given.
        text: String,
        /// What the resolver said.
        detail: String,
    },
    /// The system refuses.
    #[error("cannot listen on {address}: {error}. {hint}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        error: io::Error,
        /// What the operator can do.
        hint: &'static str,
    },
}

/// Turns `HOST:PORT` into an address; an empty host means all addresses, as in Kafka's listeners.
pub fn resolve(text: &str) -> Result<SocketAddr, ListenError> {
    let wrong = |detail: String| ListenError::Address { text: text.to_owned(), detail };
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    let mut addresses = full.to_socket_addrs().map_err(|error| wrong(format!(" ({error})")))?;
    addresses.next().ok_or_else(|| wrong(" (the name has no address)".to_owned()))
}

/// Binds and listens.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    bind_patiently(address).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "Another process serves this port; stop it, or choose another with --listen",
            io::ErrorKind::PermissionDenied => "Ports below 1024 need privileges; choose another with --listen",
            io::ErrorKind::AddrNotAvailable => "This machine has no such address; choose another with --listen",
            _ => "Choose another address with --listen",
        };
        ListenError::Bind { address, error, hint }
    })
}

/// A killed predecessor's sockets are closed by the kernel a moment after its process is gone.
fn bind_patiently(address: SocketAddr) -> io::Result<TcpListener> {
    let begin = Instant::now();
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && begin.elapsed() < PREDECESSOR => {
                std::thread::sleep(Duration::from_millis(5));
            }
            bound => return bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        for (text, address) in [("127.0.0.1:9092", "127.0.0.1:9092"), (":9092", "0.0.0.0:9092"), ("[::1]:0", "[::1]:0")]
        {
            assert_eq!(resolve(text).expect(text), address.parse::<SocketAddr>().expect("a literal"), "{text}");
        }
        for text in ["", "nonsense", "127.0.0.1", "127.0.0.1:99999"] {
            let error = resolve(text).expect_err(text).to_string();
            assert!(error.contains("HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn a_taken_port_is_named() {
        let first = bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = first.local_addr().expect("bound");
        let error = bind(address).expect_err("taken").to_string();
        assert!(error.contains(&address.to_string()) && error.contains("Another process serves this port"), "{error}");
    }
}
