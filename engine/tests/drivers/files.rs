//! Files: what is written is read back, names change, errors are the kernel's.

use crate::rig::Rig;
use engine::io::{DirEntry, Op, OpenMode};
use engine::mem::{BLOCK, Buf, Slice};

crate::on_every_driver!(
    written_in_pieces_and_read_back,
    direct_blocks_in_place,
    a_synced_write_is_a_write,
    many_writes_at_once,
    more_pieces_than_one_call_takes,
    reads_end_at_the_end,
    length_and_space,
    folders_and_names,
    errors_are_the_kernels,
    a_new_file_must_be_new,
    an_unlinked_file_is_read_while_open,
);

fn block(fill: u8) -> Slice {
    Slice::copy_of(&[fill; BLOCK])
}

fn written_in_pieces_and_read_back(rig: &mut Rig) {
    let (file, len) = rig.open("pieces", OpenMode::Write);
    assert_eq!(len, 0);
    let pieces = [Slice::from_static(b"one"), Slice::empty(), Slice::copy_of(b"two"), Slice::from(b"three".to_vec())];
    assert_eq!(rig.write(file, 0, &pieces), 11);
    assert_eq!(rig.write(file, 5, &[Slice::from_static(b"O!")]), 2);
    rig.ok(Op::SyncData { file });
    assert_eq!(rig.read(file, 0, 100), b"onetwO!hree");
    assert_eq!(rig.read(file, 9, 2), b"ee");
    rig.ok(Op::Close { file });
    let (file, len) = rig.open("pieces", OpenMode::Read);
    assert_eq!((len, rig.read(file, 0, 3)), (11, b"one".to_vec()));
    rig.ok(Op::Close { file });
}

fn direct_blocks_in_place(rig: &mut Rig) {
    let (file, _) = rig.open("direct", OpenMode::CreateDirect);
    assert_eq!(rig.write(file, 0, &[block(b'a'), block(b'b'), block(b'c')]), 3 * BLOCK as u32);
    assert_eq!(rig.write(file, BLOCK as u64, &[block(b'B')]), BLOCK as u32);
    rig.ok(Op::SyncData { file });
    let bytes = rig.read(file, 0, 4 * BLOCK);
    assert_eq!((bytes.len(), bytes[0], bytes[BLOCK], bytes[2 * BLOCK]), (3 * BLOCK, b'a', b'B', b'c'));
    rig.ok(Op::Close { file });
    let (file, len) = rig.open("direct", OpenMode::ReadDirect);
    assert_eq!((len, rig.read(file, 2 * BLOCK as u64, BLOCK)), (3 * BLOCK as u64, vec![b'c'; BLOCK]));
    rig.ok(Op::Close { file });
}

fn a_synced_write_is_a_write(rig: &mut Rig) {
    for mode in [OpenMode::CreateDirect, OpenMode::Write] {
        let (file, _) = rig.open("synced", mode);
        let bufs = vec![block(b'a'), block(b'b')];
        assert_eq!(rig.ok(Op::WriteSynced { file, at: 0, bufs }).0, 2 * BLOCK as u32);
        let bufs = vec![block(b'A')];
        assert_eq!(rig.ok(Op::WriteSynced { file, at: BLOCK as u64, bufs }).0, BLOCK as u32);
        let bytes = rig.read(file, 0, 4 * BLOCK);
        assert_eq!((bytes.len(), bytes[0], bytes[BLOCK]), (2 * BLOCK, b'a', b'A'), "{mode:?}");
        rig.ok(Op::Close { file });
    }
}

fn many_writes_at_once(rig: &mut Rig) {
    // More than any ring holds, so that a full queue loses nothing.
    const COUNT: usize = 3000;
    let (file, _) = rig.open("many", OpenMode::Write);
    let write = |index: usize| {
        let bufs = vec![Slice::from(vec![(index % 251) as u8; 16])];
        Op::WriteV { file, at: index as u64 * 16, bufs }
    };
    let tokens: Vec<_> = (0..COUNT).map(|index| rig.submit(write(index))).collect();
    for token in tokens {
        assert_eq!(rig.wait(token).result.expect("it was written"), 16);
    }
    let bytes = rig.read(file, 0, COUNT * 16);
    assert!((0..COUNT).all(|index| bytes[index * 16..][..16] == [(index % 251) as u8; 16]));
    rig.ok(Op::Close { file });
}

fn more_pieces_than_one_call_takes(rig: &mut Rig) {
    let (file, _) = rig.open("pieces", OpenMode::Write);
    let pieces: Vec<_> = (0..2500).map(|index| Slice::from(vec![(index % 256) as u8; 3])).collect();
    assert_eq!(rig.write(file, 0, &pieces), 7500);
    let bytes = rig.read(file, 0, 8000);
    assert!(bytes.len() == 7500 && bytes.iter().enumerate().all(|(at, byte)| *byte == (at / 3 % 256) as u8));
    rig.ok(Op::Close { file });
}

