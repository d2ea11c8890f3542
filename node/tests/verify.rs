//! `ringlog verify`, a start, a fetch and the scrub agree about a flipped bit, through the real binary. Without this an
//! operator with a doubtful disk could only wait for a consumer to complain.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::{Broker, files, folder, refused, ringlog};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SEGMENT: &str = "t-0/00000000000000000000.log";
/// Kafka's CORRUPT_MESSAGE.
const CORRUPT: i16 = 2;

/// Exit code, what it printed, what it said on stderr.
fn verify(dir: &Path) -> (i32, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_ringlog")).arg("verify").arg(dir).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (run.status.code().expect("no signal"), text(&run.stdout), text(&run.stderr))
}

/// A folder with five batches of one record in partition 0 of `t`, closed cleanly; and where each batch begins.
fn written() -> (tempfile::TempDir, Vec<usize>) {
    let data = folder();
    let broker = Broker::start(data.path(), &[]);
    let mut client = broker.client();
    assert_eq!(client.create_topic("t", 1), 0);
    for n in 0..5 {
        assert_eq!(client.produce("t", 0, &[&format!("value {n}")]), (0, n));
    }
    broker.stop();
    let bytes = fs::read(data.path().join(SEGMENT)).expect("it is there");
    let mut begins = vec![0];
    while let Some(length) = bytes.get(begins[begins.len() - 1] + 8..).and_then(|rest| rest.first_chunk::<4>()) {
        begins.push(begins[begins.len() - 1] + 12 + u32::from_be_bytes(*length) as usize);
    }
    (data, begins)
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("it is there");
    bytes[at] ^= 4;
    fs::write(path, bytes).expect("ours");
}

#[test]
fn a_sound_folder_a_missing_one_and_one_in_use() {
    let (data, _) = written();
    let (code, text, said) = verify(data.path());
    assert_eq!((code, said.as_str(), text.lines().count()), (0, "", 1), "{text}");
    assert!(text.contains(": 0 findings in 2 logs, ") && text.trim_end().ends_with(" MB/s"), "{text}");
    let before: Vec<_> = files(data.path()).iter().map(|path| fs::read(path).expect("readable")).collect();
    verify(data.path());
    let after: Vec<_> = files(data.path()).iter().map(|path| fs::read(path).expect("readable")).collect();
    assert_eq!(before, after, "nothing is changed");

    let (code, _, said) = verify(&data.path().join("nowhere"));
    assert!(code == 2 && said.contains("nowhere: cannot be listed"), "{code}: {said}");
    let broker = Broker::start(data.path(), &[]);
    let (code, text, said) = verify(data.path());
    assert_eq!((code, text.as_str()), (2, ""));
    assert!(said.contains(&format!("in use by process {}", broker.pid())), "{said}");
    broker.stop();
}

#[test]
fn records_that_rot_are_named_and_never_served() {
    // In the body, in the base offset, and in the leader epoch, where no batch's checksum looks.
    for at in [65, 7, 13] {
        let (data, begins) = written();
        flip(&data.path().join(SEGMENT), begins[2] + at);
        let (code, text, _) = verify(data.path());
        let named = format!("{SEGMENT}: byte {}, offsets 2 to 2: ", begins[2]);
        assert!(
            code == 1 && text.contains(&named) && text.contains("What to do: these records are not served"),
            "{text}"
        );
        let broker = Broker::start(data.path(), &[]);
        let said = broker.logged(SEGMENT);
        assert!(said.contains("offset 2"), "byte {at}: the start says {said}");
        let mut client = broker.client();
        assert_eq!(client.fetch("t", 0, 0), (0, vec!["value 0".to_owned(), "value 1".to_owned()]), "byte {at}");
        assert_eq!(client.fetch("t", 0, 2), (CORRUPT, Vec::new()), "byte {at}");
        broker.stop();
    }
}

#[test]
fn small_files_are_found_and_mended_or_refused() {
    let (data, _) = written();
    let find = |suffix: &str| -> PathBuf {
        let found = files(data.path()).into_iter().find(|path| path.to_string_lossy().ends_with(suffix));
        found.unwrap_or_else(|| panic!("no {suffix}"))
    };
    for name in ["t-0/partition.metadata", "t-0/ringlog.origin", SEGMENT.replace(".log", ".ridx").as_str(), "-0.rckp"] {
        let path = find(name);
        flip(&path, 33);
        let (code, text, _) = verify(data.path());
        assert!(code == 1 && text.starts_with(&path.display().to_string()), "{name}: {text}");
        let broker = Broker::start(data.path(), &[]);
        broker.logged(&path.display().to_string());
        assert_eq!(broker.client().fetch_all("t", 0).len(), 5, "{name}");
        broker.stop();
        assert_eq!(verify(data.path()).0, 0, "{name} is mended");
    }
    let path = find("meta.properties");
    let text = fs::read(&path).expect("it is there");
    flip(&path, 14);
    let (code, said, _) = verify(data.path());
    assert!(code == 1 && said.contains("meta.properties: byte 14: differs from its copy"), "{said}");
    let said = refused(ringlog(data.path(), &[]));
    assert!(said.contains("byte 14 is not what it was at the last start"), "{said}");
    fs::write(&path, text).expect("ours");
    Broker::start(data.path(), &[]).stop();
}

#[test]
fn the_scrub_of_a_running_node_finds_it_too() {
    let (data, begins) = written();
    let args = ["--override", "log.scrub.interval.ms=100"];
    let broker = Broker::start(data.path(), &args);
    assert_eq!(broker.client().fetch_all("t", 0).len(), 5);
    flip(&data.path().join(SEGMENT), begins[1] + 65);
    let line = broker.logged("these records are not served");
    assert!(line.contains(SEGMENT) && line.contains("offsets 1..2"), "{line}");
    flip(&data.path().join(SEGMENT), begins[1] + 65);
    assert_eq!(broker.client().fetch("t", 0, 1), (CORRUPT, Vec::new()), "it was bad once");
    assert_eq!(broker.client().produce("t", 0, &["more"]), (0, 5));
    broker.stop();
}
