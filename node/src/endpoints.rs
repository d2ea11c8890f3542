//! The sockets that shards accept from: one for each listener, shared by all, or one for each core (`core.endpoints`). What
//! clients are told of them is the broker's ([`broker::cores`]).

use crate::config::listeners::Listener;
use crate::listen::{self, ListenError};
use crate::sys;
use broker::cores::{CORES_MAX, ID_STRIDE};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// The listening sockets of one listener.
#[derive(Debug)]
pub struct Bound {
    /// The listener's name.
    pub name: String,
    /// One for all shards, or one for each in their order.
    pub sockets: Vec<(TcpListener, SocketAddr)>,
}

/// Why the sockets cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// An address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A system call.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        error: io::Error,
    },
    /// The ports of the last cores are none.
    #[error(
        "core.endpoints=true: listener {name} needs the ports {first} to {last} for {cores} cores, and ports end at 65535. \
         Choose a lower port, or fewer shards with --shards"
    )]
    NoPorts {
        /// The listener.
        name: String,
        /// Its port.
        first: u16,
        /// The last core's.
        last: u32,
        /// How many.
        cores: u16,
    },
    /// Two listeners would share ports.
    #[error(
        "core.endpoints=true: with {cores} cores the {what} {one} and {other} overlap; leave at least {cores} ports between \
         listeners"
    )]
    Overlap {
        /// Whether clients are told so, or we listen there.
        what: &'static str,
        /// A listener.
        one: String,
        /// Another one.
        other: String,
        /// How many.
        cores: u16,
    },
    /// More cores than ids.
    #[error(
        "core.endpoints=true: {cores} cores are more than the {CORES_MAX} that have ids; choose fewer with --shards"
    )]
    TooMany {
        /// How many.
        cores: usize,
    },
    /// The node's id lies where ids of cores are.
    #[error(
        "core.endpoints=true: node.id is {node_id}, and must be below {ID_STRIDE}, because core c is broker \
         c x {ID_STRIDE} + node.id"
    )]
    NodeId {
        /// The id.
        node_id: i32,
    },
}

/// Checks that `cores` cores can have addresses of their own.
pub fn check(listeners: &[Listener], cores: usize) -> Result<u16, EndpointError> {
    let Some(cores) = u16::try_from(cores).ok().filter(|cores| *cores <= CORES_MAX) else {
        return Err(EndpointError::TooMany { cores });
    };
    for (at, listener) in listeners.iter().enumerate() {
        let told = listener.advertised.as_ref().map_or(0, |(_, port)| *port);
        for first in [listener.bind.port(), told] {
            let last = u32::from(first) + u32::from(cores) - 1;
            if last > u32::from(u16::MAX) {
                return Err(EndpointError::NoPorts { name: listener.name.clone(), first, last, cores });
            }
        }
        for other in &listeners[..at] {
            let near = |one: u16, other: u16| one != 0 && other != 0 && one.abs_diff(other) < cores;
            let overlap = |what, one, other| Err(EndpointError::Overlap { what, one, other, cores });
            let (one, two) = (listener.bind, other.bind);
            if near(one.port(), two.port())
                && (one.ip() == two.ip() || one.ip().is_unspecified() || two.ip().is_unspecified())
            {
                return overlap("ports of", two.to_string(), one.to_string());
            }
            if let (Some((one, one_port)), Some((two, two_port))) = (&listener.advertised, &other.advertised)
                && one == two
                && near(*one_port, *two_port)
            {
                return overlap("advertised ports of", format!("{two}:{two_port}"), format!("{one}:{one_port}"));
            }
        }
    }
    Ok(cores)
}

/// Refuses a node id with which ids of cores would meet those of other nodes.
pub fn check_id(node_id: i32) -> Result<(), EndpointError> {
    if node_id < ID_STRIDE { Ok(()) } else { Err(EndpointError::NodeId { node_id }) }
}

/// Binds every listener: once, or at `cores` neighbouring ports; at any free ports where port 0 was asked for.
pub fn bind_all(listeners: &[Listener], cores: Option<u16>, backlog: i32) -> Result<Vec<Bound>, EndpointError> {
    let bind_one = |at: SocketAddr| {
        let socket = listen::bind(at)?;
        sys::set_backlog(&socket, backlog).map_err(|error| EndpointError::System { what: "set a backlog", error })?;
        let asked = socket.local_addr();
        let address = asked.map_err(|error| EndpointError::System { what: "ask for a socket's address", error })?;
        Ok((socket, address))
    };
    let bind = |listener: &Listener| {
        let at = |core: u16| {
            let port = if listener.bind.port() == 0 { 0 } else { listener.bind.port() + core };
            SocketAddr::new(listener.bind.ip(), port)
        };
        let sockets: Result<Vec<_>, EndpointError> = (0..cores.unwrap_or(1)).map(|core| bind_one(at(core))).collect();
        Ok(Bound { name: listener.name.clone(), sockets: sockets? })
    };
    listeners.iter().map(bind).collect()
}

impl Bound {
    /// Where the first core, or every core, is reached.
    pub fn address(&self) -> SocketAddr {
        self.sockets[0].1
    }

    /// The ports of all cores.
    pub fn ports(&self) -> Vec<u16> {
        self.sockets.iter().map(|(_, address)| address.port()).collect()
    }

    /// The socket that a shard accepts from.
    pub fn socket_of(&self, shard: usize) -> &TcpListener {
        let (socket, _) = self.sockets.get(shard).unwrap_or(&self.sockets[0]);
        socket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(bind: &str, advertised: Option<(&str, u16)>) -> Listener {
        let advertised = advertised.map(|(host, port)| (host.to_owned(), port));
        Listener { name: "PLAINTEXT".to_owned(), bind: bind.parse().expect("address"), advertised }
    }

    #[test]
    fn what_cannot_work_says_why() {
        for (listeners, cores, said) in [
            (vec![listener("127.0.0.1:65534", None)], 3, "needs the ports 65534 to 65536 for 3 cores"),
            (vec![listener("127.0.0.1:9092", Some(("k", 65535)))], 2, "needs the ports 65535 to 65536"),
            (
                vec![listener("127.0.0.1:9092", None), listener("0.0.0.0:9095", None)],
                4,
                "127.0.0.1:9092 and 0.0.0.0:9095",
            ),
            (
                vec![listener("10.0.0.1:9092", Some(("k", 90))), listener("10.0.0.2:9092", Some(("k", 91)))],
                2,
                "advertised ports of k:90 and k:91 overlap",
            ),
            (vec![listener("127.0.0.1:9092", None)], 2000, "2000 cores are more than the 1024"),
        ] {
            let error = check(&listeners, cores).expect_err(said).to_string();
            assert!(error.contains(said), "{error}");
        }
        let fine = [listener("127.0.0.1:9092", None), listener("127.0.0.1:9096", None), listener("127.0.0.1:0", None)];
        assert_eq!(check(&fine, 4).expect("they fit"), 4);
        assert!(check_id(999_999).is_ok() && check_id(1_000_000).is_err());
    }
}