fn reads_end_at_the_end(rig: &mut Rig) {
    let (file, _) = rig.open("short", OpenMode::Write);
    rig.write(file, 0, &[Slice::from_static(b"abc")]);
    assert_eq!(rig.read(file, 1, 4096), b"bc");
    assert_eq!(rig.read(file, 3, 4096), b"");
    assert_eq!(rig.read(file, 1000, 4096), b"");
    let mut buf = Buf::with_capacity(5);
    buf.extend_from_slice(b">>");
    let (count, op) = rig.ok(Op::Read { file, at: 0, buf });
    let Op::Read { buf, .. } = op else { panic!("{op:?} came back for a read") };
    assert_eq!((count, buf.as_slice()), (3, &b">>abc"[..]));
    rig.ok(Op::Close { file });
}

fn length_and_space(rig: &mut Rig) {
    let (file, _) = rig.open("space", OpenMode::Write);
    rig.write(file, 0, &[Slice::from_static(b"data")]);
    rig.ok(Op::Allocate { file, at: 0, len: 10_000 });
    assert_eq!(rig.read(file, 0, 20_000), [&b"data"[..], &[0; 9996]].concat());
    rig.ok(Op::SetLen { file, len: 2 });
    rig.ok(Op::SetLen { file, len: 6 });
    assert_eq!(rig.read(file, 0, 100), b"da\0\0\0\0");
    rig.ok(Op::Close { file });
    let path = rig.path("");
    let (_, op) = rig.ok(Op::FreeSpace { path, free: 0, total: 0 });
    assert!(matches!(op, Op::FreeSpace { free: 1.., total: 1.., .. }), "{op:?}");
}

fn folders_and_names(rig: &mut Rig) {
    let folder = rig.path("folder");
    for _ in 0..2 {
        rig.ok(Op::MakeDir { path: folder.clone() });
    }
    for name in ["folder/b", "folder/a", "folder/c"] {
        let (file, _) = rig.open(name, OpenMode::Write);
        rig.write(file, 0, &[Slice::from_static(name.as_bytes())]);
        rig.ok(Op::Close { file });
    }
    let (from, to) = (folder.join("c"), folder.join("a"));
    rig.ok(Op::Rename { from, to });
    rig.ok(Op::MakeDir { path: folder.join("sub") });
    rig.ok(Op::SyncDir { path: folder.clone() });
    let entry = |name: &str, is_dir, len| DirEntry { name: name.to_owned(), is_dir, len };
    let (_, op) = rig.ok(Op::List { path: folder.clone(), entries: Vec::new() });
    let Op::List { entries, .. } = op else { panic!("{op:?} came back for a list") };
    assert_eq!(entries, [entry("a", false, 8), entry("b", false, 8), entry("sub", true, 0)]);
    let (file, _) = rig.open("folder/a", OpenMode::Read);
    assert_eq!(rig.read(file, 0, 100), b"folder/c");
    rig.ok(Op::Close { file });
    // A whole folder moves with what is in it, as when a topic is deleted.
    let (from, to) = (folder.clone(), rig.path("moved"));
    rig.ok(Op::Rename { from, to: to.clone() });
    for name in ["a", "b"] {
        rig.ok(Op::Unlink { path: to.join(name) });
    }
    assert_eq!(rig.err(Op::RemoveDir { path: to.clone() }), libc_errno("ENOTEMPTY"));
    rig.ok(Op::RemoveDir { path: to.join("sub") });
    rig.ok(Op::RemoveDir { path: to });
}

fn errors_are_the_kernels(rig: &mut Rig) {
    let path = rig.path("missing");
    for op in [
        Op::Open { path: path.clone(), mode: OpenMode::Read, len: 0 },
        Op::Open { path: path.join("deeper"), mode: OpenMode::Write, len: 0 },
        Op::Rename { from: path.clone(), to: rig.path("other") },
        Op::Unlink { path: path.clone() },
        Op::RemoveDir { path: path.clone() },
        Op::SyncDir { path: path.clone() },
        Op::List { path: path.clone(), entries: Vec::new() },
        Op::MakeDir { path: path.join("deeper") },
    ] {
        let name = format!("{op:?}");
        assert_eq!(rig.err(op), libc_errno("ENOENT"), "{name}");
    }
    let path = rig.path("");
    assert_eq!(rig.err(Op::Open { path, mode: OpenMode::Write, len: 0 }), libc_errno("EISDIR"));
}

fn a_new_file_must_be_new(rig: &mut Rig) {
    let (file, _) = rig.open("new", OpenMode::CreateDirect);
    rig.ok(Op::Close { file });
    let path = rig.path("new");
    assert_eq!(rig.err(Op::Open { path: path.clone(), mode: OpenMode::CreateDirect, len: 0 }), libc_errno("EEXIST"));
    assert_eq!(rig.err(Op::MakeDir { path }), libc_errno("EEXIST"));
}

fn an_unlinked_file_is_read_while_open(rig: &mut Rig) {
    let (file, _) = rig.open("gone", OpenMode::Write);
    rig.write(file, 0, &[Slice::from_static(b"still here")]);
    let path = rig.path("gone");
    rig.ok(Op::Unlink { path });
    let path = rig.path("");
    rig.ok(Op::SyncDir { path });
    assert_eq!(rig.read(file, 0, 100), b"still here");
    rig.ok(Op::Close { file });
}

/// Linux's numbers, which are those of every driver.
fn libc_errno(name: &str) -> i32 {
    match name {
        "ENOENT" => 2,
        "EEXIST" => 17,
        "EISDIR" => 21,
        "ENOTEMPTY" => 39,
        other => panic!("{other} is not in the table"),
    }
}
