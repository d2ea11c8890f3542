//! `ringlog dump-log` shows what is in a partition's files and where the first bad byte is. Without it, a broken disk could
//! only be looked at through a broker that refuses to serve it.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, files, folder};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SEGMENT: &str = "t-0/00000000000000000000.log";

/// Exit code, what it printed, what it said on stderr.
fn dump(paths: &[&Path]) -> (i32, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_ringlog")).arg("dump-log").args(paths).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (run.status.code().expect("no signal"), text(&run.stdout), text(&run.stderr))
}

/// A folder with two batches of one record in partition 0 of `t`, closed cleanly; and the position of the second.
fn two_batches() -> (tempfile::TempDir, u64) {
    let data = folder();
    let broker = Broker::start(data.path(), &[]);
    let mut client = broker.client();
    assert_eq!(client.create_topic("t", 1), 0);
    assert_eq!(client.produce("t", 0, &["first value"]), (0, 0));
    assert_eq!(client.produce("t", 0, &["second value"]), (0, 1));
    broker.stop();
    let bytes = fs::read(data.path().join(SEGMENT)).expect("it is there");
    let length = u32::from_be_bytes(bytes[8..12].try_into().expect("four bytes"));
    (data, u64::from(length) + 12)
}

#[test]
fn sound_files_end_with_their_count() {
    let (data, second) = two_batches();
    let segment = data.path().join(SEGMENT);
    let len = fs::metadata(&segment).expect("it is there").len();
    let (code, text, said) = dump(&[&segment]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((code, lines.len(), said.as_str()), (0, 6, ""), "{text}");
    assert!(lines[1].starts_with("baseOffset: 0 lastOffset: 0 count: 1 "), "{text}");
    assert!(lines[2].starts_with("  offset: 0 timestamp: ") && lines[2].ends_with("value: first value"), "{text}");
    assert!(lines[3].contains(&format!(" position: {second} ")), "{text}");
    assert!(lines[4].ends_with("value: second value"), "{text}");
    assert_eq!(lines[5], format!("2 batches, 2 records, {len} bytes, offsets 0..2"));
}

#[test]
fn every_file_of_ours_is_understood() {
    let (data, _) = two_batches();
    let shown = |path: &PathBuf| {
        let name = path.to_string_lossy();
        [".log", ".ridx", ".rsnap", ".rckp"].iter().any(|suffix| name.ends_with(suffix))
    };
    let ours: Vec<PathBuf> = files(data.path()).into_iter().filter(shown).collect();
    let (code, text, said) = dump(&ours.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    assert_eq!((code, said.as_str()), (0, ""), "{text}");
    for part in [".ridx\n", "offsets: 0..2 ", "1 entries", "snapshot of everything below offset ", "incarnation: "] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn the_first_bad_byte_is_found() {
    let (data, second) = two_batches();
    let segment = data.path().join(SEGMENT);
    let sound = fs::read(&segment).expect("it is there");
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = sound.clone();
        change(&mut bytes);
        bytes
    };
    let last = sound.len() - 3;
    for (what, bytes, position, reason) in [
        ("flipped", changed(&|bytes| bytes[last] ^= 1), second, "the checksum does not match"),
        ("torn", changed(&|bytes| bytes.truncate(last)), second, "the file ends inside a batch"),
        ("repeated", changed(&|bytes| bytes.extend_from_within(..)), sound.len() as u64, "base offset 0, expected 2"),
        ("first", changed(&|bytes| bytes[70] ^= 1), 0, "the checksum does not match"),
    ] {
        fs::write(&segment, bytes).expect("ours");
        let (code, text, said) = dump(&[&segment]);
        let verdict = format!("first bad byte at {position}: {reason}");
        assert_eq!(code, 1, "{what}: {text}");
        assert_eq!(text.lines().last(), Some(verdict.as_str()), "{what}: {text}");
        assert!(said.contains(&verdict), "{what}: {said}");
        assert_eq!(text.contains("first value"), position > 0, "{what}: {text}");
    }
}

#[test]
fn space_behind_the_end_is_sound() {
    let (data, _) = two_batches();
    let segment = data.path().join(SEGMENT);
    let len = fs::metadata(&segment).expect("it is there").len();
    fs::OpenOptions::new().append(true).open(&segment).and_then(|file| file.set_len(len + 16384)).expect("ours");
    let (code, text, _) = dump(&[&segment]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(&format!("16384 bytes of reserved space follow the last batch at {len}")), "{text}");
}

#[test]
fn a_bad_index_and_files_that_cannot_be_shown() {
    let (data, _) = two_batches();
    let at = |name: &str| data.path().join(name);
    let index = at("t-0/00000000000000000000.ridx");
    let mut bytes = fs::read(&index).expect("a clean stop writes it");
    bytes[40] ^= 1;
    fs::write(&index, bytes).expect("ours");
    let (code, text, _) = dump(&[&index]);
    assert!(code == 1 && text.contains("first bad byte at "), "{text}");

    let (code, text, said) = dump(&[&at("t-0/00000000000000000007.log"), &at(SEGMENT)]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("No such file") && text.contains("second value"), "{said}{text}");
    let (code, _, said) = dump(&[&at("t-0/partition.metadata")]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("understood are segments (.log"), "{said}");
}
