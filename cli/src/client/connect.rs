//! From a list of addresses to a connection that is known to lead to a Kafka broker, with the cause for each address that
//! does not.

use super::address::Address;
use super::connection::Connection;
use super::error::{Cause, Error, Unreachable};
use super::versions::Served;
use protocol::ErrorCode;
use protocol::messages::ApiVersionsRequest;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What our ApiVersions requests say that we are.
const SOFTWARE: &str = "ringlog-cli";

/// Connects to the first address that leads to a broker. All of them together take no longer than `within`.
pub(super) fn first(addresses: &[Address], client_id: &str, within: Duration) -> Result<Connection, Unreachable> {
    let end = Instant::now() + within;
    let mut attempts = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        // What is left is shared, so that one address that swallows packets does not keep the others from being tried.
        let left = end.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match one(address, client_id, share.max(Duration::from_millis(1))) {
            Ok(connection) => return Ok(connection),
            Err(cause) => attempts.push((address.clone(), cause)),
        }
    }
    Err(Unreachable { attempts, named_by_cluster: false })
}

/// Connects to one address and asks what it serves.
pub(super) fn one(address: &Address, client_id: &str, within: Duration) -> Result<Connection, Cause> {
    let end = Instant::now() + within;
    let stream = open(address, end, within)?;
    stream.set_nodelay(true).map_err(Cause::Io)?;
    let connection = Connection::new(stream, address.clone(), client_id);
    introduce(connection, end, within)
}

/// Tries every address that the name stands for.
fn open(address: &Address, end: Instant, within: Duration) -> Result<TcpStream, Cause> {
    let mut last = Cause::Name("it stands for no address".to_owned());
    for socket in resolve(address, within)? {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&socket, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = cause(error, within),
        }
    }
    Err(last)
}

/// Resolves a name. The C library has no limit in time for this, hence a thread that is left behind when it takes too long.
fn resolve(address: &Address, within: Duration) -> Result<Vec<SocketAddr>, Cause> {
    if let Ok(ip) = address.host.parse() {
        return Ok(vec![SocketAddr::new(ip, address.port)]);
    }
    let (tell, told) = mpsc::channel();
    let target = (address.host.clone(), address.port);
    std::thread::spawn(move || tell.send(target.to_socket_addrs().map(Iterator::collect)));
    match told.recv_timeout(within) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(Cause::Name(plain(&error))),
        Err(_) => Err(Cause::Name(format!("no answer of the name service within {} ms", within.as_millis()))),
    }
}

/// The C library's words without the prefix that std puts in front.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.rsplit(": ").next().unwrap_or(&text).to_owned()
}

fn cause(error: io::Error, within: Duration) -> Cause {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::RefusedConnection,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Cause::Timeout(within),
        _ => Cause::Io(error),
    }
}

/// Asks what the broker serves, which also shows whether it is one.
fn introduce(mut connection: Connection, end: Instant, within: Duration) -> Result<Connection, Cause> {
    let request = ApiVersionsRequest {
        client_software_name: SOFTWARE.into(),
        client_software_version: env!("CARGO_PKG_VERSION").into(),
    };
    let mut version = 3;
    loop {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let asked = if version == 0 { ApiVersionsRequest::default() } else { request.clone() };
        let answer = connection.ask_in(&asked, version, left).map_err(|error| stranger(error, within))?;
        let response = answer.read();
        // A broker that is too old for the version answers in version 0, with what it does serve.
        if response.error_code == ErrorCode::UnsupportedVersion.code() && version > 0 {
            version = 0;
            continue;
        }
        if response.error_code != 0 {
            return Err(Cause::NotKafka(format!("it answers ApiVersions with error {}", response.error_code)));
        }
        let served = Served::new(&response);
        return Ok(connection.serves(served));
    }
}

/// What it means when the first question gets no good answer.
fn stranger(error: Error, within: Duration) -> Cause {
    match error {
        Error::Late { .. } => Cause::Timeout(within),
        Error::Lost { cause, .. } if cause.kind() == io::ErrorKind::UnexpectedEof => {
            Cause::NotKafka("it closed the connection; it may want TLS or SASL".to_owned())
        }
        Error::Lost { cause, .. } if cause.kind() == io::ErrorKind::InvalidData => {
            let text = cause.to_string();
            // The length of a frame that begins with the four letters of an answer of the web.
            let is_web = text.contains(&u32::from_be_bytes(*b"HTTP").to_string());
            Cause::NotKafka(if is_web { "it answers as a web server or proxy does".to_owned() } else { text })
        }
        Error::Lost { cause, .. } => Cause::Io(cause),
        Error::Unreadable { cause, .. } => Cause::NotKafka(cause.to_string()),
        other => Cause::NotKafka(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    const SHORT: Duration = Duration::from_millis(300);

    fn address_of(listener: &TcpListener) -> Address {
        Address::new("127.0.0.1", listener.local_addr().unwrap().port())
    }

    /// A server that says `bytes` to the first that connects, and hangs up.
    fn says(bytes: &'static [u8]) -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = address_of(&listener);
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 64];
            let _ = io::Read::read(&mut stream, &mut request);
            let _ = stream.write_all(bytes);
        });
        address
    }

    #[test]
    fn a_port_where_nothing_listens() {
        let address = address_of(&TcpListener::bind("127.0.0.1:0").unwrap());
        assert!(matches!(one(&address, "t", SHORT), Err(Cause::RefusedConnection)));
    }

    #[test]
    fn a_listener_that_says_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let start = Instant::now();
        assert!(matches!(one(&address_of(&listener), "t", SHORT), Err(Cause::Timeout(_))));
        assert!(start.elapsed() < SHORT * 5, "{:?}", start.elapsed());
    }

    #[test]
    fn listeners_that_are_no_brokers() {
        for bytes in
            [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"", b"\x15\x03\x03\x00\x02\x02\x46", b"\0\0\0\x05\0\0\0\0\x07"]
        {
            let got = one(&says(bytes), "t", SHORT * 10);
            let Err(Cause::NotKafka(why)) = &got else { panic!("{bytes:?}: {got:?}") };
            assert_eq!(why.contains("web server"), bytes.starts_with(b"HTTP"), "{why}");
        }
    }

    #[test]
    fn a_name_that_leads_nowhere() {
        let got = one(&Address::new("no-such-host.invalid", 9092), "t", SHORT * 20);
        assert!(matches!(got, Err(Cause::Name(_))), "{got:?}");
    }

    #[test]
    fn every_address_is_tried_in_the_time_for_all() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = address_of(&TcpListener::bind("127.0.0.1:0").unwrap());
        let start = Instant::now();
        let error = first(&[address_of(&silent), refused], "t", SHORT).unwrap_err();
        assert!(
            matches!(error.attempts[0].1, Cause::Timeout(_)) && matches!(error.attempts[1].1, Cause::RefusedConnection)
        );
        assert!(start.elapsed() < SHORT * 5, "{:?}", start.elapsed());
    }
}
