//! Bytes that are no Kafka request end their own connection with a word in the log, and nothing else.

mod common;

use common::memory::MOVES_MAX_KIB;
use common::{Broker, folder};
use std::io::Write;
use std::net::Shutdown;

#[test]
fn foreign_bytes_end_their_connection_only() {
    let data = folder();
    let broker = Broker::start(data.path(), &[]);
    let mut witness = broker.client();
    assert_eq!(witness.create_topic("t", 1), 0);
    assert_eq!(witness.produce("t", 0, &["x"]), (0, 0));
    let before = broker.peak_kib();
    for (bytes, said) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "the peer speaks HTTP"),
        (&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC][..], "the peer speaks TLS"),
        (&[0xFF, 0xFF, 0xFF, 0xFF, 0, 0][..], "frame length -1"),
        (&[0, 0, 0, 0][..], "frame length 0"),
        (&[0x7F, 0xFF, 0xFF, 0xFF][..], "frame length 2147483647"),
        (&[0, 0, 0, 10, 0x7F, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0][..], "32767"),
    ] {
        let mut peer = broker.client();
        peer.stream.write_all(bytes).expect("it reads");
        assert!(peer.is_closed(), "{bytes:?} left the connection open");
        let line = broker.logged(said);
        let address = peer.stream.local_addr().expect("it was connected").to_string();
        assert!(line.contains(&address), "{line} does not name {address}");
    }
    let moved = broker.peak_kib() - before;
    assert!(moved <= MOVES_MAX_KIB, "{moved} KiB");
    assert_eq!(witness.produce("t", 0, &["still here"]), (0, 1));
    broker.stop();
}

#[test]
fn a_client_that_dies_inside_a_body_leaves_nothing() {
    let data = folder();
    let broker = Broker::start(data.path(), &[]);
    let mut witness = broker.client();
    assert_eq!(witness.create_topic("t", 1), 0);
    for arrived in [10, 40_000, 600_000] {
        let mut peer = broker.client();
        let frame = [&1_000_000u32.to_be_bytes()[..], &vec![0; arrived]].concat();
        peer.stream.write_all(&frame).expect("it reads");
        peer.stream.shutdown(Shutdown::Write).expect("it is open");
        assert!(peer.is_closed(), "{arrived} bytes of a frame left the connection open");
        broker.logged(&format!("after {arrived} bytes of a frame of 1000000 bytes"));
        assert_eq!(witness.produce("t", 0, &["x"]).0, 0);
    }
    assert_eq!(witness.list_offset("t", 0, -1), (0, 3));
}
