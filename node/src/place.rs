//! Where large batches are received: straight into the tail of the log that will take them, whenever that log is this
//! shard's and lends the room. Whether it can is the log's to say, what the request means the broker's; here the two meet
//! the transport. In every doubtful case nothing is placed, and the batch is copied once, like any small one.

use crate::store::{EngineStore, Mem};
use broker::{Broker, ConnId, Input};
use engine::mem::{Buf, Lease, Slice};
use protocol::large_produce::LargeProduce;
use transport_tcp::TcpTransport;

/// Smallest record set that is placed, in bytes: below, a copy is cheaper than the care.
const PLACED_MIN: usize = 32 << 10;

/// Finds places for the large frames that have begun in this turn. After all appends of the turn, which would revoke them.
pub fn large_frames(transport: &mut TcpTransport, broker: &mut Broker<EngineStore>) {
    while let Some(conn) = transport.poll_large() {
        let Some((front, len)) = transport.large_front(conn) else { continue };
        let Some(large) = LargeProduce::peek(front, len) else { continue };
        let (at, bytes) = (large.records.start, large.records.len());
        if bytes < PLACED_MIN {
            continue;
        }
        let Some(log) = broker.place_of(&large.topic, large.partition, bytes) else { continue };
        // Room for what follows the records too, so that the frame ends with one receive; the log takes only the records.
        if let Some(lease) = broker.store_mut().logs.lease(crate::store::engine_id(log), len - at) {
            marks::reached!("node: a large batch was received in place");
            transport.place(conn, at, lease.into_buf());
        }
    }
}

/// The broker's form of a frame that was received in two parts.
pub fn input(conn: ConnId, seq: u64, head: &Slice, rest: Buf) -> Input<Mem> {
    let large = LargeProduce::peek(head, head.len() + rest.len());
    let (Some(large), Ok(mut lease)) = (large, Lease::from_buf(rest)) else {
        unreachable!("large_frames peeked into the same head, and gave a lease")
    };
    let frame = large.without_records(head, &lease.as_slice()[large.records.len()..]);
    lease.truncate(large.records.len());
    Input::SplitFrame { conn, seq, frame: Mem::Slice(Slice::from(frame)), records: Mem::leased(lease) }
}
