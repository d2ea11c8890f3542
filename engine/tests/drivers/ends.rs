//! The end of a driver with ops under way: the kernel lets go of memory before anybody else gets it, and connections end.

use crate::rig::{Peer, Rig};
use engine::io::{Op, OpenMode, RecvInto};
use engine::mem::{BLOCK, Buf, Slice};
use std::time::Duration;

crate::on_every_real_driver!(memory_of_a_dropped_driver_is_not_written_to, a_dropped_driver_has_written_or_not,);

fn memory_of_a_dropped_driver_is_not_written_to(rig: &mut Rig) {
    const ROOM: usize = 64 << 10;
    let connected: Vec<_> = (0..20).map(|_| rig.connect()).collect();
    for (index, (conn, _)) in connected.iter().enumerate() {
        let buf = Buf::with_capacity(ROOM);
        let into = match index % 3 {
            0 => RecvInto::Any,
            1 => RecvInto::Fill(buf),
            _ => RecvInto::Buf(buf),
        };
        rig.submit(Op::Recv { conn: *conn, into });
    }
    rig.submit(Op::Accept { listener: rig.listener, peer: None, local: None });
    rig.linger();
    let peers: Vec<Peer> = connected.into_iter().map(|(_, peer)| peer).collect();
    rig.drop_driver();
    // Whoever asks for memory now gets what the receives had.
    let mut mine: Vec<Buf> = (0..80).map(|_| Buf::with_capacity(ROOM)).collect();
    mine.iter_mut().for_each(|buf| buf.extend_from_slice(&[0xAA; ROOM]));
    for peer in &peers {
        peer.write_if_open(&[0x55; 5000]);
    }
    std::thread::sleep(Duration::from_millis(20));
    assert!(mine.iter().all(|buf| buf.as_slice().iter().all(|byte| *byte == 0xAA)), "the kernel wrote to it");
    peers.iter().for_each(|peer| rig.await_close(peer));
}

fn a_dropped_driver_has_written_or_not(rig: &mut Rig) {
    const BLOCKS: usize = 64;
    let (file, _) = rig.open("ends", OpenMode::CreateDirect);
    for index in 0..BLOCKS {
        let bufs = vec![Slice::copy_of(&[index as u8 + 1; BLOCK])];
        rig.submit(Op::WriteV { file, at: (index * BLOCK) as u64, bufs });
        rig.submit(Op::SyncData { file });
    }
    rig.turn();
    let path = rig.path("ends");
    rig.drop_driver();
    // What was freed is used for something else, which must not end up in the file.
    let mine: Vec<_> = (0..BLOCKS).map(|_| Slice::copy_of(&[0xEE; BLOCK])).collect();
    let written = std::fs::read(path).expect("it was made");
    for (index, block) in written.chunks(BLOCK).enumerate() {
        let whole = block.iter().all(|byte| *byte == index as u8 + 1);
        assert!(whole || block.iter().all(|byte| *byte == 0), "block {index} holds {:?}", &block[..4]);
    }
    drop(mine);
}
